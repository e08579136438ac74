//! Deliveries that hand a message over to somebody else: a command, a mail store, a reader.
//!
//! What became of a message can then not be seen after a crash. So one at a time is handed over,
//! and recorded before the next; one that was in flight is handed over again. Where several hosts
//! share a state, that waits until the longest time is over that it may take
//! ([`Taker::longest`]): the host that vanished may still be at it.
//!
//! Whoever knows a message again by its delivery id may get several at the same time, which are
//! recorded together; after a crash all of them are handed over again, under the same ids. The first
//! message of a run goes alone, and so does the one after a message that was not taken now: where
//! nobody takes mail, one message finds out.

use super::{Delivery, Intent, Letter, May, Rejected, cannot_write};
use crate::fault::Fault;
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Takes a message over and returns where it went, as [`Delivery::deliver`] does.
pub trait Taker: Send + Sync {
    fn take(&self, message: File, letter: &Letter) -> Result<String>;

    /// How long after it went on record a message may still be being handed over. A minute of it is
    /// for what comes before the hand-over ([`LATEST_START`]).
    fn longest(&self) -> Duration;

    /// So many messages of a mailbox are in flight at most.
    fn most_at_once(&self) -> usize {
        1
    }
}

/// A hand-over that has not begun so long after it went on record is not begun.
pub const LATEST_START: Duration = Duration::from_secs(50);

/// A delivery to a [`Taker`].
pub struct Handover<T> {
    taker: T,
    spool: PathBuf,
    /// How many may go together next.
    group: usize,
}

impl<T> Handover<T> {
    /// `spool`: where messages wait to be handed over.
    pub fn to(taker: T, spool: &Path) -> Handover<T> {
        Handover {
            taker,
            spool: spool.to_owned(),
            group: 1,
        }
    }
}

impl<T: Taker> Delivery for Handover<T> {
    fn staging(&self) -> &Path {
        &self.spool
    }

    fn plan(&mut self, staged: &Path, _: &Letter) -> Result<Intent> {
        Ok(Intent::Again {
            spool: staged.to_owned(),
            seconds: self.taker.longest().as_secs(),
        })
    }

    fn deliver(&mut self, intent: &Intent, letter: &Letter) -> Result<String> {
        hand_over(intent, |message| self.taker.take(message, letter))
    }

    /// All of them are begun at once, so of each there is an outcome.
    fn deliver_all(&mut self, work: &[(Letter, Intent)], may: &May<'_>) -> Vec<Result<String>> {
        let taker = &self.taker;
        let one = |(letter, intent): &(Letter, Intent)| {
            may(intent)?;
            hand_over(intent, |message| taker.take(message, letter))
        };
        let outcomes: Vec<_> = match work {
            [alone] => vec![one(alone)],
            _ => thread::scope(|scope| {
                let started: Vec<_> = work
                    .iter()
                    .map(|work| {
                        let thread = thread::Builder::new();
                        thread.spawn_scoped(scope, move || one(work))
                    })
                    .collect();
                // Where the system allows no more threads, this one does the work.
                let end = started.into_iter().zip(work).map(|(thread, work)| {
                    thread.map_or_else(
                        |_| one(work),
                        |thread| thread.join().unwrap_or_else(|_| Err(panicked())),
                    )
                });
                end.collect()
            }),
        };
        let is_well = outcomes.iter().all(|outcome| match outcome {
            Ok(_) => true,
            Err(err) => err
                .downcast_ref()
                .is_some_and(|why: &Rejected| why.for_good),
        });
        self.group = if is_well {
            self.taker.most_at_once()
        } else {
            1
        };
        outcomes
    }

    fn group(&self) -> usize {
        self.group
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Gives a staged message to whoever takes it, and removes it once it is taken.
fn hand_over(intent: &Intent, take: impl FnOnce(File) -> Result<String>) -> Result<String> {
    let Intent::Again { spool, .. } = intent else {
        return Err(super::not_ours(intent));
    };
    let message = File::open(spool).map_err(|e| cannot_write(spool, &e))?;
    let place = take(message)?;
    // What is delivered is delivered: a file that cannot be removed is swept by a later run.
    let _ = std::fs::remove_file(spool);
    Ok(place)
}

fn panicked() -> anyhow::Error {
    Fault::bug("a thread that delivers panicked").into()
}
