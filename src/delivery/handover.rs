//! Deliveries that hand a message over to somebody else: a command, a mail store, a reader.
//!
//! What became of a message can then not be seen after a crash. So one at a time is handed over,
//! and recorded before the next; one that was in flight is handed over again. Where several hosts
//! share a state, that waits until the longest time is over that it may take
//! ([`Taker::longest`]): the host that vanished may still be at it. Whoever knows a message again may
//! get more at a time: see [`super::in_flight`].

use super::{Delivery, Intent, Letter, cannot_write};
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Takes a message over and returns where it went, as [`Delivery::deliver`] does.
pub trait Taker: Send {
    fn take(&mut self, message: File, letter: &Letter) -> Result<String>;

    /// How long after it went on record a message may still be being handed over. A minute of it is
    /// for what comes before the hand-over ([`LATEST_START`]).
    fn longest(&self) -> Duration;
}

/// A hand-over that has not begun so long after it went on record is not begun.
pub const LATEST_START: Duration = Duration::from_secs(50);

/// A delivery to a [`Taker`].
pub struct Handover<T> {
    taker: T,
    spool: PathBuf,
}

impl<T> Handover<T> {
    /// `spool`: where messages wait to be handed over.
    pub fn to(taker: T, spool: &Path) -> Handover<T> {
        Handover {
            taker,
            spool: spool.to_owned(),
        }
    }
}

impl<T: Taker> Delivery for Handover<T> {
    fn staging(&self) -> &Path {
        &self.spool
    }

    fn plan(&mut self, staged: &Path, _: &Letter) -> Result<Intent> {
        Ok(again(staged, self.taker.longest()))
    }

    fn deliver(&mut self, intent: &Intent, letter: &Letter) -> Result<String> {
        hand_over(intent, |message| self.taker.take(message, letter))
    }

    fn group(&self) -> usize {
        1
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A message that is handed over again after a crash.
pub(super) fn again(staged: &Path, longest: Duration) -> Intent {
    Intent::Again {
        spool: staged.to_owned(),
        seconds: longest.as_secs(),
    }
}

/// Gives a staged message to whoever takes it, and removes it once it is taken.
pub(super) fn hand_over(
    intent: &Intent,
    take: impl FnOnce(File) -> Result<String>,
) -> Result<String> {
    let Intent::Again { spool, .. } = intent else {
        return Err(super::not_ours(intent));
    };
    let message = File::open(spool).map_err(|e| cannot_write(spool, &e))?;
    let place = take(message)?;
    // What is delivered is delivered: a file that cannot be removed is swept by a later run.
    let _ = std::fs::remove_file(spool);
    Ok(place)
}
