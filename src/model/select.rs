//! Which messages of a mailbox are fetched: `select` of an address.
//!
//! The conditions have one meaning, whichever way the mailbox is read: a server is asked for no
//! less than what they select, and what it gives is held against them here.

use super::tree::mapping;
use super::values::{EmailAddress, checked_string};
use crate::wording::words;
use clap::ValueEnum;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

mapping! {
/// What a message must be to be fetched: all conditions hold, and of a list one.
#[derive(Default)]
pub struct Select {
    /// Only messages that are not marked as read.
    #[serde(default)]
    pub unread: bool,
    /// Only messages from one of these: full addresses, or @DOMAIN for all of a domain.
    #[serde(default)]
    pub from: Vec<Author>,
    /// Only messages with one of these texts in the subject; letter case does not matter.
    #[serde(default)]
    pub subject: Vec<String>,
    /// Only messages of at most this size, such as 25MB, as the server counts it.
    pub max_size: Option<Size>,
    /// What happens to larger ones: skip leaves them alone, quarantine puts them on record.
    #[serde(default)]
    pub larger: Larger,
}
}

/// What happens to a selected message that is larger than `max_size`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Larger {
    #[default]
    Skip,
    Quarantine,
}

/// Whether a message is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Selected,
    NotSelected,
    /// Selected but for its size, and to be quarantined.
    TooLarge,
}

impl Select {
    /// A word of each text of `subject`, by which a server finds no less than is selected: servers
    /// differ in white space and in letters that are not ASCII. Empty where it could not.
    pub fn subject_words(&self) -> Vec<&str> {
        let words = self.subject.iter().map(|text| {
            let words = text.split_whitespace().filter(|word| word.is_ascii());
            words.max_by_key(|word| word.len())
        });
        words.collect::<Option<_>>().unwrap_or_default()
    }

    /// Whether a message is fetched: `from` are the bare addresses of its author in lower case,
    /// `subject` is decoded, its white space made single. A size that the server does not tell is no obstacle.
    pub fn verdict(
        &self,
        unread: bool,
        from: &[String],
        subject: &str,
        size: Option<u64>,
    ) -> Verdict {
        let subject = subject.to_lowercase();
        let is_from = self.from.is_empty() || self.from.iter().any(|one| one.wrote(from));
        let is_in_subject = |text: &String| {
            let words: Vec<&str> = text.split_whitespace().collect();
            subject.contains(&words.join(" ").to_lowercase())
        };
        let is_about = self.subject.is_empty() || self.subject.iter().any(is_in_subject);
        let is_large = size
            .zip(self.max_size)
            .is_some_and(|(size, most)| size > most.0);
        match (self.unread && !unread) || !is_from || !is_about {
            true => Verdict::NotSelected,
            false if !is_large => Verdict::Selected,
            false => match self.larger {
                Larger::Skip => Verdict::NotSelected,
                Larger::Quarantine => Verdict::TooLarge,
            },
        }
    }
}

/// One condition as an option of a command gives it: `unread=true`, `from=a@b.example` …
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Unread(bool),
    From(Author),
    Subject(String),
    MaxSize(Size),
    Larger(Larger),
}

impl Condition {
    /// Its key, where it may be there only once.
    pub fn single(&self) -> Option<&'static str> {
        match self {
            Condition::Unread(_) => Some("unread"),
            Condition::MaxSize(_) => Some("max_size"),
            Condition::Larger(_) => Some("larger"),
            Condition::From(_) | Condition::Subject(_) => None,
        }
    }
}

impl FromStr for Condition {
    type Err = String;
    fn from_str(text: &str) -> Result<Condition, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` has no `=`: write KEY=VALUE, like unread=true"))?;
        let value = value.trim();
        Ok(match key.trim() {
            "unread" => Condition::Unread(match value {
                "true" => true,
                "false" => false,
                _ => return Err(format!("`{value}` is neither true nor false")),
            }),
            "from" => Condition::From(value.parse()?),
            "subject" => Condition::Subject(value.to_owned()),
            "max_size" => Condition::MaxSize(value.parse()?),
            "larger" => Condition::Larger(
                Larger::from_str(value, false)
                    .map_err(|_| format!("`{value}` is neither skip nor quarantine"))?,
            ),
            key => {
                return Err(format!(
                    "unknown condition `{key}`: use unread, from, subject, max_size or larger"
                ));
            }
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Unread(unread) => write!(f, "unread={unread}"),
            Condition::From(author) => write!(f, "from={author}"),
            Condition::Subject(text) => write!(f, "subject={text}"),
            Condition::MaxSize(size) => write!(f, "max_size={size}"),
            Condition::Larger(larger) => write!(f, "larger={larger}"),
        }
    }
}

impl FromIterator<Condition> for Select {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Select {
        let mut select = Select::default();
        for condition in conditions {
            match condition {
                Condition::Unread(unread) => select.unread = unread,
                Condition::From(author) => select.from.push(author),
                Condition::Subject(text) => select.subject.push(text),
                Condition::MaxSize(size) => select.max_size = Some(size),
                Condition::Larger(larger) => select.larger = larger,
            }
        }
        select
    }
}

words!(Larger { Skip = "skip", Quarantine = "quarantine" });

checked_string!(
    /// Who wrote a message: a full address, or `@domain` for everybody of a domain. In lower case.
    Author,
    |text| {
        let whole = match text.starts_with('@') {
            true => format!("x{text}"),
            false => text.to_owned(),
        };
        match whole.parse::<EmailAddress>() {
            Ok(_) => Ok(text.to_lowercase()),
            Err(_) => Err(format!(
                "`{text}` is not an e-mail address: write it in full, or @DOMAIN for all of a domain"
            )),
        }
    }
);

impl Author {
    /// True for everybody of a domain.
    pub fn is_domain(&self) -> bool {
        self.as_str().starts_with('@')
    }

    fn wrote(&self, from: &[String]) -> bool {
        from.iter().any(|address| match self.is_domain() {
            true => address.ends_with(self.as_str()),
            false => address == self.as_str(),
        })
    }
}

/// A size in octets: a whole number with kB, MB or GB (powers of 1000), KiB, MiB or GiB (of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("", 1),
];

impl Size {
    pub fn octets(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Size, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = (&text[..digits], text[digits..].trim());
        let unit = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let octets = number
            .parse::<u64>()
            .ok()
            .zip(unit)
            .and_then(|(number, (_, unit))| number.checked_mul(*unit));
        match octets {
            Some(octets) if octets > 0 && octets <= 1 << 40 => Ok(Size(octets)),
            _ => Err(format!(
                "`{text}` is not a size: write a whole number and kB, MB or GB, like 25MB"
            )),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .filter(|(_, unit)| self.0.is_multiple_of(*unit));
        let (name, unit) = unit.max_by_key(|(_, unit)| *unit).unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, octets, again) in [
            ("25MB", 25_000_000, "25MB"),
            ("25 mb", 25_000_000, "25MB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1500kB", 1_500_000, "1500kB"),
            ("7", 7, "7"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.octets(), &*size.to_string()), (octets, again));
        }
        for bad in ["", "0", "MB", "-1MB", "1.5MB", "25XB", "99999999999GB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn all_conditions_hold_and_of_a_list_one() {
        let conditions = [
            "unread=true",
            "from=Boss@contoso.example",
            "from=@fabrikam.example",
            "subject=Rechnung \u{c4}",
            "max_size=1kB",
            "larger=quarantine",
        ];
        let select: Select = conditions
            .iter()
            .map(|text| text.parse::<Condition>().unwrap())
            .collect();
        let is = |unread, from: &str, subject, size| {
            select.verdict(unread, &[from.to_owned()], subject, size)
        };
        let (boss, subject) = ("boss@contoso.example", "AW: rechnung \u{e4} 7");
        assert_eq!(is(true, boss, subject, Some(1000)), Verdict::Selected);
        assert_eq!(is(true, boss, subject, Some(1001)), Verdict::TooLarge);
        assert_eq!(
            is(true, "x@fabrikam.example", subject, None),
            Verdict::Selected
        );
        for (unread, from, subject) in [
            (false, boss, subject),
            (true, "notboss@contoso.example", subject),
            (true, "x@evil-fabrikam.example", subject),
            (true, boss, "Rechnung"),
        ] {
            assert_eq!(is(unread, from, subject, Some(9999)), Verdict::NotSelected);
        }
        for bad in [
            "",
            "unread",
            "unread=yes",
            "from=x",
            "from=@",
            "x=1",
            "larger=no",
        ] {
            assert!(bad.parse::<Condition>().is_err(), "{bad}");
        }
    }
}
