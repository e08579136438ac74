//! `queue add`: queues and addresses, and what they refer to.

use crate::world::World;

fn world() -> World {
    let world = World::new();
    world.add_contoso();
    world
}

/// `queue add support --address … --server Contoso` and more.
fn add<'a>(address: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "queue",
        "add",
        "support",
        "--address",
        address,
        "--server",
        "Contoso",
    ];
    args.extend(more);
    args
}

#[test]
fn every_field_has_its_place() {
    let world = world();
    world
        .run([
            "server",
            "add",
            "outgoing",
            "Contoso out",
            "--app",
            "Contoso",
        ])
        .args(["--tenant", "contoso.onmicrosoft.com"])
        .args(["--auth", "oauth-service"])
        .succeeds();
    world
        .run(add("support@contoso.com", &["--priority", "5"]))
        .args([
            "--extension-language",
            "fi",
            "--account",
            "reader@contoso.com",
        ])
        .args(["--password-command", "pass show 'support mailbox'"])
        .args(["--sender", "--outgoing", "Contoso out"])
        .args(["--folder", "INBOX", "--folder", "Posteingang/Neu"])
        .args([
            "--deliver",
            "maildir:Mail/{queue}",
            "--after",
            "move:Done, all",
        ])
        .args(["--queue-priority", "10", "--queue-language", "de"])
        .succeeds()
        .prints("created\n");
    let home = world.home().display();
    let expected = format!(
        "\
queues:
  - name: support
    language: de
    priority: 10
    addresses:
      - address: support@contoso.com
        server: Contoso
        priority: 5
        extension_language: fi
        account: reader@contoso.com
        password: {{ command: [pass, show, support mailbox] }}
        sender: true
        outgoing_server: Contoso out
        folders: [INBOX, Posteingang/Neu]
        deliver: 'maildir:{home}/Mail/{{queue}}'
        after_fetch: 'move:Done, all'
"
    );
    assert!(world.config().ends_with(&expected), "{}", world.config());
}

#[test]
fn an_existing_queue_gets_the_address() {
    let world = world();
    world
        .run(add("a@contoso.com", &[]))
        .succeeds()
        .prints("created\n");
    world.run(add("b@contoso.com", &["--json"])).succeeds().prints(
        "{\"result\":\"created\",\"queue\":\"support\",\"address\":\"b@contoso.com\",\"file\":\"HOME/.config/queuemail/config.yaml\"}\n",
    );
    world
        .run(add("B@Contoso.com", &[]))
        .succeeds()
        .prints("unchanged\n");
    world
        .run(add("b@contoso.com", &[]))
        .succeeds()
        .prints("unchanged\n");
    let queue = world
        .run(["queue", "show", "support", "--json"])
        .succeeds()
        .json();
    assert_eq!(queue["addresses"].as_array().map(Vec::len), Some(2));
    let list = world.run(["queue", "list", "--json"]).succeeds().json();
    let second = &list["mailboxes"][1];
    assert_eq!(second["address"], "b@contoso.com");
    assert_eq!(second["priority"], 100, "what holds, though it is not said");
    assert_eq!(second["language"], "en");
}

#[test]
fn another_definition_is_refused() {
    let world = world();
    world
        .run(add(
            "a@contoso.com",
            &["--priority", "5", "--queue-priority", "7"],
        ))
        .succeeds();
    let before = world.config();
    world
        .run(add("a@contoso.com", &["--priority", "6", "--sender"]))
        .fails(64)
        .says("address_different");
    world
        .run(add("b@contoso.com", &["--queue-priority", "8"]))
        .fails(64)
        .says("queue_different");
    assert_eq!(world.config(), before);
    world
        .run(add("a@contoso.com", &["--priority", "6", "--replace"]))
        .succeeds()
        .prints("changed\n");
    assert_eq!(world.config(), before.replace("priority: 5", "priority: 6"));
}

#[test]
fn what_it_refers_to_must_be_there() {
    let world = world();
    let mut args = add("a@contoso.com", &[]);
    args[6] = "Contosso";
    world.run(&args).fails(64).says("unknown_server");
    world
        .run(add("a@contoso.com", &["--outgoing", "Contoso"]))
        .fails(64)
        .says("not_outgoing");
    world.run(add("a@contoso.com", &[])).succeeds();
    let mut other = add("A@contoso.com", &[]);
    other[2] = "billing";
    world.run(&other).fails(64).says("address_elsewhere");
}

#[test]
fn a_bad_value_names_its_option() {
    let world = world();
    let bad = |more: &[&str], name: &str| {
        world.run(add("a@contoso.com", more)).fails(64).says(name);
    };
    bad(&["--priority", "-1"], "bad_priority_option");
    bad(&["--priority", "high"], "bad_priority_word");
    bad(&["--extension-language", "Finnish!"], "bad_language_option");
    bad(&["--deliver", "~/Mail"], "bad_deliver_option");
    bad(&["--after", "archive"], "bad_after_option");
    bad(&["--folder", ""], "bad_folder_option");
    bad(&["--start", "yesterday"], "bad_start_option");
    bad(&["--select", "sender=x"], "bad_select_option");
    bad(&["--select", "max_size=big"], "bad_size_option");
    let twice = ["--select", "max_size=1MB", "--select", "max_size=2MB"];
    bad(&twice, "select_twice");
    world
        .run(add("support", &[]))
        .fails(64)
        .says("bad_address_of_queue");
    world
        .run(["queue", "add", "support"])
        .fails(64)
        .says("missing_address");
}

#[test]
fn what_is_lacking_is_said_at_once() {
    let world = world();
    world
        .run(add("support@contoso.com", &[]))
        .succeeds()
        .prints("created\n")
        .mentions("warning: `support@contoso.com` has no delivery, and `fetch` needs one: queuemail queue set support --address support@contoso.com --deliver maildir:PATH");
    let deliver = ["--deliver", "stdout"];
    let ran = world.run(add("b@contoso.com", &deliver)).succeeds();
    assert_eq!(ran.stderr, "");
    // What is there already was said when it came.
    let ran = world.run(add("support@contoso.com", &[])).succeeds();
    assert_eq!((&*ran.stdout, &*ran.stderr), ("unchanged\n", ""));
    world.add_people();
    let person = [
        "queue",
        "add",
        "p",
        "--address",
        "p@contoso.com",
        "--server",
        "People",
    ];
    world
        .run(person)
        .args(deliver)
        .succeeds()
        .mentions("sign in once: queuemail token login p@contoso.com");
    world.run(["queue", "remove", "p"]).succeeds();
    let with_password = ["--password-env", "P"];
    let ran = world.run(person).args(deliver).args(with_password);
    assert_eq!(ran.succeeds().stderr, "");
    let outgoing = [
        "server",
        "add",
        "outgoing",
        "Out",
        "--auth",
        "oauth-service",
    ];
    world
        .run(outgoing)
        .args(["--tenant", "fabrikam.onmicrosoft.com"])
        .succeeds()
        .mentions("warning: outgoing server `Out` has no app registration to sign in as");
    let list = "queue,address\n".to_owned()
        + &(0..9)
            .map(|i| format!("q{i},q{i}@contoso.com\n"))
            .collect::<String>();
    let ran = world
        .run(["queue", "add", "--from-file", "-", "--server", "Contoso"])
        .stdin(list)
        .succeeds()
        .mentions("warning: 4 more warnings of this kind");
    assert_eq!(ran.stderr.matches("warning: ").count(), 6, "{ran}");
}
