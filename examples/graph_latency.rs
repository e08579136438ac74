//! How long `fetch` takes by Graph on a long line, against one request after another.
//!
//! `cargo run --example graph_latency [MESSAGES [OCTETS [MILLISECONDS]]]` starts the stand-in,
//! puts messages into a mailbox (1,000 of 20,000 octets), makes each of its answers late (40 ms),
//! and times the real binary and a plain client of Python's standard library that asks for one
//! message after the other on one connection. Beside the times stands the peak memory.

#[path = "../tests/standin/mod.rs"]
mod standin;

use standin::{App, GRAPH, Standin};
use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

const APP: &str = "6f1c3a52-0b7e-4d7f-9a53-2f8f0b6f4e11";
const SUPPORT: &str = "support@contoso.example";

const ONE_BY_ONE: &str = r#"
import http.client, json, ssl, sys
url, ca, token, user = sys.argv[1:]
host = url.split("//")[1].split("/")[0]
connection = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=ca))
headers = {"Authorization": "Bearer " + token, "Prefer": 'IdType="ImmutableId", odata.maxpagesize=500'}
def get(path):
    connection.request("GET", path, headers=headers)
    return connection.getresponse().read()
path = "/v1.0/users/%s/mailFolders/inbox/messages/delta" % user
ids = []
while path:
    page = json.loads(get(path))
    ids += [entry["id"] for entry in page["value"]]
    path = page.get("@odata.nextLink", "").replace("https://" + host, "")
octets = sum(len(get("/v1.0/users/%s/messages/%s/$value" % (user, id))) for id in ids)
print(len(ids), octets)
"#;

/// Runs a command and prints on its standard error the peak memory of it, in KiB.
const MEASURED: &str = "import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)";

fn main() {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let mut number = |usual| numbers.next().and_then(Result::ok).unwrap_or(usual);
    let (messages, octets, latency) = (number(1000), number(20_000), number(40));
    let m365 = Standin::start();
    m365.add_app(App {
        client_id: APP.into(),
        secret: Some("secret".into()),
        roles: vec!["Mail.ReadWrite"],
        ..App::default()
    });
    m365.add_mailbox(SUPPORT);
    for n in 0..messages {
        let mut text = format!(
            "From: a@fabrikam.example\r\nTo: {SUPPORT}\r\nSubject: {n}\r\nMessage-ID: <{n}@fabrikam.example>\r\n\r\n"
        );
        while text.len() < octets {
            text.push_str("A line of a message that is as long as most lines are in mail.\r\n");
        }
        m365.deliver(SUPPORT, "INBOX", text.as_bytes());
    }
    m365.faults().graph.latency.store(latency as u64, SeqCst);

    let start = Instant::now();
    let output = Command::new("python3")
        .args(["-c", ONE_BY_ONE])
        .arg(m365.graph_url())
        .arg(m365.ca_file())
        .arg(m365.issue_token(APP, GRAPH))
        .arg(SUPPORT)
        .output()
        .expect("python3 runs");
    let one_by_one = start.elapsed().as_secs_f64();
    assert!(output.status.success(), "{output:?}");
    println!("one after another: {one_by_one:.2} s");

    let home = tempfile::tempdir().expect("a temporary folder");
    let config = home.path().join("config.yaml");
    let text = format!(
        "version: 1
incoming_servers:
  - {{ name: in, address: {}, authentication: oauth-service, client_id: {APP}, secret: secret, via: graph, graph: {}, ca_file: {} }}
queues:
  - name: support
    addresses:
      - {{ address: {SUPPORT}, server: in, deliver: \"maildir:{}\" }}
",
        m365.authority(),
        m365.graph_url(),
        m365.ca_file().display(),
        home.path().join("mail").display(),
    );
    std::fs::write(&config, text).expect("a configuration file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&config, mode).expect("a private file");
    let own = std::env::current_exe().expect("our own path");
    let binary = own.ancestors().nth(2).expect("target").join("queuemail");
    let start = Instant::now();
    let output = Command::new("python3")
        .args(["-c", MEASURED])
        .arg(binary)
        .arg("fetch")
        .env("QUEUEMAIL_CONFIG", &config)
        .env("QUEUEMAIL_STATE_DIR", home.path().join("state"))
        .output()
        .expect("the binary runs");
    let fetch = start.elapsed().as_secs_f64();
    assert!(output.status.success(), "{output:?}");
    let delivered = std::fs::read_dir(home.path().join("mail/new"))
        .expect("a maildir")
        .count();
    assert_eq!(delivered, messages);
    println!(
        "queuemail fetch:   {fetch:.2} s, {:.1} times faster, peak memory {} KiB",
        one_by_one / fetch,
        String::from_utf8_lossy(&output.stdout).trim()
    );
}
