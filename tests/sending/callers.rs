//! The programs that people have, with the program as their sendmail: git send-email, mutt, s-nail,
//! bsd-mailx, PHP, Python, and Debian's cron.

use super::{configure, office, outbox};
use crate::patience::PATIENCE;
use crate::tokens::Home;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// An office in which mail of this machine has a sender and a recipient, and the program that its
/// callers start: `sendmail`, the program with its configuration named.
fn machine() -> (Home, PathBuf) {
    let home = office();
    configure(
        &home,
        "deliver:",
        "  sender: support@contoso.com\n  recipient: admin@example.com",
    );
    let link = home.path("bin");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_queuemail"), link.join("sendmail")).unwrap();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >> {home}/called\n\
         export QUEUEMAIL_CONFIG={home}/config.yaml QUEUEMAIL_STATE_DIR={home}/state\n\
         exec {home}/bin/sendmail \"$@\"\n",
        home = home.folder.path().display()
    );
    let path = home.write("sendmail", &script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // Whoever cron runs a job as may come in.
    fs::set_permissions(home.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    (home, path)
}

/// Runs a caller to its end in a clean environment, and demands that it is content.
#[track_caller]
fn call(home: &Home, program: &str, args: &[&str], stdin: &str) -> Output {
    let input = home.write("stdin", stdin);
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .env("HOME", home.folder.path())
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(home.folder.path())
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; `scripts/need test` installs it"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {output:?}\n{}",
        called(home)
    );
    output
}

/// How the program was called.
fn called(home: &Home) -> String {
    fs::read_to_string(home.path("called")).unwrap_or_default()
}

/// The text and recipients of the only message sent.
#[track_caller]
fn the_mail(home: &Home) -> (String, Vec<String>) {
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 1, "{}", called(home));
    assert_eq!(sent[0].from, "support@contoso.com");
    assert!(outbox(home).is_empty());
    (
        String::from_utf8_lossy(&sent[0].bytes).into_owned(),
        sent[0].recipients.clone(),
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn git_send_email() {
    let (home, sendmail) = machine();
    let patch = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n\
                 From: Support <support@contoso.com>\nDate: Mon, 23 Nov 2026 14:02:00 +0100\n\
                 Subject: [PATCH] Grüße\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\
                 Content-Transfer-Encoding: 8bit\n\n---\n a | 1 +\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+.\n-- \n2.39\n";
    let patch = home.write("0001.patch", patch);
    let args = [
        "-c",
        "user.name=Support",
        "-c",
        "user.email=support@contoso.com",
        "send-email",
        "--quiet",
        "--from=Support <support@contoso.com>",
        "--to=list@example.com",
        "--cc=anna@example.com",
        "--suppress-cc=all",
        "--confirm=never",
        "--envelope-sender=support@contoso.com",
    ];
    let server = format!("--sendmail-cmd={}", text(&sendmail));
    let args = [&args[..], &[server.as_str(), text(&patch)]].concat();
    call(&home, "/usr/bin/git", &args, "");
    let (mail, to) = the_mail(&home);
    assert_eq!(
        to,
        ["list@example.com", "anna@example.com"],
        "--suppress-cc=all keeps what is named"
    );
    assert!(mail.contains("\r\nX-Mailer: git-send-email"), "{mail}");
    assert!(mail.contains("\r\n+.\r\n"), "{mail}");
}

#[test]
fn mutt_with_an_attachment() {
    let (home, sendmail) = machine();
    let file = home.write("note.txt", "Grüße\n.\n");
    let set = format!(
        "set sendmail=\"{} -oem -oi\" from=support@contoso.com use_envelope_from=yes copy=no",
        text(&sendmail)
    );
    let args = [
        "-n",
        "-F",
        "/dev/null",
        "-e",
        &set,
        "-s",
        "Ihre Bestellung",
        "-a",
        text(&file),
        "-b",
        "secret@example.com",
        "--",
        "anna@example.com",
    ];
    call(&home, "/usr/bin/mutt", &args, "Hello\n.\nBye\n");
    let (mail, to) = the_mail(&home);
    assert_eq!(to, ["anna@example.com", "secret@example.com"]);
    assert!(
        mail.contains("\r\n.\r\nBye\r\n") && !mail.contains("secret@"),
        "{mail}"
    );
    assert!(
        called(&home).contains("-f support@contoso.com"),
        "{}",
        called(&home)
    );
}

#[test]
fn s_nail_and_bsd_mailx() {
    let (home, sendmail) = machine();
    let mta = format!("mta=file://{}", text(&sendmail));
    let args = [
        "-n",
        "-S",
        "v15-compat",
        "-S",
        &mta,
        "-r",
        "support@contoso.com",
        "-s",
        "Alarm",
        "anna@example.com",
    ];
    call(&home, "/usr/bin/s-nail", &args, "disk full\n");
    let (mail, to) = the_mail(&home);
    assert_eq!(to, ["anna@example.com"]);
    assert!(mail.ends_with("\r\n\r\ndisk full\r\n"), "{mail}");
    let (home, sendmail) = machine();
    home.write(".mailrc", &format!("set sendmail={}\n", text(&sendmail)));
    call(
        &home,
        "/usr/bin/bsd-mailx",
        &["-s", "Alarm", "root"],
        "disk full\n",
    );
    let (mail, to) = the_mail(&home);
    assert_eq!(to, ["admin@example.com"], "root is nobody's address");
    assert!(
        mail.contains("From: support@contoso.com\r\n") && mail.ends_with("disk full\r\n"),
        "{mail}"
    );
}

#[test]
fn php_and_python() {
    let (home, sendmail) = machine();
    let path = format!("sendmail_path={} -t -i", text(&sendmail));
    let script = r#"exit(mail("Anna <anna@example.com>", "=?UTF-8?B?R3LDvMOfZQ==?=", "Hello\n.\nBye", ["From" => "support@contoso.com", "Bcc" => "secret@example.com"]) ? 0 : 1);"#;
    call(
        &home,
        "/usr/bin/php",
        &["-n", "-d", &path, "-r", script],
        "",
    );
    let (mail, to) = the_mail(&home);
    assert_eq!(to, ["anna@example.com", "secret@example.com"]);
    assert!(
        mail.contains("\r\n.\r\nBye\r\n") && !mail.contains("secret@"),
        "{mail}"
    );
    // Without a From at all, as careless scripts do, and with an additional parameter.
    let (home, sendmail) = machine();
    let path = format!("sendmail_path={} -t -i", text(&sendmail));
    let script = r#"exit(mail("anna@example.com", "x", "y", "", "-fwww-data@localhost") ? 0 : 1);"#;
    call(
        &home,
        "/usr/bin/php",
        &["-n", "-d", &path, "-r", script],
        "",
    );
    assert!(the_mail(&home).0.contains("From: support@contoso.com\r\n"));
    // A caller that asks is told of a failure.
    let script = r#"exit(mail("a b c", "x", "y") ? 1 : 0);"#;
    call(
        &home,
        "/usr/bin/php",
        &["-n", "-d", &path, "-r", script],
        "",
    );
    let (home, sendmail) = machine();
    let script = "import email.message, subprocess, sys
m = email.message.EmailMessage()
m['From'] = 'Support <support@contoso.com>'; m['To'] = 'anna@example.com'; m['Subject'] = 'Grüße'
m.set_content('Grüße\\n.\\n')
subprocess.run([sys.argv[1], '-t', '-oi'], input=m.as_bytes(), check=True)";
    call(&home, "python3", &["-c", script, text(&sendmail)], "");
    assert!(the_mail(&home).0.contains("Subject: =?utf-8?"));
}

/// Debian's cron, with queuemail in the place of /usr/sbin/sendmail, in a mount namespace of
/// its own: the system's cron and its files stay untouched.
#[test]
fn debians_cron() {
    let (home, sendmail) = machine();
    let tabs = home.path("crontabs");
    fs::create_dir(&tabs).unwrap();
    let tab = home.write("crontabs/root", "@reboot echo the disk is full\n");
    fs::set_permissions(&tab, fs::Permissions::from_mode(0o600)).unwrap();
    for empty in ["cron.d", "run"] {
        fs::create_dir(home.path(empty)).unwrap();
    }
    let empty = home.write("crontab", "");
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o644)).unwrap();
    let here = home.folder.path().display();
    let script = format!(
        "set -e
         mount --bind {} /usr/sbin/sendmail
         mount --bind {here}/crontabs /var/spool/cron/crontabs
         mount --bind {here}/cron.d /etc/cron.d
         mount --bind {here}/crontab /etc/crontab
         mount --bind {here}/run /run
         exec cron -f",
        sendmail.display()
    );
    let mut cron = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            &script,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    while home.standin.submitted().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    // It is sent, and soon not kept any more.
    while !outbox(&home).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    cron.kill().unwrap();
    let output = cron.wait_with_output().unwrap();
    assert!(
        !home.standin.submitted().is_empty(),
        "{output:?}\n{}",
        called(&home)
    );
    let (mail, to) = the_mail(&home);
    assert_eq!(to, ["admin@example.com"]);
    assert!(
        mail.starts_with("From: \"Cron Daemon\" <support@contoso.com>\r\n")
            || mail.contains("<support@contoso.com>"),
        "{mail}"
    );
    assert!(
        mail.contains("\r\nSubject: Cron <root@") && mail.ends_with("the disk is full\r\n"),
        "{mail}"
    );
    assert!(
        called(&home).contains("-FCronDaemon") && called(&home).contains("-oem root"),
        "{}",
        called(&home)
    );
}
