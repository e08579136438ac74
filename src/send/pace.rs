//! The limits of a mailbox that sends, kept by all processes together, and the waits that its
//! server asked for.

use super::Sending;
use crate::fault::{Cause, Fault};
use crate::mail::Receipt;
use crate::model::Limits;
use crate::state::{Lock, LockName, Pace, Sender, Store, Wait, WaitName};
use anyhow::Result;
use std::time::{Duration, Instant};

/// How long a message waits for its turn before it is left for later: a minute is what the limit
/// of messages per minute can ask for.
pub const PATIENCE: Duration = Duration::from_secs(61);

/// A server that is too busy (421, 432) says no time; Exchange counts by the minute.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// A server that asks for a longer wait is asked again after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// One of the few connections that a mailbox may have; free again when dropped, or when the process
/// dies.
pub struct Slot {
    lock: Option<Lock>,
}

impl Slot {
    /// See [`Lock::check`].
    pub fn check(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), Lock::check)
    }
}

/// Waits for one of the mailbox's connections, where their number is limited.
pub fn slot(sending: &Sending<'_>, sender: Sender<'_>, limits: &Limits) -> Result<Slot> {
    let Some(most) = limits.connections else {
        return Ok(Slot { lock: None });
    };
    let deadline = Instant::now() + sending.patience;
    loop {
        for number in 0..most.clamp(1, 64) {
            if let Ok(lock) = sending
                .store
                .lock(LockName::Connection { sender, number })?
            {
                return Ok(Slot { lock: Some(lock) });
            }
        }
        if Instant::now() >= deadline {
            let Sender { server, user } = sender;
            return Err(Fault::try_later(match most {
                1 => format!("the only connection that outgoing server `{server}` allows `{user}` is in use"),
                _ => format!("all {most} connections that outgoing server `{server}` allows `{user}` are in use"),
            })
            .into());
        }
        std::thread::sleep(sending.store.longest_pause());
    }
}

/// Waits until the mailbox may send this message.
pub fn take_turn(
    sending: &Sending<'_>,
    sender: Sender<'_>,
    limits: &Limits,
    recipients: usize,
) -> Result<()> {
    let pace = Pace {
        messages_per_minute: limits.messages_per_minute,
        recipients_per_day: limits.recipients_per_day,
    };
    if pace == Pace::default() {
        return Ok(());
    }
    let deadline = Instant::now() + sending.patience;
    loop {
        let wait = sending
            .store
            .take_turn(sender, recipients, pace, sending.store.clock())?;
        let Some(wait) = wait else { return Ok(()) };
        if Instant::now() + wait > deadline {
            return Err(Fault::try_later(format!(
                "`{}` has reached the limit of outgoing server `{}`; it can send again in {} s",
                sender.user,
                sender.server,
                wait.as_secs() + 1
            ))
            .retry_after(Some(wait))
            .into());
        }
        sending.means.observer.step(&format!(
            "`{}` may send again in {:.1} s",
            sender.user,
            wait.as_secs_f32()
        ));
        std::thread::sleep(wait);
    }
}

/// An error while the server's wait holds.
pub fn obey_wait(store: &Store, sender: Sender<'_>) -> Result<()> {
    let now = store.clock();
    let Some(wait) = store.wait(WaitName::Sending(sender), now)? else {
        return Ok(());
    };
    let left = Duration::try_from(wait.until.duration_since(now)).unwrap_or_default();
    Err(Fault::try_later(format!(
        "outgoing server `{}` requested a wait, {} s more for `{}`",
        sender.server,
        left.as_secs() + 1,
        sender.user
    ))
    .cause(Cause::WaitHolds)
    .said(wait.reason)
    .retry_after(Some(left))
    .into())
}

/// What a server asked for holds for every process.
pub fn remember_wait(store: &Store, sender: Sender<'_>, result: &Result<Receipt>) -> Result<()> {
    let asked = match result {
        Ok(receipt) => receipt
            .server_said
            .as_ref()
            .filter(|_| receipt.is_busy())
            .map(|said| (BUSY_WAIT, said.clone())),
        Err(err) => err.downcast_ref::<Fault>().and_then(|fault| {
            let said = fault.server_said.clone();
            let busy = fault.cause.is_some_and(Cause::is_busy);
            // What `obey_wait` or the program's own pace says is not a new wait.
            let own = fault.cause == Some(Cause::WaitHolds) || said.is_none();
            let wait = fault.retry_after.or(busy.then_some(BUSY_WAIT))?;
            (!own).then(|| (wait, said.unwrap_or_else(|| fault.what.clone())))
        }),
    };
    let Some((wait, reason)) = asked else {
        return Ok(());
    };
    let until = store
        .clock()
        .saturating_add(jiff::SignedDuration::try_from(wait.min(LONGEST_WAIT))?)?;
    store.set_wait(WaitName::Sending(sender), &Wait { until, reason })
}
