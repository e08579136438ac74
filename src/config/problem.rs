//! What is wrong with the configuration, each with the path of the value that it concerns.

use super::locate::{Step, steps};
use crate::model::{Config, named, nearest, no_server};

/// Something wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub at: Vec<Step>,
    /// A phrase that ends where " in FILE" fits.
    pub problem: String,
    /// What to know or to do about it.
    pub note: String,
    pub hint: Option<String>,
}

/// Collects the problems.
#[derive(Default)]
pub struct Found(pub Vec<Problem>);

impl Found {
    pub fn add(&mut self, at: &str, problem: impl Into<String>, note: impl Into<String>) {
        self.0.push(Problem {
            at: steps(at),
            problem: problem.into(),
            note: note.into(),
            hint: None,
        });
    }

    pub fn hint(&mut self, hint: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.hint = Some(hint.into());
        }
    }
}

/// Of a server.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Incoming,
    Outgoing,
}

/// A name that leads nowhere, with the near ones.
pub fn dangling(config: &Config, name: &str, kind: Kind, at: &str, found: &mut Found) {
    // The first problem alone is shown, and to look for near names takes time.
    if !found.0.is_empty() {
        return found.add(at, format!("no server `{name}`"), "");
    }
    let incoming: Vec<&str> = config.incoming_servers.iter().map(|s| &*s.name).collect();
    let outgoing: Vec<&str> = config.outgoing_servers.iter().map(|s| &*s.name).collect();
    let (what, names, other, others) = match kind {
        Kind::Incoming => ("incoming", incoming, "outgoing", outgoing),
        Kind::Outgoing => ("outgoing", outgoing, "incoming", incoming),
    };
    let note = if name.is_empty() {
        "this must be the name of a server".to_owned()
    } else if others.contains(&name) {
        format!("`{name}` is an {other} server")
    } else {
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => String::new(),
        }
    };
    found.add(at, no_server(what, name), note);
    found.hint(match names.is_empty() {
        true => format!("no {what} server is configured: queuemail server add {what} …"),
        false => named(&format!("{what} servers"), &names),
    });
}
