//! The questions of `queue add`.

use super::{ask, choose, introduce, known, password};
use crate::cli::QueueAdd;
use crate::commands::Context;
use crate::commands::provision::Name;
use crate::config::{
    AfterFetch, Authentication, Config, EmailAddress, Language, Priority, Queue, Target,
};
use crate::fault::Fault;
use crate::prompt;
use anyhow::Result;

/// Where mail goes if nobody says otherwise.
const MAILDIR: &str = "maildir:~/Mail/{queue}";

/// The options of `queue add`, the missing ones asked for.
pub fn queue(context: &Context, given: &QueueAdd) -> Result<QueueAdd> {
    let config = known(context)?;
    if config.incoming_servers.is_empty() {
        return Err(Fault::usage("there is no server to read mailboxes through")
            .hint("add one first: queuemail server add incoming")
            .into());
    }
    let mut args = given.clone();
    introduce("a queue, or an address to one");
    if args.name.is_none() {
        args.name = Some(ask::<Name>("Name of the queue", None, |_| Ok(()))?);
    }
    let existing = config.queue(args.name.as_deref().unwrap_or_default());
    if args.address.is_none() {
        let free = |address: EmailAddress| is_free(&config, &address, args.replace);
        args.address = Some(ask("Full e-mail address of the mailbox", None, free)?);
    }
    let server = server(&config, &mut args.server)?;
    values_of_queue(&config, existing, &mut args)?;
    let defaults = &config.defaults;
    let values = &mut args.values;
    if config
        .incoming_server(&server)
        .is_some_and(|s| s.authentication == Authentication::OauthUser)
    {
        let address = args.address.clone().unwrap_or_default();
        if values.account.is_none() {
            let account = ask::<Name>("Account that signs in", Some(&address), |_| Ok(()))?;
            values.account = Some(account).filter(|account| *account != address);
        }
        let account = values.account.clone().unwrap_or(address);
        password(&mut values.password, &format!("`{account}`"))?;
    }
    if values.deliver.is_none() {
        let usual = defaults.deliver.as_ref().map(Target::as_str);
        let question =
            "Deliver to: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, eml:FOLDER";
        let target = ask::<Target>(question, Some(usual.unwrap_or(MAILDIR)), |_| Ok(()))?;
        values.deliver = Some(target).filter(|target| Some(target.as_str()) != usual);
    }
    if values.after.is_none() {
        let usual = defaults.after_fetch.clone().unwrap_or_default();
        values.after = after(&usual)?.filter(|action| *action != usual.to_string());
    }
    if !values.sender && values.outgoing.is_none() && !config.outgoing_servers.is_empty() {
        let mut choices = vec![("no", "")];
        choices.extend(
            config
                .outgoing_servers
                .iter()
                .map(|s| (s.name.as_str(), "yes, through this server")),
        );
        let chosen = choose("Send mail as this address", &choices, 0)?;
        if let Some((name, _)) = choices.get(chosen).filter(|_| chosen > 0) {
            values.sender = true;
            values.outgoing = Some((*name).to_owned());
        }
    }
    Ok(args)
}

/// Priority and language. Those of a queue that is there already stay; an address may differ.
fn values_of_queue(config: &Config, existing: Option<&Queue>, args: &mut QueueAdd) -> Result<()> {
    let defaults = &config.defaults;
    let usual = existing.and_then(|q| q.priority).or(defaults.priority);
    let usual = usual.unwrap_or(Priority::DEFAULT).to_string();
    let slot = match existing {
        Some(_) => &mut args.values.priority,
        None => &mut args.queue_priority,
    };
    if slot.is_none() {
        let question = "Priority, a number: the lowest is served first";
        let answer = ask::<Priority>(question, Some(&usual), |_| Ok(()))?;
        *slot = Some(answer).filter(|answer| *answer != usual);
    }
    let usual = existing
        .and_then(|q| q.language.as_ref())
        .or(defaults.language.as_ref());
    let usual = usual.map_or("en", Language::as_str).to_owned();
    let slot = match existing {
        Some(_) => &mut args.values.extension_language,
        None => &mut args.queue_language,
    };
    if slot.is_none() {
        let answer = ask::<Language>("Language, such as de or pt-BR", Some(&usual), |_| Ok(()))?;
        *slot = Some(answer).filter(|answer| *answer != usual);
    }
    Ok(())
}

/// An address is fed into one queue, once.
fn is_free(config: &Config, address: &EmailAddress, replace: bool) -> Result<(), String> {
    let wanted = address.as_str().to_lowercase();
    let taken = config
        .mailboxes()
        .find(|m| m.address.address.as_str().to_lowercase() == wanted);
    match taken {
        Some(m) if !replace => Err(format!(
            "`{address}` is in queue `{}` already",
            m.queue.name
        )),
        _ => Ok(()),
    }
}

/// The incoming server, chosen by its name.
fn server(config: &Config, slot: &mut Option<String>) -> Result<String> {
    if let Some(given) = slot {
        return Ok(given.clone());
    }
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
    let chosen = choose("Server to read it through", &choices, 0)?;
    let name = choices.get(chosen).map(|(name, _)| (*name).to_owned());
    *slot = name.clone();
    Ok(name.unwrap_or_default())
}

fn after(usual: &AfterFetch) -> Result<Option<String>> {
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
    let chosen = choose("After a message is delivered", &choices, first)?;
    Ok(Some(match chosen {
        2 => {
            let proposal = match usual {
                AfterFetch::Move(folder) => folder,
                _ => "Done",
            };
            format!(
                "move:{}",
                prompt::line("Folder", Some(proposal), |_| Ok(()))?
            )
        }
        other => choices
            .get(other)
            .map_or("keep", |(name, _)| name)
            .to_owned(),
    }))
}
