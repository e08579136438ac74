//! `server add incoming` and `server add outgoing`.

use super::provision::{
    Name, Outcome, Required, apply, differences, different, optional, resolved, typed_path,
};
use super::secret_flags::{Source, SourceFlags};
use super::server_set::put_source;
use super::{Context, credential, guide};
use crate::cli::{
    AuthArg, CredentialArgs, IncomingArgs, IncomingViaArg, OutgoingArgs, OutgoingViaArg, ServerAdd,
};
use crate::config::{
    self, Authentication, Authority, ClientId, Config, IncomingServer, IncomingVia,
    ManagedIdentity, OutgoingServer, OutgoingVia, SecretSource, Tenant, Tree,
};
use crate::shell;
use anyhow::Result;
use std::path::PathBuf;

pub fn run(context: &Context, kind: Option<&ServerAdd>) -> Result<()> {
    match kind {
        Some(ServerAdd::Incoming(args)) => incoming_or_ask(context, args),
        Some(ServerAdd::Outgoing(args)) => outgoing_or_ask(context, args),
        None if !context.may_ask => {
            let example = "queuemail server add incoming --help".to_owned();
            Err(Required { context, example }
                .missing("incoming` or `outgoing")
                .into())
        }
        None if guide::kind()? => incoming_or_ask(context, &IncomingArgs::default()),
        None => outgoing_or_ask(context, &OutgoingArgs::default()),
    }
}

fn incoming_or_ask(context: &Context, args: &IncomingArgs) -> Result<()> {
    let complete = args.name.is_some()
        && args.address.is_some()
        && args.auth.is_some()
        && args.client_id.is_some();
    if complete || !context.may_ask {
        return incoming(context, args);
    }
    let args = guide::incoming(context, args)?;
    incoming(context, &args)?;
    guide::show(&guide::incoming_line(context, &args));
    Ok(())
}

fn outgoing_or_ask(context: &Context, args: &OutgoingArgs) -> Result<()> {
    let complete = args.name.is_some() && args.tenant.is_some() && args.auth.is_some();
    if complete || !context.may_ask {
        return outgoing(context, args);
    }
    let args = guide::outgoing(context, args)?;
    outgoing(context, &args)?;
    guide::show(&guide::outgoing_line(context, &args));
    Ok(())
}

fn incoming(context: &Context, args: &IncomingArgs) -> Result<()> {
    let required = Required {
        context,
        example: format!(
            "queuemail server add incoming {} --address https://login.microsoftonline.com/TENANT --auth oauth-service --client-id ID --secret-file PATH",
            shell_name(&args.name, "NAME")
        ),
    };
    let name: Name = required.value(&args.name, "NAME")?;
    let address: Authority = required.value(&args.address, "--address")?;
    let authentication = authentication(&required, args.auth)?;
    let client_id: ClientId = required.value(&args.client_id, "--client-id")?;
    let secret_flags = SourceFlags::from(&args.secret);
    let passphrase_flags = SourceFlags::from(&args.credential.passphrase);
    credential::one_stdin(&[
        ("--secret-stdin", secret_flags.is_stdin()),
        (
            "--certificate-passphrase-stdin",
            passphrase_flags.is_stdin(),
        ),
    ])?;
    let endpoints = &args.transport.endpoints;
    let mut server = IncomingServer {
        name: name.0,
        address,
        authentication,
        client_id,
        secret: None,
        secret_expires: None,
        certificate: None,
        private_key: None,
        certificate_passphrase: None,
        federated_token: None,
        federated_token_file: None,
        managed_identity: ManagedIdentity::No,
        via: args.via.map(IncomingVia::from).unwrap_or_default(),
        token_endpoint: optional("--token-endpoint", &endpoints.token_endpoint)?,
        authorization_endpoint: optional(
            "--authorization-endpoint",
            &endpoints.authorization_endpoint,
        )?,
        device_authorization_endpoint: optional(
            "--device-authorization-endpoint",
            &endpoints.device_authorization_endpoint,
        )?,
        imap: optional("--imap", &args.transport.imap)?,
        graph: optional("--graph", &args.transport.graph)?,
        scope: args.transport.scope.clone(),
        ca_file: typed(&args.transport.ca_file)?,
    };
    let whose = format!("server `{}`", server.name);
    // Everything but a secret is checked before one is read or asked for.
    let mut slots = server.credentials_mut();
    credential::set(&mut slots, &args.credential, &Source::Absent)?;
    put_source(
        slots.certificate_passphrase,
        &passphrase_flags.source(&required, &whose)?,
    );
    server.secret = secret(
        &required,
        &secret_flags,
        &args.credential,
        authentication == Authentication::OauthService,
        &whose,
    )?;
    let names = [("server", &*server.name), ("kind", "incoming")];
    apply(context, args.dry_run, &names, |config| {
        put(
            context,
            config,
            args.replace,
            &server.name,
            |config| match config
                .incoming_servers
                .iter_mut()
                .find(|s| s.name == server.name)
            {
                Some(slot) => *slot = server.clone(),
                None => config.incoming_servers.push(server.clone()),
            },
        )
    })
}

fn outgoing(context: &Context, args: &OutgoingArgs) -> Result<()> {
    let required = Required {
        context,
        example: format!(
            "queuemail server add outgoing {} --tenant contoso.onmicrosoft.com --auth oauth-service --app INCOMING --user GUID",
            shell_name(&args.name, "NAME")
        ),
    };
    let name: Name = required.value(&args.name, "NAME")?;
    let tenant: Tenant = required.value(&args.tenant, "--tenant")?;
    let authentication = authentication(&required, args.auth)?;
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
    let mut server = OutgoingServer {
        limits: None,
        name: name.0,
        enabled: !args.disabled,
        tenant,
        authentication,
        app: args.app.clone(),
        client_id: optional("--client-id", &args.client_id)?,
        secret: None,
        secret_expires: None,
        certificate: None,
        private_key: None,
        certificate_passphrase: None,
        federated_token: None,
        federated_token_file: None,
        managed_identity: ManagedIdentity::No,
        user: optional("--user", &args.user)?,
        password: None,
        via: args.via.map(OutgoingVia::from).unwrap_or_default(),
        smtp: optional("--smtp", &args.transport.smtp)?,
        graph: optional("--graph", &args.transport.graph)?,
        scope: args.transport.scope.clone(),
        ca_file: typed(&args.transport.ca_file)?,
    };
    let whose = format!("server `{}`", server.name);
    let mut slots = server.credentials_mut();
    credential::set(&mut slots, &args.credential, &Source::Absent)?;
    put_source(
        slots.certificate_passphrase,
        &passphrase_flags.source(&required, &whose)?,
    );
    server.secret = secret(
        &required,
        &secret_flags,
        &args.credential,
        server.client_id.is_some() && authentication == Authentication::OauthService,
        &whose,
    )?;
    if let Source::Set(source) = password_flags.source(&required, &whose)? {
        server.password = Some(source);
    }
    let names = [("server", &*server.name), ("kind", "outgoing")];
    apply(context, args.dry_run, &names, |config| {
        put(
            context,
            config,
            args.replace,
            &server.name,
            |config| match config
                .outgoing_servers
                .iter_mut()
                .find(|s| s.name == server.name)
            {
                Some(slot) => *slot = server.clone(),
                None => config.outgoing_servers.push(server.clone()),
            },
        )
    })
}

/// Puts a server into the model, unless one of that name is there with another definition.
fn put(
    context: &Context,
    config: &mut Config,
    replace: bool,
    name: &str,
    work: impl FnOnce(&mut Config),
) -> Result<Outcome> {
    let mut wanted = config.clone();
    work(&mut wanted);
    config::check_wanted(&wanted)?;
    let old = tree_of(&resolved(config, context)?, name);
    let new = tree_of(&resolved(&wanted, context)?, name);
    let outcome = match (old, new) {
        (Some(old), Some(new)) if old == new => return Ok(Outcome::Unchanged),
        (Some(old), Some(new)) if !replace => {
            return Err(different(
                &format!("server `{name}`"),
                &differences(&old, &new),
                &format!("queuemail server set {} …", shell::quote(name)),
            ));
        }
        (Some(_), _) => Outcome::Changed,
        (None, _) => Outcome::Created,
    };
    *config = wanted;
    Ok(outcome)
}

/// The definition of a server of either kind.
pub fn tree_of(config: &Config, name: &str) -> Option<Tree> {
    let incoming = config.incoming_server(name).map(IncomingServer::tree);
    incoming.or_else(|| config.outgoing_server(name).map(OutgoingServer::tree))
}

/// The client secret from its options; asked for where nothing else signs in.
fn secret(
    required: &Required,
    flags: &SourceFlags,
    credential: &CredentialArgs,
    needed: bool,
    whose: &str,
) -> Result<Option<SecretSource>> {
    match flags.source(required, whose)? {
        Source::Set(source) => Ok(Some(source)),
        Source::Absent | Source::Unset => {
            if !needed || credential.replaces_secret() {
                return Ok(None);
            }
            required.may_ask("--secret-file")?;
            flags.asked(required.context, whose).map(Some)
        }
    }
}

fn authentication(required: &Required, given: Option<AuthArg>) -> Result<Authentication> {
    match given {
        Some(given) => Ok(given.into()),
        None => Err(required.missing("--auth").into()),
    }
}

fn typed(path: &Option<PathBuf>) -> Result<Option<PathBuf>> {
    path.as_deref().map(typed_path).transpose()
}

fn shell_name(name: &Option<String>, otherwise: &str) -> String {
    name.as_deref().map_or(otherwise.to_owned(), shell::quote)
}

impl From<AuthArg> for Authentication {
    fn from(arg: AuthArg) -> Authentication {
        match arg {
            AuthArg::OauthService => Authentication::OauthService,
            AuthArg::OauthUser => Authentication::OauthUser,
        }
    }
}

impl From<IncomingViaArg> for IncomingVia {
    fn from(arg: IncomingViaArg) -> IncomingVia {
        match arg {
            IncomingViaArg::Imap => IncomingVia::Imap,
            IncomingViaArg::Graph => IncomingVia::Graph,
            IncomingViaArg::Auto => IncomingVia::Auto,
        }
    }
}

impl From<OutgoingViaArg> for OutgoingVia {
    fn from(arg: OutgoingViaArg) -> OutgoingVia {
        match arg {
            OutgoingViaArg::Smtp => OutgoingVia::Smtp,
            OutgoingViaArg::Graph => OutgoingVia::Graph,
            OutgoingViaArg::Auto => OutgoingVia::Auto,
        }
    }
}
