//! What was skipped, and is to be fetched all the same: `fetch --include-skipped`.

use super::sift::Sift;
use super::visit::{CHUNK, Ended, Visit};
use super::{Folder, mailbox_key};
use crate::state::uidvalidity;
use anyhow::Result;

impl Visit<'_> {
    /// Whether what is skipped is known only once the folder has been listed: before that, messages
    /// may have other ids than on record, or not be on record yet.
    pub(super) fn knows_skipped_later(&self, folder: &Folder<'_>) -> bool {
        folder.record.skipped_before || folder.record.start.is_some()
    }

    /// Has the selected of what was skipped tried like messages that failed before, once in a run;
    /// gives their number.
    pub(super) fn include_skipped(&mut self, folder: &Folder<'_>) -> Result<u64> {
        let job = self.job;
        if !job.include_skipped || self.pass.included.contains(&folder.key) {
            return Ok(0);
        }
        let since = job.since.map(|day| day.begins().as_second());
        let (id, epoch) = (folder.record.id, folder.epoch);
        let included = match job.select {
            None => self
                .store
                .include_skipped(folder.lock, id, epoch, since, job.limit)?,
            Some(_) => self.include_selected(folder, since)?,
        };
        self.pass.included.push(folder.key.clone());
        if included > 0 {
            self.reporter.note(&format!(
                "`{}` folder `{}`: {included} of the skipped messages are fetched now",
                job.address, folder.name
            ));
        }
        Ok(included)
    }

    /// The same where only some messages are selected: those that are not stay skipped.
    fn include_selected(&mut self, folder: &Folder<'_>, since: Option<i64>) -> Result<u64> {
        let (job, store) = (self.job, self.store);
        let (id, epoch) = (folder.record.id, folder.epoch);
        let mut sift = Sift::of_skipped(job, store, folder);
        store.skipped(id, epoch, since, &mut |id| sift.take_again(id))?;
        let (mut selected, found) = sift.finish(self.mailbox)?;
        self.quarantine_too_large(folder, &found)?;
        selected.truncate(job.limit.map_or(u64::MAX, u64::from));
        let mut included = 0;
        for ids in selected.pages(CHUNK) {
            included += store.include(folder.lock, id, epoch, &ids?)?;
        }
        Ok(included)
    }

    /// Fetches what was skipped from a folder that has been listed.
    pub(super) fn fetch_included(&mut self, folder: &mut Folder<'_>) -> Result<Ended> {
        if self.pass.included.contains(&folder.key) {
            return Ok(Ended::Whole);
        }
        let valid = uidvalidity(folder.epoch);
        let address = mailbox_key(&self.job.address);
        // The record as the listing has left it.
        folder.record = self
            .store
            .open_folder(folder.lock, &address, &folder.key, valid, None)?;
        folder.epoch = folder.record.epoch;
        match self.include_skipped(folder)? {
            0 => Ok(Ended::Whole),
            _ => self.bring(folder),
        }
    }
}
