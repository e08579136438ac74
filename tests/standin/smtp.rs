//! SMTP submission as Exchange Online speaks it: the dialogue, its TLS and its sign-in.
//! The transaction is in `smtp_message`; what becomes of a message, in `submission`.

use super::echo::spelled;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::Value;

use super::faults::{SmtpAt, SmtpFault};
use super::net::{Conn, Wire, handshake};
use super::submission::Envelope;
use super::tokens;
use super::world::{World, now};

/// What EHLO announces, and what a message may have on the way in.
pub const SIZE: u64 = 157_286_400;

pub struct Dialogue<'a> {
    pub world: &'a World,
    pub conn: Conn,
    is_secure: bool,
    /// Claims and mailbox, once signed in.
    pub signed_in: Option<(Value, String)>,
    /// The response of the sign-in.
    response: String,
    pub envelope: Option<Envelope>,
    /// Chunks of BDAT so far.
    pub chunks: Option<Vec<u8>>,
    errors: u32,
}

pub enum Next {
    Go,
    StartTls,
    End,
}

pub type Step = io::Result<Next>;

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
        conn: Conn::new(world, stream),
        is_secure,
        signed_in: None,
        response: String::new(),
        envelope: None,
        chunks: None,
        errors: 0,
    };
    let outcome = dialogue.run(greet);
    if let Some((_, mailbox)) = &dialogue.signed_in
        && let Some(mailbox) = world.store().get(mailbox)
    {
        mailbox.senders -= 1;
    }
    outcome
}

impl Dialogue<'_> {
    fn run(&mut self, greet: bool) -> io::Result<bool> {
        if greet && let Next::End = self.greet()? {
            self.conn.end()?;
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
                    self.conn.end()?;
                    return Ok(false);
                }
            }
        }
    }

    pub fn say(&mut self, reply: &str) -> Step {
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
            SmtpFault::Echo(code) => self.echo(code).map(Some),
            SmtpFault::Delay(time) => {
                self.conn.flush()?;
                self.world.pause(time);
                Ok(None)
            }
            SmtpFault::Hold(gate) => {
                self.conn.flush()?;
                self.world.wait_at(&gate);
                Ok(None)
            }
            SmtpFault::Cut(part) => {
                self.conn.put(part.as_bytes())?;
                Ok(Some(Next::End))
            }
            SmtpFault::Close | SmtpFault::AcceptThenClose => Ok(Some(Next::End)),
        }
    }

    /// Repeats what the client signed in with.
    pub fn echo(&mut self, code: u16) -> Step {
        let decoded = tokens::read_xoauth2(self.response.as_bytes()).unwrap_or_default();
        let (response, token) = (&self.response, decoded.1);
        let reply = format!(
            "{code}-5.7.3 Odd {response}\n{code}-5.7.3 {}\n{code} 5.7.3 {} Odd {token}",
            spelled(response),
            spelled(&token)
        );
        self.say(&reply)
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
            && {
                if let ("AUTH", Some((_, response))) = (verb, rest.split_once(' ')) {
                    self.response = response.to_string();
                }
                true
            }
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

    pub fn offers(&self, keyword: &str) -> bool {
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
        self.response = String::from_utf8_lossy(&response).into_owned();
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
        let mut store = self.world.store();
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
}
