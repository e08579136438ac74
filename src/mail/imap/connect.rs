//! From nothing to a signed-in session: TCP, TLS, greeting, capabilities, token.
//!
//! A server that says in its greeting what it offers (RFC 3501 §7.1, CAPABILITY) is not asked.

use super::ImapMailbox;
use super::faults::{self, Place};
use super::guard::Guard;
use super::line::{Line, trim_end};
use super::wire::{Cut, Failure, Wire};
use crate::fault::{Cause, Fault};
use crate::mail::sasl::{self, Mechanism};
use crate::net::{self, Endpoint, Stream, TlsMode, Trace};
use crate::secret::Secret;
use anyhow::Result;
use std::cell::RefCell;
use std::rc::Rc;

/// A command may take this many read time-outs in all, and longer the more octets come.
const PATIENCE: u32 = 5;

/// Opens a connection and signs in to the mailbox `user` with an access token.
///
/// XOAUTH2 is used, or OAUTHBEARER where only that is offered. TLS is verified, and always there
/// before the token is sent.
///
/// # Errors
/// A [`Fault`] of kind `TryLater` (network, throttling), `SignIn` (the token is refused, or opens
/// no mailbox), `Config` (wrong port) or `Refused` (no TLS, no OAuth on offer).
pub fn open(
    endpoint: &Endpoint,
    settings: &net::Settings,
    user: &str,
    token: &Secret,
    trace: Option<Trace>,
) -> Result<ImapMailbox> {
    let place = Place {
        host: endpoint.host.clone(),
        port: endpoint.port,
        user: user.to_owned(),
    };
    let mut wire = net::over_tls(settings, |connector| {
        let tcp = net::connect(&endpoint.host, endpoint.port, settings)?;
        let stream =
            Stream::new(tcp, settings.io_timeout * PATIENCE).with_longest_wait(settings.io_timeout);
        let mut wire = Wire::new(stream, trace.clone());
        // It may know the token from a session before.
        wire.mask(token.clone());
        if endpoint.tls == TlsMode::StartTls {
            ask_for_tls(&mut wire, &place)?;
        }
        wire.start_tls(&endpoint.host, connector)
    })?;
    if endpoint.tls == TlsMode::Implicit {
        greet(&mut wire, &place, endpoint.tls)?;
    }
    sign_in(wire, place, token)
}

/// Reads the greeting, and keeps what else it tells.
pub(super) fn greet(wire: &mut Wire, place: &Place, tls: TlsMode) -> Result<()> {
    wire.begin();
    let mut line = Vec::new();
    let read = wire.read_line(&mut line, GREETING);
    read.map_err(|why| no_greeting(place, tls, why))?;
    check_greeting(&line, place, wire)?;
    let noted = wire.note(Line::parse(&line));
    noted.map(drop).map_err(|cut| faults::cut_off(place, cut))
}

/// The longest greeting that is read, in octets.
const GREETING: usize = 8 << 10;

/// Tells a greeting that permits to go on from all others.
fn check_greeting(line: &[u8], place: &Place, wire: &Wire) -> Result<()> {
    let Place { host, port, .. } = place;
    let text = wire.text(trim_end(line));
    match Line::parse(line) {
        Line::Data {
            number: None,
            kind,
            rest,
        } => {
            if kind.eq_ignore_ascii_case(b"OK") {
                return Ok(());
            }
            if kind.eq_ignore_ascii_case(b"BYE") {
                let words = format!("BYE {}", wire.text(rest));
                return Err(faults::cut_off(place, Cut::Bye(words)));
            }
            // A session that is signed in already cannot be this client's.
            Err(
                Fault::refused(format!("`{host}` port {port} does not ask for a sign-in"))
                    .said(text)
                    .into(),
            )
        }
        _ => {
            let pop = text.starts_with("+OK") || text.starts_with("-ERR");
            let what = if pop {
                format!("`{host}` port {port} speaks POP, not IMAP")
            } else {
                format!("`{host}` port {port} does not speak IMAP")
            };
            Err(Fault::config(what)
                .cause(Cause::NotImap)
                .at(host, Some(*port))
                .said(text)
                .into())
        }
    }
}

/// The dialogue before TLS (RFC 3501 §6.2.1). What came unencrypted behind the server's consent may
/// be anybody's, and is refused.
pub(super) fn ask_for_tls(wire: &mut Wire, place: &Place) -> Result<()> {
    wire.begin_in_clear();
    greet(wire, place, TlsMode::StartTls)?;
    match wire.run("STARTTLS", GREETING, |_| Ok(())) {
        Ok(()) if wire.unread() == 0 => Ok(()),
        Ok(()) => Err(Fault::refused(format!(
            "`{}` sent more data before TLS after it agreed to STARTTLS; somebody may tamper with the connection",
            place.host
        ))
        .into()),
        Err(Failure::Refused(words)) => Err(Fault::refused(format!(
            "`{}` port {} refuses STARTTLS",
            place.host, place.port
        ))
        .cause(Cause::NoStartTls)
        .at(&place.host, Some(place.port))
        .said(words)
        .into()),
        Err(Failure::Cut(cut)) => Err(faults::cut_off(place, cut)),
    }
}

/// A server that waits for TLS says nothing.
fn no_greeting(place: &Place, tls: TlsMode, why: Cut) -> anyhow::Error {
    match why {
        Cut::Io(e) if tls == TlsMode::StartTls && net::is_late(&e) => Fault::try_later(format!(
            "`{}` did not send its greeting in time",
            place.host
        ))
        .cause(Cause::NoAnswer)
        .at(&place.host, Some(place.port))
        .hint(format!(
            "if the port uses TLS from the start: imaps://{}:{}",
            place.host, place.port
        ))
        .into(),
        why => faults::cut_off(place, why),
    }
}

/// Runs AUTHENTICATE (RFC 3501 §6.2.2). Where the server offers it (RFC 4959), the response goes
/// with the command and saves a round trip. What the server says of a refused token, before it
/// refuses the command, is kept by the wire.
fn authenticate(wire: &mut Wire, mechanism: &Mechanism) -> Result<(), Failure> {
    let response = mechanism.response.expose();
    let command = format!("AUTHENTICATE {}", mechanism.name);
    let mut is_sent = wire.offers("SASL-IR")?;
    // What is offered after the sign-in may be more; Exchange does not say it unasked.
    wire.heard.offers = None;
    wire.begin();
    let tag = if is_sent {
        let whole = Secret::new(format!("{command} {response}"));
        wire.send_as(whole.expose(), &format!("{command} (secret)"))?
    } else {
        wire.send_command(&command)?
    };
    let mut line = Vec::new();
    loop {
        wire.read_response(&mut line, wire.limits.line)?;
        let parsed = Line::parse(&line);
        if let Some(status) = wire.note_untagged(parsed, &tag)? {
            return wire.verdict(status);
        }
        let Line::More(text) = parsed else { continue };
        if is_sent {
            let text = sasl::challenge(&String::from_utf8_lossy(text));
            wire.heard.challenge = text.map(|json| wire.text(json.as_bytes()));
            wire.send(format!("{}\r\n", mechanism.last).as_bytes(), mechanism.last)?;
        } else {
            is_sent = true;
            let answer = Secret::new(format!("{response}\r\n"));
            wire.send(answer.expose().as_bytes(), "(secret)")?;
        }
    }
}

fn no_oauth(wire: &Wire, place: &Place) -> Fault {
    let offered = wire.heard.offers.as_deref().unwrap_or_default();
    Fault::refused(format!(
        "`{}` offers neither XOAUTH2 nor OAUTHBEARER",
        place.host
    ))
    .cause(Cause::NoOauth)
    .at(&place.host, Some(place.port))
    .said(format!("CAPABILITY {}", wire.text(offered.as_bytes())))
}

/// Signs in on a stream on which the server has said its greeting.
pub(super) fn sign_in(mut wire: Wire, place: Place, token: &Secret) -> Result<ImapMailbox> {
    wire.mask(token.clone());
    let Place { host, port, user } = &place;
    let offers = |name: &str| {
        let offered = wire.offers(&format!("AUTH={name}"));
        offered.map_err(|e| faults::failed(&place, &format!("cannot talk to `{host}`"), e))
    };
    let Some(mechanism) = Mechanism::choose(offers, user, host, *port, token)? else {
        return Err(no_oauth(&wire, &place).into());
    };
    // As it is, it holds the account's name besides, which is not a secret.
    wire.mask(mechanism.response.clone());
    let not_signed_in = |failure| {
        let what = format!("cannot sign in to mailbox `{}`", place.user);
        faults::failed(&place, &what, failure)
    };
    if let Err(failure) = authenticate(&mut wire, &mechanism) {
        return Err(match failure {
            Failure::Refused(words) => {
                faults::not_signed_in(&place, words, wire.heard.challenge.take())
            }
            cut => not_signed_in(cut),
        });
    }
    let wire = Rc::new(RefCell::new(wire));
    let guard = Guard::new(Rc::clone(&wire));
    // The guard answers it: the server has taken the token.
    let session = super::caught(|| imap::Client::new(guard).login("", "").map_err(|(e, _)| e))
        .map_err(|e| not_signed_in(super::failure(e, &wire)))?;
    Ok(ImapMailbox::new(place, wire, session))
}
