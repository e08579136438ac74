//! The questions about a mailbox and its queue.

use super::{ask, ask_any, choose, fill, introduce, password};
use crate::fault::Fault;
use crate::model::{
    Address, AfterFetch, Authentication, Change, Config, Day, EmailAddress, Language, Name,
    Priority, Queue, Start, Target,
};
use crate::provision::{Mailbox, Person};
use anyhow::Result;

/// Where mail goes if nobody says otherwise.
const MAILDIR: &str = "maildir:~/Mail/{queue}";

/// What is said of a mailbox, with what was missing asked for.
pub fn mailbox(person: &dyn Person, config: &Config, mut said: Mailbox) -> Result<Mailbox> {
    if config.incoming_servers.is_empty() {
        return Err(Fault::usage("no incoming server is configured")
            .hint("add one first: queuemail server add incoming")
            .into());
    }
    introduce(person, "a queue, or an address to one");
    let name = fill(&mut said.queue, || {
        ask_any(person, "Name of the queue", None)
    })?;
    let existing = config.queue(&name.0);
    let replace = said.replace;
    let free = |address: &EmailAddress| is_free(config, address, replace);
    let question = "Full e-mail address of the mailbox";
    let address = fill(&mut said.address, || ask(person, question, None, free))?.clone();
    let server = fill(&mut said.server, || server(person, config))?.clone();
    values_of_queue(person, config, existing, &mut said)?;
    account(person, config, address.as_str(), &mut said)?;
    let defaults = &config.defaults;
    if said.values.deliver.is_none() {
        let usual = defaults.deliver.as_ref();
        person.tell(
            "Mail can go to maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, \
             https://URL or eml:FOLDER.",
        );
        let question = "Deliver to";
        let proposal = usual.map_or(MAILDIR, Target::as_str);
        let target = ask_any::<Target>(person, question, Some(proposal))?;
        said.values.deliver = chosen(target, usual);
    }
    if said.values.after.is_none() {
        let usual = defaults.after_fetch.clone().unwrap_or_default();
        said.values.after = chosen(after(person, &usual)?, Some(&usual));
    }
    if said.values.start.is_none() {
        let waiting = waiting(person, config, &said, &address, &server.0);
        said.values.start = chosen(start(person, waiting)?, Some(&Start::All));
    }
    sender(person, config, &mut said)?;
    Ok(said)
}

/// An answer, unless it is what holds anyway.
fn chosen<T: PartialEq>(answer: T, usual: Option<&T>) -> Option<Change<T>> {
    (Some(&answer) != usual).then_some(Change::Set(answer))
}

/// Who signs in to the mailbox, where a person does.
fn account(person: &dyn Person, config: &Config, address: &str, said: &mut Mailbox) -> Result<()> {
    let server = said.server.as_ref();
    let server = server.and_then(|name| config.incoming_server(&name.0));
    if server.is_none_or(|server| server.authentication != Authentication::OauthUser) {
        return Ok(());
    }
    if said.values.account.is_none() {
        let account = ask_any::<Name>(person, "Account that signs in", Some(address))?;
        let usual = Name(address.to_owned());
        said.values.account = chosen(account, Some(&usual));
    }
    let account = match &said.values.account {
        Some(Change::Set(account)) => &account.0,
        _ => address,
    };
    let question = format!("`{account}`");
    password(person, &mut said.values.password.given, &question)
}

/// Whether the address sends, and through which server.
fn sender(person: &dyn Person, config: &Config, said: &mut Mailbox) -> Result<()> {
    if said.values.sender || said.values.outgoing.is_some() || config.outgoing_servers.is_empty() {
        return Ok(());
    }
    let mut choices = vec![("no", "")];
    choices.extend(
        config
            .outgoing_servers
            .iter()
            .map(|s| (s.name.as_str(), "yes, through this server")),
    );
    let chosen = choose(person, "Send mail as this address", &choices, 0)?;
    if let Some((name, _)) = choices.get(chosen).filter(|_| chosen > 0) {
        said.values.sender = true;
        said.values.outgoing = Some(Change::Set(Name((*name).to_owned())));
    }
    Ok(())
}

/// How many messages wait in the folders of the mailbox, where an app reads it: a person would have
/// to sign in first.
fn waiting(
    person: &dyn Person,
    config: &Config,
    said: &Mailbox,
    address: &EmailAddress,
    server: &str,
) -> Option<u64> {
    let app = config.incoming_server(server)?;
    if app.authentication != Authentication::OauthService {
        return None;
    }
    let mut drafted = config.clone();
    let mut entry = Address::new(address.clone(), server.to_owned());
    entry.folders = (!said.values.folders.is_empty()).then(|| said.values.folders.clone());
    let mut queue = Queue::new(
        said.queue
            .as_ref()
            .map_or_else(String::new, Name::to_string),
    );
    queue.addresses.push(entry);
    drafted.queues = vec![queue];
    person.tell("Counting the messages in the mailbox …");
    match person.waiting(&drafted, address) {
        Ok(count) => Some(count),
        Err(err) => {
            person.tell(&format!("Cannot count the messages: {err:#}"));
            None
        }
    }
}

/// Where fetching begins.
fn start(person: &dyn Person, waiting: Option<u64>) -> Result<Start> {
    let choices = [
        ("all", "fetch them, too"),
        (
            "now",
            "skip them; start with what arrives after the first fetch",
        ),
        ("date", "skip messages received before a day"),
    ];
    let question = match waiting {
        None => "Messages that are already in the mailbox".to_owned(),
        Some(1) => "Messages that are already in the mailbox (1 waits)".to_owned(),
        Some(n) => format!("Messages that are already in the mailbox ({n} wait)"),
    };
    Ok(match choose(person, &question, &choices, 0)? {
        0 => Start::All,
        1 => Start::Now,
        _ => Start::On(ask_any::<Day>(person, "First day, as YYYY-MM-DD", None)?),
    })
}

/// Priority and language. Those of a queue that is there already stay; an address may differ.
fn values_of_queue(
    person: &dyn Person,
    config: &Config,
    existing: Option<&Queue>,
    said: &mut Mailbox,
) -> Result<()> {
    let defaults = &config.defaults;
    let usual = existing.and_then(|q| q.priority).or(defaults.priority);
    let usual = usual.unwrap_or(Priority::DEFAULT);
    let slot = match existing {
        Some(_) => &mut said.values.priority,
        None => &mut said.of_queue.queue_priority,
    };
    if slot.is_none() {
        let question = "Priority (a number, the lowest goes first)";
        let answer = ask_any::<Priority>(person, question, Some(&usual.to_string()))?;
        *slot = chosen(answer, Some(&usual));
    }
    let usual = existing
        .and_then(|q| q.language.as_ref())
        .or(defaults.language.as_ref());
    let usual = usual.map_or("en", Language::as_str);
    let slot = match existing {
        Some(_) => &mut said.values.extension_language,
        None => &mut said.of_queue.queue_language,
    };
    if slot.is_none() {
        let answer = ask_any::<Language>(person, "Language, such as de or pt-BR", Some(usual))?;
        *slot = Some(Change::Set(answer)).filter(|answer| answer.to_string() != usual);
    }
    Ok(())
}

/// An address is fed into one queue, once.
fn is_free(config: &Config, address: &EmailAddress, replace: bool) -> Result<(), String> {
    let wanted = address.as_str().to_lowercase();
    let taken = config
        .addresses()
        .find(|(_, other)| other.address.as_str().to_lowercase() == wanted);
    match taken {
        Some((queue, _)) if !replace => {
            Err(format!("`{address}` is already in queue `{}`", queue.name))
        }
        _ => Ok(()),
    }
}

/// The incoming server, chosen by its name.
fn server(person: &dyn Person, config: &Config) -> Result<Name> {
    let words: Vec<String> = config
        .incoming_servers
        .iter()
        .map(|s| format!("{}, tenant {}", s.authentication, s.address.tenant))
        .collect();
    let choices: Vec<(&str, &str)> = config
        .incoming_servers
        .iter()
        .zip(&words)
        .map(|(server, words)| (server.name.as_str(), words.as_str()))
        .collect();
    let chosen = choose(person, "Server for reading it", &choices, 0)?;
    let name = choices.get(chosen).map_or("", |(name, _)| name);
    Ok(Name(name.to_owned()))
}

fn after(person: &dyn Person, usual: &AfterFetch) -> Result<AfterFetch> {
    let choices = [
        ("keep", "leave the message on the server as it is"),
        ("seen", "mark it as read"),
        ("move", "move it to another folder"),
        ("delete", "delete it"),
    ];
    let first = match usual {
        AfterFetch::Keep => 0,
        AfterFetch::Seen => 1,
        AfterFetch::Move(_) => 2,
        AfterFetch::Delete => 3,
    };
    let chosen = choose(person, "After a message is delivered", &choices, first)?;
    Ok(match chosen {
        0 => AfterFetch::Keep,
        1 => AfterFetch::Seen,
        2 => {
            let proposal = match usual {
                AfterFetch::Move(folder) => folder,
                _ => "Done",
            };
            AfterFetch::Move(person.line("Folder", Some(proposal), &|_| Ok(()))?)
        }
        _ => AfterFetch::Delete,
    })
}
