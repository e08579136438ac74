//! SMTP submission as Exchange Online speaks it; what becomes of a message is in `submission`.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::Value;

use super::faults::{SmtpAt, SmtpFault};
use super::message;
use super::net::{Conn, Wire, handshake};
use super::submission::{self, Envelope};
use super::tokens;
use super::world::{World, now};

/// What EHLO announces, and what a message may have on the way in.
const SIZE: u64 = 157_286_400;

struct Dialogue<'a> {
    world: &'a World,
    conn: Conn,
    is_secure: bool,
    /// Claims and mailbox, once signed in.
    signed_in: Option<(Value, String)>,
    envelope: Option<Envelope>,
    /// Chunks of BDAT so far.
    chunks: Option<Vec<u8>>,
    errors: u32,
}

enum Next {
    Go,
    StartTls,
    End,
}

type Step = io::Result<Next>;

/// STARTTLS: plain at first.
pub fn serve_starttls(world: &Arc<World>, stream: TcpStream) -> io::Result<()> {
    let plain = stream.try_clone()?;
    if !talk(world, Box::new(plain), false, true)? {
        return Ok(());
    }
    // Whatever the client sent in the clear after STARTTLS is gone with the old buffer.
    talk(world, handshake(world, stream)?, true, false).map(|_| ())
}

pub fn serve_implicit(world: &Arc<World>, stream: TcpStream) -> io::Result<()> {
    talk(world, handshake(world, stream)?, true, true).map(|_| ())
}

/// One dialogue to its end; true when TLS is to follow.
fn talk(world: &World, stream: Box<dyn Wire>, is_secure: bool, greet: bool) -> io::Result<bool> {
    let mut dialogue = Dialogue {
        world,
        conn: Conn::new(stream),
        is_secure,
        signed_in: None,
        envelope: None,
        chunks: None,
        errors: 0,
    };
    let outcome = dialogue.run(greet);
    if let Some((_, mailbox)) = &dialogue.signed_in
        && let Some(mailbox) = world.store.lock().unwrap().get(mailbox)
    {
        mailbox.senders -= 1;
    }
    outcome
}

impl Dialogue<'_> {
    fn run(&mut self, greet: bool) -> io::Result<bool> {
        if greet && let Next::End = self.greet()? {
            return Ok(false);
        }
        loop {
            let Some(line) = self.conn.line(64 << 10)? else {
                return Ok(false);
            };
            let line = String::from_utf8_lossy(&line).trim_end().to_string();
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            let shown = if verb == "AUTH" {
                "AUTH (masked)"
            } else {
                &line
            };
            self.world.log("SMTP", &format!("< {shown}"));
            match self.obey(&verb, rest.trim())? {
                Next::Go => {}
                Next::StartTls => return Ok(true),
                Next::End => {
                    self.conn.flush()?;
                    return Ok(false);
                }
            }
        }
    }

    fn say(&mut self, reply: &str) -> Step {
        for line in reply.lines() {
            self.world.log("SMTP", &format!("> {line}"));
            self.conn.put(line.as_bytes())?;
            self.conn.put(b"\r\n")?;
        }
        if reply.starts_with('5') {
            self.errors += 1;
        }
        // 421 always ends a connection (RFC 5321 §3.8); so does too much nonsense.
        let is_over = reply.starts_with("421") || self.errors > 50;
        Ok(if is_over { Next::End } else { Next::Go })
    }

    /// Plays the scripted reply for this point of the dialogue, if there is one.
    fn scripted(&mut self, at: SmtpAt) -> io::Result<Option<Next>> {
        let Some(fault) = self.world.faults.take_smtp(at) else {
            return Ok(None);
        };
        self.world
            .log("SMTP", &format!("! fault at {at:?}: {fault:?}"));
        match fault {
            SmtpFault::Reply(reply) => self.say(&reply).map(Some),
            SmtpFault::Delay(time) => {
                self.conn.flush()?;
                self.world.pause(time);
                Ok(None)
            }
            SmtpFault::Close | SmtpFault::AcceptThenClose => Ok(Some(Next::End)),
        }
    }

    fn greet(&mut self) -> Step {
        if let Some(next) = self.scripted(SmtpAt::Connect)? {
            return Ok(next);
        }
        let time = jiff::Timestamp::from_second(now()).unwrap();
        let time = time.strftime("%a, %-d %b %Y %H:%M:%S +0000");
        self.say(&format!(
            "220 LOCALHOST.outlook.office365.com Microsoft ESMTP MAIL Service ready at {time}"
        ))
    }

    fn obey(&mut self, verb: &str, rest: &str) -> Step {
        let at = match verb {
            "EHLO" | "HELO" => Some(SmtpAt::Ehlo),
            "STARTTLS" => Some(SmtpAt::StartTls),
            "AUTH" => Some(SmtpAt::Auth),
            "MAIL" => Some(SmtpAt::Mail),
            "RCPT" => Some(SmtpAt::Rcpt),
            "DATA" => Some(SmtpAt::Data),
            _ => None,
        };
        if let Some(at) = at
            && let Some(next) = self.scripted(at)?
        {
            // A client that sent its initial response must not have it read as a command.
            return Ok(next);
        }
        match verb {
            "EHLO" => self.ehlo(),
            "HELO" => self.say("250 LOCALHOST.outlook.office365.com Hello [127.0.0.1]"),
            "STARTTLS" => self.starttls(),
            "NOOP" => self.say("250 2.0.0 OK"),
            "RSET" => {
                self.envelope = None;
                self.chunks = None;
                self.say("250 2.0.0 Resetting")
            }
            "QUIT" => {
                self.say("221 2.0.0 Service closing transmission channel")?;
                Ok(Next::End)
            }
            "AUTH" if !self.is_secure => self.say("504 5.7.4 Unrecognized authentication type"),
            "AUTH" => self.auth(rest),
            "MAIL" | "RCPT" | "DATA" | "BDAT" if self.signed_in.is_none() => {
                // The octets of a chunk follow its command, whether it is liked or not.
                if verb == "BDAT" {
                    let size = rest.split(' ').next().and_then(|n| n.parse().ok());
                    self.conn.exactly(size.unwrap_or(0))?;
                }
                self.say("530 5.7.57 Client not authenticated to send mail. [LOCALHOST.outlook.office365.com]")
            }
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data(),
            "BDAT" => self.bdat(rest),
            _ => self.say("500 5.3.3 Unrecognized command"),
        }
    }

    fn offers(&self, keyword: &str) -> bool {
        let without = self.world.faults.smtp_without.lock().unwrap();
        !without.iter().any(|own| own.eq_ignore_ascii_case(keyword))
    }

    fn ehlo(&mut self) -> Step {
        self.envelope = None;
        let size = format!("SIZE {SIZE}");
        let tls = match self.is_secure {
            true => "AUTH LOGIN XOAUTH2",
            false => "STARTTLS",
        };
        let keywords = [
            &size,
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
            tls,
            "8BITMIME",
            "BINARYMIME",
            "CHUNKING",
            "SMTPUTF8",
        ];
        let no_starttls = self.world.faults.smtp_no_starttls.load(SeqCst);
        let mut lines = vec!["LOCALHOST.outlook.office365.com Hello [127.0.0.1]"];
        lines.extend(keywords.into_iter().filter(|keyword| {
            let name = keyword.split(' ').next().unwrap_or_default();
            self.offers(name) && !(no_starttls && name == "STARTTLS")
        }));
        let last = lines.len() - 1;
        let reply: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        self.say(&reply.join("\r\n"))
    }

    fn starttls(&mut self) -> Step {
        if self.is_secure || self.world.faults.smtp_no_starttls.load(SeqCst) {
            return self.say("503 5.5.2 Bad sequence of commands");
        }
        self.say("220 2.0.0 SMTP server ready")?;
        if let Some(injected) = &*self.world.faults.smtp_injection.lock().unwrap() {
            self.conn.put(injected)?;
        }
        self.conn.flush()?;
        Ok(Next::StartTls)
    }

    fn auth(&mut self, rest: &str) -> Step {
        if self.signed_in.is_some() {
            return self.say("503 5.5.2 Bad sequence of commands");
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !mechanism.eq_ignore_ascii_case("XOAUTH2") {
            // LOGIN is offered, but Basic authentication is switched off.
            return self.say("535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [LOCALHOST.outlook.office365.com]");
        }
        let response = match initial {
            "" => {
                self.say("334 ")?;
                let Some(line) = self.conn.line(64 << 10)? else {
                    return Ok(Next::End);
                };
                line.trim_ascii().to_vec()
            }
            initial => initial.as_bytes().to_vec(),
        };
        let outcome = self.sign_in(&response);
        if let Err((reason, reply)) = outcome {
            self.world
                .log("SMTP", &format!("! sign-in refused: {reason}"));
            if self.world.faults.sasl_challenge.load(SeqCst) {
                self.say(&format!("334 {}", tokens::challenge()))?;
                self.conn.line(64 << 10)?;
            }
            return self.say(reply);
        }
        self.say("235 2.7.0 Authentication successful")
    }

    fn sign_in(&mut self, response: &[u8]) -> Result<(), (String, &'static str)> {
        let refused =
            "535 5.7.3 Authentication unsuccessful [LOCALHOST.outlook.office365.com 2026-11-23]";
        let no = |reason: String| (reason, refused);
        let (user, token) = tokens::read_xoauth2(response)
            .ok_or_else(|| no("not an XOAUTH2 response".to_string()))?;
        let claims = tokens::check_for_exchange(self.world, &token, "SMTP.SendAsApp", "SMTP.Send")
            .map_err(no)?;
        let mut store = self.world.store.lock().unwrap();
        let mailbox = store
            .get(&user)
            .ok_or_else(|| no(format!("no mailbox {user}")))?;
        if mailbox.smtp_disabled {
            let reply = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. [LOCALHOST.outlook.office365.com]";
            return Err(("SMTP AUTH is disabled".to_string(), reply));
        }
        // An app without a right on the mailbox learns of it when it submits; a person at once.
        if claims["upn"].is_string() && !tokens::may_open(&claims, mailbox) {
            return Err(no("no right on the mailbox".to_string()));
        }
        mailbox.senders += 1;
        self.signed_in = Some((claims, mailbox.address.clone()));
        Ok(())
    }

    fn mail(&mut self, rest: &str) -> Step {
        if self.envelope.is_some() {
            return self.say("503 5.5.2 Sender already specified");
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.1.7 Invalid address");
        };
        let Some((_, mailbox)) = &self.signed_in else {
            return Ok(Next::End);
        };
        let limit = match self.world.faults.smtp_connection_limit.load(SeqCst) {
            0 => 3,
            set => set,
        };
        let senders = self.world.store.lock().unwrap().existing(mailbox).senders;
        if senders > limit {
            return self.say("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=LOCALHOST.outlook.office365.com]");
        }
        for parameter in &parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_known = match name.to_ascii_uppercase().as_str() {
                "SIZE" if value.parse::<u64>().is_ok_and(|size| size > SIZE) => {
                    return self.say("552 5.3.4 Message size exceeds fixed maximum message size");
                }
                "SIZE" => value.parse::<u64>().is_ok(),
                "BODY" => matches!(value, "7BIT" | "8BITMIME" | "BINARYMIME"),
                "SMTPUTF8" => self.offers("SMTPUTF8"),
                "RET" | "ENVID" | "AUTH" => true,
                _ => false,
            };
            if !is_known {
                return self.say("501 5.5.4 Invalid arguments");
            }
        }
        self.envelope = Some(Envelope {
            from,
            parameters,
            recipients: Vec::new(),
            recipient_parameters: Vec::new(),
        });
        self.say("250 2.1.0 Sender OK")
    }

    fn rcpt(&mut self, rest: &str) -> Step {
        let Some((to, parameters)) = path(rest, "TO:") else {
            return self.say("501 5.1.3 Invalid address");
        };
        if self.envelope.is_none() {
            return self.say("503 5.5.2 Need mail command");
        }
        if let Some(reply) = self.world.faults.recipient_reply(&to) {
            return self.say(&reply);
        }
        let is_own = to
            .rsplit_once('@')
            .is_some_and(|(_, host)| host.eq_ignore_ascii_case(&self.world.domain));
        let is_known = self.world.store.lock().unwrap().get(&to).is_some();
        if is_own && !is_known {
            return self.say("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup");
        }
        let envelope = self.envelope.as_mut().unwrap();
        if envelope.recipients.len() >= 500 {
            return self.say("452 4.5.3 Too many recipients");
        }
        envelope.recipients.push(to);
        envelope.recipient_parameters.push(parameters);
        self.say("250 2.1.5 Recipient OK")
    }

    fn has_recipients(&self) -> bool {
        self.envelope
            .as_ref()
            .is_some_and(|envelope| !envelope.recipients.is_empty())
    }

    fn data(&mut self) -> Step {
        if !self.has_recipients() {
            return self.say("503 5.5.2 Need rcpt command");
        }
        self.say("354 Start mail input; end with <CRLF>.<CRLF>")?;
        let close_at = self.world.faults.smtp_close_in_data.load(SeqCst);
        let mut bytes = Vec::new();
        let mut bare_lf = false;
        let mut at_start = true;
        loop {
            let Some(line) = self.conn.line(SIZE)? else {
                return Ok(Next::End); // cut off: nothing was accepted
            };
            if at_start && line == b".\r\n" {
                break;
            }
            let unstuffed = match at_start && line[0] == b'.' {
                true => &line[1..],
                false => &line[..],
            };
            bytes.extend_from_slice(unstuffed);
            at_start = line.ends_with(b"\r\n");
            bare_lf |= !at_start;
            if close_at > 0 && bytes.len() as u64 >= close_at {
                return Ok(Next::End);
            }
        }
        self.complete(bytes, bare_lf)
    }

    fn bdat(&mut self, rest: &str) -> Step {
        let mut words = rest.split_ascii_whitespace();
        let Some(size) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            return self.say("501 5.5.4 Invalid arguments");
        };
        let is_last = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let chunk = self.conn.exactly(size.min(SIZE))?;
        if !self.has_recipients() || !self.offers("CHUNKING") {
            return self.say("503 5.5.2 Need rcpt command");
        }
        let chunks = self.chunks.get_or_insert_default();
        chunks.extend(chunk);
        let total = chunks.len();
        if !is_last {
            return self.say(&format!("250 2.6.0 CHUNK received OK, {total} octets"));
        }
        let bytes = self.chunks.take().unwrap_or_default();
        self.complete(bytes, false)
    }

    /// The message is here: accepts or refuses it.
    fn complete(&mut self, bytes: Vec<u8>, bare_lf: bool) -> Step {
        self.world
            .log("SMTP", &format!("< (message of {} octets)", bytes.len()));
        let Some(envelope) = self.envelope.take() else {
            return Ok(Next::End);
        };
        let mut is_silent = false;
        match self.world.faults.take_smtp(SmtpAt::Dot) {
            None => {}
            Some(SmtpFault::Reply(reply)) => return self.say(&reply),
            Some(SmtpFault::Close) => return Ok(Next::End),
            Some(SmtpFault::AcceptThenClose) => is_silent = true,
            Some(SmtpFault::Delay(time)) => self.world.pause(time),
        }
        if bare_lf && !self.world.faults.smtp_keep_bare_lf.load(SeqCst) {
            return self.say("550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA");
        }
        let Some((claims, mailbox)) = &self.signed_in else {
            return Ok(Next::End);
        };
        let reply = submission::submit(self.world, claims, mailbox, envelope, bytes);
        if is_silent {
            self.world.log("SMTP", &format!("! not sent: {reply}"));
            return Ok(Next::End);
        }
        self.say(&reply)
    }
}

/// The address in `FROM:<…>` or `TO:<…>`, and the parameters after it. Exchange insists on brackets.
fn path(text: &str, keyword: &str) -> Option<(String, Vec<String>)> {
    let start = text.get(..keyword.len())?;
    if !start.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let inner = text[keyword.len()..].trim_start().strip_prefix('<')?;
    let (address, rest) = inner.split_once('>')?;
    if keyword == "TO:" && !address.contains('@') {
        return None;
    }
    let parameters = rest.split_ascii_whitespace().map(str::to_string).collect();
    Some((message::bare_address(address).to_string(), parameters))
}
