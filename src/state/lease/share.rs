//! Mailboxes that several hosts share: which of them are due, claims of several at once, and the end
//! of what was claimed, which is sent with the next claim.
//!
//! When a mailbox was claimed last stays in its lease. So no host needs to know of any other: the next
//! one that looks sees what is due, and of what several claim at the same moment each gets a part.

use super::super::card::{CARDS, Card, note};
use super::super::health::{Ran, write_runs};
use super::super::lock::{Lock, Locks};
use super::super::{LockName, Store};
use super::{
    CLAIM, Error, Held, KNOW, Leases, Names, Ours, RELEASE, SWEEP_AGAIN, lock, millis, ours, write,
};
use crate::state::db::{Durable, Sql, Tx, values};
use crate::state::moment::Moment;
use anyhow::Result;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What stands between two names of leases.
const SEPARATOR: &str = "\n";

/// A mailbox that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its place among those that were asked for.
    pub index: usize,
    /// So many seconds ago a host began to fetch it; `None`: none ever did.
    pub ago: Option<u64>,
}

/// A mailbox that this process has to itself.
#[derive(Debug)]
pub struct Claimed {
    /// The address in lower case.
    pub mailbox: String,
    pub lock: Lock,
    /// When it was claimed before, in Unix microseconds.
    before: Option<i64>,
}

/// A claim that is over.
#[derive(Debug)]
pub struct Ended {
    claimed: Claimed,
    /// The mailbox was fetched, passed over or could not be fetched; else another host may do so at
    /// once.
    was_visited: bool,
    ran: Option<Ran>,
}

impl Claimed {
    /// The mailbox was visited; `ran` is how, where that is to be on record.
    pub fn visited(self, ran: Option<Ran>) -> Ended {
        Ended {
            claimed: self,
            was_visited: true,
            ran,
        }
    }

    /// The mailbox was not visited, or not for as long as that took, and is as due as it was before,
    /// unless another host has it by now.
    pub fn given_back(self, ran: Option<Ran>) -> Ended {
        Ended {
            claimed: self,
            was_visited: false,
            ran,
        }
    }
}

impl Ended {
    /// Nothing more is done about its lease: its end is on record, or comes by itself.
    pub fn forget(self) {
        self.claimed.lock.forget();
    }
}

impl Store {
    /// Which of these mailboxes (in lower case) nobody fetches, and nobody has begun to fetch for so
    /// long, once the end of these claims is on record. `ended` is empty then. The hosts that share
    /// the state see that this one is at work.
    pub fn due_mailboxes(
        &self,
        mailboxes: &[String],
        every: Duration,
        ended: &mut Vec<Ended>,
    ) -> Result<Vec<Due>> {
        let Locks::Leases(leases) = &self.locks else {
            let all = 0..mailboxes.len();
            return Ok(all.map(|index| Due { index, ago: None }).collect());
        };
        leases.due(&names(mailboxes), every, ended, self.time_of(ended))
    }

    /// Claims those of these mailboxes that are still due, so many at most and the first ones first,
    /// and puts the end of earlier claims on record with it. `ended` is empty then. Where nothing is
    /// to be claimed it is not waited for that this survives a power cut.
    pub fn claim_mailboxes(
        &self,
        mailboxes: &[String],
        every: Duration,
        most: usize,
        ended: &mut Vec<Ended>,
    ) -> Result<Vec<Claimed>> {
        match &self.locks {
            Locks::Leases(leases) => {
                let now = self.time_of(ended);
                let claimed = leases.claim_due(mailboxes, every, most, ended, now)?;
                if !claimed.is_empty() {
                    leases.beat();
                }
                let kept = claimed.into_iter().map(|(claimed, card)| {
                    self.keep_card(&claimed.mailbox, card);
                    claimed
                });
                Ok(kept.collect())
            }
            Locks::Files(_) => Ok(Vec::new()),
        }
    }

    /// When these claims end, where there are any: now. Their cards are over, too.
    fn time_of(&self, ended: &[Ended]) -> i64 {
        for one in ended {
            self.drop_card(&one.claimed.mailbox);
        }
        match ended.is_empty() {
            true => 0,
            false => self.now(),
        }
    }
}

impl Leases {
    fn due(
        &self,
        names: &str,
        every: Duration,
        ended: &mut Vec<Ended>,
        now: i64,
    ) -> Result<Vec<Due>> {
        let held = &self.0;
        let looked = |tx: &mut Tx<'_>| {
            held.end(tx, ended, now)?;
            held.sign(tx)?;
            let mut due = Vec::new();
            let values = values![names, SEPARATOR, millis(every)];
            tx.last(&[(&LOOK, &values)], &mut |_, row| {
                let place: i64 = row.get(0)?;
                let ago: Option<i64> = row.get(1)?;
                let one = Due {
                    index: usize::try_from(place - 1).unwrap_or_default(),
                    ago: ago.map(|ago| u64::try_from(ago).unwrap_or_default()),
                };
                due.push((one, row.get::<bool>(2)?));
                Ok(())
            })?;
            Ok(due)
        };
        let due: Vec<(Due, bool)> = write(&held.db, Durable::InPassing, looked)?;
        held.has_signed();
        ended.drain(..).for_each(Ended::forget);
        if due.iter().any(|(_, is_known)| !is_known) {
            let know = |tx: &mut Tx<'_>| tx.later(&KNOW, &values![names, SEPARATOR]);
            write(&held.db, Durable::Now, know)?;
        }
        Ok(due.into_iter().map(|(due, _)| due).collect())
    }

    fn claim_due(
        &self,
        mailboxes: &[String],
        every: Duration,
        most: usize,
        ended: &mut Vec<Ended>,
        now: i64,
    ) -> Result<Vec<(Claimed, Card)>> {
        let held = &self.0;
        if mailboxes.is_empty() && ended.is_empty() {
            return Ok(Vec::new());
        }
        let durable = match mailboxes.is_empty() {
            true => Durable::InPassing,
            false => Durable::Now,
        };
        let mut sent = Moment::now();
        let (claimed, cards) = write(&held.db, durable, |tx| {
            held.end(tx, ended, now)?;
            if mailboxes.is_empty() {
                return Ok((Vec::new(), HashMap::new()));
            }
            held.sign(tx)?;
            sent = Moment::now();
            held.claim_with_cards(tx, mailboxes, every, most)
        })?;
        if !mailboxes.is_empty() {
            held.has_signed();
        }
        ended.drain(..).for_each(Ended::forget);
        Ok(self.hold_all(mailboxes, claimed, cards, sent))
    }

    /// Notes that leases are this process's, by a claim that was sent then; in the order of the
    /// mailboxes.
    fn hold_all(
        &self,
        mailboxes: &[String],
        claimed: Vec<Ours>,
        mut cards: HashMap<String, Card>,
        sent: Moment,
    ) -> Vec<(Claimed, Card)> {
        let mut ours: HashMap<String, Ours> = claimed
            .into_iter()
            .map(|ours| (ours.name.clone(), ours))
            .collect();
        let held = mailboxes.iter().filter_map(|mailbox| {
            let ours = ours.remove(&name(mailbox))?;
            let claimed = Claimed {
                mailbox: mailbox.clone(),
                before: ours.before,
                lock: Lock::of_lease(self.hold(ours, sent)),
            };
            Some((claimed, cards.remove(mailbox).unwrap_or_default()))
        });
        held.collect()
    }
}

impl Held {
    /// Claims those of these mailboxes that are still due; with what is on record of them.
    fn claim_with_cards(
        &self,
        tx: &mut Tx<'_>,
        mailboxes: &[String],
        every: Duration,
        most: usize,
    ) -> Result<(Vec<Ours>, HashMap<String, Card>), Error> {
        // What this process already has is none of these, unless the answer of a claim was lost.
        let free: Vec<String> = {
            let leases = self.leases();
            let is_free = |mailbox: &&String| !leases.contains_key(&name(mailbox));
            mailboxes.iter().filter(is_free).cloned().collect()
        };
        let names = Names {
            text: &names(&free),
            separator: SEPARATOR,
        };
        let again = tx.is_repeat();
        if self.sweeps() || again {
            self.end_sessions(tx, &names)?;
        }
        let claims = self.claims(&names, again, Some(millis(every)), most as u64);
        let of_ours = values![names.text, SEPARATOR, &self.run.id];
        let (mut claimed, mut cards) = (Vec::new(), HashMap::new());
        tx.last(
            &[(&CLAIM, &claims), (&CARDS, &of_ours)],
            &mut |number, row| match number {
                0 => {
                    claimed.push(ours(row)?);
                    Ok(())
                }
                _ => note(&mut cards, row),
            },
        )?;
        Ok((claimed, cards))
    }

    /// True where it is time to look for sessions of holders that vanished.
    fn sweeps(&self) -> bool {
        let mut swept = lock(&self.swept);
        let is_recent = |at: &Moment| at.elapsed() < SWEEP_AGAIN;
        if swept.as_ref().is_some_and(is_recent) {
            return false;
        }
        *swept = Some(Moment::now());
        true
    }

    /// Lets others have what is over, and says how it went.
    fn end(self: &Arc<Held>, tx: &mut Tx<'_>, ended: &[Ended], now: i64) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        let runs = || ended.iter().filter_map(|one| one.ran.as_ref());
        let messages: u64 = runs().map(|ran| ran.fetched).sum();
        let visited = ended.iter().filter(|one| one.was_visited).count();
        // This row first and then the leases in the order of their names, as the heartbeat does:
        // neither waits for a row that the other one has changed before it.
        let count = values![&self.run.id, visited as u64, messages];
        tx.later(&COUNT, &count)?;
        let fences = ended
            .iter()
            .filter_map(|one| Some((one, one.claimed.lock.fence()?)));
        let over = fences.map(|(one, fence)| {
            let before = one.claimed.before;
            values![&fence.name, fence.number, one.was_visited, before]
        });
        tx.many_later(&RELEASE, over)?;
        write_runs(tx, runs(), now)
    }
}

fn name(mailbox: &str) -> String {
    LockName::Fetch { mailbox }.to_string()
}

/// The names of their leases. An address has no line break.
fn names(mailboxes: &[String]) -> String {
    let names: Vec<String> = mailboxes.iter().map(|mailbox| name(mailbox)).collect();
    names.join(SEPARATOR)
}

/// Those that are due: their place, the seconds since they were claimed, and whether they were ever.
const LOOK: Sql = Sql::postgres(
    "SELECT wanted.place, floor(extract(epoch FROM clock_timestamp() - lease.claimed_at))::bigint,
            lease.name IS NOT NULL
     FROM unnest(string_to_array(?1, ?2)) WITH ORDINALITY AS wanted (name, place)
     LEFT JOIN lease ON lease.name = wanted.name
     WHERE lease.name IS NULL
        OR (lease.until < clock_timestamp()
            AND (lease.claimed_at IS NULL
                 OR lease.claimed_at <= clock_timestamp() - ?3 * interval '1 millisecond'))",
);

const COUNT: Sql = Sql::postgres(
    "UPDATE run SET seen = clock_timestamp(), mailboxes = mailboxes + ?2, messages = messages + ?3
     WHERE id = ?1",
);

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
