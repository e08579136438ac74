//! The knobs: everything that goes wrong on the real service, on demand.
//!
//! All may be turned at any time and from any thread. A knob that is a counter (`*_next`) is used
//! up by the requests it spoils; a switch stays until it is turned back.

use super::gate::Way;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// What the token endpoint does instead of its duty.
#[derive(Clone, Debug)]
pub enum TokenFault {
    /// An HTTP status with an Entra-like JSON body, and `Retry-After` in seconds if given.
    Status(u16, Option<u64>),
    /// A proxy's HTML page with this status.
    Html(u16),
    /// The same, and it asks for a wait of so many seconds.
    HtmlWithWait(u16, u64),
    /// A page or an error of Entra's form that repeats the request, its secrets included.
    Echo { status: u16, json: bool },
    /// 200 with a good JSON body, but declared as `text/html`.
    WrongContentType,
    /// 200 with JSON that is cut off.
    BrokenJson,
    /// 200 with valid JSON that lacks `access_token`.
    NoToken,
    /// This status with this JSON.
    Says(u16, &'static str),
    /// The connection closes without an answer.
    Close,
    /// The answer comes after this time.
    Delay(Duration),
    /// The answer comes once the gate is open.
    Hold(Way),
    /// A body of that many octets, declared in `Content-Length`.
    HugeBody(u64),
    /// A redirect (307) to that URL, which a client must not follow with its secret.
    Redirect(String),
    /// This AADSTS code, with the status, `error` and text that belong to it.
    Aadsts(u32),
    /// The good answer is sent in this odd way.
    Odd(super::http::Trick),
}

/// What happens to one message when it is fetched.
#[derive(Clone, Debug)]
pub enum UidFault {
    /// `OK FETCH completed.` without data (facts: `BODY.PEEK[]` of a broken item).
    NoData,
    /// A body of 0 octets, though its size is another.
    NoOctets,
    /// Exchange's own mail in the message's place.
    Placeholder,
    /// These octets in the message's place.
    Instead(Vec<u8>),
    /// `NO` with this text for the whole command.
    No(String),
    /// `BAD` with this text for the whole command.
    Bad(String),
    /// SEARCH still finds it, FETCH gives nothing: moved meanwhile by a rule.
    Gone,
    /// The connection closes in the middle of its octets.
    CutShort,
    /// Nothing comes for this time in the middle of its octets, then the rest.
    Stall(Duration),
}

/// What an IMAP command gets instead of its answer.
#[derive(Clone, Debug)]
pub enum ImapFault {
    /// `BAD Request is throttled. Suggested Backoff Time: N milliseconds`; then BYE if asked.
    Throttled { milliseconds: u64, bye: bool },
    /// This text after the tag, for example `NO Server Unavailable. 15`.
    Reply(String),
    /// `NO` and the sign-in's response and token.
    Echo,
    /// `* BYE` with this text, and the connection closes.
    Bye(String),
    /// The connection closes without a word.
    Close,
    /// Nothing is said for this time, then the command is answered.
    Stall(Duration),
    /// A line without end, until the client has had enough.
    EndlessLine,
    /// This comes first, and then that for ever.
    Endless(&'static str, &'static str),
    /// So many unsolicited lines before the answer.
    Flood(u64),
    /// FETCH announces a literal of so many bytes.
    LiteralLie(u64),
    /// SEARCH finds nothing, although there is mail.
    NothingFound,
    /// SEARCH finds these, whatever there is.
    Finds(std::ops::RangeInclusive<u32>),
    /// These octets come before the answer.
    Garbage(Vec<u8>),
    /// From now on so many octets come at a time, with that pause between.
    Drip(usize, Duration),
}

/// Where in an SMTP dialogue a scripted reply is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmtpAt {
    Connect,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The message is complete: after the final dot, or after `BDAT … LAST`.
    Dot,
}

/// What SMTP does at that point.
#[derive(Clone, Debug)]
pub enum SmtpFault {
    /// This reply (code and text, may have several lines); the command has no other effect.
    Reply(String),
    /// This code, and the sign-in's response and token.
    Echo(u16),
    /// The connection closes without a reply, and the command has no effect.
    Close,
    /// Only at `Dot`: the message is accepted and delivered, but no reply comes.
    AcceptThenClose,
    /// This beginning of a reply, and the connection closes; at `Dot` the message is accepted.
    Cut(String),
    /// Only at `Dot`: the message is accepted, and the reply comes after this time.
    Delay(Duration),
    /// Only at `Dot`: the message is accepted, and the reply comes once the gate is open.
    Hold(Way),
}

/// All knobs; get them with `Standin::faults()`.
#[derive(Default)]
pub struct Faults {
    /// What goes wrong with Graph.
    pub graph: super::graph_faults::GraphFaults,
    /// The next N connections to any port are closed at once.
    pub drop_connections: AtomicU32,
    /// The next N connections to any port are accepted, and nothing is ever said on them.
    pub silent_connections: AtomicU32,

    token: Mutex<VecDeque<TokenFault>>,
    /// So many sign-ins with a secret or certificate that was registered while the app was in use
    /// are refused: Entra has not told all its servers of it yet.
    pub new_keys_unknown: AtomicU32,
    /// Lifetime of access tokens in seconds; 0 leaves the usual 3599.
    pub expires_in: AtomicU64,
    /// Leave `expires_in` out of token responses.
    pub hide_expires_in: AtomicBool,
    /// Entra's clock runs ahead (or behind) by so many seconds: `iat`, `nbf`, `exp`, `Date`.
    pub clock_skew: AtomicI64,
    /// Tokens lack `roles` and `scp`, as before consent.
    pub no_roles: AtomicBool,
    /// Put this in `aud` instead of the resource.
    pub audience: Mutex<Option<String>>,
    /// Refresh token responses carry no new refresh token.
    pub no_rotation: AtomicBool,
    /// A redeemed refresh token stops working at once (the real one stays valid).
    pub strict_rotation: AtomicBool,
    /// `interval` of device codes; 0 leaves the usual 5.
    pub device_interval: AtomicU64,
    /// `verification_uri` of device codes; `None` leaves the usual one.
    pub device_page: Mutex<Option<String>>,
    /// Lifetime of device codes in seconds; 0 leaves the usual 900.
    pub device_lifetime: AtomicU64,
    /// The next N polls get `slow_down`.
    pub device_slow_down: AtomicU32,
    /// Approve device codes as this user after so many polls.
    pub device_approves_after: Mutex<Option<(u32, String)>>,
    /// Who sits at the browser; default: the login hint, else the first user.
    pub browser_user: Mutex<Option<String>>,
    /// `/authorize` sends the browser back with this `error` and description.
    pub authorize_error: Mutex<Option<(String, String)>>,
    /// `/authorize` sends the browser back with a wrong `state`.
    pub wrong_state: AtomicBool,

    /// The new IMAP front end of 2026: greeting, capabilities, ESEARCH replies.
    pub imap_new_front_end: AtomicBool,
    imap: Mutex<VecDeque<ImapFault>>,
    imap_sign_ins: Mutex<VecDeque<ImapFault>>,
    imap_after: Mutex<Vec<(u32, ImapFault)>>,
    imap_uids: Mutex<HashMap<(String, u32), UidFault>>,
    /// A connection closes after it has sent so many octets; 0 means never.
    pub imap_close_after: AtomicU64,
    /// Output dribbles: so many octets at a time, with that pause between.
    pub imap_drip: Mutex<Option<(usize, Duration)>>,
    /// Lines put between FETCH replies, for example `* 5 EXISTS` or `* OK [ALERT] text`.
    pub imap_noise: Mutex<Vec<Vec<u8>>>,
    /// FETCH items come in reverse order (`RFC822.SIZE … UID …`).
    pub imap_reverse_items: AtomicBool,
    /// FETCH answers come in descending order of UIDs.
    pub imap_reverse_messages: AtomicBool,
    /// SEARCH is answered with `* ESEARCH`.
    pub imap_esearch: AtomicBool,
    /// Texts after tags contain octets above 127 that are no UTF-8.
    pub imap_eight_bit: AtomicBool,
    /// SELECT tells this UIDNEXT, whatever there is; 0 leaves the true one.
    pub imap_uidnext: AtomicU32,
    /// Each fetch renders a message a little differently, as Exchange may.
    pub imap_rerender: AtomicBool,
    /// The next N sign-ins end in `User is authenticated but not connected.`
    pub imap_not_connected: AtomicU32,
    /// A refused sign-in first gets a challenge with JSON (IMAP and SMTP).
    pub sasl_challenge: AtomicBool,
    /// Octets sent in the clear before the TLS handshake.
    pub imap_plaintext: Mutex<Option<Vec<u8>>>,
    /// Neither UIDPLUS nor MOVE is advertised.
    pub imap_old: AtomicBool,
    /// SASL-IR is not advertised, and an initial response is refused.
    pub imap_no_sasl_ir: AtomicBool,

    smtp: Mutex<Vec<(SmtpAt, SmtpFault)>>,
    smtp_recipients: Mutex<HashMap<String, String>>,
    /// Sent in the clear in the same segment as the 220 of STARTTLS.
    pub smtp_injection: Mutex<Option<Vec<u8>>>,
    /// STARTTLS is not offered.
    pub smtp_no_starttls: AtomicBool,
    /// EHLO keywords that are not offered (`CHUNKING`, `PIPELINING`, `AUTH`, …).
    pub smtp_without: Mutex<Vec<String>>,
    /// Largest message in octets; 0 leaves the mailbox's 36700160 (35 MB).
    pub smtp_size_limit: AtomicU64,
    /// Bare LF is kept as it comes; by default the message is refused.
    pub smtp_keep_bare_lf: AtomicBool,
    /// Close the connection once so many octets of a message have come; 0 means never.
    pub smtp_close_in_data: AtomicU64,
    /// Concurrent sign-ins per mailbox before `432 4.3.2`; 0 leaves the usual 3.
    pub smtp_connection_limit: AtomicU32,
    /// The older text of a refused sender, `550 5.7.60`.
    pub smtp_old_send_as: AtomicBool,
    /// Exchange replaces the Message-ID by its own.
    pub replace_message_id: AtomicBool,
    /// A `Received` field is added to what is delivered.
    pub add_received: AtomicBool,
    /// No copy in Sent Items.
    pub no_sent_copy: AtomicBool,
}

impl Faults {
    /// Spoils the next `n` requests to the token endpoint.
    pub fn token_next(&self, n: u32, fault: TokenFault) {
        let mut queue = self.token.lock().unwrap();
        queue.extend((0..n).map(|_| fault.clone()));
    }

    pub fn take_token(&self) -> Option<TokenFault> {
        self.token.lock().unwrap().pop_front()
    }

    /// Spoils the next `n` IMAP commands after a sign-in (LOGOUT and CAPABILITY excepted).
    pub fn imap_next(&self, n: u32, fault: ImapFault) {
        let mut queue = self.imap.lock().unwrap();
        queue.extend((0..n).map(|_| fault.clone()));
    }

    /// Spoils the next `n` sign-ins, for example with `NO Server Unavailable. 15`.
    pub fn imap_sign_in_next(&self, n: u32, fault: ImapFault) {
        let mut queue = self.imap_sign_ins.lock().unwrap();
        queue.extend((0..n).map(|_| fault.clone()));
    }

    pub fn take_imap_sign_in(&self) -> Option<ImapFault> {
        self.imap_sign_ins.lock().unwrap().pop_front()
    }

    /// Spoils the `n`-th IMAP command after a sign-in from now on (1 = the next), once.
    pub fn imap_at(&self, n: u32, fault: ImapFault) {
        self.imap_after.lock().unwrap().push((n, fault));
    }

    /// Spoils the fetch of one message of a mailbox until `imap_uid_heals`.
    pub fn imap_uid(&self, mailbox: &str, uid: u32, fault: UidFault) {
        let key = (mailbox.to_ascii_lowercase(), uid);
        self.imap_uids.lock().unwrap().insert(key, fault);
    }

    pub fn imap_uid_heals(&self, mailbox: &str, uid: u32) {
        let key = (mailbox.to_ascii_lowercase(), uid);
        self.imap_uids.lock().unwrap().remove(&key);
    }

    pub fn uid_faults(&self, mailbox: &str) -> HashMap<u32, UidFault> {
        let faults = self.imap_uids.lock().unwrap();
        faults
            .iter()
            .filter(|((owner, _), _)| owner == mailbox)
            .map(|((_, uid), fault)| (*uid, fault.clone()))
            .collect()
    }

    /// One step of the script: what the command that has just come gets.
    pub fn take_imap(&self) -> Option<ImapFault> {
        let mut due = None;
        self.imap_after.lock().unwrap().retain_mut(|(left, fault)| {
            *left -= 1;
            if *left == 0 {
                due = Some(fault.clone());
            }
            *left > 0
        });
        due.or_else(|| self.imap.lock().unwrap().pop_front())
    }

    /// Spoils the next `n` times an SMTP dialogue comes to that point.
    pub fn smtp_next(&self, n: u32, at: SmtpAt, fault: SmtpFault) {
        let mut script = self.smtp.lock().unwrap();
        script.extend((0..n).map(|_| (at, fault.clone())));
    }

    /// Forgets what was scripted for SMTP.
    pub fn smtp_clear(&self) {
        self.smtp.lock().unwrap().clear();
    }

    pub fn take_smtp(&self, at: SmtpAt) -> Option<SmtpFault> {
        let mut script = self.smtp.lock().unwrap();
        let place = script.iter().position(|(point, _)| *point == at)?;
        Some(script.remove(place).1)
    }

    /// RCPT for this address always gets this reply (code and text).
    pub fn smtp_recipient(&self, address: &str, reply: &str) {
        let mut replies = self.smtp_recipients.lock().unwrap();
        replies.insert(address.to_ascii_lowercase(), reply.to_string());
    }

    /// RCPT for this address is answered as usual again.
    pub fn smtp_recipient_well(&self, address: &str) {
        let mut replies = self.smtp_recipients.lock().unwrap();
        replies.remove(&address.to_ascii_lowercase());
    }

    pub fn recipient_reply(&self, address: &str) -> Option<String> {
        let replies = self.smtp_recipients.lock().unwrap();
        replies.get(&address.to_ascii_lowercase()).cloned()
    }
}

/// A number that is 0 for "as usual".
pub fn or_usual(knob: &AtomicU64, usual: u64) -> u64 {
    match knob.load(SeqCst) {
        0 => usual,
        set => set,
    }
}

/// Takes one from a counter; false when it is used up.
pub fn use_up(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}
