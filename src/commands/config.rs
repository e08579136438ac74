//! `config path`, `show`, `schema` and `validate`.

use super::Context;
use crate::cli::ConfigCommand;
use crate::config;
use crate::tell::schema;
use anyhow::{Context as _, Result};
use std::io::Read;
use std::path::Path;

pub fn run(context: &Context, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Path => path(context),
        ConfigCommand::Show => show(context),
        ConfigCommand::Schema { output } => {
            let schema = match output {
                true => schema::of_output()?,
                false => config::schema(),
            };
            context.output.line(&serde_json::to_string_pretty(&schema)?)
        }
        ConfigCommand::Validate { file } => validate(context, file.as_deref()),
    }
}

fn path(context: &Context) -> Result<()> {
    let path = &context.config_path;
    if context.output.json {
        return context
            .output
            .json(&serde_json::json!({"path": path, "exists": path.exists()}));
    }
    context.output.line(&path.display().to_string())
}

fn show(context: &Context) -> Result<()> {
    let tree = config::load(&context.config_path)?.tree();
    if context.output.json {
        return context.output.json(&tree);
    }
    context.output.line(config::to_yaml(&tree)?.trim_end())
}

fn validate(context: &Context, file: Option<&Path>) -> Result<()> {
    let config = match file {
        Some(file) if file == Path::new("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .take(config::MAX_SIZE + 1)
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
            let name = Path::new("standard input");
            config::parse(&config::decode(bytes, name)?, name)?
        }
        _ => config::load(file.unwrap_or(&context.config_path))?,
    };
    let counts = [
        ("incoming_servers", config.incoming_servers.len()),
        ("outgoing_servers", config.outgoing_servers.len()),
        ("queues", config.queues.len()),
        ("addresses", config.addresses().count()),
    ];
    if context.output.json {
        let mut object = serde_json::Map::new();
        object.insert("valid".into(), true.into());
        for (key, count) in counts {
            object.insert(key.into(), count.into());
        }
        return context.output.json(&object);
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(key, count)| format!("{} {count}", key.replace('_', " ")))
        .collect();
    context.output.line(&format!("valid: {}", words.join(", ")))
}
