//! Whose an error is: a wish of the server, a folder's, the destination's, or the connection's.
//!
//! By that a visit decides what goes on without it, and a run what it tells.

use crate::fault::{Cause, Fault, Kind, Scope, cause_of};
use crate::mail;
use crate::model::Target;
use anyhow::Result;
use std::fmt;

/// The first of two errors, of which the second often follows; but before it what the server
/// wishes, and what hinders the delivery.
pub fn first_of<T>(first: Result<()>, then: Result<T>) -> Result<T> {
    match (first, then) {
        // That is not news, and where nobody named the mailbox, it is not told.
        (Err(first), Err(err)) if destination_waits(&err) => Err(first),
        (Err(_), Err(err)) if is_wish(&err) || is_of_delivery(&err) => Err(err),
        (first, then) => first.and(then),
    }
}

/// The server wants to wait, or a new token.
pub fn is_wish(err: &anyhow::Error) -> bool {
    let waits = |fault: &Fault| fault.retry_after.is_some();
    err.downcast_ref::<mail::TokenExpired>().is_some()
        || err.downcast_ref::<Fault>().is_some_and(waits)
}

/// Marks an error of the delivery, which a new connection to the mailbox does not mend.
#[derive(Clone, Debug)]
struct CannotDeliver(String);

impl fmt::Display for CannotDeliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot deliver to `{}`", self.0)
    }
}

/// The error, as one of the delivery to this target.
pub fn of_delivery(target: &Target, err: anyhow::Error) -> anyhow::Error {
    err.context(CannotDeliver(target.to_string()))
}

/// An error of one folder or less, which the others need not share.
pub fn is_of_folder(err: &anyhow::Error) -> bool {
    err.downcast_ref::<Fault>()
        .is_some_and(|fault| fault.scope() <= Scope::Folder)
}

/// An error of where mail is delivered to, and not of the mailbox.
pub fn is_of_delivery(err: &anyhow::Error) -> bool {
    err.downcast_ref::<CannotDeliver>().is_some()
}

/// The destination asked earlier to be left alone for a time, which has not passed.
pub fn destination_waits(err: &anyhow::Error) -> bool {
    is_of_delivery(err) && cause_of(err) == Some(Cause::WaitHolds)
}

/// A connection that broke, without a wish of the server to be left alone.
pub fn is_cut(err: &anyhow::Error) -> bool {
    !is_of_delivery(err)
        && err.downcast_ref::<Fault>().is_some_and(|f| {
            f.kind == Kind::TryLater && f.retry_after.is_none() && f.scope() == Scope::Mailbox
        })
}
