//! The walk by Microsoft Graph, and by whichever way is open.

use super::{SUPPORT, app, check, office, office_with, rewrite, says, steps};
use crate::standin::{App, GraphFault, User};
use crate::tokens::{CLIENT, Home};

const CEO: &str = "ceo@contoso.com";
const ROLES: [&str; 2] = ["Mail.ReadWrite", "Mail.Send"];

/// The office of the other tests, where all goes by Graph.
pub fn office_by(via: &str) -> Home {
    graph_office(via, ROLES.to_vec())
}

/// An office in which all goes by Graph, or by both ways.
fn graph_office(via: &str, roles: Vec<&'static str>) -> Home {
    let home = office_with(
        &format!("via: {via}\n    graph: GRAPH"),
        &format!("via: {via}\n    graph: GRAPH"),
        "after_fetch: move:Archive",
    );
    rewrite(&home, "GRAPH", &home.standin.graph_url());
    home.standin.add_app(App { roles, ..app() });
    for address in [SUPPORT, CEO] {
        home.standin.add_user(User {
            address: address.into(),
            ..User::default()
        });
    }
    home.standin.add_mailbox(CEO);
    home
}

#[test]
fn the_walk_by_graph_is_whole() {
    let home = graph_office("graph", ROLES.to_vec());
    let json = check(&home, &[], 0);
    let names: Vec<&str> = steps(&json)
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "configuration",
            "files",
            "token",
            "claims",
            "name",
            "connection",
            "tls",
            "mailbox",
            "folders",
            "rights",
            "delivery",
            "outgoing server",
            "graph token",
            "graph claims",
            "graph name",
            "graph connection",
            "graph tls",
            "send-as",
        ]
    );
    assert!(home.standin.submitted().is_empty());
    // Each road is the connection of the client that fetches or sends, and no other beside it.
    let log = home.standin.log();
    let roads = log.iter().filter(|line| line.contains("HEAD /v1.0"));
    assert_eq!(roads.count(), 2, "{log:#?}");
    let address = home.standin.graph_url().replace("/v1.0", "");
    let port = address.rsplit_once(':').unwrap().1;
    for name in ["connection", "graph connection"] {
        let step = steps(&json).iter().find(|step| step["step"] == name);
        let detail = step.unwrap()["detail"].as_str().unwrap();
        assert!(detail.ends_with(&format!(":{port}")), "{detail}");
    }
    let changing = ["POST /v1.0", "PATCH", "DELETE"];
    for line in home.standin.log() {
        assert!(!changing.iter().any(|c| line.contains(c)), "{line}");
    }
}

/// One test for each: `name, exit code, step, office`.
macro_rules! situations {
    ($($name:ident, $code:literal, $step:literal, $office:expr;)*) => {$(
        #[test]
        fn $name() {
            let home: Home = $office;
            let json = check(&home, &[SUPPORT], $code);
            says(&home, &json, $step, stringify!($name));
        }
    )*};
}

fn faulty(work: impl FnOnce(&Home)) -> Home {
    let home = graph_office("graph", ROLES.to_vec());
    work(&home);
    home
}

situations! {
    graph_role_missing, 77, "mailbox", graph_office("graph", vec!["Mail.Send"]);
    graph_role_reads_only, 77, "claims", {
        let home = graph_office("graph", vec!["Mail.Send"]);
        let eva = "eva@contoso.com";
        home.standin.add_app(App { public: true, delegated: vec!["Mail.Read", "Mail.Read.Shared"], ..App::default() });
        home.standin.add_user(User { address: eva.into(), password: "right".into(), ..User::default() });
        home.standin.grant_user(eva, SUPPORT);
        let text = std::fs::read_to_string(home.path("config.yaml")).unwrap();
        let (servers, _) = text.split_once("outgoing_servers:").unwrap();
        let servers = servers
            .replace("oauth-service", "oauth-user")
            .replace(&format!("    secret: {}\n", super::SECRET), "    scope: https://graph.microsoft.com/Mail.Read.Shared\n");
        home.write("config.yaml", &format!("{servers}queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: Contoso
        account: {eva}
        password: right
        after_fetch: seen
        deliver: stdout
"));
        home
    };
    graph_denied_by_policy, 77, "mailbox", faulty(|home| {
        home.standin.faults().graph.denied.lock().unwrap().insert(SUPPORT.into());
    });
    graph_without_mailbox, 67, "mailbox", faulty(|home| {
        home.standin.faults().graph.not_enabled.lock().unwrap().insert(SUPPORT.into());
    });
    graph_token_of_exchange, 77, "claims", faulty(|home| {
        *home.standin.faults().audience.lock().unwrap() = Some("https://outlook.office365.com".into());
    });
    graph_throttled, 75, "mailbox", faulty(|home| {
        let fault = GraphFault::Error(429, "ApplicationThrottled", "Application is over its limit.", Some(600));
        home.standin.faults().graph.next(20, "/users/", fault);
    });
    graph_send_role_missing, 77, "send-as", graph_office("graph", vec!["Mail.ReadWrite"]);
    neither_way_is_open, 77, "claims", graph_office("auto", vec![]);
}

#[test]
fn a_closed_way_is_no_fault_where_the_other_is_open() {
    let home = graph_office("auto", ROLES.to_vec());
    let json = check(&home, &[], 0);
    let closed: Vec<&str> = steps(&json)
        .iter()
        .filter(|step| ["imap", "smtp"].contains(&step["step"].as_str().unwrap()))
        .map(|step| step["detail"].as_str().unwrap())
        .collect();
    assert_eq!(closed.len(), 2, "{json:#}");
    assert!(
        closed[0].starts_with("not allowed, so graph: the token lacks the role `IMAP.AccessAsApp`")
    );
}

#[test]
fn the_first_way_that_is_open_is_enough() {
    let home = graph_office("auto", vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"]);
    let json = check(&home, &[], 0);
    assert!(steps(&json).iter().any(|step| step["step"] == "sign-in"));
}

/// The boundary holds for each way: what Exchange closes for IMAP may be open to Graph.
#[test]
fn the_boundary_is_walked_by_both_ways() {
    let mut roles = ROLES.to_vec();
    roles.push("IMAP.AccessAsApp");
    let home = graph_office("auto", roles);
    home.standin.grant(CLIENT, SUPPORT);
    let json = check(&home, &["--boundary", CEO], 77);
    let walks = json["checked"].as_array().unwrap();
    assert_eq!(walks.len(), 2);
    assert_eq!(walks[0]["ok"], true, "{json:#}");
    let open = walks[1]["steps"].as_array().unwrap().last().unwrap();
    let sentence = open["verdict"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains(&format!("can open mailbox `{CEO}`")),
        "{sentence}"
    );
    home.standin
        .faults()
        .graph
        .denied
        .lock()
        .unwrap()
        .insert(CEO.into());
    check(&home, &["--boundary", CEO], 0);
}

/// A slip of the pen would be a proof otherwise.
#[test]
fn a_mailbox_that_is_not_there_proves_nothing() {
    let home = graph_office("graph", ROLES.to_vec());
    let json = check(&home, &["--boundary", "coe@contoso.com"], 67);
    let last = steps(&json).last().unwrap();
    assert_eq!(last["step"], "refused");
    let sentence = last["verdict"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("mailbox `coe@contoso.com` does not exist, so this proves nothing"),
        "{sentence}"
    );
    home.standin
        .faults()
        .graph
        .not_enabled
        .lock()
        .unwrap()
        .insert(CEO.into());
    check(&home, &["--boundary", CEO], 67);
}

#[test]
fn a_host_that_is_not_there_ends_both_roads() {
    let home = graph_office("graph", ROLES.to_vec());
    rewrite(
        &home,
        &home.standin.graph_url(),
        "https://graph.invalid/v1.0",
    );
    let json = check(&home, &[], 75);
    says(&home, &json, "name", "graph_host_unknown");
    for step in steps(&json) {
        let name = step["step"].as_str().unwrap();
        assert!(!name.is_empty() && name != "sign-in", "{json:#}");
    }
}

#[test]
fn imap_alone_never_asks_graph() {
    let home = office();
    check(&home, &[], 0);
    assert!(
        !home
            .standin
            .log()
            .iter()
            .any(|line| line.contains("/v1.0/"))
    );
}
