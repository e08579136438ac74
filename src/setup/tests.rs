//! The scripts, read by a PowerShell grammar: no name escapes its quotes.

use super::plan::{App, Delegate, SendAs, Tenant};
use super::{Plan, plan, script};
use crate::model::Config;
use crate::office::Office;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tree_sitter::Parser;

/// The texts of all nodes of a kind; panics where the grammar finds a mistake.
fn read(script: &str, kind: &str) -> Vec<String> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(script, None).unwrap();
    let mut found = Vec::new();
    let mut left = vec![tree.root_node()];
    while let Some(node) = left.pop() {
        let text = || node.utf8_text(script.as_bytes()).unwrap();
        assert!(
            !node.is_error() && !node.is_missing(),
            "no PowerShell at line {}: {}",
            node.start_position().row + 1,
            text()
        );
        if node.kind() == kind {
            found.push(text().to_owned());
        }
        left.extend((0..node.child_count()).filter_map(|n| node.child(n)));
    }
    found
}

/// What single quotes hold, read as PowerShell does.
fn names(script: &str) -> BTreeSet<String> {
    read(script, "verbatim_string_characters")
        .iter()
        .map(|text| {
            let inner = text.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            let mut name = inner.to_owned();
            for quote in ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'] {
                name = name.replace(&format!("{quote}{quote}"), &quote.to_string());
            }
            name
        })
        .collect()
}

fn commands(script: &str) -> BTreeSet<String> {
    read(script, "command_name").into_iter().collect()
}

fn of_names(names: &[String]) -> Plan {
    let [server, mailbox, account, ..] = names else {
        unreachable!()
    };
    Plan {
        tenants: vec![Tenant {
            tenant: "contoso.example".into(),
            graph_environment: "Global",
            exchange_environment: "O365Default",
            apps: vec![App {
                client_id: "22222222-3333-4444-5555-666666666666".into(),
                servers: vec![server.clone()],
                is_itself: true,
                mailboxes: vec![mailbox.clone(), account.clone()],
                ..App::default()
            }],
            delegates: vec![Delegate {
                mailbox: mailbox.clone(),
                account: account.clone(),
            }],
            imap: vec![mailbox.clone()],
            smtp: vec![mailbox.clone()],
            send_as: vec![SendAs {
                mailbox: mailbox.clone(),
                address: account.clone(),
            }],
        }],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_is_ever_a_command(
        names in proptest::collection::vec("[a-z '\"\u{2018}\u{2019}`$(){};|&@#<>\\\\-]{1,20}", 3)
    ) {
        for undo in [false, true] {
            let text = script(&of_names(&names), undo);
            let plain = script(&of_names(&["a".into(), "b".into(), "c".into()]), undo);
            let found = super::tests::names(&text);
            for name in &names {
                prop_assert!(found.contains(name), "{name:?} is not in\n{text}");
            }
            prop_assert_eq!(commands(&text), commands(&plain));
        }
    }
}

const CONFIG: &str = "version: 1
incoming_servers:
  - name: Contoso
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: 22222222-3333-4444-5555-666666666666
    secret: s
  - name: Reader
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: 33333333-3333-4444-5555-666666666666
    secret: s
    via: graph
  - name: People
    address: https://login.microsoftonline.us/fabrikam.example
    authentication: oauth-user
    client_id: 44444444-3333-4444-5555-666666666666
outgoing_servers:
  - name: out
    tenant: contoso.onmicrosoft.com
    authentication: oauth-service
    app: Contoso
    user: office@contoso.com
queues:
  - name: support
    addresses:
      - { address: o'brien@contoso.com, server: Contoso, sender: true, outgoing_server: out }
      - { address: office@contoso.com, server: Contoso, sender: true, outgoing_server: out }
      - { address: news@contoso.com, server: Reader }
      - { address: shared@fabrikam.example, server: People, account: eva@fabrikam.example }
";

fn config() -> Config {
    crate::config::parse(CONFIG, std::path::Path::new("x")).unwrap()
}

#[test]
fn exactly_what_the_configuration_needs() {
    let plan = plan(&Office::link(&config()).unwrap(), &[]).unwrap();
    let [contoso, fabrikam] = &plan.tenants[..] else {
        panic!("{plan:#?}")
    };
    let [app, reader] = &contoso.apps[..] else {
        panic!("{contoso:#?}")
    };
    assert_eq!(app.servers, ["Contoso", "out"]);
    assert_eq!(
        app.exchange_permissions,
        ["IMAP.AccessAsApp", "SMTP.SendAsApp"]
    );
    assert_eq!(app.mailboxes, ["o'brien@contoso.com", "office@contoso.com"]);
    assert!(app.graph_permissions.is_empty() && app.graph_read.is_empty());
    assert!(app.is_itself && !app.shared);
    assert_eq!(reader.graph_permissions, ["Mail.ReadWrite"]);
    assert_eq!(reader.graph_read, ["news@contoso.com"]);
    assert!(reader.mailboxes.is_empty());
    assert_eq!(contoso.smtp, ["office@contoso.com"]);
    assert_eq!(contoso.send_as.len(), 1);
    assert_eq!(contoso.send_as[0].address, "o'brien@contoso.com");
    assert_eq!(fabrikam.graph_environment, "USGov");
    assert_eq!(fabrikam.delegates[0].account, "eva@fabrikam.example");
    assert_eq!(
        fabrikam.apps[0].delegated_exchange,
        ["IMAP.AccessAsUser.All"]
    );
    assert!(!fabrikam.apps[0].is_itself);
}

#[test]
fn a_server_alone_leaves_the_others_their_app() {
    let plan = plan(&Office::link(&config()).unwrap(), &["out".into()]).unwrap();
    let app = &plan.tenants[0].apps[0];
    assert_eq!(app.exchange_permissions, ["SMTP.SendAsApp"]);
    assert!(app.shared);
}

#[test]
fn both_scripts_are_powershell() {
    let plan = plan(&Office::link(&config()).unwrap(), &[]).unwrap();
    let apply = commands(&script(&plan, false));
    for command in [
        "New-MgServicePrincipalAppRoleAssignment",
        "New-ServicePrincipal",
        "Add-MailboxPermission",
        "New-ManagementScope",
        "New-ManagementRoleAssignment",
        "Set-CASMailbox",
        "Add-RecipientPermission",
    ] {
        assert!(apply.contains(command), "{command}: {apply:?}");
    }
    let undo = commands(&script(&plan, true));
    // Whatever is made is taken back.
    for made in apply
        .iter()
        .filter(|c| c.starts_with("New-") || c.starts_with("Add-"))
    {
        let noun = made.split_once('-').unwrap().1;
        if noun == "MgServicePrincipal" {
            continue; // It belongs to the app registration, which we did not make.
        }
        assert!(undo.contains(&format!("Remove-{noun}")), "{made}: {undo:?}");
    }
    assert!(
        !undo
            .iter()
            .any(|c| c.starts_with("New-") || c.starts_with("Add-"))
    );
}

#[test]
fn what_does_not_show_is_refused() {
    for name in ["a\u{202e}b", "a\u{7}b"] {
        let mut config = config();
        config.queues[0].addresses[3].account = Some(name.into());
        let err = plan(&Office::link(&config).unwrap(), &[]).unwrap_err();
        assert!(err.to_string().contains("invisible characters"), "{err}");
    }
}
