//! `docs/recipes.md` as it stands: other programs, fed with queuemail's tokens, read and send mail
//! on the real servers. Only host, port and certificate authority are those of the test.

use super::Office;
use crate::servers::RealServers;
use crate::standin::App;
use rexpect::error::Error;
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LETTER: &str =
    "From: a@example.com\r\nTo: us@contoso.com\r\nSubject: recipe\r\n\r\nWell done.\r\n";

/// The text of a recipe, its hosts replaced by the servers of the test, and its mailbox by one
/// that no other test uses.
fn recipe(name: &str, servers: &RealServers) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md");
    let text = fs::read_to_string(path).expect("docs/recipes.md");
    let (_, rest) = text
        .split_once(&format!("<!-- tested: {name} -->\n```"))
        .unwrap_or_else(|| panic!("no recipe `{name}`"));
    let (_, rest) = rest.split_once('\n').expect("a block");
    let (block, _) = rest.split_once("\n```").expect("the block's end");
    let smtp = servers.smtp_url();
    let smtp_port = smtp.rsplit(':').next().expect("a port");
    block
        .replace("smtp.office365.com:587", &format!("localhost:{smtp_port}"))
        .replace("port 587", &format!("port {smtp_port}"))
        .replace("smtp.office365.com", "localhost")
        .replace("support@contoso.com", &mailbox(name))
        + "\n"
}

fn mailbox(name: &str) -> String {
    format!("recipe-{name}@contoso.com")
}

/// An office with a queue for a recipe's mailbox, which holds `LETTER`.
fn office(name: &str) -> Office<'static> {
    let office = Office::new();
    let mailbox = mailbox(name);
    office.servers.append(&mailbox, "INBOX", &[LETTER]);
    let smtp = office.servers.smtp_url();
    office.add_outgoing(&smtp, &mailbox);
    office.add_queue(
        "support",
        &mailbox,
        &["--sender", "--outgoing", "Contoso out"],
    );
    office
}

impl Office<'_> {
    fn imaps(&self) -> String {
        format!("localhost:{}", self.servers.imaps_port())
    }

    /// Another program at home, `queuemail` on its path.
    fn command(&self, program: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_queuemail"));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.world.home())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env("SSL_CERT_FILE", &self.ca_file)
            .env(
                "PATH",
                format!(
                    "{}:/usr/local/bin:/usr/bin:/bin",
                    binary.parent().unwrap().display()
                ),
            )
            .current_dir(self.world.home());
        command
    }

    /// Runs another program at home, `queuemail` on its path; demands success, gives its output.
    #[track_caller]
    fn runs(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}; scripts/need test installs it"));
        let mut pipe = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, input.as_bytes()).ok();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// The one message of a Maildir.
    fn only(&self, maildir: &str) -> String {
        let new = self.world.path(maildir).join("new");
        let files: Vec<_> = fs::read_dir(&new).unwrap().flatten().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read_to_string(files[0].path()).unwrap()
    }

    /// Demands that a message with this subject has arrived.
    fn has_arrived(&self, mailbox: &str, subject: &str) {
        let found = self.servers.read_sent(mailbox, 1);
        let text = String::from_utf8_lossy(&found[0].bytes).into_owned();
        assert!(text.contains(&format!("Subject: {subject}")), "{text}");
    }
}

#[test]
fn msmtp() {
    let office = office("msmtprc");
    let ca = format!("tls_trust_file {}\n", office.ca_file.display());
    let rc = recipe("msmtprc", office.servers).replace("tls on\n", &format!("tls on\n{ca}"));
    office.world.write(".msmtprc", rc);
    office.runs(
        "msmtp",
        &["msmtp@example.com"],
        "Subject: by msmtp\n\nHello.\n",
    );
    office.has_arrived("msmtp@example.com", "by msmtp");
}

#[test]
fn mbsync() {
    let office = office("mbsyncrc");
    let host = format!(
        "Host localhost\nPort {}\nCertificateFile {}\n",
        office.servers.imaps_port(),
        office.ca_file.display()
    );
    let rc = recipe("mbsyncrc", office.servers).replace("Host outlook.office365.com\n", &host);
    office.world.write(".mbsyncrc", rc);
    fs::create_dir(office.world.path("synced")).unwrap();
    office.runs("mbsync", &["support"], "");
    assert!(office.only("synced/INBOX").contains("Well done."));
}

#[test]
fn getmail() {
    let office = office("getmailrc");
    let host = format!(
        "server = localhost\nport = {}\nca_certs = {}\n",
        office.servers.imaps_port(),
        office.ca_file.display()
    );
    let rc = recipe("getmailrc", office.servers).replace("server = outlook.office365.com\n", &host);
    office.world.write(".config/getmail/getmailrc", rc);
    for place in ["new", "cur", "tmp"] {
        fs::create_dir_all(office.world.path("got").join(place)).unwrap();
    }
    // getmail delivers nothing as root: somebody else runs it, at a home of the own.
    let binary = office.world.path("bin/queuemail");
    fs::create_dir(office.world.path("bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_queuemail"), &binary).unwrap();
    let home = office.world.home().to_str().unwrap();
    office.runs("chown", &["-R", "nobody:nogroup", home], "");
    let path = format!("PATH={home}/bin:/usr/bin:/bin");
    let nobody = [
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "env",
        &path,
    ];
    office.runs(
        "setpriv",
        &[&nobody[..], &["getmail", "--quiet"]].concat(),
        "",
    );
    assert!(office.only("got").contains("Well done."));
}

#[test]
fn mutt_sends() {
    for (name, program) in [
        ("muttrc", "mutt"),
        ("muttrc-sendmail", "mutt"),
        ("muttrc", "neomutt"),
    ] {
        let office = office(name);
        let ca = format!(
            "set certificate_file = {}\nset ssl_starttls = yes\n",
            office.ca_file.display()
        );
        let rc =
            recipe(name, office.servers).replace("outlook.office365.com", &office.imaps()) + &ca;
        let rc = office.world.write("muttrc", rc);
        let to = format!("{program}-{name}@example.com");
        let arguments = ["-F", rc.to_str().unwrap(), "-s", "by mutt", "--", &to];
        office.runs(program, &arguments, "Hello.\n");
        office.has_arrived(&to, "by mutt");
    }
}

/// Debian's git, whichever else is on the path, sends a patch by the commands of the recipe.
#[test]
fn git_sends() {
    for name in ["git-send-email", "git-send-email-msmtp"] {
        let office = office(name);
        if name.ends_with("msmtp") {
            let ca = format!("tls_trust_file {}\n", office.ca_file.display());
            let rc = recipe("msmtprc", office.servers)
                .replace("tls on\n", &format!("tls on\n{ca}"))
                .replace(&mailbox("msmtprc"), &mailbox(name));
            office.world.write(".msmtprc", rc);
        }
        let to = format!("{name}@example.com");
        let script = format!(
            "PATH=/usr/bin:$PATH
             git config --global user.email {from}
             git config --global user.name Support
             {recipe}
             git init -q work
             cd work
             echo x >file
             git add file
             git commit -q -m 'by git'
             git send-email --quiet --confirm=never --to={to} -1",
            from = mailbox(name),
            recipe = recipe(name, office.servers),
        );
        office.runs("sh", &["-ec", &script], "");
        office.has_arrived(&to, "[PATCH] by git");
    }
}

fn is_alive(terminal: &PtySession) -> bool {
    matches!(terminal.process().status(), Some(WaitStatus::StillAlive))
}

/// On a terminal, as a person uses it: the list of messages, one of them, and out.
#[test]
fn mutt_reads() {
    for program in ["mutt", "neomutt"] {
        let office = office("muttrc");
        let ca = format!(
            "set certificate_file = {}\nset mail_check = 5\nset move = no\nset quit = yes\n",
            office.ca_file.display()
        );
        let rc = recipe("muttrc", office.servers).replace("outlook.office365.com", &office.imaps())
            + &ca;
        let rc = office.world.write("muttrc", rc);
        let mut command = office.command(program);
        command.arg("-F").arg(rc);
        let read = || -> Result<(), Error> {
            let mut terminal = spawn_command(command, Some(120_000))?;
            terminal.exp_string("recipe")?;
            terminal.send_line("")?;
            terminal.exp_string("Well done.")?;
            // Out of the message, and out of the list. What is typed while the screen is drawn
            // is dropped, so a person types it again.
            let end = Instant::now() + Duration::from_secs(60);
            let mut shown = String::new();
            while is_alive(&terminal) {
                assert!(Instant::now() < end, "{program} goes on: {shown:?}");
                terminal.send("q").and_then(|_| terminal.flush()).ok();
                std::thread::sleep(Duration::from_millis(200));
                shown.extend(std::iter::from_fn(|| terminal.try_read()));
            }
            Ok(())
        };
        read().unwrap_or_else(|e| panic!("{program}: {e}"));
    }
}

#[test]
fn curl_reads_by_imap() {
    let office = office("curl-imap");
    let line = recipe("curl-imap", office.servers)
        .replace("outlook.office365.com", &office.imaps())
        .replace(
            "curl ",
            &format!("curl -sS --cacert {} ", office.ca_file.display()),
        );
    assert!(office.runs("sh", &["-c", &line], "").contains("Well done."));
}

#[test]
fn curl_reads_by_graph() {
    let office = office("curl-graph");
    office.standin.add_app(App {
        client_id: super::CLIENT.into(),
        secret: Some(super::SECRET.into()),
        roles: vec!["Mail.ReadWrite"],
        ..App::default()
    });
    let mailbox = mailbox("curl-graph");
    office.standin.add_mailbox(&mailbox);
    office.standin.grant(super::CLIENT, &mailbox);
    office.standin.deliver(&mailbox, "INBOX", LETTER.as_bytes());
    let line = recipe("curl-graph", office.servers)
        .replace(
            "https://graph.microsoft.com/v1.0",
            &office.standin.graph_url(),
        )
        .replace(
            "curl ",
            &format!("curl -sS --cacert {} ", office.ca_file.display()),
        );
    let answer = office.runs("sh", &["-c", &line], "");
    assert!(answer.contains("\"recipe\""), "{answer}");
}

#[test]
fn python_reads() {
    let office = office("python");
    let port = office.servers.imaps_port();
    let program = recipe("python", office.servers).replace(
        "\"outlook.office365.com\"",
        &format!("\"localhost\", {port}"),
    );
    let printed = office.runs("python3", &["-c", &program], "");
    assert!(printed.contains("Well done."), "{printed}");
}
