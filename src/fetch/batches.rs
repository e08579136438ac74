//! Messages on their way from the wire to the disk, in batches: while one is made durable, the next
//! one gathers.
//!
//! Who takes batches is woken for the first message of one, and then when it is complete or due: to
//! be woken for each would take as long as to store it.

use super::identity::Identity;
use crate::mail::RemoteId;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A batch is complete when it holds so many messages …
const MESSAGES: usize = 500;
/// … where its record is a file, and so many where a server far away keeps it …
const FAR_MESSAGES: usize = 1000;
/// … or octets …
const OCTETS: u64 = 16 << 20;
/// … and due when its first message has waited so long.
const WAIT: Duration = Duration::from_millis(500);

/// A message in a file of its own, not yet durable.
#[derive(Debug)]
pub struct Staged {
    pub id: RemoteId,
    pub path: PathBuf,
    pub size: u64,
    /// Of its octets as the server gave them.
    pub sha256: [u8; 32],
    pub identity: Identity,
}

/// What one thread puts in and another takes out.
pub struct Batches {
    /// So many messages are a batch at most, and so many may wait to be taken.
    room: usize,
    waiting: Mutex<Waiting>,
    /// A batch has begun, or is complete.
    arrived: Condvar,
    /// There is room again.
    taken: Condvar,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Staged>,
    octets: u64,
    /// So many are the batch that is asked for.
    most: usize,
    /// Nothing more is put in.
    ended: bool,
    /// Nothing more is taken out.
    stopped: bool,
}

impl Waiting {
    fn is_complete(&self) -> bool {
        self.ended || self.messages.len() >= self.most || self.octets >= OCTETS
    }

    /// Takes out as many messages as a batch has, and no more once they have enough octets.
    fn batch(&mut self) -> Vec<Staged> {
        let (mut count, mut octets) = (0, 0);
        for message in self.messages.iter().take(self.most) {
            count += 1;
            octets += message.size;
            if octets >= OCTETS {
                break;
            }
        }
        self.octets -= octets;
        self.messages.drain(..count).collect()
    }
}

impl Batches {
    /// For a state that hosts share, or not.
    pub fn of(is_shared: bool) -> Batches {
        Batches {
            room: match is_shared {
                true => FAR_MESSAGES,
                false => MESSAGES,
            },
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    /// The two ends, for a thread each. When one is dropped, the other one hears of it.
    pub fn ends(&self) -> (Entry<'_>, Exit<'_>) {
        (Entry(self), Exit(self))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        whole(self.waiting.lock())
    }
}

/// Where messages are put in.
pub struct Entry<'a>(&'a Batches);

impl Entry<'_> {
    /// Puts a message in, when there is room; gives it back where nobody takes it any more.
    pub fn put(&self, message: Staged) -> Option<Staged> {
        let Batches { room, taken, .. } = self.0;
        let is_full = |waiting: &mut Waiting| !waiting.stopped && waiting.messages.len() >= *room;
        let mut waiting = whole(taken.wait_while(self.0.waiting(), is_full));
        if waiting.stopped {
            return Some(message);
        }
        let begins = waiting.messages.is_empty();
        let was_complete = waiting.is_complete();
        waiting.octets += message.size;
        waiting.messages.push_back(message);
        if begins || !was_complete && waiting.is_complete() {
            self.0.arrived.notify_one();
        }
        None
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.waiting().ended = true;
        self.0.arrived.notify_one();
    }
}

/// Where batches are taken out.
pub struct Exit<'a>(&'a Batches);

impl Exit<'_> {
    /// Takes the next batch out, once it is complete or due; `None` at the end. `most`: so many
    /// messages may be delivered now before one is recorded.
    pub fn batch(&self, most: usize) -> Option<Vec<Staged>> {
        let Batches { room, arrived, .. } = self.0;
        let is_empty = |waiting: &mut Waiting| !waiting.ended && waiting.messages.is_empty();
        let mut waiting = self.0.waiting();
        waiting.most = most.clamp(1, *room);
        let waiting = whole(arrived.wait_while(waiting, is_empty));
        let grows = |waiting: &mut Waiting| !waiting.is_complete();
        let mut waiting = whole(arrived.wait_timeout_while(waiting, WAIT, grows)).0;
        let batch = waiting.batch();
        self.0.taken.notify_one();
        (!batch.is_empty()).then_some(batch)
    }
}

impl Drop for Exit<'_> {
    fn drop(&mut self) {
        self.0.waiting().stopped = true;
        self.0.taken.notify_one();
    }
}

/// A thread that panicked while it held the messages left them whole.
fn whole<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn message(number: u32, size: u64) -> Staged {
        Staged {
            id: RemoteId::from(number),
            path: PathBuf::new(),
            size,
            sha256: [0; 32],
            identity: Identity::default(),
        }
    }

    /// The sizes of the batches that messages of these sizes come in.
    fn batches(most: usize, sizes: &[u64]) -> Vec<usize> {
        let batches = Batches::of(false);
        let (entry, exit) = batches.ends();
        thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut next = 0;
                let mut lengths = Vec::new();
                while let Some(batch) = exit.batch(most) {
                    lengths.push(batch.len());
                    for staged in batch {
                        assert_eq!(staged.id, RemoteId::from(next), "in their order");
                        next += 1;
                    }
                }
                lengths
            });
            for (number, size) in (0..).zip(sizes) {
                assert!(entry.put(message(number, *size)).is_none());
            }
            drop(entry);
            taker.join().unwrap()
        })
    }

    #[test]
    fn a_batch_is_complete_by_number_or_octets_or_at_the_end() {
        assert_eq!(batches(1, &[1; 3]), [1, 1, 1]);
        let lengths = batches(usize::MAX, &[1; 4500]);
        assert_eq!(lengths.iter().sum::<usize>(), 4500);
        assert!(lengths.iter().all(|length| *length <= MESSAGES));
        assert_eq!(batches(10, &[OCTETS, 1, OCTETS - 1, 3]), [1, 2, 1]);
        assert_eq!(batches(10, &[]), [0; 0]);
    }

    /// A delivery that takes one message at first takes several once it took that one.
    #[test]
    fn each_batch_is_as_large_as_is_asked_for() {
        let batches = Batches::of(false);
        let (entry, exit) = batches.ends();
        for number in 0..17 {
            assert!(entry.put(message(number, 1)).is_none());
        }
        drop(entry);
        for (most, length) in [(1, 1), (8, 8), (0, 1), (8, 7)] {
            assert_eq!(exit.batch(most).map(|batch| batch.len()), Some(length));
        }
        assert!(exit.batch(8).is_none());
    }

    #[test]
    fn a_batch_that_does_not_grow_is_due() {
        let batches = Batches::of(true);
        let (entry, exit) = batches.ends();
        thread::scope(|scope| {
            let taker = scope.spawn(|| (exit.batch(10), exit.batch(10)));
            assert!(entry.put(message(0, 1)).is_none());
            assert!(entry.put(message(1, 1)).is_none());
            thread::sleep(WAIT * 2);
            assert!(entry.put(message(2, 1)).is_none());
            drop(entry);
            let (first, second) = taker.join().unwrap();
            assert_eq!(first.map(|batch| batch.len()), Some(2));
            assert_eq!(second.map(|batch| batch.len()), Some(1));
        });
    }

    #[test]
    fn who_puts_in_waits_for_room_and_hears_that_nobody_takes() {
        let batches = Batches::of(true);
        let (entry, exit) = batches.ends();
        thread::scope(|scope| {
            let putter =
                scope.spawn(move || (0..).find_map(|number| entry.put(message(number, 1))));
            while batches.waiting().messages.len() < FAR_MESSAGES {
                thread::yield_now();
            }
            assert_eq!(exit.batch(10).map(|batch| batch.len()), Some(10));
            drop(exit);
            let refused = putter.join().unwrap().map(|staged| staged.id);
            assert!(refused >= Some(RemoteId::from(FAR_MESSAGES as u32)));
        });
    }
}
