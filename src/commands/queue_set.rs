//! `queue set`: single values of a queue or an address, an empty value taking the key away.

use super::Context;
use super::apply::{Told, apply};
use super::person::Terminal;
use crate::cli::QueueSet;
use crate::provision::{self, lacking};
use anyhow::Result;

pub fn run(context: &Context, args: &QueueSet) -> Result<()> {
    let QueueSet { name, said, .. } = args;
    let password = said.password(name, &Terminal(context))?;
    apply(context, args.dry_run, |config| {
        let (outcome, address) = provision::set_queue(config, name, said, &password)?;
        let mut about = vec![("queue", name.as_str())];
        about.extend(address.iter().map(|address| ("address", address.as_str())));
        Ok(Told::of(outcome, &about))
    })?;
    let early = said
        .starts()
        .filter_map(|start| lacking::before_start(start, name));
    early.for_each(|text| context.output.warn(&text));
    Ok(())
}
