//! What a session asks, answered from the configuration and the outbox: the rules of every message
//! that is sent, and bounds for each submitter.

use super::passwords::Passwords;
use super::peer::Peer;
use super::session::{Desk, Message, Refusal};
use crate::fault::{Fault, Kind, kind_of};
use crate::mail::Notifications;
use crate::model::Relay;
use crate::send::{Orders, Sending};
use crate::state::{Lock, LockName};
use crate::wording::{self, counted};
use anyhow::Result;
use std::time::Duration;

/// A wrong password costs its client this time.
const WRONG_PASSWORD: Duration = Duration::from_secs(1);

/// How much one submitter may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages in the outbox.
    pub messages: u64,
    /// Octets of these.
    pub octets: u64,
    /// Sessions at the same time.
    pub sessions: u32,
}

impl Bounds {
    /// Those of the configuration, else the defaults.
    pub fn of(relay: &Relay) -> Bounds {
        Bounds {
            messages: relay.messages_per_user.unwrap_or(1000).into(),
            octets: u64::from(relay.megabytes_per_user.unwrap_or(1024)) << 20,
            sessions: 50,
        }
    }
}

/// Takes the messages of one session.
pub struct Counter<'a> {
    sending: &'a Sending<'a>,
    bounds: Bounds,
    passwords: Passwords,
    /// By what the submitter is counted, and what else is on record of them.
    who: String,
    more: String,
    /// One of the sessions that they may have.
    _session: Lock,
}

impl<'a> Counter<'a> {
    /// Begins to serve a peer, or says why it is not served now.
    ///
    /// # Errors
    /// The state cannot be used.
    pub fn open(
        sending: &'a Sending<'a>,
        peer: &Peer,
        bounds: Bounds,
        passwords: Passwords,
    ) -> Result<Result<Counter<'a>, Refusal>> {
        let who = peer.who();
        if !peer.is_here() {
            let text = "this relay accepts mail only from its own machine";
            return Ok(Err(Refusal::new(554, "5.7.1", text)));
        }
        for number in 0..bounds.sessions {
            let name = LockName::Session { who: &who, number };
            if let Ok(session) = sending.store.lock(name)? {
                return Ok(Ok(Counter {
                    sending,
                    bounds,
                    passwords,
                    who,
                    more: peer.more(),
                    _session: session,
                }));
            }
        }
        let most = counted(bounds.sessions, "session", "sessions");
        let text = format!("{who} already has {most}");
        Ok(Err(Refusal::new(421, "4.7.0", text)))
    }

    /// The reply that tells of an error. What an administrator has to mend is told to them, too.
    fn refusal(&self, err: &anyhow::Error) -> Refusal {
        let kind = kind_of(err);
        let (code, status) = match kind {
            Kind::Malformed => (554, "5.6.0"),
            Kind::UnknownRecipient => (550, "5.1.3"),
            Kind::Refused | Kind::SignIn => (550, "5.7.1"),
            Kind::Usage => (550, "5.5.0"),
            Kind::CannotWrite => (452, "4.3.1"),
            Kind::Config => (451, "4.3.5"),
            Kind::TryLater | Kind::OutcomeUnknown | Kind::Bug => (451, "4.3.0"),
        };
        if code < 500 {
            let said = format!(
                "the relay refused a message of {} for now: {err:#}",
                self.who
            );
            self.sending.means().observer.warn(&said);
        }
        let text = match err.downcast_ref::<Fault>() {
            Some(fault) => fault.what.clone(),
            None => "the relay failed; see its log".to_owned(),
        };
        Refusal::new(code, status, text)
    }

    fn within_bounds(&self, size: u64) -> Result<(), Refusal> {
        let share = self.sending.store.outbox_share(&self.who);
        let (messages, octets) = share.map_err(|err| self.refusal(&err))?;
        let who = &self.who;
        let full = |what: String| {
            let text =
                format!("{who} has {what} in the outbox, and may not have more; retry later");
            Err(Refusal::new(452, "4.3.1", text))
        };
        if messages >= self.bounds.messages {
            return full(wording::messages(messages));
        }
        if octets.saturating_add(size) > self.bounds.octets {
            return full(format!("{octets} bytes"));
        }
        Ok(())
    }

    fn submitter(&self) -> String {
        format!("{} {}", self.who, self.more)
    }
}

impl Desk for Counter<'_> {
    fn sender(&mut self, from: &str, size: u64) -> Result<(), Refusal> {
        self.within_bounds(size)?;
        let checked = self.sending.check_sender(from);
        checked.map_err(|err| self.refusal(&err))
    }

    fn recipient(&mut self, to: &str) -> Result<(), Refusal> {
        let checked = self.sending.check_recipient(to);
        checked.map_err(|err| self.refusal(&err))
    }

    fn keep(&mut self, message: Message) -> Result<String, Refusal> {
        // SIZE is the client's word.
        self.within_bounds(message.octets.len() as u64)?;
        let orders = Orders {
            from: Some(&message.from),
            full_name: None,
            recipients: &[],
            composed_for: message.to,
            from_header: false,
            auto: None,
            notifications: Notifications::default(),
            several: false,
        };
        let kept = self
            .sending
            .prepare(&orders, message.octets, None)
            .and_then(|mails| self.sending.keep_for_later(mails, &self.submitter()));
        let ids = kept.map_err(|err| self.refusal(&err))?;
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let ids = ids.join(",");
        let said = format!(
            "message {ids}: kept in the outbox, from {}",
            self.submitter()
        );
        self.sending.means().observer.step(&said);
        Ok(ids)
    }

    fn signs_in(&mut self, user: &str, password: &str) -> bool {
        if !self.passwords.knows(user, password) {
            let said = format!("a wrong user or password, from {}", self.submitter());
            self.sending.means().observer.warn(&said);
            std::thread::sleep(WRONG_PASSWORD);
            return false;
        }
        self.more = self.submitter();
        self.who = format!("login={user}");
        true
    }
}
