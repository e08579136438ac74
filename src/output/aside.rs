//! What is drawn on a terminal, such as a bar, moves aside while something else is written.

use std::sync::{Arc, PoisonError, RwLock};

/// Takes away what is drawn, has something written, and draws again.
pub type Mover = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static MOVER: RwLock<Option<Mover>> = RwLock::new(None);

/// Says how to move aside what is drawn from now on; `None` where nothing is.
pub fn draws(mover: Option<Mover>) {
    *MOVER.write().unwrap_or_else(PoisonError::into_inner) = mover;
}

/// Has something written while nothing is drawn. What is written so must not come back here.
pub fn aside(write: &mut dyn FnMut()) {
    let mover = MOVER.read().unwrap_or_else(PoisonError::into_inner).clone();
    match mover {
        Some(mover) => mover(write),
        None => write(),
    }
}
