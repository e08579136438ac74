//! After a renewal: the credential that was replaced is removed once its grace is over.

use super::work::{Until, Work};
use crate::fault::Fault;
use crate::shell;
use crate::state::{Rotation, RotationStep};
use anyhow::Result;

impl Work<'_> {
    /// Whether the grace of the old credential is over.
    pub(super) fn is_due(&self, rotation: &Rotation) -> bool {
        let now = self.store.now();
        rotation.remove_at.is_some_and(|at| at <= now)
    }

    /// Removes the credential that was replaced.
    pub(super) fn remove_old(&mut self, mut rotation: Rotation) -> Result<Rotation> {
        let present = self.place.present()?;
        if !present.is_of(&rotation)? {
            let fault = self.replaced_by_hand();
            if self.order.until != Until::Finished {
                return Err(fault.into());
            }
            self.outcome.notes.push(fault.what);
            self.left_behind([rotation.old_key.take(), rotation.new_key.take()]);
        } else if let Some(key_id) = rotation.old_key.take() {
            let registry = self.registry(&present)?;
            self.lock.check()?;
            self.remove(&registry, &present, &rotation, &key_id)?;
            self.outcome.removed = true;
        } else {
            self.left_behind([None, None]);
        }
        rotation.step = RotationStep::Done;
        rotation.remove_at = None;
        self.put_on_record(&rotation)?;
        Ok(rotation)
    }

    fn replaced_by_hand(&self) -> Fault {
        let (kind, server) = (self.place.kind(), shell::quote(self.order.server));
        Fault::config(format!(
            "{} holds another {kind} than the one that `server rotate` put there, so no {kind} is removed from the app registration",
            self.place.words()
        ))
        .hint(format!(
            "to leave the app registration as it is: queuemail server rotate {server} --finish"
        ))
    }

    /// Says what a person has to remove from the app registration.
    fn left_behind(&mut self, keys: [Option<String>; 2]) {
        let kind = self.place.kind();
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        self.outcome.removed = false;
        self.outcome.notes.push(match keys.is_empty() {
            true => format!(
                "the old {kind} is still in the app registration: queuemail does not know its ID, so remove it yourself"
            ),
            false => format!(
                "these are still in the app registration; remove those that are not used: {}",
                keys.join(", ")
            ),
        });
    }
}
