//! `token get`: an access token for this and other programs.

use super::{Context, claims, login};
use crate::cli::{ProtocolArg, TokenCommand, TokenFormat, TokenGet};
use crate::config::{self, Resource};
use crate::fault::{Errors, Fault};
use crate::mail::sasl;
use crate::oauth::AccessToken;
use crate::office::{Office, Subject};
use crate::tokens::Access;
use anyhow::Result;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn run(context: &Context, command: TokenCommand) -> Result<(), Errors> {
    match command {
        TokenCommand::Get(args) => get(context, &args)?,
        TokenCommand::Login(args) => login::login(context, &args)?,
        TokenCommand::List => login::list(context)?,
        TokenCommand::Forget(args) => login::forget(context, &args)?,
    }
    Ok(())
}

fn get(context: &Context, args: &TokenGet) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let subject = office.subject(&args.name, args.protocol == Some(ProtocolArg::Smtp))?;
    let resource = args.protocol.map_or(
        match &subject {
            Subject::Outgoing(_) => Resource::Smtp,
            _ => Resource::Imap,
        },
        resource,
    );
    // Before a token is asked for: an account that the SASL string needs.
    let user = match args.format {
        TokenFormat::Xoauth2 => Some(sasl_user(&subject)?),
        _ => None,
    };
    let store = context.store()?;
    let access = Access::new(&context.means, &office, &store).fresh(args.fresh);
    let token = match &subject {
        Subject::Mailbox(entry) => match entry.outgoing {
            Some(outgoing) if resource == Resource::Smtp => {
                access.sending_access(outgoing, Some(entry), resource)?
            }
            _ => access.mailbox_access(entry, resource)?,
        },
        Subject::Incoming(server) => access.server_access(server, resource)?,
        Subject::Outgoing(server) => access.sending_access(server, None, resource)?,
    };
    print(context, args, &subject, resource, &token, user)
}

pub fn resource(protocol: ProtocolArg) -> Resource {
    match protocol {
        ProtocolArg::Imap => Resource::Imap,
        ProtocolArg::Smtp => Resource::Smtp,
        ProtocolArg::Pop => Resource::Pop,
        ProtocolArg::Graph => Resource::Graph,
    }
}

/// The mailbox that XOAUTH2 names: the address, also where another account signs in.
fn sasl_user<'a>(subject: &Subject<'a>) -> Result<&'a str, Fault> {
    match subject {
        Subject::Mailbox(entry) => Ok(entry.address.address.as_str()),
        Subject::Outgoing(server) => match &server.user {
            Some(user) if !user.is_guid() => Ok(user.as_str()),
            _ => Err(Fault::usage(format!(
                "XOAUTH2 names a mailbox by its address, and outgoing server `{}` has none",
                server.name
            ))
            .hint("name a queue or an address: queuemail token get ADDRESS --for smtp --format xoauth2")),
        },
        Subject::Incoming(server) => Err(Fault::usage(format!(
            "XOAUTH2 names a mailbox, and `{}` is a server",
            server.name
        ))
        .hint("name a queue or an address: queuemail token get ADDRESS --format xoauth2")),
    }
}

fn print(
    context: &Context,
    args: &TokenGet,
    subject: &Subject<'_>,
    resource: Resource,
    token: &AccessToken,
    user: Option<&str>,
) -> Result<()> {
    let output = &context.output;
    let secret = token.secret.expose();
    // With --json, a form of the token stands in the object under its name.
    let form = |name: &str, text: &str| match output.json {
        true => print_json(context, subject, resource, token, Some((name, text))),
        false => output.line(text),
    };
    match args.format {
        TokenFormat::Token if !output.json => output.line(secret),
        TokenFormat::Token | TokenFormat::Json => {
            print_json(context, subject, resource, token, None)
        }
        TokenFormat::Xoauth2 => {
            let response = sasl::xoauth2(user.unwrap_or_default(), &token.secret)?;
            form("xoauth2", sasl::base64(&response).expose())
        }
        TokenFormat::Header => form("header", &format!("Authorization: Bearer {secret}")),
        TokenFormat::Claims => {
            let registration = subject.registration(resource)?;
            claims::print(context, registration, resource, token)
        }
    }
}

fn print_json(
    context: &Context,
    subject: &Subject<'_>,
    resource: Resource,
    token: &AccessToken,
    form: Option<(&str, &str)>,
) -> Result<()> {
    let now = SystemTime::now();
    let mut object = serde_json::json!({
        "access_token": token.secret.expose(),
        "token_type": "Bearer",
        "for": resource.name(),
        "expires_at": rfc3339(token.expires_at),
        "expires_in": token.remaining(now).as_secs(),
    });
    match subject {
        Subject::Mailbox(entry) => {
            object["queue"] = entry.queue.name.as_str().into();
            object["address"] = entry.address.address.as_str().into();
        }
        server => object["server"] = server.name().into(),
    }
    if let Some((name, text)) = form {
        object[name] = text.into();
    }
    context.output.json(&object)
}

/// An instant as machines read it (RFC 3339, UTC).
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map(|t| t.to_string())
        .unwrap_or_default()
}
