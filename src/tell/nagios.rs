//! `--check --format nagios`: one line and an exit code, as the Monitoring Plugins' guidelines ask
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>).

use crate::fault::{Errors, Fault, Plugin};
use crate::health::{Report, is_critical};
use crate::output::{Output, escape};
use anyhow::Result;

/// A line is no longer, in characters: monitors cut one off.
const LONGEST: usize = 1000;

/// Prints the line; the error gives the exit code.
pub fn tell(
    output: &Output,
    report: &Report<'_>,
    problems: &[Fault],
    max_age: u32,
) -> Result<(), Errors> {
    let critical = problems.iter().find(|fault| is_critical(fault));
    let worst = critical.or(problems.first());
    let state = match (critical, worst) {
        (Some(_), _) => Plugin::Critical,
        (None, Some(_)) => Plugin::Warning,
        (None, None) => Plugin::Ok,
    };
    let said = match (worst, problems.len()) {
        (None, _) if report.lines.len() == 1 => "1 mailbox is fetched".to_owned(),
        (None, _) => format!("{} mailboxes are fetched", report.lines.len()),
        (Some(worst), 1) => worst.what.clone(),
        (Some(worst), n) => format!("{} (and {} more)", worst.what, n - 1),
    };
    let figures = figures(report, max_age);
    output.line(&line(state, &said, &figures.join(" ")))?;
    state.end()
}

/// What stands for the state where nobody can tell it.
pub fn unknown(output: &Output, errors: Errors) -> Result<(), Errors> {
    let all = errors.sorted();
    let worst = all.last().map(|err| format!("{err:#}"));
    let said = worst.unwrap_or_default();
    output.line(&line(Plugin::Unknown, &said, ""))?;
    Plugin::Unknown.end()
}

/// `QUEUEMAIL STATE - text | figures`: what separates the two must not be in the text.
fn line(state: Plugin, said: &str, figures: &str) -> String {
    let said = escape(&said.replace(['\n', '\r'], " ")).replace('|', "/");
    let said: String = said.chars().take(LONGEST).collect();
    let text = format!("QUEUEMAIL {} - {said}", state.name());
    match figures.is_empty() {
        true => text,
        false => format!("{text} | {figures}"),
    }
}

/// `label=value[unit];warn;crit;min` each.
fn figures(report: &Report<'_>, max_age: u32) -> Vec<String> {
    let (lines, outbox) = (&report.lines, &report.outbox);
    let ages = lines.iter().map(|line| line.health.last_success);
    // One that was never fetched has no age, and then nobody knows the greatest.
    let oldest = ages.collect::<Option<Vec<_>>>().map(|all| {
        let ages = all.into_iter().map(|at| report.at.as_second() - at);
        ages.max().unwrap_or(0).max(0)
    });
    let oldest = oldest.map_or("U".to_owned(), |age| format!("{age}s"));
    vec![
        format!("mailboxes={};;;0", lines.len()),
        format!(
            "failing={};;;0",
            report.sum(|line| line.health.last_error.is_some().into())
        ),
        format!("oldest_fetch={oldest};;{max_age};0"),
        format!(
            "delivered={}c;;;0",
            report.sum(|line| line.health.delivered)
        ),
        format!("pending={};;;0", report.sum(|line| line.health.backlog)),
        format!(
            "quarantined={};0;;0",
            report.sum(|line| line.health.quarantined)
        ),
        format!("outbox_waiting={};;;0", outbox.waiting),
        format!("outbox_unknown={};0;;0", outbox.unknown),
        format!("outbox_failed={};0;;0", outbox.failed),
    ]
}
