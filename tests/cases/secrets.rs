//! No secret leaves the places where it belongs.
//!
//! Every secret of a run is a canary: client secret, passwords, private key, assertions, codes,
//! refresh and access tokens. Many commands run against servers that work, refuse, or repeat what
//! they were sent; afterwards no canary, in no usual encoding, may be in what the runs wrote,
//! in the arguments of a process, in the environment of a child, or in a file that others may
//! read. `token get` writes an access token: that is its result, and nothing else is.

mod campaigns;
mod needles;
mod office;

use crate::standin::{GraphFault, ImapFault, SmtpAt, SmtpFault, TokenFault};
use crate::world::CLIENT_ID;
use office::{Office, SPY};
use std::fs;
use std::sync::atomic::Ordering::SeqCst;

const SUPPORT: &str = "support@contoso.example";
const PERSON: &str = "eva@contoso.example";
const SECRET: &str = "cAnArY-s3cret~+&=/of-the-client";
const PASSWORD: &str = "cAnArY pass+word&=/of eva";
const WRONG: &str = "cAnArY-wr0ng~+&=/secret";

const MESSAGE: &[u8] = b"From: Anna <anna@fabrikam.example>\r\nTo: support@contoso.example\r\n\
Subject: order\r\nMessage-ID: <1@fabrikam.example>\r\n\r\nHello\r\n";
const REPLY: &[u8] = b"From: support@contoso.example\nTo: Anna <anna@fabrikam.example>\n\
Subject: Re: order\n\nHello\n";

fn plain() -> String {
    format!("secret: '{SECRET}'")
}

#[test]
fn commands_that_work() {
    for via in ["imap", "graph"] {
        let office = Office::new();
        office.configure(via, &plain(), &format!("        password: '{PASSWORD}'\n"));
        office.round(&[]);
        for format in ["token", "json", "xoauth2", "header", "claims"] {
            for whose in ["support", "eva"] {
                let args = ["token", "get", whose, "--format", format, "-vv"];
                assert_eq!(office.run(&args), 0, "{args:?}");
            }
        }
        assert_eq!(office.run(&["token", "list"]), 0);
        assert_eq!(office.m365.submitted().len(), 2);
        let seen = fs::read_to_string(office.world.path("seen")).unwrap();
        let limit = seen
            .lines()
            .find(|line| line.starts_with("Max core"))
            .unwrap();
        let words: Vec<_> = limit.split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "a core dump is possible: {limit}");
        office.is_clean(&[]);
    }
}

#[test]
fn secrets_from_everywhere() {
    let office = Office::new();
    let secret = office.script("print-secret", &format!("{SPY}echo '{SECRET}'\n"));
    let command = secret.display().to_string();
    let file = office
        .world
        .write("the.secret", SECRET)
        .display()
        .to_string();
    let env = [("CONTOSO_SECRET", SECRET), ("EVAS_PASSWORD", PASSWORD)];
    let authority = office.m365.authority();
    let imap = office.m365.imap_url();
    let ca = office.m365.ca_file().display().to_string();
    for (name, flag, value) in [
        ("by stdin", "--secret-stdin", None),
        ("by file", "--secret-file", Some(file.as_str())),
        ("by env", "--secret-env", Some("CONTOSO_SECRET")),
        ("by command", "--secret-command", Some(command.as_str())),
    ] {
        for kind in ["oauth-service", "oauth-user"] {
            let name = format!("{kind} {name}");
            let mut args = vec!["server", "add", "incoming", &name, "--address", &authority];
            args.extend(["--auth", kind, "--client-id", CLIENT_ID, "--imap", &imap]);
            args.extend(["--ca-file", &ca, flag]);
            args.extend(value);
            assert_eq!(
                office.run_with(&args, &env, SECRET.as_bytes()),
                0,
                "{args:?}"
            );
        }
    }
    let deliver = format!("command:{}", office.world.path("deliver").display());
    for (queue, server, flag, value) in [
        ("a", "oauth-user by stdin", "--password-stdin", None),
        (
            "b",
            "oauth-user by env",
            "--password-env",
            Some("EVAS_PASSWORD"),
        ),
    ] {
        let mut args = vec![
            "queue",
            "add",
            queue,
            "--address",
            PERSON,
            "--server",
            server,
        ];
        args.extend(["--deliver", &deliver, flag]);
        args.extend(value);
        if queue == "b" {
            args[4] = SUPPORT;
            args.extend(["--account", PERSON]);
        }
        assert_eq!(
            office.run_with(&args, &env, PASSWORD.as_bytes()),
            0,
            "{args:?}"
        );
    }
    for queue in ["a", "b"] {
        assert_eq!(office.run_with(&["fetch", queue, "-vv"], &env, b""), 0);
    }
    for name in ["by stdin", "by file", "by env", "by command"] {
        let name = format!("oauth-service {name}");
        let args = ["token", "get", &name, "-vv", "--fresh"];
        assert_eq!(office.run_with(&args, &env, b""), 0, "{args:?}");
    }
    office.round(&env);
    let seen = fs::read_to_string(office.world.path("seen")).unwrap();
    assert!(
        seen.contains("QUEUEMAIL_ADDRESS"),
        "no delivery command ran"
    );
    assert!(seen.contains("HOME="), "the environment was not seen");
    office.is_clean(&["the.secret", "print-secret"]);
}

/// With a store outside not even the state holds a secret.
#[test]
fn a_store_of_tokens_outside() {
    let office = Office::new();
    let outside = tempfile::tempdir().unwrap();
    let script = format!(
        "{SPY}cd '{}'
case $1 in
get) [ -e \"$2\" ] || exit 66; cat \"$2\" ;;
store) cat >\"$2\" ;;
erase) rm -f \"$2\" ;;
esac
",
        outside.path().display()
    );
    let script = office.script("vault", &script);
    office.configure(
        "imap",
        &plain(),
        &format!("        password: '{PASSWORD}'\n"),
    );
    let config = office.world.config();
    let store = format!("token_store: {{ command: ['{}'] }}", script.display());
    office
        .world
        .write_config(config.replace("version: 1\n", &format!("version: 1\n{store}\n")));
    office.round(&[]);
    assert_eq!(office.run(&["token", "get", "eva", "--fresh", "--json"]), 0);
    assert_eq!(office.run(&["fetch", "-vv"]), 0);
    let kept = fs::read_dir(outside.path()).unwrap().count();
    assert!(kept >= 3, "only {kept} tokens were kept outside");
    // A store that fails and tells the world what it was to keep.
    let tells = "[ $1 = get ] && exit 66; cat >&2; exit 1\n";
    office.script("vault", &format!("{SPY}{tells}"));
    office.round(&[]);
    let told = office.written.lock().unwrap();
    assert!(
        told.iter()
            .any(|w| String::from_utf8_lossy(&w.text).contains("but not kept"))
    );
    drop(told);
    let (secrets, tokens) = office.canaries();
    let state = fs::read(office.world.state_dir().join("state.sqlite")).unwrap();
    assert!(secrets.found("the state", &state).is_empty());
    assert!(tokens.found("the state", &state).is_empty());
    office.is_clean(&[]);
}

#[test]
fn certificates_and_refresh_tokens() {
    let office = Office::new();
    office.certificate(&["-nodes"]);
    let home = office.world.home().display();
    let credential = format!("certificate: {home}/cert.pem\n    private_key: {home}/key.pem");
    // Only an app itself has a certificate here; the person signs in by device.
    office.configure("imap", &credential, "");
    let faults = office.m365.faults();
    faults.device_interval.store(1, SeqCst);
    *faults.device_approves_after.lock().unwrap() = Some((1, PERSON.into()));
    office.round(&[]);
    assert_eq!(office.run(&["token", "login", "eva", "--device", "-vv"]), 0);
    assert_eq!(office.run(&["token", "get", "eva", "--fresh", "--json"]), 0);
    assert_eq!(office.run(&["fetch", "-vv"]), 0);
    let requests = office.m365.token_requests();
    for grant in ["client_credentials", "refresh_token"] {
        assert!(
            requests.iter().any(|r| r.grant_type == grant),
            "{requests:?}"
        );
    }
    for (status, json) in [(400, true), (401, true), (200, false), (502, false)] {
        faults.token_next(2, TokenFault::Echo { status, json });
        assert_ne!(office.run(&["token", "get", "eva", "--fresh", "-vv"]), 0);
        assert_ne!(
            office.run(&["token", "get", "support", "--fresh", "--json"]),
            0
        );
    }
    let text = fs::read_to_string(office.world.path("key.pem")).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.len() == 64)
        .map(String::from);
    office.m365.keep_secret(lines.skip(1));
    office.is_clean(&["key.pem"]);
}

#[test]
fn servers_that_refuse_or_repeat() {
    refuse_or_repeat("imap");
}

#[test]
fn graph_that_refuses_or_repeats() {
    refuse_or_repeat("graph");
}

fn refuse_or_repeat(via: &str) {
    let office = Office::new();
    let faults = office.m365.faults();
    let password = format!("        password: '{PASSWORD}'\n");
    office.configure(via, &plain(), &password);
    for (status, json) in [(400, true), (503, true), (403, false)] {
        faults.token_next(99, TokenFault::Echo { status, json });
        for args in [
            &["token", "get", "eva", "-vv"][..],
            &["token", "get", "in", "--json", "-vv"],
            &["fetch", "-vv"],
            &["check", "--json"],
            &["send", "-t", "-vv", "--outbox"],
            &["status", "--json"],
        ] {
            office.run_with(args, &[], REPLY);
            office.wait_no_more();
        }
        while faults.take_token().is_some() {}
    }
    // Tokens first, then servers that repeat them.
    assert_eq!(office.run(&["token", "get", "in", "--fresh"]), 0);
    for status in [401, 403, 500].into_iter().filter(|_| via == "graph") {
        faults.graph.next(9, "/", GraphFault::Echo(status));
        office.run(&["fetch", "-vv"]);
        office.wait_no_more();
        office.run_with(&["send", "-t", "-vv", "--outbox"], &[], REPLY);
        office.run(&["check", "--json"]);
        faults.graph.heal();
        office.wait_no_more();
    }
    if via == "imap" {
        for at in 0..4 {
            match at {
                0 => faults.imap_sign_in_next(2, ImapFault::Echo),
                at => faults.imap_at(at, ImapFault::Echo),
            }
            office.run(&["fetch", "support", "-vv"]);
            office.wait_no_more();
        }
        faults.imap_sign_in_next(2, ImapFault::Echo);
        office.run(&["check", "support", "--json"]);
        for at in [
            SmtpAt::Auth,
            SmtpAt::Mail,
            SmtpAt::Rcpt,
            SmtpAt::Data,
            SmtpAt::Dot,
        ] {
            for code in [451, 550] {
                faults.smtp_next(3, at, SmtpFault::Echo(code));
                office.run_with(&["send", "-t", "-vv", "--json", "--outbox"], &[], REPLY);
                faults.smtp_clear();
                office.wait_no_more();
            }
        }
    }
    office.add_app("another");
    assert_eq!(office.run(&["token", "get", "in", "--fresh", "-vv"]), 77);
    office.configure(
        via,
        &format!("secret: '{WRONG}'"),
        &format!("        password: '{WRONG}'\n"),
    );
    office.round(&[]);
    let log = office.m365.log();
    for sign in match via {
        "imap" => &[
            "fault: Echo { ",
            "HTTP",
            "IMAP ! fault: Echo",
            "SMTP ! fault at Auth: Echo",
        ][..],
        _ => &["fault: Echo { ", "GET /v1.0"],
    } {
        assert!(
            log.iter().any(|line| line.contains(sign)),
            "no `{sign}` happened"
        );
    }
    office.is_clean(&[]);
}

#[test]
fn mistakes_in_the_line_of_a_secret() {
    let office = Office::new();
    for credential in [
        format!("secret: ['{SECRET}']"),
        format!("secret: {{ value: '{SECRET}' }}"),
        format!("secret: {{ '{SECRET}': file }}"),
        format!("secret: {{ file: x, '{SECRET}': y }}"),
        format!("secrt: '{SECRET}'"),
        format!("secret: '{SECRET}"),
        format!("secret: \"{SECRET}\\q\""),
        format!("secret: {SECRET}: more"),
        format!("secret: *{SECRET}"),
        format!("secret: !{SECRET} x"),
        format!("secret: '{SECRET}'\n    secret: '{SECRET}'"),
        format!("secret: '{SECRET}'\n   password: '{PASSWORD}'"),
        format!("secret: '{SECRET}'\n    certificate: a\n    private_key: b"),
        format!("secret: '{SECRET}'\n    nonsense"),
        format!("secret '{SECRET}'"),
        format!("\tsecret: '{SECRET}'"),
    ] {
        office.configure("imap", &credential, "");
        for args in [
            &["config", "validate", "-vv"][..],
            &["config", "validate", "--json"],
            &["config", "show"],
            &["fetch", "-vv"],
            &["server", "show", "in"],
        ] {
            assert_ne!(office.run(args), 0, "{args:?} with {credential}");
        }
    }
    office.configure("imap", &plain(), "");
    office.world.chmod(&office.world.config_path(), 0o644);
    assert_eq!(office.run(&["fetch", "-vv"]), 78);
    office.world.chmod(&office.world.config_path(), 0o600);
    office.is_clean(&[]);
}
