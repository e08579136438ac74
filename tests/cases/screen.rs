//! What a person sees on a terminal of 80 and of 60 columns: all that the program writes to a real
//! one is played on an emulated one. Of the guided dialogues what is then there is a file of
//! `tests/messages/dialogue/`.

use crate::standin::{App, Standin, UidFault};
use crate::world::{CLIENT_ID, World};
use rexpect::session::{PtySession, spawn_command};
use std::fs;
use std::path::Path;
use std::time::Duration;

const ROWS: u16 = 24;
const UP: &str = "\u{1b}[A";
const DOWN: &str = "\u{1b}[B";
const LEFT: &str = "\u{1b}[D";
const CTRL_LEFT: &str = "\u{1b}[1;5D";
const CTRL_A: &str = "\u{1}";
const CTRL_U: &str = "\u{15}";
const CTRL_W: &str = "\u{17}";

/// Starts it on a terminal so wide.
fn start(world: &World, columns: u16, args: &[&str]) -> PtySession {
    let script = format!("stty cols {columns} rows {ROWS}; exec \"$@\"");
    let run = world
        .run(args)
        .under(["sh", "-c", &script, "sh"])
        .env("TERM", "xterm");
    spawn_command(run.command(), Some(120_000)).expect("a terminal")
}

/// Answers a question with these keys and Enter; what was written until then.
fn answered(session: &mut PtySession, question: &str, keys: &str) -> String {
    let before = session.exp_string(question);
    let before = before.unwrap_or_else(|err| panic!("no `{question}`: {err}"));
    session.send(keys).expect("keys");
    session.send_line("").expect("Enter");
    before + question
}

/// What was written; rexpect has made a character of each octet.
fn text(written: &str) -> String {
    let octets = written.chars().map(|c| c as u8).collect();
    String::from_utf8(octets).expect("UTF-8")
}

/// Answers questions, each with these keys and Enter. What was written until the end, and the
/// choices of each question that is given with words up to the last of them, as
/// `question … word … word`.
fn guided(
    world: &World,
    columns: u16,
    args: &[&str],
    answers: &[(&str, &str)],
) -> (String, Vec<String>) {
    let mut session = start(world, columns, args);
    let mut written = String::new();
    let mut choices = Vec::new();
    for (question, keys) in answers {
        let parts: Vec<&str> = question.split(" … ").collect();
        let &[question, _, ..] = parts.as_slice() else {
            written += &answered(&mut session, question, keys);
            continue;
        };
        for part in parts.into_iter().chain(["\n"]) {
            let before = session.exp_string(part);
            written += &before.unwrap_or_else(|err| panic!("no `{part}`: {err}"));
            written += part;
        }
        let rows = rows(&text(&written), columns);
        let menu = rows.iter().skip_while(|row| !row.starts_with(question));
        choices.push(menu.cloned().collect::<Vec<_>>().join("\n"));
        session.send(keys).expect("keys");
        session.send_line("").expect("Enter");
    }
    written += &session.exp_eof().expect("an end");
    (text(&written), choices)
}

/// The same; what was written until the end.
fn drive(world: &World, columns: u16, args: &[&str], answers: &[(&str, &str)]) -> String {
    guided(world, columns, args, answers).0
}

/// The rows that a terminal has after all that, with those that have left it above.
fn rows(written: &str, columns: u16) -> Vec<String> {
    let mut terminal = vt100::Parser::new(ROWS, columns, 1000);
    terminal.process(written.as_bytes());
    let screen = terminal.screen_mut();
    screen.set_scrollback(usize::MAX);
    let mut rows = Vec::new();
    for above in (1..=screen.scrollback()).rev() {
        screen.set_scrollback(above);
        rows.extend(screen.rows(0, columns).take(1));
    }
    screen.set_scrollback(0);
    rows.extend(screen.rows(0, columns));
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows.iter().map(|row| row.trim_end().to_owned()).collect()
}

/// Demands that the rows are those of the file.
#[track_caller]
fn is_as_kept(name: &str, columns: u16, (written, choices): &(String, Vec<String>)) {
    let mut shown = rows(written, columns).join("\n") + "\n";
    for choice in choices {
        shown += &format!("\n---- while it asked\n{choice}\n");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/messages/dialogue/{name}_{columns}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &shown).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, kept, "UPDATE=1 rewrites {}", path.display());
}

#[test]
fn an_incoming_server_leaves_no_stale_line() {
    for columns in [80, 60] {
        let world = World::new();
        let id = format!("{}{LEFT}{LEFT}x\u{7f}", CLIENT_ID);
        let dialogue = guided(
            &world,
            columns,
            &["server", "add"],
            &[
                (
                    "Kind of server … outgoing",
                    &format!("{DOWN}{DOWN}{DOWN}{UP}"),
                ),
                (
                    "Name of the server",
                    &format!(
                        "wrong{CTRL_U}Contoso for the service desk of all subsidiaries, in wrong{CTRL_W}Europe{CTRL_A}Our {LEFT}{LEFT}{CTRL_LEFT}\u{1b}[F and Asia"
                    ),
                ),
                ("Tenant", "contoso"),
                (
                    "is not a tenant",
                    &format!("contoso.com{CTRL_W}contoso.com"),
                ),
                ("Authentication type … oauth-user … permissions", DOWN),
                ("Application (client) ID", &id),
                ("Read mailboxes through … auto", &format!("{DOWN}{DOWN}")),
            ],
        );
        is_as_kept("server_add_person", columns, &dialogue);
        assert!(
            world.config().contains(
                "name: 'Our Contoso for the service desk of all subsidiaries, in Europe and Asia'\n"
            ),
            "{}",
            world.config()
        );
    }
}

#[test]
fn an_app_leaves_no_stale_line() {
    for columns in [80, 60] {
        let dialogue = guided(
            &World::new(),
            columns,
            &["server", "add", "incoming", "Contoso"],
            &[
                ("Tenant", "contoso.com"),
                ("Authentication type … oauth-user … permissions", ""),
                ("Application (client) ID", "myapp"),
                ("is not a GUID", CLIENT_ID),
                (
                    "How the app authenticates … managed identity",
                    &DOWN.repeat(6),
                ),
                ("Day on which", "31.12.2030"),
                ("write it as", "2030-12-31"),
                ("Read mailboxes through … auto", UP),
                ("Client secret", &format!("wrong{CTRL_U}{LEFT}hunter2")),
            ],
        );
        assert!(!dialogue.0.contains("unter2"), "{}", dialogue.0);
        is_as_kept("server_add_app", columns, &dialogue);
    }
}

#[test]
fn an_outgoing_server_leaves_no_stale_line() {
    for columns in [80, 60] {
        let world = World::new();
        world.add_contoso();
        let dialogue = guided(
            &world,
            columns,
            &["server", "add", "outgoing"],
            &[
                ("Name of the server", "Contoso"),
                ("already", "Contoso out"),
                ("Tenant", ""),
                ("Authentication type … oauth-user … permissions", ""),
                ("App registration to sign in with", ""),
                ("Mailbox user", "support@contoso.com"),
                ("Send through … auto", DOWN),
            ],
        );
        is_as_kept("server_add_outgoing", columns, &dialogue);
    }
}

#[test]
fn a_queue_leaves_no_stale_line() {
    for columns in [80, 60] {
        let world = World::new();
        world.add_people();
        let dialogue = guided(
            &world,
            columns,
            &["queue", "add"],
            &[
                ("Name of the queue", "support"),
                ("Full e-mail address", "support"),
                ("is not an e-mail address", "support@contoso.com"),
                ("Server for reading it … People", ""),
                ("Priority", "high"),
                ("is not a priority", "10"),
                ("Language", "de"),
                ("Account that signs in", ""),
                (
                    "How `support@contoso.com` signs in … file  … use",
                    &format!("{DOWN}{UP}"),
                ),
                ("Deliver to", ""),
                ("After a message is delivered … delete", &DOWN.repeat(2)),
                ("Folder", "Done"),
                (
                    "Messages that are already in the mailbox … date  … day",
                    DOWN,
                ),
                ("Check now that it works?", "n"),
            ],
        );
        is_as_kept("queue_add", columns, &dialogue);
    }
}

#[test]
fn a_choice_of_names_that_are_wide_or_long_or_many_clears_nothing_else() {
    for columns in [80, 60] {
        let world = World::new();
        let names: Vec<String> = (10..40)
            .map(|n| format!("サーバー{n} {}", "日本語".repeat(n % 7)))
            .collect();
        let mut config = "version: 1\nincoming_servers:\n".to_owned();
        for name in &names {
            config += &format!(
                "  - name: {name}\n    address: https://login.microsoftonline.com/contoso.com\n    authentication: oauth-user\n    client_id: {CLIENT_ID}\n"
            );
        }
        world.write_config(config);
        let args = ["queue", "add", "support", "--address", "a@contoso.com"];
        let keys = format!("{}{}{UP}{UP}", DOWN.repeat(25), UP.repeat(3));
        let mut session = start(&world, columns, &args);
        let mut written = answered(&mut session, "Server for reading it", &keys);
        written += &session.exp_string("Priority").expect("the next question");
        written += "Priority";
        session.send_control('c').expect("Ctrl-C");
        written += &session.exp_eof().expect("an end");
        let shown = rows(&text(&written), columns);
        let at = shown.iter().position(|row| row.starts_with("Server for"));
        let at = at.unwrap_or_else(|| panic!("{shown:#?}"));
        assert!(shown[at].contains(&names[20]), "{shown:#?}");
        // Above is the introduction, and below the next question.
        assert!(shown[0].starts_with("Adding a queue"), "{shown:#?}");
        assert!(shown[at - 1].contains("Ctrl-C cancels"), "{shown:#?}");
        assert!(shown[at + 1].starts_with("Priority"), "{shown:#?}");
    }
}

/// A mailbox with three messages, and an outgoing server.
fn furnished(standin: &Standin) -> World {
    standin.add_app(App {
        client_id: CLIENT_ID.into(),
        secret: Some("s3cret-value".into()),
        roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
        ..App::default()
    });
    let address = "support@contoso.com";
    standin.add_mailbox(address);
    standin.grant(CLIENT_ID, address);
    for n in 0..3 {
        let message = format!("Subject: {n}\r\n\r\n");
        standin.deliver(address, "INBOX", message.as_bytes());
    }
    let world = World::new();
    world.write("contoso.secret", "s3cret-value\n");
    world
        .run([
            "server",
            "add",
            "incoming",
            "Here",
            "--auth",
            "oauth-service",
        ])
        .args(["--address", &standin.authority(), "--client-id", CLIENT_ID])
        .args(["--imap", &standin.imap_url(), "--via", "imap"])
        .args(["--secret-file", "contoso.secret", "--ca-file"])
        .arg(standin.ca_file())
        .succeeds();
    world
        .run([
            "server",
            "add",
            "outgoing",
            "Out",
            "--auth",
            "oauth-service",
        ])
        .args(["--tenant", standin.tenant(), "--app", "Here"])
        .args(["--smtp", &standin.smtp_url(), "--via", "smtp", "--ca-file"])
        .arg(standin.ca_file())
        .succeeds();
    world
        .run(["queue", "add", "support", "--address", address])
        .args(["--server", "Here", "--sender", "--outgoing", "Out"])
        .args(["--deliver", "maildir:~/Mail"])
        .succeeds();
    world
}

#[test]
fn of_a_fetch_one_line_stays_and_without_a_terminal_none() {
    let standin = Standin::start();
    let world = furnished(&standin);
    let written = drive(&world, 80, &["fetch"], &[]);
    // There was a bar, and it is gone.
    assert!(written.contains("of 3"), "{written:?}");
    let shown = rows(&written, 80).join("\n");
    let line = shown.trim();
    assert!(
        line.starts_with("fetched 3 messages, 42 bytes, in ") && line.ends_with(" s"),
        "{shown:?}"
    );
    let audit = drive(&world, 80, &["fetch", "--audit"], &[]);
    let shown = rows(&audit, 80).join("");
    assert!(
        shown.starts_with("support (support@contoso.com), INBOX: 3 messages on the server"),
        "{shown:?}"
    );
    standin.deliver("support@contoso.com", "INBOX", b"Subject: 3\r\n\r\n");
    world.run(["fetch"]).succeeds().says_nothing();
}

/// Two mailboxes from a slow server, with one message that cannot be read: each state of the screen.
#[test]
fn each_mailbox_has_a_bar_and_a_warning_goes_above_them() {
    let standin = Standin::start();
    let world = furnished(&standin);
    let sales = "sales@contoso.com";
    standin.add_mailbox(sales);
    standin.grant(CLIENT_ID, sales);
    world
        .run(["queue", "add", "sales", "--address", sales])
        .args(["--server", "Here", "--deliver", "maildir:~/Mail"])
        .succeeds();
    for n in 0..4 {
        let message = format!("Subject: {n}\r\n\r\n{}", "text\r\n".repeat(500));
        standin.deliver("support@contoso.com", "INBOX", message.as_bytes());
        standin.deliver(sales, "INBOX", message.as_bytes());
    }
    let faults = standin.faults();
    faults.imap_uid(sales, 2, UidFault::NoData);
    *faults.imap_drip.lock().unwrap() = Some((300, Duration::from_millis(10)));
    for columns in [80, 60] {
        std::fs::remove_dir_all(world.state_dir()).ok();
        let written = drive(&world, columns, &["fetch"], &[]);
        let mut terminal = vt100::Parser::new(ROWS, columns, 0);
        let mut seen = false;
        for part in written.split_inclusive('\r') {
            terminal.process(part.as_bytes());
            let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
            let bar = |start: &str, end: &str| {
                let is_it = |row: &&String| row.starts_with(start) && row.ends_with(end);
                rows.iter().filter(is_it).count()
            };
            let all = bar("", " left");
            assert!(all <= 1 && bar(sales, " of 4") <= 1, "{rows:#?}");
            seen |= bar("support@contoso.com ", " of 7") == 1
                && bar("sales@contoso.com ", " of 4") == 1
                && all == 1;
        }
        assert!(seen, "no bars for both in {written:?}");
        let shown = rows(&written, columns);
        let starts = |start: &str| shown.iter().filter(|row| row.starts_with(start)).count();
        assert_eq!(
            starts("warning: message 2 of `sales@contoso.com`"),
            1,
            "{shown:#?}"
        );
        assert_eq!(starts("fetched 10 messages, 21 kB, in "), 1, "{shown:#?}");
        let is_bar = |row: &&String| row.ends_with(" of 4") || row.ends_with(" left");
        assert_eq!(shown.iter().find(is_bar), None, "{shown:#?}");
    }
}

#[test]
fn of_many_that_are_sent_one_line_stays() {
    let standin = Standin::start();
    let world = furnished(&standin);
    for n in 0..2 {
        let message =
            format!("From: support@contoso.com\nTo: a@fabrikam.com\nSubject: {n}\n\nText.\n");
        world.write(format!("{n}.eml"), &message);
    }
    let args = ["send", "-t", "--file", "0.eml", "--file", "1.eml"];
    let written = drive(&world, 80, &args, &[]);
    let shown = rows(&written, 80).join("\n");
    let line = shown.trim();
    assert!(
        line.starts_with("sent 2 messages, ") && line.ends_with(" s"),
        "{shown:?}"
    );
    assert_eq!(standin.submitted().len(), 2);
}

#[test]
fn states_are_words_in_colour_and_errors_fit_the_terminal() {
    let standin = Standin::start();
    let world = furnished(&standin);
    let shown = rows(&drive(&world, 60, &["status"], &[]), 60).join("\n");
    assert!(shown.contains("…  new  "), "{shown}");
    world.run(["fetch"]).succeeds();
    let written = drive(&world, 80, &["status"], &[]);
    assert!(written.contains("\u{1b}[32mok\u{1b}[0m"), "{written:?}");
    let plain = drive(&world, 80, &["status", "--color", "never"], &[]);
    assert!(
        plain.contains("  ok ") && !plain.contains("\u{1b}"),
        "{plain:?}"
    );
    standin.revoke(CLIENT_ID, "support@contoso.com");
    world.run(["fetch"]).ends();
    for columns in [80, 60] {
        let written = drive(&world, columns, &["status"], &[]);
        assert!(
            written.contains("\u{1b}[31mfailing\u{1b}[0m"),
            "{written:?}"
        );
        let shown = rows(&written, columns);
        assert_eq!(
            shown.iter().filter(|row| !row.is_empty()).count(),
            3,
            "{shown:#?}"
        );
        assert!(shown[2].ends_with('…'), "{shown:#?}");
    }
    world
        .run(["status"])
        .succeeds()
        .shows("failing")
        .hides("\u{1b}");
}

#[test]
fn a_check_is_wrapped_where_the_terminal_ends() {
    let standin = Standin::start();
    let world = furnished(&standin);
    standin.add_mailbox("sales@contoso.com");
    world
        .run(["queue", "add", "sales", "--address", "sales@contoso.com"])
        .args(["--server", "Here", "--deliver", "maildir:~/Mail"])
        .succeeds();
    for columns in [80, 60] {
        let written = drive(&world, columns, &["check"], &[]);
        let shown = rows(&written, columns);
        let all = shown.join("\n");
        let works = shown.iter().skip(1).take_while(|row| !row.is_empty());
        // One row for each step.
        assert!(works.clone().count() > 15, "{all}");
        assert!(works.clone().all(|row| row.starts_with("  ✓ ")), "{all}");
        // What is wrong goes on below itself, and a command is alone.
        let wrong = shown.iter().skip_while(|row| !row.starts_with("  ✗ "));
        let below: Vec<&String> = wrong
            .skip(1)
            .take_while(|row| !row.starts_with("  - "))
            .collect();
        let command = below
            .iter()
            .position(|row| row.starts_with("      Add-MailboxPermission "));
        let command = command.unwrap_or_else(|| panic!("{all}"));
        assert!(
            below[..command].iter().all(|row| row.starts_with("      ")),
            "{all}"
        );
        assert_eq!(
            below[command - 1],
            "      fix, by an Exchange administrator:"
        );
        assert_eq!(all.matches("Add-MailboxPermission").count(), 1, "{all}");
        let end = "\n\n1 of 2 mailboxes work; 1 needs an Exchange administrator";
        assert!(all.ends_with(end), "{all}");
    }
    // Elsewhere nothing is cut or broken.
    let ran = world.run(["check", "support"]).succeeds();
    ran.shows("tenant 11111111-2222-3333-4444-555555555555; app")
        .hides("…");
}
