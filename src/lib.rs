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
//!        reach                opens mailboxes and ways out, by the way that is permitted
//!        setup                the PowerShell that an administrator of the tenant runs
//!        submit               who may send, through which server, and how much
//!        tokens               gives tokens out: kept ones, or by a sign-in
//!        oauth mail delivery state vault prompt  strangers to each other
//!        config http dialogue net files means output secret child digest fault html shell
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
mod html;
mod http;
mod incidents;
mod mail;
mod means;
mod model;
mod net;
mod oauth;
mod office;
mod output;
mod peers;
mod powershell;
mod prompt;
mod provision;
mod reach;
mod relay;
mod rotate;
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
mod workers;
mod x509;

use output::{Level, LogFormat, Record};
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
    let cli = match cli::parse(args.clone()) {
        Ok(cli) => cli,
        Err(err) => return misread(&err, &args),
    };
    let voice = Voice::of(&cli.global);
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
            print_report(&report, voice);
        }
        exit_code = report.exit_code;
    }
    ExitCode::from(exit_code)
}

/// Says why a command line could not be read, or prints the help that it asked for.
fn misread(err: &clap::Error, args: &[OsString]) -> ExitCode {
    let fault = match usage::fault(err, args) {
        Some(fault) => fault.into(),
        // Help instead of a missing command is an error; help that was asked for is a result.
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
    print_report(&report, Voice::of_words(args));
    ExitCode::from(report.exit_code)
}

/// A crash must not write secrets to a disk. Where the limit cannot be lowered, the program goes
/// on: the system's administrator has decided otherwise.
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
/// end the program in the middle of its work.
fn no_end_by_size() {
    // Nobody looks at it: that there is a handler is all. Programs that are started have none.
    static SEEN: AtomicBool = AtomicBool::new(false);
    let _ = signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), &SEEN);
}

/// How the end of a run is told.
#[derive(Clone, Copy)]
struct Voice {
    json: bool,
    log: LogFormat,
    /// With its time.
    stamped: bool,
}

impl Voice {
    fn of(global: &cli::Global) -> Voice {
        Voice {
            json: global.json,
            log: global.log_format,
            stamped: global.verbose >= 1,
        }
    }

    /// That of a command line that could not be read.
    fn of_words(args: &[OsString]) -> Voice {
        let format = |name: &str| {
            let joined = format!("--log-format={name}");
            let is_said = |pair: &[OsString]| pair[0] == "--log-format" && pair[1] == name;
            args.iter().any(|arg| *arg == *joined) || args.windows(2).any(is_said)
        };
        Voice {
            json: args.iter().any(|arg| arg == "--json"),
            log: match () {
                () if format("json") => LogFormat::Json,
                () if format("journald") => LogFormat::Journald,
                () => LogFormat::Text,
            },
            stamped: false,
        }
    }
}

fn print_report(report: &diagnosis::Report, voice: Voice) {
    use output::{eprintln_safe, escape, escape_lines};
    let place = report.place.as_ref();
    let file = place.map(|place| place.file.display().to_string());
    let (line, column) = place.and_then(|place| place.line_and_column).unzip();
    if voice.log != LogFormat::Text {
        let record = Record::new(Level::Error, "error", &report.error)
            .with("error", report.error.as_str())
            .with("causes", report.causes.clone())
            .with("server_said", report.server_said.clone())
            .with("hints", report.hints.clone())
            .with("exit_code", report.exit_code)
            .with("file", file)
            .with("line", line)
            .with("column", column);
        return voice.log.write(&record, voice.stamped);
    }
    if voice.json {
        let object = output::json(&serde_json::json!({
            "event": "error",
            "error": report.error,
            "causes": report.causes,
            "server_said": report.server_said,
            "hints": report.hints,
            "exit_code": report.exit_code,
            "file": file,
            "line": line,
            "column": column,
        }));
        eprintln_safe(&object.unwrap_or_default());
        return;
    }
    let time = match voice.stamped {
        true => output::now() + " ",
        false => String::new(),
    };
    eprintln_safe(&format!("{time}error: {}", escape_lines(&report.error)));
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
