//! The files of other programs, as these write them and as nobody should.

use super::*;
use crate::fault::{Kind, kind_of};
use crate::mail::RemoteId;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const USERS: &[&str] = &["support@contoso.com", "Reader"];
const FILES: [Program; 3] = [Program::Getmail, Program::Fetchmail, Program::Mbsync];

fn read_text(program: Program, text: &[u8]) -> Result<Memory> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, text).unwrap();
    read(program, &path, USERS)
}

/// The UIDs of a UIDVALIDITY below 100, and how many messages are unclear.
fn uids(program: Program, text: &str, uidvalidity: u32) -> (Vec<u32>, u64) {
    let memory = read_text(program, text.as_bytes()).unwrap();
    let Fetched::Uids(uids) = memory.fetched else {
        panic!("no UIDs");
    };
    let found = (0..100).filter(|uid: &u32| uids.holds(uidvalidity, &RemoteId::from(*uid)));
    (found.collect(), memory.unclear)
}

#[track_caller]
fn fails(program: Program, text: &[u8], words: &str) {
    let Err(err) = read_text(program, text) else {
        panic!("{program:?} is read");
    };
    assert_eq!(kind_of(&err), Kind::Malformed, "{err}");
    assert!(err.to_string().contains(words), "{err}");
}

#[test]
fn getmail_names_messages_by_uidvalidity_and_uid() {
    let text =
        "7/1\u{0}1790000000\n7/12\u{0}1790000001\r\n8/3\u{0}0\n\n7/INBOX/4\u{0}5\n7/a/b/5\u{0}5\n";
    assert_eq!(uids(Program::Getmail, text, 7), (vec![1, 4, 5, 12], 0));
    assert_eq!(uids(Program::Getmail, text, 8), (vec![3], 0));
    // By POP3: of Dovecot, then of another server.
    let text = "0000000B00000007\u{0}5\nAAMkAGQ=\u{0}5\n0/1\u{0}5\n";
    assert_eq!(uids(Program::Getmail, text, 7), (vec![11], 2));
    for (text, line) in [
        ("7/1\u{0}5\n7/2 5\n", "line 2 of"),
        ("7/1\u{0}\n", "line 1 of"),
        ("\u{0}5\n", "line 1 of"),
        ("7/1\u{0}5\u{0}6\n", "line 1 of"),
        ("Subject: a message\n", "line 1 of"),
    ] {
        fails(Program::Getmail, text.as_bytes(), line);
    }
}

#[test]
fn the_name_of_getmails_file_tells_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, "7/1\u{0}5\n").unwrap();
        read(Program::Getmail, &path, USERS).map(|memory| memory.folder)
    };
    for (name, expected) in [
        (
            "oldmail-outlook.office365.com-993-Support@contoso.com-INBOX",
            Some("INBOX"),
        ),
        (
            "oldmail-localhost-993-reader-INBOX.Sales-EU",
            Some("INBOX.Sales-EU"),
        ),
        ("oldmail-localhost-995-reader", None),
        ("oldmail-reader-993-reader-A", Some("A")),
        ("any-name", None),
    ] {
        assert_eq!(read(name).unwrap().as_deref(), expected, "{name}");
    }
    for name in [
        "oldmail-outlook.office365.com-993-sales@contoso.com-INBOX",
        "oldmail-outlook.office365.com-993-support@contoso.com.example-INBOX",
        "oldmail-outlook.office365.com-993-xsupport@contoso.com-INBOX",
    ] {
        let err = read(name).unwrap_err();
        assert!(
            err.to_string().contains("is the file of another user"),
            "{err}"
        );
    }
    assert_eq!(as_in_a_name("INBOX/Sales\\//EU:", '.'), "INBOX.Sales.EU.");
}

#[test]
fn fetchmail_names_messages_by_pop3_and_each_mailbox_by_its_user() {
    let text = "support@contoso.com@outlook.office365.com 0000000100000007\n\
                READER@localhost 0000000200000007\n\
                reader2@localhost 0000000300000007\n\
                sales@contoso.com@outlook.office365.com 0000000400000007\n\
                reader@localhost AAA\n";
    assert_eq!(uids(Program::Fetchmail, text, 7), (vec![1, 2], 1));
    fails(Program::Fetchmail, b"a@b x\na@b\n", "line 2 of");
    fails(Program::Fetchmail, b"support x\n", "line 1 of");
    fails(Program::Fetchmail, b"a@b x y\n", "line 1 of");
    let Err(err) = read_text(Program::Fetchmail, b"other@localhost 0000000300000007\n") else {
        panic!("another mailbox");
    };
    assert!(
        err.to_string()
            .contains("no message of `support@contoso.com` or `Reader`"),
        "{err}"
    );
}

#[test]
fn mbsync_pairs_uids_and_says_what_was_not_fetched() {
    let text = "FarUidValidity 7\nNearUidValidity 1790000000\nMaxPulledUid 20\nMaxPushedUid 9\n\n\
                1 1 S\n2 2 \n3 0 \n4 4 >S\n5 0 ~S\n0 6 S\n7 0 ^\n8 8 <F\n9 0 !\n";
    assert_eq!(uids(Program::Mbsync, text, 7), (vec![1, 2, 5, 8], 4));
    let old = "MasterUidValidity 7\nSlaveUidValidity 1\nMaxPulledUid 2\nMaxPushedUid 2\nMaxExpiredSlaveUid 0\n\n\
               1 1 S\n2 4294967295 \n4294967294 3 S\n5 5 XS\n";
    assert_eq!(uids(Program::Mbsync, old, 7), (vec![1, 5], 1));
    for (text, words) in [
        ("FarUidValidity 7\n1 1 S\n", "line 2 of"),
        ("FarUidValidity 7\n\n1 1 S\nx\n", "line 4 of"),
        ("FarUidValidity 7\n\n1 1 S T\n", "line 3 of"),
        ("FarUidValidity 7\n\n1 4294967296 S\n", "line 3 of"),
        ("MaxPulledUid 7\n\n1 1 S\n", "FarUidValidity is missing"),
        ("FarUidValidity 7\n", "line 1 of"),
        ("", "before the empty line"),
        // Before 1.1.
        ("1:2 3:4:5\n1 1 S\n", "line 1 of"),
    ] {
        fails(Program::Mbsync, text.as_bytes(), words);
    }
    // mbsync has yet to write what is in its journal.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".mbsyncstate"), text).unwrap();
    assert!(
        read(Program::Mbsync, folder.path(), USERS).is_ok(),
        "by its folder"
    );
    fs::write(folder.path().join(".mbsyncstate.journal"), "").unwrap();
    let Err(err) = read(Program::Mbsync, folder.path(), USERS) else {
        panic!("there is a journal");
    };
    assert_eq!(kind_of(&err), Kind::TryLater);
}

fn maildir(messages: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for place in ["new", "cur"] {
        fs::create_dir(folder.path().join(place)).unwrap();
    }
    for (name, message) in messages {
        fs::write(folder.path().join(name), message).unwrap();
    }
    folder
}

fn copies(folder: &TempDir) -> (Copies, u64) {
    let memory = read(Program::Maildir, folder.path(), USERS).unwrap();
    let Fetched::Copies(copies) = memory.fetched else {
        panic!("no copies");
    };
    (copies, memory.unclear)
}

#[test]
fn a_maildir_is_known_by_its_messages() {
    let long = [
        b"X-Long: ".to_vec(),
        vec![b'x'; 40_000],
        b"\nMessage-ID: <3@x>\nDate: 7 Nov 2026 07:00 +0000\n\n".to_vec(),
    ]
    .concat();
    let folder = maildir(&[
        (
            "new/1.a",
            b"Received: by x\nMessage-ID: <1@x>\nDate: Sat, 7 Nov 2026 08:00:00 +0100\n\ntext\n",
        ),
        ("cur/2.a:2,S", b"Message-ID: <2@x>\n\none\r\ntwo\nthree"),
        ("cur/3.a:2,", &long),
        ("cur/4.a:2,", b"Subject: nameless\n\n"),
        ("cur/5.a:2,", b""),
        (
            "cur/.hidden",
            b"Message-ID: <9@x>\nDate: Sat, 7 Nov 2026 08:00:00 +0100\n\n",
        ),
    ]);
    let (copies, unclear) = copies(&folder);
    assert_eq!((copies.left(), unclear), (3, 2));
    let same = |head: &str, size| {
        let traits = crate::mail::Traits {
            size,
            ..crate::mail::Traits::of_head(head.as_bytes())
        };
        matches!(copies.likeness(&traits), Likeness::Same(_))
    };
    assert!(same(
        "Date: Sat, 7 Nov 2026 07:00:00 GMT\r\nMessage-ID: <1@x>\r\n\r\n",
        None
    ));
    // With CRLF at the end of each line: 19 + 2 + 5 + 5 + 5.
    assert!(same("Message-ID: <2@x>\r\n\r\n", Some(36)));
    assert!(!same("Message-ID: <2@x>\r\n\r\n", Some(33)));
    assert!(same(
        "Date: 7 Nov 2026 07:00:00 +0000\r\nMessage-ID: <3@x>\r\n\r\n",
        None
    ));
    assert!(!same(
        "Date: Sat, 7 Nov 2026 07:00:00 GMT\r\nMessage-ID: <9@x>\r\n\r\n",
        None
    ));
}

#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    let folder = maildir(&[]);
    let place = |name: &str| folder.path().join(name);
    let fifo = |path: &Path| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    fifo(&place("fifo"));
    symlink(place("fifo"), place("link")).unwrap();
    symlink(place("loop"), place("loop")).unwrap();
    for program in FILES {
        for name in ["fifo", "link", "loop", "missing", "/dev/zero"] {
            let Err(err) = read(program, &place(name), USERS) else {
                panic!("{program:?} {name}");
            };
            assert_eq!(kind_of(&err), Kind::Usage, "{err}");
            assert!(err.to_string().contains(name), "{err}");
        }
    }
    for name in ["new/fifo", "cur/link", "cur/folder"] {
        match name {
            "new/fifo" => fifo(&place(name)),
            "cur/link" => symlink("/etc/passwd", place(name)).unwrap(),
            _ => fs::create_dir(place(name)).unwrap(),
        }
        let Err(err) = read(Program::Maildir, folder.path(), USERS) else {
            panic!("{name}");
        };
        assert!(err.to_string().contains(name), "{err}");
        let _ = fs::remove_file(place(name));
    }
    let Err(err) = read(Program::Maildir, &place("new"), USERS) else {
        panic!("a folder of a Maildir");
    };
    assert!(err.to_string().contains("new/new"), "{err}");
}

#[test]
fn a_million_lines_take_little_memory_and_a_long_one_none() {
    let line = |n: u32| format!("7/{n}\0{n}\n");
    let text: String = (1..=1_000_000).map(line).collect();
    let Fetched::Uids(uids) = read_text(Program::Getmail, text.as_bytes())
        .unwrap()
        .fetched
    else {
        panic!("no UIDs");
    };
    assert_eq!(uids.count(7), 1_000_000);
    for program in FILES {
        fails(program, &[b'a'; 100_000], "line 1 of");
        fails(program, &[0xff; 5000], "more than 4096 bytes");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in "(FarUidValidity 7\n|\n|[0-9]{1,11}|[ @/>~^]|\\PC|\0|a@b x|\r\n){0,40}") {
        fuzz::files(text.as_bytes());
        let folder = maildir(&[("cur/1", text.as_bytes())]);
        let _ = read(Program::Maildir, folder.path(), USERS);
    }
}
