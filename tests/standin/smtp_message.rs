//! SMTP's transaction: MAIL, RCPT, then the message by DATA or BDAT, octet for octet.

use std::sync::atomic::Ordering::SeqCst;

use super::faults::{SmtpAt, SmtpFault};
use super::message;
use super::smtp::{Dialogue, Next, SIZE, Step};
use super::submission::{self, Envelope};

impl Dialogue<'_> {
    pub fn mail(&mut self, rest: &str) -> Step {
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
        let senders = self.world.store().existing(mailbox).senders;
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

    pub fn rcpt(&mut self, rest: &str) -> Step {
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
        let is_known = self.world.store().get(&to).is_some();
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

    pub fn data(&mut self) -> Step {
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

    pub fn bdat(&mut self, rest: &str) -> Step {
        let mut words = rest.split_ascii_whitespace();
        let Some(size) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            return self.say("501 5.5.4 Invalid arguments");
        };
        let is_last = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let chunk = self.conn.exactly(size.min(SIZE))?;
        // A server may be made to take a message for nobody.
        if !self.has_recipients()
            && let Some(SmtpFault::Reply(reply)) = self.world.faults.take_smtp(SmtpAt::Dot)
        {
            return self.say(&reply);
        }
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
        let (mut is_silent, mut part) = (false, String::new());
        match self.world.faults.take_smtp(SmtpAt::Dot) {
            None => {}
            Some(SmtpFault::Reply(reply)) => return self.say(&reply),
            Some(SmtpFault::Close) => return Ok(Next::End),
            Some(SmtpFault::AcceptThenClose) => is_silent = true,
            Some(SmtpFault::Cut(reply)) => (is_silent, part) = (true, reply),
            Some(SmtpFault::Echo(code)) => return self.echo(code),
            Some(SmtpFault::Delay(time)) => self.world.pause(time),
            Some(SmtpFault::Hold(gate)) => self.world.wait_at(&gate),
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
            self.conn.put(part.as_bytes())?;
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
