//! The state of every mailbox, of the outbox and of what will end; and which of it a monitor should
//! hear. Tables, JSON, the page, the metrics and the monitor's line are all drawn from one [`Report`].

mod days;

pub use days::{Day, last_days};

use crate::expiry::{self, Expiry};
use crate::fault::{Fault, Kind};
use crate::fetch::mailbox_key;
use crate::office::Office;
use crate::shell;
use crate::state::{
    Counter, Health, Incident, OutboxCounts, Rotation, RotationStep, SendingWait, SharingHost,
    Store, Wait,
};
use crate::wording::{clock, messages, span};
use anyhow::Result;
use jiff::Timestamp;

/// A renewal that has not come to its end for so long is a person's, in seconds.
const LONGEST_RENEWAL: i64 = 3600;
/// So long after its time an old credential should have been removed, in seconds.
const LATE: i64 = 86_400;

/// One mailbox and what is known of it.
pub struct Line<'a> {
    pub queue: &'a str,
    pub address: &'a str,
    pub health: Health,
    pub wait: Option<Wait>,
    /// When a host began to fetch it last (Unix seconds), where several share the state.
    pub visited: Option<i64>,
}

/// How a mailbox is, in one word: what explains most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Ok,
    /// No run has fetched it yet.
    New,
    /// A server asked to come back later.
    Waiting,
    /// The last run did not succeed.
    Failing,
    /// So many messages are in quarantine.
    Quarantined(u64),
}

impl Line<'_> {
    pub fn condition(&self) -> Condition {
        let health = &self.health;
        if self.wait.is_some() {
            Condition::Waiting
        } else if health.last_error.is_some() {
            Condition::Failing
        } else if health.quarantined > 0 {
            Condition::Quarantined(health.quarantined)
        } else if health.last_success.is_none() {
            Condition::New
        } else {
            Condition::Ok
        }
    }

    /// True if it was fetched within the last `max_age` seconds; a success of a clock that was
    /// wrong is none.
    pub fn is_fetched(&self, now: Timestamp, max_age: u32) -> bool {
        let age = self.health.last_success.map(|at| now.as_second() - at);
        age.is_some_and(|age| age.abs() <= i64::from(max_age))
    }
}

/// All that is known at one time.
pub struct Report<'a> {
    pub at: Timestamp,
    /// The mailboxes, the most urgent ones first.
    pub lines: Vec<Line<'a>>,
    pub outbox: OutboxCounts,
    /// Secrets and certificates whose end is known.
    pub ends: Vec<Expiry>,
    /// Renewals of credentials that are not over.
    pub rotations: Vec<Rotation>,
    waits: Vec<SendingWait>,
    /// What was counted, and of whom.
    pub counters: Vec<(Counter, String, u64)>,
    /// The incidents that were told and are not over.
    pub incidents: Vec<Incident>,
    /// The hosts that share the state and were at work lately.
    pub hosts: Vec<Host>,
    /// How soon a mailbox that was visited is due again, in seconds, where hosts share it.
    every: Option<i64>,
}

/// A host that shares the state.
pub struct Host {
    pub host: SharingHost,
    /// Whether its configuration is that of this process; `None`: nobody knows.
    pub is_alike: Option<bool>,
}

impl<'a> Report<'a> {
    pub fn of(office: &'a Office<'a>, store: &Store) -> Result<Report<'a>> {
        let at = Timestamp::now();
        let mut entries: Vec<_> = office.mailboxes().collect();
        entries.sort_by_key(|entry| entry.priority());
        let keys: Vec<String> = entries
            .iter()
            .map(|entry| mailbox_key(entry.address.address.as_str()))
            .collect();
        let visits = store.visits()?;
        let waits = store.mailbox_waits(at)?;
        let health = store.health_of(keys.iter().map(String::as_str))?;
        let lines = entries.iter().zip(&keys).map(|(entry, key)| Line {
            queue: &entry.queue.name,
            address: entry.address.address.as_str(),
            health: health.get(key).cloned().unwrap_or_default(),
            wait: waits.get(key).cloned(),
            visited: visits.get(key).copied(),
        });
        let lines = lines.collect();
        let mut incidents = store.incidents()?;
        incidents.retain(|i| i.told_at.is_some() && i.closed_at.is_none());
        Ok(Report {
            at,
            lines,
            outbox: store.outbox_counts()?,
            ends: expiry::of_servers(office),
            rotations: rotations(office, store)?,
            waits: store.sending_waits(at)?,
            counters: store.counters()?,
            incidents,
            hosts: hosts(store)?,
            every: store
                .is_shared()
                .then(|| i64::try_from(office.every().as_secs()).unwrap_or(i64::MAX)),
        })
    }

    /// The age, in seconds, at which a mailbox is late: `max_age`, or more where hosts share the state
    /// and the configuration lets a mailbox be left alone for longer.
    pub fn longest_age(&self, max_age: u32) -> u32 {
        let every = self.every.unwrap_or(0).saturating_mul(2);
        max_age.max(u32::try_from(every).unwrap_or(u32::MAX))
    }

    /// Of all mailboxes together.
    pub fn sum(&self, of: fn(&Line<'_>) -> u64) -> u64 {
        self.lines.iter().map(of).sum()
    }

    /// What a monitor should hear of (see [`is_critical`]); a mailbox that was not fetched for `max_age` seconds is not
    /// well.
    pub fn problems(&self, max_age: u32) -> Vec<Fault> {
        let now = self.at;
        let max_age = self.longest_age(max_age);
        let mailboxes = self.lines.iter();
        mailboxes
            .flat_map(|line| match self.unvisited(line, max_age) {
                Some(fault) => vec![fault],
                None => of_mailbox(line, now, max_age),
            })
            .chain(self.hosts.iter().flat_map(of_host))
            .chain(of_outbox(&self.outbox, now, max_age))
            .chain(self.ends.iter().filter_map(|end| end.warning(now)))
            .chain(self.rotations.iter().filter_map(|r| of_rotation(r, now)))
            .chain(self.waits.iter().map(of_sender))
            .collect()
    }

    /// A mailbox that no host has visited for long, although hosts are at work: all of their time goes
    /// to others, which are more urgent.
    fn unvisited(&self, line: &Line<'_>, max_age: u32) -> Option<Fault> {
        let age = self.at.as_second() - line.visited.or(line.health.last_success)?;
        let visiting = self.hosts.iter().filter(|one| one.host.visits > 0).count();
        if self.every.is_none() || visiting == 0 || age <= i64::from(max_age) {
            return None;
        }
        let Line { queue, address, .. } = line;
        let hosts = match visiting {
            1 => "1 host fetches".to_owned(),
            n => format!("{n} hosts fetch"),
        };
        let what = format!(
            "no host has visited `{address}` (queue `{queue}`) for {}, although {hosts} mail: more urgent mailboxes take all of the time",
            span(age)
        );
        let fault = Fault::refused(what);
        Some(fault.hint("add a host, fetch more mailboxes at a time (`--jobs`), set a longer `every` below `state`, or a lower `priority` of the queue"))
    }
}

/// True for a problem behind which mail may be piling up. Of the others, `TryLater`, a person should
/// know, but mail flows.
pub fn is_critical(problem: &Fault) -> bool {
    problem.kind != Kind::TryLater
}

/// The hosts that were at work lately, and whether they do the same.
fn hosts(store: &Store) -> Result<Vec<Host>> {
    let own = store.config();
    let hosts = store.hosts()?.into_iter().map(|host| Host {
        is_alike: host.config.as_deref().zip(own).map(|(its, own)| its == own),
        host,
    });
    Ok(hosts.collect())
}

/// A host that works otherwise than this one.
fn of_host(Host { host, is_alike }: &Host) -> Vec<Fault> {
    let mut found = Vec::new();
    let name = &host.name;
    let own = env!("CARGO_PKG_VERSION");
    if host.version != own {
        let what = format!(
            "host `{name}` runs queuemail {}, this one {own}",
            host.version
        );
        found.push(Fault::try_later(what).hint("install the same version on all hosts"));
    }
    if *is_alike == Some(false) {
        let what = format!("host `{name}` has another configuration than this one");
        let hint =
            "compare what `queuemail config show` prints on both: all but `state` must be the same";
        found.push(Fault::try_later(what).hint(hint));
    }
    found
}

/// What a monitor should hear of a mailbox.
fn of_mailbox(line: &Line<'_>, now: Timestamp, max_age: u32) -> Vec<Fault> {
    let Line {
        queue,
        address,
        health,
        wait,
        ..
    } = line;
    let mut found = Vec::new();
    let error = health
        .last_error
        .as_ref()
        .map(|(_, text)| format!("; the last run said: {text}"))
        .unwrap_or_default();
    let check = format!("find the cause: queuemail check {}", shell::quote(address));
    if let Some(fetched) = not_fetched(line, now, max_age) {
        let what = format!("`{address}` (queue `{queue}`) {fetched}{error}");
        found.push(Fault::refused(what).hint(check.clone()));
    }
    if health.quarantined > 0 {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) in quarantine",
                messages(health.quarantined)
            ))
            .hint("see why: queuemail quarantine list"),
        );
    }
    if health.backlog > 0 && health.last_error.is_some() {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) could not be delivered yet",
                messages(health.backlog)
            ))
            .hint(check),
        );
    }
    if let Some((refused, reason)) = &health.refused {
        found.push(Fault::try_later(format!(
            "the server refuses to mark, move or delete {} of `{address}` (queue `{queue}`) after the delivery: {reason}",
            messages(*refused)
        )));
    }
    if let Some(wait) = wait {
        found.push(Fault::try_later(format!(
            "`{address}` (queue `{queue}`) waits until {}: {}",
            clock(wait.until),
            wait.reason
        )));
    }
    found
}

/// Since when a mailbox was not fetched that should have been.
fn not_fetched(line: &Line<'_>, now: Timestamp, max_age: u32) -> Option<String> {
    match line.health.last_success.map(|at| now.as_second() - at) {
        _ if line.is_fetched(now, max_age) => None,
        // Every run since would have set it right.
        Some(age) if age < 0 => Some(format!(
            "was last fetched when the clock was wrong, {} ahead",
            span(-age)
        )),
        Some(age) => Some(format!("was last fetched {} ago", span(age))),
        None => Some("has never been fetched".to_owned()),
    }
}

/// What waits in the outbox: it is well while it is young, and a person's as soon as nobody knows.
fn of_outbox(outbox: &OutboxCounts, now: Timestamp, max_age: u32) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut late = |n: u64, what: &str, hint: &str| {
        if n > 0 {
            found
                .push(Fault::try_later(format!("{} of the outbox {what}", messages(n))).hint(hint));
        }
    };
    let age = outbox.oldest.map_or(0, |at| now.as_second() - at);
    if age.abs() > i64::from(max_age) {
        let since = match age < 0 {
            true => format!(
                "kept while the clock was wrong, {} ahead",
                span(age.saturating_neg())
            ),
            false => format!("for {}", span(age)),
        };
        late(
            outbox.waiting,
            &format!("could not be sent yet, the oldest {since}"),
            "see why: queuemail outbox list; sent by: queuemail outbox flush",
        );
    }
    late(
        outbox.unknown,
        "may or may not have been accepted",
        "check Sent Items and send what is not there: queuemail outbox retry ID",
    );
    late(
        outbox.failed,
        "could not be sent, nor the report to its sender",
        "see why: queuemail outbox list",
    );
    found
}

/// A sender that a server asked to wait.
fn of_sender(SendingWait { server, user, wait }: &SendingWait) -> Fault {
    Fault::try_later(format!(
        "mail of `{user}` through outgoing server `{server}` waits until {}: {}",
        clock(wait.until),
        wait.reason
    ))
}

/// The renewals that are not over, of apps that are still configured.
fn rotations(office: &Office<'_>, store: &Store) -> Result<Vec<Rotation>> {
    let mut left = Vec::new();
    for mut rotation in store.rotations()? {
        let mut names: Vec<&str> = office
            .registrations()
            .filter(|app| {
                app.client_id
                    .as_str()
                    .eq_ignore_ascii_case(&rotation.client_id)
            })
            .map(|app| app.app_server)
            .collect();
        // The server may have another name by now.
        names.sort_by_key(|name| *name != rotation.server);
        if let (Some(name), true) = (names.first(), rotation.step != RotationStep::Done) {
            rotation.server = (*name).to_owned();
            left.push(rotation);
        }
    }
    Ok(left)
}

/// A renewal that was left alone.
fn of_rotation(rotation: &Rotation, now: Timestamp) -> Option<Fault> {
    let Rotation { server, kind, .. } = rotation;
    let (quoted, now) = (shell::quote(server), now.as_second());
    match rotation.remove_at {
        Some(at) if now - at > LATE => Some(
            Fault::try_later(format!(
                "the old {kind} of server `{server}` was to be removed {} ago",
                span(now - at)
            ))
            .hint(format!("queuemail server rotate {quoted} --finish")),
        ),
        None if now - rotation.begun_at > LONGEST_RENEWAL => Some(
            Fault::try_later(format!(
                "a renewal of the {kind} of server `{server}` began {} ago and is not finished",
                span(now - rotation.begun_at)
            ))
            .hint(format!("continue it: queuemail server rotate {quoted}")),
        ),
        _ => None,
    }
}
