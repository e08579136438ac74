//! Makes of a message what is handed over: its envelope and its octets. Everything is decided here
//! that needs no connection.

use super::compose::{Auto, auto_fields};
use super::people::{distinct, machine, sender};
use super::{Mail, Sending};
use crate::fault::{Fault, Kind};
use crate::mail::message::{Draft, Prepared};
use crate::mail::{Envelope, Notifications, addresses};
use crate::office::is_local;
use anyhow::Result;
use std::sync::Arc;

/// What is wanted of all messages of a run.
#[derive(Clone, Debug)]
pub struct Orders<'o> {
    /// The reverse-path; the From field where there is none.
    pub from: Option<&'o str>,
    /// The sender's full name, for a message without a From field.
    pub full_name: Option<&'o str>,
    /// Who gets each message: lists of addresses, a comma between two.
    pub recipients: &'o [String],
    /// And these full addresses.
    pub composed_for: Vec<String>,
    /// And those of To, Cc and Bcc.
    pub from_header: bool,
    /// Marks each message as sent by a program; as an answer, where nothing is said, if it has
    /// In-Reply-To.
    pub auto: Option<Option<Auto>>,
    pub notifications: Notifications,
    /// More than one message is to be sent.
    pub several: bool,
}

impl Orders<'_> {
    /// Who gets a message: by the caller's word and, where that is wanted, by its own.
    ///
    /// # Errors
    /// `Usage`, `Malformed`: an address cannot be read.
    pub fn everybody(&self, draft: &Draft) -> Result<Vec<String>> {
        let mut found = self.composed_for.clone();
        for text in self.recipients {
            let parsed = addresses::parse(text).map_err(|why| {
                Fault::usage(format!(
                    "cannot read the recipient `{}`: {why}",
                    text.escape_debug()
                ))
            })?;
            found.extend(parsed);
        }
        if self.from_header {
            found.extend(draft.recipients()?);
        }
        Ok(found)
    }

    /// That a message has no recipient, and why.
    pub fn nobody(&self, draft: &Draft) -> Fault {
        if self.from_header
            && let Some(why) = draft.without_header()
        {
            return Fault::malformed(format!(
                "the header of the message names no recipient: {why}"
            ));
        }
        let fault = Fault::new(Kind::UnknownRecipient, "the message has no recipient");
        match self.from_header {
            true => fault.hint("To, Cc and Bcc contain no address"),
            false => fault.hint("name the recipients, or use -t to take them from To, Cc and Bcc"),
        }
    }
}

impl<'a> Sending<'a> {
    /// Whether a sender may be named, as far as that can be said before the message is there.
    ///
    /// # Errors
    /// `Refused` or `Config`: why not.
    pub fn check_sender(&self, from: &str) -> Result<()> {
        let stands_in = self.office.defaults().sender.is_some() && is_local(from, &machine());
        if !(from.is_empty() || stands_in) {
            self.office.route(from)?;
        }
        Ok(())
    }

    /// Whether somebody can be sent to.
    ///
    /// # Errors
    /// `UnknownRecipient`: why not.
    pub fn check_recipient(&self, to: &str) -> Result<()> {
        distinct(self.office.defaults(), vec![to.to_owned()]).map(drop)
    }

    /// The transactions of a message; `name` is how to name it.
    ///
    /// # Errors
    /// `Malformed`, `UnknownRecipient`, `Refused` or `Config`: why it cannot be sent so.
    pub fn prepare(
        &'a self,
        orders: &Orders<'_>,
        octets: Vec<u8>,
        name: Option<String>,
    ) -> Result<Vec<Mail<'a>>> {
        let mut draft = Draft::read(octets)?;
        let to = distinct(self.office.defaults(), orders.everybody(&draft)?)?;
        if to.is_empty() {
            return Err(orders.nobody(&draft).into());
        }
        let sender = sender(self.office.defaults(), orders.from, &mut draft)?;
        let route = self.office.route(&sender).map_err(|fault| {
            match is_local(&sender, &machine()) {
                true => fault.hint("for mail of this machine, such as from cron, set a sender in the configuration: `defaults: { sender: ADDRESS }`"),
                false => fault,
            }
        })?;
        self.office
            .check_authors(&route, || draft.author_addresses())?;
        if let Some(auto) = orders.auto {
            let usual = match draft.answers() {
                true => Auto::Replied,
                false => Auto::Generated,
            };
            for (name, value) in auto_fields(auto.unwrap_or(usual)) {
                draft.add(name, value);
            }
        }
        let now = jiff::ZonedDateTime::now();
        let Prepared { octets, message_id } = draft.prepare(&sender, orders.full_name, &now)?;
        let octets = Arc::new(octets);
        let most = self.most_recipients(&route)?;
        let alone = !orders.several && to.len() <= most;
        Ok(to
            .chunks(most)
            .map(|to| Mail {
                file: name.clone(),
                route,
                envelope: Envelope {
                    from: Some(sender.clone()),
                    to: to.to_vec(),
                    notifications: orders.notifications.clone(),
                },
                octets: Arc::clone(&octets),
                message_id: message_id.clone(),
                kept: None,
                alone,
            })
            .collect())
    }
}
