//! How a session begins: mechanisms, refusals, greetings, and no token in sight.

use super::*;

/// Signs in against an answer to AUTHENTICATE and to the lines after it.
fn try_with(
    capability: &'static str,
    answers: &'static [&'static str],
) -> (Result<ImapMailbox>, Arc<Mutex<Vec<String>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = sent.clone();
    let mut answers = answers.iter();
    let mut open = String::new();
    let (wire, _) = wire(b"", None, move |line| {
        log.lock().unwrap().push(line.to_owned());
        let (tag, command) = split(line);
        match command.split(' ').next() {
            Some("CAPABILITY") => {
                return format!("{capability}\r\n{tag} OK done\r\n").into_bytes();
            }
            Some("AUTHENTICATE") => open = tag.to_owned(),
            _ => {}
        }
        let answer = answers.next().map_or("", |a| a);
        answer.replace("{t}", &open).into_bytes()
    });
    (sign_in(wire, place(), &Secret::new(TOKEN)), sent)
}

#[test]
fn the_token_goes_with_the_command_where_that_is_offered() {
    let (session, sent) = try_with(OLD_EXCHANGE, &["{t} OK AUTHENTICATE completed.\r\n"]);
    assert!(session.is_ok());
    let token = crate::mail::sasl::xoauth2("support@contoso.com", &Secret::new(TOKEN)).unwrap();
    assert_eq!(
        *sent.lock().unwrap(),
        [
            "q1 CAPABILITY".to_owned(),
            format!("q2 AUTHENTICATE XOAUTH2 {}", token.expose()),
        ]
    );
}

/// Greets, signs in and deletes a message with a server that greets so and says
/// `after` when it takes the token; gives what it was asked.
fn asked_of(greeting: &str, after: &'static str) -> Vec<String> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = sent.clone();
    let (mut wire, _) = wire(greeting.as_bytes(), None, move |line| {
        let (tag, command) = split(line);
        let verb = command.split(' ').next().unwrap_or_default();
        log.lock().unwrap().push(verb.to_owned());
        let told = match verb {
            "CAPABILITY" => {
                "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS\r\n{t} OK done\r\n"
            }
            "AUTHENTICATE" => after,
            _ => "{t} OK done\r\n",
        };
        told.replace("{t}", tag).into_bytes()
    });
    greet(&mut wire, &place(), TlsMode::Implicit).unwrap();
    let mut mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
    mailbox.settle(&ids([5]), &AfterFetch::Delete).unwrap();
    sent.lock().unwrap().clone()
}

#[test]
fn what_is_said_unasked_is_not_asked_for() {
    let says = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n";
    let silent = "* OK The Microsoft Exchange IMAP4 service is ready. [bABv]\r\n";
    let settled = ["UID", "UID", "UID"].map(String::from);
    let with = |first: &[&str]| {
        let first = first.iter().map(|verb| verb.to_string());
        first.chain(settled.clone()).collect::<Vec<_>>()
    };
    for after in [
        "{t} OK [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n",
        "* CAPABILITY IMAP4rev1 UIDPLUS\r\n{t} OK in\r\n",
    ] {
        assert_eq!(asked_of(says, after), with(&["AUTHENTICATE"]), "{after}");
        let asked = ["CAPABILITY", "AUTHENTICATE"];
        assert_eq!(asked_of(silent, after), with(&asked), "{after}");
    }
    // What was offered before the sign-in does not hold after it.
    assert_eq!(
        asked_of(says, "{t} OK in\r\n"),
        ["AUTHENTICATE", "UID", "CAPABILITY", "UID", "UID"]
    );
}

#[test]
fn two_steps_are_taken_where_they_are_needed() {
    for ready in ["+\r\n", "+ \r\n", "+ go ahead\r\n"] {
        let answers: &'static [&'static str] =
            Vec::leak(vec![ready, "* OK almost\r\n{t} OK [CAPABILITY X] done\r\n"]);
        let (session, sent) =
            try_with("* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED", answers);
        assert!(session.is_ok(), "{ready}");
        assert_eq!(sent.lock().unwrap()[1], "q2 AUTHENTICATE XOAUTH2");
        assert!(sent.lock().unwrap()[2].starts_with("dXNlcj1"));
    }
}

#[test]
fn oauthbearer_is_taken_where_only_that_is_offered() {
    let (session, sent) = try_with(
        "* CAPABILITY IMAP4rev1 SASL-IR auth=oauthbearer",
        &[
            "+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n",
            "{t} NO no\r\n",
        ],
    );
    assert!(sent.lock().unwrap()[1].starts_with("q2 AUTHENTICATE OAUTHBEARER bixhPX"));
    assert_eq!(sent.lock().unwrap()[2], "AQ==");
    assert_eq!(kind_of(&session.err().unwrap()), Kind::SignIn);
}

#[test]
fn a_refusal_keeps_the_servers_words_and_its_json() {
    let (session, sent) = try_with(
        OLD_EXCHANGE,
        &[
            "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n",
            "{t} NO AUTHENTICATE failed.\r\n",
        ],
    );
    let err = session.err().unwrap();
    assert_eq!(sent.lock().unwrap()[2], "");
    assert_eq!(fault(&err).kind, Kind::SignIn);
    assert_eq!(
        fault(&err).server_said.as_deref(),
        Some("NO AUTHENTICATE failed. {\"status\":\"400\"}")
    );
}

#[test]
fn what_is_not_about_the_token_is_tried_later() {
    for (answer, wait) in [
        ("{t} NO Server Unavailable. 15\r\n", None),
        (
            "{t} BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds\r\n",
            Some(Duration::from_millis(299_910)),
        ),
        ("* BYE Connection closed. 14\r\n", None),
        ("", None),
    ] {
        let (session, _) = try_with(OLD_EXCHANGE, Vec::leak(vec![answer]));
        let err = session.err().unwrap();
        assert_eq!(fault(&err).kind, Kind::TryLater, "{answer}");
        assert_eq!(fault(&err).retry_after, wait, "{answer}");
    }
}

#[test]
fn no_token_is_sent_to_a_server_without_oauth() {
    let (session, sent) = try_with("* CAPABILITY IMAP4rev1 AUTH=PLAIN", &[]);
    let err = session.err().unwrap();
    assert_eq!(fault(&err).kind, Kind::Refused);
    assert_eq!(
        fault(&err).server_said.as_deref(),
        Some("CAPABILITY IMAP4rev1 AUTH=PLAIN")
    );
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn the_token_is_in_no_trace_and_no_error() {
    let shown = Arc::new(Mutex::new(String::new()));
    let log = shown.clone();
    let peer = Peer {
        answer: Box::new(|line| {
            let tag = split(line).0;
            if line.contains("CAPABILITY") {
                format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes()
            } else {
                // A server that complains with what it was given, whole and cut off.
                let cut = &line[..line.len() - 9];
                format!("* NO {line}\r\n* OK {TOKEN}\r\n{tag} BAD {cut}\r\n").into_bytes()
            }
        }),
        ours: Vec::new(),
        theirs: Vec::new(),
        read: 0,
        chunk: usize::MAX,
        endless: None,
        served: Arc::default(),
    };
    let trace = Arc::new(move |line: &str| log.lock().unwrap().push_str(line));
    let wire = Wire::new(Stream::new(peer, Duration::from_secs(60)), Some(trace));
    let err = sign_in(wire, place(), &Secret::new(TOKEN)).err().unwrap();
    let all = format!("{} {err:?} {:?}", shown.lock().unwrap(), fault(&err));
    assert!(all.contains("AUTHENTICATE XOAUTH2 (secret)"));
    assert!(!all.contains("c2VjcmV0"), "{all}");
    assert!(!all.contains("dXNlcj1zdXBwb3J0"), "{all}");
}

#[test]
fn other_greetings_say_what_is_wrong() {
    for (greeting, kind, word) in [
        (
            "+OK The Microsoft Exchange POP3 service is ready.\r\n",
            Kind::Config,
            "POP",
        ),
        ("-ERR Protocol error. 19\r\n", Kind::Config, "POP"),
        ("220 smtp.office365.com ready\r\n", Kind::Config, "IMAP"),
        ("HTTP/1.1 400 Bad Request\r\n", Kind::Config, "IMAP"),
        ("* BYE too many\r\n", Kind::TryLater, "ended"),
        ("* PREAUTH welcome\r\n", Kind::Refused, "sign-in"),
        ("", Kind::TryLater, "closed"),
    ] {
        let (mut wire, _) = wire(greeting.as_bytes(), None, |_| Vec::new());
        let err = greet(&mut wire, &place(), TlsMode::Implicit).unwrap_err();
        assert_eq!(fault(&err).kind, kind, "{greeting}");
        assert!(err.to_string().contains(word), "{err}");
    }
    let ready = "* OK Microsoft Exchange IMAP4 service ready. [QwBQ]\r\n";
    let (mut wire, _) = wire(ready.as_bytes(), None, |_| Vec::new());
    assert!(greet(&mut wire, &place(), TlsMode::Implicit).is_ok());
}
