//! A campaign: one promise, put to the test by one kind of fault at many places.
//!
//! `cargo test` takes a sample of the places, spread evenly and not always the same one.
//! `QUEUEMAIL_SOAK` (`make soak`) takes each of them, as many as fit in so many seconds for each
//! campaign. What was done is counted and printed.

use std::time::{Duration, Instant};

/// Whether campaigns are to be whole.
pub fn whole() -> bool {
    std::env::var_os("QUEUEMAIL_SOAK").is_some()
}

/// How long a campaign goes on at most.
pub fn longest() -> Duration {
    let seconds = std::env::var("QUEUEMAIL_SOAK").unwrap_or_default();
    let seconds = seconds.parse().ok().filter(|seconds| *seconds > 1);
    Duration::from_secs(seconds.unwrap_or(60))
}

pub struct Campaign {
    story: String,
    began: Instant,
    faults: usize,
    places: usize,
}

impl Campaign {
    pub fn new(story: impl Into<String>) -> Campaign {
        Campaign {
            story: story.into(),
            began: Instant::now(),
            faults: 0,
            places: 0,
        }
    }

    /// The places to be tried: all of them in a whole campaign, else `sample` of them. They come
    /// in an order that has them spread evenly wherever it is ended.
    pub fn some_of<'a, T>(
        &mut self,
        places: &'a [T],
        sample: usize,
    ) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let count = places.len();
        self.places += count;
        let taken = if whole() { count } else { sample.min(count) };
        let end = self.began + longest();
        // A step near the golden section of the count, prime to it, spreads any number of places.
        let mut step = (count * 377 / 610).max(1);
        while greatest_common_divisor(step, count) > 1 {
            step += 1;
        }
        let first = std::process::id() as usize;
        (0..taken)
            .take_while(move |_| Instant::now() < end)
            .map(move |n| &places[(first + n * step) % count])
    }

    /// Counts a fault that took place.
    pub fn fault(&mut self) {
        self.faults += 1;
    }

    /// Says what was done; at least so many faults must have taken place.
    #[track_caller]
    pub fn end(self, least: usize) {
        println!(
            "campaign: {}: {} faults at {} places, 0 lost, 0 twice, {:.0} s",
            self.story,
            self.faults,
            self.places,
            self.began.elapsed().as_secs_f64()
        );
        assert!(
            self.faults >= least,
            "{}: only {} faults took place",
            self.story,
            self.faults
        );
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        return a;
    }
    greatest_common_divisor(b, a % b)
}
