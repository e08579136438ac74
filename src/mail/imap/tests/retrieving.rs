//! Messages into the sink, and those that do not come.

use super::*;

type Left = Vec<(RemoteId, Missing)>;

fn retrieve(
    script: &[(&str, &str)],
    uids: impl IntoIterator<Item = u32>,
) -> (Kept, Result<Left>, Vec<String>) {
    let (mut mailbox, asked) = session(script);
    mailbox.wire.borrow_mut().limits.message = 50;
    let mut sink = Kept::default();
    let result = mailbox.retrieve(&ids(uids), Part::Whole, &mut sink);
    let asked = asked.lock().unwrap().clone();
    (sink, result, asked)
}

#[test]
fn messages_arrive_whatever_else_is_said() {
    let (sink, missing, asked) = retrieve(
        &[(
            "UID FETCH",
            "* 1 FETCH (UID 5 BODY[] {4}\r\nab\r\n)\r\n\
                 * 9 EXISTS\r\n* OK still here\r\n* NO hm\r\n* 2 EXPUNGE\r\n* FLAGS (\\Seen)\r\n\
                 * 2 FETCH (FLAGS (\\Seen) BODY[] {10}\r\n)\r\nq1 OK\r\n UID 6)\r\n\
                 * 2 FETCH (FLAGS (\\Seen))\r\n\
                 * 3 FETCH (UID 7 BODY[] \"q\\\"d\")\r\n\
                 * 4 FETCH (BODY[] ~{1}\r\nx RFC822.SIZE 900 UID 8)\r\n\
                 {t} OK FETCH completed.\r\n",
        )],
        [8, 5, 7, 6, 5],
    );
    assert_eq!(asked, ["UID FETCH 5:8 (UID BODY.PEEK[])"]);
    assert_eq!(missing.unwrap(), []);
    assert_eq!(
        sink.texts(),
        [(5, "ab\r\n"), (6, ")\r\nq1 OK\r\n"), (7, "q\"d"), (8, "x")]
    );
    assert_eq!(sink.discarded, 0);
}

#[test]
fn what_was_not_asked_for_or_came_twice_is_discarded() {
    let (sink, missing, _) = retrieve(
        &[(
            "UID FETCH",
            "* 1 FETCH (UID 99 BODY[] {1}\r\na)\r\n* 1 FETCH (BODY[] {1}\r\nb UID 98)\r\n\
                 * 1 FETCH (BODY[] {1}\r\nc)\r\n* 1 FETCH (UID 5 BODY[] {1}\r\nd)\r\n\
                 * 1 FETCH (UID 5 BODY[] {1}\r\ne)\r\n* 1 FETCH (BODY[] {1}\r\nf UID 5)\r\n\
                 * 1 FETCH (UID 6 BODY[] {1}\r\ng BODY[] {1}\r\nh)\r\n{t} OK x\r\n",
        )],
        [5, 6],
    );
    assert_eq!(missing.unwrap(), []);
    assert_eq!(sink.texts(), [(5, "d"), (6, "g")]);
    assert_eq!(sink.discarded, 3);
}

#[test]
fn a_message_that_is_not_given_is_missing() {
    let (sink, missing, _) = retrieve(
        &[(
            "UID FETCH",
            "* 1 FETCH (UID 5 BODY[] NIL)\r\n* 2 FETCH (UID 6 BODY[] {0}\r\n)\r\n\
                 * 3 FETCH (UID 7 BODY[] \"\")\r\n* 4 FETCH (UID 8 BODY[] {51}\r\n\
                 123456789.123456789.123456789.123456789.123456789.1)\r\n\
                 * 5 FETCH (UID 9 BODY[] {2}\r\nok)\r\n{t} OK [EXPUNGEISSUED] x\r\n",
        )],
        5..=10,
    );
    assert_eq!(
        missing.unwrap(),
        [
            (
                RemoteId::from(8),
                Missing::TooLarge {
                    announced: 51,
                    max: 50
                }
            ),
            (RemoteId::from(5), Missing::Silent),
            (RemoteId::from(6), Missing::Silent),
            (RemoteId::from(7), Missing::Silent),
            (RemoteId::from(10), Missing::Silent),
        ]
    );
    assert_eq!(sink.texts(), [(9, "ok")]);
}

#[test]
fn one_poisoned_message_keeps_back_no_other() {
    let (sink, missing, asked) = retrieve(
        &[
            (
                "UID FETCH 1:4 ",
                "* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n{t} BAD Command Error. 12\r\n",
            ),
            ("UID FETCH 2 ", "{t} NO [SERVERBUG] cannot convert\r\n"),
            (
                "UID FETCH 3 ",
                "* 3 FETCH (UID 3 BODY[] {1}\r\nc)\r\n{t} OK x\r\n",
            ),
            ("UID FETCH 4 ", "{t} NO [EXPUNGEISSUED] gone\r\n"),
        ],
        1..=4,
    );
    assert_eq!(
        missing.unwrap(),
        [
            (
                RemoteId::from(2),
                Missing::Refused("NO [SERVERBUG] cannot convert".into())
            ),
            (RemoteId::from(4), Missing::Silent),
        ]
    );
    assert_eq!(sink.texts(), [(1, "a"), (3, "c")]);
    assert_eq!(asked.len(), 4);
}

#[test]
fn a_refusal_of_everything_is_no_matter_of_a_message() {
    for (words, kind) in [
        (
            "BAD Request is throttled. Suggested Backoff Time: 1000 milliseconds",
            Kind::TryLater,
        ),
        ("BAD User is authenticated but not connected.", Kind::SignIn),
        ("NO Server Unavailable. 15", Kind::TryLater),
    ] {
        let (_, result, asked) = retrieve(&[("UID FETCH", &format!("{{t}} {words}\r\n"))], 1..=9);
        assert_eq!(kind_of(&result.unwrap_err()), kind, "{words}");
        assert!(asked.len() <= 7, "{words}");
    }
}

#[test]
fn a_server_that_gives_nothing_at_all_is_believed_to_be_unavailable() {
    let busy = "{t} NO Server Unavailable. 15\r\n";
    let (_, result, _) = retrieve(&[("UID FETCH", busy)], [5]);
    assert_eq!(kind_of(&result.unwrap_err()), Kind::TryLater);
    let script = [
        (
            "UID FETCH 5:6 ",
            "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n{t} NO Server Unavailable. 15\r\n",
        ),
        ("UID FETCH 6 ", busy),
    ];
    let (_, result, _) = retrieve(&script, [5, 6]);
    assert_eq!(
        result.unwrap(),
        [(
            RemoteId::from(6),
            Missing::Refused("NO Server Unavailable. 15".into())
        )]
    );
}

#[test]
fn a_limit_that_one_message_runs_into_is_that_messages() {
    let limit = "{t} NO [LIMIT] too many parts\r\n";
    let (_, result, _) = retrieve(&[("UID FETCH", limit)], [5]);
    let err = result.unwrap_err();
    assert!(err.downcast_ref::<Fault>().unwrap().retry_after.is_some());
    let script = [
        ("UID FETCH 5:6 ", limit),
        ("UID FETCH 5 ", limit),
        (
            "UID FETCH 6 ",
            "* 2 FETCH (UID 6 BODY[] {1}\r\na)\r\n{t} OK x\r\n",
        ),
    ];
    let (_, result, _) = retrieve(&script, [5, 6]);
    let why = Missing::Refused("NO [LIMIT] too many parts".into());
    assert_eq!(result.unwrap(), [(RemoteId::from(5), why)]);
}

#[test]
fn long_sets_are_asked_for_ahead() {
    // The peer answers only once three commands wait, or the last one is there.
    const LAST: u32 = 4_000_005_997;
    let mut waiting: Vec<String> = Vec::new();
    let (wire, _) = wire(b"", None, move |line| {
        let (tag, command) = split(line);
        if command.starts_with("AUTH") {
            return format!("{tag} OK x\r\n").into_bytes();
        }
        if command == "CAPABILITY" {
            return format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes();
        }
        assert!(line.len() < 8000);
        waiting.push(format!("{tag} OK x\r\n"));
        if waiting.len() == 3 || command.contains(&LAST.to_string()) {
            std::mem::take(&mut waiting).concat().into_bytes()
        } else {
            Vec::new()
        }
    });
    let mut mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
    let asked = ids((4_000_000_001..=LAST).step_by(2));
    let missing = mailbox
        .retrieve(&asked, Part::Whole, &mut Kept::default())
        .unwrap();
    assert_eq!(missing.len(), asked.len());
}

#[test]
fn what_cannot_be_read_costs_that_message_only() {
    let (sink, missing, _) = retrieve(
        &[(
            "UID FETCH",
            "* 1 FETCH (UID 5 BODY[] {1}\r\na X))\r\n* 1 FETCH (UID 6 ) BODY[] {27}\r\n\
                 * 1 FETCH (UID 7 BODY[] x\r\n)\r\n* 1 FETCH (UID 7 BODY[] {1}\r\nc)\r\n{t} OK x\r\n",
        )],
        5..=7,
    );
    assert_eq!(
        missing.unwrap(),
        [
            (RemoteId::from(5), Missing::Silent),
            (RemoteId::from(6), Missing::Silent)
        ]
    );
    assert_eq!(sink.texts(), [(7, "c")]);
    assert_eq!(sink.discarded, 1);
}

#[test]
fn nothing_is_a_message_where_its_size_agrees() {
    let given = [
        ("(UID {n} BODY[] {0}\r\n)", true),
        ("(BODY[] \"\" UID {n})", true),
        ("(UID {n} BODY[] NIL)", false),
        ("(UID {n})", false),
    ];
    for (body, is_a_body) in given {
        let body = body.replace("{n}", "5");
        let bodies = format!("* 1 FETCH {body}\r\n{{t}} OK x\r\n");
        for (size, agrees) in [
            ("(RFC822.SIZE 0 UID 5)", true),
            ("(UID 5 RFC822.SIZE 0)", true),
            ("(UID 5 RFC822.SIZE 311)", false),
            ("(UID 5 RFC822.SIZE NIL)", false),
            ("(UID 6 RFC822.SIZE 0)", false),
            ("(RFC822.SIZE 0)", false),
        ] {
            let sizes = format!("* 1 FETCH {size}\r\n* 1 FETCH {size}\r\n{{t}} OK x\r\n");
            let script = [
                ("UID FETCH 5 (UID BODY.PEEK[])", bodies.as_str()),
                ("UID FETCH 5 (UID RFC822.SIZE)", &sizes),
            ];
            let (sink, missing, asked) = retrieve(&script, [5]);
            assert_eq!(asked.len(), if is_a_body { 2 } else { 1 }, "{body}");
            let (arrived, missing) = (sink.texts(), missing.unwrap());
            if is_a_body && agrees {
                assert_eq!((arrived, missing), (vec![(5, "")], vec![]), "{body} {size}");
            } else {
                let silent = vec![(RemoteId::from(5), Missing::Silent)];
                assert_eq!((arrived, missing), (vec![], silent), "{body} {size}");
            }
        }
    }
    // A server that refuses to tell it keeps no other back.
    let (sink, missing, _) = retrieve(
        &[
            (
                "UID FETCH 5:6 (UID BODY.PEEK[])",
                "* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\n* 2 FETCH (UID 6 BODY[] {1}\r\nb)\r\n{t} OK x\r\n",
            ),
            ("UID FETCH 5 (UID RFC822.SIZE)", "{t} NO x\r\n"),
        ],
        5..=6,
    );
    assert_eq!(sink.texts(), [(6, "b")]);
    assert_eq!(missing.unwrap(), [(RemoteId::from(5), Missing::Silent)]);
}

#[test]
fn a_cut_in_the_middle_discards_and_what_ended_has_arrived() {
    let (sink, result, _) = retrieve(
        &[(
            "UID FETCH",
            "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 6 BODY[] {9}\r\nab",
        )],
        [5, 6],
    );
    assert_eq!(kind_of(&result.unwrap_err()), Kind::TryLater);
    assert_eq!(sink.texts(), [(5, "a")]);
    assert_eq!(sink.discarded, 1);
}

/// However the connection ends: what has arrived is what was closed by the protocol.
#[test]
fn no_beginning_of_an_answer_makes_a_message_whole() {
    let messages = [
        (5, "* 1 FETCH (UID 5 BODY[] {8}\r\nab)\r\ncd\n)\r\n"),
        (6, "* 2 FETCH (BODY[] {3}\r\n)\r\n UID 6)\r\n"),
        (7, "* 3 FETCH (UID 7 BODY[] \"x)\")\r\n"),
        (8, "* 4 FETCH (BODY[] \"y\" X {2}\r\n)\r UID 8)\n"),
    ];
    let answer: String = messages.iter().map(|(_, text)| *text).collect();
    let whole = |octets: usize| {
        let mut end = 0;
        let ends = messages.iter().map(|(uid, text)| {
            end += text.len();
            (*uid, end)
        });
        let whole = ends.filter(|(_, end)| *end <= octets).map(|(uid, _)| uid);
        whole.collect::<Vec<u32>>()
    };
    for at in 0..=answer.len() {
        // It closes, says goodbye, or refuses.
        for (more, says_so) in [
            ("", false),
            ("* BYE now\r\n", false),
            ("{t} NO x\r\n", true),
        ] {
            let cut = format!("{}{more}", &answer[..at]);
            let script = [("UID FETCH 5:8 ", cut.as_str()), ("UID FETCH", "")];
            let (sink, result, _) = retrieve(&script, 5..=8);
            let arrived: Vec<u32> = sink.arrived.iter().map(|(uid, _)| *uid).collect();
            // What is said within a literal is octets of it, and the rest never comes.
            assert_eq!(arrived, whole(at), "{cut:?}");
            let all_came = says_so && arrived.len() == messages.len();
            assert_eq!(result.is_ok(), all_came, "{cut:?}");
            assert!(sink.open.is_none());
        }
    }
}

/// A literal that is longer or shorter than it says leaves nothing that looks whole.
#[test]
fn a_literal_of_another_length_is_no_message() {
    for size in [1, 2, 4, 6, 8, 9, 12, 30] {
        let answer = format!(
            "* 1 FETCH (UID 5 BODY[] {{{size}}}\r\nabcdefg)\r\n* 2 FETCH (UID 6 BODY[] {{1}}\r\na)\r\n{{t}} OK x\r\n"
        );
        let (sink, _, _) = retrieve(&[("UID FETCH", &answer)], 5..=6);
        assert!(sink.arrived.iter().all(|(uid, _)| *uid != 5), "{size}");
    }
}

#[test]
fn a_message_of_two_uids_is_none() {
    for items in ["UID 5 BODY[] {1}\r\na UID 6", "BODY[] {1}\r\na UID 6 UID 5"] {
        let answer = format!("* 1 FETCH ({items})\r\n{{t}} OK x\r\n");
        let (sink, missing, _) = retrieve(&[("UID FETCH", &answer)], 5..=6);
        assert_eq!(sink.arrived, []);
        assert_eq!(missing.unwrap().len(), 2);
    }
}

#[test]
fn the_sinks_error_is_the_root_and_ends_the_session() {
    let (mut mailbox, _) = session(&[(
        "UID FETCH",
        "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 6 BODY[] {1}\r\nb)\r\n{t} OK x\r\n",
    )]);
    let mut sink = Kept {
        fail_at: Some(5),
        ..Kept::default()
    };
    let err = mailbox
        .retrieve(&ids([5, 6]), Part::Whole, &mut sink)
        .unwrap_err();
    assert_eq!(
        err.root_cause()
            .downcast_ref::<io::Error>()
            .map(io::Error::kind),
        Some(io::ErrorKind::StorageFull)
    );
    assert_eq!(sink.arrived, []);
    assert!(mailbox.folders().is_err());
}

#[test]
fn a_literal_too_large_to_pass_over_ends_the_session() {
    let (_, result, _) = retrieve(
        &[("UID FETCH", "* 1 FETCH (UID 5 BODY[] {4294967296000}\r\n")],
        [5],
    );
    assert_eq!(kind_of(&result.unwrap_err()), Kind::Refused);
}

/// A FETCH response in one of the forms that servers use.
fn response(uid: u32, octets: &[u8], form: u8) -> Vec<u8> {
    let size = octets.len();
    let (before, after) = match form {
        0 => (format!("(UID {uid} BODY[] {{{size}}}"), ")".to_owned()),
        1 => (format!("(BODY[] {{{size}}}"), format!(" UID {uid})")),
        2 => (
            format!("(FLAGS (\\Seen $x) X \"(\\\"\" body[] ~{{{size}}}"),
            format!(" RFC822.SIZE {} uid {uid} Y (a (b) NIL))", size * 3),
        ),
        _ => (
            format!("(ENVELOPE (\"a\" {{3}}\r\n)\r\n NIL) UID {uid} BODY[] {{{size}}}"),
            " MODSEQ (5))".to_owned(),
        ),
    };
    [
        b"* 1 FETCH ",
        before.as_bytes(),
        b"\r\n",
        octets,
        after.as_bytes(),
        b"\r\n",
    ]
    .concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn every_octet_arrives_however_it_is_cut(
        messages in proptest::collection::btree_map(
            1u32..50,
            (
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 1..300),
                    "[)( \r\n*q1OK{}]{1,60}".prop_map(String::into_bytes),
                    (1usize..200_000).prop_map(|n| vec![b'\n'; n]),
                ],
                0..4u8,
                0..4usize,
            ),
            1..8,
        ),
        chunk in prop_oneof![1usize..20, 1000usize..200_000],
    ) {
        let noise: [&[u8]; 4] = [b"", b"* 9 EXISTS\r\n", b"* OK {5}\r\n* NO x\r\n", b"* 1 FETCH (FLAGS ())\r\n"];
        let mut answer = Vec::new();
        for (uid, (octets, form, before)) in messages.iter().rev() {
            answer.extend_from_slice(noise[*before]);
            answer.extend(response(*uid, octets, *form));
        }
        answer.extend_from_slice(b"q1 OK done\r\n");
        let peer = Peer {
            answer: Box::new(move |_| answer.clone()),
            ours: Vec::new(),
            theirs: Vec::new(),
            read: 0,
            chunk,
            endless: None,
            served: Arc::default(),
        };
        let mut wire = Wire::new(Stream::new(peer, Duration::from_secs(60)), None);
        let uids: Vec<u32> = messages.keys().copied().collect();
        let mut sink = Kept::default();
        let missing = retrieve::retrieve(&mut wire, &uids, Part::Whole, &mut sink).unwrap();
        prop_assert_eq!(missing, []);
        sink.arrived.sort();
        let expected: Vec<_> = messages.into_iter().map(|(uid, (octets, _, _))| (uid, octets)).collect();
        prop_assert!(sink.arrived == expected);
    }
}
