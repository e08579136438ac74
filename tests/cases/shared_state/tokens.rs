//! Tokens in the database: sealed, and for every host.

use super::Office;
use crate::standin::TokenFault;
use crate::tokens;
use crate::tokens::Home;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

#[test]
fn tokens_in_the_database_are_sealed_and_serve_every_host() {
    let office = Office::ready();
    let home = Home::new();
    let key = |octet: u8| BASE64.encode([octet; 32]);
    let (old, new) = (key(1), key(2));
    home.write("old", &old);
    home.write("new", &new);
    let state = |keys: &str| format!("state: {{ postgres: '{}', {keys} }}", office.by_socket());
    let get = ["token", "get", "support@contoso.com"];
    let on_host = |name: &str, args: &[&str]| {
        let mut command = home.command(args);
        command.env("HOME", home.path(name));
        command.env("QUEUEMAIL_STATE_DIR", home.path(name).join("state"));
        tokens::Ran::from(command.output().unwrap())
    };
    // Another host takes what the first one got, and what the database has is no token.
    home.person(&state("key: { file: old }"), tokens::PASSWORD);
    let token = on_host("a", &get).succeeds().stdout;
    assert_eq!(on_host("b", &get).succeeds().stdout, token);
    assert_eq!(home.asked(), 1, "one request for the fleet");
    let columns = "SELECT count(*), count(access_token), count(refresh_token) FROM token
                   WHERE coalesce(access_token, refresh_token) LIKE 'v1:%'";
    assert_eq!(office.psql(columns), "2|1|1");
    let all = office.psql("SELECT coalesce(access_token, refresh_token) FROM token");
    assert!(!all.contains(token.trim()), "{all}");
    // A refresh token that one host got serves another.
    home.person(&state("key: { file: old }"), "");
    office.psql("UPDATE token SET expires_at = 0 WHERE access_token IS NOT NULL");
    on_host("b", &get).succeeds();
    assert_eq!(home.asked(), 2);
    // The wrong key, no key, and what is no key.
    home.write("none", "hunter2");
    for (keys, why) in [
        ("key: { file: new }", "which `state.key` does not contain"),
        ("connections: 2", "the configuration has no `state.key`"),
        (
            "key: { file: none }",
            "`state.key` is not 32 bytes in base64",
        ),
    ] {
        home.person(&state(keys), tokens::PASSWORD);
        let ran = on_host("a", &get).fails(78).mentions(why);
        ran.hides(&old).hides(&new).hides("hunter2");
    }
    assert_eq!(home.asked(), 2);
    // The key changes, and nobody notices.
    home.person(&state("key: [{ file: new }, { file: old }]"), "");
    on_host("a", &get).succeeds();
    for tokens in ["2", "0"] {
        let said = on_host("a", &["state", "rekey"]).succeeds().stdout;
        assert_eq!(
            said,
            format!("tokens encrypted with the first key: {tokens}\n")
        );
    }
    home.person(&state("key: { file: new }"), "");
    on_host("b", &get).succeeds();
    let mut by_variable = home.command(&get);
    by_variable.env("QUEUEMAIL_STATE_KEY", &old);
    let ran = tokens::Ran::from(by_variable.output().unwrap());
    ran.fails(78).mentions("which `state.key` does not contain");
    assert_eq!(home.asked(), 2);
    // One that stands in the place of another is found.
    office.psql(
        "UPDATE token SET access_token = (SELECT refresh_token FROM token
             WHERE refresh_token IS NOT NULL) WHERE access_token IS NOT NULL",
    );
    on_host("b", &get).fails(78).mentions("cannot be decrypted");
    // Who has lost the key starts again.
    home.person(&state("connections: 2"), tokens::PASSWORD);
    on_host("b", &["state", "rekey"])
        .fails(78)
        .mentions("no `state.key`");
    on_host("b", &["token", "forget", "--all"]).succeeds();
    on_host("b", &get).succeeds();
    assert_eq!(office.psql("SELECT count(*) FROM token"), "0");
}

#[test]
fn a_token_endpoint_that_asks_one_host_to_wait_is_left_alone_by_all() {
    let office = Office::ready();
    let home = Home::new();
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    home.person(&state, tokens::PASSWORD);
    home.standin
        .faults()
        .token_next(1, TokenFault::Status(429, Some(30)));
    let get = |host: &str| {
        let mut command = home.command(&["token", "get", "support@contoso.com"]);
        command.env("QUEUEMAIL_STATE_DIR", home.path(host));
        tokens::Ran::from(command.output().unwrap())
    };
    get("a").fails(75);
    let asked = home.asked();
    get("b").fails(75).mentions("requested a wait");
    assert_eq!(home.asked(), asked, "the other host does not ask");
}

#[test]
fn no_token_is_kept_in_the_database_without_a_key() {
    let office = Office::ready();
    let home = Home::new();
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    home.person(&state, "");
    for args in [
        &["token", "login", "support@contoso.com", "--device"][..],
        &["token", "get", "support@contoso.com"],
    ] {
        home.run(args)
            .fails(78)
            .mentions("the state in the database keeps no tokens without a key");
    }
    home.person(&state, tokens::PASSWORD);
    for _ in 0..2 {
        home.run(&["token", "get", "support@contoso.com"])
            .succeeds();
    }
    assert_eq!(office.psql("SELECT count(*) FROM token"), "0");
    // A store that all hosts can ask keeps them.
    home.person(
        &format!("{state}\n{}", tokens::store::COMMAND),
        tokens::PASSWORD,
    );
    tokens::store::script(&home);
    home.run(&["token", "get", "support@contoso.com"])
        .succeeds();
    let kept = "SELECT count(*), count(access_token), count(refresh_token) FROM token";
    assert_eq!(office.psql(kept), "2|0|0");
}
