//! Mail for the tests.
#![allow(dead_code)] // shared by the tests and the benchmark, and neither uses all of it

pub mod odd;
