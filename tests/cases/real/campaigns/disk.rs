//! A disk that is really full, or read-only: where mail is delivered, or where the state is.
//!
//! The disk is in memory and small, and needs root.

use crate::campaign::Campaign;
use crate::cases::fetch::{Desk, SUPPORT, assert_same, both};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A filesystem of its own, gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn new(place: PathBuf, kib: usize) -> Disk {
        std::fs::create_dir_all(&place).unwrap();
        run(Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k,mode=700"),
                "tmpfs",
            ])
            .arg(&place));
        Disk(place)
    }

    fn remount(&self, options: &str) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0));
    }

    /// Fills it but for so many octets.
    fn fill_but(&self, octets: usize) -> PathBuf {
        let filler = self.0.join("filler");
        let mut size = 8 << 20;
        // What does not fit is cut off, down to the last page.
        let _ = std::fs::write(&filler, vec![b'x'; size]);
        size = std::fs::metadata(&filler).unwrap().len() as usize;
        let file = std::fs::File::options().write(true).open(&filler).unwrap();
        file.set_len(size.saturating_sub(octets) as u64).unwrap();
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {text}");
}

/// A message that takes some room.
fn large(n: usize) -> Vec<u8> {
    format!(
        "Message-ID: <large-{n}@customer.example>\r\nSubject: No. {n}\r\n\r\n{}",
        "A line of the text.\r\n".repeat(400)
    )
    .into_bytes()
}

fn delivered(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    found.sort();
    found
}

#[test]
fn full_where_mail_is_delivered() {
    both(|via| {
        let mut campaign = Campaign::new(format!("full disk at the delivery, {via:?}"));
        let sizes: Vec<usize> = (1..16).map(|n| n * 24).collect();
        for kib in campaign.some_of(&sizes, 2) {
            let desk = Desk::new(via, "deliver: maildir:disk/mail\nafter_fetch: delete");
            let disk = Disk::new(desk.path(".config/queuemail/disk"), *kib);
            let sent: Vec<_> = (0..60).map(large).collect();
            for message in &sent {
                desk.m365.deliver(SUPPORT, "INBOX", message);
            }
            let story = format!("a disk of {kib} KiB, {via:?}");
            for _ in 0..2 {
                let ran = desk.fetch(&[]).ends();
                assert_eq!(ran.code, 73, "{story}\n{ran}");
                ran.mentions("cannot write `HOME/.config/queuemail/disk/mail/tmp/")
                    .mentions("No space left on device")
                    .mentions("free some space and run the same command again");
                let new = disk.0.join("mail/new");
                let there = delivered(&new).len() + desk.m365.messages(SUPPORT, "INBOX").len();
                assert!(there >= sent.len(), "{story}: {there} of them");
            }
            campaign.fault();
            disk.remount("size=16m");
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &delivered(&disk.0.join("mail/new")), &story);
            assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty(), "{story}");
        }
        campaign.end(2);
    });
}

#[test]
fn full_where_the_state_is() {
    both(|via| {
        let mut campaign = Campaign::new(format!("full disk at the state, {via:?}"));
        let room: Vec<usize> = (0..40).map(|n| n * 4096).collect();
        for octets in campaign.some_of(&room, 4) {
            let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: delete");
            let disk = Disk::new(desk.world.state_dir(), 2048);
            let mut sent = desk.deliver(0..5);
            let story = format!("{octets} octets free, {via:?}");
            desk.fetch(&[]).succeeds().says_nothing();
            sent.extend(desk.deliver(5..40));
            let filler = disk.fill_but(*octets);
            let ran = desk.fetch(&[]).ends();
            assert!(matches!(ran.code, 0 | 73), "{story}\n{ran}");
            if ran.code == 73 {
                campaign.fault();
                let ran = ran.mentions("`HOME/.local/state/queuemail/");
                let remedy = ["free some space", "(df HOME/.local/state/queuemail)"];
                let said = remedy.iter().any(|words| ran.stderr.contains(words));
                assert!(said, "{story}: no remedy\n{ran}");
            }
            std::fs::remove_file(filler).unwrap();
            desk.fetch(&[]).succeeds().says_nothing();
            let story = format!("{story}, then all free");
            assert_same(&sent, &desk.maildir(".config/queuemail/mail"), &story);
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &desk.maildir(".config/queuemail/mail"), &story);
            assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty(), "{story}");
        }
        campaign.end(1);
    });
}

/// Root may write whatever a file's mode says, but not on a read-only disk.
#[test]
fn read_only() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:disk/mail\nafter_fetch: delete");
        let mail = Disk::new(desk.path(".config/queuemail/disk"), 4096);
        let state = Disk::new(desk.world.state_dir(), 4096);
        let mut sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds().says_nothing();
        sent.extend(desk.deliver(3..6));
        mail.remount("ro");
        desk.fetch(&[])
            .fails(73)
            .mentions("cannot write `HOME/.config/queuemail/disk/mail/tmp")
            .mentions("Read-only file system")
            .mentions("let the user who runs queuemail write there");
        mail.remount("rw");
        state.remount("ro");
        desk.fetch(&[])
            .fails(73)
            .mentions("HOME/.local/state/queuemail")
            .mentions("let the user who runs queuemail write there");
        assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 3, "{via:?}");
        state.remount("rw");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(
            &sent,
            &delivered(&mail.0.join("mail/new")),
            "writable again",
        );
        desk.fetch(&[]).succeeds().says_nothing();
    });
}
