//! The lines of a file that another program has written.

use super::{MOST, malformed, not_regular, too_many, unreadable};
use crate::files::open_at_once;
use anyhow::Result;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Octets of a line; the identifier of a message has 70 at most (RFC 1939, UIDL), a name of a
/// mailbox some hundred.
const LONGEST: usize = 4096;

/// The file that another program has written: `read`, and where it is, for what an error says.
pub struct Input<'a> {
    pub path: &'a Path,
    read: Box<dyn BufRead + 'a>,
}

impl<'a> Input<'a> {
    /// # Errors
    /// `Usage` where there is no plain file.
    pub fn open(path: &'a Path) -> Result<Input<'a>> {
        let file = open_at_once(path).map_err(|e| unreadable(path, e))?;
        let about = file.metadata().map_err(|e| unreadable(path, e))?;
        match about.is_file() {
            true => Ok(Input::of(path, BufReader::new(file))),
            false => Err(not_regular(path).into()),
        }
    }

    pub fn of(path: &'a Path, read: impl BufRead + 'a) -> Input<'a> {
        let read = Box::new(read);
        Input { path, read }
    }

    /// Hands over each line with its number, from 1 and without its line end.
    ///
    /// # Errors
    /// `Malformed` where a line is too long, or there are too many of them; and those of `each`.
    pub fn each_line(mut self, mut each: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let path = self.path;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut limited = (&mut self.read).take(LONGEST as u64 + 1);
            let read = limited.read_until(b'\n', &mut line);
            if read.map_err(|e| unreadable(path, e))? == 0 {
                break;
            }
            if line.len() > LONGEST {
                let why = format!("it has more than {LONGEST} bytes");
                return Err(malformed(path, number, &why).into());
            }
            if number > MOST {
                return Err(too_many(path).into());
            }
            let end = line.strip_suffix(b"\n").unwrap_or(&line);
            each(number, end.strip_suffix(b"\r").unwrap_or(end))?;
        }
        Ok(())
    }
}

/// The number that an octet string is, in decimal digits alone.
pub fn number(text: &[u8]) -> Option<u32> {
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_plain)?;
    text.parse().ok()
}
