//! The situations that are known to stop a first hour, or a mailbox that worked for years: each is
//! played, and what is said of it compared word for word. Most show in `check`; those that show
//! when a message is fetched or sent are told there, and some are no fault at all.

use super::{
    SUPPORT, by_graph, check, office, office_with, rewrite, same_each_run, same_words, steps,
};
use crate::sending::pipe;
use crate::standin::{GraphFault, ImapFault, SmtpAt, SmtpFault, UidFault};
use crate::tokens::{CLIENT, Home, Ran};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// Every situation: what a person sees or what is the case, and where it shows. `check/NAME` is the
/// sentence of `check` in `tests/messages/`; `field/NAME` is what fetching or sending prints, where
/// `check` sees nothing since it moves no message; `fn NAME` is a test that sees it do no harm.
const FIELD: [(&str, &[&str]); 44] = [
    (
        "AADSTS7000215: the secret's ID in place of its Value",
        &["check/secret_wrong"],
    ),
    (
        "AADSTS7000222: the secret has expired",
        &["check/secret_expired", "check/secret_ends_soon"],
    ),
    (
        "AADSTS7000218: no public client flows",
        &["check/secret_missing"],
    ),
    (
        "AADSTS700025: a secret for a public client",
        &["check/secret_of_public_client"],
    ),
    (
        "AADSTS700016, 7000229: wrong client ID or tenant, no consent",
        &["check/app_unknown", "check/app_without_principal"],
    ),
    (
        "AADSTS90002: tenant mistyped, or another cloud's",
        &["check/tenant_unknown", "check/cloud_wrong"],
    ),
    (
        "AADSTS50126, then 50053: an old password locks the account",
        &["check/password_wrong", "check/account_locked"],
    ),
    (
        "AADSTS50076, 50079: another factor is demanded",
        &["check/factor_demanded", "check/factor_to_register"],
    ),
    (
        "AADSTS50057: a shared mailbox's own account",
        &["check/account_disabled"],
    ),
    (
        "AADSTS53003, 53000: Conditional Access",
        &["check/access_blocked", "check/device_demanded"],
    ),
    ("AADSTS65001: no consent", &["check/consent_missing"]),
    (
        "AADSTS500011, 70011: the scope is misspelt or of the wrong kind",
        &["check/scope_unknown", "check/scope_not_default"],
    ),
    (
        "AADSTS700082, 50173: the refresh token is idle or revoked",
        &["check/refresh_idle", "check/refresh_revoked"],
    ),
    ("AADSTS1002016: an old TLS, by a proxy", &["check/old_tls"]),
    ("a token of Graph for IMAP", &["check/token_of_graph"]),
    (
        "a token without roles or scopes",
        &["check/role_missing", "check/scope_missing"],
    ),
    (
        "NO AUTHENTICATE failed: Exchange does not know the app",
        &["check/principal_missing"],
    ),
    (
        "BAD User is authenticated but not connected: no right to the mailbox",
        &["check/right_missing", "check/right_of_person_missing"],
    ),
    ("the same for all that worked yesterday", &["check/outage"]),
    ("BYE AccessTokenExpired", &["check/session_ended"]),
    ("Request is throttled", &["check/throttled"]),
    ("a placeholder in a message's place", &["field/placeholder"]),
    ("FETCH says OK and gives nothing", &["field/no_data"]),
    (
        "nothing is found although mail is there: a folder of another language, a new front end",
        &[
            "check/folder_missing",
            "fn what_search_hides_is_found",
            "fn the_new_front_end_is_no_fault",
        ],
    ),
    (
        "RFC822.SIZE is not the size",
        &["fn sizes_are_not_compared"],
    ),
    (
        "the same message with other octets",
        &["fn a_message_that_is_rendered_anew_is_not_new"],
    ),
    (
        "535 5.7.139: SMTP AUTH is switched off",
        &["check/smtp_off", "check/smtp_off_for_tenant"],
    ),
    (
        "535 5.7.3 while IMAP works",
        &["check/smtp_role_missing", "check/smtp_refused"],
    ),
    ("430 4.2.0 mailbox logon failure", &["field/logon_failure"]),
    (
        "550 5.7.60, 554 5.2.252: another sender",
        &[
            "field/send_as_denied_old",
            "field/send_as_denied",
            "check/send_as_untested",
        ],
    ),
    ("432 4.3.2: too many at once", &["check/smtp_busy"]),
    (
        "554 5.2.0 SubmissionQuotaExceeded",
        &["field/quota_exceeded"],
    ),
    (
        "sent mail twice in Sent Items",
        &["fn one_copy_in_sent_items"],
    ),
    (
        "Graph: ErrorSendAsDenied",
        &["field/graph_send_as_denied", "check/graph_send_as_untested"],
    ),
    (
        "Graph: ErrorAccessDenied",
        &["check/graph_denied_by_policy", "check/graph_role_missing"],
    ),
    (
        "Graph: MailboxNotEnabledForRESTAPI",
        &["check/graph_without_mailbox"],
    ),
    (
        "Graph: Invalid audience",
        &["check/graph_token_of_exchange"],
    ),
    ("Graph: 429", &["check/graph_throttled"]),
    (
        "Graph: ErrorMimeContentInvalidBase64String",
        &["field/graph_invalid_content"],
    ),
    ("Graph: 413, more than 4 MB", &["field/graph_too_large"]),
    (
        "AADSTS50011: the redirect address is not registered",
        &["check/redirect_unknown"],
    ),
    (
        "another protocol's port, or TLS where there is none",
        &[
            "check/port_of_starttls",
            "check/port_of_another_protocol",
            "check/port_of_pop",
        ],
    ),
    (
        "a proxy that inspects TLS",
        &[
            "check/host_of_another_certificate",
            "check/certificate_without_names",
            "check/authority_unknown",
            "check/page_of_a_proxy",
        ],
    ),
    (
        "everything right, and refused for up to an hour",
        &["check/principal_missing", "check/right_missing"],
    ),
];

/// None is left out, and no words are kept that no test says.
#[test]
fn every_situation_is_played() {
    let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let tests = [
        include_str!("situations.rs"),
        include_str!("by_graph.rs"),
        include_str!("field.rs"),
    ]
    .concat();
    for (symptom, shown) in FIELD {
        assert!(!shown.is_empty(), "{symptom}");
        for name in shown {
            let is_there = match name.strip_prefix("fn ") {
                Some(_) => tests.contains(&format!("{name}()")),
                None => messages.join(format!("{name}.txt")).exists(),
            };
            assert!(is_there, "{symptom}: no {name}");
        }
    }
    let told_by_check = |shown: &[&str]| shown.iter().any(|name| name.starts_with("check/"));
    let count = FIELD
        .iter()
        .filter(|(_, shown)| told_by_check(shown))
        .count();
    assert_eq!(count, 35, "are told by `check` before any message moves");
    for folder in ["check", "field"] {
        for entry in std::fs::read_dir(messages.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.trim_end_matches(".txt");
            let says = [format!("    {name}, "), format!("\"{name}\"")];
            assert!(
                says.iter().any(|text| tests.contains(text)),
                "no test says what is in {folder}/{name}.txt"
            );
        }
    }
}

/// Demands that what a run says is `tests/messages/field/NAME.txt`, word for word.
#[track_caller]
fn tells(home: &Home, ran: Ran, code: i32, name: &str) {
    let ran = ran.fails(code);
    same_words("field", name, &same_each_run(home, &ran.stderr));
}

const MESSAGE: &str = "From: support@contoso.com\nTo: anna@example.com\nMessage-ID: <1@contoso.com>\nDate: Mon, 23 Nov 2026 14:02:00 +0100\nSubject: Hello\n\nHello\n";

fn with_mail() -> Home {
    let home = office();
    home.standin
        .deliver(SUPPORT, "INBOX", b"Subject: one\r\n\r\nText\r\n");
    home
}

fn send(home: &Home) -> Ran {
    pipe(home, &["send", "-t"], MESSAGE.as_bytes())
}

/// How many messages lie in the Maildir.
fn delivered(home: &Home) -> usize {
    std::fs::read_dir(home.path("mail/new")).map_or(0, Iterator::count)
}

/// A message that is sent meets this reply.
fn refused(name: &str, code: i32, at: SmtpAt, reply: &str) {
    let home = office();
    let fault = SmtpFault::Reply(reply.into());
    home.standin.faults().smtp_next(5, at, fault);
    tells(&home, send(&home), code, name);
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn placeholder() {
    let home = with_mail();
    let faults = home.standin.faults();
    faults.imap_uid(SUPPORT, 1, UidFault::Placeholder);
    tells(&home, home.run(&["fetch"]), 75, "placeholder");
    assert_eq!(delivered(&home), 0);
}

#[test]
fn no_data() {
    let home = with_mail();
    home.standin.faults().imap_uid(SUPPORT, 1, UidFault::NoData);
    tells(&home, home.run(&["fetch"]), 75, "no_data");
    assert_eq!(delivered(&home), 0);
}

#[test]
fn what_search_hides_is_found() {
    let home = with_mail();
    let faults = home.standin.faults();
    faults.imap_new_front_end.store(true, SeqCst);
    // After the folder is opened.
    faults.imap_at(2, ImapFault::NothingFound);
    let ran = home.run(&["fetch"]).succeeds();
    assert_eq!((ran.stderr.as_str(), delivered(&home)), ("", 1));
}

/// The stand-in's sizes are wrong as a rule, as Exchange's are.
#[test]
fn sizes_are_not_compared() {
    let home = with_mail();
    let ran = home.run(&["fetch"]).succeeds();
    assert_eq!((ran.stderr.as_str(), delivered(&home)), ("", 1));
}

#[test]
fn a_message_that_is_rendered_anew_is_not_new() {
    let home = with_mail();
    home.standin.faults().imap_rerender.store(true, SeqCst);
    for _ in 0..2 {
        let ran = home.run(&["fetch"]).succeeds();
        assert_eq!((ran.stderr.as_str(), delivered(&home)), ("", 1));
    }
}

#[test]
fn logon_failure() {
    refused(
        "logon_failure",
        75,
        SmtpAt::Dot,
        "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:MapiExceptionLogonFailed; Cannot open mailbox.",
    );
}

/// An office whose mail leaves through another mailbox, which has no right to.
fn through_another(home: Home) -> Home {
    let app = "    app: Contoso";
    rewrite(&home, app, &format!("{app}\n    user: office@contoso.com"));
    home.standin.add_mailbox("office@contoso.com");
    home.standin.grant(CLIENT, "office@contoso.com");
    home
}

#[test]
fn send_as_denied() {
    for (old, name) in [(true, "send_as_denied_old"), (false, "send_as_denied")] {
        let home = through_another(office());
        home.standin.faults().smtp_old_send_as.store(old, SeqCst);
        tells(&home, send(&home), 77, name);
        assert!(home.standin.submitted().is_empty());
    }
}

/// Another From with `-f`: the right is one to send as the address in From, for who submits.
#[test]
fn send_as_denied_for_another_author() {
    let text = MESSAGE.replace("From: support@contoso.com", "From: boss@contoso.com");
    let args = ["send", "-t", "-f", SUPPORT];
    let right = "Add-RecipientPermission boss@contoso.com -Trustee support@contoso.com -AccessRights SendAs";
    for reply in [
        "554 5.2.252 SendAsDenied; support@contoso.com not allowed to send as boss@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    ] {
        let home = office_with("", "", "any_from: true");
        let fault = SmtpFault::Reply(reply.into());
        home.standin.faults().smtp_next(5, SmtpAt::Dot, fault);
        let ran = pipe(&home, &args, text.as_bytes()).fails(77);
        assert!(ran.stderr.contains(right), "{ran:?}");
    }
}

#[test]
fn quota_exceeded() {
    refused(
        "quota_exceeded",
        69,
        SmtpAt::Dot,
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
    );
}

/// Exchange keeps a copy of what it is given; the program's would be a second one.
#[test]
fn one_copy_in_sent_items() {
    for home in [office(), by_graph::office_by("graph")] {
        send(&home).succeeds();
        assert_eq!(home.standin.messages(SUPPORT, "Sent Items").len(), 1);
    }
}

#[test]
fn graph_send_as_denied() {
    let home = through_another(by_graph::office_by("graph"));
    tells(&home, send(&home), 77, "graph_send_as_denied");
    assert!(home.standin.submitted().is_empty());
}

#[test]
fn graph_invalid_content() {
    let home = by_graph::office_by("graph");
    let words = "Invalid base64 string for MIME content.";
    let fault = GraphFault::Error(400, "ErrorMimeContentInvalidBase64String", words, None);
    home.standin.faults().graph.next(5, "/sendMail", fault);
    tells(&home, send(&home), 69, "graph_invalid_content");
    assert!(home.standin.submitted().is_empty());
}

/// Attachments go up in parts (`graph::sending` sends some); a text of that size cannot.
#[test]
fn graph_too_large() {
    let home = by_graph::office_by("graph");
    let large = MESSAGE.to_owned() + &"A line of seventy octets or so.\n".repeat(160_000);
    let ran = pipe(&home, &["send", "-t"], large.as_bytes());
    tells(&home, ran, 69, "graph_too_large");
    assert!(home.standin.submitted().is_empty());
}

/// Where the mailbox that submits is another's, only a message shows whether it may: until then
/// there is a command to look with.
#[test]
fn whether_it_may_send_as_another_shows_later() {
    for (home, name) in [
        (office(), "send_as_untested"),
        (by_graph::office_by("graph"), "graph_send_as_untested"),
    ] {
        let home = through_another(home);
        let json = check(&home, &[SUPPORT], 0);
        let last = steps(&json).last().unwrap();
        assert_eq!(
            (&last["step"], &last["result"]),
            (&"send-as".into(), &"untested".into())
        );
        let sentence = same_each_run(&home, last["verdict"]["sentence"].as_str().unwrap()) + "\n";
        same_words("check", name, &sentence);
    }
}
