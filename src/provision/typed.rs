//! Options that are read as values of the model, with the checks of their types.

use crate::model::{Change, is_guid};
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Why a value of the model could not be read; it follows the option's name.
#[derive(Debug)]
pub enum Refused {
    Empty,
    Because(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Empty => f.write_str(" must not be empty"),
            Refused::Because(why) => write!(f, ": {why}"),
        }
    }
}

impl std::error::Error for Refused {}

/// A value of the model.
pub fn value<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    |text: &str| read::<T>(text)
}

/// A value of the model, or the empty string, by which `set` takes a key away.
pub fn change<T>() -> impl TypedValueParser<Value = Change<T>>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    |text: &str| match text {
        "" => Ok(Change::Unset),
        text => read::<T>(text).map(Change::Set),
    }
}

/// Any text, or the empty string likewise.
pub fn change_text() -> impl TypedValueParser<Value = Change<String>> {
    |text: &str| match text {
        "" => Ok::<_, Refused>(Change::Unset),
        text => Ok(Change::Set(text.to_owned())),
    }
}

/// A path as it was typed, or the empty string likewise.
pub fn change_path() -> impl TypedValueParser<Value = Change<PathBuf>> {
    OsStringValueParser::new().map(|text| match text.is_empty() {
        true => Change::Unset,
        false => Change::Set(PathBuf::from(text)),
    })
}

/// A GUID.
pub fn guid() -> impl TypedValueParser<Value = String> {
    |text: &str| match text.trim() {
        "" => Err(Refused::Empty),
        text if is_guid(text) => Ok(text.to_owned()),
        text => Err(Refused::Because(format!("`{text}` is not a GUID"))),
    }
}

fn read<T: FromStr<Err = String>>(text: &str) -> Result<T, Refused> {
    match text.trim() {
        "" => Err(Refused::Empty),
        text => text.parse().map_err(Refused::Because),
    }
}
