//! `status`: the health of every mailbox, for a person, a browser, a monitor or Prometheus.

use super::Context;
use crate::cli::{StatusArgs, StatusFormat};
use crate::config;
use crate::fault::{Errors, Fault};
use crate::health::{Report, last_days};
use crate::office::Office;
use crate::output::is_standard;
use crate::tell::{metrics, nagios, page, status};
use crate::wording::counted;
use jiff::tz::TimeZone;
use std::path::PathBuf;

pub fn run(context: &Context, args: &StatusArgs) -> Result<(), Errors> {
    match args.format {
        StatusFormat::Text => look(context, args),
        // Whatever goes wrong, a monitor gets its line.
        StatusFormat::Nagios => match look(context, args) {
            Err(errors) if !errors.is_of_plugin() => nagios::unknown(&context.output, errors),
            told => told,
        },
    }
}

fn look(context: &Context, args: &StatusArgs) -> Result<(), Errors> {
    let output = &context.output;
    check_standard_output(args, output.json)?;
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let store = context.store(&config)?;
    let report = Report::of(&office, &store)?;
    if let Some(path) = &args.metrics {
        metrics::write(output, path, &report)?;
    }
    let problems = report.problems(args.max_age);
    if let Some(path) = &args.html {
        let zone = TimeZone::system();
        let days = last_days(&store, office.recording(), report.at, &zone)?;
        page::write(
            output,
            path,
            &page::Page::new(&report, &problems, args.max_age, &days, zone),
        )?;
    }
    if args.format == StatusFormat::Nagios {
        return nagios::tell(output, &report, &problems, args.max_age);
    }
    if output.json {
        output.json(&status::object(&report, &problems))?;
    } else if !args.check && args.metrics.is_none() && args.html.is_none() {
        status::tables(output, &report)?;
    }
    if args.check {
        if problems.is_empty() && !output.json {
            let all = counted(report.lines.len(), "mailbox", "mailboxes");
            output.step(&format!("{all}: ok"));
        }
        Errors::none_or(problems.into_iter().map(Into::into).collect())?;
    }
    Ok(())
}

/// Standard output takes one thing.
///
/// # Errors
/// `Usage`.
fn check_standard_output(args: &StatusArgs, json: bool) -> Result<(), Fault> {
    let is_it = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_standard);
    let wants = [
        ("--metrics -", is_it(&args.metrics)),
        ("--html -", is_it(&args.html)),
        ("--json", json),
        ("--format nagios", args.format == StatusFormat::Nagios),
    ];
    let mut names = wants.iter().filter(|(_, wants)| *wants);
    match (names.next(), names.next()) {
        (Some((one, _)), Some((other, _))) => Err(Fault::usage(format!(
            "`{one}` and `{other}` cannot both write to standard output"
        ))
        .hint("let one of them write to a file")),
        _ => Ok(()),
    }
}
