//! What the examples have in common: the real binary, and the mail that it delivered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All messages of a maildir, with their paths; none if it is not there.
pub fn maildir(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        let Ok(entries) = fs::read_dir(folder.join(part)) else {
            continue;
        };
        for entry in entries.flatten() {
            if let Ok(bytes) = fs::read(entry.path()) {
                found.push((entry.path(), bytes));
            }
        }
    }
    found.sort();
    found
}

/// The real binary, built beside the example.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("the example knows its own path");
    let profile = own
        .ancestors()
        .nth(2)
        .expect("examples lie in target/<profile>/examples");
    let binary = profile.join(format!("queuemail{}", std::env::consts::EXE_SUFFIX));
    // Under `cargo run` it may be missing or older than the sources; cargo finds out quickly.
    let cargo = std::env::var_os("CARGO");
    if cargo.is_some() || !binary.exists() {
        let mut build = Command::new(cargo.unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--bin", "queuemail", "--manifest-path"]);
        build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().is_ok_and(|status| status.success());
        assert!(
            built && binary.exists(),
            "cannot build {}",
            binary.display()
        );
    }
    binary
}
