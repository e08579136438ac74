//! What callers of sendmail rely on, and who may send.

use super::{MESSAGE, SUPPORT, configure, office, office_through, pipe};
use crate::standin::Standin;
use crate::tokens::Ran;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

#[test]
fn a_piped_message_goes_out_as_it_was_but_for_bcc_and_in_silence() {
    let home = office();
    let ran = pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].mailbox, SUPPORT);
    assert_eq!(sent[0].from, SUPPORT);
    assert_eq!(
        sent[0].recipients,
        [
            "anna@example.com",
            "b@example.com",
            "c@example.com",
            "secret@example.com"
        ]
    );
    let want = MESSAGE
        .replace("Bcc: secret@example.com\n", "")
        .replace('\n', "\r\n");
    assert_eq!(String::from_utf8_lossy(&sent[0].bytes), want);
}

#[test]
fn implicit_tls_serves_as_well() {
    let home = office_through(Standin::smtps_url);
    pipe(&home, &["send", "a@example.com"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(home.standin.submitted()[0].recipients, ["a@example.com"]);
}

#[test]
fn called_as_sendmail_it_takes_the_usual_flags() {
    let home = office();
    let link = home.path("sendmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_queuemail"), &link).unwrap();
    // What cron, PHP, git send-email and mutt call.
    for args in [
        &[
            "-FCronDaemon",
            "-i",
            "-odi",
            "-oem",
            "-oi",
            "-t",
            "-f",
            SUPPORT,
        ][..],
        &["-t", "-i"],
        &["-i", "a@example.com", "b@example.com"],
        &[
            "-oem",
            "-oi",
            "-f",
            SUPPORT,
            "-B8BITMIME",
            "-N",
            "failure,delay",
            "-R",
            "hdrs",
            "--",
            "a@example.com",
        ],
        &[
            "-bm",
            "-oi",
            "-tr",
            SUPPORT,
            "-Ac",
            "-OTimeout=1m",
            "-Lcron",
            "-V",
            "id+1",
        ],
    ] {
        let mut command = home.command(args);
        let mut command = {
            let mut other = std::process::Command::new(&link);
            other.args(args).env_clear();
            other.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
            std::mem::swap(&mut command, &mut other);
            command
        };
        let message = home.write("message", MESSAGE);
        command.stdin(std::fs::File::open(message).unwrap());
        let ran = Ran::from(command.output().unwrap()).succeeds();
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{args:?}"
        );
    }
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 5);
    assert!(sent[3].mail_parameters.iter().any(|p| p == "RET=HDRS"));
    assert!(
        sent[3].recipient_parameters[0]
            .iter()
            .any(|p| p == "NOTIFY=FAILURE,DELAY")
    );
    assert!(sent[4].mail_parameters.iter().any(|p| p == "ENVID=id+2B1"));
}

#[test]
fn an_old_flag_never_makes_a_message_vanish() {
    let home = office();
    let message = home.write("message", MESSAGE);
    let as_sendmail = |args: &[&str]| {
        let mut command = home.command(args);
        command.arg0("/usr/sbin/sendmail");
        command.stdin(std::fs::File::open(&message).unwrap());
        Ran::from(command.output().unwrap())
    };
    // A hop count, once read as a wish for help: the message was gone, and the caller content.
    for args in [
        &["-h", "3", "-t"][..],
        &["-h3", "-t"],
        &["-X", "/nonexistent/log", "-t"],
    ] {
        let ran = as_sendmail(args).succeeds();
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{args:?}"
        );
    }
    assert_eq!(home.standin.submitted().len(), 3);
    let help = as_sendmail(&["-h"]).succeeds();
    assert!(
        help.stdout.contains("Usage: queuemail send "),
        "{}",
        help.stdout
    );
    // What else real callers pass.
    for args in [
        &["-em", "-t"][..],
        &["-C", "/etc/mail/submit.cf", "-t"],
        &["-I", "-x", "-t"],
    ] {
        let ran = as_sendmail(args).succeeds();
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{args:?}"
        );
    }
    assert_eq!(home.standin.submitted().len(), 6);
}

#[test]
fn an_empty_sender_counts_as_none() {
    let home = office();
    let as_sendmail = |args: &[&str], message: &str| {
        let message = home.write("message", message);
        let mut command = home.command(args);
        command.arg0("sendmail");
        command.stdin(std::fs::File::open(message).unwrap());
        Ran::from(command.output().unwrap())
    };
    const FLAGS: [&[&str]; 5] = [
        &["-f", "<>"],
        &["-f<>"],
        &["-f", ""],
        &["-r", "<>"],
        &["-f", " "],
    ];
    for flags in FLAGS {
        as_sendmail(&[flags, &["a@example.com"]].concat(), MESSAGE).succeeds();
    }
    let cron = "From: \"(Cron Daemon)\" <root>\nTo: a@example.com\nSubject: Cron\n\nfailed\n";
    for (message, words) in [
        (cron, "`defaults: { sender"),
        ("Subject: x\n\n", "`defaults: { sender"),
    ] {
        as_sendmail(&["-f", "<>", "a@example.com"], message).mentions(words);
    }
    assert_eq!(home.standin.submitted().len(), 5);
    configure(&home, "defaults:", "  sender: billing@contoso.com");
    for flags in FLAGS {
        as_sendmail(&[flags, &["-t"]].concat(), cron).succeeds();
    }
    let sent = home.standin.submitted();
    let senders: Vec<_> = sent.iter().map(|s| s.from.as_str()).collect();
    assert_eq!(senders, [[SUPPORT; 5], ["billing@contoso.com"; 5]].concat());
    // A message that is written here has no From of its own.
    let args = ["send", "-f", "", "--to", "a@example.com", "--subject", "x"];
    home.run(&args).succeeds();
    assert_eq!(home.standin.submitted()[10].from, "billing@contoso.com");
}

#[test]
fn from_names_who_may_send_unless_the_address_may_send_for_anybody() {
    let home = office();
    let message = |from: &str| MESSAGE.replace("Support <support@contoso.com>", from);
    let args = ["send", "-t", "-f", SUPPORT];
    for from in [
        "boss@example.com",
        "support@contoso.com, Boss <reads@contoso.com>",
    ] {
        pipe(&home, &args, message(from).as_bytes())
            .fails(77)
            .mentions("`support@contoso.com` may not send for others")
            .mentions("any_from: true");
        pipe(
            &home,
            &[&args[..], &["--outbox"]].concat(),
            message(from).as_bytes(),
        )
        .fails(77);
    }
    // Of who resends it says nothing either.
    let resent = format!("Resent-From: {SUPPORT}\n{}", message("boss@example.com"));
    pipe(&home, &["send", "a@example.com"], resent.as_bytes()).fails(77);
    assert!(home.standin.log().is_empty(), "{:?}", home.standin.log());
    for author in ["billing@contoso.com", "boss@example.com"] {
        home.standin.grant_send_as(SUPPORT, author);
    }
    pipe(&home, &args, message("billing@contoso.com").as_bytes()).succeeds();
    // Nobody can answer who is of this machine: the sender stands in, under their name.
    pipe(&home, &args, message("root (Cron Daemon)").as_bytes()).succeeds();
    let sent = home.standin.submitted();
    let text = String::from_utf8_lossy(&sent[1].bytes);
    assert!(
        text.contains("From: \"Cron Daemon\" <support@contoso.com>\r\n"),
        "{text}"
    );
    // Without knowing whom it names there is nothing to compare.
    let unreadable = message("Boss <boss@example.com> and others");
    pipe(&home, &args, unreadable.as_bytes())
        .fails(65)
        .mentions("cannot read the field `From`");
    configure(&home, "outgoing_server: out", "        any_from: true");
    pipe(&home, &args, message("boss@example.com").as_bytes()).succeeds();
    pipe(&home, &["send", "a@example.com"], resent.as_bytes()).succeeds();
    let other = ["send", "-t", "-f", "billing@contoso.com"];
    pipe(&home, &other, message("boss@example.com").as_bytes()).fails(77);
    assert_eq!(home.standin.submitted().len(), 4);
}

#[test]
fn a_name_in_an_old_encoding_keeps_nobody_from_a_message() {
    let home = office();
    let text =
        b"From: support@contoso.com\nTo: J\xf6rg <a@example.com>\nSubject: gr\xfc\xdfe\n\nx\n";
    pipe(&home, &["send", "-t"], text).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(sent[0].recipients, ["a@example.com"]);
    assert!(sent[0].bytes.windows(5).any(|w| w == b"J\xf6rg "));
}

#[test]
fn by_any_other_name_it_stays_itself() {
    let home = office();
    let mut command = home.command(&[]);
    command.arg0("/usr/bin/mailq").stdin(Stdio::null());
    let ran = Ran::from(command.output().unwrap()).succeeds();
    assert_eq!(ran.stdout, "", "the outbox is empty");
    home.run(&["-t"]).fails(64);
    home.run(&["send", "-bd"])
        .fails(64)
        .mentions("`-bd` would run as a mail server");
}

#[test]
fn a_line_with_a_dot_ends_the_message_unless_told_otherwise() {
    let home = office();
    let message = format!("{MESSAGE}.\nmore\n");
    pipe(&home, &["send", "-t"], message.as_bytes())
        .succeeds()
        .mentions(
            "warning: the message ends at a line with a single dot; 5 bytes after it are not sent",
        );
    pipe(&home, &["send", "-t", "-i"], message.as_bytes()).succeeds();
    pipe(&home, &["send", "-t", "-oi"], message.as_bytes()).succeeds();
    let file = home.write("message", &message);
    home.run(&["send", "-t", "--file", file.to_str().unwrap()])
        .succeeds();
    let ends = [true, false, false, false];
    for (sent, ends) in home.standin.submitted().iter().zip(ends) {
        assert_eq!(sent.bytes.ends_with(b"dots\r\n"), ends);
        assert_eq!(sent.bytes.ends_with(b"dots\r\n.\r\nmore\r\n"), !ends);
    }
    assert_eq!(home.standin.submitted().len(), 4);
}

#[test]
fn what_a_bare_text_lacks_is_added() {
    let home = office();
    let args = ["send", "-F", "J\u{f6}rg", "-f", SUPPORT, "a@example.com"];
    pipe(&home, &args, b"disk full\n").succeeds();
    let text = String::from_utf8(home.standin.submitted()[0].bytes.clone()).unwrap();
    assert!(text.starts_with("From: =?utf-8?"), "{text}");
    assert!(
        text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <"),
        "{text}"
    );
    assert!(
        text.ends_with("@contoso.com>\r\n\r\ndisk full\r\n"),
        "{text}"
    );
}

#[test]
fn octets_that_are_no_lines_arrive_as_they_are_or_not_at_all() {
    let home = office();
    let whole = MESSAGE.replace('\n', "\r\n");
    let open = whole.trim_end().as_bytes().to_vec();
    pipe(&home, &["send", "-t"], &open).succeeds();
    let latin = [whole.as_bytes(), b"gr\xfc\xdfe\r\n"].concat();
    pipe(&home, &["send", "-t"], &latin).succeeds();
    let sent = home.standin.submitted();
    assert!(sent[0].bytes.ends_with(b"\r\n..dots"));
    assert!(sent[1].bytes.ends_with(b"gr\xfc\xdfe\r\n"));
    assert!(sent[1].mail_parameters.iter().any(|p| p == "BODY=8BITMIME"));
    *home.standin.faults().smtp_without.lock().unwrap() = vec!["CHUNKING".into()];
    pipe(&home, &["send", "-t"], &open)
        .fails(65)
        .mentions("the last line of the message has no line end");
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn a_sender_that_no_queue_allows_is_refused_before_anything_is_connected() {
    let home = office();
    for (from, code, words) in [
        (
            "who@contoso.com",
            69,
            "no queue has the sender `who@contoso.com`",
        ),
        ("root", 69, "no queue has the sender `root`"),
        (
            "reads@contoso.com",
            69,
            "may not be used as a sender (queue `support`)",
        ),
        (
            "closed@contoso.com",
            78,
            "outgoing server `closed` is disabled",
        ),
    ] {
        pipe(&home, &["send", "-t", "-f", from], MESSAGE.as_bytes())
            .fails(code)
            .mentions(words);
    }
    pipe(
        &home,
        &["send", "-t", "-f", "who@contoso.com"],
        MESSAGE.as_bytes(),
    )
    .fails(69)
    .mentions("senders in the file: support@contoso.com, billing@contoso.com");
    assert_eq!(home.asked(), 0);
    assert!(home.standin.log().is_empty(), "{:?}", home.standin.log());
}

#[test]
fn what_cannot_be_read_is_refused_and_loses_nobody() {
    let home = office();
    for (message, args, code, words) in [
        (
            "From: support@contoso.com\nTo: a@example.com b@example.com\n\n",
            &["-t"][..],
            65,
            "cannot read the field `To`",
        ),
        (
            "From: support@contoso.com\nTo: root\n\n",
            &["-t"],
            67,
            "`root` is not a full e-mail address",
        ),
        (
            "From: support@contoso.com\n\n",
            &["-t"],
            67,
            "has no recipient",
        ),
        (MESSAGE, &[], 67, "has no recipient"),
        (
            "\u{feff}From: support@contoso.com\nTo: a@example.com\n\n",
            &["-t"],
            65,
            "byte order mark",
        ),
        ("F\0r\0o\0m\0:\0", &["-t"], 65, "the message is in UTF-16"),
        (
            "From: support@contoso.com\rTo: a@example.com\r\rx\r",
            &["-t"],
            65,
            "the lines of the message end in CR alone",
        ),
        (
            "\nFrom: support@contoso.com\nTo: a@example.com\n\nx\n",
            &["-t"],
            65,
            "the message begins with an empty line",
        ),
        (
            "\nhello\n",
            &["-t"],
            65,
            "the header of the message names no recipient: it begins with an empty line",
        ),
        (
            "hello\n",
            &["-t"],
            65,
            "its first line is not a header field: `hello`",
        ),
        ("Subject: x\n\n", &["a@example.com"], 65, "no From field"),
        (
            "Subject: x\noops\n",
            &["a@example.com"],
            65,
            "line 2 of the message",
        ),
        ("", &["a@example.com"], 65, "the message is empty"),
        (
            MESSAGE,
            &["a@example.com\r\nRCPT TO:<b@example.com>"],
            64,
            "cannot read the recipient",
        ),
        (MESSAGE, &["-N", "always", "a@example.com"], 64, "use never"),
    ] {
        let args = [&["send"], args].concat();
        pipe(&home, &args, message.as_bytes())
            .fails(code)
            .mentions(words);
    }
    assert!(home.standin.log().is_empty());
}

#[test]
fn a_dry_run_tells_and_sends_nothing() {
    let home = office();
    let ran = pipe(&home, &["send", "-t", "--dry-run"], MESSAGE.as_bytes()).succeeds();
    let url = home.standin.smtp_url();
    for words in [
        "to anna@example.com, b@example.com, c@example.com, secret@example.com",
        &format!("through out: {url} as support@contoso.com"),
        "Message-ID <1@contoso.com>",
        "config.yaml",
    ] {
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    }
    let ran = pipe(
        &home,
        &["send", "-t", "--dry-run", "--json"],
        MESSAGE.as_bytes(),
    )
    .succeeds();
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let lines = MESSAGE
        .lines()
        .filter(|l| !l.starts_with("Bcc"))
        .map(|l| l.len() + 2);
    assert_eq!(object["size"], lines.sum::<usize>());
    assert_eq!(home.asked(), 0);
    assert!(home.standin.log().is_empty());
}
