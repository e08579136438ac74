//! The way of a message out: by SMTP, by Graph, or by whichever of them is permitted.
//!
//! With `via: auto` the token tells which way the app has a permission for. Where it has none for
//! either, an app tries Graph with its message: a role that Exchange gives (RBAC for Applications)
//! stands in no token. What was chosen, and why, is remembered; when the service refuses it, the
//! other way is taken.

use super::way::{Permission, SendWay, is_about_the_way};
use crate::fault::Fault;
use crate::http::Agent;
use crate::mail::smtp::{Server, Smtp};
use crate::mail::{Transport, graph};
use crate::means::Means;
use crate::model::{Authentication, OutgoingVia};
use crate::net;
use crate::office::{Office, Route};
use crate::secret::Secret;
use crate::state::{Ground, Store, WayName};
use crate::tokens::Access;
use anyhow::Result;

/// Why Graph is tried with a token that names no permission, and what is known once it worked.
const GUESS: &str =
    "the token contains no permission, but Exchange may grant one (RBAC for Applications)";
const PROVEN: &str =
    "a message was accepted although the token contains no permission (RBAC for Applications)";

/// Chooses ways out and opens them; shared by threads.
pub struct Transports<'a> {
    means: Means,
    store: &'a Store,
    access: Access<'a>,
    /// For a token that is newer than this run.
    fresh_access: Access<'a>,
}

impl<'a> Transports<'a> {
    pub fn new(means: &Means, office: &'a Office<'a>, store: &'a Store) -> Transports<'a> {
        Transports {
            means: means.clone(),
            store,
            access: Access::new(means, office, store),
            fresh_access: Access::new(means, office, store).fresh(true),
        }
    }

    /// The way that the file names, or that was found before.
    pub fn known(&self, route: &Route<'a>) -> Result<Option<SendWay>> {
        Ok(match route.outgoing.via {
            OutgoingVia::Smtp => Some(SendWay::Smtp),
            OutgoingVia::Graph => Some(SendWay::Graph),
            OutgoingVia::Auto => self.store.way(name(route))?.map(|known| {
                let (name, reason) = (known.way.as_str(), known.reason.as_str());
                self.means.observer.step(&format!(
                    "`{}` sends by {name}: {reason}",
                    route.outgoing.name
                ));
                match name {
                    "graph" => SendWay::Graph,
                    _ => SendWay::Smtp,
                }
            }),
        })
    }

    /// The way to take.
    pub fn choose(&self, route: &Route<'a>) -> Result<SendWay> {
        if let Some(way) = self.known(route)? {
            return Ok(way);
        }
        let smtp = match self.permission(route, SendWay::Smtp) {
            Ok(Permission::Held(permission)) => {
                let reason = format!("the token has {permission}");
                self.remember(route, SendWay::Smtp, Ground::Found, &reason)?;
                return Ok(SendWay::Smtp);
            }
            Ok(Permission::Missing(fault)) => fault.into(),
            Err(err) if is_about_the_way(&err) => err,
            Err(err) => return Err(err),
        };
        let service = route.outgoing.authentication == Authentication::OauthService;
        let graph = match self.permission(route, SendWay::Graph) {
            Ok(Permission::Held(permission)) => {
                let reason = format!("the token has {permission}; smtp has none: {smtp}");
                self.remember(route, SendWay::Graph, Ground::Found, &reason)?;
                return Ok(SendWay::Graph);
            }
            Ok(Permission::Missing(_)) if service => {
                self.remember(route, SendWay::Graph, Ground::Guess, GUESS)?;
                return Ok(SendWay::Graph);
            }
            Ok(Permission::Missing(fault)) => fault.into(),
            Err(err) if is_about_the_way(&err) => err,
            Err(err) => return Err(err),
        };
        Err(smtp.context(format!("neither smtp nor graph is allowed ({graph})")))
    }

    /// Another way, after this one was refused with an error that certainly sent nothing.
    pub fn another(
        &self,
        route: &Route<'a>,
        refused: SendWay,
        err: &anyhow::Error,
    ) -> Result<Option<SendWay>> {
        if route.outgoing.via != OutgoingVia::Auto || !is_about_the_way(err) {
            return Ok(None);
        }
        self.store.forget_way(name(route))?;
        let other = refused.other();
        let Ok(Permission::Held(permission)) = self.permission(route, other) else {
            return Ok(None);
        };
        let why = match err
            .downcast_ref::<Fault>()
            .and_then(|f| f.server_said.as_ref())
        {
            Some(words) => words.lines().next().unwrap_or_default().to_owned(),
            None => err.to_string(),
        };
        let reason = format!(
            "the token has {permission}; {} refused: {why}",
            refused.name()
        );
        self.remember(route, other, Ground::Found, &reason)?;
        Ok(Some(other))
    }

    /// Remembers that a message was accepted by this way, where that proves something.
    pub fn worked(&self, route: &Route<'a>, way: Option<SendWay>) -> Result<()> {
        let is_auto = route.outgoing.via == OutgoingVia::Auto;
        let store = self.store;
        if is_auto
            && way == Some(SendWay::Graph)
            && store
                .way(name(route))?
                .is_some_and(|known| known.ground == Ground::Guess)
        {
            store.set_way_by(Ground::Proven, name(route), SendWay::Graph.name(), PROVEN)?;
        }
        Ok(())
    }

    fn remember(
        &self,
        route: &Route<'a>,
        way: SendWay,
        ground: Ground,
        reason: &str,
    ) -> Result<()> {
        let store = self.store;
        store.set_way_by(ground, name(route), way.name(), reason)?;
        self.means.observer.step(&format!(
            "`{}` sends by {}: {reason}",
            route.outgoing.name,
            way.name()
        ));
        Ok(())
    }

    /// The permission of the token for this way.
    fn permission(&self, route: &Route<'a>, way: SendWay) -> Result<Permission> {
        let token =
            self.access
                .sending_access(route.outgoing, Some(&route.entry), way.resource())?;
        Ok(Permission::of(
            &token.secret,
            route.outgoing.authentication,
            way.purpose(),
        ))
    }

    fn token(&'a self, route: &Route<'a>, way: SendWay) -> impl Fn(bool) -> Result<Secret> + 'a {
        let route = *route;
        move |fresh| {
            let access = if fresh {
                &self.fresh_access
            } else {
                &self.access
            };
            let token =
                access.sending_access(route.outgoing, Some(&route.entry), way.resource())?;
            Ok(token.secret)
        }
    }

    /// Where it leads, for people.
    pub fn place(&self, route: &Route<'a>, way: SendWay) -> Result<String> {
        Ok(match way {
            SendWay::Smtp => route.outgoing.smtp()?.to_string(),
            SendWay::Graph => route.outgoing.graph()?.to_owned(),
        })
    }

    /// The machine that it leads to.
    pub fn host(&self, route: &Route<'a>, way: SendWay) -> Option<String> {
        let place = self.place(route, way).ok()?;
        Some(url::Url::parse(&place).ok()?.host_str()?.to_owned())
    }

    /// Opens it; `alone`: for one message.
    pub fn open(
        &'a self,
        route: &Route<'a>,
        way: SendWay,
        alone: bool,
    ) -> Result<Box<dyn Transport + 'a>> {
        let registration = route.outgoing.registration()?;
        let token = self.token(route, way);
        Ok(match way {
            SendWay::Smtp => {
                let settings = self.means.net_settings(registration.ca_file);
                let smtp = self.smtp(route, settings, token)?;
                Box::new(if alone { smtp.for_one() } else { smtp })
            }
            SendWay::Graph => Box::new(graph::transport(
                self.access.http(registration.ca_file)?,
                route.outgoing.graph()?,
                way.user(route),
                token,
            )?),
        })
    }

    /// The way out by SMTP; it connects when it is first needed. `token` is asked for one, with
    /// `true` for one that is newer than this run.
    pub fn smtp<'t>(
        &'t self,
        route: &Route<'_>,
        settings: net::Settings,
        token: impl Fn(bool) -> Result<Secret> + 't,
    ) -> Result<Smtp<'t>> {
        let server = Server {
            endpoint: route.outgoing.smtp()?,
            settings,
            user: SendWay::Smtp.user(route).to_owned(),
        };
        Ok(Smtp::new(server, token, self.means.trace()))
    }

    /// The HTTPS client of the way out by Graph.
    pub fn http(&self, settings: &net::Settings) -> Result<Agent> {
        self.access.http_by(settings)
    }
}

/// Why Graph is known to take messages of an app whose token names no permission, if it is.
pub fn proven(store: &Store, route: &Route<'_>) -> Result<Option<&'static str>> {
    let known = store.way(name(route))?;
    let proven = known.filter(|known| known.ground == Ground::Proven);
    Ok(proven.map(|_| PROVEN))
}

fn name<'a>(route: &Route<'a>) -> WayName<'a> {
    WayName::Sending {
        mailbox: route.graph_user(),
        server: &route.outgoing.name,
    }
}
