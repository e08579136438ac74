//! That messages are delivered goes on record: of each what is still to be done on the server, the
//! folder's count, and a row of the history. All of that is there or nothing of it, and once, however
//! often it is said.
//!
//! SQLite is asked which of the messages are new to it, and told of these. A server far away is told
//! everything in one statement, and finds out by itself.

use super::Store;
use super::db::{Error, Sql, Tx, values};
use super::history::{Arrived, Origin, WEEK};
use super::ledger::{Epoch, FolderId};
use crate::mail::RemoteId;
use crate::model::AfterFetch;
use anyhow::Result;

/// What is next where messages are on record as delivered.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// What is to be done with them on the server.
    pub after: &'a AfterFetch,
    /// Up to here (a UID), everything is accounted for once they are.
    pub mark: Option<&'a str>,
}

impl<'a> Next<'a> {
    /// With the mark where it is.
    pub fn of(after: &'a AfterFetch) -> Next<'a> {
        Next { after, mark: None }
    }
}

/// Messages of one folder.
struct Batch<'a> {
    folder: FolderId,
    epoch: Epoch,
    messages: &'a [(&'a RemoteId, Arrived<'a>)],
    settle: Option<String>,
    origin: &'a Origin<'a>,
    mark: Option<&'a str>,
    now: i64,
}

impl Store {
    /// Puts on record, durably, that these are delivered, and what is next; the folder's count and the
    /// history, of what is from `origin`, go with them.
    pub fn delivered(
        &self,
        folder: FolderId,
        epoch: Epoch,
        messages: &[(&RemoteId, Arrived<'_>)],
        next: &Next<'_>,
        origin: &Origin<'_>,
        now: i64,
    ) -> Result<()> {
        let batch = Batch {
            folder,
            epoch,
            messages,
            settle: (*next.after != AfterFetch::Keep).then(|| next.after.to_string()),
            origin,
            mark: next.mark,
            now,
        };
        self.fact(|tx| {
            match tx.is_far() {
                true => batch.put_at_once(tx)?,
                false => batch.put(tx)?,
            }
            batch.move_mark(tx)
        })
    }
}

impl Batch<'_> {
    /// What is accounted for stays so within its epoch, whoever says it, and however late: another host
    /// may have moved the mark further.
    fn move_mark(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        const MARK: Sql = Sql::both(
            "UPDATE folder SET mark = ?2
             WHERE id = ?1 AND epoch = ?3
               AND (mark IS NULL OR length(mark) < length(?2)
                    OR (length(mark) = length(?2) AND mark < ?2))",
        );
        match self.mark {
            Some(mark) => tx.later(&MARK, &values![self.folder, mark, self.epoch]),
            None => Ok(()),
        }
    }

    fn put(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        const DELIVERED: Sql = Sql::sqlite(
            "UPDATE message SET state = 'delivered', intent = NULL, reason = NULL,
                    attempts = 0, next_attempt = NULL, about = NULL, settle = ?4, delivered_to = ?5,
                    changed_at = ?6
             WHERE folder = ?1 AND epoch = ?2 AND remote = ?3 AND state <> 'delivered'",
        );
        let Batch {
            folder,
            epoch,
            messages,
            settle,
            origin,
            now,
            ..
        } = self;
        let mut new = Vec::with_capacity(messages.len());
        for (remote, arrived) in *messages {
            let row = values![
                *folder,
                *epoch,
                *remote,
                settle.as_ref(),
                arrived.place,
                *now
            ];
            if tx.run(&DELIVERED, &row)? > 0 {
                new.push(arrived);
            }
        }
        if !new.is_empty() {
            tx.later(&COUNT, &values![*folder, new.len() as u64, *now])?;
        }
        if !origin.recording.is_on() {
            return Ok(());
        }
        let rows = new.into_iter().map(|arrived| {
            let about = arrived.about;
            values![
                *now,
                now.div_euclid(WEEK),
                about.from.as_ref(),
                about.sender.as_ref(),
                about.subject.as_ref(),
                origin.queue,
                origin.address,
                origin.folder,
                about.message_id.as_ref(),
                arrived.size,
                about.sha256.as_ref(),
                arrived.place,
                arrived.delivery_id,
            ]
        });
        tx.many_later(&ARRIVED, rows)
    }

    fn put_at_once(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let Batch {
            folder,
            epoch,
            messages,
            settle,
            origin,
            now,
            ..
        } = self;
        let week = origin.recording.is_on().then(|| now.div_euclid(WEEK));
        let rows = messages.iter().map(|(remote, arrived)| {
            let about = arrived.about;
            values![
                *folder,
                *epoch,
                *remote,
                settle.as_ref(),
                arrived.place,
                *now,
                week,
                about.from.as_ref(),
                about.sender.as_ref(),
                about.subject.as_ref(),
                origin.queue,
                origin.address,
                origin.folder,
                about.message_id.as_ref(),
                arrived.size,
                about.sha256.as_ref(),
                arrived.delivery_id,
            ]
        });
        tx.many_later(&ALL, rows)
    }
}

/// The folder's count.
const COUNT: Sql = Sql::sqlite(
    "UPDATE folder SET delivered = delivered + ?2,
            delivered_at = CASE WHEN delivered_at > ?3 THEN delivered_at ELSE ?3 END
     WHERE id = ?1",
);

/// A row of the history.
const ARRIVED: Sql = Sql::sqlite(
    "INSERT INTO history (sent, at, week, author, sender, subject, queue, address, folder,
                          message_id, size, sha256, place, delivery_id)
     VALUES (0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
);

/// All three at once. What has no week is not for the history.
const ALL: Sql = Sql::postgres(
    "WITH arrived AS MATERIALIZED (
         SELECT * FROM unnest(?1::bigint[], ?2::bigint[], ?3::text[], ?4::text[],
                              ?5::text[], ?6::bigint[], ?7::bigint[], ?8::text[],
                              ?9::text[], ?10::text[], ?11::text[], ?12::text[],
                              ?13::text[], ?14::text[], ?15::bigint[], ?16::text[],
                              ?17::text[]) WITH ORDINALITY
              AS r (folder, epoch, remote, settle, place, at, week, author, sender,
                    subject, queue, address, folder_name, message_id, size, sha256,
                    delivery_id, number)),
     new AS (
         UPDATE message m
         SET state = 'delivered', intent = NULL, reason = NULL, attempts = 0,
             next_attempt = NULL, about = NULL, settle = a.settle,
             delivered_to = a.place, changed_at = a.at
         FROM arrived a
         WHERE m.folder = a.folder AND m.epoch = a.epoch AND m.remote = a.remote
           AND m.state <> 'delivered'
         RETURNING a.number),
     counted AS (
         UPDATE folder f
         SET delivered = f.delivered + of_folder.count,
             delivered_at = greatest(f.delivered_at, of_folder.at)
         FROM (SELECT folder, count(*) AS count, max(at) AS at
               FROM arrived JOIN new USING (number) GROUP BY folder) of_folder
         WHERE f.id = of_folder.folder)
     INSERT INTO history (sent, at, week, author, sender, subject, queue, address, folder,
                          message_id, size, sha256, place, delivery_id)
     SELECT 0, at, week, author, sender, subject, queue, address, folder_name, message_id,
            size, sha256, place, delivery_id
     FROM arrived JOIN new USING (number) WHERE week IS NOT NULL ORDER BY number",
);

#[cfg(test)]
#[path = "delivered_tests.rs"]
mod tests;
