//! The grants: one exchange with the token endpoint each. The only file that names the oauth2
//! crate's client.

use super::answer::{ErrorAnswer, GrantError, TokenAnswer, odd};
use super::{AccessToken, assertion};
use crate::fault::Fault;
use crate::http::{self, Agent};
use crate::secret::Secret;
use ::http::header::CONTENT_TYPE;
use oauth2::basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    RefreshToken, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, Scope,
    StandardRevocableToken, TokenUrl,
};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The largest answer of a token endpoint that we read, in octets.
const LARGEST_ANSWER: u64 = 1 << 20;
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Not at all: a public client (RFC 6749 §2.1).
    None,
    Secret(Secret),
    /// PEM files; read at each exchange.
    Certificate {
        certificate: PathBuf,
        private_key: PathBuf,
    },
    /// A file with a JWT of another identity provider; read at each exchange.
    FederatedToken(PathBuf),
}

/// A client registration at a token endpoint.
pub struct Client<'a> {
    pub agent: &'a Agent,
    pub token_endpoint: &'a str,
    pub client_id: &'a str,
    pub credential: Credential,
}

/// What a grant yields.
#[derive(Debug)]
pub struct Granted {
    pub access: AccessToken,
    /// Replaces the one that was used, if any.
    pub refresh: Option<Secret>,
}

type OauthClient = oauth2::Client<
    ErrorAnswer,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What the answer's frame said, which the oauth2 crate does not keep.
#[derive(Default)]
struct Frame {
    status: u16,
    content_type: String,
    retry_after: Option<Duration>,
}

impl Client<'_> {
    /// RFC 6749 §4.4: the client signs in as itself.
    pub fn client_credentials(&self, scope: &str) -> Result<Granted, GrantError> {
        let client = self.client()?;
        let mut request = client
            .exchange_client_credentials()
            .add_scopes(scopes(scope));
        for (name, value) in self.assertion()? {
            request = request.add_extra_param(name, value);
        }
        self.exchange(false, |http| request.request(&http))
    }

    /// RFC 6749 §4.3: with a person's name and password.
    pub fn password(
        &self,
        account: &str,
        password: &Secret,
        scope: &str,
    ) -> Result<Granted, GrantError> {
        let client = self.client()?;
        let account = ResourceOwnerUsername::new(account.to_owned());
        let password = ResourceOwnerPassword::new(password.expose().to_owned());
        let mut request = client
            .exchange_password(&account, &password)
            .add_scopes(scopes(scope));
        for (name, value) in self.assertion()? {
            request = request.add_extra_param(name, value);
        }
        self.exchange(true, |http| request.request(&http))
    }

    /// RFC 6749 §6: with the refresh token of an earlier grant.
    pub fn refresh(&self, token: &Secret, scope: &str) -> Result<Granted, GrantError> {
        let client = self.client()?;
        let token = RefreshToken::new(token.expose().to_owned());
        let mut request = client
            .exchange_refresh_token(&token)
            .add_scopes(scopes(scope));
        for (name, value) in self.assertion()? {
            request = request.add_extra_param(name, value);
        }
        self.exchange(false, |http| request.request(&http))
    }

    fn client(&self) -> Result<OauthClient, Fault> {
        let endpoint = TokenUrl::new(self.token_endpoint.to_owned())
            .map_err(|e| Fault::config(format!("`{}` is not a URL: {e}", self.token_endpoint)))?;
        let client = oauth2::Client::new(ClientId::new(self.client_id.to_owned()))
            // Entra takes HTTP Basic too, but its RFC 6749 §2.3.1 encoding is a frequent trap.
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(endpoint);
        Ok(match &self.credential {
            Credential::Secret(secret) => {
                client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            _ => client,
        })
    }

    /// The parameters of RFC 7521 §4.2, where an assertion stands for the secret.
    fn assertion(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        let jwt = match &self.credential {
            Credential::None | Credential::Secret(_) => return Ok(Vec::new()),
            Credential::Certificate {
                certificate,
                private_key,
            } => assertion::client_assertion(
                certificate,
                private_key,
                self.client_id,
                self.token_endpoint,
                SystemTime::now(),
            )?,
            Credential::FederatedToken(path) => assertion::federated_token(path)?,
        };
        Ok(vec![
            ("client_assertion_type", JWT_BEARER.to_owned()),
            ("client_assertion", jwt),
        ])
    }

    fn exchange(
        &self,
        tried_password: bool,
        send: impl FnOnce(
            &dyn Fn(HttpRequest) -> Result<HttpResponse, Fault>,
        ) -> Result<TokenAnswer, RequestTokenError<Fault, ErrorAnswer>>,
    ) -> Result<Granted, GrantError> {
        let asked_at = SystemTime::now();
        let frame = RefCell::new(Frame::default());
        let http = |request: HttpRequest| {
            let response = self.agent.call(request, LARGEST_ANSWER)?;
            *frame.borrow_mut() = Frame {
                status: response.status().as_u16(),
                content_type: response
                    .headers()
                    .get(CONTENT_TYPE)
                    .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
                    .unwrap_or_default(),
                retry_after: http::retry_after(response.headers(), SystemTime::now()),
            };
            Ok(response)
        };
        let answer = send(&http);
        let frame = frame.into_inner();
        match answer {
            Ok(answer) => {
                let (access, refresh) = answer.checked(asked_at)?;
                Ok(Granted { access, refresh })
            }
            Err(RequestTokenError::Request(fault)) => Err(fault.into()),
            Err(RequestTokenError::ServerResponse(answer)) => {
                Err(answer.sorted(frame.status, frame.retry_after, tried_password))
            }
            // JSON, but not what RFC 6749 §5.1 says. The place is told, the value may be a secret.
            Err(RequestTokenError::Parse(e, _)) if frame.status == 200 => {
                let place = e.path().to_string();
                Err(match e.inner().classify() {
                    serde_json::error::Category::Data if place == "." => {
                        odd("a field is missing: access_token, token_type or expires_in")
                    }
                    serde_json::error::Category::Data => odd(&format!("`{place}` is malformed")),
                    _ => odd("it is damaged JSON"),
                }
                .into())
            }
            Err(_) => Err(self.no_oauth(&frame).into()),
        }
    }

    /// Something between us and the login host answered: a proxy's page, a portal, nothing.
    fn no_oauth(&self, frame: &Frame) -> Fault {
        let status = frame.status;
        let content_type = match frame.content_type.as_str() {
            "" => "no content type",
            text => text.get(..80).unwrap_or(text),
        };
        let mut fault = Fault::try_later(format!(
            "the answer of `{}` is not from a token endpoint: HTTP status {status}, {}",
            self.token_endpoint,
            crate::output::escape(content_type),
        ))
        .retry_after(frame.retry_after);
        if (300..400).contains(&status) {
            fault = fault.hint("it redirects elsewhere, and secrets are not sent elsewhere: check the server's `address`");
        } else if status == 200 || (400..500).contains(&status) && status != 429 {
            fault = fault.hint("usually a proxy or a sign-in page of the network answers in its place: check HTTPS_PROXY and NO_PROXY, and the server's `address`");
        }
        fault
    }
}

fn scopes(scope: &str) -> impl Iterator<Item = Scope> + '_ {
    scope.split_whitespace().map(|s| Scope::new(s.to_owned()))
}
