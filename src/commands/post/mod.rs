//! How mail leaves, for `send` and `outbox`: the connection and token that messages share, the
//! limits that are kept, the waits that are obeyed, and what is told of it.

mod pace;
pub mod verdict;

use super::{Access, Context};
use crate::config::{Config, Resource, resolve};
use crate::fault::{Fault, Kind, Scene};
use crate::mail::smtp::{Server, Smtp};
use crate::mail::{Envelope, Outcome, Receipt, Transport};
use crate::state::Store;
use crate::submit::Route;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A message, ready, with its way.
pub struct Mail<'a> {
    /// How to name it: its file, if it has one.
    pub file: Option<String>,
    pub route: Route<'a>,
    pub envelope: Envelope,
    pub octets: Vec<u8>,
    pub message_id: String,
    /// Its id in the outbox, if it is kept there.
    pub kept: Option<i64>,
}

/// What messages share that share a connection: the outgoing server's name and the user.
type Way<'a> = (&'a str, &'a str);

/// What all connections of a run share.
pub struct Office<'a> {
    pub context: &'a Context,
    pub config: &'a Config,
    pub store: &'a Store,
    access: Access<'a>,
    /// For a token that is newer than this run.
    fresh_access: Access<'a>,
    /// Ways that failed: the messages after the first are not tried again, lest an account be
    /// locked.
    shut: Mutex<Vec<(Way<'a>, Fault)>>,
    /// How long a message waits for its turn before it is left for later.
    patience: Duration,
    /// Takes each line of the dialogue, with secrets masked.
    trace: Box<dyn Fn(&str) + Send + Sync>,
}

/// One connection at a time, for messages one after the other.
pub struct Post<'a> {
    office: &'a Office<'a>,
    open: Option<Open<'a>>,
}

struct Open<'a> {
    way: Way<'a>,
    transport: Box<dyn Transport + 'a>,
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

    fn shut(&self) -> std::sync::MutexGuard<'_, Vec<(Way<'a>, Fault)>> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn scene(&self, route: &Route<'_>) -> Scene {
        let queue = &route.entry.queue.name;
        let registration = resolve::outgoing(self.config, route.outgoing).ok();
        let endpoint = registration
            .as_ref()
            .and_then(|r| route.smtp(&r.authority).ok());
        Scene {
            queue: Some(queue.clone()),
            address: Some(route.entry.address.address.to_string()),
            account: Some(route.user().to_owned()),
            server: Some(route.outgoing.name.clone()),
            tenant: Some(route.outgoing.tenant.to_string()),
            client_id: registration.map(|r| r.client_id.to_string()),
            host: endpoint.map(|e| e.host),
            protocol: Some("smtp".to_owned()),
            ..Scene::new(format!("cannot send for queue `{queue}`"))
        }
    }

    /// The host that a message goes to, by which its limits are known.
    pub fn host(&self, route: &Route<'_>) -> Result<String> {
        let registration = resolve::outgoing(self.config, route.outgoing)?;
        Ok(route.smtp(&registration.authority)?.host)
    }

    /// What would be sent, how and by whom, as lines for people.
    pub fn foretell(&self, mail: &Mail<'_>) -> Result<Vec<String>> {
        let registration = resolve::outgoing(self.config, mail.route.outgoing)?;
        let endpoint = mail.route.smtp(&registration.authority)?;
        let safe = crate::output::escape;
        let (name, user) = (&mail.route.outgoing.name, mail.route.user());
        Ok(vec![
            format!("would send {} octets", mail.octets.len()),
            format!(
                "  from {} (queue {})",
                safe(mail.envelope.from.as_deref().unwrap_or_default()),
                mail.route.entry.queue.name
            ),
            format!("  to {}", safe(&mail.envelope.to.join(", "))),
            format!("  through {name}: {endpoint} as {user}"),
            format!("  Message-ID {}", safe(&mail.message_id)),
            format!("  configuration {}", self.context.config_path.display()),
        ])
    }

    /// The same for programs.
    pub fn foretell_json(&self, mail: &Mail<'_>) -> Result<serde_json::Value> {
        let registration = resolve::outgoing(self.config, mail.route.outgoing)?;
        let endpoint = mail.route.smtp(&registration.authority)?;
        Ok(json!({
            "event": "would-send",
            "file": mail.file,
            "queue": mail.route.entry.queue.name,
            "from": mail.envelope.from.as_deref().unwrap_or_default(),
            "to": mail.envelope.to,
            "outgoing_server": mail.route.outgoing.name,
            "transport": endpoint.to_string(),
            "user": mail.route.user(),
            "size": mail.octets.len(),
            "message_id": mail.message_id,
            "config": self.context.config_path.display().to_string(),
        }))
    }

    /// A way for a message to leave: the place where the transport is chosen.
    fn transport(&'a self, route: &Route<'a>) -> Result<Box<dyn Transport + 'a>> {
        let registration = resolve::outgoing(self.config, route.outgoing)?;
        let server = Server {
            endpoint: route.smtp(&registration.authority)?,
            settings: self.context.net_settings(registration.ca_file),
            user: route.user().to_owned(),
        };
        let route = *route;
        let token = move |fresh: bool| {
            let access = if fresh {
                &self.fresh_access
            } else {
                &self.access
            };
            access.sending_token(route.outgoing, Some(&route.entry), Resource::Smtp)
        };
        Ok(Box::new(Smtp::new(server, token, &*self.trace)))
    }
}

impl<'a> Post<'a> {
    pub fn new(office: &'a Office<'a>) -> Post<'a> {
        Post { office, open: None }
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
        let way = (mail.route.outgoing.name.as_str(), mail.route.user());
        let scene = self.office.scene(&mail.route);
        let shut = self
            .office
            .shut()
            .iter()
            .find(|(shut, _)| *shut == way)
            .map(|(_, fault)| fault.clone());
        if let Some(fault) = shut {
            return Err(anyhow::Error::new(fault).context(scene));
        }
        let result = self.try_submit(way, mail, before_end);
        let office = self.office;
        if let Err(err) = &result
            && let Some(fault) = err.downcast_ref::<Fault>()
        {
            office.shut().push((way, fault.clone()));
        }
        pace::remember_wait(office.store, way, &result)?;
        result.context(scene)
    }

    fn try_submit(
        &mut self,
        way: Way<'a>,
        mail: &Mail<'a>,
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let office = self.office;
        let limits = mail.route.limits(&office.host(&mail.route)?);
        if let Some(max) = limits.message_size
            && mail.octets.len() as u64 > u64::from(max)
        {
            return Ok(Receipt {
                why: Some(format!(
                    "the message has {} octets, and outgoing server `{}` takes {max} (limits: message_size)",
                    mail.octets.len(),
                    way.0
                )),
                kind: Some(Kind::Refused),
                ..Receipt::of(Outcome::Refused { for_good: true })
            });
        }
        pace::obey_wait(office.store, way)?;
        pace::take_turn(office, way, &limits, mail.envelope.to.len())?;
        let open = match self.open.take() {
            Some(open) if open.way == way => open,
            other => {
                self.open = other;
                self.close();
                Open {
                    way,
                    _slot: pace::slot(office, way, &limits)?,
                    transport: office.transport(&mail.route)?,
                }
            }
        };
        self.open
            .insert(open)
            .transport
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
