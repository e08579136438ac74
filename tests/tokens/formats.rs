//! What `token get` prints, and which names it takes.

use super::{CLIENT, Home};
use crate::standin::{App, TokenFault};
use std::sync::atomic::Ordering::SeqCst;

fn home() -> Home {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home
}

#[test]
fn every_format() {
    let home = home();
    let token = home.run(&["token", "get", "support"]).succeeds();
    let token = token.stdout.trim_end();
    let header = home
        .run(&["token", "get", "support", "--format", "header"])
        .succeeds();
    assert_eq!(header.stdout, format!("Authorization: Bearer {token}\n"));
    for args in [
        &["token", "get", "support", "--format", "json"][..],
        &["--json", "token", "get", "support"],
    ] {
        let json = home.run(args).succeeds();
        let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(object["access_token"], token);
        assert_eq!(object["token_type"], "Bearer");
        assert_eq!(object["address"], "support@contoso.com");
        let left = object["expires_in"].as_u64().unwrap();
        assert!((3500..3600).contains(&left), "{left}");
    }
    // Whatever the format, --json gives one object.
    for format in ["token", "xoauth2", "header"] {
        let args = ["--json", "token", "get", "support", "--format", format];
        let json = home.run(&args).succeeds();
        let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(object["access_token"], token);
        if format != "token" {
            let plain = home.run(&args[1..]).succeeds();
            assert_eq!(object[format], plain.stdout.trim_end());
        }
    }
    home.run(&["token", "get", "contoso", "--format", "xoauth2"])
        .fails(64)
        .mentions("XOAUTH2 needs the address of a mailbox")
        .mentions("use a queue or an address");
    assert_eq!(home.asked(), 1);
}

#[test]
fn claims_in_plain_words() {
    let home = home();
    let ran = home
        .run(&["token", "get", "support", "--format", "claims"])
        .succeeds();
    assert_eq!(ran.stderr, "", "nothing to warn of");
    for line in [
        "audience: https://outlook.office365.com (Exchange Online: IMAP, POP and SMTP)",
        &format!("tenant:   {}", home.standin.tenant()),
        &format!("app:      {CLIENT} (queuemail)"),
        "roles:    IMAP.AccessAsApp, SMTP.SendAsApp",
        ", in 59 minutes",
        "user:     none, the app signs in (object ID ",
    ] {
        assert!(ran.stdout.contains(line), "{line:?} in {}", ran.stdout);
    }
    home.run(&[
        "token", "get", "support", "--format", "claims", "--for", "pop",
    ])
    .succeeds()
    .mentions("warning: the token lacks the role `POP.AccessAsApp`, so POP will refuse it");
}

#[test]
fn claims_that_do_not_fit() {
    let home = home();
    home.standin.faults().no_roles.store(true, SeqCst);
    *home.standin.faults().audience.lock().unwrap() =
        Some("00000003-0000-0000-c000-000000000000".into());
    home.run(&["token", "get", "support", "--format", "claims"])
        .succeeds()
        .mentions("warning: the audience is `00000003-0000-0000-c000-000000000000`, but IMAP needs `https://outlook.office365.com` and will refuse this token")
        .mentions("warning: the token lacks the role `IMAP.AccessAsApp`");
}

/// Clients are promised nothing of the inside of a token.
#[test]
fn a_token_that_says_nothing_is_an_object_too() {
    let home = home();
    let opaque = r#"{"token_type":"Bearer","access_token":"EwBwA8l6","expires_in":3600}"#;
    let faults = home.standin.faults();
    faults.token_next(1, TokenFault::Says(200, opaque));
    let claims = ["token", "get", "support", "--format", "claims"];
    let told = home.run(&claims).succeeds();
    assert!(told.stdout.starts_with("expires: "), "{told:?}");
    let told = told.mentions("warning: the token is not a JWT");
    assert_eq!(told.stdout.lines().count(), 1, "{told:?}");
    let json = home.run(&[&["--json"], &claims[..]].concat()).succeeds();
    let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(object["audience"].is_null(), "{object}");
    assert!(object["expires_at"].is_string(), "{object}");
    assert_eq!(object["warnings"].as_array().unwrap().len(), 1, "{object}");
}

#[test]
fn hostile_claims_cannot_move_the_cursor() {
    let home = home();
    let mut app = App {
        secret: Some("s3cret~+&=".into()),
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    };
    app.extra_claims.insert(
        "app_displayname".into(),
        "\u{1b}[2J\nwarning: all is lost".into(),
    );
    home.standin.add_app(app);
    let ran = home
        .run(&["token", "get", "support", "--format", "claims"])
        .succeeds();
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    assert!(!ran.stdout.lines().any(|line| line.starts_with("warning")));
}

#[test]
fn names_that_are_unknown_or_not_clear() {
    let home = home();
    home.run(&["token", "get", "suport"])
        .fails(64)
        .mentions("no queue, address or server named `suport`")
        .mentions("hint: did you mean `support`?");
    home.run(&["token", "get", "zzzzzz"])
        .fails(64)
        .mentions("in the file: support, support@contoso.com, contoso");
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    home.config(&format!(
        "{file}      - address: hilfe@contoso.com\n        server: contoso\n"
    ));
    home.run(&["token", "get", "support"])
        .fails(64)
        .mentions("choose one: support@contoso.com, hilfe@contoso.com");
    home.run(&["token", "get", "HILFE@contoso.com"]).succeeds();
}

#[test]
fn no_secret_is_ever_printed() {
    let home = home();
    for args in [
        &["-vv", "token", "get", "support", "--fresh"][..],
        &["-vv", "token", "get", "support", "--format", "claims"],
    ] {
        let ran = home.run(args).succeeds();
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        assert!(!ran.stderr.contains("eyJ"), "{ran:?}");
    }
}

#[test]
fn a_crash_leaves_no_core() {
    let home = home();
    // The command that gives the secret inherits the limit.
    home.service("secret: {command: ['sh', '-c', 'ulimit -c > {home}/limit; echo secret']}");
    let _ = home.run(&["token", "get", "support"]);
    let limit = std::fs::read_to_string(home.path("limit")).unwrap();
    assert_eq!(limit.trim(), "0");
}
