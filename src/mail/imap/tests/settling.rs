//! Marking, deleting and moving, and finding out that it did not happen.

use super::*;

const OPEN: &str = "* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n{t} OK [READ-WRITE] x\r\n";

fn settle(
    capability: &str,
    script: &[(&str, &str)],
    action: AfterFetch,
) -> (Result<Settled>, Vec<String>) {
    let mut script = script.to_vec();
    script.push(("SELECT", OPEN));
    let (mut mailbox, asked) = session_with(capability, &script);
    mailbox.open("INBOX", true).unwrap();
    asked.lock().unwrap().clear();
    let result = mailbox.settle(&ids([5, 6]), &action);
    let mut asked = asked.lock().unwrap().clone();
    asked.retain(|command| command != "CAPABILITY"); // see `signing_in`
    (result, asked)
}

#[test]
fn each_action_is_done_and_verified() {
    for (action, commands) in [
        (
            AfterFetch::Seen,
            &[
                "UID STORE 5:6 +FLAGS.SILENT (\\Seen)",
                "UID SEARCH UID 5:6 UNSEEN",
            ][..],
        ),
        (
            AfterFetch::Delete,
            &[
                "UID STORE 5:6 +FLAGS.SILENT (\\Deleted)",
                "UID EXPUNGE 5:6",
                "UID SEARCH UID 5:6",
            ],
        ),
        (
            AfterFetch::Move("Fertig/\u{d6}".into()),
            &["UID MOVE 5:6 \"Fertig/&ANY-\"", "UID SEARCH UID 5:6"],
        ),
        (AfterFetch::Keep, &[]),
    ] {
        let (result, asked) = settle(OLD_EXCHANGE, &[], action);
        assert!(result.is_ok());
        assert_eq!(asked, commands);
    }
}

#[test]
fn an_ok_that_did_nothing_is_found_out() {
    for action in [
        AfterFetch::Seen,
        AfterFetch::Delete,
        AfterFetch::Move("Done".into()),
    ] {
        let (result, _) = settle(
            OLD_EXCHANGE,
            &[("UID SEARCH", "* SEARCH 6\r\n{t} OK x\r\n")],
            action,
        );
        let (id, fault) = result.unwrap().refused.remove(0);
        assert_eq!((id, fault.kind), (RemoteId::from(6), Kind::TryLater));
        assert!(fault.what.contains("1 of 2"), "{fault}");
    }
}

#[test]
fn one_message_that_is_refused_keeps_no_other_back() {
    for (action, command, done) in [
        (
            AfterFetch::Seen,
            "UID STORE",
            "UID STORE 5 +FLAGS.SILENT (\\Seen)",
        ),
        (AfterFetch::Delete, "UID EXPUNGE", "UID EXPUNGE 5"),
        (
            AfterFetch::Move("Done".into()),
            "UID MOVE",
            "UID MOVE 5 \"Done\"",
        ),
    ] {
        let script = [
            (command, "{t} NO it is held\r\n"),
            (command, "{t} OK x\r\n"),
            (command, "{t} NO it is held\r\n"),
        ];
        let (result, asked) = settle(OLD_EXCHANGE, &script, action);
        let refused = result.unwrap().refused;
        assert!(asked.iter().any(|command| command == done), "{asked:?}");
        let [(id, fault)] = &refused[..] else {
            panic!("{refused:?}")
        };
        assert_eq!((id, fault.kind), (&RemoteId::from(6), Kind::Refused));
        assert_eq!(fault.scope(), crate::fault::Scope::Message);
        assert_eq!(fault.server_said.as_deref(), Some("NO it is held"));
    }
}

#[test]
fn a_refusal_of_the_folder_or_mailbox_is_asked_for_once() {
    for words in ["NO [NOPERM] no", "NO Server Unavailable. 15"] {
        let reply = format!("{{t}} {words}\r\n");
        let (result, asked) = settle(OLD_EXCHANGE, &[("UID STORE", &reply)], AfterFetch::Delete);
        assert!(result.is_err());
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
}

#[test]
fn without_uidplus_nothing_of_others_is_expunged() {
    let (result, asked) = settle(
        "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR",
        &[("UID SEARCH UID 5:6 UNDELETED", "* SEARCH\r\n{t} OK x\r\n")],
        AfterFetch::Delete,
    );
    let settled = result.unwrap();
    assert!(!settled.left && settled.refused.is_empty(), "{settled:?}");
    assert_eq!(
        asked,
        [
            "UID STORE 5:6 +FLAGS.SILENT (\\Deleted)",
            "UID SEARCH UID 5:6 UNDELETED",
        ]
    );
}

#[test]
fn without_move_a_message_is_copied_and_expunged() {
    let (result, asked) = settle(
        "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS",
        &[("UID SEARCH UID 5:6 UNDELETED", "* SEARCH 6\r\n{t} OK x\r\n")],
        AfterFetch::Move("Done; \"x\"".into()),
    );
    assert!(result.unwrap().left);
    assert_eq!(
        asked,
        [
            "UID SEARCH UID 5:6 UNDELETED",
            "UID COPY 6 \"Done; \\\"x\\\"\"",
            "UID STORE 5:6 +FLAGS.SILENT (\\Deleted)",
            "UID EXPUNGE 5:6",
            "UID SEARCH UID 5:6",
        ]
    );
}

/// A copy could be made again in each run.
#[test]
fn without_move_and_uidplus_nothing_is_copied() {
    const OLD: &str = "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR";
    let action = AfterFetch::Move("Done".into());
    let (result, asked) = settle(OLD, &[], action.clone());
    let settled = result.unwrap();
    assert!(!settled.left && settled.refused.is_empty(), "{settled:?}");
    assert!(asked.is_empty(), "{asked:?}");
    let (mut mailbox, _) = session_with(OLD, &[("SELECT", OPEN)]);
    mailbox.open("INBOX", true).unwrap();
    let err = mailbox.may_settle(&action).unwrap_err();
    assert_eq!(kind_of(&err), Kind::Config);
    assert!(
        err.to_string().contains("neither MOVE nor UIDPLUS"),
        "{err}"
    );
    mailbox.may_settle(&AfterFetch::Delete).unwrap();
}

#[test]
fn a_missing_target_is_made_once() {
    let (result, asked) = settle(
        OLD_EXCHANGE,
        &[
            ("UID MOVE", "{t} NO [TRYCREATE] Done doesn't exist.\r\n"),
            ("UID MOVE", "{t} OK [COPYUID 9  ] x\r\n"),
        ],
        AfterFetch::Move("Done".into()),
    );
    assert!(result.is_ok());
    assert_eq!(
        asked,
        [
            "UID MOVE 5:6 \"Done\"",
            "CREATE \"Done\"",
            "UID MOVE 5:6 \"Done\"",
            "UID SEARCH UID 5:6"
        ]
    );
    let (result, asked) = settle(
        OLD_EXCHANGE,
        &[
            ("UID MOVE", "{t} NO [TRYCREATE] no\r\n"),
            ("CREATE", "{t} NO no\r\n"),
        ],
        AfterFetch::Move("Done".into()),
    );
    assert_eq!(kind_of(&result.unwrap_err()), Kind::Config);
    assert_eq!(asked.len(), 3);
}

#[test]
fn nothing_is_moved_to_where_it_is() {
    let (result, asked) = settle(OLD_EXCHANGE, &[], AfterFetch::Move("Inbox".into()));
    assert_eq!(kind_of(&result.unwrap_err()), Kind::Config);
    assert!(asked.is_empty());
}

#[test]
fn what_may_be_done_is_told_by_the_flags_that_stay() {
    let (mut mailbox, _) = session(&[]);
    mailbox.open("INBOX", true).unwrap(); // PERMANENTFLAGS (\Seen)
    mailbox.may_settle(&AfterFetch::Seen).unwrap();
    let err = mailbox.may_settle(&AfterFetch::Delete).unwrap_err();
    assert_eq!(crate::fault::kind_of(&err), Kind::SignIn);
    assert!(
        err.to_string().contains("does not keep the flag \\Deleted"),
        "{err}"
    );
    mailbox
        .may_settle(&AfterFetch::Move("Done".into()))
        .unwrap(); // MOVE needs no flag
    let (mut mailbox, _) = session(&[("SELECT", OPEN)]);
    mailbox.open("INBOX", true).unwrap();
    mailbox.may_settle(&AfterFetch::Delete).unwrap(); // nothing is told
}
