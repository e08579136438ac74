//! Tells the server what became of delivered messages, as a part of a [`Visit`]: they are marked,
//! moved or deleted. Only what is on record as delivered is told of.

use super::Folder;
use super::errors::is_wish;
use super::restored::{self, Compared};
use super::visit::{CHUNK, Ended, Visit};
use crate::fault::Fault;
use crate::mail::{self, RemoteId};
use crate::model::AfterFetch;
use crate::output::escape;
use anyhow::Result;
use std::collections::HashSet;

impl Visit<'_> {
    /// Tells the server what an earlier run recorded and could not tell, once each message is seen
    /// to be the one that was delivered. Nothing is told of those among which another one is.
    pub(super) fn settle_earlier(&mut self, folder: &Folder<'_>) -> Result<Ended> {
        let mut row = 0;
        loop {
            let (id, epoch) = (folder.record.id, folder.epoch);
            let (last, mut rest) = self
                .store
                .unsettled(id, epoch, row, CHUNK, self.store.now())?;
            if rest.is_empty() {
                return Ok(Ended::Whole);
            }
            let Compared::Same(not_shown) = restored::compare(self.mailbox, &rest)? else {
                return Ok(Ended::WentBack);
            };
            rest.retain(|message| !not_shown.iter().any(|(id, _)| *id == message.remote));
            self.refused(folder, not_shown)?;
            while let Some(action) = rest.first().map(|message| message.action.clone()) {
                let (now, later): (Vec<_>, Vec<_>) = rest
                    .into_iter()
                    .partition(|message| message.action == action);
                let ids: Vec<RemoteId> = now.into_iter().map(|message| message.remote).collect();
                self.settle(folder, &ids, &action)?;
                rest = later;
            }
            row = last;
        }
    }

    /// Tells the server what became of messages, and puts on record that it knows.
    pub(super) fn settle(
        &mut self,
        folder: &Folder<'_>,
        ids: &[RemoteId],
        action: &AfterFetch,
    ) -> Result<()> {
        let (id, epoch) = (folder.record.id, folder.epoch);
        // What an earlier run has promised is done, whatever the configuration says by now.
        if !self.pass.may_move && *action == self.job.after {
            mail::refuse_to_move_back(self.mailbox, &self.job.folders, action, false)?;
            self.pass.may_move = true;
        }
        folder.lock.check()?;
        let err = match self.mailbox.settle(ids, action) {
            Ok(settled) => {
                let refused: HashSet<&RemoteId> =
                    settled.refused.iter().map(|(id, _)| id).collect();
                let done: Vec<RemoteId> = ids
                    .iter()
                    .filter(|id| !refused.contains(id))
                    .cloned()
                    .collect();
                self.store.settled(id, epoch, &done, settled.left)?;
                return self.refused(folder, settled.refused);
            }
            Err(err) => err,
        };
        // One that cannot be moved must not have all others tried again with it.
        if matches!(action, AfterFetch::Delete | AfterFetch::Move(_))
            && !is_wish(&err)
            && let Ok(present) = self.mailbox.present(ids)
        {
            let present: HashSet<RemoteId> = present.into_iter().collect();
            let left: Vec<_> = ids
                .iter()
                .filter(|id| !present.contains(id))
                .cloned()
                .collect();
            self.store.settled(id, epoch, &left, true)?;
        }
        Err(err)
    }

    /// Puts on record of which messages the server cannot be told, each for a reason of its own.
    fn refused(&mut self, folder: &Folder<'_>, refused: Vec<(RemoteId, Fault)>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let (id, epoch) = (folder.record.id, folder.epoch);
        let reasons: Vec<_> = refused
            .iter()
            .map(|(id, fault)| (id.clone(), in_words(fault)))
            .collect();
        self.store.refused(id, epoch, &reasons, self.store.now())?;
        if let Some((_, fault)) = refused.into_iter().next() {
            self.unsettled.get_or_insert(fault.hint(
                "queuemail delivered the message; it retries after 1 minute, then less often, but at least every 12 hours",
            ));
        }
        Ok(())
    }
}

/// Why the server cannot be told of a message, for the record.
fn in_words(fault: &Fault) -> String {
    match &fault.server_said {
        Some(said) => format!("{fault}: {}", escape(said)),
        None => fault.to_string(),
    }
}
