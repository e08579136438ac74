//! What other users of the machine put in the way of a delivery: links, FIFOs, devices. Root has
//! the most to lose; and what is one's own goes on working. And limits that an administrator set.

use super::{Desk, SUPPORT, Via, assert_same, mboxrd};
use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const STRANGER: u32 = 65534;

/// A folder below the home that belongs to another user, with a link of theirs in it; `None` where
/// the test does not run as root and cannot make such a thing.
fn strange(desk: &Desk, link: &str, to: &Path) -> Option<()> {
    let link = desk.path(link);
    let folder = link.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    symlink(to, &link).unwrap();
    lchown(&link, Some(STRANGER), Some(STRANGER)).ok()?;
    chown(folder, Some(STRANGER), Some(STRANGER)).ok()
}

#[test]
fn root_is_led_nowhere_by_a_users_link() {
    for (target, link) in [
        ("mbox:~/theirs/box", "theirs/box"),
        ("maildir:~/theirs", "theirs/new"),
        ("maildir:~/theirs", "theirs/tmp"),
        ("maildir:~/theirs/mail", "theirs/mail"),
        ("eml:~/theirs/mail", "theirs/mail"),
        ("eml:~/theirs", "theirs/.staging"),
    ] {
        let desk = Desk::new(Via::Imap, &format!("deliver: {target}"));
        desk.deliver(0..1);
        let victim = desk.path("victim");
        if target.starts_with("mbox") {
            fs::write(&victim, "root's own\n").unwrap();
        } else {
            fs::create_dir(&victim).unwrap();
        }
        let Some(()) = strange(&desk, link, &victim) else {
            return;
        };
        desk.fetch(&[])
            .fails(73)
            .mentions("which belongs to another user (uid 65534)")
            .mentions("hint: run as its owner: sudo -u '#65534' queuemail …");
        desk.world
            .run(["check", "support"])
            .ends()
            .shows("belongs to another user");
        // Nor by a link alone that the user could put where everybody can.
        chown(desk.path("theirs"), Some(0), Some(0)).unwrap();
        desk.fetch(&[])
            .fails(73)
            .mentions("is a link of another user");
        if victim.is_dir() {
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{target}");
        } else {
            assert_eq!(fs::read_to_string(&victim).unwrap(), "root's own\n");
        }
        assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 1);
    }
}

/// A delivery that was interrupted is not finished through a link that was put there since.
#[test]
fn an_interrupted_delivery_is_led_nowhere_either() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:~/mail");
    desk.deliver(0..1);
    for part in ["mail/tmp", "mail/cur"] {
        fs::create_dir_all(desk.path(part)).unwrap();
    }
    // No file can be moved there.
    symlink("/proc", desk.path("mail/new")).unwrap();
    desk.fetch(&[]).fails(73);
    fs::remove_file(desk.path("mail/new")).unwrap();
    fs::create_dir(desk.path("victim")).unwrap();
    symlink(desk.path("victim"), desk.path("mail/new")).unwrap();
    if lchown(desk.path("mail/new"), Some(STRANGER), None).is_err() {
        return;
    }
    desk.fetch(&[])
        .fails(73)
        .mentions("is a link of another user");
    assert_eq!(fs::read_dir(desk.path("victim")).unwrap().count(), 0);
}

#[test]
fn a_file_with_two_names_or_of_another_user_is_not_written_by_root() {
    let desk = Desk::new(Via::Imap, "deliver: mbox:~/box");
    desk.deliver(0..1);
    fs::write(desk.path("other"), "").unwrap();
    fs::hard_link(desk.path("other"), desk.path("box")).unwrap();
    desk.fetch(&[]).fails(73).mentions("a hard link");
    fs::remove_file(desk.path("other")).unwrap();
    if chown(desk.path("box"), Some(STRANGER), None).is_ok() {
        desk.fetch(&[])
            .fails(73)
            .mentions("belongs to another user (uid 65534)");
        assert_eq!(fs::read(desk.path("box")).unwrap(), b"");
    }
}

#[test]
fn what_is_no_lock_file_is_not_waited_for() {
    for what in ["fifo", "device", "link"] {
        let desk = Desk::new(Via::Imap, "deliver: mbox:~/box");
        desk.deliver(0..1);
        let lock = desk.path("box.lock");
        match what {
            "fifo" => assert!(
                Command::new("mkfifo")
                    .arg(&lock)
                    .status()
                    .unwrap()
                    .success()
            ),
            "device" => symlink("/dev/zero", &lock).unwrap(),
            _ => symlink("nowhere", &lock).unwrap(),
        }
        // A lock is waited for for a minute.
        let began = Instant::now();
        desk.fetch(&[])
            .fails(73)
            .mentions("exists, but is not a lock file");
        assert!(began.elapsed() < Duration::from_secs(50), "{what}");
        assert!(lock.symlink_metadata().is_ok(), "it is not ours to remove");
    }
}

/// `~/Mail` on another disk, by a link of one's own.
#[test]
fn ones_own_links_lead_on() {
    for target in ["mbox:~/Mail/box", "mbox:~/link"] {
        let desk = Desk::new(Via::Imap, &format!("deliver: {target}"));
        let sent = desk.deliver(0..2);
        fs::create_dir(desk.path("disk")).unwrap();
        symlink("disk", desk.path("Mail")).unwrap();
        symlink("Mail/box", desk.path("link")).unwrap();
        desk.fetch(&[]).succeeds();
        assert_same(&sent, &mboxrd(&desk.path("disk/box")), target);
    }
    let desk = Desk::new(Via::Imap, "deliver: maildir:~/Mail/{queue}");
    let sent = desk.deliver(0..2);
    fs::create_dir(desk.path("disk")).unwrap();
    symlink(desk.path("disk"), desk.path("Mail")).unwrap();
    desk.fetch(&[]).succeeds();
    assert_same(&sent, &desk.maildir("disk/support"), "maildir");
}

/// A service user whose mail lies in a folder of its own, and in one that a group shares.
#[test]
fn a_service_user_delivers_where_it_may_write() {
    for target in [
        "mbox:~/shared/box",
        "maildir:~/shared/{queue}",
        "eml:~/own/{queue}",
    ] {
        let desk = Desk::new(Via::Imap, &format!("deliver: {target}"));
        desk.deliver(0..1);
        for folder in ["shared", "own"] {
            fs::create_dir(desk.path(folder)).unwrap();
        }
        let owned = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(desk.world.home())
            .status();
        if !owned.unwrap().success() {
            return;
        }
        // Root's, or another user's, and the group may write.
        chown(desk.path("shared"), Some(1), None).unwrap();
        desk.world.chmod(&desk.path("shared"), 0o2770);
        desk.fetch(&[])
            .under([
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ])
            .succeeds();
        assert_eq!(
            desk.fetch(&[]).ends().code,
            78,
            "root leaves its configuration alone"
        );
    }
}

/// A limit on the size of files fails the write, as a full disk does, and does not end the program.
#[test]
fn a_limit_on_the_size_of_files_is_said() {
    for target in ["maildir:~/mail", "mbox:~/box", "eml:~/mail"] {
        let desk = Desk::new(
            Via::Imap,
            &format!("deliver: {target}\nafter_fetch: delete"),
        );
        // Of 2 MiB, where a file may have 1 MiB.
        let long = "x\r\n".repeat(700_000);
        let sent = format!("Subject: long\r\n\r\n{long}").into_bytes();
        desk.m365.deliver(SUPPORT, "INBOX", &sent);
        desk.fetch(&[])
            .under(["/bin/sh", "-c", "ulimit -f 2048; exec \"$@\"", "sh"])
            .fails(73)
            .mentions("raise the limit (ulimit -f");
        assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 1, "{target}");
        desk.fetch(&[]).succeeds();
        assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 0, "{target}");
    }
}

/// Open files come back: whatever finds none left asks to be tried later.
#[test]
fn too_many_open_files_are_to_be_tried_later() {
    for (via, target) in [
        (Via::Imap, "maildir:~/mail"),
        (Via::Graph, "mbox:~/box"),
        (Via::Imap, "command:cat"),
    ] {
        let desk = Desk::new(via, &format!("deliver: {target}"));
        desk.deliver(0..1);
        let mut codes = Vec::new();
        for most in 3..24 {
            let limit = format!("ulimit -n {most}; exec \"$@\"");
            let ran = desk
                .fetch(&[])
                .under(["/bin/sh", "-c", &limit, "sh"])
                .ends();
            // Without libraries there is no program yet.
            if ran.stderr.contains("error while loading shared libraries") {
                continue;
            }
            codes.push(ran.code);
            if ran.code == 0 {
                continue;
            }
            assert_eq!(ran.code, 75, "{target} with {most} files: {ran}");
            let ran = ran.mentions("hint: raise the limit (ulimit -n");
            // Nothing is wrong with the network, the certificates or the folders.
            for other in [
                "curl",
                "proxy",
                "nc -v",
                "getent",
                "certificate",
                "--state-dir",
            ] {
                let is_said = ran.stderr.contains(other);
                assert!(!is_said, "{other}, {target} with {most} files: {ran}");
            }
        }
        assert!(codes.contains(&75) && codes.contains(&0), "{codes:?}");
    }
}

/// The same of threads, of which there are none at all: no system has room for such a stack.
#[test]
fn where_no_thread_is_left_nothing_panics() {
    for via in [Via::Imap, Via::Graph] {
        let desk = Desk::new(via, "deliver: maildir:~/mail");
        desk.deliver(0..1);
        let world = &desk.world;
        for args in [
            &["fetch"][..],
            &["fetch", "--jobs", "8"],
            &["token", "get", "support", "--fresh"],
            &["queue", "set", "support", "--queue-priority", "7"],
            &["check"],
        ] {
            let run = world.run(args).env("RUST_MIN_STACK", "140737488355328");
            let ran = run.fails(75);
            assert!(!ran.stderr.contains("panicked"), "{ran}");
            match args[0] {
                "check" => ran.shows("raise the limit (ulimit -n for open files, -u for"),
                _ => ran.mentions("hint: raise the limit (ulimit -n for open files, -u for"),
            };
        }
        desk.fetch(&[]).succeeds();
    }
}
