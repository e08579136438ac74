//! Incidents: what fails is told once when it has lasted a while, then now and then, and once when
//! it works again, however often it is tried meanwhile.
//!
//! `decide` is the whole of that, as a function of what is known, what a run has seen, and the time;
//! `notify` hands notices over, `words` says them. An incident is known by what fails and not by the
//! words of an error, and one cause that many mailboxes meet is one incident.

mod decide;
mod notify;
mod words;

pub use decide::{End, Notice, Seen};
pub use notify::told;
pub use words::{in_short, text};

use crate::fault::{Cause, Fault, Kind};
use crate::means::Means;
use crate::model::{Notify, Span};
use crate::office::Office;
use crate::state::{Incident, IncidentKind, IncidentName, OutboxCounts, Store};
use anyhow::Result;
use decide::{Observed, Rules};
use std::collections::{BTreeMap, BTreeSet};

/// How long something fails before anybody is told.
const AFTER: Span = Span::from_seconds(300);
/// How long nobody is told again.
const REPEAT: Span = Span::from_seconds(86_400);
/// Mail that has waited longer in the outbox does not leave, in seconds.
const LONG_IN_OUTBOX: i64 = 3600;

/// The incident of an error that kept a mailbox (in lower case) from being fetched.
pub fn name_of(err: &anyhow::Error, mailbox: &str) -> IncidentName {
    let fault = err.downcast_ref::<Fault>();
    let host = fault.filter(|f| f.cause.is_some_and(Cause::is_of_host));
    if let Some(peer) = host.and_then(Fault::peer) {
        return IncidentName::new(IncidentKind::Host, peer.host.to_lowercase());
    }
    match fault.and_then(Fault::sign_in) {
        Some(subject) => IncidentName::new(IncidentKind::SignIn, subject),
        None => IncidentName::new(IncidentKind::Mailbox, mailbox),
    }
}

/// True if the mailbox refused the sign-in: where each mailbox of an app does, it is the app's.
pub fn is_refusal(err: &anyhow::Error) -> bool {
    err.downcast_ref::<Fault>()
        .is_some_and(|fault| fault.kind == Kind::SignIn)
}

/// Where the sign-in refused each of several mailboxes that share it, and let none in, it is one
/// incident of that sign-in.
pub fn join_refusals(seen: &mut [Seen]) {
    let mut tried: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for one in seen.iter().filter(|s| s.end != End::Passed) {
        if let Some(subject) = &one.sign_in {
            let refused = matches!(one.end, End::Failed { is_refusal, .. } if is_refusal);
            tried.entry(subject.clone()).or_default().push(refused);
        }
    }
    let is_shared = |subject: &&String| {
        let ends = tried.get(*subject);
        ends.is_some_and(|ends| ends.len() > 1 && ends.iter().all(|refused| *refused))
    };
    for one in seen {
        if let End::Failed { name, .. } = &mut one.end
            && name.kind == IncidentKind::Mailbox
            && let Some(subject) = one.sign_in.as_ref().filter(is_shared)
        {
            *name = IncidentName::new(IncidentKind::SignIn, subject);
        }
    }
}

/// True if a look at the outbox may change an incident.
pub fn may_change(store: &Store) -> Result<bool> {
    let is_of_outbox = |incident: &Incident| incident.name.kind == IncidentKind::Outbox;
    let (incidents, outbox) = store.incidents_and_outbox()?;
    Ok(why_it_stays(&outbox, store.now()).is_some() || incidents.iter().any(is_of_outbox))
}

/// Why mail does not leave the outbox, if it does not.
fn why_it_stays(counts: &OutboxCounts, now: i64) -> Option<String> {
    let age = counts.oldest.map_or(0, |at| now - at);
    let is_late = counts.waiting > 0 && age > LONG_IN_OUTBOX;
    let fails = counts.unknown > 0 || counts.failed > 0 || is_late;
    fails.then(|| words::outbox(counts))
}

/// Watches what fails, and has people told of it.
pub struct Watch<'a> {
    means: &'a Means,
    office: &'a Office<'a>,
    store: &'a Store,
}

impl<'a> Watch<'a> {
    pub fn new(means: &'a Means, office: &'a Office<'a>, store: &'a Store) -> Watch<'a> {
        Watch {
            means,
            office,
            store,
        }
    }

    /// Takes note of what a run has seen of mailboxes; with `ping` says that all is well to whoever
    /// waits for that. Returns what a person is to be told now. Whoever is to be notified is; where
    /// that fails, it is told to the observer, and is an incident of its own.
    pub fn after_run(&self, mut seen: Vec<Seen>, ping: bool) -> Result<Vec<Notice>> {
        let notify = self.office.notify();
        let heartbeat = notify.and_then(|n| n.heartbeat.as_ref()).filter(|_| ping);
        let (known, outbox) = self.store.incidents_and_outbox()?;
        let outbox = why_it_stays(&outbox, self.store.now());
        let is_quiet = known.is_empty() && outbox.is_none();
        let all_well = |s: &Seen| s.messages == 0 && matches!(s.end, End::Well | End::Passed);
        let mut notices = Vec::new();
        let mut tried = Vec::new();
        if !(is_quiet && seen.iter().all(all_well)) {
            join_refusals(&mut seen);
            let mut observed = Observed {
                seen,
                configured: self.configured(),
                single: vec![(IncidentName::new(IncidentKind::Outbox, ""), outbox)],
            };
            self.still_open(&known, &mut observed)?;
            let rules = self.rules();
            let (told, to_send) = self.store.change_incidents(|all| {
                let now = self.store.now();
                let told = decide::observe(all, &observed, &rules, now);
                (told, decide::take_unsent(all, now))
            })?;
            notices.extend(told);
            tried = self.send(&to_send)?;
        }
        if let Some(url) = heartbeat {
            tried.push(("heartbeat", notify::ping(url, self.office.webhooks()).err()));
        }
        notices.extend(self.note_notifiers(tried, &known)?);
        Ok(notices)
    }

    /// Takes note of the outbox alone; see [`Watch::after_run`].
    pub fn after_flush(&self) -> Result<Vec<Notice>> {
        self.after_run(Vec::new(), false)
    }

    fn rules(&self) -> Rules {
        let notify = self.office.notify();
        let seconds = |of: fn(&Notify) -> Option<Span>, default: Span| {
            notify.and_then(of).unwrap_or(default).seconds()
        };
        Rules {
            after: seconds(|n| n.after, AFTER),
            repeat: seconds(|n| n.repeat, REPEAT),
            sends: notify.is_some_and(|n| n.command.is_some() || n.url.is_some()),
        }
    }

    fn configured(&self) -> BTreeSet<String> {
        let all = self.office.mailboxes();
        all.map(|entry| entry.address.address.as_str().to_lowercase())
            .collect()
    }

    /// What fails on though no run has to meet it: messages that wait or are in quarantine.
    fn still_open(&self, known: &[Incident], observed: &mut Observed) -> Result<()> {
        let mut mailboxes: BTreeSet<String> = known
            .iter()
            .filter(|incident| incident.name.kind == IncidentKind::Messages)
            .map(|incident| incident.name.subject.clone())
            .collect();
        let new = observed.seen.iter().filter(|seen| seen.messages > 0);
        mailboxes.extend(new.map(|seen| seen.mailbox.clone()));
        let health = self.store.health_of(mailboxes.iter().map(String::as_str))?;
        for mailbox in mailboxes {
            let health = health.get(&mailbox).cloned().unwrap_or_default();
            let left =
                observed.configured.contains(&mailbox) && health.backlog + health.quarantined > 0;
            let why = left.then(|| words::messages(&health));
            let name = IncidentName::new(IncidentKind::Messages, mailbox);
            observed.single.push((name, why));
        }
        Ok(())
    }

    /// Hands notices over; gives each way that was used, and why it failed. After a first failure
    /// the others wait for the next run.
    fn send(&self, notices: &[Notice]) -> Result<Vec<(&'static str, Option<anyhow::Error>)>> {
        let Some(notify) = self.office.notify().filter(|_| !notices.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut tried = Vec::new();
        let mut sent = Vec::new();
        for notice in notices {
            tried = notify::send(notify, self.office.webhooks(), notice);
            if tried.iter().all(|(_, failure)| failure.is_some()) {
                break;
            }
            sent.push(notice);
            if tried.iter().any(|(_, failure)| failure.is_some()) {
                break;
            }
        }
        if !sent.is_empty() {
            self.store
                .change_incidents(|all| decide::have_sent(all, &sent))?;
        }
        Ok(tried)
    }

    fn note_notifiers(
        &self,
        tried: Vec<(&'static str, Option<anyhow::Error>)>,
        known: &[Incident],
    ) -> Result<Vec<Notice>> {
        let mut single = Vec::new();
        for (way, failure) in tried {
            let name = IncidentName::new(IncidentKind::Notifier, way);
            let why = failure.as_ref().map(words::in_short);
            if let Some(why) = &why {
                let words = format!("cannot notify by `notify.{way}`: {why}");
                self.means.observer.warn(&words);
            }
            let is_open = || known.iter().any(|incident| incident.name == name);
            if why.is_some() || is_open() {
                single.push((name, why));
            }
        }
        if single.is_empty() {
            return Ok(Vec::new());
        }
        let observed = Observed {
            seen: Vec::new(),
            configured: self.configured(),
            single,
        };
        let rules = self.rules();
        self.store
            .change_incidents(|all| decide::observe(all, &observed, &rules, self.store.now()))
    }
}
