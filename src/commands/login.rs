//! `token login`, `token list`, `token forget`: the sign-ins that are kept.

use super::Context;
use super::token::resource;
use crate::cli::{ProtocolArg, TokenForget, TokenLogin};
use crate::config::{self, Authentication, Resource};
use crate::fault::{Errors, Fault};
use crate::oauth::Claims;
use crate::office::{Office, Registration, Subject, login_to_send};
use crate::output::{eprintln_safe, escape};
use crate::prompt;
use crate::secret::Secret;
use crate::state::TokenKey;
use crate::tokens::keep::Tokens;
use crate::tokens::{Access, How, Screen, Show, SignedIn};
use crate::vault::Vault;
use anyhow::Result;
use std::process::Stdio;
use std::time::SystemTime;

pub fn login(context: &Context, args: &TokenLogin) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let subject = office.subject(&args.name, args.protocol == Some(ProtocolArg::Smtp))?;
    let store = context.store()?;
    let access = Access::new(&context.means, &office, &store).fresh(true);
    let how = match (args.no_browser, args.device) {
        (true, _) => How::BrowserElsewhere,
        (_, true) => How::Device,
        _ if args.browser || has_browser() => How::Browser,
        _ => How::Device,
    };
    if how == How::BrowserElsewhere && !context.may_ask {
        return Err(
            Fault::usage("`--no-browser` asks on a terminal, and there is none")
                .hint("with a code instead: queuemail token login ADDRESS --device")
                .into(),
        );
    }
    let SignedIn { account, token } = match &subject {
        Subject::Incoming(server) => {
            return Err(Fault::usage(format!(
                "`{}` is a server, and a person signs in for a mailbox",
                server.name
            ))
            .hint("name a queue or an address: queuemail token login ADDRESS")
            .into());
        }
        Subject::Outgoing(server) => access.sending_login(server, None, how, &Terminal)?,
        Subject::Mailbox(entry) => match (args.protocol, entry.outgoing) {
            (Some(ProtocolArg::Smtp), Some(server)) => {
                access.sending_login(server, Some(entry), how, &Terminal)?
            }
            (protocol, _) => access.login(entry, protocol.map(resource), how, &Terminal)?,
        },
    };
    let whose = subject.name();
    let signed_in = Claims::of(token.secret.expose()).and_then(|c| c.user);
    if let Some(user) = &signed_in
        && !user.eq_ignore_ascii_case(&account)
    {
        context.output.warn(&format!(
            "`{}` has signed in, but the account of `{whose}` is `{}`; unless it is the same person, sign in again as that one",
            escape(user), escape(&account)
        ));
    }
    if let Subject::Mailbox(entry) = &subject
        && let Some(server) = entry.outgoing
        && access.lacks_login(server, entry)
    {
        context.output.warn(&format!(
            "`{}`, through which `{whose}` sends, needs a sign-in of its own: queuemail token login {}",
            server.name,
            login_to_send(server, Some(entry))
        ));
    }
    let user = signed_in.unwrap_or(account);
    match context.output.json {
        true => {
            let of = match subject {
                Subject::Mailbox(_) => "address",
                _ => "server",
            };
            context
                .output
                .json(&serde_json::json!({ "event": "login", of: whose, "user": user }))
        }
        false => context
            .output
            .line(&format!("signed in as {}", escape(&user))),
    }
}

/// The terminal, and the browser that it opens.
struct Terminal;

impl Screen for Terminal {
    fn show(&self, account: &str, what: Show<'_>) {
        match what {
            Show::Code { page, code } => eprintln_safe(&format!(
                "open {page} on any device, enter the code {code} and sign in as {}",
                escape(account)
            )),
            Show::Page { page, start } => {
                eprintln_safe(&format!(
                    "sign in as {} at this page:\n{page}",
                    escape(account)
                ));
                if let Some(start) = start {
                    open_browser(start);
                }
            }
        }
    }

    fn bring_address(&self) -> Result<Secret> {
        // Not shown while it is typed.
        prompt::secret("The address at which the browser ends")
    }
}

fn has_browser() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}

/// Best effort: the address is on the terminal anyway.
fn open_browser(page: &str) {
    if has_browser() {
        let _ = crate::child::command("xdg-open")
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
}

pub fn list(context: &Context) -> Result<()> {
    let store = context.store()?;
    let now = SystemTime::now();
    let mut listed = Vec::new();
    for (kept, vault) in Tokens::list(&store)? {
        let TokenKey {
            authority,
            client_id,
            account,
            scope,
        } = &kept.key;
        let is_refresh = kept.key.is_refresh();
        let kind = if is_refresh { "refresh" } else { "access" };
        if context.output.json {
            listed.push(serde_json::json!({
                "kind": kind,
                "authority": authority,
                "client_id": client_id,
                "account": account,
                "scope": scope,
                "obtained_at": super::token::rfc3339(kept.obtained_at),
                "expires_at": kept.expires_at.map(super::token::rfc3339),
                "store": vault.as_ref().map_or("database", Vault::kind),
            }));
            continue;
        }
        let who = match account.as_str() {
            "" => "the app itself",
            account => account,
        };
        let state = match kept.expires_at {
            Some(at) => match at.duration_since(now) {
                Ok(left) => format!("for {scope}, expires in {} minutes", left.as_secs() / 60),
                Err(_) => format!("for {scope}, expired"),
            },
            None => {
                let age = now.duration_since(kept.obtained_at).unwrap_or_default();
                format!("renewed {} days ago", age.as_secs() / 86400)
            }
        };
        let place = match vault {
            None => String::new(),
            Some(vault) => format!(", in {}", vault.words()),
        };
        context.output.line(&escape(&format!(
            "{kind} token of {who}, app {client_id} at {authority}: {state}{place}"
        )))?;
    }
    match context.output.json {
        true => context
            .output
            .json(&serde_json::json!({ "tokens": listed })),
        false => Ok(()),
    }
}

pub fn forget(context: &Context, args: &TokenForget) -> Result<(), Errors> {
    let store = context.store()?;
    let beginnings = match &args.name {
        None => vec![String::new()],
        Some(name) => subjects(context, name)?,
    };
    let (mut tokens, mut left) = (0, Vec::new());
    for beginning in beginnings {
        let forgotten = Tokens::forget(&store, &beginning)?;
        tokens += forgotten.tokens;
        left.extend(forgotten.left);
    }
    match context.output.json {
        true => context.output.json(&serde_json::json!({
            "event": "forget", "tokens": tokens, "left_behind": left.len(),
        }))?,
        false => context.output.line(&match tokens {
            1 => "forgot 1 token".to_owned(),
            _ => format!("forgot {tokens} tokens"),
        })?,
    }
    Errors::none_or(left.into_iter().map(Into::into).collect())
}

/// What the keys of all tokens of `name` begin with.
fn subjects(context: &Context, name: &str) -> Result<Vec<String>> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let subject = office.subject(name, false)?;
    let registration = subject.registration(Resource::Imap)?;
    let client = |of: &Registration<'_>| format!("{}\t{}\t", of.authority, of.client_id);
    let person = |of: &Registration<'_>, account: &str| {
        format!("{}{}\t", client(of), account.to_lowercase())
    };
    let Subject::Mailbox(entry) = subject else {
        return Ok(vec![client(registration)]);
    };
    let mut found = vec![match registration.authentication {
        Authentication::OauthUser => person(registration, entry.account()),
        Authentication::OauthService => client(registration),
    }];
    if let Some(server) = entry.outgoing
        && entry.signs_in_apart(server)
    {
        let account = server.account(Some(entry.address))?;
        found.push(person(server.registration()?, account.name));
    }
    Ok(found)
}
