//! What monitors read: Nagios itself runs the check, and Prometheus' promtool reads the metrics and the
//! alert rules. The dashboard names nothing that the metrics do not have.

use super::fetch::{Desk, SUPPORT, Via};
use crate::patience::PATIENCE;
use crate::standin::ImapFault;
use crate::world::{Ran, World};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CHECK: [&str; 4] = ["status", "--check", "--format", "nagios"];

/// A desk whose mailbox was fetched, with messages.
fn desk() -> Desk {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.deliver(0..3);
    desk.fetch(&[]).succeeds();
    desk
}

/// Puts this many of the messages into quarantine.
fn quarantine(desk: &Desk) {
    let put = "UPDATE message SET state = 'quarantined', reason = 'a|b' WHERE id = 1";
    desk.state().execute_batch(put).unwrap();
}

/// The file of metrics.
fn metrics(desk: &Desk) -> String {
    let path = desk.path("queuemail.prom");
    desk.world
        .run(["status", "--metrics"])
        .arg(&path)
        .succeeds();
    fs::read_to_string(path).unwrap()
}

#[track_caller]
fn has(metrics: &str, line: &str) {
    assert!(
        metrics.lines().any(|l| l == line),
        "no `{line}` in\n{metrics}"
    );
}

/// promtool with these arguments and this on its standard input must find nothing to say.
#[track_caller]
fn promtool(args: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool of Debian's package prometheus (scripts/need test)");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(out.status.success(), "{args:?}: {said:?}\n{input}");
    assert!(!input.is_empty() || said[1].is_empty(), "{said:?}");
    assert!(input.is_empty() || said.concat().is_empty(), "{said:?}");
}

/// A line of a plug-in: its text, and its figures as the guidelines' grammar has them.
#[track_caller]
fn read(ran: &Ran) -> (String, Vec<(String, String)>) {
    assert!(ran.stderr.is_empty(), "{ran}");
    let line = ran.stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{ran}");
    let (text, figures) = line.split_once(" | ").unwrap_or((line, ""));
    assert!(!text.contains('|') && !figures.contains('|'), "{ran}");
    let number = |text: &str| text.is_empty() || text.parse::<f64>().is_ok();
    let figure = |figure: &str| {
        let (label, rest) = figure.split_once('=').unwrap();
        let parts: Vec<&str> = rest.split(';').collect();
        let value = parts[0].trim_end_matches(['s', 'c']);
        assert!(value == "U" || value.parse::<f64>().is_ok(), "{figure}");
        assert!(
            parts.len() <= 5 && parts[1..].iter().all(|part| number(part)),
            "{figure}"
        );
        (label.to_owned(), parts[0].to_owned())
    };
    (
        text.to_owned(),
        figures.split_whitespace().map(figure).collect(),
    )
}

#[test]
fn a_check_is_one_line_with_its_figures() {
    let desk = desk();
    let check = || desk.world.run(CHECK);
    let (text, figures) = read(&check().succeeds());
    assert_eq!(text, "QUEUEMAIL OK - 1 mailbox is fetched");
    assert!(
        figures.contains(&("delivered".into(), "3c".into())),
        "{figures:?}"
    );
    quarantine(&desk);
    let (text, figures) = read(&check().fails(1));
    assert!(
        text.starts_with("QUEUEMAIL WARNING - 1 message of `"),
        "{text}"
    );
    assert!(
        figures.contains(&("quarantined".into(), "1".into())),
        "{figures:?}"
    );
    // What separates the figures may stand in an error.
    desk.state()
        .execute_batch("UPDATE mailbox SET last_success = 1, failed_at = 2, error = 'a | b' || char(10) || 'c'")
        .unwrap();
    let (text, _) = read(&check().fails(2));
    assert!(text.starts_with("QUEUEMAIL CRITICAL - `"), "{text}");
    assert!(
        text.contains("a / b") && text.ends_with("(and 1 more)"),
        "{text}"
    );
    desk.state().execute_batch("DELETE FROM mailbox").unwrap();
    let (text, figures) = read(&check().fails(2));
    assert!(text.contains("has never been fetched"), "{text}");
    assert!(
        figures.contains(&("oldest_fetch".into(), "U".into())),
        "{figures:?}"
    );
}

#[test]
fn what_cannot_be_told_is_unknown() {
    let world = World::new();
    let (text, figures) = read(&world.run(CHECK).fails(3));
    assert!(text.starts_with("QUEUEMAIL UNKNOWN - "), "{text}");
    assert!(figures.is_empty());
    let desk = desk();
    fs::write(desk.world.state_dir().join("state.sqlite"), "no database").unwrap();
    assert!(read(&desk.world.run(CHECK).fails(3)).0.contains("UNKNOWN"));
    desk.world.run(["status", "--format", "nagios"]).fails(64);
}

/// Nagios 4 as Debian has it runs the check of four homes and reads what it needs.
#[test]
fn nagios_reads_the_state_and_the_figures() {
    let homes = [desk(), desk(), desk(), desk()];
    quarantine(&homes[1]);
    homes[2]
        .state()
        .execute_batch("DELETE FROM mailbox")
        .unwrap();
    homes[3].world.write_config("version: 1\nnonsense: |\n");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    let mut objects = String::from(
        "define timeperiod{\n timeperiod_name always\n alias always\n monday 00:00-24:00\n tuesday 00:00-24:00\n wednesday 00:00-24:00\n thursday 00:00-24:00\n friday 00:00-24:00\n saturday 00:00-24:00\n sunday 00:00-24:00\n}\n\
         define command{\n command_name nothing\n command_line /bin/true\n}\n\
         define contact{\n contact_name nobody\n host_notification_period always\n service_notification_period always\n host_notification_commands nothing\n service_notification_commands nothing\n}\n\
         define host{\n host_name here\n address 127.0.0.1\n max_check_attempts 1\n check_period always\n contacts nobody\n notification_period always\n}\n",
    );
    for (n, home) in homes.iter().enumerate() {
        let (binary, home) = (env!("CARGO_BIN_EXE_queuemail"), home.world.home().display());
        write!(
            objects,
            "define command{{\n command_name check{n}\n command_line /usr/bin/env -i HOME={home} LANG=C.UTF-8 {binary} {}\n}}\n\
             define service{{\n host_name here\n service_description s{n}\n check_command check{n}\n max_check_attempts 1\n check_interval 2\n retry_interval 2\n check_period always\n contacts nobody\n notification_period always\n}}\n",
            CHECK.join(" ")
        )
        .unwrap();
    }
    fs::write(folder.path().join("objects.cfg"), objects).unwrap();
    let user = if rustix::process::geteuid().is_root() {
        "root".to_owned()
    } else {
        std::env::var("USER").unwrap_or_default()
    };
    fs::create_dir(folder.path().join("results")).unwrap();
    let config = format!(
        "cfg_file={dir}/objects.cfg\nlog_file={dir}/log\nstatus_file={dir}/status\nlock_file={dir}/lock\n\
         check_result_path={dir}/results\ntemp_path={dir}\ntemp_file={dir}/temp\nquery_socket={dir}/socket\n\
         command_file={dir}/command\nobject_cache_file={dir}/cache\nprecached_object_file={dir}/precached\n\
         state_retention_file={dir}/retention\nretain_state_information=0\nnagios_user={user}\nnagios_group={user}\n\
         check_external_commands=0\nenable_notifications=0\ncheck_for_updates=0\ninterval_length=1\n\
         status_update_interval=1\nuse_syslog=0\nillegal_macro_output_chars=`~$&|'\"<>\n\
         service_inter_check_delay_method=n\nmax_service_check_spread=1\n"
    );
    let file = folder.path().join("nagios.cfg");
    fs::write(&file, config).unwrap();
    let mut nagios = Command::new("/usr/sbin/nagios4")
        .arg(&file)
        .stdout(fs::File::create(folder.path().join("said")).unwrap())
        .spawn()
        .expect("nagios4 of Debian's package nagios4-core (scripts/need test)");
    let end = Instant::now() + PATIENCE;
    let services = loop {
        let found = services(&folder.path().join("status"));
        let checked = |s: &&String| s.contains("\thas_been_checked=1\n");
        if found.iter().filter(checked).count() == homes.len() || Instant::now() > end {
            break found;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let _ = Command::new("kill").arg(nagios.id().to_string()).status();
    let _ = nagios.wait();
    let said = fs::read_to_string(folder.path().join("said")).unwrap_or_default();
    assert_eq!(services.len(), homes.len(), "{said}");
    for (n, (state, output, figure)) in [
        (0, "QUEUEMAIL OK - 1 mailbox is fetched", "delivered=3c;;;0"),
        (1, "QUEUEMAIL WARNING - 1 message of ", "quarantined=1;0;;0"),
        (2, "QUEUEMAIL CRITICAL - ", "oldest_fetch=U;;3600;0"),
        (3, "QUEUEMAIL UNKNOWN - ", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let service = services
            .iter()
            .find(|s| s.contains(&format!("\tservice_description=s{n}\n")))
            .unwrap();
        for line in [
            format!("\tcurrent_state={state}\n"),
            format!("\tplugin_output={output}"),
        ] {
            assert!(service.contains(&line), "{line}: {service}\n{said}");
        }
        let figures = service.split("\tperformance_data=").nth(1).unwrap();
        assert!(
            figures.lines().next().unwrap().contains(figure),
            "{service}"
        );
    }
}

/// The services in Nagios' status file.
fn services(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let blocks = text.split("servicestatus {\n").skip(1);
    blocks
        .map(|block| block.split("\n\t}").next().unwrap().to_owned() + "\n")
        .collect()
}

#[test]
fn metrics_are_valid_and_counters_grow() {
    let desk = desk();
    let first = metrics(&desk);
    promtool(&["check", "metrics"], &first);
    let of = format!("{{queue=\"support\",address=\"{SUPPORT}\"}}");
    has(&first, &format!("queuemail_fetched_messages_total{of} 3"));
    has(
        &first,
        &format!("queuemail_quarantined_messages_total{of} 0"),
    );
    has(&first, "queuemail_throttled_total{service=\"reading\"} 0");
    has(
        &first,
        &format!(
            "queuemail_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ),
    );
    let took = first
        .lines()
        .find_map(|l| l.strip_prefix(&format!("queuemail_last_run_duration_seconds{of} ")));
    assert!(took.unwrap().parse::<f64>().unwrap() > 0.0, "{first}");
    let config = desk.world.config();
    let refuse = |code: u8| {
        let refuse = format!("deliver: 'command:sh -c \"exit {code}\"'");
        desk.world
            .write_config(config.replace("deliver: maildir:mail", &refuse));
    };
    desk.deliver(3..5);
    refuse(75);
    desk.fetch(&[]).fails(75);
    desk.deliver(5..6);
    refuse(65);
    desk.fetch(&[]).fails(65);
    let throttled = ImapFault::Throttled {
        milliseconds: 1,
        bye: true,
    };
    desk.m365.faults().imap_next(1, throttled);
    desk.fetch(&[SUPPORT]).fails(75);
    let last = metrics(&desk);
    promtool(&["check", "metrics"], &last);
    has(&last, &format!("queuemail_fetched_messages_total{of} 3"));
    has(&last, &format!("queuemail_failed_attempts_total{of} 2"));
    has(
        &last,
        &format!("queuemail_quarantined_messages_total{of} 1"),
    );
    has(&last, "queuemail_throttled_total{service=\"reading\"} 1");
    has(&last, "queuemail_incidents{kind=\"messages\"} 0");
    // A run that finds nothing counts nothing.
    let before = desk
        .state()
        .query_row("SELECT sum(value) FROM counter", [], |r| r.get::<_, i64>(0));
    desk.world.write_config(config);
    desk.fetch(&["--limit", "1"]).ends();
    assert!(before.unwrap() > 0);
}

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("queuemail_"))
        .collect()
}

#[test]
fn the_rules_and_the_dashboard_name_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = root.join("packaging/prometheus/queuemail.rules.yaml");
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    let desk = desk();
    desk.state()
        .execute_batch(
            "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at)
             VALUES ('x', '{}', '<a@b>', 0, 1, 'unknown', 1, 0, '', '[]', 0, 0)",
        )
        .unwrap();
    let there = metrics(&desk);
    let there = names(&there);
    let dashboard = fs::read_to_string(root.join("packaging/grafana/queuemail.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    let documents = fs::read_to_string(root.join("docs/monitoring.md")).unwrap();
    for (what, text) in [
        ("rules", fs::read_to_string(&rules).unwrap()),
        ("dashboard", dashboard),
        ("docs", documents.clone()),
    ] {
        let unknown: Vec<&str> = names(&text).difference(&there).copied().collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
    let untold: Vec<&str> = there.difference(&names(&documents)).copied().collect();
    assert!(untold.is_empty(), "not in docs/monitoring.md: {untold:?}");
}
