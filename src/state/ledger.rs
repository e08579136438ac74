//! The ledger: what became of every message of every folder.
//!
//! A message that is in the ledger is accounted for. A folder's *mark* says up to where
//! everything is accounted for, so that a listing starts behind it; messages behind the mark
//! whose row says `failed` are tried again.

use super::db::{Error, Reader, Row, Sql, Tx, Value, values};
use super::history::{self, About};
use super::{Lock, Store};
use crate::digest::sha256;
use crate::mail::RemoteId;
use crate::model::AfterFetch;
use anyhow::{Context, Result};
use std::collections::{HashMap, HashSet};

/// Row of a folder in the database.
pub type FolderId = i64;

/// Ids are good within one epoch of a folder: its UIDVALIDITY (RFC 3501 §2.3.1.1) in the lower 32
/// bits, and above it how often the UIDs were found to have gone back.
pub type Epoch = i64;

/// One more of these, and the UIDs have gone back once more.
const WENT_BACK: Epoch = 1 << 32;

/// The UIDVALIDITY of an epoch; 0 for Graph.
pub fn uidvalidity(epoch: Epoch) -> u32 {
    u32::try_from(epoch % WENT_BACK).unwrap_or_default()
}

/// What the ledger knows of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRecord {
    pub id: FolderId,
    pub epoch: Epoch,
    pub mark: Option<String>,
    /// Mail was dealt with in another epoch and may be here under new ids, …
    pub renumbered: bool,
    /// … and some of it was skipped.
    pub skipped_before: bool,
    /// What was there before fetching began, while not all of it is on record as skipped; only the
    /// engine reads it.
    pub start: Option<String>,
    /// It was not on record before it was opened.
    pub is_new: bool,
}

/// What became of a message that is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Delivered,
    Quarantined,
    /// Dropped from quarantine by a person.
    Dropped,
    /// There before fetching began.
    Skipped,
    /// To be tried again, or interrupted.
    Pending,
}

fn standing(row: &Row<'_>, column: usize) -> Result<Standing, Error> {
    let state: String = row.get(column)?;
    Ok(match state.as_str() {
        "delivered" => Standing::Delivered,
        "quarantined" => Standing::Quarantined,
        "dropped" => Standing::Dropped,
        "skipped" => Standing::Skipped,
        _ => Standing::Pending,
    })
}

/// A message that is about to be delivered.
#[derive(Clone, Debug)]
pub struct StagedRecord {
    pub remote: RemoteId,
    /// How to finish the delivery; only the delivery reads it.
    pub intent: String,
    pub fingerprint: [u8; 16],
    pub size: u64,
    /// What it is about, for whoever finishes it or finds it in quarantine.
    pub about: About,
}

/// A message that is skipped.
#[derive(Clone, Debug)]
pub struct SkippedRecord {
    pub remote: RemoteId,
    /// Of what is known of it without its being retrieved.
    pub fingerprint: [u8; 16],
    /// When the server received it (Unix seconds), if it says so.
    pub received: Option<i64>,
}

/// A message that is delivered, and of which the server is still to be told.
#[derive(Clone, Debug)]
pub struct Unsettled {
    pub remote: RemoteId,
    pub action: AfterFetch,
    /// What it is recognised by; a row that has none is taken for no message.
    pub fingerprint: Option<[u8; 16]>,
}

/// A delivery that a crash may have interrupted.
#[derive(Clone, Debug)]
pub struct Interrupted {
    pub folder: FolderId,
    pub folder_name: String,
    pub epoch: Epoch,
    pub remote: RemoteId,
    pub size: u64,
    pub about: About,
    pub intent: String,
    /// Unix seconds when that went on record.
    pub since: i64,
}

/// A folder as it is on record.
struct Known {
    record: FolderRecord,
    /// It is of this epoch, and nothing of another one is looked for.
    settled: bool,
}

impl FolderRecord {
    /// The record as it is once the UIDs are known to have gone back.
    pub fn with_uids_gone_back(&self) -> FolderRecord {
        FolderRecord {
            id: self.id,
            epoch: self.epoch + WENT_BACK,
            mark: None,
            renumbered: true,
            skipped_before: false,
            start: self.start.clone(),
            is_new: false,
        }
    }
}

/// The record of a folder that has this UIDVALIDITY now.
fn folder(
    reader: &Reader<'_>,
    address: &str,
    name: &str,
    uidvalidity: u32,
) -> Result<Option<Known>, Error> {
    const FOLDER: Sql = Sql::both(
        "SELECT id, this, CASE WHEN epoch = this THEN mark END, epoch = this AND former = 0,
                CASE WHEN epoch = this AND former = 0 THEN false
                     ELSE EXISTS (SELECT 1 FROM message m
                                  WHERE m.folder = f.id AND m.present <> 0
                                    AND (m.epoch < this OR m.epoch > this)) END,
                CASE WHEN epoch = this AND former = 0 THEN false
                     ELSE EXISTS (SELECT 1 FROM message m
                                  WHERE m.folder = f.id AND m.present <> 0 AND m.state = 'skipped'
                                    AND (m.epoch < this OR m.epoch > this)) END,
                start
         FROM (SELECT id, epoch, mark, former, start, epoch - epoch % ?4 + ?3 AS this
               FROM folder WHERE address = ?1 AND name = ?2) f",
    );
    let values = values![address, name, uidvalidity, WENT_BACK];
    reader.row(&FOLDER, &values, |row| {
        Ok(Known {
            record: FolderRecord {
                id: row.get(0)?,
                epoch: row.get(1)?,
                mark: mark(row, 2, uidvalidity)?,
                renumbered: row.get(4)?,
                skipped_before: row.get(5)?,
                start: row.get(6)?,
                is_new: false,
            },
            settled: row.get(3)?,
        })
    })
}

/// The mark of a folder. Of one with UIDs (its UIDVALIDITY is not 0) it is a UID: anything else is a
/// sign of damage, and nothing is built on it. That of Graph is for the server to judge.
fn mark(row: &Row<'_>, column: usize, uidvalidity: u32) -> Result<Option<String>, Error> {
    let mark: Option<String> = row.get(column)?;
    match &mark {
        Some(mark) if uidvalidity != 0 && RemoteId::of_mark(mark).is_none() => {
            Err(row.spoilt(column, format!("the mark `{mark}` is not a UID")))
        }
        _ => Ok(mark),
    }
}

impl Store {
    /// The record of a folder that was opened with this UIDVALIDITY. A new one begins an epoch and
    /// drops the mark: everything is listed again, and what was delivered in the former one is
    /// recognised. A folder that is new goes on record with its `start`.
    pub fn open_folder(
        &self,
        lock: &Lock,
        address: &str,
        name: &str,
        uidvalidity: u32,
        start: Option<&str>,
    ) -> Result<FolderRecord> {
        let of_card = self.of_card(address, |card| card.take_record(name, uidvalidity));
        if let Some(record) = of_card {
            return Ok(record);
        }
        let known = self.read(|reader| folder(reader, address, name, uidvalidity))?;
        let is_new = known.is_none();
        if let Some(Known {
            record,
            settled: true,
        }) = known
        {
            return Ok(record);
        }
        self.drop_card(address);
        let record = self.intend(lock, |tx| begin(tx, address, name, uidvalidity, start))?;
        record
            .map(|record| FolderRecord { is_new, ..record })
            .context("the folder that was just recorded is missing")
    }

    /// Begins another epoch under the same UIDVALIDITY, for UIDs may mean other messages now. What
    /// was delivered is recognised; what had left the folder may have been put back, under the UID
    /// that it had: its `present` is 2 until [`Store::close_former_epochs`].
    pub fn uids_went_back(&self, lock: &Lock, record: &FolderRecord) -> Result<FolderRecord> {
        const MAY_BE_BACK: Sql = Sql::both(
            "UPDATE message SET present = 2
             WHERE folder = ?1 AND epoch % ?3 = ?2 % ?3 AND present = 0",
        );
        const BEGIN: Sql =
            Sql::both("UPDATE folder SET epoch = ?2, mark = NULL, former = 1 WHERE id = ?1");
        const SKIPPED: Sql = Sql::both(
            "SELECT 1 FROM message
             WHERE folder = ?1 AND epoch <> ?2 AND state = 'skipped' AND present <> 0 LIMIT 1",
        );
        self.of_folder_card(record.id, |card| card.highest.take().map(drop));
        let mut began = record.with_uids_gone_back();
        began.skipped_before = self.intend(lock, |tx| {
            tx.later(&MAY_BE_BACK, &values![record.id, record.epoch, WENT_BACK])?;
            tx.later(&BEGIN, &values![record.id, began.epoch])?;
            tx.index_fingerprints()?;
            tx.exists(&SKIPPED, &values![record.id, began.epoch])
        })?;
        Ok(began)
    }

    /// Whether a message is on record as one that the program deleted or moved away.
    pub fn has_left(&self, record: &FolderRecord, id: &RemoteId) -> Result<bool> {
        const LEFT: Sql = Sql::both(
            "SELECT 1 FROM message
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND present = 0",
        );
        let is_mark = record.mark.as_deref().and_then(RemoteId::of_mark).as_ref() == Some(id);
        let of_card = self.of_folder_card(record.id, |card| match card.epoch == record.epoch {
            true if is_mark && card.mark == record.mark => card.has_left.take(),
            _ => None,
        });
        if let Some(has_left) = of_card {
            return Ok(has_left);
        }
        self.read(|reader| reader.exists(&LEFT, &values![record.id, record.epoch, id]))
    }

    /// The highest id on record in the folder's epoch, where ids ascend.
    pub fn highest(&self, record: &FolderRecord) -> Result<Option<RemoteId>> {
        const HIGHEST: Sql = Sql::both(
            "SELECT remote FROM message WHERE folder = ?1 AND epoch = ?2
             ORDER BY remote DESC LIMIT 1",
        );
        let mark = record.mark.as_deref().and_then(RemoteId::of_mark);
        let of_card = self.of_folder_card(record.id, |card| match card.epoch == record.epoch {
            true => card.highest.take(),
            false => None,
        });
        if let Some(remote) = of_card {
            return Ok(mark.max(remote));
        }
        let remote = self.read(|reader| {
            reader.row(&HIGHEST, &values![record.id, record.epoch], |row| {
                row.get(0)
            })
        })?;
        Ok(mark.max(remote))
    }

    /// The record of a folder, without changing anything.
    pub fn folder_record(
        &self,
        address: &str,
        name: &str,
        uidvalidity: u32,
    ) -> Result<Option<FolderRecord>> {
        let of_card = self.of_card(address, |card| card.record(name, uidvalidity));
        if of_card.is_some() {
            return Ok(of_card);
        }
        let known = self.read(|reader| folder(reader, address, name, uidvalidity))?;
        Ok(known.map(|known| known.record))
    }

    /// The names of a mailbox's folders on record, the oldest first.
    pub fn folder_names(&self, address: &str) -> Result<Vec<String>> {
        const NAMES: Sql = Sql::both("SELECT name FROM folder WHERE address = ?1 ORDER BY id");
        if let Some(names) = self.of_card(address, |card| card.names.clone()) {
            return Ok(names);
        }
        self.read(|reader| reader.rows(&NAMES, &values![address], |row| row.get(0)))
    }

    /// What became of those on a page of a listing that are accounted for, in this epoch. One that
    /// was forgotten had been delivered.
    pub fn accounted(
        &self,
        folder: FolderId,
        epoch: Epoch,
        listed: &[RemoteId],
    ) -> Result<HashMap<RemoteId, Standing>> {
        const BETWEEN: Sql = Sql::both(
            "SELECT remote, state FROM message
             WHERE folder = ?1 AND epoch = ?2 AND remote BETWEEN ?3 AND ?4",
        );
        const REMEMBERED: Sql = Sql::two(
            "SELECT state FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            "SELECT m.state, r.number
             FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[]) WITH ORDINALITY
                  AS r (folder, epoch, remote, number)
             JOIN message m ON m.folder = r.folder AND m.epoch = r.epoch AND m.remote = r.remote",
        );
        const FORGOTTEN: Sql = Sql::two(
            "SELECT 1 FROM forgotten_id WHERE folder = ?1 AND digest = ?2",
            "SELECT r.number
             FROM unnest(?1::bigint[], ?2::bigint[]) WITH ORDINALITY AS r (folder, digest, number)
             JOIN forgotten_id f ON f.folder = r.folder AND f.digest = r.digest",
        );
        let bounds = (listed.iter().min(), listed.iter().max());
        if let (Some(first), Some(last)) = bounds
            && first.ascends()
        {
            let between = values![folder, epoch, first, last];
            let mut known: HashMap<RemoteId, Standing> = self.read(|reader| {
                reader.rows(&BETWEEN, &between, |row| {
                    Ok((row.get(0)?, standing(row, 1)?))
                })
            })?;
            let listed: HashSet<&RemoteId> = listed.iter().collect();
            known.retain(|id, _| listed.contains(id));
            return Ok(known);
        }
        self.read(|reader| {
            let rows = listed.iter().map(|id| values![folder, epoch, id]);
            let remembered = reader.row_of_each(&REMEMBERED, rows, |row| standing(row, 0))?;
            let (known, rest): (Vec<_>, Vec<_>) = listed
                .iter()
                .zip(remembered)
                .partition(|(_, standing)| standing.is_some());
            let rows = rest.iter().map(|(id, _)| values![folder, id_digest(id)]);
            // Moved away, forgotten, and put back by a person.
            let forgotten = reader.row_of_each(&FORGOTTEN, rows, |_| Ok(Standing::Delivered))?;
            let rest = rest.into_iter().map(|(id, _)| id).zip(forgotten);
            let known = known.into_iter().chain(rest);
            Ok(known
                .filter_map(|(id, standing)| Some((id.clone(), standing?)))
                .collect())
        })
    }

    /// Hands over the failed messages whose time has come; also those whose time is further off
    /// than it is ever set, because the clock was set back since. `each` must not ask the store.
    pub fn due(
        &self,
        folder: FolderId,
        epoch: Epoch,
        now: i64,
        each: &mut dyn FnMut(RemoteId) -> Result<()>,
    ) -> Result<()> {
        const DUE: Sql = Sql::both(
            "SELECT remote FROM message
             WHERE folder = ?1 AND epoch = ?2 AND state = 'failed'
               AND (next_attempt <= ?3 OR next_attempt > ?4)
             ORDER BY id",
        );
        if self
            .of_folder_card(folder, |card| card.nothing_due.take())
            .is_some()
        {
            return Ok(());
        }
        let times = values![folder, epoch, now, now + LONGEST_BACKOFF];
        self.each_id(&DUE, &times, each)
    }

    /// Hands over the id in each row.
    fn each_id(
        &self,
        sql: &Sql<'_>,
        values: &[Value<'_>],
        each: &mut dyn FnMut(RemoteId) -> Result<()>,
    ) -> Result<()> {
        let mut done = Ok(());
        self.read(|reader| {
            reader.rows::<(), ()>(sql, values, |row| {
                if done.is_ok() {
                    done = each(row.get(0)?);
                }
                Ok(())
            })
        })?;
        done
    }

    /// Moves the mark: everything up to it is accounted for.
    pub fn set_mark(&self, lock: &Lock, folder: FolderId, mark: &str) -> Result<()> {
        const MARK: Sql = Sql::both("UPDATE folder SET mark = ?2 WHERE id = ?1");
        self.intend(lock, |tx| tx.later(&MARK, &values![folder, mark]))
    }

    /// Puts on record what is there before fetching begins (again), until all of it is skipped.
    pub fn set_start(&self, lock: &Lock, folder: FolderId, start: &str) -> Result<()> {
        const START: Sql = Sql::both("UPDATE folder SET start = ?2 WHERE id = ?1");
        self.intend(lock, |tx| tx.later(&START, &values![folder, start]))
    }

    /// All that was there before fetching began is on record as skipped; with a mark, up to which
    /// everything is accounted for.
    pub fn started(&self, lock: &Lock, folder: FolderId, mark: Option<&str>) -> Result<()> {
        const STARTED: Sql =
            Sql::both("UPDATE folder SET start = NULL, mark = coalesce(?2, mark) WHERE id = ?1");
        self.intend(lock, |tx| tx.later(&STARTED, &values![folder, mark]))
    }

    /// Puts on record that these are skipped, unless they are dealt with; gives their number. This
    /// is not waited for: what follows it, as [`Store::started`], is durable after it.
    pub fn skip(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        messages: &[SkippedRecord],
        now: i64,
    ) -> Result<u64> {
        if messages.is_empty() {
            return Ok(0);
        }
        self.intend_in_passing(lock, |tx| skip(tx, folder, epoch, messages, now))
    }

    /// Puts what was skipped among the messages to be tried, at once: the first `most`, and those
    /// alone that were received at `since` (Unix seconds) or later, or of which that is not known.
    /// Gives their number.
    pub fn include_skipped(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        since: Option<i64>,
        most: Option<u64>,
    ) -> Result<u64> {
        const INCLUDE: Sql = Sql::both(
            "UPDATE message SET state = 'failed', next_attempt = 0, reason = 'skipped before'
             WHERE id IN (SELECT id FROM message
                          WHERE folder = ?1 AND epoch = ?2 AND state = 'skipped'
                            AND (received IS NULL OR received >= ?3)
                          ORDER BY coalesce(received, 0), id LIMIT ?4)",
        );
        let most = most.map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let row = values![folder, epoch, since.unwrap_or(i64::MIN), most];
        self.intend(lock, |tx| tx.run(&INCLUDE, &row))
    }

    /// The same of these alone.
    pub fn include(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        ids: &[RemoteId],
    ) -> Result<u64> {
        const INCLUDE: Sql = Sql::two(
            "UPDATE message SET state = 'failed', next_attempt = 0, reason = 'skipped before'
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND state = 'skipped'",
            "UPDATE message m SET state = 'failed', next_attempt = 0, reason = 'skipped before'
             FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[]) AS r (folder, epoch, remote)
             WHERE m.folder = r.folder AND m.epoch = r.epoch AND m.remote = r.remote
               AND m.state = 'skipped'",
        );
        self.intend(lock, |tx| {
            tx.many(&INCLUDE, ids.iter().map(|id| values![folder, epoch, id]))
        })
    }

    /// Hands over what was skipped and received at `since` (Unix seconds) or later, or of which that
    /// is not known, the oldest first. `each` must not ask the store.
    pub fn skipped(
        &self,
        folder: FolderId,
        epoch: Epoch,
        since: Option<i64>,
        each: &mut dyn FnMut(RemoteId) -> Result<()>,
    ) -> Result<()> {
        const SKIPPED: Sql = Sql::both(
            "SELECT remote FROM message
             WHERE folder = ?1 AND epoch = ?2 AND state = 'skipped'
               AND (received IS NULL OR received >= ?3)
             ORDER BY coalesce(received, 0), id",
        );
        self.each_id(
            &SKIPPED,
            &values![folder, epoch, since.unwrap_or(i64::MIN)],
            each,
        )
    }

    /// Puts on record, durably, that these are about to be delivered.
    pub fn stage(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        messages: &[StagedRecord],
        now: i64,
    ) -> Result<()> {
        // The last one counts of those that are there twice, as it does one after the other.
        const STAGE: Sql = Sql::two(
            "INSERT INTO message (folder, epoch, remote, state, intent, fingerprint, size, about,
                                  changed_at)
             VALUES (?1, ?2, ?3, 'staged', ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (folder, epoch, remote) DO UPDATE
             SET state = 'staged', intent = ?4, fingerprint = ?5, size = ?6, about = ?7,
                 changed_at = ?8
             WHERE message.state <> 'delivered'",
            "INSERT INTO message (folder, epoch, remote, state, intent, fingerprint, size, about,
                                  changed_at)
             SELECT folder, epoch, remote, 'staged', intent, fingerprint, size, about, changed_at
             FROM (SELECT DISTINCT ON (folder, epoch, remote) *
                   FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[], ?4::text[], ?5::bytea[],
                               ?6::bigint[], ?7::text[], ?8::bigint[]) WITH ORDINALITY
                        AS r (folder, epoch, remote, intent, fingerprint, size, about, changed_at,
                              number)
                   ORDER BY folder, epoch, remote, number DESC) r
             ORDER BY number
             ON CONFLICT (folder, epoch, remote) DO UPDATE
             SET state = 'staged', intent = excluded.intent, fingerprint = excluded.fingerprint,
                 size = excluded.size, about = excluded.about, changed_at = excluded.changed_at
             WHERE message.state <> 'delivered'",
        );
        let abouts: Vec<String> = messages
            .iter()
            .map(|message| serde_json::to_string(&message.about))
            .collect::<Result<_, _>>()?;
        self.intend(lock, |tx| {
            let rows = messages.iter().zip(&abouts).map(|(message, about)| {
                let StagedRecord {
                    remote,
                    intent,
                    fingerprint,
                    size,
                    about: _,
                } = message;
                values![
                    folder,
                    epoch,
                    remote,
                    intent,
                    fingerprint,
                    *size,
                    about,
                    now
                ]
            });
            tx.many_later(&STAGE, rows)
        })
    }

    /// Puts on record that a message could not be delivered and when to try again; for good, or
    /// after [`MAX_ATTEMPTS`], it is quarantined. Returns true when it is.
    pub fn failed(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        remote: &RemoteId,
        failure: &Failure<'_>,
        now: i64,
    ) -> Result<bool> {
        const ATTEMPTS: Sql = Sql::both(
            "SELECT attempts FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
        );
        const FAILED: Sql = Sql::both(
            "INSERT INTO message (folder, epoch, remote, state, attempts, next_attempt, reason, changed_at,
                                  about)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (folder, epoch, remote) DO UPDATE
             SET state = ?4, intent = NULL, attempts = ?5, next_attempt = ?6, reason = ?7, changed_at = ?8,
                 about = coalesce(?9, message.about)
             WHERE message.state <> 'delivered'",
        );
        const DONE: Sql = Sql::both(
            "SELECT state = 'quarantined' FROM message
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND changed_at = ?4 AND reason = ?5
               AND state IN ('failed', 'quarantined')",
        );
        let about = failure.about.map(serde_json::to_string).transpose()?;
        self.intend(lock, |tx| {
            if tx.is_repeat() {
                let done = values![folder, epoch, remote, now, failure.reason];
                if let Some(quarantined) = tx.row(&DONE, &done, |row| row.get(0))? {
                    return Ok(quarantined);
                }
            }
            let earlier = tx.row(&ATTEMPTS, &values![folder, epoch, remote], |row| row.get(0))?;
            let attempts: u32 = earlier.unwrap_or(0) + 1;
            let quarantine = failure.for_good || attempts >= MAX_ATTEMPTS;
            let row = values![
                folder,
                epoch,
                remote,
                if quarantine { "quarantined" } else { "failed" },
                attempts,
                now + backoff(attempts),
                failure.reason,
                now,
                about.as_ref(),
            ];
            let changed = tx.run(&FAILED, &row)?;
            Ok(quarantine && changed > 0)
        })
    }

    /// Forgets a failed message that is no longer on the server.
    pub fn gone(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        remote: &RemoteId,
    ) -> Result<()> {
        const GONE: Sql = Sql::both(
            "DELETE FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3
             AND state IN ('failed', 'staged')",
        );
        self.intend(lock, |tx| tx.later(&GONE, &values![folder, epoch, remote]))
    }

    /// The deliveries of a mailbox that a crash may have interrupted.
    pub fn interrupted(&self, address: &str) -> Result<Vec<Interrupted>> {
        const INTERRUPTED: Sql = Sql::both(
            "SELECT m.folder, m.epoch, m.remote, m.intent, m.changed_at, f.name, coalesce(m.size, 0),
                    m.about
             FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address = ?1 AND m.state = 'staged'",
        );
        if self
            .of_card(address, |card| card.no_interrupted.take())
            .is_some()
        {
            return Ok(Vec::new());
        }
        let interrupted = |row: &Row<'_>| {
            Ok(Interrupted {
                folder: row.get(0)?,
                epoch: row.get(1)?,
                remote: row.get(2)?,
                intent: row.get(3)?,
                since: row.get(4)?,
                folder_name: row.get(5)?,
                size: row.get::<i64>(6)?.unsigned_abs(),
                about: history::about(row, 7)?,
            })
        };
        self.read(|reader| reader.rows(&INTERRUPTED, &values![address], interrupted))
    }

    /// Puts an interrupted delivery back among those to be tried, at once.
    pub fn restart(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        remote: &RemoteId,
    ) -> Result<()> {
        const RESTART: Sql = Sql::both(
            "UPDATE message SET state = 'failed', intent = NULL, next_attempt = 0
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND state = 'staged'",
        );
        self.intend(lock, |tx| {
            tx.later(&RESTART, &values![folder, epoch, remote])
        })
    }

    /// Delivered messages with something still to be done on the server, of which the server is to
    /// be told by now: the first `most` whose row comes after `row`. Gives the last one's row, too.
    pub fn unsettled(
        &self,
        folder: FolderId,
        epoch: Epoch,
        row: i64,
        most: usize,
        now: i64,
    ) -> Result<(i64, Vec<Unsettled>)> {
        const UNSETTLED: Sql = Sql::both(
            "SELECT remote, settle, fingerprint, id FROM message
             WHERE folder = ?1 AND epoch = ?2 AND settle IS NOT NULL AND id > ?3
               AND (next_attempt IS NULL OR next_attempt <= ?5 OR next_attempt > ?6)
             ORDER BY id LIMIT ?4",
        );
        if self
            .of_folder_card(folder, |card| card.nothing_unsettled.take())
            .is_some()
        {
            return Ok((row, Vec::new()));
        }
        let mut last = row;
        let longest = now + LONGEST_BACKOFF;
        let found = self.read(|reader| {
            let behind = values![folder, epoch, row, most as u64, now, longest];
            reader.rows(&UNSETTLED, &behind, |row| {
                let settle: String = row.get(1)?;
                last = row.get(3)?;
                Ok(Unsettled {
                    remote: row.get(0)?,
                    action: settle.parse().unwrap_or_default(),
                    fingerprint: row.get(2)?,
                })
            })
        })?;
        Ok((last, found))
    }

    /// Puts on record that the server refused to do it with these, why, and when it is told again:
    /// after a minute first, then after five times as long each, twice a day in the end. It is for
    /// a person to end that: the message is delivered, and only the server still holds it.
    pub fn refused(
        &self,
        folder: FolderId,
        epoch: Epoch,
        messages: &[(RemoteId, String)],
        now: i64,
    ) -> Result<()> {
        const ATTEMPTS: Sql = Sql::both(
            "SELECT attempts FROM message
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND settle IS NOT NULL",
        );
        const REFUSED: Sql = Sql::both(
            "UPDATE message SET attempts = ?4, next_attempt = ?5, reason = ?6
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND settle IS NOT NULL",
        );
        self.transaction(|tx| {
            for (remote, reason) in messages {
                let which = values![folder, epoch, remote];
                let earlier: Option<u32> = tx.row(&ATTEMPTS, &which, |row| row.get(0))?;
                let attempts = earlier.unwrap_or(0).saturating_add(1);
                let next = now + backoff(attempts);
                let row = values![folder, epoch, remote, attempts, next, reason];
                tx.later(&REFUSED, &row)?;
            }
            Ok(())
        })
    }

    /// Puts on record that the server has done it, and whether they have left the folder.
    pub fn settled(
        &self,
        folder: FolderId,
        epoch: Epoch,
        ids: &[RemoteId],
        left: bool,
    ) -> Result<()> {
        const SETTLED: Sql = Sql::two(
            "UPDATE message SET settle = NULL, present = ?4, next_attempt = NULL, reason = NULL
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            "UPDATE message m
             SET settle = NULL, present = r.present, next_attempt = NULL, reason = NULL
             FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[], ?4::bigint[])
                  AS r (folder, epoch, remote, present)
             WHERE m.folder = r.folder AND m.epoch = r.epoch AND m.remote = r.remote",
        );
        self.fact(|tx| {
            let rows = ids.iter().map(|id| values![folder, epoch, id, !left]);
            tx.many_later(&SETTLED, rows)
        })
    }

    /// Forgets what was delivered [`REMEMBERED`] seconds ago or earlier and then left the folder,
    /// deleted or moved by the program. An id that ascends is not given again within an epoch; of
    /// another, by which a message may be put back, a digest stays. How many there were stays, too.
    /// That at the folder's mark is never forgotten: where it is seen in the folder again, UIDs
    /// went back.
    pub(super) fn forget_left(&self, now: i64) -> Result<()> {
        // So many at once that no other process waits long.
        const FORGET: Sql = Sql::two(
            "DELETE FROM message
             WHERE id IN (SELECT id FROM message m
                          WHERE present = 0 AND settle IS NULL AND changed_at < ?1
                            AND NOT EXISTS (SELECT 1 FROM folder f
                                            WHERE f.id = m.folder AND f.epoch = m.epoch
                                              AND f.mark = CAST(m.remote AS TEXT)) LIMIT 10000)
             RETURNING folder, remote",
            "DELETE FROM message
             WHERE id IN (SELECT id FROM message m
                          WHERE present = 0 AND settle IS NULL AND changed_at < ?1
                            AND NOT EXISTS (SELECT 1 FROM folder f
                                            WHERE f.id = m.folder AND f.epoch = m.epoch
                                              AND m.remote = lpad(f.mark, 10, '0')) LIMIT 10000)
             RETURNING folder, remote",
        );
        const KEEP: Sql = Sql::two(
            "INSERT INTO forgotten_id (folder, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            "INSERT INTO forgotten_id (folder, digest)
             SELECT * FROM unnest(?1::bigint[], ?2::bigint[]) ON CONFLICT DO NOTHING",
        );
        self.transaction_in_passing(|tx| {
            let before = values![left_before(now)];
            let left: Vec<(FolderId, RemoteId)> =
                tx.rows(&FORGET, &before, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let kept = left.iter().filter(|(_, id)| !id.ascends());
            tx.many_later(
                &KEEP,
                kept.map(|(folder, id)| values![*folder, id_digest(id)]),
            )
        })
    }

    /// Puts messages that were passed over among those to be tried, at once.
    pub fn put_back(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        ids: &[RemoteId],
        now: i64,
    ) -> Result<()> {
        const PUT_BACK: Sql = Sql::two(
            "INSERT INTO message (folder, epoch, remote, state, next_attempt, reason, changed_at)
             VALUES (?1, ?2, ?3, 'failed', 0, 'found by an audit', ?4)
             ON CONFLICT (folder, epoch, remote) DO NOTHING",
            "INSERT INTO message (folder, epoch, remote, state, next_attempt, reason, changed_at)
             SELECT folder, epoch, remote, 'failed', 0, 'found by an audit', changed_at
             FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[], ?4::bigint[]) WITH ORDINALITY
                  AS r (folder, epoch, remote, changed_at, number)
             ORDER BY number
             ON CONFLICT (folder, epoch, remote) DO NOTHING",
        );
        if ids.is_empty() {
            return Ok(());
        }
        self.intend(lock, |tx| {
            let rows = ids.iter().map(|id| values![folder, epoch, id, now]);
            tx.many_later(&PUT_BACK, rows)
        })
    }
}

/// Puts a folder on record that has this UIDVALIDITY now, as of [`Store::open_folder`].
pub(super) fn begin(
    tx: &mut Tx<'_>,
    address: &str,
    name: &str,
    uidvalidity: u32,
    start: Option<&str>,
) -> Result<Option<FolderRecord>, Error> {
    const RECORD: Sql = Sql::both(
        "INSERT INTO folder (address, name, epoch, start) VALUES (?1, ?2, ?3, ?5)
         ON CONFLICT (address, name) DO UPDATE
         SET epoch = folder.epoch - folder.epoch % ?4 + ?3, mark = NULL, former = 1
         WHERE folder.epoch % ?4 <> ?3",
    );
    const SETTLE: Sql = Sql::both("UPDATE folder SET former = 0 WHERE id = ?1");
    let row = values![address, name, uidvalidity, WENT_BACK, start];
    tx.later(&RECORD, &row)?;
    let known = folder(tx, address, name, uidvalidity)?;
    match &known {
        Some(known) if known.record.renumbered => tx.index_fingerprints()?,
        Some(known) => tx.later(&SETTLE, &values![known.record.id])?,
        None => {}
    }
    Ok(known.map(|known| known.record))
}

/// Puts on record that these are skipped, as of [`Store::skip`].
pub(super) fn skip(
    tx: &mut Tx<'_>,
    folder: FolderId,
    epoch: Epoch,
    messages: &[SkippedRecord],
    now: i64,
) -> Result<u64, Error> {
    const SKIP: Sql = Sql::two(
        "INSERT INTO message (folder, epoch, remote, state, fingerprint, received, changed_at)
         VALUES (?1, ?2, ?3, 'skipped', ?4, ?5, ?6)
         ON CONFLICT (folder, epoch, remote) DO UPDATE
         SET state = 'skipped', intent = NULL, reason = NULL, next_attempt = NULL,
             fingerprint = ?4, received = ?5, changed_at = ?6
         WHERE message.state = 'failed'",
        "INSERT INTO message (folder, epoch, remote, state, fingerprint, received, changed_at)
         SELECT folder, epoch, remote, 'skipped', fingerprint, received, changed_at
         FROM (SELECT DISTINCT ON (folder, epoch, remote) *
               FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[], ?4::bytea[], ?5::bigint[],
                           ?6::bigint[]) WITH ORDINALITY
                    AS r (folder, epoch, remote, fingerprint, received, changed_at, number)
               ORDER BY folder, epoch, remote, number) r
         ORDER BY number
         ON CONFLICT (folder, epoch, remote) DO UPDATE
         SET state = 'skipped', intent = NULL, reason = NULL, next_attempt = NULL,
             fingerprint = excluded.fingerprint, received = excluded.received,
             changed_at = excluded.changed_at
         WHERE message.state = 'failed'",
    );
    let rows = messages.iter().map(|message| {
        let SkippedRecord {
            remote,
            fingerprint,
            received,
        } = message;
        values![folder, epoch, remote, fingerprint, *received, now]
    });
    tx.many(&SKIP, rows)
}

/// Makes the row `former` that of this message.
pub(super) fn take_row(
    tx: &mut Tx<'_>,
    former: i64,
    folder: FolderId,
    epoch: Epoch,
    remote: &RemoteId,
    now: i64,
) -> Result<(), Error> {
    const CLEAR: Sql =
        Sql::both("DELETE FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3");
    const TAKE: Sql = Sql::both(
        "UPDATE message SET epoch = ?2, remote = ?3, present = 1, changed_at = ?4 WHERE id = ?1",
    );
    // It may have failed under its new id before.
    tx.later(&CLEAR, &values![folder, epoch, remote])?;
    tx.later(&TAKE, &values![former, epoch, remote, now])
}

/// How long a message is remembered that left its folder, in seconds: 90 days. It answers questions of
/// people, and recognises mail that a restored mailbox brings back.
const REMEMBERED: i64 = 90 * 86_400;

/// Until when a message must have left to be forgotten now.
pub(super) fn left_before(now: i64) -> i64 {
    now - REMEMBERED
}

/// Whether there is a message that [`Store::forget_left`] forgets. PostgreSQL has an id as ten digits.
pub(super) const ANY_LEFT: Sql = Sql::two(
    "SELECT 1 FROM message m
     WHERE present = 0 AND settle IS NULL AND changed_at < ?1
       AND NOT EXISTS (SELECT 1 FROM folder f
                       WHERE f.id = m.folder AND f.epoch = m.epoch
                         AND f.mark = CAST(m.remote AS TEXT)) LIMIT 1",
    "SELECT 1 FROM message m
     WHERE present = 0 AND settle IS NULL AND changed_at < ?1
       AND NOT EXISTS (SELECT 1 FROM folder f
                       WHERE f.id = m.folder AND f.epoch = m.epoch
                         AND m.remote = lpad(f.mark, 10, '0')) LIMIT 1",
);

/// What stays of an id that is a text: 64 bits tell millions of them apart.
fn id_digest(id: &RemoteId) -> i64 {
    let digest = sha256(id.to_string().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// Why a message was not delivered.
pub struct Failure<'a> {
    pub reason: &'a str,
    /// Trying again will not help.
    pub for_good: bool,
    /// What is known of it, where that is not on record.
    pub about: Option<&'a About>,
}

/// After so many attempts a message is quarantined.
const MAX_ATTEMPTS: u32 = 8;

/// The longest time between two attempts, in seconds.
const LONGEST_BACKOFF: i64 = 12 * 3600;

/// Seconds to wait after the n-th attempt: a minute, then five times as long each, half a day at
/// most; eight attempts take a day and a half.
fn backoff(attempts: u32) -> i64 {
    (60 * 5_i64.saturating_pow(attempts.saturating_sub(1))).min(LONGEST_BACKOFF)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
