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

/// Every key of the configuration is told of where people look for it.
#[test]
fn every_key_is_in_the_manual_and_in_the_example() {
    let manual = read("man/queuemail.yaml.5");
    let example = read("examples/queuemail.yaml");
    let keys = keys();
    assert!(keys.len() > 35, "{keys:?}");
    for key in keys {
        assert!(
            manual
                .lines()
                .any(|line| line.starts_with(".B ") && line[3..].trim() == key
                    || line.starts_with(".BR ") && line[4..].split(' ').next() == Some(&*key)),
            "`{key}` has no entry in man/queuemail.yaml.5"
        );
        assert!(
            example.contains(&format!("{key}:")),
            "`{key}` is not in examples/queuemail.yaml"
        );
    }
}

/// The keys of the configuration: the fields of the structs that refuse unknown ones.
fn keys() -> Vec<String> {
    let model = read("src/config/model.rs");
    let mut keys: Vec<String> = model
        .split("#[serde(deny_unknown_fields)]")
        .skip(1)
        .flat_map(|part| part.split("\n}\n").next().unwrap_or_default().lines())
        .filter_map(|line| line.trim().strip_prefix("pub "))
        .filter_map(|field| field.split_once(": "))
        .map(|(name, _)| name.to_owned())
        .collect();
    keys.sort();
    keys.dedup();
    keys
}
