//! The report of what could not be delivered (RFC 3464), brought to the queue of the sender as
//! its fetched mail is.
//!
//! How the delivery is finished is on record before it begins, as when mail is fetched: a crash
//! neither loses the report nor, where the destination can be looked at, delivers it twice.

use super::Claim;
use crate::delivery::{self, Delivery, Intent, Letter, Place, Rejected};
use crate::digest::{hex, sha256};
use crate::fault::{Fault, Kind};
use crate::files;
use crate::mail::{self, RefusedRecipient, header};
use crate::state::{Moment, WaitName};
use anyhow::{Context, Result};
use jiff::{Timestamp, tz::TimeZone};
use std::io::Write;
use std::path::PathBuf;

/// Where a sender's reports go.
pub struct Destination {
    pub place: Place,
    /// The fixed part of where it goes to, if that is a folder.
    pub root: Option<PathBuf>,
    pub queue: String,
    pub address: String,
    pub priority: u32,
    pub language: String,
}

/// Delivers the report that is due. Returns where it is; after that the message is gone from the
/// outbox, or waits for the recipients that are left.
pub fn deliver_report(claim: &mut Claim<'_>, to: &Destination, now: i64) -> Result<String> {
    let store = claim.store;
    if let Some(place) = finish_interrupted(claim, now)? {
        return Ok(place);
    }
    if store.is_shared() {
        to.place.may_be_shared()?;
    }
    if let Some(folder) = &to.root {
        store.check_place(folder)?;
    }
    if let Some(destination) = to.place.may_ask_to_wait() {
        store.respect_wait(WaitName::Destination(&destination), store.clock())?;
    }
    let mut delivery = delivery::open(&to.place, &store.scratch()?)?;
    let octets = render(claim, to, now)?;
    let letter = letter(claim, to, &octets);
    let (staged, intent) = stage(delivery.as_mut(), &letter, &octets)?;
    claim.entry.report = Some(serde_json::to_string(&intent)?);
    let recorded = Moment::now();
    claim.entry.changed_at = store.now();
    store.outbox_update(&claim.lock, &claim.entry)?;
    match intent.in_flight() {
        Some(_) => claim.lock.check_since(recorded, delivery::LATEST_START)?,
        None => claim.lock.check()?,
    }
    let place = match delivery.deliver(&intent, &letter) {
        Ok(place) => place,
        Err(err) => {
            let refused = err.downcast::<Rejected>();
            if refused.is_ok() || (intent.in_flight().is_some() && store.is_shared()) {
                // Nobody need finish it, or wait for it.
                claim.entry.report = None;
                store.outbox_update(&claim.lock, &claim.entry)?;
                let _ = std::fs::remove_file(staged);
            }
            let why = refused?;
            if let Some(wait) = &why.wait {
                let name = WaitName::Destination(&wait.destination);
                store.keep_wait(name, wait.time, &why.reason, store.clock())?;
            }
            let kind = match why.for_good {
                true => Kind::Refused,
                false => Kind::TryLater,
            };
            let what = format!("the destination refused the report: {why}");
            return Err(Fault::new(kind, what).into());
        }
    };
    delivery.flush()?;
    done(claim, now)?;
    delivery.recorded();
    Ok(place)
}

/// Finishes a delivery of the report that was interrupted; gives where it is, unless it is to begin
/// again.
fn finish_interrupted(claim: &mut Claim<'_>, now: i64) -> Result<Option<String>> {
    let store = claim.store;
    let Some(intent) = &claim.entry.report else {
        return Ok(None);
    };
    let intent: Intent = serde_json::from_str(intent)
        .map_err(|e| store.spoilt("the record of a report's delivery", &e))?;
    let since = store.now() - claim.entry.changed_at;
    if let Some(longest) = intent.in_flight()
        && store.is_shared()
        && (-longest..longest).contains(&since)
    {
        return Err(Fault::try_later("another host may still be delivering the report").into());
    }
    for file in intent.targets() {
        store.check_places_of(file)?;
    }
    let place = delivery::recover(&intent, since)?;
    if place.is_some() {
        done(claim, now)?;
        delivery::recovered(&intent);
    }
    Ok(place)
}

fn done(claim: &mut Claim<'_>, now: i64) -> Result<()> {
    claim.entry.report = None;
    claim.entry.refused.clear();
    claim.entry.changed_at = now;
    match claim.entry.envelope.to.is_empty() {
        true => claim.remove(),
        false => claim
            .store
            .outbox_settle(None, &claim.entry, claim.entry.attempts, None),
    }
}

/// Where it is staged, and how it will be delivered.
fn stage(delivery: &mut dyn Delivery, letter: &Letter, octets: &[u8]) -> Result<(PathBuf, Intent)> {
    let folder = delivery.staging().to_owned();
    let mut file = tempfile::Builder::new()
        .prefix("report-")
        .tempfile_in(&folder)
        .map_err(|e| delivery::cannot_write(&folder, &e))?;
    file.write_all(octets)
        .map_err(|e| delivery::cannot_write(&folder, &e))?;
    let (_, path) = file.keep().context("cannot keep a file")?;
    let intent = delivery.plan(&path, letter)?;
    let files: Vec<_> = intent.files().collect();
    files::sync_files(&folder, &files).map_err(|e| delivery::cannot_write(&folder, &e))?;
    Ok((path, intent))
}

fn letter(claim: &Claim<'_>, to: &Destination, octets: &[u8]) -> Letter {
    Letter {
        queue: to.queue.clone(),
        address: to.address.clone(),
        folder: "outbox".to_owned(),
        uidvalidity: 0,
        uid: format!("outbox-{}", claim.entry.id).into(),
        size: octets.len() as u64,
        priority: to.priority,
        language: to.language.clone(),
        message_id: Some(report_id(claim)),
        summary: mail::summary(octets),
        kind: "bounce",
        original_message_id: Some(claim.entry.message_id.clone()),
        delivery_id: digest_of(claim),
    }
}

/// The same for the same report, so that a repeat is recognised.
fn report_id(claim: &Claim<'_>) -> String {
    format!("<{}@queuemail.invalid>", digest_of(claim))
}

/// Names a report for good, also where those of several state folders go to one place.
fn digest_of(claim: &Claim<'_>) -> String {
    let key = format!(
        "{} {} {}",
        claim.entry.file, claim.entry.attempts, claim.entry.message_id
    );
    hex(&sha256(key.as_bytes())[..12])
}

/// The report: for people, for programs, and the header of the message (RFC 3462, 3464).
fn render(claim: &Claim<'_>, to: &Destination, now: i64) -> Result<Vec<u8>> {
    let entry = &claim.entry;
    // What became of the octets since does not stop the report.
    let bodies = claim.store.outbox_bodies();
    let original = bodies.octets(&entry.file, entry.size).unwrap_or_default();
    let header = &original[..header::header_end(&original)];
    let date = |seconds: i64| -> Result<String> {
        let time = Timestamp::from_second(seconds)?.to_zoned_datetime(TimeZone::UTC);
        Ok(jiff::fmt::rfc2822::to_string(&time)?)
    };
    let id = report_id(claim);
    let boundary = format!("={}", id.trim_matches(['<', '>']).replace('@', "_"));
    let ascii = header.is_ascii() && entry.refused.iter().all(|r| r.address.is_ascii());
    let encoding = if ascii { "7bit" } else { "8bit" };
    let mut text = format!(
        "From: Mail Delivery System <{0}>\r\nTo: <{0}>\r\nDate: {1}\r\nMessage-ID: {id}\r\n\
         Subject: Undelivered mail returned to sender\r\nAuto-Submitted: auto-replied\r\n\
         References: {2}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n\
         This message was accepted for sending on {3}\r\nand could not be delivered to:\r\n\r\n",
        to.address,
        date(now)?,
        one_line(&entry.message_id),
        date(entry.kept_at)?,
    );
    text.extend(entry.refused.iter().map(for_people));
    text += &format!(
        "\r\nqueuemail does not try again.\r\n\r\n--{boundary}\r\n\
         Content-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n",
        machine(),
        date(entry.kept_at)?
    );
    text.extend(entry.refused.iter().map(for_programs));
    text += &format!(
        "\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    let mut octets = text.into_bytes();
    octets.extend_from_slice(header);
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(octets)
}

/// What became of a recipient, in words.
fn for_people(one: &RefusedRecipient) -> String {
    let why = match one.for_good {
        true => "refused",
        false => "five days without success",
    };
    let said = fold(&one.server_said, 4);
    format!("{} ({why})\r\n    {said}\r\n", one.address)
}

/// The same as fields (RFC 3464 §2.3).
fn for_programs(one: &RefusedRecipient) -> String {
    let mut fields = format!(
        "\r\nFinal-Recipient: {}\r\nAction: failed\r\nStatus: {}\r\n",
        recipient(&one.address),
        status(one),
    );
    if one.server_said.starts_with(|c: char| c.is_ascii_digit()) {
        let said = fold(&one.server_said, 1);
        fields += &format!("Diagnostic-Code: smtp; {said}\r\n");
    }
    fields
}

/// RFC 3464 §2.3.2, and RFC 6533 for addresses that are not ASCII.
fn recipient(address: &str) -> String {
    let kind = if address.is_ascii() {
        "rfc822"
    } else {
        "utf-8"
    };
    format!("{kind}; {}", one_line(address))
}

/// The enhanced status (RFC 3463) that the server gave, else what follows from the fate.
fn status(one: &RefusedRecipient) -> String {
    match one.code.and_then(|code| code.status) {
        Some((class @ (4 | 5), subject, detail)) => format!("{class}.{subject}.{detail}"),
        // RFC 3463 §3.5: 4.4.7, the time to deliver it has run out.
        _ if !one.for_good => "4.4.7".to_owned(),
        _ => "5.0.0".to_owned(),
    }
}

/// A server's words as lines of a header field or text: no control characters, lines of 78.
fn fold(words: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in one_line(words).split(' ').filter(|w| !w.is_empty()) {
        if width > 0 && width + word.len() > 70 {
            text.push_str("\r\n");
            text.push_str(&" ".repeat(indent));
            width = 0;
        } else if width > 0 {
            text.push(' ');
        }
        // RFC 5322 §2.1.1: no line is longer than 998 octets.
        let end = word
            .char_indices()
            .nth(400)
            .map_or(word.len(), |(at, _)| at);
        text.push_str(&word[..end]);
        width += word.len() + 1;
    }
    text
}

fn one_line(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn machine() -> String {
    let name = rustix::system::uname();
    let name: String = name
        .nodename()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Code;
    use proptest::prelude::*;

    #[test]
    fn the_status_is_the_servers_or_follows_from_the_fate() {
        let of = |said: &str, for_good| {
            status(&RefusedRecipient {
                address: "a@x.example".into(),
                for_good,
                server_said: said.into(),
                code: Code::read(said),
            })
        };
        assert_eq!(
            of("550 5.1.10 RESOLVER.ADR.RecipientNotFound", true),
            "5.1.10"
        );
        assert_eq!(of("550 no 1.2.3.4 5.1", true), "5.0.0");
        assert_eq!(of("cannot connect", false), "4.4.7");
    }

    proptest! {
        #[test]
        fn no_words_of_a_server_break_out_of_their_field(words in "[\\PC\r\n\t\0]{0,300}|x{0,3000}") {
            for line in fold(&words, 1).split("\r\n").skip(1) {
                prop_assert!(line.starts_with(' '));
            }
            for line in fold(&words, 1).split("\r\n") {
                prop_assert!(line.len() <= 1700 && !line.contains(['\r', '\n', '\0']));
            }
        }
    }
}
