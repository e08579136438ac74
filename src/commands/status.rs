//! `status`: the health of every mailbox, for a person, a monitor or Prometheus.

use super::Context;
use crate::cli::{StatusArgs, StatusFormat};
use crate::config;
use crate::fault::Errors;
use crate::health::Report;
use crate::office::Office;
use crate::tell::{metrics, nagios, status};

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
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let store = context.store(&config)?;
    let report = Report::of(&office, &store)?;
    if let Some(path) = &args.metrics {
        metrics::write(path, &report)?;
    }
    let problems = report.problems(args.max_age);
    if args.format == StatusFormat::Nagios {
        return nagios::tell(output, &report, &problems, args.max_age);
    }
    if output.json {
        output.json(&status::object(&report, &problems))?;
    } else if !args.check && args.metrics.is_none() {
        status::tables(output, &report)?;
    }
    if args.check {
        if problems.is_empty() && !output.json {
            output.step(&format!("{} mailboxes: ok", report.lines.len()));
        }
        Errors::none_or(problems.into_iter().map(Into::into).collect())?;
    }
    Ok(())
}
