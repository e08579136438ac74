//! Microsoft's own client of Graph, with their client of Entra ID, understands the stand-in.

use super::{Office, SECRET, SUPPORT, message};
use crate::official::python;
use crate::world::CLIENT_ID;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::process::Command;

#[test]
fn the_official_client_signs_in_reads_and_sends() {
    let office = Office::new("graph");
    for n in 0..25 {
        office.deliver("INBOX", n);
    }
    let output = Command::new(python())
        .arg("-I")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/graph/official_client.py"
        ))
        .args([office.m365.authority(), office.m365.graph_url()])
        .arg(office.m365.ca_file())
        .args([CLIENT_ID, SECRET, SUPPORT])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{:#?}",
        String::from_utf8_lossy(&output.stderr),
        office.m365.log()
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["total"], 25);
    assert_eq!(found["subjects"].as_array().unwrap().len(), 25);
    assert_eq!(
        found["senders"],
        serde_json::json!(["customer@fabrikam.example"])
    );
    assert!(
        found["folders"]
            .as_array()
            .unwrap()
            .contains(&"Inbox".into())
    );
    let n = found["mime_of"].as_str().unwrap();
    let n = n.strip_prefix("No. ").unwrap().parse().unwrap();
    assert_eq!(
        STANDARD.decode(found["mime"].as_str().unwrap()).unwrap(),
        message(n)
    );
    for yes in ["typed", "read", "moved"] {
        assert_eq!(found[yes], true, "{yes}");
    }
    assert_eq!(found["removed"].as_array().unwrap().len(), 1);
    assert_eq!(
        found["error"],
        serde_json::json!([404, "ErrorItemNotFound", true])
    );
    let submitted = office.m365.submitted();
    assert_eq!(submitted[0].recipients, [SUPPORT]);
    // What it sent and moved is there for queuemail, too.
    office.fetch().succeeds();
    assert_eq!(office.delivered().len(), 25);
}
