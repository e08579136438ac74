//! Messages written from the command line's parts, read back by Python.

use super::{office, pipe};
use crate::tokens::{Home, Ran};
use std::fs;
use std::process::Command;

/// What Python makes of the last message.
fn read_back(home: &Home) -> serde_json::Value {
    let script = "import email, email.policy, json, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
parts = [[p.get_content_type(), p.get_filename(), p.get_payload(decode=True).decode('latin-1') if not p.is_multipart() else None] for p in m.walk()]
print(json.dumps({'headers': {k.lower(): str(v) for k, v in m.items()}, 'parts': parts, 'defects': [str(d) for p in m.walk() for d in p.defects]}))";
    let sent = home.standin.submitted();
    let path = home.path("sent.eml");
    fs::write(&path, &sent.last().unwrap().bytes).unwrap();
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

#[test]
fn every_part_arrives_as_it_was_given() {
    let home = office();
    let text = "Grüße\n.\nFrom here\n".to_owned() + &"long ".repeat(400) + "\n";
    let text_file = home.write("text.txt", &text);
    let html = home.write("text.html", "<p>Grüße</p>\n");
    let odd = home.write("Rechnung für \u{4e2d}.pdf", "%PDF\r\n\0\u{fffd}");
    let args = [
        "send",
        "-f",
        "support@contoso.com",
        "-F",
        "Jörg \"J.\" Müller",
        "--to",
        "Anna Björk <anna@example.com>, b@example.com",
        "--cc",
        "\"Last, First\" <c@example.com>",
        "--bcc",
        "secret@example.com",
        "--subject",
        "Ihre Bestellung № 4711 – mit einem sehr langen Betreff, der gefaltet werden muss, ohne etwas zu verlieren",
        "--text",
        text_file.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
        "--attach",
        odd.to_str().unwrap(),
        "--reply-to",
        "desk@contoso.com",
        "--in-reply-to",
        "abc@example.com",
        "--header",
        "X-Ticket: ü 4711",
        "--auto",
    ];
    home.run(&args).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(
        sent[0].recipients,
        [
            "anna@example.com",
            "b@example.com",
            "c@example.com",
            "secret@example.com"
        ]
    );
    let raw = String::from_utf8(sent[0].bytes.clone()).unwrap();
    assert!(raw.is_ascii(), "{raw}");
    assert!(!raw.contains("secret@"), "{raw}");
    assert!(raw.lines().all(|l| l.len() <= 998));
    let read = read_back(&home);
    assert_eq!(read["defects"], serde_json::json!([]), "{read:#}");
    let header = |name: &str| {
        read["headers"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let at = args.iter().position(|a| *a == "--subject").unwrap();
    assert_eq!(header("subject"), args[at + 1]);
    assert!(
        header("from").contains("Jörg") && header("from").contains("<support@contoso.com>"),
        "{}",
        header("from")
    );
    assert!(
        header("to").contains("Anna Björk <anna@example.com>"),
        "{}",
        header("to")
    );
    assert_eq!(header("cc"), "\"Last, First\" <c@example.com>");
    assert_eq!(header("in-reply-to"), "<abc@example.com>");
    assert_eq!(header("references"), "<abc@example.com>");
    assert_eq!(header("auto-submitted"), "auto-replied");
    assert_eq!(header("x-auto-response-suppress"), "All");
    assert_eq!(header("x-ticket"), "ü 4711");
    assert!(header("message-id").ends_with("@contoso.com>"));
    assert!(!header("date").is_empty());
    let parts = read["parts"].as_array().unwrap();
    let kinds: Vec<_> = parts.iter().map(|p| p[0].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "application/pdf"
        ]
    );
    let latin = |text: &str| text.bytes().map(char::from).collect::<String>();
    assert_eq!(
        parts[2][2].as_str().unwrap().replace("\r\n", "\n"),
        latin(&text)
    );
    assert_eq!(parts[4][1], "Rechnung für \u{4e2d}.pdf");
    assert_eq!(
        parts[4][2],
        latin("%PDF\r\n\0\u{fffd}"),
        "octets of an attachment stay"
    );
}

#[test]
fn text_may_come_from_standard_input_and_be_all() {
    let home = office();
    let args = [
        "send",
        "-f",
        "support@contoso.com",
        "--bcc",
        "a@example.com",
        "--subject",
        "x",
        "--text",
        "-",
    ];
    pipe(&home, &args, "Grüße\n".as_bytes()).succeeds();
    let read = read_back(&home);
    assert_eq!(read["parts"][0][0], "text/plain");
    assert_eq!(read["headers"]["auto-submitted"], serde_json::Value::Null);
    assert_eq!(home.standin.submitted()[0].recipients, ["a@example.com"]);
}

#[test]
fn nothing_gets_into_the_header_that_does_not_belong_there() {
    let home = office();
    let fixed = ["send", "-f", "support@contoso.com", "--to", "a@example.com"];
    for (more, words) in [
        (
            &["--subject", "x\r\nBcc: b@example.com"][..],
            "--subject contains a control character",
        ),
        (
            &["--cc", "b@example.com\nX: y"],
            "--cc contains a control character",
        ),
        (
            &["--header", "X-A: 1\r\nBcc: b@example.com"],
            "control character",
        ),
        (&["--header", "Bcc: b@example.com"], "has its own option"),
        (
            &["--header", "Content-Type: text/html"],
            "has its own option",
        ),
        (&["--header", "X A: 1"], "name of a field"),
        (&["--header", "nothing"], "has no colon"),
        (&["--header", "X-A: 1", "--header", "x-a: 2"], "twice"),
        (&["--in-reply-to", "<a@b> <c@d>"], "is not a Message-ID"),
        (&["--to", "root"], "--to"),
        (&["-F", "x\ny"], "-F contains a control character"),
    ] {
        let args = [&fixed[..], more].concat();
        home.run(&args).fails(64).mentions(words);
    }
    home.run(&["send", "--to", "a@example.com"])
        .fails(64)
        .mentions("`-f` is needed");
    home.run(&["send", "--to", "a@example.com", "-t"])
        .fails(64)
        .mentions("cannot be used with");
    home.run(&["send", "--subject", "x", "--file", "y"])
        .fails(64)
        .mentions("cannot be used with");
    home.run(&["send", "-f", "support@contoso.com", "--subject", "x"])
        .fails(64)
        .mentions("has no recipient");
    let latin = home.path("latin");
    fs::write(&latin, b"gr\xfc\xdfe").unwrap();
    let args = [&fixed[..], &["--text", latin.to_str().unwrap()]].concat();
    home.run(&args).fails(65).mentions("is not UTF-8");
    assert!(home.standin.log().is_empty());
}

#[test]
fn a_dry_run_shows_the_exact_octets_on_request() {
    let home = office();
    let args = [
        "send",
        "-f",
        "support@contoso.com",
        "--to",
        "a@example.com",
        "--subject",
        "x",
        "--dry-run",
        "--raw",
    ];
    let shown: Ran = home.run(&args).succeeds();
    assert!(
        shown.stdout.contains("\r\nSubject: x\r\n") && shown.stdout.ends_with("\r\n"),
        "{shown:?}"
    );
    shown.mentions("would send").mentions("through out:");
    let piped = super::MESSAGE
        .replace("Bcc: secret@example.com\n", "")
        .replace('\n', "\r\n");
    let shown = pipe(
        &home,
        &["send", "-t", "--dry-run", "--raw"],
        super::MESSAGE.as_bytes(),
    )
    .succeeds();
    assert_eq!(shown.stdout, piped);
    home.run(&["send", "--raw", "a@example.com"]).fails(64);
    assert!(home.standin.log().is_empty());
}

#[test]
fn a_piped_message_can_be_marked_as_sent_by_a_program() {
    let home = office();
    pipe(&home, &["send", "-t", "--auto"], super::MESSAGE.as_bytes()).succeeds();
    pipe(
        &home,
        &["send", "-t", "--auto=replied"],
        super::MESSAGE.as_bytes(),
    )
    .succeeds();
    let sent = home.standin.submitted();
    let text = |n: usize| String::from_utf8_lossy(&sent[n].bytes).into_owned();
    assert!(
        text(0).starts_with("Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n")
    );
    assert!(text(1).starts_with("Auto-Submitted: auto-replied\r\n"));
}
