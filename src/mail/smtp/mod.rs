//! Mail leaves over SMTP submission (RFC 6409) with an access token.
//!
//! Nothing of before TLS is believed, each recipient has its own fate, and what the server did not
//! answer is not guessed. One connection and one token serve many messages. `wire` reads and writes
//! ([`crate::dialogue`]), `session` gets a connection ready, `content` decides how a message
//! travels, `transaction` submits it.
//!
//! lettre reads and writes addresses ([`super::addresses`]) and builds messages (`send/compose`),
//! but its own transport (`SmtpConnection` of 0.11) is not taken:
//!
//! - One refused recipient ends the transaction for all of them.
//! - A connection that breaks after the final dot is an error like any other, and whoever repeats
//!   the message then sends it twice (RFC 1047).
//! - Its time-out is one of each read, so that a server that sends an octet now and then holds the
//!   program
//!   for ever.
//! - Octets that come unencrypted behind the answer to STARTTLS are not refused.
//! - It ends each message with a line end and a dot, also one that has its last line end; it knows no
//!   PIPELINING, CHUNKING, BINARYMIME and DSN; it tells nobody what was said.

mod content;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod session;
#[cfg(test)]
mod tests;
mod transaction;
mod wire;

use super::{Envelope, Outcome, Receipt, TokenSource, Transport};
use crate::fault::{Cause, Kind, kind_of};
use crate::net::{Endpoint, Settings, Trace};
use crate::secret::Secret;
use anyhow::Result;
use session::Session;

/// Where to submit, and as whom.
pub struct Server {
    pub endpoint: Endpoint,
    pub settings: Settings,
    /// The mailbox that submits: XOAUTH2's `user=`.
    pub user: String,
}

/// A submission server, connected when first needed.
pub struct Smtp<'a> {
    server: Server,
    token: TokenSource<'a>,
    trace: Option<Trace>,
    session: Option<Session>,
    /// One message is all that will be submitted.
    only_one: bool,
}

impl<'a> Smtp<'a> {
    /// `token` gives an access token for the server's user, a new one when called with `true`.
    pub fn new(
        server: Server,
        token: impl Fn(bool) -> Result<Secret> + 'a,
        trace: Option<Trace>,
    ) -> Smtp<'a> {
        Smtp {
            server,
            token: Box::new(token),
            trace,
            session: None,
            only_one: false,
        }
    }

    /// Says that one message is all that will be submitted: the goodbye goes out with its end,
    /// which saves a round trip.
    pub fn for_one(mut self) -> Smtp<'a> {
        self.only_one = true;
        self
    }

    /// Connects and signs in, unless that is done.
    ///
    /// # Errors
    /// As those of [`Transport::submit`].
    pub fn sign_in(&mut self) -> Result<()> {
        self.session().map(|_| ())
    }

    /// The session, opened and signed in if there is none.
    fn session(&mut self) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let mut session = self.open()?;
                session.only_one = self.only_one;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    fn open(&self) -> Result<Session> {
        // Before the connection, which would otherwise idle while the program waits for the token.
        let token = (self.token)(false)?;
        let open = |token: &Secret| Session::open(&self.server, token, self.trace.as_ref());
        let refused = match open(&token) {
            Err(err) if kind_of(&err) == Kind::SignIn => err,
            result => return result,
        };
        // A cached token may be older than a permission that was granted since.
        let fresh = (self.token)(true)?;
        if fresh == token {
            return Err(refused);
        }
        open(&fresh)
    }
}

impl Transport for Smtp<'_> {
    fn submit(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let mut reused = self.session.is_some();
        loop {
            let session = self.session()?;
            match session.submit(envelope, message, before_end) {
                Ok(receipt) => {
                    if session.is_over() {
                        self.session = None;
                    }
                    return Ok(receipt);
                }
                Err(fault) => {
                    self.session = None;
                    // A connection that has idled may be dead without a sign of it. The message
                    // was certainly not accepted, so it goes over a new one, once.
                    if std::mem::take(&mut reused) {
                        continue;
                    }
                    // RFC 5321 §3.8: a server that leaves takes nothing else either.
                    if fault.cause == Some(Cause::ServerLeaves) {
                        return Err(fault.into());
                    }
                    // It may have been this message's fault: the next gets its own connection.
                    let outcome = Outcome::Refused { for_good: false };
                    return Ok(Receipt::failed(outcome, fault));
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.quit();
        }
    }
}
