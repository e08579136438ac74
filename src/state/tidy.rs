//! What is on record for longer than it is of use goes.
//!
//! One look finds out whether there is any, so that a run which finds none waits for a database far
//! away once.

use super::db::{Reader, Sql, Value, values};
use super::{Store, bodies, history, lease, ledger};
use crate::model::Recording;
use anyhow::Result;

impl Store {
    /// Forgets a bounded number of messages that left their folders long ago and of rows of the history
    /// that were kept for long enough; and hosts, with their leases, that nobody has heard of for long.
    /// False where no octets of refused messages are kept.
    pub fn tidy(&self, recording: Recording, now: i64) -> Result<bool> {
        const ANY_BODY: Sql = Sql::postgres("SELECT 1 FROM body WHERE kind = ?1 LIMIT 1");
        let left: [Value<'_>; 1] = values![ledger::left_before(now)];
        let old: [Value<'_>; 1] = values![recording.start(now)];
        let refused: [Value<'_>; 1] = values![bodies::QUARANTINE];
        let asked: [(&Sql<'_>, &[Value<'_>]); 3] = [
            (&ledger::ANY_LEFT, &left),
            (&history::ANY_OLD, &old),
            (&ANY_BODY, &refused),
        ];
        let [has_left, has_old, has_refused] = match self.is_shared() {
            true => self.transaction_in_passing(|tx| {
                lease::tidy(tx)?;
                let mut found = [false; 3];
                tx.last(&asked, &mut |number, _| {
                    found[number] = true;
                    Ok(())
                })?;
                Ok(found)
            })?,
            // The octets are in a folder, which is looked into where they are.
            false => self.read(|reader: &Reader<'_>| {
                let mut found = [false, false, true];
                reader.all(&asked[..2], &mut |number, _| {
                    found[number] = true;
                    Ok(())
                })?;
                Ok(found)
            })?,
        };
        if has_left {
            self.forget_left(now)?;
        }
        if has_old {
            self.forget_history(recording, now)?;
        }
        Ok(has_refused)
    }
}
