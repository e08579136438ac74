//! Deliveries that a crash interrupted: each is finished, found finished, or begun again, before
//! anything else is fetched.

use super::{Job, Reporter, Tally, delivery_id, mailbox_key};
use crate::delivery::{self, Intent};
use crate::files::folder_of;
use crate::state::{Arrived, Interrupted, Lock, Store};
use anyhow::Result;
use std::collections::HashSet;

/// Finishes the interrupted deliveries of a mailbox. One that another host may still be making, in a
/// way that cannot be seen, is left alone until that is over. Gives the delivery ids of those that are
/// to be fetched again.
pub fn finish_interrupted(
    job: &Job,
    store: &Store,
    lock: &Lock,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<HashSet<String>> {
    let (mut restarted, mut checked) = (HashSet::new(), HashSet::new());
    for message in store.interrupted(&mailbox_key(&job.address))? {
        let intent: Intent = serde_json::from_str(&message.intent)
            .map_err(|e| store.spoilt("the record of an interrupted delivery", &e))?;
        let since = store.now() - message.since;
        if let Some(longest) = intent.in_flight()
            && store.is_shared()
            && (-longest..longest).contains(&since)
        {
            let left = longest - since;
            reporter.note(&format!(
                "`{}` folder `{}`: another host may still be delivering message {}; queuemail retries it in {left} s",
                job.address, message.folder_name, message.remote
            ));
            continue;
        }
        for file in intent.targets() {
            if checked.insert(folder_of(file).to_owned()) {
                store.check_places_of(file)?;
            }
        }
        lock.check()?;
        match delivery::recover(&intent, since)? {
            Some(place) => {
                put_on_record(job, store, &message, &place)?;
                tally.fetched += 1;
                tally.octets += message.size;
                reporter.recovered(job, &message, &place);
            }
            None => {
                store.restart(lock, message.folder, message.epoch, &message.remote)?;
                let Interrupted {
                    folder_name,
                    epoch,
                    remote,
                    ..
                } = &message;
                restarted.insert(delivery_id(&job.address, folder_name, *epoch, remote));
            }
        }
    }
    Ok(restarted)
}

/// Puts a delivery that is finished on record.
fn put_on_record(job: &Job, store: &Store, message: &Interrupted, place: &str) -> Result<()> {
    let address = mailbox_key(&job.address);
    let folder = &message.folder_name;
    let arrived = Arrived {
        about: &message.about,
        size: message.size,
        place,
        delivery_id: &delivery_id(&address, folder, message.epoch, &message.remote),
    };
    store.delivered(
        message.folder,
        message.epoch,
        &[(&message.remote, arrived)],
        &job.after,
        &job.origin(&address, folder),
        store.now(),
    )
}
