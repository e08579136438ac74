//! `setup-script`: what the administrator gets to read and run.

use crate::world::World;

const CONFIG: &str = "version: 1
incoming_servers:
  - name: Contoso's own
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1
    secret: hunter2hunter2
outgoing_servers:
  - name: out
    tenant: contoso.onmicrosoft.com
    authentication: oauth-service
    user: office@contoso.com
queues:
  - name: support
    addresses:
      - address: support@contoso.com
        server: Contoso's own
        sender: true
        outgoing_server: out
";

#[test]
fn the_script_holds_ids_and_mailboxes_and_no_secret() {
    let world = World::with_config(CONFIG);
    let apply = world.run(["setup-script"]).succeeds().hides("hunter2");
    for text in [
        "Tenant = 'contoso.onmicrosoft.com'",
        "AppId = '1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1'",
        "Server = 'Contoso''s own, out'",
        "'IMAP.AccessAsApp'",
        "'SMTP.SendAsApp'",
        "@{ Mailbox = 'office@contoso.com'; Address = 'support@contoso.com' }",
        "New-ServicePrincipal -AppId",
        "Add-MailboxPermission",
    ] {
        assert!(apply.stdout.contains(text), "{text}\n{apply}");
    }
    let undo = world.run(["setup-script", "--undo"]).succeeds();
    assert!(undo.stdout.contains("Remove-MailboxPermission"), "{undo}");
    assert!(!undo.stdout.contains("Add-MailboxPermission"), "{undo}");
    let json = world.run(["setup-script", "--json"]).succeeds().json();
    assert_eq!(
        json["script"].as_str().unwrap().trim_end(),
        apply.stdout.trim_end()
    );
    // Run twice: the same, to the byte.
    world.run(["setup-script"]).succeeds().prints(&apply.stdout);
}

#[test]
fn an_unknown_server_is_named() {
    World::with_config(CONFIG)
        .run(["setup-script", "ouut"])
        .fails(64)
        .mentions("did you mean `out`?");
}

#[test]
fn a_script_makes_a_new_registration_without_a_configuration() {
    let world = World::new();
    let create = [
        "setup-script",
        "--create",
        "Contoso",
        "--address",
        "https://login.microsoftonline.com/contoso.onmicrosoft.com",
    ];
    let made = world.run(create).succeeds();
    for text in [
        "param([switch]$TenantWide, [switch]$Renewal, [string]$SecretPath, [int]$SecretDays = 365)",
        "Name = 'Contoso'",
        "ServerAdd = 'queuemail server add incoming Contoso --address https://login.microsoftonline.com/contoso.onmicrosoft.com --auth oauth-service'",
        "New-MgApplication -BodyParameter",
        "Add-MgApplicationPassword",
    ] {
        assert!(made.stdout.contains(text), "{text}\n{made}");
    }
    world
        .run(create)
        .args(["--auth", "oauth-user", "--via", "graph"])
        .succeeds()
        .shows("--auth oauth-user --via graph'");
    world.run(["setup-script", "--create", "Contoso"]).fails(64);
    world
        .run(create)
        .args(["--certificate", "missing.pem"])
        .fails(78)
        .mentions("cannot use certificate `missing.pem`");
}
