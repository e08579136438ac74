//! What cannot leave now is kept, sent later, reported or decided about; never lost, and never
//! sent twice without saying so.

use super::{MESSAGE, SUPPORT, change_state, later, office, outbox, pipe};
use crate::patience::until;
use crate::standin::{Gate, SmtpAt, SmtpFault};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;

fn reply(text: &str) -> SmtpFault {
    SmtpFault::Reply(text.into())
}

const AWAY: &str = "421 4.3.2 Service not active";

#[test]
fn what_cannot_leave_now_is_kept_and_leaves_later() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Connect, reply(AWAY));
    let ran = pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let kept = outbox(&home);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["state"], "waiting");
    assert_eq!(kept[0]["message_id"], "<1@contoso.com>");
    assert!(
        kept[0]["reason"].as_str().unwrap().contains(AWAY),
        "{kept:?}"
    );
    // Not before its time.
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 0);
    let shown = home.run(&["outbox", "show", "1", "--raw"]).succeeds();
    later(&home);
    let json = home.run(&["--json", "outbox", "show", "1"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let file = fs::read(json["file"].as_str().unwrap()).unwrap();
    assert_eq!(
        file,
        shown.stdout.as_bytes(),
        "JSON tells the file as text does"
    );
    let ran = home.run(&["outbox", "flush"]).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].bytes, shown.stdout.as_bytes());
    assert_eq!(sent[0].recipients.len(), 4);
    assert!(outbox(&home).is_empty());
    assert_eq!(fs::read_dir(home.path("state/outbox")).unwrap().count(), 0);
    home.run(&["outbox", "show", "1"])
        .fails(64)
        .mentions("the outbox is empty");
}

#[test]
fn what_leaves_at_once_is_not_kept_and_what_is_refused_is_told() {
    let home = office();
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Dot, reply("554 5.6.0 no"));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes())
        .fails(69)
        .mentions("server said: 554 5.6.0 no");
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 1);
}

/// A flush that another is started for is merged into the one that runs: it sees to all.
#[test]
fn what_comes_in_during_a_flush_leaves_with_it() {
    let home = office();
    let keep = || {
        let script = format!(
            "EHLO x\r\nMAIL FROM:<{SUPPORT}>\r\nRCPT TO:<anna@example.com>\r\nDATA\r\n{}.\r\n",
            MESSAGE.replace('\n', "\r\n")
        );
        pipe(&home, &["send", "--smtp-session"], script.as_bytes()).succeeds();
    };
    keep();
    let gate = Gate::default();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Dot, SmtpFault::Hold(gate.way()));
    let mut flush = home.command(&["outbox", "flush"]).spawn().unwrap();
    until("it is being sent", || {
        outbox(&home)[0]["state"] == "sending"
    });
    keep();
    gate.open();
    assert!(flush.wait().unwrap().success());
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn as_sendmail_a_bare_q_flushes() {
    use std::os::unix::process::CommandExt;
    let home = office();
    for flag in ["-q", "-q15m"] {
        home.standin
            .faults()
            .smtp_next(1, SmtpAt::Dot, reply("451 4.3.0 later"));
        pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
        assert_eq!(outbox(&home).len(), 1);
        later(&home);
        let mut command = home.command(&[flag]);
        command.arg0("sendmail").stdin(std::process::Stdio::null());
        let ran = crate::tokens::Ran::from(command.output().unwrap()).succeeds();
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{flag}"
        );
        assert!(outbox(&home).is_empty());
    }
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn an_expired_secret_loses_nothing() {
    let home = office();
    home.standin.faults().smtp_next(
        9,
        SmtpAt::Auth,
        reply("535 5.7.3 Authentication unsuccessful"),
    );
    let ran = pipe(
        &home,
        &["send", "-t", "--outbox", "--json"],
        MESSAGE.as_bytes(),
    )
    .succeeds();
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&told["outcome"], &told["outbox_id"]),
        (&"kept".into(), &1.into())
    );
    later(&home);
    home.run(&["outbox", "flush"])
        .fails(77)
        .mentions("535 5.7.3");
    assert_eq!(outbox(&home)[0]["attempts"], 2);
}

#[test]
fn each_recipient_has_its_own_fate() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_recipient("b@example.com", "550 5.1.10 RecipientNotFound");
    faults.smtp_recipient("c@example.com", "452 4.2.2 Mailbox full");
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes())
        .fails(67)
        .mentions("b@example.com: 550 5.1.10")
        .mentions("refused 1 of 4 recipients; for the others it is accepted or kept")
        .hides("queuemail send -f");
    let kept = outbox(&home);
    assert_eq!(kept[0]["to"], serde_json::json!(["c@example.com"]));
    assert_eq!(
        kept[0]["refused"],
        serde_json::json!([]),
        "the caller knows of b"
    );
    // Refused for good when nobody waits for it: the queue gets a report.
    faults.smtp_recipient("c@example.com", "550 5.2.1 Mailbox disabled");
    later(&home);
    home.run(&["outbox", "flush"]).fails(69).mentions("5.2.1");
    assert!(outbox(&home).is_empty());
    let report = the_report(&home);
    assert!(
        report.contains(
            "Final-Recipient: rfc822; c@example.com\r\nAction: failed\r\nStatus: 5.2.1\r\n"
        ),
        "{report}"
    );
    assert!(report.contains("Diagnostic-Code: smtp; 550 5.2.1 Mailbox disabled"));
    assert!(!report.contains("b@example.com\r\nAction"));
    assert_eq!(home.standin.submitted().len(), 1);
}

fn the_report(home: &crate::tokens::Home) -> String {
    let files: Vec<_> = fs::read_dir(home.path("mail/support/new"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read_to_string(&files[0]).unwrap()
}

#[test]
fn after_five_days_the_queue_of_the_sender_gets_a_report() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(9, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    // Four days and many attempts are not enough, nor are five days and one.
    for (days, attempts) in [(4, 40), (6, 1), (20_000, 1)] {
        change_state(
            &home,
            &format!(
                "UPDATE outbox SET kept_at = unixepoch() - {days} * 86400, attempts = {attempts}"
            ),
        );
        later(&home);
        home.run(&["outbox", "flush"]).fails(75).mentions(AWAY);
        assert_eq!(outbox(&home)[0]["state"], "waiting", "{days}");
    }
    change_state(
        &home,
        "UPDATE outbox SET kept_at = unixepoch() - 5 * 86400, attempts = 20",
    );
    later(&home);
    home.run(&["outbox", "flush"]).fails(75).mentions(AWAY);
    assert!(outbox(&home).is_empty());
    let report = the_report(&home);
    for words in [
        "Content-Type: multipart/report; report-type=delivery-status;",
        "To: <support@contoso.com>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Final-Recipient: rfc822; secret@example.com\r\nAction: failed\r\n",
        "text/rfc822-headers",
        "Subject: Re: order\r\n",
        "five days without success",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    assert!(!report.contains("..dots"), "the header only");
    assert_eq!(report.matches("Final-Recipient").count(), 4);
    // Python reads it as what it is.
    let script = "import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert m.get_content_type() == 'multipart/report', m.get_content_type()
kinds = [p.get_content_type() for p in m.iter_parts()]
assert kinds == ['text/plain', 'message/delivery-status', 'text/rfc822-headers'], kinds
assert not m.defects and not any(p.defects for p in m.walk()), m.defects";
    let path = home.write("report", &report);
    let status = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(fs::File::open(path).unwrap())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_report_that_cannot_be_delivered_stays_and_is_told() {
    let home = office();
    fs::write(home.path("mail"), "no folder").unwrap();
    home.standin
        .faults()
        .smtp_next(9, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    change_state(&home, "UPDATE outbox SET kept_at = 0, attempts = 20");
    later(&home);
    home.run(&["outbox", "flush"]).fails(75);
    assert_eq!(outbox(&home)[0]["state"], "failed");
    home.run(&["outbox", "flush"])
        .fails(73)
        .mentions("cannot deliver the report");
    home.run(&["status", "--check"])
        .mentions("1 message of the outbox could not be sent, nor the report to its sender");
    fs::remove_file(home.path("mail")).unwrap();
    home.run(&["outbox", "flush"]).succeeds();
    the_report(&home);
    assert!(outbox(&home).is_empty());
}

/// An office with a message that was given up, of which a report is due.
fn with_a_report_due() -> crate::tokens::Home {
    let home = office();
    fs::write(home.path("mail"), "no folder").unwrap();
    let faults = home.standin.faults();
    faults.smtp_next(9, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    change_state(&home, "UPDATE outbox SET kept_at = 0, attempts = 20");
    later(&home);
    home.run(&["outbox", "flush"]).fails(75);
    fs::remove_file(home.path("mail")).unwrap();
    home
}

/// The report is taken away before it is delivered: it is made once more, and not taken for
/// delivered.
#[test]
fn a_report_that_another_program_removed_is_delivered_by_the_next_flush() {
    let home = with_a_report_due();
    let own = home.command(&["outbox", "flush"]);
    let mut running = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "--trace=rename"])
        .args(["--inject=rename:delay_enter=3000000:when=1", "--"])
        .arg(own.get_program())
        .args(own.get_args())
        .env_clear()
        .envs(own.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let database = rusqlite::Connection::open(home.path("state/state.sqlite")).unwrap();
    let is_on_record = || {
        let count = "SELECT count(*) FROM outbox WHERE report IS NOT NULL";
        let count = database.query_row(count, [], |row| row.get::<_, u32>(0));
        count.unwrap_or(0) == 1
    };
    until("the report is on record, or the flush is over", || {
        is_on_record() || running.try_wait().unwrap().is_some()
    });
    for file in fs::read_dir(home.path("mail/support/tmp")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(running.wait().unwrap().code(), Some(75));
    assert_eq!(outbox(&home)[0]["state"], "failed");
    home.run(&["outbox", "flush"]).succeeds();
    the_report(&home);
    assert!(outbox(&home).is_empty());
}

#[test]
fn a_report_that_its_destination_refuses_is_no_bug() {
    let home = with_a_report_due();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    let deliver = config.lines().find(|l| l.contains("deliver:")).unwrap();
    for (exit, code) in [(75, 75), (65, 69)] {
        let command = format!("  deliver: 'command:sh -c \"exit {exit}\"'");
        home.write("config.yaml", &config.replace(deliver, &command));
        home.run(&["outbox", "flush"])
            .fails(code)
            .mentions("the destination refused the report: the command `sh` exited with");
        assert_eq!(outbox(&home)[0]["state"], "failed");
    }
    home.write("config.yaml", &config);
    home.run(&["outbox", "flush"]).succeeds();
    the_report(&home);
    let spool = home.path("state/spool");
    assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
}

#[test]
fn a_report_that_is_delivered_leaves_nothing_behind() {
    let home = with_a_report_due();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.write("config.yaml", &config.replace("maildir:", "mbox:"));
    fs::create_dir(home.path("mail")).unwrap();
    home.run(&["outbox", "flush"]).succeeds();
    assert!(home.path("mail/support").is_file());
    let spool = home.path("state/spool");
    assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
}

#[test]
fn an_unknown_outcome_is_never_repeated_by_itself_and_sent_items_decides() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes())
        .fails(76)
        .mentions("queuemail outbox retry 1");
    later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
    home.run(&["status", "--check"])
        .mentions("1 message of the outbox may or may not have been accepted");
    // It is there: done.
    let ran = home.run(&["outbox", "retry", "1"]).succeeds();
    assert!(
        ran.stdout
            .contains("it is in Sent Items of `support@contoso.com`"),
        "{ran:?}"
    );
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 1);
    // It is not there: sent.
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::Close);
    let other = MESSAGE.replace("<1@", "<2@");
    pipe(&home, &["send", "-t", "--outbox"], other.as_bytes()).fails(76);
    home.run(&["outbox", "retry", "--all"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 2);
    assert!(outbox(&home).is_empty());
    // Where nobody can look, nothing is sent.
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::Close);
    pipe(
        &home,
        &["send", "-t", "--outbox"],
        MESSAGE.replace("<1@", "<3@").as_bytes(),
    )
    .fails(76);
    faults.drop_connections.store(5, SeqCst);
    home.run(&["outbox", "retry", "3"])
        .fails(75)
        .mentions("nothing was sent");
    faults.drop_connections.store(0, SeqCst);
    assert_eq!(home.standin.submitted().len(), 2);
    home.run(&["outbox", "retry", "3", "--blindly"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 3);
}

#[test]
fn an_id_that_another_transaction_has_too_proves_nothing() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_recipient("c@example.com", "452 4.2.2 Mailbox full");
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    faults.smtp_recipient_well("c@example.com");
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::Close);
    later(&home);
    home.run(&["outbox", "flush"]).fails(76);
    // The copy in Sent Items is that of the first transaction.
    home.run(&["outbox", "retry", "1"])
        .fails(76)
        .mentions("outbox retry --blindly 1");
    // Without a terminal nobody is asked.
    let dropped = home.run(&["outbox", "drop", "1"]).succeeds();
    assert_eq!(dropped.stdout, "message 1: dropped\n");
    home.run(&["outbox", "drop", "1"]).fails(64);
    assert!(outbox(&home).is_empty());
}

#[test]
fn many_at_once_send_each_message_once() {
    let home = office();
    let message = |n: usize| MESSAGE.replace("<1@", &format!("<{n}@"));
    let mut args = vec!["send".to_owned(), "-t".into(), "--outbox".into()];
    for n in 0..30 {
        let path = home.write(&format!("{n}.eml"), &message(n));
        args.extend(["--file".to_owned(), path.display().to_string()]);
    }
    home.standin
        .faults()
        .smtp_next(9, SmtpAt::Connect, reply(AWAY));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    home.run(&args).succeeds();
    assert_eq!(outbox(&home).len(), 30);
    home.standin.faults().smtp_clear();
    later(&home);
    let mut runs: Vec<_> = (0..4)
        .map(|_| {
            home.command(&["outbox", "flush", "-v"])
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for run in &mut runs {
        run.wait().unwrap();
    }
    // A run that was one connection too many leaves its message for later.
    later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    assert!(outbox(&home).is_empty());
    let mut ids: Vec<_> = home
        .standin
        .submitted()
        .into_iter()
        .map(|s| s.message_id_used)
        .collect();
    ids.sort();
    let mut want: Vec<_> = (0..30).map(|n| format!("<{n}@contoso.com>")).collect();
    want.sort();
    assert_eq!(ids, want);
    assert_eq!(home.standin.submitted()[0].mailbox, SUPPORT);
}

#[test]
fn status_and_metrics_tell_of_the_outbox() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    let metrics = home.path("m.prom");
    home.run(&["status", "--metrics", metrics.to_str().unwrap()])
        .succeeds();
    let text = fs::read_to_string(metrics).unwrap();
    assert!(
        text.contains("queuemail_outbox_messages{state=\"waiting\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("\nqueuemail_outbox_oldest_timestamp_seconds "),
        "{text}"
    );
    let ran = home.run(&["status"]).succeeds();
    assert!(
        ran.stdout
            .contains("outbox: 1 waiting, 0 unknown, 0 failed"),
        "{ran:?}"
    );
    home.run(&["status", "--check"])
        .hides("of the outbox")
        .mentions("mail of `support@contoso.com` through outgoing server `out` waits until");
    change_state(&home, "UPDATE outbox SET kept_at = kept_at - 7300");
    home.run(&["status", "--check"])
        .mentions("1 message of the outbox could not be sent yet, the oldest for 2 h");
}

#[test]
fn what_was_kept_while_the_clock_was_ahead_leaves_when_it_is_right_again() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    change_state(
        &home,
        "DELETE FROM wait;
         UPDATE outbox SET next_attempt = next_attempt + 100000000, kept_at = kept_at + 100000000",
    );
    home.run(&["status", "--check"]).mentions(
        "1 message of the outbox could not be sent yet, the oldest kept while the clock was wrong",
    );
    home.run(&["outbox", "flush"]).succeeds();
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 1);
}

#[test]
fn whom_a_person_lets_try_again_has_five_days_more() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(3, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    change_state(&home, "UPDATE outbox SET kept_at = 0, attempts = 20");
    later(&home);
    home.run(&["outbox", "retry", "1"]).fails(75);
    for _ in 0..2 {
        later(&home);
        home.run(&["outbox", "flush"]);
    }
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 1, "sent, and not reported");
}

#[test]
fn a_refusal_that_a_person_can_mend_loses_nothing() {
    let home = office();
    let faults = home.standin.faults();
    let said = "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
    faults.smtp_next(2, SmtpAt::Mail, reply(said));
    let ran = pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert!(outbox(&home)[0]["reason"].as_str().unwrap().contains(said));
    later(&home);
    home.run(&["outbox", "flush"]).fails(77).mentions(said);
    later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
    // Without the outbox there is nobody who could try again but the caller.
    faults.smtp_next(1, SmtpAt::Mail, reply(said));
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).fails(77);
}

#[test]
fn whom_the_server_refused_before_it_broke_off_is_reported() {
    let home = office();
    let faults = home.standin.faults();
    faults.smtp_next(1, SmtpAt::Connect, reply(AWAY));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    faults.smtp_recipient("b@example.com", "550 5.1.10 RecipientNotFound");
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    later(&home);
    home.run(&["outbox", "flush"]).fails(76);
    let kept = outbox(&home);
    assert_eq!(kept[0]["state"], "unknown");
    assert_eq!(kept[0]["to"].as_array().unwrap().len(), 3);
    assert!(the_report(&home).contains("Final-Recipient: rfc822; b@example.com\r\n"));
}

/// Whoever is told that it failed sends it once more.
#[test]
fn what_was_sent_is_no_failure_though_it_cannot_be_put_on_record() {
    let home = office();
    home.run(&["outbox", "list"]).succeeds();
    change_state(
        &home,
        "CREATE TRIGGER full BEFORE DELETE ON outbox
         BEGIN SELECT RAISE(FAIL, 'the disk is full'); END",
    );
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes())
        .succeeds()
        .mentions("warning: message 1 of the outbox was sent, but that is not on record");
    assert_eq!(home.standin.submitted().len(), 1);
    change_state(&home, "DROP TRIGGER full");
    home.run(&["outbox", "flush"]).fails(76);
    home.run(&["outbox", "retry", "1"]).succeeds();
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), 1);
}

#[test]
fn a_message_that_cannot_be_read_is_no_bug() {
    let home = with_a_report_due();
    let folder = home.path("state/outbox");
    for file in fs::read_dir(folder).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    home.run(&["outbox", "show", "1", "--raw"])
        .fails(73)
        .mentions("error: cannot read `")
        .mentions("No such file or directory");
}
