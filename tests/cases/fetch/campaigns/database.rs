//! The state database: another program holds it, or its file is damaged.

use super::{Campaign, Desk, Via, both, campaign, maildir, makes_good};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const MAILDIR: &str = "deliver: maildir:mail";

#[test]
fn a_database_that_is_busy_for_a_moment_is_waited_for() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let mut sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds();
        sent.extend(desk.deliver(3..6));
        let held = desk.state();
        held.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            held.execute_batch("COMMIT").unwrap();
        });
        desk.fetch(&[]).succeeds().says_nothing();
        holder.join().unwrap();
        makes_good(&desk, &sent, maildir, "busy for a moment");
    });
}

/// The wait is half a minute, so this is for whole campaigns.
#[test]
fn a_database_that_stays_busy_is_left_for_later() {
    if !campaign::whole() {
        return;
    }
    let mut campaign = Campaign::new("database held by another program");
    let desk = Desk::new(Via::Imap, MAILDIR);
    let mut sent = desk.deliver(0..3);
    desk.fetch(&[]).succeeds();
    sent.extend(desk.deliver(3..6));
    for hold in [
        "BEGIN EXCLUSIVE",
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE folder SET mark = mark",
    ] {
        let held = desk.state();
        held.execute_batch(hold).unwrap();
        desk.fetch(&[])
            .fails(75)
            .mentions("the state database `HOME/.local/state/queuemail/state.sqlite`")
            .mentions("hint: another program keeps it locked: fuser -v HOME");
        drop(held);
        campaign.fault();
    }
    makes_good(&desk, &sent, maildir, "busy for long");
    campaign.end(2);
}

/// Changes the octets of a file.
type Spoil = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn a_damaged_file_is_said_and_nothing_is_fetched() {
    let spoilt: [(&str, Spoil); 10] = [
        ("another file", |_| {
            b"This is a letter to my aunt.\n".repeat(100)
        }),
        ("its beginning overwritten", |mut bytes| {
            bytes[..100].fill(0xff);
            bytes
        }),
        ("its second half gone", |mut bytes| {
            bytes.truncate(bytes.len() / 2);
            bytes
        }),
        ("emptied", |_| Vec::new()),
        ("all but its first octets gone", |mut bytes| {
            bytes.truncate(50);
            bytes
        }),
        ("all pages but the first gone", |mut bytes| {
            bytes.truncate(4096);
            bytes
        }),
        ("zeros alone", |bytes| vec![0; bytes.len()]),
        ("all pages but the first zeros", |mut bytes| {
            bytes[4096..].fill(0);
            bytes
        }),
        ("what its header tells of it is zeros", |mut bytes| {
            bytes[60..72].fill(0);
            bytes
        }),
        ("all pages but the first overwritten", |mut bytes| {
            bytes[4096..].fill(0x5a);
            bytes
        }),
    ];
    let mut campaign = Campaign::new("database damaged");
    for (story, spoil) in spoilt {
        let desk = Desk::new(Via::Imap, MAILDIR);
        let sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds();
        // All that is in the log beside the file goes into it.
        desk.state()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        let path = desk.world.state_dir().join("state.sqlite");
        std::fs::write(&path, spoil(std::fs::read(&path).unwrap())).unwrap();
        let ran = desk.fetch(&[]).ends();
        assert_eq!(ran.code, 73, "{story}\n{ran}");
        let ran = ran
            .mentions("the state database `HOME/.local/state/queuemail/state.sqlite`")
            .mentions("hint: the file is damaged: restore a backup");
        assert_eq!(desk.maildir(super::MAIL).len(), 3, "{story}\n{ran}");
        campaign.fault();
        // As the hint says.
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        desk.fetch(&[]).succeeds().says_nothing();
        let twice = [sent.clone(), sent].concat();
        super::assert_same(&twice, &desk.maildir(super::MAIL), story);
    }
    campaign.end(10);
}

/// A value that the program would not have written.
#[test]
fn a_damaged_value_is_said_and_nothing_is_fetched() {
    for damage in [
        "UPDATE folder SET mark = '1x'",
        "UPDATE message SET state = 'staged', intent = '{\"Rename\": 5'",
        "UPDATE message SET state = 'staged', intent = NULL",
    ] {
        let desk = Desk::new(Via::Imap, MAILDIR);
        let sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds();
        let state = desk.state();
        state.execute_batch(damage).unwrap();
        drop(state);
        desk.deliver(3..4);
        let ran = desk.fetch(&[]).ends();
        assert_eq!(ran.code, 73, "{damage}\n{ran}");
        ran.mentions("cannot read the state database `HOME/.local/state/queuemail/state.sqlite`")
            .mentions("hint: the file is damaged: restore a backup");
        super::assert_same(&sent, &desk.maildir(super::MAIL), damage);
    }
}

/// A file at the place of the database that is another program's.
#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    let id = "PRAGMA application_id = 252006674;";
    for made in [
        "CREATE TABLE note (text)",
        "CREATE TABLE note (text); PRAGMA user_version = 3",
        "CREATE TABLE note (text); PRAGMA user_version = 1000",
        "CREATE TABLE token (a); CREATE TABLE message (a); PRAGMA user_version = 1",
        &format!("{id} CREATE TABLE note (text); PRAGMA user_version = 5"),
        &format!("{id} PRAGMA user_version = 1"),
    ] {
        let desk = Desk::new(Via::Imap, MAILDIR);
        desk.deliver(0..1);
        let path = desk.world.state_dir().join("state.sqlite");
        std::fs::create_dir_all(desk.world.state_dir()).unwrap();
        desk.state().execute_batch(made).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let before = std::fs::read(&path).unwrap();
        for command in [["fetch"].as_slice(), &["status"], &["outbox", "flush"]] {
            desk.world
                .run(command)
                .fails(73)
                .mentions(
                    "`HOME/.local/state/queuemail/state.sqlite` is the database of another program",
                )
                .mentions("--state-dir FOLDER");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before, "{made}");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{made}");
    }
}

/// What is no file cannot be a database, and nobody waits for it.
#[test]
fn a_thing_that_is_no_file_is_said() {
    let makes: [fn(&Path); 2] = [
        |path| std::fs::create_dir(path).unwrap(),
        |path| {
            rustix::fs::mkfifoat(
                rustix::fs::CWD,
                path,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            )
            .unwrap();
        },
    ];
    for make in makes {
        let desk = Desk::new(Via::Imap, MAILDIR);
        std::fs::create_dir_all(desk.world.state_dir()).unwrap();
        make(&desk.world.state_dir().join("state.sqlite"));
        desk.fetch(&[])
            .fails(73)
            .mentions("cannot open the state database `HOME/.local/state/queuemail/state.sqlite`");
    }
}

/// The log is of no use without its database, which may come back.
#[test]
fn a_file_that_is_gone_from_beside_its_log_is_no_new_one() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..3);
    for _ in 0..2 {
        desk.fetch(&[]).succeeds();
    }
    let path = desk.world.state_dir().join("state.sqlite");
    let away = desk.world.path("away");
    std::fs::rename(&path, &away).unwrap();
    desk.fetch(&[])
        .fails(73)
        .mentions("is gone")
        .mentions("hint: the file is damaged: restore a backup");
    std::fs::rename(&away, &path).unwrap();
    desk.fetch(&[]).succeeds().says_nothing();
    makes_good(&desk, &sent, maildir, "the file was away");
}

/// Whatever octet is wrong: the program says what it meets, and does not break down.
#[test]
fn any_octet_may_be_wrong() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.deliver(0..3);
    desk.fetch(&[]).succeeds();
    desk.state()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let path = desk.world.state_dir().join("state.sqlite");
    let good = std::fs::read(&path).unwrap();
    let places: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let mut campaign = Campaign::new("database with one wrong octet");
    for at in campaign.some_of(&places, 12) {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        let mut bytes = good.clone();
        bytes[*at] ^= 0xa5;
        std::fs::write(&path, bytes).unwrap();
        let ran = desk.fetch(&[]).ends();
        assert!(matches!(ran.code, 0 | 65 | 73 | 75), "octet {at}\n{ran}");
        campaign.fault();
    }
    campaign.end(12);
}
