//! What came and went on each of the last days, by the calendar of this host.

use crate::model::Recording;
use crate::state::{DayCounts, MOST_DAYS, Store};
use anyhow::Result;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::ops::Range;

/// A day, and what is on record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    pub counts: DayCounts,
}

/// The last days, the present one last: as many as the history keeps, at most 30. Without a
/// history nothing is known of them.
///
/// # Errors
/// Those of the state.
pub fn last_days(
    store: &Store,
    recording: Recording,
    at: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<Day>> {
    let spans = spans(at, zone, recording.days.0.min(MOST_DAYS as u32));
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let seconds: Vec<Range<i64>> = spans.iter().map(|(_, span)| span.clone()).collect();
    let counts = store.count_days(&seconds)?;
    let days = spans.iter().zip(counts);
    Ok(days
        .map(|((date, _), counts)| Day {
            date: *date,
            counts,
        })
        .collect())
}

/// So many days up to `at`, each with its first second and the one after its last: where a clock
/// is changed a day has 23 or 25 hours.
fn spans(at: Timestamp, zone: &TimeZone, number: u32) -> Vec<(Date, Range<i64>)> {
    let today = at.to_zoned_datetime(zone.clone()).date();
    let begins = |date: Date| {
        let begin = date.to_zoned_datetime(zone.clone()).ok()?;
        Some(begin.timestamp().as_second())
    };
    let day = |ago: u32| {
        let date = today.checked_sub(i64::from(ago).days()).ok()?;
        Some((date, begins(date)?..begins(date.tomorrow().ok()?)?))
    };
    (0..number).rev().filter_map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let at: Timestamp = "2026-03-30T12:00:00Z".parse().unwrap();
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let spans = spans(at, &berlin, 3);
        let days: Vec<(String, i64)> = spans
            .iter()
            .map(|(date, span)| (date.to_string(), (span.end - span.start) / 3600))
            .collect();
        let day = |date: &str, hours| (date.to_owned(), hours);
        assert_eq!(
            days,
            [
                day("2026-03-28", 24),
                day("2026-03-29", 23),
                day("2026-03-30", 24)
            ]
        );
        let first: Timestamp = "2026-03-27T23:00:00Z".parse().unwrap();
        assert_eq!(spans[0].1.start, first.as_second());
        assert!(
            spans.windows(2).all(|two| two[0].1.end == two[1].1.start),
            "{spans:?}"
        );
        let late: Timestamp = "2026-03-28T23:30:00Z".parse().unwrap();
        let spans = super::spans(late, &berlin, 1);
        assert_eq!(spans[0].0.to_string(), "2026-03-29", "it is past midnight");
        assert!(super::spans(at, &berlin, 0).is_empty());
    }
}
