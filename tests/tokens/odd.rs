//! Odd files, disks and terminals.

use super::service::make_certificate;
use super::{Home, Ran};
use crate::standin::App;
use std::fs::{self, File};
use std::process::{Command, Stdio};

fn home() -> Home {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home
}

/// Nobody writes into it: who opens it to read waits for ever.
#[test]
fn a_fifo_in_the_place_of_a_file_makes_nobody_wait() {
    let home = home();
    let fifo = home.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    make_certificate(&home, "key.pem", "cert.pem");
    for (setting, key) in [
        ("certificate", "certificate: {home}/fifo"),
        (
            "private_key",
            "certificate: {home}/cert.pem\n    private_key: {home}/fifo",
        ),
        ("the federated token", "federated_token_file: {home}/fifo"),
    ] {
        home.service(key);
        for args in [
            &["token", "get", "contoso"][..],
            &["check", "contoso"],
            &["status", "--check"],
        ] {
            let run = home.command(args);
            let mut bounded = Command::new("timeout");
            bounded
                .arg("20")
                .arg(run.get_program())
                .args(run.get_args());
            bounded.envs(run.get_envs().filter_map(|(k, v)| Some((k, v?))));
            let ran = Ran::from(bounded.stdin(Stdio::null()).output().unwrap());
            assert_ne!(ran.code, 124, "{key} {args:?} waits");
            if args[0] == "token" {
                ran.fails(78)
                    .mentions(setting)
                    .mentions("it is not a regular file");
            }
        }
    }
    home.service("secret: 's3cret~+&='");
    let file = fs::read_to_string(home.path("config.yaml")).unwrap();
    let ca = home.standin.ca_file().display().to_string();
    home.config(&file.replace(&ca, "{home}/fifo"));
    home.run(&["token", "get", "contoso"])
        .fails(78)
        .mentions("cannot use ca_file")
        .mentions("it is not a regular file");
}

#[test]
fn certificates_as_editors_and_authorities_give_them() {
    let home = home();
    let own = make_certificate(&home, "key.pem", "cert.pem");
    home.standin.add_app(App {
        certificates: vec![own.clone()],
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    // With the invisible mark that Windows puts at the head of a text.
    let mark = |name: &str| {
        let text = fs::read_to_string(home.path(name)).unwrap();
        home.write(&format!("marked-{name}"), &format!("\u{feff}{text}"));
    };
    mark("key.pem");
    mark("cert.pem");
    home.service("certificate: {home}/marked-cert.pem\n    private_key: {home}/marked-key.pem");
    home.run(&["token", "get", "contoso"]).succeeds();
    // A PFX file without the key, which is in a file of its own.
    let path = |name: &str| home.path(name).display().to_string();
    let made = Command::new("openssl")
        .args(["pkcs12", "-export", "-nokeys", "-passout", "pass:"])
        .args(["-in", &path("cert.pem"), "-out", &path("cert.pfx")])
        .status();
    assert!(made.unwrap().success());
    home.service("certificate: {home}/cert.pfx\n    private_key: {home}/key.pem");
    home.run(&["token", "get", "contoso", "--fresh"]).succeeds();
}

/// The authority is at the head of the chain, and lives long.
#[test]
fn the_end_of_a_certificate_is_not_that_of_its_authority() {
    let home = home();
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 900 -subj /CN=CA -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj /CN=app -keyout key.pem -out app.csr
        openssl x509 -req -in app.csr -CA ca.pem -CAkey ca.key -days 2 -out app.pem
        cat ca.pem app.pem >chain.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(home.folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    home.service("certificate: {home}/chain.pem\n    private_key: {home}/key.pem");
    let ran = home.run(&["status", "--check"]);
    assert!(
        ran.stderr
            .contains("the certificate of server `contoso` expires on"),
        "{ran:?}"
    );
}

#[test]
fn a_result_that_cannot_be_written_is_no_bug_of_ours() {
    let home = home();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for args in [&["token", "get", "contoso"][..], &["explain", "50053"]] {
        let ran = home.command(args).stdout(full()).output().unwrap();
        Ran::from(ran)
            .fails(73)
            .mentions("cannot write to standard output")
            .mentions("free some space");
    }
}

/// The log of the database can grow no more.
#[test]
fn a_full_disk_does_not_hide_why_a_sign_in_failed() {
    let home = home();
    home.service("secret: wrong");
    // The first run makes the tables, and its log is copied when it ends. The file beside the log
    // has 32 KiB from the start.
    let log = || fs::metadata(home.path("state/state.sqlite-wal")).map_or(0, |log| log.len());
    for _ in 0..30 {
        home.run(&["token", "get", "contoso"]).fails(77);
        if log() > 40 << 10 {
            break;
        }
    }
    assert!(log() > 40 << 10, "{}", log());
    let run = home.command(&["token", "get", "contoso"]);
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$@\"",
        log().div_ceil(512)
    );
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]).arg(run.get_program());
    limited.args(run.get_args()).env_clear();
    limited.envs(run.get_envs().filter_map(|(k, v)| Some((k, v?))));
    Ran::from(limited.stdin(Stdio::null()).output().unwrap())
        .fails(77)
        .mentions("server said: invalid_client: AADSTS7000215")
        .mentions("warning: this failure is not recorded for the next run");
}

/// As a helper does that starts an agent which outlives it.
#[test]
fn a_command_that_leaves_something_running_is_not_waited_for() {
    let home = home();
    let command = "{command: [sh, -c, 'sleep 300 & echo $! >pid; echo \"s3cret~+&=\"']}";
    home.service(&format!("secret: {command}"));
    let began = std::time::Instant::now();
    let ran = home
        .command(&["token", "get", "contoso"])
        .current_dir(home.folder.path())
        .output()
        .unwrap();
    let pid = fs::read_to_string(home.path("pid")).unwrap();
    let ended = Command::new("kill").arg(pid.trim_end()).status().unwrap();
    assert!(ended.success());
    Ran::from(ran).succeeds();
    assert!(began.elapsed() < std::time::Duration::from_secs(100));
}

#[test]
fn a_log_that_others_may_read_is_taken_from_them() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    // The first run makes the tables, and its log is copied when it ends.
    home.run(&["token", "get", "contoso"]).succeeds();
    home.run(&["token", "get", "contoso", "--fresh"]).succeeds();
    let files = ["state.sqlite", "state.sqlite-wal"].map(|name| home.path("state").join(name));
    for file in &files {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    home.run(&["token", "get", "contoso"]).succeeds();
    for file in &files {
        let mode = fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}
