//! Clients of the relay: by TCP with a password, odd ones, and the programs that people have.

use super::{Relay, text};
use crate::sending::{SUPPORT, office, outbox, pipe};
use crate::world::office::Home;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Whoever connects by TCP signs in with one of these: `NAME:PASSWORD`, a line each.
fn office_with_passwords(passwords: &str) -> Home {
    let home = office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.write(
        "config.yaml",
        &format!("{config}relay: {{ password_file: relay.passwords }}\n"),
    );
    home.write("relay.passwords", passwords);
    home
}

#[test]
fn who_connects_by_tcp_signs_in_where_there_are_passwords() {
    let home = office_with_passwords("# devices\nprinter:pass word\n");
    let relay = Relay::start(&home);
    let mut client = relay.tcp();
    client.ask("EHLO x", "250 AUTH PLAIN LOGIN");
    client.ask(&format!("MAIL FROM:<{SUPPORT}>"), "530 5.7.0");
    client.ask("AUTH PLAIN AHByaW50ZXIAcGFzc3dvcmQ=", "535 5.7.8");
    client.ask("AUTH PLAIN AHByaW50ZXIAcGFzcyB3b3Jk", "235 2.7.0");
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(1))
            .starts_with("250 ")
    );
    // The kernel knows this one; it may sign in, and need not.
    let mut known = relay.unix();
    known.ask("EHLO x", "250 AUTH PLAIN LOGIN");
    assert!(
        known
            .send(SUPPORT, "a@example.com", &text(2))
            .starts_with("250 ")
    );
    let kept = outbox(&home);
    let by = |n: usize| kept[n]["submitter"].as_str().unwrap();
    assert!(
        by(0).starts_with("login=printer host=127.0.0.1 port="),
        "{}",
        by(0)
    );
    assert!(by(1).starts_with("uid="), "{}", by(1));
    let log = relay.log();
    assert!(
        log.contains("a wrong user or password, from host=127.0.0.1"),
        "{log}"
    );
    assert!(
        !log.contains("pass word") && !log.contains("AHBy"),
        "no password, right or wrong, is told: {log}"
    );
    // A file that others can read serves nobody.
    let file = home.path("relay.passwords");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut late = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    let mut said = String::new();
    late.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.3.0 "), "{said}");
    relay.wait_for("contains passwords, and other users can read it");
    // Nor does one with a line that is none; its content stays untold.
    home.write("relay.passwords", "printer pass word\n");
    let ran = pipe(&home, &["send", "--smtp-session"], b"").mentions("line 1 of ");
    assert!(
        ran.code == 78 && !ran.stderr.contains("pass word"),
        "{}",
        ran.stderr
    );
}

/// What programs really say; each to its end, and in order.
#[test]
fn odd_clients_are_understood() {
    let home = office();
    let relay = Relay::start(&home);
    // A printer: no name worth the name, blanks after the colons, no angle brackets, no QUIT.
    let mut printer = relay.tcp();
    printer.ask("EHLO ", "250");
    printer.ask("HELO HP_LaserJet (192.168.1.7)", "250");
    printer.ask(&format!("MAIL FROM: {SUPPORT}"), "250");
    printer.ask("RCPT TO: <anna@example.com>", "250");
    printer.ask("DATA", "354");
    let said = printer.say(&format!("{}.\r\n", text(1)));
    assert!(said.starts_with("250 "), "{said}");
    drop(printer);
    // A group in one packet, with a recipient that is refused in it (RFC 2920).
    let mut hasty = relay.unix();
    let group = format!(
        "EHLO x\r\nMAIL FROM:<{SUPPORT}> SIZE=200\r\nRCPT TO:<root>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
    );
    assert!(hasty.say(&group).starts_with("250 "));
    for code in ["250", "550", "250", "354"] {
        assert_eq!(&hasty.reply()[..3], code);
    }
    assert!(hasty.say(&format!("{}.\r\n", text(2))).starts_with("250 "));
    // Gone in the middle of a message: nothing of it is kept.
    let mut gone = relay.unix();
    gone.ask("EHLO x", "250");
    gone.ask(&format!("MAIL FROM:<{SUPPORT}>"), "250");
    gone.ask("RCPT TO:<c@example.com>", "250");
    gone.ask("DATA", "354");
    gone.to.write_all(text(3).as_bytes()).unwrap();
    drop((gone, hasty));
    relay.wait();
    assert_eq!(outbox(&home).len(), 2);
    assert_eq!(relay.log(), "");
}

/// Python's smtplib, plain and signed in; PHP by its own SMTP; msmtp; swaks.
#[test]
fn programs_that_speak_smtp() {
    let home = office_with_passwords("shop:s3cret+word\n");
    let relay = Relay::start(&home);
    let port = relay.port.to_string();
    let run = |program: &str, args: &[&str]| {
        let letter = home.write("letter", &text(1));
        let output = Command::new(program)
            .args(args)
            .env_clear()
            .env("HOME", home.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(home.folder.path())
            .stdin(File::open(letter).unwrap())
            .output()
            .unwrap_or_else(|e| panic!("{program}: {e}; `scripts/need test` installs it"));
        assert!(
            output.status.success(),
            "{program}: {output:?}\n{}",
            relay.log()
        );
    };
    let script = "import smtplib, sys
from email.message import EmailMessage
m = EmailMessage()
m['From'] = 'support@contoso.com'; m['To'] = 'anna@example.com'; m['Subject'] = 'Grüße'
m.set_content('.\\n..\\nGrüße\\n' * 1000)
s = smtplib.SMTP('127.0.0.1', int(sys.argv[1])); s.login('shop', 's3cret+word')
s.send_message(m); s.send_message(m, to_addrs=['ünï@example.com'], mail_options=['SMTPUTF8']); s.quit()
try:
    s = smtplib.SMTP('127.0.0.1', int(sys.argv[1])); s.login('shop', 'wrong')
except smtplib.SMTPAuthenticationError: sys.exit(0)
sys.exit(1)";
    run("python3", &["-c", script, &port]);
    let script = r#"$s = fsockopen('127.0.0.1', (int)$argv[1]); stream_set_timeout($s, 20);
$ask = function($t, $c) use ($s) { if ($t !== '') fwrite($s, $t . "\r\n");
  do { $l = fgets($s); } while ($l[3] == '-'); if (substr($l, 0, 3) != $c) { fwrite(STDERR, $l); exit(1); } };
$ask('', '220'); $ask('EHLO [127.0.0.1]', '250'); $ask('AUTH LOGIN', '334'); $ask(base64_encode('shop'), '334');
$ask(base64_encode('s3cret+word'), '235'); $ask('MAIL FROM:<support@contoso.com>', '250');
$ask('RCPT TO:<anna@example.com>', '250'); $ask('DATA', '354');
$ask("From: support@contoso.com\r\nSubject: php\r\n\r\nx\r\n.", '250'); $ask('QUIT', '221');"#;
    run("php", &["-n", "-r", script, "--", &port]);
    let server = ["--host=127.0.0.1", "--auth=plain", "--user=shop"];
    let port_option = format!("--port={port}");
    let msmtp = [
        &server[..],
        &[
            &port_option,
            "--tls=off",
            "--from=support@contoso.com",
            "--passwordeval=echo s3cret+word",
            "--file=/dev/null",
            "anna@example.com",
        ],
    ]
    .concat();
    run("msmtp", &msmtp);
    let at = format!("127.0.0.1:{port}");
    let swaks = [
        "--server",
        &at,
        "--auth",
        "LOGIN",
        "--auth-user",
        "shop",
        "--auth-password",
        "s3cret+word",
        "--pipeline",
        "--from",
        SUPPORT,
        "--to",
        "anna@example.com",
        "--h-From",
        SUPPORT,
        "--body",
        ".",
    ];
    run("swaks", &swaks);
    let socket = relay.socket.display().to_string();
    run(
        "swaks",
        &[
            "--socket",
            &socket,
            "--protocol",
            "SMTP",
            "--from",
            SUPPORT,
            "--to",
            "anna@example.com",
            "--h-From",
            SUPPORT,
        ],
    );
    assert_eq!(outbox(&home).len(), 6);
    home.run(&["outbox", "flush"]).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 6);
    assert!(
        sent.iter()
            .any(|mail| mail.recipients == ["ünï@example.com"])
    );
    let python = sent
        .iter()
        .filter(|mail| mail.bytes.windows(5).any(|w| w == b"\r\n.\r\n"));
    assert!(python.count() >= 2, "dots are as they were");
}
