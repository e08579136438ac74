//! The questions about a server.

use super::{ask, ask_any, ask_optional, choose, file, fill, introduce, password};
use crate::model::{
    self, Authentication, Authority, Change, ClientId, Config, Day, Given, IncomingVia,
    ManagedIdentity, Name, OutgoingVia, Tenant,
};
use crate::provision::{Credential, Incoming, NewServer, Outgoing, Person};
use anyhow::Result;

/// Whether the server is an incoming one.
pub fn is_incoming(person: &dyn Person) -> Result<bool> {
    let choices = [
        ("incoming", "an app registration for reading mailboxes"),
        ("outgoing", "sends mail"),
    ];
    Ok(choose(person, "Kind of server", &choices, 0)? == 0)
}

/// What is said of an incoming server, with what was missing asked for.
pub fn incoming(
    person: &dyn Person,
    config: &Config,
    mut said: NewServer<Incoming>,
) -> Result<NewServer<Incoming>> {
    introduce(
        person,
        "an incoming server: an app registration for reading mailboxes",
    );
    name(person, config, &mut said.name, said.replace)?;
    let address = fill(&mut said.own.address, || {
        let others = config.incoming_servers.first();
        let others = others.map(|server| server.address.to_string());
        person.tell("For a tenant of another cloud, type its login address.");
        let question = "Tenant: a domain name or GUID";
        let check = |text: &str| login_address(text).map(drop);
        let text = person.line(question, others.as_deref(), &check)?;
        login_address(&text).map_err(anyhow::Error::msg)
    })?;
    let cloud = address.cloud();
    let service = authentication(person, &mut said.of_both.authentication)?;
    fill(&mut said.of_both.client_id, || {
        client_id(person, cloud.is_some()).map(Change::Set)
    })?;
    if service {
        credential(person, &mut said.of_both.credential)?;
    }
    let ways = [
        (
            IncomingVia::Imap,
            "needs IMAP.AccessAsApp or IMAP.AccessAsUser.All",
        ),
        (IncomingVia::Graph, "needs Mail.ReadWrite"),
        (IncomingVia::Auto, "the first that works"),
    ];
    let question = "Read mailboxes through";
    fill(&mut said.via, || value_of(person, question, &ways))?;
    if cloud.is_none() {
        hosts(person, &mut said)?;
    }
    Ok(said)
}

/// Where mailboxes are, in a cloud whose hosts are not known.
fn hosts(person: &dyn Person, said: &mut NewServer<Incoming>) -> Result<()> {
    let (imap, graph) = match said.via {
        Some(IncomingVia::Graph) => (false, true),
        Some(IncomingVia::Auto) => (true, true),
        _ => (true, false),
    };
    if imap {
        let question = "IMAP host: imaps://HOST, or imap://HOST for STARTTLS";
        fill(&mut said.own.imap, || {
            ask_any(person, question, None).map(Change::Set)
        })?;
    }
    if graph {
        let question = "Graph's service root: https://HOST";
        fill(&mut said.of_both.graph, || {
            ask_any(person, question, None).map(Change::Set)
        })?;
    }
    Ok(())
}

/// The same of an outgoing server.
pub fn outgoing(
    person: &dyn Person,
    config: &Config,
    mut said: NewServer<Outgoing>,
) -> Result<NewServer<Outgoing>> {
    introduce(person, "an outgoing server: sends mail");
    name(person, config, &mut said.name, said.replace)?;
    fill(&mut said.own.tenant, || {
        let known = config.incoming_servers.first();
        let known = known.map(|s| s.address.tenant.to_string());
        ask_any(person, "Tenant: a domain name or GUID", known.as_deref())
    })?;
    let service = authentication(person, &mut said.of_both.authentication)?;
    if said.own.app.is_none() && said.of_both.client_id.is_none() {
        match app(person, config, service)? {
            Some(app) => said.own.app = Some(Change::Set(app)),
            None => said.of_both.client_id = Some(Change::Set(client_id(person, true)?)),
        }
    }
    if service && said.of_both.client_id.is_some() {
        credential(person, &mut said.of_both.credential)?;
    }
    if said.own.user.is_none() {
        let question = "Mailbox user that sends: address or object ID (empty: the sender)";
        said.own.user = ask_optional(person, question)?.map(Change::Set);
    }
    if !service {
        let account = match &said.own.user {
            Some(Change::Set(user)) => format!("`{user}`"),
            _ => "the account".to_owned(),
        };
        password(person, &mut said.own.password.given, &account)?;
    }
    let ways = [
        (
            OutgoingVia::Smtp,
            "needs SMTP.SendAsApp or SMTP.Send, and SMTP AUTH",
        ),
        (OutgoingVia::Graph, "needs Mail.Send"),
        (OutgoingVia::Auto, "the first that works"),
    ];
    fill(&mut said.via, || value_of(person, "Send through", &ways))?;
    Ok(said)
}

/// A name that no server has yet.
fn name(
    person: &dyn Person,
    config: &Config,
    slot: &mut Option<Name>,
    replace: bool,
) -> Result<()> {
    let free = |name: &Name| match config.server_names().contains(&name.0.as_str()) && !replace {
        true => Err(format!("server `{name}` already exists")),
        false => Ok(()),
    };
    let question = "Name of the server, for use in queues";
    fill(slot, || ask(person, question, None, free)).map(drop)
}

/// A login address, or the tenant of one in the worldwide cloud.
fn login_address(text: &str) -> Result<Authority, String> {
    match text.contains("://") {
        true => text.parse(),
        false => {
            let tenant: Tenant = text.parse()?;
            format!("{}/{tenant}", Authority::WORLDWIDE).parse()
        }
    }
}

/// True for oauth-service.
fn authentication(person: &dyn Person, slot: &mut Option<Authentication>) -> Result<bool> {
    let choices = [
        (
            Authentication::OauthService,
            "the app signs in, with application permissions",
        ),
        (
            Authentication::OauthUser,
            "a person signs in, with delegated permissions",
        ),
    ];
    let given = fill(slot, || value_of(person, "Authentication type", &choices))?;
    Ok(*given == Authentication::OauthService)
}

fn client_id(person: &dyn Person, microsoft: bool) -> Result<ClientId> {
    ask(
        person,
        "Application (client) ID",
        None,
        |id: &ClientId| match microsoft && !model::is_guid(id.as_str()) {
            true => Err(format!(
                "`{id}` is not a GUID: copy it from the page of the app registration"
            )),
            false => Ok(()),
        },
    )
}

/// The incoming server whose app registration signs in; none for one of its own.
fn app(person: &dyn Person, config: &Config, service: bool) -> Result<Option<String>> {
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
    choices.push(("another", "a separate app registration"));
    let chosen = choose(person, "App registration to sign in with", &choices, 0)?;
    Ok(fitting.get(chosen).map(|server| server.name.clone()))
}

/// What the app proves itself with, unless an option says so. A typed secret is asked for at the
/// very end, when all else is right.
fn credential(person: &dyn Person, other: &mut Credential) -> Result<()> {
    if other.secret.given.is_none() && !other.replaces_secret() {
        let choices = [
            ("secret", "typed at the end, stored in the configuration"),
            ("secret in a file", "read at each use"),
            (
                "secret of a command",
                "such as a password manager, run at each use",
            ),
            (
                "systemd credential",
                "from LoadCredential= of a systemd service",
            ),
            ("certificate", "a PEM or PFX file and its private key"),
            ("managed identity", "of this Azure host"),
        ];
        person.tell(
            "A certificate is safer than a secret. A typed secret makes the \
             configuration file private.",
        );
        match choose(person, "How the app authenticates", &choices, 0)? {
            0 => other.secret.given = Some(Given::Asked),
            1 => {
                other.secret.given =
                    Some(Given::source("file", file(person, "File of the secret")?))
            }
            2 => {
                let question = "Command that prints the secret";
                let check = |text: &str| model::command_words(text).map(drop);
                let text = person.line(question, None, &check)?;
                other.secret.given = Some(Given::source("command", text));
            }
            3 => {
                let name = ask_any::<Name>(person, "Name of the credential", None)?;
                other.secret.given = Some(Given::source("credential", name.0));
            }
            4 => {
                let certificate = file(person, "Certificate (PEM or PFX)")?;
                other.certificate = Some(Change::Set(certificate));
                let question = "Its private key, a PEM file (empty: the same file)";
                let key = person.line(question, Some(""), &|_| Ok(()))?;
                other.private_key = (!key.is_empty()).then(|| Change::Set(key.into()));
            }
            _ => other.managed_identity = Some(ManagedIdentity::User),
        }
    }
    if !other.replaces_secret() && other.secret_expires.is_none() {
        person.tell("queuemail warns 30 days before the secret expires, if it knows the day.");
        let question = "Day on which the secret expires, YYYY-MM-DD (may be empty)";
        let day = ask_optional::<Day>(person, question)?;
        other.secret_expires = day.map(Change::Set);
    }
    Ok(())
}

/// Asks to choose a value, each with a line that explains it.
fn value_of<T: Copy + ToString>(
    person: &dyn Person,
    question: &str,
    values: &[(T, &str)],
) -> Result<T> {
    let names: Vec<String> = values.iter().map(|(value, _)| value.to_string()).collect();
    let choices = names.iter().map(String::as_str);
    let choices: Vec<_> = choices
        .zip(values.iter().map(|(_, words)| *words))
        .collect();
    let chosen = choose(person, question, &choices, 0)?;
    Ok(values[chosen.min(values.len() - 1)].0)
}
