//! Values that the file has as a text, and whose check is their `FromStr`: how each is read, and
//! stated, is declared once.
//!
//! The check runs inside the visitor, not after it: only there does serde_yaml attach the
//! value's own line and column to the error.

use crate::model::*;
use crate::net::Endpoint;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Read by `FromStr`.
macro_rules! read {
    ($($kind:ident)*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(de: D) -> Result<$kind, D::Error> {
                de.deserialize_str(Parsed(PhantomData))
            }
        }
    )*};
}

/// Stated by `Display`.
macro_rules! stated {
    ($($kind:ident)*) => {$(
        impl Value for $kind {
            const IS_OPEN: bool = true;

            fn stated(&self) -> Tree {
                Tree::Text(self.to_string())
            }
        }
    )*};
}

macro_rules! texts {
    ($($kind:ident)*) => {
        read!($($kind)*);
        stated!($($kind)*);
    };
}

texts!(AfterFetch Author Authority ClientId Day Days EmailAddress Endpoint HttpsUrl Language Lease);
texts!(OauthEndpoint PostUrl ServerUser Span Start Tenant);
read!(PingUrl Target);
stated!(Authentication Size String);

/// A size may be a bare number.
struct Octets;

impl Visitor<'_> for Octets {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like 25MB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Size, E> {
        n.to_string().parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Size, D::Error> {
        de.deserialize_any(Octets)
    }
}

struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = Priority;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 to 1000000")
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Priority, E> {
        n.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Priority, E> {
        n.to_string().parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Priority, D::Error> {
        de.deserialize_u64(WholeNumber)
    }
}
