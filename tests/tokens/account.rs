//! OAuth User: password and refresh token grants.

use super::{ADDRESS, CLIENT, Home, claims};
use crate::standin::{App, TokenFault, User};
use std::sync::atomic::Ordering::SeqCst;

/// A public client, one person, and a queue that signs in as them.
fn home(password: &str) -> Home {
    let home = Home::new();
    home.person("", password);
    home
}

fn configure(home: &Home, password: &str) {
    home.person("", password);
}

#[test]
fn a_password_signs_in_once_and_the_refresh_token_from_then_on() {
    let home = home("password: correct horse battery staple");
    home.standin.faults().strict_rotation.store(true, SeqCst);
    let imap = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(claims(&imap.stdout)["upn"], ADDRESS);
    assert_eq!(claims(&imap.stdout)["scp"], "IMAP.AccessAsUser.All");
    // Another scope, and the same again: the rotated token is used each time.
    let graph = home
        .run(&["token", "get", "support", "--for", "graph"])
        .succeeds();
    assert_eq!(claims(&graph.stdout)["scp"], "Mail.ReadWrite");
    for _ in 0..3 {
        home.run(&["token", "get", "support", "--fresh"]).succeeds();
    }
    let grants: Vec<String> = home
        .standin
        .token_requests()
        .into_iter()
        .map(|request| request.grant_type)
        .collect();
    assert_eq!(
        grants,
        [
            "password",
            "refresh_token",
            "refresh_token",
            "refresh_token",
            "refresh_token"
        ]
    );
    let first = &home.standin.token_requests()[0];
    assert_eq!(first.authentication, "none");
    assert_eq!(first.username, ADDRESS);
    assert_eq!(
        first.scope,
        "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
    );
}

/// A password works until somebody demands more, and `check` says so while it does.
#[test]
fn a_password_is_marked_where_it_works() {
    let home = home("password: correct horse battery staple");
    let ran = home.run(&["check", "support"]);
    let mark = format!("as {ADDRESS}, with a password, which works only without multi-factor");
    assert!(ran.stdout.contains(&mark), "{}", ran.stdout);
    configure(&home, "");
    let ran = home.run(&["check", "support"]);
    assert!(
        ran.stdout.contains(&format!("as {ADDRESS}\n")),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_confidential_client_sends_its_secret_too() {
    let home = home("password: correct horse battery staple");
    home.standin.add_app(App {
        secret: Some("s3cret".into()),
        ..App::default()
    });
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("AADSTS7000218");
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    home.config(&file.replace("oauth-user\n", "oauth-user\n    secret: s3cret\n"));
    home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(
        home.standin.token_requests()[1].authentication,
        "client_secret_post"
    );
}

#[test]
fn a_wrong_password_is_tried_once() {
    let home = home("password: wrong");
    for _ in 0..5 {
        home.run(&["token", "get", "support"])
            .fails(77)
            .mentions("server said: invalid_grant: AADSTS50126")
            .mentions("--set-password");
    }
    assert_eq!(home.asked(), 1, "cron must not lock the account");
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("does not try it again")
        .hides("wrong.");
    // A person may insist.
    home.run(&["token", "get", "support", "--fresh"]).fails(77);
    assert_eq!(home.asked(), 2);
    configure(&home, "password: correct horse battery staple");
    home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(home.asked(), 3);
}

#[test]
fn what_is_not_about_the_password_is_asked_again() {
    let home = home("password: correct horse battery staple");
    home.standin.add_user(User {
        address: ADDRESS.into(),
        mfa: true,
        ..User::default()
    });
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("AADSTS50076")
        .mentions("queuemail token login support@contoso.com");
    home.standin.add_user(User {
        address: ADDRESS.into(),
        ..User::default()
    });
    home.run(&["token", "get", "support"]).succeeds();
}

#[test]
fn an_account_that_is_enabled_again_signs_in_again() {
    let home = home("password: correct horse battery staple");
    let user = |disabled| {
        home.standin.add_user(User {
            address: ADDRESS.into(),
            disabled,
            ..User::default()
        });
    };
    user(true);
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("AADSTS50057");
    user(false);
    home.run(&["token", "get", "support"]).succeeds();
}

/// No attempt locks an account that is not there yet or has no password, nor one whose right
/// password has expired; and what an administrator does about it is not in the configuration.
#[test]
fn what_an_administrator_mends_at_the_account_needs_no_new_password_here() {
    let home = home("password: correct horse battery staple");
    for code in [50034, 50055, 50056, 50144, 50005, 50097] {
        home.standin
            .faults()
            .token_next(1, TokenFault::Aadsts(code));
        home.run(&["token", "get", "support"])
            .fails(77)
            .mentions(&format!("AADSTS{code}"))
            .hides("does not try it again");
        home.run(&["token", "get", "support"]).succeeds();
        home.run(&["token", "forget", "--all"]).succeeds();
    }
}

/// Whoever tries passwords from outside locks the account, too; the right one is not at fault.
#[test]
fn a_locked_account_is_left_alone_for_an_hour_and_not_for_ever() {
    let home = home("password: correct horse battery staple");
    let state = || rusqlite::Connection::open(home.path("state/state.sqlite")).unwrap();
    home.standin
        .faults()
        .token_next(1, TokenFault::Aadsts(50053));
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("AADSTS50053");
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("AADSTS50053")
        .mentions("tries the password again after 60 minutes")
        .hides("set the right one");
    assert_eq!(home.asked(), 1, "each attempt keeps it locked");
    state()
        .execute(
            "UPDATE wait SET until = until - 3600000 WHERE key LIKE 'password refused%'",
            [],
        )
        .unwrap();
    home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(home.asked(), 2);
}

#[test]
fn a_refresh_token_that_is_refused_needs_a_person_or_the_password() {
    let home = home("password: correct horse battery staple");
    home.run(&["token", "get", "support"]).succeeds();
    home.standin.revoke_refresh_tokens(ADDRESS);
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
    assert_eq!(home.standin.token_requests()[2].grant_type, "password");

    configure(&home, "");
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
    home.standin.expire_refresh_tokens();
    home.run(&["token", "get", "support", "--fresh"])
        .fails(77)
        .mentions("error: cannot refresh the token for server `people` as `support@contoso.com`\n")
        .mentions("server said: invalid_grant: AADSTS700082: The refresh token has expired")
        .mentions("hint: sign in again: `queuemail token login support@contoso.com`");
}

#[test]
fn a_passing_fault_never_costs_the_refresh_token() {
    let home = home("password: correct horse battery staple");
    home.run(&["token", "get", "support"]).succeeds();
    configure(&home, "");
    for fault in [
        TokenFault::Status(503, None),
        TokenFault::Close,
        TokenFault::Html(502),
        TokenFault::BrokenJson,
        TokenFault::Aadsts(90033),
    ] {
        home.standin.faults().token_next(1, fault);
        let ran = home.run(&["token", "get", "support", "--fresh"]);
        assert!([69, 75].contains(&ran.code), "{ran:?}");
        home.run(&["token", "get", "support", "--fresh"]).succeeds();
    }
}

#[test]
fn an_answer_without_a_refresh_token_leaves_the_old_one_in_use() {
    for head in ["", super::store::COMMAND] {
        let home = Home::signed_in_person(head);
        home.standin.faults().no_rotation.store(true, SeqCst);
        for _ in 0..3 {
            home.run(&["token", "get", "support", "--fresh"]).succeeds();
        }
        home.run(&["token", "get", "support", "--for", "graph"])
            .succeeds();
    }
}

/// Also where the server seems sure: somebody may set right what it meant.
#[test]
fn a_refusal_never_erases_the_refresh_token() {
    let home = Home::signed_in_person("");
    for code in [70000, 70008, 700082, 50173, 50076, 65001, 7000215, 700016] {
        home.standin
            .faults()
            .token_next(1, TokenFault::Aadsts(code));
        home.run(&["token", "get", "support", "--fresh"]).fails(77);
        home.run(&["token", "get", "support", "--fresh"]).succeeds();
    }
}

/// The server has taken the old refresh token back with an answer that is no good otherwise.
#[test]
fn the_refresh_token_of_an_answer_that_cannot_be_used_is_kept() {
    for head in ["", super::store::COMMAND] {
        let home = Home::signed_in_person(head);
        let faults = home.standin.faults();
        faults.strict_rotation.store(true, SeqCst);
        faults.hide_expires_in.store(true, SeqCst);
        home.run(&["token", "get", "support", "--fresh"])
            .fails(69)
            .mentions("it lacks expires_in");
        faults.hide_expires_in.store(false, SeqCst);
        home.run(&["token", "get", "support", "--fresh"]).succeeds();
    }
}

/// A page of the network in the place of the token endpoint is no reason to send a password.
#[test]
fn only_the_servers_word_ends_a_refresh_token() {
    let home = Home::signed_in_person("");
    home.person("", super::PASSWORD);
    for fault in [
        TokenFault::NoToken,
        TokenFault::BrokenJson,
        TokenFault::Html(403),
    ] {
        home.standin.faults().token_next(1, fault);
        let before = home.asked();
        let ran = home.run(&["token", "get", "support", "--fresh"]);
        assert!([69, 75].contains(&ran.code), "{ran:?}");
        assert_eq!(home.asked(), before + 1, "{ran:?}");
    }
}

#[test]
fn nobody_has_signed_in_yet() {
    let home = home("");
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("caused by: nobody has signed in as `support@contoso.com` yet")
        .mentions("hint: sign in: `queuemail token login support@contoso.com`");
    assert_eq!(home.asked(), 0);
}

#[test]
fn a_shared_mailbox_is_read_by_a_person_with_their_own_account() {
    let home = home("password: correct horse battery staple\n        account: eva@contoso.com");
    home.standin.add_user(User {
        address: "eva@contoso.com".into(),
        ..User::default()
    });
    let token = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(claims(&token.stdout)["upn"], "eva@contoso.com");
    let graph = home
        .run(&["token", "get", "support", "--for", "graph"])
        .succeeds();
    assert_eq!(claims(&graph.stdout)["scp"], "Mail.ReadWrite.Shared");
    // XOAUTH2 names the mailbox, not the person.
    use base64::Engine;
    let line = home
        .run(&["token", "get", "support", "--format", "xoauth2"])
        .succeeds();
    let text = base64::engine::general_purpose::STANDARD
        .decode(line.stdout.trim_end())
        .unwrap();
    let expected = format!(
        "user={ADDRESS}\x01auth=Bearer {}\x01\x01",
        token.stdout.trim_end()
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn an_application_id_in_the_place_of_the_user_is_noticed() {
    let home = Home::new();
    home.config(&format!(
        "version: 1
outgoing_servers:
  - {{name: out, tenant: {{tenant}}, authentication: oauth-service, smtp: '{{smtp}}', user: {CLIENT}, password: 's3cret~+&='}}
"
    ));
    home.run(&["token", "get", "out"])
        .fails(78)
        .mentions("move them to `client_id` and `secret`");
}

#[test]
fn a_wrong_password_of_an_outgoing_server_is_set_at_the_server() {
    let home = home("password: correct horse battery staple");
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let (servers, queues) = file.split_once("queues:").unwrap();
    let with = |user: &str, password: &str| {
        home.config(&format!(
            "{servers}outgoing_servers:
  - name: people out
    tenant: {{tenant}}
    authentication: oauth-user
    app: people
    user: {user}
    {password}
    smtp: {{smtp}}
queues:{}        sender: true
        outgoing_server: people out
",
            queues.trim_start_matches(' ')
        ));
    };
    with(ADDRESS, "password: wrong");
    home.run(&["token", "get", "people out"])
        .fails(77)
        .mentions("AADSTS50126")
        .mentions(&format!(
            "hint: set the password of {ADDRESS}: `queuemail server set 'people out' --set-password`"
        ))
        .hides("queue set");
    let message = home.write("m.eml", &format!("From: {ADDRESS}\r\n\r\nhello\r\n"));
    let send = ["send", "b@contoso.com", "--file", message.to_str().unwrap()];
    home.run(&send)
        .fails(77)
        .mentions("`queuemail server set 'people out' --set-password`")
        .hides("queue set");
    with("nobody@contoso.com", "password: wrong");
    home.run(&["token", "get", "people out"])
        .fails(77)
        .mentions("AADSTS50034");
    // Its app's secret is at the app's server, and it has none itself.
    let faults = home.standin.faults();
    faults.token_next(1, TokenFault::Says(401, r#"{"error":"invalid_client"}"#));
    with(ADDRESS, "password: another");
    home.run(&["token", "get", "people out"])
        .fails(77)
        .mentions("`queuemail server set people --secret-stdin`");
    faults.token_next(1, TokenFault::Says(401, r#"{"error":"invalid_client"}"#));
    home.run(&send)
        .fails(77)
        .mentions("`queuemail server set people --secret-stdin`");
    faults.token_next(1, TokenFault::Aadsts(50076));
    home.run(&["token", "get", "people out"])
        .fails(77)
        .mentions("`queuemail server set 'people out' --auth oauth-service --app INCOMING`");
    // The command of the hint is one that there is.
    home.run(&[
        "--no-input",
        "server",
        "set",
        "people out",
        "--set-password",
    ])
    .fails(64)
    .mentions("--password-file");
    with(ADDRESS, "password: correct horse battery staple");
    home.run(&["token", "get", "people out"]).succeeds();
}
