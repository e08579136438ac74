//! Many mailboxes at once, from a list: one change of the configuration, and what came of each line.

use super::add_mailbox::add_mailboxes;
use super::{Mailbox, NewMailbox, Outcome, Person, lacking, list, row};
use crate::model::Config;
use anyhow::{Result, anyhow};
use std::path::Path;

/// The mailboxes of a list.
pub struct Lines(Vec<Entry>);

struct Entry {
    /// Where it begins in the list, from 1.
    line: usize,
    mailbox: Result<NewMailbox>,
}

/// What came of a line of a list.
pub struct Line {
    /// From 1.
    pub number: usize,
    /// The queue and the address that it is about, where it can be read.
    pub names: Option<(String, String)>,
    pub outcome: Result<Outcome>,
    /// What its mailbox lacks, if it is new or another one now.
    pub lacking: Vec<String>,
}

/// Reads a list; `said` holds for every line that says nothing else.
///
/// # Errors
/// `Usage`: what is wrong with the list as a whole.
pub fn lines(bytes: &[u8], said: &Mailbox, person: &dyn Person) -> Result<Lines> {
    let ready = |cells: &[list::Cell]| {
        let mut said = said.clone();
        said.put_row(cells)?;
        said.complete(person)
    };
    let rows = list::rows(bytes, row::check)?;
    let entry = |row: list::Row| Entry {
        line: row.line,
        mailbox: row.cells.and_then(|cells| ready(&cells)),
    };
    Ok(Lines(rows.into_iter().map(entry).collect()))
}

impl Lines {
    /// Adds all mailboxes to the configuration of `file`, or, where one of them cannot be added,
    /// none. With `keeps_going` those that can be.
    pub fn add(self, config: &mut Config, file: &Path, keeps_going: bool) -> Vec<Line> {
        let mut wanted = config.clone();
        let complete = self
            .0
            .iter()
            .filter_map(|entry| entry.mailbox.as_ref().ok());
        let new: Vec<&NewMailbox> = complete.collect();
        let mut outcomes = add_mailboxes(&mut wanted, file, &new).into_iter();
        let lines: Vec<Line> = self
            .0
            .into_iter()
            .map(|entry| match entry.mailbox {
                Ok(new) => {
                    let outcome = outcomes.next();
                    let outcome =
                        outcome.unwrap_or_else(|| Err(anyhow!("a mailbox without an outcome")));
                    let lacking = match outcome {
                        Ok(Outcome::Unchanged) | Err(_) => Vec::new(),
                        Ok(_) => lacking::of_mailbox(&wanted, &new.queue, &new.entry),
                    };
                    Line {
                        number: entry.line,
                        names: Some((new.queue, new.entry.address.to_string())),
                        outcome,
                        lacking,
                    }
                }
                Err(err) => Line {
                    number: entry.line,
                    names: None,
                    outcome: Err(err),
                    lacking: Vec::new(),
                },
            })
            .collect();
        if keeps_going || lines.iter().all(|line| line.outcome.is_ok()) {
            *config = wanted;
        }
        lines
    }
}
