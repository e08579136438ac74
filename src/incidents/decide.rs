//! Decides who is told what: a function of the incidents that are known, what a run has seen, and
//! the time.

use crate::state::{Event, Incident, IncidentKind, IncidentName};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody else began to send a notice so many seconds ago at most: it may be under way.
const UNDER_WAY: i64 = 60;
/// No more notices are sent in one run; the next goes on.
const MOST: usize = 20;

/// When somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// So many seconds after it began to fail.
    pub after: i64,
    /// So many seconds after the last notice.
    pub repeat: i64,
    /// Notices are sent somewhere; they are not shown alone.
    pub sends: bool,
}

/// How a run ended for a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    Failed {
        name: IncidentName,
        why: String,
        /// See [`super::is_refusal`].
        is_refusal: bool,
    },
    /// It was left alone, so that what failed before may still fail.
    Passed,
}

impl End {
    /// What failed.
    pub fn why(&self) -> Option<&str> {
        match self {
            End::Failed { why, .. } => Some(why),
            End::Well | End::Passed => None,
        }
    }
}

/// What a run has seen of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The address in lower case.
    pub mailbox: String,
    /// What the app or the account that signs in is known by.
    pub sign_in: Option<String>,
    pub end: End,
    /// Messages that could not be fetched or delivered.
    pub messages: u64,
}

impl Seen {
    /// Of a mailbox that nobody tried to open.
    pub fn of(mailbox: String, end: End) -> Seen {
        Seen {
            mailbox,
            sign_in: None,
            end,
            messages: 0,
        }
    }
}

/// All that a run has seen.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub seen: Vec<Seen>,
    /// The mailboxes of the configuration, in lower case.
    pub configured: BTreeSet<String>,
    /// What fails or works by itself, and why it fails.
    pub single: Vec<(IncidentName, Option<String>)>,
}

/// What a person is to be told. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub event: Event,
    pub name: IncidentName,
    /// Since when it fails, or failed.
    pub since: i64,
    /// When this was decided.
    pub at: i64,
    pub reason: String,
    /// The addresses that it concerns, in lower case.
    pub mailboxes: BTreeSet<String>,
}

/// Takes note of what was seen, and gives the notices that follow.
pub fn observe(
    all: &mut Vec<Incident>,
    observed: &Observed,
    rules: &Rules,
    now: i64,
) -> Vec<Notice> {
    for incident in &mut *all {
        // A time in the future is of a clock that was wrong.
        incident.opened_at = incident.opened_at.min(now);
        incident.told_at = incident.told_at.map(|at| at.min(now));
        if !rules.sends {
            incident.unsent = None;
        }
    }
    // Of the mailboxes each incident had: one that is over tells whom it concerned.
    let mailboxes_of = |incident: &Incident| (incident.name.clone(), incident.mailboxes.clone());
    let mut before: BTreeMap<_, _> = all.iter().map(mailboxes_of).collect();
    let mut failing = BTreeSet::new();
    let mut healed = BTreeSet::new();
    for seen in &observed.seen {
        failing.extend(note(all, seen, now));
    }
    for (name, why) in &observed.single {
        match why {
            Some(why) => {
                note_single(all, name, why, now);
                failing.insert(name.clone());
            }
            None => drop(healed.insert(name.clone())),
        }
    }
    let mut notices = Vec::new();
    for incident in &mut *all {
        let is_shared = is_shared(incident);
        if is_shared {
            let is_there = |mailbox: &String| observed.configured.contains(mailbox);
            incident.mailboxes.retain(is_there);
        }
        let has_no_mailbox = is_shared && incident.mailboxes.is_empty();
        let event = match has_no_mailbox || healed.contains(&incident.name) {
            true => close(incident, now),
            false if failing.contains(&incident.name) => go_on(incident, rules, now),
            false => None,
        };
        let Some(event) = event else { continue };
        if event == Event::Recovered
            && let Some(mailboxes) = before.remove(&incident.name)
        {
            incident.mailboxes = mailboxes;
        }
        if rules.sends && incident.name.kind != IncidentKind::Notifier {
            have_sent_next(incident, event);
        }
        notices.push(notice(incident, event, now));
    }
    all.retain(|incident| !is_done(incident));
    notices
}

/// Takes note of what fails by itself.
fn note_single(all: &mut Vec<Incident>, name: &IncidentName, why: &str, now: i64) {
    let incident = entry(all, name, now);
    why.clone_into(&mut incident.reason);
    if name.kind == IncidentKind::Messages {
        incident.mailboxes.insert(name.subject.clone());
    }
}

/// Has whoever is notified told of this event next.
fn have_sent_next(incident: &mut Incident, event: Event) {
    let is_unopened = incident.unsent == Some(Event::Opened) && event == Event::Repeated;
    incident.unsent = Some(if is_unopened { Event::Opened } else { event });
    incident.tried_at = None;
}

/// Takes note of how a mailbox fared, and gives the incidents that go on for it.
fn note(all: &mut Vec<Incident>, seen: &Seen, now: i64) -> Vec<IncidentName> {
    let mailbox = &seen.mailbox;
    match &seen.end {
        End::Well => {
            for incident in all.iter_mut().filter(|i| is_shared(i)) {
                incident.mailboxes.remove(mailbox);
            }
            Vec::new()
        }
        End::Passed => all
            .iter()
            .filter(|i| i.closed_at.is_none() && i.mailboxes.contains(mailbox))
            .map(|i| i.name.clone())
            .collect(),
        End::Failed { name, why, .. } => {
            let name = wider(all, name, mailbox).unwrap_or_else(|| name.clone());
            let incident = entry(all, &name, now);
            incident.mailboxes.insert(mailbox.clone());
            incident.reason.clone_from(why);
            vec![name]
        }
    }
}

/// True for one that is over once none of its mailboxes meets it any more.
fn is_shared(incident: &Incident) -> bool {
    let kind = incident.name.kind;
    incident.closed_at.is_none()
        && matches!(
            kind,
            IncidentKind::Host | IncidentKind::SignIn | IncidentKind::Mailbox
        )
}

/// The incident that a mailbox is in already, where a failure of this name is a part of it. While a
/// line is down, now this host and now that one is not reached; and what a mailbox meets alone is
/// no news while its app cannot sign in.
fn wider(all: &[Incident], name: &IncidentName, mailbox: &str) -> Option<IncidentName> {
    let is_wider = |kind| match name.kind {
        IncidentKind::Host => kind == IncidentKind::Host,
        IncidentKind::Mailbox => matches!(kind, IncidentKind::Host | IncidentKind::SignIn),
        _ => false,
    };
    let of_it = |i: &&Incident| i.closed_at.is_none() && i.mailboxes.contains(mailbox);
    if all.iter().filter(of_it).any(|i| i.name == *name) {
        return None;
    }
    let mut wider = all.iter().filter(of_it).filter(|i| is_wider(i.name.kind));
    wider.next().map(|i| i.name.clone())
}

/// The incident of this name; a new one where there is none.
fn entry<'i>(all: &'i mut Vec<Incident>, name: &IncidentName, now: i64) -> &'i mut Incident {
    let at = match all.iter().position(|incident| incident.name == *name) {
        Some(at) => at,
        None => {
            all.push(Incident {
                name: name.clone(),
                opened_at: now,
                told_at: None,
                closed_at: None,
                unsent: None,
                tried_at: None,
                reason: String::new(),
                mailboxes: BTreeSet::new(),
            });
            all.len() - 1
        }
    };
    &mut all[at]
}

fn go_on(incident: &mut Incident, rules: &Rules, now: i64) -> Option<Event> {
    if incident.closed_at.take().is_some() {
        // Whoever is notified has not heard that it was over, and need not.
        incident.unsent = None;
    }
    let event = match incident.told_at {
        None if now - incident.opened_at >= rules.after => Event::Opened,
        Some(at) if now - at >= rules.repeat => Event::Repeated,
        _ => return None,
    };
    incident.told_at = Some(now);
    Some(event)
}

fn close(incident: &mut Incident, now: i64) -> Option<Event> {
    if incident.closed_at.is_some() {
        return None;
    }
    incident.closed_at = Some(now);
    incident.told_at.map(|_| Event::Recovered)
}

fn is_done(incident: &Incident) -> bool {
    incident.closed_at.is_some() && incident.unsent.is_none()
}

fn notice(incident: &Incident, event: Event, now: i64) -> Notice {
    Notice {
        event,
        name: incident.name.clone(),
        since: incident.opened_at,
        at: now,
        reason: incident.reason.clone(),
        mailboxes: incident.mailboxes.clone(),
    }
}

/// The notices that are still to be sent, and that nobody else sends just now.
pub fn take_unsent(all: &mut [Incident], now: i64) -> Vec<Notice> {
    let mut notices = Vec::new();
    for incident in all {
        let Some(event) = incident.unsent else {
            continue;
        };
        let under_way = |at: i64| (now - UNDER_WAY..=now).contains(&at);
        if notices.len() < MOST && !incident.tried_at.is_some_and(under_way) {
            incident.tried_at = Some(now);
            let at = match event {
                Event::Recovered => incident.closed_at,
                _ => incident.told_at,
            };
            notices.push(notice(incident, event, at.unwrap_or(now)));
        }
    }
    notices
}

/// Takes note of notices that were sent.
pub fn have_sent(all: &mut Vec<Incident>, sent: &[&Notice]) {
    for notice in sent {
        let mut its = all.iter_mut().filter(|i| i.name == notice.name);
        if let Some(incident) = its.next().filter(|i| i.unsent == Some(notice.event)) {
            incident.unsent = None;
        }
    }
    all.retain(|incident| !is_done(incident));
}

#[cfg(test)]
mod tests;
