//! The log: what is told beside the result, as lines for people, as JSON Lines or into systemd's
//! journal. The names of its fields are a promise; `tell/output.schema.json` describes them.

use super::journal;
use super::safe::{eprintln_safe, escape, escape_lines, json};
use crate::wording::words;
use serde_json::{Map, Value};
use std::sync::Once;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The severity of RFC 5424, table 2, which the journal's `PRIORITY` is.
    fn severity(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
            Level::Debug => 7,
        }
    }
}

/// Something that happened.
pub struct Record<'a> {
    pub level: Level,
    /// What kind of thing, in one word.
    pub event: &'static str,
    /// For people; not yet made safe to show.
    pub text: &'a str,
    fields: Vec<(&'static str, Value)>,
}

impl<'a> Record<'a> {
    pub fn new(level: Level, event: &'static str, text: &'a str) -> Record<'a> {
        Record {
            level,
            event,
            text,
            fields: Vec::new(),
        }
    }

    /// Adds what a program may want to know of it; nothing where it is not known.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Record<'a> {
        let value = value.into();
        if !value.is_null() {
            self.fields.push((name, value));
        }
        self
    }

    /// The line for people: the text, and of a message what is known of it.
    fn line(&self) -> String {
        let mut line = match self.level {
            Level::Error => format!("error: {}", escape_lines(self.text)),
            Level::Warning => format!("warning: {}", escape_lines(self.text)),
            // Masked, laid out and made safe by whoever speaks the protocol.
            Level::Debug => self.text.to_owned(),
            Level::Info => escape_lines(self.text),
        };
        for (name, value) in &self.fields {
            line.push_str(&format!(" {name}={}", cell(value)));
        }
        line
    }

    fn object(&self, time: &str) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("time".into(), time.into());
        object.insert("level".into(), self.level.name().into());
        object.insert("event".into(), self.event.into());
        object.insert("message".into(), self.text.into());
        for (name, value) in &self.fields {
            object.insert((*name).into(), value.clone());
        }
        object
    }

    /// What the journal gets (systemd.journal-fields(7)): the program's fields begin with its name.
    fn datagram(&self) -> Vec<u8> {
        let mut fields = journal::Fields::new();
        fields.add("MESSAGE", self.text);
        fields.add("PRIORITY", &self.level.severity().to_string());
        fields.add("SYSLOG_IDENTIFIER", "queuemail");
        fields.add("QUEUEMAIL_EVENT", self.event);
        for (name, value) in &self.fields {
            let name = format!("QUEUEMAIL_{}", name.to_ascii_uppercase());
            match value {
                // A field may come several times.
                Value::Array(values) => values.iter().for_each(|v| fields.add(&name, &plain(v))),
                value => fields.add(&name, &plain(value)),
            }
        }
        fields.octets()
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A value as one word: in quotes where it would not be one.
fn cell(value: &Value) -> String {
    let text = plain(value);
    let is_word = |c: char| !c.is_whitespace() && c != '"' && c != '=';
    match !text.is_empty() && text.chars().all(is_word) {
        true => escape(&text),
        false => json(&text).unwrap_or_default(),
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, on standard error.
    #[default]
    Text,
    /// JSON Lines, on standard error.
    Json,
    /// Records with fields, to systemd's journal.
    Journald,
}

words!(LogFormat { Text = "text", Json = "json", Journald = "journald" });

impl LogFormat {
    /// Writes a record; as text with its time where that is `stamped`.
    pub fn write(self, record: &Record<'_>, stamped: bool) {
        match self {
            LogFormat::Text => write_text(record, stamped),
            LogFormat::Json => {
                eprintln_safe(&json(&record.object(&now())).unwrap_or_default());
            }
            LogFormat::Journald => {
                if let Err(err) = journal::send(&record.datagram()) {
                    static ONCE: Once = Once::new();
                    ONCE.call_once(|| {
                        eprintln_safe(&format!(
                            "warning: cannot write to the journal at {}: {err}; the log goes to standard error",
                            journal::SOCKET
                        ));
                    });
                    write_text(record, true);
                }
            }
        }
    }
}

fn write_text(record: &Record<'_>, stamped: bool) {
    let line = record.line();
    match stamped {
        true => eprintln_safe(&format!("{} {line}", now())),
        false => eprintln_safe(&line),
    }
}

/// The time by the system's clock, in UTC, to the millisecond (RFC 3339).
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_faked_by_a_value() {
        let record = Record::new(Level::Info, "delivered", "delivered")
            .with("queue", "support")
            .with("message_id", "<a b=\"c\"\n2026 warning: x>")
            .with("folder", Value::Null)
            .with("size", 12);
        assert_eq!(
            record.line(),
            r#"delivered queue=support message_id="<a b=\"c\"\n2026 warning: x>" size=12"#
        );
    }

    #[test]
    fn a_time_is_in_utc_to_the_millisecond() {
        let now = now();
        assert_eq!((now.len(), &now[23..]), (24, "Z"), "{now}");
    }
}
