//! What to do, with real names in it.

use crate::fault::{Proof, Scene};
use crate::powershell;
use crate::shell;

/// The scene with what a server's words add to it: who may not send as whom.
pub fn with_words(scene: &Scene, said: &str) -> Scene {
    let mut scene = scene.clone();
    if let Some((before, after)) = said.split_once(" not allowed to send as ") {
        let address = |word: Option<&str>| {
            let word = word?.trim_matches([';', ',', '.', '<', '>']);
            let is_plain = |c: char| c.is_ascii_graphic() && !"'\"`;$(){}".contains(c);
            (word.contains('@') && word.len() < 255 && word.chars().all(is_plain))
                .then(|| word.to_owned())
        };
        scene.mailbox = address(before.split_whitespace().next_back()).or(scene.mailbox);
        scene.from = address(after.split_whitespace().next()).or(scene.from);
    }
    scene
}

/// True where a hint's condition, if it has one, holds in the scene, or nothing is known of that.
fn applies(condition: &str, scene: &Scene) -> bool {
    let is_known = scene.client_id.is_some();
    let proof_is = |proof| scene.proof.is_none_or(|own| own == proof);
    match condition {
        "if_person" => scene.account.is_some() || !is_known,
        "if_app" => scene.account.is_none(),
        "if_secret" => proof_is(Proof::Secret),
        "if_certificate" => proof_is(Proof::Certificate),
        "if_federated" => proof_is(Proof::Federated),
        _ => true,
    }
}

/// Whom Exchange gives rights to: the account, else the app. `None` where that is the owner of the
/// mailbox, who needs none.
fn principal(scene: &Scene, mailbox: Option<&str>) -> Option<String> {
    let client_id = scene.client_id.as_deref();
    let client_id = client_id.map_or_else(|| "CLIENT-ID".to_owned(), powershell::quoted);
    match (&scene.account, &scene.object_id) {
        (Some(account), _) if is_same(Some(account), mailbox) => None,
        (Some(account), _) => Some(powershell::quoted(account)),
        (None, Some(id)) => Some(powershell::quoted(id)),
        (None, None) => Some(format!(
            "(Get-ServicePrincipal | Where-Object AppId -eq {client_id}).Identity"
        )),
    }
}

/// Who needs a right to send as the address in From: the mailbox that submits; where that is the
/// address itself, whoever signs in.
fn submitter(scene: &Scene) -> Option<String> {
    let from = scene.from.as_deref().or(scene.address.as_deref());
    match scene.mailbox() {
        Some(mailbox) if !is_same(Some(mailbox), from) => Some(powershell::quoted(mailbox)),
        None if from.is_none() => Some("MAILBOX".to_owned()),
        _ => principal(scene, from),
    }
}

fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// The option of `server set` that names the configured host in the other TLS mode: at the same
/// port, unless that is the usual one of this mode, or of another protocol.
fn other_tls(scene: &Scene) -> Option<String> {
    let usual_port = |scheme: &str| match scheme {
        "imaps" => "993",
        "imap" => "143",
        "smtps" => "465",
        _ => "587",
    };
    let configured = scene.endpoint.as_deref().and_then(|endpoint| {
        let (scheme, place) = endpoint.split_once("://")?;
        let (host, port) = place.rsplit_once(':')?;
        Some((scheme, host, port))
    });
    let Some((scheme, host, port)) = configured else {
        return usual(scene, scene.protocol.as_deref().unwrap_or("imap"));
    };
    let (protocol, other) = match scheme {
        "imaps" => ("imap", "imap"),
        "imap" => ("imap", "imaps"),
        "smtps" => ("smtp", "smtp"),
        _ => ("smtp", "smtps"),
    };
    let port = match port {
        port if port == usual_port(scheme) => usual_port(other),
        port if port == usual_port(other) => port,
        "993" | "143" | "995" | "110" | "465" | "587" | "25" => {
            return usual(scene, protocol);
        }
        port => port,
    };
    Some(format!("--{protocol} {other}://{host}:{port}"))
}

/// The option of `server set` that names the host's usual port for `protocol`; `None` where it is
/// configured.
fn usual(scene: &Scene, protocol: &str) -> Option<String> {
    let (scheme, port) = match protocol {
        "smtp" => ("smtp", 587),
        _ => ("imaps", 993),
    };
    let host = scene.host.as_deref().unwrap_or("HOST");
    let url = format!("{scheme}://{host}:{port}");
    (scene.endpoint.as_ref() != Some(&url)).then(|| format!("--{protocol} {url}"))
}

/// Fills the real names in, quoted for a shell where they need it; what is not known becomes a
/// word in capitals. `None` where the hint would change nothing.
pub fn fill(hint: &str, scene: &Scene) -> Option<String> {
    let mut text = hint.to_owned();
    if let Some((condition, rest)) = hint.strip_prefix('{').and_then(|h| h.split_once('}'))
        && condition.starts_with("if_")
    {
        if !applies(condition, scene) {
            return None;
        }
        text = rest.to_owned();
    }
    for (placeholder, command) in commands(scene) {
        text = text.replace(placeholder, command);
    }
    let quoted: fn(&str) -> String = match is_powershell(hint) {
        true => powershell::quoted,
        false => |value: &str| shell::quote(value),
    };
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let placeholder = after.split_once('}');
        match placeholder.and_then(|(name, more)| Some((value(name, scene, quoted)?, more))) {
            Some((value, more)) => {
                filled.push_str(&value?);
                rest = more;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Some(filled)
}

/// The commands that a hint is written with, by their placeholders; they hold others.
fn commands(scene: &Scene) -> [(&'static str, &'static str); 5] {
    // Who signs in, and with which password, is said where the account is.
    let (password, account) = match scene.is_server_account {
        true => (
            "queuemail server set {server} --set-password",
            "queuemail server set {server} --user",
        ),
        false => (
            "queuemail queue set {queue} --address {address} --set-password",
            "queuemail queue set {queue} --address {address} --account",
        ),
    };
    let tenant = match scene.is_outgoing {
        true => "queuemail server set {server} --tenant ",
        false => "queuemail server set {server} --address https://{login_host}/",
    };
    let cloud = match scene.is_outgoing {
        true => {
            "queuemail server set {server} --app INCOMING, a server with the login host of the tenant's own cloud"
        }
        false => {
            "queuemail server set {server} --address https://LOGIN-HOST/{tenant}, with the login host of the tenant's own cloud"
        }
    };
    // A server that signs in as another one's app takes no secret of its own.
    let service = match &scene.app_server {
        Some(app) if scene.server.as_ref() != Some(app) => {
            "queuemail server set {server} --auth oauth-service --app INCOMING"
        }
        _ => "queuemail server set {server} --auth oauth-service --secret-stdin",
    };
    [
        ("{set_service}", service),
        ("{set_tenant}", tenant),
        ("{set_cloud}", cloud),
        ("{set_password}", password),
        ("{set_account}", account),
    ]
}

/// What a placeholder stands for, `None` for what is none; the inner `None` leaves the hint out.
fn value(placeholder: &str, scene: &Scene, quoted: fn(&str) -> String) -> Option<Option<String>> {
    let known =
        |value: Option<&str>, unknown: &str| Some(value.map_or_else(|| unknown.to_owned(), quoted));
    let address = scene.address.as_deref();
    let server = scene.server.as_deref();
    Some(match placeholder {
        "address" => known(address, "ADDRESS"),
        "mailbox" => known(scene.mailbox(), "MAILBOX"),
        "from" => known(scene.from.as_deref().or(address), "FROM"),
        "account" => known(scene.account.as_deref(), "ACCOUNT"),
        "login" => scene.login.clone().or_else(|| known(address, "ADDRESS")),
        "queue" => known(scene.queue.as_deref(), "QUEUE"),
        "server" => known(server, "SERVER"),
        "app_server" => known(scene.app_server.as_deref().or(server), "SERVER"),
        "tenant" => known(scene.tenant.as_deref(), "TENANT"),
        "client_id" => known(scene.client_id.as_deref(), "CLIENT-ID"),
        "object_id" => known(scene.object_id.as_deref(), "OBJECT-ID"),
        "login_host" => known(scene.login_host.as_deref(), "login.microsoftonline.com"),
        "protocol" => known(scene.protocol.as_deref(), "smtp"),
        "host" => known(scene.host.as_deref(), "HOST"),
        "port" => known(scene.port.as_deref(), "PORT"),
        "origin" => {
            let (host, port) = (scene.host.as_deref(), scene.port.as_deref());
            match port.filter(|port| *port != "443") {
                Some(port) => Some(quoted(&format!("{}:{port}", host.unwrap_or("HOST")))),
                None => known(host, "HOST"),
            }
        }
        "principal" => principal(scene, scene.mailbox()),
        "submitter" => submitter(scene),
        "other_tls" => other_tls(scene),
        "usual_imap" => usual(scene, "imap"),
        "usual_smtp" => usual(scene, "smtp"),
        _ => return None,
    })
}

/// True for a hint that holds a PowerShell command, where quotes are other than a shell's.
fn is_powershell(hint: &str) -> bool {
    ["Get-", "Set-", "Add-", "New-", "Remove-", "Test-"]
        .iter()
        .any(|verb| hint.contains(verb))
}
