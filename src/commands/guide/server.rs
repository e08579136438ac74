//! The questions of `server add`.

use super::{ask, choose, file, introduce, known, password, secret_given};
use crate::cli::{
    AuthArg, CredentialArgs, IdentityArg, IncomingArgs, IncomingViaArg, OutgoingArgs,
    OutgoingViaArg, SecretArgs,
};
use crate::commands::Context;
use crate::commands::provision::Name;
use crate::config::{
    self, Authentication, Authority, ClientId, Config, Day, HttpsUrl, ServerUser, Tenant,
};
use crate::net::Endpoint;
use crate::prompt;
use anyhow::Result;

const WORLDWIDE: &str = "https://login.microsoftonline.com";

/// The kind of server: true for incoming.
pub fn kind() -> Result<bool> {
    let choices = [
        (
            "incoming",
            "an app registration through which mailboxes are read",
        ),
        ("outgoing", "a way for mail to leave"),
    ];
    Ok(choose("Kind of server", &choices, 0)? == 0)
}

/// The options of `server add incoming`, the missing ones asked for.
pub fn incoming(context: &Context, given: &IncomingArgs) -> Result<IncomingArgs> {
    let config = known(context)?;
    let mut args = given.clone();
    introduce("an incoming server: an app registration through which mailboxes are read");
    name(&config, &mut args.name, args.replace)?;
    let address = match &args.address {
        Some(address) => address.clone(),
        None => {
            let others = config
                .incoming_servers
                .first()
                .map(|s| s.address.to_string());
            let question =
                "Tenant: a domain name or GUID; of another cloud, its whole login address";
            let text = prompt::line(question, others.as_deref(), |text| {
                login_address(text).map(drop)
            })?;
            login_address(&text)
                .map_err(anyhow::Error::msg)?
                .to_string()
        }
    };
    let cloud = address.parse::<Authority>().ok().and_then(|a| a.cloud());
    args.address = Some(address);
    let service = authentication(&mut args.auth)?;
    if args.client_id.is_none() {
        args.client_id = Some(client_id(cloud.is_some())?);
    }
    if service {
        credential(&mut args.secret, &mut args.credential)?;
    }
    if args.via.is_none() {
        let ways = [
            (
                IncomingViaArg::Imap,
                "imap",
                "the app's permission is IMAP.AccessAsApp or IMAP.AccessAsUser.All",
            ),
            (
                IncomingViaArg::Graph,
                "graph",
                "the app's permission is Mail.ReadWrite",
            ),
            (IncomingViaArg::Auto, "auto", "whichever of the two works"),
        ];
        args.via = Some(way("Read mailboxes through", &ways)?);
    }
    if cloud.is_none() {
        let transport = &mut args.transport;
        let (imap, graph) = match args.via {
            Some(IncomingViaArg::Graph) => (false, true),
            Some(IncomingViaArg::Auto) => (true, true),
            _ => (true, false),
        };
        if imap && transport.imap.is_none() {
            let question = "IMAP host: imaps://HOST, or imap://HOST for STARTTLS";
            transport.imap = Some(ask::<Endpoint>(question, None, |_| Ok(()))?);
        }
        if graph && transport.graph.is_none() {
            let question = "Graph's service root: https://HOST";
            transport.graph = Some(ask::<HttpsUrl>(question, None, |_| Ok(()))?);
        }
    }
    Ok(args)
}

/// The options of `server add outgoing`, the missing ones asked for.
pub fn outgoing(context: &Context, given: &OutgoingArgs) -> Result<OutgoingArgs> {
    let config = known(context)?;
    let mut args = given.clone();
    introduce("an outgoing server: a way for mail to leave");
    name(&config, &mut args.name, args.replace)?;
    if args.tenant.is_none() {
        let known = config.incoming_servers.first();
        let known = known.map(|s| s.address.tenant.to_string());
        let question = "Tenant: a domain name or GUID";
        args.tenant = Some(ask::<Tenant>(question, known.as_deref(), |_| Ok(()))?);
    }
    let service = authentication(&mut args.auth)?;
    if args.app.is_none() && args.client_id.is_none() {
        match app(&config, service)? {
            Some(app) => args.app = Some(app),
            None => args.client_id = Some(client_id(true)?),
        }
    }
    if service && args.client_id.is_some() {
        credential(&mut args.secret, &mut args.credential)?;
    }
    if args.user.is_none() {
        let question = "Mailbox user that sends: address or object ID (empty: each sender its own)";
        let check = |text: &str| text.parse::<ServerUser>().map(drop);
        args.user = prompt::optional_line(question, check)?;
    }
    if !service {
        let account = args.user.clone();
        password(
            &mut args.password,
            &account.map_or("the account".to_owned(), |a| format!("`{a}`")),
        )?;
    }
    if args.via.is_none() {
        let ways = [
            (
                OutgoingViaArg::Smtp,
                "smtp",
                "SMTP AUTH is on for the mailbox; the permission is SMTP.SendAsApp or SMTP.Send",
            ),
            (
                OutgoingViaArg::Graph,
                "graph",
                "the app's permission is Mail.Send",
            ),
            (OutgoingViaArg::Auto, "auto", "whichever of the two works"),
        ];
        args.via = Some(way("Send through", &ways)?);
    }
    Ok(args)
}

/// A name that no server has yet.
fn name(config: &Config, slot: &mut Option<String>, replace: bool) -> Result<()> {
    if slot.is_some() {
        return Ok(());
    }
    let free = |name: Name| match config.server_names().contains(&name.0.as_str()) && !replace {
        true => Err(format!("there is a server `{}` already", name.0)),
        false => Ok(()),
    };
    *slot = Some(ask(
        "Name of the server, by which queues refer to it",
        None,
        free,
    )?);
    Ok(())
}

/// A login address, or the tenant of one in the worldwide cloud.
fn login_address(text: &str) -> Result<Authority, String> {
    match text.contains("://") {
        true => text.parse(),
        false => {
            let tenant: Tenant = text.parse()?;
            format!("{WORLDWIDE}/{tenant}").parse()
        }
    }
}

/// True for oauth-service.
fn authentication(slot: &mut Option<AuthArg>) -> Result<bool> {
    let given = match *slot {
        Some(given) => given,
        None => {
            let choices = [
                (
                    "oauth-service",
                    "the program signs in as itself, with application permissions",
                ),
                (
                    "oauth-user",
                    "a person's account signs in, with delegated permissions",
                ),
            ];
            match choose("Authentication type", &choices, 0)? {
                0 => AuthArg::OauthService,
                _ => AuthArg::OauthUser,
            }
        }
    };
    *slot = Some(given);
    Ok(given == AuthArg::OauthService)
}

fn client_id(microsoft: bool) -> Result<String> {
    ask::<ClientId>("Application (client) ID", None, |id| {
        match microsoft && !config::is_guid(id.as_str()) {
            true => Err(format!(
                "`{id}` is no GUID: the page of the app registration shows it"
            )),
            false => Ok(()),
        }
    })
}

/// The incoming server whose app registration signs in; none for one of its own.
fn app(config: &Config, service: bool) -> Result<Option<String>> {
    let wanted = match service {
        true => Authentication::OauthService,
        false => Authentication::OauthUser,
    };
    let fitting: Vec<_> = config
        .incoming_servers
        .iter()
        .filter(|server| server.authentication == wanted)
        .collect();
    if fitting.is_empty() {
        return Ok(None);
    }
    let words: Vec<String> = fitting
        .iter()
        .map(|server| format!("client {} of {}", server.client_id, server.address.tenant))
        .collect();
    let mut choices: Vec<(&str, &str)> = fitting
        .iter()
        .zip(&words)
        .map(|(server, words)| (server.name.as_str(), words.as_str()))
        .collect();
    choices.push(("another", "an app registration of its own"));
    let chosen = choose("App registration to sign in with", &choices, 0)?;
    Ok(fitting.get(chosen).map(|server| server.name.clone()))
}

/// What the app proves itself with, unless an option says so. A typed secret is asked for at the
/// very end, when all else is right.
fn credential(secret: &mut SecretArgs, other: &mut CredentialArgs) -> Result<()> {
    if !secret_given(secret) && !other.replaces_secret() {
        let choices = [
            (
                "secret",
                "asked for at the end, and kept in the configuration, which becomes private",
            ),
            ("secret in a file", "read at each use"),
            (
                "secret of a command",
                "such as a password manager, run at each use",
            ),
            (
                "systemd credential",
                "what LoadCredential= gives to a service",
            ),
            (
                "certificate",
                "a PEM or PFX file and its private key; safer than a secret",
            ),
            ("managed identity", "of the Azure host that this is"),
        ];
        match choose("The app proves itself with a", &choices, 0)? {
            0 => {}
            1 => secret.secret_file = Some(file("File of the secret")?),
            2 => {
                let question = "Command that prints the secret (words split as a shell does)";
                let check = |text: &str| config::command_words(text).map(drop);
                secret.secret_command = Some(prompt::line(question, None, check)?);
            }
            3 => {
                let question = "Name of the credential";
                secret.secret_credential = Some(ask::<Name>(question, None, |_| Ok(()))?);
            }
            4 => {
                other.certificate = Some(file("Certificate (PEM or PFX)")?);
                let question = "Its private key, a PEM file (empty: in the same file)";
                let key = prompt::optional_line(question, |_| Ok(()))?;
                other.private_key = key.map(Into::into);
            }
            _ => other.managed_identity = Some(IdentityArg::User),
        }
    }
    if !other.replaces_secret() && other.secret_expires.is_none() {
        let question = "Day on which the secret expires, YYYY-MM-DD (empty: no warning before)";
        let check = |text: &str| text.parse::<Day>().map(drop);
        other.secret_expires = prompt::optional_line(question, check)?;
    }
    Ok(())
}

fn way<T: Copy>(question: &str, ways: &[(T, &str, &str)]) -> Result<T> {
    let choices: Vec<_> = ways
        .iter()
        .map(|(_, name, words)| (*name, *words))
        .collect();
    let chosen = choose(question, &choices, 0)?;
    Ok(ways[chosen.min(ways.len() - 1)].0)
}
