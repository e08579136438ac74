//! Renews the leases of this process while it works, in a thread and over a connection of its own,
//! so that neither a long delivery nor a long transaction keeps it from doing so.

use super::db::Db;
use super::lease::Leases;
use anyhow::Result;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// After a renewal that failed, the next one comes so much sooner.
const SOONER: u32 = 5;

/// Opens the heartbeat's connection.
pub type Open = Box<dyn Fn() -> Result<Db> + Send + Sync>;

/// Ends when it is dropped.
pub struct Heartbeat {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    is_over: Mutex<bool>,
    told: Condvar,
}

impl Heartbeat {
    pub fn start(leases: Leases, open: Open) -> Heartbeat {
        let stop = Arc::new(Stop::default());
        let heard = Arc::clone(&stop);
        let run = move || beat(&leases, &open, &heard);
        // Where the system gives no thread the leases end, which whoever holds them finds out.
        let thread = std::thread::Builder::new().spawn(run).ok();
        Heartbeat { stop, thread }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        *self.stop.is_over() = true;
        self.stop.told.notify_all();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Stop {
    fn is_over(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long; true when the heartbeat is to end.
    fn wait(&self, time: Duration) -> bool {
        let waited = self
            .told
            .wait_timeout_while(self.is_over(), time, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Renews what is held, each quarter of the time that it holds.
fn beat(leases: &Leases, open: &Open, stop: &Stop) {
    let pause = leases.period() / 4;
    let mut db = None;
    // The first one comes sooner, for it has to connect, and may have to do so again.
    let mut next = pause / 2;
    while !stop.wait(next) {
        let renewed = match &db {
            Some(db) => leases.renew(db),
            None => open().and_then(|new| leases.renew(db.insert(new))),
        };
        next = match renewed {
            Ok(()) => pause,
            Err(err) => {
                leases.troubled(&err);
                pause / SOONER
            }
        };
    }
}
