//! The walks: a mailbox that is read and may send, and servers that nobody uses yet.

use super::Run;
use crate::check::road::{self, Names};
use crate::check::{Walk, claims, files, mailbox, reword};
use crate::config::resolve::{self, CredentialSource, Registration};
use crate::config::{
    Authentication, IncomingServer, IncomingVia, MailboxEntry, OutgoingServer, Resource,
};
use crate::delivery;
use crate::expiry;
use crate::fault::{Fault, Scene};
use crate::mail::smtp::{Server, Smtp};
use crate::mail::{Mailbox, Transport, imap};
use crate::net::Settings;
use crate::oauth::{AccessToken, Claims};
use crate::secret::Secret;
use crate::submit::{self, Route};
use anyhow::Result;
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// What the refusal of an app with the right claims is told with.
pub const RIGHT_APP_TOKEN: &str = "though the app's token is right";
const RIGHT_TOKEN: &str = "though the person's token is right";

pub const READING: Names = Names {
    name: "name",
    connection: "connection",
    tls: "tls",
    sign_in: "sign-in",
};

const SENDING: Names = Names {
    name: "smtp name",
    connection: "smtp connection",
    tls: "smtp tls",
    sign_in: "smtp sign-in",
};

impl Run<'_> {
    pub fn mailbox(&self, entry: &MailboxEntry<'_>) -> Walk {
        let mut walk = Walk::default();
        self.reading(&mut walk, entry);
        walk.scene.account = None;
        walk.step("delivery", || Ok(((), self.delivery(entry)?)));
        if entry.address.sender {
            // What `scene` knows of reading must not answer for sending.
            let reading = std::mem::take(&mut walk.scene);
            self.sending(&mut walk, entry);
            let same = walk.scene.address == reading.address;
            walk.scene = reading;
            if same && walk.has_passed("smtp sign-in") {
                blame_imap(&mut walk);
            }
        }
        walk
    }

    fn reading(&self, walk: &mut Walk, entry: &MailboxEntry<'_>) {
        let Some(server) = self.config.incoming_server(&entry.address.server) else {
            let missing = format!("there is no incoming server `{}`", entry.address.server);
            return walk.failed(
                "configuration",
                Fault::config(missing).into(),
                Duration::ZERO,
            );
        };
        let registration = resolve::incoming(server);
        walk.scene = scene(&registration);
        walk.scene.queue = Some(entry.queue.name.clone());
        walk.scene.address = Some(entry.address.address.to_string());
        walk.scene.protocol = Some("imap".to_owned());
        if server.authentication == Authentication::OauthUser {
            walk.scene.account = Some(entry.account().to_owned());
        }
        if !configuration(walk, server) || !files(walk, &registration, Some(entry)) {
            walk.not_reached(&["token", "claims"]);
            walk.not_reached(&READING.all());
            return walk.not_reached(&mailbox::STEPS);
        }
        self.credential(walk, &registration);
        // An app asks anew, which costs nothing and shows that its secret works. A person's
        // password is tried only where the token that we have does not do.
        let from = walk.steps.len();
        let fresh = server.authentication == Authentication::OauthService;
        if self.read(walk, entry, server, fresh) && !fresh {
            walk.steps.truncate(from);
            self.read(walk, entry, server, true);
        }
    }

    /// Walks from the token to the rights; true if another token could do better.
    fn read(
        &self,
        walk: &mut Walk,
        entry: &MailboxEntry<'_>,
        server: &IncomingServer,
        fresh: bool,
    ) -> bool {
        let registration = resolve::incoming(server);
        let access = if fresh { &self.fresh } else { &self.access };
        let get = || access.mailbox_access(entry, Resource::Imap);
        let Some(token) = token(walk, "token", get) else {
            walk.not_reached(&["claims"]);
            walk.not_reached(&READING.all());
            walk.not_reached(&mailbox::STEPS);
            return false;
        };
        if !look_at_claims(walk, "claims", &registration, Resource::Imap, &token) {
            walk.not_reached(&READING.all());
            walk.not_reached(&mailbox::STEPS);
            return true;
        }
        let address = entry.address.address.as_str();
        let user = entry.account();
        match self.open(walk, server, address, &token.secret) {
            Some((Ok(mut opened), took)) => {
                walk.passed("sign-in", format!("as {user}"), took);
                mailbox::walk(walk, &mut opened, &entry.folders(), &entry.after_fetch());
                opened.close();
                false
            }
            Some((Err(err), took)) if imap::is_not_connected(&err) => {
                walk.passed("sign-in", format!("as {user}"), took);
                walk.failed("mailbox", err, Duration::ZERO);
                walk.not_reached(&mailbox::STEPS[1..]);
                true
            }
            Some((Err(mut err), took)) => {
                let refused = road::is_refusal(&err);
                if refused {
                    let why = match registration.authentication {
                        Authentication::OauthService => RIGHT_APP_TOKEN,
                        Authentication::OauthUser => RIGHT_TOKEN,
                    };
                    reword(&mut err, |fault| format!("{}, {why}", fault.what));
                }
                walk.failed("sign-in", err, took);
                walk.not_reached(&mailbox::STEPS);
                refused
            }
            None => {
                walk.not_reached(&mailbox::STEPS);
                false
            }
        }
    }

    /// Connects to a server's IMAP host and signs in to a mailbox.
    pub fn open(
        &self,
        walk: &mut Walk,
        server: &IncomingServer,
        address: &str,
        token: &Secret,
    ) -> Option<(Result<imap::ImapMailbox>, Duration)> {
        let endpoint = match resolve::imap(server) {
            Ok(endpoint) => endpoint,
            Err(fault) => {
                walk.failed(READING.name, fault.into(), Duration::ZERO);
                walk.not_reached(&READING.all()[1..]);
                return None;
            }
        };
        walk.scene.host = Some(endpoint.host.clone());
        walk.scene.port = Some(endpoint.port.to_string());
        let settings = self.settings(server.ca_file.as_deref());
        road::travel(walk, READING, &endpoint.host, settings, |settings| {
            imap::open(&endpoint, settings, address, token, self.trace())
        })
    }

    fn sending(&self, walk: &mut Walk, entry: &MailboxEntry<'_>) {
        let address = entry.address.address.as_str();
        walk.scene.queue = Some(entry.queue.name.clone());
        walk.scene.address = Some(address.to_owned());
        walk.scene.server = entry.address.outgoing_server.clone();
        walk.scene.protocol = Some("smtp".to_owned());
        let Some((route, registration, server)) = walk.step("outgoing server", || {
            let route = submit::route(self.config, address)?;
            let registration = resolve::outgoing(self.config, route.outgoing)?;
            files::of_registration(&registration)?;
            let server = Server {
                endpoint: route.smtp(&registration.authority)?,
                settings: self.settings(registration.ca_file),
                user: route.user().to_owned(),
            };
            let detail = format!("{} ({})", route.outgoing.name, server.endpoint);
            Ok(((route, registration, server), detail))
        }) else {
            walk.not_reached(&["smtp token", "smtp claims"]);
            walk.not_reached(&SENDING.all());
            return walk.not_reached(&["send-as"]);
        };
        let account = resolve::sender(route.outgoing, Some(entry.address)).ok();
        walk.scene = Scene {
            queue: walk.scene.queue.take(),
            address: Some(server.user.clone()),
            account: account
                .filter(|_| registration.authentication == Authentication::OauthUser)
                .map(|account| account.name.to_owned()),
            host: Some(server.endpoint.host.clone()),
            port: Some(server.endpoint.port.to_string()),
            protocol: Some("smtp".to_owned()),
            ..scene(&registration)
        };
        self.credential(walk, &registration);
        let from = walk.steps.len();
        let fresh = registration.authentication == Authentication::OauthService;
        if self.submit(walk, &route, &registration, &server, fresh) && !fresh {
            walk.steps.truncate(from);
            self.submit(walk, &route, &registration, &server, true);
        }
    }

    /// Walks from the token to the right to send; true if another token could do better.
    fn submit(
        &self,
        walk: &mut Walk,
        route: &Route<'_>,
        registration: &Registration<'_>,
        server: &Server,
        fresh: bool,
    ) -> bool {
        let access = if fresh { &self.fresh } else { &self.access };
        let get = || access.sending_access(route.outgoing, Some(&route.entry), Resource::Smtp);
        let Some(token) = token(walk, "smtp token", get) else {
            walk.not_reached(&["smtp claims"]);
            walk.not_reached(&SENDING.all());
            walk.not_reached(&["send-as"]);
            return false;
        };
        if !look_at_claims(walk, "smtp claims", registration, Resource::Smtp, &token) {
            walk.not_reached(&SENDING.all());
            walk.not_reached(&["send-as"]);
            return true;
        }
        let trace = |line: &str| self.context.output.trace(line);
        let host = server.endpoint.host.clone();
        let settings = server.settings.clone();
        let gone = road::travel(walk, SENDING, &host, settings, |settings| {
            let server = Server {
                endpoint: server.endpoint.clone(),
                settings: settings.clone(),
                user: server.user.clone(),
            };
            let mut smtp = Smtp::new(server, |_| Ok(token.secret.clone()), &trace);
            smtp.sign_in()?;
            smtp.close();
            Ok(())
        });
        match gone {
            Some((Ok(()), took)) => {
                walk.passed("smtp sign-in", format!("as {}", server.user), took);
                send_as(walk, route, &server.user);
                false
            }
            Some((Err(mut err), took)) => {
                let refused = road::is_refusal(&err);
                if is_bare_refusal(&err) {
                    let whom = match registration.authentication {
                        Authentication::OauthService => "the app though its token is right",
                        Authentication::OauthUser => "the person though the token is right",
                    };
                    reword(&mut err, |fault| {
                        format!("{}: SMTP refuses {whom}", fault.what)
                    });
                }
                walk.failed("smtp sign-in", err, took);
                walk.not_reached(&["send-as"]);
                refused
            }
            None => {
                walk.not_reached(&["send-as"]);
                false
            }
        }
    }

    /// An incoming server that no address uses yet.
    pub fn incoming(&self, server: &IncomingServer) -> Walk {
        let registration = resolve::incoming(server);
        let mut walk = Walk {
            scene: scene(&registration),
            ..Walk::default()
        };
        if !configuration(&mut walk, server) || !files(&mut walk, &registration, None) {
            walk.not_reached(&["token", "claims"]);
            return walk;
        }
        self.credential(&mut walk, &registration);
        if server.authentication == Authentication::OauthUser {
            walk.untested(
                "token",
                Fault::usage(format!(
                    "a person signs in for an address, and none uses server `{}` yet",
                    server.name
                )),
            );
            return walk;
        }
        let get = || self.fresh.server_access(&server.name, Resource::Imap);
        match token(&mut walk, "token", get) {
            Some(token) => {
                look_at_claims(&mut walk, "claims", &registration, Resource::Imap, &token);
            }
            None => walk.not_reached(&["claims"]),
        }
        walk
    }

    /// An outgoing server that no address uses yet.
    pub fn outgoing(&self, server: &OutgoingServer) -> Walk {
        let mut walk = Walk::default();
        walk.scene.server = Some(server.name.clone());
        let Some(registration) = walk.step("configuration", || {
            let registration = resolve::outgoing(self.config, server)?;
            let detail = format!("signs in as app {}", registration.client_id);
            Ok((registration, detail))
        }) else {
            walk.not_reached(&["files", "smtp token", "smtp claims"]);
            return walk;
        };
        walk.scene = scene(&registration);
        if !files(&mut walk, &registration, None) {
            walk.not_reached(&["smtp token", "smtp claims"]);
            return walk;
        }
        self.credential(&mut walk, &registration);
        let get = || self.fresh.sending_access(server, None, Resource::Smtp);
        match token(&mut walk, "smtp token", get) {
            Some(token) => {
                look_at_claims(
                    &mut walk,
                    "smtp claims",
                    &registration,
                    Resource::Smtp,
                    &token,
                );
            }
            None => walk.not_reached(&["smtp claims"]),
        }
        walk
    }

    /// Tells of a secret or certificate that will end, where we know when.
    fn credential(&self, walk: &mut Walk, registration: &Registration<'_>) {
        let now = Timestamp::now();
        for end in expiry::of_servers(self.config) {
            if end.server != registration.server {
                continue;
            }
            match end.warning(now) {
                Some(fault) => walk.warned(end.kind, fault, Duration::ZERO),
                None => walk.passed(end.kind, expiry::ends(end.at, now), Duration::ZERO),
            }
        }
    }

    fn delivery(&self, entry: &MailboxEntry<'_>) -> Result<String> {
        let address = entry.address.address.as_str();
        let target = entry.deliver().ok_or_else(|| {
            Fault::config(format!(
                "nothing says where the mail of `{address}` is to be delivered"
            ))
        })?;
        let mut found = Vec::new();
        for folder in entry.folders() {
            let queue = &entry.queue.name;
            let place = delivery::expand(target, queue, address, folder, entry.language())?;
            found.push(delivery::probe(&place)?);
        }
        found.dedup();
        Ok(found.join("; "))
    }

    fn settings(&self, ca_file: Option<&std::path::Path>) -> Settings {
        self.context.net_settings(ca_file)
    }

    fn trace(&self) -> Option<imap::Trace> {
        let output = self.context.output;
        (output.verbose >= 2).then(|| Box::new(move |line: &str| output.trace(line)) as _)
    }
}

/// Exchange knows an app or person that SMTP lets in, so that a refusal by IMAP has another cause.
/// Of the right to the mailbox SMTP's sign-in says nothing: it is asked for at the first message.
fn blame_imap(walk: &mut Walk) {
    if let Some(err) = walk.failure_mut("sign-in")
        && road::is_refusal(err)
    {
        reword(err, |fault| {
            let what = fault.what.split(", though").next().unwrap_or_default();
            format!("{what}, though SMTP lets the same account in")
        });
    }
}

/// The names and ids of a registration.
pub fn scene(registration: &Registration<'_>) -> Scene {
    Scene {
        server: Some(registration.server.to_owned()),
        tenant: Some(registration.authority.tenant.to_string()),
        client_id: Some(registration.client_id.to_string()),
        host: Some(registration.authority.host().to_owned()),
        ..Scene::default()
    }
}

fn configuration(walk: &mut Walk, server: &IncomingServer) -> bool {
    walk.step("configuration", || {
        if server.via == IncomingVia::Graph {
            return Err(Fault::config(format!(
                "server `{}` says `via: graph`, but this version reads through IMAP only",
                server.name
            ))
            .hint(format!(
                "queuemail server set {} --via imap",
                crate::commands::shell_quote(&server.name)
            ))
            .into());
        }
        let endpoint = resolve::imap(server)?;
        Ok(((), format!("server {} ({endpoint})", server.name)))
    })
    .is_some()
}

fn files(
    walk: &mut Walk,
    registration: &Registration<'_>,
    entry: Option<&MailboxEntry<'_>>,
) -> bool {
    walk.step("files", || {
        let mut count = files::of_registration(registration)?;
        if let Some((entry, source)) =
            entry.and_then(|entry| Some((entry, entry.address.password.as_ref()?)))
        {
            count += files::secret(source, &format!("the password of `{}`", entry.account()))?;
        }
        let what = match registration.credential {
            CredentialSource::None => "no credential",
            CredentialSource::Secret(_) => "a secret",
            CredentialSource::Certificate { .. } => "a certificate",
            CredentialSource::FederatedTokenFile(_) => "a federated token",
            CredentialSource::ManagedIdentity => "a managed identity",
        };
        let files = match count {
            0 => "in the configuration".to_owned(),
            1 => "1 file readable for us alone".to_owned(),
            n => format!("{n} files readable for us"),
        };
        Ok(((), format!("{what}, {files}")))
    })
    .is_some()
}

fn token(
    walk: &mut Walk,
    name: &'static str,
    get: impl FnOnce() -> Result<AccessToken>,
) -> Option<AccessToken> {
    let signer = walk
        .scene
        .account
        .clone()
        .unwrap_or_else(|| "the app itself".to_owned());
    walk.step(name, || {
        let token = get()?;
        Ok((token, format!("as {signer}")))
    })
}

/// Shows the claims; false where they show that the token will be refused.
fn look_at_claims(
    walk: &mut Walk,
    name: &'static str,
    registration: &Registration<'_>,
    resource: Resource,
    token: &AccessToken,
) -> bool {
    let Some(claims) = Claims::of(token.secret.expose()) else {
        walk.passed(
            name,
            "the token is no JWT and tells nothing",
            Duration::ZERO,
        );
        return true;
    };
    if registration.authentication == Authentication::OauthService {
        walk.scene.object_id.clone_from(&claims.object_id);
    }
    walk.step(name, || {
        let sending = resource == Resource::Smtp;
        match claims::misfits(&claims, registration, resource, sending)
            .into_iter()
            .next()
        {
            Some(misfit) => Err(misfit.into()),
            None => Ok(((), in_short(&claims, token))),
        }
    })
    .is_some()
}

fn in_short(claims: &Claims, token: &AccessToken) -> String {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let audience = known(&claims.audience);
    let (kind, held) = match &claims.user {
        Some(_) => ("scopes", &claims.scopes),
        None => ("roles", &claims.roles),
    };
    let left = token
        .expires_at
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    format!(
        "for {}; {kind} {}; tenant {}; app {}; for {} min",
        claims::service(&audience).unwrap_or(&audience),
        held.join(", "),
        known(&claims.tenant),
        known(&claims.client_id),
        left.as_secs() / 60
    )
}

/// True for a refusal that gives no reason of its own, such as a switch or a policy.
fn is_bare_refusal(err: &anyhow::Error) -> bool {
    road::is_refusal(err)
        && err
            .downcast_ref::<Fault>()
            .and_then(|fault| fault.server_said.as_deref())
            .is_some_and(|said| said.contains("5.7.3 "))
}

/// As far as it shows without that something is sent: nothing, where the two differ.
fn send_as(walk: &mut Walk, route: &Route<'_>, user: &str) {
    let address = route.entry.address.address.as_str();
    if user.eq_ignore_ascii_case(address) {
        return walk.passed("send-as", "it sends as itself", Duration::ZERO);
    }
    walk.scene.address = Some(address.to_owned());
    walk.scene.account = Some(user.to_owned());
    walk.untested(
        "send-as",
        Fault::usage(format!(
            "whether `{user}` may send as `{address}`: this shows only when a message is sent"
        )),
    );
}
