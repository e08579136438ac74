//! The binary: collects the arguments and leaves everything else to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    queuemail::run(std::env::args_os())
}
