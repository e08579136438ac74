//! `send` by Graph: what goes out, what is refused, and what nobody knows.

use super::{Office, SUPPORT};
use crate::patience::until;
use crate::standin::{GraphFault, SmtpAt, SmtpFault};
use crate::world::{CLIENT_ID, Ran};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::sync::atomic::Ordering::SeqCst;

const MESSAGE: &str = "From: Support <support@contoso.example>
To: Anna <anna@fabrikam.example>
Cc: ben@fabrikam.example
Bcc: secret@fabrikam.example
Subject: Hello
Message-ID: <1@contoso.example>
Date: Mon, 23 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße
.
From here
";

fn error(status: u16, code: &'static str, wait: Option<u64>) -> GraphFault {
    GraphFault::Error(status, code, "Words of the server.", wait)
}

fn send(office: &Office, args: &[&str]) -> crate::world::Run {
    office.world.run(["send", "-i"]).args(args).stdin(MESSAGE)
}

/// The outbox is flushed in silence, and one message has left since the office opened.
fn flush_leaves_one_sent(office: &Office) {
    office
        .world
        .run(["outbox", "flush"])
        .succeeds()
        .says_nothing();
    assert_eq!(sent(office), 1);
}

fn sent(office: &Office) -> usize {
    office.m365.submitted().len()
}

#[test]
fn a_message_goes_out_as_it_was_to_everyone_it_names() {
    let office = Office::new("graph");
    send(&office, &["-t"]).succeeds().says_nothing();
    let submitted = office.m365.submitted();
    assert_eq!(submitted.len(), 1);
    let mut recipients = submitted[0].recipients.clone();
    recipients.sort();
    assert_eq!(
        recipients,
        [
            "anna@fabrikam.example",
            "ben@fabrikam.example",
            "secret@fabrikam.example"
        ]
    );
    let expected = MESSAGE
        .replace("Bcc: secret@fabrikam.example\n", "")
        .replace('\n', "\r\n");
    assert_eq!(String::from_utf8_lossy(&submitted[0].bytes), expected);
    assert_eq!(office.requests("sendMail"), 1);

    let ran = send(&office, &["-t", "--json"]).succeeds();
    let told = ran.json();
    assert_eq!(told["outcome"], "accepted");
    let said = told["server_said"].as_str().unwrap();
    assert!(said.starts_with("202 Accepted (request-id "), "{said}");

    let found = office
        .world
        .run(["history", "ben@fabrikam.example", "--json"])
        .succeeds()
        .json();
    let found = found["history"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0]["outcome"], "accepted");
    assert_eq!(found[0]["subject"], "Hello");
    assert_eq!(found[0]["server_said"], said);
}

#[test]
fn a_guid_is_enough_to_name_the_mailbox() {
    let office = Office::new("graph");
    let id = "1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1";
    office.m365.add_user(crate::standin::User {
        address: SUPPORT.into(),
        object_id: id.into(),
        ..Default::default()
    });
    office
        .world
        .run(["server", "set", "out", "--user", id])
        .succeeds();
    send(&office, &["-t"]).succeeds().says_nothing();
    assert_eq!(office.requests(&format!("/users/{id}/sendMail")), 1);
    assert_eq!(office.m365.submitted()[0].mailbox, SUPPORT);
}

#[test]
fn what_graph_cannot_say_is_refused_before_anything_is_sent() {
    let office = Office::new("graph");
    send(&office, &["anna@fabrikam.example"])
        .fails(69)
        .mentions("ben@fabrikam.example must not get this message; send it through SMTP");
    assert_eq!(office.requests("/v1.0/"), 0);
}

#[test]
fn refusals_of_the_message_and_of_the_mailbox_have_their_codes() {
    let office = Office::new("graph");
    let faults = &office.m365.faults().graph;
    for (fault, code, words) in [
        (
            error(403, "ErrorSendAsDenied", None),
            77,
            "ErrorSendAsDenied: Words of the server. (request-id",
        ),
        (
            error(400, "ErrorInvalidRecipients", None),
            67,
            "ErrorInvalidRecipients",
        ),
        (
            error(413, "ErrorMessageSizeExceeded", None),
            69,
            "ErrorMessageSizeExceeded",
        ),
        (
            error(403, "ErrorAccessDenied", None),
            77,
            "ErrorAccessDenied",
        ),
        (
            error(404, "MailboxNotEnabledForRESTAPI", None),
            67,
            "finds no mailbox",
        ),
        (
            error(500, "ErrorInternalServerTransientError", None),
            75,
            "ErrorInternalServerTransientError",
        ),
        (
            error(429, "ApplicationThrottled", Some(120)),
            75,
            "requests a wait",
        ),
    ] {
        faults.next(1, "sendMail", fault);
        send(&office, &["-t"]).fails(code).mentions(words);
    }
    assert_eq!(sent(&office), 0);
    // Without the wait that was asked for.
    std::fs::remove_dir_all(office.world.state_dir()).unwrap();
    faults.next(1, "sendMail", error(503, "ServiceUnavailable", Some(1)));
    send(&office, &["-t"]).succeeds().says_nothing();
    faults.next(
        1,
        "sendMail",
        error(401, "InvalidAuthenticationToken", None),
    );
    send(&office, &["-t"]).succeeds().says_nothing();
    assert_eq!(sent(&office), 2);
}

#[test]
fn what_nobody_knows_is_said_so_and_not_repeated() {
    let office = Office::new("graph");
    let faults = &office.m365.faults().graph;
    for fault in [
        GraphFault::ActThenClose,
        GraphFault::Html(504),
        GraphFault::Html(502),
        GraphFault::ActThenStatus(200),
    ] {
        faults.next(1, "sendMail", fault);
        send(&office, &["-t"])
            .fails(76)
            .mentions("look for Message-ID <1@contoso.example> in Sent Items");
    }
    assert_eq!(office.requests("sendMail"), 4);
    office.m365.faults().drop_connections.store(9, SeqCst);
    send(&office, &["-t"]).fails(75);
}

/// Of what is not the answer that was to come, nothing is believed, and nothing goes out.
#[test]
fn an_attachment_is_there_only_if_graph_says_so() {
    let page = "<html>blocked</html>";
    let refusal = r#"{"error":{"code":"Blocked","message":"x"}}"#;
    for (size, path) in [
        (1 << 20, "/attachments"),
        (4 << 20, "createUploadSession"),
        (1 << 20, "/messages"),
    ] {
        for body in ["{}", "", page, refusal] {
            let office = Office::new("graph");
            let faults = &office.m365.faults().graph;
            faults.next(99, path, GraphFault::Instead("application/json", body));
            // Two of the small ones are too much for one request.
            let text = with_attachments(&[size, size]);
            let ran = send_large(&office, &text);
            assert_eq!(ran.code, 75, "{path} {body}: {ran}");
            assert_eq!(sent(&office), 0, "{path} {body}");
            faults.heal();
            assert_eq!(send_large(&office, &text).code, 0);
        }
    }
}

#[test]
fn an_upload_in_clear_is_refused_and_its_address_stays_secret() {
    let office = Office::new("graph");
    let faults = &office.m365.faults().graph;
    let session = r#"{"uploadUrl":"http://localhost:9/upload/s3cret-address"}"#;
    faults.next(
        1,
        "createUploadSession",
        GraphFault::Instead("application/json", session),
    );
    let ran = send_large(&office, &with_attachments(&[4 << 20]));
    assert_eq!(ran.code, 69, "{ran}");
    ran.mentions("does not begin with https://")
        .hides("s3cret-address")
        .hides("proxy")
        .hides("PROXY");
    assert_eq!(sent(&office), 0);
    assert!(office.m365.messages(SUPPORT, "Drafts").is_empty());
}

/// A message with these attachments in base64.
fn with_attachments(sizes: &[usize]) -> String {
    let mut text = MESSAGE
        .split_once("MIME-Version")
        .map(|(head, _)| head.to_owned())
        .unwrap();
    text += "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\n\nSee there.\n";
    for (n, size) in sizes.iter().enumerate() {
        let encoded = STANDARD.encode(content(n, *size));
        text += &format!(
            "--=_b\nContent-Type: application/zip\nContent-Disposition: attachment; filename=\"{n}.zip\"\nContent-Transfer-Encoding: base64\n\n"
        );
        for line in encoded.as_bytes().chunks(76) {
            text += std::str::from_utf8(line).unwrap();
            text.push('\n');
        }
    }
    text + "--=_b--\n"
}

fn content(n: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + n) as u8).collect()
}

fn send_large(office: &Office, text: &str) -> Ran {
    office
        .world
        .run(["send", "-i", "-t", "--json"])
        .stdin(text)
        .ends()
}

#[test]
fn large_attachments_are_uploaded_to_a_draft() {
    let office = Office::new("graph");
    let sizes = [100_000, 9 << 20];
    let ran = send_large(&office, &with_attachments(&sizes));
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(ran.json()["server_message_id"], "<1@contoso.example>");
    let submitted = office.m365.submitted();
    assert_eq!(submitted.len(), 1);
    let bytes = String::from_utf8_lossy(&submitted[0].bytes).replace("\r\n", "");
    for (n, size) in sizes.iter().enumerate() {
        assert!(bytes.contains(&STANDARD.encode(content(n, *size))), "{n}");
    }
    assert_eq!(submitted[0].recipients.len(), 3);
    assert!(bytes.contains("See there."));
    assert!(office.m365.messages(SUPPORT, "Drafts").is_empty());
    assert!(office.requests("/upload/") >= 3);
}

#[test]
fn a_draft_that_fails_is_taken_away() {
    let office = Office::new("graph");
    let faults = &office.m365.faults().graph;
    let text = with_attachments(&[9 << 20]);
    faults.next(
        1,
        "createUploadSession",
        error(500, "InternalServerError", None),
    );
    assert_eq!(send_large(&office, &text).code, 75);
    faults.next(1, "/send", error(403, "ErrorSendAsDenied", None));
    assert_eq!(send_large(&office, &text).code, 77);
    assert!(office.m365.messages(SUPPORT, "Drafts").is_empty());
    faults.next(1, "/send", GraphFault::ActThenClose);
    assert_eq!(send_large(&office, &text).code, 76);
    assert_eq!(sent(&office), 1);
}

/// Until the draft is sent nothing has gone out, however long its attachments take: who dies before
/// has the next flush send it, and leaves nothing to a person.
#[test]
fn who_dies_while_attachments_are_uploaded_has_sent_nothing() {
    let office = Office::new("graph");
    let text = with_attachments(&[9 << 20]);
    let latency = &office.m365.faults().graph.latency;
    latency.store(1000, SeqCst);
    let file = office.world.write("large.eml", &text);
    let send = office.world.run(["send", "-t", "--outbox", "--file"]);
    let mut running = send.args([file]).starts();
    until("an attachment is on its way, or the run is over", || {
        office.requests("/upload/") > 0 || running.is_over()
    });
    running.signal("-KILL");
    assert_eq!(running.ends().code, -10);
    latency.store(0, SeqCst);
    assert_eq!(sent(&office), 0);
    flush_leaves_one_sent(&office);
    let left = office.world.run(["outbox", "list", "--json"]).succeeds();
    assert_eq!(left.json()["outbox"], serde_json::json!([]), "{left}");
}

/// What a part says of itself, and its octets.
type Part = (String, String, String, bool, Vec<u8>);

/// The parts of a message that are no multiparts, in order.
fn leaves(message: &[u8]) -> Vec<Part> {
    use mail_parser::{MessageParser, MimeHeaders, PartType};
    let parsed = MessageParser::default().parse(message).unwrap();
    let mut found = Vec::new();
    for part in &parsed.parts {
        if matches!(part.body, PartType::Multipart(_)) {
            continue;
        }
        let kind = part.content_type().map_or("text/plain".to_owned(), |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase()
        });
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let attached = part
            .content_disposition()
            .is_some_and(|d| d.is_attachment());
        found.push((
            kind,
            text(part.attachment_name()),
            text(part.content_id()),
            attached,
            part.contents().to_vec(),
        ));
    }
    found.sort();
    found
}

/// A message as programs write them: two forms of the text, pictures within one of them, files of
/// all encodings beside it, one file in a multipart of its own.
fn rich() -> String {
    let (head, _) = MESSAGE.split_once("MIME-Version").unwrap();
    let file = |head: &str, octets: &[u8]| {
        let encoded = STANDARD.encode(octets);
        let lines = encoded
            .as_bytes()
            .chunks(76)
            .map(|l| std::str::from_utf8(l).unwrap());
        let lines: Vec<&str> = lines.collect();
        format!(
            "{head}\nContent-Transfer-Encoding: base64\n\n{}\n",
            lines.join("\n")
        )
    };
    let attachment = "Content-Disposition: attachment; filename";
    let picture = file(
        "Content-Type: image/png; name=\"logo.png\"\nContent-ID: <logo@x>\nContent-Disposition: inline; filename=\"logo.png\"",
        &content(1, 1_200_000),
    );
    let unnamed = file("Content-Type: image/gif\nContent-ID: <dot@x>", b"GIF");
    let text = "Zeile \u{fc}ber\n".repeat(20_000);
    let quoted = format!("a=3Db=C3=A4 =\n{}\n", "0123456789\n".repeat(50_000));
    let pdf = file(
        &format!(
            "Content-Type: application/pdf\nContent-ID: <f_1>\nX-Attachment-Id: f_1\n{attachment}*=utf-8''%C3%9Cbersicht.pdf"
        ),
        &content(2, 3_200_000),
    );
    let just_small = file(
        &format!("Content-Type: application/zip\n{attachment}=a.zip"),
        &content(3, 2_950_000),
    );
    let mail = file(
        &format!("Content-Type: text/calendar; method=REQUEST\n{attachment}=i.ics"),
        b"BEGIN:VCALENDAR",
    );
    format!(
        "{head}MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"=_m\"

--=_m
Content-Type: multipart/alternative; boundary=\"=_a\"

--=_a
Content-Type: text/plain; charset=utf-8

See there.
--=_a
Content-Type: multipart/related; boundary=\"=_r\"

--=_r
Content-Type: text/html; charset=utf-8

<img src=\"cid:logo@x\"><img src=\"cid:dot@x\">
--=_r
{picture}--=_r
{unnamed}--=_r--
--=_a--
--=_m
Content-Type: text/plain; charset=utf-8
{attachment}=notes.txt
Content-Transfer-Encoding: 8bit

{text}--=_m
Content-Type: text/csv; charset=\"utf-8\"
{attachment}=table.csv
Content-Transfer-Encoding: quoted-printable

{quoted}--=_m
Content-Type: multipart/mixed; boundary=\"=_i\"

--=_i
{pdf}--=_i--
--=_m
{just_small}--=_m
{mail}--=_m--
"
    )
}

#[test]
fn a_large_message_arrives_part_by_part_as_it_was() {
    let office = Office::new("graph");
    let text = rich();
    let ran = send_large(&office, &text);
    assert_eq!(ran.code, 0, "{ran}");
    let submitted = office.m365.submitted();
    let crlf = text.replace('\n', "\r\n");
    let (expected, found) = (leaves(crlf.as_bytes()), leaves(&submitted[0].bytes));
    let shown = |parts: &[Part]| {
        let lines = parts
            .iter()
            .map(|(a, b, c, d, octets)| format!("{a} {b} {c} {d} {}", octets.len()));
        lines.collect::<Vec<_>>().join("\n")
    };
    // What was taken apart leaves an empty text in its place.
    let found: Vec<Part> = found
        .into_iter()
        .filter(|part| !part.4.is_empty())
        .collect();
    assert_eq!(shown(&found), shown(&expected));
    assert!(found == expected, "some octets differ");
    let field = |name: &str| {
        let line = |text: &str| {
            text.lines()
                .find(|l| l.starts_with(name))
                .map(str::to_owned)
        };
        (
            line(&String::from_utf8_lossy(&submitted[0].bytes)),
            line(&crlf),
        )
    };
    for name in ["From:", "To:", "Cc:", "Subject:", "Message-ID:", "Date:"] {
        let (found, expected) = field(name);
        assert!(expected.is_some() && found == expected, "{name} {found:?}");
    }
    assert_eq!(submitted[0].recipients.len(), 3);
    // One file is on the edge, and the service says on which side: four went in one request each.
    assert_eq!(office.requests("createUploadSession"), 2);
    assert_eq!(office.requests("/attachments"), 2 + 4);
}

#[test]
fn a_large_message_that_would_change_is_refused_with_the_reason() {
    let office = Office::new("graph");
    let long = "0123456789\n".repeat(300_000);
    let rich = rich();
    for (text, why) in [
        (
            format!("{MESSAGE}{long}"),
            "its part `text/plain` is the text",
        ),
        (
            rich.replacen(
                "multipart/mixed",
                "multipart/signed; protocol=\"application/pkcs7-signature\"",
                1,
            ),
            "its part `multipart/signed` must stay in one piece",
        ),
        (
            rich.replace(
                "Content-Type: application/pdf",
                "Content-Type: message/rfc822",
            ),
            "its part `\u{dc}bersicht.pdf` is a message",
        ),
    ] {
        let ran = send_large(&office, &text);
        assert_eq!(ran.code, 69, "{ran}");
        ran.mentions(
            "bytes without the attachments that can be uploaded, and Graph accepts 2240000",
        )
        .mentions(why)
        .mentions("send it through SMTP");
    }
    assert_eq!(office.requests("/v1.0/"), 0);
}

#[test]
fn auto_takes_the_way_that_the_token_permits_and_the_other_when_it_is_refused() {
    let office = Office::with_roles("auto", vec!["Mail.Send"]);
    office
        .world
        .run(["send", "-i", "-t", "-v"])
        .stdin(MESSAGE)
        .succeeds()
        .mentions("sends by graph: the token has Mail.Send");
    assert_eq!(office.requests("sendMail"), 1);

    let office = Office::new("auto");
    send(&office, &["-t"]).succeeds().says_nothing();
    assert_eq!(office.requests("sendMail"), 0);
    office.m365.set_smtp_disabled(SUPPORT, true);
    send(&office, &["-t"]).succeeds().says_nothing();
    send(&office, &["-t"]).succeeds().says_nothing();
    assert_eq!(office.requests("sendMail"), 2);
    assert_eq!(sent(&office), 3);
    // Once for the first, twice (with a new token, too) for the second, never for the third.
    let signs_in = |l: &&String| l.starts_with("SMTP < AUTH");
    assert_eq!(office.m365.log().iter().filter(signs_in).count(), 3);
}

#[test]
fn a_dry_run_names_the_way_and_asks_nobody() {
    let office = Office::new("graph");
    let ran = send(&office, &["-t", "--dry-run"]).succeeds();
    assert!(
        ran.stdout.contains("through out: https://localhost:"),
        "{ran}"
    );
    assert!(office.m365.token_requests().is_empty());
    assert_eq!(
        office
            .m365
            .issue_token(CLIENT_ID, crate::standin::GRAPH)
            .split('.')
            .count(),
        3
    );
}

#[test]
fn an_unknown_outcome_is_kept_and_sent_items_decides() {
    let office = Office::new("graph");
    office
        .m365
        .faults()
        .graph
        .next(1, "sendMail", GraphFault::ActThenClose);
    send(&office, &["-t", "--outbox"])
        .fails(76)
        .mentions("queuemail outbox retry 1");
    flush_leaves_one_sent(&office);
    // What is no listing of Sent Items does not say that the message is not there.
    let faults = &office.m365.faults().graph;
    for body in ["{}", "null", r#"{"error":{"code":"Blocked"}}"#] {
        let other = GraphFault::Instead("application/json", body);
        faults.next(1, "sentitems", other);
        let ran = office.world.run(["outbox", "retry", "1"]).ends();
        assert_ne!(ran.code, 0, "{body}: {ran}");
        assert_eq!(sent(&office), 1, "{body}");
    }
    let ran = office.world.run(["outbox", "retry", "1"]).succeeds();
    assert!(
        ran.stdout.contains("so it was sent and is not sent again"),
        "{ran}"
    );
    assert_eq!(sent(&office), 1);
    // What cannot leave now waits for the service's own time.
    office
        .m365
        .faults()
        .graph
        .next(9, "sendMail", error(429, "ApplicationThrottled", Some(600)));
    send(&office, &["-t", "--outbox"]).succeeds().says_nothing();
    let ran = office.world.run(["outbox", "list", "--json"]).succeeds();
    assert_eq!(ran.json()["outbox"][0]["state"], "waiting", "{ran}");
    send(&office, &["-t"])
        .fails(75)
        .mentions("requested a wait");
}

#[test]
fn sent_items_are_looked_into_by_the_way_that_a_fetch_found() {
    let office = Office::new("auto");
    office.m365.set_imap_enabled(SUPPORT, false);
    office.fetch().succeeds();
    let by_imap = |office: &Office| {
        let log = office.m365.log();
        log.iter().filter(|l| l.starts_with("IMAP")).count()
    };
    let asked = by_imap(&office);
    assert!(asked > 0);
    let faults = office.m365.faults();
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    send(&office, &["-t", "--outbox"]).fails(76);
    let ran = office.world.run(["outbox", "retry", "1"]).succeeds();
    assert!(
        ran.stdout.contains("so it was sent and is not sent again"),
        "{ran}"
    );
    assert_eq!(by_imap(&office), asked, "IMAP is known to be closed");
    // Where the way that was found closes, the other one is taken.
    office.m365.set_imap_enabled(SUPPORT, true);
    let denied = &office.m365.faults().graph.denied;
    denied.lock().unwrap().insert(SUPPORT.into());
    let faults = office.m365.faults();
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    send(&office, &["-t", "--outbox"]).fails(76);
    let ran = office.world.run(["outbox", "retry", "2"]).succeeds();
    assert!(
        ran.stdout.contains("so it was sent and is not sent again"),
        "{ran}"
    );
    assert!(by_imap(&office) > asked);
}

/// Lets the program do all that it does by Graph to send.
pub fn everything(office: &Office) {
    send(office, &["-t"]).succeeds();
    let large = with_attachments(&[100_000, 4 << 20]);
    assert_eq!(send_large(office, &large).code, 0);
    let faults = &office.m365.faults().graph;
    faults.next(
        1,
        "/createUploadSession",
        error(403, "ErrorSendAsDenied", None),
    );
    assert_eq!(send_large(office, &large).code, 77);
    faults.next(1, "sendMail", GraphFault::ActThenClose);
    send(office, &["-t", "--outbox"]).fails(76);
    office.world.run(["outbox", "retry", "1"]).succeeds();
}
