//! Fetching by Microsoft Graph, which none of the others does: against a plain client that asks
//! for one message after another on one connection, on a line of 40 ms.

use crate::case::{Sent, rounds};
use crate::mail::odd;
use crate::measure;
use crate::office::Office;
use crate::standin::{App, GRAPH, Standin};
use crate::table::print;
use std::fs;
use std::sync::atomic::Ordering::SeqCst;

const APP: &str = "6f1c3a52-0b7e-4d7f-9a53-2f8f0b6f4e11";
const MAILBOX: &str = "graph@contoso.com";
const MILLISECONDS: u64 = 40;
const QUEUEMAIL: &str = "**queuemail**";
const ONE_BY_ONE: &str = "python, one request after another";

const CLIENT: &str = r#"
import http.client, json, os, ssl, sys
url, ca, token, user = sys.argv[1:]
host = url.split("//")[1].split("/")[0]
connection = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=ca))
headers = {"Authorization": "Bearer " + token, "Prefer": 'IdType="ImmutableId", odata.maxpagesize=500'}
def get(path):
    connection.request("GET", path, headers=headers)
    return connection.getresponse().read()
messages = "/v1.0/users/%s/messages/" % user
path = "/v1.0/users/%s/mailFolders/inbox/messages/delta" % user
ids = []
while path:
    page = json.loads(get(path))
    ids += [entry["id"] for entry in page["value"]]
    path = page.get("@odata.nextLink", "").replace("https://" + host, "")
os.makedirs("Mail/new")
for n, id in enumerate(ids):
    with open("Mail/new/%d" % n, "wb") as file:
        file.write(get(messages + id + "/$value"))
"#;

/// Everyone fetches `count` messages of `size` octets anew.
pub fn fetch(office: &Office, title: &str, count: u64, size: usize) {
    let m365 = Standin::start();
    m365.add_app(App {
        client_id: APP.into(),
        secret: Some("secret".into()),
        roles: vec!["Mail.ReadWrite"],
        ..App::default()
    });
    m365.add_mailbox(MAILBOX);
    let messages = || (0..count).map(|seed| odd::sized(seed, size));
    for message in messages() {
        m365.deliver(MAILBOX, "INBOX", &message);
    }
    m365.faults().graph.latency.store(MILLISECONDS, SeqCst);
    let ca = office.path("graph-ca.pem");
    fs::copy(m365.ca_file(), &ca).unwrap();
    let sent = Sent::from(messages());
    let rows = rounds(&[QUEUEMAIL, ONE_BY_ONE], str::to_owned, |program| {
        let home = office.home();
        let ca = ca.display();
        let command = match program {
            QUEUEMAIL => {
                let config = format!(
                    "version: 1
incoming_servers:
  - {{ name: in, address: {}, authentication: oauth-service, client_id: {APP}, secret: secret, via: graph, graph: {}, ca_file: {ca} }}
queues:
  - {{ name: bench, addresses: [{{ address: {MAILBOX}, server: in, deliver: \"maildir:{}\" }}] }}
",
                    m365.authority(),
                    m365.graph_url(),
                    home.join("Mail").display(),
                );
                fs::write(home.join("config.yaml"), config).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs::set_permissions(home.join("config.yaml"), mode).unwrap();
                let mut command = office.queuemail(&home);
                command.push("fetch".into());
                command
            }
            _ => [
                "/usr/bin/python3",
                "-c",
                CLIENT,
                &m365.graph_url(),
                &ca.to_string(),
            ]
            .map(str::to_owned)
            .into_iter()
            .chain([m365.issue_token(APP, GRAPH), MAILBOX.into()])
            .collect(),
        };
        let mut run = measure::run(&command, &home);
        run.stored = Some(sent.compare(&home.join("Mail")));
        run
    });
    print(title, ONE_BY_ONE, &rows);
}
