//! Mistakes in the file: each is an error with file, line, column and what was probably meant,
//! compared word for word with `tests/messages/`.

use crate::world::World;

/// A file with one server and one queue, in which `from` is replaced by `to`.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "`{from}` is not in the good file");
    GOOD.replacen(from, to, 1)
}

/// A file that is right.
pub const GOOD: &str = "\
version: 1
defaults: { language: en, priority: 100, deliver: \"maildir:~/Mail/{queue}\" }
incoming_servers:
  - name: Contoso
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1
    secret: { env: CONTOSO_SECRET }
outgoing_servers:
  - name: Contoso out
    tenant: contoso.onmicrosoft.com
    authentication: oauth-service
    app: Contoso
queues:
  - name: support
    language: de
    addresses:
      - address: support@contoso.com
        server: Contoso
        priority: 5
        outgoing_server: Contoso out
";

/// Checks the file and compares the message.
fn says(name: &str, text: impl AsRef<[u8]>) {
    let world = World::new();
    world.write_config(text);
    world
        .run(["config", "validate"])
        .fails(78)
        .prints("")
        .says(name)
        .hides("hunter2");
}

#[test]
fn a_good_file_is_valid() {
    let world = World::with_config(GOOD);
    let valid = "valid: incoming servers 1, outgoing servers 1, queues 1, addresses 1\n";
    world.run(["config", "validate"]).succeeds().prints(valid);
    world
        .run(["config", "validate", "-"])
        .stdin(format!("\u{feff}{}", GOOD.replace('\n', "\r\n")))
        .succeeds()
        .prints(valid);
}

#[test]
fn no_file() {
    let world = World::new();
    world.run(["queue", "list"]).fails(78).says("no_config");
}

#[test]
fn unknown_key() {
    says("unknown_key", with("tenant:", "tenat:"));
}

#[test]
fn unknown_key_with_nothing_near() {
    says("unknown_key_far", with("language: de", "colour: red"));
}

#[test]
fn missing_key() {
    says(
        "missing_key",
        with("    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1\n", ""),
    );
}

#[test]
fn duplicate_key() {
    says(
        "duplicate_key",
        with("    language: de\n", "    language: de\n    language: fi\n"),
    );
}

#[test]
fn wrong_types() {
    says("wrong_type_list", with("queues:\n", "queues: none\nx:\n"));
    says("wrong_type_number", with("priority: 5", "priority: high"));
    says("wrong_type_text", with("name: support", "name: [a]"));
    says("wrong_type_flag", with("priority: 5", "sender: maybe"));
    says("bad_priority", with("priority: 5", "priority: -5"));
}

#[test]
fn bad_values() {
    says("bad_enum", with("oauth-service", "oauth-servce"));
    says("bad_language", with("language: de", "language: d_e"));
    says(
        "bad_address",
        with("address: support@contoso.com", "address: support"),
    );
    says(
        "bad_login",
        with("https://login.microsoftonline.com/contoso", "http://x/y"),
    );
    says("bad_version", with("version: 1", "version: 2"));
    for (name, store) in [
        ("token_store_unknown", "kering"),
        ("token_store_of_text", "{ command: pass show }"),
        ("token_store_of_nothing", "{ command: [] }"),
        ("token_store_typo", "{ comand: [pass] }"),
    ] {
        let line = format!("version: 1\ntoken_store: {store}");
        says(name, with("version: 1", &line));
    }
    says(
        "bad_client_id",
        with("1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1", "mail-client"),
    );
}

#[test]
fn where_to_begin_and_what_to_select() {
    let more = |lines: &str| with("        priority: 5\n", lines);
    says("bad_start", more("        start: yesterday\n"));
    for (name, select) in [
        ("select_empty", "{}"),
        ("select_unknown_key", "{ form: [a@b.example] }"),
        ("select_bad_from", "{ from: [boss] }"),
        ("select_bad_subject", "{ subject: [invoice, \" \"] }"),
        ("select_bad_size", "{ max_size: 25XB }"),
        (
            "select_larger_alone",
            "{ unread: true, larger: quarantine }",
        ),
    ] {
        says(name, more(&format!("        select: {select}\n")));
    }
}

#[test]
fn names_that_lead_nowhere() {
    says(
        "dangling_server",
        with("server: Contoso\n", "server: Contso\n"),
    );
    says(
        "wrong_kind_of_server",
        with("server: Contoso\n", "server: Contoso out\n"),
    );
    says(
        "dangling_outgoing",
        with(
            "outgoing_server: Contoso out",
            "outgoing_server: Contoso oot",
        ),
    );
    says("dangling_app", with("app: Contoso", "app: Fabrikam"));
}

#[test]
fn names_that_clash() {
    says(
        "duplicate_server",
        with("name: Contoso out", "name: Contoso"),
    );
    says("duplicate_queue", format!("{GOOD}  - name: support\n"));
    says(
        "duplicate_address",
        format!(
            "{GOOD}  - name: billing\n    addresses:\n      - {{ address: Support@Contoso.com, server: Contoso }}\n"
        ),
    );
}

#[test]
fn credentials_that_cannot_sign_in() {
    says(
        "no_credential",
        with("    secret: { env: CONTOSO_SECRET }\n", ""),
    );
    says(
        "two_credentials",
        with("    secret: {", "    managed_identity: true\n    secret: {"),
    );
    says(
        "key_alone",
        with("secret: { env: CONTOSO_SECRET }", "private_key: app.key"),
    );
    says(
        "federated_source",
        with(
            "secret: { env: CONTOSO_SECRET }",
            "federated_token: { envfile: AZURE_FEDERATED_TOKEN_FILE }",
        ),
    );
    says(
        "managed_word",
        with("secret: { env: CONTOSO_SECRET }", "managed_identity: sytem"),
    );
}

#[test]
fn clouds() {
    says(
        "other_cloud",
        with(
            "    secret: {",
            "    imap: imaps://outlook.office365.us\n    secret: {",
        ),
    );
    says(
        "unknown_login_host",
        with("login.microsoftonline.com", "login.contoso.example"),
    );
}

#[test]
fn scopes_of_another_resource() {
    let scope = |scope: &str| {
        with(
            "    secret: {",
            &format!("    scope: {scope}\n    secret: {{"),
        )
    };
    says(
        "scope_of_graph",
        scope("https://graph.microsoft.com/.default"),
    );
    says(
        "scope_of_a_person",
        scope("https://outlook.office.com/IMAP.AccessAsUser.All"),
    );
    let graph = scope("https://outlook.office365.com/.default");
    says(
        "scope_of_exchange",
        graph.replace("    scope:", "    via: graph\n    scope:"),
    );
    says(
        "scope_and_auto",
        graph.replace("    scope:", "    via: auto\n    scope:"),
    );
}

#[test]
fn what_only_one_authentication_has() {
    says(
        "common_for_an_app",
        with("/contoso.onmicrosoft.com", "/common"),
    );
    says(
        "managed_person",
        with(
            "authentication: oauth-service",
            "authentication: oauth-user",
        )
        .replace("secret: { env: CONTOSO_SECRET }", "managed_identity: true"),
    );
    says(
        "client_id_and_app",
        with(
            "    app: Contoso",
            "    app: Contoso\n    secret: x\n    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1",
        ),
    );
    says(
        "secret_without_client",
        with("    app: Contoso", "    app: Contoso\n    secret: x"),
    );
}

#[test]
fn several_mistakes_are_counted() {
    says(
        "several_mistakes",
        GOOD.replace("server: Contoso\n", "server: A\n")
            .replace("app: Contoso", "app: B")
            .replace("priority: 5", "folders: []"),
    );
}

#[test]
fn secrets_are_never_shown() {
    says(
        "secret_hidden",
        with("secret: { env: CONTOSO_SECRET }", "secret: hunter2: x"),
    );
    says(
        "secret_a_number",
        with("secret: { env: CONTOSO_SECRET }", "secret: 42"),
    );
    says(
        "secret_two_sources",
        with("{ env: CONTOSO_SECRET }", "{ env: hunter2, file: x }"),
    );
}

#[test]
fn texts_that_are_no_configuration() {
    says("empty_file", "");
    says("only_comments", "# nothing\n\n  # here\n");
    says("tab", with("    tenant:", "\ttenant:"));
    says("no_mapping", "hello\n");
    says("unclosed_quote", with("name: support", "name: \"support"));
    says("two_documents", format!("{GOOD}---\nversion: 1\n"));
    says("not_utf8", b"version: 1\nqueues:\n  - name: b\xfcro\n");
    says("alias_bomb", {
        let mut text = String::from("version: 1\na0: &a0 [x, x]\n");
        for i in 1..40 {
            text.push_str(&format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1));
        }
        text.replace("a39:", "queues:")
    });
    says("too_deep", format!("queues: {}", "[".repeat(20_000)));
}

#[test]
fn columns_count_characters_and_lines_any_line_end() {
    says(
        "utf8_crlf",
        with("{ env: CONTOSO_SECRET }", "{ env: ÄÖÜ }")
            .replace("name: support", "name: süppört")
            .replace("priority: 5", "größe: 5")
            .replace('\n', "\r\n"),
    );
    says(
        "utf8_flow",
        format!("{GOOD}  - {{ name: büro, adresses: [] }}\n"),
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let world = World::with_config(&with("{ env: CONTOSO_SECRET }", "hunter2"));
    world
        .run(["config", "validate"])
        .succeeds()
        .hides("hunter2");
    for mode in [0o640, 0o604, 0o644] {
        world.chmod(&world.config_path(), mode);
        world
            .run(["config", "validate"])
            .fails(78)
            .says("config_not_private")
            .hides("hunter2");
        world
            .run(["server", "set", "Contoso", "--via", "graph"])
            .fails(78)
            .says("config_not_private");
    }
    // Without a plain secret everybody may read, but not write.
    world.write_config(GOOD);
    world.chmod(&world.config_path(), 0o644);
    world.run(["config", "validate"]).succeeds();
    world.chmod(&world.config_path(), 0o646);
    world
        .run(["config", "validate"])
        .fails(78)
        .says("config_writable_by_others");
    // Another group: unless the test runs as root, there is none to give the file to.
    if std::os::unix::fs::chown(world.config_path(), None, Some(65534)).is_ok() {
        world.chmod(&world.config_path(), 0o664);
        world
            .run(["config", "validate"])
            .fails(78)
            .mentions("a group can change")
            .mentions("hint: chmod go-w");
        world.chmod(&world.config_path(), 0o640);
        world.run(["config", "validate"]).succeeds();
    }
}

#[test]
fn a_secret_from_nowhere() {
    for source in [
        "{ env: '' }",
        "{ env: }",
        "{ file: '' }",
        "{ command: [] }",
        "{ command: [''] }",
        "{ keyring: '' }",
        "{ credential: '' }",
    ] {
        let world = World::with_config(&with("{ env: CONTOSO_SECRET }", source));
        world
            .run(["config", "validate"])
            .fails(78)
            .mentions("line 8, column 13")
            .mentions("names no secret");
    }
}

#[test]
fn where_the_parser_knows_no_place() {
    let world = World::with_config("version: 1\n---\nversion: 1\n");
    let ran = world.run(["config", "validate"]).fails(78);
    ran.mentions("more than one YAML document")
        .mentions("line 2, column 1");
    world.write_config("version: 1\nqueues: \u{1}\n");
    world
        .run(["config", "validate"])
        .fails(78)
        .mentions("line 2, column 9");
    world.write_config(
        with("  - name: support\n", "  - <<: *x\n    name: support\n").replacen(
            "  - name: Contoso\n",
            "  - &x\n    name: Contoso\n",
            1,
        ),
    );
    world
        .run(["config", "validate"])
        .fails(78)
        .mentions("merge keys are not supported");
}

#[test]
fn a_delivery_that_cannot_be() {
    for (target, words) in [
        ("maildir:~/Mail/{quue}", "did you mean `{queue}`?"),
        (
            "eml:/mail/{customer}",
            "use {queue}, {address}, {folder}, {language}",
        ),
        ("command:sh -c 'echo {x}'", "`{x}` is not a placeholder"),
        ("command:sh -c \\\"exit", "a quote is not closed"),
        ("command:'' ", "names no program"),
        (
            "command:tee log | handler",
            "put the command into sh -c '…'",
        ),
        ("command:true && handler", "`&&` needs a shell"),
        ("command:handler $(id)", "`$` needs a shell"),
        ("lmtp:mail.example", "names no mail store"),
        ("lmtp:mail.example:99999", "names no mail store"),
        ("lmtp-plain:/run/lmtp", "use lmtp-plain:HOST:PORT"),
    ] {
        let world = World::with_config(&with("maildir:~/Mail/{queue}", target));
        world
            .run(["config", "validate"])
            .fails(78)
            .mentions("line 2, column 51")
            .mentions(words);
        world
            .run(["queue", "set", "support", "--deliver", "maildir:/mail"])
            .fails(78);
        world.write_config(GOOD);
        world
            .run([
                "queue",
                "set",
                "support",
                "--deliver",
                &target.replace('\\', ""),
            ])
            .fails(64)
            .mentions(words);
    }
    for target in [
        "maildir:/m/{queue}/{address}/{folder}/{language}",
        "lmtp:[::1]:24",
        "lmtp:/run/{queue}",
        "lmtp-plain:store:24",
        "lmtp:~/lmtp.sock",
        "command:sort --key=2",
        "command:sh -c 'tee log | handler'",
    ] {
        let world = World::with_config(&with("maildir:~/Mail/{queue}", target));
        world.run(["config", "validate"]).succeeds();
    }
}

#[test]
fn mail_that_would_come_again_where_it_is_moved_to() {
    for (more, column) in [
        (
            "folders: [INBOX, Done]\n        after_fetch: move:Done",
            "column 22",
        ),
        ("after_fetch: move:Inbox", "column 22"),
        (
            "folders: [Sales]\n        after_fetch: move:Sales",
            "column 22",
        ),
    ] {
        let text = with("priority: 5", &format!("priority: 5\n        {more}"));
        World::with_config(&text)
            .run(["config", "validate"])
            .fails(78)
            .mentions(column)
            .mentions("is also fetched: each message would be fetched again");
    }
    let world = World::with_config(GOOD);
    world
        .run(["queue", "set", "support", "--after", "move:INBOX"])
        .fails(64)
        .mentions("is also fetched");
    world
        .run(["queue", "set", "support", "--after", "move:Done"])
        .succeeds();
    world
        .run(["fetch", "--after", "move:inbox"])
        .fails(64)
        .mentions("`inbox` is also fetched: each message would be fetched again");
}

/// What is to be pasted is one word for a shell, whatever it is called.
#[test]
fn names_in_hints_can_be_pasted() {
    let file = |more: &str| {
        GOOD.replace("name: Contoso out", &format!("name: \"Bob's\"\n    {more}"))
            .replace("outgoing_server: Contoso out", "outgoing_server: \"Bob's\"")
            .replace(
                "support@contoso.com\n",
                "o'brien@contoso.com\n        sender: true\n",
            )
            .replace("name: support", "name: \"Bob's queue\"")
            .replace("CONTOSO_SECRET", "HOME")
    };
    let text = "From: o'brien@contoso.com\nTo: a@fabrikam.com\n\nx\n";
    for (config, words) in [
        (
            file("enabled: false"),
            &["queuemail", "server", "set", "Bob's", "--enabled"][..],
        ),
        (
            file("").replace("        sender: true\n", ""),
            &[
                "queuemail",
                "queue",
                "set",
                "Bob's queue",
                "--address",
                "o'brien@contoso.com",
                "--sender",
            ],
        ),
    ] {
        let world = World::with_config(&config);
        let ran = world.run(["send", "-t"]).stdin(text).ends();
        let hint = ran
            .stderr
            .lines()
            .find(|line| line.contains("queuemail "))
            .unwrap_or_default();
        let command = &hint[hint.find("queuemail ").unwrap_or_default()..];
        assert_eq!(shell_words::split(command).unwrap(), words, "{ran}");
    }
}

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let world = World::new();
    world.add_contoso();
    let text = world.config()
        + "\
queues:
  - name: support
    addresses:
      - { address: a@contoso.com, server: Cntoso }
      - { address: A@contoso.com, server: Contoso }
  - name: support
    addresses:
      - { address: b@contoso.com, server: Contoso, outgoing_server: Fabrikam }
";
    world.write_config(&text);
    let ran = world.run(["config", "validate"]).fails(78);
    let piped = world
        .run(["config", "validate", "-"])
        .stdin(&text)
        .fails(78);
    for ran in [ran, piped] {
        for words in [
            "no server `Cntoso`",
            "address `A@contoso.com` is defined twice",
            "queue `support` is defined twice",
            "no server `Fabrikam`",
        ] {
            assert_eq!(ran.stderr.matches(words).count(), 1, "{words}: {ran}");
        }
        assert!(!ran.stderr.contains("more problem"), "{ran}");
    }
    // Of very many only some are shown, and how many there are.
    let more: String = (0..60)
        .map(|i| {
            format!(
                "  - {{ name: q{i}, addresses: [{{ address: q{i}@contoso.com, server: x }}] }}\n"
            )
        })
        .collect();
    let ran = world
        .run(["config", "validate", "-"])
        .stdin(format!("{text}{more}"))
        .fails(78)
        .mentions("the file has 14 more problems");
    assert_eq!(ran.stderr.matches("error: ").count(), 50, "{ran}");
    // Other commands show the first.
    let ran = world.run(["queue", "list"]).fails(78);
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{ran}");
    ran.mentions("the file has 3 more problems");
}
