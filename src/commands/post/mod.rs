//! How mail leaves, for `send` and `outbox`: the connection and token that messages share, the
//! limits that are kept, the waits that are obeyed, and what is told of it.

mod pace;
pub mod verdict;
mod way;

use super::access::login_to_send;
use super::{Access, Context};
use crate::config::resolve::{self, Registration};
use crate::config::{Config, Limits};
use crate::fault::{Fault, Kind, Scene};
use crate::mail::{Envelope, Outcome, Receipt, Transport, message};
use crate::state::{Sender, Store};
use crate::submit::Route;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use way::Ways;
pub use way::{Way, proven};

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
pub struct Office<'a> {
    pub context: &'a Context,
    pub config: &'a Config,
    pub store: &'a Store,
    access: Access<'a>,
    /// For a token that is newer than this run.
    fresh_access: Access<'a>,
    /// Senders that failed: the messages after the first are not tried again, lest an account be
    /// locked.
    shut: Mutex<Vec<(Sender<'a>, Fault)>>,
    /// How long a message waits for its turn before it is left for later.
    patience: Duration,
    /// Takes each line of the dialogue, with secrets masked.
    trace: Box<dyn Fn(&str) + Send + Sync>,
}

/// One connection at a time, for messages one after the other.
pub struct Post<'a> {
    office: &'a Office<'a>,
    open: Option<Open<'a>>,
    /// The way that was taken last, for what an error says.
    pub way: Option<Way>,
}

struct Open<'a> {
    sender: Sender<'a>,
    way: Way,
    transport: Box<dyn Transport + 'a>,
    limits: Limits,
    /// Held while we are one of the mailbox's few connections.
    _slot: pace::Slot,
}

impl<'a> Office<'a> {
    pub fn new(context: &'a Context, config: &'a Config, store: &'a Store) -> Office<'a> {
        let output = context.output;
        Office {
            context,
            config,
            store,
            access: Access::new(context, config, store),
            fresh_access: Access::new(context, config, store).fresh(true),
            shut: Mutex::default(),
            patience: pace::PATIENCE,
            trace: Box::new(move |line| output.trace(line)),
        }
    }

    /// Does not wait for its turn: whoever calls has somewhere to keep the message.
    pub fn impatient(mut self) -> Office<'a> {
        self.patience = Duration::ZERO;
        self
    }

    fn shut(&self) -> std::sync::MutexGuard<'_, Vec<(Sender<'a>, Fault)>> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ways out.
    fn ways(&'a self) -> Ways<'a> {
        Ways { office: self }
    }

    /// Who, what and where, for an error; `way` is the one that was taken, if it is known.
    pub fn scene(&'a self, mail: &Mail<'a>, way: Option<Way>) -> Scene {
        let route = &mail.route;
        let queue = &route.entry.queue.name;
        let registration = resolve::outgoing(self.config, route.outgoing).ok();
        let known = registration.as_ref().map(Registration::scene);
        let ways = self.ways();
        let way = way
            .or_else(|| ways.known(route).ok().flatten())
            .unwrap_or(Way::Smtp);
        let mut scene = Scene {
            doing: format!("cannot send for queue `{queue}`"),
            queue: Some(queue.clone()),
            address: Some(route.entry.address.address.to_string()),
            mailbox: Some(way.user(route).to_owned()),
            from: message::author_of(&mail.octets),
            account: resolve::person_who_sends(route.outgoing, Some(route.entry.address))
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
        if let (Way::Smtp, Some(registration)) = (way, registration)
            && let Ok(endpoint) = route.smtp(&registration.authority)
        {
            endpoint.name_in(&mut scene);
        }
        scene
    }

    /// How many recipients a message may have at most. Graph has no envelope, so that a message
    /// cannot be split there.
    pub fn most_recipients(&'a self, route: &Route<'a>) -> Result<usize> {
        let way = self.ways().known(route)?;
        if way == Some(Way::Graph) {
            return Ok(usize::MAX);
        }
        let host = self.ways().host(route, Way::Smtp).unwrap_or_default();
        let most = route.limits(&host).recipients_per_message;
        Ok(most.map_or(usize::MAX, |n| n.max(1) as usize))
    }

    /// Where a message would go, and whose mailbox submits it. Nothing is asked for here: a way
    /// that is not known yet stays open.
    fn place(&'a self, route: &Route<'a>) -> Result<(String, &'a str)> {
        let ways = self.ways();
        Ok(match ways.known(route)? {
            Some(way) => (ways.place(route, way)?, way.user(route)),
            None => {
                let smtp = ways.place(route, Way::Smtp)?;
                let graph = ways.place(route, Way::Graph)?;
                (format!("{smtp} or {graph}"), route.user())
            }
        })
    }

    /// What would be sent, how and by whom, as lines for people.
    pub fn foretell(&'a self, mail: &Mail<'a>) -> Result<Vec<String>> {
        let (place, user) = self.place(&mail.route)?;
        let safe = crate::output::escape;
        let name = &mail.route.outgoing.name;
        Ok(vec![
            format!("would send {} octets", mail.octets.len()),
            format!(
                "  from {} (queue {})",
                safe(mail.envelope.from.as_deref().unwrap_or_default()),
                mail.route.entry.queue.name
            ),
            format!("  to {}", safe(&mail.envelope.to.join(", "))),
            format!("  through {name}: {place} as {user}"),
            format!("  Message-ID {}", safe(&mail.message_id)),
            format!("  configuration {}", self.context.config_path.display()),
        ])
    }

    /// The same for programs.
    pub fn foretell_json(&'a self, mail: &Mail<'a>) -> Result<serde_json::Value> {
        let (place, user) = self.place(&mail.route)?;
        Ok(json!({
            "event": "would-send",
            "file": mail.file,
            "queue": mail.route.entry.queue.name,
            "from": mail.envelope.from.as_deref().unwrap_or_default(),
            "to": mail.envelope.to,
            "outgoing_server": mail.route.outgoing.name,
            "transport": place,
            "user": user,
            "size": mail.octets.len(),
            "message_id": mail.message_id,
            "config": self.context.config_path.display().to_string(),
        }))
    }
}

impl<'a> Post<'a> {
    pub fn new(office: &'a Office<'a>) -> Post<'a> {
        Post {
            office,
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
        let (office, route) = (self.office, &mail.route);
        let sender = Sender {
            server: &route.outgoing.name,
            user: route.user(),
        };
        let shut = office
            .shut()
            .iter()
            .find(|(shut, _)| *shut == sender)
            .map(|(_, fault)| fault.clone());
        if let Some(fault) = shut {
            return Err(anyhow::Error::new(fault).context(office.scene(mail, self.way)));
        }
        let mut result = self.try_submit(sender, mail, None, before_end);
        if let (Err(err), Some(refused)) = (&result, self.way)
            && let Some(other) = office.ways().another(route, refused, err)?
        {
            self.close();
            result = self.try_submit(sender, mail, Some(other), before_end);
        }
        if result.is_ok() {
            office.ways().worked(route, self.way)?;
        }
        if let Err(err) = &result
            && let Some(fault) = err.downcast_ref::<Fault>()
        {
            office.shut().push((sender, fault.clone()));
        }
        pace::remember_wait(office.store, sender, &result)?;
        result.with_context(|| office.scene(mail, self.way))
    }

    fn try_submit(
        &mut self,
        sender: Sender<'a>,
        mail: &Mail<'a>,
        way: Option<Way>,
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let (office, route) = (self.office, &mail.route);
        pace::obey_wait(office.store, sender)?;
        let open = match self.open.take() {
            Some(open) if open.sender == sender => open,
            other => {
                self.open = other;
                self.close();
                let way = match way {
                    Some(way) => way,
                    None => office.ways().choose(route)?,
                };
                self.way = Some(way);
                let host = office.ways().host(route, way).unwrap_or_default();
                let limits = route.limits(&host);
                Open {
                    sender,
                    way,
                    _slot: pace::slot(office, sender, &limits)?,
                    transport: office.ways().open(route, way, mail.alone)?,
                    limits,
                }
            }
        };
        self.way = Some(open.way);
        let open = self.open.insert(open);
        if let Some(max) = open.limits.message_size
            && mail.octets.len() as u64 > u64::from(max)
        {
            return Ok(Receipt {
                why: Some(format!(
                    "the message has {} octets, and outgoing server `{}` takes {max} (limits: message_size)",
                    mail.octets.len(),
                    sender.server
                )),
                kind: Some(Kind::Refused),
                ..Receipt::of(Outcome::Refused { for_good: true })
            });
        }
        pace::take_turn(office, sender, &open.limits, mail.envelope.to.len())?;
        open.transport
            .submit_noting(&mail.envelope, &mail.octets, before_end)
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
    office: &'a Office<'a>,
    items: impl Iterator<Item = T> + Send,
    about: usize,
    most: usize,
    act: impl Fn(&mut Post<'a>, T) + Sync,
) {
    const EACH: usize = 8;
    let workers = about.div_ceil(EACH).clamp(1, most.max(1));
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut post = Post::new(office);
        while let Some(item) = next() {
            act(&mut post, item);
        }
        post.close();
    };
    if workers == 1 {
        return worker();
    }
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
}
