//! Which messages are there, in every form of answer.

use super::*;

fn list(script: &[(&str, &str)], after: Option<&str>) -> Result<(Vec<RemoteId>, Option<String>)> {
    let (mut mailbox, _) = session(script);
    mailbox.open("INBOX", false)?;
    let query = Query {
        after: after.map(str::to_owned),
        ..Query::default()
    };
    let (ids, listing) = listed(&mut mailbox, &query)?;
    Ok((ids, listing.mark))
}

#[test]
fn answers_come_in_every_form() {
    for answer in [
        "* SEARCH 9 7\r\n* SEARCH 8 8\r\n{t} OK x\r\n",
        "* SEARCH 7 8 9 (MODSEQ 917162500)\r\n* 4 EXISTS\r\n{t} OK x\r\n",
        "* ESEARCH (TAG \"q1\") UID ALL 7:8,9\r\n{t} OK x\r\n",
        "* ESEARCH (TAG \"q1\") UID MIN 7 ALL 9:7\r\n{t} OK x\r\n",
    ] {
        assert_eq!(
            list(&[("UID SEARCH", answer)], None).unwrap(),
            (ids([7, 8, 9]), Some("9".into())),
            "{answer}"
        );
    }
}

#[test]
fn the_last_old_message_is_not_new() {
    let script = [("UID SEARCH UID 9:*", "* SEARCH 9\r\n{t} OK x\r\n")];
    assert_eq!(
        list(&script, Some("9")).unwrap(),
        (vec![], Some("9".into()))
    );
    assert_eq!(
        list(&[], Some("4294967295")).unwrap(),
        (vec![], Some("4294967295".into()))
    );
    assert_eq!(kind_of(&list(&[], Some("x")).unwrap_err()), Kind::Bug);
}

/// Whether the message at the mark is there is told with what is behind it.
#[test]
fn the_message_at_the_mark_is_seen_and_not_listed() {
    for (found, at_mark, behind) in [
        ("9 12", Some(9), vec![12]),
        ("8", None, vec![]),
        ("12", None, vec![12]),
    ] {
        let found = format!("* SEARCH {found}\r\n{{t}} OK x\r\n");
        let (mut mailbox, _) = session(&[("UID SEARCH UID 9:*", &found)]);
        mailbox.open("INBOX", false).unwrap();
        let query = Query {
            after: Some("9".into()),
            ..Query::default()
        };
        let (found, listing) = listed(&mut mailbox, &query).unwrap();
        assert_eq!(listing.at_mark, at_mark.map(RemoteId::from));
        assert_eq!(found, ids(behind));
    }
}

#[test]
fn a_server_that_names_the_next_uid_is_not_searched_for_nothing() {
    for (next, after, commands) in [
        ("10", Some("9"), &["EXAMINE"][..]),
        // There is something, or the server contradicts itself, or all is wanted.
        ("11", Some("9"), &["EXAMINE", "UID"]),
        ("9", Some("9"), &["EXAMINE", "UID"]),
        ("x", Some("9"), &["EXAMINE", "UID"]),
        ("1", None, &["EXAMINE", "UID"]),
    ] {
        let opened = format!(
            "* 0 EXISTS\r\n* OK [UIDVALIDITY 14] v\r\n* OK [UIDNEXT {next}] n\r\n{{t}} OK x\r\n"
        );
        let (mut mailbox, asked) = session(&[("EXAMINE", &opened)]);
        mailbox.open("INBOX", false).unwrap();
        let query = Query {
            after: after.map(str::to_owned),
            ..Query::default()
        };
        let (_, listing) = listed(&mut mailbox, &query).unwrap();
        assert_eq!(listing.mark.as_deref(), after);
        let asked = asked.lock().unwrap();
        let verbs: Vec<_> = asked.iter().filter_map(|c| c.split(' ').next()).collect();
        assert_eq!(verbs, commands, "UIDNEXT {next} after {after:?}");
    }
    // It is another folder's.
    let (mut mailbox, asked) = session(&[(
        "EXAMINE \"A\"",
        "* 0 EXISTS\r\n* OK [UIDVALIDITY 14] v\r\n* OK [UIDNEXT 10] n\r\n{t} OK x\r\n",
    )]);
    mailbox.open("A", false).unwrap();
    mailbox.open("B", false).unwrap();
    let query = Query {
        after: Some("9".into()),
        ..Query::default()
    };
    listed(&mut mailbox, &query).unwrap();
    assert_eq!(asked.lock().unwrap().last().unwrap(), "UID SEARCH UID 9:*");
}

/// It may have arrived since the folder was opened, or be a UID that the server never gives.
#[test]
fn a_uid_at_uidnext_or_beyond_is_listed_and_moves_no_mark() {
    for (there, after, mark) in [
        ("7 8 4294967295", None, Some("8")),
        ("7 8 9 10", Some("6"), Some("8")),
        ("9", Some("7"), Some("7")),
        ("9", None, None),
    ] {
        let opened = "* 3 EXISTS\r\n* OK [UIDVALIDITY 14] v\r\n* OK [UIDNEXT 9] n\r\n{t} OK x\r\n";
        let found = format!("* SEARCH {there}\r\n{{t}} OK x\r\n");
        let script = [("EXAMINE", opened), ("UID SEARCH", &found)];
        let uids: Vec<u32> = there.split(' ').map(|uid| uid.parse().unwrap()).collect();
        assert_eq!(
            list(&script, after).unwrap(),
            (ids(uids), mark.map(str::to_owned)),
            "{there}"
        );
    }
}

#[test]
fn nothing_in_a_folder_with_messages_is_not_believed() {
    let script = [
        ("UID SEARCH", "* ESEARCH (TAG \"q1\") UID\r\n{t} OK x\r\n"),
        (
            "UID FETCH 1:* (UID)",
            "* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 6)\r\n* 3 FETCH (FLAGS ())\r\n{t} OK x\r\n",
        ),
    ];
    assert_eq!(list(&script, None).unwrap().0, ids([4, 6]));
    // After a mark it is.
    assert_eq!(list(&script[..1], Some("9")).unwrap().0, []);
}

#[test]
fn a_set_that_explodes_is_refused() {
    let err = list(
        &[(
            "UID SEARCH",
            "* ESEARCH UID ALL 1:4294967295\r\n{t} OK x\r\n",
        )],
        None,
    )
    .unwrap_err();
    assert_eq!(fault(&err).kind, Kind::Refused);
}

/// A line of a folder's UIDs is as long as the folder is large.
#[test]
fn a_million_uids_of_eight_digits_are_listed() {
    const UIDS: std::ops::RangeInclusive<u32> = 98_000_001..=99_000_000;
    let text = |separator: &str| {
        let uids: Vec<String> = UIDS.map(|uid| uid.to_string()).collect();
        uids.join(separator)
    };
    for answer in [
        format!("* SEARCH {} (MODSEQ 7)\r\n{{t}} OK x\r\n", text(" ")),
        format!(
            "* ESEARCH (TAG \"x\") UID ALL {} COUNT 7\r\n{{t}} OK x\r\n",
            text(",")
        ),
    ] {
        let (found, mark) = list(&[("UID SEARCH", &answer)], None).unwrap();
        assert_eq!(mark.as_deref(), Some("99000000"));
        assert!(found == ids(UIDS), "{} found", found.len());
    }
}

#[test]
fn a_long_line_that_lists_no_uids_is_refused() {
    for answer in [
        format!("* SEARCH {} x 7\r\n{{t}} OK x\r\n", "5 ".repeat(40_000)),
        format!("* SEARCH {}\r\n{{t}} OK x\r\n", "5".repeat(70_000)),
        format!(
            "* ESEARCH UID ALL {}a,7\r\n{{t}} OK x\r\n",
            "5,".repeat(40_000)
        ),
        format!("* OK {}\r\n{{t}} OK x\r\n", "words ".repeat(12_000)),
        format!(
            "* 1 FETCH (FLAGS ({}))\r\n{{t}} OK x\r\n",
            "x ".repeat(40_000)
        ),
        format!("{{t}} OK {}\r\n", "words ".repeat(12_000)),
    ] {
        let end = &answer[answer.len() - 30..];
        assert!(list(&[("UID SEARCH", &answer)], None).is_err(), "{end}");
    }
    // What comes between may hold literals.
    let answer = "* 1 FETCH (X {3}\r\n 9 ) Y {2}\r\n\r\n)\r\n* SEARCH 7\r\n* LIST () \"/\" {1}\r\na\r\n{t} OK x\r\n";
    assert_eq!(list(&[("UID SEARCH", answer)], None).unwrap().0, ids([7]));
}

/// Half a number is another, and half a list hides the rest.
#[test]
fn no_beginning_of_an_answer_is_a_listing() {
    for answer in [
        "* SEARCH 17 18\r\n* SEARCH 190\r\nq1 OK x\r\n",
        "* ESEARCH (TAG \"q1\") UID ALL 17:18,190\r\nq1 OK x\r\n",
    ] {
        for at in 0..answer.len() {
            for more in ["", "* BYE now\r\n"] {
                let cut = format!("{}{more}", &answer[..at]);
                assert!(list(&[("UID SEARCH", &cut)], Some("1")).is_err(), "{cut:?}");
            }
        }
    }
}

#[test]
fn a_day_is_asked_for_in_the_servers_form() {
    let (mut mailbox, asked) = session(&[]);
    let query = Query {
        after: Some("3".into()),
        since: Some(jiff::civil::date(2026, 3, 1)),
        ..Query::default()
    };
    listed(&mut mailbox, &query).unwrap();
    assert_eq!(
        asked.lock().unwrap()[0],
        "UID SEARCH UID 3:* SINCE 1-Mar-2026"
    );
}

/// Of a set that is refused without a response code nothing is known: each is asked for alone.
#[test]
fn one_refused_set_does_not_make_all_of_it_gone() {
    let nothing = ("UID SEARCH", "* SEARCH\r\n{t} OK x\r\n");
    for words in ["NO some of them cannot be had", "BAD [EXPUNGEISSUED] gone"] {
        let refused = format!("{{t}} {words}\r\n");
        let script = [
            nothing,
            ("UID FETCH 7:9 ", refused.as_str()),
            ("UID FETCH 7 ", "* 1 FETCH (UID 7)\r\n{t} OK x\r\n"),
            ("UID FETCH 8 ", refused.as_str()),
            ("UID FETCH 9 ", "* 2 FETCH (UID 9)\r\n{t} OK x\r\n"),
        ];
        let (mut mailbox, asked) = session(&script);
        mailbox.open("INBOX", false).unwrap();
        assert_eq!(mailbox.present(&ids([7, 8, 9])).unwrap(), ids([7, 9]));
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 6, "{asked:?}");
    }
    // Of one alone it is believed; what is about more than a message is an error.
    let script = [nothing, ("UID FETCH", "{t} NO no\r\n")];
    let (mut mailbox, asked) = session(&script);
    mailbox.open("INBOX", false).unwrap();
    assert_eq!(mailbox.present(&ids([7])).unwrap(), ids([]));
    assert_eq!(asked.lock().unwrap().len(), 3);
    for words in ["NO [UNAVAILABLE] later", "BAD Request is throttled."] {
        let refused = format!("{{t}} {words}\r\n");
        let script = [
            nothing,
            ("UID FETCH 7:8 ", "{t} NO no\r\n"),
            ("UID FETCH 7 ", refused.as_str()),
        ];
        let (mut mailbox, _) = session(&script);
        mailbox.open("INBOX", false).unwrap();
        mailbox.present(&ids([7, 8])).unwrap_err();
    }
}

/// A UID at UIDNEXT or above it shows that UIDNEXT is wrong, and then it ends no listing.
#[test]
fn a_wrong_uidnext_is_not_believed_once_it_is_seen_to_be() {
    let opened =
        "* 9 EXISTS\r\n* OK [UIDVALIDITY 14] v\r\n* OK [UIDNEXT 8] n\r\n{t} OK [READ-ONLY] x\r\n";
    let script = [
        ("EXAMINE", opened),
        ("UID SEARCH UID 9", "* SEARCH 9\r\n{t} OK x\r\n"),
        ("UID SEARCH UID 7:*", "* SEARCH 7 9 10\r\n{t} OK x\r\n"),
    ];
    let (mut mailbox, _) = session(&script);
    let query = Query {
        after: Some("7".into()),
        ..Query::default()
    };
    mailbox.open("INBOX", false).unwrap();
    assert_eq!(listed(&mut mailbox, &query).unwrap().0, ids([]));
    mailbox.present(&ids([9])).unwrap();
    let (found, listing) = listed(&mut mailbox, &query).unwrap();
    assert_eq!(found, ids([9, 10]));
    assert_eq!(listing.mark.as_deref(), Some("7"));
    // What is known of one folder is not of the next.
    mailbox.open("INBOX", false).unwrap();
    assert_eq!(listed(&mut mailbox, &query).unwrap().0, ids([]));
}
