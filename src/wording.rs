//! Numbers, times and choices as text; how wide a text is on a terminal, and how it is cut or broken there.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::{SystemTime, UNIX_EPOCH};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Says the words of an enum, once for options and for whoever shows it. What the file has is
/// read by the derived `Deserialize`, whose words are the same.
macro_rules! words {
    ($kind:ident { $($value:ident = $word:literal),* $(,)? }) => {
        impl $kind {
            pub fn name(self) -> &'static str {
                match self {
                    $($kind::$value => $word),*
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl clap::ValueEnum for $kind {
            fn value_variants<'a>() -> &'a [$kind] {
                &[$($kind::$value),*]
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(self.name().into())
            }
        }
    };
}

pub(crate) use words;

/// `1 line`, `2 lines`; `1 line has`, `2 lines have`.
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// `1 message`, `2 messages`.
pub fn messages(count: u64) -> String {
    counted(count, "message", "messages")
}

/// An amount of data, rounded, in decimal units as networks and mailboxes have them.
pub fn bytes(count: u64) -> String {
    let mut amount = count as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        let rounded = match unit != "bytes" && amount < 9.95 {
            true => format!("{amount:.1}"),
            false => format!("{amount:.0}"),
        };
        if amount < 999.5 {
            return match count {
                1 => "1 byte".to_owned(),
                _ => format!("{rounded} {unit}"),
            };
        }
        amount /= 1000.0;
    }
    format!("{amount:.1} TB")
}

/// A span of time, in seconds, in one unit.
pub fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// A time of day, local.
pub fn clock(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}

/// Local date and time, to the minute; `seconds` of Unix time.
pub fn local_time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| {
            time.to_zoned_datetime(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        },
    )
}

/// Seconds of Unix time as machines read it (RFC 3339, UTC).
pub fn stamp(seconds: i64) -> Option<String> {
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}

/// An instant, to the second, as machines read it (RFC 3339, UTC).
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).ok();
    seconds.and_then(stamp).unwrap_or_default()
}

/// How many columns a text takes on a terminal (UAX #11): a letter of Chinese two, a mark upon a
/// letter none.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Where the cursor is after a text that begins in the first column: rows below, columns to the
/// right. After a row that is full it is at the start of the next one.
pub fn place(text: &str, columns: usize) -> (usize, usize) {
    let (mut row, mut column) = (0, 0);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if column + wide > columns {
            row += 1;
            column = 0;
        }
        column += wide;
    }
    match column >= columns {
        true => (row + 1, 0),
        false => (row, column),
    }
}

/// A text in so many columns; `…` at its end says that something was cut off.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut taken = 0;
    for c in text.chars() {
        taken += c.width().unwrap_or(0);
        if taken >= columns {
            break;
        }
        short.push(c);
    }
    // A sign that is joined from several may be wider than they are.
    while width(&short) >= columns && short.pop().is_some() {}
    short.truncate(short.trim_end().len());
    short + "…"
}

/// Breaks a text at its spaces into lines of so many columns; a longer word, such as an address of
/// a page, stays whole.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded() {
        for (count, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (12_345, "12 kB"),
            (999_600, "1.0 MB"),
            (9_960_000, "10 MB"),
            (12_000_000_000, "12 GB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn texts_are_as_wide_as_on_a_terminal() {
        assert_eq!(width("日本語"), 6);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("👩\u{200d}💻"), 2);
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        let hearts = cut(&"\u{2764}\u{fe0f}".repeat(3), 4);
        assert!(width(&hearts) <= 4 && hearts.ends_with('…'), "{hearts}");
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("shorter", 5), "shor…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrap("see https://example.com/a", 8),
            ["see", "https://example.com/a"]
        );
        assert_eq!(place("日本語", 5), (1, 2));
        assert_eq!(place("12345", 5), (1, 0));
        assert_eq!(place("", 5), (0, 0));
    }
}
