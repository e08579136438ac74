//! How mail leaves, for the commands `send` and `outbox`: the connection and token that messages share, the
//! limits that are kept and the waits that are obeyed.
//!
//! - `input`, `compose`, `people`, `prepare`: from where messages come, and what is made of them
//! - `pace`: the limits and the waits
//! - `kept`: what the outbox keeps until it has left
//! - `outbox`: how it keeps it, whatever happens; knows no way to a host and nothing else of `send`
//! - `record`: what the history says of them
//! - `verdict`: what became of a message, as the error that its sender gets

pub mod compose;
pub mod input;
pub mod kept;
pub mod outbox;
mod pace;
mod people;
mod prepare;
mod record;
pub mod verdict;

pub use kept::Listener;
pub use people::{composer, machine};
pub use prepare::Orders;

use crate::fault::{Fault, Scene};
use crate::mail::{Envelope, Outcome, Receipt, Transport, message};
use crate::means::Means;
use crate::model::Limits;
use crate::office::{Office, Registration, Route, login_to_send};
use crate::reach::{SendWay, Transports};
use crate::state::{Counter, Sender, Store};
use crate::workers;
use crate::workers::locked;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A message, ready, with its way.
pub struct Mail<'a> {
    /// How to name it: its file, if it has one.
    pub file: Option<String>,
    pub route: Route<'a>,
    pub envelope: Envelope,
    /// Shared by the transactions of one message.
    pub octets: Arc<Vec<u8>>,
    pub message_id: String,
    /// Its id in the outbox, if it is kept there.
    pub kept: Option<i64>,
    /// Nothing else follows it in this run.
    pub alone: bool,
}

/// What all connections of a run share.
pub struct Sending<'a> {
    means: Means,
    pub office: &'a Office<'a>,
    pub store: &'a Store,
    transports: Transports<'a>,
    /// Senders that failed: the messages after the first are not tried again, so that no account is
    /// locked.
    failed_senders: Mutex<Vec<(Sender<'a>, Fault)>>,
    /// How many messages were accepted from each address, until that is on record.
    accepted: Mutex<BTreeMap<String, u64>>,
    /// How long a message waits for its turn before it is left for later.
    patience: Duration,
}

/// One connection at a time, for messages one after the other.
pub struct Post<'a> {
    sending: &'a Sending<'a>,
    open: Option<Open<'a>>,
    /// The way that was taken last, for what an error says.
    pub way: Option<SendWay>,
}

struct Open<'a> {
    sender: Sender<'a>,
    way: SendWay,
    transport: Box<dyn Transport + 'a>,
    limits: Limits,
    /// Held while this is one of the mailbox's few connections.
    slot: pace::Slot,
}

impl<'a> Sending<'a> {
    pub fn new(means: &Means, office: &'a Office<'a>, store: &'a Store) -> Sending<'a> {
        Sending {
            means: means.clone(),
            office,
            store,
            transports: Transports::new(means, office, store),
            failed_senders: Mutex::default(),
            accepted: Mutex::default(),
            patience: pace::PATIENCE,
        }
    }

    /// Does not wait for its turn: whoever calls has somewhere to keep the message.
    pub fn impatient(mut self) -> Sending<'a> {
        self.patience = Duration::ZERO;
        self
    }

    /// What the run gives to whoever works for it.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// Puts on record how many messages were accepted. Nothing was promised of that: where it cannot
    /// be done, the metrics alone are wrong.
    fn record_accepted(&self) {
        let all = std::mem::take(&mut *locked(&self.accepted));
        if all.is_empty() {
            return;
        }
        let all: Vec<(String, u64)> = all.into_iter().collect();
        if let Err(err) = self.store.count(Counter::Sent, &all) {
            let words = format!("the messages that were sent are not counted: {err:#}");
            self.means.observer.warn(&words);
        }
    }

    /// Tells that something of a transaction is not remembered. What became of the message counts,
    /// whatever hinders that.
    fn or_warn(&self, what: &str, remembered: Result<()>) {
        if let Err(err) = remembered {
            let words = format!("cannot remember {what}: {err:#}");
            self.means.observer.warn(&words);
        }
    }

    /// Who, what and where, for an error; `way` is the one that was taken, if it is known.
    pub fn scene(&'a self, mail: &Mail<'a>, way: Option<SendWay>) -> Scene {
        let route = &mail.route;
        let queue = &route.entry.queue.name;
        let registration = route.outgoing.registration().ok();
        let known = registration.map(Registration::scene);
        let ways = &self.transports;
        let way = way
            .or_else(|| ways.known(route).ok().flatten())
            .unwrap_or(SendWay::Smtp);
        let mut scene = Scene {
            doing: format!("cannot send for queue `{queue}`"),
            queue: Some(queue.clone()),
            address: Some(route.entry.address.address.to_string()),
            mailbox: Some(way.user(route).to_owned()),
            from: message::author_of(&mail.octets),
            account: route
                .outgoing
                .person(Some(route.entry.address))
                .map(|person| person.name.to_owned()),
            server: Some(route.outgoing.name.clone()),
            is_outgoing: true,
            is_server_account: route.outgoing.password.is_some(),
            login: Some(login_to_send(route.outgoing, Some(&route.entry))),
            tenant: Some(route.outgoing.tenant.to_string()),
            protocol: Some(way.name().to_owned()),
            ..known.unwrap_or_default()
        };
        scene.host = ways.host(route, way);
        if way == SendWay::Smtp
            && let Ok(endpoint) = route.outgoing.smtp()
        {
            endpoint.name_in(&mut scene);
        }
        scene
    }

    /// How many recipients a message may have at most. Graph has no envelope, so that a message
    /// cannot be split there.
    pub fn most_recipients(&'a self, route: &Route<'a>) -> Result<usize> {
        let way = self.transports.known(route)?;
        if way == Some(SendWay::Graph) {
            return Ok(usize::MAX);
        }
        let host = self
            .transports
            .host(route, SendWay::Smtp)
            .unwrap_or_default();
        let most = route.limits(&host).recipients_per_message;
        Ok(most.map_or(usize::MAX, |n| n.max(1) as usize))
    }

    /// Where a message would go, and whose mailbox submits it. Nothing is asked for here: a way
    /// that is not known yet stays open.
    pub fn place(&'a self, route: &Route<'a>) -> Result<(String, &'a str)> {
        let ways = &self.transports;
        Ok(match ways.known(route)? {
            Some(way) => (ways.place(route, way)?, way.user(route)),
            None => {
                let smtp = ways.place(route, SendWay::Smtp)?;
                let graph = ways.place(route, SendWay::Graph)?;
                (format!("{smtp} or {graph}"), route.user())
            }
        })
    }
}

impl<'a> Post<'a> {
    pub fn new(sending: &'a Sending<'a>) -> Post<'a> {
        Post {
            sending,
            open: None,
            way: None,
        }
    }

    /// Submits a message; `before_end` is called when its end goes out next.
    ///
    /// # Errors
    /// The way is closed for now, and the message was certainly not accepted.
    pub fn submit(
        &mut self,
        mail: &Mail<'a>,
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let (sending, route) = (self.sending, &mail.route);
        let sender = Sender {
            server: &route.outgoing.name,
            user: route.user(),
        };
        let failed = locked(&sending.failed_senders)
            .iter()
            .find(|(failed, _)| *failed == sender)
            .map(|(_, fault)| fault.clone());
        if let Some(fault) = failed {
            return Err(anyhow::Error::new(fault).context(sending.scene(mail, self.way)));
        }
        let mut result = self.try_submit(sender, mail, None, before_end);
        if let (Err(err), Some(refused)) = (&result, self.way)
            && let Some(other) = sending.transports.another(route, refused, err)?
        {
            self.close();
            result = self.try_submit(sender, mail, Some(other), before_end);
        }
        if let Ok(receipt) = &result {
            if receipt.outcome == Outcome::Accepted {
                let address = route.entry.address.address.as_str().to_lowercase();
                *locked(&sending.accepted).entry(address).or_default() += 1;
            }
            sending.or_warn("the way", sending.transports.worked(route, self.way));
        }
        if let Err(err) = &result
            && let Some(fault) = err.downcast_ref::<Fault>()
        {
            locked(&sending.failed_senders).push((sender, fault.clone()));
        }
        let waits = pace::remember_wait(sending.store, sender, &result);
        sending.or_warn("the wait that the server requested", waits);
        result.with_context(|| sending.scene(mail, self.way))
    }

    fn try_submit(
        &mut self,
        sender: Sender<'a>,
        mail: &Mail<'a>,
        way: Option<SendWay>,
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let (sending, route) = (self.sending, &mail.route);
        pace::obey_wait(sending.store, sender)?;
        let open = match self.open.take() {
            Some(open) if open.sender == sender => open,
            other => {
                self.open = other;
                self.close();
                let way = match way {
                    Some(way) => way,
                    None => sending.transports.choose(route)?,
                };
                self.way = Some(way);
                let host = sending.transports.host(route, way).unwrap_or_default();
                let limits = route.limits(&host);
                Open {
                    sender,
                    way,
                    slot: pace::slot(sending, sender, &limits)?,
                    transport: sending.transports.open(route, way, mail.alone)?,
                    limits,
                }
            }
        };
        self.way = Some(open.way);
        let open = self.open.insert(open);
        if let Some(max) = open.limits.message_size
            && mail.octets.len() as u64 > u64::from(max)
        {
            let why = Fault::refused(format!(
                "the message has {} bytes, and outgoing server `{}` accepts {max} (limits: message_size)",
                mail.octets.len(),
                sender.server
            ));
            return Ok(Receipt::failed(Outcome::Refused { for_good: true }, why));
        }
        open.slot.check()?;
        pace::take_turn(sending, sender, &open.limits, mail.envelope.to.len())?;
        open.transport
            .submit(&mail.envelope, &mail.octets, before_end)
    }

    pub fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.transport.close();
        }
    }
}

/// Works on `items` with up to `most` connections at the same time, a connection for about every
/// `each` items: for a few, the time to connect would be longer than what it saves.
pub fn work<'a, T: Send>(
    sending: &'a Sending<'a>,
    items: impl Iterator<Item = T> + Send,
    about: usize,
    most: usize,
    act: impl Fn(&mut Post<'a>, T) + Sync,
) {
    const EACH: usize = 8;
    let workers = about.div_ceil(EACH).clamp(1, most.max(1));
    workers::share(workers, items, |items| {
        let mut post = Post::new(sending);
        for item in items {
            act(&mut post, item);
        }
        post.close();
    });
    sending.record_accepted();
}
