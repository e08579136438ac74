//! The outbox: messages that were promised to leave, kept until they have.
//!
//! The order is the promise:
//!
//! 1. a message's octets, its body, are durable with their name before its row is on record; only
//!    then is it promised ([`keep`]);
//! 2. whoever works on a message holds it, which the state allows to nobody else until they let go
//!    or die ([`claim`]);
//! 3. that the end of the message goes out next is on record before it does
//!    ([`Claim::hand_over`]): a message found in that state without a holder is `unknown` and
//!    never sent again by itself. Where several hosts share the state, its holder may be cut off and
//!    not dead, so it is left alone for as long as a server may take to answer;
//! 4. what became of it is on record before its body goes ([`Claim::settle`]). Whoever handed nothing
//!    over, and has lost the message to another host, puts nothing on record.
//!
//! A crash before 1 is complete leaves a body without a row, which [`sweep`] removes: nobody was
//! promised anything.

mod fate;
mod report;

pub use report::{Destination, deliver_report};

use crate::fault::{Cause, Fault, Kind, cause_of, kind_of};
use crate::mail::{self, Envelope, Receipt, Summary};
use crate::state::{Hold, Lock, Moment, OutboxEntry, OutboxState, Sent, Store};
use anyhow::Result;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// A body without a row is somebody's that is at work; after this time it is nobody's.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

/// A header is looked for in so many octets.
const HEAD: u64 = 64 << 10;
/// So many seconds after its end went out, nobody waits any more for what a server says to a message:
/// RFC 5321 §4.5.3.2.6 has ten minutes.
const LONGEST_HAND_OVER: i64 = 900;
/// The end of a message that has not gone out so long after that went on record does not go out.
const LATEST_END: Duration = Duration::from_secs(50);

/// A message of the outbox that only this process works on, until this is dropped.
pub struct Claim<'a> {
    store: &'a Store,
    pub entry: OutboxEntry,
    /// Somebody died handing it over, and nobody was told yet.
    pub abandoned: bool,
    lock: Lock,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is dealt with and gone from the outbox.
    Gone,
    /// It, or what is left of it, is tried again at this time (Unix seconds).
    Later(i64),
    /// Nobody knows; a person decides.
    Unknown,
    /// Given up on; its report is due.
    Failed,
}

/// Whom recipients that are refused for good are reported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportTo {
    /// The caller, who waits for the first attempt.
    Caller,
    /// The sender's queue, by a message.
    Queue,
}

/// Keeps a message, durably; when this returns, it may be promised. This process may work on it.
///
/// `shared_id`: the same message also leaves for others in a transaction of its own. `submitter`:
/// who handed it to the relay.
pub fn keep<'a>(
    store: &'a Store,
    envelope: Envelope,
    message_id: &str,
    octets: &[u8],
    shared_id: bool,
    submitter: Option<&str>,
    now: i64,
) -> Result<Claim<'a>> {
    let body = store.outbox_bodies().put(octets)?;
    let mut entry = OutboxEntry {
        id: 0,
        file: body.name.clone(),
        envelope,
        message_id: message_id.to_owned(),
        shared_id,
        size: octets.len() as u64,
        state: OutboxState::Waiting,
        attempts: 0,
        next_attempt: now,
        reason: String::new(),
        refused: Vec::new(),
        report: None,
        submitter: submitter.map(str::to_owned),
        kept_at: now,
        changed_at: now,
    };
    // On record: from here on the body stays until the row is gone.
    let lock = store.promise(&mut entry, body)?;
    Ok(Claim {
        store,
        entry,
        abandoned: false,
        lock,
    })
}

/// Takes a message to work on. `None` where another process has it, or it is dealt with. What
/// somebody died handing over comes as `unknown`.
pub fn claim(store: &Store, id: i64, now: i64) -> Result<Option<Claim<'_>>> {
    let Some(entry) = store.outbox_entry(id)? else {
        return Ok(None);
    };
    let lock = match store.hold_message(&entry.file)? {
        Hold::Ours(lock) => lock,
        Hold::Theirs => return Ok(None),
        // Whoever had it is done with it.
        Hold::Gone if store.outbox_entry(id)?.is_none() => return Ok(None),
        Hold::Gone => {
            let place = store.outbox_bodies().place(&entry.file);
            return Err(Fault::cannot_write(format!(
                "message {id} is lost: `{place}` does not exist"
            ))
            .hint(format!(
                "if it cannot be restored: queuemail outbox drop {id}"
            ))
            .into());
        }
    };
    // What was read before the lock may be out of date.
    let Some(entry) = store.outbox_entry(id)? else {
        return Ok(None);
    };
    let abandoned = entry.state == OutboxState::Sending;
    let since = store.now() - entry.changed_at;
    if abandoned && store.is_shared() && (-LONGEST_HAND_OVER..LONGEST_HAND_OVER).contains(&since) {
        return Ok(None);
    }
    let mut claim = Claim {
        store,
        entry,
        abandoned,
        lock,
    };
    if claim.abandoned {
        claim.entry.state = OutboxState::Unknown;
        claim.entry.reason = "the program ended during the transfer of the message".to_owned();
        claim.entry.changed_at = now;
        store.outbox_update(&claim.lock, &claim.entry)?;
    }
    Ok(Some(claim))
}

impl<'a> Claim<'a> {
    /// The message.
    ///
    /// # Errors
    /// `TryLater`: another host may have sent it and removed it meanwhile. `CannotWrite`: it is lost.
    pub fn octets(&self) -> Result<Vec<u8>> {
        let octets = self.kept_octets();
        if octets.is_err() {
            self.lock.check()?;
        }
        octets
    }

    fn kept_octets(&self) -> Result<Vec<u8>> {
        let bodies = self.store.outbox_bodies();
        let octets = bodies.octets(&self.entry.file, self.entry.size + 1)?;
        if octets.len() as u64 != self.entry.size {
            return Err(Fault::cannot_write(format!(
                "message {} of the outbox has {} bytes instead of {}",
                self.entry.id,
                octets.len(),
                self.entry.size
            ))
            .hint(format!(
                "nothing was sent; see `{}`",
                bodies.place(&self.entry.file)
            ))
            .into());
        }
        Ok(octets)
    }

    /// Puts on record, durably, that the end of the message goes out next.
    pub fn hand_over(&mut self) -> Result<()> {
        let mut entry = self.entry.clone();
        entry.state = OutboxState::Sending;
        let recorded = Moment::now();
        entry.changed_at = self.store.now();
        self.store.outbox_update(&self.lock, &entry)?;
        self.entry = entry;
        self.lock.check_since(recorded, LATEST_END)
    }

    /// Puts on record what became of an attempt, with what the history is to say of it. Of a message
    /// that was not handed over, and that another host has by now, the record stays that host's: it
    /// may be sending it, and what it says of that counts by the attempts before.
    pub fn settle(
        &mut self,
        result: &Result<Receipt>,
        report_to: ReportTo,
        now: i64,
        history: &dyn Fn(&Settled) -> Option<Sent>,
    ) -> Result<Settled> {
        let before = self.entry.clone();
        let entry = &mut self.entry;
        entry.attempts += 1;
        entry.changed_at = now;
        let settled = fate::after_attempt(entry, result, report_to, now);
        let sent = history(&settled);
        let is_fact = before.state == OutboxState::Sending;
        let recorded = self.record(settled, !is_fact, before.attempts, sent.as_ref());
        recorded.or_else(|err| match is_lost(&err) {
            true => {
                self.entry = before;
                Ok(Settled::Later(self.entry.next_attempt))
            }
            false => Err(err),
        })
    }

    /// Keeps a message no longer that was not handed over and is given back to its caller. False
    /// where another host has it by now: then it stays kept.
    pub fn give_back(&mut self) -> Result<bool> {
        match self.record(Settled::Gone, true, self.entry.attempts, None) {
            Err(err) if is_lost(&err) => Ok(false),
            recorded => recorded.map(|_| true),
        }
    }

    /// A person or the server says that it was accepted, or nobody wants it any more.
    pub fn remove(&mut self) -> Result<()> {
        self.record(Settled::Gone, false, self.entry.attempts, None)
            .map(drop)
    }

    /// The same of a message that is found to be sent, for the history.
    pub fn remove_sent(&mut self, sent: &Sent, now: i64) -> Result<()> {
        self.entry.changed_at = now;
        self.record(Settled::Gone, false, self.entry.attempts, Some(sent))
            .map(drop)
    }

    /// Lets it be tried again at once, those given up on included.
    pub fn restart(&mut self, now: i64) -> Result<()> {
        let entry = &mut self.entry;
        let again = std::mem::take(&mut entry.refused);
        entry
            .envelope
            .to
            .extend(again.into_iter().map(|r| r.address));
        entry.state = OutboxState::Waiting;
        entry.report = None;
        entry.next_attempt = now;
        // A person vouches for another while.
        entry.kept_at = now;
        entry.changed_at = now;
        self.store.outbox_update(&self.lock, entry)
    }

    /// Puts on record what became of a message that had been tried so often; if `is_ours`, only
    /// where no other host has it by now.
    fn record(
        &mut self,
        settled: Settled,
        is_ours: bool,
        attempts: u32,
        sent: Option<&Sent>,
    ) -> Result<Settled> {
        let entry = &self.entry;
        let lock = is_ours.then_some(&self.lock);
        if settled != Settled::Gone {
            self.store.outbox_settle(lock, entry, attempts, sent)?;
            return Ok(settled);
        }
        let sent = sent.map(|sent| (sent, entry.changed_at));
        self.store.outbox_remove(lock, entry.id, attempts, sent)?;
        // The row is what counts; a body that stays is swept later. In a shared database they go
        // together, unless the message has been tried elsewhere since.
        if !self.store.is_shared() {
            let _ = self.store.outbox_bodies().remove(&self.entry.file);
        }
        Ok(settled)
    }
}

/// Another host has the message by now.
fn is_lost(err: &anyhow::Error) -> bool {
    cause_of(err) == Some(Cause::LeaseLost)
}

/// What the header of a message says. Nothing where its body is lost.
pub fn summary(store: &Store, entry: &OutboxEntry) -> Summary {
    let octets = store.outbox_bodies().octets(&entry.file, HEAD);
    let octets = octets.unwrap_or_default();
    mail::summary(&octets)
}

/// True for an error after which a message is kept rather than given back to its caller: what
/// stands in the way may pass, or be mended by a person, without the message being another.
pub fn may_pass(err: &anyhow::Error) -> bool {
    matches!(kind_of(err), Kind::TryLater | Kind::SignIn | Kind::Refused)
}

/// Removes bodies that no row names, left by processes that died before they promised anything.
/// Whoever still works on one holds it; the age alone says little, for clocks are set.
pub fn sweep(store: &Store) -> Result<()> {
    // There, a body and its row come and go in one transaction.
    if store.is_shared() {
        return Ok(());
    }
    let bodies = store.outbox_bodies();
    let now = SystemTime::now();
    let age = |at| now.duration_since(at).unwrap_or_else(|e| e.duration());
    // What cannot be looked at now is swept by a later run.
    let mut old = bodies.all().unwrap_or_default();
    old.retain(|body| age(body.at) > ORPHAN_AGE);
    if old.is_empty() {
        return Ok(());
    }
    let named =
        || -> Result<HashSet<String>> { Ok(store.outbox()?.into_iter().map(|e| e.file).collect()) };
    let before = named()?;
    old.retain(|body| !before.contains(&body.name));
    let mut held = Vec::new();
    for body in old {
        if let Ok(Hold::Ours(lock)) = bodies.hold(&body.name) {
            held.push((body.name, lock));
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    // Whoever held one until now may have put its row on record.
    let named = named()?;
    for (name, _) in held.iter().filter(|(name, _)| !named.contains(name)) {
        let _ = bodies.remove(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Outcome;
    use crate::state::engines_tests::Engine;
    use std::fs::{self, File};

    #[test]
    fn one_at_a_time_works_on_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let envelope = Envelope {
            from: Some("us@contoso.example".into()),
            to: vec!["a@x.example".into()],
            ..Envelope::default()
        };
        let mut mine = keep(&store, envelope, "<1@x>", b"hello", false, None, 5).unwrap();
        let other = Store::open(folder.path()).unwrap();
        assert!(claim(&other, mine.entry.id, 6).unwrap().is_none());
        mine.hand_over().unwrap();
        let id = mine.entry.id;
        drop(mine);
        // As if its holder had died in the middle.
        let mut found = claim(&other, id, 7).unwrap().unwrap();
        assert_eq!(found.entry.state, OutboxState::Unknown);
        assert_eq!(found.octets().unwrap(), b"hello");
        found.remove().unwrap();
        drop(found);
        assert!(claim(&store, id, 8).unwrap().is_none());
        assert_eq!(store.outbox_bodies().all().unwrap(), []);
    }

    /// A host that was cut off for so long that another one sent its message says so, and does not
    /// say that the message is lost.
    #[test]
    fn what_another_host_has_sent_is_not_called_lost() {
        let engine = Engine::postgres();
        let (a, b) = (engine.open(), engine.open());
        let mine = keep(&a, Envelope::default(), "<1@x>", b"x", false, None, 5).unwrap();
        b.outbox_remove(None, mine.entry.id, 0, None).unwrap();
        assert_eq!(kind_of(&mine.octets().unwrap_err()), Kind::CannotWrite);
        let refused = Fault::try_later("x").cause(Cause::LeaseLost);
        mine.lock.heed(&refused.into());
        let err = mine.octets().unwrap_err();
        assert_eq!(cause_of(&err), Some(Cause::LeaseLost), "{err:#}");
    }

    /// A host that was frozen before it handed its message over finds that it could not be sent. What
    /// it says of that must not stand against what the host says that is sending it by now.
    #[test]
    fn who_handed_nothing_over_says_nothing_of_what_another_host_sends() {
        type Attempt = fn() -> Result<Receipt>;
        let attempts: [Attempt; 3] = [
            || Err(Fault::try_later("cannot connect").into()),
            || Ok(Receipt::of(Outcome::Refused { for_good: false })),
            || Ok(Receipt::of(Outcome::Refused { for_good: true })),
        ];
        let envelope = || Envelope {
            to: vec!["a@x.example".into()],
            ..Envelope::default()
        };
        let nothing = |_: &Settled| None;
        for (n, attempt) in attempts.iter().enumerate() {
            let engine = Engine::postgres();
            let (a, b) = (engine.open(), engine.open());
            let mut frozen = keep(&a, envelope(), "<1@x>", b"x", false, None, a.now()).unwrap();
            let id = frozen.entry.id;
            engine.script("UPDATE lease SET until = clock_timestamp() - interval '1 s'");
            let mut sending = claim(&b, id, b.now()).unwrap().unwrap();
            sending.hand_over().unwrap();
            let on_record = b.outbox_entry(id).unwrap();
            let settled = frozen.settle(&attempt(), ReportTo::Queue, a.now(), &nothing);
            assert!(matches!(settled.unwrap(), Settled::Later(_)), "{n}");
            assert!(frozen.entry.refused.is_empty(), "{n}: no report");
            assert!(!frozen.give_back().unwrap(), "{n}");
            assert_eq!(b.outbox_entry(id).unwrap(), on_record, "{n}");
            let accepted = Ok(Receipt::of(Outcome::Accepted));
            let settled = sending.settle(&accepted, ReportTo::Queue, b.now(), &nothing);
            assert_eq!(settled.unwrap(), Settled::Gone, "{n}");
            assert_eq!(
                b.outbox_entry(id).unwrap(),
                None,
                "{n}: it is not sent again"
            );
        }
    }

    /// What came of a hand-over is a fact, whoever has the message by now.
    #[test]
    fn who_handed_it_over_says_what_came_of_it() {
        let engine = Engine::postgres();
        let (a, b) = (engine.open(), engine.open());
        let mut frozen = keep(&a, Envelope::default(), "<1@x>", b"x", false, None, 5).unwrap();
        frozen.hand_over().unwrap();
        let id = frozen.entry.id;
        engine.script(
            "UPDATE lease SET until = clock_timestamp() - interval '1 s';
             UPDATE outbox SET changed_at = changed_at - 1000",
        );
        let found = claim(&b, id, b.now()).unwrap().unwrap();
        assert_eq!(found.entry.state, OutboxState::Unknown);
        let accepted = Ok(Receipt::of(Outcome::Accepted));
        let settled = frozen.settle(&accepted, ReportTo::Queue, a.now(), &|_| None);
        assert_eq!(settled.unwrap(), Settled::Gone);
        assert_eq!(b.outbox_entry(id).unwrap(), None);
    }

    #[test]
    fn a_sweep_takes_what_nobody_works_on_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let outbox = folder.path().join("outbox");
        let envelope = Envelope::default();
        drop(keep(&store, envelope, "<1@x>", b"kept", false, None, 5).unwrap());
        let being_written = store.outbox_bodies().put(b"promised soon").unwrap();
        let left = outbox.join("left.eml");
        let fresh = outbox.join("fresh.eml");
        for path in [&left, &fresh] {
            fs::write(path, "x").unwrap();
        }
        // As if the clock had been set a week ahead, or back, since.
        let week = Duration::from_secs(7 * 86_400);
        for time in [SystemTime::now() - week, SystemTime::now() + week] {
            fs::write(&left, "x").unwrap();
            for file in fs::read_dir(&outbox).unwrap() {
                let path = file.unwrap().path();
                if path != fresh {
                    File::open(path).unwrap().set_modified(time).unwrap();
                }
            }
            sweep(&store).unwrap();
            assert!(!left.exists() && fresh.exists());
            assert!(store.outbox_bodies().has(&being_written.name));
            assert_eq!(fs::read_dir(&outbox).unwrap().count(), 3);
        }
    }
}
