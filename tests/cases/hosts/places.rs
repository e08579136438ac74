//! Folders that both hosts deliver to: the same one, or refused.

use super::{At, Fleet, name};
use crate::cases::fetch::{Via, assert_same, both, files};
use crate::killed;
use std::fs;

#[test]
fn another_disk_at_the_same_path_is_refused_before_anything_is_made_there() {
    both(|via| {
        let fleet = Fleet::new(via, "deliver: maildir:{shared}/mail/{queue}");
        let mut sent = fleet.desk.deliver(0..2);
        fleet.fetch(At::A).succeeds();
        let mark = fleet.shared("mail/.queuemail");
        let id = fs::read_to_string(&mark).unwrap();
        sent.extend(fleet.desk.deliver(2..4));
        // As on a host where the shared storage is not mounted.
        let away = fleet.shared("away");
        fs::rename(fleet.shared("mail"), &away).unwrap();
        let mail = fleet.shared("mail");
        let of_a = match rustix::process::geteuid().is_root() {
            true => format!("is not the folder that {} delivers to", name(At::A)),
            false => "is not the folder that ".to_owned(),
        };
        let refused = || {
            fleet
                .fetch(At::B)
                .fails(73)
                .mentions(&format!("`{}` {of_a}", mail.display()))
                .mentions("hint: mount the shared storage there, on each host at the same path");
        };
        refused();
        assert!(!mail.exists(), "nothing is made");
        fs::create_dir(&mail).unwrap();
        refused();
        fs::write(mail.join(".queuemail"), "another\n").unwrap();
        refused();
        assert_eq!(fs::read_dir(&mail).unwrap().count(), 1, "nothing is made");
        fs::remove_dir_all(&mail).unwrap();
        fs::rename(&away, &mail).unwrap();
        fleet.fetch(At::B).succeeds();
        assert_eq!(fs::read_to_string(&mark).unwrap(), id);
        let got = fleet.shared("mail/support/new");
        assert_eq!(fs::read_dir(got).unwrap().count(), sent.len());
    });
}

/// The staged file of a delivery that was interrupted is not on this host: that does not mean that
/// it was delivered.
#[test]
fn an_interrupted_delivery_is_not_finished_on_another_disk() {
    let fleet = Fleet::new(Via::Imap, "deliver: eml:{shared}/mail");
    let sent = fleet.desk.deliver(0..3);
    // Killed before the first message becomes visible.
    let killing = killed::killing("rename", 1);
    fleet.run_under(At::A, &["fetch"], killing).fails(-10);
    let staged = "SELECT count(*) FROM message WHERE state = 'staged'";
    assert_eq!(fleet.database.sql(staged), "3");
    fleet.leases_end();
    let away = fleet.shared("away");
    fs::rename(fleet.shared("mail"), &away).unwrap();
    fs::create_dir_all(fleet.shared("mail/.staging")).unwrap();
    fleet
        .fetch(At::B)
        .fails(73)
        .mentions("mount the shared storage");
    assert_eq!(
        fleet.database.sql(staged),
        "3",
        "nothing is taken for delivered"
    );
    fs::remove_dir_all(fleet.shared("mail")).unwrap();
    fs::rename(&away, fleet.shared("mail")).unwrap();
    fleet.fetch(At::B).succeeds();
    let got = files(&fleet.shared("mail"));
    let got: Vec<Vec<u8>> = got
        .into_iter()
        .filter(|(name, _)| name.ends_with(".eml"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert_same(&sent, &got, "on the shared storage");
}

/// Also where it is named on the command line alone.
#[test]
fn an_mbox_is_refused() {
    let fleet = Fleet::new(Via::Imap, "deliver: eml:{shared}/mail");
    fleet.desk.deliver(0..1);
    let target = format!("mbox:{}", fleet.shared("mbox").display());
    fleet
        .run(At::A, &["fetch", "--deliver", &target])
        .fails(78)
        .mentions("several hosts cannot deliver to one mbox");
    assert!(!fleet.shared("mbox").exists());
}
