//! What a run did: with how many messages, and how it went with each mailbox.

use super::{Job, Tally, mailbox_key};
use crate::fault::{Cause, cause_of};
use crate::incidents::{self, End, Seen};
use crate::state::{Ran, Store, Taken};
use anyhow::Result;
use std::collections::HashMap;
use std::time::Duration;

/// How a task ended that did not fail.
pub enum Ended {
    Fetched,
    /// Passed over, listed or audited.
    Otherwise,
    /// Another host took it over.
    Left,
}

/// What all tasks did.
#[derive(Default)]
pub struct Done {
    pub tally: Tally,
    /// How many mailboxes there were.
    pub mailboxes: usize,
    /// What kept mailboxes (in lower case) from being fetched.
    pub of_mailboxes: Vec<(String, anyhow::Error)>,
    /// What else went wrong.
    pub errors: Vec<anyhow::Error>,
    /// How it went with each mailbox.
    pub seen: Vec<Seen>,
    /// The same for the record, of those that were tried.
    pub runs: Vec<Ran>,
}

impl Done {
    /// Notes how it went with a mailbox; gives what is to be on record of it. Of one that was visited
    /// before in this run the last visit counts, unless it was passed over.
    pub fn take(
        &mut self,
        job: &Job,
        is_again: bool,
        sign_in: Option<String>,
        tally: Tally,
        took: Duration,
        result: Result<Ended>,
    ) -> Option<Ran> {
        self.tally.add(&tally);
        let mailbox = mailbox_key(&job.address);
        let before = match (is_again, &result) {
            (true, Ok(Ended::Otherwise)) => return None,
            (false, _) | (_, Ok(Ended::Left)) => 0,
            (true, _) => self.forget(&mailbox),
        };
        let is_left = matches!(result, Ok(Ended::Left));
        let end = match result {
            Ok(Ended::Fetched) => End::Well,
            Ok(Ended::Otherwise | Ended::Left) => End::Passed,
            Err(err) => self.failed(&mailbox, err),
        };
        let ran = (end != End::Passed || is_left).then(|| Ran {
            mailbox: mailbox.clone(),
            error: end.why().map(str::to_owned),
            is_left,
            took: u64::try_from(took.as_millis()).ok(),
            fetched: tally.fetched,
            failed: tally.failed,
            quarantined: tally.quarantined,
        });
        self.seen.push(Seen {
            mailbox,
            sign_in,
            end,
            messages: before + tally.failed + tally.quarantined,
        });
        ran
    }

    /// Forgets how it went with a mailbox; gives the number of messages that failed.
    fn forget(&mut self, mailbox: &str) -> u64 {
        self.of_mailboxes.retain(|(own, _)| own != mailbox);
        let of_it = |seen: &Seen| seen.mailbox == mailbox;
        let messages = self.seen.iter().filter(|seen| of_it(seen));
        let messages = messages.map(|seen| seen.messages).sum();
        self.seen.retain(|seen| !of_it(seen));
        messages
    }

    /// What another host has taken over since is its own: that it could not be fetched here for long
    /// enough is no fault.
    pub fn leave_to_others(&mut self, store: &Store, lost: HashMap<String, Taken>) {
        for (mailbox, lock) in lost {
            let is_of_it = |(own, err): &(String, anyhow::Error)| *own == mailbox && is_lost(err);
            if self.of_mailboxes.iter().any(is_of_it) && is_anothers(store, &lock) {
                let messages = self.forget(&mailbox);
                let seen = Seen::of(mailbox, End::Passed);
                self.seen.push(Seen { messages, ..seen });
            }
        }
    }

    /// What failed since the run began and has not come to rest by now: a later visit, of this host or
    /// another, may have delivered it.
    pub fn count_failed(&mut self, store: &Store, since: i64) -> Result<()> {
        let failed = self.seen.iter().filter(|seen| seen.messages > 0);
        let mailboxes: Vec<&str> = failed.map(|seen| &*seen.mailbox).collect();
        let counts = store.failed_since(&mailboxes, since)?;
        self.tally.failed = self.tally.failed.min(counts.iter().sum());
        Ok(())
    }

    /// Notes what kept a mailbox from being fetched.
    pub fn failed(&mut self, mailbox: &str, err: anyhow::Error) -> End {
        let end = End::Failed {
            name: incidents::name_of(&err, mailbox),
            why: incidents::in_short(&err),
            is_refusal: incidents::is_refusal(&err),
        };
        self.of_mailboxes.push((mailbox.to_owned(), err));
        end
    }
}

/// Another host may have taken the mailbox over.
pub fn is_lost(err: &anyhow::Error) -> bool {
    cause_of(err) == Some(Cause::LeaseLost)
}

/// Another host has. Where that cannot be asked it is not known, and what failed is told.
pub fn is_anothers(store: &Store, lock: &Taken) -> bool {
    store
        .was_taken_over(lock)
        .is_ok_and(|is_anothers| is_anothers)
}
