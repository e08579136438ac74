//! Lines that are set aside until they are read: a folder may hold a million messages, and memory holds
//! few. The rest is in a file without a name, which ends with the process.

use super::pile::lines;
use crate::delivery::cannot_write;
use crate::files;
use anyhow::Result;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

/// Octets that are held before they are written.
const HELD: usize = 64 << 10;

/// Gives lines back in the order in which they came.
pub struct Aside {
    /// Once there are more than memory is to hold.
    file: Option<File>,
    /// Octets of `file`.
    end: u64,
    /// What follows it.
    held: Vec<u8>,
    count: u64,
    folder: PathBuf,
}

impl Aside {
    /// `folder` is a private folder, in which the file is made.
    pub fn new(folder: &Path) -> Aside {
        Aside {
            file: None,
            end: 0,
            held: Vec::new(),
            count: 0,
            folder: folder.to_owned(),
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes a line, which has no line end.
    pub fn add(&mut self, line: &str) -> Result<()> {
        self.count += 1;
        self.held.extend_from_slice(line.as_bytes());
        self.held.push(b'\n');
        match self.held.len() > HELD {
            true => self.write().map_err(|e| self.cannot(&e)),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(files::nameless(&self.folder)?),
        };
        file.write_all(&self.held)?;
        self.end += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// The lines, each as `read` makes it of the text; `None` is an error.
    pub fn all<T>(&self, read: impl Fn(&str) -> Option<T>) -> impl Iterator<Item = Result<T>> {
        let written = self.file.iter().flat_map(|file| lines(file, 0, self.end));
        written.chain(self.held.lines()).map(move |line| {
            let one = line.and_then(|line| read(&line).ok_or(io::ErrorKind::InvalidData.into()));
            one.map_err(|e| self.cannot(&e))
        })
    }

    fn cannot(&self, err: &io::Error) -> anyhow::Error {
        cannot_write(&self.folder, err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_memory_holds_little() {
        let folder = tempfile::tempdir().unwrap();
        let mut aside = Aside::new(folder.path());
        let line = |n: u32| format!("line {n} {}", "x".repeat(50));
        for n in 0..10_000 {
            aside.add(&line(n)).unwrap();
            assert!(aside.held.capacity() < 4 * HELD);
        }
        assert_eq!(aside.count(), 10_000);
        assert!(aside.end > 0 && !aside.held.is_empty());
        for _ in 0..2 {
            let all = aside.all(|line| Some(line.to_owned()));
            assert_eq!(
                all.map(Result::unwrap).collect::<Vec<_>>(),
                (0..10_000).map(line).collect::<Vec<_>>()
            );
        }
        assert!(aside.all(|_| None::<()>).next().unwrap().is_err());
    }

    #[test]
    fn few_lines_need_no_file() {
        let mut aside = Aside::new(Path::new("/nowhere"));
        aside.add("one").unwrap();
        assert_eq!(
            aside
                .all(|line| Some(line.len()))
                .map(Result::unwrap)
                .sum::<usize>(),
            3
        );
    }
}
