//! `explain`: what a code or a server's text means, who can fix it and how; offline.

use super::Context;
use crate::cli::ExplainArgs;
use crate::diagnosis;
use crate::fault::{Fault, Scene};
use anyhow::Result;

pub fn run(context: &Context, args: &ExplainArgs) -> Result<()> {
    let typed = args.words.join(" ");
    let found = match args.words.is_empty() {
        true => diagnosis::all().collect(),
        false => diagnosis::find(&typed),
    };
    if found.is_empty() {
        return Err(unknown(&typed).into());
    }
    if context.output.json {
        let explanations: Vec<_> = found
            .iter()
            .map(|entry| {
                let title = entry.title(&typed);
                serde_json::json!({
                    "symptoms": entry.symptoms(),
                    "means": entry.means,
                    "who": entry.who.describe(),
                    "hints": entry.hints_for(&Scene::default(), &title),
                    "code": title,
                })
            })
            .collect();
        let object = serde_json::json!({ "explanations": explanations });
        return context.output.json(&object);
    }
    for (index, entry) in found.iter().enumerate() {
        let title = entry.title(&typed);
        let hints = entry.hints_for(&Scene::default(), &title);
        if index > 0 {
            context.output.line("")?;
        }
        context.output.line(&format!("{title}: {}", entry.means))?;
        context
            .output
            .line(&format!("who can fix it: {}", entry.who.describe()))?;
        for hint in hints {
            context.output.line(&format!("hint: {hint}"))?;
        }
    }
    Ok(())
}

fn unknown(typed: &str) -> Fault {
    let digits = typed
        .trim()
        .trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let fault = Fault::usage(format!(
        "unknown code or text `{}`",
        crate::output::escape(typed)
    ));
    match digits.parse::<u64>() {
        Ok(code) if digits.len() > 4 => {
            fault.hint(format!("see Microsoft's page: {}", diagnosis::page(code)))
        }
        _ => fault
            .hint("use an AADSTS code, a reply like `535 5.7.139`, or a part of the server's text"),
    }
}
