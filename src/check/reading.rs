//! The walk of a mailbox that is read: by IMAP, by Graph, or by whichever of them is open.

use super::parts::{self, Promise};
use super::road::{self, Names};
use super::run::Run;
use super::{Outcome, Walk, mailbox, reword};
use crate::delivery;
use crate::fault::{Cause, Fault};
use crate::fetch::mailbox_key;
use crate::mail::imap;
use crate::model::{AfterFetch, Authentication, Start};
use crate::net;
use crate::office::{Incoming, MailboxEntry};
use crate::reach::{Opened, ReadWay, is_about_the_way};
use crate::secret::Secret;
use anyhow::Result;
use std::time::Duration;

/// A road to a host, and what it is called where mail is read.
pub const READING: Names = Names {
    name: "name",
    connection: "connection",
    tls: "tls",
    sign_in: "sign-in",
};

const HTTPS: Names = Names {
    sign_in: "",
    ..READING
};

/// The steps between the claims and the mailbox.
fn road(way: ReadWay) -> &'static [&'static str] {
    match way {
        ReadWay::Imap => &["name", "connection", "tls", "sign-in"],
        ReadWay::Graph => &["name", "connection", "tls"],
    }
}

impl Run<'_> {
    pub fn reading(&self, walk: &mut Walk, entry: &MailboxEntry<'_>) {
        let server = entry.incoming;
        let registration = &server.registration;
        walk.scene = registration.scene();
        walk.scene.queue = Some(entry.queue.name.clone());
        walk.scene.address = Some(entry.address.address.to_string());
        if server.authentication == Authentication::OauthUser {
            walk.scene.account = Some(entry.account().to_owned());
        }
        let ways = ReadWay::of(server.via);
        if !configuration(walk, server, ways) || !parts::files(walk, registration, Some(entry)) {
            walk.not_reached(&["token", "claims"]);
            walk.not_reached(road(ways[0]));
            return walk.not_reached(&mailbox::STEPS);
        }
        parts::credential(walk, &server.name, &server.credentials());
        let from = walk.steps.len();
        for (n, way) in ways.iter().enumerate() {
            let start = walk.steps.len();
            self.read_by(walk, entry, *way);
            let Some(why) = closed(walk, start) else {
                // A way that is open makes the closed one before it no fault.
                if n > 0 && !walk.has_failed_since(start) {
                    let taken = walk.steps.split_off(start);
                    let closed = closed(walk, from).unwrap_or_default();
                    walk.steps.truncate(from);
                    walk.passed(
                        "imap",
                        format!("not allowed, so graph: {closed}"),
                        Duration::ZERO,
                    );
                    walk.steps.extend(taken);
                }
                return;
            };
            if n + 1 == ways.len() && n > 0 {
                self.means.observer.step(&format!(
                    "`{}` opens neither by imap nor by graph ({why})",
                    entry.address.address
                ));
            }
        }
    }

    /// An app asks for a token again, which costs nothing and shows that its secret works. A
    /// person's password is tried only where the token that we have does not do.
    fn read_by(&self, walk: &mut Walk, entry: &MailboxEntry<'_>, way: ReadWay) {
        let from = walk.steps.len();
        walk.scene.protocol = Some(way.name().to_owned());
        let fresh = entry.incoming.authentication == Authentication::OauthService;
        if self.read(walk, entry, way, fresh) && !fresh {
            walk.steps.truncate(from);
            self.read(walk, entry, way, true);
        }
    }

    /// Walks from the token to the rights; true if another token could do better.
    fn read(&self, walk: &mut Walk, entry: &MailboxEntry<'_>, way: ReadWay, fresh: bool) -> bool {
        let server = entry.incoming;
        let registration = &server.registration;
        let after = entry.after_fetch();
        let purpose = way.purpose(after != AfterFetch::Keep);
        let access = if fresh { &self.fresh } else { &self.access };
        let get = || access.mailbox_access(entry, purpose.resource());
        let person = server.authentication == Authentication::OauthUser;
        let account = person.then(|| entry.reader());
        let Some(token) = parts::token(walk, "token", account, get) else {
            walk.not_reached(&["claims"]);
            walk.not_reached(road(way));
            walk.not_reached(&mailbox::STEPS);
            return false;
        };
        let promise = parts::look_at_claims(walk, "claims", registration, purpose, &token);
        if matches!(promise, Promise::Bad) {
            walk.not_reached(road(way));
            walk.not_reached(&mailbox::STEPS);
            return true;
        }
        let address = entry.address.address.as_str();
        let Some((opened, took)) = self.open(walk, server, way, address, &token.secret) else {
            walk.not_reached(&mailbox::STEPS);
            return false;
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(err) if way == ReadWay::Graph => {
                walk.failed("mailbox", err, took);
                walk.not_reached(&mailbox::STEPS[1..]);
                return false;
            }
            Err(err) => return not_opened(walk, entry, &registration.authentication, err, took),
        };
        if way == ReadWay::Imap {
            walk.passed("sign-in", format!("as {}", entry.account()), took);
        }
        let waiting = |folder: &str| self.waiting(entry, folder);
        mailbox::walk(walk, opened.mailbox(), &entry.folders(), &after, &waiting);
        opened.mailbox().close();
        let failed = mailbox::STEPS
            .into_iter()
            .find(|step| walk.failed_at(step).is_some());
        let Some(err) = failed.and_then(|step| walk.failed_at(step)) else {
            return false;
        };
        let refused = road::is_refusal(err);
        if refused && let Promise::Lacks(lacking) = &promise {
            reword(err, |fault| format!("{}: {}", fault.what, lacking.what));
            if let Some(fault) = err.downcast_mut::<Fault>() {
                fault.cause = lacking.cause;
            }
        }
        refused
    }

    /// What the first fetch does with the messages that wait in a folder; empty after it.
    fn waiting(&self, entry: &MailboxEntry<'_>, folder: &str) -> Result<String> {
        let address = mailbox_key(entry.address.address.as_str());
        let known = self.store.folder_names(&address)?;
        if known.iter().any(|name| name.eq_ignore_ascii_case(folder)) {
            return Ok(String::new());
        }
        Ok(match entry.start() {
            Start::All => ", which the first fetch delivers".to_owned(),
            Start::Now => ", which the first fetch skips: start is now".to_owned(),
            Start::On(day) => {
                format!(", of which the first fetch skips what was received before {day}")
            }
        })
    }

    /// Connects to a server's host and, by IMAP, signs in to a mailbox.
    pub fn open(
        &self,
        walk: &mut Walk,
        server: &Incoming<'_>,
        way: ReadWay,
        address: &str,
        token: &Secret,
    ) -> Option<(Result<Opened>, Duration)> {
        let settings = self.means.net_settings(server.ca_file.as_deref());
        let open = |settings: &net::Settings| {
            self.mailboxes
                .connect(server, way, address, token.clone(), settings)
        };
        match way {
            ReadWay::Imap => {
                let endpoint = self.known(walk, server.imap(), way)?;
                endpoint.name_in(&mut walk.scene);
                road::travel(walk, READING, &endpoint.host, settings, open)
            }
            ReadWay::Graph => {
                let root = self.known(walk, server.graph(), way)?;
                road::travel_by_https(walk, HTTPS, root, settings, open)
            }
        }
    }

    fn known<T>(&self, walk: &mut Walk, place: Result<T, Fault>, way: ReadWay) -> Option<T> {
        place
            .map_err(|fault| {
                walk.failed(READING.name, fault.into(), Duration::ZERO);
                walk.not_reached(&road(way)[1..]);
            })
            .ok()
    }

    /// An incoming server that no address uses yet.
    pub fn incoming(&self, server: &Incoming<'_>) -> Walk {
        let registration = &server.registration;
        let mut walk = Walk {
            scene: registration.scene(),
            ..Walk::default()
        };
        let ways = ReadWay::of(server.via);
        if !configuration(&mut walk, server, ways) || !parts::files(&mut walk, registration, None) {
            walk.not_reached(&["token", "claims"]);
            return walk;
        }
        parts::credential(&mut walk, &server.name, &server.credentials());
        if server.authentication == Authentication::OauthUser {
            walk.untested(
                "token",
                Fault::usage(format!(
                    "a person signs in for an address, and no address uses server `{}` yet",
                    server.name
                )),
            );
            return walk;
        }
        let purpose = ways[0].purpose(false);
        let get = || self.fresh.server_access(server, purpose.resource());
        match parts::token(&mut walk, "token", None, get) {
            Some(token) => {
                parts::look_at_claims(&mut walk, "claims", registration, purpose, &token);
            }
            None => walk.not_reached(&["claims"]),
        }
        walk
    }

    pub fn delivery(&self, entry: &MailboxEntry<'_>) -> Result<String> {
        let address = entry.address.address.as_str();
        let target = entry.deliver().ok_or_else(|| {
            Fault::config(format!("the mail of `{address}` has no delivery"))
                .cause(Cause::NoDelivery)
        })?;
        let mut found = Vec::new();
        for folder in entry.folders() {
            let queue = &entry.queue.name;
            let (language, webhooks) = (entry.language(), entry.webhooks);
            let place = delivery::expand(target, queue, address, folder, language, webhooks)?;
            found.push(delivery::probe(&place)?);
        }
        found.dedup();
        Ok(found.join("; "))
    }
}

/// What became of a sign-in that was refused; true if another token could do better.
fn not_opened(
    walk: &mut Walk,
    entry: &MailboxEntry<'_>,
    authentication: &Authentication,
    err: anyhow::Error,
    took: Duration,
) -> bool {
    if imap::is_not_connected(&err) {
        walk.passed("sign-in", format!("as {}", entry.account()), took);
        walk.failed("mailbox", err, Duration::ZERO);
        walk.not_reached(&mailbox::STEPS[1..]);
        return true;
    }
    let refused = road::is_refusal(&err);
    walk.failed("sign-in", err, took);
    if refused {
        let (cause, though) = match authentication {
            Authentication::OauthService => {
                (Cause::ImapRefusesApp, "though the app's token is right")
            }
            Authentication::OauthUser => (
                Cause::ImapRefusesPerson,
                "though the person's token is right",
            ),
        };
        walk.blame("sign-in", cause, though);
    }
    walk.not_reached(&mailbox::STEPS);
    refused
}

/// Why a way is closed to us, by the steps from `start` on; `None` where it is open, or failed
/// for a reason that the other way would have too.
fn closed(walk: &Walk, start: usize) -> Option<String> {
    walk.steps[start..].iter().find_map(|step| {
        let Outcome::Failed(err) = &step.outcome else {
            return None;
        };
        let fault = err.downcast_ref::<Fault>();
        is_about_the_way(err)
            .then(|| fault.map_or_else(|| err.to_string(), |fault| fault.what.clone()))
    })
}

fn configuration(walk: &mut Walk, server: &Incoming<'_>, ways: &[ReadWay]) -> bool {
    walk.step("configuration", || {
        let mut places = Vec::new();
        for way in ways {
            places.push(match way {
                ReadWay::Imap => server.imap()?.to_string(),
                ReadWay::Graph => server.graph()?.to_owned(),
            });
        }
        let detail = format!("server {} ({})", server.name, places.join(" or "));
        Ok(((), detail))
    })
    .is_some()
}
