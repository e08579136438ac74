//! The YAML file that holds a [`crate::model::Config`]: how it is read, checked, shown and edited.
//!
//! `load` reads and checks a file and points at mistakes with file, line, column and a suggestion;
//! `edit` changes one place and leaves every other byte alone.
//!
//! serde_yaml (the package yaml_serde) reads the file, and its words for what it refuses become the
//! program's by `refusal`. It writes no file that exists: it would lose comments and order, so
//! `edit` does that with yaml-edit. Nor does it tell where a value stands that it has read:
//! `locate` asks it again.
//!
//! serde-saphyr, which knows where each value stands, was tried in its place (2.2.0, November 2026)
//! and not taken. It finds a key that is used twice and a quote that is not closed by itself, and
//! needs no `depth`. But it does not tell which key refuses its value ("invalid u32", without the
//! key's name), which the words of this program need; for what `check` finds, each value of the
//! model would have to carry its place, or `locate` would stay; it took three times as long for
//! 20,000 queues (a build without optimization), and brings twelve more packages, beside the one
//! that stays for the values that an edit reads.

mod by_hand;
#[cfg(test)]
mod canary_tests;
mod check;
mod check_select;
mod check_servers;
mod check_shared;
mod depth;
mod digest;
mod edit;
#[cfg(test)]
mod edit_tests;
mod excerpt;
mod hidden;
mod load;
mod locate;
mod mistake;
mod one_of;
mod paths;
mod preview;
mod problem;
mod refusal;
mod schema;
mod text;
mod write;

pub use by_hand::edit_by_hand;
pub use digest::{digest, to_yaml};
pub use load::{
    MAX_SIZE, decode, is_blank, load, load_all, load_if_shared, parse, parse_all, read,
};
pub use paths::resolve_paths;
pub use schema::schema;
pub use write::{Written, check_wanted, preview, update};
