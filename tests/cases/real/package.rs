//! The Debian package: installed under a real systemd in a copy of this machine, fetching from
//! Dovecot and sending through Postfix by its timers, in its sandbox, with its secret from a
//! credential; then by Debian's cron; and gone again.

use super::{CLIENT, Office, SECRET, assert_same};
use crate::machine::Machine;
use crate::mail::odd;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAILBOX: &str = "package@contoso.com";
const MAIL: &str = "/var/lib/queuemail/Mail/support";
/// As whom, and with whose environment, the program is run by hand.
const QUEUEMAIL: &str =
    "setpriv --reuid queuemail --regid queuemail --init-groups --reset-env queuemail";

/// Makes the package of the binary under test, in a folder, at a fixed time.
fn make(folder: &Path, compression: &str) -> PathBuf {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb"))
        .arg(env!("CARGO_BIN_EXE_queuemail"))
        .arg(folder)
        .env("SOURCE_DATE_EPOCH", "1790000000")
        .env("COMPRESSION", compression)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// What Debian's own reviewer of packages says of it.
#[test]
fn lintian_has_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("lintian")
        .args(["--display-info", "--pedantic", "--tag-display-limit", "0"])
        .arg(make(folder.path(), "gzip"))
        .output()
        .expect("lintian: run `scripts/need test`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_package_runs_under_systemd_and_leaves_nothing_behind() {
    let office = Office::new();
    let package = make(&office.world.path("one"), "none");
    let again = make(&office.world.path("two"), "none");
    let package = fs::read(package).unwrap();
    assert!(package == fs::read(again).unwrap(), "not reproducible");
    let mut machine = Machine::boot();
    machine.write("/run/queuemail.deb", &package);
    machine.run("dpkg --install /run/queuemail.deb");

    is_installed(&machine);
    units_are_good(&machine);
    provision(&office, &machine);
    fetches_by_timer(&office, &mut machine);
    sends_by_timer(&office, &mut machine);
    relays_mail_of_every_user(&office, &mut machine);
    cron_does_the_same(&office, &mut machine);
    survives_an_upgrade(&machine);
    goes_when_removed(&machine);
}

fn is_installed(machine: &Machine) {
    machine.run("queuemail --version");
    machine.run("man --where queuemail.yaml");
    machine.run("test -L /usr/lib/queuemail/sendmail && test -x /usr/lib/queuemail/sendmail");
    machine.run("cd / && md5sum --quiet --check /var/lib/dpkg/info/queuemail.md5sums");
    let owners = machine.run(
        "stat -c '%a %U:%G %n' /etc/queuemail /etc/queuemail/* /etc/credstore/queuemail /var/lib/queuemail",
    );
    assert_eq!(
        owners,
        "750 queuemail:queuemail /etc/queuemail\n\
         600 queuemail:queuemail /etc/queuemail/config.yaml\n\
         700 root:root /etc/credstore/queuemail\n\
         700 queuemail:queuemail /var/lib/queuemail\n"
    );
    // Nothing runs until somebody wants it to.
    for unit in [
        "queuemail-fetch.timer",
        "queuemail-outbox.timer",
        "queuemail-relay.socket",
    ] {
        assert_eq!(
            machine
                .try_run(&format!("systemctl is-enabled {unit}"))
                .stdout,
            "disabled\n"
        );
        assert_eq!(
            machine
                .try_run(&format!("systemctl is-active {unit}"))
                .stdout,
            "inactive\n"
        );
    }
}

fn units_are_good(machine: &Machine) {
    let verified = machine.fails(
        0,
        "systemd-analyze verify --man=no /usr/lib/systemd/system/queuemail-*.service /usr/lib/systemd/system/queuemail-*.timer /usr/lib/systemd/system/queuemail-*.socket",
    );
    let ours: Vec<_> = verified
        .stderr
        .lines()
        .filter(|line| line.contains("queuemail"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
    // In tenths of systemd's "exposure", of which 100 is the worst. A session has to see who the
    // users of the machine are.
    for (unit, most) in [
        ("queuemail-fetch", 12),
        ("queuemail-outbox", 12),
        ("queuemail-relay@1", 14),
    ] {
        machine.run(&format!(
            "systemd-analyze security --no-pager --threshold={most} {unit}.service"
        ));
    }
}

/// Servers and queues as an administrator adds them, the secret as a credential.
fn provision(office: &Office, machine: &Machine) {
    let authorities = fs::read(&office.ca_file).unwrap();
    machine.write("/etc/queuemail/ca.pem", &authorities);
    machine.run("chmod 644 /etc/queuemail/ca.pem");
    machine.write("/etc/credstore/queuemail/contoso", SECRET.as_bytes());
    let address = office.standin.authority();
    let imap = office.servers.imap_url();
    machine.run(&format!(
        "{QUEUEMAIL} server add incoming Contoso --auth oauth-service --client-id {CLIENT} \
         --address '{address}' --imap '{imap}' --ca-file /etc/queuemail/ca.pem \
         --secret-credential secret_contoso"
    ));
    machine.run(&format!(
        "{QUEUEMAIL} server add outgoing 'Contoso out' --auth oauth-service --app Contoso \
         --tenant {} --via smtp --smtp {CLOSED} --ca-file /etc/queuemail/ca.pem",
        office.standin.tenant()
    ));
    machine.run(&format!(
        "{QUEUEMAIL} queue add support --address {MAILBOX} --server Contoso \
         --deliver 'maildir:~/Mail/{{queue}}' --sender --outgoing 'Contoso out'"
    ));
    // Root keeps away from the files of the service, and from a second ledger of its own.
    let refused = machine.fails(78, "queuemail fetch");
    assert!(
        refused.stderr.contains("run as its owner"),
        "{}",
        refused.stderr
    );
}

fn fetches_by_timer(office: &Office, machine: &mut Machine) {
    let messages: Vec<Vec<u8>> = (0..20).map(|i| odd::sized(i, 3000)).collect();
    office.servers.append(MAILBOX, "INBOX", &messages);
    machine.run(
        "mkdir -p /etc/systemd/system/queuemail-fetch.timer.d && \
         printf '[Timer]\\nOnCalendar=*:*:0/3\\nRandomizedDelaySec=0\\n' \
            >/etc/systemd/system/queuemail-fetch.timer.d/often.conf && \
         systemctl daemon-reload && systemctl enable --quiet --now queuemail-fetch.timer",
    );
    machine.wait("all mail is fetched", |machine| {
        let count = machine.try_run(&format!("ls {MAIL}/new | wc -l"));
        count.stdout.trim() == messages.len().to_string()
    });
    // Two more runs bring nothing more.
    let runs = |machine: &Machine| {
        machine
            .run("journalctl --no-pager -q -o cat -u queuemail-fetch.service")
            .matches("Finished")
            .count()
    };
    let before = runs(machine);
    machine.wait("two more runs", |machine| runs(machine) >= before + 2);
    machine.run("systemctl stop queuemail-fetch.timer");
    machine.wait("the last run ends", |machine| {
        machine
            .try_run("systemctl is-active queuemail-fetch.service")
            .stdout
            == "inactive\n"
    });
    let names = machine.run(&format!("ls {MAIL}/new"));
    let mut found: Vec<Vec<u8>> = names
        .lines()
        .map(|name| machine.run(&format!("cat {MAIL}/new/{name}")).into_bytes())
        .collect();
    found.sort();
    let expected = office.stored(MAILBOX, "INBOX");
    assert_same(&expected, &found);
    assert_eq!(
        machine.run("systemctl show -P Result queuemail-fetch.service"),
        "success\n"
    );
    // Silent when all is well.
    let said = machine.run("journalctl --no-pager -q -o cat _COMM=queuemail");
    assert_eq!(said, "");
    logs_into_the_journal(machine);
    writes_a_page(machine);
    // The sandbox holds: the same service may write here and nowhere else.
    machine.run(
        "mkdir -p /run/systemd/system/queuemail-probe.service.d && \
         printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"touch /var/lib/queuemail/ok; \
            touch /etc/queuemail/no; test -e /root/. && touch /var/lib/queuemail/root; \
            cat /etc/credstore/queuemail/contoso && touch /var/lib/queuemail/secret; true\"\\n' \
            >/run/systemd/system/queuemail-probe.service && \
         systemctl daemon-reload && systemctl start queuemail-probe.service",
    );
    let left = machine.run("cd /var/lib/queuemail && ls; ls /etc/queuemail; rm ok");
    assert_eq!(left, "Mail\nok\nca.pem\nconfig.yaml\n");
    // What a service is told at its start is not what the next user of the machine sees.
    machine.run("! grep -rqs 's3cret~+&=' /etc/queuemail /var/lib/queuemail/.local");
}

/// A host for submission that is down.
const CLOSED: &str = "smtp://localhost:1";

/// Gives the package's sendmail a message while the host is down, so that it is kept; then the
/// host is there again and the message is due.
fn keep(office: &Office, machine: &Machine, customer: &str) {
    machine.run(&format!(
        "{QUEUEMAIL} server set 'Contoso out' --smtp {CLOSED} && \
         printf 'From: {MAILBOX}\nSubject: by timer\n\nHello\n' | \
         {} -t -i {customer}",
        QUEUEMAIL.replace(
            "--reset-env queuemail",
            "--reset-env /usr/lib/queuemail/sendmail"
        )
    ));
    let kept = machine.run(&format!("{QUEUEMAIL} outbox list --json"));
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["outbox"].as_array().unwrap().len(), 1, "{kept}");
    // As if the wait after a failed attempt were over.
    machine.run(
        "python3 -c \"import sqlite3
state = sqlite3.connect('/var/lib/queuemail/.local/state/queuemail/state.sqlite')
state.execute('UPDATE outbox SET next_attempt = 0')
state.execute('DELETE FROM wait')
state.commit()\"",
    );
    let smtp = office.servers.smtp_url();
    machine.run(&format!(
        "{QUEUEMAIL} server set 'Contoso out' --smtp {smtp}"
    ));
}

/// Demands that the service, in its sandbox, writes records with fields into the journal.
fn logs_into_the_journal(machine: &Machine) {
    machine.run(
        "mkdir -p /run/systemd/system/queuemail-fetch.service.d && \
         printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/queuemail --no-input -v --log-format journald fetch\\n' \
            >/run/systemd/system/queuemail-fetch.service.d/log.conf && \
         systemctl daemon-reload && systemctl start queuemail-fetch.service && journalctl --sync && \
         rm -r /run/systemd/system/queuemail-fetch.service.d && systemctl daemon-reload",
    );
    let told = machine.run(
        "journalctl --no-pager -q -o cat -u queuemail-fetch.service QUEUEMAIL_EVENT=step PRIORITY=6",
    );
    assert!(told.contains("fetched 0 messages"), "{told}");
}

/// After each run, in the sandbox, as docs/monitoring.md has it: the page is there for a web server.
fn writes_a_page(machine: &Machine) {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, document) = document.split_once("## A page in the browser\n").unwrap();
    let block = |kind: &str, with: &str| {
        let fence = format!("```{kind}\n");
        let blocks = document.split(&fence).skip(1);
        let mut blocks = blocks.map(|block| block.split("```").next().unwrap());
        blocks
            .find(|block| block.contains(with))
            .unwrap()
            .to_owned()
    };
    machine.run(&block("sh", "install -d"));
    let folder = "/run/systemd/system/queuemail-fetch.service.d";
    machine.run(&format!("mkdir -p {folder}"));
    machine.write(
        &format!("{folder}/page.conf"),
        block("ini", "ExecStopPost").as_bytes(),
    );
    machine.run("systemctl daemon-reload && systemctl start queuemail-fetch.service");
    let page = machine.run("cd /var/www/queuemail && stat -c '%a %U %n' * && cat index.html");
    assert!(
        page.starts_with("644 queuemail index.html\n<!doctype html>"),
        "{page}"
    );
    assert!(page.contains("<h1>Everything works</h1>"), "{page}");
    machine.run(&format!(
        "rm -r {folder} /var/www/queuemail && systemctl daemon-reload"
    ));
}

/// Demands that what was kept leaves by itself.
fn leaves(office: &Office, machine: &mut Machine, customer: &str) {
    machine.wait("the outbox is empty", |machine| {
        machine
            .try_run(&format!("{QUEUEMAIL} outbox list --json"))
            .stdout
            .contains("\"outbox\":[]")
    });
    let came = office.servers.read_sent(customer, 1);
    let came = String::from_utf8_lossy(&came[0].bytes);
    assert!(came.contains("\r\nSubject: by timer\r\n"), "{came}");
}

fn sends_by_timer(office: &Office, machine: &mut Machine) {
    let customer = "package-by-timer@example.com";
    keep(office, machine, customer);
    machine.run(
        "mkdir -p /etc/systemd/system/queuemail-outbox.timer.d && \
         cp /etc/systemd/system/queuemail-fetch.timer.d/often.conf \
            /etc/systemd/system/queuemail-outbox.timer.d && \
         systemctl daemon-reload && systemctl start queuemail-outbox.timer",
    );
    leaves(office, machine, customer);
    machine.run(
        "systemctl stop queuemail-outbox.timer && rm -r /etc/systemd/system/queuemail-outbox.timer.d",
    );
    assert_eq!(
        machine.run("systemctl show -P Result queuemail-outbox.service"),
        "success\n"
    );
}

/// The mail of www-data, of PHP, of cron's users, and of a program that speaks SMTP: by the socket
/// into the outbox of the service, and out at once; with the service stopped, started anew, full.
fn relays_mail_of_every_user(office: &Office, machine: &mut Machine) {
    let admin = "package-admin@example.com";
    let port = crate::servers::free_port();
    machine.run(&format!(
        "printf 'defaults: {{ sender: {MAILBOX}, recipient: {admin} }}\n' >>/etc/queuemail/config.yaml && \
         mkdir -p /etc/systemd/system/queuemail-relay.socket.d && \
         printf '[Socket]\nListenStream=\nListenStream=/run/queuemail/relay.sock\nListenStream=127.0.0.1:{port}\n' \
            >/etc/systemd/system/queuemail-relay.socket.d/port.conf && \
         systemctl daemon-reload && systemctl enable --quiet --now queuemail-relay.socket"
    ));
    let www = "setpriv --reuid www-data --regid www-data --clear-groups --reset-env";
    let mail = |to: &str| format!("printf 'From: www-data\nTo: {to}\nSubject: by relay\n\nx\n'");
    let sendmail = "/usr/lib/queuemail/sendmail -t -i";
    // Nobody flushes by hand, and no timer runs.
    machine.run(&format!(
        "{} | {www} {sendmail}",
        mail("package-www@example.com")
    ));
    machine.run(&format!(
        "{www} php -n -d sendmail_path='{sendmail}' -r 'exit(mail(\"package-php@example.com\", \"by relay\", \"x\") ? 0 : 1);'"
    ));
    machine.run(&format!(
        "{www} python3 -c \"import smtplib; s = smtplib.SMTP('127.0.0.1', {port}); \
         s.sendmail('{MAILBOX}', ['package-smtp@example.com'], 'From: {MAILBOX}\\r\\nSubject: by relay\\r\\n\\r\\nx\\r\\n')\""
    ));
    // Debian's cron tells root and an unprivileged user what their jobs said.
    machine.run(
        "mv /usr/sbin/sendmail /usr/sbin/sendmail.real && ln -s /usr/lib/queuemail/sendmail /usr/sbin/sendmail && \
         printf '@reboot root echo by relay\n@reboot nobody echo by relay\n' >/etc/cron.d/said && \
         systemd-run --quiet --unit=cron-of-users /usr/sbin/cron -f",
    );
    for (to, count) in [
        ("package-www@example.com", 1),
        ("package-php@example.com", 1),
        ("package-smtp@example.com", 1),
        (admin, 2),
    ] {
        for came in office.servers.read_sent(to, count) {
            let came = String::from_utf8_lossy(&came.bytes).into_owned();
            assert!(
                came.contains(&format!("<{MAILBOX}>"))
                    || came.contains(&format!("From: {MAILBOX}")),
                "{came}"
            );
            assert!(came.contains("by relay"), "{came}");
        }
    }
    machine.run(
        "systemctl stop cron-of-users && rm -f /etc/cron.d/said /run/crond.reboot && mv /usr/sbin/sendmail.real /usr/sbin/sendmail",
    );
    // The socket is started anew while mail comes: all of it is taken.
    machine.run(&format!(
        "(for n in 1 2 3; do sleep 0.2; systemctl restart queuemail-relay.socket; done) & \
         for n in 1 2 3 4 5 6 7 8 9 10; do {} | {www} {sendmail} || exit 1; done; wait",
        mail("package-restart@example.com")
    ));
    assert_eq!(
        office
            .servers
            .read_sent("package-restart@example.com", 10)
            .len(),
        10
    );
    // A burst: twenty clients at once, a connection for each message.
    let start = std::time::Instant::now();
    machine.run(&format!(
        "{www} /usr/sbin/smtp-source -s 20 -m 200 -l 4096 -f {MAILBOX} -t package-burst@example.com unix:/run/queuemail/relay.sock"
    ));
    println!(
        "200 messages of 20 clients are in the outbox after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert_eq!(
        office
            .servers
            .read_sent("package-burst@example.com", 200)
            .len(),
        200
    );
    // Full: the service's user is told by whom, and how many; the caller to come later.
    machine.run(&format!(
        "printf 'relay: {{ messages_per_user: 1 }}\n' >>/etc/queuemail/config.yaml && \
         {QUEUEMAIL} server set 'Contoso out' --smtp {CLOSED}"
    ));
    machine.run(&format!(
        "{} | {www} {sendmail}",
        mail("package-full@example.com")
    ));
    let full = machine.fails(
        75,
        &format!("{} | {www} {sendmail}", mail("package-full@example.com")),
    );
    assert!(
        full.stderr
            .contains("452 4.3.1 uid=33 has 1 message in the outbox"),
        "{}",
        full.stderr
    );
    machine.run(&format!(
        "{} | {sendmail}",
        mail("package-root@example.com")
    ));
    let kept = machine.run(&format!("{QUEUEMAIL} outbox list --json"));
    assert!(
        kept.contains("\"submitter\":\"uid=33 gid=33 pid=")
            && kept.contains("\"submitter\":\"uid=0 gid=0 pid="),
        "{kept}"
    );
    // Stopped: nothing is lost in silence.
    machine.run("systemctl stop queuemail-relay.socket");
    let stopped = machine.fails(
        75,
        &format!("{} | {www} {sendmail}", mail("package-full@example.com")),
    );
    assert!(
        stopped
            .stderr
            .contains("systemctl status queuemail-relay.socket"),
        "{}",
        stopped.stderr
    );
    let smtp = office.servers.smtp_url();
    machine.run(&format!(
        "sed -i '/^relay:/d' /etc/queuemail/config.yaml && chown queuemail:queuemail /etc/queuemail/config.yaml && \
         {QUEUEMAIL} server set 'Contoso out' --smtp {smtp} && {QUEUEMAIL} outbox list --json >/dev/null && \
         systemctl start queuemail-relay.socket && systemctl disable --quiet --now queuemail-relay.socket && \
         rm -r /etc/systemd/system/queuemail-relay.socket.d && systemctl daemon-reload"
    ));
    machine.run(
        "python3 -c \"import sqlite3
state = sqlite3.connect('/var/lib/queuemail/.local/state/queuemail/state.sqlite')
state.execute('UPDATE outbox SET next_attempt = 0')
state.execute('DELETE FROM wait')
state.commit()\" && systemctl start queuemail-outbox.service",
    );
    assert_eq!(
        office
            .servers
            .read_sent("package-full@example.com", 1)
            .len(),
        1
    );
    assert_eq!(
        office
            .servers
            .read_sent("package-root@example.com", 1)
            .len(),
        1
    );
    // No session failed, and none is left.
    assert_eq!(
        machine.run("systemctl list-units --all --plain --no-legend 'queuemail-relay@*'"),
        ""
    );
}

/// The example for cron, run by Debian's cron as it stands there, and once at its start too, since
/// a minute is long.
fn cron_does_the_same(office: &Office, machine: &mut Machine) {
    // cron knows no credentials.
    machine.run(&format!(
        "install -m 600 -o queuemail /etc/credstore/queuemail/contoso /etc/queuemail/contoso.secret && \
         {QUEUEMAIL} server set Contoso --secret-file /etc/queuemail/contoso.secret && \
         {QUEUEMAIL} token forget --all"
    ));
    let customer = "package-by-cron@example.com";
    keep(office, machine, customer);
    let before = office.stored(MAILBOX, "INBOX").len();
    let more: Vec<Vec<u8>> = (100..103).map(|i| odd::sized(i, 3000)).collect();
    office.servers.append(MAILBOX, "INBOX", &more);
    machine.run(
        "example=/usr/share/doc/queuemail/examples/queuemail.cron && \
         { cat $example; sed -n 's/^[*] [*] [*] [*] [*]/@reboot/p' $example; } >/etc/cron.d/queuemail && \
         systemd-run --quiet --unit=cron-of-the-test /usr/sbin/cron -f -L 5",
    );
    machine.wait("cron fetches", |machine| {
        let count = machine.try_run(&format!("ls {MAIL}/new | wc -l"));
        count.stdout.trim() == (before + more.len()).to_string()
    });
    leaves(office, machine, customer);
    // By the name that cron logs under: the process has another by the time it is looked at.
    let journal = "journalctl --no-pager -q -o cat -t cron -t CRON";
    let jobs = ["fetch --budget 3000 --report changes)", "outbox flush)"];
    machine.wait("cron's log of both jobs", |machine| {
        let log = machine.try_run(journal).stdout;
        jobs.iter()
            .all(|job| log.contains(&format!("/usr/bin/queuemail {job}")))
    });
    let log = machine.run(journal);
    // A line that it cannot read is an error. (What a job says is mailed: that what failed before
    // works again.)
    assert!(!log.to_lowercase().contains("error"), "{log}");
    machine.run("rm -f /var/spool/postfix/maildrop/*");
    machine.run(
        "systemctl stop cron-of-the-test && rm /etc/cron.d/queuemail /etc/queuemail/contoso.secret",
    );
}

fn survives_an_upgrade(machine: &Machine) {
    let state = "sha256sum /etc/queuemail/config.yaml; ls -l /etc/queuemail /var/lib/queuemail";
    let before = machine.run(state);
    machine.run("systemctl start queuemail-fetch.timer");
    machine.run("dpkg --install /run/queuemail.deb");
    assert_eq!(machine.run(state), before);
    assert_eq!(
        machine.run("systemctl is-active queuemail-fetch.timer"),
        "active\n"
    );
}

fn goes_when_removed(machine: &Machine) {
    machine.run("dpkg --remove queuemail");
    assert_eq!(
        machine
            .try_run("systemctl is-active queuemail-fetch.timer")
            .stdout,
        "inactive\n"
    );
    machine.run("! command -v queuemail");
    machine.run("test -e /etc/queuemail/config.yaml && test -d /var/lib/queuemail/.local");
    // Once with mail, which nobody but its owner deletes.
    let purged = machine.run("dpkg --purge queuemail");
    assert!(purged.contains("it may hold mail"), "{purged}");
    assert_eq!(machine.run("ls -A /var/lib/queuemail"), "Mail\n");
    machine.run("rm -r /var/lib/queuemail/Mail");
    // And once without.
    machine.run("dpkg --install /run/queuemail.deb && dpkg --purge queuemail");
    machine.run("! getent passwd queuemail && ! getent group queuemail");
    machine.run("rm -r /etc/systemd/system/queuemail-fetch.timer.d");
    // dpkg's own records and the user database's backups (`passwd-`) are not the package's.
    let left = machine.run(
        "cd /run/changes && find . -iname '*queuemail*' ! -type c; \
         grep -rlsI queuemail etc var/spool var/cache var/lib --exclude-dir=dpkg --exclude='*-' || true",
    );
    assert_eq!(left, "");
}
