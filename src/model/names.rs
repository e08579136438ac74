//! Names: which are allowed, how they are listed, which was probably meant.

use crate::fault::Fault;
use std::fmt;
use std::str::FromStr;

/// A name of the user's choice, of a server, a queue or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Name, String> {
        match bad_name(text) {
            Some(why) => Err(why.to_owned()),
            None => Ok(Name(text.to_owned())),
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name cannot be used; there are few restrictions.
pub fn bad_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("a name must not be empty")
    } else if name.trim() != name {
        Some("a name must not begin or end with a space")
    } else if name.chars().any(char::is_control) {
        Some("a name must not contain control characters")
    } else if name.chars().count() > 200 {
        Some("a name has at most 200 characters")
    } else {
        None
    }
}

/// "queues in the file: a, b", or that there are none.
pub fn named(what: &str, names: &[&str]) -> String {
    const MANY: usize = 12;
    match names.len() {
        0 => format!("{what} in the file: none"),
        n if n > MANY => format!(
            "{what} in the file: {}, and {} more",
            names[..MANY].join(", "),
            n - MANY
        ),
        _ => format!("{what} in the file: {}", names.join(", ")),
    }
}

/// What is wrong with the name of a server that is not there; `kind` is incoming or outgoing.
pub fn no_server(kind: &str, name: &str) -> String {
    format!("no {kind} server `{name}`")
}

/// The known name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&lower, &k.to_lowercase()), k))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// The fault for a name that is not in the file.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> anyhow::Error {
    let fault = Fault::usage(format!("no {what} named `{name}`"));
    let all = match what {
        "queue or address" => "queues and addresses".to_owned(),
        "queue, address or server" => "queues, addresses and servers".to_owned(),
        one => format!("{one}s"),
    };
    let in_file = named(&all, known);
    match nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`? {in_file}")),
        None => fault.hint(in_file),
    }
    .into()
}
