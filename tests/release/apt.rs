//! The repository of Debian packages: added to a fresh Debian, installed from, upgraded, purged.

use super::debian::Debian;
use super::{
    MAILBOX, SECRET, assert_all_fetched, config, deliver, make, office, packaging, succeeds,
};
use std::fs;
use std::path::Path;
use std::process::Command;

const QUEUEMAIL: &str =
    "setpriv --reuid queuemail --regid queuemail --init-groups --reset-env queuemail";
const HOME: &str = "/var/lib/queuemail";

/// A key that signs, thrown away with its folder.
struct Key {
    folder: tempfile::TempDir,
}

impl Key {
    fn new() -> Key {
        let folder = tempfile::tempdir().unwrap();
        let key = Key { folder };
        succeeds(key.gpg().args([
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "test@packager.invalid",
            "ed25519",
            "sign",
            "never",
        ]));
        key
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.folder.path());
        gpg
    }

    /// Puts a package into the repository, and signs that.
    fn publish(&self, repository: &Path, package: &Path) {
        succeeds(
            packaging("apt-repo")
                .arg(repository)
                .arg(package)
                .env("GNUPGHOME", self.folder.path())
                .env("GPG_KEY", "test@packager.invalid"),
        );
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut agent = Command::new("gpgconf");
        agent.env("GNUPGHOME", self.folder.path());
        let _ = agent.args(["--kill", "all"]).status();
    }
}

#[test]
#[ignore = "make test-release"]
fn apt_installs_runs_upgrades_removes_and_purges() {
    let standin = office();
    let folder = tempfile::tempdir().unwrap();
    let quick = ("COMPRESSION", "gzip");
    let old = make(
        "deb",
        &folder.path().join("old"),
        &[("REVISION", "0.1"), quick],
    );
    let new = make(
        "deb",
        &folder.path().join("new"),
        &[("REVISION", "1"), quick],
    );
    let debian = Debian::new();
    debian
        .run("! command -v cc && ! command -v gcc && ! command -v cargo && ! command -v queuemail");

    let key = Key::new();
    let repository = debian.path("/srv/queuemail");
    key.publish(&repository, &old);
    debian.run(
        "install -m 644 /srv/queuemail/queuemail.asc /etc/apt/keyrings/queuemail.asc && \
         echo 'deb [signed-by=/etc/apt/keyrings/queuemail.asc] file:/srv/queuemail stable main' \
            >/etc/apt/sources.list.d/queuemail.list && \
         apt-get -q update && apt-get -qy --no-install-recommends install queuemail",
    );
    assert_eq!(installed(&debian), "0.1.0-0.1");

    debian.write(
        "/etc/queuemail/config.yaml",
        config(&standin, "contoso.secret").as_bytes(),
    );
    debian.write(
        "/etc/queuemail/ca.pem",
        &fs::read(standin.ca_file()).unwrap(),
    );
    debian.write("/etc/queuemail/contoso.secret", SECRET.as_bytes());
    debian.run("cd /etc/queuemail && chown queuemail: * && chmod 600 *");
    debian.run(&format!("{QUEUEMAIL} config validate"));
    let maildir = debian.path(&format!("{HOME}/Mail/support"));
    deliver(&standin, 0, 20);
    assert_eq!(debian.run(&format!("{QUEUEMAIL} fetch")), "");
    assert_all_fetched(&standin, &maildir);

    // Nothing of a person's changes with a newer version, which goes on where the old one ended.
    let kept = "cd / && sha256sum /etc/queuemail/* && stat -c '%a %U %n' /etc/queuemail /var/lib/queuemail";
    let before = debian.run(kept);
    key.publish(&repository, &new);
    debian.run("apt-get -q update && apt-get -qy upgrade");
    assert_eq!(installed(&debian), "0.1.0-1");
    assert_eq!(debian.run(kept), before);
    deliver(&standin, 20, 5);
    assert_eq!(debian.run(&format!("{QUEUEMAIL} fetch")), "");
    assert_all_fetched(&standin, &maildir);
    let status = debian.run(&format!("{QUEUEMAIL} status"));
    assert!(status.contains(MAILBOX), "{status}");
    // The older version stays to be had.
    assert!(
        debian
            .run("apt-cache madison queuemail")
            .contains("0.1.0-0.1")
    );

    debian.run("apt-get -qy remove queuemail");
    debian.run("! command -v queuemail && test -e /etc/queuemail/config.yaml && test -d /var/lib/queuemail/.local");
    debian.run("apt-get -qy purge queuemail");
    debian.run("! test -e /etc/queuemail && ! test -e /var/lib/queuemail/.local && test -d /var/lib/queuemail/Mail");
    debian.run("rm -r /var/lib/queuemail/Mail");
    debian.run("apt-get -qy install queuemail && apt-get -qy purge queuemail");
    debian.run("! getent passwd queuemail && ! test -e /var/lib/queuemail");

    // What somebody else signed, or changed, is refused.
    Key::new().publish(&repository, &new);
    let refused = debian.fails("apt-get -q update --error-on=any");
    assert!(refused.contains("NO_PUBKEY"), "{refused}");
    key.publish(&repository, &new);
    debian.run("apt-get -q update --error-on=any && echo '#' >>/srv/queuemail/pool/queuemail_0.1.0-1_amd64.deb");
    let refused = debian.fails("apt-get -qy install queuemail");
    assert!(refused.contains("queuemail"), "{refused}");
    debian.run("! command -v queuemail");
}

fn installed(debian: &Debian) -> String {
    debian.run("queuemail --version >/dev/null; dpkg-query -f '${Version}' -W queuemail")
}
