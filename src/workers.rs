//! Threads that share work: each takes the next item when it is done with its last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Has so many threads work on `items`, or as many as the system gives, this one alone where one is enough; ends with the last of
/// them. `work` is called once in each thread, with the items that this thread is to take.
pub fn share<T: Send>(
    workers: usize,
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(&mut dyn Iterator<Item = T>) + Sync,
) {
    let items = Mutex::new(items);
    let next = || locked(&items).next();
    let worker = || work(&mut std::iter::from_fn(next));
    if workers <= 1 {
        return worker();
    }
    std::thread::scope(|scope| {
        let start = |_: &usize| Builder::new().spawn_scoped(scope, worker).is_ok();
        // Fewer do where the system gives no more threads.
        if (0..workers).take_while(start).count() == 0 {
            worker();
        }
    });
}

/// What a lock guards. Where a thread has panicked while it held the lock, the others go on: each
/// change of what is guarded is one step.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread::{self, ThreadId};

    /// What each of the items was taken by.
    fn taken(workers: usize) -> Vec<(u32, ThreadId)> {
        let all = Mutex::new(Vec::new());
        share(workers, 0..100, |items| {
            for item in items {
                all.lock().unwrap().push((item, thread::current().id()));
            }
        });
        all.into_inner().unwrap()
    }

    #[test]
    fn every_item_is_taken_once() {
        for workers in [0, 1, 3, 200] {
            let mut items: Vec<u32> = taken(workers).into_iter().map(|(item, _)| item).collect();
            items.sort_unstable();
            assert_eq!(items, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_worker_is_this_thread() {
        let threads: BTreeSet<String> = taken(1).iter().map(|t| format!("{:?}", t.1)).collect();
        assert_eq!(threads, [format!("{:?}", thread::current().id())].into());
    }
}
