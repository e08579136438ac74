//! An error in, what to print and the exit code out; the only folder full of Microsoft lore.
//!
//! It reads errors and nobody reads it but `lib` and `explain`, so that advice can never steer
//! the program: decisions are made by RFC 6749's `error`, response codes and reply codes.
//!
//! - `entry`: what an explanation is, and how one is found for a server's words
//! - `aadsts`, `mail`, `graph`: the tables
//! - `entra`: the form of Entra's error texts

mod aadsts;
mod entra;
mod entry;
mod graph;
mod mail;

pub use entra::page;
pub use entry::{all, find};

use crate::fault::{Fault, Scene, kind_of};

/// An error as a person reads it.
pub struct Report {
    /// What we could not do.
    pub error: String,
    /// At most three.
    pub causes: Vec<String>,
    pub server_said: Option<String>,
    pub hints: Vec<String>,
    pub exit_code: u8,
}

/// Reads an error: its chain for what happened, its [`Fault`] for what the server said, its
/// [`Scene`] for the names and ids that make the hints pasteable.
pub fn report(err: &anyhow::Error) -> Report {
    let mut lines: Vec<String> = err.chain().map(ToString::to_string).collect();
    lines.dedup();
    let mut lines = lines.into_iter();
    let error = lines.next().unwrap_or_default();
    let causes = lines.take(3).collect();
    let fault = err.downcast_ref::<Fault>();
    let scene = err.downcast_ref::<Scene>().cloned().unwrap_or_default();
    let said = fault.and_then(|f| f.server_said.as_deref());
    let mut hints = Vec::new();
    if let Some(said) = said {
        match entry::for_server_words(said) {
            Some(entry) => hints.extend(entry.hints_for(&scene, said)),
            None => hints.extend(entra::more_at(said)),
        }
    }
    hints.extend(fault.into_iter().flat_map(|f| f.hints.iter().cloned()));
    let mut seen = std::collections::HashSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    Report {
        error,
        causes,
        server_said: said.map(entra::short),
        hints,
        exit_code: kind_of(err).exit_code(),
    }
}
