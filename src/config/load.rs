//! Reading the file: bounded, private where it holds a secret, every mistake pointed at.

use super::check::{self, Problem};
use super::locate::{self, Part, Step};
use super::mistake::{Mistake, shown};
use super::model::Config;
use super::paths::resolve_paths;
use crate::fault::Fault;
use anyhow::Result;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The size up to which a file is read, in bytes: some ten thousand queues.
pub const MAX_SIZE: u64 = 16 << 20;

/// Reads and checks the file; the model's relative paths and `~/` are resolved.
///
/// Errors (exit 78): the file is not there, not ours, not private though it holds a secret, or
/// has a mistake.
pub fn load(path: &Path) -> Result<Config> {
    let (text, metadata) = read(path)?;
    let mut config = parse(&text, path)?;
    check_private(&config, &metadata, path)?;
    resolve_paths(&mut config, path)?;
    Ok(config)
}

/// Reads and checks the text of a file. Paths stay as written.
pub fn parse(text: &str, path: &Path) -> Result<Config> {
    find_mistake(text).map_err(|mistake| mistake.fault(text, path).into())
}

/// The text of the file, which must be ours; its permissions are those of what was read.
pub fn read(path: &Path) -> Result<(String, Metadata)> {
    let cannot = |e: std::io::Error| {
        let fault = Fault::config(format!("cannot read {}: {}", shown(path), why(&e)));
        match e.kind() {
            std::io::ErrorKind::NotFound => fault.hint(
                "make it by adding a server: queuemail server add incoming NAME --address … --auth … --client-id …",
            ),
            _ => fault,
        }
    };
    // A FIFO would make us wait for a writer.
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Fault::config(format!("{} is a folder", shown(path))).into());
    }
    if !metadata.is_file() {
        return Err(Fault::config(format!("{} is no plain file", shown(path)))
            .hint("a configuration from a pipe can be checked: queuemail config validate -")
            .into());
    }
    check_owner(&metadata, path)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok((decode(bytes, path)?, metadata))
}

/// The text of a configuration from bytes of any origin.
pub fn decode(bytes: Vec<u8>, path: &Path) -> Result<String> {
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Fault::config(format!(
            "{} is larger than {} MiB: no configuration",
            shown(path),
            MAX_SIZE >> 20
        ))
        .into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&b| b == b'\n').count();
        Fault::config(format!(
            "a byte that is not UTF-8 in {}, line {line}",
            shown(path)
        ))
        .hint(format!(
            "convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 {}",
            shown(path)
        ))
        .into()
    })
}

/// An I/O error in words, without Rust's "(os error n)".
pub fn why(e: &std::io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Who can write the file decides which programs we run and where tokens go.
fn check_owner(metadata: &Metadata, path: &Path) -> Result<()> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(Fault::config(format!(
            "{} belongs to another user (uid {}), who could change it",
            shown(path),
            metadata.uid()
        ))
        .hint(format!("if it is yours: sudo chown {me} {}", quoted(path)))
        .into());
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        return Err(
            Fault::config(format!("every user can change {}", shown(path)))
                .hint(format!("chmod o-w {}", quoted(path)))
                .into(),
        );
    }
    Ok(())
}

/// A file that holds a plain secret is for us alone.
pub fn check_private(config: &Config, metadata: &Metadata, path: &Path) -> Result<()> {
    if metadata.permissions().mode() & 0o077 != 0
        && config.secret_sources().any(|(_, s)| s.is_plain())
    {
        return Err(Fault::config(format!(
            "{} holds a secret, and other users can read it",
            shown(path)
        ))
        .hint(format!("chmod 600 {}", quoted(path)))
        .into());
    }
    Ok(())
}

/// A path for a shell to read.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.is_empty() {
        return "''".to_owned();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// True if there is nothing but blank lines and comments.
pub fn is_blank(text: &str) -> bool {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
}

/// The checked model, or the first mistake.
fn find_mistake(text: &str) -> Result<Config, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = |problem: &str, note: &str| Mistake {
        problem: problem.to_owned(),
        place: None,
        note: note.to_owned(),
        hint: None,
        more: 0,
    };
    if is_blank(text) {
        return Err(whole(
            "nothing",
            "an empty file; a configuration begins with `version: 1`",
        ));
    }
    let config: Config = serde_yaml::from_str(text).map_err(|e| from_serde(&e, text))?;
    let problems = check::problems(&config);
    match problems.first() {
        None => Ok(config),
        Some(first) => Err(Mistake {
            more: problems.len() - 1,
            ..from_problem(first, text)
        }),
    }
}

fn from_problem(problem: &Problem, text: &str) -> Mistake {
    // A value that is not there is missed at what should hold it.
    let mut at = &problem.at[..];
    let mut place = locate::locate(text, at, Part::Value);
    while place.is_none() && !at.is_empty() {
        at = &at[..at.len() - 1];
        place = locate::locate(text, at, Part::Value);
    }
    Mistake {
        problem: problem.problem.clone(),
        place,
        note: problem.note.clone(),
        hint: problem.hint.clone(),
        more: 0,
    }
}

/// Words for what serde_yaml refuses. Its message is `PATH: TEXT at line L column C`.
fn from_serde(err: &serde_yaml::Error, text: &str) -> Mistake {
    let mut place = err.location().map(|l| (l.line(), l.column().max(1)));
    let full = err.to_string();
    let message = match full.rfind(" at line ") {
        Some(end) if err.location().is_some() => &full[..end],
        _ => &full,
    };
    let path_end = message
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_[].?".contains(c)))
        .filter(|&n| n > 0 && message[n..].starts_with(": "));
    let (path, message) = match path_end {
        Some(n) => (&message[..n], &message[n + 2..]),
        None => ("", message),
    };
    let steps = locate::steps(path);
    let key = steps.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Item(_) => None,
    });
    let of_key = key.map(|k| format!(" of `{k}`")).unwrap_or_default();
    let quoted = between_backquotes(message);
    let mut hint = None;
    let (problem, note) = if message.starts_with("unknown field ") {
        hint = Some("all keys: man queuemail.yaml".to_owned());
        let (found, known) = split_found(&quoted);
        let note = match check::nearest(found, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here: {}", known.join(", ")),
        };
        (format!("unknown key `{found}`"), note)
    } else if message.starts_with("unknown variant ") {
        let (found, known) = split_found(&quoted);
        let note = match check::nearest(found, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use {}", known.join(", ")),
        };
        (format!("unknown value `{found}`{of_key}"), note)
    } else if message.starts_with("missing field ") {
        let (missing, _) = split_found(&quoted);
        (
            format!("missing key `{missing}`"),
            format!("`{missing}` is needed here"),
        )
    } else if message.starts_with("duplicate field ") {
        let (twice, _) = split_found(&quoted);
        let mut at = steps.clone();
        at.push(Step::Key(twice.to_owned()));
        place = locate::locate(text, &at, Part::Key(1)).or(place);
        (
            format!("key `{twice}` twice"),
            "one of them must go".to_owned(),
        )
    } else if let Some(rest) = message.strip_prefix("invalid type: ") {
        (format!("a wrong type of value{of_key}"), type_words(rest))
    } else if full.contains("repetition limit") {
        (
            "too many aliases".to_owned(),
            "they would expand without end".to_owned(),
        )
    } else if full.contains("recursion limit") {
        ("too deep a nesting".to_owned(), String::new())
    } else if full.contains("more than one document") {
        (
            "more than one YAML document".to_owned(),
            "a configuration is one; take the line `---` out".to_owned(),
        )
    } else if key.is_some() {
        (format!("a bad value{of_key}"), message.to_owned())
    } else {
        // Where an unfinished thing begins helps more than where the parser gave up.
        for thing in ["a quoted scalar", "a simple key"] {
            if let Some((_, context)) = full.split_once(&format!("while scanning {thing}")) {
                place = mark_in(context).or(place);
            }
        }
        ("a mistake".to_owned(), yaml_words(message, text, place))
    };
    Mistake {
        problem,
        place,
        note,
        hint,
        more: 0,
    }
}

/// YAML's own complaint; a tab in the indentation is the usual cause of a puzzling one.
fn yaml_words(message: &str, text: &str, place: Option<(usize, usize)>) -> String {
    let line = place.and_then(|(line, _)| text.lines().nth(line - 1));
    let indent = line.map(|l| &l[..l.len() - l.trim_start().len()]);
    if indent.is_some_and(|i| i.contains('\t')) || message.contains("cannot start any token") {
        return "no tab may stand here, nor may a value begin with @ or `: indent with spaces, put the value in quotes".to_owned();
    }
    if message.contains("while scanning a quoted scalar") {
        return "this quote is never closed".to_owned();
    }
    match message.find(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

/// The place in libyaml's words "… at line 3 column 7".
fn mark_in(words: &str) -> Option<(usize, usize)> {
    let (line, column) = words.split_once("at line ")?.1.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

fn type_words(rest: &str) -> String {
    let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, "another"));
    let found = match found {
        "sequence" => "a list".to_owned(),
        "map" => "a mapping of keys".to_owned(),
        "unit value" | "Option value" => "nothing".to_owned(),
        other => other
            .replace("string ", "the text ")
            .replace("integer ", "the number ")
            .replace("floating point ", "the number ")
            .replace("boolean ", "the truth value "),
    };
    let expected = match expected {
        "a sequence" => "a list",
        "a string" => "a text",
        "a boolean" => "true or false",
        "u32" => "a whole number",
        e if e.starts_with("struct ") => "a mapping of keys",
        e => e,
    };
    format!("this is {found}; {expected} belongs here")
}

fn between_backquotes(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn split_found<'a>(quoted: &[&'a str]) -> (&'a str, Vec<&'a str>) {
    match quoted.split_first() {
        Some((found, known)) => (found, known.to_vec()),
        None => ("", Vec::new()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Address, Defaults, IncomingServer, OutgoingServer, Queue};

    /// The keys of a type, as serde names them when it refuses another.
    pub(in crate::config) fn keys<'de, T: serde::Deserialize<'de>>() -> Vec<String> {
        let err = serde_yaml::from_str::<T>("{no_such_key: 1}").err();
        let text = err.map(|e| e.to_string()).unwrap_or_default();
        let keys = between_backquotes(&text)[1..].to_vec();
        assert!(keys.len() > 1, "{text}");
        keys.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_example_is_valid_and_shows_every_key() {
        let text = include_str!("../../examples/queuemail.yaml");
        parse(text, Path::new("examples/queuemail.yaml")).unwrap();
        let mut all = keys::<Config>();
        all.extend(keys::<Defaults>());
        all.extend(keys::<IncomingServer>());
        all.extend(keys::<OutgoingServer>());
        all.extend(keys::<Queue>());
        all.extend(keys::<Address>());
        for key in all {
            let shown = |l: &str| {
                l.trim_start_matches([' ', '#', '-'])
                    .starts_with(&format!("{key}:"))
            };
            assert!(text.lines().any(shown), "`{key}` is not in the example");
        }
    }

    #[test]
    fn an_error_without_a_place_names_the_file() {
        let text = parse("", Path::new("/x/y.yaml")).unwrap_err().to_string();
        assert!(text.starts_with("nothing in /x/y.yaml: "), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(version: 1\n)?[a-z:{}\\[\\]\n\r\t &*#'\"|>é-]{0,80}") {
            let _ = parse(&text, Path::new("x"));
        }
    }
}
