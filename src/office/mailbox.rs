//! A mailbox with everything that holds for it.

use super::servers::{Account, Incoming, Outgoing};
use crate::fault::{Cause, Fault};
use crate::model::{
    Address, AfterFetch, Authentication, Defaults, Language, Priority, Queue, Start, Target,
    Webhook,
};
use crate::shell;

/// One mailbox with everything that holds for it: the address's own value, else its queue's,
/// else the file's default, else the program's.
#[derive(Clone, Copy, Debug)]
pub struct MailboxEntry<'a> {
    pub queue: &'a Queue,
    pub address: &'a Address,
    /// Through which it is read.
    pub incoming: &'a Incoming<'a>,
    /// Through which it sends where it may, if that is said.
    pub outgoing: Option<&'a Outgoing<'a>>,
    pub(super) defaults: &'a Defaults,
    /// What goes with its mail where that is posted to a URL.
    pub webhooks: &'a [Webhook],
}

impl<'a> MailboxEntry<'a> {
    pub fn priority(&self) -> Priority {
        self.address
            .priority
            .or(self.queue.priority)
            .or(self.defaults.priority)
            .unwrap_or(Priority::DEFAULT)
    }

    pub fn language(&self) -> &'a str {
        self.address
            .extension_language
            .as_ref()
            .or(self.queue.language.as_ref())
            .or(self.defaults.language.as_ref())
            .map_or("en", Language::as_str)
    }

    /// The account that signs in.
    pub fn account(&self) -> &'a str {
        self.address
            .account
            .as_deref()
            .unwrap_or(self.address.address.as_str())
    }

    pub fn folders(&self) -> Vec<&'a str> {
        match &self.address.folders {
            Some(folders) => folders.iter().map(String::as_str).collect(),
            None => vec!["INBOX"],
        }
    }

    /// Where fetching it begins.
    pub fn start(&self) -> Start {
        self.address.start.or(self.queue.start).unwrap_or_default()
    }

    /// Where its mail goes; `None` where neither the address nor the defaults say so.
    pub fn deliver(&self) -> Option<&'a Target> {
        self.address
            .deliver
            .as_ref()
            .or(self.defaults.deliver.as_ref())
    }

    /// The same where it is needed.
    ///
    /// # Errors
    /// `Config`, with what to do, where nothing says so.
    pub fn destination(&self) -> Result<&'a Target, Fault> {
        self.deliver().ok_or_else(|| {
            let (queue, address) = (&self.queue.name, &self.address.address);
            Fault::config(format!(
                "the mail of `{address}` (queue `{queue}`) has no delivery"
            ))
            .cause(Cause::NoDelivery)
            .hint(format!(
                "queuemail queue set {} --address {} --deliver maildir:PATH",
                shell::quote(queue),
                shell::quote(address.as_str())
            ))
        })
    }

    pub fn after_fetch(&self) -> AfterFetch {
        self.address
            .after_fetch
            .clone()
            .or_else(|| self.defaults.after_fetch.clone())
            .unwrap_or_default()
    }

    pub fn stamp(&self) -> bool {
        self.address.stamp.or(self.defaults.stamp).unwrap_or(false)
    }

    /// The account that reads it, where a person does.
    pub fn reader(&self) -> Account<'a> {
        Account {
            name: self.account(),
            password: self.address.password.as_ref(),
        }
    }

    pub fn reads_through(&self, server: &Incoming<'_>) -> bool {
        std::ptr::eq(self.incoming, server)
    }

    /// True if it may send, and does so through this server.
    pub fn sends_through(&self, server: &Outgoing<'_>) -> bool {
        self.address.sender && self.outgoing.is_some_and(|own| std::ptr::eq(own, server))
    }

    /// Whether a person must sign in for what it sends through `outgoing`, and by another sign-in
    /// than for reading it.
    pub fn signs_in_apart(&self, outgoing: &Outgoing<'a>) -> bool {
        let (Ok(sending), Ok(account)) = (
            outgoing.registration(),
            outgoing.account(Some(self.address)),
        ) else {
            return false;
        };
        let reading = &self.incoming.registration;
        let is_the_same = reading.authentication == Authentication::OauthUser
            && reading.authority == sending.authority
            && reading.client_id == sending.client_id
            && account.name.eq_ignore_ascii_case(self.account());
        sending.authentication == Authentication::OauthUser && !is_the_same
    }

    /// True for this full address, in whatever case.
    pub fn is_of(&self, address: &str) -> bool {
        self.address.address.as_str().eq_ignore_ascii_case(address)
    }
}

/// What `token login` is given to sign in the account that sends through `outgoing` for `sender`,
/// as a shell takes it.
pub fn login_to_send<'a>(outgoing: &Outgoing<'a>, sender: Option<&MailboxEntry<'a>>) -> String {
    let name = sender.map_or(&*outgoing.name, |entry| entry.address.address.as_str());
    match sender.is_none_or(|entry| entry.signs_in_apart(outgoing)) {
        true => format!("{} --for smtp", shell::quote(name)),
        false => shell::quote(name),
    }
}
