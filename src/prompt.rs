//! Questions on a terminal; the only file that names dialoguer. Whoever calls has made sure that
//! questions may be asked.

use crate::fault::Fault;
use crate::secret::Secret;
use anyhow::Result;
use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Password, Select};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};

/// Asks for a line until `check` has nothing against it. Questions go to standard error.
pub fn line(
    question: &str,
    proposal: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String> {
    let mut input = Input::<String>::new().with_prompt(question);
    if let Some(proposal) = proposal {
        input = input.default(proposal.to_owned());
    }
    input
        .validate_with(|text: &String| check(text.trim()))
        .interact_text()
        .map(|text| text.trim().to_owned())
        .map_err(unanswered)
}

/// Asks for a line that may be left empty.
pub fn optional_line(
    question: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<String>> {
    let text = Input::<String>::new()
        .with_prompt(question)
        .allow_empty(true)
        .validate_with(|text: &String| match text.trim() {
            "" => Ok(()),
            text => check(text),
        })
        .interact_text()
        .map_err(unanswered)?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Asks to choose one of several, `first` being marked at the start; the number of the choice.
/// What was chosen is left to the caller to show, for the lines hold more than its name.
pub fn choice(question: &str, choices: &[String], first: usize) -> Result<usize> {
    Select::new()
        .with_prompt(question)
        .items(choices)
        .default(first)
        .report(false)
        .interact_on(&terminal())
        .map_err(unanswered)
}

/// Asks for yes or no; yes is the proposal.
pub fn agreed(question: &str) -> Result<bool> {
    Confirm::new()
        .with_prompt(question)
        .default(true)
        .interact_on(&terminal())
        .map_err(unanswered)
}

/// Asks for a secret, which is not shown.
pub fn secret(question: &str) -> Result<Secret> {
    Password::new()
        .with_prompt(question)
        .report(false)
        .interact()
        .map(Secret::new)
        .map_err(unanswered)
}

/// Standard error, on which the cursor is never hidden: Ctrl-C ends us in the middle of a choice,
/// and would leave the shell without one.
#[derive(Debug)]
struct CursorStays;

const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

impl Write for CursorStays {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes != HIDE_CURSOR {
            io::stderr().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl AsRawFd for CursorStays {
    fn as_raw_fd(&self) -> RawFd {
        io::stderr().as_raw_fd()
    }
}

fn terminal() -> Term {
    Term::read_write_pair(io::stdin(), CursorStays)
}

fn unanswered(err: dialoguer::Error) -> anyhow::Error {
    let dialoguer::Error::IO(err) = err;
    Fault::usage(format!("no answer from the terminal: {err}")).into()
}
