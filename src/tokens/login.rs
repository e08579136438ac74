//! A person signs in by hand: with a code on another device, or in a browser.

use super::sign_in::login_name;
use super::{Access, Wanted};
use crate::fault::Fault;
use crate::model::{IncomingVia, OutgoingVia, Resource};
use crate::oauth::{AccessToken, Brought, ELSEWHERE, Granted, Redirect, pasted};
use crate::office::{MailboxEntry, Outgoing, Subject};
use crate::secret::Secret;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// How long to wait for a browser to come back.
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

/// A sign-in that was made.
pub struct SignedIn {
    /// Who was to sign in.
    pub account: String,
    pub token: AccessToken,
}

/// What the person must be shown.
pub enum Show<'a> {
    Code {
        page: &'a str,
        code: &'a str,
    },
    /// The page of the sign-in, and whether a browser of this host is to open it. Others on the host
    /// can read the arguments of a browser. What they find in it lets nobody in: the code verifier,
    /// without which no code is of use, stays with the program (RFC 7636; RFC 8252 §8.1).
    Page {
        page: &'a str,
        here: bool,
    },
}

/// Where the person who signs in reads and types.
pub trait Screen {
    /// Shows what `account` is to do.
    fn show(&self, account: &str, what: Show<'_>);

    /// The address at which a browser elsewhere ended. The code in it is a secret until it is
    /// redeemed.
    ///
    /// # Errors
    /// `Usage` where nobody can be asked.
    fn bring_address(&self) -> Result<Secret>;
}

impl Access<'_> {
    /// Signs in who must sign in by hand for what a name stands for, and keeps the tokens: those for
    /// `resource` or, without one, for what the mailbox is read through.
    ///
    /// # Errors
    /// As [`Access::mailbox_access`]; `Usage` where no person signs in, or for an incoming server,
    /// which is nobody's mailbox.
    pub fn login_of(
        &self,
        subject: &Subject<'_>,
        resource: Option<Resource>,
        how: How,
        screen: &dyn Screen,
    ) -> Result<SignedIn> {
        let wanted = match subject {
            Subject::Incoming(server) => Err(Fault::usage(format!(
                "`{}` is a server, but a person signs in for a mailbox",
                server.name
            ))
            .hint("use a queue or an address: queuemail token login ADDRESS")
            .into()),
            Subject::Outgoing(server) => self.login_to_send(server, None),
            Subject::Mailbox(entry) => self.login_to_mailbox(entry, resource),
        };
        self.sign_in_by_hand(wanted?, how, screen)
    }

    /// The token of the account that reads the mailbox, or of that which sends for it.
    fn login_to_mailbox<'w>(
        &self,
        entry: &MailboxEntry<'w>,
        resource: Option<Resource>,
    ) -> Result<Wanted<'w>> {
        if let (Some(Resource::Smtp), Some(server)) = (resource, entry.outgoing) {
            return self.login_to_send(server, Some(entry));
        }
        let usual = match entry.incoming.via {
            IncomingVia::Graph => Resource::Graph,
            _ => Resource::Imap,
        };
        let wanted = self.mailbox_wanted(entry, resource.unwrap_or(usual))?;
        // Where the program itself reads, a person can only be signing in to send.
        if wanted.account.is_none()
            && resource.is_none()
            && let Some(server) = entry.outgoing
            && entry.signs_in_apart(server)
        {
            return self.login_to_send(server, Some(entry));
        }
        Ok(wanted)
    }

    /// The token of the account that `outgoing` sends with for `sender`.
    fn login_to_send<'w>(
        &self,
        outgoing: &'w Outgoing<'w>,
        sender: Option<&MailboxEntry<'w>>,
    ) -> Result<Wanted<'w>> {
        let resource = match outgoing.via {
            OutgoingVia::Graph => Resource::Graph,
            _ => Resource::Smtp,
        };
        self.sending_wanted(outgoing, sender, resource)
    }

    /// True if `sender` is to send through `outgoing`, and cannot before a person signs in for it.
    pub fn lacks_login<'w>(&self, outgoing: &'w Outgoing<'w>, sender: &MailboxEntry<'w>) -> bool {
        let by_hand = |wanted: &Wanted<'_>| wanted.account.is_some_and(|a| a.password.is_none());
        let wanted = self.sending_wanted(outgoing, Some(sender), Resource::Smtp);
        sender.address.sender
            && outgoing.enabled
            && wanted.is_ok_and(|wanted| {
                let kept = self.store.token(&wanted.key.of_refresh());
                by_hand(&wanted) && kept.is_ok_and(|token| token.is_none())
            })
    }

    fn sign_in_by_hand(
        &self,
        mut wanted: Wanted<'_>,
        how: How,
        screen: &dyn Screen,
    ) -> Result<SignedIn> {
        let Some(account) = &mut wanted.account else {
            return Err(Fault::usage(format!(
                "server `{}` signs in as the app (oauth-service), so no person needs to sign in",
                wanted.registration.server
            ))
            .hint(format!(
                "try it: queuemail token get {}",
                login_name(&wanted)
            ))
            .into());
        };
        self.tokens.check_place()?;
        // It has no part in this, nor has an endpoint that is for passwords alone.
        account.password = None;
        let account = account.name.to_owned();
        // What is kept elsewhere is moved first.
        self.tokens.get_settled(&wanted.key, |_| false)?;
        // Before a person goes to the trouble.
        self.tokens.probe()?;
        let result = match how {
            How::Device => self.with_device(&wanted, &account, screen),
            How::Browser => self.with_browser(&wanted, Some(Redirect::listen()?), &account, screen),
            How::BrowserElsewhere => self.with_browser(&wanted, None, &account, screen),
        };
        let mut scene = wanted.scene.clone();
        scene.doing = format!("cannot sign in `{account}`");
        let granted = result.context(scene)?;
        // Nobody else may be redeeming the old refresh token while the new one is written.
        let _lock = self.wait_for_lock(&wanted, || Ok(None))?;
        self.tokens
            .save(&wanted.key, &granted)
            .with_context(|| format!("cannot keep the sign-in of `{account}`"))?;
        Ok(SignedIn {
            account,
            token: granted.access,
        })
    }

    fn with_device(
        &self,
        wanted: &Wanted<'_>,
        account: &str,
        screen: &dyn Screen,
    ) -> Result<Granted> {
        let client = self.client(wanted)?;
        let endpoint = wanted.registration.device_authorization_endpoint()?;
        let code = client
            .begin_device(&endpoint, &wanted.key.scope)
            .map_err(Fault::from)?;
        let shown = Show::Code {
            page: &code.verification_uri,
            code: &code.user_code,
        };
        screen.show(account, shown);
        Ok(client
            .finish_device(&code, std::thread::sleep)
            .map_err(Fault::from)?)
    }

    /// With a browser that comes back to `here` or, without it, ends at an address that the person
    /// brings.
    fn with_browser(
        &self,
        wanted: &Wanted<'_>,
        here: Option<Redirect>,
        account: &str,
        screen: &dyn Screen,
    ) -> Result<Granted> {
        let client = self.client(wanted)?;
        let request = client.authorization(
            &wanted.registration.authorization_endpoint()?,
            here.as_ref().map_or(ELSEWHERE.to_owned(), Redirect::uri),
            &wanted.key.scope,
            wanted.account.map_or("", |a| a.name),
            wanted.registration.is_entra(),
        )?;
        let shown = Show::Page {
            page: request.url.as_str(),
            here: here.is_some(),
        };
        screen.show(account, shown);
        let brought = match here {
            Some(redirect) => redirect.wait(&request.asked, PATIENCE)?,
            None => {
                let address = screen.bring_address()?;
                pasted(address.expose(), &request.asked)?
            }
        };
        match brought {
            Brought::Code(code) => Ok(client
                .code(code, request, &wanted.key.scope)
                .map_err(Fault::from)?),
            Brought::Error { error, description } => {
                Err(Fault::no_access("the sign-in in the browser was refused")
                    .said(request.hidden(&format!("{error}: {description}")))
                    .into())
            }
        }
    }
}
