//! Which messages are there, in every form of answer.

use super::*;

fn list(script: &[(&str, &str)], after: Option<&str>) -> Result<(Vec<RemoteId>, Option<String>)> {
    let (mut mailbox, _) = session(script);
    mailbox.open("INBOX", false)?;
    let query = Query {
        after: after.map(str::to_owned),
        since: None,
    };
    listed(&mut mailbox, &query)
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
    let script = [("UID SEARCH UID 10:*", "* SEARCH 9\r\n{t} OK x\r\n")];
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
            since: None,
        };
        let (_, mark) = listed(&mut mailbox, &query).unwrap();
        assert_eq!(mark.as_deref(), after);
        let asked = asked.borrow();
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
        since: None,
    };
    listed(&mut mailbox, &query).unwrap();
    assert_eq!(asked.borrow().last().unwrap(), "UID SEARCH UID 10:*");
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

#[test]
fn a_day_is_asked_for_in_the_servers_form() {
    let (mut mailbox, asked) = session(&[]);
    let query = Query {
        after: Some("3".into()),
        since: Some(jiff::civil::date(2026, 3, 1)),
    };
    listed(&mut mailbox, &query).unwrap();
    assert_eq!(asked.borrow()[0], "UID SEARCH UID 4:* SINCE 1-Mar-2026");
}
