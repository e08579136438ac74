//! Provisioning from scripts: a file that people keep by hand survives every command, runs at
//! the same time lose nothing, and questions are asked on a terminal only.

use crate::world::{CLIENT_ID, World};
use std::process::Stdio;

/// A file as a person keeps it.
const BY_HAND: &str = "\
# Contact centre.   Ask Facilities before you change this!

version:   1
queues:          # most urgent first
- name: 'support'      # the big one
  language: \"de\"
  addresses:

  # shared mailbox
  - {address: support@contoso.com,   server: 'Contoso'}
  # - address: old@contoso.com

- addresses:
    -   server: Contoso
        address:   billing@contoso.com   # Fridays
        priority: 0x10
  name: billing
incoming_servers:
  - authentication: oauth-service
    name: Contoso
    secret: {  env:   CONTOSO_SECRET  }
    address: 'https://login.microsoftonline.com/contoso.onmicrosoft.com/'
    client_id: \"1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1\"

# the end";

fn edited(args: &[&str]) -> String {
    let world = World::with_config(BY_HAND);
    world.run(args).succeeds();
    let text = world.config();
    // The other line ends, too.
    let world = World::with_config(&BY_HAND.replace('\n', "\r\n"));
    world.run(args).succeeds();
    assert_eq!(world.config(), text.replace('\n', "\r\n"));
    text
}

#[test]
fn a_file_kept_by_hand_survives_every_command() {
    let swap = |from: &str, to: &str| {
        assert!(BY_HAND.contains(from), "{from}");
        BY_HAND.replacen(from, to, 1)
    };
    assert_eq!(
        edited(&["queue", "set", "support", "--queue-language", "fi"]),
        swap("\"de\"", "fi")
    );
    assert_eq!(
        edited(&["queue", "set", "billing", "--priority", "3"]),
        swap("0x10", "3")
    );
    assert_eq!(
        edited(&["queue", "set", "billing", "--priority", ""]),
        swap("        priority: 0x10\n", "")
    );
    assert_eq!(
        edited(&["queue", "set", "support", "--sender"]),
        swap("'Contoso'}", "'Contoso',   sender: true}")
    );
    assert_eq!(
        edited(&["server", "set", "Contoso", "--via", "graph"]),
        swap("54d1b0a4c6f1\"\n", "54d1b0a4c6f1\"\n    via: graph\n")
    );
    assert_eq!(
        edited(&[
            "queue",
            "add",
            "billing",
            "--address",
            "b@contoso.com",
            "--server",
            "Contoso"
        ]),
        swap(
            "        priority: 0x10\n",
            "        priority: 0x10\n    - address: b@contoso.com\n      server: Contoso\n"
        )
    );
    assert_eq!(
        edited(&[
            "queue",
            "add",
            "new",
            "--address",
            "n@contoso.com",
            "--server",
            "Contoso"
        ]),
        swap(
            "  name: billing\n",
            "  name: billing\n- name: new\n  addresses:\n    - address: n@contoso.com\n      server: Contoso\n"
        )
    );
    assert_eq!(
        edited(&["server", "set", "Contoso", "--rename", "no"]),
        BY_HAND
            .replace("server: 'Contoso'", "server: 'no'")
            .replace("server: Contoso", "server: 'no'")
            .replace("name: Contoso", "name: 'no'")
    );
}

#[test]
fn nothing_to_change_writes_nothing() {
    let world = World::with_config(BY_HAND);
    let stamp = || {
        std::fs::metadata(world.config_path())
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = stamp();
    world
        .run(["queue", "set", "billing", "--priority", "16"])
        .succeeds()
        .prints("unchanged\n");
    world
        .run([
            "queue",
            "add",
            "support",
            "--address",
            "support@contoso.com",
        ])
        .args(["--server", "Contoso", "--queue-language", "de"])
        .succeeds()
        .prints("unchanged\n");
    assert_eq!(world.config(), BY_HAND);
    assert_eq!(stamp(), before);
}

#[test]
fn a_hundred_at_once_lose_none() {
    let world = World::new();
    world.add_contoso();
    // Each waits for its turn for a minute at most.
    let children: Vec<_> = (0..100)
        .map(|n| {
            let address = format!("a{n}@contoso.com");
            let queue = format!("queue {}", n % 20);
            world
                .run(["queue", "add", &queue, "--address", &address])
                .args(["--server", "Contoso"])
                .command()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary starts")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    let queues = world.run(["queue", "list", "--json"]).succeeds().json();
    let queues = queues["queues"].as_array().expect("queues");
    let addresses = |q: &serde_json::Value| q["addresses"].as_array().map_or(0, Vec::len);
    assert_eq!(queues.len(), 20);
    assert_eq!(queues.iter().map(addresses).sum::<usize>(), 100);
}

#[test]
fn a_link_stays_a_link() {
    let world = World::new();
    let real = world.write("etc/real.yaml", "version: 1 # mine\n");
    let link = world.path("link.yaml");
    std::os::unix::fs::symlink("etc/real.yaml", &link).unwrap();
    world
        .run([
            "--config",
            "link.yaml",
            "server",
            "add",
            "incoming",
            "Contoso",
        ])
        .args(["--address", "https://login.microsoftonline.com/contoso.com"])
        .args(["--auth", "oauth-user", "--client-id", CLIENT_ID])
        .succeeds()
        .prints("created\n");
    assert!(link.is_symlink());
    let text = std::fs::read_to_string(real).unwrap();
    assert!(
        text.starts_with("version: 1 # mine\nincoming_servers:\n"),
        "{text}"
    );
    // A link to what is not there yet makes it there.
    std::os::unix::fs::symlink("etc/new.yaml", world.path("new.yaml")).unwrap();
    world
        .run([
            "--config", "new.yaml", "server", "add", "incoming", "Contoso",
        ])
        .args(["--address", "https://login.microsoftonline.com/contoso.com"])
        .args(["--auth", "oauth-user", "--client-id", CLIENT_ID])
        .succeeds();
    assert!(world.path("etc/new.yaml").exists());
}

#[test]
fn lists_show_and_removal() {
    let world = World::with_config(BY_HAND);
    world
        .run([
            "server",
            "add",
            "outgoing",
            "Contoso out",
            "--app",
            "Contoso",
        ])
        .args(["--tenant", "contoso.onmicrosoft.com", "--disabled"])
        .args(["--auth", "oauth-service"])
        .succeeds();
    world.run(["queue", "list"]).succeeds().prints(
        "\
PRIORITY  QUEUE    ADDRESS              SERVER   LANGUAGE  SENDER  DELIVER
16        billing  billing@contoso.com  Contoso  en        -       -
100       support  support@contoso.com  Contoso  de        -       -
",
    );
    world.run(["server", "list"]).succeeds().prints(
        "\
NAME         KIND                AUTHENTICATION  VIA   ADDRESS                                                    SIGNS IN WITH
Contoso      incoming            oauth-service   imap  https://login.microsoftonline.com/contoso.onmicrosoft.com  secret env CONTOSO_SECRET
Contoso out  outgoing, disabled  oauth-service   smtp  contoso.onmicrosoft.com                                    app Contoso
",
    );
    world.run(["queue", "show", "billing"]).succeeds().prints(
        "\
name: billing
addresses:
- address: billing@contoso.com
  server: Contoso
  priority: 16
",
    );
    world
        .run(["queue", "show", "biling"])
        .fails(64)
        .says("unknown_queue");
    world
        .run(["server", "remove", "Contoso"])
        .fails(64)
        .says("server_in_use");
    world
        .run(["queue", "remove", "support", "--address", "x@contoso.com"])
        .fails(64)
        .says("unknown_address");
    world
        .run(["queue", "remove", "support"])
        .succeeds()
        .prints("removed\n");
    world
        .run([
            "queue",
            "remove",
            "billing",
            "--address",
            "billing@contoso.com",
        ])
        .succeeds();
    world.run(["server", "remove", "Contoso out"]).succeeds();
    world.run(["server", "remove", "Contoso"]).succeeds();
    world.run(["server", "list"]).succeeds().says_nothing();
    assert!(!world.state_dir().exists(), "provisioning needs no state");
    world.run(["queue", "list"]).succeeds().prints(
        "\
PRIORITY  QUEUE    ADDRESS  SERVER  LANGUAGE  SENDER  DELIVER
100       billing  -        -       -         -       -
",
    );
    assert!(world.config().starts_with("# Contact centre.   Ask"));
    assert!(world.config().ends_with("# the end"), "{}", world.config());
}

#[test]
fn a_new_credential_takes_the_place_of_the_old_one() {
    let world = World::with_config(BY_HAND);
    let set = |args: &[&str]| world.run(["server", "set", "Contoso"]).args(args);
    set(&["--certificate", "a.pem", "--private-key", "a.key"]).succeeds();
    assert!(!world.config().contains("secret"), "{}", world.config());
    set(&["--managed-identity"]).succeeds();
    assert!(!world.config().contains("certificate"));
    set(&["--secret-file", ""]).succeeds().prints("unchanged\n");
    set(&["--tenant", "contoso.com"])
        .fails(64)
        .says("set_foreign_option");
    set(&["--via", "smtp"]).fails(64).says("set_bad_via");
    set(&["--client-id", ""]).fails(64).says("set_empty");
}

#[test]
fn every_credential_has_its_options() {
    let world = World::with_config(BY_HAND);
    let set = |args: &[&str]| world.run(["server", "set", "Contoso"]).args(args);
    let credential = |args: &[&str]| {
        set(args).succeeds();
        let shown = world.run(["server", "list"]).succeeds().stdout;
        let line = shown.lines().last().unwrap().to_owned();
        line.split("contoso.onmicrosoft.com")
            .nth(1)
            .unwrap()
            .trim()
            .to_owned()
    };
    set(&["--certificate", "/etc/a.pfx"]).succeeds();
    world.write("passphrase", "x");
    let file = world.path("passphrase").display().to_string();
    set(&["--certificate-passphrase-file", &file]).succeeds();
    let config = world.config();
    assert!(config.contains("certificate: /etc/a.pfx\n"), "{config}");
    assert!(config.contains("certificate_passphrase:"), "{config}");
    // Another certificate has another passphrase; and one that is kept makes the file private.
    set(&["--certificate", "/etc/b.pfx"]).succeeds();
    assert!(!world.config().contains("passphrase"), "{}", world.config());
    world.chmod(&world.config_path(), 0o644);
    set(&["--certificate-passphrase-stdin"])
        .stdin("hunter2\n")
        .succeeds()
        .hides("hunter2");
    assert!(world.config().contains("certificate_passphrase: hunter2\n"));
    assert_eq!(world.mode(&world.config_path()), 0o600);
    world
        .run(["config", "show"])
        .succeeds()
        .shows("certificate_passphrase: (set)")
        .hides("hunter2");
    set(&["--certificate-passphrase-stdin", "--secret-stdin"])
        .stdin("x\n")
        .fails(64)
        .mentions("cannot be both `--secret-stdin` and `--certificate-passphrase-stdin`");
    assert_eq!(
        credential(&["--federated-token-env-file", "AZURE_FEDERATED_TOKEN_FILE"]),
        "federated token env_file AZURE_FEDERATED_TOKEN_FILE"
    );
    assert!(
        !world.config().contains("certificate"),
        "{}",
        world.config()
    );
    assert_eq!(
        credential(&["--federated-token-command", "spire 'two words'"]),
        "federated token command spire two words"
    );
    assert!(world.config().contains("two words"), "{}", world.config());
    set(&["--federated-token-command", "", "--secret-env", "S"]).succeeds();
    assert!(!world.config().contains("federated"), "{}", world.config());
    set(&[
        "--federated-token-command",
        "a",
        "--federated-token-env-file",
        "B",
    ])
    .fails(64);
    set(&["--federated-token-env-file", "/a/file"])
        .fails(64)
        .mentions("not the name of an environment variable");
    assert_eq!(
        credential(&["--federated-token-file", "/run/token"]),
        "federated token file /run/token"
    );
    assert!(!world.config().contains("command"), "{}", world.config());
    assert_eq!(
        credential(&["--managed-identity=system"]),
        "managed identity, system"
    );
    assert!(world.config().contains("managed_identity: system\n"));
    assert_eq!(credential(&["--managed-identity"]), "managed identity");
    assert!(world.config().contains("managed_identity: true\n"));
    assert!(!world.config().contains("federated"), "{}", world.config());
    // With endpoints that are not Entra ID's.
    set(&["--token-endpoint", "http://a.example/token"])
        .fails(64)
        .mentions("must begin with https://");
    let page = "https://a.example/auth?access_type=offline";
    set(&["--token-endpoint", "https://a.example/token"])
        .args(["--authorization-endpoint", page])
        .succeeds();
    assert!(world.config().contains(page), "{}", world.config());
    set(&["--token-endpoint", "", "--authorization-endpoint", ""]).succeeds();
    assert!(!world.config().contains("a.example"), "{}", world.config());
    world.run(["config", "validate"]).succeeds();
}

#[test]
fn the_path_and_the_whole_are_shown() {
    let world = World::with_config(BY_HAND);
    world
        .run(["config", "path"])
        .succeeds()
        .prints("HOME/.config/queuemail/config.yaml\n");
    let config = world.run(["config", "show", "--json"]).succeeds().json();
    assert_eq!(
        config["incoming_servers"][0]["secret"]["env"],
        "CONTOSO_SECRET"
    );
    let shown = world.run(["config", "show"]).succeeds().stdout;
    world
        .run(["config", "validate", "-"])
        .stdin(shown)
        .succeeds()
        .prints("valid: incoming servers 1, outgoing servers 0, queues 2, addresses 2\n");
}

#[test]
fn an_editor_changes_a_copy_that_must_be_valid() {
    let world = World::with_config(BY_HAND);
    world.chmod(&world.config_path(), 0o640);
    let edit = |editor: &str| world.run(["config", "edit"]).env("EDITOR", editor);
    edit("sed -i s/0x10/3/").succeeds().prints("changed\n");
    let wanted = BY_HAND.replace("0x10", "3");
    assert_eq!(world.config(), wanted);
    assert_eq!(world.mode(&world.config_path()), 0o640);
    edit("true").succeeds().prints("unchanged\n");
    // VISUAL goes first.
    edit("false").env("VISUAL", "true").succeeds();
    edit("")
        .fails(64)
        .mentions("`config edit` starts `vi` only on a terminal");
    edit("false").fails(64).mentions("nothing was changed");
    edit("no-such-editor").fails(64).mentions("no-such-editor");
    edit("rm")
        .fails(73)
        .mentions("after it was edited: No such");
    edit("sed -i s/oauth-service/oauth-servce/")
        .fails(78)
        .mentions("oauth-service");
    assert_eq!(world.config(), wanted);
    // A secret makes the file private.
    edit("sed -i 's/secret:.*/secret: hunter2/'")
        .succeeds()
        .hides("hunter2");
    assert_eq!(world.mode(&world.config_path()), 0o600);
    let folder = world.config_path();
    let names = std::fs::read_dir(folder.parent().unwrap()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
    // A new one begins with what every new one begins with.
    let world = World::new();
    let run = world
        .run(["config", "edit"])
        .env("EDITOR", "sed -i '$a #mine'");
    run.succeeds().prints("changed\n");
    assert!(
        world.config().contains("version: 1\n#mine"),
        "{}",
        world.config()
    );
    assert_eq!(world.mode(&world.config_path()), 0o600);
}
