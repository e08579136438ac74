//! Ways to reach a mailbox: the contracts, and one file for each protocol.
//!
//! Nothing here knows files, the config file or the terminal. A [`Mailbox`] forgets a message
//! only when told so by [`Mailbox::settle`], after its delivery is on record; a [`Transport`]
//! says honestly what became of a message, and never repeats one by itself.

pub mod addresses;
mod authored;
pub mod graph;
pub mod header;
pub mod imap;
pub mod message;
mod names;
pub mod sasl;
pub mod smtp;
mod summary;
mod traits;
mod utf7;

pub use crate::dialogue::Code;
pub use authored::{first_line, read_head, summary};
pub use summary::Summary;
pub use traits::{Detail, Traits};
use traits::{bare_id, single_spaced};

use crate::fault::{Cause, Fault, Kind};
use crate::model::{AfterFetch, Select};
use crate::secret::Secret;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// What names a message within one epoch of one folder: the source's own id, as it gave it.
///
/// Only the source itself, and who keeps ids, look into one. All others compare them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RemoteId(Own);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
enum Own {
    Number(u32),
    Text(String),
}

impl RemoteId {
    /// Whether ids of its kind ascend in the order of arrival, so that one is a mark of a listing:
    /// numbers do (IMAP's UIDs, RFC 3501 §2.3.1.1). Texts tell nothing of each other.
    pub fn ascends(&self) -> bool {
        self.as_number().is_some()
    }

    /// The id that a mark is, where ids ascend.
    pub fn of_mark(mark: &str) -> Option<RemoteId> {
        mark.parse().ok().map(|number: u32| RemoteId::from(number))
    }

    pub fn as_number(&self) -> Option<u32> {
        match self.0 {
            Own::Number(number) => Some(number),
            Own::Text(_) => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Own::Number(_) => None,
            Own::Text(text) => Some(text),
        }
    }
}

impl From<u32> for RemoteId {
    fn from(number: u32) -> RemoteId {
        RemoteId(Own::Number(number))
    }
}

impl From<String> for RemoteId {
    fn from(text: String) -> RemoteId {
        RemoteId(Own::Text(text))
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Own::Number(number) => write!(f, "{number}"),
            Own::Text(text) => f.write_str(text),
        }
    }
}

/// An opened folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// IMAP's UIDVALIDITY; 0 for Graph, whose ids need none.
    pub uidvalidity: u32,
    /// How many messages it holds.
    pub exists: u32,
    /// The id that the next message will have, if the server tells (IMAP's UIDNEXT).
    pub next: Option<RemoteId>,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only what came after this mark of an earlier listing (IMAP: the highest UID, below UIDNEXT).
    pub after: Option<String>,
    /// Only what was received on or after this day.
    pub since: Option<jiff::civil::Date>,
    /// Of each message this is wanted, too, as far as it comes with the listing: see
    /// [`Mailbox::describe`].
    pub detail: Option<Detail>,
    /// Only what may be selected by this, as far as the server can tell; never less than is
    /// selected. The mark of such a listing is `None`, where ids do not ascend.
    pub select: Option<Select>,
}

/// What a folder holds at one moment: all that is at or below any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Where ids ascend: the highest one that the folder has given.
    pub highest: Option<RemoteId>,
    /// These messages, which are its newest, …
    pub newest: Vec<RemoteId>,
    /// … and those that it received at this time or earlier (Unix seconds).
    pub received: Option<i64>,
}

/// What is known once all of a listing was given.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// To go on from next time.
    pub mark: Option<String>,
    /// The message at the mark that was asked from, where it was seen to be there (IMAP alone).
    pub at_mark: Option<RemoteId>,
}

/// A message of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: RemoteId,
    /// When it was received, in a form that sorts by time and is of printable ASCII; empty where
    /// the order of the ids tells it (IMAP), or the server does not.
    pub received: String,
    /// What was asked for of it, where that came with the listing (Graph).
    pub traits: Option<Box<Traits>>,
}

impl From<RemoteId> for Listed {
    fn from(id: RemoteId) -> Listed {
        Listed {
            id,
            received: String::new(),
            traits: None,
        }
    }
}

/// Takes a page of a listing.
pub type Page<'a> = dyn FnMut(Vec<Listed>) -> Result<()> + 'a;

/// Takes the octets of messages as they arrive. One message at a time: `begin`, any number of
/// `write`s, then `end`, or `discard` when it did not arrive whole or nobody asked for it.
pub trait Sink {
    /// A message begins whose id may not be known yet. `announced` octets will follow, except
    /// from Graph, which does not say.
    fn begin(&mut self, announced: Option<u64>) -> io::Result<()>;
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;
    /// The message is whole and it is `id`.
    fn end(&mut self, id: &RemoteId) -> io::Result<()>;
    fn discard(&mut self);
}

/// Why a message that was asked for did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The server said OK and gave nothing: it is gone, or the server cannot convert it.
    Silent,
    /// The server's words for this message.
    Refused(String),
    /// Larger than `max` octets.
    TooLarge { announced: u64, max: u64 },
}

/// What came of marking, moving or deleting messages.
#[derive(Debug, Default)]
pub struct Settled {
    /// Of those that are settled, none is in the folder any more.
    pub left: bool,
    /// Those that are as they were, each for a reason of its own; all others are settled.
    pub refused: Vec<(RemoteId, Fault)>,
}

/// A context that marks the end of a session whose access token ran out (Exchange:
/// `BYE Session invalidated - AccessTokenExpired`): with a new token the work can go on where it
/// stopped. Found with `err.downcast_ref::<TokenExpired>()`; the [`Fault`](crate::fault::Fault)
/// beneath it is of kind `TryLater`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenExpired;

impl fmt::Display for TokenExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access token expired during the session")
    }
}

/// What of a message is retrieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The header alone, with the empty line after it, where the source gives it by itself.
    Header,
}

/// A mailbox that messages are read from.
pub trait Mailbox {
    /// Opens a folder; `write` asks for the right to settle in it.
    fn open(&mut self, folder: &str, write: bool) -> Result<Folder>;

    /// Lists messages of the open folder, page by page, so that no folder fills memory. They come
    /// in any order, and one may come again. An error of `page` ends the listing.
    fn list(&mut self, query: &Query, page: &mut Page<'_>) -> Result<Listing>;

    /// What the open folder holds now, told at one moment: a message that arrives later is beyond
    /// the horizon.
    fn horizon(&mut self) -> Result<Horizon>;

    /// Tells of messages of the open folder what a listing does not, without retrieving them.
    /// One that is gone, or of which the server says nothing, is left out.
    fn describe(&mut self, ids: &[RemoteId], detail: Detail) -> Result<Vec<(RemoteId, Traits)>>;

    /// Retrieves messages of the open folder into `sink`, in any order, without marking them as
    /// read. Returns those that did not arrive though the connection is well. An error means that
    /// the connection is of no more use (what ended in the sink before it has arrived), or that
    /// the sink failed: the sink's own error is then the root of the chain.
    fn retrieve(
        &mut self,
        ids: &[RemoteId],
        part: Part,
        sink: &mut dyn Sink,
    ) -> Result<Vec<(RemoteId, Missing)>>;

    /// Which of these are still in the open folder.
    fn present(&mut self, ids: &[RemoteId]) -> Result<Vec<RemoteId>>;

    /// Marks, moves or deletes messages of the open folder. Those that are gone already count as
    /// settled. An error is about more than single messages: nothing is known of any of them. What
    /// cannot be moved, see [`Mailbox::may_settle`], stays as it is.
    fn settle(&mut self, ids: &[RemoteId], action: &AfterFetch) -> Result<Settled>;

    /// Whether the open folder, opened for writing, has the rights that an action needs, as far
    /// as the server tells without that anything is done.
    fn may_settle(&mut self, _action: &AfterFetch) -> Result<()> {
        Ok(())
    }

    /// Whether two names are those of one folder, of which the first is there.
    fn is_one_folder(&mut self, name: &str, other: &str) -> Result<bool>;

    /// Says goodbye; errors are of no interest any more.
    fn close(&mut self);
}

/// How the fault begins where messages cannot be settled; `None` where nothing is to be done.
pub fn cannot_settle(action: &AfterFetch) -> Option<&'static str> {
    match action {
        AfterFetch::Keep => None,
        AfterFetch::Seen => Some("cannot mark messages as read"),
        AfterFetch::Delete => Some("cannot delete messages"),
        AfterFetch::Move(_) => Some("cannot move messages"),
    }
}

/// Why messages of a folder are not moved to it: there they would get new ids, and be fetched again
/// for ever.
pub fn to_itself(folder: &str) -> Fault {
    let what = format!("messages cannot be moved from folder `{folder}` to itself");
    Fault::config(what)
}

/// Refuses to move mail to where it would be fetched again, for ever. Unless it goes by the names
/// alone, the server may be asked for each folder: one has another name in another language.
pub fn refuse_to_move_back(
    mailbox: &mut dyn Mailbox,
    folders: &[impl AsRef<str>],
    after: &AfterFetch,
    by_names_alone: bool,
) -> Result<()> {
    let AfterFetch::Move(target) = after else {
        return Ok(());
    };
    for folder in folders.iter().map(AsRef::as_ref) {
        let may_be = !by_names_alone || names::same_but_for_case(folder, target);
        if may_be && mailbox.is_one_folder(folder, target)? {
            return Err(Fault::config(format!(
                "mail that is moved to folder `{target}` would be fetched again from there"
            ))
            .hint("move it to a folder that is not among `folders`")
            .into());
        }
    }
    Ok(())
}

/// An SMTP envelope (RFC 5321 §2.3.1).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// The reverse-path; `None` is the null path `<>`.
    pub from: Option<String>,
    /// The forward-paths, each once.
    pub to: Vec<String>,
    pub notifications: Notifications,
}

/// What the sender wants to be told of the delivery (RFC 3461). Asked for where the server
/// offers DSN; elsewhere the server does as it always does.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Notifications {
    /// NOTIFY: `NEVER`, or a list of `SUCCESS`, `FAILURE` and `DELAY`.
    pub notify: Option<String>,
    /// RET: `FULL` or `HDRS`.
    pub returned: Option<String>,
    /// ENVID, not yet encoded.
    pub envelope_id: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub outcome: Outcome,
    /// Each recipient that was refused, with the server's words.
    pub refused: Vec<RefusedRecipient>,
    /// The program's: why it did not hand the message over, or how the connection broke.
    pub why: Option<Fault>,
    /// The server's last words on the message.
    pub server_said: Option<String>,
    /// The numbers of these words, where they are an SMTP server's.
    pub code: Option<Code>,
    /// What they mean, where a service has a code of its own for that.
    pub cause: Option<Cause>,
    /// The Message-ID that the server says it used, if it names one.
    pub message_id: Option<String>,
}

impl Receipt {
    pub fn of(outcome: Outcome) -> Receipt {
        Receipt {
            outcome,
            refused: Vec::new(),
            why: None,
            server_said: None,
            code: None,
            cause: None,
            message_id: None,
        }
    }

    /// Of a message that failed.
    pub fn failed(outcome: Outcome, why: Fault) -> Receipt {
        Receipt {
            server_said: why.server_said.clone(),
            why: Some(why),
            ..Receipt::of(outcome)
        }
    }

    /// True for a refusal after which the same message may be accepted for the same recipients:
    /// the server says so, or it is not about them but about who sends, which a person can mend.
    pub fn may_pass(&self) -> bool {
        let Outcome::Refused { for_good } = self.outcome else {
            return false;
        };
        let of_recipients = self.why.is_none() && self.server_said.is_none();
        !for_good
            || self.code.is_some_and(Code::is_about_submission)
            || self.cause == Some(Cause::SendAsDenied)
            || (of_recipients && self.refused.iter().any(RefusedRecipient::may_pass))
    }

    /// What a refusal of the whole message means: whether a person has to give a permission.
    pub fn kind(&self) -> Kind {
        match (self.cause, self.code) {
            (Some(Cause::SendAsDenied), _) => Kind::SignIn,
            (Some(Cause::RecipientsRefused), _) => Kind::UnknownRecipient,
            (_, Some(code)) if code.needs_permission() => Kind::SignIn,
            _ => Kind::Refused,
        }
    }

    /// True where the server takes nothing of this mailbox for now.
    pub fn is_busy(&self) -> bool {
        let why = self.why.as_ref().and_then(|why| why.cause);
        self.code.is_some_and(Code::is_busy) || why.is_some_and(Cause::is_busy)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(from = "KeptRecipient")]
pub struct RefusedRecipient {
    pub address: String,
    pub for_good: bool,
    pub server_said: String,
    /// The numbers of these words, where they are an SMTP server's.
    pub code: Option<Code>,
}

/// A [`RefusedRecipient`] on record: earlier versions kept the words alone.
#[derive(Deserialize)]
struct KeptRecipient {
    address: String,
    for_good: bool,
    server_said: String,
    code: Option<Code>,
}

impl From<KeptRecipient> for RefusedRecipient {
    fn from(kept: KeptRecipient) -> RefusedRecipient {
        RefusedRecipient {
            code: kept.code.or_else(|| Code::read(&kept.server_said)),
            address: kept.address,
            for_good: kept.for_good,
            server_said: kept.server_said,
        }
    }
}

impl fmt::Display for RefusedRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.server_said)
    }
}

impl RefusedRecipient {
    /// Each with the server's words.
    pub fn all(refused: &[RefusedRecipient]) -> String {
        let each: Vec<String> = refused.iter().map(ToString::to_string).collect();
        each.join("; ")
    }

    /// True where the same message may be accepted for them later, as [`Receipt::may_pass`].
    pub fn may_pass(&self) -> bool {
        !self.for_good || self.code.is_some_and(Code::is_about_sender)
    }

    /// What the refusal means to the caller. The enhanced status tells an unknown recipient
    /// (RFC 3463 §3.2: X.1.0 to X.1.6 and X.1.10 are about the recipient) where there is one;
    /// else the reply codes do that RFC 5321 §4.2.3 has for mailboxes.
    pub fn kind(&self) -> Kind {
        if !self.for_good {
            return Kind::TryLater;
        }
        let is_unknown = |code: Code| match code.status {
            Some((5, subject, detail)) => subject == 1 && matches!(detail, 0..=4 | 6 | 10),
            _ => matches!(code.reply, 550 | 551 | 553),
        };
        match self.code.is_some_and(is_unknown) {
            true => Kind::UnknownRecipient,
            false => Kind::Refused,
        }
    }
}

/// The three honest outcomes (RFC 1047 explains the third).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took responsibility for it, for at least one recipient.
    Accepted,
    /// The server took it for nobody.
    Refused { for_good: bool },
    /// The connection died after the whole message was handed over and before the reply.
    Unknown,
}

/// Gives an access token for the mailbox that sends; `true` asks for a new one.
pub type TokenSource<'a> = Box<dyn Fn(bool) -> Result<Secret> + 'a>;

/// A way for mail to leave.
pub trait Transport {
    /// Submits one message. An error means that this way is closed for now (connection,
    /// sign-in) and that the message was certainly not accepted; everything that concerns the
    /// message alone is in the receipt, and the next message may follow.
    ///
    /// Calls `before_end` when all is ready and the end of the message, by which the server gets
    /// it, goes out next: who is asked to remember that does so there. An error of `before_end` ends
    /// the attempt before that.
    fn submit(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt>;

    /// Says goodbye.
    fn close(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_is_told_from_a_refusal() {
        for (said, is_busy) in [
            (
                "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
                true,
            ),
            ("421 4.3.2 Service not active", true),
            ("421", true),
            ("451 4.7.500 Server busy. Please try again later", true),
            ("450 4.2.0 STOREDRV; mailbox logon failure", false),
            ("452 4.5.3 Too many recipients", false),
            ("550 5.1.10 x", false),
        ] {
            let code = Code::read(said).unwrap();
            assert_eq!(code.is_busy(), is_busy, "{said}");
        }
    }

    #[test]
    fn numbers_are_those_that_a_reply_begins_with() {
        let status = |said: &str| Code::read(said).map(|code| code.status);
        assert_eq!(status("550 5.1.10 RESOLVER"), Some(Some((5, 1, 10))));
        for said in ["550 no", "550 5.1 x", "550 5.1.1.1 x", "550 9.1.1 x", "550"] {
            assert_eq!(status(said), Some(None), "{said}");
        }
        for said in ["", "5.1.1 x", "55 x", "cannot connect", "5500 x"] {
            assert_eq!(status(said), None, "{said}");
        }
    }

    #[test]
    fn a_refusal_that_an_earlier_version_put_on_record_has_its_numbers() {
        let earlier = r#"{"address":"a@x.example","for_good":true,"server_said":"550 5.1.1 no"}"#;
        let earlier: RefusedRecipient = serde_json::from_str(earlier).unwrap();
        assert_eq!(earlier.code, Code::read("550 5.1.1"));
        let now = serde_json::to_string(&earlier).unwrap();
        assert_eq!(
            serde_json::from_str::<RefusedRecipient>(&now).unwrap(),
            earlier
        );
    }

    #[test]
    fn an_id_is_as_its_source_gave_it() {
        let (number, text) = (RemoteId::from(9), RemoteId::from("9".to_owned()));
        assert_ne!(number, text);
        assert_eq!(
            serde_json::to_string(&[&number, &text]).unwrap(),
            r#"[9,"9"]"#
        );
        assert_eq!(
            (number.to_string(), text.to_string()),
            ("9".into(), "9".into())
        );
        assert!(number < RemoteId::from(10), "numbers are no words");
        assert!(number.ascends() && !text.ascends());
        assert_eq!(RemoteId::of_mark("9"), Some(number));
        assert_eq!(RemoteId::of_mark("2026-11-29T07:00:00Z AAMk"), None);
    }
}
