//! `server set`: single values of a server, an empty value taking the key away.

use super::Context;
use super::apply::{Told, apply};
use super::person::Terminal;
use crate::cli::ServerSet;
use crate::provision;
use anyhow::Result;

pub fn run(context: &Context, args: &ServerSet) -> Result<()> {
    let ServerSet { name, said, .. } = args;
    let secrets = said.secrets(name, &Terminal(context))?;
    let told = args.rename.as_ref().map_or(name, |name| &name.0);
    apply(context, args.dry_run, |config| {
        let outcome = provision::set_server(config, name, &args.rename, |server| {
            said.put(name, server, &secrets)
        })?;
        Ok(Told::of(outcome, &[("server", told)]))
    })
}
