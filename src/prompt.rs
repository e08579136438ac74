//! Questions on a terminal; the only file that names dialoguer. Whoever calls has made sure that
//! questions may be asked.
//!
//! dialoguer asks for lines, choices and a yes. Secrets are read here: the crate takes what is typed
//! into text that is not erased from memory, and Ctrl-C leaves a terminal that shows nothing.

use crate::fault::Fault;
use crate::secret::Secret;
use anyhow::Result;
use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Select};
use rustix::io::{Errno, retry_on_intr};
use rustix::process;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use zeroize::Zeroizing;

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
    yes_or_no(question, true)
}

/// Asks for yes or no; no is the proposal, for what cannot be taken back.
pub fn confirmed(question: &str) -> Result<bool> {
    yes_or_no(question, false)
}

fn yes_or_no(question: &str, proposal: bool) -> Result<bool> {
    Confirm::new()
        .with_prompt(question)
        .default(proposal)
        .interact_on(&terminal())
        .map_err(unanswered)
}

/// Asks for a secret, which is not shown, until there is one.
pub fn secret(question: &str) -> Result<Secret> {
    loop {
        let hidden = Hidden::new()?;
        let _ = write!(io::stderr(), "{question}: ");
        let answer = typed();
        drop(hidden);
        let _ = writeln!(io::stderr());
        match answer? {
            Some(secret) if secret.is_empty() => {}
            Some(secret) => return Ok(secret),
            // The terminal is as it was, and does what it would have done.
            None => {
                let _ = process::kill_current_process_group(process::Signal::INT);
                return Err(Fault::usage("no answer from the terminal").into());
            }
        }
    }
}

/// What is typed up to the end of the line; `None` for Ctrl-C.
fn typed() -> Result<Option<Secret>> {
    const CTRL_C: u8 = 0x03;
    const CTRL_D: u8 = 0x04;
    const CTRL_U: u8 = 0x15;
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    let mut key = [0];
    loop {
        let read = retry_on_intr(|| rustix::io::read(io::stdin(), &mut key)).map_err(failed)?;
        match (read, key[0]) {
            (0, _) | (_, CTRL_D) if text.is_empty() => {
                return Err(Fault::usage("no answer from the terminal").into());
            }
            (0, _) | (_, b'\n' | b'\r' | CTRL_D) => break,
            (_, CTRL_C) => return Ok(None),
            (_, CTRL_U) => text.clear(),
            // The last character, which may have several octets.
            (_, 0x08 | 0x7f) => while text.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {},
            (_, octet) if octet >= b' ' => text.push(octet),
            _ => {}
        }
    }
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(_) => Err(Fault::usage("the answer is not UTF-8").into()),
    }
}

/// A terminal that shows nothing of what is typed, as long as this lives, and leaves Ctrl-C to us:
/// otherwise it would end us, and the terminal would show nothing from then on.
struct Hidden(Termios);

impl Hidden {
    fn new() -> Result<Hidden> {
        let usual = termios::tcgetattr(io::stdin()).map_err(failed)?;
        let mut hidden = usual.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).map_err(failed)?;
        Ok(Hidden(usual))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn failed(err: Errno) -> anyhow::Error {
    unanswered(io::Error::from(err).into())
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
