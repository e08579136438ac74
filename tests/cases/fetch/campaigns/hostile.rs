//! A hostile server, or a broken one: bounded memory, bounded time, a clear error, and a queue
//! of another server that is served in the same run. Once the server behaves, all its mail comes.

use super::{Campaign, Desk, SUPPORT, Via, both, campaign, files, maildir, makes_good};
use crate::memory::peak;
use crate::servers::proxy;
use crate::standin::{App, GraphFault, ImapFault, Standin, Trick};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// With time-outs of some seconds, a run is over after this time, on a slow machine too.
const LONGEST: Duration = Duration::from_secs(120);
/// In seconds: an honest server answers within it.
const TIMEOUT: &str = "3";
/// The program is built without optimisation here; in KiB.
const MOST_MEMORY: u64 = 64 << 10;
const BILLING: &str = "billing@fabrikam.example";

/// How a server turns hostile.
type Turn = Box<dyn Fn(&Standin) + Sync>;

fn imap(at: u32, fault: ImapFault) -> Turn {
    Box::new(move |m365| m365.faults().imap_at(at, fault.clone()))
}

fn graph(path: &'static str, fault: GraphFault) -> Turn {
    Box::new(move |m365| m365.faults().graph.next(999, path, fault.clone()))
}

fn turns(via: Via) -> Vec<(String, Turn)> {
    let long = Duration::from_secs(250);
    let drop_by_drop = Duration::from_millis(20);
    let mut turns: Vec<(String, Turn)> = Vec::new();
    match via {
        // The commands of a run: EXAMINE, SEARCH, FETCH.
        Via::Imap => {
            let nested = [b"* 1 FETCH (".as_slice(), &b"(".repeat(60_000), b"\r\n"].concat();
            let lists = b"* 1 FETCH (BODY ((((((((((((((((\r\n".repeat(200);
            let faults = [
                ImapFault::EndlessLine,
                ImapFault::Flood(1_000_000),
                ImapFault::Flood(u64::MAX),
                ImapFault::LiteralLie(1_000_000_000_000_000),
                ImapFault::LiteralLie(u64::MAX),
                ImapFault::Garbage(nested),
                ImapFault::Garbage(lists),
                ImapFault::Garbage(b"\0\0\0\xff\xfe\x80 * OK \0\r\n".to_vec()),
                ImapFault::Garbage(vec![0; 100_000]),
                ImapFault::Garbage(
                    b"* 4294967295 EXISTS\r\n* 99999999999999 FETCH (UID 0)\r\n".to_vec(),
                ),
                ImapFault::Drip(1, drop_by_drop),
                ImapFault::Stall(long),
                ImapFault::Close,
            ];
            for fault in faults {
                for at in 1..=3 {
                    let story: String = format!("{fault:?}").chars().take(60).collect();
                    turns.push((format!("{story} at command {at}"), imap(at, fault.clone())));
                }
            }
            for (at, first, then) in [
                (2, "* SEARCH", " 7 8 9"),
                (2, "", "* SEARCH 1 2 3\r\n"),
                (2, "", "* ESEARCH (TAG \"q1\") UID ALL 1:4294967295\r\n"),
                (2, "* ESEARCH (TAG \"q1\") UID ALL 1", ",2,3"),
                (3, "", "* 1 FETCH (UID 9 BODY[] {3}\r\nabc)\r\n"),
                (3, "", "* 1 FETCH (UID 1)\r\n"),
                (3, "* 1 FETCH (UID 1 ", "X-Y NIL "),
            ] {
                let fault = ImapFault::Endless(first, then);
                turns.push((format!("{first}{then}… without end"), imap(at, fault)));
            }
        }
        Via::Graph => {
            let odd = GraphFault::Odd;
            let deep = [b"{\"value\":".as_slice(), &b"[".repeat(1 << 20)].concat();
            for path in ["/inbox", "/delta", "$value"] {
                let faults = [
                    odd(Trick::Endless("{\"value\":[", "{\"id\":\"AAA\"},")),
                    odd(Trick::Endless("{\"value\":[{\"id\":\"", "AAAA")),
                    odd(Trick::Endless("", " \r\n")),
                    odd(Trick::EndlessHeader),
                    odd(Trick::Lie(1_000_000_000_000_000)),
                    odd(Trick::Lie(u64::MAX)),
                    odd(Trick::Drip(1, drop_by_drop)),
                    odd(Trick::Stall(5, long)),
                    GraphFault::Body(deep.clone()),
                    GraphFault::Body(b"\0\xff\xfe\x80{\"value\":[\0]}".to_vec()),
                    GraphFault::Body(Vec::new()),
                    GraphFault::Close,
                    GraphFault::Html(502),
                ];
                for fault in faults {
                    // Octets of any kind are a message; without an end they are 160 MiB each.
                    let is_message = matches!(fault, GraphFault::Body(_)) && path == "$value";
                    if !is_message {
                        let story: String = format!("{fault:?}").chars().take(60).collect();
                        turns.push((format!("{story} for {path}"), graph(path, fault)));
                    }
                }
            }
            let knob = |name: &str, turn: fn(&Standin)| (name.to_owned(), Box::new(turn) as Turn);
            turns.push(knob("a nextLink that leads to itself", |m365| {
                m365.faults().graph.endless.store(true, SeqCst);
            }));
            turns.push(knob("always one more nextLink", |m365| {
                m365.faults().graph.always_more.store(true, SeqCst);
            }));
        }
    }
    turns
}

/// A desk, and a queue `billing` of another server that behaves.
fn desk_and_neighbour(via: Via) -> (Desk, Standin) {
    let desk = Desk::new(via, "deliver: maildir:mail");
    let good = Standin::start();
    good.add_app(App {
        secret: Some("other".into()),
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    good.add_mailbox(BILLING);
    good.grant(&App::default().client_id, BILLING);
    let server = format!(
        "  - name: Fabrikam
    address: {}
    authentication: oauth-service
    client_id: {}
    secret: other
    via: imap
    imap: {}
    ca_file: {}
queues:
  - name: billing
    priority: 20
    addresses:
      - address: {BILLING}
        server: Fabrikam
        deliver: maildir:billing
",
        good.authority(),
        App::default().client_id,
        good.imap_url(),
        good.ca_file().display(),
    );
    let config = desk.world.config().replacen("queues:\n", &server, 1);
    desk.world.write_config(config);
    (desk, good)
}

#[test]
fn is_bounded_and_harms_no_other_queue() {
    both(|via| {
        let mut campaign = Campaign::new(format!("hostile server, {via:?}"));
        let turns = turns(via);
        campaign.together(&turns, 8, |(story, turn)| endures(via, story, turn));
        campaign.end(if campaign::whole() { 20 } else { 3 });
    });
}

/// A run against a server that turned hostile, and one after it has come to its senses. True if
/// the first ended with an error; some garbage is passed over, as it should be.
fn endures(via: Via, story: &str, turn: &Turn) -> bool {
    let (desk, good) = desk_and_neighbour(via);
    let sent = desk.deliver(0..3);
    good.deliver(BILLING, "INBOX", b"Subject: an invoice\r\n\r\n");
    let story = format!("{story}, {via:?}");
    turn(&desk.m365);
    let began = Instant::now();
    let run = desk.fetch(&["--timeout", TIMEOUT, "--jobs", "1"]);
    let (ran, kib) = peak(&desk.world, run);
    let time = began.elapsed();
    if ran.code != 0 {
        assert!(matches!(ran.code, 69 | 75), "{story}\n{ran}");
        assert!(ran.stderr.contains("error: "), "{story}\n{ran}");
        assert!(ran.stderr.len() < 20_000, "{story}: it repeats too much");
    }
    assert!(time < LONGEST, "{story}: {time:?}\n{ran}");
    assert!(kib < MOST_MEMORY, "{story}: {kib} KiB\n{ran}");
    let other = files(&desk.path(".config/queuemail/billing/new"));
    assert_eq!(other.len(), 1, "{story}: the other queue\n{ran}");
    desk.m365.faults().graph.heal();
    desk.m365.faults().graph.endless.store(false, SeqCst);
    desk.m365.faults().graph.always_more.store(false, SeqCst);
    super::make_due(&desk);
    makes_good(&desk, &sent, maildir, &story);
    ran.code != 0
}

/// A list of folders without end, as it is asked for where one is not found.
#[test]
fn endless_lists_of_folders() {
    both(|via| {
        let mut campaign = Campaign::new(format!("endless list of folders, {via:?}"));
        let mut turns: Vec<(String, Turn)> = Vec::new();
        match via {
            Via::Imap => {
                for (first, then) in [
                    ("", "* LIST () \"/\" x\r\n"),
                    ("", "* LIST () \"/\" {3}\r\nxyz\r\n"),
                    ("* LIST () \"/\" ", "x"),
                    ("* LIST (", "\\x "),
                ] {
                    let turn = imap(2, ImapFault::Endless(first, then));
                    turns.push((format!("{first}{then}"), turn));
                }
            }
            Via::Graph => {
                let entry = r#"{"id":"AAA","displayName":"x"},"#;
                let body = Trick::Endless(r#"{"value":["#, entry);
                let name = Trick::Endless(r#"{"value":[{"displayName":""#, "x");
                for trick in [body, name] {
                    let turn = graph("ailFolders", GraphFault::Odd(trick.clone()));
                    turns.push((format!("{trick:?}"), turn));
                }
                let itself = |m365: &Standin| {
                    let body = format!(
                        r#"{{"value":[{}],"@odata.nextLink":"{}/v1.0/users/{SUPPORT}/mailFolders"}}"#,
                        r#"{"id":"AAA","displayName":"x"}"#,
                        m365.graph_url()
                    );
                    let fault = GraphFault::Body(body.into_bytes());
                    m365.faults().graph.next(99_999, "ailFolders", fault);
                };
                turns.push(("a page that leads to itself".into(), Box::new(itself)));
            }
        }
        for (story, turn) in campaign.some_of(&turns, 2) {
            let (desk, good) = desk_and_neighbour(via);
            let config = desk.world.config();
            let line = "        deliver: maildir:mail\n";
            let config = config.replacen(line, &format!("{line}        folders: [Gone]\n"), 1);
            desk.world.write_config(config);
            good.deliver(BILLING, "INBOX", b"Subject: an invoice\r\n\r\n");
            turn(&desk.m365);
            let began = Instant::now();
            let run = desk.fetch(&["--timeout", TIMEOUT, "--jobs", "1"]);
            let (ran, kib) = peak(&desk.world, run);
            let story = format!("{story}, {via:?}");
            assert!(matches!(ran.code, 69 | 75 | 78), "{story}\n{ran}");
            assert!(began.elapsed() < LONGEST, "{story}: {:?}", began.elapsed());
            assert!(kib < MOST_MEMORY, "{story}: {kib} KiB\n{ran}");
            let other = files(&desk.path(".config/queuemail/billing/new"));
            assert_eq!(other.len(), 1, "{story}: the other queue\n{ran}");
            campaign.fault();
        }
        campaign.end(2);
    });
}

/// Octets that drip beneath TLS, so slowly that no record is ever whole, though each comes within
/// the time-out.
#[test]
fn drips_beneath_tls() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let sent = desk.deliver(0..3);
        // The token is not what drips.
        desk.fetch(&["--dry-run"]).succeeds();
        let port = match via {
            Via::Imap => desk.m365.imap_port(),
            Via::Graph => desk.m365.login_port(),
        };
        let slow = proxy::drip(port, 1, Duration::from_millis(150));
        let good = desk.world.config();
        let name = format!("{via:?}").to_lowercase();
        let bad: String = good
            .lines()
            .map(
                |line| match line.trim_start().starts_with(&format!("{name}: ")) {
                    true => line.replace(&port.to_string(), &slow.to_string()) + "\n",
                    false => format!("{line}\n"),
                },
            )
            .collect();
        assert_ne!(bad, good);
        desk.world.write_config(bad);
        let began = Instant::now();
        let ran = desk.fetch(&["--timeout", "1"]).ends();
        assert_eq!(ran.code, 75, "{via:?}\n{ran}");
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
        desk.world.write_config(good);
        makes_good(&desk, &sent, maildir, &format!("dripped, {via:?}"));
        assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 3);
    });
}
