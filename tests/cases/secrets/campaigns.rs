//! Every echo of every server, in every output.

use super::office::Office;
use super::{MESSAGE, PASSWORD, REPLY, SUPPORT, plain};
use crate::campaign::Campaign;
use crate::cases::fetch::receiver::{Receiver, Reply};
use crate::servers::proxy;
use crate::standin::{GraphFault, ImapFault, SmtpAt, SmtpFault, TokenFault};

#[derive(Clone, Copy, Debug)]
enum Echo {
    Token(u16, bool),
    ImapSignIn,
    Imap(u32),
    Smtp(u8, u16),
    Graph(u16),
}

const SMTP: [SmtpAt; 7] = [
    SmtpAt::Connect,
    SmtpAt::Ehlo,
    SmtpAt::Auth,
    SmtpAt::Mail,
    SmtpAt::Rcpt,
    SmtpAt::Data,
    SmtpAt::Dot,
];

const COMMANDS: [&[&str]; 12] = [
    &["fetch", "-vv"],
    &["fetch", "--json"],
    &["fetch", "--audit", "-v"],
    &["check", "-vv"],
    &["check", "--json"],
    &["send", "-t", "-vv"],
    &["send", "-t", "--json"],
    &["send", "-t", "--outbox"],
    &["outbox", "flush", "-vv"],
    &["status", "--check", "--json"],
    &["token", "get", "in", "--fresh", "-vv"],
    &["token", "get", "eva", "--fresh", "--json"],
];

fn echoes(via: &str) -> Vec<Echo> {
    let mut all = Vec::new();
    for status in [200, 400, 401, 403, 429, 500, 503] {
        all.extend([true, false].map(|json| Echo::Token(status, json)));
    }
    if via == "graph" {
        all.extend([400, 401, 403, 404, 410, 429, 500, 503].map(Echo::Graph));
        return all;
    }
    all.push(Echo::ImapSignIn);
    all.extend((1..8).map(Echo::Imap));
    for at in 0..SMTP.len() as u8 {
        all.extend([421, 451, 535, 550].map(|code| Echo::Smtp(at, code)));
    }
    all
}

impl Office {
    /// Runs a command while servers repeat what they are sent; true if one did.
    fn endures(&self, echo: Echo, args: &[&str]) -> bool {
        let faults = self.m365.faults();
        match echo {
            Echo::Token(status, json) => {
                faults.token_next(9, TokenFault::Echo { status, json });
            }
            Echo::ImapSignIn => faults.imap_sign_in_next(2, ImapFault::Echo),
            Echo::Imap(at) => faults.imap_at(at, ImapFault::Echo),
            Echo::Smtp(at, code) => {
                faults.smtp_next(3, SMTP[usize::from(at)], SmtpFault::Echo(code));
            }
            Echo::Graph(status) => faults.graph.next(9, "/", GraphFault::Echo(status)),
        }
        let before = self.m365.log().len();
        self.run_with(args, &[], if args[0] == "send" { REPLY } else { b"" });
        let log = self.m365.log();
        while faults.take_token().is_some() || faults.take_imap_sign_in().is_some() {}
        // A fault at a later command than the last one would strike the next run.
        (0..9).for_each(|_| drop(faults.take_imap()));
        faults.smtp_clear();
        faults.graph.heal();
        self.wait_no_more();
        log[before.min(log.len())..]
            .iter()
            .any(|line| line.contains("Echo"))
    }
}

#[test]
fn no_echo_is_in_any_output() {
    for via in ["imap", "graph"] {
        let mut campaign = Campaign::new(format!("secrets repeated by servers, {via}"));
        let office = Office::new();
        office.configure(via, &plain(), &format!("        password: '{PASSWORD}'\n"));
        assert_eq!(office.run(&["token", "get", "in"]), 0);
        assert_eq!(office.run(&["token", "get", "eva"]), 0);
        let places: Vec<(Echo, &[&str])> = echoes(via)
            .into_iter()
            .flat_map(|echo| COMMANDS.map(|args| (echo, args)))
            .collect();
        for (n, (echo, args)) in campaign.some_of(&places, 24).enumerate() {
            if office.endures(*echo, args) {
                campaign.fault();
            }
            if n % 50 == 49 {
                office.is_clean(&[]);
                office.written.lock().unwrap().clear();
            }
        }
        office.is_clean(&[]);
        campaign.end(3);
    }
}

const PASSPHRASE: &str = "cAnArY-passphrase of+the=key";
const PROXY: &str = "cAnArY-pr0xy-pass";
const AUTHORIZATION: &str = "Bearer cAnArY-auth0r1zes-posts";
const KEY: &str = "whsec_Y0FuQXJZLWtleS1vZi10aGUtd2ViaG9vay0zMi1vY3RldHMh";

/// Where the secret of the second kind is repeated, or does not fit.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Token(u16, bool),
    /// The proxy refuses with this status.
    Proxy(u16),
    /// The URL answers with this status.
    Webhook(u16),
    WrongPassphrase,
    /// A mistake in the line of a secret: what is in the place of what.
    Mistake(&'static str, &'static str),
}

/// An office whose app has a certificate with a passphrase, and which posts its mail to a URL.
fn office_with_the_rest() -> (Office, Receiver) {
    let office = Office::new();
    office.certificate(&["-passout", &format!("pass:{PASSPHRASE}")]);
    let home = office.world.home().display();
    let credential = format!(
        "certificate: {home}/cert.pem\n    private_key: {home}/key.pem\n    certificate_passphrase: '{PASSPHRASE}'"
    );
    let receiver = Receiver::plain(|_| Reply::ok());
    office.configure("imap", &credential, "");
    let deliver = format!("command:{home}/deliver");
    let config = office.world.config().replace(&deliver, &receiver.url());
    office.world.write_config(format!(
        "{config}webhooks:\n  - url: {}\n    secret: '{KEY}'\n    authorization: '{AUTHORIZATION}'\n",
        receiver.url()
    ));
    let secrets = [PASSPHRASE, PROXY, &AUTHORIZATION[7..], &KEY[6..]];
    office.m365.keep_secret(secrets.map(String::from));
    (office, receiver)
}

#[test]
fn passphrases_proxies_and_webhooks_are_in_no_output() {
    let mut campaign = Campaign::new("passphrase, proxy's password, webhook's secrets");
    let (office, receiver) = office_with_the_rest();
    let good = office.world.config();
    let (through, targets) = proxy::connect(None);
    let through = through.trim_start_matches("http://").to_owned();
    let refuses = [407, 403, 502].map(|status| (status, proxy::echo(status)));
    let mut troubles = vec![Trouble::None, Trouble::WrongPassphrase];
    troubles.extend([200, 400, 401, 503].map(|status| Trouble::Token(status, true)));
    troubles.extend([407, 403, 502].map(Trouble::Proxy));
    troubles.extend([301, 400, 401, 429, 500].map(Trouble::Webhook));
    troubles.extend(
        [
            ("certificate_passphrase: ", "certificate_password: "),
            ("certificate_passphrase: '", "certificate_passphrase: \""),
            ("certificate_passphrase: '", "certificate_passphrase: ['"),
            ("authorization: ", "authorisation: "),
            ("authorization: '", "authorization: {'"),
            ("    secret: ", "    key: "),
            ("    secret: '", "    secret: *"),
        ]
        .map(|(right, wrong)| Trouble::Mistake(right, wrong)),
    );
    let mut commands = COMMANDS.to_vec();
    commands.extend([
        &["config", "show", "--json"][..],
        &["config", "validate", "-vv"],
        &["server", "show", "in"],
        &["queue", "show", "support", "--json"],
        &[
            "server",
            "set",
            "in",
            "--imap",
            "imaps://localhost:1",
            "--yes",
        ],
    ]);
    let places: Vec<(Trouble, &[&str])> = troubles
        .into_iter()
        .flat_map(|trouble| commands.iter().map(move |args| (trouble, *args)))
        .collect();
    for (n, (trouble, args)) in campaign.some_of(&places, 30).enumerate() {
        let faults = office.m365.faults();
        let mut by = through.clone();
        let mut config = good.clone();
        receiver.behaves(|_| Reply::ok());
        match *trouble {
            Trouble::None => {}
            Trouble::Token(status, json) => {
                faults.token_next(9, TokenFault::Echo { status, json });
            }
            Trouble::Proxy(status) => {
                let of = refuses.iter().find(|(other, _)| *other == status);
                by.clone_from(&of.unwrap().1);
            }
            Trouble::Webhook(status) => receiver.behaves(move |post| {
                let said = format!("{:?}", post.fields);
                Reply::new(
                    &format!("{status} {said}"),
                    &format!("X: {said}\r\n"),
                    &said,
                )
            }),
            Trouble::WrongPassphrase => {
                let reversed: String = PASSPHRASE.chars().rev().collect();
                config = config.replace(PASSPHRASE, &reversed);
            }
            Trouble::Mistake(right, wrong) => {
                config = config.replace(right, wrong);
                assert_ne!(config, good, "{trouble:?}");
            }
        }
        office.world.write_config(config);
        office.world.chmod(&office.world.config_path(), 0o600);
        office.m365.deliver(SUPPORT, "INBOX", MESSAGE);
        let env = [("HTTPS_PROXY", format!("http://eva:{PROXY}@{by}"))];
        let env = [(env[0].0, env[0].1.as_str())];
        office.run_with(args, &env, if args[0] == "send" { REPLY } else { b"" });
        while faults.take_token().is_some() {}
        office.wait_no_more();
        campaign.fault();
        if n % 50 == 49 {
            office.is_clean(&["key.pem"]);
            office.written.lock().unwrap().clear();
        }
    }
    office.world.write_config(&good);
    office.world.chmod(&office.world.config_path(), 0o600);
    office.is_clean(&["key.pem"]);
    // The last trouble may have been the receiver's.
    receiver.behaves(|_| Reply::ok());
    let url = format!("http://eva:{PROXY}@{through}");
    for args in [
        &["token", "get", "in", "--fresh"][..],
        &["fetch", "support"],
    ] {
        let code = office.run_with(args, &[("HTTPS_PROXY", &url)], b"");
        let said = office.said_last();
        assert_eq!(code, 0, "{args:?} when all is well\n{said}");
    }
    assert!(
        !targets.lock().unwrap().is_empty(),
        "the proxy was not used"
    );
    let posts = receiver.posts();
    let post = posts.last().expect("nothing was posted");
    assert_eq!(post.field("authorization"), AUTHORIZATION);
    assert!(post.has("webhook-signature"));
    campaign.end(10);
}
