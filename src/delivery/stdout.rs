//! Messages on standard output, one mboxrd after the other.
//!
//! What a pipe's reader did with them cannot be seen: a crash repeats those in flight.

use super::{Delivery, Intent, Letter, cannot_write, mboxrd};
use anyhow::Result;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

pub struct Stdout {
    spool: PathBuf,
}

impl Stdout {
    pub fn new(spool: &Path) -> Stdout {
        Stdout {
            spool: spool.to_owned(),
        }
    }
}

impl Delivery for Stdout {
    fn staging(&self) -> &Path {
        &self.spool
    }

    fn plan(&mut self, staged: &Path, _: &Letter) -> Result<Intent> {
        Ok(Intent::Again {
            spool: staged.to_owned(),
        })
    }

    fn deliver(&mut self, intent: &Intent, letter: &Letter) -> Result<String> {
        let Intent::Again { spool } = intent else {
            return Err(super::not_ours(intent));
        };
        let file = File::open(spool).map_err(|e| cannot_write(spool, &e))?;
        let mut out = std::io::stdout().lock();
        mboxrd::write(&mut out, BufReader::new(file), &letter.address)
            .and_then(|()| out.flush())
            .map_err(|e| cannot_write(Path::new("standard output"), &e))?;
        std::fs::remove_file(spool).map_err(|e| cannot_write(spool, &e))?;
        Ok("stdout".to_owned())
    }

    fn group(&self) -> usize {
        1
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
