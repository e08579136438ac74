//! The grants: one exchange with the token endpoint each. The only file that names the oauth2
//! crate's client.
//!
//! The crate writes the requests of RFC 6749 and the challenge of RFC 7636, and makes the page where
//! a person signs in. It does not do more: `exchange` carries a request, because that one has
//! bounds, a proxy and a trace; `answer` reads what comes, because Entra says more than RFC 6749
//! and a token is checked before it is used; `device` polls, because the crate's polling does not
//! stop at a fatal answer; `assertion` signs, which the crate has nothing for.

use super::answer::{ErrorAnswer, GrantError, TokenAnswer};
use super::exchange::{Answered, Wire, exchange};
use super::redirect::Asked;
use super::token::Granted;
use super::{assertion, federation};
use crate::fault::Fault;
use crate::http::Agent;
use crate::secret::{Mask, Secret};
use crate::x509::Identity;
use jiff::Timestamp;
use oauth2::basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    ResourceOwnerPassword, ResourceOwnerUsername, Scope, StandardRevocableToken, TokenUrl,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Not at all: a public client (RFC 6749 §2.1).
    None,
    Secret(Secret),
    /// Files; read at each exchange, so that a renewed certificate is taken up by itself.
    Certificate {
        certificate: PathBuf,
        /// Where it is not in the certificate's own file.
        private_key: Option<PathBuf>,
        passphrase: Option<Secret>,
    },
    /// A certificate that is at hand.
    Identity(Arc<Identity>),
    /// A JWT of another identity provider.
    FederatedToken(Secret),
}

/// A client registration at a token endpoint.
pub struct Client {
    pub agent: Agent,
    pub token_endpoint: String,
    pub client_id: String,
    pub credential: Credential,
    /// What the token is for, where the token endpoint is one of Entra's version 1: that takes a
    /// resource in the place of scopes.
    pub resource: Option<&'static str>,
}

/// A sign-in with a browser that is under way.
pub struct CodeRequest {
    /// What the person opens.
    pub url: url::Url,
    /// What the answer must fit.
    pub asked: Asked,
    redirect_uri: RedirectUrl,
    verifier: PkceCodeVerifier,
}

type OauthClient = oauth2::Client<
    Box<ErrorAnswer>,
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

impl CodeRequest {
    /// What the browser brought, without what is secret of this sign-in.
    pub fn hidden(&self, words: &str) -> String {
        let verifier = Secret::new(self.verifier.secret().clone());
        Mask::new([self.asked.state.clone(), verifier]).hide(words)
    }
}

impl Client {
    /// RFC 6749 §4.4: the client signs in as itself.
    pub fn client_credentials(&self, scope: &str) -> Result<Granted, GrantError> {
        let client = self.client()?;
        let mut request = client
            .exchange_client_credentials()
            .add_scopes(self.scopes(scope));
        for (name, value) in self.more()? {
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
            .add_scopes(self.scopes(scope));
        for (name, value) in self.more()? {
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
            .add_scopes(self.scopes(scope));
        for (name, value) in self.more()? {
            request = request.add_extra_param(name, value);
        }
        self.exchange(false, |http| request.request(&http))
    }

    /// RFC 6749 §4.1.3 with PKCE (RFC 7636): redeems the code that the browser brought.
    pub fn code(
        &self,
        code: String,
        request: CodeRequest,
        scope: &str,
    ) -> Result<Granted, GrantError> {
        let client = self.client()?.set_redirect_uri(request.redirect_uri);
        let mut exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(request.verifier)
            .add_extra_param("scope", scope.to_owned());
        for (name, value) in self.more()? {
            exchange = exchange.add_extra_param(name, value);
        }
        self.exchange(false, |http| exchange.request(&http))
    }

    /// The page where a person signs in, who then comes back to `redirect_uri`. Other providers
    /// than Entra ID (`is_entra`) are sent nothing beyond RFC 6749 and RFC 7636 but the account.
    pub fn authorization(
        &self,
        endpoint: &str,
        redirect_uri: String,
        scope: &str,
        login_hint: &str,
        is_entra: bool,
    ) -> Result<CodeRequest, Fault> {
        let no_url =
            |text: &str, e: url::ParseError| Fault::config(format!("`{text}` is not a URL: {e}"));
        let redirect_uri =
            RedirectUrl::new(redirect_uri.clone()).map_err(|e| no_url(&redirect_uri, e))?;
        let endpoint = AuthUrl::new(endpoint.to_owned()).map_err(|e| no_url(endpoint, e))?;
        let client = self
            .client()?
            .set_auth_uri(endpoint)
            .set_redirect_uri(redirect_uri.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes(scope))
            .add_extra_param("login_hint", login_hint)
            .set_pkce_challenge(challenge);
        if is_entra {
            // Where it is not asked for, some registrations answer with a form.
            request = request.add_extra_param("response_mode", "query");
        }
        let (url, state) = request.url();
        Ok(CodeRequest {
            asked: Asked {
                state: Secret::new(state.secret().clone()),
                origin: url.origin(),
            },
            url,
            redirect_uri,
            verifier,
        })
    }

    fn client(&self) -> Result<OauthClient, Fault> {
        let endpoint = TokenUrl::new(self.token_endpoint.clone())
            .map_err(|e| Fault::config(format!("`{}` is not a URL: {e}", self.token_endpoint)))?;
        let client = oauth2::Client::new(ClientId::new(self.client_id.clone()))
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

    /// The scopes to ask for; none where a resource stands in their place.
    fn scopes(&self, scope: &str) -> Vec<Scope> {
        let scopes = scope.split_whitespace().filter(|_| self.resource.is_none());
        scopes.map(|one| Scope::new(one.to_owned())).collect()
    }

    /// The parameters for which the crate has no name.
    fn more(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        let mut more = self.assertion()?;
        more.extend(
            self.resource
                .map(|resource| ("resource", resource.to_owned())),
        );
        Ok(more)
    }

    /// The parameters of RFC 7521 §4.2, where an assertion stands for the secret.
    pub(super) fn assertion(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        let sign = |identity: &Identity| {
            let (client_id, endpoint) = (&self.client_id, &self.token_endpoint);
            assertion::client_assertion(identity, client_id, endpoint, SystemTime::now())
        };
        let jwt = match &self.credential {
            Credential::None | Credential::Secret(_) => return Ok(Vec::new()),
            Credential::Certificate {
                certificate,
                private_key,
                passphrase,
            } => sign(&Identity::read(
                certificate,
                private_key.as_deref(),
                passphrase.as_ref(),
            )?)?,
            Credential::Identity(identity) => sign(identity)?,
            Credential::FederatedToken(token) => token.expose().to_owned(),
        };
        Ok(vec![
            ("client_assertion_type", JWT_BEARER.to_owned()),
            ("client_assertion", jwt),
        ])
    }

    fn exchange(
        &self,
        tried_password: bool,
        send: impl FnOnce(&Wire<'_>) -> Answered<TokenAnswer>,
    ) -> Result<Granted, GrantError> {
        exchange(&self.agent, tried_password, send).map_err(|mut e| {
            if let Credential::FederatedToken(token) = &self.credential {
                e.fault = federation::explained(e.fault, token.expose(), Timestamp::now());
            }
            e
        })
    }
}
