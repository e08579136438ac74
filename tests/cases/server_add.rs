//! `server add`: what is written, what is refused, and that secrets go nowhere else.

use crate::world::{CLIENT_ID, World};

const ADDRESS: &str = "https://login.microsoftonline.com/contoso.onmicrosoft.com";

/// `server add incoming Contoso …` without a secret.
fn incoming() -> Vec<&'static str> {
    let args = "server add incoming Contoso --auth oauth-service --address";
    let mut args: Vec<&str> = args.split(' ').collect();
    args.extend([ADDRESS, "--client-id", CLIENT_ID]);
    args
}

#[test]
fn a_new_file_is_private_and_says_what_it_is() {
    let world = World::new();
    world
        .run(incoming())
        .arg("--secret-stdin")
        .stdin("hunter2\n")
        .succeeds()
        .prints("created\n")
        .hides("hunter2");
    assert_eq!(
        world.config(),
        format!(
            "\
# Servers and queues of queuemail; `queuemail server add` and `queue add` write here too.
# Every key: man queuemail.yaml. Check: queuemail config validate
version: 1
incoming_servers:
  - name: Contoso
    address: {ADDRESS}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: hunter2
"
        )
    );
    assert_eq!(world.mode(&world.config_path()), 0o600);
}

/// `server add incoming` with these words after what it needs, and a secret from a variable.
fn with(more: &[&str]) -> Vec<String> {
    let mut args: Vec<String> = incoming().iter().map(|a| (*a).to_owned()).collect();
    args.extend(["--secret-env".to_owned(), "CONTOSO_SECRET".to_owned()]);
    args.extend(more.iter().map(|a| (*a).to_owned()));
    args
}

#[test]
fn every_field_has_its_place() {
    let world = World::new();
    for file in ["app.pem", "app.key", "ca.pem"] {
        world.write(file, "");
    }
    world
        .run(incoming())
        .args(["--certificate", "app.pem", "--private-key", "app.key"])
        .args(["--via", "imap", "--imap", "imaps://outlook.office365.com"])
        .args(["--graph", "https://graph.microsoft.com/"])
        .args(["--scope", "https://outlook.office365.com/.default"])
        .args(["--ca-file", "ca.pem"])
        .succeeds();
    world
        .run(["server", "add", "outgoing", "Contoso out", "--json"])
        .args(["--tenant", "Contoso.OnMicrosoft.com", "--auth", "oauth-user"])
        .args(["--client-id", CLIENT_ID, "--user", "support@contoso.com"])
        .args(["--password-stdin", "--disabled", "--via", "smtp"])
        .args(["--smtp", "smtp://smtp.office365.com:587"])
        .stdin("pass word\r\n")
        .succeeds()
        .prints("{\"result\":\"created\",\"server\":\"Contoso out\",\"kind\":\"outgoing\",\"file\":\"HOME/.config/queuemail/config.yaml\"}\n");
    let home = world.home().display();
    let expected = format!(
        "\
version: 1
incoming_servers:
  - name: Contoso
    address: {ADDRESS}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    certificate: {home}/app.pem
    private_key: {home}/app.key
    imap: imaps://outlook.office365.com:993
    graph: https://graph.microsoft.com
    scope: https://outlook.office365.com/.default
    ca_file: {home}/ca.pem
outgoing_servers:
  - name: Contoso out
    enabled: false
    tenant: contoso.onmicrosoft.com
    authentication: oauth-user
    client_id: {CLIENT_ID}
    user: support@contoso.com
    password: pass word
    smtp: smtp://smtp.office365.com:587
"
    );
    assert!(world.config().ends_with(&expected), "{}", world.config());
}

#[test]
fn a_pasted_address_is_made_right() {
    let world = World::new();
    let mut args = with(&[]);
    world.run(&args).succeeds().prints("created\n");
    for tail in [
        "/",
        "/v2.0",
        "/v2.0/",
        "/oauth2/v2.0/token",
        "/oauth2/v2.0/authorize",
    ] {
        args[7] = format!("{ADDRESS}{tail}");
        world.run(&args).succeeds().prints("unchanged\n");
    }
}

#[test]
fn the_same_again_is_unchanged_and_another_refused() {
    let world = World::new();
    world.run(with(&[])).succeeds().prints("created\n");
    let before = world.config();
    world.run(with(&[])).succeeds().prints("unchanged\n");
    world
        .run(with(&["--via", "graph"]))
        .fails(64)
        .prints("")
        .says("server_different");
    assert_eq!(world.config(), before);
    world
        .run(with(&["--via", "graph", "--replace"]))
        .succeeds()
        .prints("changed\n");
    assert_eq!(world.config(), before + "    via: graph\n");
}

#[test]
fn another_secret_is_refused_without_showing_either() {
    let world = World::new();
    let add = |secret: &str| world.run(incoming()).arg("--secret-stdin").stdin(secret);
    add("hunter2\n").succeeds().prints("created\n");
    add("hunter2").succeeds().prints("unchanged\n");
    add("other-secret\n")
        .fails(64)
        .says("server_other_secret")
        .hides("hunter2")
        .hides("other-secret");
    add("other-secret\n")
        .arg("--replace")
        .succeeds()
        .prints("changed\n");
    assert!(world.config().contains("secret: other-secret\n"));
}

#[test]
fn a_relative_path_is_the_shells_on_the_command_line_and_the_files_in_the_file() {
    let world = World::with_config(&format!(
        "version: 1
incoming_servers:
  - name: Contoso
    address: {ADDRESS}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: {{ file: ../../contoso.secret }}
"
    ));
    world.write("contoso.secret", "x");
    // The same file, so nothing is to be done.
    world
        .run(incoming())
        .args(["--secret-file", ".config/queuemail/../../contoso.secret"])
        .succeeds()
        .prints("unchanged\n")
        .prints("unchanged\n");
    world
        .run(incoming())
        .args(["--secret-file", "~/contoso.secret"])
        .fails(64);
}

#[test]
fn what_is_missing_is_named() {
    let world = World::new();
    world
        .run(["server", "add", "incoming"])
        .fails(64)
        .says("missing_name");
    world
        .run(["server", "add", "incoming", "Contoso", "--address", ADDRESS])
        .fails(64)
        .says("missing_auth");
    world.run(incoming()).fails(64).says("missing_secret");
    world
        .run(["server", "add", "outgoing", "Contoso out"])
        .fails(64)
        .says("missing_tenant");
    assert!(!world.config_path().exists());
}

#[test]
fn a_bad_value_names_its_option() {
    let world = World::new();
    let bad = |args: &[&str], name: &str| {
        world.run(with(args)).fails(64).says(name);
    };
    bad(&["--imap", "outlook.office365.com"], "bad_imap_option");
    bad(
        &["--graph", "http://graph.microsoft.com"],
        "bad_graph_option",
    );
    bad(&["--imap", "smtp://smtp.office365.com"], "bad_imap_scheme");
    bad(
        &["--imap", "imaps://partner.outlook.cn"],
        "imap_of_another_cloud",
    );
    let mut args = with(&[]);
    args[7] = "login.microsoftonline.com/contoso".to_owned();
    world.run(&args).fails(64).says("bad_address_option");
    args[7] = "https://login.microsoftonline.com/common".to_owned();
    world.run(&args).fails(64).says("common_tenant");
    assert!(!world.config_path().exists());
}

#[test]
fn a_secret_on_standard_input_is_one_line() {
    let world = World::new();
    let stdin = |text: &str| world.run(incoming()).arg("--secret-stdin").stdin(text);
    stdin("").fails(64).says("stdin_empty");
    stdin("\n").fails(64).says("stdin_empty");
    stdin("hunter2\nmore\n")
        .fails(64)
        .says("stdin_lines")
        .hides("hunter2");
    stdin(&"x".repeat(70_000)).fails(64).says("stdin_lines");
    stdin("1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f2\n")
        .succeeds()
        .says("secret_id");
    world
        .run(["server", "add", "outgoing", "o", "--tenant", "contoso.com"])
        .args(["--auth", "oauth-service", "--client-id", CLIENT_ID])
        .args(["--secret-stdin", "--password-stdin"])
        .fails(64)
        .says("stdin_twice");
}

#[test]
fn a_secret_is_not_taken_for_a_variables_name() {
    World::new()
        .run(incoming())
        .args(["--secret-env", "hunter2~Q"])
        .fails(64)
        .says("env_value")
        .hides("hunter2");
}

#[test]
fn a_plain_secret_makes_the_file_private() {
    let world = World::new();
    world.run(with(&[])).succeeds();
    world.chmod(&world.config_path(), 0o644);
    world
        .run(["server", "set", "Contoso", "--secret-stdin"])
        .stdin("hunter2\n")
        .succeeds()
        .says("made_private");
    assert_eq!(world.mode(&world.config_path()), 0o600);
}
