//! `config path`, `show`, `schema`, `edit` and `validate`.

use super::Context;
use crate::child;
use crate::cli::ConfigCommand;
use crate::config;
use crate::fault::{Errors, Fault};
use crate::model;
use crate::output::{eprintln_safe, escape_lines, is_standard};
use crate::prompt;
use crate::provision::Outcome;
use crate::tell::schema;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::io::Read;
use std::path::Path;

pub fn run(context: &Context, command: &ConfigCommand) -> Result<(), Errors> {
    match command {
        ConfigCommand::Path => Ok(path(context)?),
        ConfigCommand::Show => Ok(show(context)?),
        ConfigCommand::Schema { output } => {
            let schema = match output {
                true => schema::of_output()?,
                false => config::schema()?,
            };
            let schema = serde_json::to_string_pretty(&schema).map_err(anyhow::Error::from)?;
            Ok(context.output.line(&schema)?)
        }
        ConfigCommand::Edit => edit(context),
        ConfigCommand::Validate { file } => validate(context, file.as_deref()),
    }
}

/// The editor where neither variable names one: POSIX has it.
const EDITOR: &str = "vi";

fn edit(context: &Context) -> Result<(), Errors> {
    let variables = ["VISUAL", "EDITOR"].map(std::env::var);
    let set = variables.into_iter().flatten();
    let editor = set.into_iter().find(|text| !text.trim().is_empty());
    // Without a terminal it would wait for ever.
    let editor = match editor {
        Some(editor) => editor,
        None if context.may_ask => EDITOR.to_owned(),
        None => {
            return Err(Fault::usage(format!(
                "`config edit` starts `{EDITOR}` only on a terminal"
            ))
            .hint("name a program that changes the file by itself in EDITOR, or use `server set` and `queue set`")
            .into());
        }
    };
    let words = model::command_words(&editor)
        .map_err(|why| Fault::usage(format!("the editor in VISUAL or EDITOR: {why}")))?;
    let changed = config::edit_by_hand(
        &context.config_path,
        |copy| start(&words, copy),
        |wrong| {
            if !context.may_ask {
                return Ok(false);
            }
            for err in wrong.iter() {
                eprintln_safe(&format!("error: {}", escape_lines(&format!("{err:#}"))));
            }
            prompt::agreed("Edit it again? If not, the file is not changed")
        },
    )?;
    let outcome = match changed {
        true => Outcome::Changed,
        false => Outcome::Unchanged,
    };
    let object = json!({"result": outcome.word(), "file": context.config_path});
    Ok(context.output.result(&object, outcome.word())?)
}

/// Runs the editor on this terminal until it ends.
fn start(words: &[String], copy: &Path) -> Result<()> {
    let (program, args) = words.split_first().context("no editor")?;
    let ended = child::command(program).args(args).arg(copy).status();
    let ended = ended.map_err(|err| {
        Fault::usage(format!("cannot start the editor `{program}`: {err}"))
            .by_system(&err)
            .hint("choose one: EDITOR=nano queuemail config edit")
    })?;
    match ended.success() {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "the editor `{program}` failed ({ended}); nothing was changed"
        ))
        .into()),
    }
}

fn path(context: &Context) -> Result<()> {
    let path = &context.config_path;
    let object = json!({"path": path, "exists": path.exists()});
    context.output.result(&object, &path.display().to_string())
}

fn show(context: &Context) -> Result<()> {
    let tree = config::load(&context.config_path)?.tree();
    if context.output.json {
        return context.output.json(&tree);
    }
    context.output.line(config::to_yaml(&tree)?.trim_end())
}

fn validate(context: &Context, file: Option<&Path>) -> Result<(), Errors> {
    let config = match file {
        Some(file) if is_standard(file) => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .take(config::MAX_SIZE + 1)
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
            let name = Path::new("standard input");
            config::parse_all(&config::decode(bytes, name)?, name)?
        }
        _ => config::load_all(file.unwrap_or(&context.config_path))?,
    };
    let counts = [
        ("incoming_servers", config.incoming_servers.len()),
        ("outgoing_servers", config.outgoing_servers.len()),
        ("queues", config.queues.len()),
        ("addresses", config.addresses().count()),
    ];
    let mut object = json!({"valid": true});
    let mut words = Vec::new();
    for (key, count) in counts {
        object[key] = count.into();
        words.push(format!("{} {count}", key.replace('_', " ")));
    }
    let line = format!("valid: {}", words.join(", "));
    Ok(context.output.result(&object, &line)?)
}
