//! `setup-script`: the PowerShell that an administrator of the tenant must run, ids filled in.

use super::Context;
use crate::cli::SetupScriptArgs;
use crate::config;
use crate::fault::Fault;
use crate::model::Authentication;
use crate::office::Office;
use crate::setup::{self, NewApp, Plan};
use anyhow::Result;

pub fn run(context: &Context, args: &SetupScriptArgs) -> Result<()> {
    let plan = match (&args.create, &args.address) {
        (Some(name), Some(address)) => setup::plan_of_new(&NewApp {
            name: &name.0,
            address,
            authentication: args.auth.unwrap_or(Authentication::OauthService),
            via: args.via.unwrap_or_default(),
            certificate: args.certificate.as_deref(),
            private_key: args.private_key.as_deref(),
        })?,
        _ => of_configuration(context, &args.names)?,
    };
    let script = setup::script(&plan, args.undo);
    let object = serde_json::json!({ "script": script });
    context.output.result(&object, script.trim_end())
}

fn of_configuration(context: &Context, names: &[String]) -> Result<Plan> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let plan = setup::plan(&office, names)?;
    if plan.tenants.is_empty() {
        return Err(Fault::config("no configured server uses Entra ID")
            .hint("queuemail server add incoming NAME --address … --auth … --client-id …")
            .into());
    }
    Ok(plan)
}
