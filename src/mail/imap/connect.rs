//! From nothing to a signed-in session: TCP, TLS, greeting, capabilities, token.
//!
//! A server that says in its greeting what it offers (RFC 3501 §7.1, CAPABILITY) is not asked.

use super::ImapMailbox;
use super::faults::{self, Place};
use super::guard::Guard;
use super::line::{Line, Status, trim_end};
use super::wire::{Cut, Failure, Trace, Wire, clean};
use crate::fault::{Cause, Fault};
use crate::mail::sasl;
use crate::net::{self, Endpoint, Stream, TlsMode};
use crate::output::escape;
use crate::secret::{Mask, Secret};
use anyhow::Result;
use std::cell::RefCell;
use std::io::{Read, Write};
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
    // It may know the token from a session before.
    let secrets = Mask::new([token.clone()]);
    let stream = net::over_tls(settings, |connector| {
        let tcp = net::connect(&endpoint.host, endpoint.port, settings)?;
        let mut stream =
            Stream::new(tcp, settings.io_timeout * PATIENCE).with_longest_wait(settings.io_timeout);
        if endpoint.tls == TlsMode::StartTls {
            start_tls(&mut stream, &place, trace.as_ref(), &secrets)?;
        }
        stream.start_tls(&endpoint.host, connector)
    })?;
    let mut wire = Wire::new(stream, trace);
    wire.mask(token.clone());
    if endpoint.tls == TlsMode::Implicit {
        greet(&mut wire, &place)?;
    }
    sign_in(wire, place, token)
}

/// Reads the greeting, and keeps what else it tells.
pub(super) fn greet(wire: &mut Wire, place: &Place) -> Result<()> {
    wire.begin();
    let mut line = Vec::new();
    let cut_off = |cut| faults::cut_off(place, cut);
    wire.read_line(&mut line, GREETING).map_err(cut_off)?;
    check_greeting(&line, place, |words| wire.text(words))?;
    wire.note(Line::parse(&line)).map(drop).map_err(cut_off)
}

/// The longest greeting that is read, in octets.
const GREETING: usize = 8 << 10;

/// Tells a greeting that permits to go on from all others.
fn check_greeting(line: &[u8], place: &Place, clean: impl Fn(&[u8]) -> String) -> Result<()> {
    let Place { host, port, .. } = place;
    let text = clean(trim_end(line));
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
                let words = format!("BYE {}", clean(rest));
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

/// The dialogue before TLS (RFC 3501 §6.2.1), read octet by octet so that nothing that was sent
/// unencrypted is taken for a part of the session in TLS; what follows the tagged line is refused.
pub(super) fn start_tls(
    stream: &mut Stream,
    place: &Place,
    trace: Option<&Trace>,
    secrets: &Mask,
) -> Result<()> {
    const TAG: &[u8] = b"t1";
    const MOST: usize = 50;
    let text = |words: &[u8]| clean(words, secrets);
    let show = |who: &str, line: &[u8]| {
        if let Some(trace) = trace {
            trace(&format!("{who}: {}", escape(&text(trim_end(line)))));
        }
    };
    let cut = |cut: Cut| faults::cut_off(place, cut);
    let greeting = clear_line(stream).map_err(|why| no_greeting(place, why))?;
    show("S", &greeting);
    check_greeting(&greeting, place, text)?;
    show("C", b"t1 STARTTLS");
    stream
        .write_all(b"t1 STARTTLS\r\n")
        .map_err(|e| cut(Cut::Io(e)))?;
    for _ in 0..MOST {
        let line = clear_line(stream).map_err(cut)?;
        show("S", &line);
        match Line::parse(&line) {
            Line::Tagged {
                tag: TAG,
                status: Status::Ok,
                ..
            } => {
                return nothing_follows(stream, place);
            }
            Line::Tagged {
                tag: TAG, words, ..
            } => {
                return Err(Fault::refused(format!(
                    "`{}` port {} refuses STARTTLS",
                    place.host, place.port
                ))
                .cause(Cause::NoStartTls)
                .at(&place.host, Some(place.port))
                .said(text(words))
                .into());
            }
            line @ Line::Data { .. } => {
                if let Some(rest) = line.untagged(b"BYE") {
                    return Err(cut(Cut::Bye(format!("BYE {}", text(rest)))));
                }
            }
            _ => return Err(cut(Cut::Disorder("a line that is not IMAP".into()))),
        }
    }
    Err(cut(Cut::TooMuch("lines before STARTTLS".into())))
}

/// A server that waits for TLS says nothing.
fn no_greeting(place: &Place, why: Cut) -> anyhow::Error {
    match why {
        Cut::Io(e) if net::is_late(&e) => Fault::try_later(format!(
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

/// What came unencrypted behind the server's consent to TLS may be anybody's.
fn nothing_follows(stream: &Stream, place: &Place) -> Result<()> {
    if stream.unread() == 0 {
        return Ok(());
    }
    Err(Fault::refused(format!(
            "`{}` sent more data before TLS after it agreed to STARTTLS; somebody may tamper with the connection",
            place.host
        ),
    )
    .into())
}

fn clear_line(stream: &mut impl Read) -> Result<Vec<u8>, Cut> {
    let mut line = Vec::new();
    let mut octet = [0];
    while line.last() != Some(&b'\n') {
        if line.len() >= GREETING {
            return Err(Cut::TooMuch(format!("a line of over {GREETING} bytes")));
        }
        match stream.read(&mut octet) {
            Ok(0) => return Err(Cut::Closed),
            Ok(_) => line.push(octet[0]),
            Err(e) => return Err(Cut::Io(e)),
        }
    }
    Ok(line)
}

/// A mechanism of SASL, and what it says.
struct Exchange<'a> {
    mechanism: &'static str,
    /// The token and what belongs to it, not yet in base64.
    response: &'a Secret,
    /// What ends a refused exchange: the empty line (XOAUTH2), or the 0x01 (RFC 7628 §3.2.3).
    last: &'static str,
}

impl Exchange<'_> {
    /// Runs AUTHENTICATE (RFC 3501 §6.2.2). Where the server offers it (RFC 4959), the response goes
    /// with the command and saves a round trip. What the server says of a refused token, before it
    /// refuses the command, is kept by the wire.
    fn run(&self, wire: &mut Wire) -> Result<(), Failure> {
        let mechanism = self.mechanism;
        let response = sasl::base64(self.response);
        let goes_along = wire.offers("SASL-IR")?;
        // What is offered after the sign-in may be more; Exchange does not say it unasked.
        wire.heard.offers = None;
        wire.begin();
        let tag = if goes_along {
            let command = Secret::new(format!("AUTHENTICATE {mechanism} {}", response.expose()));
            wire.send_as(
                command.expose(),
                &format!("AUTHENTICATE {mechanism} (secret)"),
            )?
        } else {
            wire.send_command(&format!("AUTHENTICATE {mechanism}"))?
        };
        let mut is_sent = goes_along;
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
                wire.send(format!("{}\r\n", self.last).as_bytes(), self.last)?;
            } else {
                is_sent = true;
                let answer = Secret::new(format!("{}\r\n", response.expose()));
                wire.send(answer.expose().as_bytes(), "(secret)")?;
            }
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
    let xoauth2 = sasl::xoauth2(&place.user, token)?;
    let oauthbearer = sasl::oauthbearer(&place.user, &place.host, place.port, token)?;
    wire.mask(token.clone());
    // As they are, they hold the account's name besides, which is not a secret.
    for secret in [&xoauth2, &oauthbearer] {
        wire.mask(sasl::base64(secret));
    }
    let offers = |wire: &mut Wire, name: &str| {
        wire.offers(name).map_err(|failure| {
            faults::failed(&place, &format!("cannot talk to `{}`", place.host), failure)
        })
    };
    let exchange = if offers(&mut wire, "AUTH=XOAUTH2")? {
        Exchange {
            mechanism: "XOAUTH2",
            response: &xoauth2,
            last: "",
        }
    } else if offers(&mut wire, "AUTH=OAUTHBEARER")? {
        Exchange {
            mechanism: "OAUTHBEARER",
            response: &oauthbearer,
            last: "AQ==",
        }
    } else {
        return Err(no_oauth(&wire, &place).into());
    };
    let not_signed_in = |failure| {
        let what = format!("cannot sign in to mailbox `{}`", place.user);
        faults::failed(&place, &what, failure)
    };
    if let Err(failure) = exchange.run(&mut wire) {
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
