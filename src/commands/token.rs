//! `token get`: an access token for this and other programs.

use super::{Context, claims, login};
use crate::cli::{ProtocolArg, TokenCommand, TokenFormat, TokenGet};
use crate::config::resolve::{self, Registration};
use crate::config::{self, Config, MailboxEntry, OutgoingServer, Resource};
use crate::fault::{Errors, Fault};
use crate::mail::sasl;
use crate::oauth::AccessToken;
use crate::shell;
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

/// What a name stands for.
pub enum Subject<'a> {
    Mailbox(MailboxEntry<'a>),
    /// An incoming server's name.
    Incoming(&'a str),
    Outgoing(&'a OutgoingServer),
}

fn get(context: &Context, args: &TokenGet) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let subject = find(&config, &args.name, args.protocol)?;
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
    let store = context.store(&config)?;
    let access = Access::new(&context.means, &config, &store).fresh(args.fresh);
    let token = match &subject {
        Subject::Mailbox(entry) => match outgoing_of(&config, entry) {
            Some(outgoing) if resource == Resource::Smtp => {
                access.sending_access(outgoing, Some(entry), resource)?
            }
            _ => access.mailbox_access(entry, resource)?,
        },
        Subject::Incoming(name) => access.server_access(name, resource)?,
        Subject::Outgoing(server) => access.sending_access(server, None, resource)?,
    };
    print(context, &config, args, &subject, resource, &token, user)
}

pub fn resource(protocol: ProtocolArg) -> Resource {
    match protocol {
        ProtocolArg::Imap => Resource::Imap,
        ProtocolArg::Smtp => Resource::Smtp,
        ProtocolArg::Pop => Resource::Pop,
        ProtocolArg::Graph => Resource::Graph,
    }
}

/// What `name` is: a queue with one address, an address, or a server.
pub fn find<'a>(
    config: &'a Config,
    name: &str,
    protocol: Option<ProtocolArg>,
) -> Result<Subject<'a>> {
    if let Some(queue) = config.queue(name) {
        return match &queue.addresses[..] {
            [address] => Ok(Subject::Mailbox(MailboxEntry {
                config,
                queue,
                address,
            })),
            [] => Err(Fault::usage(format!("queue `{name}` has no address"))
                .hint(format!(
                    "give it one: queuemail queue add {} --address ADDRESS --server INCOMING",
                    shell::quote(name)
                ))
                .into()),
            several => {
                let list: Vec<&str> = several.iter().map(|a| a.address.as_str()).collect();
                Err(Fault::usage(format!(
                    "queue `{name}` has {} addresses, and a token is one mailbox's",
                    list.len()
                ))
                .hint(format!("name one: {}", list.join(", ")))
                .into())
            }
        };
    }
    let mailbox = config
        .mailboxes()
        .find(|entry| entry.address.address.as_str().eq_ignore_ascii_case(name));
    if let Some(entry) = mailbox {
        return Ok(Subject::Mailbox(entry));
    }
    let incoming = config.incoming_server(name);
    let outgoing = config.outgoing_server(name);
    match (incoming, outgoing) {
        (_, Some(server)) if protocol == Some(ProtocolArg::Smtp) || incoming.is_none() => {
            Ok(Subject::Outgoing(server))
        }
        (Some(server), _) => Ok(Subject::Incoming(&server.name)),
        _ => Err(unknown(config, name)),
    }
}

fn unknown(config: &Config, name: &str) -> anyhow::Error {
    let mut known: Vec<&str> = config.queues.iter().map(|q| q.name.as_str()).collect();
    known.extend(config.mailboxes().map(|m| m.address.address.as_str()));
    known.extend(config.incoming_servers.iter().map(|s| s.name.as_str()));
    known.extend(config.outgoing_servers.iter().map(|s| s.name.as_str()));
    config::unknown("queue, address or server", name, &known)
}

/// The outgoing server that an address sends through.
pub fn outgoing_of<'a>(config: &'a Config, entry: &MailboxEntry<'a>) -> Option<&'a OutgoingServer> {
    config.outgoing_server(entry.address.outgoing_server.as_deref()?)
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
        Subject::Incoming(name) => Err(Fault::usage(format!(
            "XOAUTH2 names a mailbox, and `{name}` is a server"
        ))
        .hint("name a queue or an address: queuemail token get ADDRESS --format xoauth2")),
    }
}

/// The app registration that a token of `subject` is asked for with.
pub fn registration<'a>(
    config: &'a Config,
    subject: &Subject<'a>,
    resource: Resource,
) -> Result<Registration<'a>, Fault> {
    let server = match subject {
        Subject::Outgoing(server) => return resolve::outgoing(config, server),
        Subject::Mailbox(entry) => match outgoing_of(config, entry) {
            Some(server) if resource == Resource::Smtp => return resolve::outgoing(config, server),
            _ => entry.address.server.as_str(),
        },
        Subject::Incoming(name) => name,
    };
    match config.incoming_server(server) {
        Some(server) => Ok(resolve::incoming(server)),
        None => Err(Fault::config(format!(
            "no incoming server named `{server}`"
        ))),
    }
}

fn print(
    context: &Context,
    config: &Config,
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
            let registration = registration(config, subject, resource)?;
            claims::print(context, &registration, resource, token)
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
        Subject::Incoming(name) => object["server"] = (*name).into(),
        Subject::Outgoing(server) => object["server"] = server.name.as_str().into(),
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
