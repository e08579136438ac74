//! Black-box tests of the real binary: one test binary, one module for each theme.

mod browser;
mod campaign;
mod cases;
mod checking;
mod completions;
mod documented;
mod generated;
mod graph;
mod killed;
mod layering;
mod machine;
mod mail;
mod memory;
mod official;
mod patience;
mod release;
mod sending;
mod servers;
mod shapes;
mod standin;
mod standin_selftest;
mod tokens;
mod world;
