//! The repository of Debian packages: added to a fresh Debian with a systemd of its own, installed
//! from, run by its timer, upgraded while that runs, downgraded, removed, purged.

use super::debian::Debian;
use super::{
    MAILBOX, SECRET, assert_all_fetched, config, deliver, make, office, packaging, succeeds,
};
use crate::machine::Machine;
use crate::standin::Standin;
use std::fs;
use std::path::Path;
use std::process::Command;

const QUEUEMAIL: &str =
    "setpriv --reuid queuemail --regid queuemail --init-groups --reset-env queuemail";
const STATE: &str = "/var/lib/queuemail/.local/state/queuemail";
const MAILDIR: &str = "/var/lib/queuemail/Mail/support";
/// A version that nobody has, which a state may come from.
const LATER: u32 = 1000;

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
    let package = |folder_name: &str, revision: &str| {
        let environment = [("REVISION", revision), ("COMPRESSION", "gzip")];
        make("deb", &folder.path().join(folder_name), &environment)
    };
    let old = package("old", "0.1");
    let new = package("new", "1");
    let debian = Debian::new();
    debian
        .run("! command -v cc && ! command -v gcc && ! command -v cargo && ! command -v queuemail");
    debian.run("apt-get -qy --no-install-recommends install systemd");

    // The repository as it was, as it is with a newer version, and as a stranger would sign it.
    let key = Key::new();
    let repository = |name: &str| debian.path(&format!("/srv/{name}"));
    key.publish(&repository("before"), &old);
    key.publish(&repository("after"), &old);
    key.publish(&repository("after"), &new);
    Key::new().publish(&repository("foreign"), &new);

    let mut machine = Machine::boot_from(debian.root());
    is_installed(&machine);
    provision(&standin, &machine);
    is_fetched_by_the_timer(&standin, &mut machine);
    is_upgraded_while_the_timer_runs(&standin, &mut machine);
    refuses_a_later_state(&standin, &machine);
    goes_when_removed(&machine);
    refuses_what_somebody_else_made(&machine);
}

/// Has apt read one of the repositories.
fn offer(machine: &Machine, name: &str) {
    machine.run(&format!("ln -sfn {name} /srv/queuemail"));
}

fn is_installed(machine: &Machine) {
    offer(machine, "before");
    machine.run(
        "install -m 644 /srv/queuemail/queuemail.asc /etc/apt/keyrings/queuemail.asc && \
         echo 'deb [signed-by=/etc/apt/keyrings/queuemail.asc] file:/srv/queuemail stable main' \
            >/etc/apt/sources.list.d/queuemail.list && \
         apt-get -q update && apt-get -qy --no-install-recommends install queuemail",
    );
    assert_eq!(version(machine), "0.1.0-0.1");
}

fn provision(standin: &Standin, machine: &Machine) {
    let authorities = fs::read(standin.ca_file()).unwrap();
    let config = config(standin, "contoso.secret");
    machine.write("/etc/queuemail/config.yaml", config.as_bytes());
    machine.write("/etc/queuemail/ca.pem", &authorities);
    machine.write("/etc/queuemail/contoso.secret", SECRET.as_bytes());
    machine.run("cd /etc/queuemail && chown queuemail: * && chmod 600 *");
    machine.run(&format!("{QUEUEMAIL} config validate"));
    let checked = machine.run(&format!("{QUEUEMAIL} check"));
    for step in ["token", "sign-in", "mailbox", "delivery"] {
        assert!(checked.contains(step), "{checked}");
    }
}

/// Waits until the Maildir has so many messages, and demands that they are the mailbox's.
#[track_caller]
fn comes(standin: &Standin, machine: &mut Machine, count: usize) {
    machine.wait("the timer's run fetches all", |machine| {
        let found = machine.try_run(&format!("ls {MAILDIR}/new | wc -l"));
        found.stdout.trim() == count.to_string()
    });
    assert_all_fetched(standin, &machine.path(MAILDIR));
}

fn is_fetched_by_the_timer(standin: &Standin, machine: &mut Machine) {
    deliver(standin, 0, 20);
    machine.run(
        "mkdir -p /etc/systemd/system/queuemail-fetch.timer.d && \
         printf '[Timer]\\nOnCalendar=*:*:0/3\\nRandomizedDelaySec=0\\n' \
            >/etc/systemd/system/queuemail-fetch.timer.d/often.conf && \
         systemctl daemon-reload && systemctl enable --quiet --now queuemail-fetch.timer",
    );
    comes(standin, machine, 20);
}

/// Nothing of a person's changes with a newer version, which goes on where the old one ended.
fn is_upgraded_while_the_timer_runs(standin: &Standin, machine: &mut Machine) {
    let kept = "cd / && sha256sum /etc/queuemail/* && \
                stat -c '%a %U %n' /etc/queuemail /var/lib/queuemail";
    let before = machine.run(kept);
    offer(machine, "after");
    deliver(standin, 20, 5);
    machine.run("apt-get -q update && apt-get -qy upgrade");
    assert_eq!(version(machine), "0.1.0-1");
    assert_eq!(machine.run(kept), before);
    let active = machine.run("systemctl is-active queuemail-fetch.timer");
    assert_eq!(active, "active\n");
    deliver(standin, 25, 5);
    comes(standin, machine, 30);
    machine.run("systemctl stop queuemail-fetch.timer");
    machine.wait("the last run ends", |machine| {
        let active = machine.try_run("systemctl is-active queuemail-fetch.service");
        active.stdout == "inactive\n"
    });
    let status = machine.run(&format!("{QUEUEMAIL} status"));
    assert!(status.contains(MAILBOX), "{status}");
    assert_eq!(
        machine.run("journalctl --no-pager -q -o cat _COMM=queuemail"),
        "",
        "silent when all is well"
    );
}

/// An older version that finds a state of a later one fetches nothing and changes nothing; with the
/// later one back, everything goes on.
fn refuses_a_later_state(standin: &Standin, machine: &Machine) {
    let database = machine.path(&format!("{STATE}/state.sqlite"));
    let own = schema_of(&database, LATER);
    let kept =
        format!("cd {STATE} && find . -type f ! -name '*-shm' -exec sha256sum {{}} + | sort");
    let before = machine.run(&kept);
    machine.run("apt-get -qy --allow-downgrades install queuemail=0.1.0-0.1");
    assert_eq!(version(machine), "0.1.0-0.1");
    deliver(standin, 30, 3);
    let refused = machine.fails(73, &format!("{QUEUEMAIL} fetch"));
    assert!(
        refused.stderr.contains("later version"),
        "{}",
        refused.stderr
    );
    let by_timer = machine.try_run("systemctl start queuemail-fetch.service");
    assert_ne!(by_timer.code, Some(0), "the timer's run says nothing");
    assert_eq!(machine.run(&kept), before, "the state is another");
    let found = machine.run(&format!("ls {MAILDIR}/new | wc -l"));
    assert_eq!(found.trim(), "30", "fetched without a state");

    machine.run("apt-get -qy upgrade && systemctl reset-failed");
    assert_eq!(schema_of(&database, own), LATER);
    machine.run("systemctl start queuemail-fetch.service");
    assert_all_fetched(standin, &machine.path(MAILDIR));
}

/// Gives a database that nobody has open another version of its tables; gives the one before.
fn schema_of(database: &Path, version: u32) -> u32 {
    // SQLite would follow the way to the copy's root as a link of this machine.
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("state.sqlite");
    let log = "sqlite-wal";
    fs::copy(database, &here).unwrap();
    if database.with_extension(log).exists() {
        fs::copy(database.with_extension(log), here.with_extension(log)).unwrap();
    }
    let state = rusqlite::Connection::open(&here).unwrap();
    let before = state
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    state.pragma_update(None, "user_version", version).unwrap();
    state.close().unwrap();
    assert!(!here.with_extension(log).exists(), "all is in the database");
    fs::write(database, fs::read(here).unwrap()).unwrap();
    for extension in [log, "sqlite-shm"] {
        let _ = fs::remove_file(database.with_extension(extension));
    }
    before
}

fn goes_when_removed(machine: &Machine) {
    machine.run("systemctl start queuemail-fetch.timer && apt-get -qy remove queuemail");
    let active = machine.try_run("systemctl is-active queuemail-fetch.timer");
    assert_eq!(active.stdout, "inactive\n");
    machine.run("! command -v queuemail && test -e /etc/queuemail/config.yaml");
    machine.run(&format!("test -e {STATE}/state.sqlite"));
    machine.run("apt-get -qy purge queuemail");
    machine.run("! test -e /etc/queuemail && ! test -e /var/lib/queuemail/.local");
    machine.run(&format!(
        "test -d {MAILDIR} && rm -r /var/lib/queuemail/Mail"
    ));
    machine.run("apt-get -qy install queuemail && apt-get -qy purge queuemail");
    machine.run("! getent passwd queuemail && ! test -e /var/lib/queuemail");
}

/// What somebody else signed, or changed, is refused.
fn refuses_what_somebody_else_made(machine: &Machine) {
    offer(machine, "foreign");
    let refused = machine.fails(100, "apt-get -q update --error-on=any 2>&1");
    assert!(refused.stdout.contains("NO_PUBKEY"), "{}", refused.stdout);
    offer(machine, "after");
    machine.run(
        "apt-get -q update --error-on=any && \
         echo '#' >>/srv/queuemail/pool/queuemail_0.1.0-1_amd64.deb",
    );
    let refused = machine.fails(100, "apt-get -qy install queuemail 2>&1");
    assert!(refused.stdout.contains("queuemail"), "{}", refused.stdout);
    machine.run("! command -v queuemail");
}

fn version(machine: &Machine) -> String {
    machine.run("queuemail --version >/dev/null && dpkg-query -f '${Version}' -W queuemail")
}
