//! The shapes of the JSON that the program prints: each object that any test sees is held against
//! `config schema --output`.

use serde_json::Value;
use std::process::Command;
use std::sync::OnceLock;

/// What is longer is mail, or a list of a million.
const LONGEST: usize = 1 << 20;
/// So many lines of a run are looked at.
const LINES: usize = 200;

/// The schema, read by a library.
pub fn validator() -> &'static jsonschema::Validator {
    static READ: OnceLock<jsonschema::Validator> = OnceLock::new();
    READ.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_queuemail"))
            .args(["config", "schema", "--output"])
            .env("HOME", "/nonexistent")
            .output()
            .expect("the binary starts");
        let schema = serde_json::from_slice(&output.stdout).expect("the schema");
        jsonschema::draft202012::new(&schema).expect("a schema of draft 2020-12")
    })
}

/// Holds the objects of a run against the schema. On standard error, where servers' words are
/// told too, the program's are those that have an `event`.
#[track_caller]
pub fn check(stdout: &[u8], stderr: &[u8]) {
    for line in objects(stdout) {
        holds(&line);
    }
    for line in objects(stderr).filter(|line| line.get("event").is_some()) {
        holds(&line);
    }
}

fn objects(output: &[u8]) -> impl Iterator<Item = Value> {
    output
        .split(|octet| *octet == b'\n')
        .filter(|line| line.starts_with(b"{") && line.len() < LONGEST)
        .take(LINES)
        // A run that is killed stops in the middle of one.
        .filter_map(|line| serde_json::from_slice(line).ok())
}

#[track_caller]
fn holds(object: &Value) {
    assert!(
        validator().is_valid(object),
        "`config schema --output` has no shape for {object}"
    );
}

#[test]
fn what_has_no_shape_is_found() {
    let schema = validator();
    let good = serde_json::json!({"event": "forget", "tokens": 1, "left_behind": 0});
    assert!(schema.is_valid(&good));
    for (key, value) in [
        ("tokens", "1".into()),
        ("event", "forgot".into()),
        ("new", 1.into()),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema.is_valid(&bad), "{bad}");
    }
    let lacking = serde_json::json!({"event": "forget", "tokens": 1});
    assert!(!schema.is_valid(&lacking));
}
