//! How fast, how lean and how faithful: `queuemail` beside the programs people use today, on the
//! same servers, the same messages and the same disk, in one run.
//!
//! `make bench` measures everything, `make bench CASES="fetch-a idle-a"` some of it. `RUNS=5`
//! changes how often (the median counts), and `LIMIT=1800` how many seconds a program gets; with as
//! many, getmail and fetchmail fetch 10,000 on a slow line too. The result is Markdown on standard
//! output. Seconds differ from machine to machine; the ratios are what to compare.

mod case;
mod floor;
mod graph;
mod measure;
mod office;
mod peers;
mod relay;
mod table;

#[path = "../tests/mail/mod.rs"]
mod mail;
#[path = "../tests/servers/mod.rs"]
mod servers;
#[path = "../tests/standin/mod.rs"]
mod standin;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--floor") {
        return floor::run(&args[1..]);
    }
    // cargo adds `--bench`.
    let wanted: Vec<&str> = args
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .map(String::as_str)
        .collect();
    for name in &wanted {
        if !case::NAMES.contains(name) {
            eprintln!("no case `{name}`; there are: {}", case::NAMES.join(" "));
            return ExitCode::from(64);
        }
    }
    let missing = servers::missing();
    if !missing.is_empty() {
        eprintln!("missing: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    let office = office::Office::open();
    table::introduction();
    for name in case::NAMES {
        if wanted.is_empty() || wanted.contains(name) {
            eprintln!("{name} …");
            case::run(name, &office);
        }
    }
    ExitCode::SUCCESS
}
