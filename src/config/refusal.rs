//! What serde_yaml refuses, in words for the person who wrote the file.

use super::hidden::is_key;
use super::locate::{self, Part, Step};
use super::mistake::Mistake;
use crate::model::nearest;

/// Words for what serde_yaml refuses. Its message is `PATH: TEXT at line L column C`.
pub fn from_serde(err: &serde_yaml::Error, text: &str) -> Mistake {
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
    let mut hint = None;
    let (problem, note) = if let Some(words) = of_mapping(message, &of_key) {
        if message.starts_with("unknown field ") {
            hint = Some("all keys: man queuemail.yaml".to_owned());
        }
        if let Some(twice) = message.strip_prefix("duplicate field ") {
            let twice = Step::Key(twice.trim_matches('`').to_owned());
            let at = [steps.clone(), vec![twice]].concat();
            place = locate::locate(text, &at, Part::Key(1)).or(place);
        }
        words
    } else if let Some((problem, note)) = of_document(&full) {
        if full.contains("more than one document") {
            let lines = text.lines().enumerate();
            let last = lines.filter(|(_, line)| line.starts_with("---")).last();
            place = last.map(|(n, _)| (n + 1, 1));
        }
        (problem.to_owned(), note.to_owned())
    } else if key.is_some() {
        (format!("invalid value{of_key}"), message.to_owned())
    } else {
        place = unfinished(&full, text).or(place);
        ("invalid YAML".to_owned(), yaml_words(message, text, place))
    };
    Mistake {
        problem,
        place,
        note,
        hint,
        more: 0,
    }
}

/// The problem and the note for a key, or a value of one, that a mapping refuses.
fn of_mapping(message: &str, of_key: &str) -> Option<(String, String)> {
    let quoted = between_backquotes(message);
    let (found, known) = split_found(&quoted);
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        return Some((format!("wrong type of value{of_key}"), type_words(rest)));
    }
    let refused = message.split(" `").next().unwrap_or_default();
    Some(match refused {
        "unknown field" => unknown_key(found, &known),
        "unknown variant" => {
            let note = match nearest(found, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use {}", known.join(", ")),
            };
            (format!("unknown value `{found}`{of_key}"), note)
        }
        "missing field" => (
            format!("missing key `{found}`"),
            format!("`{found}` is required here"),
        ),
        "duplicate field" => (
            format!("key `{found}` is used twice"),
            "remove one of them".to_owned(),
        ),
        _ => return None,
    })
}

/// The problem and the note for what the document as a whole has too much of.
fn of_document(full: &str) -> Option<(&'static str, &'static str)> {
    let known = [
        (
            "repetition limit",
            "too many aliases",
            "they would expand without end",
        ),
        ("recursion limit", "nested too deeply", ""),
        (
            "more than one document",
            "more than one YAML document",
            "a configuration is one document; remove the line `---`",
        ),
    ];
    let found = known.into_iter().find(|(said, ..)| full.contains(said))?;
    Some((found.1, found.2))
}

/// The problem and the note for a key that is none.
fn unknown_key(found: &str, known: &[&str]) -> (String, String) {
    let note = match nearest(found, known.iter().copied()) {
        _ if found == "<<" => "merge keys are not supported: write the keys out".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys here: {}", known.join(", ")),
    };
    // A word that is none may be a secret that lacks its key.
    let problem = match is_key(found) || found == "<<" {
        true => format!("unknown key `{found}`"),
        false => "an unknown key".to_owned(),
    };
    (problem, note)
}

/// Where an unfinished thing begins, which helps more than where the parser gave up.
fn unfinished(full: &str, text: &str) -> Option<(usize, usize)> {
    if let Some((_, bad)) = full.split_once("control characters are not allowed")
        && let Some(place) = char_in(bad, text)
    {
        return Some(place);
    }
    ["a simple key", "a quoted scalar"]
        .iter()
        .find_map(|thing| {
            let (_, context) = full.split_once(&format!("while scanning {thing}"))?;
            mark_in(context)
        })
}

/// YAML's own complaint; a tab in the indentation is the usual cause of a puzzling one.
fn yaml_words(message: &str, text: &str, place: Option<(usize, usize)>) -> String {
    let line = place.and_then(|(line, _)| text.lines().nth(line - 1));
    let indent = line.map(|l| &l[..l.len() - l.trim_start().len()]);
    if indent.is_some_and(|i| i.contains('\t')) || message.contains("cannot start any token") {
        return "a tab is not allowed here, and a value must not begin with @ or `: indent with spaces, or quote the value".to_owned();
    }
    if message.contains("while scanning a quoted scalar") {
        return "this quote is never closed".to_owned();
    }
    let place = message.find(" at line ").or(message.find(" at position "));
    match place {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

/// The place in libyaml's words "… at line 3 column 7".
fn mark_in(words: &str) -> Option<(usize, usize)> {
    let (line, column) = words.split_once("at line ")?.1.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The place in libyaml's words "… at position 7", which counts octets from 0.
fn char_in(words: &str, text: &str) -> Option<(usize, usize)> {
    let (_, number) = words.split_once("at position ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    let before = text.get(..digits.parse().ok()?)?;
    Some(locate::place_after(before))
}

fn type_words(rest: &str) -> String {
    let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, "another"));
    // What follows is the value, which may be a secret.
    let found = match found.split([' ', '`']).next().unwrap_or_default() {
        "sequence" => "a list",
        "map" => "a mapping of keys",
        "unit" | "Option" => "empty",
        "enum" => "a value with a tag",
        "integer" | "floating" => "a number",
        "boolean" => "a boolean",
        "string" | "character" => "a string",
        _ => "something else",
    };
    let expected = match expected {
        "a sequence" => "a list",
        "a string" => "a string",
        "a boolean" => "true or false",
        "u32" => "a whole number",
        "field identifier" => "a key",
        e if e.starts_with("struct ") => "a mapping of keys",
        e => e,
    };
    format!("this is {found}; it must be {expected}")
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
