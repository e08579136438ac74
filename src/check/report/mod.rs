//! A walk for the eyes of strangers: each step, what was said on the wire, codes and times, and
//! nothing that tells whose servers these are.
//!
//! - `public`: a text of which only public words are kept
//! - `heard`: the lines of the protocols, kept for each walk

mod heard;
mod public;

pub use heard::{Heard, Line};

use super::{Checked, Step};
use crate::fault::{Fault, Proof, kind_of};
use public::public;
use std::collections::HashMap;
use std::fmt::Write;

/// Changes with the form of the report.
const FORMAT: u32 = 1;

/// All walks, as a text for people.
pub fn text(checked: &[Checked]) -> String {
    let mut text = format!(
        "queuemail check: anonymised report, format {FORMAT}\n\
         queuemail {}, {} on {}\n\n\
         It contains words of a public list, codes and times; everything else is `…`. Read it all\n\
         before you give it to anybody.\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for one in checked {
        let number = numbers.entry(one.kind).or_default();
        *number += 1;
        // Writing to a string never fails.
        let _ = writeln!(text, "\n{} {number}{}", one.kind, about(one));
        for step in &one.walk.steps {
            let _ = writeln!(text, "{}", line(step));
        }
        if !one.heard.is_empty() {
            text.push_str("  heard:\n");
        }
        for line in &one.heard {
            let after = line.after.as_millis();
            let _ = writeln!(text, "  {after:>8} ms  {}", public(&line.text));
        }
    }
    text
}

/// Who signs in, how, and for what.
fn about(one: &Checked) -> String {
    let scene = &one.walk.scene;
    let mut about = String::new();
    if scene.client_id.is_some() {
        about.push_str(match scene.account {
            Some(_) => ": a person signs in",
            None => ": an app signs in",
        });
        about.push_str(match scene.proof {
            Some(Proof::Secret) => ", app has a secret",
            Some(Proof::Certificate) => ", app has a certificate",
            Some(Proof::Federated) => ", app has a federated token",
            None => "",
        });
    }
    if let Some(protocol) = &scene.protocol {
        let _ = write!(about, ", {}", public(protocol));
    }
    about
}

/// A step and how it ended.
fn line(step: &Step) -> String {
    let (result, err) = step.outcome.told();
    let result = result.replace('-', " ");
    let took = step.took.as_millis();
    let mut line = format!("  {result:<12} {:<16} {took:>6} ms", step.name);
    let Some(err) = err else {
        let _ = write!(line, "  {}", public(&step.detail));
        return line.trim_end().to_owned();
    };
    let fault = err.downcast_ref::<Fault>();
    let cause = fault.and_then(|fault| fault.cause);
    let _ = write!(line, "  exit code {}", kind_of(err).exit_code());
    if let Some(cause) = cause {
        let _ = write!(line, ", {}", cause.name());
    }
    let _ = write!(line, ": {}", public(&err.to_string()));
    if let Some(said) = fault.and_then(|fault| fault.server_said.as_deref()) {
        let _ = write!(line, "\n               server said: {}", public(said));
    }
    if let Some(wait) = fault.and_then(|fault| fault.retry_after) {
        let _ = write!(line, "\n               retry after: {} s", wait.as_secs());
    }
    line
}
