//! What was said on the wire while a walk was under way: the lines of the protocols, kept apart by
//! the thread that walks.

use crate::means::Observer;
use crate::workers::locked;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// So many lines of a walk are kept; a walk without a fault has some fifty.
const MOST_LINES: usize = 400;
/// So many characters of a line are kept.
const LONGEST_LINE: usize = 1000;

/// One line, and how long after the walk began it came.
#[derive(Debug)]
pub struct Line {
    pub after: Duration,
    pub text: String,
}

/// An observer that keeps the lines of the protocols, and tells another one everything.
pub struct Heard {
    other: Arc<dyn Observer>,
    walks: Mutex<HashMap<ThreadId, (Instant, Vec<Line>)>>,
}

impl Heard {
    pub fn new(other: Arc<dyn Observer>) -> Heard {
        Heard {
            other,
            walks: Mutex::default(),
        }
    }

    /// A walk begins on this thread.
    pub fn begin(&self) {
        let empty = (Instant::now(), Vec::new());
        locked(&self.walks).insert(thread::current().id(), empty);
    }

    /// The lines since the walk on this thread began, which ends with it.
    pub fn end(&self) -> Vec<Line> {
        let walk = locked(&self.walks).remove(&thread::current().id());
        walk.map(|(_, lines)| lines).unwrap_or_default()
    }
}

impl Observer for Heard {
    fn step(&self, text: &str) {
        self.other.step(text);
    }

    fn warn(&self, text: &str) {
        self.other.warn(text);
    }

    fn trace(&self, line: &str) {
        if let Some((began, lines)) = locked(&self.walks).get_mut(&thread::current().id())
            && lines.len() < MOST_LINES
        {
            lines.push(Line {
                after: began.elapsed(),
                text: line.chars().take(LONGEST_LINE).collect(),
            });
        }
        if self.other.wants_trace() {
            self.other.trace(line);
        }
    }

    fn wants_trace(&self) -> bool {
        true
    }
}
