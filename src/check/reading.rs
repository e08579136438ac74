//! The walk of a mailbox that is read: by IMAP, by Graph, or by whichever of them is open.

use super::connection::{self, Names};
use super::parts::{self, Promise};
use super::run::Run;
use super::{Walk, mailbox, reword};
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
use jiff::Timestamp;
use std::time::Duration;

/// What the steps to a mailbox are called.
fn names(way: ReadWay) -> Names {
    Names {
        token: "token",
        claims: "claims",
        name: "name",
        connection: "connection",
        tls: "tls",
        sign_in: match way {
            ReadWay::Imap => "sign-in",
            ReadWay::Graph => "",
        },
    }
}

fn plan(way: ReadWay) -> impl Iterator<Item = &'static str> {
    names(way).all().chain(mailbox::STEPS)
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
        walk.plan(["configuration", "files"].into_iter().chain(plan(ways[0])));
        if !configuration(walk, server, ways) || !parts::files(walk, registration, Some(entry)) {
            return;
        }
        parts::credential(walk, &server.name, &server.credentials());
        let note = |why: &str| format!("not allowed, so graph: {why}");
        let closed = walk.by_the_first_open(ways, is_about_the_way, "imap", note, |walk, way| {
            self.read_by(walk, entry, way);
        });
        if let (Some(why), [_, _, ..]) = (closed, ways) {
            self.means.observer.step(&format!(
                "`{}` opens neither by imap nor by graph ({why})",
                entry.address.address
            ));
        }
    }

    /// An app asks for a token again, which costs nothing and shows that its secret works. A
    /// person's password is tried only where the token at hand does not do.
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
        walk.plan(plan(way));
        let purpose = way.purpose(after != AfterFetch::Keep);
        let access = if fresh { &self.fresh } else { &self.access };
        let get = || access.mailbox_access(entry, purpose.resource());
        let person = server.authentication == Authentication::OauthUser;
        let account = person.then(|| entry.reader());
        let Some(token) = parts::token(walk, "token", account, get) else {
            return false;
        };
        let promise = parts::look_at_claims(walk, "claims", registration, purpose, &token);
        if matches!(promise, Promise::Bad) {
            return true;
        }
        let address = entry.address.address.as_str();
        let Some((opened, took)) = self.open(walk, server, way, address, &token.secret) else {
            return false;
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(err) if way == ReadWay::Graph => {
                walk.failed("mailbox", err, took);
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
        if let Some(day) = entry.start().ahead(Timestamp::now()) {
            let what = format!(
                "{day} is in the future: in a folder that was not fetched before, queuemail skips mail that the server receives before that day (UTC)"
            );
            walk.warned("start", Fault::try_later(what), Duration::ZERO);
        }
        let failed = mailbox::STEPS
            .into_iter()
            .find(|step| walk.failed_at(step).is_some());
        let Some(err) = failed.and_then(|step| walk.failed_at(step)) else {
            return false;
        };
        let refused = connection::is_refusal(err);
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
                let endpoint = known(walk, server.imap())?;
                endpoint.name_in(&mut walk.scene);
                connection::watch(walk, names(way), &endpoint.host, settings, open)
            }
            ReadWay::Graph => {
                let root = known(walk, server.graph())?;
                connection::watch_by_https(walk, names(way), root, settings, open)
            }
        }
    }

    /// An incoming server that no address uses yet.
    pub fn incoming(&self, server: &Incoming<'_>) -> Walk {
        let registration = &server.registration;
        let mut walk = Walk {
            scene: registration.scene(),
            ..Walk::default()
        };
        let ways = ReadWay::of(server.via);
        walk.plan(["configuration", "files", "token", "claims"]);
        if !configuration(&mut walk, server, ways) || !parts::files(&mut walk, registration, None) {
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
        if let Some(token) = parts::token(&mut walk, "token", None, get) {
            parts::look_at_claims(&mut walk, "claims", registration, purpose, &token);
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
        return true;
    }
    let refused = connection::is_refusal(&err);
    walk.failed("sign-in", err, took);
    if refused {
        let cause = match authentication {
            Authentication::OauthService => Cause::ImapRefusesApp,
            Authentication::OauthUser => Cause::ImapRefusesPerson,
        };
        parts::blame_no_token(walk, "sign-in", *authentication, cause);
    }
    refused
}

/// The place, or a step that failed before the first to a host.
fn known<T>(walk: &mut Walk, place: Result<T, Fault>) -> Option<T> {
    place
        .map_err(|fault| walk.failed("name", fault.into(), Duration::ZERO))
        .ok()
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
