//! The walk of an address that sends: by SMTP up to the sign-in, by Graph up to the permission.
//! Nothing is sent.

use super::connection::{self, Names};
use super::parts::{self, Promise};
use super::run::Run;
use super::{Walk, files};
use crate::fault::{Cause, Fault, Scene, cause_of};
use crate::mail::Transport;
use crate::model::Authentication;
use crate::office::{Account, MailboxEntry, Outgoing, Registration, Route, login_to_send};
use crate::reach::{self, SendWay};
use crate::secret::Secret;
use anyhow::Result;
use std::time::Duration;

/// What the steps of sending are called.
fn names(way: SendWay) -> Names {
    match way {
        SendWay::Smtp => Names {
            token: "smtp token",
            claims: "smtp claims",
            name: "smtp name",
            connection: "smtp connection",
            tls: "smtp tls",
            sign_in: "smtp sign-in",
        },
        SendWay::Graph => Names {
            token: "graph token",
            claims: "graph claims",
            name: "graph name",
            connection: "graph connection",
            tls: "graph tls",
            sign_in: "",
        },
    }
}

impl Run<'_> {
    pub fn sending(&self, walk: &mut Walk, entry: &MailboxEntry<'_>) {
        let address = entry.address.address.as_str();
        walk.scene.queue = Some(entry.queue.name.clone());
        walk.scene.address = Some(address.to_owned());
        walk.scene.server = entry.address.outgoing_server.clone();
        walk.plan(["outgoing server", "send-as"]);
        let Some((route, registration)) = walk.step("outgoing server", || {
            let route = self.office.route_of(*entry)?;
            let registration = route.outgoing.registration()?;
            files::of_registration(registration)?;
            let mut places = Vec::new();
            for way in SendWay::of(route.outgoing.via) {
                places.push(match way {
                    SendWay::Smtp => route.outgoing.smtp()?.to_string(),
                    SendWay::Graph => route.outgoing.graph()?.to_owned(),
                });
            }
            let detail = format!("{} ({})", route.outgoing.name, places.join(" or "));
            Ok(((route, registration), detail))
        }) else {
            return;
        };
        parts::credential(walk, &route.outgoing.name, &route.outgoing.credentials());
        let ways = SendWay::of(route.outgoing.via);
        let note = |_: &str| "not allowed, so graph".to_owned();
        walk.by_the_first_open(ways, connection::is_refusal, "smtp", note, |walk, way| {
            self.send_by(walk, &route, registration, way);
        });
    }

    fn send_by(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        way: SendWay,
    ) {
        let account = route.outgoing.person(Some(route.entry.address));
        walk.scene = Scene {
            queue: Some(route.entry.queue.name.clone()),
            address: Some(route.entry.address.address.to_string()),
            mailbox: Some(way.user(route).to_owned()),
            protocol: Some(way.name().to_owned()),
            account: account.map(|account| account.name.to_owned()),
            is_server_account: route.outgoing.password.is_some(),
            login: Some(login_to_send(route.outgoing, Some(&route.entry))),
            ..registration.scene()
        };
        let from = walk.steps.len();
        let fresh = registration.authentication == Authentication::OauthService;
        if self.submit(walk, route, registration, account, way, fresh) && !fresh {
            walk.steps.truncate(from);
            self.submit(walk, route, registration, account, way, true);
        }
    }

    /// Walks from the token to the right to send; true if another token could do better.
    fn submit(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        account: Option<Account<'_>>,
        way: SendWay,
        fresh: bool,
    ) -> bool {
        let access = if fresh { &self.fresh } else { &self.access };
        let names = names(way);
        walk.plan(names.all().chain(["send-as"]));
        let resource = way.resource();
        let get = || access.sending_access(route.outgoing, Some(&route.entry), resource);
        let Some(token) = parts::token(walk, names.token, account, get) else {
            return false;
        };
        let purpose = way.purpose();
        let promise = parts::look_at_claims(walk, names.claims, registration, purpose, &token);
        if matches!(promise, Promise::Bad) {
            return true;
        }
        match way {
            SendWay::Graph => {
                self.by_graph(walk, route, registration, promise);
                false
            }
            SendWay::Smtp => self.by_smtp(walk, route, registration, &token.secret),
        }
    }

    /// Walks to Graph's host; of the right to send the token tells, or a message that was accepted.
    fn by_graph(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        promise: Promise,
    ) {
        let settings = self.means.net_settings(registration.ca_file);
        let root = route.outgoing.graph().ok();
        let reached = root.and_then(|root| {
            connection::watch_by_https(walk, names(SendWay::Graph), root, settings, |settings| {
                Ok(self.transports.http(settings)?.reach(root)?)
            })
        });
        match reached {
            Some((Ok(()), _)) => {}
            Some((Err(err), took)) => return walk.failed("send-as", err, took),
            None => return,
        }
        let Promise::Lacks(lacking) = promise else {
            return send_as(walk, route, SendWay::Graph.user(route));
        };
        // Nothing but a message shows whether a scope gives the permission.
        match reach::proven(self.store, route) {
            Ok(Some(proof)) => walk.passed("send-as", proof, Duration::ZERO),
            Ok(None) => {
                let what = format!(
                    "{}, unless Exchange grants it (RBAC for Applications), which shows only when a message is sent",
                    lacking.what
                );
                let lacking = Fault { what, ..lacking };
                walk.failed("send-as", lacking.into(), Duration::ZERO);
            }
            Err(err) => walk.failed("send-as", err, Duration::ZERO),
        }
    }

    /// Signs in by SMTP; true if another token could do better.
    fn by_smtp(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        token: &Secret,
    ) -> bool {
        let Some((result, took)) = self.sign_in(walk, route, registration, token) else {
            return false;
        };
        let Err(err) = result else {
            walk.passed("smtp sign-in", format!("as {}", route.user()), took);
            send_as(walk, route, route.user());
            return false;
        };
        let refused = connection::is_refusal(&err);
        let unexplained = cause_of(&err) == Some(Cause::SmtpRefuses);
        walk.failed("smtp sign-in", err, took);
        if unexplained {
            let authentication = registration.authentication;
            let cause = match authentication {
                Authentication::OauthService => Cause::SmtpRefusesApp,
                Authentication::OauthUser => Cause::SmtpRefusesPerson,
            };
            parts::blame_no_token(walk, "smtp sign-in", authentication, cause);
        }
        refused
    }

    /// Connects, signs in and says goodbye.
    fn sign_in(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        token: &Secret,
    ) -> Option<(Result<()>, Duration)> {
        let endpoint = route.outgoing.smtp().ok()?;
        let settings = self.means.net_settings(registration.ca_file);
        endpoint.name_in(&mut walk.scene);
        connection::watch(
            walk,
            names(SendWay::Smtp),
            &endpoint.host,
            settings,
            |settings| {
                let token = |_| Ok(token.clone());
                let mut smtp = self.transports.smtp(route, settings.clone(), token)?;
                smtp.sign_in()?;
                smtp.close();
                Ok(())
            },
        )
    }

    /// An outgoing server that no address uses yet.
    pub fn outgoing(&self, server: &Outgoing<'_>) -> Walk {
        let mut walk = Walk::default();
        walk.scene.server = Some(server.name.clone());
        let way = SendWay::of(server.via)[0];
        let names = names(way);
        walk.plan(["configuration", "files", names.token, names.claims]);
        let Some(registration) = walk.step("configuration", || {
            let registration = server.registration()?;
            let detail = format!("signs in as app {}", registration.client_id);
            Ok((registration, detail))
        }) else {
            return walk;
        };
        let person = server.person(None);
        walk.scene = Scene {
            account: person.map(|account| account.name.to_owned()),
            is_server_account: server.password.is_some(),
            login: Some(login_to_send(server, None)),
            ..registration.scene()
        };
        if !parts::files(&mut walk, registration, None) {
            return walk;
        }
        parts::credential(&mut walk, &server.name, &server.credentials());
        let purpose = way.purpose();
        let get = || self.fresh.sending_access(server, None, purpose.resource());
        if let Some(token) = parts::token(&mut walk, names.token, person, get) {
            parts::look_at_claims(&mut walk, names.claims, registration, purpose, &token);
        }
        walk
    }
}

/// As far as it shows without that something is sent: nothing, where the two differ.
fn send_as(walk: &mut Walk, route: &Route<'_>, user: &str) {
    let address = route.entry.address.address.as_str();
    if user.eq_ignore_ascii_case(address) {
        return walk.passed("send-as", "it sends as its own address", Duration::ZERO);
    }
    walk.scene.mailbox = Some(user.to_owned());
    walk.untested(
        "send-as",
        Fault::usage(format!(
            "whether `{user}` may send as `{address}` shows only when a message is sent"
        ))
        .cause(Cause::SendAsUntested),
    );
}
