//! `server set`: single values of a server, an empty value taking the key away.

use super::Context;
use super::apply::apply;
use super::person::Terminal;
use super::server_add::credential;
use crate::cli::ServerSet;
use crate::fault::Fault;
use crate::model::{Change, IncomingServer, OutgoingServer, SecretSource, put};
use crate::provision::{self, Entry, Required, Wanted, put_path};
use crate::shell;
use anyhow::Result;

/// What is said of the secrets of a server.
struct Secrets {
    secret: Option<Change<SecretSource>>,
    passphrase: Option<Change<SecretSource>>,
    password: Option<Change<SecretSource>>,
}

pub fn run(context: &Context, args: &ServerSet) -> Result<()> {
    let secrets = secrets(context, args)?;
    let name = args.rename.as_ref().map_or(&args.name, |name| &name.0);
    apply(context, args.dry_run, &[("server", name)], |config| {
        provision::set_server(config, &args.name, &args.rename, |server| match server {
            Entry::Incoming(server) => set_incoming(server, args, &secrets),
            Entry::Outgoing(server) => set_outgoing(server, args, &secrets),
        })
    })
}

/// Reads standard input, or asks, before the file is locked.
fn secrets(context: &Context, args: &ServerSet) -> Result<Secrets> {
    let (secret, password) = (&args.secret.given, &args.password.given);
    let passphrase = &args.credential.passphrase.given;
    provision::one_stdin(&[
        ("secret", secret),
        ("certificate-passphrase", passphrase),
        ("password", password),
    ])?;
    let required = Required {
        person: &Terminal(context),
        example: format!(
            "queuemail server set {} --{} PATH",
            shell::quote(&args.name),
            match password {
                Some(crate::model::Given::Asked) => "password-file",
                _ => "secret-file",
            }
        ),
    };
    let whose = format!("server `{}`", args.name);
    let source = |what, given| {
        let wanted = Wanted {
            what,
            given,
            whose: &whose,
        };
        wanted.source(&required)
    };
    Ok(Secrets {
        secret: source("secret", secret)?,
        passphrase: source("certificate-passphrase", passphrase)?,
        password: source("password", password)?,
    })
}

fn set_incoming(server: &mut IncomingServer, args: &ServerSet, secrets: &Secrets) -> Result<()> {
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
            ("a password option", args.password.given.is_some()),
        ],
    )?;
    set(&mut server.address, &args.address);
    set(&mut server.authentication, &args.auth);
    match &args.client_id {
        None => {}
        Some(Change::Set(id)) => server.client_id = id.clone(),
        Some(Change::Unset) => {
            return Err(Fault::usage("`--client-id` must not be empty").into());
        }
    }
    credential(&args.credential).replace(
        server.credentials_mut(),
        &secrets.secret,
        &secrets.passphrase,
    )?;
    if let Some(via) = &args.via {
        server.via = provision::incoming_way(via)?;
    }
    let ends = &args.endpoints;
    put(&ends.token_endpoint, &mut server.token_endpoint);
    put(
        &ends.authorization_endpoint,
        &mut server.authorization_endpoint,
    );
    put(
        &ends.device_authorization_endpoint,
        &mut server.device_authorization_endpoint,
    );
    put(&args.imap, &mut server.imap);
    put(&args.graph, &mut server.graph);
    put(&args.scope, &mut server.scope);
    put_path(&args.ca_file, &mut server.ca_file)
}

fn set_outgoing(server: &mut OutgoingServer, args: &ServerSet, secrets: &Secrets) -> Result<()> {
    let ends = &args.endpoints;
    refuse_foreign(
        &args.name,
        "incoming",
        &[
            ("--address", args.address.is_some()),
            ("--imap", args.imap.is_some()),
            ("--token-endpoint", ends.token_endpoint.is_some()),
            (
                "--authorization-endpoint",
                ends.authorization_endpoint.is_some(),
            ),
            (
                "--device-authorization-endpoint",
                ends.device_authorization_endpoint.is_some(),
            ),
        ],
    )?;
    set(&mut server.tenant, &args.tenant);
    set(&mut server.authentication, &args.auth);
    put(&args.client_id, &mut server.client_id);
    put(&args.app, &mut server.app);
    put(&args.user, &mut server.user);
    credential(&args.credential).replace(
        server.credentials_mut(),
        &secrets.secret,
        &secrets.passphrase,
    )?;
    put(&secrets.password, &mut server.password);
    if args.disabled || args.enabled {
        server.enabled = args.enabled;
    }
    if let Some(via) = &args.via {
        server.via = provision::outgoing_way(via)?;
    }
    put(&args.smtp, &mut server.smtp);
    put(&args.graph, &mut server.graph);
    put(&args.scope, &mut server.scope);
    put_path(&args.ca_file, &mut server.ca_file)
}

/// A value that cannot be taken away.
fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        *slot = value.clone();
    }
}

fn refuse_foreign(name: &str, kind: &str, flags: &[(&str, bool)]) -> Result<()> {
    match flags.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Fault::usage(format!(
            "`{flag}` is only for {kind} servers, and `{name}` is not one"
        ))
        .into()),
    }
}
