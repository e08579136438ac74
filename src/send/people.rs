//! Who sends a message and who gets it, as the caller, the message and the configuration say;
//! people of this machine included.

use crate::fault::{Fault, Kind};
use crate::mail::addresses;
use crate::mail::message::Draft;
use crate::model::{Defaults, named};
use crate::office::{Office, is_local};
use anyhow::Result;
use std::collections::HashSet;

/// Who sends a composed message: `-f`, else `defaults: sender`, else the only address that may.
pub fn composer(office: &Office<'_>, from: Option<&str>) -> Result<String> {
    if let Some(named) = named_sender(from)? {
        return Ok(named);
    }
    if let Some(sender) = &office.defaults().sender {
        return Ok(sender.to_string());
    }
    let senders: Vec<&str> = office
        .senders()
        .map(|e| e.address.address.as_str())
        .collect();
    match senders[..] {
        [one] => Ok(one.to_owned()),
        _ => Err(
            Fault::usage("`-f` is needed: no address may send, or more than one")
                .hint(named("senders", &senders))
                .into(),
        ),
    }
}

/// The address of `-f`. An empty one, as cron and programs that answer by themselves give (RFC
/// 5321 §4.5.5), counts as none: Exchange takes no empty sender, so somebody stands in.
fn named_sender(from: Option<&str>) -> Result<Option<String>> {
    let Some(text) = from else {
        return Ok(None);
    };
    if matches!(text.trim(), "" | "<>") {
        return Ok(None);
    }
    match &addresses::parse(text).as_deref() {
        Ok([one]) => Ok(Some(one.clone())),
        _ => Err(Fault::usage(format!(
            "`-f {}` is not an e-mail address",
            text.escape_debug()
        ))
        .hint("use the address of the sending mailbox")
        .into()),
    }
}

/// `-f`, else the From field; somebody of this machine sends as `defaults: sender`, if that is
/// set. In From, where nobody could answer them, they stand as the sender's name.
pub fn sender(defaults: &Defaults, from: Option<&str>, draft: &mut Draft) -> Result<String> {
    let machine = machine();
    let stand_in = defaults.sender.as_ref().map(|s| s.as_str());
    let named = match named_sender(from)? {
        Some(named) => Some(named),
        None => draft.sender()?,
    };
    let sender = match (named, stand_in) {
        (Some(named), Some(stand_in)) if is_local(&named, &machine) => stand_in.to_owned(),
        (Some(named), _) => named,
        (None, Some(stand_in)) => stand_in.to_owned(),
        (None, None) => {
            return Err(Fault::malformed("the message has no From field")
                .hint("add one, use -f, or set the sender in the configuration: `defaults: { sender: ADDRESS }`")
                .into());
        }
    };
    // What cannot be read there is an error where it matters, see `Office::check_authors`.
    if let Ok([author]) = draft.author_addresses().as_deref()
        && is_local(author, &machine)
        && !author.eq_ignore_ascii_case(&sender)
    {
        draft.replace_from();
    }
    Ok(sender)
}

pub fn machine() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Full addresses, each once: the domain is the same in any case (RFC 5321 §2.4). Who is of this
/// machine is `defaults: recipient`, if that is set.
pub fn distinct(defaults: &Defaults, found: Vec<String>) -> Result<Vec<String>> {
    let mut to: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let machine = machine();
    for mut address in found {
        match &defaults.recipient {
            Some(stand_in) if is_local(&address, &machine) => address = stand_in.to_string(),
            _ => {}
        }
        if !addresses::is_mailbox(&address) {
            let fault = Fault::new(
                Kind::UnknownRecipient,
                format!(
                    "the recipient `{}` is not a full e-mail address",
                    address.escape_debug()
                ),
            );
            return Err(match is_local(&address, &machine) {
                true => fault.hint("for mail to users of this machine, such as from cron, set a recipient in the configuration: `defaults: { recipient: ADDRESS }`"),
                false => fault,
            }
            .into());
        }
        let (local, domain) = address.rsplit_once('@').unwrap_or_default();
        if seen.insert(format!("{local}@{}", domain.to_ascii_lowercase())) {
            to.push(address);
        }
    }
    Ok(to)
}
