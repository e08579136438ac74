//! Black-box tests of the real binary: one test binary, one module for each theme.

mod cases;
mod completions;
mod documented;
mod generated;
mod layering;
mod mail;
mod sending;
mod servers;
mod standin;
mod standin_selftest;
mod tokens;
mod world;
