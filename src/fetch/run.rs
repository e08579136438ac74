//! A run: every mailbox once, the urgent ones first, several at a time.

use super::plan::{Orders, Plan, Task, Work, plan};
use super::verdict::{held, passed_over, waits};
use super::{
    Job, Kept, Reporter, Tally, audit, delivery_id, destination_waits, fetch_mailbox,
    is_of_delivery, list, mailbox_key,
};
use crate::fault::{Fault, Scene};
use crate::incidents::{self, End, Seen};
use crate::mail::Mailbox;
use crate::means::Means;
use crate::model::AfterFetch;
use crate::office::Office;
use crate::reach::{Mailboxes, ReadWay, Wanted};
use crate::state::{Lock, LockName, Ran, Store, WaitName};
use crate::workers;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server that asks for a longer wait is asked again after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How a task ended that did not fail.
enum Ended {
    Fetched,
    /// Passed over, listed or audited.
    Otherwise,
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
    runs: Vec<Ran>,
}

impl Done {
    fn take(
        &mut self,
        job: &Job,
        sign_in: Option<String>,
        tally: Tally,
        took: Duration,
        result: Result<Ended>,
    ) {
        self.tally.add(&tally);
        let mailbox = mailbox_key(&job.address);
        let end = match result {
            Ok(Ended::Fetched) => End::Well,
            Ok(Ended::Otherwise) => End::Passed,
            Err(err) => self.failed(&mailbox, err),
        };
        if end != End::Passed {
            self.runs.push(Ran {
                mailbox: mailbox.clone(),
                error: end.why().map(str::to_owned),
                took: u64::try_from(took.as_millis()).ok(),
                fetched: tally.fetched,
                failed: tally.failed,
                quarantined: tally.quarantined,
            });
        }
        self.seen.push(Seen {
            mailbox,
            sign_in,
            end,
            messages: tally.failed + tally.quarantined,
        });
    }

    fn failed(&mut self, mailbox: &str, err: anyhow::Error) -> End {
        let end = End::Failed {
            name: incidents::name_of(&err, mailbox),
            why: incidents::in_short(&err),
            is_refusal: incidents::is_refusal(&err),
        };
        self.of_mailboxes.push((mailbox.to_owned(), err));
        end
    }
}

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
    tidy(store)?;
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
    let mut done = run.all(&tasks);
    done.mailboxes = tasks.len();
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
        done.errors.extend(store.forget_left(store.now()).err());
        let forgotten = store.forget_history(office.recording(), store.now());
        done.errors.extend(forgotten.err());
    }
    Ok(done)
}

/// Removes the octets of messages that are not in quarantine any more.
fn tidy(store: &Store) -> Result<()> {
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
                let (mut tally, began) = (Tally::default(), Instant::now());
                let result = self.one(task, &mut tally);
                let sign_in = self.mailboxes.subject(&task.entry).ok();
                let took = began.elapsed();
                done.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(&task.job, sign_in, tally, took, result);
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches, lists or audits one mailbox, unless there is a reason to leave it alone.
    fn one(&self, task: &Task<'_>, tally: &mut Tally) -> Result<Ended> {
        let job = &task.job;
        // The way that is gone last, for what an error says.
        let way = Cell::default();
        let scene = || Scene {
            doing: format!("cannot fetch `{}` (queue `{}`)", job.address, job.queue),
            ..self.mailboxes.scene(&task.entry, way.get())
        };
        let mailbox = &*mailbox_key(&job.address);
        let lock = match self.store.lock(LockName::Fetch { mailbox })? {
            Ok(lock) => lock,
            Err(holder) => return self.left_alone(task, held(job, &holder)),
        };
        let work = self.orders.work;
        if matches!(work, Work::List | Work::Audit) {
            let mut opened = self
                .mailboxes
                .open(&Wanted::of(&task.entry, &AfterFetch::Keep), false, &way)
                .with_context(scene)?;
            let mailbox = opened.mailbox();
            let done = match work {
                Work::Audit => self.account(job, &lock, mailbox),
                _ => self.list(job, mailbox),
            };
            mailbox.close();
            return done.with_context(scene).map(|()| Ended::Otherwise);
        }
        let wait = WaitName::Mailbox(mailbox);
        if let Some(wait) = self.store.wait(wait, Timestamp::now())? {
            return self.left_alone(task, waits(job, &wait));
        }
        let before = *tally;
        let mut result = self.fetch(task, &lock, &way, tally);
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
            result = self.fetch(task, &lock, &way, tally);
        }
        match result {
            Err(err) if destination_waits(&err) && !task.named => {
                self.pass_over(&format!("`{}`: {err:#}", job.address));
                Ok(Ended::Otherwise)
            }
            Err(err) => {
                self.remember_wait(job, &err)?;
                Err(err).with_context(scene)
            }
            Ok(()) => Ok(Ended::Fetched),
        }
    }

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
        let job = &job;
        fetch_mailbox(
            job,
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
        let (wait, now) = (wait.min(LONGEST_WAIT), Timestamp::now());
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
