//! One mail transaction: MAIL, RCPT, then DATA or BDAT, and what became of it.

use super::content::{self, Plan};
use super::session::{QUIT_WAIT, Session};
use super::wire::Result;
use crate::dialogue::{Dots, Reply};
use crate::fault::{Fault, Kind};
use crate::mail::addresses::is_mailbox;
use crate::mail::{Envelope, Outcome, Receipt, RefusedRecipient};
use std::fmt::Write;
use std::time::Duration;

/// Commands written before their replies are read. RFC 2920 §3.1: no more than both sides'
/// windows hold, or each waits for the other.
const BATCH: usize = 100;

/// Octets of the message written at once.
const BLOCK: usize = 32 * 1024;

/// A message up to so many octets may go out before the server has said that it wants it.
const SMALL: usize = 64 * 1024;

/// RFC 5321 §4.5.3.2.4: the longest wait for the go-ahead after DATA.
const DATA_WAIT: Duration = Duration::from_secs(120);

/// RFC 5321 §4.5.3.2.5: the longest wait for the server to take a block.
const BLOCK_WAIT: Duration = Duration::from_secs(180);

/// RFC 5321 §4.5.3.2.6: the server may deliver before it answers the final dot, and who gives
/// up early does not know what became of the message.
const FINAL_WAIT: Duration = Duration::from_secs(600);

/// How long a server that stopped taking the message may take to say why.
const WORDS_WAIT: Duration = Duration::from_secs(2);

/// Called before the end of a message goes out.
type BeforeEnd<'a> = &'a mut dyn FnMut() -> anyhow::Result<()>;

/// A command of the envelope.
enum Step<'e> {
    Mail,
    Recipient(&'e str),
    Data,
}

/// The replies to the envelope so far.
#[derive(Default)]
struct Verdicts {
    accepted: usize,
    refused: Vec<RefusedRecipient>,
    /// MAIL or DATA was refused, and with it the message.
    stopped: Option<Reply>,
    /// The server waits for the message.
    go_ahead: bool,
    /// Why the replies end before the last: the connection broke, or a reply was none that its
    /// command can have.
    cut: Option<Fault>,
    /// The server said that it leaves (421), and so did nothing of what followed.
    left: bool,
}

impl Session {
    /// Submits one message. An error means that the connection is of no more use and that the
    /// message was certainly not accepted.
    pub fn submit(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        before_end: BeforeEnd<'_>,
    ) -> Result<Receipt> {
        let plan =
            check_addresses(envelope).and_then(|()| content::plan(envelope, message, &self.offer));
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                let outcome = Outcome::Refused { for_good: true };
                return Ok(Receipt::failed(outcome, why));
            }
        };
        if std::mem::take(&mut self.begun) {
            let reply = self.command("RSET")?;
            if reply.code != 250 {
                return Err(self.astray("RSET", &reply));
            }
        }
        if self.only_one
            && self.offer.pipelining
            && self.offer.chunking
            && message.len() <= SMALL
            && envelope.to.len() < BATCH
        {
            return self.send_together(envelope, message, &plan, before_end);
        }
        let verdicts = self.send_envelope(envelope, message.len(), &plan);
        self.begun = true;
        if let Some(refusal) = verdicts.refusal(envelope) {
            // A go-ahead for a message that nobody gets: there is no way to take it back but
            // to leave (a lone dot would submit an empty message).
            self.over = verdicts.go_ahead || verdicts.cut.is_some();
            return Ok(refusal);
        }
        if let Some(fault) = verdicts.cut {
            return Err(fault);
        }
        let mut result = if plan.chunked {
            self.send_chunk(message, before_end)?
        } else {
            self.send_data(message, before_end)?
        };
        self.begun = false;
        result.refused = verdicts.refused;
        Ok(result)
    }

    /// Sends MAIL, RCPT for each recipient and, unless BDAT follows, DATA: in batches where the
    /// server offers PIPELINING (RFC 2920), else one by one.
    fn send_envelope(&mut self, envelope: &Envelope, size: usize, plan: &Plan) -> Verdicts {
        let mut steps = self.steps(envelope, size, plan);
        if !plan.chunked {
            steps.push(("DATA".to_owned(), Step::Data));
        }
        let batch = if self.offer.pipelining { BATCH } else { 1 };
        let mut verdicts = Verdicts::default();
        for steps in steps.chunks(batch) {
            if verdicts.stopped.is_some() || verdicts.cut.is_some() {
                break;
            }
            if matches!(steps, [(_, Step::Data)]) && verdicts.accepted == 0 {
                break;
            }
            let lines: Vec<&str> = steps.iter().map(|(line, _)| line.as_str()).collect();
            let broken = self.wire.send(&lines, self.patience).err();
            self.read_replies(steps, &mut verdicts, broken);
        }
        verdicts
    }

    /// MAIL, and RCPT for each recipient.
    fn steps<'e>(
        &self,
        envelope: &'e Envelope,
        size: usize,
        plan: &Plan,
    ) -> Vec<(String, Step<'e>)> {
        let mail = (self.mail_command(envelope, size, plan), Step::Mail);
        let recipients = envelope
            .to
            .iter()
            .map(|to| (self.rcpt_command(envelope, to), Step::Recipient(to)));
        std::iter::once(mail).chain(recipients).collect()
    }

    /// Reads the replies to commands that have gone out, or of which `broken` tells why not all of
    /// them have: then the server may have said why before it left.
    fn read_replies(
        &mut self,
        steps: &[(String, Step<'_>)],
        verdicts: &mut Verdicts,
        broken: Option<Fault>,
    ) {
        for (line, step) in steps {
            let wait = match step {
                _ if broken.is_some() => WORDS_WAIT,
                Step::Data => self.patience.min(DATA_WAIT),
                _ => self.patience,
            };
            let fault = match self.wire.reply(wait) {
                // RFC 5321 §3.8: the server leaves, whatever the command was.
                Ok(reply) if reply.code == 421 => {
                    verdicts.left = true;
                    reply.fault(format!("`{}` closes the connection", self.host))
                }
                Ok(reply) if verdicts.note(step, &reply) => continue,
                Ok(reply) => self.astray(line, &reply),
                Err(fault) => broken.unwrap_or(fault),
            };
            verdicts.cut = Some(fault);
            return;
        }
    }

    fn mail_command(&self, envelope: &Envelope, size: usize, plan: &Plan) -> String {
        let mut line = format!("MAIL FROM:<{}>", envelope.from.as_deref().unwrap_or(""));
        if self.offer.size {
            let _ = write!(line, " SIZE={size}");
        }
        if let Some(body) = plan.body {
            let _ = write!(line, " BODY={body}");
        }
        if plan.utf8 {
            line.push_str(" SMTPUTF8");
        }
        if self.offer.dsn {
            if let Some(returned) = &envelope.notifications.returned {
                let _ = write!(line, " RET={returned}");
            }
            if let Some(id) = &envelope.notifications.envelope_id {
                let _ = write!(line, " ENVID={}", xtext(id));
            }
        }
        line
    }

    fn rcpt_command(&self, envelope: &Envelope, to: &str) -> String {
        match &envelope.notifications.notify {
            Some(notify) if self.offer.dsn => format!("RCPT TO:<{to}> NOTIFY={notify}"),
            _ => format!("RCPT TO:<{to}>"),
        }
    }

    /// Sends the message after a 354.
    fn send_data(&mut self, message: &[u8], before_end: BeforeEnd<'_>) -> Result<Receipt> {
        let mut dots = Dots::new();
        let mut block = Vec::with_capacity(BLOCK + BLOCK / 32);
        let mut sent = 0;
        // The last block is apart: only with it is the whole message handed over.
        let (first, last) = message.split_at(start_of_last(message));
        for piece in first.chunks(BLOCK) {
            block.clear();
            dots.write(piece, &mut block);
            if let Err(fault) = self.send_block(&block) {
                return self.cut_off(fault);
            }
            sent += block.len();
        }
        self.about_to_end(before_end)?;
        block.clear();
        dots.write(last, &mut block);
        block.extend_from_slice(dots.end());
        self.wire
            .note("C: ", &format!("({} bytes of message)", sent + block.len()));
        Ok(self.finish(&block))
    }

    /// Sends the message as one chunk (RFC 3030), which needs no go-ahead.
    fn send_chunk(&mut self, message: &[u8], before_end: BeforeEnd<'_>) -> Result<Receipt> {
        let command = format!("BDAT {} LAST\r\n", message.len());
        self.wire.note("C: ", command.trim_end());
        let last = start_of_last(message);
        let mut result = self.send_block(command.as_bytes());
        for block in message[..last].chunks(BLOCK) {
            result = result.and_then(|()| self.send_block(block));
        }
        if let Err(fault) = result {
            return self.cut_off(fault);
        }
        self.about_to_end(before_end)?;
        self.wire
            .note("C: ", &format!("({} bytes of message)", message.len()));
        Ok(self.finish(&message[last..]))
    }

    /// Lets the caller note that the message is about to be handed over. Where that fails, the
    /// connection is closed before the end, and the server forgets what it has of the message.
    fn about_to_end(&mut self, before_end: BeforeEnd<'_>) -> Result<()> {
        before_end().map_err(|err| {
            self.over = true;
            match err.downcast::<Fault>() {
                Ok(fault) => fault,
                Err(err) => Fault::cannot_write(format!("{err:#}")),
            }
        })
    }

    fn send_block(&mut self, block: &[u8]) -> Result<()> {
        self.wire.write(block, self.patience.min(BLOCK_WAIT))
    }

    /// The server stopped taking the message before its end, so it has not accepted it; perhaps
    /// it says why.
    fn cut_off(&mut self, fault: Fault) -> Result<Receipt> {
        match self.wire.reply(WORDS_WAIT) {
            Ok(reply) if reply.is_refusal() => {
                self.over = true;
                Ok(Receipt {
                    server_said: Some(reply.said()),
                    code: reply.numbers(),
                    why: Some(fault),
                    ..Receipt::of(Outcome::Refused {
                        for_good: !reply.is_temporary(),
                    })
                })
            }
            _ => Err(fault),
        }
    }

    /// Hands over the end of the message and reads the verdict. From here on a connection that
    /// breaks leaves the outcome unknown (RFC 1047).
    fn finish(&mut self, end: &[u8]) -> Receipt {
        let wait = self.patience.min(BLOCK_WAIT);
        // RFC 2920 §3.1: the end of a message may begin a group, and QUIT may end one.
        let leaving = self.only_one && self.offer.pipelining;
        let mut group = Vec::from(end);
        if leaving {
            group.extend_from_slice(b"QUIT\r\n");
            self.wire.note("C: ", "QUIT");
        }
        let broken = self.wire.write(&group, wait).err();
        self.verdict(leaving, broken)
    }

    /// The whole of a small message in one group: MAIL, RCPT, its only chunk, QUIT. BDAT needs no
    /// go-ahead (RFC 3030 §2), and a server that takes no recipient refuses it.
    fn send_together(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        plan: &Plan,
        before_end: BeforeEnd<'_>,
    ) -> Result<Receipt> {
        let steps = self.steps(envelope, message.len(), plan);
        let chunk = format!("BDAT {} LAST", message.len());
        let mut group = Vec::with_capacity(message.len() + 256);
        for line in steps.iter().map(|(line, _)| line).chain([&chunk]) {
            self.wire.note("C: ", line);
            group.extend_from_slice(line.as_bytes());
            group.extend_from_slice(b"\r\n");
        }
        group.extend_from_slice(message);
        let size = format!("({} bytes of message)", message.len());
        self.wire.note("C: ", &size);
        self.wire.note("C: ", "QUIT");
        group.extend_from_slice(b"QUIT\r\n");
        self.about_to_end(before_end)?;
        self.over = true;
        let broken = self.wire.write(&group, self.patience.min(BLOCK_WAIT)).err();
        let mut verdicts = Verdicts::default();
        self.read_replies(&steps, &mut verdicts, broken.clone());
        if let Some(refusal) = verdicts.refusal(envelope) {
            // Whatever the server says to the message: it goes to nobody.
            if verdicts.cut.is_none() && broken.is_none() {
                let _ = self.wire.reply(self.patience.min(QUIT_WAIT));
            }
            return Ok(refusal);
        }
        let receipt = match verdicts.cut {
            Some(fault) if verdicts.left => return Err(fault),
            Some(fault) => self.unknown(fault),
            None => self.verdict(true, broken),
        };
        Ok(Receipt {
            refused: verdicts.refused,
            ..receipt
        })
    }

    /// The connection broke where the server may have the message.
    fn unknown(&mut self, fault: Fault) -> Receipt {
        self.over = true;
        Receipt::failed(Outcome::Unknown, fault)
    }

    /// Reads what became of the message; `leaving` where QUIT has gone out with it, `broken` where
    /// not all of it may have gone out: the server's answer holds all the same.
    fn verdict(&mut self, leaving: bool, broken: Option<Fault>) -> Receipt {
        let wait = match broken {
            Some(_) => WORDS_WAIT,
            None => FINAL_WAIT,
        };
        let reply = match self.wire.reply(wait) {
            Ok(reply) => reply,
            Err(fault) => return self.unknown(broken.unwrap_or(fault)),
        };
        let leaving = leaving || broken.is_some();
        let outcome = match reply.code {
            250 => Outcome::Accepted,
            _ if reply.is_refusal() => Outcome::Refused {
                for_good: !reply.is_temporary(),
            },
            _ => Outcome::Unknown,
        };
        self.over = leaving || reply.code == 421 || outcome == Outcome::Unknown;
        if leaving {
            // The answer to QUIT comes with it; nobody needs it.
            let _ = self.wire.reply(self.patience.min(QUIT_WAIT));
        }
        Receipt {
            server_said: Some(reply.said()),
            code: reply.numbers(),
            message_id: (outcome == Outcome::Accepted)
                .then(|| reply.message_id())
                .flatten(),
            ..Receipt::of(outcome)
        }
    }

    /// The fault of a reply that does not belong to the command: the dialogue is out of step.
    fn astray(&self, line: &str, reply: &Reply) -> Fault {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let what = format!("`{}` answers {verb} at the wrong time", self.host);
        reply.tells(Fault::try_later(what))
    }
}

impl Verdicts {
    /// What the replies so far prove: the receipt of a message that nobody gets, because MAIL or
    /// DATA was refused, or each recipient. No later reply, and none that is missing, changes that.
    fn refusal(&self, envelope: &Envelope) -> Option<Receipt> {
        let for_good = match &self.stopped {
            Some(reply) => !reply.is_temporary(),
            None if self.refused.len() == envelope.to.len() => {
                self.refused.iter().all(|r| r.for_good)
            }
            None => return None,
        };
        Some(Receipt {
            refused: self.refused.clone(),
            server_said: self.stopped.as_ref().map(Reply::said),
            code: self.stopped.as_ref().and_then(Reply::numbers),
            ..Receipt::of(Outcome::Refused { for_good })
        })
    }

    /// Notes a reply; false if it is none that the command can have.
    fn note(&mut self, step: &Step, reply: &Reply) -> bool {
        match (step, reply.code) {
            (Step::Mail, 250) => {}
            (Step::Recipient(_), 250 | 251) => self.accepted += 1,
            (Step::Data, 354) => self.go_ahead = true,
            // What follows a refused MAIL is refused for that reason alone.
            _ if reply.is_refusal() && self.stopped.is_some() => {}
            (Step::Recipient(address), _) if reply.is_refusal() => {
                self.refused.push(RefusedRecipient {
                    address: (*address).to_owned(),
                    for_good: !reply.is_temporary(),
                    server_said: reply.said(),
                    code: reply.numbers(),
                });
            }
            // Without recipients DATA must be refused; the reason is theirs.
            (Step::Data, _) if reply.is_refusal() && self.accepted == 0 => {}
            _ if reply.is_refusal() => self.stopped = Some(reply.clone()),
            _ => return false,
        }
        true
    }
}

/// Where the last block of a message begins.
fn start_of_last(message: &[u8]) -> usize {
    message.len().saturating_sub(1) / BLOCK * BLOCK
}

/// No address may end a command early, wherever it came from.
fn check_addresses(envelope: &Envelope) -> Result<()> {
    let mut addresses = envelope.from.iter().chain(&envelope.to);
    let what = match addresses.find(|address| !is_mailbox(address)) {
        Some(odd) => format!("`{}` is not an e-mail address", odd.escape_debug()),
        None if envelope.to.is_empty() => "the message has no recipient".to_owned(),
        None => return Ok(()),
    };
    Err(Fault::new(Kind::UnknownRecipient, what))
}

/// RFC 3461 §4: visible ASCII but `+` and `=` stands for itself, the rest as `+` and hex digits.
fn xtext(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, octet| {
        match octet {
            b'!'..=b'~' if octet != b'+' && octet != b'=' => out.push(octet.into()),
            _ => {
                let _ = write!(out, "+{octet:02X}");
            }
        }
        out
    })
}
