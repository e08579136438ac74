//! `token`: access tokens for this and other programs, and the ones that are kept.

use super::confirm::confirm;
use super::{Context, login};
use crate::cli::{TokenCommand, TokenForget, TokenFormat, TokenGet};
use crate::config;
use crate::fault::{Errors, Fault};
use crate::mail::sasl;
use crate::model::Resource;
use crate::office::{Office, Subject};
use crate::tell;
use crate::tokens::keep::Tokens;
use crate::tokens::{self, Access};
use anyhow::Result;
use serde_json::json;

pub fn run(context: &Context, command: TokenCommand) -> Result<(), Errors> {
    match command {
        TokenCommand::Get(args) => get(context, &args)?,
        TokenCommand::Login(args) => login::run(context, &args)?,
        TokenCommand::List => {
            let kept = Tokens::list(&context.store_alone()?)?;
            tell::token::list(&context.output, &kept)?;
        }
        TokenCommand::Forget(args) => forget(context, &args)?,
    }
    Ok(())
}

fn get(context: &Context, args: &TokenGet) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let subject = office.subject(&args.name, args.protocol == Some(Resource::Smtp))?;
    let usual = match &subject {
        Subject::Outgoing(_) => Resource::Smtp,
        _ => Resource::Imap,
    };
    let resource = args.protocol.unwrap_or(usual);
    // Before a token is asked for: an account that the SASL string needs.
    let user = match args.format {
        TokenFormat::Xoauth2 => Some(sasl_user(&subject)?),
        _ => None,
    };
    let store = context.store(&config)?;
    let access = Access::new(&context.means, &office, &store).fresh(args.fresh);
    let token = access.access_of(&subject, resource)?;
    let output = &context.output;
    let object = |form: Option<(&str, &str)>| {
        output.json(&tell::token::object(&subject, resource, &token, form))
    };
    // With --json, a form of the token stands in the object under its name.
    let form = |name: &str, text: &str| match output.json {
        true => object(Some((name, text))),
        false => output.line(text),
    };
    match args.format {
        TokenFormat::Token if !output.json => output.line(token.secret.expose()),
        TokenFormat::Token | TokenFormat::Json => object(None),
        TokenFormat::Xoauth2 => {
            let response = sasl::xoauth2(user.unwrap_or_default(), &token.secret)?;
            form("xoauth2", response.expose())
        }
        TokenFormat::Header => form(
            "header",
            &format!("Authorization: Bearer {}", token.secret.expose()),
        ),
        TokenFormat::Claims => {
            let registration = subject.registration(resource)?;
            tell::claims::print(output, registration, resource, &token)
        }
    }
}

/// The mailbox that XOAUTH2 names: the address, also where another account signs in.
fn sasl_user<'a>(subject: &Subject<'a>) -> Result<&'a str, Fault> {
    match subject {
        Subject::Mailbox(entry) => Ok(entry.address.address.as_str()),
        Subject::Outgoing(server) => match &server.user {
            Some(user) if !user.is_guid() => Ok(user.as_str()),
            _ => Err(Fault::usage(format!(
                "XOAUTH2 needs the address of a mailbox, and outgoing server `{}` has none",
                server.name
            ))
            .hint("use a queue or an address: queuemail token get ADDRESS --for smtp --format xoauth2")),
        },
        Subject::Incoming(server) => Err(Fault::usage(format!(
            "XOAUTH2 needs the address of a mailbox, and `{}` is a server",
            server.name
        ))
        .hint("use a queue or an address: queuemail token get ADDRESS --format xoauth2")),
    }
}

fn forget(context: &Context, args: &TokenForget) -> Result<(), Errors> {
    let store = context.store_alone()?;
    let forgotten = match &args.name {
        None => {
            let question = "Erase every stored token, also those that people signed in for?";
            confirm(context, args.yes, question)?;
            tokens::forget(&store, None)?
        }
        Some(name) => {
            let config = config::load(&context.config_path)?;
            let office = Office::link(&config)?;
            tokens::forget(&store, Some(&office.subject(name, false)?))?
        }
    };
    let (tokens, left) = (forgotten.tokens, forgotten.left);
    let line = match tokens {
        1 => "erased 1 token".to_owned(),
        _ => format!("erased {tokens} tokens"),
    };
    let object = json!({ "event": "forget", "tokens": tokens, "left_behind": left.len() });
    context.output.result(&object, &line)?;
    Errors::none_or(left.into_iter().map(Into::into).collect())
}
