//! `make install`: what it puts where, below a folder of the test.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn make_install_puts_everything_in_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("opt/a prefix");
    // Twice: an update goes over what is there.
    for _ in 0..2 {
        let output = Command::new("make")
            .args(["-s", "install-files", "SENDMAIL=1", "PREFIX=/opt/a prefix"])
            .arg(format!("BINARY={}", env!("CARGO_BIN_EXE_queuemail")))
            .arg(format!("DESTDIR={}", folder.path().display()))
            .current_dir(root)
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
    for page in fs::read_dir(root.join("man")).unwrap() {
        let page = page.unwrap();
        if page.file_type().unwrap().is_file() {
            let name = page.file_name().into_string().unwrap();
            let section = name.rsplit('.').next().unwrap();
            let installed = prefix.join(format!("share/man/man{section}/{name}"));
            assert_eq!(fs::read(installed).unwrap(), fs::read(page.path()).unwrap());
        }
    }
    for (installed, source) in [
        (
            "share/bash-completion/completions/queuemail",
            "completions/queuemail.bash",
        ),
        (
            "share/zsh/site-functions/_queuemail",
            "completions/_queuemail",
        ),
        (
            "share/fish/vendor_completions.d/queuemail.fish",
            "completions/queuemail.fish",
        ),
        (
            "share/doc/queuemail/examples/queuemail.yaml",
            "examples/queuemail.yaml",
        ),
    ] {
        let installed = fs::read(prefix.join(installed)).unwrap();
        assert_eq!(installed, fs::read(root.join(source)).unwrap(), "{source}");
    }
    links_lead_somewhere(&prefix.join("share/doc/queuemail"));
    // Called by that name, the program sends.
    let sendmail = Command::new(prefix.join("sbin/sendmail"))
        .args(["-i", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&sendmail.stdout);
    assert!(help.contains("sendmail"), "{help}");
}

/// Demands that every link of the installed documents to another document is to one that is there.
fn links_lead_somewhere(folder: &Path) {
    let mut count = 0;
    for folder in [folder, &folder.join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for link in text.split("](").skip(1) {
                let link = link.split([')', '#']).next().unwrap();
                if link.is_empty() || link.contains("://") {
                    continue;
                }
                let to = folder.join(link);
                assert!(to.exists(), "{}: {link}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 40, "only {count} links were found");
}

/// Nobody takes a check that did not take place for a good one.
#[test]
fn advisories_that_could_not_be_checked_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    let cases = [
        ("deny --version", 69, "cargo-deny is not installed"),
        (
            "deny --locked fetch db",
            75,
            "cannot be had, nothing was checked",
        ),
        ("deny --locked check advisories", 1, ""),
        ("none of them", 0, ""),
    ];
    for (fails, code, says) in cases {
        let script = format!("#!/bin/sh\n[ \"$*\" != '{fails}' ]\n");
        std::fs::write(&cargo, script).unwrap();
        std::fs::set_permissions(&cargo, Permissions::from_mode(0o755)).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/advisories");
        let out = Command::new(script).env("CARGO", &cargo).output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{fails}: {out:?}");
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(stderr.contains(says), "{fails}: {stderr}");
    }
}

/// A release is made of a commit: a checkout with changes is refused before anything is built.
#[test]
fn a_release_is_refused_from_a_changed_checkout() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let checkout = folder.path();
    fs::create_dir(checkout.join("scripts")).unwrap();
    fs::copy(
        root.join("scripts/release"),
        checkout.join("scripts/release"),
    )
    .unwrap();
    // Had it gone on, this would have been left.
    fs::write(
        checkout.join("scripts/need"),
        "#!/bin/sh\ntouch went-on\nexit 1\n",
    )
    .unwrap();
    let script = Permissions::from_mode(0o755);
    fs::set_permissions(checkout.join("scripts/need"), script).unwrap();
    fs::write(checkout.join("Cargo.toml"), "version = \"0.1.0\"\n").unwrap();
    fs::write(checkout.join(".gitignore"), "/target\n/went-on\n").unwrap();
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@packager.invalid",
        ]);
        let done = git.args(words).current_dir(checkout).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "all"]);
    let release = || {
        let script = checkout.join("scripts/release");
        Command::new(script).current_dir(checkout).output().unwrap()
    };
    fs::write(checkout.join("notes"), "not committed").unwrap();
    let refused = release();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(65), "{said}");
    assert!(said.contains("?? notes"), "{said}");
    assert!(!checkout.join("went-on").exists());
    // The same checkout without the change goes on.
    fs::remove_file(checkout.join("notes")).unwrap();
    let _ = release();
    assert!(checkout.join("went-on").exists());
}
