//! Results on stdout, everything else on stderr; server text made safe for a terminal.

use crate::fault::{Fault, Kind};
use crate::files;
use anyhow::Result;
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, Write};

/// How this run speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
    /// 0: problems only; 1: steps; 2: the protocol, secrets masked.
    pub verbose: u8,
    pub color: bool,
}

impl Output {
    /// Writes a line of the result. A closed pipe is success: the reader has seen enough.
    pub fn line(&self, text: &str) -> Result<()> {
        write_stdout(format!("{text}\n").as_bytes())
    }

    /// Writes one JSON object and a newline, as it comes: it need not fit memory.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let mut writer = BufWriter::new(io::stdout().lock());
        let written = match serde_json::to_writer(&mut writer, value) {
            Err(err) if !err.is_io() => return Err(err.into()),
            Err(err) => Err(err.into()),
            Ok(()) => writer.write_all(b"\n").and_then(|()| writer.flush()),
        };
        drop(writer);
        finish_stdout(written)
    }

    /// Writes octets as they are.
    pub fn raw(&self, octets: &[u8]) -> Result<()> {
        write_stdout(octets)
    }

    /// Tells a step, with `-v`.
    pub fn step(&self, text: &str) {
        if self.verbose >= 1 && !self.quiet {
            eprintln_safe(&escape_lines(text));
        }
    }

    /// Warns, unless `-q`.
    pub fn warn(&self, text: &str) {
        if !self.quiet {
            eprintln_safe(&format!("warning: {}", escape_lines(text)));
        }
    }

    /// A line of the protocol, with `-vv`; the caller has masked every secret.
    pub fn trace(&self, text: &str) {
        if self.verbose >= 2 {
            eprintln_safe(text);
        }
    }
}

/// True if questions may be asked: standard input and error are terminals.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn write_stdout(octets: &[u8]) -> Result<()> {
    finish_stdout(io::stdout().write_all(octets))
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
    Fault::new(Kind::CannotWrite, what)
        .hint(files::remedy(err))
        .into()
}

/// Writes a line to stderr; a stderr that is gone is nobody's loss.
pub fn eprintln_safe(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// As [`escape`], but for text of several lines.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Makes hostile text safe to show: control characters (line ends included) become escapes,
/// so that a server cannot move the cursor, colour the terminal or fake a line of ours.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}
