//! Messages that are kept in the outbox until they have left: kept, tried, looked for and reported.

use super::outbox::{self, Claim, Destination, ReportTo, Settled};
use super::{Mail, Post, Sending, record, verdict, work};
use crate::delivery::{self, Place};
use crate::fault::{Errors, Fault, Kind};
use crate::mail::{Outcome, Receipt};
use crate::office::Route;
use crate::reach::{Mailboxes, sent};
use crate::state::{OutboxEntry, OutboxState};
use crate::workers::locked;
use anyhow::Result;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections at the same time, as many as Exchange allows.
const CONNECTIONS: usize = 3;

/// A flush leaves to the next one what comes in after this time.
const LONGEST_FLUSH: Duration = Duration::from_secs(600);

/// Hears what becomes of messages; shared by threads.
pub trait Listener: Sync {
    /// A message was tried; `settled` tells what the outbox does with it, if it keeps it. An error
    /// is told by whoever gets it.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn tell(
        &self,
        mail: &Mail<'_>,
        result: &Result<Receipt>,
        settled: Option<&Settled>,
    ) -> Result<()>;

    /// A message could not be kept, and nothing is promised.
    fn not_kept(&self) {}

    /// Sent Items of `user` holds this message, so that it is not sent again.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn found_sent(&self, _entry: &OutboxEntry, _user: &str) -> Result<()> {
        Ok(())
    }
}

impl<'a> Sending<'a> {
    /// Keeps a message durably, all its transactions or none.
    fn keep(
        &self,
        mails: Vec<Mail<'a>>,
        submitter: Option<&str>,
    ) -> Result<Vec<(Mail<'a>, Claim<'a>)>, Vec<anyhow::Error>> {
        let shared = mails.len() > 1;
        let mut kept: Vec<(Mail<'a>, Claim<'a>)> = Vec::new();
        for mail in mails {
            match outbox::keep(
                self.store,
                mail.envelope.clone(),
                &mail.message_id,
                &mail.octets,
                shared,
                submitter,
                self.store.now(),
            ) {
                Ok(claim) => kept.push((mail, claim)),
                Err(err) => {
                    // Nothing is promised: what was kept of it goes again.
                    let undone = kept.iter_mut().map(|(_, claim)| claim.remove());
                    let undone = undone.filter_map(Result::err);
                    return Err(std::iter::once(err).chain(undone).collect());
                }
            }
        }
        Ok(kept)
    }

    /// Keeps a message durably for a later flush, all its transactions or none. Returns their ids.
    ///
    /// # Errors
    /// It is not kept, and nothing is promised.
    pub fn keep_for_later(&self, mails: Vec<Mail<'a>>, submitter: &str) -> Result<Vec<i64>> {
        match self.keep(mails, Some(submitter)) {
            Ok(kept) => Ok(kept.iter().map(|(_, claim)| claim.entry.id).collect()),
            Err(errors) => Err(errors
                .into_iter()
                .next()
                .unwrap_or_else(|| Fault::bug("it is not kept").into())),
        }
    }
}

impl<'a> Post<'a> {
    /// Sends a message that is kept nowhere.
    ///
    /// # Errors
    /// What its sender has to know, unless every recipient was accepted.
    pub fn send(&mut self, mail: &Mail<'a>, listener: &dyn Listener) -> Result<()> {
        let result = self.submit(mail, &mut || Ok(()));
        self.sending.record(mail, &result);
        listener.tell(mail, &result, None)?;
        verdict::judge(mail, result?, || self.sending.scene(mail, self.way))
    }

    /// Keeps a message durably, all its transactions, then tries each once.
    pub fn keep_and_try(
        &mut self,
        mails: Vec<Mail<'a>>,
        listener: &dyn Listener,
    ) -> Vec<Result<()>> {
        match self.sending.keep(mails, None) {
            Ok(kept) => kept
                .into_iter()
                .map(|(mail, claim)| self.try_once(mail, claim, listener))
                .collect(),
            Err(errors) => {
                listener.not_kept();
                errors.into_iter().map(Err).collect()
            }
        }
    }

    fn try_once(
        &mut self,
        mut mail: Mail<'a>,
        mut claim: Claim<'_>,
        listener: &dyn Listener,
    ) -> Result<()> {
        mail.kept = Some(claim.entry.id);
        let result = self.submit(&mail, &mut || claim.hand_over());
        if let Err(err) = &result
            && !outbox::may_pass(err)
        {
            let given_back = claim.give_back();
            if matches!(given_back, Ok(false)) {
                // It is kept, and another host's to send.
                return Ok(());
            }
            listener.tell(&mail, &result, None)?;
            given_back?;
            return result.map(drop);
        }
        let sent =
            |settled: &Settled| record::of_attempt(self.sending, &mail, &result, Some(settled));
        let now = self.sending.store.now();
        let settled = match (claim.settle(&result, ReportTo::Caller, now, &sent), &result) {
            // The caller must not send it again, whatever hinders the record.
            (Err(err), Ok(receipt)) if receipt.outcome == Outcome::Accepted => {
                let id = claim.entry.id;
                self.sending.means.observer.warn(&format!(
                    "message {id} of the outbox was sent, but that is not on record, so the next flush calls its outcome unknown: {err:#}"
                ));
                Settled::Gone
            }
            (settled, _) => settled?,
        };
        listener.tell(&mail, &result, Some(&settled))?;
        match verdict::told_to_caller(result, &settled)? {
            None => Ok(()),
            Some(receipt) => verdict::judge(&mail, receipt, || self.sending.scene(&mail, self.way)),
        }
    }
}

/// Works on messages of the outbox: those that `ready` allows are sent, and reports that are due
/// delivered. What others work on is theirs.
///
/// # Errors
/// Of each message what somebody has to know; of errors with the same cause the first.
pub fn flush<'a>(
    sending: &'a Sending<'a>,
    mut entries: Vec<OutboxEntry>,
    listener: &dyn Listener,
    ready: impl Fn(&mut Claim<'_>) -> Result<bool> + Sync,
) -> Result<(), Errors> {
    let errors: Mutex<Vec<anyhow::Error>> = Mutex::default();
    // Those that share a way are neighbours, so that they share a connection.
    entries.sort_by(|a, b| (&a.envelope.from, a.id).cmp(&(&b.envelope.from, b.id)));
    let about = entries.len();
    work(
        sending,
        entries.into_iter(),
        about,
        CONNECTIONS,
        |post, entry| {
            if let Err(err) = one(post, entry.id, listener, &ready) {
                let err = err.context(format!("message {} of the outbox", entry.id));
                locked(&errors).push(err);
            }
        },
    );
    let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    fold_same(&mut errors);
    Errors::none_or(errors)
}

/// Works on the messages that are due, `due` first, then on those that came in meanwhile: whoever
/// keeps one while a flush runs need not start another. Each is tried once.
///
/// # Errors
/// As [`flush`].
pub fn flush_due<'a>(
    sending: &'a Sending<'a>,
    mut due: Vec<OutboxEntry>,
    listener: &dyn Listener,
) -> Result<(), Errors> {
    let start = Instant::now();
    let mut tried = HashSet::new();
    let mut errors = Vec::new();
    while !due.is_empty() {
        tried.extend(due.iter().map(|entry| entry.id));
        let is_due = |claim: &mut Claim<'_>| Ok(claim.entry.is_due(sending.store.now()));
        if let Err(more) = flush(sending, due, listener, is_due) {
            errors.extend(more.sorted());
        }
        if start.elapsed() > LONGEST_FLUSH {
            break;
        }
        due = sending.store.outbox_due(sending.store.now())?;
        due.retain(|entry| !tried.contains(&entry.id));
    }
    fold_same(&mut errors);
    Errors::none_or(errors)
}

/// A server that is away is one problem, however many messages wait for it: of errors with the
/// same cause the first is told.
fn fold_same(errors: &mut Vec<anyhow::Error>) {
    let mut seen = HashSet::new();
    errors.retain(|err| {
        let Some(fault) = err.downcast_ref::<Fault>() else {
            return true;
        };
        seen.insert(format!(
            "{:?} {} {:?}",
            fault.kind, fault.what, fault.server_said
        ))
    });
}

fn one(
    post: &mut Post<'_>,
    id: i64,
    listener: &dyn Listener,
    ready: &impl Fn(&mut Claim<'_>) -> Result<bool>,
) -> Result<()> {
    let sending = post.sending;
    let Some(mut claim) = outbox::claim(sending.store, id, sending.store.now())? else {
        return Ok(());
    };
    let mut verdict = Ok(());
    if ready(&mut claim)? {
        verdict = attempt(post, &mut claim, listener);
    } else if claim.abandoned {
        verdict = Err(unknown(&claim.entry).into());
    }
    if !claim.entry.refused.is_empty() {
        let reported = report(sending, &mut claim);
        verdict = verdict.and(reported);
    }
    verdict
}

fn attempt(post: &mut Post<'_>, claim: &mut Claim<'_>, listener: &dyn Listener) -> Result<()> {
    let sending = post.sending;
    let sender = claim.entry.envelope.from.clone().unwrap_or_default();
    let mail = sending
        .office
        .route(&sender)
        .map_err(anyhow::Error::from)
        .and_then(|route| {
            Ok(Mail {
                file: None,
                route,
                envelope: claim.entry.envelope.clone(),
                octets: Arc::new(claim.octets()?),
                message_id: claim.entry.message_id.clone(),
                kept: Some(claim.entry.id),
                alone: false,
            })
        });
    let mail = match mail {
        Ok(mail) => mail,
        // The configuration has changed, or the file cannot be read: it counts as an attempt.
        Err(err) => {
            let result = Err(err);
            claim.settle(&result, ReportTo::Queue, sending.store.now(), &|_| None)?;
            return result.map(|_: Receipt| ());
        }
    };
    let result = post.submit(&mail, &mut || claim.hand_over());
    let sent = |settled: &Settled| record::of_attempt(sending, &mail, &result, Some(settled));
    let settled = claim.settle(&result, ReportTo::Queue, sending.store.now(), &sent)?;
    listener.tell(&mail, &result, Some(&settled))?;
    if settled == Settled::Gone {
        sending
            .means
            .observer
            .step(&format!("message {}: sent", claim.entry.id));
    }
    verdict::judge(&mail, result?, || sending.scene(&mail, post.way))
}

/// Makes a message ready to be sent again by a person's word. One that may have been accepted is
/// looked for in Sent Items first, and found means done; with `blindly` it is not looked for.
///
/// # Errors
/// `OutcomeUnknown` where Sent Items cannot tell; why they cannot be looked into.
pub fn ready_again(
    sending: &Sending<'_>,
    claim: &mut Claim<'_>,
    blindly: bool,
    listener: &dyn Listener,
) -> Result<bool> {
    if claim.entry.state == OutboxState::Unknown && !blindly {
        if claim.entry.shared_id {
            return Err(cannot_tell(&claim.entry).into());
        }
        let sender = claim.entry.envelope.from.clone().unwrap_or_default();
        let route = sending.office.route(&sender)?;
        let mailboxes = Mailboxes::new(&sending.means, sending.office, sending.store);
        if sent::holds(&mailboxes, &route, &claim.entry.message_id)? {
            // What it says is a help; what was found is the fact.
            let octets = claim.octets().unwrap_or_default();
            let sent = record::of_found(sending, &route, &claim.entry, &octets);
            claim.remove_sent(&sent, sending.store.now())?;
            listener.found_sent(&claim.entry, route.user())?;
            return Ok(false);
        }
    }
    claim.restart(sending.store.now())?;
    Ok(true)
}

fn cannot_tell(entry: &OutboxEntry) -> Fault {
    let id = entry.id;
    Fault::new(
        Kind::OutcomeUnknown,
        "Sent Items cannot show whether it was accepted, because another transaction has the same Message-ID",
    )
    .hint(format!(
        "ask its recipients ({}), then: queuemail outbox retry --blindly {id}, or queuemail outbox drop {id}",
        entry.envelope.to.join(", ")
    ))
}

/// Delivers the report that is due to the queue of the sender, or says why it cannot.
fn report(sending: &Sending<'_>, claim: &mut Claim<'_>) -> Result<()> {
    let id = claim.entry.id;
    let sender = claim.entry.envelope.from.clone().unwrap_or_default();
    let place = sending
        .office
        .route(&sender)
        .map_err(anyhow::Error::from)
        .and_then(|route| destination(&route))
        .and_then(|to| outbox::deliver_report(claim, &to, sending.store.now()));
    match place {
        Ok(place) => {
            let said = format!("message {id}: its report is in {place}");
            sending.means.observer.step(&said);
            Ok(())
        }
        Err(err) => {
            Err(err.context(format!("cannot deliver the report on message {id} to the queue of `{sender}`; it stays in the outbox")))
        }
    }
}

fn destination(route: &Route<'_>) -> Result<Destination> {
    let entry = &route.entry;
    let address = entry.address.address.as_str();
    let queue = &entry.queue.name;
    let target = entry.destination()?;
    let webhooks = entry.webhooks;
    let place = delivery::expand(target, queue, address, "INBOX", entry.language(), webhooks)?;
    if matches!(place, Place::Stdout(_)) {
        return Err(Fault::config(format!(
            "the mail of `{address}` is delivered to stdout, which keeps no report"
        ))
        .into());
    }
    Ok(Destination {
        place,
        root: delivery::fixed_part(target),
        queue: queue.clone(),
        address: address.to_owned(),
        priority: entry.priority().0,
        language: entry.language().to_owned(),
    })
}

fn unknown(entry: &OutboxEntry) -> Fault {
    Fault::new(
        Kind::OutcomeUnknown,
        format!("it is unknown whether it was accepted: {}", entry.reason),
    )
    .hint(format!(
        "to check Sent Items and send it if it is not there: queuemail outbox retry {}",
        entry.id
    ))
}
