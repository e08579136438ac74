//! Black-box tests of the real binary: one test binary, one module for each theme.

mod cases;
mod world;
