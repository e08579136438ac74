//! Folders opened, missing and barred, whatever else a server says meanwhile.

use super::*;

#[test]
fn legal_answers_that_the_library_panics_on_are_no_trouble() {
    let (mut mailbox, _) = session(&[(
        "SELECT",
        "* NO disk is nearly full\r\n* BAD odd\r\n* PREAUTH x\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n\
             * ESEARCH (TAG \"x\") UID\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* XYZZY\r\n* OK [ALERT] Gr\u{fc}\u{df}e\r\n\
             * LIST () \"/\" {3}\r\nabc\r\n* [UIDVALIDITY 9] x\r\n* 7 EXISTS\r\n{t} OK [READ-WRITE] d\u{f6}ne\r\n",
    )]);
    assert_eq!(
        mailbox.open("INBOX", true).unwrap(),
        Folder {
            uidvalidity: 9,
            exists: 7,
            next: None
        }
    );
    assert_eq!(mailbox.take_alerts(), ["[ALERT] Grüße"]);
    // The session has not lost its place.
    assert!(mailbox.open("INBOX", false).is_ok());
}

#[test]
fn a_mailbox_without_permission_is_a_matter_of_sign_in() {
    let (mut mailbox, _) = session(&[(
        "SELECT",
        "{t} BAD User is authenticated but not connected.\r\n",
    )]);
    let err = mailbox.open("INBOX", true).unwrap_err();
    assert_eq!(fault(&err).kind, Kind::SignIn);
    assert_eq!(
        fault(&err).what,
        "signed in to `outlook.office365.com`, but cannot open mailbox `support@contoso.com`"
    );
    assert_eq!(
        fault(&err).server_said.as_deref(),
        Some("BAD User is authenticated but not connected.")
    );
}

#[test]
fn a_folder_that_is_not_there_names_those_that_are_near() {
    let (mut mailbox, asked) = session(&[
        ("SELECT", "{t} NO Gesendte Elemente doesn't exist.\r\n"),
        (
            "LIST",
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\Sent) \"/\" \"Gesendete Elemente\"\r\n\
                 * LIST (\\Noselect) \"/\" Gesendte\r\n* LIST () \"/\" &AMk-l\r\n{t} OK done\r\n",
        ),
    ]);
    let err = mailbox.open("Gesendte Elemente", true).unwrap_err();
    assert_eq!(fault(&err).kind, Kind::Config);
    assert_eq!(fault(&err).hints, ["did you mean `Gesendete Elemente`?"]);
    assert_eq!(asked.lock().unwrap()[0], "SELECT \"Gesendte Elemente\"");
}

#[test]
fn a_read_only_folder_cannot_be_settled_in() {
    let script = [(
        "SELECT",
        "* 1 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n{t} OK [READ-ONLY] x\r\n",
    )];
    let (mut mailbox, _) = session(&script);
    assert_eq!(
        kind_of(&mailbox.open("INBOX", true).unwrap_err()),
        Kind::SignIn
    );
    let (mut mailbox, _) = session(&[("SELECT", "* 1 EXISTS\r\n{t} OK x\r\n")]);
    assert_eq!(
        kind_of(&mailbox.open("INBOX", true).unwrap_err()),
        Kind::Refused
    );
}

#[test]
fn a_token_that_runs_out_is_told_apart() {
    let (mut mailbox, _) = session(&[(
        "SELECT",
        "* BYE Session invalidated - AccessTokenExpired\r\n",
    )]);
    let err = mailbox.open("INBOX", true).unwrap_err();
    assert!(err.downcast_ref::<TokenExpired>().is_some());
    assert_eq!(fault(&err).kind, Kind::TryLater);
    // The connection is of no more use.
    assert_eq!(
        kind_of(&mailbox.open("INBOX", true).unwrap_err()),
        Kind::TryLater
    );
}
