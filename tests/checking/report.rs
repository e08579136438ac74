//! `check --report`: what a person may give to a stranger.

use super::by_graph::office_by;
use super::{OBJECT_ID, SECRET, SUPPORT, office, rewrite};
use crate::standin::{GraphFault, ImapFault, SmtpAt, SmtpFault, TokenFault};
use crate::tokens::{CLIENT, Home, Ran};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A name that nobody else has.
const CANARIES: [&str; 12] = [
    "contoso",
    "support",
    "zqqueue",
    "zqserver",
    "zqsender",
    "zqfolder",
    "zqhost",
    "zqperson",
    "ceo@",
    "203.0.113.7",
    "08dc1234",
    "zqtext",
];

/// An office with names of its own, wherever one can be given.
fn named(home: Home) -> Home {
    rewrite(&home, "name: Contoso out", "name: zqsender");
    rewrite(
        &home,
        "outgoing_server: Contoso out",
        "outgoing_server: zqsender",
    );
    rewrite(&home, "name: Contoso\n", "name: zqserver\n");
    rewrite(&home, "app: Contoso\n", "app: zqserver\n");
    rewrite(&home, "server: Contoso\n", "server: zqserver\n");
    rewrite(&home, "name: support", "name: zqqueue");
    home.standin.add_folder(SUPPORT, "zqfolder");
    rewrite(
        &home,
        "        server: zqserver\n",
        "        server: zqserver\n        folders: [INBOX, zqfolder]\n",
    );
    home
}

/// Runs `check --report`, demands this exit code and that the report names nobody; gives it.
#[track_caller]
fn report(home: &Home, args: &[&str], code: i32) -> String {
    let path = home.path("report.txt");
    let path = path.to_str().unwrap();
    let args = [&["check", "--report", path], args].concat();
    let ran = Ran::from(home.command(&args).output().unwrap());
    assert_eq!(ran.code, code, "{}\n{}", ran.stdout, ran.stderr);
    let text = fs::read_to_string(path).unwrap();
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let standin = &home.standin;
    let mut private: Vec<String> = CANARIES.map(str::to_owned).into();
    private.extend([CLIENT, OBJECT_ID, SECRET, standin.tenant()].map(str::to_owned));
    private.extend(standin.tokens());
    private.extend(standin.secrets());
    let folders = [home.folder.path(), standin.ca_file().parent().unwrap()];
    private.extend(folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()));
    let ports = [
        standin.imap_port(),
        standin.smtp_port(),
        standin.login_port(),
    ];
    private.extend(ports.map(|port| port.to_string()));
    let lower = text.to_lowercase();
    for word in private {
        assert!(!lower.contains(&word.to_lowercase()), "{word:?} in\n{text}");
    }
    text
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_report_of_a_good_walk_tells_steps_and_what_servers_offer() {
    let home = named(office());
    let path = home.write("report.txt", "an older one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let text = report(&home, &[], 0);
    has(
        &text,
        &[
            concat!("queuemail ", env!("CARGO_PKG_VERSION")),
            "mailbox 1: an app signs in, app has a secret",
            "roles IMAP.AccessAsApp, SMTP.SendAsApp",
            "* OK The Microsoft Exchange IMAP4 service is ready. […]",
            "CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2",
            "IDLE NAMESPACE LITERAL+",
            "250-SIZE 1",
            "250-PIPELINING",
            "AUTH LOGIN XOAUTH2",
            "oauth < 200",
        ],
    );
    let passed = text.lines().filter(|line| line.starts_with("  passed"));
    assert!(passed.count() > 12, "{text}");
    assert!(!text.contains("an older one"));
    let left: Vec<_> = fs::read_dir(home.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_str().unwrap().starts_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_report_of_refusals_keeps_their_codes_alone() {
    let home = named(office());
    let faults = home.standin.faults();
    let text = "NO AUTHENTICATE failed. zqhost.eurprd01.prod.exchangelabs.com for zqperson";
    faults.imap_sign_in_next(9, ImapFault::Reply(text.into()));
    let reply = "535 5.7.139 Authentication unsuccessful, user is locked by zqtext. \
                 [zqhost.eurprd01.prod.exchangelabs.com 2026-11-23T08:00:00Z 08DC1234]";
    faults.smtp_next(9, SmtpAt::Auth, SmtpFault::Reply(reply.into()));
    let text = report(&home, &[], 77);
    has(
        &text,
        &[
            "failed       sign-in",
            "exit code 77, ImapRefusesApp",
            "server said: NO AUTHENTICATE failed.",
            "failed       smtp sign-in",
            "535 5.7.139 Authentication unsuccessful",
            "not reached  mailbox",
        ],
    );

    let home = named(office());
    let faults = home.standin.faults();
    faults.smtp_next(
        9,
        SmtpAt::Connect,
        SmtpFault::Reply(
            "554 5.2.0 zqhost.outlook.com STOREDRV.Submission.Exception zqtext for [203.0.113.7]"
                .into(),
        ),
    );
    has(&report(&home, &["--timeout", "5"], 69), &["554 5.2.0 …"]);

    for (code, exit) in [(700_016, 77), (7_000_222, 77), (53_003, 77)] {
        let home = named(office());
        home.standin
            .faults()
            .token_next(9, TokenFault::Aadsts(code));
        let text = report(&home, &[], exit);
        has(
            &text,
            &[&format!("AADSTS{code}"), "failed       token", "oauth < 40"],
        );
    }
}

#[test]
fn a_report_by_graph_keeps_status_and_code_alone() {
    let home = named(office_by("graph"));
    has(
        &report(&home, &[], 0),
        &["graph", "200", "roles Mail.ReadWrite, Mail.Send"],
    );
    let fault = GraphFault::Error(
        403,
        "ErrorAccessDenied",
        "zqtext: zqperson may not read zqhost",
        None,
    );
    home.standin.faults().graph.next(9, "", fault);
    has(
        &report(&home, &[], 77),
        &["403", "ErrorAccessDenied", "failed       "],
    );
    let text = report(&home, &["--boundary", "ceo@contoso.com"], 77);
    has(&text, &["closed mailbox 1"]);
}

#[test]
fn a_report_is_written_of_a_configuration_that_cannot_be_read() {
    let home = office();
    rewrite(
        &home,
        "authentication: oauth-service",
        "authentication: zqtext",
    );
    has(
        &report(&home, &[], 78),
        &[
            "configuration 1",
            "failed       configuration",
            "exit code 78",
        ],
    );
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let home = office();
    let ran = home.run(&["check", "--report", "/nonexistent/report.txt"]);
    assert_eq!(ran.code, 73, "{ran:?}");
    assert!(
        ran.stdout.contains("sign-in"),
        "the walk is shown all the same: {ran:?}"
    );
    ran.mentions("cannot write the report to `/nonexistent/report.txt`");
}
