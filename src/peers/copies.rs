//! Messages by copies of them.
//!
//! A message and its copy have the same Message-ID and the same Date: the octets differ, for programs
//! add fields, and Exchange makes a message anew each time that it is asked for one. Where the copy
//! has no Date, its size must be the same. Whatever is alike in part alone is in doubt, and nobody may
//! take it for the message: to deliver one twice is better than to lose one.

use crate::mail::Traits;
use std::hash::{BuildHasher, RandomState};

/// Copies. Of each, 64 bits of what it is recognised by are kept, and as many of its Message-ID:
/// that two of a million have the same by chance is less likely than one in ten million, and the key
/// of the digest is the process's own, so that nobody can write such mail.
#[derive(Default)]
pub struct Copies {
    hasher: RandomState,
    /// Sorted.
    ids: Vec<u64>,
    /// Sorted; one for each copy, so that copies that are alike are here several times.
    keys: Vec<u64>,
    /// At the first of its kind: how many of them were taken.
    taken: Vec<u32>,
    /// Copies that have no Message-ID.
    without_id: u64,
}

/// How a message is like the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// There is a copy of it, see [`Copies::take`].
    Same(u64),
    /// A copy has its Message-ID and another Date, or they lack what would tell.
    InDoubt,
    Unlike,
}

impl Copies {
    /// Adds a copy; `size` is its own as a message of the network, with CRLF at the end of each line,
    /// and is asked for where it has no Date.
    pub fn add<E>(
        &mut self,
        traits: &Traits,
        size: impl FnOnce() -> Result<u64, E>,
    ) -> Result<(), E> {
        if traits.message_id.is_empty() {
            self.without_id += 1;
            return Ok(());
        }
        let size = match traits.sent {
            Some(_) => None,
            None => Some(size()?),
        };
        self.ids.push(self.hasher.hash_one(&traits.message_id));
        self.keys
            .push(self.key(&traits.message_id, traits.sent, size));
        Ok(())
    }

    /// Ends the adding.
    pub fn sorted(mut self) -> Copies {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.keys.sort_unstable();
        self.taken = vec![0; self.keys.len()];
        self
    }

    fn key(&self, message_id: &str, sent: Option<i64>, size: Option<u64>) -> u64 {
        self.hasher.hash_one((message_id, sent, size))
    }

    /// How a message is like them, by what the server tells of it.
    pub fn likeness(&self, traits: &Traits) -> Likeness {
        let id = &traits.message_id;
        if id.is_empty() {
            return match self.without_id {
                0 => Likeness::Unlike,
                _ => Likeness::InDoubt,
            };
        }
        if self.ids.binary_search(&self.hasher.hash_one(id)).is_err() {
            return Likeness::Unlike;
        }
        let size = match traits.sent {
            Some(_) => None,
            None => traits.size,
        };
        let key = self.key(id, traits.sent, size);
        let is_known = (traits.sent.is_some() || size.is_some()) && self.first(key).is_some();
        match is_known {
            true => Likeness::Same(key),
            false => Likeness::InDoubt,
        }
    }

    fn first(&self, key: u64) -> Option<usize> {
        let first = self.keys.partition_point(|other| *other < key);
        (self.keys.get(first) == Some(&key)).then_some(first)
    }

    /// Takes a copy for one message; false where there is none left.
    pub fn take(&mut self, key: u64) -> bool {
        let Some(first) = self.first(key) else {
            return false;
        };
        let next = first + self.taken[first] as usize;
        let is_left = self.keys.get(next) == Some(&key);
        self.taken[first] += u32::from(is_left);
        is_left
    }

    /// How many copies were taken for no message, of those that have a Message-ID.
    pub fn left(&self) -> u64 {
        let taken: u64 = self.taken.iter().map(|n| u64::from(*n)).sum();
        self.keys.len() as u64 - taken
    }

    pub fn without_id(&self) -> u64 {
        self.without_id
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn traits(id: &str, sent: Option<i64>, size: u64) -> Traits {
        Traits {
            message_id: id.into(),
            sent,
            size: Some(size),
            ..Traits::default()
        }
    }

    fn copies(all: &[Traits]) -> Copies {
        let mut copies = Copies::default();
        for one in all {
            let size = || Ok::<_, ()>(one.size.unwrap());
            copies.add(one, size).unwrap();
        }
        copies.sorted()
    }

    #[test]
    fn the_message_id_and_the_date_tell_a_message() {
        let mut copies = copies(&[
            traits("1@x", Some(5), 100),
            traits("2@x", None, 100),
            traits("", Some(5), 100),
        ]);
        let same = |likeness| matches!(likeness, Likeness::Same(_));
        // Fields were added to the copy, or taken from it.
        assert!(same(copies.likeness(&traits("1@x", Some(5), 90))));
        assert!(same(copies.likeness(&traits("2@x", None, 100))));
        for doubtful in [
            traits("1@x", Some(6), 100),
            traits("1@x", None, 100),
            traits("2@x", Some(5), 100),
            traits("2@x", None, 101),
            Traits {
                size: None,
                ..traits("2@x", None, 0)
            },
            traits("", Some(5), 100),
        ] {
            assert_eq!(
                copies.likeness(&doubtful),
                Likeness::InDoubt,
                "{doubtful:?}"
            );
        }
        let other = traits("3@x", Some(5), 100);
        assert_eq!(copies.likeness(&other), Likeness::Unlike);
        assert_eq!((copies.left(), copies.without_id()), (2, 1));
        let Likeness::Same(key) = copies.likeness(&traits("1@x", Some(5), 1)) else {
            panic!("it is known");
        };
        assert!(copies.take(key) && !copies.take(key));
        assert_eq!(copies.left(), 1);
    }

    proptest! {
        /// Each copy is one message, in whatever order they come.
        #[test]
        fn as_many_are_taken_as_there_are(ids in proptest::collection::vec(0..5u8, 0..40), asked in proptest::collection::vec(0..6u8, 0..60)) {
            let of = |id: &u8| traits(&id.to_string(), Some(1), 1);
            let all: Vec<Traits> = ids.iter().map(of).collect();
            let mut copies = copies(&all);
            let mut taken = [0; 6];
            for id in &asked {
                if let Likeness::Same(key) = copies.likeness(&of(id)) {
                    taken[usize::from(*id)] += usize::from(copies.take(key));
                }
            }
            for id in 0..6u8 {
                let count = |all: &[u8]| all.iter().filter(|other| **other == id).count();
                prop_assert_eq!(taken[usize::from(id)], count(&ids).min(count(&asked)));
            }
            let total: usize = taken.iter().sum();
            prop_assert_eq!(copies.left(), (ids.len() - total) as u64);
        }
    }
}
