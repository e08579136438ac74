//! Deliveries to somebody who knows a message again by its delivery id: several are handed over at
//! the same time, and recorded together.
//!
//! After a crash all that were in flight are handed over again, under the same ids. The first
//! message of a run goes alone, and so does the one after a message that was not taken now: where
//! nobody takes mail, one message finds out.

use super::handover::{again, hand_over};
use super::{Delivery, Intent, Letter, May, Rejected};
use crate::fault::{Fault, Kind};
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// So many messages of a mailbox are in flight at most.
const AT_ONCE: usize = 8;

/// Takes messages over, several at a time, and returns where each went, as [`Delivery::deliver`] does.
pub trait Taker: Send + Sync {
    fn take(&self, message: File, letter: &Letter) -> Result<String>;

    /// As [`super::handover::Taker::longest`].
    fn longest(&self) -> Duration;
}

/// A delivery to a [`Taker`].
pub struct InFlight<T> {
    taker: T,
    spool: PathBuf,
    /// How many may go together next.
    group: usize,
}

impl<T> InFlight<T> {
    /// `spool`: where messages wait to be handed over.
    pub fn to(taker: T, spool: &Path) -> InFlight<T> {
        InFlight {
            taker,
            spool: spool.to_owned(),
            group: 1,
        }
    }
}

impl<T: Taker> Delivery for InFlight<T> {
    fn staging(&self) -> &Path {
        &self.spool
    }

    fn plan(&mut self, staged: &Path, _: &Letter) -> Result<Intent> {
        Ok(again(staged, self.taker.longest()))
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
        self.group = if is_well { AT_ONCE } else { 1 };
        outcomes
    }

    fn group(&self) -> usize {
        self.group
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn panicked() -> anyhow::Error {
    Fault::new(Kind::Bug, "a thread that delivers panicked").into()
}
