//! What is said of a mailbox and of the queue that it feeds, by the options of `queue add` and
//! `queue set`.

use super::options::Options;
use super::secret::{Password, SourceArgs};
use super::typed::{change, value};
use super::{Person, Required, typed_target};
use crate::fault::Fault;
use crate::model::{
    Address, AfterFetch, Change, Condition, EmailAddress, Language, Name, Priority, Queue,
    SecretSource, Select, Start, Target, put, put_with,
};
use crate::shell;
use anyhow::Result;
use clap::Args;
use std::collections::HashSet;
use std::path::Path;

/// What `queue add` says.
#[derive(Args, Clone, Debug, Default)]
pub struct Mailbox {
    /// The queue's name
    #[arg(value_name = "QUEUE", value_parser = value::<Name>())]
    pub queue: Option<Name>,
    /// Full e-mail address of the mailbox
    #[arg(long, value_name = "ADDR", value_parser = value::<EmailAddress>())]
    pub address: Option<EmailAddress>,
    /// The incoming server of the mailbox
    #[arg(long, value_name = "INCOMING", value_parser = value::<Name>())]
    pub server: Option<Name>,
    #[command(flatten)]
    pub values: OfAddress,
    #[command(flatten)]
    pub of_queue: OfQueue,
    /// Replace an address that has other values
    #[arg(long)]
    pub replace: bool,
}

/// What `queue set` says.
#[derive(Args, Clone, Debug)]
pub struct MailboxChange {
    /// The address to change; optional if the queue has only one
    #[arg(long, value_name = "ADDRESS", value_parser = value::<EmailAddress>())]
    pub address: Option<EmailAddress>,
    /// The incoming server of the mailbox
    #[arg(long, value_name = "INCOMING", value_parser = value::<Name>())]
    server: Option<Name>,
    #[command(flatten)]
    values: OfAddress,
    /// Do not allow the address as a sender
    #[arg(long, conflicts_with = "sender")]
    no_sender: bool,
    #[command(flatten)]
    pub of_queue: OfQueue,
}

/// What an address may contain in addition to its mailbox and server.
#[derive(Args, Clone, Debug, Default)]
pub struct OfAddress {
    /// Priority of the address: a number, the lowest goes first
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = change::<Priority>())]
    pub priority: Option<Change<Priority>>,
    /// Language of the address (BCP 47), if it differs from the queue's
    #[arg(long, value_name = "TAG", value_parser = change::<Language>())]
    pub extension_language: Option<Change<Language>>,
    /// Account that signs in to read the mailbox [default: the address]
    #[arg(long, value_name = "ACCOUNT", value_parser = change::<Name>())]
    pub account: Option<Change<Name>>,
    #[command(flatten)]
    pub password: SourceArgs<Password>,
    /// Allow the address as a sender
    #[arg(long)]
    pub sender: bool,
    /// The outgoing server that its mail is sent through
    #[arg(long, value_name = "OUTGOING", value_parser = change::<Name>())]
    pub outgoing: Option<Change<Name>>,
    /// Folder to fetch; may be repeated [default: INBOX]
    #[arg(long = "folder", value_name = "FOLDER")]
    pub folders: Vec<String>,
    /// Where fetching begins: all, now (with what arrives after the first fetch) or a date
    /// (YYYY-MM-DD, as the server received it) [default: all]
    #[arg(long, value_name = "WHERE", value_parser = change::<Start>())]
    pub start: Option<Change<Start>>,
    /// Fetch only messages with this: unread=true, from=ADDRESS or @DOMAIN, subject=TEXT,
    /// max_size=25MB, larger=skip or quarantine; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = change::<Condition>())]
    pub select: Vec<Change<Condition>>,
    /// Where fetched mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, lmtp-plain:HOST:PORT, https://URL, eml:FOLDER, stdout
    #[arg(long, value_name = "TARGET", value_parser = change::<Target>())]
    pub deliver: Option<Change<Target>>,
    /// What happens on the server afterwards: keep, seen, delete or move:FOLDER
    #[arg(long, value_name = "ACTION", value_parser = change::<AfterFetch>())]
    pub after: Option<Change<AfterFetch>>,
}

/// What holds for the addresses of a queue that say nothing else.
#[derive(Args, Clone, Debug, Default)]
pub struct OfQueue {
    /// Priority of the queue, for addresses without their own
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = change::<Priority>())]
    pub queue_priority: Option<Change<Priority>>,
    /// Language of the queue, for addresses without their own
    #[arg(long, value_name = "TAG", value_parser = change::<Language>())]
    pub queue_language: Option<Change<Language>>,
    /// Where fetching begins, for addresses without their own: all, now or a date
    #[arg(long, value_name = "WHERE", value_parser = change::<Start>())]
    pub queue_start: Option<Change<Start>>,
}

/// A mailbox that is complete, and what is said of its queue.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    /// The queue's name.
    pub queue: String,
    pub entry: Address,
    pub of_queue: OfQueue,
    /// It may take the place of another definition of the address.
    pub replace: bool,
}

impl OfQueue {
    pub fn put(&self, queue: &mut Queue) {
        put(&self.queue_priority, &mut queue.priority);
        put(&self.queue_language, &mut queue.language);
        put(&self.queue_start, &mut queue.start);
    }

    fn options(&self) -> Options {
        Options::default()
            .change("--queue-priority", &self.queue_priority)
            .change("--queue-language", &self.queue_language)
            .change("--queue-start", &self.queue_start)
    }
}

impl OfAddress {
    fn options(&self) -> Options {
        let options = Options::default()
            .change("--priority", &self.priority)
            .change("--extension-language", &self.extension_language)
            .change("--account", &self.account)
            .secret(&self.password)
            .flag("--sender", self.sender)
            .change("--outgoing", &self.outgoing);
        let folders = self.folders.iter();
        let options = folders.fold(options, |all, folder| all.text("--folder", folder));
        let options = options.change("--start", &self.start);
        let conditions = self.select.iter();
        conditions
            .fold(options, |all, one| all.text("--select", &one.to_string()))
            .change("--deliver", &self.deliver)
            .change("--after", &self.after)
    }

    /// Puts what is said into an entry.
    fn put(&self, entry: &mut Address, password: &Option<Change<SecretSource>>) -> Result<()> {
        put(&self.priority, &mut entry.priority);
        put(&self.extension_language, &mut entry.extension_language);
        put(&self.account, &mut entry.account);
        put(password, &mut entry.password);
        entry.sender |= self.sender;
        put(&self.outgoing, &mut entry.outgoing_server);
        match &self.folders[..] {
            [] => {}
            [one] if one.is_empty() => entry.folders = None,
            folders => entry.folders = Some(folders.to_vec()),
        }
        put(&self.start, &mut entry.start);
        if !self.select.is_empty() {
            entry.select = selection(&self.select)?;
        }
        put_with(&self.deliver, &mut entry.deliver, typed_target)?;
        put(&self.after, &mut entry.after_fetch);
        Ok(())
    }
}

/// What `--select` says: an empty value takes the selection away.
fn selection(conditions: &[Change<Condition>]) -> Result<Option<Select>> {
    let mut seen = HashSet::new();
    for condition in conditions {
        if let Change::Set(condition) = condition
            && let Some(key) = condition.single()
            && !seen.insert(key)
        {
            return Err(Fault::usage(format!("`--select`: `{key}` is given twice")).into());
        }
    }
    let set = conditions.iter().map(|condition| match condition {
        Change::Set(condition) => Some(condition.clone()),
        Change::Unset => None,
    });
    match conditions {
        [Change::Unset] => Ok(None),
        _ => set.collect::<Option<Select>>().map(Some).ok_or_else(|| {
            Fault::usage("`--select` is used both with an empty value and with conditions")
                .hint("to fetch every message, use only `--select ''`")
                .into()
        }),
    }
}

impl Mailbox {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        self.queue.is_some() && self.address.is_some() && self.server.is_some()
    }

    /// Refuses an option without a value.
    pub fn refuse_empty(&self) -> Result<()> {
        self.options().refuse_empty()
    }

    /// The mailbox as it is added. Everything but the password is checked before that is read or asked
    /// for.
    pub fn complete(&self, person: &dyn Person) -> Result<NewMailbox> {
        let name = self
            .queue
            .as_ref()
            .map_or("QUEUE".to_owned(), |n| shell::quote(&n.0));
        let required = Required {
            person,
            example: format!(
                "queuemail queue add {name} --address support@contoso.com --server INCOMING"
            ),
        };
        let queue = required.value(&self.queue, "QUEUE")?.0;
        let mut entry = Address::new(
            required.value(&self.address, "--address")?,
            required.value(&self.server, "--server")?.0,
        );
        self.values.put(&mut entry, &None)?;
        let whose = format!("mailbox `{}`", entry.address);
        let password = self.values.password.source(&whose, &required)?;
        put(&password, &mut entry.password);
        Ok(NewMailbox {
            queue,
            entry,
            of_queue: self.of_queue.clone(),
            replace: self.replace,
        })
    }

    /// The command that adds it to the configuration named by `--config`.
    pub fn line(&self, config: Option<&Path>) -> String {
        Options::default()
            .value("--address", &self.address)
            .value("--server", &self.server)
            .and(self.options())
            .flag("--replace", self.replace)
            .line(config, "queue add", &self.queue)
    }

    fn options(&self) -> Options {
        self.values.options().and(self.of_queue.options())
    }
}

impl MailboxChange {
    /// Where fetching is to begin from now on.
    pub fn starts(&self) -> impl Iterator<Item = Start> {
        let said = [&self.values.start, &self.of_queue.queue_start];
        said.into_iter().filter_map(|start| match start {
            Some(Change::Set(start)) => Some(*start),
            _ => None,
        })
    }

    /// The new password, if one is said. It is read, or asked for, before the file is locked.
    pub fn password(
        &self,
        queue: &str,
        person: &dyn Person,
    ) -> Result<Option<Change<SecretSource>>> {
        let required = Required {
            person,
            example: format!(
                "queuemail queue set {} --password-file PATH",
                shell::quote(queue)
            ),
        };
        let whose = match &self.address {
            Some(address) => format!("mailbox `{address}`"),
            None => format!("queue `{queue}`"),
        };
        self.values.password.source(&whose, &required)
    }

    /// True if an option concerns an address rather than the queue.
    pub fn touches_address(&self) -> bool {
        self.server.is_some() || self.no_sender || self.values.options().first().is_some()
    }

    /// Puts what is said into an entry.
    pub fn put(&self, entry: &mut Address, password: &Option<Change<SecretSource>>) -> Result<()> {
        if let Some(server) = &self.server {
            entry.server = server.0.clone();
        }
        self.values.put(entry, password)?;
        entry.sender &= !self.no_sender;
        Ok(())
    }
}
