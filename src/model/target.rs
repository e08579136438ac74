//! What is wrong with a delivery, so that no fetch finds it out when mail has come.

use super::names::nearest;
use super::post_url::PostUrl;

/// The deliveries that are written KIND:WHERE, and whether that is a path. URLs and `stdout` are others.
pub const KINDS: &[(&str, bool)] = &[
    ("maildir", true),
    ("mbox", true),
    ("command", false),
    ("lmtp", false),
    ("lmtp-plain", false),
    ("eml", true),
];

/// All that a person can choose from.
pub const FORMS: &str =
    "maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, https://URL, eml:FOLDER or stdout";

/// The placeholders that a delivery may hold.
const PLACEHOLDERS: [&str; 4] = ["{queue}", "{address}", "{folder}", "{language}"];

/// What is wrong with a delivery, if anything.
pub fn mistake(text: &str) -> Option<String> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let is_url = matches!(kind, "http" | "https");
    if matches!(text, "stdout" | "stdout:json") {
        return None;
    }
    if !is_url && KINDS.iter().all(|(known, _)| *known != kind) {
        return Some(format!("`{text}` is not a delivery: use {FORMS}"));
    }
    if !is_url && rest.is_empty() {
        return Some(format!(
            "`{text}` has nothing after the colon; example: `maildir:/var/mail/support`"
        ));
    }
    bad_placeholder(rest).or_else(|| match kind {
        _ if is_url => bad_url(text),
        "command" => super::command_line::words(rest)
            .err()
            .map(|why| format!("`{text}`: {why}")),
        "lmtp" if !names_a_store(rest) => Some(format!(
            "`{text}` names no mail store: use lmtp:HOST:PORT (usually port 24) or lmtp:/path/of/the/socket"
        )),
        "lmtp-plain" if !names_a_host(rest) => Some(format!(
            "`{text}` names no mail store: use lmtp-plain:HOST:PORT (usually port 24)"
        )),
        _ => None,
    })
}

fn bad_placeholder(text: &str) -> Option<String> {
    let names = text.split('{').skip(1).filter_map(|t| t.split_once('}'));
    let unknown = names
        .map(|(name, _)| format!("{{{name}}}"))
        .find(|name| !PLACEHOLDERS.contains(&name.as_str()))?;
    Some(match nearest(&unknown, PLACEHOLDERS) {
        Some(near) => format!("`{unknown}` is not a placeholder: did you mean `{near}`?"),
        None => format!(
            "`{unknown}` is not a placeholder: use {}",
            PLACEHOLDERS.join(", ")
        ),
    })
}

/// Why no mail can be posted to a URL, whatever its placeholders become.
fn bad_url(text: &str) -> Option<String> {
    let mut filled = text.to_owned();
    for name in PLACEHOLDERS {
        filled = filled.replace(name, "x");
    }
    let host = text.split('/').nth(2).unwrap_or_default();
    match filled.parse::<PostUrl>() {
        Err(why) => Some(why),
        // The secrets of a webhook belong to one host.
        Ok(_) if host.contains('{') => Some(format!(
            "`{host}`: placeholders are allowed only in the path of a URL"
        )),
        Ok(_) => None,
    }
}

/// True for a socket's path, and for a host with a port.
fn names_a_store(text: &str) -> bool {
    text.starts_with(['/', '.', '~']) || names_a_host(text)
}

/// True for a host with a port, or what a placeholder may make one.
fn names_a_host(text: &str) -> bool {
    let host_and_port = || {
        let (host, port) = text.rsplit_once(':')?;
        Some(!host.is_empty() && port.parse::<u16>().ok()? != 0)
    };
    !text.starts_with(['/', '.', '~']) && (text.contains('{') || host_and_port() == Some(true))
}
