//! Files that follow from the program are committed, and these tests prove them fresh: man pages
//! from the command line's definition, the troubleshooting page from what `explain` knows.
//! `UPDATE=1 cargo test generated` writes them anew.

mod man;
mod troubleshooting;

use std::fs;
use std::path::{Path, PathBuf};

fn root(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn read(below: &str) -> String {
    fs::read_to_string(root(below)).unwrap_or_else(|e| panic!("{below}: {e}"))
}

/// Demands that a committed file holds this text; with `UPDATE=1` writes it.
#[track_caller]
fn check_fresh(below: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root(below), text).expect("the file can be written");
    }
    let committed = fs::read_to_string(root(below)).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(text.lines())
        .position(|(old, new)| old != new)
        .map_or(0, |index| index + 1);
    assert!(
        committed == text,
        "{below} is not what the program says (line {differs}); \
         write it anew with: UPDATE=1 cargo test generated"
    );
}
