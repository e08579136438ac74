//! Whether the server has a message already: its copy in Sent Items, which Exchange keeps of
//! everything that a mailbox submits.

use super::mailbox::{Mailboxes, Opened, Wanted};
use crate::fault::{Fault, Kind, Scene};
use crate::office::Route;
use anyhow::{Context as _, Result};
use std::cell::Cell;

/// True if Sent Items of the mailbox that submits holds this Message-ID.
///
/// # Errors
/// `OutcomeUnknown` where there is no such folder; else as [`Mailboxes::open`].
pub fn holds(mailboxes: &Mailboxes<'_>, route: &Route<'_>, message_id: &str) -> Result<bool> {
    let user = route.user();
    let scene = || Scene {
        queue: Some(route.entry.queue.name.clone()),
        address: Some(user.to_owned()),
        ..Scene::new(format!(
            "cannot look into Sent Items of `{user}`, and nothing was sent"
        ))
    };
    let wanted = Wanted::submitting(route);
    look(mailboxes, &wanted, user, message_id)
        .or_else(|err| match mailboxes.mend(&wanted, &err)? {
            true => look(mailboxes, &wanted, user, message_id),
            false => Err(err),
        })
        .with_context(scene)
}

fn look(
    mailboxes: &Mailboxes<'_>,
    wanted: &Wanted<'_>,
    user: &str,
    message_id: &str,
) -> Result<bool> {
    let mut opened = mailboxes.open(wanted, false, &Cell::default())?;
    let found = match &mut opened {
        Opened::Imap(mailbox) => {
            let folder = mailbox.sent_folder()?.ok_or_else(|| {
                Fault::new(
                    Kind::OutcomeUnknown,
                    format!("mailbox `{user}` has no folder of sent mail"),
                )
            })?;
            mailbox.find_message_id(&folder, message_id)?
        }
        Opened::Graph(mailbox) => mailbox.find_sent(message_id)?,
    };
    opened.mailbox().close();
    Ok(found > 0)
}
