//! A sandbox: the main job of `queuemail`, driven through the real binary against the
//! stand-in of Microsoft 365, on this machine alone and without any account.
//!
//! `cargo run --example sandbox` provisions two queues, fetches their mail, answers one of them,
//! and compares every delivered octet with the server's. It ends with 0 only if all matched.
//! With `-- --keep` it then stays running, and says how to play with it; what it made on disk goes
//! at its end, also at one by a signal.

#[path = "../tests/standin/mod.rs"]
mod standin;

mod parts;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parts::{binary, maildir};
use standin::{App, Standin, User};

const APP: &str = "6f1c3a52-0b7e-4d7f-9a53-2f8f0b6f4e11";
const SECRET: &str = "Gq8~demo.secret+with&odd=characters";
const SUPPORT: &str = "support@contoso.example";
const SALES: &str = "sales@contoso.example";

/// What arrived before the first run: (mailbox, message).
const ARRIVED: [(&str, &str); 3] = [
    (
        SUPPORT,
        "From: Customer <customer@fabrikam.example>\r\nTo: support@contoso.example\r\n\
         Subject: The printer is on fire\r\nMessage-ID: <1@fabrikam.example>\r\n\
         Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n\r\nPlease advise.\r\n.\r\n..and hurry.\r\n",
    ),
    (
        SUPPORT,
        "From: =?utf-8?q?Kundin?= <kundin@fabrikam.example>\r\nTo: support@contoso.example\r\n\
         Subject: =?utf-8?q?R=C3=BCckfrage?=\r\nMessage-ID: <2@fabrikam.example>\r\n\
         Date: Mon, 23 Nov 2026 08:05:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Grüße, 8 Bit und From am Zeilenanfang:\r\nFrom here on\r\n",
    ),
    (
        SALES,
        "From: buyer@fabrikam.example\r\nTo: sales@contoso.example\r\nSubject: Order\r\n\
         Message-ID: <3@fabrikam.example>\r\nDate: Mon, 23 Nov 2026 09:00:00 +0000\r\n\r\n\
         Ten, please.\r\n",
    ),
];

/// The answer that is sent: with the line ends of a Unix pipe, as a script would send it.
const ANSWER: &str = "From: support@contoso.example\nTo: sales@contoso.example\n\
                      Subject: Who sold the printer?\nMessage-ID: <answer@contoso.example>\n\
                      Date: Mon, 23 Nov 2026 10:00:00 +0000\n\nAsking for a friend.\n.\n";

const HELP: &str = "\
Run queuemail against a stand-in of Microsoft 365 on this machine

Usage: cargo run --example sandbox [-- --keep]

Without an option, the sandbox adds two queues, fetches their mail, answers a
message and compares every delivered byte with the server's. It exits with 0
if all of them match, and removes its temporary folder.

Options:
      --keep   Keep the servers running afterwards, and show how to use them;
               Enter or Ctrl-C ends them and removes the temporary folder
  -h, --help   Print this help
";

fn main() -> ExitCode {
    let mut keep = false;
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "--keep" => keep = true,
            "--help" | "-h" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprintln!("error: unknown argument `{other}`\nhint: see --help");
                return ExitCode::from(64);
            }
        }
    }
    let mut sandbox = Sandbox::open();
    sandbox.main_job();
    let failures = sandbox.failures;
    println!();
    match failures {
        0 => println!("All is well: every command did its duty, and every octet matched."),
        n => println!("{n} check(s) FAILED, see above."),
    }
    if keep {
        sandbox.stay();
    } else if failures > 0 {
        println!("\nWhat the servers saw last:");
        let log = sandbox.m365.log();
        for line in log.iter().rev().take(30).rev() {
            println!("  {line}");
        }
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Sandbox {
    m365: Standin,
    folder: tempfile::TempDir,
    binary: PathBuf,
    failures: u32,
}

/// What a command did.
struct Done {
    out: String,
    err: String,
}

impl Sandbox {
    /// Starts the servers, furnishes the tenant, finds the binary.
    fn open() -> Sandbox {
        let m365 = Standin::start();
        m365.add_app(App {
            client_id: APP.into(),
            secret: Some(SECRET.into()),
            roles: vec![
                "IMAP.AccessAsApp",
                "SMTP.SendAsApp",
                "Mail.ReadWrite",
                "Mail.Send",
            ],
            ..App::default()
        });
        for address in [SUPPORT, SALES] {
            m365.add_user(User {
                address: address.into(),
                ..User::default()
            });
            m365.add_mailbox(address);
            m365.grant(APP, address);
        }
        for (mailbox, message) in ARRIVED {
            m365.deliver(mailbox, "INBOX", message.as_bytes());
        }
        println!("A stand-in of Microsoft 365 runs on this machine:");
        println!("  sign-in {}", m365.authority());
        println!("  IMAP    {}", m365.imap_url());
        println!("  SMTP    {}", m365.smtp_url());
        println!("  Graph   {}", m365.graph_url());
        Sandbox {
            m365,
            folder: tempfile::Builder::new()
                .prefix("queuemail-sandbox-")
                .tempdir()
                .expect("a temporary folder can be made"),
            binary: binary(),
            failures: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Provision, fetch, answer, fetch again.
    fn main_job(&mut self) {
        let authority = self.m365.authority();
        let imap = self.m365.imap_url();
        let smtp = self.m365.smtp_url();
        let tenant = self.m365.tenant().to_string();
        let ca = quoted(&self.m365.ca_file().display().to_string());
        let deliver = format!("maildir:{}/mail/{{queue}}", self.folder.path().display());
        let deliver = quoted(&deliver);

        self.title("An incoming server: the app registration, its secret by stdin");
        let incoming = format!(
            "server add incoming Contoso --address {authority} --auth oauth-service \
             --client-id {APP} --secret-stdin --via imap --imap {imap} --ca-file {ca}"
        );
        self.run(&incoming, SECRET);
        let again = self.run(&incoming, SECRET);
        let is_unchanged = again.out.contains("unchanged") || again.err.contains("unchanged");
        self.check("the same definition again is no change", is_unchanged);

        self.title("An outgoing server, which signs in as the same app");
        let outgoing = format!(
            "server add outgoing 'Contoso out' --tenant {tenant} --auth oauth-service \
             --app Contoso --via smtp --smtp {smtp} --ca-file {ca}"
        );
        self.run(&outgoing, "");

        self.title("Two queues, the urgent one in Finnish");
        let support = format!(
            "queue add support --address {SUPPORT} --server Contoso --priority 5 \
             --extension-language fi --sender --outgoing 'Contoso out' --deliver {deliver} \
             --queue-priority 10 --queue-language de"
        );
        self.run(&support, "");
        let sales = format!(
            "queue add sales --address {SALES} --server Contoso --priority 20 --deliver {deliver}"
        );
        self.run(&sales, "");
        let list = self.run("queue list", "");
        let has_both = list.out.contains("support") && list.out.contains("sales");
        self.check("both queues are listed", has_both);

        self.title("A token, and what it says");
        let claims = self.run("token get support --format claims", "");
        let has_role = claims.out.contains("IMAP.AccessAsApp");
        self.check("the token carries the role IMAP.AccessAsApp", has_role);

        self.title("Fetch");
        self.run("fetch -v", "");
        self.compare("support", SUPPORT);
        self.compare("sales", SALES);
        let idle = self.run("fetch", "");
        let is_silent = idle.out.is_empty() && idle.err.is_empty();
        self.check("a second fetch finds nothing and says nothing", is_silent);
        self.compare("support", SUPPORT);

        self.title("Answer");
        self.run(&format!("send -i -f {SUPPORT} {SALES}"), ANSWER);
        let expected = ANSWER.replace('\n', "\r\n");
        let submitted = self.m365.submitted();
        let is_same = submitted.len() == 1
            && submitted[0].bytes == expected.as_bytes()
            && submitted[0].recipients == [SALES];
        self.check("the server got the answer octet for octet", is_same);

        self.title("It has arrived");
        self.run("fetch -v", "");
        self.compare("sales", SALES);
        self.compare("support", SUPPORT);
        self.run("status", "");

        self.title("The same by Microsoft Graph: nothing comes twice");
        let graph = self.m365.graph_url();
        self.run(
            &format!("server set Contoso --via graph --graph {graph}"),
            "",
        );
        self.run(
            &format!("server set 'Contoso out' --via graph --graph {graph}"),
            "",
        );
        let again = ANSWER.replace("<answer@", "<again@");
        self.run(&format!("send -i -f {SUPPORT} {SALES}"), &again);
        let expected = again.replace('\n', "\r\n");
        let submitted = self.m365.submitted();
        let is_same = submitted.len() == 2 && submitted[1].bytes == expected.as_bytes();
        self.check("the server got the answer octet for octet", is_same);
        self.run("fetch -v", "");
        self.compare("sales", SALES);
        self.compare("support", SUPPORT);

        self.title("What lies in the folders now");
        for queue in ["support", "sales"] {
            for (path, bytes) in maildir(&self.path("mail").join(queue)) {
                let path = path.strip_prefix(self.folder.path()).unwrap_or(&path);
                println!("  {:>5} octets  {}", bytes.len(), path.display());
            }
        }
        let requests = self.m365.token_requests().len();
        println!("  and {requests} token request(s) were made in all");
    }

    fn title(&self, text: &str) {
        println!("\n== {text}");
    }

    fn check(&mut self, what: &str, holds: bool) {
        println!("  {} {what}", if holds { "ok:" } else { "FAILED:" });
        self.failures += u32::from(!holds);
    }

    /// The delivered files and the server's messages must be the same octets, each once.
    fn compare(&mut self, queue: &str, mailbox: &str) {
        let files = maildir(&self.path("mail").join(queue));
        let mut delivered: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
        let stored = self.m365.messages(mailbox, "INBOX");
        let mut stored: Vec<Vec<u8>> = stored.into_iter().map(|message| message.bytes).collect();
        delivered.sort();
        stored.sort();
        let count = stored.len();
        self.check(
            &format!("queue {queue} holds the server's {count} message(s), octet for octet"),
            delivered == stored,
        );
    }

    /// Runs the real binary with a line as one would type it, shows both the line and the output,
    /// and checks the exit code.
    fn run(&mut self, line: &str, input: &str) -> Done {
        println!("$ queuemail {line}");
        let mut child = Command::new(&self.binary)
            .args(words(line))
            .env("QUEUEMAIL_CONFIG", self.path("config.yaml"))
            .env("QUEUEMAIL_STATE_DIR", self.path("state"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        // A command that fails early does not read its input; that shows in the exit code.
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        let output = child.wait_with_output().expect("the binary ends");
        let done = Done {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for line in done.out.lines().chain(done.err.lines()) {
            println!("  {line}");
        }
        if !output.status.success() {
            let text = format!("exit code 0, but it was: {}", output.status);
            self.check(&text, false);
        }
        done
    }

    /// Keeps the servers until Enter, where somebody is there to press it, or a signal to end.
    fn stay(&self) {
        println!("\nThe sandbox stays open. In another shell:\n");
        let show = |name: &str, value: &Path| {
            println!("  export {name}={}", quoted(&value.display().to_string()))
        };
        show("QUEUEMAIL_CONFIG", &self.path("config.yaml"));
        show("QUEUEMAIL_STATE_DIR", &self.path("state"));
        println!(
            "  alias queuemail={}\n",
            quoted(&self.binary.display().to_string())
        );
        println!("and then, for example:\n");
        println!("  queuemail queue list");
        println!(
            "  printf 'From: {SUPPORT}\\nTo: {SALES}\\nSubject: hello\\n\\nHello.\\n' | queuemail send -t"
        );
        println!("  queuemail fetch -v sales");
        println!("  queuemail token get support --format claims\n");
        println!("Mail is delivered to {}.", self.path("mail").display());
        println!(
            "All temporary files are in {}.",
            self.folder.path().display()
        );
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&ended))
                .expect("a signal can be awaited");
        }
        if std::io::stdin().is_terminal() {
            println!("Press Enter or Ctrl-C to end and to remove that folder.");
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                std::io::stdin().read_line(&mut String::new()).ok();
                ended.store(true, Ordering::SeqCst);
            });
        } else {
            println!("Ctrl-C (or a signal to end) removes that folder.");
        }
        while !ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// An argument as one would type it; none of these has a quote in it.
fn quoted(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    if !arg.is_empty() && arg.chars().all(is_plain) {
        return arg.to_string();
    }
    format!("'{arg}'")
}

/// The words of a line, single quotes taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut in_quotes = false;
    for c in line.chars() {
        match c {
            '\'' => in_quotes = !in_quotes,
            ' ' if !in_quotes => words.push(String::new()),
            _ => words.last_mut().expect("there is a first word").push(c),
        }
    }
    words
}
