//! The faults of a state that is moved, or was.

use crate::fault::{Fault, Kind};
use crate::shell;
use crate::state::moves::{Move, Stage};

/// The fault of a state at `here` that must not be used, since `the_move` is on record there.
pub fn away(here: &str, the_move: &Move) -> Fault {
    let there = &the_move.place;
    match the_move.stage {
        Stage::Left | Stage::Came => Fault::config(format!("the state in `{here}` was moved to `{there}`"))
            .hint("name the new place: a database in the configuration (`state`), a folder with --state-dir; with the old state, queuemail would fetch all mail again"),
        Stage::Leaving => unfinished(here, there),
        Stage::Coming => unfinished(there, here),
    }
}

/// The fault of a move that began and did not end.
fn unfinished(from: &str, to: &str) -> Fault {
    let words = |option: &str, place: &str| format!("{option} {}", shell::quote(place));
    let command = format!(
        "queuemail state migrate {} {}",
        words("--from", from),
        words("--to", to)
    );
    Fault::try_later(format!(
        "the state is being moved from `{from}` to `{to}`, and the move is not complete"
    ))
    .hint(format!(
        "if no queuemail is moving it now, complete it: {command}"
    ))
    .hint(format!(
        "or keep the state where it was: {command} --cancel"
    ))
}

/// The fault of a state that somebody works with; `who` says who.
pub fn at_work(here: &str, who: &str) -> Fault {
    Fault::try_later(format!("cannot move the state: {who} works with `{here}`"))
        .hint("stop all scheduled runs on all hosts (systemctl stop 'queuemail*.timer'), wait until no queuemail runs, and run the same command again")
}

/// The fault of a destination that contains something; `what` says what.
pub fn not_empty(there: &str, what: &str) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("cannot move the state to `{there}`: {what}"),
    )
    .hint("name an empty database, or a folder that is empty or does not exist")
}
