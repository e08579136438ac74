mod standin;
mod standin_selftest;
mod tokens;
