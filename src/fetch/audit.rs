//! The proof of completeness: what the server holds against the ledger.

use super::{Job, mailbox_key};
use crate::mail::{Mailbox, Query, RemoteId};
use crate::state::Store;
use anyhow::Result;

/// What became of the messages that a folder of the server holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub folder: String,
    pub on_server: u64,
    pub delivered: u64,
    pub quarantined: u64,
    /// Dropped from quarantine by a person.
    pub dropped: u64,
    /// Failed before, or arrived since the last run: the next run takes them.
    pub pending: u64,
    /// Passed over: neither on record nor ahead of the mark. Put back, so that the next run takes
    /// them.
    pub unaccounted: Vec<RemoteId>,
}

/// Audits a mailbox. The caller holds its lock.
pub fn audit(job: &Job, store: &Store, mailbox: &mut dyn Mailbox, now: i64) -> Result<Vec<Audit>> {
    let mut audits = Vec::new();
    for name in &job.folders {
        let opened = mailbox.open(name, false)?;
        let mut audit = Audit {
            folder: name.clone(),
            ..Audit::default()
        };
        let record = store.folder_record(&mailbox_key(&job.address), name, opened.epoch)?;
        let states = match &record {
            Some(record) => store.states(record.id, opened.epoch)?,
            None => Default::default(),
        };
        let mark: Option<u32> = record.as_ref().and_then(|r| r.mark.as_ref()?.parse().ok());
        for id in mailbox.list(&Query::default())?.ids {
            audit.on_server += 1;
            match states.get(&id).map(String::as_str) {
                Some("delivered") => audit.delivered += 1,
                Some("quarantined") => audit.quarantined += 1,
                Some("dropped") => audit.dropped += 1,
                Some(_) => audit.pending += 1,
                None if passed_over(&id, mark) => audit.unaccounted.push(id),
                None => audit.pending += 1,
            }
        }
        if let Some(record) = record {
            store.put_back(record.id, opened.epoch, &audit.unaccounted, now)?;
        }
        audits.push(audit);
    }
    Ok(audits)
}

/// A message that is not on record though everything up to the mark should be.
fn passed_over(id: &RemoteId, mark: Option<u32>) -> bool {
    match (id, mark) {
        (RemoteId::Uid(uid), Some(mark)) => *uid <= mark,
        _ => false,
    }
}
