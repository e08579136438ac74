//! UID sets (RFC 3501 §9, `sequence-set`) in their shortest form, cut to what a line holds.

use std::fmt::Write;
use std::ops::Range;

/// The longest set in one command, in octets: with its command it stays below 8 KB.
const LONGEST: usize = 7000;

/// Cuts ascending, distinct UIDs into sets of at most `most` messages. Each part is the range of
/// positions in `uids` that it covers, and its text.
pub fn sets(uids: &[u32], most: usize) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < uids.len() {
        let mut text = String::new();
        let mut at = start;
        while at < uids.len() && at - start < most.max(1) && text.len() < LONGEST - 24 {
            let room = start.saturating_add(most.max(1)).min(uids.len());
            let first = uids[at];
            let mut last = first;
            at += 1;
            while at < room && Some(uids[at]) == last.checked_add(1) {
                last = uids[at];
                at += 1;
            }
            if !text.is_empty() {
                text.push(',');
            }
            // Writing to a string cannot fail.
            let _ = if first == last {
                write!(text, "{first}")
            } else {
                write!(text, "{first}:{last}")
            };
        }
        found.push((start..at, text));
        start = at;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(
            sets(&[1, 2, 3, 5, 7, 8], 100),
            vec![(0..6, "1:3,5,7:8".to_owned())]
        );
        assert_eq!(
            sets(&[1, 2, 3, 4], 3),
            vec![(0..3, "1:3".to_owned()), (3..4, "4".to_owned())]
        );
        assert_eq!(sets(&[u32::MAX], 1), vec![(0..1, u32::MAX.to_string())]);
        assert!(sets(&[], 10).is_empty());
    }

    proptest! {
        #[test]
        fn sets_hold_each_uid_once_and_fit_a_line(
            uids in proptest::collection::btree_set(1u32..1_000_000, 0..3000),
            most in prop_oneof![1usize..2000, Just(usize::MAX)],
        ) {
            let uids: Vec<u32> = uids.into_iter().collect();
            let mut back = Vec::new();
            for (range, text) in sets(&uids, most) {
                prop_assert!(text.len() <= LONGEST && range.len() <= most);
                let before = back.len();
                for part in text.split(',') {
                    let (a, b) = part.split_once(':').unwrap_or((part, part));
                    back.extend(a.parse::<u32>().unwrap()..=b.parse::<u32>().unwrap());
                }
                prop_assert_eq!(&back[before..], &uids[range]);
            }
            prop_assert_eq!(back, uids);
        }
    }
}
