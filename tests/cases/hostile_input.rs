//! Configuration and command line from strangers: no panic, no escape sequence on the
//! terminal, no waiting, no file touched that is not meant.

use crate::world::{CLIENT_ID, Run, World};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn control_characters_never_reach_the_terminal() {
    let world = World::with_config(
        "version: 1\nqueues:\n  - name: \"a\\e[31m\\u202e\"\n    \"\\e[2J\": x\n",
    );
    let ran = world.run(["config", "validate"]).fails(78);
    assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}']), "{ran}");
    let ran = world
        .run([
            "queue",
            "add",
            "\u{1b}[31mred",
            "--address",
            "a@contoso.com",
        ])
        .args(["--server", "x"])
        .fails(64);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    let ran = world
        .run(["--config", "\u{1b}[2J.yaml", "queue", "list"])
        .fails(78);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    world.write_config("version: 1\n");
    for args in [
        &["queue", "show", "\u{1b}[2J"][..],
        &["server", "add", "incoming", "\u{1b}[2J"],
        &["server", "set", "\u{1b}[2J", "--imap", "\u{202e}x"],
        &["queue", "add", "a", "--address", "\u{1b}[2J@contoso.com"],
    ] {
        let ran = world.run(args).fails(64);
        assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}']), "{ran}");
    }
}

/// Anybody could put another database in the place of the program's, and all mail would come again.
#[test]
fn a_state_folder_that_everybody_can_change_is_refused() {
    let world = World::with_config("version: 1\n");
    let state = world.state_dir();
    fs::create_dir_all(&state).unwrap();
    // What everybody uses, as /tmp, is not to be closed to the others.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = world.run(["fetch"]).fails(73);
    let refused = refused.mentions("hint: name another one, which only this user can change");
    assert!(!refused.stderr.contains("chmod"), "{refused}");
    for option in ["--state-dir", "--config"] {
        let refused = world.run([option, "/dev/null", "status"]).ends();
        assert!(!refused.stderr.contains("chmod"), "{refused}");
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    world
        .run(["fetch"])
        .fails(73)
        .mentions("can be changed by every user")
        .mentions("hint: chmod go-w ");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o1775)).unwrap();
    world.run(["fetch"]).succeeds();
    // Another group: unless the test runs as root, there is none to give the folder to.
    if std::os::unix::fs::chown(&state, None, Some(65534)).is_ok() {
        world.chmod(&state, 0o770);
        world
            .run(["fetch"])
            .fails(73)
            .mentions("can be changed by a group");
    }
}

/// Whoever removes the folder that a shell is in is told, and not that this is a fault of the program.
#[test]
fn a_current_folder_that_is_gone_is_said() {
    let world = World::with_config("version: 1\n");
    world.add_contoso();
    let gone = world.path("gone");
    for args in [
        &["fetch", "--deliver", "maildir:x"][..],
        &["server", "set", "Contoso", "--secret-file", "x"],
        &["state", "migrate", "--to", "x"],
        &["--config", "x", "queue", "list"],
    ] {
        fs::create_dir_all(&gone).unwrap();
        let script = "rmdir \"$PWD\" && exec \"$@\"";
        let mut command = world.run(args).under(["sh", "-c", script, "sh"]).command();
        let output = command.current_dir(&gone).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(70), "{args:?}: {said}");
        let is_said = said.contains("cannot use the current folder") && said.contains("\nhint: ");
        assert!(is_said || args[0] == "--config", "{args:?}: {said}");
    }
}

/// What root made there would be closed to the service whose folder it is; and a service could lead
/// root's writing elsewhere.
#[test]
fn root_leaves_the_state_of_others_alone() {
    let world = World::with_config("version: 1\n");
    let home = world.state_dir();
    fs::create_dir_all(&home).unwrap();
    if std::os::unix::fs::chown(&home, Some(65534), None).is_err() {
        return;
    }
    world
        .run(["fetch", "--state-dir", home.to_str().unwrap()])
        .fails(73)
        .mentions("belongs to another user (uid 65534)")
        .mentions("hint: run as its owner: sudo -u '#65534' queuemail …");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    // One of its own in a home of somebody else's, as in some containers, is root's.
    let own = home.join("not/yet");
    world
        .run(["fetch", "--state-dir", own.to_str().unwrap()])
        .succeeds();
}

/// A new configuration would be written wherever another user's link leads.
#[test]
fn root_writes_no_configuration_through_a_users_link() {
    let world = World::new();
    let link = world.path("theirs.yaml");
    std::os::unix::fs::symlink(world.path("victim"), &link).unwrap();
    if std::os::unix::fs::lchown(&link, Some(65534), None).is_err() {
        return;
    }
    let add = ["--config", "theirs.yaml", "server", "add", "incoming", "C"];
    let add = world.run(add).args(["--client-id", CLIENT_ID]);
    add.args(["--address", "https://login.microsoftonline.com/contoso.com"])
        .args(["--auth", "oauth-user"])
        .fails(73)
        .mentions("is a link of another user");
    assert!(!world.path("victim").exists());
}

/// As a user whom permissions hold, which root is not.
fn unprivileged(run: Run) -> Run {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let few = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    run.under(if is_root { &few[..] } else { &[] })
}

#[test]
fn what_is_closed_to_us_is_said() {
    let world = World::with_config("version: 1\n");
    let folder = world.config_path().parent().unwrap().to_owned();
    world.chmod(&folder, 0o500);
    let add = world.run(["server", "add", "incoming", "Contoso"]);
    let add = add.args(["--address", "https://login.microsoftonline.com/contoso.com"]);
    let add = add.args(["--auth", "oauth-user", "--client-id"]);
    unprivileged(add.arg("1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1"))
        .fails(73)
        .mentions("permission denied")
        .mentions("hint: let its owner read and change it: chmod u+rw");
    world.chmod(&folder, 0o700);
    world.chmod(&world.config_path(), 0o000);
    unprivileged(world.run(["queue", "list"]))
        .fails(78)
        .mentions("permission denied")
        .mentions("hint: let its owner read and change it: chmod u+rw");
    if std::os::unix::fs::chown(world.config_path(), Some(65534), None).is_ok() {
        unprivileged(world.run(["queue", "list"]))
            .fails(78)
            .mentions("hint: run as its owner: sudo -u '#65534' queuemail …");
    }
}

#[test]
fn what_is_no_file_is_said() {
    let world = World::new();
    world
        .run(["--config", ".", "queue", "list"])
        .fails(78)
        .says("config_is_folder");
    world
        .run(["--config", "/dev/zero", "queue", "list"])
        .fails(78)
        .says("config_is_endless");
    world
        .run(["--config", "nowhere/config.yaml", "config", "validate"])
        .fails(78)
        .says("config_nowhere");
    std::os::unix::fs::symlink("loop", world.path("loop")).unwrap();
    world
        .run(["--config", "loop", "server", "remove", "x"])
        .fails(78)
        .says("config_loop");
}

#[test]
fn a_fifo_is_not_waited_for() {
    let world = World::new();
    let fifo = world.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|s| s.success()));
    world
        .run(["--config", "fifo", "queue", "list"])
        .fails(78)
        .says("config_is_fifo");
}

#[test]
fn arguments_that_are_not_utf8() {
    let world = World::new();
    let bad = OsStr::from_bytes(b"\xff\xfe");
    world.run(["queue", "show"]).arg(bad).fails(64);
    world
        .run([
            "server",
            "add",
            "incoming",
            "Contoso",
            "--auth",
            "oauth-service",
        ])
        .args(["--address", "https://login.microsoftonline.com/contoso.com"])
        .args(["--client-id", CLIENT_ID, "--secret-file"])
        .arg(bad)
        .fails(64);
}

#[test]
fn yaml_put_into_a_value_stays_a_value() {
    let world = World::new();
    world.add_contoso();
    let name = "x\"', \u{e9}: {a: &b [*c]} # - ? | > %";
    world
        .run([
            "queue",
            "add",
            name,
            "--address",
            "a@contoso.com",
            "--server",
            "Contoso",
        ])
        .args(["--folder", "a, b]", "--account=- x: y"])
        .args(["--deliver", "command:sh -c 'a: b # c'"])
        .succeeds();
    let queues = world.run(["queue", "list", "--json"]).succeeds().json();
    let queue = &queues["queues"][0];
    assert_eq!(queue["name"], name);
    assert_eq!(queue["addresses"][0]["folders"][0], "a, b]");
    assert_eq!(queue["addresses"][0]["account"], "- x: y");
    assert_eq!(queue["addresses"][0]["deliver"], "command:sh -c 'a: b # c'");
    world
        .run([
            "queue",
            "add",
            "a\nversion: 2",
            "--address",
            "b@contoso.com",
        ])
        .args(["--server", "Contoso"])
        .fails(64)
        .says("name_with_line_end");
}

#[test]
fn a_large_file_is_read_in_time_and_a_huge_one_not_at_all() {
    let world = World::new();
    world.add_contoso();
    let mut text = world.config() + "queues:\n";
    for n in 0..5_000 {
        text.push_str(&format!(
            "  - name: q{n}\n    addresses:\n      - {{ address: a{n}@contoso.com, server: Contoso }}\n"
        ));
    }
    world.write_config(&text);
    world.run(["config", "validate"]).succeeds();
    world.write_config("#".repeat((16 << 20) + 1));
    world
        .run(["config", "validate"])
        .fails(78)
        .says("config_huge");
}

#[test]
fn where_nothing_can_be_written_the_exit_code_says_so() {
    World::new()
        .run([
            "--config",
            "/proc/self/config.yaml",
            "server",
            "add",
            "incoming",
            "c",
        ])
        .args(["--address", "https://login.microsoftonline.com/contoso.com"])
        .args(["--auth", "oauth-user", "--client-id", CLIENT_ID])
        .fails(73)
        .mentions("cannot write");
}
