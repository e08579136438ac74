//! The history: what was delivered and what was sent, for the questions of people.
//!
//! Nothing else reads it. A row is written in the transaction that puts on record that a message is
//! delivered, or off the outbox, so that neither is there without the other.
//!
//! Each question reads one end of an index, newest first, and no more than [`LOOKED_AT`] rows. What
//! comes in no order (Message-IDs, senders) is indexed within each week, so that many new rows
//! change a small part of a large index.

use super::Store;
use super::db::{Error, Reader, Row, Sql, Tx, Value, values};
use crate::model::Recording;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// So many rows at most are read to answer one question.
pub const LOOKED_AT: u32 = 20_000;

/// The most characters of a subject that are kept …
const SUBJECT: usize = 200;
/// … of an id or a place, and of From or what a server said.
const ID: usize = 998;
const WORDS: usize = 500;

/// Seconds of a week.
pub(super) const WEEK: i64 = 7 * 86_400;

/// So many rows are forgotten at once, that no other process waits long; a run takes [`ROUNDS`] such
/// steps at most.
const AT_ONCE: u64 = 2000;
const ROUNDS: usize = 10;
/// As many go with each message that is sent.
const FEW: u64 = 20;

/// What is on record of a message that was staged: what its header says, and its digest.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct About {
    pub message_id: Option<String>,
    /// From, decoded.
    pub from: Option<String>,
    /// Its address alone, in lower case.
    pub sender: Option<String>,
    pub subject: Option<String>,
    /// In hexadecimal.
    pub sha256: Option<String>,
}

impl About {
    /// The same within the limits of the history, without a subject where none is to be kept.
    pub fn within(self, recording: Recording) -> About {
        About {
            message_id: self.message_id.map(|id| cut(id, ID)),
            from: self.from.map(|from| cut(from, WORDS)),
            sender: self.sender.map(|sender| cut(sender, WORDS)),
            subject: self
                .subject
                .filter(|_| recording.subject)
                .map(|subject| cut(subject, SUBJECT)),
            sha256: self.sha256,
        }
    }
}

/// The start of a text. PostgreSQL takes no NUL, and nobody needs another control character.
fn cut(text: String, most: usize) -> String {
    // As almost all texts are.
    if text.len() <= most && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text;
    }
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(most).map(plain).collect()
}

/// The mailbox that messages were delivered from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub queue: &'a str,
    /// In lower case.
    pub address: &'a str,
    pub folder: &'a str,
    pub recording: Recording,
}

/// A message that was delivered.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    pub about: &'a About,
    pub size: u64,
    pub place: &'a str,
    pub delivery_id: &'a str,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Recipient {
    pub address: String,
    /// `accepted`, `refused`, `waiting` (in the outbox) or `unknown`.
    pub outcome: String,
}

/// A message that was sent, or not.
#[derive(Clone, Debug)]
pub struct Sent {
    pub queue: String,
    /// Of the mailbox, in lower case.
    pub address: String,
    /// The outgoing server.
    pub server: String,
    /// Its `sender` is the envelope's.
    pub about: About,
    pub size: u64,
    pub recipients: Vec<Recipient>,
    /// `accepted`, `refused` or `unknown`.
    pub outcome: &'static str,
    /// The Message-ID that the server used, where it says so.
    pub server_id: Option<String>,
    pub server_said: Option<String>,
    pub recording: Recording,
}

/// A row of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    id: i64,
    pub is_sent: bool,
    /// Unix seconds.
    pub at: i64,
    pub queue: String,
    pub address: String,
    pub folder: String,
    pub about: About,
    pub size: u64,
    pub place: String,
    pub delivery_id: Option<String>,
    pub recipients: Vec<Recipient>,
    pub outcome: Option<String>,
    pub server_id: Option<String>,
    pub server_said: Option<String>,
}

/// A question to the history.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub what: What<'a>,
    pub queue: Option<&'a str>,
    /// Unix seconds, the second one excluded.
    pub since: i64,
    pub until: i64,
    pub received: bool,
    pub sent: bool,
    /// So many rows, the newest.
    pub most: usize,
}

impl Question<'_> {
    /// Whether what was sent is asked for, and what was received: `true` and `false`.
    fn kinds(&self) -> impl Iterator<Item = bool> + use<> {
        let kinds = [(true, self.sent), (false, self.received)];
        kinds
            .into_iter()
            .filter(|(_, is_wanted)| *is_wanted)
            .map(|(is_sent, _)| is_sent)
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    All,
    /// A Message-ID, or an address: of a mailbox, a sender or a recipient.
    Exactly(&'a str),
    /// Somewhere in From or the subject, whatever its case.
    Text(&'a str),
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The newest first.
    pub found: Vec<Past>,
    /// There are more than were asked for.
    pub has_more: bool,
    /// Not all was looked at that might match: the newest [`LOOKED_AT`] were.
    pub is_partial: bool,
}

/// A statement that [`past`] reads the rows of; its last value is the most of them.
macro_rules! newest {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT h.author, h.subject, h.queue, h.id, h.sent, h.at, h.address, h.folder,
                    h.message_id, h.sender, h.size, h.sha256, h.place, h.delivery_id,
                    h.recipients, h.outcome, h.server_id, h.server_said
             FROM ",
            $rest
        ))
    };
}

fn past(row: &Row<'_>) -> Result<Past, Error> {
    let recipients: Option<String> = row.get(14)?;
    Ok(Past {
        id: row.get(3)?,
        is_sent: row.get(4)?,
        at: row.get(5)?,
        queue: row.get(2)?,
        address: row.get(6)?,
        folder: row.get(7)?,
        about: About {
            message_id: row.get(8)?,
            from: row.get(0)?,
            sender: row.get(9)?,
            subject: row.get(1)?,
            sha256: row.get(11)?,
        },
        size: row.get::<i64>(10)?.unsigned_abs(),
        place: row.get(12)?,
        delivery_id: row.get(13)?,
        recipients: match recipients {
            Some(_) => row.json(14)?,
            None => Vec::new(),
        },
        outcome: row.get(15)?,
        server_id: row.get(16)?,
        server_said: row.get(17)?,
    })
}

/// What is read, and what is left of what may be.
struct Reading<'a> {
    question: &'a Question<'a>,
    /// In lower case; empty where nothing is looked for in the words of a row.
    text: String,
    budget: u32,
    answer: Answer,
    seen: HashSet<i64>,
}

impl Reading<'_> {
    /// Reads the newest rows of a statement; gives the number of those that match the question. Where
    /// not all of them do, no more than the budget is read.
    fn read(
        &mut self,
        reader: &Reader<'_>,
        sql: &Sql,
        values: &[Value<'_>],
        all_match: bool,
    ) -> Result<u32, Error> {
        let most = self.question.most;
        // One more tells that there are more.
        let enough = u32::try_from(most + 1).unwrap_or(u32::MAX);
        let bound = match all_match {
            true => enough,
            false => self.budget,
        };
        let mut values = values.to_vec();
        values.push(bound.into());
        let (mut looked_at, mut found) = (0, 0);
        reader.rows::<(), ()>(sql, &values, |row| {
            looked_at += 1;
            if found == enough || !(all_match || self.matches(row)?) {
                return Ok(());
            }
            found += 1;
            let past = past(row)?;
            if self.seen.insert(past.id) {
                self.answer.found.push(past);
            }
            Ok(())
        })?;
        if !all_match {
            self.budget -= looked_at;
            if looked_at == bound && found < enough {
                self.answer.is_partial = true;
            }
        }
        Ok(found)
    }

    fn matches(&self, row: &Row<'_>) -> Result<bool, Error> {
        let Question {
            queue,
            since,
            until,
            received,
            sent,
            ..
        } = *self.question;
        let is_wanted = match row.get(4)? {
            true => sent,
            false => received,
        };
        if !is_wanted || !(since..until).contains(&row.get(5)?) {
            return Ok(false);
        }
        if let Some(queue) = queue
            && row.get::<String>(2)? != queue
        {
            return Ok(false);
        }
        if self.text.is_empty() {
            return Ok(true);
        }
        for column in [0, 1] {
            let words: Option<String> = row.get(column)?;
            if words.is_some_and(|words| words.to_lowercase().contains(&self.text)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads what came or went at its time.
    fn in_time(&mut self, reader: &Reader<'_>) -> Result<(), Error> {
        const ALL: Sql = newest!(
            "history h WHERE h.at >= ?1 AND h.at < ?2 ORDER BY h.at DESC, h.id DESC LIMIT ?3"
        );
        const SENT: Sql = newest!(
            "history h WHERE h.sent = 1 AND h.at >= ?1 AND h.at < ?2
             ORDER BY h.at DESC, h.id DESC LIMIT ?3"
        );
        const OF_QUEUE: Sql = newest!(
            "history h WHERE h.queue = ?1 AND h.sent = ?2 AND h.at >= ?3 AND h.at < ?4
             ORDER BY h.at DESC, h.id DESC LIMIT ?5"
        );
        let Question {
            queue,
            since,
            until,
            received,
            sent,
            ..
        } = *self.question;
        let no_text = self.text.is_empty();
        if let Some(queue) = queue {
            for is_sent in self.question.kinds() {
                let values = values![queue, is_sent, since, until];
                self.read(reader, &OF_QUEUE, &values, no_text)?;
            }
            return Ok(());
        }
        match received {
            true => self.read(reader, &ALL, &values![since, until], no_text && sent),
            false => self.read(reader, &SENT, &values![since, until], no_text),
        }
        .map(drop)
    }

    /// Reads what a word names: a Message-ID or an address.
    fn exactly(&mut self, reader: &Reader<'_>, word: &str) -> Result<(), Error> {
        const OF_SERVER_ID: Sql =
            newest!("history h WHERE h.server_id = ?1 ORDER BY h.at DESC, h.id DESC LIMIT ?2");
        const OF_MAILBOX: Sql = newest!(
            "history h WHERE h.address = ?1 AND h.sent = ?2 AND h.at >= ?3 AND h.at < ?4
             ORDER BY h.at DESC, h.id DESC LIMIT ?5"
        );
        const OF_RECIPIENT: Sql = newest!(
            "history_recipient r JOIN history h ON h.id = r.history
             WHERE r.address = ?1 AND r.at >= ?2 AND r.at < ?3 ORDER BY r.at DESC LIMIT ?4"
        );
        let Question {
            queue,
            since,
            until,
            ..
        } = *self.question;
        let bare = word.trim_start_matches('<').trim_end_matches('>');
        let id = format!("<{bare}>");
        let address = bare.to_lowercase();
        self.read(reader, &OF_SERVER_ID, &values![&id], false)?;
        let values = values![&address, since, until];
        self.read(reader, &OF_RECIPIENT, &values, false)?;
        for is_sent in self.question.kinds() {
            let values = values![&address, is_sent, since, until];
            self.read(reader, &OF_MAILBOX, &values, queue.is_none())?;
        }
        self.in_weeks(reader, &id, &address)
    }

    /// Reads what is indexed by the week, the newest first.
    fn in_weeks(&mut self, reader: &Reader<'_>, id: &str, address: &str) -> Result<(), Error> {
        const LAST: Sql =
            Sql::both("SELECT at FROM history WHERE at >= ?1 AND at < ?2 ORDER BY at DESC LIMIT 1");
        const OF_MESSAGE: Sql = newest!(
            "history h WHERE h.week = ?1 AND h.message_id = ?2
             ORDER BY h.at DESC, h.id DESC LIMIT ?3"
        );
        const OF_SENDER: Sql = newest!(
            "history h WHERE h.week = ?1 AND h.sender = ?2
             ORDER BY h.at DESC, h.id DESC LIMIT ?3"
        );
        let Question {
            since,
            mut until,
            most,
            ..
        } = *self.question;
        let mut found = 0;
        loop {
            let last: Option<i64> = reader.row(&LAST, &values![since, until], |row| row.get(0))?;
            let Some(last) = last else {
                return Ok(());
            };
            if found > most || self.answer.is_partial {
                return Ok(());
            }
            let week = last.div_euclid(WEEK);
            for (sql, name) in [(&OF_MESSAGE, id), (&OF_SENDER, address)] {
                found += self.read(reader, sql, &values![week, name], false)? as usize;
            }
            until = week.saturating_mul(WEEK);
        }
    }
}

impl Store {
    /// Answers a question.
    pub fn history(&self, question: &Question<'_>) -> Result<Answer> {
        let text = match question.what {
            What::Text(text) => text.to_lowercase(),
            What::All | What::Exactly(_) => String::new(),
        };
        let mut answer = self.read(|reader| {
            let mut reading = Reading {
                question,
                text: text.clone(),
                budget: LOOKED_AT,
                answer: Answer::default(),
                seen: HashSet::new(),
            };
            match question.what {
                What::Exactly(word) => reading.exactly(reader, word)?,
                What::All | What::Text(_) => reading.in_time(reader)?,
            }
            Ok(reading.answer)
        })?;
        answer
            .found
            .sort_by_key(|past| std::cmp::Reverse((past.at, past.id)));
        answer.has_more = answer.found.len() > question.most;
        answer.found.truncate(question.most);
        Ok(answer)
    }

    /// Puts on record what was sent, in passing: it is sent, whatever becomes of this.
    pub fn record_sent(&self, sent: &Sent, now: i64) -> Result<()> {
        self.transaction_in_passing(|tx| write_sent(tx, sent, now))
    }

    /// Forgets what is older than is kept: a bounded number of rows.
    pub(super) fn forget_history(&self, recording: Recording, now: i64) -> Result<()> {
        let before = recording.start(now);
        for _ in 0..ROUNDS {
            let forgotten = self.transaction_in_passing(|tx| forget(tx, before, AT_ONCE))?;
            if forgotten < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}

/// Whether there is a row that [`Store::forget_history`] forgets.
pub(super) const ANY_OLD: Sql = Sql::both("SELECT 1 FROM history WHERE at < ?1 LIMIT 1");

fn forget(tx: &mut Tx<'_>, before: i64, most: u64) -> Result<u64, Error> {
    const FORGET: Sql = Sql::both(
        "DELETE FROM history
         WHERE id IN (SELECT id FROM history WHERE at < ?1 ORDER BY at LIMIT ?2)",
    );
    tx.run(&FORGET, &values![before, most])
}

/// What is on record of a message that is not delivered; nothing of one of an earlier version.
pub(super) fn about(row: &Row<'_>, column: usize) -> Result<About, Error> {
    match row.get::<Option<String>>(column)? {
        Some(_) => row.json(column),
        None => Ok(About::default()),
    }
}

/// Writes the row of a message that was sent, or not, unless it was written before; a few that are old go in its place.
pub(super) fn write_sent(tx: &mut Tx<'_>, sent: &Sent, now: i64) -> Result<(), Error> {
    const SENT: Sql = Sql::both(
        "INSERT INTO history (sent, at, week, author, sender, subject, queue, address, folder,
                              message_id, size, sha256, place, recipients, outcome, server_id,
                              server_said)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, '', ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         RETURNING id",
    );
    const THERE: Sql = Sql::both(
        "SELECT 1 FROM history WHERE week = ?1 AND message_id = ?2 AND at = ?3 AND sent = 1",
    );
    const RECIPIENT: Sql = Sql::two(
        "INSERT INTO history_recipient (address, at, history) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
        "INSERT INTO history_recipient (address, at, history)
         SELECT * FROM unnest(?1::text[], ?2::bigint[], ?3::bigint[]) ON CONFLICT DO NOTHING",
    );
    let recording = sent.recording;
    if !recording.is_on() {
        return Ok(());
    }
    let about = sent.about.clone().within(recording);
    let recipients = serde_json::to_string(&sent.recipients).unwrap_or_else(|_| "[]".to_owned());
    let server_id = sent.server_id.clone().map(|id| cut(id, ID));
    let server_said = sent.server_said.clone().map(|said| cut(said, WORDS));
    let row = values![
        now,
        now.div_euclid(WEEK),
        about.from.as_ref(),
        about.sender.as_ref(),
        about.subject.as_ref(),
        &sent.queue,
        &sent.address,
        about.message_id.as_ref(),
        sent.size,
        about.sha256.as_ref(),
        &sent.server,
        &recipients,
        sent.outcome,
        server_id.as_ref(),
        server_said.as_ref(),
    ];
    let key = values![now.div_euclid(WEEK), about.message_id.as_ref(), now];
    if tx.is_repeat() && tx.exists(&THERE, &key)? {
        return Ok(());
    }
    let id: i64 = tx.only_row(&SENT, &row, |row| row.get(0))?;
    let addresses: Vec<String> = sent
        .recipients
        .iter()
        .map(|recipient| recipient.address.to_lowercase())
        .collect();
    let rows = addresses.iter().map(|address| values![address, now, id]);
    tx.many_later(&RECIPIENT, rows)?;
    forget(tx, recording.start(now), FEW).map(drop)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;

#[cfg(test)]
pub(super) use tests::receive_one;
