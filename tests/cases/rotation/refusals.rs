//! What is refused before anything is made, and says what to do.

use super::{CLIENT, OLD, OWNED, Office};
use crate::standin::App;
use std::os::unix::fs::PermissionsExt;

/// Nothing was made, and what is configured works.
#[track_caller]
fn untouched(office: &Office) {
    assert_eq!(office.registered(), [OLD]);
    let told = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(told["rotations"], serde_json::json!([]));
}

#[test]
fn a_permission_that_is_lacking_is_named_with_how_to_give_it() {
    let office = Office::with_secret();
    office
        .m365
        .change_app(CLIENT, |app| app.roles = vec!["IMAP.AccessAsApp"]);
    office.rotate(&[]).fails(77).says("rotate_no_permission");
    untouched(&office);
    // The permission alone is not enough: it is about apps that the app owns.
    office.m365.change_app(CLIENT, |app| {
        app.roles.push(OWNED);
        app.owns_itself = false;
    });
    office
        .rotate(&[])
        .fails(77)
        .mentions("makes it an owner of its own registration");
    // It may read all and change nothing.
    office
        .m365
        .change_app(CLIENT, |app| app.roles.push("Application.Read.All"));
    office
        .rotate(&[])
        .fails(77)
        .mentions("cannot add a secret to the app registration of server `Contoso`")
        .mentions("Authorization_RequestDenied");
    assert_eq!(office.registered(), [OLD]);
    assert_eq!(office.secret(), OLD);
    office.signs_in("still");
    // With the permission the same command goes on.
    office.m365.change_app(CLIENT, |app| app.owns_itself = true);
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.registered(), [office.secret()]);
}

#[test]
fn a_source_that_cannot_be_written_is_refused_with_the_remedy() {
    let office = Office::with_secret();
    for (source, from) in [
        ("secret: { env: SECRET }", "environment variable `SECRET`"),
        ("secret: { command: [cat, x] }", "command `cat`"),
        ("secret: { keyring: contoso }", "keyring entry `contoso`"),
        (
            "secret: { credential: contoso }",
            "systemd credential `contoso`",
        ),
    ] {
        office.configure(source, "");
        office
            .rotate(&[])
            .fails(78)
            .mentions(&format!("the secret of server `Contoso` comes from {from}, which queuemail can read and not write"))
            .mentions("queuemail server set Contoso --secret-file FILE && queuemail server rotate Contoso");
    }
    for source in ["managed_identity: true", "federated_token_file: /x/token"] {
        office.configure(source, "");
        office
            .rotate(&[])
            .fails(78)
            .mentions("server `Contoso` has no secret or certificate: ");
    }
    assert!(office.m365.token_requests().is_empty());
    office
        .world
        .run(["server", "rotate", "Kontoso"])
        .fails(64)
        .mentions("did you mean `Contoso`?");
}

#[test]
fn a_file_that_another_server_has_a_copy_of_is_refused() {
    let office = Office::with_secret();
    office.world.write("copy", format!("{OLD}\n"));
    let other = format!(
        "  - {{ name: \"Bob's\", address: '{}', authentication: oauth-service, client_id: {CLIENT}, secret: {{ file: '{}' }}, graph: '{}', imap: '{}' }}\n",
        office.m365.authority(),
        office.world.path("copy").display(),
        office.m365.graph_url(),
        office.m365.imap_url(),
    );
    office.configure("secret: { file: '{home}/secret' }", &other);
    office.rotate(&[]).fails(78).says("rotate_copy");
    untouched(&office);
    // The same file is fine, and so is another secret of the app.
    office.world.write("copy", "another secret of the app\n");
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.registered(), [office.secret()]);
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before() {
    let office = Office::with_secret();
    let folder = office.world.path("closed");
    std::fs::create_dir(&folder).unwrap();
    office.world.write("closed/secret", format!("{OLD}\n"));
    office.configure("secret: { file: '{home}/closed/secret' }", "");
    if rustix::process::geteuid().is_root() {
        // Root writes everywhere, but not where another user may put a link.
        std::os::unix::fs::chown(&folder, Some(65534), None).unwrap();
        office
            .rotate(&[])
            .fails(73)
            .mentions("belongs to another user (uid 65534)");
    } else {
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o500)).unwrap();
        office.rotate(&[]).fails(73).mentions("cannot write in");
    }
    untouched(&office);
}

#[test]
fn another_provider_than_entra_renews_nothing() {
    let office = Office::new(App::default(), "");
    office.reset_secret();
    let end = format!(
        "secret: {{ file: '{{home}}/secret' }}\n    token_endpoint: {}/provider/token\n    scope: s",
        office.m365.login_url()
    );
    office.configure(&end, "");
    office
        .rotate(&[])
        .fails(78)
        .mentions("does not sign in with Entra ID");
}
