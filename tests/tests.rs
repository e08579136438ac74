//! Black-box tests of the real binary: one test binary, one module for each theme.

mod cases;
mod machine;
mod mail;
mod sending;
mod servers;
mod standin;
mod standin_selftest;
mod tokens;
mod world;
