//! Where messages come from: standard input, files, a Maildir, an mbox file; each bounded.

use crate::fault::Fault;
use crate::means::Observer;
use crate::wording::counted;
use anyhow::Result;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Octets of the largest message that is read: above the 150 MiB of Exchange's transport.
const MAX_MESSAGE: u64 = 200 << 20;

/// A message, or why it cannot be read, and how to name it.
pub struct Input {
    /// `None` for standard input.
    pub name: Option<String>,
    pub octets: Result<Vec<u8>>,
}

/// The messages that are to be read, each when it is its turn.
pub type Inputs<'a> = Box<dyn Iterator<Item = Input> + Send + 'a>;

/// A message that is there already.
pub fn one<'a>(octets: Vec<u8>) -> Inputs<'a> {
    Box::new(std::iter::once(Input {
        name: None,
        octets: Ok(octets),
    }))
}

/// True for `-`, which is standard input. A file of that name is `./-`.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Where messages are to be read from; from standard input where nothing is named.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    pub files: &'a [PathBuf],
    pub maildirs: &'a [PathBuf],
    pub mboxes: &'a [PathBuf],
    /// A line with a single dot does not end a message on standard input.
    pub ignore_dots: bool,
}

/// The messages of these sources, and about how many they are: read one at a time, when it is
/// their turn.
pub fn inputs<'a>(sources: Sources<'_>, observer: &'a dyn Observer) -> Result<(usize, Inputs<'a>)> {
    let mut paths: Vec<PathBuf> = sources.files.to_vec();
    for folder in sources.maildirs {
        paths.extend(maildir(folder)?);
    }
    if paths.is_empty() && sources.mboxes.is_empty() && sources.maildirs.is_empty() {
        paths.push("-".into());
    }
    let of_stdin = |paths: &[PathBuf]| paths.iter().filter(|path| is_stdin(path)).count();
    if of_stdin(&paths) + of_stdin(sources.mboxes) > 1 {
        return Err(Fault::usage("standard input can be read only once").into());
    }
    for path in paths.iter().filter(|path| !is_stdin(path)) {
        check(path).map_err(|e| cannot_read(path, &e))?;
    }
    let ignore_dots = sources.ignore_dots;
    let from_paths = paths.into_iter().map(move |path| match is_stdin(&path) {
        true => Input {
            name: None,
            octets: from_stdin(ignore_dots, observer),
        },
        false => Input {
            octets: read_file(&path),
            name: Some(path.display().to_string()),
        },
    });
    let mut about = from_paths.len();
    let mut mboxes: Vec<Mbox<Box<dyn BufRead + Send>>> = Vec::new();
    for path in sources.mboxes {
        if is_stdin(path) {
            let name = Path::new("standard input");
            mboxes.push(Mbox::new(name, Box::new(BufReader::new(io::stdin()))));
            about += 1;
            continue;
        }
        let file = File::open(path).map_err(|e| cannot_read(path, &e))?;
        // A message of 4 KiB is a common one.
        about += usize::try_from(file.metadata().map_or(0, |m| m.len()) / 4096).unwrap_or(0) + 1;
        mboxes.push(Mbox::new(path, Box::new(BufReader::new(file))));
    }
    Ok((
        about,
        Box::new(from_paths.chain(mboxes.into_iter().flatten())),
    ))
}

fn cannot_read(path: &Path, err: &io::Error) -> anyhow::Error {
    let fault = Fault::usage(format!("cannot read `{}`: {err}", path.display()));
    let fault = match err.kind() {
        ErrorKind::IsADirectory => fault.hint("the messages of a Maildir: --maildir FOLDER"),
        _ => fault,
    };
    fault.by_system(err).into()
}

/// Finds out whether a message can be read, before the first one is sent.
fn check(path: &Path) -> io::Result<()> {
    let about = std::fs::metadata(path)?;
    match about.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        // Whoever writes to a FIFO would notice.
        false if !about.is_file() => Ok(()),
        false => File::open(path).map(drop),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    File::open(path)
        .and_then(bounded)
        .map_err(|e| cannot_read(path, &e))
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    from.take(MAX_MESSAGE + 1).read_to_end(&mut octets)?;
    match octets.len() as u64 > MAX_MESSAGE {
        true => Err(too_large()),
        false => Ok(octets),
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!("more than {MAX_MESSAGE} bytes"))
}

/// The messages of a Maildir, new ones and seen ones, in the order of their names, which begin
/// with the time of their delivery.
fn maildir(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in ["new", "cur"] {
        let part = folder.join(name);
        let entries = std::fs::read_dir(&part).map_err(|e| {
            Fault::usage(format!("`{}` is not a Maildir: {e}", folder.display()))
                .hint("a single message: --file MESSAGE; an mbox file: --mbox FILE")
                .by_system(&e)
        })?;
        for entry in entries {
            let path = entry.map_err(|e| cannot_read(&part, &e))?.path();
            let hidden = path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if !hidden && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

/// The messages of an mbox file: each begins with a `From ` line, at the start of the file or
/// after an empty line; lines quoted by one more `>` (mboxrd) lose it.
struct Mbox<R> {
    path: PathBuf,
    reader: R,
    number: usize,
    /// The `From ` line that ended the message before.
    begun: bool,
    over: bool,
}

impl<R: BufRead> Mbox<R> {
    fn new(path: &Path, reader: R) -> Mbox<R> {
        Mbox {
            path: path.to_owned(),
            reader,
            number: 0,
            begun: false,
            over: false,
        }
    }

    fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut octets = Vec::new();
        let mut line = Vec::new();
        // The empty line before the next `From ` line is the format's and not the message's.
        let mut blank: Option<Vec<u8>> = None;
        loop {
            line.clear();
            let left = MAX_MESSAGE.saturating_sub(octets.len() as u64) + 1;
            if (&mut self.reader).take(left).read_until(b'\n', &mut line)? == 0 {
                self.over = true;
                return Ok(self.begun.then_some(octets));
            }
            if line.starts_with(b"From ") && (!self.begun || blank.is_some()) {
                if std::mem::replace(&mut self.begun, true) {
                    return Ok(Some(octets));
                }
                continue;
            }
            if !self.begun {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Err(io::Error::other(
                    "it is not an mbox file: it does not begin with `From `",
                ));
            }
            octets.extend(blank.take().unwrap_or_default());
            if matches!(&line[..], b"\n" | b"\r\n") {
                blank = Some(line.clone());
                continue;
            }
            let quotes = line.iter().take_while(|&&b| b == b'>').count();
            let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
            octets.extend_from_slice(&line[usize::from(quoted)..]);
            if octets.len() as u64 > MAX_MESSAGE {
                return Err(too_large());
            }
        }
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        if self.over {
            return None;
        }
        self.number += 1;
        let octets = match self.message() {
            Ok(Some(octets)) => Ok(octets),
            Ok(None) => return None,
            Err(e) => {
                self.over = true;
                Err(cannot_read(&self.path, &e))
            }
        };
        Some(Input {
            name: Some(format!("{}, message {}", self.path.display(), self.number)),
            octets,
        })
    }
}

fn from_stdin(ignore_dots: bool, observer: &dyn Observer) -> Result<Vec<u8>> {
    let (octets, left) = read_stdin(ignore_dots)?;
    if left > 0 {
        observer.warn(&format!(
            "the message ends at a line with a single dot; {} not sent (-i sends them)",
            counted(left, "byte after it is", "bytes after it are")
        ));
    }
    Ok(octets)
}

/// The message on standard input: up to its end or, as with sendmail, up to a line with a
/// single dot; and how many octets came after that.
fn read_stdin(ignore_dots: bool) -> Result<(Vec<u8>, u64)> {
    let mut stdin = io::stdin().lock();
    let cannot = |e: io::Error| Fault::usage(format!("cannot read standard input: {e}"));
    if ignore_dots {
        return Ok((bounded(stdin).map_err(cannot)?, 0));
    }
    let terminal = stdin.is_terminal();
    let mut octets = Vec::new();
    let mut input = (&mut stdin).take(MAX_MESSAGE + 1);
    loop {
        let start = octets.len();
        if input.read_until(b'\n', &mut octets).map_err(cannot)? == 0 {
            break;
        }
        if matches!(&octets[start..], b".\n" | b".\r\n" | b".") {
            octets.truncate(start);
            // A person types nothing more; a program that is not read to its end would die of
            // a broken pipe.
            let left = match terminal {
                true => 0,
                false => io::copy(&mut stdin, &mut io::sink()).map_err(cannot)?,
            };
            return Ok((octets, left));
        }
    }
    if octets.len() as u64 > MAX_MESSAGE {
        return Err(cannot(too_large()).into());
    }
    Ok((octets, 0))
}

/// The text that `--text` or `--html` names: a file, or `-` for standard input.
pub fn read_text(path: &Path) -> Result<Vec<u8>> {
    match is_stdin(path) {
        true => bounded(io::stdin().lock())
            .map_err(|e| Fault::usage(format!("cannot read standard input: {e}")).into()),
        false => read_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(text: &[u8]) -> Vec<Result<Vec<u8>>> {
        Mbox::new(Path::new("x"), text)
            .map(|input| input.octets)
            .collect()
    }

    #[test]
    fn an_mbox_gives_its_messages() {
        let text = b"From a Thu Jan  1 00:00:00 1970\nA: 1\n\nFrom here\n>From there\n>>From\n\n\nFrom b x\nB: 2\n\n";
        let found: Vec<_> = messages(text).into_iter().map(Result::unwrap).collect();
        // A `From ` line without an empty line before it is text that somebody did not quote;
        // here there is one, as a careless writer leaves it: two messages.
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], b"A: 1\n");
        assert_eq!(found[1], b"From there\n>>From\n\n".to_vec());
        assert_eq!(found[2], b"B: 2\n");
        assert!(messages(b"").is_empty());
        assert!(messages(b"\n\n").is_empty());
        assert!(messages(b"hello\n")[0].is_err());
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(
            bodies in proptest::collection::vec("(>{0,2}(From |x)?[a-z]{0,3}\n){0,5}", 1..5)
        ) {
            let mut mbox = String::new();
            for body in &bodies {
                mbox += "From a@x.example Thu Jan  1 00:00:00 1970\nA: 1\n\n";
                for line in body.split_inclusive('\n') {
                    let quote = if line.trim_start_matches('>').starts_with("From ") { ">" } else { "" };
                    mbox += &format!("{quote}{line}");
                }
                mbox += "\n";
            }
            let found: Vec<_> = messages(mbox.as_bytes()).into_iter().map(|m| String::from_utf8(m.unwrap()).unwrap()).collect();
            let want: Vec<_> = bodies.iter().map(|b| format!("A: 1\n\n{b}")).collect();
            let end = |text: &String| text.trim_end_matches('\n').to_owned();
            prop_assert_eq!(found.iter().map(end).collect::<Vec<_>>(), want.iter().map(end).collect::<Vec<_>>());
        }
    }
}
