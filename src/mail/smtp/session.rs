//! From a TCP connection to a signed-in session: greeting, EHLO, STARTTLS, EHLO again, AUTH.

use super::Server;
use super::wire::{Result, Wire};
use crate::dialogue::{Offer, Reply};
use crate::fault::{Cause, Fault};
use crate::mail::sasl::{self, Mechanism};
use crate::net::{self, TlsMode, Trace};
use crate::secret::Secret;
use std::time::Duration;

/// Octets of an AUTH line with its CRLF (RFC 4954 §4); a longer response is sent on its own.
const MAX_AUTH_LINE: usize = 12_288;

/// RFC 5321 §4.5.3.2: the longest wait for the greeting and for the replies to most commands.
const REPLY_WAIT: Duration = Duration::from_secs(300);

/// How long to wait for the goodbye, which nobody needs.
pub(super) const QUIT_WAIT: Duration = Duration::from_secs(3);

/// A signed-in connection.
pub struct Session {
    pub(super) wire: Wire,
    pub(super) offer: Offer,
    pub(super) host: String,
    /// For each reply but the one to the final dot.
    pub(super) patience: Duration,
    /// A transaction was begun and not ended: RSET comes first.
    pub(super) begun: bool,
    /// QUIT goes out with the end of the message, where the server can take that.
    pub(super) only_one: bool,
    /// The connection is of no more use.
    pub(super) over: bool,
}

impl Session {
    /// Connects and signs in.
    pub fn open(server: &Server, token: &Secret, trace: Option<&Trace>) -> anyhow::Result<Session> {
        let mut session = net::over_tls(&server.settings, |connector| {
            Session::in_tls(server, connector, token, trace)
        })?;
        session.authenticate(&server.user, server.endpoint.port, token)?;
        Ok(session)
    }

    /// Connects, starts TLS, and asks what is on offer there.
    fn in_tls(
        server: &Server,
        connector: &net::Connector,
        token: &Secret,
        trace: Option<&Trace>,
    ) -> anyhow::Result<Session> {
        let host = &server.endpoint.host;
        let handshake = server.settings.connect_timeout;
        let patience = server.settings.io_timeout.min(REPLY_WAIT);
        let tcp = net::connect(host, server.endpoint.port, &server.settings)?;
        let mut wire = Wire::new(tcp, host, trace.cloned());
        // It may know the token from a session before.
        wire.mask(token.clone());
        if server.endpoint.tls == TlsMode::Implicit {
            wire = wire.start_tls(connector, handshake)?;
        }
        let greeting = wire.reply(patience)?;
        if greeting.code != 220 {
            return Err(greeting
                .fault(format!("`{host}` does not accept mail now"))
                .into());
        }
        let mut session = Session {
            wire,
            offer: Offer::default(),
            host: host.clone(),
            patience,
            begun: false,
            only_one: false,
            over: false,
        };
        session.hello()?;
        if server.endpoint.tls == TlsMode::StartTls {
            session = session.start_tls(connector, handshake)?;
            // RFC 3207 §4.2: what was learnt before TLS is forgotten.
            session.hello()?;
        }
        Ok(session)
    }

    fn hello(&mut self) -> Result<()> {
        let hello = format!("EHLO {}", self.wire.address_literal());
        let reply = self.command(&hello)?;
        if reply.code != 250 {
            return Err(reply.fault(format!("`{}` refuses EHLO", self.host)));
        }
        self.offer = Offer::read(&reply);
        Ok(())
    }

    fn start_tls(
        mut self,
        connector: &net::Connector,
        handshake: Duration,
    ) -> anyhow::Result<Session> {
        if !self.offer.starttls {
            return Err(Fault::refused(format!(
                "`{}` does not offer STARTTLS, and a token needs an encrypted connection",
                self.host
            ))
            .cause(Cause::NoStartTls)
            .at(&self.host, None)
            .hint("check the host and port; for TLS from the start use smtps://")
            .into());
        }
        let reply = self.command("STARTTLS")?;
        if reply.code != 220 {
            return Err(reply
                .fault(format!("`{}` refuses to start TLS", self.host))
                .into());
        }
        self.wire = self.wire.start_tls(connector, handshake)?;
        self.offer = Offer::default();
        Ok(self)
    }

    fn authenticate(&mut self, user: &str, port: u16, token: &Secret) -> Result<()> {
        let offers = |name: &str| Ok(self.offer.mechanisms.iter().any(|own| own == name));
        let Some(Mechanism {
            name,
            response,
            last,
        }) = Mechanism::choose::<Fault>(offers, user, &self.host, port, token)?
        else {
            return Err(self.no_mechanism());
        };
        self.wire.mask(response.clone());
        let command = format!("AUTH {name}");
        let line = Secret::new(format!("{command} {}", response.expose()));
        let shown = format!("{command} (secret)");
        let mut reply;
        if line.expose().len() + 2 <= MAX_AUTH_LINE {
            reply = self.answer(line.expose(), &shown)?;
        } else {
            reply = self.answer(&command, &command)?;
            if reply.code == 334 {
                reply = self.answer(response.expose(), "(secret)")?;
            }
        }
        let mut challenge = None;
        if reply.code == 334 {
            challenge = Some(self.challenge(&reply));
            // The challenge has told of the failure, whether or not the refusal follows.
            reply = self.answer(last, last).unwrap_or(reply);
        }
        if reply.code == 235 && challenge.is_none() {
            return Ok(());
        }
        Err(self.refused(user, &reply, challenge))
    }

    fn no_mechanism(&self) -> Fault {
        let offered = match self.offer.mechanisms.join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            some => some,
        };
        Fault::no_access(format!(
                "`{}` does not offer to sign in with OAuth (XOAUTH2 or OAUTHBEARER): it offers {offered}",
                self.host
            ),
        )
        .cause(Cause::NoOauth)
        .at(&self.host, None)
    }

    fn refused(&self, user: &str, reply: &Reply, challenge: Option<String>) -> Fault {
        let what = format!("`{}` refuses SMTP sign-in as `{user}`", self.host);
        let mut said = reply.said();
        if let Some(text) = challenge.filter(|t| !t.is_empty()) {
            said = format!("{said} ({text})");
        }
        // RFC 4954 §6: 4xx (among them 421, 432 and 454) may pass.
        if reply.is_temporary() {
            return reply.tells(Fault::try_later(what)).said(said);
        }
        let fault = Fault::no_access(what).said(said);
        match reply.numbers().and_then(|numbers| numbers.status) {
            // Exchange names the reasons that it knows by other statuses: a switch, a policy.
            Some((5, 7, 3)) => fault.cause(Cause::SmtpRefuses),
            _ => fault,
        }
    }

    /// Sends a line of which `shown` may be told, and reads the reply.
    fn answer(&mut self, line: &str, shown: &str) -> Result<Reply> {
        self.wire.send_secret(line, shown, self.patience)?;
        self.wire.reply(self.patience)
    }

    /// The text of a failure challenge: decoded JSON, or the words as they came.
    fn challenge(&self, reply: &Reply) -> String {
        let text = reply.lines.join("");
        self.wire.masked(&sasl::challenge(&text).unwrap_or(text))
    }

    /// Sends one command and reads its reply.
    pub(super) fn command(&mut self, line: &str) -> Result<Reply> {
        self.wire.send(&[line], self.patience)?;
        self.wire.reply(self.patience)
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Says goodbye; the answer is of no interest.
    pub fn quit(mut self) {
        let wait = self.patience.min(QUIT_WAIT);
        if self.wire.send(&["QUIT"], wait).is_ok() {
            let _ = self.wire.reply(wait);
        }
    }
}
