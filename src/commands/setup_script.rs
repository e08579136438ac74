//! `setup-script`: the PowerShell that an administrator of the tenant must run, ids filled in.

use super::Context;
use crate::cli::SetupScriptArgs;
use crate::config;
use crate::fault::Fault;
use crate::office::Office;
use crate::setup;
use anyhow::Result;

pub fn run(context: &Context, args: &SetupScriptArgs) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let plan = setup::plan(&office, &args.names)?;
    if plan.tenants.is_empty() {
        return Err(Fault::config("no configured server uses Entra ID")
            .hint("queuemail server add incoming NAME --address … --auth … --client-id …")
            .into());
    }
    let script = setup::script(&plan, args.undo);
    if context.output.json {
        return context
            .output
            .json(&serde_json::json!({ "script": script }));
    }
    context.output.line(script.trim_end())
}
