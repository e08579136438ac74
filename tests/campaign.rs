//! A campaign: one promise, put to the test by one kind of fault at many places.
//!
//! `cargo test` takes a sample of the places, spread evenly: always the same one, so that what
//! passes here passes elsewhere. `QUEUEMAIL_SOAK` (`make soak`) takes each of them in another order
//! each time, as many as fit in so many seconds for each campaign. What was done is counted and
//! printed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Whether campaigns are to be whole.
pub fn whole() -> bool {
    std::env::var_os("QUEUEMAIL_SOAK").is_some()
}

/// A number that differs from one whole campaign to the next; a sample is always the same.
pub fn seed() -> usize {
    if whole() {
        std::process::id() as usize
    } else {
        0
    }
}

/// How long a whole campaign goes on at most. A sample is not ended by the time: on a slow machine
/// it would be smaller.
pub fn longest() -> Duration {
    let seconds = std::env::var("QUEUEMAIL_SOAK").unwrap_or_default();
    let seconds = seconds.parse().ok().filter(|seconds| *seconds > 1);
    Duration::from_secs(seconds.unwrap_or(60))
}

pub struct Campaign {
    story: String,
    began: Instant,
    faults: Rc<Cell<usize>>,
    places: usize,
}

impl Campaign {
    pub fn new(story: impl Into<String>) -> Campaign {
        Campaign {
            story: story.into(),
            began: Instant::now(),
            faults: Rc::default(),
            places: 0,
        }
    }

    /// The places to be tried: all of them in a whole campaign, else `sample` of them, and further
    /// ones until half as many faults took place: threads take turns, so a run need not come to a
    /// place that another came to. They come in an order that has them spread evenly wherever it is
    /// ended.
    pub fn some_of<'a, T>(
        &mut self,
        places: &'a [T],
        sample: usize,
    ) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let count = places.len();
        self.places += count;
        let sample = if whole() { count } else { sample.min(count) };
        let faults = Rc::clone(&self.faults);
        let end = whole().then(|| self.began + longest());
        // A step near the golden section of the count, prime to it, spreads any number of places.
        let mut step = (count * 377 / 610).max(1);
        while greatest_common_divisor(step, count) > 1 {
            step += 1;
        }
        let first = seed();
        (0..count)
            .take_while(move |n| *n < sample || 2 * faults.get() < sample)
            .take_while(move |_| end.is_none_or(|end| Instant::now() < end))
            .map(move |n| &places[(first + n * step) % count])
    }

    /// Tries some of the places, four at the same time: for what mostly waits. `once` says whether
    /// its fault took place.
    pub fn together<T: Sync>(
        &mut self,
        places: &[T],
        sample: usize,
        once: impl Fn(&T) -> bool + Sync,
    ) {
        let mut chosen = self.some_of(places, sample);
        let once = &once;
        loop {
            let group: Vec<&T> = chosen.by_ref().take(4).collect();
            if group.is_empty() {
                return;
            }
            let struck = std::thread::scope(|scope| {
                let tries: Vec<_> = group
                    .into_iter()
                    .map(|place| scope.spawn(move || once(place)))
                    .collect();
                tries
                    .into_iter()
                    .map(|one| one.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
                    .filter(|took_place| *took_place)
                    .count()
            });
            (0..struck).for_each(|_| self.fault());
        }
    }

    /// Counts a fault that took place.
    pub fn fault(&mut self) {
        self.faults.set(self.faults.get() + 1);
    }

    /// Says what was done; at least so many faults must have taken place.
    #[track_caller]
    pub fn end(self, least: usize) {
        let faults = self.faults.get();
        println!(
            "campaign: {}: {} faults at {} places, 0 lost, 0 twice, {:.0} s",
            self.story,
            faults,
            self.places,
            self.began.elapsed().as_secs_f64()
        );
        assert!(
            faults >= least,
            "{}: only {faults} faults took place",
            self.story
        );
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        return a;
    }
    greatest_common_divisor(b, a % b)
}
