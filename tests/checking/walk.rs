//! The walk itself: what it shows, that it changes nothing, and that it goes on after a cross.

use super::{SUPPORT, check, office, office_with, rewrite, same_each_run, steps};
use crate::standin::TokenFault;
use crate::tokens::{CLIENT, Home, Ran};
use std::collections::BTreeMap;

/// All files below a folder, with their content.
fn files(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(format!("{}/", path.display()), Vec::new());
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// `✓ name 3 ms detail` without the time.
fn lines(home: &Home, text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut words: Vec<&str> = match words.iter().position(|w| *w == "ms") {
                Some(at) => [&words[..at - 1], &words[at + 1..]].concat(),
                None => words,
            };
            // Addresses of localhost, and the days of a certificate.
            if let Some(at) = words.iter().position(|w| *w == "localhost:") {
                words.truncate(at + 1);
            }
            if let Some(at) = words.iter().position(|w| *w == "expires") {
                words.truncate(at + 1);
            }
            if let Some(at) = words.iter().position(|w| w.starts_with("127.0.0.1:")) {
                words.truncate(at);
            }
            same_each_run(home, &words.join(" "))
        })
        .collect()
}

#[test]
fn every_step_is_shown_and_nothing_changed() {
    let home = office_with("", "", "after_fetch: move:Done");
    home.standin
        .deliver(SUPPORT, "INBOX", b"Subject: hello\r\n\r\n");
    let before = files(home.folder.path());
    let ran = home.run(&["check"]).succeeds();
    assert_eq!(ran.stderr, "");
    let expected = "\
support@contoso.com (queue support)
ok configuration server Contoso (imaps://localhost:993)
ok files a secret, 1 file can be read
ok token as the app
ok claims for Exchange Online: IMAP, POP and SMTP; roles IMAP.AccessAsApp, SMTP.SendAsApp; tenant 11111111-2222-3333-4444-555555555555; app 22222222-3333-4444-5555-666666666666; valid for 59 min
ok name localhost:
ok connection
ok tls certificate expires
ok sign-in as support@contoso.com
ok mailbox INBOX contains 1 message
ok folders INBOX (1 message, which the first fetch delivers)
ok rights to move to Done, which the first fetch will create
ok delivery maildir HOME/mail: will be created
ok outgoing server Contoso out (smtp://localhost:587)
ok smtp token as the app
ok smtp claims for Exchange Online: IMAP, POP and SMTP; roles IMAP.AccessAsApp, SMTP.SendAsApp; tenant 11111111-2222-3333-4444-555555555555; app 22222222-3333-4444-5555-666666666666; valid for 59 min
ok smtp name localhost:
ok smtp connection
ok smtp tls certificate expires
ok smtp sign-in as support@contoso.com
ok send-as it sends as its own address";
    assert_eq!(
        lines(&home, &ran.stdout),
        expected.lines().collect::<Vec<_>>()
    );
    // Beside the state, which keeps the token, nothing is other than before.
    let mut after = files(home.folder.path());
    after.retain(|name, _| !name.contains("/state"));
    assert_eq!(before, after);
    let messages = home.standin.messages(SUPPORT, "INBOX");
    assert!(
        messages[0].flags.iter().all(|f| f == "\\Recent"),
        "{messages:?}"
    );
    assert!(!home.standin.folders(SUPPORT).contains(&"Done".to_owned()));
    assert!(home.standin.submitted().is_empty());
    for line in home
        .standin
        .log()
        .iter()
        .filter(|line| line.contains(" < "))
    {
        for command in [
            "STORE", "EXPUNGE", "MOVE", "CREATE", "APPEND", "MAIL", "DATA",
        ] {
            assert!(!line.contains(&format!(" {command} ")), "{line}");
        }
    }
    let quiet = home.run(&["check", "-q"]).succeeds();
    assert_eq!(quiet.stdout, "", "all is well");
}

#[test]
fn marks_are_those_of_the_terminal() {
    let home = office();
    home.standin.revoke(CLIENT, SUPPORT);
    let run = |args: &[&str], locale: &str| {
        let mut command = home.command(args);
        command.env("LC_ALL", locale);
        Ran::from(command.output().unwrap())
    };
    let utf8 = run(&["check"], "C.UTF-8");
    assert_eq!(utf8.code, 77);
    assert_eq!(utf8.stderr, "", "the walk says it all");
    assert!(utf8.stdout.contains("\n  ✓ sign-in"), "{}", utf8.stdout);
    assert!(utf8.stdout.contains("\n  ✗ mailbox"), "{}", utf8.stdout);
    assert!(utf8.stdout.contains("\n  - rights"), "{}", utf8.stdout);
    assert!(!utf8.stdout.contains('\x1b'), "{}", utf8.stdout);
    assert!(run(&["check"], "C").stdout.is_ascii());
    let colored = run(&["check", "--color", "always"], "C.UTF-8").stdout;
    assert!(colored.contains("\x1b[31m✗\x1b[0m mailbox"), "{colored}");
    let more = run(&["check", "-v"], "C.UTF-8").stdout;
    assert!(more.contains("hint: "), "{more}");
}

#[test]
fn a_cross_in_reading_does_not_hide_one_in_sending() {
    let home = office();
    home.standin.set_smtp_disabled(SUPPORT, true);
    home.standin.revoke(CLIENT, SUPPORT);
    let json = check(&home, &[], 77);
    let failed: Vec<&str> = steps(&json)
        .iter()
        .filter(|step| step["result"] == "failed")
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["mailbox", "smtp sign-in"]);
}

#[test]
fn many_mailboxes_are_walked_at_a_time_and_told_in_order() {
    const MANY: usize = 24;
    let home = office();
    let mut text = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    for n in 1..MANY {
        let address = format!("box{n}@contoso.com");
        home.standin.add_mailbox(&address);
        home.standin.grant(CLIENT, &address);
        text += &format!(
            "      - address: {address}\n        server: Contoso\n        deliver: stdout\n"
        );
    }
    home.write("config.yaml", &text);
    let json = check(&home, &[], 0);
    let names: Vec<&str> = json["checked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = std::iter::once(SUPPORT.to_owned())
        .chain((1..MANY).map(|n| format!("box{n}@contoso.com")))
        .collect();
    assert_eq!(names, expected);
    // One token for reading and sending, of one scope: not one for each mailbox.
    assert_eq!(home.asked(), 1);
}

#[test]
fn a_broken_configuration_is_the_first_cross() {
    let home = office();
    rewrite(&home, "tenant:", "tenat:");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 78);
    assert!(ran.stdout.contains("NO configuration"), "{}", ran.stdout);
    assert!(ran.stdout.contains("unknown key `tenat`"), "{}", ran.stdout);
    let verdict = "column 5\n      did you mean `tenant`?\n      fix: ";
    assert!(ran.stdout.contains(verdict), "{}", ran.stdout);
}

#[test]
fn a_server_that_nobody_uses_yet_is_walked_to_its_token() {
    let home = office();
    let text = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let (servers, _) = text.split_once("queues:").unwrap();
    home.write("config.yaml", servers);
    let json = check(&home, &[], 0);
    assert_eq!(json["checked"][0]["title"], "incoming server Contoso");
    assert_eq!(json["checked"][1]["title"], "outgoing server Contoso out");
    home.standin
        .faults()
        .token_next(5, TokenFault::Aadsts(7000222));
    let json = check(&home, &["Contoso"], 77);
    assert_eq!(super::first_cross(&json)["step"], "token");
}

#[test]
fn an_unknown_name_is_a_mistake_of_the_command_line() {
    office()
        .run(&["check", "suport"])
        .fails(64)
        .mentions("error: no queue, address or server named `suport`")
        .mentions("hint: did you mean `support`?");
}

/// A wrong password is not tried again by each check, lest the account be locked.
#[test]
fn a_refused_password_is_not_tried_again() {
    let home = super::person();
    rewrite(&home, "password: right", "password: wrong");
    check(&home, &[], 77);
    let asked = home.asked();
    check(&home, &[], 77);
    assert_eq!(home.asked(), asked);
}

/// An outgoing server that signs in as an incoming one has no secret of its own to be set.
#[test]
fn a_wrong_secret_is_set_where_it_is_kept() {
    let home = office();
    rewrite(&home, super::SECRET, "another");
    let json = check(&home, &[], 77);
    let sentences: Vec<&str> = steps(&json)
        .iter()
        .filter_map(|step| step["verdict"]["sentence"].as_str())
        .collect();
    assert_eq!(sentences.len(), 2, "{sentences:#?}");
    for sentence in sentences {
        assert!(
            sentence.contains("queuemail server set Contoso --secret-stdin"),
            "{sentence}"
        );
    }
}
