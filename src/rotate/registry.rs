//! The app registration in Entra ID, as the app itself may read and change it by Microsoft Graph.
//!
//! - <https://learn.microsoft.com/graph/api/application-get>
//! - <https://learn.microsoft.com/graph/api/application-addkey>: needs no permission while a valid
//!   certificate signs the proof; likewise `application-removekey`
//! - <https://learn.microsoft.com/graph/api/application-addpassword>: needs
//!   `Application.ReadWrite.OwnedBy`, and the app to be an owner of its registration; likewise
//!   `application-removepassword`
//! - <https://learn.microsoft.com/graph/api/resources/keycredential> and `passwordcredential`

use super::credential::{Credential, NewSecret};
use crate::fault::{Fault, Kind};
use crate::mail::graph::{Client, Failure, Meaning, Refusal};
use crate::secret::Secret;
use crate::shell;
use crate::x509::Identity;
use ::http::Method;
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use serde::Deserialize;
use serde_json::{Value, json};

/// The characters of a secret that Graph shows.
const HINT: usize = 3;

/// An app registration, called with a token of its app.
pub struct Registry<'a> {
    client: Client,
    client_id: &'a str,
    /// The server's name, for messages.
    server: &'a str,
}

/// What is registered. Fields that are not asked for are left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub id: String,
    #[serde(default)]
    key_credentials: Vec<Key>,
    #[serde(default)]
    password_credentials: Vec<Key>,
}

/// A certificate or a secret of the registration.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key_id: String,
    display_name: Option<String>,
    /// The first characters of a secret.
    hint: Option<String>,
    /// A certificate in base64.
    key: Option<String>,
    /// Usually the thumbprint of a certificate.
    custom_key_identifier: Option<String>,
    end_date_time: Option<String>,
}

/// One that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub key_id: String,
    /// Unix seconds.
    pub ends_at: Option<i64>,
}

impl<'a> Registry<'a> {
    pub fn new(client: Client, client_id: &'a str, server: &'a str) -> Registry<'a> {
        Registry {
            client,
            client_id,
            server,
        }
    }

    /// What is registered; `None` where the app may not read it.
    pub fn read(&self) -> Result<Option<Registered>> {
        let app = format!("applications(appId='{}')", self.client_id);
        let mut url = self.client.service_url(&[&app]);
        url.set_query(Some("$select=id,keyCredentials,passwordCredentials"));
        match self.client.json(&Method::GET, &url, "", None) {
            Ok(registered) => Ok(Some(registered)),
            Err(Failure::Refused(refusal)) if refusal.meaning() == Meaning::Forbidden => Ok(None),
            Err(failure) => Err(self.fault("read", failure).into()),
        }
    }

    /// Adds a certificate, of this name, to the registration of this Object ID; gives its key ID, if Graph tells it. `proof` is of a
    /// certificate that is registered.
    pub fn add_certificate(
        &self,
        object_id: &str,
        name: &str,
        new: &Identity,
        proof: &Secret,
    ) -> Result<Option<String>> {
        let body = json!({
            "keyCredential": {
                "displayName": name,
                "type": "AsymmetricX509Cert",
                "usage": "Verify",
                "key": STANDARD.encode(new.der()?),
            },
            "passwordCredential": null,
            "proof": proof.expose(),
        });
        let added: Value = self.post(object_id, "addKey", &body, "add a certificate to")?;
        Ok(added["keyId"].as_str().map(str::to_owned))
    }

    /// Has Entra ID make a secret, of this name.
    pub fn add_secret(&self, object_id: &str, name: &str, ends_at: i64) -> Result<NewSecret> {
        let end = Timestamp::from_second(ends_at)?.to_string();
        let body = json!({"passwordCredential": {"displayName": name, "endDateTime": end}});
        let added: Value = self.post(object_id, "addPassword", &body, "add a secret to")?;
        let text = |key: &str| {
            let text = added[key].as_str().filter(|text| !text.is_empty());
            text.ok_or_else(|| Fault::try_later(format!("`{}` gave no {key}", self.client.host())))
        };
        let secret = text("secretText")?;
        if secret.contains(['\r', '\n', '\0']) {
            let what = format!("`{}` gave a secret of several lines", self.client.host());
            return Err(Fault::refused(what).into());
        }
        Ok(NewSecret {
            secret: Secret::new(secret),
            key_id: text("keyId")?.to_owned(),
            ends_at: added["endDateTime"]
                .as_str()
                .and_then(seconds)
                .or(Some(ends_at)),
        })
    }

    /// Removes a certificate, by a proof of one that stays. One that is gone already is no error.
    pub fn remove_certificate(&self, object_id: &str, key_id: &str, proof: &Secret) -> Result<()> {
        let body = json!({"keyId": key_id, "proof": proof.expose()});
        let done = self.call(object_id, "removeKey", &body);
        self.removed(key_id, done, "remove a certificate from")
    }

    /// Removes a secret. One that is gone already is no error.
    pub fn remove_secret(&self, object_id: &str, key_id: &str) -> Result<()> {
        let done = self.call(object_id, "removePassword", &json!({"keyId": key_id}));
        self.removed(key_id, done, "remove a secret from")
    }

    fn removed(&self, key_id: &str, done: Result<Value, Failure>, what: &str) -> Result<()> {
        match done {
            Err(Failure::Refused(refusal)) if refusal.status == 404 || self.is_gone(key_id) => {
                Ok(())
            }
            Err(failure) => Err(self.fault(what, failure).into()),
            Ok(_) => Ok(()),
        }
    }

    /// True where the registration can be read, and has no such key.
    fn is_gone(&self, key_id: &str) -> bool {
        self.read()
            .is_ok_and(|registered| registered.is_some_and(|registered| !registered.has(key_id)))
    }

    fn post(&self, object_id: &str, action: &str, body: &Value, what: &str) -> Result<Value> {
        let done = self.call(object_id, action, body);
        done.map_err(|failure| self.fault(what, failure).into())
    }

    fn call(&self, object_id: &str, action: &str, body: &Value) -> Result<Value, Failure> {
        let url = self
            .client
            .service_url(&["applications", object_id, action]);
        self.client.json(&Method::POST, &url, "", Some(body))
    }

    fn fault(&self, what: &str, failure: Failure) -> Fault {
        let what = format!(
            "cannot {what} the app registration of server `{}`",
            self.server
        );
        match failure {
            Failure::Lost(fault) => Fault {
                what: format!("{what}: {}", fault.what),
                ..fault
            },
            Failure::Refused(refusal) => self.refused(what, &refusal),
        }
    }

    fn refused(&self, what: String, refusal: &Refusal) -> Fault {
        let kind = match refusal.meaning() {
            Meaning::BadToken | Meaning::Forbidden => Kind::SignIn,
            Meaning::Throttled | Meaning::Passing | Meaning::Trouble => Kind::TryLater,
            _ => Kind::Refused,
        };
        let fault = Fault::new(kind, what)
            .said(refusal.words_and_id())
            .retry_after(refusal.retry_after);
        match refusal.meaning() {
            Meaning::Forbidden => lacks_permission(fault, self.server),
            _ => fault,
        }
    }
}

/// The same fault with what an administrator does so that an app may change its own registration.
pub fn lacks_permission(fault: Fault, server: &str) -> Fault {
    fault
        .hint(format!(
            "an Entra ID administrator gives the app the application permission Application.ReadWrite.OwnedBy of Microsoft Graph, and makes it an owner of its own registration: queuemail setup-script {} > setup.ps1; pwsh setup.ps1 -Renewal",
            shell::quote(server)
        ))
        .hint("or use a certificate, which an app may renew without a permission")
}

impl Registered {
    /// The credential among what is registered, if it is clear which it is: a certificate is known
    /// whole or by its thumbprint, and of a secret Graph shows the first characters.
    pub fn find(&self, credential: &Credential) -> Option<Found> {
        let fits: Vec<&Key> = match credential {
            Credential::Secret(secret) => {
                let start: String = secret.expose().chars().take(HINT).collect();
                let keys = self.password_credentials.iter();
                // One of which Graph shows nothing may be it.
                keys.filter(|key| key.hint.as_ref().is_none_or(|hint| *hint == start))
                    .collect()
            }
            Credential::Certificate(identity) => {
                let keys = self.key_credentials.iter();
                keys.filter(|key| key.is_of(identity)).collect()
            }
        };
        match fits[..] {
            [key] => Some(Found {
                key_id: key.key_id.clone(),
                ends_at: key.end_date_time.as_deref().and_then(seconds),
            }),
            _ => None,
        }
    }

    /// The key IDs of secrets and certificates of this name.
    pub fn named<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        self.all()
            .filter(move |key| key.display_name.as_deref() == Some(name))
            .map(|key| key.key_id.as_str())
    }

    fn has(&self, key_id: &str) -> bool {
        self.all()
            .any(|key| key.key_id.eq_ignore_ascii_case(key_id))
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        self.key_credentials
            .iter()
            .chain(&self.password_credentials)
    }
}

impl Key {
    fn is_of(&self, identity: &Identity) -> bool {
        let own = self.key.as_deref().map(|text| STANDARD.decode(text));
        if let Some(Ok(der)) = own {
            return identity.der().is_ok_and(|own| own == der);
        }
        let (Some(given), Ok(thumbprint)) = (
            &self.custom_key_identifier,
            identity.certificate.digest(MessageDigest::sha1()),
        ) else {
            return false;
        };
        // Graph is known to write it in hexadecimal and in base64.
        let hex = crate::digest::hex(&thumbprint);
        given.eq_ignore_ascii_case(&hex)
            || given.trim_end_matches('=') == STANDARD.encode(thumbprint).trim_end_matches('=')
            || given.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(thumbprint)
    }
}

/// A time of Graph in Unix seconds.
fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn registered(value: Value) -> Registered {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_certificate_is_known_in_each_form_that_graph_writes() {
        let identity = Arc::new(Identity::make("t", 1).unwrap());
        let other = Arc::new(Identity::make("t", 1).unwrap());
        let thumbprint = identity.certificate.digest(MessageDigest::sha1()).unwrap();
        for (key, value) in [
            ("key", STANDARD.encode(identity.der().unwrap())),
            ("customKeyIdentifier", STANDARD.encode(thumbprint)),
            ("customKeyIdentifier", URL_SAFE_NO_PAD.encode(thumbprint)),
            (
                "customKeyIdentifier",
                crate::digest::hex(&thumbprint).to_uppercase(),
            ),
        ] {
            let found = registered(json!({"id": "o", "keyCredentials": [
                {"keyId": "other", "key": STANDARD.encode(other.der().unwrap())},
                {"keyId": "none"},
                {"keyId": "own", key: value, "endDateTime": "2027-01-02T00:00:00Z"},
            ]}));
            let own = found.find(&Credential::Certificate(identity.clone()));
            assert_eq!(own.unwrap().key_id, "own", "{key}");
        }
    }

    #[test]
    fn a_secret_is_known_by_its_first_characters_if_no_other_has_them() {
        let secret = Credential::Secret(Secret::new("ab~cdef"));
        let one = json!({"keyId": "1", "hint": "ab~", "endDateTime": "1970-01-01T00:01:00.5Z"});
        let other = json!({"keyId": "2", "hint": "xyz", "displayName": "n"});
        let twin = json!({"keyId": "3", "hint": "ab~", "displayName": null});
        let of = |list: Vec<&Value>| registered(json!({"id": "o", "passwordCredentials": list}));
        assert_eq!(
            of(vec![&other, &one]).find(&secret),
            Some(Found {
                key_id: "1".into(),
                ends_at: Some(60)
            })
        );
        assert_eq!(of(vec![&one, &twin]).find(&secret), None);
        assert_eq!(of(vec![&other]).find(&secret), None);
        let both = of(vec![&other, &one]);
        assert_eq!(both.named("n").collect::<Vec<_>>(), ["2"]);
        assert!(both.has("1") && !both.has("4"));
    }
}
