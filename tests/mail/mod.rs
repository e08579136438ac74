//! Mail for the tests.

pub mod odd;
