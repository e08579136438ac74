//! A gate at which the stand-in waits for the test: something goes on for exactly as long as the
//! test needs, on any machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Closed until a test opens it, or drops it.
#[derive(Debug, Default)]
pub struct Gate(Way);

/// The way through a [`Gate`], for the server that waits there.
#[derive(Clone, Debug, Default)]
pub struct Way(Arc<AtomicBool>);

impl Gate {
    pub fn way(&self) -> Way {
        self.0.clone()
    }

    pub fn open(&self) {
        self.0.0.store(true, SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Way {
    pub fn is_open(&self) -> bool {
        self.0.load(SeqCst)
    }
}
