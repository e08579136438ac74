//! A person signs in by hand: with a code on another device, or in a browser.

use super::{Access, Wanted};
use crate::config::{Authentication, IncomingVia, MailboxEntry, Resource};
use crate::fault::{Fault, Kind};
use crate::oauth::{AccessToken, Brought, ELSEWHERE, GrantError, Granted, Redirect, pasted};
use crate::prompt;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// How long we wait for a browser to come back.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How a person signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With a code on any device.
    Device,
    /// In a browser of this host, which comes back to its loopback.
    Browser,
    /// In a browser elsewhere; the person brings the address at which it ends.
    BrowserElsewhere,
}

/// What the person must be shown.
pub enum Show<'a> {
    Code { page: &'a str, code: &'a str },
    Page(&'a str),
}

impl Access<'_> {
    /// Signs the account of a mailbox in and keeps its tokens.
    ///
    /// # Errors
    /// As [`Access::mailbox_token`]; `Usage` where no person signs in to that server.
    pub fn login(
        &self,
        entry: &MailboxEntry<'_>,
        how: How,
        show: impl Fn(Show<'_>),
    ) -> Result<AccessToken> {
        let name = &entry.address.server;
        let server = self
            .config
            .incoming_server(name)
            .ok_or_else(|| Fault::config(format!("no incoming server named `{name}`")))?;
        if server.authentication != Authentication::OauthUser {
            return Err(Fault::usage(format!(
                "server `{name}` signs in as the program itself (oauth-service), so nobody needs to sign in"
            ))
            .hint(format!("try it: queuemail token get {}", entry.address.address))
            .into());
        }
        let resource = match server.via {
            IncomingVia::Graph => Resource::Graph,
            _ => Resource::Imap,
        };
        let wanted = self.mailbox_wanted(entry, resource)?;
        self.tokens.settle()?;
        // Before a person goes to the trouble.
        self.tokens.probe()?;
        let result = match how {
            How::Device => self.with_device(&wanted, show),
            How::Browser => self.with_browser(&wanted, Some(Redirect::listen()?), show),
            How::BrowserElsewhere => self.with_browser(&wanted, None, show),
        };
        let mut scene = wanted.scene.clone();
        scene.doing = format!("cannot sign `{}` in", entry.account());
        let granted = result.context(scene)?;
        // Nobody else may be redeeming the old refresh token while the new one is written.
        let _lock = self.wait_for_lock(&wanted, || Ok(None))?;
        self.save(&wanted, &granted)
            .with_context(|| format!("cannot keep the sign-in of `{}`", entry.account()))?;
        Ok(granted.access)
    }

    fn with_device(&self, wanted: &Wanted<'_>, show: impl Fn(Show<'_>)) -> Result<Granted> {
        let signer = self.client(wanted)?;
        let client = signer.as_client(&wanted.registration);
        let endpoint = wanted.registration.device_authorization_endpoint()?;
        let code = client
            .begin_device(&endpoint, &wanted.key.scope)
            .map_err(fault)?;
        show(Show::Code {
            page: &code.verification_uri,
            code: &code.user_code,
        });
        Ok(client
            .finish_device(&code, std::thread::sleep)
            .map_err(fault)?)
    }

    /// With a browser that comes back to `here` or, without it, ends at an address that the person
    /// brings.
    fn with_browser(
        &self,
        wanted: &Wanted<'_>,
        here: Option<Redirect>,
        show: impl Fn(Show<'_>),
    ) -> Result<Granted> {
        let signer = self.client(wanted)?;
        let client = signer.as_client(&wanted.registration);
        let request = client.authorization(
            &wanted.registration.authorization_endpoint()?,
            here.as_ref().map_or(ELSEWHERE.to_owned(), Redirect::uri),
            &wanted.key.scope,
            wanted.account.map_or("", |a| a.name),
            wanted.registration.is_entra(),
        )?;
        show(Show::Page(request.url.as_str()));
        let brought = match here {
            Some(redirect) => redirect.wait(&request.asked, PATIENCE)?,
            None => {
                // Not shown: the code in it is a secret until it is redeemed.
                let address = prompt::secret("The address at which the browser ends")?;
                pasted(address.expose(), &request.asked)?
            }
        };
        match brought {
            Brought::Code(code) => Ok(client
                .code(code, request, &wanted.key.scope)
                .map_err(fault)?),
            Brought::Error { error, description } => Err(Fault::new(
                Kind::SignIn,
                "the browser came back with a refusal",
            )
            .said(format!("{error}: {description}"))
            .into()),
        }
    }
}

fn fault(err: GrantError) -> Fault {
    err.fault
}
