//! The bill of materials, the sums and their signature.

use super::{ends, make, packaging, succeeds};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "make test-release"]
fn the_bill_of_materials_is_cyclonedx_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.json");
    let bill =
        |features: &str| succeeds(packaging("sbom").args(["x86_64-unknown-linux-gnu", features]));
    let text = bill("vendored-tls");
    assert_eq!(text, bill("vendored-tls"), "not reproducible");
    fs::write(&path, &text).unwrap();
    let checkers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/checkers/bin/python");
    succeeds(
        Command::new(checkers)
            .args([
                "-I",
                "-c",
                "import sys\n\
                 from cyclonedx.schema import SchemaVersion\n\
                 from cyclonedx.validation.json import JsonStrictValidator\n\
                 sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()))",
            ])
            .arg(&path),
    );
    let names = |text: &str| -> Vec<String> {
        let bill: serde_json::Value = serde_json::from_str(text).unwrap();
        let components = bill["components"].as_array().unwrap();
        components
            .iter()
            .map(|c| c["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let with = names(&text);
    for name in ["clap", "oauth2", "sqlite", "openssl-src", "libsqlite3-sys"] {
        assert!(with.iter().any(|n| n == name), "{name} is missing");
    }
    // What only tests need is not in the program; nor is OpenSSL without the feature.
    assert!(!with.iter().any(|n| n == "proptest"));
    assert!(!names(&bill("")).iter().any(|n| n == "openssl-src"));
}

#[test]
#[ignore = "make test-release"]
fn the_sums_are_signed_and_a_change_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    make("tarball", &files, &[]);
    // Without a key, that is said.
    let unsigned = ends(packaging("sign").arg(&files).env_remove("MINISIGN_KEY"));
    let said = String::from_utf8_lossy(&unsigned.stderr);
    assert!(
        unsigned.status.success() && said.contains("NOT SIGNED"),
        "{said}"
    );
    assert!(!files.join("SHA256SUMS.minisig").exists());

    let (public, secret) = (folder.path().join("key.pub"), folder.path().join("key"));
    succeeds(
        Command::new("minisign")
            .args(["-G", "-W", "-p"])
            .arg(&public)
            .arg("-s")
            .arg(&secret),
    );
    succeeds(packaging("sign").arg(&files).env("MINISIGN_KEY", &secret));
    let verify = || {
        let mut command = Command::new("sh");
        command
            .args([
                "-euc",
                "minisign -V -q -p \"$1\" -m SHA256SUMS; sha256sum --quiet --check SHA256SUMS",
                "sh",
            ])
            .arg(&public)
            .current_dir(&files);
        command
    };
    succeeds(&mut verify());
    let sums = fs::read_to_string(files.join("SHA256SUMS")).unwrap();
    let name = sums.split_whitespace().last().unwrap();
    fs::write(files.join(name), "another program").unwrap();
    assert!(!ends(&mut verify()).status.success());
    fs::write(files.join("SHA256SUMS"), "").unwrap();
    assert!(!ends(&mut verify()).status.success());
}
