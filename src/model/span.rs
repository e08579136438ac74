//! A length of time in the configuration: a whole number and its unit.

use std::fmt;
use std::str::FromStr;

/// A length of time, at most 10 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    seconds: u32,
}

/// Each unit with its seconds, the longest first.
const UNITS: [(&str, u32); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// In seconds.
const LONGEST: u32 = 3650 * 86_400;

impl Span {
    pub const fn from_seconds(seconds: u32) -> Span {
        Span { seconds }
    }

    pub fn seconds(self) -> i64 {
        self.seconds.into()
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let wrong = || format!("`{text}` is not a length of time: write it like 90s, 5m, 2h or 1d");
        let end = text.len() - usize::from(text.ends_with(char::is_alphabetic) && text.is_ascii());
        let (number, unit) = text.split_at(end);
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, factor) = unit.ok_or_else(wrong)?;
        let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
        let number: u32 = match is_number {
            true => number.parse().map_err(|_| wrong())?,
            false => return Err(wrong()),
        };
        let seconds = number.checked_mul(*factor).filter(|s| *s <= LONGEST);
        seconds
            .map(Span::from_seconds)
            .ok_or_else(|| format!("`{text}` is longer than 10 years"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u32)| self.seconds.is_multiple_of(*factor);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) if self.seconds > 0 => {
                write!(f, "{}{unit}", self.seconds / factor)
            }
            _ => write!(f, "{}s", self.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_of_time_has_a_number_and_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            ("24h", 86_400),
            ("7d", 604_800),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().seconds(), seconds, "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "+5m",
            "5min",
            "1.5h",
            "4000d",
            "99999999999s",
            "é",
            "5é",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(seconds in 0..=LONGEST, text in "\\PC{0,6}") {
            let span = Span::from_seconds(seconds);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            let _ = text.parse::<Span>();
        }
    }
}
