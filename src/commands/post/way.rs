//! The way of a message out: by SMTP, by Graph, or by whichever of them is open to us.
//!
//! With `via: auto` the token tells which way the app has a permission for. Where it has none for
//! either, an app tries Graph with its message: a role that Exchange gives (RBAC for Applications)
//! stands in no token. What was chosen, and why, is remembered; when the service refuses it, the
//! other way is taken.

use super::Office;
use crate::config::{Authentication, OutgoingVia, Resource, resolve};
use crate::fault::{Fault, Kind, kind_of};
use crate::mail::smtp::{Server, Smtp};
use crate::mail::{Transport, graph};
use crate::oauth::Claims;
use crate::secret::Secret;
use crate::state::{Store, WayName};
use crate::submit::Route;
use anyhow::Result;

/// Why Graph is tried with a token that names no permission, and what is known once it worked.
const GUESS: &str =
    "the token names no permission, but Exchange may give one (RBAC for Applications)";
const PROVEN: &str =
    "a message was accepted though the token names no permission (RBAC for Applications)";

/// How the fault of a token without the permission begins.
const UNNAMED: &str = "the token has no permission for";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Smtp,
    Graph,
}

impl Way {
    /// The ways that a server allows, in the order in which they are tried.
    pub fn of(via: OutgoingVia) -> &'static [Way] {
        match via {
            OutgoingVia::Smtp => &[Way::Smtp],
            OutgoingVia::Graph => &[Way::Graph],
            OutgoingVia::Auto => &[Way::Smtp, Way::Graph],
        }
    }

    pub fn name(self) -> &'static str {
        self.resource().name()
    }

    pub fn resource(self) -> Resource {
        match self {
            Way::Smtp => Resource::Smtp,
            Way::Graph => Resource::Graph,
        }
    }

    fn other(self) -> Way {
        match self {
            Way::Smtp => Way::Graph,
            Way::Graph => Way::Smtp,
        }
    }

    /// The permissions, of an application or a person, one of which opens this way.
    fn permissions(self) -> &'static [&'static str] {
        match self {
            Way::Smtp => &["SMTP.SendAsApp", "SMTP.Send"],
            Way::Graph => &["Mail.Send", "Mail.Send.Shared"],
        }
    }

    /// Whose mailbox submits.
    pub fn user<'a>(self, route: &Route<'a>) -> &'a str {
        match self {
            Way::Smtp => route.user(),
            Way::Graph => route.graph_user(),
        }
    }
}

/// Chooses ways and opens them.
#[derive(Clone, Copy)]
pub struct Ways<'a> {
    pub office: &'a Office<'a>,
}

impl<'a> Ways<'a> {
    /// The way that the file names, or that was found before.
    pub fn known(&self, route: &Route<'a>) -> Result<Option<Way>> {
        Ok(match route.outgoing.via {
            OutgoingVia::Smtp => Some(Way::Smtp),
            OutgoingVia::Graph => Some(Way::Graph),
            OutgoingVia::Auto => self.office.store.way(name(route))?.map(|known| {
                let (name, reason) = (known.way.as_str(), known.reason.as_str());
                let output = &self.office.context.output;
                output.step(&format!(
                    "`{}` sends by {name}: {reason}",
                    route.outgoing.name
                ));
                match name {
                    "graph" => Way::Graph,
                    _ => Way::Smtp,
                }
            }),
        })
    }

    /// The way to take.
    pub fn choose(&self, route: &Route<'a>) -> Result<Way> {
        if let Some(way) = self.known(route)? {
            return Ok(way);
        }
        let smtp = match self.permission(route, Way::Smtp) {
            Ok(permission) => {
                self.remember(route, Way::Smtp, &format!("the token has {permission}"))?;
                return Ok(Way::Smtp);
            }
            Err(err) if is_about_the_way(&err) => err,
            Err(err) => return Err(err),
        };
        match self.permission(route, Way::Graph) {
            Ok(permission) => {
                let reason = format!("the token has {permission}; smtp has none: {smtp}");
                self.remember(route, Way::Graph, &reason)?;
                Ok(Way::Graph)
            }
            Err(err) if is_about_the_way(&err) => {
                let service = route.outgoing.authentication == Authentication::OauthService;
                if service && is_unnamed(&err) {
                    self.remember(route, Way::Graph, GUESS)?;
                    return Ok(Way::Graph);
                }
                Err(smtp.context(format!("neither smtp nor graph is open ({err})")))
            }
            Err(err) => Err(err),
        }
    }

    /// Another way, after this one was refused with an error that certainly sent nothing.
    pub fn another(
        &self,
        route: &Route<'a>,
        refused: Way,
        err: &anyhow::Error,
    ) -> Result<Option<Way>> {
        if route.outgoing.via != OutgoingVia::Auto || !is_about_the_way(err) {
            return Ok(None);
        }
        self.office.store.forget_way(name(route))?;
        let other = refused.other();
        let Ok(permission) = self.permission(route, other) else {
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
        self.remember(route, other, &reason)?;
        Ok(Some(other))
    }

    /// Remembers that a message was accepted by this way, where that proves something.
    pub fn worked(&self, route: &Route<'a>, way: Option<Way>) -> Result<()> {
        let is_auto = route.outgoing.via == OutgoingVia::Auto;
        let store = self.office.store;
        if is_auto
            && way == Some(Way::Graph)
            && store
                .way(name(route))?
                .is_some_and(|known| known.reason == GUESS)
        {
            store.set_way(name(route), Way::Graph.name(), PROVEN)?;
        }
        Ok(())
    }

    fn remember(&self, route: &Route<'a>, way: Way, reason: &str) -> Result<()> {
        self.office.store.set_way(name(route), way.name(), reason)?;
        self.office.context.output.step(&format!(
            "`{}` sends by {}: {reason}",
            route.outgoing.name,
            way.name()
        ));
        Ok(())
    }

    /// The permission of the token for this way.
    fn permission(&self, route: &Route<'a>, way: Way) -> Result<String> {
        let token = self.token(route, way)(false)?;
        let wanted = way.permissions();
        match Claims::of(token.expose()) {
            None => Ok("an unknown permission".to_owned()),
            Some(claims) => claims
                .roles
                .iter()
                .chain(&claims.scopes)
                .find(|own| wanted.contains(&own.as_str()))
                .cloned()
                .ok_or_else(|| {
                    Fault::new(Kind::SignIn, format!("{UNNAMED} {}", way.name()))
                        .hint(format!("grant the app one of: {}", wanted.join(", ")))
                        .into()
                }),
        }
    }

    fn token(&self, route: &Route<'a>, way: Way) -> impl Fn(bool) -> Result<Secret> + use<'a> {
        let (office, route) = (self.office, *route);
        move |fresh| {
            let access = if fresh {
                &office.fresh_access
            } else {
                &office.access
            };
            access.sending_token(route.outgoing, Some(&route.entry), way.resource())
        }
    }

    /// Where it leads, for people.
    pub fn place(&self, route: &Route<'a>, way: Way) -> Result<String> {
        let authority = resolve::outgoing(self.office.config, route.outgoing)?.authority;
        Ok(match way {
            Way::Smtp => route.smtp(&authority)?.to_string(),
            Way::Graph => route.graph(&authority)?.to_owned(),
        })
    }

    /// The machine that it leads to.
    pub fn host(&self, route: &Route<'a>, way: Way) -> Option<String> {
        let place = self.place(route, way).ok()?;
        Some(url::Url::parse(&place).ok()?.host_str()?.to_owned())
    }

    /// Opens it; `alone`: for one message.
    pub fn open(
        &self,
        route: &Route<'a>,
        way: Way,
        alone: bool,
    ) -> Result<Box<dyn Transport + 'a>> {
        let registration = resolve::outgoing(self.office.config, route.outgoing)?;
        let user = way.user(route);
        let token = self.token(route, way);
        Ok(match way {
            Way::Smtp => {
                let server = Server {
                    endpoint: route.smtp(&registration.authority)?,
                    settings: self.office.context.net_settings(registration.ca_file),
                    user: user.to_owned(),
                };
                let smtp = Smtp::new(server, token, &*self.office.trace);
                Box::new(if alone { smtp.for_one() } else { smtp })
            }
            Way::Graph => {
                let output = self.office.context.output;
                let trace = (output.verbose >= 2)
                    .then(|| Box::new(move |line: &str| output.trace(line)) as _);
                Box::new(graph::transport(
                    self.office.access.http(registration.ca_file)?,
                    route.graph(&registration.authority)?,
                    user,
                    token,
                    trace,
                )?)
            }
        })
    }
}

/// Why Graph is known to take messages of an app whose token names no permission, if it is.
pub fn proven(store: &Store, route: &Route<'_>) -> Result<Option<&'static str>> {
    let known = store.way(name(route))?;
    Ok(known.filter(|known| known.reason == PROVEN).map(|_| PROVEN))
}

fn name<'a>(route: &Route<'a>) -> WayName<'a> {
    WayName::Sending {
        mailbox: route.graph_user(),
        server: &route.outgoing.name,
    }
}

/// True for the fault of a token that was given and names no permission.
fn is_unnamed(err: &anyhow::Error) -> bool {
    let fault = err.downcast_ref::<Fault>();
    fault.is_some_and(|fault| fault.what.starts_with(UNNAMED))
}

/// Another way may do better, because this one is closed to us and not merely out of order.
fn is_about_the_way(err: &anyhow::Error) -> bool {
    matches!(
        kind_of(err),
        Kind::SignIn | Kind::UnknownRecipient | Kind::Refused
    )
}
