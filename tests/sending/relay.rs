//! The relay: SMTP on standard input and output, into the outbox. `Relay` does what systemd does
//! with queuemail-relay.socket: a process of its own for each connection.

use super::{SUPPORT, configure, later, office, outbox, pipe};
use crate::patience::until;
use crate::tokens::{Home, Ran};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens for a home's relay, until the test's process ends.
pub struct Relay {
    pub socket: PathBuf,
    pub port: u16,
    /// The processes of all sessions, those that have ended included.
    pub sessions: Arc<Mutex<Vec<Child>>>,
    log: PathBuf,
}

impl Relay {
    pub fn start(home: &Home) -> Relay {
        let mut command = home.command(&["send", "--smtp-session"]);
        command.env("QUEUEMAIL_RELAY", home.path("relay.sock"));
        Relay::of(home.path("relay.sock"), home.path("relay.log"), command)
    }

    /// One whose sessions are these commands.
    pub fn of(socket: PathBuf, log: PathBuf, command: Command) -> Relay {
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let unix = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        File::create(&log).unwrap();
        let command = Arc::new(Mutex::new(command));
        let serve = {
            let (sessions, log) = (Arc::clone(&sessions), log.clone());
            move |from: OwnedFd, to: OwnedFd| {
                let mut command = command.lock().unwrap();
                let log = File::options().append(true).open(&log);
                let Ok(log) = log else { return };
                command.stdin(from).stdout(to).stderr(log);
                let child = command.spawn().unwrap();
                // The command keeps no copy of the client's descriptor.
                command.stdin(Stdio::null()).stdout(Stdio::null());
                sessions.lock().unwrap().push(child);
            }
        };
        let by_unix = serve.clone();
        thread::spawn(move || {
            for stream in unix.incoming().flatten() {
                by_unix(stream.try_clone().unwrap().into(), stream.into());
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                serve(stream.try_clone().unwrap().into(), stream.into());
            }
        });
        Relay {
            socket,
            port,
            sessions,
            log,
        }
    }

    fn unix(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).unwrap();
        Client::new(stream.try_clone().unwrap(), stream)
    }

    fn tcp(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        Client::new(stream.try_clone().unwrap(), stream)
    }

    /// What the sessions said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for all sessions to end.
    pub fn wait(&self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            session.wait().unwrap();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}

/// A client that says what it is told to.
struct Client {
    from: BufReader<Box<dyn Read + Send>>,
    to: Box<dyn Write + Send>,
}

impl Client {
    fn new(from: impl Read + Send + 'static, to: impl Write + Send + 'static) -> Client {
        let mut client = Client {
            from: BufReader::new(Box::new(from)),
            to: Box::new(to),
        };
        let greeting = client.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        client
    }

    /// The last line of a reply; empty where the relay has left.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.from.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    fn say(&mut self, text: &str) -> String {
        self.to.write_all(text.as_bytes()).unwrap();
        self.reply()
    }

    #[track_caller]
    fn ask(&mut self, text: &str, code: &str) {
        let said = self.say(&format!("{text}\r\n"));
        assert!(said.starts_with(code), "{text}: {said}");
    }

    /// A whole transaction; gives the last reply.
    fn send(&mut self, from: &str, to: &str, text: &str) -> String {
        self.ask(&format!("MAIL FROM:<{from}>"), "250");
        self.ask(&format!("RCPT TO:<{to}>"), "250");
        self.ask("DATA", "354");
        self.say(&format!("{text}.\r\n"))
    }
}

/// A message of this number.
fn text(n: usize) -> String {
    format!(
        "From: {SUPPORT}\r\nTo: anna@example.com\r\nBcc: secret@example.com\r\nSubject: Grüße {n}\r\n\
         Message-ID: <{n}@contoso.com>\r\nDate: Mon, 23 Nov 2026 14:02:00 +0100\r\n\r\nHello\r\n"
    )
}

const SCRIPT: &str = "EHLO me\r\nMAIL FROM:<support@contoso.com> BODY=8BITMIME\r\n\
    RCPT TO:<anna@example.com>\r\nRCPT TO:<Anna@EXAMPLE.com>\r\nDATA\r\n";

#[test]
fn a_session_in_a_pipe_keeps_its_message_and_a_flush_sends_it() {
    use std::os::unix::process::CommandExt;
    let home = office();
    let script = home.write(
        "script",
        &format!("{SCRIPT}{}..x\r\n.\r\nQUIT\r\n", text(1)),
    );
    let mut command = home.command(&["-bs"]);
    command.arg0("/usr/sbin/sendmail");
    command.stdin(File::open(script).unwrap());
    let ran = Ran::from(command.output().unwrap()).succeeds();
    let codes: Vec<&str> = ran.out.lines().map(|line| &line[..3]).collect();
    assert!(
        codes.ends_with(&["250", "250", "250", "354", "250", "221"]),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("250 2.0.0 ok: queued as 1\r\n"),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "");
    // Kept, and nothing else.
    assert!(home.standin.submitted().is_empty());
    let kept = outbox(&home);
    assert_eq!((kept.len(), &kept[0]["attempts"]), (1, &0.into()));
    let uid = rustix::process::getuid().as_raw();
    let by = kept[0]["submitter"].as_str().unwrap();
    assert!(by.starts_with(&format!("uid={uid} ")), "{by}");
    let shown = home.run(&["outbox", "show", "1"]).succeeds();
    assert!(
        shown.out.contains(&format!("submitted by: uid={uid} ")),
        "{}",
        shown.out
    );
    let ran = home.run(&["outbox", "flush"]).succeeds();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let sent = home.standin.submitted();
    assert_eq!((sent.len(), sent[0].from.as_str()), (1, SUPPORT));
    // One and the same mailbox, as far as anybody knows; and the text as it was, but for Bcc.
    assert_eq!(sent[0].recipients, ["anna@example.com", "Anna@EXAMPLE.com"]);
    let want = text(1).replace("Bcc: secret@example.com\r\n", "") + ".x\r\n";
    assert_eq!(String::from_utf8_lossy(&sent[0].bytes), want);
    // What is said about it when asked.
    let ran = pipe(
        &home,
        &["-v", "send", "--smtp-session"],
        format!("{SCRIPT}{}.\r\n", text(2)).as_bytes(),
    )
    .succeeds();
    assert!(
        ran.err.contains("message 2: kept in the outbox, from uid="),
        "{}",
        ran.err
    );
}

#[test]
fn the_rules_of_every_message_hold() {
    let home = office();
    let relay = Relay::start(&home);
    let mut client = relay.tcp();
    client.ask("EHLO x", "250");
    for (from, code) in [
        ("stranger@example.com", "550 5.7.1"),
        ("reads@contoso.com", "550 5.7.1"),
        ("closed@contoso.com", "451 4.3.5"),
        ("root", "550 5.7.1"),
        ("", "250"),
    ] {
        client.ask(&format!("MAIL FROM:<{from}>"), code);
    }
    client.ask("RCPT TO:<root>", "550 5.1.3");
    client.ask("RSET", "250");
    let said = client.send(
        SUPPORT,
        "a@example.com",
        &text(1).replace(SUPPORT, "boss@contoso.com"),
    );
    assert!(
        said.starts_with("550 5.7.1 ") && said.contains("boss@contoso.com"),
        "{said}"
    );
    let said = client.send(SUPPORT, "a@example.com", "Subject: x\r\nno header\r\n\r\n");
    assert!(said.starts_with("554 5.6.0 "), "{said}");
    let said = client.send("", "a@example.com", "Subject: nobody\r\n\r\n");
    assert!(said.starts_with("554 5.6.0 "), "{said}");
    assert!(outbox(&home).is_empty());
    // Mail of this machine, once somebody stands in for it.
    configure(
        &home,
        "deliver:",
        "  sender: support@contoso.com\n  recipient: admin@example.com",
    );
    let mut client = relay.unix();
    client.ask("HELO x", "250");
    let said = client.send(
        "root@localhost",
        "root",
        "From: root (Cron Daemon)\r\nTo: root\r\n\r\nx\r\n",
    );
    assert!(said.starts_with("250 2.0.0 "), "{said}");
    home.run(&["outbox", "flush"]).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(
        (sent[0].from.as_str(), &sent[0].recipients[..]),
        (SUPPORT, &["admin@example.com".to_owned()][..])
    );
    let log = relay.log();
    assert!(
        log.contains("outgoing server `closed` is disabled") && !log.contains("stranger"),
        "{log}"
    );
}

/// Nothing of what two servers could read in two ways is kept, nor anything after it.
#[test]
fn smuggling_is_refused_and_ends_the_session() {
    let home = office();
    let relay = Relay::start(&home);
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\0\r\n.\r\n",
        "\r.\r\n",
    ] {
        for client in [relay.unix(), relay.tcp()] {
            let mut client = client;
            client.ask("EHLO x", "250");
            client.ask(&format!("MAIL FROM:<{SUPPORT}>"), "250");
            client.ask("RCPT TO:<a@example.com>", "250");
            client.ask("DATA", "354");
            let said = client.say(&format!(
                "{}{end}MAIL FROM:<{SUPPORT}>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n{}\r\n.\r\n",
                text(1),
                text(2)
            ));
            assert!(said.starts_with("550 5.6.0 "), "{end:?}: {said}");
            assert_eq!(client.reply(), "", "{end:?}");
        }
    }
    let mut browser = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    browser
        .write_all(format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{SCRIPT}{}.\r\n", text(3)).as_bytes())
        .unwrap();
    let mut said = String::new();
    browser.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("421 4.7.0 this is SMTP\r\n"), "{said}");
    assert!(outbox(&home).is_empty());
}

#[test]
fn each_user_has_so_much_and_no_more() {
    let home = office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    let limited =
        |relay: &str| home.write("config.yaml", &format!("{config}relay: {{ {relay} }}\n"));
    limited("messages_per_user: 2");
    let relay = Relay::start(&home);
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    for n in 1..3 {
        assert!(
            client
                .send(SUPPORT, "a@example.com", &text(n))
                .starts_with("250 ")
        );
    }
    client.ask(&format!("MAIL FROM:<{SUPPORT}>"), "452 4.3.1");
    // Others have their own.
    let mut other = relay.tcp();
    other.ask("EHLO x", "250");
    assert!(
        other
            .send(SUPPORT, "a@example.com", &text(3))
            .starts_with("250 ")
    );
    assert!(
        outbox(&home)[2]["submitter"]
            .as_str()
            .unwrap()
            .starts_with("host=127.0.0.1 port=")
    );
    // What has left counts no more.
    home.run(&["outbox", "flush"]).succeeds();
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(4))
            .starts_with("250 ")
    );
    limited("megabytes_per_user: 1");
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    client.ask(&format!("MAIL FROM:<{SUPPORT}> SIZE=1048577"), "452 4.3.1");
    // SIZE is a client's word, and may be wrong.
    let line = "x".repeat(70) + "\r\n";
    let large = text(5) + &line.repeat(15_000);
    assert!(
        client
            .send(SUPPORT, "a@example.com", &large)
            .starts_with("452 4.3.1 ")
    );
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(6))
            .starts_with("250 ")
    );
    assert_eq!(outbox(&home).len(), 2);
    // A session more than a user may have.
    let mut all: Vec<Client> = (0..48).map(|_| relay.unix()).collect();
    let mut refused = UnixStream::connect(&relay.socket).unwrap();
    let mut said = String::new();
    refused.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.7.0 uid="), "{said}");
    all.pop();
    relay.tcp().ask("QUIT", "221");
}

#[test]
fn a_message_that_cannot_be_kept_is_not_promised() {
    let home = office();
    let relay = Relay::start(&home);
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(1))
            .starts_with("250 ")
    );
    // As on a disk that is full.
    fs::remove_dir_all(home.path("state/outbox")).unwrap();
    fs::write(home.path("state/outbox"), "").unwrap();
    let said = client.send(SUPPORT, "a@example.com", &text(2));
    assert!(said.starts_with("452 4.3.1 "), "{said}");
    assert!(
        relay.log().contains("the relay refused a message of uid="),
        "{}",
        relay.log()
    );
    assert_eq!(outbox(&home).len(), 1);
    // Nor is anything where the configuration is in error, or the state's place is taken.
    home.write("config.yaml", "version: 2\nsecret: hush\n");
    let mut late = UnixStream::connect(&relay.socket).unwrap();
    let mut said = String::new();
    late.read_to_string(&mut said).unwrap();
    assert_eq!(
        said,
        "421 4.3.0 the relay does not work now; see its log\r\n"
    );
    relay.wait_for("version");
    // A relay whose own configuration is gone does not lead its clients to itself.
    fs::remove_file(home.path("config.yaml")).unwrap();
    let before = relay.sessions.lock().unwrap().len();
    let mut late = UnixStream::connect(&relay.socket).unwrap();
    said.clear();
    late.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.3.0 "), "{said}");
    relay.wait_for("cannot read");
    assert_eq!(relay.sessions.lock().unwrap().len(), before + 1);
}

impl Relay {
    /// Waits until a session has said this.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        until(text, || self.log().contains(text));
    }
}

#[test]
fn who_connects_by_tcp_signs_in_where_there_are_passwords() {
    let home = office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.write(
        "config.yaml",
        &format!("{config}relay: {{ password_file: relay.passwords }}\n"),
    );
    home.write("relay.passwords", "# devices\nprinter:pass word\n");
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
    let ran = pipe(&home, &["send", "--smtp-session"], b"").says("line 1 of ");
    assert!(
        ran.code == 78 && !ran.err.contains("pass word"),
        "{}",
        ran.err
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
    let home = office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.write(
        "config.yaml",
        &format!("{config}relay: {{ password_file: relay.passwords }}\n"),
    );
    home.write("relay.passwords", "shop:s3cret+word\n");
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

/// Kills whatever comes its way: sessions while twenty clients send two hundred messages. What was
/// promised is in the outbox, once; and a flush that is killed, too, loses none of it.
#[test]
fn what_was_promised_to_many_clients_outlives_a_kill_of_any_process() {
    const CLIENTS: usize = 20;
    const EACH: usize = 10;
    let home = office();
    let relay = Relay::start(&home);
    let promised = Mutex::new(Vec::new());
    let done = std::sync::atomic::AtomicBool::new(false);
    let kills = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        let (relay, promised, done, kills) = (&relay, &promised, &done, &kills);
        scope.spawn(move || {
            // One of the sessions that are there, whenever some more messages were promised: so
            // there are kills on a quick machine, and there is an end on a slow one.
            let mut next = 4;
            while !done.load(SeqCst) {
                thread::sleep(std::time::Duration::from_millis(2));
                if promised.lock().unwrap().len() < next {
                    continue;
                }
                let mut sessions = relay.sessions.lock().unwrap();
                let mut alive: Vec<&mut Child> = sessions
                    .iter_mut()
                    .filter_map(|s| matches!(s.try_wait(), Ok(None)).then_some(s))
                    .collect();
                if !alive.is_empty() {
                    // The oldest, the newest, or any between.
                    let one = next * 5 % alive.len();
                    alive[one].kill().unwrap();
                    kills.fetch_add(1, SeqCst);
                    next += 6;
                }
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let id = client * EACH + n;
                        // As a client does: again, until it is told that it is kept.
                        while !deliver(relay, id) {}
                        promised.lock().unwrap().push(id);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        done.store(true, SeqCst);
    });
    let killed = kills.load(SeqCst);
    assert!(killed > 2, "{killed} were killed");
    let promised = promised.into_inner().unwrap();
    assert_eq!(promised.len(), CLIENTS * EACH);
    let is_kept =
        |all: &[String], id: usize| all.iter().any(|m| *m == format!("<{id}@contoso.com>"));
    let ids = |kept: Vec<serde_json::Value>| -> Vec<String> {
        kept.iter()
            .map(|k| k["message_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let kept = ids(outbox(&home));
    for &id in &promised {
        assert!(is_kept(&kept, id), "message {id} was promised and is lost");
    }
    // A client that was cut off before the reply says it again: more at most by the sessions killed.
    assert!(kept.len() - promised.len() <= killed, "{} kept", kept.len());
    let mut flush = home.command(&["outbox", "flush"]).spawn().unwrap();
    until("twenty are sent", || home.standin.submitted().len() >= 20);
    flush.kill().unwrap();
    flush.wait().unwrap();
    later(&home);
    home.run(&["outbox", "flush"]);
    let mut all = ids(outbox(&home));
    all.extend(
        home.standin
            .submitted()
            .into_iter()
            .map(|sent| sent.message_id_used),
    );
    for id in promised {
        assert!(is_kept(&all, id), "message {id} was lost on its way");
    }
    println!(
        "campaign: {killed} sessions killed, {} messages kept for {} promised, 0 lost",
        kept.len(),
        CLIENTS * EACH
    );
}

/// One message by a connection of its own; true once it is promised.
fn deliver(relay: &Relay, id: usize) -> bool {
    let Ok(stream) = UnixStream::connect(&relay.socket) else {
        return false;
    };
    let mut from = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |text: String, code: &str| {
        if (&stream).write_all(text.as_bytes()).is_err() {
            return false;
        }
        let mut line = String::new();
        loop {
            line.clear();
            match from.read_line(&mut line) {
                Ok(1..) if line.as_bytes().get(3) == Some(&b'-') => {}
                Ok(1..) => return line.starts_with(code),
                _ => return false,
            }
        }
    };
    ask(String::new(), "220")
        && ask("EHLO x\r\n".into(), "250")
        && ask(format!("MAIL FROM:<{SUPPORT}>\r\n"), "250")
        && ask("RCPT TO:<anna@example.com>\r\n".into(), "250")
        && ask("DATA\r\n".into(), "354")
        && ask(format!("{}.\r\n", text(id)), "250")
}
