//! The numbers of an SMTP server's answer, and what they are about.

use serde::{Deserialize, Serialize};

/// An enhanced status (RFC 3463): its class, subject and detail.
type Status = (u16, u16, u16);

/// The numbers of an SMTP server's answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The reply code (RFC 5321 §4.2).
    pub reply: u16,
    /// The enhanced status, where the server gives one (RFC 2034 §4).
    pub status: Option<Status>,
}

impl Code {
    /// Reads the numbers that a reply begins with.
    pub fn read(said: &str) -> Option<Code> {
        let mut words = said.split([' ', '\n']);
        let reply = words.next().filter(|word| word.len() == 3)?.parse().ok()?;
        let status = words.next().and_then(|word| {
            let mut parts = word.split('.');
            let mut part = || {
                let part = parts.next().filter(|part| part.len() <= 3)?;
                part.parse().ok()
            };
            let status = (part()?, part()?, part()?);
            (matches!(status.0, 2 | 4 | 5) && parts.next().is_none()).then_some(status)
        });
        Some(Code { reply, status })
    }

    /// 432 (RFC 5248: Exchange's too many connections), 421 (the server leaves), and Exchange's
    /// statuses of a mailbox or tenant that sends too much.
    pub fn is_busy(self) -> bool {
        matches!(self.reply, 421 | 432)
            || self.reply / 100 == 4 && matches!(self.status, Some((4, 3, 2) | (4, 7, 500)))
    }

    /// True where a refusal of a whole message is about who sends: as [`Code::is_about_sender`], or
    /// about the mailbox that submits, of which RFC 3463 §3.3 speaks (Exchange: 5.2.0 with a quota
    /// for sending, 5.2.2 full, 5.2.252 no right to send as).
    pub fn is_about_submission(self) -> bool {
        self.is_about_sender() || matches!(self.status, Some((5, 2, 0 | 2 | 252)))
    }

    /// True where a refusal is about the sender's address, mailbox, sign-in, app or tenant, or
    /// about the host, and not about the message or a recipient.
    pub fn is_about_sender(self) -> bool {
        // RFC 4954 §6.
        if matches!(self.reply, 530 | 535) {
            return true;
        }
        match self.status {
            // RFC 3463 §3.2: the sender's address; Exchange: a mailbox that may not send any more.
            Some((5, 1, 7 | 8)) => true,
            // RFC 3463 §3.4: the host takes nothing, or is wrongly set up.
            Some((5, 3, 2 | 5)) => true,
            // RFC 4954 §6, and Exchange's for who may not sign in (30, 57), send as this sender (60),
            // relay (64), or send so much or at all (233, 501 to 509 and 7xx).
            Some((5, 7, 8 | 9 | 30 | 57 | 60 | 64 | 233 | 500..=599 | 700..=799)) => true,
            _ => false,
        }
    }

    /// RFC 4954 §6, and Exchange's statuses of a sender that may not send.
    pub fn needs_permission(self) -> bool {
        matches!(self.reply, 530 | 535)
            || matches!(self.status, Some((5, 7, 57 | 60) | (5, 2, 252)))
    }
}
