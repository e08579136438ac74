//! A moment as people write it: a day, a time, or how long ago.

use super::span::Span;
use super::values::Day;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::str::FromStr;

/// A moment as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2026-11-29`, in the local zone.
    Day(Day),
    /// `2026-11-29T08:00:00Z` (RFC 3339), another zone included.
    At(Timestamp),
    /// `7d`, `12h` or `30m` ago; seconds.
    Ago(i64),
}

impl Moment {
    /// Its first second, in Unix time.
    pub fn begins(self, now: Timestamp) -> i64 {
        match self {
            Moment::Day(day) => first_of(day.date()),
            Moment::At(at) => at.as_second(),
            Moment::Ago(seconds) => now.as_second().saturating_sub(seconds),
        }
    }

    /// The first second after it: a day ends with its last.
    pub fn ends(self, now: Timestamp) -> i64 {
        match self {
            Moment::Day(day) => day.date().checked_add(1.day()).map_or(i64::MAX, first_of),
            _ => self.begins(now).saturating_add(1),
        }
    }
}

fn first_of(day: jiff::civil::Date) -> i64 {
    day.to_zoned_datetime(TimeZone::system())
        .map_or(i64::MAX, |zoned| zoned.timestamp().as_second())
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Moment, String> {
        if let Ok(day) = text.parse() {
            return Ok(Moment::Day(day));
        }
        if let Ok(at) = text.parse() {
            return Ok(Moment::At(at));
        }
        match text.parse::<Span>() {
            Ok(ago) => Ok(Moment::Ago(ago.seconds())),
            Err(_) => Err(format!(
                "`{text}` is not a time: write a day (2026-11-29), a time (2026-11-29T08:00:00Z), or how long ago (7d, 12h, 30m)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    #[test]
    fn a_moment_is_read() {
        let now: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        let of = |text: &str| text.parse::<Moment>().unwrap();
        let hour = SignedDuration::from_hours(1).as_secs();
        assert_eq!(of("2h").begins(now), now.as_second() - 2 * hour);
        assert_eq!(of("7d").begins(now), now.as_second() - 7 * 24 * hour);
        assert_eq!(of("30m").begins(now), now.as_second() - hour / 2);
        let at = of("2026-11-29T11:00:00+01:00");
        assert_eq!(at.begins(now), now.as_second());
        assert_eq!(at.ends(now), now.as_second() + 1);
        let day = of("2026-11-28");
        assert_eq!(day.ends(now) - day.begins(now), 24 * hour);
        for odd in ["", "d", "7", "-7d", "7w", "yesterday", "2026-02-30", "é"] {
            assert!(odd.parse::<Moment>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,12}|[0-9]{1,12}[dhm]", now in any::<i32>()) {
            if let Ok(moment) = text.parse::<Moment>() {
                let now = Timestamp::from_second(now.into()).unwrap();
                prop_assert!(moment.begins(now) <= moment.ends(now));
            }
        }
    }
}
