//! `token login`: a person signs in by hand.

use super::Context;
use crate::cli::TokenLogin;
use crate::config;
use crate::fault::Fault;
use crate::model::Resource;
use crate::oauth::Claims;
use crate::office::{Office, Subject, login_to_send};
use crate::output::{eprintln_safe, escape};
use crate::prompt;
use crate::secret::Secret;
use crate::tokens::{Access, How, Screen, Show, SignedIn};
use anyhow::Result;
use serde_json::json;
use std::process::Stdio;

pub fn run(context: &Context, args: &TokenLogin) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let subject = office.subject(&args.name, args.protocol == Some(Resource::Smtp))?;
    let store = context.store(&config)?;
    let access = Access::new(&context.means, &office, &store).fresh(true);
    let how = match (args.no_browser, args.device) {
        (true, _) => How::BrowserElsewhere,
        (_, true) => How::Device,
        _ if args.browser || has_browser() => How::Browser,
        _ => How::Device,
    };
    if how == How::BrowserElsewhere && !context.may_ask {
        return Err(Fault::usage("`--no-browser` needs a terminal")
            .hint("with a code instead: queuemail token login ADDRESS --device")
            .into());
    }
    let SignedIn { account, token } = access.login_of(&subject, args.protocol, how, &Terminal)?;
    let whose = subject.name();
    let signed_in = Claims::of(token.secret.expose()).and_then(|c| c.user);
    if let Some(user) = &signed_in
        && !user.eq_ignore_ascii_case(&account)
    {
        context.output.warn(&format!(
            "`{}` has signed in, but the account of `{whose}` is `{}`; if these are two accounts, sign in again with the second",
            escape(user), escape(&account)
        ));
    }
    if let Subject::Mailbox(entry) = &subject
        && let Some(server) = entry.outgoing
        && access.lacks_login(server, entry)
    {
        context.output.warn(&format!(
            "`{}`, through which `{whose}` sends, needs a separate sign-in: queuemail token login {}",
            server.name,
            login_to_send(server, Some(entry))
        ));
    }
    let user = signed_in.unwrap_or(account);
    let of = match subject {
        Subject::Mailbox(_) => "address",
        _ => "server",
    };
    context.output.result(
        &json!({ "event": "login", of: whose, "user": user }),
        &format!("signed in as {}", escape(&user)),
    )
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
            Show::Page { page, here } => {
                eprintln_safe(&format!(
                    "sign in as {} at this page:\n{page}",
                    escape(account)
                ));
                if here {
                    open_browser(page);
                }
            }
        }
    }

    fn bring_address(&self) -> Result<Secret> {
        // Not shown while it is typed.
        prompt::secret("Paste the address from the browser's address bar")
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
