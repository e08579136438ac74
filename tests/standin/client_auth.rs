//! How an app proves itself to Entra: secret, certificate, federated token, or not at all.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::pkey::PKey;

use super::aadsts::Refusal;
use super::directory::{App, key_id};
use super::entra::{Form, field, needed};
use super::faults::use_up;
use super::http::Request;
use super::jwt::{self, Parts};
use super::world::{World, now};

/// The app named by the request.
pub fn client(world: &World, request: &Request, form: &Form) -> Result<App, Refusal> {
    let basic = basic(request);
    let id = match &basic {
        Some((id, _)) => id,
        None => needed(form, "client_id")?,
    };
    let directory = world.directory();
    directory.app(id).cloned().ok_or_else(|| {
        Refusal::new(
            700016,
            format!(
                "Application with identifier '{id}' was not found in the directory 'Contoso'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
        )
    })
}

/// HTTP Basic credentials; both halves are form-encoded first (RFC 6749 §2.3.1).
fn basic(request: &Request) -> Option<(String, String)> {
    let coded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |half: &str| {
        let mut pairs = url::form_urlencoded::parse(half.as_bytes());
        pairs.next().map(|(name, _)| name.into_owned())
    };
    Some((plain(id)?, plain(secret).unwrap_or_default()))
}

/// Checks the app's proof.
pub fn check(
    world: &World,
    app: &App,
    request: &Request,
    form: &Form,
    tenant: &str,
) -> Result<(), Refusal> {
    let basic = basic(request).map(|(_, secret)| secret);
    let secret = field(form, "client_secret").or(basic.as_deref());
    let assertion = field(form, "client_assertion");
    if app.public {
        return match (secret, assertion) {
            (None, None) => Ok(()),
            _ => Err(Refusal::plain(700025)),
        };
    }
    match (secret, assertion) {
        (_, Some(assertion)) => check_assertion(world, app, form, assertion, tenant),
        (Some(_), None) if app.secret_expired => Err(Refusal::new(
            7000222,
            format!(
                "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
                app.client_id
            ),
        )),
        (Some(secret), None)
            if app.secrets().any(|own| own == secret)
                && !is_too_new(world, app, secret.as_bytes()) =>
        {
            Ok(())
        }
        (Some(_), None) => Err(Refusal::new(
            7000215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                app.client_id
            ),
        )),
        (None, None) => Err(Refusal::plain(7000218)),
    }
}

/// Whether this server of Entra does not know yet what was registered a moment ago.
fn is_too_new(world: &World, app: &App, content: &[u8]) -> bool {
    app.new_keys.contains(&key_id(content)) && use_up(&world.faults.new_keys_unknown)
}

fn check_assertion(
    world: &World,
    app: &App,
    form: &Form,
    assertion: &str,
    tenant: &str,
) -> Result<(), Refusal> {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    if needed(form, "client_assertion_type")? != kind {
        return Err(Refusal::plain(9002313));
    }
    let malformed = || Refusal::new(50012, "Authentication failed. The assertion is malformed.");
    let parts = jwt::take_apart(assertion).ok_or_else(malformed)?;
    let own = |name: &str| parts.claims[name].as_str() == Some(&app.client_id);
    if own("iss") {
        let endpoint = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            world.login_url.get().unwrap()
        );
        by_certificate(world, app, &parts)?;
        if !own("sub") || parts.claims["aud"].as_str() != Some(&endpoint) {
            return Err(Refusal::new(
                700027,
                "Client assertion failed signature validation. The audience or subject is not valid.",
            ));
        }
    } else {
        by_federation(app, &parts)?;
    }
    // Fractions of a second are allowed (RFC 7519 §2), and MSAL for Python sends them.
    let time = |name: &str| parts.claims[name].as_f64().map(|seconds| seconds as i64);
    let is_early = time("nbf").is_some_and(|start| start > now() + 300);
    let is_late = time("exp").is_none_or(|end| end <= now());
    if is_early || is_late {
        return Err(Refusal::plain(700024));
    }
    Ok(())
}

fn by_certificate(world: &World, app: &App, parts: &Parts) -> Result<(), Refusal> {
    let mut certificates = app.certificates.iter();
    let key = certificates.find_map(|pem| {
        let key = jwt::certificate_key(pem, &parts.header)?;
        (!is_too_new(world, app, &jwt::der(pem))).then_some(key)
    });
    let Some(key) = key else {
        return Err(Refusal::new(
            700027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '{}'].",
                parts.header["x5t#S256"].as_str().unwrap_or_default()
            ),
        ));
    };
    if !parts.is_signed_by(&key) {
        return Err(Refusal::new(
            700027,
            "Client assertion failed signature validation. [Reason - The key was found, but use of the key to verify the signature failed.].",
        ));
    }
    Ok(())
}

fn by_federation(app: &App, parts: &Parts) -> Result<(), Refusal> {
    let claim = |name: &str| parts.claims[name].as_str().unwrap_or_default();
    let none_for = |code, what, value: &str| {
        Refusal::new(
            code,
            format!(
                "No matching federated identity record found for presented assertion {what} '{value}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."
            ),
        )
    };
    let by_issuer: Vec<_> = app
        .federated
        .iter()
        .filter(|trust| trust.issuer == claim("iss"))
        .collect();
    if by_issuer.is_empty() {
        return Err(none_for(700211, "issuer", claim("iss")));
    }
    // Letter case counts in all three.
    let mut by_subject = by_issuer
        .iter()
        .filter(|trust| trust.subject == claim("sub"));
    let Some(trust) = by_subject.next() else {
        return Err(none_for(700213, "subject", claim("sub")));
    };
    let audience = &parts.claims["aud"];
    if audience != &trust.audience && audience[0] != trust.audience {
        return Err(none_for(700212, "audience", claim("aud")));
    }
    let key = PKey::public_key_from_pem(trust.public_key_pem.as_bytes()).unwrap();
    if !parts.is_signed_by(&key) {
        return Err(Refusal::new(
            700027,
            "Client assertion failed signature validation.",
        ));
    }
    Ok(())
}
