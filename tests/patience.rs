//! Waits that end as soon as something is so, however slow the machine is, and fail late when it
//! never is.

use std::time::{Duration, Instant};

/// How long anything may take that comes at once on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `is_so`; `what` is what should come.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(PAUSE);
    }
}
