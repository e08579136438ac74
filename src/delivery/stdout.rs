//! Messages on standard output: one mboxrd after the other, or JSON Lines.
//!
//! What a pipe's reader did with them cannot be seen: a crash repeats those in flight.

use super::handover::Taker;
use super::{Letter, cannot_write, mboxrd};
use crate::fault::Fault;
use crate::output;
use crate::system;
use anyhow::Result;
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use jiff::Timestamp;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::time::Duration;

/// How messages are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Mboxrd,
    /// An object for each: what is known of it, and its octets in base64.
    JsonLines,
}

pub struct Stdout(pub Form);

impl Taker for Stdout {
    /// For all but a reader that keeps the writer waiting.
    fn longest(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn take(&self, message: File, letter: &Letter) -> Result<String> {
        if is_closed() {
            return Err(Fault::cannot_write("standard output is closed")
                .hint("nothing was removed from the server; redirect the output to a file or a program")
                .into());
        }
        let mut message = BufReader::new(message);
        let mut written = Ok(());
        output::aside(&mut || {
            // Held for the whole message, so that those of other mailboxes come before or after it.
            let mut out = io::stdout().lock();
            let address = &letter.address;
            written = match self.0 {
                Form::Mboxrd => mboxrd::write(&mut out, &mut message, address, Timestamp::now()),
                Form::JsonLines => write_json(&mut out, &mut message, letter),
            }
            .and_then(|()| out.flush())
            .and_then(|()| make_durable());
        });
        written.map_err(|e| cannot_write(Path::new("standard output"), &e))?;
        Ok("stdout".to_owned())
    }
}

/// Syncs a file; pipes and terminals have nothing to sync, and say so.
fn make_durable() -> io::Result<()> {
    match system::sync_content(io::stdout()) {
        Ok(()) | Err(Errno::INVAL | Errno::ROFS | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// True if the process was started without a standard output. Rust then opens /dev/null, for
/// reading too, in its place, and mail would vanish without an error; `>/dev/null` in a shell is
/// for writing alone.
fn is_closed() -> bool {
    let Ok(null) = rustix::fs::stat("/dev/null") else {
        return false;
    };
    let out = io::stdout();
    rustix::fs::fstat(&out).is_ok_and(|stat| stat.st_rdev == null.st_rdev)
        && rustix::fs::fcntl_getfl(&out).is_ok_and(|flags| flags.contains(OFlags::RDWR))
}

/// Writes one line. The message goes through in pieces, whatever its size.
fn write_json(out: &mut impl Write, mut message: impl io::Read, letter: &Letter) -> io::Result<()> {
    let known = output::json(letter)?;
    let known = known.trim_end_matches('}');
    write!(out, r#"{known},"event":"content","content":""#)?;
    let mut encoder = EncoderWriter::new(&mut *out, &STANDARD);
    io::copy(&mut message, &mut encoder)?;
    encoder.finish()?;
    drop(encoder);
    out.write_all(b"\"}\n")
}
