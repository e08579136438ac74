//! `--dry-run`: the change to the file as a diff, and nothing changed.

use crate::world::World;

const ADD: [&str; 9] = [
    "queue",
    "add",
    "support",
    "--address",
    "support@contoso.com",
    "--server",
    "Contoso",
    "--priority",
    "5",
];

#[test]
fn the_diff_is_what_the_change_then_does() {
    let world = World::new();
    world.add_contoso();
    let before = world.config();
    let ran = world.run(ADD).arg("--dry-run").succeeds();
    assert_eq!(world.config(), before, "nothing is written");
    assert!(
        ran.stdout
            .starts_with("--- HOME/.config/queuemail/config.yaml\n"),
        "{ran}"
    );
    world.write(
        "change.diff",
        ran.stdout
            .replace("HOME", &world.home().display().to_string()),
    );
    // The diff, put to the file by patch(1), gives what the change itself gives.
    world.run(ADD).succeeds().prints("created\n");
    let after = world.config();
    world.write_config(&before);
    let patched = std::process::Command::new("patch")
        .args(["-p0", "--quiet"])
        .arg(world.config_path())
        .arg(world.path("change.diff"))
        .status();
    if let Ok(status) = patched {
        assert!(status.success());
        assert_eq!(world.config(), after);
    }
    world.write_config(&after);
    world
        .run(ADD)
        .arg("--dry-run")
        .succeeds()
        .prints("unchanged\n");
}

/// Every other change to the file as well.
#[test]
fn set_and_remove_show_what_they_would_do() {
    let world = World::new();
    world.add_contoso();
    world.run(ADD).succeeds();
    let before = world.config();
    for (command, result, line) in [
        (
            &["queue", "set", "support", "--priority", "7"][..],
            "changed",
            "+        priority: 7\n",
        ),
        (
            &["queue", "remove", "support"],
            "removed",
            "-  - name: support\n",
        ),
        (
            &["server", "set", "Contoso", "--via", "graph"],
            "changed",
            "+    via: graph\n",
        ),
    ] {
        let ran = world.run(command).arg("--dry-run").succeeds();
        assert!(ran.stdout.contains(line), "{line}{ran}");
        assert_eq!(world.config(), before, "{command:?}");
        let json = world.run(command).args(["--dry-run", "--json"]).succeeds();
        assert_eq!(json.json()["result"], result);
    }
    let names = world.run([
        "queue",
        "set",
        "support",
        "--priority",
        "7",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(names.succeeds().json()["address"], "support@contoso.com");
    world
        .run(["server", "remove", "Contoso", "--dry-run"])
        .fails(64)
        .mentions("is used by");
}

#[test]
fn json_tells_the_result_and_the_diff() {
    let world = World::new();
    let json = world
        .contoso()
        .args(["--dry-run", "--json", "--secret-stdin"])
        .stdin("hunter2hunter2\n")
        .succeeds()
        .hides("hunter2")
        .json();
    assert_eq!(json["result"], "created");
    assert_eq!(json["dry_run"], true);
    let diff = json["diff"].as_str().unwrap();
    assert!(diff.contains("+    secret: (new)\n"), "{diff}");
    assert!(!world.config_path().exists());
}

/// Secrets around a change are in its context.
#[test]
fn no_secret_shows_in_the_context_of_a_change() {
    let world = World::with_config(
        "version: 1
incoming_servers:
  - name: a
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1
    secret: \"hunter2\\x21hunter2\"
  - { name: b, address: https://login.microsoftonline.com/contoso.onmicrosoft.com, authentication: oauth-service, client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1, secret: 'hunter2, too' }
",
    );
    let ran = world
        .run([
            "server",
            "add",
            "incoming",
            "c",
            "--dry-run",
            "--address",
            "https://login.microsoftonline.com/contoso.onmicrosoft.com",
            "--auth",
            "oauth-service",
            "--client-id",
            crate::world::CLIENT_ID,
            "--secret-env",
            "C_SECRET",
        ])
        .succeeds()
        .hides("hunter2");
    assert!(ran.stdout.contains("secret: (set)"), "{ran}");
}

#[test]
fn what_would_be_refused_is_refused() {
    let world = World::new();
    world.add_contoso();
    world
        .run([
            "queue",
            "add",
            "support",
            "--dry-run",
            "--address",
            "support@contoso.com",
            "--server",
            "Contosso",
        ])
        .fails(64);
}
