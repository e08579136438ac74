//! What a run gives to everybody who works for it: how long to wait for a host, and who hears how
//! the work goes. What works prints nothing itself.

use crate::net;
use crate::output::{Level, Output};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connecting may take this long, even where the run should have stopped by then.
const SHORTEST: Duration = Duration::from_secs(1);

/// Hears how work goes; shared by threads.
pub trait Observer: Send + Sync {
    /// A step that is taken, or what was decided and why.
    fn step(&self, text: &str);
    /// Something that a person should know though the work goes on.
    fn warn(&self, text: &str);
    /// A line of a protocol; whoever tells it has masked every secret.
    fn trace(&self, line: &str);
    /// False if nobody reads what [`Observer::trace`] gets, so that it need not be told.
    fn wants_trace(&self) -> bool;
}

/// What a run gives to everybody who works for it; cheap to clone.
#[derive(Clone)]
pub struct Means {
    /// How long a host may take for an answer.
    pub timeout: Duration,
    /// When the run is to stop, if that was said.
    pub deadline: Option<Instant>,
    pub observer: Arc<dyn Observer>,
}

impl Means {
    /// The same for a run that is to stop then.
    pub fn until(&self, deadline: Option<Instant>) -> Means {
        Means {
            deadline,
            ..self.clone()
        }
    }

    /// How to reach a host; connecting takes no longer than half a minute, and not much longer than
    /// the run.
    pub fn net_settings(&self, ca_file: Option<&Path>) -> net::Settings {
        let left = |end: Instant| end.saturating_duration_since(Instant::now()).max(SHORTEST);
        let longest = self.deadline.map_or(Duration::MAX, left);
        net::Settings {
            connect_timeout: self.timeout.min(Duration::from_secs(30)).min(longest),
            io_timeout: self.timeout,
            ca_file: ca_file.map(Path::to_owned),
            watch: net::Watch::default(),
        }
    }

    /// Who takes the lines of a protocol, if anybody does.
    pub fn trace(&self) -> Option<net::Trace> {
        let observer = Arc::clone(&self.observer);
        let tell = move |line: &str| observer.trace(line);
        self.observer.wants_trace().then(|| Arc::new(tell) as _)
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Observer for Output {
    fn step(&self, text: &str) {
        Output::step(self, text);
    }

    fn warn(&self, text: &str) {
        Output::warn(self, text);
    }

    fn trace(&self, line: &str) {
        Output::trace(self, line);
    }

    fn wants_trace(&self) -> bool {
        self.wants(Level::Debug)
    }
}
