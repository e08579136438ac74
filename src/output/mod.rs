//! Results on stdout, everything else on stderr; server text made safe for a terminal.

mod aside;
mod journal;
mod log;
mod safe;

pub use aside::{aside, draws};
pub use log::{Level, LogFormat, Record, now};
pub use safe::{eprintln_safe, escape, escape_lines, is_unsafe, json};

use crate::fault::{self, Fault};
use anyhow::Result;
use safe::{laid_out, write_json};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// How this run speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
    /// 0: problems only; 1: steps; 2: the protocol, secrets masked.
    pub verbose: u8,
    pub color: bool,
    /// Where, and how, what is not a result is written.
    pub log: LogFormat,
}

impl Output {
    /// Writes a line of the result. A closed pipe is success: the reader has seen enough.
    pub fn line(&self, text: &str) -> Result<()> {
        write_stdout(format!("{}\n", laid_out(text)).as_bytes())
    }

    /// Writes a line of the result behind a mark, which has a colour where this run uses any.
    pub fn marked(&self, mark: &str, color: u8, text: &str) -> Result<()> {
        let mark = self.painted(mark, Some(color));
        write_stdout(format!("  {mark} {}\n", laid_out(text)).as_bytes())
    }

    /// A text that is safe to show, in a colour (ECMA-48 §8.3.117) where this run uses any.
    pub fn painted(&self, text: &str, color: Option<u8>) -> String {
        let text = laid_out(text);
        match color.filter(|_| self.color) {
            Some(color) => format!("\x1b[{color}m{text}\x1b[0m"),
            None => text.into_owned(),
        }
    }

    /// Writes one JSON object and a newline, as it comes: it need not fit memory.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let mut writer = BufWriter::new(io::stdout().lock());
        let written = match write_json(&mut writer, value) {
            Err(err) if !err.is_io() => return Err(err.into()),
            Err(err) => Err(err.into()),
            Ok(()) => writer.write_all(b"\n").and_then(|()| writer.flush()),
        };
        drop(writer);
        finish_stdout(written)
    }

    /// Writes a result: as an object for programs, or as a line for people.
    pub fn result(&self, object: &impl Serialize, line: &str) -> Result<()> {
        match self.json {
            true => self.json(object),
            false => self.line(line),
        }
    }

    /// Writes octets as they are.
    pub fn raw(&self, octets: &[u8]) -> Result<()> {
        write_stdout(octets)
    }

    /// Writes octets where a person wants them: `-` is standard output, and a device or a pipe
    /// (`>(gzip)` of a shell) gets them; a file is `replace`d.
    pub fn put(
        &self,
        path: &Path,
        octets: &[u8],
        replace: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if is_standard(path) {
            return self.raw(octets);
        }
        match std::fs::metadata(path) {
            // In the place of a device there would be a file ever after.
            Ok(there) if !there.is_file() && !there.is_dir() => {
                let mut to = File::options().write(true).open(path)?;
                Ok(to.write_all(octets)?)
            }
            _ => replace(octets),
        }
    }

    /// Tells a step, with `-v`.
    pub fn step(&self, text: &str) {
        self.tell(&Record::new(Level::Info, "step", text));
    }

    /// Warns, unless `-q`.
    pub fn warn(&self, text: &str) {
        self.tell(&Record::new(Level::Warning, "warning", text));
    }

    /// A line of the protocol, with `-vv`; the caller has masked every secret.
    pub fn trace(&self, text: &str) {
        self.tell(&Record::new(Level::Debug, "protocol", text));
    }

    /// True if somebody asked for records of this level.
    pub fn wants(&self, level: Level) -> bool {
        match level {
            Level::Error => true,
            Level::Warning => !self.quiet,
            Level::Info => self.verbose >= 1 && !self.quiet,
            Level::Debug => self.verbose >= 2,
        }
    }

    /// Writes a record to the log, if somebody asked for its level. With `-v` its time stands
    /// before it.
    pub fn tell(&self, record: &Record<'_>) {
        if self.wants(record.level) {
            self.log.write(record, self.verbose >= 1);
        }
    }
}

/// True if questions may be asked: standard input and error are terminals.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// How many columns the terminal has that the result goes to; `None` where it goes elsewhere.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // Some terminals say that they have none.
    Some(usize::from(size.ws_col)).map(|columns| if columns == 0 { 80 } else { columns })
}

fn write_stdout(octets: &[u8]) -> Result<()> {
    let mut written = Ok(());
    aside(&mut || written = io::stdout().write_all(octets));
    finish_stdout(written)
}

/// True for `-`, by which programs mean standard input or output. A file of that name is `./-`.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Ends what was written to standard output, with this result.
///
/// # Errors
/// `CannotWrite` where it does not reach whoever waits for it; a closed pipe is success.
pub fn finish_stdout(written: io::Result<()>) -> Result<()> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&e)),
        _ => Ok(()),
    }
}

/// The result does not reach whoever waits for it: standard output is a file on a full disk.
fn unwritten(err: &io::Error) -> anyhow::Error {
    let what = format!("cannot write to standard output: {err}");
    Fault::cannot_write(what).hint(fault::remedy(err)).into()
}
