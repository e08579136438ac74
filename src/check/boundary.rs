//! The boundary: mailboxes that the configured apps and accounts must not be able to open.
//!
//! A refusal proves something only of an app that is let in elsewhere, so one of its own
//! mailboxes is opened first.

use super::run::Run;
use super::subject::Boundary;
use super::{Walk, connection};
use crate::fault::{Cause, Fault, Kind, kind_of};
use crate::model::Authentication;
use crate::secret::Secret;
use std::time::Instant;

impl Run<'_> {
    pub fn boundary(&self, boundary: &Boundary<'_>) -> Walk {
        let server = boundary.server;
        let registration = &server.registration;
        let mut walk = Walk {
            scene: registration.scene(),
            ..Walk::default()
        };
        // Until the configured mailbox has opened, remedies are about that one: they open it.
        let own = boundary.own.as_ref().map(|own| &own.address.address);
        walk.scene.address = own.map(ToString::to_string);
        walk.scene.account = boundary.account().map(str::to_owned);
        walk.plan([
            "token",
            "own mailbox",
            "name",
            "connection",
            "tls",
            "refused",
        ]);
        let resource = boundary.way.resource();
        let token = walk.step("token", || {
            let token = match (&boundary.own, server.authentication) {
                (Some(own), Authentication::OauthUser) => {
                    self.access.mailbox_access(own, resource)?
                }
                _ => self.fresh.server_access(server, resource)?,
            };
            let whose = boundary.account().unwrap_or("the app");
            Ok((token, format!("of {whose}")))
        });
        let Some(token) = token else {
            return walk;
        };
        if server.authentication == Authentication::OauthService {
            walk.scene.object_id =
                crate::oauth::Claims::of(token.secret.expose()).and_then(|c| c.object_id);
        }
        let Some(own) = &boundary.own else {
            walk.untested(
                "own mailbox",
                Fault::usage(format!(
                    "server `{}` has no mailbox yet, so a refusal may have another cause",
                    server.name
                )),
            );
            return self.refusal(walk, boundary, &token.secret);
        };
        let own = own.address.address.as_str();
        if self.opens(&mut walk, boundary, own, &token.secret) {
            walk = self.refusal(walk, boundary, &token.secret);
        }
        walk
    }

    /// Whether a configured mailbox opens.
    fn opens(&self, walk: &mut Walk, boundary: &Boundary<'_>, own: &str, token: &Secret) -> bool {
        let opens = walk.step("own mailbox", || {
            let mut aside = Walk::default();
            let opened = self.open(&mut aside, boundary.server, boundary.way, own, token);
            let Some((opened, _)) = opened else {
                return Err(aside.into_failure());
            };
            let mut opened = opened?;
            opened.mailbox().open("INBOX", false)?;
            opened.mailbox().close();
            Ok(((), format!("{own} opens, so Exchange knows the app")))
        });
        opens.is_some()
    }

    fn refusal(&self, mut walk: Walk, boundary: &Boundary<'_>, token: &Secret) -> Walk {
        let address = boundary.address.as_str();
        walk.scene.address = Some(address.to_owned());
        let Some((result, took)) =
            self.open(&mut walk, boundary.server, boundary.way, address, token)
        else {
            return walk;
        };
        let start = Instant::now();
        let result = result.and_then(|mut opened| {
            let folder = opened.mailbox().open("INBOX", false);
            opened.mailbox().close();
            folder
        });
        let took = took + start.elapsed();
        match result {
            // Graph tells this apart from a refusal; IMAP does not.
            Err(err) if kind_of(&err) == Kind::UnknownRecipient => {
                let said = err
                    .downcast_ref::<Fault>()
                    .and_then(|fault| fault.server_said.clone());
                let fault = Fault::new(
                    Kind::UnknownRecipient,
                    format!("mailbox `{address}` does not exist, so this proves nothing"),
                )
                .said(said.unwrap_or_default())
                .hint("name a mailbox of the tenant that the app must not open");
                walk.failed("refused", fault.into(), took);
            }
            Err(err) if connection::is_refusal(&err) => {
                let said = err
                    .downcast_ref::<Fault>()
                    .and_then(|fault| fault.server_said.clone());
                walk.passed("refused", said.unwrap_or_default(), took);
            }
            Err(err) => walk.failed("refused", err, took),
            Ok(_) => {
                let who = match boundary.account() {
                    Some(account) => format!("account `{account}`"),
                    None => format!("app `{}`", boundary.server.client_id),
                };
                let fault = Fault::no_access(format!(
                    "{who} of server `{}` can open mailbox `{address}`",
                    boundary.server.name
                ))
                .cause(Cause::MailboxOpen);
                walk.failed("refused", fault.into(), took);
            }
        }
        walk
    }
}
