//! A run: every mailbox once, the urgent ones first, several at a time.

use super::done::{Done, Ended, is_anothers, is_lost};
use super::plan::{Orders, Plan, Task, Work, plan};
use super::share::{Share, Turn};
use super::verdict::{held, passed_over, waits};
use super::{
    Job, Kept, Reporter, Tally, audit, delivery_id, destination_waits, fetch_mailbox,
    is_of_delivery, list, mailbox_key,
};
use crate::fault::{Fault, Scene};
use crate::incidents::Seen;
use crate::mail::Mailbox;
use crate::means::Means;
use crate::model::{AfterFetch, Recording};
use crate::office::Office;
use crate::reach::{Mailboxes, ReadWay, Wanted};
use crate::state::{Holder, Lock, LockName, Ran, Store, Taken, WaitName};
use crate::workers;
use anyhow::{Context as _, Result};
use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// A server that asks for a longer wait is asked again after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// So often is what waits to be put on record looked at.
const TIDY: Duration = Duration::from_millis(500);

/// What the tasks share.
struct Run<'a> {
    means: Means,
    store: &'a Store,
    mailboxes: Mailboxes<'a>,
    orders: &'a Orders<'a>,
    reporter: &'a dyn Reporter,
}

/// Fetches the mailboxes that were asked for, or looks into them, and records how it went.
///
/// # Errors
/// Why nothing could be begun; what went wrong with single mailboxes is in what was done.
pub fn run(
    means: &Means,
    office: &Office<'_>,
    store: &Store,
    orders: &Orders<'_>,
    reporter: &dyn Reporter,
) -> Result<Done> {
    let means = means.until(orders.deadline);
    let Plan {
        tasks,
        without_place,
    } = plan(office, store, orders)?;
    let run = Run {
        store,
        mailboxes: Mailboxes::new(&means, office, store),
        means,
        orders,
        reporter,
    };
    let mut done = match store.is_shared() && orders.can_be_shared() {
        true => run.due(&tasks),
        false => run.all(&tasks),
    };
    for (address, err) in without_place {
        let mailbox = mailbox_key(&address);
        let end = done.failed(&mailbox, err);
        let why = end.why().map(str::to_owned);
        done.runs.push(Ran::new(mailbox.clone(), why));
        done.seen.push(Seen::of(mailbox, end));
    }
    done.errors
        .extend(store.record_runs(&done.runs, store.now()).err());
    if orders.work != Work::List {
        done.errors.extend(tidy(store, office.recording()).err());
    }
    Ok(done)
}

fn locked<T>(of_all: &Mutex<T>) -> MutexGuard<'_, T> {
    of_all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what is old, and removes the octets of messages that are not in quarantine any more.
fn tidy(store: &Store, recording: Recording) -> Result<()> {
    if !store.tidy(recording, store.now())? {
        return Ok(());
    }
    Kept::new(store).tidy(|| {
        let unfinished = store.unfinished()?;
        Ok(unfinished
            .iter()
            .map(|m| delivery_id(&m.address, &m.folder, m.epoch, &m.remote))
            .collect())
    })
}

impl Run<'_> {
    /// Runs all tasks, several at a time, in order of their start.
    fn all(&self, tasks: &[Task<'_>]) -> Done {
        let done = Mutex::new(Done::default());
        let workers = self.orders.jobs.clamp(1, tasks.len().max(1));
        workers::share(workers, tasks.iter(), |tasks| {
            for task in tasks {
                if self.orders.deadline.is_some_and(|d| Instant::now() >= d) {
                    return;
                }
                let lock = || self.lock(task);
                let ran = self.timed(task, false, &done, lock);
                locked(&done).runs.extend(ran);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.mailboxes = tasks.len();
        done
    }

    /// Runs those that are due, shared with the other hosts, several at a time.
    fn due(&self, tasks: &[Task<'_>]) -> Done {
        let share = Share::new(self.store, tasks, self.orders);
        let done = Mutex::new(Done::default());
        // Of those whose time was over before they were fetched, the last claim.
        let lost: Mutex<HashMap<String, Taken>> = Mutex::default();
        let began = Instant::now();
        // Nothing is sent: that all who could send are gone says that all is done.
        let (working, all_done) = mpsc::channel::<()>();
        let work = |_: mpsc::Sender<()>| {
            loop {
                let Turn {
                    task,
                    claimed,
                    is_again,
                } = match share.next() {
                    Ok(Some(turn)) => turn,
                    Ok(None) => return,
                    Err(err) => return locked(&done).errors.push(err),
                };
                let lock = || Ok(Ok(&claimed.lock));
                let ran = self.timed(task, is_again, &done, lock);
                if claimed.lock.check().is_err() {
                    locked(&lost).insert(claimed.mailbox.clone(), claimed.lock.taken());
                }
                share.visited(claimed, ran);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.orders.jobs.clamp(1, tasks.len().max(1)) {
                let working = working.clone();
                // Fewer do where the system gives no more threads.
                if Builder::new()
                    .spawn_scoped(scope, || work(working))
                    .is_err()
                {
                    break;
                }
            }
            let share = &share;
            let _ = Builder::new().spawn_scoped(scope, move || {
                while all_done.recv_timeout(TIDY) == Err(RecvTimeoutError::Timeout) {
                    // What fails here is tried again at the end.
                    let _ = share.tidy();
                }
            });
            work(working);
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mailboxes, ended) = share.finish();
        done.mailboxes = mailboxes;
        done.errors.extend(ended.err());
        let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.leave_to_others(self.store, lost);
        if done.tally.failed > 0 {
            let took = i64::try_from(began.elapsed().as_secs() + 1).unwrap_or(i64::MAX);
            let counted = done.count_failed(self.store, self.store.now() - took);
            done.errors.extend(counted.err());
        }
        done
    }

    /// Fetches, lists or audits one mailbox under a lock, and notes how it went.
    fn timed<L: Borrow<Lock>>(
        &self,
        task: &Task<'_>,
        is_again: bool,
        done: &Mutex<Done>,
        lock: impl FnOnce() -> Result<Result<L, Holder>>,
    ) -> Option<Ran> {
        let (mut tally, began) = (Tally::default(), Instant::now());
        let result = lock().and_then(|lock| match lock {
            Ok(lock) => self.one(task, lock.borrow(), &mut tally),
            Err(holder) => self.left_alone(task, held(&task.job, &holder)),
        });
        let sign_in = self.mailboxes.subject(&task.entry).ok();
        let took = began.elapsed();
        locked(done).take(&task.job, is_again, sign_in, tally, took, result)
    }

    /// Takes the mailbox, or says who has it.
    fn lock(&self, task: &Task<'_>) -> Result<Result<Lock, Holder>> {
        let mailbox = &*mailbox_key(&task.job.address);
        self.store.lock(LockName::Fetch { mailbox })
    }

    /// Fetches, lists or audits one mailbox, unless there is a reason to leave it alone.
    fn one(&self, task: &Task<'_>, lock: &Lock, tally: &mut Tally) -> Result<Ended> {
        let job = &task.job;
        // The way that is gone last, for what an error says.
        let way = Cell::default();
        let scene = || Scene {
            doing: format!("cannot fetch `{}` (queue `{}`)", job.address, job.queue),
            ..self.mailboxes.scene(&task.entry, way.get())
        };
        if matches!(self.orders.work, Work::List | Work::Audit) {
            let looked = self.look_into(task, lock, &way).with_context(scene);
            return looked.map(|()| Ended::Otherwise);
        }
        let mailbox = &*mailbox_key(&job.address);
        let wait = WaitName::Mailbox(mailbox);
        if let Some(wait) = self.store.wait(wait, self.store.clock())? {
            return self.left_alone(task, waits(job, &wait));
        }
        let before = *tally;
        let mut result = self.fetch(task, lock, &way, tally);
        if let Err(err) = &result
            && *tally == before
            && !is_of_delivery(err)
            && self
                .mailboxes
                .mend(&Wanted::of(&task.entry, &job.after), err)?
        {
            self.means
                .observer
                .step(&format!("`{}`: {err:#}; trying again", job.address));
            result = self.fetch(task, lock, &way, tally);
        }
        match result {
            Err(err) if destination_waits(&err) && !task.named => {
                self.pass_over(&format!("`{}`: {err:#}", job.address));
                Ok(Ended::Otherwise)
            }
            Err(err) if is_lost(&err) && !task.named && is_anothers(self.store, &lock.taken()) => {
                self.pass_over(&format!(
                    "`{}`: another host has taken it over",
                    job.address
                ));
                Ok(Ended::Left)
            }
            Err(err) => {
                self.remember_wait(job, &err)?;
                Err(err).with_context(scene)
            }
            Ok(()) => Ok(Ended::Fetched),
        }
    }

    /// Lists or audits one mailbox.
    fn look_into(&self, task: &Task<'_>, lock: &Lock, way: &Cell<ReadWay>) -> Result<()> {
        let wanted = Wanted::of(&task.entry, &AfterFetch::Keep);
        let mut opened = self.mailboxes.open(&wanted, false, way)?;
        let mailbox = opened.mailbox();
        let done = match self.orders.work {
            Work::Audit => self.account(&task.job, lock, mailbox),
            _ => self.list(&task.job, mailbox),
        };
        mailbox.close();
        done
    }

    /// Fetches one mailbox within the time that it has.
    fn fetch(
        &self,
        task: &Task<'_>,
        lock: &Lock,
        way: &Cell<ReadWay>,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut job = task.job.clone();
        if let Some(end) = self
            .orders
            .budget_each
            .map(|longest| Instant::now() + longest)
        {
            job.deadline = Some(job.deadline.map_or(end, |all| all.min(end)));
        }
        fetch_mailbox(
            &job,
            self.store,
            lock,
            &mut |stale_token| {
                let wanted = Wanted::of(&task.entry, &job.after);
                Ok(self.mailboxes.open(&wanted, stale_token, way)?.into())
            },
            self.reporter,
            tally,
        )
    }

    /// Passes over a mailbox for a harmless reason; an error only for who named it.
    fn left_alone(&self, task: &Task<'_>, why: Fault) -> Result<Ended> {
        if task.named {
            return Err(why.into());
        }
        self.pass_over(&why.what);
        Ok(Ended::Otherwise)
    }

    fn pass_over(&self, why: &str) {
        self.means.observer.step(&format!("{why}; skipped"));
    }

    /// A wait that the mailbox's server asked for holds for the next run too. That of a destination
    /// is on record where it was asked for, and others may be delivered to another.
    fn remember_wait(&self, job: &Job, err: &anyhow::Error) -> Result<()> {
        if is_of_delivery(err) {
            return Ok(());
        }
        let Some((fault, wait)) = err
            .downcast_ref::<Fault>()
            .and_then(|f| Some((f, f.retry_after?)))
        else {
            return Ok(());
        };
        let (wait, now) = (wait.min(LONGEST_WAIT), self.store.clock());
        let mailbox = mailbox_key(&job.address);
        self.store
            .keep_wait(WaitName::Mailbox(&mailbox), wait, &fault.what, now)
    }

    /// Tells what became of every message on the server.
    fn account(&self, job: &Job, lock: &Lock, mailbox: &mut dyn Mailbox) -> Result<()> {
        let mut missed = 0;
        let all = audit(job, self.store, lock, mailbox, self.store.now(), |audit| {
            missed += audit.unaccounted.count();
            self.reporter.audited(job, audit)
        });
        match missed {
            0 => all,
            n => Err(passed_over(job, n).into()),
        }
    }

    /// Tells what would be fetched.
    fn list(&self, job: &Job, mailbox: &mut dyn Mailbox) -> Result<()> {
        list(job, self.store, mailbox, |listing| {
            self.reporter.would_fetch(job, listing)
        })
    }
}
