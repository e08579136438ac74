//! One SMTP session (RFC 5321), as a machine without I/O: octets of the client in, replies out.
//! What it may not know, it asks a [`Desk`].
//!
//! Offered: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531),
//! ENHANCEDSTATUSCODES (RFC 2034), and AUTH (RFC 4954) where there are passwords. Everything has a
//! bound, and a client that goes beyond, or whose octets could mean two things, is sent away.

use super::command::{self, Command, Mail};
use super::line::line_of;
use super::sign_in::{self, Asked, Step};
use super::text::{End, Text};

pub use super::command::Refusal;

/// Recipients of a message; RFC 5321 §4.5.3.1.8 has 100 at least.
const MAX_RECIPIENTS: usize = 1000;
/// Messages of a session.
const MAX_MESSAGES: u32 = 1000;
/// Command lines between two messages.
const MAX_LINES: u32 = 4000;
/// Refusals of a session.
const MAX_ERRORS: u32 = 50;
/// Passwords that are tried.
const MAX_PASSWORDS: u32 = 3;
/// Octets of a reply line without its CRLF (RFC 5321 §4.5.3.1.5).
const MAX_REPLY: usize = 510;

/// What a session asks. Each refusal is the reply to the client.
pub trait Desk {
    /// Whether somebody may send now, a message of so many octets as far as they are known.
    ///
    /// # Errors
    /// Why not.
    fn sender(&mut self, from: &str, size: u64) -> Result<(), Refusal>;

    /// Whether somebody may be sent to.
    ///
    /// # Errors
    /// Why not.
    fn recipient(&mut self, to: &str) -> Result<(), Refusal>;

    /// Keeps a message. When this returns, it is durable, and says how it is known from then on.
    ///
    /// # Errors
    /// Why nothing of it is kept.
    fn keep(&mut self, message: Message) -> Result<String, Refusal>;

    /// Whether this is a user and their password.
    fn signs_in(&mut self, user: &str, password: &str) -> bool;
}

/// A message as the client gave it.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The reverse-path; empty for the null one.
    pub from: String,
    pub to: Vec<String>,
    pub octets: Vec<u8>,
}

/// Who may use a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever is there; they are known otherwise.
    Open,
    /// The same, and those who insist may sign in.
    MaySignIn,
    /// Who has signed in.
    MustSignIn,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// This host, as its greeting names it.
    pub host: String,
    /// Octets of a message at most.
    pub max_size: usize,
    pub access: Access,
    /// The client is a script that writes all at once, and does not wait for a reply to DATA.
    pub scripted: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The client has the word.
    Read,
    /// The session is over.
    Close,
}

#[derive(Debug)]
pub struct Session {
    settings: Settings,
    mode: Mode,
    /// Of a line that is not whole.
    unread: Vec<u8>,
    greeted: bool,
    signed_in: bool,
    transaction: Option<Transaction>,
    messages: u32,
    lines: u32,
    errors: u32,
    passwords: u32,
    over: bool,
}

#[derive(Debug)]
enum Mode {
    Command,
    /// The answer to what AUTH asks.
    SignIn(Asked),
    Text(Text),
}

#[derive(Debug)]
struct Transaction {
    from: String,
    utf8: bool,
    to: Vec<String>,
}

impl Session {
    pub fn new(mut settings: Settings) -> Session {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        settings.host.retain(is_of_name);
        settings.host.truncate(255);
        if settings.host.is_empty() {
            settings.host = "localhost".to_owned();
        }
        Session {
            settings,
            mode: Mode::Command,
            unread: Vec::new(),
            greeted: false,
            signed_in: false,
            transaction: None,
            messages: 0,
            lines: 0,
            errors: 0,
            passwords: 0,
            over: false,
        }
    }

    /// What is said first.
    pub fn greet(&self, out: &mut Vec<u8>) {
        let host = &self.settings.host;
        say(out, 220, "", &format!("{host} ESMTP queuemail"));
    }

    /// Ends the session, for a reason of its own.
    pub fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.over = true;
        say(out, refusal.code, refusal.status, &refusal.text);
    }

    /// Takes what the client said, and appends what is answered.
    pub fn take(&mut self, octets: &[u8], desk: &mut dyn Desk, out: &mut Vec<u8>) -> Next {
        let mut input = std::mem::take(&mut self.unread);
        input.extend_from_slice(octets);
        let mut rest = &input[..];
        while !self.over {
            if let Mode::Text(text) = &mut self.mode {
                let (used, end) = text.take(rest);
                rest = &rest[used..];
                let Some(end) = end else {
                    return Next::Read;
                };
                self.text_ended(end, desk, out);
                continue;
            }
            match line_of(rest) {
                Ok(None) => {
                    self.unread = rest.to_vec();
                    return Next::Read;
                }
                Ok(Some((line, after))) => {
                    rest = after;
                    self.line(line, !rest.is_empty(), desk, out);
                }
                Err(refusal) => self.refuse(&refusal, out),
            }
        }
        Next::Close
    }

    fn line(&mut self, line: &[u8], more: bool, desk: &mut dyn Desk, out: &mut Vec<u8>) {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return self.refuse(&Refusal::new(421, "4.7.0", "too many commands"), out);
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return self.wrong(Refusal::new(500, "5.5.2", "not UTF-8"), out);
        };
        let done = match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::SignIn(asked) => asked
                .answered(line)
                .and_then(|step| self.sign_in(step, desk, out)),
            // `take` gives no lines to a text.
            Mode::Command | Mode::Text(_) => {
                command::parse(line).and_then(|command| self.obey(command, more, desk, out))
            }
        };
        if let Err(refusal) = done {
            self.wrong(refusal, out);
        }
    }

    /// Answers with a refusal; after too many the session is over.
    fn wrong(&mut self, refusal: Refusal, out: &mut Vec<u8>) {
        self.errors += 1;
        let last = refusal.code == 421 || self.errors > MAX_ERRORS;
        match last && refusal.code != 421 {
            true => self.refuse(&Refusal::new(421, "4.7.0", "too many errors"), out),
            false => say(out, refusal.code, refusal.status, &refusal.text),
        }
        self.over |= last;
    }

    fn obey(
        &mut self,
        command: Command<'_>,
        more: bool,
        desk: &mut dyn Desk,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match command {
            Command::Hello { extended } => self.hello(extended, out),
            Command::Mail(mail) => {
                self.mail(mail, desk)?;
                say(out, 250, "2.1.0", "sender ok");
            }
            Command::Recipient(to) => {
                self.recipient(to, desk)?;
                say(out, 250, "2.1.5", "recipient ok");
            }
            Command::Data => self.data(more, out)?,
            Command::Reset => {
                self.transaction = None;
                say(out, 250, "2.0.0", "ok");
            }
            Command::Nothing => say(out, 250, "2.0.0", "ok"),
            Command::Quit => {
                self.over = true;
                say(out, 221, "2.0.0", "bye");
            }
            Command::Verify => say(out, 252, "2.5.0", "cannot verify; send the message"),
            Command::Help => say(out, 214, "2.0.0", "see man queuemail-send"),
            Command::Auth(mechanism, initial) => {
                let step = self.auth(&mechanism, initial)?;
                self.sign_in(step, desk, out)?;
            }
            Command::NotOffered => return Err(Refusal::new(502, "5.5.1", "not offered")),
            Command::Unknown => return Err(Refusal::new(500, "5.5.1", "unknown command")),
            Command::Chunk => {
                let refusal = Refusal::new(502, "5.5.1", "BDAT is not offered");
                self.refuse(&refusal, out);
            }
            Command::Foreign => {
                let refusal = Refusal::new(421, "4.7.0", "this is SMTP");
                self.refuse(&refusal, out);
            }
        }
        Ok(())
    }

    fn hello(&mut self, extended: bool, out: &mut Vec<u8>) {
        self.greeted = true;
        self.transaction = None;
        let mut lines = vec![self.settings.host.clone()];
        if extended {
            lines.extend(
                ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"].map(String::from),
            );
            lines.push(format!("SIZE {}", self.settings.max_size));
            if self.settings.access != Access::Open {
                lines.push("AUTH PLAIN LOGIN".to_owned());
            }
        }
        let last = lines.len() - 1;
        for (at, line) in lines.iter().enumerate() {
            let mark = if at == last { ' ' } else { '-' };
            out.extend_from_slice(format!("250{mark}{line}\r\n").as_bytes());
        }
    }

    fn mail(&mut self, mail: Mail, desk: &mut dyn Desk) -> Result<(), Refusal> {
        if !self.greeted {
            return Err(Refusal::new(503, "5.5.1", "EHLO comes first"));
        }
        if self.settings.access == Access::MustSignIn && !self.signed_in {
            return Err(Refusal::new(
                530,
                "5.7.0",
                "sign in first: AUTH PLAIN or LOGIN",
            ));
        }
        if self.transaction.is_some() {
            return Err(Refusal::new(503, "5.5.1", "one MAIL for each message"));
        }
        if self.messages >= MAX_MESSAGES {
            let text = "too many messages in this session; open another one";
            return Err(Refusal::new(421, "4.7.0", text));
        }
        let size = mail.size.unwrap_or(0);
        if size > self.settings.max_size as u64 {
            return Err(self.too_large());
        }
        needs_utf8(&mail.from, mail.utf8)?;
        desk.sender(&mail.from, size)?;
        self.transaction = Some(Transaction {
            from: mail.from,
            utf8: mail.utf8,
            to: Vec::new(),
        });
        Ok(())
    }

    fn recipient(&mut self, to: String, desk: &mut dyn Desk) -> Result<(), Refusal> {
        let Some(transaction) = &mut self.transaction else {
            return Err(Refusal::new(503, "5.5.1", "MAIL comes first"));
        };
        if transaction.to.len() >= MAX_RECIPIENTS {
            return Err(Refusal::new(452, "4.5.3", "too many recipients"));
        }
        needs_utf8(&to, transaction.utf8)?;
        desk.recipient(&to)?;
        transaction.to.push(to);
        Ok(())
    }

    fn data(&mut self, more: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let ready = |t: &Transaction| !t.to.is_empty();
        if !self.transaction.as_ref().is_some_and(ready) {
            return Err(Refusal::new(503, "5.5.1", "MAIL and RCPT come first"));
        }
        if more && !self.settings.scripted {
            // RFC 2920 §3.1: DATA is the last of a group. What follows at once was not written by
            // a client that waits for the reply.
            let text = "the text came before it was asked for";
            self.refuse(&Refusal::new(503, "5.5.0", text), out);
            return Ok(());
        }
        self.mode = Mode::Text(Text::new(self.settings.max_size));
        say(
            out,
            354,
            "",
            "send the message; end it with a single dot on a line",
        );
        Ok(())
    }

    fn text_ended(&mut self, end: End, desk: &mut dyn Desk, out: &mut Vec<u8>) {
        self.mode = Mode::Command;
        let transaction = self.transaction.take();
        let kept = match (end, transaction) {
            (End::Foul(what), _) => {
                let text = format!("the message contains {what}; lines end in CRLF");
                return self.refuse(&Refusal::new(550, "5.6.0", text), out);
            }
            (End::TooLarge, _) => Err(self.too_large()),
            (End::Whole(octets), Some(Transaction { from, to, .. })) => {
                desk.keep(Message { from, to, octets })
            }
            (End::Whole(_), None) => Err(Refusal::new(503, "5.5.1", "MAIL comes first")),
        };
        match kept {
            Ok(name) => {
                self.messages += 1;
                self.lines = 0;
                say(out, 250, "2.0.0", &format!("ok: queued as {name}"));
            }
            Err(refusal) => self.wrong(refusal, out),
        }
    }

    fn too_large(&self) -> Refusal {
        let text = format!("a message has at most {} bytes", self.settings.max_size);
        Refusal::new(552, "5.3.4", text)
    }

    fn auth(&self, mechanism: &str, initial: Option<&str>) -> Result<Step, Refusal> {
        if self.settings.access == Access::Open {
            return Err(Refusal::new(502, "5.5.1", "AUTH is not offered"));
        }
        if !self.greeted || self.signed_in || self.transaction.is_some() {
            return Err(Refusal::new(
                503,
                "5.5.1",
                "AUTH comes after EHLO, once, and before MAIL",
            ));
        }
        sign_in::begin(mechanism, initial)
    }

    /// Asks on, or looks whether it is a user and their password.
    fn sign_in(
        &mut self,
        step: Step,
        desk: &mut dyn Desk,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let (user, password) = match step {
            Step::Ask(asked) => {
                say(out, 334, "", asked.challenge());
                self.mode = Mode::SignIn(asked);
                return Ok(());
            }
            Step::Claim { user, password } => (user, password),
        };
        if desk.signs_in(&user, &password) {
            self.signed_in = true;
            say(out, 235, "2.7.0", "signed in");
            return Ok(());
        }
        self.passwords += 1;
        match self.passwords < MAX_PASSWORDS {
            true => Err(Refusal::new(535, "5.7.8", "wrong user or password")),
            false => Err(Refusal::new(421, "4.7.0", "too many wrong passwords")),
        }
    }
}

fn needs_utf8(address: &str, announced: bool) -> Result<(), Refusal> {
    match address.is_ascii() || announced {
        true => Ok(()),
        false => Err(Refusal::new(553, "5.6.7", "this address needs SMTPUTF8")),
    }
}

/// Appends a reply: one line of ASCII, however long and strange its text is.
pub fn say(out: &mut Vec<u8>, code: u16, status: &str, text: &str) {
    let mut line = match status {
        "" => format!("{code} "),
        _ => format!("{code} {status} "),
    };
    line.extend(text.chars().map(|c| match c {
        ' '..='~' => c,
        _ => '?',
    }));
    line.truncate(MAX_REPLY);
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
