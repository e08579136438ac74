//! `fetch`: every mailbox once, the urgent ones first, several at a time.

mod changes;
mod plan;
mod progress;
mod words;

use super::Context;
use crate::cli::{FetchArgs, Report};
use crate::config::{self, AfterFetch, IncomingVia, MailboxEntry};
use crate::fault::{Errors, Fault, Scene};
use crate::fetch::{self, Job, Tally};
use crate::http;
use crate::incidents::{self, End, Seen, Watch};
use crate::mail::Mailbox;
use crate::means::Means;
use crate::output::Output;
use crate::reach::{Mailboxes, ReadWay, Wanted};
use crate::state::{LockName, Ran, Store, WaitName};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use plan::Plan;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use words::ReportTo;

/// A server that asks for a longer wait is asked again after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// One mailbox of this run.
struct Task<'a> {
    entry: MailboxEntry<'a>,
    job: Job,
    /// It, or its queue, was named on the command line: being unable to fetch it is then an
    /// error, even for a harmless reason.
    named: bool,
}

/// How a task ended that did not fail.
enum Ended {
    Fetched,
    /// Passed over, listed or audited.
    Otherwise,
}

/// What all tasks did.
#[derive(Default)]
struct Done {
    tally: Tally,
    /// What kept mailboxes (in lower case) from being fetched.
    errors: Vec<(String, anyhow::Error)>,
    /// How it went with each mailbox.
    seen: Vec<Seen>,
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
        let mailbox = fetch::mailbox_key(&job.address);
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
        self.errors.push((mailbox.to_owned(), err));
        end
    }
}

/// What the tasks share.
struct Run<'a> {
    output: Output,
    store: &'a Store,
    mailboxes: Mailboxes<'a>,
    report_to: ReportTo<'a>,
    dry_run: bool,
    audit: bool,
    deadline: Option<Instant>,
    /// The longest time for each mailbox.
    budget_each: Option<Duration>,
}

pub fn run(context: &Context, args: &FetchArgs) -> Result<(), Errors> {
    let config = config::load(&context.config_path)?;
    let servers = config.incoming_servers.iter();
    let by_https = servers.filter(|server| server.via == IncomingVia::Graph);
    let _preparation = http::prepare(by_https.map(|server| server.ca_file.clone()));
    let store = context.store()?;
    tidy(&store)?;
    let start = Instant::now();
    let deadline = args
        .budget
        .map(|seconds| start + Duration::from_secs(seconds.into()));
    let by_change = args.report == Report::Changes;
    let output = match by_change {
        true => changes::silent(context.output),
        false => context.output,
    };
    let means = Means {
        observer: Arc::new(output),
        ..context.means.until(deadline)
    };
    let Plan { tasks, homeless } =
        plan::plan(&config, &store, args, context.output.json, deadline)?;
    let run = Run {
        output,
        store: &store,
        mailboxes: Mailboxes::new(&means, &config, &store),
        report_to: ReportTo::new(&output),
        dry_run: args.dry_run,
        audit: args.audit,
        deadline,
        budget_each: args
            .budget_each
            .map(|seconds| Duration::from_secs(seconds.into())),
    };
    let mut done = run.all(&tasks, args.jobs);
    run.report_to.end();
    for (address, err) in homeless {
        let mailbox = fetch::mailbox_key(&address);
        let end = done.failed(&mailbox, err);
        let why = end.why().map(str::to_owned);
        done.runs.push(Ran::new(mailbox.clone(), why));
        done.seen.push(Seen::of(mailbox, end));
    }
    let mut others = Vec::new();
    others.extend(store.record_runs(&done.runs, fetch::now()).err());
    if !args.dry_run {
        others.extend(store.forget_left(fetch::now()).err());
    }
    let Done {
        tally,
        errors,
        seen,
        ..
    } = done;
    let of_messages = words::of_messages(&tally);
    let mut notices = Vec::new();
    if !args.dry_run && !args.audit {
        words::summary(&output, &tally, tasks.len(), start.elapsed())?;
        let is_well = errors.is_empty() && of_messages.is_empty() && others.is_empty();
        match Watch::new(&means, &config, &store).after_run(seen, is_well) {
            Ok(told) => notices = told,
            Err(err) => others.push(err),
        }
    }
    let mut all = match by_change {
        true => changes::tell(&output, &notices, errors, of_messages)?,
        false => errors
            .into_iter()
            .map(|(_, err)| err)
            .chain(of_messages)
            .collect(),
    };
    all.extend(others);
    Errors::none_or(all)
}

/// Removes the octets of messages that are not in quarantine any more.
fn tidy(store: &Store) -> Result<()> {
    fetch::Kept::new(store).tidy(|| {
        let unfinished = store.unfinished()?;
        Ok(unfinished
            .iter()
            .map(|m| fetch::delivery_id(&m.address, &m.folder, m.epoch, &m.remote))
            .collect())
    })
}

impl Run<'_> {
    /// Runs all tasks, at most `jobs` at a time, in order of their start.
    fn all(&self, tasks: &[Task<'_>], jobs: usize) -> Done {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Done::default());
        let work = || {
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.deadline.is_some_and(|d| Instant::now() >= d) {
                    return;
                }
                let (mut tally, began) = (Tally::default(), Instant::now());
                let result = self.one(task, &mut tally);
                let sign_in = self.mailboxes.subject(&task.entry).ok();
                done.lock().unwrap_or_else(PoisonError::into_inner).take(
                    &task.job,
                    sign_in,
                    tally,
                    began.elapsed(),
                    result,
                );
            }
        };
        let workers = jobs.clamp(1, tasks.len().max(1));
        if workers == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(work);
                }
            });
        }
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
        let mailbox = &*fetch::mailbox_key(&job.address);
        let _lock = match self.store.lock(LockName::Fetch { mailbox })? {
            Ok(lock) => lock,
            Err(holder) => return self.left_alone(task, words::held(job, &holder)),
        };
        if self.dry_run || self.audit {
            let mut opened = self
                .mailboxes
                .open(&Wanted::of(&task.entry, &AfterFetch::Keep), false, &way)
                .with_context(scene)?;
            let mailbox = opened.mailbox();
            let done = match self.audit {
                true => self.account(job, mailbox),
                false => self.list(job, mailbox),
            };
            mailbox.close();
            return done.with_context(scene).map(|()| Ended::Otherwise);
        }
        let wait = WaitName::Mailbox(mailbox);
        if let Some(wait) = self.store.wait(wait, Timestamp::now())? {
            return self.left_alone(task, words::waits(job, &wait));
        }
        let before = *tally;
        let mut result = self.fetch(task, &way, tally);
        if let Err(err) = &result
            && *tally == before
            && !fetch::is_of_delivery(err)
            && self
                .mailboxes
                .mend(&Wanted::of(&task.entry, &job.after), err)?
        {
            self.output
                .step(&format!("`{}`: {err:#}; trying anew", job.address));
            result = self.fetch(task, &way, tally);
        }
        result
            .or_else(|err| {
                self.remember_wait(job, &err)?;
                Err(err)
            })
            .with_context(scene)
            .map(|()| Ended::Fetched)
    }

    fn fetch(&self, task: &Task<'_>, way: &Cell<ReadWay>, tally: &mut Tally) -> Result<()> {
        let mut job = task.job.clone();
        if let Some(end) = self.budget_each.map(|longest| Instant::now() + longest) {
            job.deadline = Some(job.deadline.map_or(end, |all| all.min(end)));
        }
        let job = &job;
        fetch::fetch_mailbox(
            job,
            self.store,
            &mut |stale_token| {
                let wanted = Wanted::of(&task.entry, &job.after);
                Ok(self.mailboxes.open(&wanted, stale_token, way)?.into())
            },
            &self.report_to,
            tally,
        )
    }

    /// Passes over a mailbox for a harmless reason; an error only for who named it.
    fn left_alone(&self, task: &Task<'_>, why: Fault) -> Result<Ended> {
        if task.named {
            return Err(why.into());
        }
        self.output.step(&format!("{}; passed over", why.what));
        Ok(Ended::Otherwise)
    }

    /// A wait that the server asked for holds for the next run too.
    fn remember_wait(&self, job: &Job, err: &anyhow::Error) -> Result<()> {
        let Some((fault, wait)) = err
            .downcast_ref::<Fault>()
            .and_then(|f| Some((f, f.retry_after?)))
        else {
            return Ok(());
        };
        let (wait, now) = (wait.min(LONGEST_WAIT), Timestamp::now());
        let mailbox = fetch::mailbox_key(&job.address);
        self.store
            .keep_wait(WaitName::Mailbox(&mailbox), wait, &fault.what, now)
    }

    /// Prints what became of every message on the server.
    fn account(&self, job: &Job, mailbox: &mut dyn Mailbox) -> Result<()> {
        let mut passed_over = 0;
        let all = fetch::audit(job, self.store, mailbox, fetch::now(), |audit| {
            passed_over += audit.unaccounted.count();
            words::audited(&self.output, job, audit)
        });
        match passed_over {
            0 => all,
            n => Err(words::passed_over(job, n).into()),
        }
    }

    /// Prints what would be fetched.
    fn list(&self, job: &Job, mailbox: &mut dyn Mailbox) -> Result<()> {
        let output = &self.output;
        fetch::list(job, self.store, mailbox, |folder, epoch, ids| {
            words::would_fetch(output, job, folder, epoch, ids)
        })
    }
}
