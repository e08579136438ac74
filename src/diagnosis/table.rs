//! Every explanation, from the texts in `explanations/`.
//!
//! An explanation is a paragraph there, and each of its lines a fact: a word says what it is (see
//! `entry` below), and the rest of the line is the text. Lines that begin with spaces continue the
//! one before, as they are. `$NAME` in the place of a text is the text of that name in
//! `shared.txt`. A paragraph that begins with `#` is a comment.

use super::entry::{Entry, Who};
use crate::fault::Cause;
use std::sync::LazyLock;

/// In the order in which they are listed.
const FILES: [&str; 5] = [
    include_str!("explanations/entra.txt"),
    include_str!("explanations/exchange.txt"),
    include_str!("explanations/graph.txt"),
    include_str!("explanations/own.txt"),
    include_str!("explanations/oauth.txt"),
];

const SHARED: &str = include_str!("explanations/shared.txt");

/// Read once, where something is to be explained. A test sees that all of them can be read.
static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| paragraphs().filter_map(entry).collect());

/// Every explanation: codes, then texts, then errors.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    ALL.iter()
}

fn paragraphs() -> impl Iterator<Item = &'static str> {
    let all = FILES.into_iter().flat_map(|file| file.split("\n\n"));
    all.filter(|paragraph| !paragraph.starts_with('#'))
}

/// `None` where a line of it is not one of these, or something is missing.
fn entry(paragraph: &'static str) -> Option<Entry> {
    let (mut codes, mut texts, mut hints) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cause, mut error, mut first) = (None, None, None);
    let (mut means, mut who) = (None, None);
    for (word, text) in facts(paragraph) {
        match word {
            "code" => {
                codes = text
                    .split(' ')
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .ok()?
            }
            "text" => texts.push(text),
            "cause" => cause = Some(Cause::named(text)?),
            "error" => error = Some(text),
            "means" => means = Some(text),
            "who" => who = Some(Who::named(text)?),
            "first" => first = Some(whole(text)?),
            "hint" => hints.push(whole(text)?),
            _ => return None,
        }
    }
    Some(Entry {
        codes,
        texts,
        cause,
        error,
        means: means?,
        who: who?,
        hints,
        first,
    })
}

/// The first word of each line and its text, with the lines that continue it.
fn facts(lines: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut rest = lines.trim_end();
    std::iter::from_fn(move || {
        let mut ends = rest.match_indices('\n').map(|(at, _)| at);
        let end = ends.find(|at| !rest[at + 1..].starts_with(' '));
        let (fact, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start_matches('\n');
        fact.split_once(' ')
    })
}

/// The text, or the shared one that it names.
fn whole(text: &'static str) -> Option<&'static str> {
    if !text.starts_with('$') {
        return Some(text);
    }
    facts(SHARED)
        .find(|(name, _)| *name == text)
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_explanation_can_be_read() {
        for paragraph in paragraphs() {
            let read = entry(paragraph).unwrap_or_else(|| panic!("{paragraph}"));
            let whole: usize = facts(paragraph)
                .map(|(word, text)| word.len() + text.len())
                .sum();
            let lines = facts(paragraph).count();
            assert_eq!(
                whole + 2 * lines,
                paragraph.trim_end().len() + 1,
                "{paragraph}"
            );
            let kinds = [
                !read.codes.is_empty(),
                !read.texts.is_empty(),
                read.error.is_some(),
            ];
            assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{paragraph}");
            assert!(
                read.cause.is_none() || !read.texts.is_empty(),
                "{paragraph}"
            );
        }
    }

    #[test]
    fn every_shared_text_is_used_and_more_than_once() {
        let all = || FILES.into_iter().flat_map(facts);
        for (name, _) in facts(SHARED).filter(|(name, _)| *name != "#") {
            let uses = all().filter(|(_, text)| *text == name).count();
            assert!(uses > 1, "{name} is used {uses} times");
        }
    }

    #[test]
    fn what_is_no_explanation_is_refused() {
        let whole = "code 1\nmeans a\nwho you\nhint b\n  c";
        assert_eq!(entry(whole).map(|read| read.hints), Some(vec!["b\n  c"]));
        for (good, bad) in [
            ("code 1", "code x"),
            ("who you", "who they"),
            ("means a\n", ""),
            ("hint b", "hin b"),
            ("hint b", "hint $no-such-text"),
            ("code 1", "cause NoSuchCause"),
        ] {
            let text: &'static str = whole.replace(good, bad).leak();
            assert!(entry(text).is_none(), "{text}");
        }
    }
}
