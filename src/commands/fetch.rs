//! `fetch`: every mailbox once, the urgent ones first, several at a time.

use super::access::Access;
use super::{Context, provision};
use crate::cli::FetchArgs;
use super::reading::{Reading, Way};
use crate::config::{self, AfterFetch, Config, MailboxEntry, Target};
use crate::fault::{Errors, Fault, Kind, Scene};
use crate::fetch::{self, Delivered, Folder, Job, Reporter, Tally};
use crate::mail::{Mailbox, RemoteId};
use crate::output::Output;
use crate::state::{Holder, Store};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// One mailbox of this run.
struct Task<'a> {
    entry: MailboxEntry<'a>,
    job: Job,
    /// It, or its queue, was named on the command line: being unable to fetch it is then an
    /// error, even for a harmless reason.
    named: bool,
}

/// What the tasks share.
struct Run<'a> {
    context: &'a Context,
    config: &'a Config,
    store: &'a Store,
    access: Access<'a>,
    dry_run: bool,
    deadline: Option<Instant>,
}

pub fn run(context: &Context, args: &FetchArgs) -> Result<(), Errors> {
    let config = config::load(&context.config_path)?;
    let store = Store::open(&context.state_dir)?;
    let start = Instant::now();
    let deadline = args
        .budget
        .map(|seconds| start + Duration::from_secs(seconds.into()));
    let tasks = plan(&config, &store, args, deadline)?;
    let run = Run {
        context,
        config: &config,
        store: &store,
        access: Access::new(context, &config, &store),
        dry_run: args.dry_run,
        deadline,
    };
    let (tally, errors) = run.all(&tasks, args.jobs);
    if context.output.json {
        context.output.json(&json!({
            "event": "summary",
            "fetched": tally.fetched,
            "failed": tally.failed,
            "quarantined": tally.quarantined,
            "bytes": tally.octets,
            "seconds": (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        }))?;
    } else if !args.dry_run {
        context
            .output
            .step(&summary(&tally, &tasks, start.elapsed()));
    }
    conclude(tally, errors)
}

/// The mailboxes that were asked for, in ascending priority; equal ones in the file's order.
fn plan<'a>(
    config: &'a Config,
    store: &Store,
    args: &FetchArgs,
    deadline: Option<Instant>,
) -> Result<Vec<Task<'a>>> {
    let chosen = choose(config, &args.names)?;
    let target: Option<Target> = parse(args.deliver.as_deref(), "--deliver")?;
    let after: Option<AfterFetch> = parse(args.after.as_deref(), "--after")?;
    let since = parse(args.since.as_deref(), "--since")?;
    let spool = store.path().join("spool");
    crate::files::create_private_folder(&spool)?;
    let mut tasks = chosen
        .into_iter()
        .map(|entry| {
            let address = entry.address.address.as_str();
            let target = target
                .clone()
                .or_else(|| entry.deliver().cloned())
                .ok_or_else(|| {
                    Fault::config(format!(
                        "nothing says where the mail of `{address}` (queue `{}`) is to be delivered",
                        entry.queue.name
                    ))
                    .hint(format!(
                        "queuemail queue set {} --address {address} --deliver maildir:/var/mail/{}",
                        entry.queue.name, entry.queue.name
                    ))
                })?;
            Ok(Task {
                entry,
                named: !args.names.is_empty(),
                job: Job {
                    queue: entry.queue.name.clone(),
                    address: address.to_owned(),
                    priority: entry.priority().0,
                    language: entry.language().to_owned(),
                    folders: entry.folders().into_iter().map(str::to_owned).collect(),
                    target,
                    after: after.clone().unwrap_or_else(|| entry.after_fetch()),
                    limit: args.limit,
                    since,
                    deadline,
                    spool: spool.clone(),
                },
            })
        })
        .collect::<Result<Vec<_>>>()?;
    tasks.sort_by_key(|task| task.job.priority);
    Ok(tasks)
}

/// Reads the value of an option, or says which option is wrong.
fn parse<T: std::str::FromStr>(value: Option<&str>, option: &str) -> Result<Option<T>>
where
    T::Err: std::fmt::Display,
{
    value
        .map(|text| {
            text.parse()
                .map_err(|e| Fault::usage(format!("{option}: {e}")).into())
        })
        .transpose()
}

/// The mailboxes of the queues and addresses named; all where none is.
fn choose<'a>(config: &'a Config, names: &[String]) -> Result<Vec<MailboxEntry<'a>>> {
    let all: Vec<_> = config.mailboxes().collect();
    if names.is_empty() {
        return Ok(all);
    }
    let mut wanted = HashSet::new();
    for name in names {
        let before = wanted.len();
        for (index, entry) in all.iter().enumerate() {
            if is_named(entry, name) {
                wanted.insert(index);
            }
        }
        if before == wanted.len() && !all.iter().any(|entry| is_named(entry, name)) {
            let mut known: Vec<&str> = config.queues.iter().map(|q| q.name.as_str()).collect();
            known.extend(all.iter().map(|e| e.address.address.as_str()));
            return Err(provision::unknown("queue or address", name, &known));
        }
    }
    Ok(all
        .into_iter()
        .enumerate()
        .filter(|(index, _)| wanted.contains(index))
        .map(|(_, entry)| entry)
        .collect())
}

fn is_named(entry: &MailboxEntry<'_>, name: &str) -> bool {
    entry.queue.name == name || entry.address.address.as_str().eq_ignore_ascii_case(name)
}

impl Run<'_> {
    /// Runs all tasks, at most `jobs` at a time, in order of their start.
    fn all(&self, tasks: &[Task<'_>], jobs: usize) -> (Tally, Vec<anyhow::Error>) {
        let next = AtomicUsize::new(0);
        let done = Mutex::new((Tally::default(), Vec::new()));
        let work = || {
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.deadline.is_some_and(|d| Instant::now() >= d) {
                    return;
                }
                let mut tally = Tally::default();
                let result = self.one(task, &mut tally);
                let mut done = done
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                done.0.add(&tally);
                done.1.extend(result.err());
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
        done.into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn one(&self, task: &Task<'_>, tally: &mut Tally) -> Result<()> {
        let job = &task.job;
        let lock = format!("fetch {}", fetch::mailbox_key(&job.address));
        let _lock = match self.store.lock(&lock)? {
            Ok(lock) => lock,
            Err(holder) if task.named => return Err(held(job, &holder).into()),
            Err(_) => {
                self.context.output.step(&format!(
                    "`{}` is being fetched by another queuemail; skipped",
                    job.address
                ));
                return Ok(());
            }
        };
        if let Some(fault) = self.wait_left(task)? {
            if task.named {
                return Err(fault.into());
            }
            self.context.output.step(&format!("{fault}; skipped"));
            return Ok(());
        }
        let way = Cell::new(Way::Imap);
        let result = match self.dry_run {
            true => self.dry(task, &way),
            false => {
                let before = *tally;
                match self.fetch(task, &way, tally) {
                    Err(err) if *tally == before && self.reading().forget(&task.entry, &err)? => {
                        self.context.output.step(&format!(
                            "`{}`: {err:#}; looking for another way",
                            job.address
                        ));
                        self.fetch(task, &way, tally)
                    }
                    result => result,
                }
            }
        };
        if let Err(err) = &result
            && let Some(fault) = err.downcast_ref::<Fault>()
            && let Some(wait) = fault.retry_after
        {
            let words = fault.server_said.as_deref().unwrap_or(&fault.what);
            let key = fetch::mailbox_key(&job.address);
            self.store
                .set_mailbox_wait(&key, SystemTime::now() + wait, words)?;
        }
        result.with_context(|| self.scene(task, way.get()))
    }

    fn reading(&self) -> Reading<'_> {
        Reading::new(self.context, self.config, self.store, &self.access)
    }

    fn fetch(&self, task: &Task<'_>, way: &Cell<Way>, tally: &mut Tally) -> Result<()> {
        let teller = Teller {
            output: &self.context.output,
        };
        let reading = self.reading();
        let job = &task.job;
        fetch::fetch_mailbox(
            job,
            self.store,
            &mut |stale_token| reading.open(&task.entry, &job.after, stale_token, way),
            &teller,
            tally,
        )
    }

    fn dry(&self, task: &Task<'_>, way: &Cell<Way>) -> Result<()> {
        let job = &task.job;
        let mut mailbox = self
            .reading()
            .open(&task.entry, &AfterFetch::Keep, false, way)?;
        self.list(job, mailbox.as_mut())
    }

    /// What is left of a wait that the mailbox's host asked for in an earlier run.
    fn wait_left(&self, task: &Task<'_>) -> Result<Option<Fault>> {
        let address = &task.job.address;
        let key = fetch::mailbox_key(address);
        let Some((until, words)) = self.store.mailbox_wait(&key)? else {
            return Ok(None);
        };
        let Ok(left) = until.duration_since(SystemTime::now()) else {
            return Ok(None);
        };
        Ok(Some(
            Fault::try_later(format!(
                "the host of `{address}` asked us to wait, {} s more",
                left.as_secs() + 1
            ))
            .said(words)
            .retry_after(Some(left)),
        ))
    }

    fn scene(&self, task: &Task<'_>, way: Way) -> Scene {
        let server = self.config.incoming_server(&task.entry.address.server);
        Scene {
            queue: Some(task.job.queue.clone()),
            address: Some(task.job.address.clone()),
            account: Some(task.entry.account().to_owned()),
            server: server.map(|s| s.name.clone()),
            tenant: server.map(|s| s.address.tenant.to_string()),
            client_id: server.map(|s| s.client_id.to_string()),
            protocol: Some(way.name().to_owned()),
            ..Scene::new(format!(
                "cannot fetch `{}` (queue `{}`)",
                task.job.address, task.job.queue
            ))
        }
    }

    fn list(&self, job: &Job, mailbox: &mut dyn Mailbox) -> Result<()> {
        for (folder, epoch, ids) in fetch::list_mailbox(job, self.store, mailbox)? {
            if self.context.output.json {
                self.context.output.json(&json!({
                    "event": "would-fetch",
                    "queue": job.queue,
                    "address": job.address,
                    "folder": folder,
                    "uidvalidity": epoch,
                    "uids": ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
                }))?;
            } else {
                self.context.output.line(&format!(
                    "{} ({}), {folder}: {} to fetch, to {}, then {}",
                    job.queue,
                    job.address,
                    messages(ids.len() as u64),
                    job.target,
                    job.after
                ))?;
            }
        }
        mailbox.close();
        Ok(())
    }
}

/// Tells of messages as they come.
struct Teller<'a> {
    output: &'a Output,
}

impl Reporter for Teller<'_> {
    fn delivered(&self, delivered: &Delivered<'_>) {
        if !self.output.json {
            return;
        }
        if let Ok(serde_json::Value::Object(mut line)) = serde_json::to_value(delivered.letter) {
            line.insert("event".into(), "message".into());
            line.insert("delivered_to".into(), delivered.delivered_to.into());
            let _ = self.output.json(&line);
        }
    }

    fn failed(&self, folder: &Folder<'_>, id: &RemoteId, reason: &str, quarantined: bool) {
        let what = if quarantined {
            "quarantined"
        } else {
            "not fetched, to be tried again"
        };
        self.output.warn(&format!(
            "message {id} of `{}` folder `{}`: {what}: {}",
            folder.job.address,
            folder.name,
            crate::output::escape(reason)
        ));
    }

    fn note(&self, text: &str) {
        self.output.step(text);
    }
}

fn held(job: &Job, holder: &Holder) -> Fault {
    let mut who = "another queuemail".to_owned();
    if let Some(pid) = holder.pid {
        who.push_str(&format!(" (process {pid}"));
        if let Some(since) = holder.since {
            let since = since.to_zoned_datetime(jiff::tz::TimeZone::system());
            who.push_str(&format!(", since {}", since.strftime("%H:%M")));
        }
        who.push(')');
    }
    Fault::try_later(format!(
        "`{}` (queue `{}`) is being fetched by {who}",
        job.address, job.queue
    ))
    .hint("run it again when that one is done; a run that names no queue passes over it silently")
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    }
}

fn summary(tally: &Tally, tasks: &[Task<'_>], time: Duration) -> String {
    let mut text = format!(
        "fetched {} ({} bytes) of {} in {:.1} s",
        messages(tally.fetched),
        tally.octets,
        match tasks.len() {
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        },
        time.as_secs_f64()
    );
    for (count, what) in [
        (tally.recognised, "recognised as fetched before"),
        (tally.failed, "to be tried again"),
        (tally.quarantined, "quarantined"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// What there is to report at the end beside the errors of single mailboxes.
fn conclude(tally: Tally, mut errors: Vec<anyhow::Error>) -> Result<(), Errors> {
    if tally.failed > 0 {
        errors.push(
            Fault::try_later(format!(
                "{} could not be fetched now",
                messages(tally.failed)
            ))
            .hint("they stay on the server and are tried again by a later run")
            .into(),
        );
    }
    if tally.quarantined > 0 {
        errors.push(
            Fault::new(
                Kind::Malformed,
                format!("{} put into quarantine", messages(tally.quarantined)),
            )
            .hint("they stay on the server and are not tried again")
            .into(),
        );
    }
    Errors::none_or(errors)
}
