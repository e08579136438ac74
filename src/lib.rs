//! queuemail: fetch and send the mail of Microsoft 365 queues with OAuth.
//!
//! The library has two doors: [`run`], which is the whole program, and [`command`], from which
//! man pages and completions are generated. Everything else is private, so that the compiler
//! reports what nobody uses. Dependencies point one way:
//!
//! ```text
//! main → lib → cli, usage     parse, dispatch, print an error once
//!        commands             where the parts meet: one file for each thing a user can ask
//!        fetch                the engine: list, deliver, record, settle
//!        incidents            what fails, and who is told of it when
//!        send                 the engine: connections, limits, waits, verdicts, and the outbox
//!        relay                one SMTP session of a client of this machine, into the outbox
//!        check                the walk to a working mailbox, step by step
//!        provision            servers and queues added, changed, renamed, removed
//!        reach                opens mailboxes and ways out, by the way that is open to us
//!        setup                the PowerShell that an administrator of the tenant runs
//!        submit               who may send, through which server, and how much
//!        tokens               gives tokens out: kept ones, or by a sign-in
//!        oauth mail delivery state vault prompt  strangers to each other
//!        config http dialogue net files means output secret child digest fault shell
//! ```

#![forbid(unsafe_code)]

mod check;
mod child;
mod cli;
mod commands;
mod config;
mod delivery;
mod diagnosis;
mod dialogue;
mod digest;
mod expiry;
mod fault;
mod fetch;
mod files;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod health;
mod http;
mod incidents;
mod mail;
mod means;
mod net;
mod oauth;
mod office;
mod output;
mod powershell;
mod prompt;
mod provision;
mod reach;
mod relay;
mod secret;
mod send;
mod setup;
mod shell;
mod state;
mod system;
mod tell;
mod tokens;
mod usage;
mod vault;
mod wording;
mod x509;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// The command line's whole definition, for man pages and completions.
pub fn command() -> clap::Command {
    cli::built()
}

/// Runs the program with the arguments of a process, its name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    no_core_dumps();
    no_end_by_size();
    let args = cli::as_sendmail(args);
    let wants_json = args.iter().any(|arg| arg == "--json");
    let cli = match cli::parse(args.clone()) {
        Ok(cli) => cli,
        Err(err) => return misread(&err, &args, wants_json),
    };
    let json = cli.global.json;
    let Err(errors) = commands::dispatch(cli) else {
        return ExitCode::SUCCESS;
    };
    let mut exit_code = 0;
    for err in errors.sorted() {
        if let Some(state) = err.downcast_ref::<fault::Plugin>() {
            return ExitCode::from(state.exit_code());
        }
        let report = diagnosis::report(&err);
        if !err.is::<fault::Told>() {
            print_report(&report, json);
        }
        exit_code = report.exit_code;
    }
    ExitCode::from(exit_code)
}

/// Says why a command line could not be read, or prints the help that it asked for.
fn misread(err: &clap::Error, args: &[OsString], json: bool) -> ExitCode {
    let fault = match usage::fault(err, args) {
        Some(fault) => fault.into(),
        // Help in place of a missing command is an error; help that was asked for is a result.
        None if err.use_stderr() => {
            let _ = err.print();
            return ExitCode::from(64);
        }
        None => match output::finish_stdout(err.print()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(unwritten) => unwritten,
        },
    };
    let report = diagnosis::report(&fault);
    print_report(&report, json);
    ExitCode::from(report.exit_code)
}

/// A crash must not write secrets to a disk. Where the limit cannot be lowered, we go on: the
/// system's administrator has decided otherwise.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    system::hide_memory();
}

/// A file that may not grow so far (`ulimit -f`) is to fail the write, as on a full disk, and not to
/// end us in the middle of our work.
fn no_end_by_size() {
    // Nobody looks at it: that there is a handler is all. Programs that we start have none.
    static SEEN: AtomicBool = AtomicBool::new(false);
    let _ = signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), &SEEN);
}

fn print_report(report: &diagnosis::Report, json: bool) {
    use output::{eprintln_safe, escape, escape_lines};
    if json {
        let object = output::json(&serde_json::json!({
            "event": "error",
            "error": report.error,
            "causes": report.causes,
            "server_said": report.server_said,
            "hints": report.hints,
            "exit_code": report.exit_code,
        }));
        eprintln_safe(&object.unwrap_or_default());
        return;
    }
    eprintln_safe(&format!("error: {}", escape_lines(&report.error)));
    for cause in &report.causes {
        eprintln_safe(&format!("caused by: {}", escape(cause)));
    }
    if let Some(text) = &report.server_said {
        eprintln_safe(&format!("server said: {}", escape(text)));
    }
    for hint in &report.hints {
        eprintln_safe(&format!("hint: {}", escape_lines(hint)));
    }
}
