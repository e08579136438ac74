//! Mail of every user of a machine: sendmail of root, of www-data and of others, to whom the
//! configuration is closed, through the relay; and Postfix as the relay's client. As root, so that
//! there are other users.

use crate::sending::relay::Relay;
use crate::sending::{SUPPORT, configure, office};
use crate::servers::process::{Process, read};
use crate::servers::{free_port, run};
use crate::tokens::{Home, Ran};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// The service's user, and one who is nobody to it.
const SERVICE: u32 = 4242;
const WWW_DATA: u32 = 33;

const MAIL: &str = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> backup\nBcc: secret@example.com\n\n.\nGrüße\n";

/// An office whose files are the service's user's alone, and a copy of the program that all reach.
fn machine() -> Home {
    let home = office();
    configure(
        &home,
        "deliver:",
        "  sender: support@contoso.com\n  recipient: admin@example.com",
    );
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(home.folder.path(), 0o755);
    fs::create_dir(home.path("state")).unwrap();
    open(&home.path("state"), 0o700);
    for name in ["config.yaml", "state"] {
        chown(home.path(name), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    let authority = home.path("ca.pem");
    fs::copy(home.standin.ca_file(), &authority).unwrap();
    open(&authority, 0o644);
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    let here = home.standin.ca_file().display().to_string();
    fs::write(
        home.path("config.yaml"),
        config.replace(&here, authority.to_str().unwrap()),
    )
    .unwrap();
    fs::create_dir(home.path("bin")).unwrap();
    open(&home.path("bin"), 0o755);
    fs::copy(env!("CARGO_BIN_EXE_queuemail"), home.path("bin/queuemail")).unwrap();
    symlink("queuemail", home.path("bin/sendmail")).unwrap();
    home
}

/// The program, called by this name as this user; where it is to look for the relay.
fn command(home: &Home, uid: u32, program: &str, args: &[&str]) -> Command {
    let own = home.command(&[]);
    let id = uid.to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .arg(home.path("bin").join(program))
        .args(args)
        .env_clear()
        .envs(own.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("QUEUEMAIL_RELAY", home.path("relay.sock"))
        .current_dir("/");
    command
}

fn call(home: &Home, uid: u32, args: &[&str], stdin: &str) -> Ran {
    let input = home.write("stdin", stdin);
    let mut command = command(home, uid, "sendmail", args);
    command.stdin(File::open(input).unwrap());
    Ran::from(command.output().unwrap())
}

fn relay(home: &Home) -> Relay {
    let session = command(home, SERVICE, "queuemail", &["send", "--smtp-session"]);
    Relay::of(home.path("relay.sock"), home.path("relay.log"), session)
}

fn flush(home: &Home) {
    let mut command = command(home, SERVICE, "queuemail", &["outbox", "flush"]);
    Ran::from(command.stdin(Stdio::null()).output().unwrap()).succeeds();
}

/// The outbox as the service's user sees it.
fn kept(home: &Home) -> Vec<serde_json::Value> {
    let mut command = command(home, SERVICE, "queuemail", &["outbox", "list", "--json"]);
    let ran = Ran::from(command.stdin(Stdio::null()).output().unwrap()).succeeds();
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    object["outbox"].as_array().unwrap().clone()
}

#[test]
fn mail_of_every_user_goes_through_the_relay() {
    let home = machine();
    let relay = relay(&home);
    // As cron, PHP and mutt call it.
    for (uid, args, mail) in [
        (
            0,
            &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t"][..],
            MAIL,
        ),
        (WWW_DATA, &["-t", "-i", "-fwww-data@localhost"], MAIL),
        (
            WWW_DATA,
            &[
                "-i",
                "-f",
                SUPPORT,
                "anna@example.com",
                "Bo <bo@example.com>",
            ],
            "Subject: no From\r\n\r\nx",
        ),
        (
            65534,
            &["-i", "-F", "The Backup", "-bm", "root"],
            "no header at all\n",
        ),
    ] {
        let ran = call(&home, uid, args, mail).succeeds();
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{uid} {args:?}"
        );
    }
    let kept = kept(&home);
    let by: Vec<&str> = kept
        .iter()
        .map(|mail| {
            mail["submitter"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(by, ["uid=0", "uid=33", "uid=33", "uid=65534"]);
    flush(&home);
    let sent = home.standin.submitted();
    let text = |n: usize| String::from_utf8_lossy(&sent[n].bytes).into_owned();
    assert_eq!(
        sent[0].recipients,
        ["admin@example.com", "secret@example.com"]
    );
    assert!(
        text(0).starts_with("From: \"Cron Daemon\" <support@contoso.com>\r\n")
            || text(0).contains("Cron Daemon"),
        "{}",
        text(0)
    );
    assert!(
        text(0).ends_with("\r\n\r\n.\r\nGrüße\r\n") && !text(0).contains("secret@"),
        "{}",
        text(0)
    );
    assert_eq!(sent[2].recipients, ["anna@example.com", "bo@example.com"]);
    assert!(
        text(2).starts_with("From: support@contoso.com\r\n") && text(2).ends_with("\r\n\r\nx\r\n"),
        "{}",
        text(2)
    );
    assert!(
        text(3).starts_with("From: \"The Backup\" <support@contoso.com>\r\n"),
        "{}",
        text(3)
    );
    assert!(
        text(3).ends_with("\r\n\r\nno header at all\r\n"),
        "{}",
        text(3)
    );
    assert!(sent.iter().all(|mail| mail.from == SUPPORT));
    // What the rules refuse, its caller is told.
    call(&home, WWW_DATA, &["-t", "-f", "boss@contoso.com"], MAIL)
        .fails(69)
        .mentions("the relay at")
        .mentions("server said: 550 5.7.1 no queue has the sender `boss@contoso.com`");
    call(&home, WWW_DATA, &["-f", SUPPORT, "@example.com"], MAIL).fails(67);
    call(&home, WWW_DATA, &["-i"], MAIL)
        .fails(67)
        .mentions("no recipient");
    let nul = MAIL.replace("Grüße", "a\0b");
    call(&home, WWW_DATA, &["-t", "-i"], &nul)
        .fails(65)
        .mentions("550 5.6.0 the message contains a NUL");
    // And who speaks SMTP to sendmail speaks with the relay.
    let script = format!("EHLO me\r\nMAIL FROM:<{SUPPORT}>\r\nRCPT TO:<a@example.com>\r\nQUIT\r\n");
    let ran = call(&home, WWW_DATA, &["-bs"], &script).succeeds();
    assert!(
        ran.stdout.contains("250 2.1.5 ") && ran.stdout.ends_with("221 2.0.0 bye\r\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(relay.log(), "");
}

#[test]
fn without_a_relay_root_becomes_the_owner_and_others_are_told() {
    let home = machine();
    let absent = |uid: u32, args: &[&str]| {
        let input = home.write("stdin", MAIL);
        let mut command = command(&home, uid, "sendmail", args);
        command.env("QUEUEMAIL_RELAY", home.path("absent/relay.sock"));
        Ran::from(command.stdin(File::open(input).unwrap()).output().unwrap())
    };
    let ran = absent(0, &["-FCronDaemon", "-i", "-t"]).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(home.standin.submitted().len(), 1);
    // Nothing of the state is root's.
    for file in fs::read_dir(home.path("state")).unwrap() {
        use std::os::unix::fs::MetadataExt;
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().uid(), SERVICE, "{:?}", file.path());
    }
    absent(WWW_DATA, &["-t", "-i"])
        .fails(78)
        .mentions("cannot read ")
        .mentions("hint: to send the mail of every user of this machine: systemctl enable --now queuemail-relay.socket");
    // Behind a link may be any user's file.
    fs::rename(home.path("config.yaml"), home.path("real.yaml")).unwrap();
    symlink("real.yaml", home.path("config.yaml")).unwrap();
    absent(0, &["-t", "-i"])
        .fails(78)
        .mentions("it is not a regular file of another user");
    // A service that has stopped: the socket is there, and nobody listens.
    let socket = home.path("relay.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    call(&home, WWW_DATA, &["-t"], MAIL)
        .fails(75)
        .mentions("cannot reach the relay at")
        .mentions("systemctl status queuemail-relay.socket");
    assert_eq!(home.standin.submitted().len(), 1);
}

/// Postfix hands everything to the relay, as `relayhost`.
#[test]
fn postfix_as_a_client() {
    let home = machine();
    let relay = relay(&home);
    let folder = home.path("postfix");
    let config = folder.join("config");
    for name in ["config", "queue", "data"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    run("chown", &["postfix", folder.join("data").to_str().unwrap()]);
    let port = free_port();
    let here = folder.display();
    fs::write(
        config.join("main.cf"),
        format!(
            "compatibility_level = 3.6\nqueue_directory = {here}/queue\ndata_directory = {here}/data\n\
             maillog_file = {here}/log\nmaillog_file_prefixes = {here}\nmyhostname = box.contoso.example\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nbiff = no\nmydestination =\nalias_maps =\n\
             relayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = none\nmynetworks = 127.0.0.0/8\n",
            relay.port
        ),
    )
    .unwrap();
    fs::write(
        config.join("master.cf"),
        format!(
            "postlog unix-dgram n - n - 1 postlogd\n127.0.0.1:{port} inet n - n - - smtpd\n\
             cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\n\
             retry unix - - n - - error\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n\
             scache unix - - n - 1 scache\n"
        ),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    run("/usr/sbin/postfix", &["-c", config, "check"]);
    let postfix = Process::start(
        &folder,
        &["/usr/lib/postfix/sbin/master", "-s", "-c", config],
    );
    let log = || read(&folder.join("log"));
    postfix.wait_for(port, log);
    let script = "import smtplib, sys
for n in range(5):
    s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
    s.sendmail('support@contoso.com', ['a%d@example.com' % n, 'b@example.com'],
        ('From: support@contoso.com\\r\\nSubject: %d\\r\\n\\r\\n.\\r\\nGr\\u00fc\\u00dfe\\r\\n' % n).encode(), mail_options=['BODY=8BITMIME'])
    s.quit()
s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
s.sendmail('boss@contoso.com', ['a@example.com'], 'From: boss@contoso.com\\r\\n\\r\\nx')";
    run("python3", &["-c", script, &port.to_string()]);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !(log()
        .matches("status=sent (250 2.0.0 ok: queued as ")
        .count()
        == 10
        && log().contains("status=bounced"))
        && std::time::Instant::now() < end
    {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(kept(&home).len(), 5, "{}", log());
    assert!(
        log().contains("550 5.7.1 no queue has the sender `boss@contoso.com`"),
        "{}",
        log()
    );
    flush(&home);
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 5);
    assert!(
        sent.iter().all(|mail| mail.recipients.len() == 2
            && mail.bytes.ends_with("\r\n.\r\nGrüße\r\n".as_bytes()))
    );
    drop(postfix);
}
