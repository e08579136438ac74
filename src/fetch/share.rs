//! Which mailboxes this host fetches of those that several hosts share.
//!
//! One look shows which are due: nobody fetches them, and nobody has begun to within `every`. Of them,
//! the most urgent ones first and among these the longest unvisited, a free job claims a few at a time
//! and fetches one after the other; other jobs take of them, too. Then it looks again, until nothing is
//! due or the run is over. There is no coordinator and no list of hosts: what another host has claimed
//! is not due. What a host cannot begin soon it gives back, so that another one may have it; for this
//! host it keeps its place.

use super::plan::Task;
use super::{Orders, mailbox_key};
use crate::state::{Claimed, Due, Ended, Ran, Store};
use anyhow::Result;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A job claims no more at a time.
const MOST: usize = 8;
/// So many times as many are offered to a claim: other hosts may have been faster.
const OFFERED: usize = 4;
/// A look that is older is made again: more urgent mailboxes may be due by now.
const FRESH: Duration = Duration::from_secs(30);
/// A run visits a mailbox again for so long: then it ends, so that people are told what fails and the
/// next run reads the configuration anew.
const AGAIN: Duration = Duration::from_secs(600);
/// What is over is on record after this time, though no claim takes it along.
const LATEST_END: Duration = Duration::from_secs(1);
/// After so many claims of which nothing was begun before its time was over, the database or this host
/// is too slow for anything.
const LATE_CLAIMS: u32 = 3;
/// A mailbox that is claimed and not begun is given back after this time.
const LATEST_BEGIN: Duration = Duration::from_secs(5);

/// The mailboxes of a run that shares them with other hosts.
pub struct Share<'a> {
    store: &'a Store,
    tasks: &'a [Task<'a>],
    /// What the state knows each by.
    mailboxes: Vec<String>,
    /// The place of each.
    index: HashMap<String, usize>,
    every: Duration,
    jobs: usize,
    deadline: Option<Instant>,
    began: Instant,
    /// Brings those that are alike into an order of this host.
    random: RandomState,
    now: Mutex<Now>,
}

/// The order of mailboxes: the priority, since when nobody has begun to fetch it (in seconds from the
/// start of the run), and an order of this host.
type Place = (u32, i64, u64);

/// How far it has come.
#[derive(Default)]
struct Now {
    /// What the last look has shown and nobody has claimed since, in the order in which it is to be.
    due: VecDeque<usize>,
    /// The place of each that a look has shown.
    places: HashMap<usize, Place>,
    looked: Option<Instant>,
    /// Something was claimed since the last look.
    has_claimed: bool,
    /// Claimed and not begun.
    claimed: VecDeque<(Instant, Claimed)>,
    /// So many claims, since one of them was begun.
    claims: u32,
    /// Over and not on record.
    ended: Vec<Ended>,
    oldest_end: Option<Instant>,
    /// What this run has visited.
    visited: HashSet<usize>,
    /// What was not its own for long enough to be fetched, once: it is visited again.
    lost: HashSet<usize>,
    again: HashSet<usize>,
    /// Nothing more is begun.
    is_over: bool,
}

/// A mailbox that is to be fetched now.
pub struct Turn<'a> {
    pub task: &'a Task<'a>,
    pub claimed: Claimed,
    /// It was fetched before in this run.
    pub is_again: bool,
}

impl<'a> Share<'a> {
    pub fn new(store: &'a Store, tasks: &'a [Task<'a>], orders: &Orders<'_>) -> Share<'a> {
        let mailboxes: Vec<String> = tasks
            .iter()
            .map(|task| mailbox_key(&task.job.address))
            .collect();
        let index = mailboxes.iter().enumerate();
        Share {
            store,
            tasks,
            index: index.map(|(index, own)| (own.clone(), index)).collect(),
            mailboxes,
            every: orders.every,
            jobs: orders.jobs.max(1),
            deadline: orders.deadline,
            began: Instant::now(),
            random: RandomState::new(),
            now: Mutex::default(),
        }
    }

    /// The next mailbox; `None`: there is none.
    ///
    /// # Errors
    /// The state's. Then nothing more is begun.
    pub fn next(&self) -> Result<Option<Turn<'a>>> {
        let mut now = self.now();
        let next = self.find(&mut now);
        if !matches!(next, Ok(Some(_))) {
            now.is_over = true;
        }
        next
    }

    /// A mailbox was visited; `ran` is how, where that is to be on record. One that was not fetched to
    /// its end for as long as it was held is due at once, unless another host has it by now.
    pub fn visited(&self, claimed: Claimed, ran: Option<Ran>) {
        let is_whole = ran.as_ref().is_some_and(Ran::is_whole);
        let mut now = self.now();
        let ended = match is_whole || claimed.lock.check().is_ok() {
            true => claimed.visited(ran),
            false => {
                let index = self.index.get(&claimed.mailbox).copied();
                if let Some(index) = index.filter(|index| now.lost.insert(*index)) {
                    now.again.insert(index);
                }
                claimed.given_back(ran)
            }
        };
        now.ended.push(ended);
        now.oldest_end.get_or_insert_with(Instant::now);
    }

    /// Puts on record what has waited too long for a claim to take it along, and gives back what was
    /// claimed and is not begun: jobs that take long must not keep others waiting.
    pub fn tidy(&self) -> Result<()> {
        let mut now = self.now();
        let begun_by = |(at, _): &(Instant, Claimed)| at.elapsed() < LATEST_BEGIN;
        let mut back = Vec::new();
        while let Some((_, claimed)) = now.claimed.pop_front_if(|one| !begun_by(one)) {
            back.extend(self.index.get(&claimed.mailbox).copied());
            self.give_back(&mut now, claimed);
        }
        if !back.is_empty() {
            // They can be claimed again once that is on record.
            self.end(&mut now)?;
            back.into_iter().for_each(|index| now.put_back(index));
        }
        match now.oldest_end {
            Some(oldest) if oldest.elapsed() >= LATEST_END => self.end(&mut now),
            _ => Ok(()),
        }
    }

    /// Puts the rest on record; gives the number of mailboxes that were visited.
    pub fn finish(self) -> (usize, Result<()>) {
        let mut now = self.now();
        while let Some((_, claimed)) = now.claimed.pop_front() {
            self.give_back(&mut now, claimed);
        }
        let ended = self.end(&mut now);
        // Where the database is away, their time ends.
        now.ended.drain(..).for_each(Ended::forget);
        (now.visited.len(), ended)
    }

    fn find(&self, now: &mut Now) -> Result<Option<Turn<'a>>> {
        while !now.is_over && self.deadline.is_none_or(|end| Instant::now() < end) {
            while let Some((_, claimed)) = now.claimed.pop_front() {
                let Some(&index) = self.index.get(&claimed.mailbox) else {
                    continue;
                };
                // One that lies too long may be another host's by now.
                if let Err(err) = claimed.lock.check() {
                    self.give_back(now, claimed);
                    match now.claims < LATE_CLAIMS {
                        true => continue,
                        false => return Err(err),
                    }
                }
                now.claims = 0;
                now.again.remove(&index);
                return Ok(Some(Turn {
                    task: &self.tasks[index],
                    claimed,
                    is_again: !now.visited.insert(index),
                }));
            }
            if now.due.is_empty() || now.looked.is_none_or(|at| at.elapsed() >= FRESH) {
                // Of what is due, a transaction of another host keeps the rest from this one.
                if now.looked.is_some() && !now.has_claimed && now.due.is_empty() {
                    return Ok(None);
                }
                self.look(now)?;
                if now.due.is_empty() {
                    return Ok(None);
                }
            }
            self.claim(now)?;
        }
        Ok(None)
    }

    fn look(&self, now: &mut Now) -> Result<()> {
        // What was given back is due again.
        let due = self
            .store
            .due_mailboxes(&self.mailboxes, self.every, &mut now.ended)?;
        now.oldest_end = None;
        let again = self.every > Duration::ZERO && self.began.elapsed() < AGAIN;
        let due = due.into_iter().filter(|one| {
            again || !now.visited.contains(&one.index) || now.again.contains(&one.index)
        });
        let elapsed = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        let place = |one: Due| {
            let ago = one.ago.map(|ago| i64::try_from(ago).unwrap_or(i64::MAX));
            let since = ago.map_or(i64::MIN, |ago| elapsed.saturating_sub(ago));
            let mailbox = &self.mailboxes[one.index];
            let priority = self.tasks[one.index].job.priority;
            (one.index, (priority, since, self.random.hash_one(mailbox)))
        };
        let mut due: Vec<(usize, Place)> = due.map(place).collect();
        due.sort_by_key(|(_, place)| *place);
        now.due = due.iter().map(|(index, _)| *index).collect();
        now.places.extend(due);
        now.looked = Some(Instant::now());
        now.has_claimed = false;
        Ok(())
    }

    /// Claims some of what is due; those before the last one of them are another host's.
    fn claim(&self, now: &mut Now) -> Result<()> {
        // The last ones are for whoever is free first.
        let most = now.due.len().div_ceil(2 * self.jobs).clamp(1, MOST);
        let offered: Vec<usize> = now.due.iter().take(most * OFFERED).copied().collect();
        let names: Vec<String> = offered.iter().map(|i| self.mailboxes[*i].clone()).collect();
        let claimed = self
            .store
            .claim_mailboxes(&names, self.every, most, &mut now.ended)?;
        now.oldest_end = None;
        let last = claimed.last().map(|last| &last.mailbox);
        let passed = match last {
            Some(last) if claimed.len() == most => {
                names.iter().position(|name| name == last).map(|at| at + 1)
            }
            _ => None,
        };
        now.due.drain(..passed.unwrap_or(offered.len()));
        now.has_claimed |= !claimed.is_empty();
        now.claims += u32::from(!claimed.is_empty());
        let at = Instant::now();
        now.claimed.extend(claimed.into_iter().map(|one| (at, one)));
        Ok(())
    }

    fn give_back(&self, now: &mut Now, claimed: Claimed) {
        now.ended.push(claimed.given_back(None));
        now.oldest_end.get_or_insert_with(Instant::now);
    }

    fn end(&self, now: &mut Now) -> Result<()> {
        self.store
            .claim_mailboxes(&[], self.every, 0, &mut now.ended)?;
        now.oldest_end = None;
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// Puts a mailbox among those that are due, where it would be after a look.
    fn put_back(&mut self, index: usize) {
        let place = self.places.get(&index);
        let before = |other: &usize| self.places.get(other) < place;
        let at = self.due.partition_point(before);
        self.due.insert(at, index);
    }
}
