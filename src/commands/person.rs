//! Questions of a command, answered on the terminal or by standard input.

use super::Context;
use crate::fault::Fault;
use crate::model::{AfterFetch, Config, EmailAddress, MAX_SECRET, without_line_end};
use crate::office::Office;
use crate::output::can_ask;
use crate::prompt;
use crate::provision::Person;
use crate::reach::{Mailboxes, Wanted};
use crate::secret::Secret;
use anyhow::{Context as _, Result};
use std::cell::Cell;
use std::io::{IsTerminal, Read};

/// The terminal of a run.
pub struct Terminal<'a>(pub &'a Context);

impl Person for Terminal<'_> {
    fn cannot_ask(&self) -> Option<&'static str> {
        match (self.0.may_ask, can_ask()) {
            (true, _) => None,
            (false, true) => Some("`--no-input` does not allow questions"),
            (false, false) => Some("queuemail cannot ask: there is no terminal"),
        }
    }

    fn line(
        &self,
        question: &str,
        proposal: Option<&str>,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<String> {
        prompt::line(question, proposal, check)
    }

    fn choice(&self, question: &str, choices: &[String], first: usize) -> Result<usize> {
        prompt::choice(question, choices, first)
    }

    fn secret(&self, question: &str) -> Result<Secret> {
        prompt::secret(question)
    }

    fn piped(&self, flag: &str) -> Result<Secret> {
        let flag = format!("`{flag}`");
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(Fault::usage(format!(
                "{flag} reads a pipe or a file, and standard input is a terminal"
            ))
            .hint("omit the option, and queuemail asks without showing what you type")
            .into());
        }
        let mut text = zeroize::Zeroizing::new(Vec::new());
        stdin.lock().take(MAX_SECRET + 1).read_to_end(&mut text)?;
        let refuse = |why: &str| Fault::usage(format!("{flag}: {why}"));
        let text = std::str::from_utf8(&text).map_err(|_| refuse("standard input is not UTF-8"))?;
        let line = without_line_end(text);
        if line.is_empty() {
            return Err(refuse("standard input is empty").into());
        }
        if text.len() as u64 > MAX_SECRET || line.contains(['\n', '\r', '\0']) {
            return Err(refuse("standard input must contain one line").into());
        }
        Ok(Secret::new(line))
    }

    fn waiting(&self, config: &Config, address: &EmailAddress) -> Result<u64> {
        let store = self.0.store(config)?;
        let office = Office::link(config)?;
        let mailboxes = Mailboxes::new(&self.0.means, &office, &store);
        let entry = office
            .mailboxes()
            .find(|entry| entry.address.address == *address);
        let entry = entry.context("the mailbox is not in the configuration")?;
        let wanted = Wanted::of(&entry, &AfterFetch::Keep);
        let mut opened = mailboxes.open(&wanted, false, &Cell::default())?;
        let mailbox = opened.mailbox();
        let mut count = 0;
        for folder in entry.folders() {
            count += u64::from(mailbox.open(folder, false)?.exists);
        }
        mailbox.close();
        Ok(count)
    }

    fn tell(&self, text: &str) {
        prompt::tell(text);
    }

    fn warn(&self, text: &str) {
        self.0.output.warn(text);
    }
}
