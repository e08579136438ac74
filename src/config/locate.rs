//! Where in the text a value or key stands, found by the same parser that read it.
//!
//! A walk along the path ends in a deliberate error, to which serde_yaml attaches the mark of
//! what it was reading. So a position never disagrees with what was understood.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One step into the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Item(usize),
}

/// What is looked for at the end of a path.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The value there.
    Value,
    /// The key of the last step, in its n-th occurrence (from 0).
    Key(usize),
}

/// The line and column (from 1, columns in characters) of a part of the document.
pub fn locate(text: &str, path: &[Step], part: Part) -> Option<(usize, usize)> {
    let walk = Walk { path, part };
    let err = walk
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    if !err.to_string().contains(FOUND) {
        return None;
    }
    err.location().map(|l| (l.line(), l.column()))
}

/// The line and column (from 1) of what follows this part of a text.
pub fn place_after(before: &str) -> (usize, usize) {
    let line = before.rfind('\n').map_or(0, |n| n + 1);
    (
        before.matches('\n').count() + 1,
        before[line..].chars().count() + 1,
    )
}

/// The steps of a path as serde_yaml writes it, like `queues[0].addresses[1].server`.
pub fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split(['.', '[']).filter(|p| !p.is_empty()) {
        match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => steps.push(Step::Item(index)),
            _ => steps.push(Step::Key(part.to_owned())),
        }
    }
    steps
}

const FOUND: &str = "queuemail found what it looked for";

struct Walk<'p> {
    path: &'p [Step],
    part: Part,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            de.deserialize_any(Stop)
        } else {
            de.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step of the path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.path.split_first() else {
            return Err(A::Error::custom("a mapping"));
        };
        let mut left = match self.part {
            Part::Key(nth) if rest.is_empty() => Some(nth),
            _ => None,
        };
        while let Some(hit) = map.next_key_seed(KeySeed {
            wanted,
            left: &mut left,
        })? {
            if hit && left.is_none() {
                return map.next_value_seed(Walk {
                    path: rest,
                    part: self.part,
                });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.path.split_first() else {
            return Err(A::Error::custom("a list"));
        };
        for _ in 0..*wanted {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        list.next_element_seed(Walk {
            path: rest,
            part: self.part,
        })
        .map(|_| ())
    }
}

/// Reads a key: true if it is the wanted one. `left` counts the occurrences to pass by before
/// the key itself is what is looked for; `None` where its value is.
struct KeySeed<'k> {
    wanted: &'k str,
    left: &'k mut Option<usize>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<bool, D::Error> {
        de.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        if key != self.wanted {
            return Ok(false);
        }
        match self.left {
            Some(0) => Err(E::custom(FOUND)),
            Some(n) => {
                *n -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }
}

/// Takes nothing, so that whatever comes is an error that carries its mark.
struct Stop;

impl Visitor<'_> for Stop {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: 1\nqueues:\n  - name: ä\n    name: b\n    addresses:\n      - { ü: x, server: No }\n";

    #[test]
    fn values_and_keys_are_found_where_they_stand() {
        let at = |path: &str, part| locate(TEXT, &steps(path), part);
        assert_eq!(at("version", Part::Value), Some((1, 10)));
        assert_eq!(at("queues[0].name", Part::Value), Some((3, 11)));
        assert_eq!(at("queues[0].name", Part::Key(0)), Some((3, 5)));
        assert_eq!(at("queues[0].name", Part::Key(1)), Some((4, 5)));
        // Columns count characters, not bytes.
        assert_eq!(
            at("queues[0].addresses[0].server", Part::Value),
            Some((6, 25))
        );
        assert_eq!(at("queues[0]", Part::Value), Some((3, 5)));
    }

    #[test]
    fn what_is_not_there_has_no_place() {
        for path in ["nothing", "queues[7]", "version.x", "queues.name"] {
            assert_eq!(locate(TEXT, &steps(path), Part::Value), None, "{path}");
        }
    }
}
