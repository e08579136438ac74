mod standin;
mod standin_selftest;
