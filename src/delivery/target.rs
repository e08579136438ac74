//! What a target like `maildir:/var/mail/{queue}` names, and how its placeholders expand.

use super::https::Destination;
use super::lmtp::Address;
use super::percent::{is_unreserved, percent};
use super::stdout::Form;
use crate::fault::Fault;
use crate::model::{self, Target, Webhook};
use anyhow::Result;
use std::path::PathBuf;

/// A target, taken apart and expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Maildir(PathBuf),
    Mbox(PathBuf),
    Eml(PathBuf),
    /// The program and its arguments.
    Command(Vec<String>),
    Lmtp(Address),
    Https(Box<Destination>),
    Stdout(Form),
}

impl Place {
    /// # Errors
    /// `Config` where several hosts cannot deliver to it: what one was about to append to a file, and
    /// a lock that is a file with a process number, say nothing to another.
    pub fn may_be_shared(&self) -> Result<(), Fault> {
        match self {
            Place::Mbox(path) => Err(Fault::config(format!(
                "several hosts cannot deliver to one mbox (`{}`)",
                path.display()
            ))
            .hint(
                "with `state: {postgres: …}` deliver to maildir:, eml:, lmtp:, command: or https:",
            )),
            _ => Ok(()),
        }
    }

    /// The destination, if it is one that may ask to be left alone for a time.
    pub fn may_ask_to_wait(&self) -> Option<String> {
        match self {
            Place::Https(to) => Some(to.to_string()),
            _ => None,
        }
    }
}

/// Of a target that is a folder the part before the first placeholder, as far as it is a folder: all
/// that several hosts deliver to is below it.
pub fn fixed_part(target: &Target) -> Option<PathBuf> {
    let (kind, path) = target.as_str().split_once(':')?;
    if !["maildir", "eml"].contains(&kind) {
        return None;
    }
    Some(match path.split_once('{') {
        None => path.into(),
        Some((before, _)) => match before.rsplit_once('/')? {
            ("", _) => "/".into(),
            (folder, _) => folder.into(),
        },
    })
}

/// Expands the placeholders of a target; `webhooks` say what goes with a post. A value cannot leave the folder that the target names:
/// `/`, a dot at its start, control characters and `%` are percent-encoded, so that different
/// values also stay different.
pub fn expand(
    target: &Target,
    queue: &str,
    address: &str,
    folder: &str,
    language: &str,
    webhooks: &[Webhook],
) -> Result<Place> {
    let values = [
        ("queue", queue),
        ("address", address),
        ("folder", folder),
        ("language", language),
    ];
    let (kind, rest) = target
        .as_str()
        .split_once(':')
        .unwrap_or((target.as_str(), ""));
    let path = || -> Result<PathBuf> { Ok(fill(rest, &values, component)?.into()) };
    Ok(match kind {
        "maildir" => Place::Maildir(path()?),
        "mbox" => Place::Mbox(path()?),
        "eml" => Place::Eml(path()?),
        "command" => {
            let words = model::command_words(rest)
                .map_err(|why| Fault::config(format!("`command:{rest}`: {why}")))?;
            let words = words
                .iter()
                .map(|word| fill(word, &values, component))
                .collect::<Result<Vec<_>>>()?;
            Place::Command(words)
        }
        "stdout" if rest == "json" => Place::Stdout(Form::JsonLines),
        "stdout" => Place::Stdout(Form::Mboxrd),
        "lmtp" | "lmtp-plain" => {
            let address = fill(rest, &values, component)?;
            Place::Lmtp(lmtp_address(&address, kind == "lmtp-plain")?)
        }
        "http" | "https" => {
            let url = fill(target.as_str(), &values, |value| {
                percent(value, is_unreserved)
            })?;
            Place::Https(Box::new(Destination::new(&url, webhooks)?))
        }
        other => return Err(Fault::config(format!("`{other}:` is not a delivery")).into()),
    })
}

/// `HOST:PORT`, or the path of a socket.
fn lmtp_address(text: &str, plain: bool) -> Result<Address> {
    if text.starts_with('/') && !plain {
        return Ok(Address::Unix(text.into()));
    }
    text.rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .filter(|(host, port)| !host.is_empty() && *port != 0)
        .map(|(host, port)| Address::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            plain,
        })
        .ok_or_else(|| {
            Fault::config(format!("`{text}` names no mail store"))
                .hint("use lmtp:HOST:PORT (usually port 24) or lmtp:/path/of/the/socket")
                .into()
        })
}

/// Replaces each `{name}`; an unknown name is an error, since it would become a folder.
fn fill(template: &str, values: &[(&str, &str)], spell: fn(&str) -> String) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('}') else {
            break;
        };
        let name = &rest[open + 1..open + close];
        let Some((_, value)) = values.iter().find(|(n, _)| *n == name) else {
            return Err(Fault::config(format!(
                "`{{{name}}}` in `{template}` is not a placeholder"
            ))
            .hint("placeholders: {queue}, {address}, {folder}, {language}")
            .into());
        };
        filled.push_str(&spell(value));
        rest = &rest[open + close + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A value as one harmless path component.
fn component(value: &str) -> String {
    let mut spelt = String::new();
    for (index, c) in value.char_indices() {
        if c == '/' || c == '%' || c.is_control() || (index == 0 && c == '.') {
            let mut buffer = [0; 4];
            for octet in c.encode_utf8(&mut buffer).bytes() {
                spelt.push_str(&format!("%{octet:02X}"));
            }
        } else {
            spelt.push(c);
        }
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn maildir(template: &str, queue: &str, folder: &str) -> PathBuf {
        let target: Target = format!("maildir:{template}").parse().unwrap();
        match expand(&target, queue, "support@contoso.com", folder, "de", &[]).unwrap() {
            Place::Maildir(path) => path,
            other => panic!("not a maildir: {other:?}"),
        }
    }

    #[test]
    fn placeholders_expand() {
        assert_eq!(
            maildir("/var/mail/{queue}/{language}", "support", "INBOX"),
            PathBuf::from("/var/mail/support/de")
        );
        assert_eq!(
            maildir("/m/{folder}", "q", "Sent/Old"),
            PathBuf::from("/m/Sent%2FOld")
        );
        assert_eq!(maildir("/m/{queue}", "..", "f"), PathBuf::from("/m/%2E."));
    }

    #[test]
    fn the_fixed_part_is_what_all_have_in_common() {
        for (target, folder) in [
            ("maildir:/srv/mail/support", Some("/srv/mail/support")),
            ("maildir:/srv/mail/{queue}/{folder}", Some("/srv/mail")),
            ("eml:/srv/mail/of-{queue}", Some("/srv/mail")),
            ("eml:/{queue}", Some("/")),
            ("mbox:/srv/mail/support", None),
            ("lmtp:localhost:24", None),
        ] {
            let target: Target = target.parse().unwrap();
            assert_eq!(fixed_part(&target), folder.map(PathBuf::from), "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_value_leaves_the_folder(queue in ".*", folder in ".*") {
            let path = maildir("/base/{queue}x{folder}", &queue, &folder);
            let components: Vec<_> = path.components().collect();
            prop_assert_eq!(components.len(), 3, "{:?}", path);
            prop_assert!(!components.contains(&std::path::Component::ParentDir));
        }

        #[test]
        fn different_values_stay_different(a in ".*", b in ".*") {
            prop_assume!(a != b);
            prop_assert_ne!(component(&a), component(&b));
        }
    }
}
