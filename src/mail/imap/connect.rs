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
use std::cell::{Cell, RefCell};
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

/// Tells a greeting that lets us go on from all others.
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
            // A session that is signed in already cannot be ours.
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

/// Answers challenges: first the token, unless it went with the command; then the empty line
/// (XOAUTH2) or the 0x01 (RFC 7628 §3.2.3) that ends a refused exchange.
struct Answers {
    first: Cell<Option<Secret>>,
    last: &'static [u8],
}

impl imap::Authenticator for Answers {
    type Response = Vec<u8>;

    fn process(&self, _challenge: &[u8]) -> Vec<u8> {
        match self.first.take() {
            Some(token) => token.expose().as_bytes().to_vec(),
            None => self.last.to_vec(),
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
    let wire = Rc::new(RefCell::new(wire));
    let guard = Guard::new(Rc::clone(&wire));
    let client = imap::Client::new(guard);
    let offers = |name: &str| {
        wire.borrow_mut().offers(name).map_err(|failure| {
            faults::failed(&place, &format!("cannot talk to `{}`", place.host), failure)
        })
    };
    let (mechanism, response, last): (_, _, &[u8]) = if offers("AUTH=XOAUTH2")? {
        ("XOAUTH2", &xoauth2, b"")
    } else if offers("AUTH=OAUTHBEARER")? {
        ("OAUTHBEARER", &oauthbearer, b"\x01")
    } else {
        return Err(no_oauth(&wire.borrow(), &place).into());
    };
    let mut answers = Answers {
        first: Cell::new(None),
        last,
    };
    // RFC 4959: the response goes with the command and saves a round trip.
    let command = if offers("SASL-IR")? {
        Secret::new(format!("{mechanism} {}", sasl::base64(response).expose()))
    } else {
        answers.first = Cell::new(Some(response.clone()));
        Secret::new(mechanism)
    };
    // What is offered after the sign-in may be more; Exchange does not say it unasked.
    wire.borrow_mut().heard.offers = None;
    let session = super::caught(|| {
        client
            .authenticate(command.expose(), &answers)
            .map_err(|(e, _)| e)
    })
    .map_err(|e| match super::failure(e, &wire) {
        Failure::Refused(words) => {
            let challenge = wire.borrow_mut().heard.challenge.take();
            faults::not_signed_in(&place, words, challenge)
        }
        cut => faults::failed(
            &place,
            &format!("cannot sign in to mailbox `{}`", place.user),
            cut,
        ),
    })?;
    Ok(ImapMailbox::new(place, wire, session))
}
