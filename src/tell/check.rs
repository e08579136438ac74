//! The walks on paper: a line for each step, one sentence where it fails.

use crate::check::{Checked, Outcome, Step};
use crate::diagnosis::{self, Verdict, Who};
use crate::fault::Kind;
use crate::output::{self, Output, escape};
use crate::wording::{cut, width, wrap};
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
    let mut is_told = false;
    for (index, one) in told.enumerate() {
        is_told = true;
        if index > 0 {
            output.line("")?;
        }
        output.line(&escape(&one.title))?;
        for step in &one.walk.steps {
            print(output, utf8, step)?;
        }
    }
    match sum(checked) {
        Some(sum) if is_told => output.line(&format!("\n{sum}")),
        _ => Ok(()),
    }
}

/// Several mailboxes in one sentence: how many work, and who is needed for the others.
fn sum(checked: &[Checked]) -> Option<String> {
    let mailboxes = checked.iter().filter(|one| one.queue.is_some());
    let broken = mailboxes.clone().filter_map(|one| {
        let step = one.walk.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Failed(err) => Some((err, &step.scene)),
            _ => None,
        });
        step.map(|(err, scene)| diagnosis::verdict(err, scene).who)
    });
    let mut needed: Vec<(Who, usize)> = Vec::new();
    for who in broken {
        match needed.iter_mut().find(|(known, _)| *known == who) {
            Some((_, count)) => *count += 1,
            None => needed.push((who, 1)),
        }
    }
    let all = mailboxes.count();
    if all < 2 {
        return None;
    }
    let works = all - needed.iter().map(|(_, count)| count).sum::<usize>();
    let mut sum = format!("{works} of {all} mailboxes work");
    for (who, count) in needed {
        let need = match (who, count) {
            (Who::Nobody, 1) => "1 fails temporarily".to_owned(),
            (Who::Nobody, count) => format!("{count} fail temporarily"),
            (who, 1) => format!("1 needs {}", who.describe()),
            (who, count) => format!("{count} need {}", who.describe()),
        };
        sum += &format!("; {need}");
    }
    Some(sum)
}

fn print(output: &Output, utf8: bool, step: &Step) -> Result<()> {
    let line = |detail: &str| {
        let (mark, color) = mark(&step.outcome, utf8);
        let start = format!("{:<16} {:>8}  ", step.name, time(step));
        let indent = width(mark) + width(&start) + 3;
        let detail = beside(output, step, &escape(detail), indent);
        output.marked(mark, color, format!("{start}{detail}").trim_end())
    };
    match &step.outcome {
        Outcome::Passed => line(&step.detail),
        Outcome::NotReached => line("not reached"),
        Outcome::Untested(err) => {
            line(&step.detail)?;
            let verdict = diagnosis::verdict(err, &step.scene);
            paragraph(output, &format!("to check: {}", verdict.remedy))
        }
        Outcome::Warned(err) | Outcome::Failed(err) => {
            let what = err.to_string();
            let what = what.lines().next().unwrap_or_default();
            line(what)?;
            let verdict = diagnosis::verdict(err, &step.scene);
            if let Some(said) = &verdict.server_said {
                paragraph(output, &format!("server said: {said}"))?;
            }
            // What the step's line says is not said again.
            let means = verdict.wrong.strip_prefix(what).unwrap_or(&verdict.wrong);
            let means = means.trim_start_matches([':', ';', ' ']);
            if !means.is_empty() {
                paragraph(output, means)?;
            }
            paragraph(output, &verdict.fix())?;
            if output.verbose > 0 {
                for hint in verdict.hints.iter().filter(|hint| **hint != verdict.remedy) {
                    paragraph(output, &format!("hint: {hint}"))?;
                }
            }
            Ok(())
        }
    }
}

/// What stands beside the name of a step: on a terminal one line of what is well, but for `-v`; the
/// rest of anything else goes on below itself.
fn beside(output: &Output, step: &Step, detail: &str, indent: usize) -> String {
    const NARROWEST: usize = 20;
    let room = output::columns().map(|columns| columns.saturating_sub(indent));
    match room.filter(|room| *room >= NARROWEST) {
        None => detail.to_owned(),
        Some(room) if matches!(step.outcome, Outcome::Passed) && output.verbose == 0 => {
            cut(detail, room)
        }
        Some(room) => wrap(detail, room).join(&format!("\n{:indent$}", "")),
    }
}

/// Text below a step, broken where the terminal ends. A page's address is alone on its line, and
/// so is a command, which is never broken: both are to be copied.
fn paragraph(output: &Output, text: &str) -> Result<()> {
    const INDENT: usize = 6;
    const WIDEST: usize = 100;
    let room = output::columns().map(|columns| columns.min(WIDEST).saturating_sub(INDENT));
    for line in text.lines() {
        for part in apart(&escape(line)) {
            let lines = match room {
                Some(room) if !is_command(&part) => wrap(&part, room),
                _ => vec![part],
            };
            for line in lines {
                output.line(&format!("{:INDENT$}{line}", ""))?;
            }
        }
    }
    Ok(())
}

/// A text in the parts that have lines of their own.
fn apart(text: &str) -> Vec<String> {
    let command = text.match_indices(": ").find_map(|(at, colon)| {
        let (before, rest) = (&text[..=at], &text[at + colon.len()..]);
        is_command(rest).then_some((before, rest))
    });
    // A page that a command names belongs to the command.
    let (before, command) = match command {
        Some((before, command)) => (before, Some(command)),
        None if is_command(text) => return vec![text.to_owned()],
        None => (text, None),
    };
    let mut parts = vec![String::new()];
    let mut was_page = false;
    for word in before.split(' ') {
        let is_page = is_page(word);
        if (is_page || was_page) && parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            if !part.is_empty() {
                part.push(' ');
            }
            part.push_str(word);
        }
        was_page = is_page;
    }
    parts.extend(command.map(str::to_owned));
    parts
}

fn is_page(word: &str) -> bool {
    word.contains("https://")
}

/// True for a command of queuemail or of PowerShell (Verb-Noun).
fn is_command(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    let is_verb_and_noun = first.split_once('-').is_some_and(|(verb, noun)| {
        [verb, noun].iter().all(|word| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric())
        })
    });
    first == "queuemail" || is_verb_and_noun
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
    let (result, err) = step.outcome.told();
    let mut object = json!({
        "step": step.name,
        "result": result,
        "milliseconds": step.took.as_millis() as u64,
        "detail": step.detail,
    });
    if let Some(err) = err {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_a_command_have_lines_of_their_own() {
        assert_eq!(
            apart("open https://example.com/a?b=c and grant consent"),
            ["open", "https://example.com/a?b=c", "and grant consent"]
        );
        assert_eq!(
            apart("fix, by you: queuemail token login 'a b'"),
            ["fix, by you:", "queuemail token login 'a b'"]
        );
        assert_eq!(apart("fix: Get-Mailbox a: b"), ["fix:", "Get-Mailbox a: b"]);
        let command = "queuemail server set a --address https://example.com/TENANT";
        assert_eq!(
            apart(&format!("see https://example.com: fix: {command}")),
            ["see", "https://example.com:", "fix:", command]
        );
        assert_eq!(apart(command), [command]);
        assert_eq!(apart("fix: wait: an hour"), ["fix: wait: an hour"]);
        assert_eq!(apart(""), [""]);
    }
}
