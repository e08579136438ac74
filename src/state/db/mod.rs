//! The database as the rest of `state` sees it: statements with values in, rows out.
//!
//! A statement is written in what SQLite and PostgreSQL have in common, so that another driver
//! needs no other ledger. What is SQLite's own (the file, the log beside it, how durable a commit
//! is, an index that is made when it is needed) is in its driver, and the tables are in
//! [`super::schema`].

mod sqlite;

pub use sqlite::{Db, Error, Reader, Row, Tx, has_damage};
#[cfg(test)]
pub use sqlite::{LONGEST_LOG, statements};

use crate::mail::RemoteId;

/// A statement that SQLite and PostgreSQL understand alike: `ON CONFLICT`, `RETURNING`, `FILTER`
/// and `CASE` in place of what only one of them has. Its values are `?1`, `?2` …
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    both: &'static str,
}

impl Sql {
    pub const fn both(both: &'static str) -> Sql {
        Sql { both }
    }
}

/// When a commit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Once it survives a power cut.
    Now,
    /// At once: after a power cut it is whole or not there.
    InPassing,
}

/// What a write rests on: it is undone unless the lease of this name still has this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub name: String,
    pub number: i64,
}

/// A value in a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    /// Also a flag: 1 or 0.
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Id(&'a RemoteId),
}

/// An array of [`Value`]s.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::state::db::Value::from($value)),*] };
}
pub(super) use values;

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Int(value.into())
    }
}

impl From<u64> for Value<'_> {
    /// What is greater than the database can hold becomes the greatest that it can.
    fn from(value: u64) -> Self {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Int(value.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8; 16]> for Value<'a> {
    fn from(value: &'a [u8; 16]) -> Self {
        Value::Blob(value)
    }
}

impl<'a> From<&'a RemoteId> for Value<'a> {
    fn from(value: &'a RemoteId) -> Self {
        Value::Id(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
