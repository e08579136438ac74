//! Whether the server has a message already: its copy in Sent Items, which Exchange keeps of
//! everything that a mailbox submits.

use crate::commands::Context;
use crate::config::{Config, IncomingServer, IncomingVia, Resource, resolve};
use crate::fault::{Fault, Kind, Scene, kind_of};
use crate::mail::{Mailbox, graph, imap};
use crate::state::Store;
use crate::submit::Route;
use crate::tokens::Access;
use anyhow::{Context as _, Result};

/// True if Sent Items of the mailbox that submits holds this Message-ID.
pub fn holds(
    context: &Context,
    config: &Config,
    store: &Store,
    route: &Route<'_>,
    message_id: &str,
) -> Result<bool> {
    let user = route.user();
    let queue = &route.entry.queue.name;
    let scene = || Scene {
        queue: Some(queue.clone()),
        address: Some(route.entry.address.address.to_string()),
        mailbox: Some(user.to_owned()),
        ..Scene::new(format!(
            "cannot look into Sent Items of `{user}`, and nothing was sent"
        ))
    };
    look(context, config, store, route, message_id).with_context(scene)
}

fn look(
    context: &Context,
    config: &Config,
    store: &Store,
    route: &Route<'_>,
    message_id: &str,
) -> Result<bool> {
    let name = &route.entry.address.server;
    let server = config
        .incoming_server(name)
        .ok_or_else(|| Fault::config(format!("there is no incoming server `{name}`")))?;
    let access = Access::new(&context.means, config, store);
    let by_imap = || by_imap(context, &access, server, route, message_id);
    let by_graph = || by_graph(context, &access, server, route, message_id);
    match server.via {
        IncomingVia::Imap => by_imap(),
        IncomingVia::Graph => by_graph(),
        IncomingVia::Auto => by_imap().or_else(|err| match kind_of(&err) {
            Kind::SignIn | Kind::Refused => by_graph(),
            _ => Err(err),
        }),
    }
}

fn by_imap(
    context: &Context,
    access: &Access<'_>,
    server: &IncomingServer,
    route: &Route<'_>,
    message_id: &str,
) -> Result<bool> {
    let token = access.mailbox_token(&route.entry, Resource::Imap)?;
    let output = context.output;
    let trace: Option<imap::Trace> =
        (output.verbose >= 2).then(|| Box::new(move |line: &str| output.trace(line)) as _);
    let settings = context.means.net_settings(server.ca_file.as_deref());
    let endpoint = resolve::imap(server)?;
    let mut mailbox = imap::open(&endpoint, &settings, route.user(), &token, trace)?;
    let folder = mailbox.sent_folder()?.ok_or_else(|| {
        Fault::new(
            Kind::OutcomeUnknown,
            format!("mailbox `{}` has no folder of sent mail", route.user()),
        )
    })?;
    let found = mailbox.find_message_id(&folder, message_id)?;
    mailbox.close();
    Ok(found > 0)
}

fn by_graph(
    context: &Context,
    access: &Access<'_>,
    server: &IncomingServer,
    route: &Route<'_>,
    message_id: &str,
) -> Result<bool> {
    let token = access.mailbox_token(&route.entry, Resource::Graph)?;
    let output = context.output;
    let trace: Option<graph::Trace> =
        (output.verbose >= 2).then(|| Box::new(move |line: &str| output.trace(line)) as _);
    let agent = access.http(server.ca_file.as_deref())?;
    let root = resolve::graph(server)?;
    let mailbox = graph::open(agent, root, route.graph_user(), token, trace)?;
    Ok(mailbox.find_sent(message_id)? > 0)
}
