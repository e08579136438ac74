//! Folders by names that are more than a word: with a slash of their own, in either form of
//! Unicode, in another language.

use super::{Office, SUPPORT};
use std::sync::atomic::Ordering::SeqCst;

/// In the stand-in, as in Exchange's store, this stands for a slash in a folder's own name.
fn own_slash(name: &str) -> String {
    name.replace('|', "\u{f8ff}")
}

#[test]
fn a_folder_whose_own_name_holds_a_slash_is_found_and_moved_to() {
    let office = Office::new("graph");
    for name in ["Ein-|Ausgang", "HR", "HR/Payroll", "HR/2025|26"] {
        office.m365.add_folder(SUPPORT, &own_slash(name));
    }
    office.deliver(&own_slash("Ein-|Ausgang"), 1);
    office.deliver(&own_slash("HR/2025|26"), 2);
    office.deliver("HR/Payroll", 3);
    office.configure(
        "graph",
        "        folders: [Ein-/Ausgang, HR/2025/26, HR/Payroll]\n",
    );
    office.world.run(["check"]).succeeds();
    office.fetch().succeeds().says_nothing();
    office.holds([1, 2, 3]);

    let before = office.m365.folders(SUPPORT).len();
    for (n, target) in ["Ein-/Ausgang", "HR/2025/26"].into_iter().enumerate() {
        office.configure("graph", &format!("        after_fetch: move:{target}\n"));
        office.deliver("INBOX", 10 + n);
        office
            .world
            .run(["check"])
            .succeeds()
            .shows(&format!("to move to {target}\n"));
        office.fetch().succeeds().says_nothing();
        let name = own_slash(&target.replacen("n-/", "n-|", 1).replacen("5/", "5|", 1));
        assert_eq!(office.m365.messages(SUPPORT, &name).len(), 2, "{target}");
    }
    assert_eq!(office.m365.folders(SUPPORT).len(), before);

    // What is missing is made below what is there.
    office.configure("graph", "        after_fetch: move:HR/2025/26/Done\n");
    office.deliver("INBOX", 20);
    office.fetch().succeeds().says_nothing();
    let made = own_slash("HR/2025|26/Done");
    assert_eq!(office.m365.messages(SUPPORT, &made).len(), 1);
    assert_eq!(office.m365.folders(SUPPORT).len(), before + 1);
}

#[test]
fn of_two_readings_of_a_name_the_folder_in_a_folder_is_taken() {
    let office = Office::new("graph");
    for name in ["A|B", "A", "A/B"] {
        office.m365.add_folder(SUPPORT, &own_slash(name));
    }
    office.deliver("A/B", 1);
    office.deliver(&own_slash("A|B"), 2);
    office.configure("graph", "        folders: [A/B]\n");
    office.fetch().succeeds().says_nothing();
    office.holds([1]);
}

/// macOS writes `ü` as two characters, Outlook as one; the service finds only the form it has.
#[test]
fn a_name_in_the_other_form_of_unicode_is_the_same_folder() {
    let (one, two) = ("Entwürfe", "Entwu\u{308}rfe");
    for via in ["graph", "imap"] {
        for (there, typed) in [(one, two), (two, one)] {
            let office = Office::new(via);
            office.m365.add_folder(SUPPORT, there);
            office.deliver(there, 1);
            office.configure(via, &format!("        folders: [{typed}]\n"));
            office.world.run(["check"]).succeeds();
            office.fetch().succeeds().says_nothing();
            office.holds([1]);
            // It is known by either, and nothing comes again.
            office.configure(via, &format!("        folders: [{there}, {typed}]\n"));
            office.fetch().succeeds().says_nothing();
            office.holds([1]);

            let before = office.m365.folders(SUPPORT).len();
            office.configure(via, &format!("        after_fetch: move:{typed}\n"));
            office.deliver("INBOX", 2);
            office.fetch().succeeds().says_nothing();
            assert_eq!(office.m365.messages(SUPPORT, there).len(), 2, "{via}");
            assert_eq!(office.m365.folders(SUPPORT).len(), before, "{via}");

            office.configure(
                via,
                &format!("        folders: [{there}]\n        after_fetch: move:{typed}\n"),
            );
            office.fetch().fails(78).mentions("fetched again");
            office.world.run(["check"]).fails(78);
        }
    }
}

#[test]
fn what_is_one_name_to_the_service_is_one_folder() {
    let office = Office::new("graph");
    office.m365.add_folder(SUPPORT, "Gruß");
    office.deliver("Gruß", 1);
    office.configure("graph", "        folders: [GRUSS]\n");
    office.fetch().succeeds().says_nothing();
    office.holds([1]);
    office.configure("graph", "        after_fetch: move:Gruss\n");
    office.deliver("INBOX", 2);
    let before = office.m365.folders(SUPPORT);
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.folders(SUPPORT), before);
}

/// By the names alone they are two folders.
#[test]
fn mail_is_not_moved_into_a_fetched_folder_by_its_name_in_another_language() {
    let office = Office::new("graph");
    office.m365.rename_folder(SUPPORT, "Archive", "Archiv");
    office.configure(
        "graph",
        "        folders: [INBOX, Archiv]\n        after_fetch: move:Archive\n",
    );
    office.deliver("INBOX", 1);
    office.world.run(["check"]).fails(78).shows("fetched again");
    for _ in 0..2 {
        office.fetch().fails(78).mentions("fetched again");
        office.holds([1]);
    }
    assert_eq!(office.m365.messages(SUPPORT, "INBOX").len(), 1);
}

#[test]
fn a_folder_that_is_moved_to_is_looked_for_once() {
    let office = Office::new("graph");
    office.m365.add_folder(SUPPORT, "Done");
    office.configure("graph", "        after_fetch: move:Done\n");
    for n in 0..3 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.messages(SUPPORT, "Done").len(), 3);
    let log = office.m365.log();
    let looks = log
        .iter()
        .filter(|l| l.ends_with("/mailFolders") && l.starts_with("HTTP < GET"));
    assert_eq!(looks.count(), 1);
    assert_eq!(office.requests("mailFolders/inbox"), 1);
}

#[test]
fn a_list_of_folders_without_an_end_ends() {
    let office = Office::new("graph");
    office.configure("graph", "        folders: [Nowhere]\n");
    office.m365.faults().graph.always_more.store(true, SeqCst);
    office
        .fetch()
        .fails(78)
        .mentions("no folder `Nowhere` in mailbox");
    assert!(office.requests("mailFolders") < 200);
}
