//! The promise of `fetch`, that each message is delivered and none twice, put to the test by one
//! kind of fault in each file, by IMAP and by Graph.

pub mod clock;
mod cut;
mod cut_bodies;
mod database;
mod hostile;
mod ids;
mod in_flight;
mod kill;
mod overlap;
mod restored;
mod storage;

pub use kill::killed_at;

use super::{Desk, SUPPORT, Sorted, Via, assert_same, both, files, mboxrd};
use crate::campaign::{self, Campaign};

const MAIL: &str = ".config/queuemail/mail";

/// Messages as a Maildir of the usual place holds them.
fn maildir(desk: &Desk) -> Vec<Vec<u8>> {
    desk.maildir(MAIL)
}

/// Messages as an mbox of the usual place holds them.
fn mbox(desk: &Desk) -> Vec<Vec<u8>> {
    mboxrd(&desk.path(MAIL))
}

/// Messages as `eml` files of the usual place hold them.
fn eml(desk: &Desk) -> Vec<Vec<u8>> {
    let all = files(&desk.path(MAIL));
    let (eml, json): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(name, _)| name.ends_with(".eml"));
    assert_eq!(eml.len(), json.len(), "each message has its sidecar");
    eml.into_iter()
        .map(|(_, bytes)| bytes)
        .collect::<Vec<_>>()
        .sorted()
}

/// All is well again: one run delivers what is left, and the next has nothing to do.
#[track_caller]
pub fn makes_good(
    desk: &Desk,
    sent: &[Vec<u8>],
    delivered: impl Fn(&Desk) -> Vec<Vec<u8>>,
    story: &str,
) {
    let ran = desk.fetch(&[]).ends();
    assert_eq!(ran.code, 0, "{story}\n{ran}");
    assert_same(sent, &delivered(desk), story);
    let ran = desk.fetch(&[]).ends();
    assert!(
        ran.code == 0 && ran.stdout.is_empty() && ran.stderr.is_empty(),
        "{story}: there is something left to do\n{ran}"
    );
    assert_same(sent, &delivered(desk), story);
}

/// Lets the time of the next attempt come for what failed.
pub fn make_due(desk: &Desk) {
    let state = desk.state();
    state
        .execute(
            "UPDATE message SET next_attempt = 0 WHERE state = 'failed'",
            [],
        )
        .unwrap();
}
