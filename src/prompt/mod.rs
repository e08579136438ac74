//! Questions on a terminal, on standard error; the only folder that names dialoguer. Whoever calls
//! has made sure that questions may be asked.
//!
//! dialoguer asks for choices and a yes, and its console reads the keys of lines. Lines (`field`) and
//! secrets are put together here: a secret must not be in text that is not erased from memory.
//! What dialoguer draws it draws again over itself as long as the terminal keeps its width.

mod field;
mod menu;

use crate::fault::Fault;
use crate::output::{eprintln_safe, escape};
use crate::secret::Secret;
use crate::wording::wrap;
use anyhow::Result;
use dialoguer::console::{Key, Term};
use dialoguer::{Confirm, Select};
use field::{CTRL_D, Field};
use menu::Menu;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{self, Signal};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// Tells something between the questions, its lines broken where the terminal ends; one that is
/// indented is to be copied, and stays whole.
pub fn tell(text: &str) {
    let (_, columns) = size(&terminal());
    for line in text.split('\n') {
        match line.starts_with(' ') {
            true => eprintln_safe(&escape(line)),
            false => eprintln_safe(&wrap(&escape(line), columns - 1).join("\n")),
        }
    }
}

/// Asks for a line until `check` has nothing against it. An empty answer stands for `proposal`; where
/// that is empty too, nothing is shown of it, and the line may be left empty.
pub fn line(
    question: &str,
    proposal: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String> {
    let asked = match proposal {
        None | Some("") => format!("{question}: "),
        Some(proposal) => format!("{question} [{proposal}]: "),
    };
    let asking = Asking::new()?;
    loop {
        let Some(text) = typed_line(&asked)? else {
            return asking.interrupted();
        };
        let text = match proposal {
            _ if !text.is_empty() => text,
            None => continue,
            Some("") => return Ok(text),
            Some(proposal) => proposal.to_owned(),
        };
        match check(&text) {
            Ok(()) => return Ok(text),
            Err(why) => tell(&format!("error: {why}")),
        }
    }
}

/// What is typed up to the end of the line, without the spaces around it; `None` for Ctrl-C.
fn typed_line(asked: &str) -> Result<Option<String>> {
    let terminal = terminal();
    let columns = || size(&terminal).1;
    let mut field = Field::new(asked);
    show(&field.drawn(columns()))?;
    loop {
        match terminal.read_key_raw().map_err(unanswered)? {
            Key::Enter => break,
            Key::CtrlC => return Ok(None),
            Key::Char(CTRL_D) if field.is_empty() => {
                let _ = show("\n");
                return Err(Fault::usage("no answer from the terminal").into());
            }
            Key::UnknownEscSeq(start) => skip(&terminal, &start)?,
            key => show(&field.pressed(&key, columns()))?,
        }
    }
    show(&field.left(columns()))?;
    Ok(Some(field.text().trim().to_owned()))
}

/// Reads the rest of a sequence (ECMA-48 §5.4) of which the console knows only the start, such as
/// that of an arrow key with Ctrl; it is not text.
fn skip(terminal: &Term, start: &[char]) -> Result<()> {
    let is_open = match start {
        ['O'] => true,
        ['[', .., last] => (' '..='?').contains(last),
        _ => false,
    };
    if is_open {
        while let Key::Char(' '..='?') = terminal.read_key_raw().map_err(unanswered)? {}
    }
    Ok(())
}

/// dialoguer needs so many rows for a choice.
const FEWEST_ROWS: usize = 4;

/// Asks to choose one of several, `first` being marked at the start; the number of the choice.
/// What was chosen is left to the caller to show, for the lines hold more than its name.
pub fn choice(question: &str, choices: &[String], first: usize) -> Result<usize> {
    let terminal = terminal();
    let (rows, columns) = size(&terminal);
    if rows < FEWEST_ROWS {
        return Err(Fault::usage("the terminal is too low for a choice").into());
    }
    let menu = Menu::new(question, choices, (rows, columns));
    let mut select = Select::with_theme(&menu)
        .with_prompt(question)
        .items(0..choices.len())
        .default(first)
        .report(false);
    if !menu.is_whole {
        // dialoguer leaves one row for the question, and one for the cursor.
        select = select.max_length(rows.saturating_sub(menu.height() - 1));
    }
    let asking = Asking::new()?;
    asking.answered(select.interact_on(&terminal))
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
    const KEYS: usize = " [Y/n] ".len();
    let terminal = terminal();
    let room = size(&terminal).1 - KEYS;
    let mut lines = wrap(&escape(question), room);
    // The line of dialoguer is one row, and what does not fit is above.
    let last = lines.pop().unwrap_or_default();
    let asking = Asking::new()?;
    for line in lines {
        eprintln_safe(&line);
    }
    let confirm = Confirm::new()
        .with_prompt(last)
        .default(proposal)
        .wait_for_newline(true);
    asking.answered(confirm.interact_on(&terminal))
}

/// Asks for a secret, which is not shown, until there is one.
pub fn secret(question: &str) -> Result<Secret> {
    loop {
        let hidden = Hidden::new(OptionalActions::Flush)?;
        let _ = write!(io::stderr(), "{question}: ");
        let answer = typed();
        drop(hidden);
        let _ = writeln!(io::stderr());
        match answer? {
            Some(secret) if secret.is_empty() => {}
            Some(secret) => return Ok(secret),
            // The terminal is as it was, and does what it would have done.
            None => {
                let _ = process::kill_current_process_group(Signal::INT);
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

/// A terminal that shows nothing of what is typed, as long as this lives, and leaves Ctrl-C to the
/// program: otherwise it would end the program, and the terminal would show nothing from then on.
struct Hidden {
    usual: Termios,
    /// What becomes of keys that nobody has read, when this begins and when it ends.
    unread: OptionalActions,
}

impl Hidden {
    fn new(unread: OptionalActions) -> Result<Hidden> {
        let usual = termios::tcgetattr(io::stdin()).map_err(failed)?;
        let mut hidden = usual.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        termios::tcsetattr(io::stdin(), unread, &hidden).map_err(failed)?;
        Ok(Hidden { usual, unread })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), self.unread, &self.usual);
    }
}

/// The terminal while dialoguer's console reads keys. It reads each for itself, and what is typed
/// between two would be shown where the cursor is. Ctrl-C it sends as a signal, which would end
/// the program with a terminal that shows nothing.
struct Asking {
    _hidden: Hidden,
    is_over: Arc<AtomicBool>,
}

impl Asking {
    fn new() -> Result<Asking> {
        let is_over = interrupts_end_us().map_err(unanswered)?;
        is_over.store(false, Ordering::Relaxed);
        Ok(Asking {
            _hidden: Hidden::new(OptionalActions::Drain)?,
            is_over,
        })
    }

    fn answered<T>(self, answer: dialoguer::Result<T>) -> Result<T> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(dialoguer::Error::IO(err)) if err.kind() == io::ErrorKind::Interrupted => {
                self.interrupted()
            }
            Err(dialoguer::Error::IO(err)) => Err(unanswered(err)),
        }
    }

    /// Ctrl-C: the terminal is as it was, and everybody on it is told as it would have told them.
    fn interrupted<T>(self) -> Result<T> {
        drop(self);
        let _ = show("\n");
        let _ = process::kill_current_process_group(Signal::INT);
        Err(Fault::usage("no answer from the terminal").into())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Whether SIGINT ends the program, as it usually does.
fn interrupts_end_us() -> io::Result<Arc<AtomicBool>> {
    static IT_DOES: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(known) = IT_DOES.get() {
        return Ok(known.clone());
    }
    let it_does = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_default(Signal::INT.as_raw(), it_does.clone())?;
    let _ = IT_DOES.set(it_does.clone());
    Ok(it_does)
}

fn failed(err: Errno) -> anyhow::Error {
    unanswered(io::Error::from(err))
}

/// Standard error, on which the cursor is never hidden: Ctrl-C ends the program in the middle of a
/// choice, and would leave the shell without one.
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

/// The terminal's rows and columns, as far as anything can be shown on them.
fn size(terminal: &Term) -> (usize, usize) {
    let (rows, columns) = terminal.size();
    (usize::from(rows), usize::from(columns).max(20))
}

fn show(text: &str) -> Result<()> {
    let mut stderr = io::stderr().lock();
    let written = stderr.write_all(text.as_bytes());
    written.and_then(|()| stderr.flush()).map_err(unanswered)
}

fn unanswered(err: io::Error) -> anyhow::Error {
    Fault::usage(format!("no answer from the terminal: {err}")).into()
}
