//! The walks on paper: a line for each step, one sentence where it fails.

use crate::check::{Checked, Outcome, Step};
use crate::diagnosis::{self, Verdict};
use crate::fault::Kind;
use crate::output::{Output, escape, escape_lines};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

/// Prints all walks; with `-q` those that did not end well.
pub fn all(output: &Output, checked: &[Checked], worst: Option<Kind>) -> Result<()> {
    if output.json {
        return output.json(&as_json(checked, worst));
    }
    let utf8 = speaks_utf8();
    let told = checked
        .iter()
        .filter(|one| !output.quiet || one.walk.worst().is_some());
    for (index, one) in told.enumerate() {
        if index > 0 {
            output.line("")?;
        }
        output.line(&escape(&one.title))?;
        for step in &one.walk.steps {
            print(output, utf8, step)?;
        }
    }
    Ok(())
}

fn print(output: &Output, utf8: bool, step: &Step) -> Result<()> {
    let line = |detail: &str| {
        let (mark, color) = mark(&step.outcome, utf8);
        let text = format!("{:<16} {:>8}  {}", step.name, time(step), escape(detail));
        output.marked(mark, color, text.trim_end())
    };
    match &step.outcome {
        Outcome::Passed => line(&step.detail),
        Outcome::NotReached => line("not reached"),
        Outcome::Untested(err) => {
            line(&step.detail)?;
            let verdict = diagnosis::verdict(err, &step.scene);
            output.line(&format!("      to check: {}", escape(&verdict.remedy)))
        }
        Outcome::Warned(err) | Outcome::Failed(err) => {
            line(err.to_string().lines().next().unwrap_or_default())?;
            let verdict = diagnosis::verdict(err, &step.scene);
            if let Some(said) = &verdict.server_said {
                output.line(&format!("      server said: {}", escape(said)))?;
            }
            output.line(&format!("      {}", escape(&verdict.sentence())))?;
            if output.verbose > 0 {
                for hint in &verdict.hints {
                    let hint = escape_lines(hint);
                    output.line(&format!("      hint: {hint}"))?;
                }
            }
            Ok(())
        }
    }
}

fn time(step: &Step) -> String {
    match (&step.outcome, step.took) {
        (Outcome::NotReached | Outcome::Untested(_), _) | (_, Duration::ZERO) => String::new(),
        (_, took) => format!("{} ms", took.as_millis()),
    }
}

fn as_json(checked: &[Checked], worst: Option<Kind>) -> Value {
    let walks: Vec<Value> = checked
        .iter()
        .map(|one| {
            let steps: Vec<Value> = one.walk.steps.iter().map(step_json).collect();
            json!({
                "name": one.name,
                "title": one.title,
                "queue": one.queue,
                "ok": one.walk.worst().is_none(),
                "steps": steps,
            })
        })
        .collect();
    json!({
        "checked": walks,
        "exit_code": worst.map_or(0, Kind::exit_code),
    })
}

fn step_json(step: &Step) -> Value {
    let (result, verdict) = match &step.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Untested(err) => ("untested", Some(err)),
        Outcome::Warned(err) => ("warned", Some(err)),
        Outcome::Failed(err) => ("failed", Some(err)),
        Outcome::NotReached => ("not-reached", None),
    };
    let mut object = json!({
        "step": step.name,
        "result": result,
        "milliseconds": step.took.as_millis() as u64,
        "detail": step.detail,
    });
    if let Some(err) = verdict {
        let verdict = diagnosis::verdict(err, &step.scene);
        object["verdict"] = verdict_json(&verdict);
    }
    object
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "sentence": verdict.sentence(),
        "wrong": verdict.wrong,
        "who": verdict.who.describe(),
        "remedy": verdict.remedy,
        "hints": verdict.hints,
        "server_said": verdict.server_said,
        "exit_code": verdict.exit_code,
    })
}

/// The mark of an outcome, and its colour.
fn mark(outcome: &Outcome, utf8: bool) -> (&'static str, u8) {
    let (mark, ascii, color) = match outcome {
        Outcome::Passed => ("✓", "ok", 32),
        Outcome::Failed(_) => ("✗", "NO", 31),
        Outcome::Warned(_) => ("!", "! ", 33),
        Outcome::Untested(_) => ("?", "? ", 33),
        Outcome::NotReached => ("-", "- ", 2),
    };
    (if utf8 { mark } else { ascii }, color)
}

/// By POSIX: the first of these variables that is set decides.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
