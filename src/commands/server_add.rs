//! `server add incoming` and `server add outgoing`.

use super::Context;
use super::apply::{apply, given};
use super::person::Terminal;
use crate::cli::{CredentialArgs, IncomingArgs, OutgoingArgs, ServerAdd};
use crate::provision::{self, Credential, Incoming, Outcome, Outgoing, Person, Required, lacking};
use anyhow::Result;

pub fn run(context: &Context, kind: Option<&ServerAdd>) -> Result<()> {
    match kind {
        Some(ServerAdd::Incoming(args)) => incoming(context, args),
        Some(ServerAdd::Outgoing(args)) => outgoing(context, args),
        None if !context.may_ask => {
            let required = Required {
                person: &Terminal(context),
                example: "queuemail server add incoming --help".to_owned(),
            };
            Err(required.missing("incoming` or `outgoing").into())
        }
        None if provision::ask_kind(&Terminal(context))? => {
            incoming(context, &IncomingArgs::default())
        }
        None => outgoing(context, &OutgoingArgs::default()),
    }
}

fn incoming(context: &Context, args: &IncomingArgs) -> Result<()> {
    let person = Terminal(context);
    let said = said_of_incoming(args)?;
    if said.is_complete() || !context.may_ask {
        return add_incoming(context, &said, args.dry_run);
    }
    let config = provision::known(&context.config_path)?;
    let said = provision::ask_incoming(&person, &config, said)?;
    add_incoming(context, &said, args.dry_run)?;
    let config = context.config_option.as_deref();
    person.tell(&provision::incoming_line(config, &said));
    Ok(())
}

fn outgoing(context: &Context, args: &OutgoingArgs) -> Result<()> {
    let person = Terminal(context);
    let said = said_of_outgoing(args);
    if said.is_complete() || !context.may_ask {
        return add_outgoing(context, &said, args.dry_run);
    }
    let config = provision::known(&context.config_path)?;
    let said = provision::ask_outgoing(&person, &config, said)?;
    add_outgoing(context, &said, args.dry_run)?;
    let config = context.config_option.as_deref();
    person.tell(&provision::outgoing_line(config, &said));
    Ok(())
}

fn add_incoming(context: &Context, said: &Incoming, dry_run: bool) -> Result<()> {
    let server = said.server(&Terminal(context))?;
    let names = [("server", &*server.name), ("kind", "incoming")];
    apply(context, dry_run, &names, |config| {
        provision::add_incoming(config, &context.config_path, &server, said.replace)
    })
}

fn add_outgoing(context: &Context, said: &Outgoing, dry_run: bool) -> Result<()> {
    let server = said.server(&Terminal(context))?;
    let names = [("server", &*server.name), ("kind", "outgoing")];
    let mut lacking = Vec::new();
    apply(context, dry_run, &names, |config| {
        let file = &context.config_path;
        let outcome = provision::add_outgoing(config, file, &server, said.replace)?;
        if outcome != Outcome::Unchanged {
            lacking = lacking::of_outgoing(config, &server);
        }
        Ok(outcome)
    })?;
    lacking.iter().for_each(|text| context.output.warn(text));
    Ok(())
}

fn said_of_incoming(args: &IncomingArgs) -> Result<Incoming> {
    let transport = &args.transport;
    let ends = &transport.endpoints;
    Ok(Incoming {
        name: args.name.clone(),
        address: args.address.clone(),
        authentication: args.auth,
        client_id: args.client_id.clone(),
        secret: args.secret.given.clone(),
        credential: credential(&args.credential),
        via: args.via,
        token_endpoint: given(&ends.token_endpoint, "--token-endpoint")?,
        authorization_endpoint: given(&ends.authorization_endpoint, "--authorization-endpoint")?,
        device_authorization_endpoint: given(
            &ends.device_authorization_endpoint,
            "--device-authorization-endpoint",
        )?,
        imap: transport.imap.clone(),
        graph: transport.graph.clone(),
        scope: transport.scope.clone(),
        ca_file: transport.ca_file.clone(),
        replace: args.replace,
    })
}

fn said_of_outgoing(args: &OutgoingArgs) -> Outgoing {
    Outgoing {
        name: args.name.clone(),
        is_disabled: args.disabled,
        tenant: args.tenant.clone(),
        authentication: args.auth,
        user: args.user.clone(),
        app: args.app.clone(),
        client_id: args.client_id.clone(),
        secret: args.secret.given.clone(),
        credential: credential(&args.credential),
        password: args.password.given.clone(),
        via: args.via,
        smtp: args.transport.smtp.clone(),
        graph: args.transport.graph.clone(),
        scope: args.transport.scope.clone(),
        ca_file: args.transport.ca_file.clone(),
        replace: args.replace,
    }
}

/// What the options say of an app's credential.
pub fn credential(args: &CredentialArgs) -> Credential {
    Credential {
        secret_expires: args.secret_expires.clone(),
        certificate: args.certificate.clone(),
        private_key: args.private_key.clone(),
        passphrase: args.passphrase.given.clone(),
        federated_token_file: args.federated_token_file.clone(),
        federated_token_env_file: args.federated_token_env_file.clone(),
        federated_token_command: args.federated_token_command.clone(),
        managed_identity: args.managed_identity,
    }
}
