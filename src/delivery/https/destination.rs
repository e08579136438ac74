//! A URL that mail is posted to, and what its webhook has for it: credentials, keys, settings.

use crate::fault::Fault;
use crate::http::Agent;
use crate::model::{PostUrl, SecretSource, Webhook, webhook_of};
use crate::net::{Settings, Watch};
use crate::secret::{Mask, Secret};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// For connecting, to whichever address of the host answers.
const CONNECTING: Duration = Duration::from_secs(30);
/// For each piece of a message on its way out, and for the answer to a whole message.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// For the body of an answer whose head is read: it decides nothing.
const BODY: Duration = Duration::from_secs(2);
/// What the base64 of a secret for signing begins with.
const OF_A_WEBHOOK: &str = "whsec_";
/// The least octets of such a secret, as Standard Webhooks has it.
const SHORTEST_KEY: usize = 24;

/// A URL, and what goes with what is posted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub url: PostUrl,
    pub webhook: Option<Webhook>,
}

/// What shows a receiver who posts.
pub struct Credentials {
    /// The header fields that are the same for each post.
    pub fields: HeaderMap,
    /// The keys that sign each post, the one in use first.
    pub keys: Vec<Zeroizing<Vec<u8>>>,
    /// What an answer may repeat, and no error message does.
    pub mask: Mask,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Destination {
    /// # Errors
    /// `Config` for a URL that no mail can be posted to.
    pub fn new(url: &str, webhooks: &[Webhook]) -> Result<Destination> {
        let url: PostUrl = url.parse().map_err(Fault::config)?;
        Ok(Destination::of(url, webhooks))
    }

    pub fn of(url: PostUrl, webhooks: &[Webhook]) -> Destination {
        let webhook = webhook_of(webhooks, url.url()).cloned();
        Destination { url, webhook }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            connect_timeout: CONNECTING,
            io_timeout: PATIENCE,
            ca_file: self.webhook.as_ref().and_then(|w| w.ca_file.clone()),
            watch: Watch::default(),
        }
    }

    /// The host's name or address, and its port.
    pub fn host(&self) -> (&str, u16) {
        let url = self.url.url();
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host, url.port_or_known_default().unwrap_or(443))
    }

    pub fn is_plain(&self) -> bool {
        self.url.url().scheme() == "http"
    }

    pub fn agent(&self) -> Result<Agent> {
        let agent = match self.is_plain() {
            true => Agent::local(PATIENCE),
            false => Agent::new(&self.settings())?,
        };
        Ok(agent.with_bodies_within(BODY))
    }

    /// # Errors
    /// `Config` for a secret that is not there, or cannot be used.
    pub fn credentials(&self) -> Result<Credentials> {
        let mut mask = Mask::default();
        Ok(Credentials {
            fields: self.constant(&mut mask)?,
            keys: self.keys(&mut mask)?,
            mask,
        })
    }

    /// A secret of the webhook. Error: `Config` where there is none.
    fn secret(&self, source: &SecretSource, what: &str) -> Result<Secret> {
        source.resolve(&format!("the {what} of webhook `{self}`"))
    }

    /// The request's own header fields: those that are the same for each message.
    fn constant(&self, mask: &mut Mask) -> Result<HeaderMap> {
        let mut fields = HeaderMap::new();
        let Some(source) = self.webhook.as_ref().and_then(|w| w.authorization.as_ref()) else {
            return Ok(fields);
        };
        let secret = self.secret(source, "authorization")?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
            Fault::config(format!(
                "cannot use the authorization of webhook `{self}`: it is not a line of visible characters"
            ))
            .hint("use the whole value of the header field, like: Bearer TOKEN")
        })?;
        value.set_sensitive(true);
        fields.insert(AUTHORIZATION, value);
        // What a receiver repeats may be without the scheme, or undone.
        if let Some((_, credentials)) = secret.expose().split_once(' ') {
            mask.add(Secret::new(credentials));
            let undone = STANDARD.decode(credentials.trim()).unwrap_or_default();
            if let Ok(text) = String::from_utf8(undone) {
                let password = text
                    .split_once(':')
                    .map_or(&*text, |(_, password)| password);
                mask.add(Secret::new(password));
            }
        }
        mask.add(secret);
        Ok(fields)
    }

    /// The keys that sign each post, the one in use first.
    fn keys(&self, mask: &mut Mask) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        let secrets = self.webhook.as_ref().and_then(|w| w.secret.as_ref());
        let sources = secrets.map_or(&[][..], |secrets| &secrets.0);
        let mut keys = Vec::new();
        for source in sources {
            let secret = self.secret(source, "secret")?;
            let text = secret.expose().trim();
            let text = text.strip_prefix(OF_A_WEBHOOK).unwrap_or(text);
            let key = STANDARD.decode(text).map(Zeroizing::new).ok();
            let key = key.filter(|key| key.len() >= SHORTEST_KEY).ok_or_else(|| {
                Fault::config(format!(
                    "cannot use the secret of webhook `{self}`: it is not {OF_A_WEBHOOK} and the base64 of {SHORTEST_KEY} bytes or more"
                ))
                .hint("to create one: echo whsec_$(openssl rand -base64 32)")
            })?;
            mask.add(Secret::new(text));
            keys.push(key);
        }
        Ok(keys)
    }

    /// What keeps everything from the destination, with the host that it is about.
    pub fn unusable(&self, fault: Fault) -> Fault {
        let (host, port) = self.host();
        let what = format!("`{self}` cannot be used: {}", fault.what);
        Fault { what, ..fault }.at(host, Some(port))
    }
}
