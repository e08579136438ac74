//! The three honest outcomes, and how they are told.

use super::{MESSAGE, SUPPORT, office, pipe};
use crate::standin::{SmtpAt, SmtpFault};
use std::sync::atomic::Ordering::SeqCst;

fn reply(text: &str) -> SmtpFault {
    SmtpFault::Reply(text.into())
}

#[test]
fn several_files_share_one_connection_and_one_token() {
    let home = office();
    let mut args = vec!["send".to_owned(), "-t".into(), "--json".into()];
    for n in 0..3 {
        let text = MESSAGE.replace("<1@", &format!("<{n}@"));
        let path = home.write(&format!("{n}.eml"), &text);
        args.extend(["--file".to_owned(), path.display().to_string()]);
    }
    home.write("1.eml", "Subject: x\nbroken\n");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = home.run(&args);
    assert_eq!(ran.code, 65, "{ran:?}");
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["outcome"], "accepted");
    assert_eq!(lines[1]["message_id"], "<2@contoso.com>");
    assert_eq!(lines[1]["server_message_id"], "<2@contoso.com>");
    assert_eq!(lines[2]["event"], "summary");
    assert_eq!(
        (&lines[2]["accepted"], &lines[2]["failed"]),
        (&2.into(), &1.into())
    );
    assert_eq!(home.standin.submitted().len(), 2);
    assert_eq!(home.asked(), 1);
    let auths = home
        .standin
        .log()
        .iter()
        .filter(|l| l.contains("AUTH XOAUTH2"))
        .count();
    assert!(auths <= 2, "one sign-in: {:?}", home.standin.log());
}

#[test]
fn both_message_ids_are_told() {
    let home = office();
    home.standin.faults().replace_message_id.store(true, SeqCst);
    let ran = pipe(&home, &["send", "-t", "-v"], MESSAGE.as_bytes()).succeeds();
    let used = &home.standin.submitted()[0].message_id_used;
    assert_eq!(ran.stdout, "");
    ran.mentions("accepted: Message-ID <1@contoso.com>, which the server replaced by <")
        .mentions(used);
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_recipient("b@example.com", "550 5.1.10 RESOLVER.ADR.RecipientNotFound");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(67)
        .mentions("refused 1 of 4 recipients")
        .mentions("server said: b@example.com: 550 5.1.10");
    faults.smtp_recipient("c@example.com", "452 4.5.3 Too many");
    faults.smtp_recipient("b@example.com", "452 4.5.3 Too many");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(75)
        .mentions("queuemail send -f support@contoso.com b@example.com c@example.com");
    let sent = home.standin.submitted();
    assert_eq!(
        sent[0].recipients,
        ["anna@example.com", "c@example.com", "secret@example.com"]
    );
    assert_eq!(
        sent[1].recipients,
        ["anna@example.com", "secret@example.com"]
    );
    pipe(&home, &["send", "b@example.com"], MESSAGE.as_bytes()).fails(75);
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn a_message_for_nobody_is_refused_whatever_the_server_says_to_it() {
    let home = office();
    let faults = home.standin.faults();
    for (said, code) in [
        ("550 5.1.10 RecipientNotFound", 67),
        ("450 4.2.1 later", 75),
    ] {
        faults.smtp_recipient("a@example.com", said);
        faults.smtp_next(1, SmtpAt::Dot, reply("250 2.0.0 OK"));
        pipe(&home, &["send", "a@example.com"], MESSAGE.as_bytes())
            .fails(code)
            .mentions("the server refused every recipient")
            .mentions(said)
            .hides("for the others");
    }
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn a_refusal_holds_though_the_connection_then_ends() {
    let home = office();
    let faults = home.standin.faults();
    let said = "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
    faults.smtp_next(1, SmtpAt::Mail, reply(said));
    faults.smtp_next(1, SmtpAt::Rcpt, SmtpFault::Close);
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(77)
        .mentions(said)
        .hides("may or may not have been accepted");
    // Nothing is decided: it stays unknown, but for whom the server refused before.
    faults.smtp_recipient("b@example.com", "550 5.1.10 RecipientNotFound");
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::Close);
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(76)
        .mentions("the server refused it before for: b@example.com");
}

#[test]
fn a_message_refused_is_refused_for_good_or_for_now() {
    let home = office();
    let faults = home.standin.faults();
    for (at, text, code) in [
        (
            SmtpAt::Dot,
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            69,
        ),
        (SmtpAt::Dot, "451 4.7.0 Temporary server error", 75),
        (
            SmtpAt::Mail,
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            77,
        ),
        (SmtpAt::Connect, "421 4.3.2 Service not active", 75),
        (
            SmtpAt::Auth,
            "432 4.3.2 Concurrent connections limit exceeded.",
            75,
        ),
        (SmtpAt::Auth, "535 5.7.3 Authentication unsuccessful", 77),
    ] {
        // Without the wait that the one before asked for, and without its token.
        let _ = std::fs::remove_dir_all(home.path("state"));
        faults.smtp_next(1, at, reply(text));
        pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
            .fails(code)
            .mentions(&format!("server said: {text}"));
    }
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn a_connection_that_breaks_after_the_end_is_unknown_and_never_repeated() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(76)
        .mentions("error: the connection broke after the transfer of the message; it may or may not have been accepted")
        .mentions("look for Message-ID <1@contoso.com> in Sent Items of `support@contoso.com`");
    assert_eq!(home.standin.submitted().len(), 1);
    // The same through BDAT.
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    let open = MESSAGE.replace('\n', "\r\n");
    let ran = pipe(&home, &["send", "-t", "--json"], open.trim_end().as_bytes());
    assert_eq!(ran.code, 76, "{ran:?}");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(object["outcome"], "unknown");
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn a_connection_that_breaks_before_the_end_is_for_later() {
    let home = office();
    home.standin.faults().smtp_close_in_data.store(100, SeqCst);
    let longer = MESSAGE.to_owned() + &"yyyyyyyyyyyyyyyyyyyy\n".repeat(600_000);
    let ran = pipe(&home, &["send", "-t"], longer.as_bytes());
    ran.fails(75)
        .mentions("the connection to `localhost` broke");
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn nothing_in_clear_is_believed() {
    let home = office();
    let faults = home.standin.faults();
    *faults.smtp_injection.lock().unwrap() = Some(b"250-x\r\n250 AUTH XOAUTH2\r\n".to_vec());
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(69)
        .mentions("before TLS after it agreed to STARTTLS");
    *faults.smtp_injection.lock().unwrap() = None;
    faults.smtp_no_starttls.store(true, SeqCst);
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(69)
        .mentions("does not offer STARTTLS");
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn a_trace_shows_the_dialogue_and_no_token() {
    let home = office();
    home.standin.faults().sasl_challenge.store(true, SeqCst);
    home.standin.set_smtp_disabled(SUPPORT, true);
    pipe(&home, &["send", "-t", "-vv"], MESSAGE.as_bytes())
        .fails(77)
        .mentions("C: AUTH XOAUTH2 (secret)")
        .hides("eyJhbGci")
        .hides("eyJ0eXAi")
        .hides("dXNlcj");
    home.standin.set_smtp_disabled(SUPPORT, false);
    pipe(&home, &["send", "-t", "-vv"], MESSAGE.as_bytes())
        .succeeds()
        .mentions("C: MAIL FROM:<support@contoso.com>")
        .mentions("S: 250 2.0.0 OK <1@contoso.com>")
        .hides("eyJ");
}

#[test]
fn a_permission_granted_since_counts_at_once() {
    let home = office();
    let faults = home.standin.faults();
    faults.no_roles.store(true, SeqCst);
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).fails(77);
    assert_eq!(
        home.asked(),
        1,
        "the token was new: another would be no better"
    );
    faults.no_roles.store(false, SeqCst);
    // The token of before is cached and lacks the role.
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(home.asked(), 2);
}

#[test]
fn the_goodbye_of_a_single_message_costs_no_round_trip() {
    let home = office();
    let ran = pipe(&home, &["send", "-t", "-vv"], MESSAGE.as_bytes()).succeeds();
    let place = |text: &str| {
        ran.stderr
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", ran.stderr))
    };
    assert!(place("C: QUIT") < place("S: 250 2.0.0 OK <1@contoso.com>"));
    assert!(place("S: 250 2.0.0 OK <1@contoso.com>") < place("S: 221"));
    // Of several messages the first must not say it.
    let file = home.write("m.eml", MESSAGE);
    let file = file.to_str().unwrap();
    home.run(&["send", "-t", "--file", file, "--file", file])
        .succeeds();
    // Where commands may not be sent together, it waits.
    *home.standin.faults().smtp_without.lock().unwrap() = vec!["PIPELINING".into()];
    let ran = pipe(&home, &["send", "-t", "-vv"], MESSAGE.as_bytes()).succeeds();
    let place = |text: &str| ran.stderr.find(text).unwrap();
    assert!(place("C: QUIT") > place("S: 250 2.0.0 OK <1@contoso.com>"));
    assert_eq!(home.standin.submitted().len(), 4);
}

/// Either all files are there, or nothing is sent: whoever repeats the command sends nothing twice.
#[test]
fn a_file_that_is_missing_is_found_before_anything_is_sent() {
    let home = office();
    let good = home.write("good.eml", MESSAGE);
    let good = good.to_str().unwrap();
    let folder = home.path("");
    for (bad, why) in [
        ("missing.eml", "cannot read `missing.eml`: No such file"),
        (folder.to_str().unwrap(), "--maildir FOLDER"),
    ] {
        for args in [
            ["--file", good, "--file", bad],
            ["--file", bad, "--file", good],
        ] {
            let ran = home.run(&[&["send", "-t"][..], &args].concat());
            assert_eq!(ran.code, 64, "{ran:?}");
            ran.mentions(why);
            assert_eq!(home.standin.submitted().len(), 0, "{args:?}");
        }
    }
    let ran = pipe(&home, &["send", "-t", "--file", "-", "--mbox", "-"], b"");
    assert_eq!(ran.code, 64, "{ran:?}");
    ran.mentions("standard input can be read only once");
    let args = [
        "send",
        "--subject",
        "x",
        "--text",
        "-",
        "--attach",
        "-",
        "--to",
        "a@customer.example",
        "-f",
        "support@contoso.com",
    ];
    let ran = pipe(&home, &args, b"");
    assert_eq!(ran.code, 64, "{ran:?}");
    ran.mentions("only one of --text, --html and --attach");
    let mbox = format!("From a Thu Jan  1 00:00:00 1970\n{MESSAGE}");
    pipe(&home, &["send", "-t", "--mbox", "-"], mbox.as_bytes()).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
}
