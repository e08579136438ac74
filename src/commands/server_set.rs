//! `server set`: single values of a server, an empty value taking the key away.

use super::provision::{Name, Outcome, Required, apply, change, change_path, unknown, value};
use super::secret_flags::{Source, SourceFlags};
use super::{Context, credential};
use crate::cli::{CredentialArgs, EndpointArgs, ServerSet};
use crate::config::{
    Config, CredentialsMut, IncomingServer, IncomingVia, OutgoingServer, OutgoingVia, SecretSource,
};
use crate::fault::Fault;
use crate::shell;
use anyhow::Result;

pub fn run(context: &Context, args: &ServerSet) -> Result<()> {
    let required = Required {
        context,
        example: format!(
            "queuemail server set {} --{} PATH",
            shell::quote(&args.name),
            if args.password.set_password {
                "password-file"
            } else {
                "secret-file"
            }
        ),
    };
    let whose = format!("server `{}`", args.name);
    let secret_flags = SourceFlags::from(&args.secret);
    let password_flags = SourceFlags::from(&args.password);
    let passphrase_flags = SourceFlags::from(&args.credential.passphrase);
    credential::one_stdin(&[
        ("--secret-stdin", secret_flags.is_stdin()),
        (
            "--certificate-passphrase-stdin",
            passphrase_flags.is_stdin(),
        ),
        ("--password-stdin", password_flags.is_stdin()),
    ])?;
    // Standard input and the terminal are read before the file is locked.
    let secret = secret_flags.source(&required, &whose)?;
    let passphrase = passphrase_flags.source(&required, &whose)?;
    let password = password_flags.source(&required, &whose)?;
    let rename = args
        .rename
        .as_deref()
        .map(|text| value::<Name>("--rename", text))
        .transpose()?;
    let name = rename.as_ref().map_or(&args.name, |n| &n.0);
    apply(context, args.dry_run, &[("server", name)], |config| {
        let before = config.clone();
        if let Some(server) = config
            .incoming_servers
            .iter_mut()
            .find(|s| s.name == args.name)
        {
            set_incoming(server, args, &secret, &passphrase)?;
        } else if let Some(server) = config
            .outgoing_servers
            .iter_mut()
            .find(|s| s.name == args.name)
        {
            set_outgoing(server, args, &secret, &passphrase, &password)?;
        } else {
            return Err(unknown("server", &args.name, &config.server_names()));
        }
        if let Some(Name(new)) = &rename {
            rename_server(config, &args.name, new);
        }
        Ok(match *config == before {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        })
    })
}

fn set_incoming(
    server: &mut IncomingServer,
    args: &ServerSet,
    secret: &Source,
    passphrase: &Source,
) -> Result<()> {
    refuse_foreign(
        &args.name,
        "outgoing",
        &[
            ("--tenant", args.tenant.is_some()),
            ("--app", args.app.is_some()),
            ("--user", args.user.is_some()),
            ("--smtp", args.smtp.is_some()),
            ("--disabled", args.disabled),
            ("--enabled", args.enabled),
            ("a password option", password_given(args)),
        ],
    )?;
    set(&mut server.address, "--address", &args.address)?;
    if let Some(auth) = args.auth {
        server.authentication = auth.into();
    }
    set(&mut server.client_id, "--client-id", &args.client_id)?;
    set_credential(
        server.credentials_mut(),
        secret,
        passphrase,
        &args.credential,
    )?;
    if let Some(via) = &args.via {
        server.via = match via.as_str() {
            "imap" | "" => IncomingVia::Imap,
            "graph" => IncomingVia::Graph,
            "auto" => IncomingVia::Auto,
            other => return Err(bad_via(other, "imap, graph or auto", "incoming")),
        };
    }
    let EndpointArgs {
        token_endpoint,
        authorization_endpoint,
        device_authorization_endpoint,
    } = &args.endpoints;
    change(
        &mut server.token_endpoint,
        "--token-endpoint",
        token_endpoint,
    )?;
    change(
        &mut server.authorization_endpoint,
        "--authorization-endpoint",
        authorization_endpoint,
    )?;
    change(
        &mut server.device_authorization_endpoint,
        "--device-authorization-endpoint",
        device_authorization_endpoint,
    )?;
    change(&mut server.imap, "--imap", &args.imap)?;
    change(&mut server.graph, "--graph", &args.graph)?;
    change_text(&mut server.scope, &args.scope);
    change_path(&mut server.ca_file, &args.ca_file)
}

fn set_outgoing(
    server: &mut OutgoingServer,
    args: &ServerSet,
    secret: &Source,
    passphrase: &Source,
    password: &Source,
) -> Result<()> {
    refuse_foreign(
        &args.name,
        "incoming",
        &[
            ("--address", args.address.is_some()),
            ("--imap", args.imap.is_some()),
            ("--token-endpoint", args.endpoints.token_endpoint.is_some()),
            (
                "--authorization-endpoint",
                args.endpoints.authorization_endpoint.is_some(),
            ),
            (
                "--device-authorization-endpoint",
                args.endpoints.device_authorization_endpoint.is_some(),
            ),
        ],
    )?;
    set(&mut server.tenant, "--tenant", &args.tenant)?;
    if let Some(auth) = args.auth {
        server.authentication = auth.into();
    }
    change(&mut server.client_id, "--client-id", &args.client_id)?;
    change_text(&mut server.app, &args.app);
    change(&mut server.user, "--user", &args.user)?;
    set_credential(
        server.credentials_mut(),
        secret,
        passphrase,
        &args.credential,
    )?;
    put_source(&mut server.password, password);
    if args.disabled || args.enabled {
        server.enabled = args.enabled;
    }
    if let Some(via) = &args.via {
        server.via = match via.as_str() {
            "smtp" | "" => OutgoingVia::Smtp,
            "graph" => OutgoingVia::Graph,
            "auto" => OutgoingVia::Auto,
            other => return Err(bad_via(other, "smtp, graph or auto", "outgoing")),
        };
    }
    change(&mut server.smtp, "--smtp", &args.smtp)?;
    change(&mut server.graph, "--graph", &args.graph)?;
    change_text(&mut server.scope, &args.scope);
    change_path(&mut server.ca_file, &args.ca_file)
}

/// A value that cannot be taken away.
fn set<T: std::str::FromStr<Err = String>>(
    slot: &mut T,
    flag: &str,
    text: &Option<String>,
) -> Result<()> {
    if let Some(text) = text {
        *slot = value(flag, text)?;
    }
    Ok(())
}

fn change_text(slot: &mut Option<String>, text: &Option<String>) {
    if let Some(text) = text {
        *slot = Some(text.clone()).filter(|t| !t.is_empty());
    }
}

pub fn put_source(slot: &mut Option<SecretSource>, source: &Source) {
    match source {
        Source::Absent => {}
        Source::Unset => *slot = None,
        Source::Set(source) => *slot = Some(source.clone()),
    }
}

/// A server has one credential: a new one takes the place of the old one.
fn set_credential(
    mut slots: CredentialsMut<'_>,
    secret: &Source,
    passphrase: &Source,
    args: &CredentialArgs,
) -> Result<()> {
    if matches!(secret, Source::Set(_)) || args.replaces_secret() {
        slots.clear();
    }
    put_source(slots.secret, secret);
    credential::set(&mut slots, args, passphrase)
}

fn password_given(args: &ServerSet) -> bool {
    let p = &args.password;
    p.set_password
        || p.password_stdin
        || p.password_file.is_some()
        || p.password_env.is_some()
        || p.password_command.is_some()
        || p.password_keyring.is_some()
        || p.password_credential.is_some()
}

fn refuse_foreign(name: &str, kind: &str, flags: &[(&str, bool)]) -> Result<()> {
    match flags.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Fault::usage(format!(
            "`{flag}` is for {kind} servers, and `{name}` is none"
        ))
        .into()),
    }
}

fn bad_via(text: &str, ways: &str, kind: &str) -> anyhow::Error {
    Fault::usage(format!(
        "`--via`: `{text}` is no way of an {kind} server: use {ways}"
    ))
    .into()
}

/// Gives a server another name, also where others refer to it.
fn rename_server(config: &mut Config, old: &str, new: &str) {
    let swap = |name: &mut String| {
        if name == old {
            *name = new.to_owned();
        }
    };
    let was_incoming = config.incoming_server(old).is_some();
    config
        .incoming_servers
        .iter_mut()
        .for_each(|s| swap(&mut s.name));
    config.outgoing_servers.iter_mut().for_each(|s| {
        swap(&mut s.name);
        if let (true, Some(app)) = (was_incoming, &mut s.app) {
            swap(app);
        }
    });
    for address in config.queues.iter_mut().flat_map(|q| &mut q.addresses) {
        if was_incoming {
            swap(&mut address.server);
        } else if let Some(name) = &mut address.outgoing_server {
            swap(name);
        }
    }
}
