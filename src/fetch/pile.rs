//! Ids of messages, put in order in bounded memory.
//!
//! A folder may hold a million messages, and an id of Graph takes some hundred octets. Ids that are
//! numbers (IMAP's) stay in memory, four octets each. Of those that are texts (Graph's) only [`HELD`]
//! octets do: what is more goes in sorted parts into a file without a name, which ends with the
//! process.

use crate::delivery::cannot_write;
use crate::files;
use crate::mail::{Listed, RemoteId};
use anyhow::Result;
use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, Serializer};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Octets of texts that are held in memory; a folder of 10,000 messages of Graph fits.
const HELD: usize = 4 << 20;
/// Octets that are read at once of each sorted part.
const READ: usize = 16 << 10;

/// Takes ids in any order.
pub struct Pile {
    /// Where files may be made.
    folder: PathBuf,
    numbers: Vec<u32>,
    lines: Vec<Line>,
    /// Octets of `lines`.
    octets: usize,
    /// At most so many octets are held.
    held: usize,
    /// The sorted parts, and where each ends.
    parts: Option<(File, Vec<u64>)>,
}

/// A message whose id is a text, in one string: when it was received, a tab, its id. Neither holds
/// a tab or a line end, so that lines sort by time, then by id.
struct Line(String);

impl Line {
    fn received(&self) -> &str {
        self.0.split_once('\t').map_or("", |(received, _)| received)
    }

    fn id(&self) -> &str {
        self.0.split_once('\t').map_or(&self.0, |(_, id)| id)
    }
}

impl Pile {
    /// `folder` is a private folder.
    pub fn new(folder: &Path) -> Pile {
        Pile {
            folder: folder.to_owned(),
            numbers: Vec::new(),
            lines: Vec::new(),
            octets: 0,
            held: HELD,
            parts: None,
        }
    }

    /// Adds a message that need not be new to the pile.
    ///
    /// # Errors
    /// `CannotWrite` where the folder cannot take what memory is not to hold.
    pub fn add(&mut self, message: Listed) -> Result<()> {
        if let Some(number) = message.id.as_number() {
            self.numbers.push(number);
        } else if let Some(text) = message.id.as_text() {
            let line = [&message.received, "\t", text].concat();
            self.octets += line.len();
            self.lines.push(Line(line));
        }
        if self.octets > self.held {
            self.spill().map_err(|e| cannot_write(&self.folder, &e))?;
        }
        Ok(())
    }

    /// Writes what is held behind the other parts.
    fn spill(&mut self) -> io::Result<()> {
        self.lines.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (file, ends) = match &mut self.parts {
            Some(parts) => parts,
            parts => parts.insert((files::nameless(&self.folder)?, Vec::new())),
        };
        let mut end = ends.last().copied().unwrap_or(0);
        let mut writer = BufWriter::new(&*file);
        for Line(line) in self.lines.drain(..) {
            writeln!(writer, "{line}")?;
            end += line.len() as u64 + 1;
        }
        writer.flush()?;
        ends.push(end);
        self.octets = 0;
        Ok(())
    }

    /// The messages in order, each once: numbers ascend, texts come by their time.
    ///
    /// # Errors
    /// `CannotWrite` as of [`Pile::add`].
    pub fn sort(mut self) -> Result<Sorted> {
        self.numbers.sort_unstable();
        self.numbers.dedup();
        if self.parts.is_none() {
            let mut seen = HashSet::new();
            let new: Vec<bool> = self.lines.iter().map(|l| seen.insert(l.id())).collect();
            let mut new = new.into_iter();
            self.lines.retain(|_| new.next() != Some(false));
            // Those of one time stay as they came.
            self.lines.sort_by(|a, b| a.received().cmp(b.received()));
            return Ok(Sorted::new(self.numbers, Ids::Held(self.lines)));
        }
        let folder = self.folder.clone();
        let merged = self.spill().and_then(|()| self.merge());
        let (file, count) = merged.map_err(|e| cannot_write(&folder, &e))?;
        Ok(Sorted::new(
            self.numbers,
            Ids::Filed {
                file,
                count,
                folder,
            },
        ))
    }

    /// Merges the parts into one; gives its number of lines, too.
    fn merge(&mut self) -> io::Result<(File, u64)> {
        let merged = files::nameless(&self.folder)?;
        let mut writer = BufWriter::new(&merged);
        let mut count = 0;
        if let Some((file, ends)) = &self.parts {
            let starts = std::iter::once(&0).chain(ends);
            let mut parts: Vec<_> = starts
                .zip(ends)
                .map(|(&at, &end)| lines(file, at, end))
                .collect();
            let mut heads = BinaryHeap::new();
            for (n, part) in parts.iter_mut().enumerate() {
                heads.extend(part.next().transpose()?.map(|line| Reverse((line, n))));
            }
            let mut last = String::new();
            while let Some(Reverse((line, n))) = heads.pop() {
                heads.extend(parts[n].next().transpose()?.map(|line| Reverse((line, n))));
                if line != last {
                    writeln!(writer, "{line}")?;
                    count += 1;
                    last = line;
                }
            }
        }
        writer.flush()?;
        drop(writer);
        Ok((merged, count))
    }
}

/// The lines of a file from one place to another, whoever else reads it.
pub fn lines(file: &File, at: u64, end: u64) -> impl Iterator<Item = io::Result<String>> {
    BufReader::with_capacity(READ, Part { file, at, end }).lines()
}

struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let octets = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += octets as u64;
        Ok(octets)
    }
}

/// Ids in order, to be read as often as need be.
pub struct Sorted {
    numbers: Vec<u32>,
    ids: Ids,
    /// So many of them count.
    count: u64,
}

enum Ids {
    Held(Vec<Line>),
    Filed {
        file: File,
        count: u64,
        /// For what an error says.
        folder: PathBuf,
    },
}

impl Sorted {
    fn new(numbers: Vec<u32>, ids: Ids) -> Sorted {
        let texts = match &ids {
            Ids::Held(lines) => lines.len() as u64,
            Ids::Filed { count, .. } => *count,
        };
        Sorted {
            count: numbers.len() as u64 + texts,
            numbers,
            ids,
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether they ascend, see [`RemoteId::ascends`].
    pub fn ascend(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Whether a message that was listed under two times may be here twice: so much more would
    /// have to be held to tell.
    pub fn may_repeat(&self) -> bool {
        matches!(self.ids, Ids::Filed { .. })
    }

    /// Keeps the first ones.
    pub fn truncate(&mut self, most: u64) {
        self.count = self.count.min(most);
    }

    /// All of them, at most `most` at a time.
    pub fn pages(&self, most: usize) -> impl Iterator<Item = Result<Vec<RemoteId>>> {
        let mut all = self.all();
        std::iter::from_fn(move || {
            let page: Result<Vec<RemoteId>> = all.by_ref().take(most.max(1)).collect();
            match page {
                Ok(page) if page.is_empty() => None,
                page => Some(page),
            }
        })
    }

    fn all(&self) -> impl Iterator<Item = Result<RemoteId>> {
        let numbers = self
            .numbers
            .iter()
            .map(|number| Ok(RemoteId::from(*number)));
        let texts: Box<dyn Iterator<Item = Result<RemoteId>>> = match &self.ids {
            Ids::Held(lines) => {
                Box::new(lines.iter().map(|l| Ok(RemoteId::from(l.id().to_owned()))))
            }
            Ids::Filed { file, folder, .. } => {
                Box::new(lines(file, 0, u64::MAX).map(move |line| match line {
                    Ok(line) => Ok(RemoteId::from(Line(line).id().to_owned())),
                    Err(e) => Err(cannot_write(folder, &e)),
                }))
            }
        };
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        numbers.chain(texts).take(count)
    }
}

/// Each is written as it is read.
impl Serialize for Sorted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(usize::try_from(self.count).ok())?;
        for id in self.all() {
            list.serialize_element(&id.map_err(S::Error::custom)?.to_string())?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(messages: &[(&str, String)], held: usize) -> Sorted {
        let mut pile = Pile::new(Path::new("."));
        pile.held = held;
        for (received, id) in messages {
            let received = (*received).to_owned();
            let id = RemoteId::from(id.clone());
            let traits = None;
            pile.add(Listed {
                id,
                received,
                traits,
            })
            .unwrap();
        }
        pile.sort().unwrap()
    }

    fn ids(sorted: &Sorted, page: usize) -> Vec<String> {
        let pages: Vec<_> = sorted.pages(page).collect::<Result<_>>().unwrap();
        assert!(pages.iter().all(|p| (1..=page).contains(&p.len())));
        pages.concat().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_ascend_each_once() {
        let mut pile = Pile::new(Path::new("."));
        for uid in [7, 3, 3, 9, 1] {
            pile.add(RemoteId::from(uid).into()).unwrap();
        }
        let mut sorted = pile.sort().unwrap();
        assert!(sorted.ascend() && sorted.count() == 4);
        assert_eq!(ids(&sorted, 3), ["1", "3", "7", "9"]);
        sorted.truncate(2);
        assert_eq!((sorted.count(), ids(&sorted, 9).len()), (2, 2));
    }

    #[test]
    fn those_of_one_time_stay_as_they_came() {
        let messages = ["c", "a", "b", "a"].map(|id| ("2026", id.to_owned()));
        assert_eq!(ids(&sorted(&messages, 1000), 9), ["c", "a", "b"]);
        assert!(ids(&sorted(&[], 1000), 9).is_empty());
    }

    proptest! {
        /// Whether they are held or not.
        #[test]
        fn they_come_by_their_time(times in proptest::collection::vec(0u32..50, 0..200), held in 0usize..2000) {
            let messages: Vec<_> = times
                .iter()
                .map(|t| (["", "2025", "2026"][*t as usize % 3], format!("id{t}")))
                .collect();
            let mut expected: Vec<_> = messages.iter().map(|(t, id)| (*t, id.clone())).collect();
            expected.sort();
            expected.dedup();
            let found = sorted(&messages, held);
            prop_assert_eq!(found.count(), expected.len() as u64);
            let found = ids(&found, 17);
            let time = |id: &String| expected.iter().find(|(_, i)| i == id).unwrap().0;
            prop_assert!(found.windows(2).all(|w| time(&w[0]) <= time(&w[1])));
            let (mut found, mut all) = (found, expected.into_iter().map(|e| e.1).collect::<Vec<_>>());
            found.sort();
            all.sort();
            prop_assert_eq!(found, all);
        }
    }
}
