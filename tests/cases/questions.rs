//! `server add` and `queue add` on a real terminal: questions, checks as one types, and at the
//! end the command line that does the same without them.

use crate::standin::{App, Standin};
use crate::world::{CLIENT_ID, World};
use rexpect::error::Error;
use rexpect::session::{PtySession, spawn_command};
use std::process::Command;

const DOWN: &str = "\u{1b}[B";

/// A run on a terminal, each wait bounded.
fn terminal(world: &World, args: &[&str]) -> Result<PtySession, Error> {
    let command = world.run(args).env("TERM", "xterm").command();
    spawn_command(command, Some(120_000))
}

/// Waits for a question and answers it.
fn answer(terminal: &mut PtySession, question: &str, text: &str) -> Result<(), Error> {
    terminal.exp_string(question)?;
    terminal.send_line(text)?;
    Ok(())
}

/// Chooses what stands so many lines below the first.
fn choose(terminal: &mut PtySession, question: &str, below: usize) -> Result<(), Error> {
    terminal.exp_string(question)?;
    for _ in 0..below {
        terminal.send(DOWN)?;
    }
    terminal.send_line("")?;
    Ok(())
}

/// Gives an answer that is refused with these words; the question comes again.
fn refused(
    terminal: &mut PtySession,
    question: &str,
    text: &str,
    words: &str,
) -> Result<(), Error> {
    answer(terminal, question, text)?;
    terminal.exp_string(words)?;
    Ok(())
}

/// The command line that is shown at the end.
fn line(said: &str) -> String {
    let shown = said.split("The same without questions:").nth(1);
    let line = shown.and_then(|rest| rest.lines().find(|line| line.contains("queuemail")));
    line.unwrap_or_else(|| panic!("no command line in:\n{said}"))
        .trim()
        .to_owned()
}

/// Runs a command line as a shell does, without a terminal.
fn paste(world: &World, line: &str, stdin: &str) {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_queuemail"));
    let folder = binary.parent().unwrap().display();
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("printf '%s\\n' \"$1\" | {line}"),
            "sh",
            stdin,
        ])
        .env_clear()
        .env("HOME", world.home())
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .current_dir(world.home())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "", "{line}");
    assert_eq!(output.stdout, b"created\n", "{line}");
}

#[test]
fn a_server_is_asked_for_and_checked_as_one_types() -> Result<(), Error> {
    let world = World::new();
    let mut t = terminal(&world, &["server", "add"])?;
    choose(&mut t, "Kind of server", 0)?;
    answer(&mut t, "Name of the server", "Contoso's")?;
    refused(&mut t, "Tenant", "contoso", "is not a tenant")?;
    answer(&mut t, "Tenant", "contoso.com")?;
    choose(&mut t, "Authentication type", 0)?;
    refused(&mut t, "Application (client) ID", "myapp", "is not a GUID")?;
    answer(&mut t, "Application (client) ID", CLIENT_ID)?;
    choose(&mut t, "How the app authenticates", 0)?;
    refused(
        &mut t,
        "Day on which",
        "31.12.2030",
        "write it as YYYY-MM-DD",
    )?;
    answer(&mut t, "Day on which", "2030-12-31")?;
    choose(&mut t, "Read mailboxes through", 2)?;
    answer(&mut t, "Client secret", "hunter2")?;
    let said = t.exp_eof()?;
    assert!(
        said.contains("created") && !said.contains("hunter2"),
        "{said}"
    );
    let line = line(&said);
    assert_eq!(
        line,
        format!(
            r"queuemail server add incoming 'Contoso'\''s' --address https://login.microsoftonline.com/contoso.com --auth oauth-service --client-id {CLIENT_ID} --secret-stdin --secret-expires 2030-12-31 --via auto"
        )
    );
    assert!(
        world.config().contains("secret: hunter2\n"),
        "{}",
        world.config()
    );
    assert_eq!(world.mode(&world.config_path()), 0o600);
    let other = World::new();
    paste(&other, &line, "hunter2");
    assert_eq!(other.config(), world.config());
    Ok(())
}

#[test]
fn only_what_is_missing_is_asked_for() -> Result<(), Error> {
    let world = World::new();
    world.write("contoso.secret", "s3cret\n");
    let mut t = terminal(
        &world,
        &[
            "--config",
            "own.yaml",
            "server",
            "add",
            "incoming",
            "Contoso",
            "--auth",
            "oauth-service",
            "--via",
            "graph",
            "--client-id",
            CLIENT_ID,
        ],
    )?;
    answer(
        &mut t,
        "Tenant",
        "https://login.microsoftonline.us/contoso.com/v2.0",
    )?;
    choose(&mut t, "How the app authenticates", 1)?;
    refused(&mut t, "File of the secret", "no.secret", "does not exist")?;
    answer(&mut t, "File of the secret", "contoso.secret")?;
    answer(&mut t, "Day on which", "")?;
    let line = line(&t.exp_eof()?);
    assert_eq!(
        line,
        format!(
            "queuemail --config own.yaml server add incoming Contoso --address https://login.microsoftonline.us/contoso.com --auth oauth-service --client-id {CLIENT_ID} --secret-file contoso.secret --via graph"
        )
    );
    let made = std::fs::read(world.path("own.yaml")).unwrap();
    std::fs::remove_file(world.path("own.yaml")).unwrap();
    paste(&world, &line, "");
    assert_eq!(std::fs::read(world.path("own.yaml")).unwrap(), made);
    Ok(())
}

#[test]
fn an_outgoing_server_takes_its_app_from_a_list() -> Result<(), Error> {
    let world = World::new();
    world.add_contoso();
    let before = world.config();
    let mut t = terminal(&world, &["server", "add", "outgoing"])?;
    refused(
        &mut t,
        "Name of the server",
        "Contoso",
        "server `Contoso` already exists",
    )?;
    answer(&mut t, "Name of the server", "Contoso out")?;
    // The tenant of the first server is the proposal.
    answer(&mut t, "[contoso.onmicrosoft.com]", "")?;
    choose(&mut t, "Authentication type", 0)?;
    choose(&mut t, "App registration to sign in with", 0)?;
    refused(&mut t, "Mailbox user", "support", "is not a mailbox user")?;
    answer(&mut t, "Mailbox user", "support@contoso.com")?;
    choose(&mut t, "Send through", 1)?;
    let line = line(&t.exp_eof()?);
    assert_eq!(
        line,
        "queuemail server add outgoing 'Contoso out' --tenant contoso.onmicrosoft.com --user support@contoso.com --app Contoso --auth oauth-service --via graph"
    );
    let made = world.config();
    world.write_config(before);
    paste(&world, &line, "");
    assert_eq!(world.config(), made);
    Ok(())
}

#[test]
fn a_queue_is_asked_for_and_then_checked() -> Result<(), Error> {
    let standin = Standin::start();
    standin.add_app(App {
        client_id: CLIENT_ID.into(),
        secret: Some("s3cret-value".into()),
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    standin.add_mailbox("support@contoso.com");
    standin.grant(CLIENT_ID, "support@contoso.com");
    let world = World::new();
    world.add_contoso();
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
        .args([
            "--imap",
            &standin.imap_url(),
            "--secret-file",
            "contoso.secret",
        ])
        .arg("--ca-file")
        .arg(standin.ca_file())
        .succeeds();
    for n in 0..2 {
        let message = format!("Subject: {n}\r\n\r\n");
        standin.deliver("support@contoso.com", "INBOX", message.as_bytes());
    }
    let before = world.config();
    let mut t = terminal(&world, &["queue", "add"])?;
    answer(&mut t, "Name of the queue", "support")?;
    refused(
        &mut t,
        "Full e-mail address",
        "support",
        "is not an e-mail address",
    )?;
    answer(&mut t, "Full e-mail address", "support@contoso.com")?;
    // The servers are listed by name.
    t.exp_string("Server for reading it")?;
    t.exp_string("Contoso")?;
    t.exp_string("Here")?;
    t.send(DOWN)?;
    t.send_line("")?;
    refused(&mut t, "Priority", "high", "is not a priority")?;
    answer(&mut t, "Priority", "10")?;
    answer(&mut t, "Language", "de")?;
    answer(&mut t, "Deliver to", "")?;
    choose(&mut t, "After a message is delivered", 2)?;
    answer(&mut t, "Folder", "Done, all")?;
    choose(
        &mut t,
        "Messages that are already in the mailbox (2 wait)",
        1,
    )?;
    t.exp_string("The same without questions:")?;
    let shown = t.exp_string("Check now that it works?")?;
    t.send_line("y")?;
    let checked = t.exp_eof()?;
    assert!(checked.contains("INBOX contains 2 messages"), "{checked}");
    let line = line(&format!("The same without questions:{shown}"));
    assert_eq!(
        line,
        "queuemail queue add support --address support@contoso.com --server Here --start now --deliver 'maildir:~/Mail/{queue}' --after 'move:Done, all' --queue-priority 10 --queue-language de"
    );
    let made = world.config();
    world.write_config(before);
    paste(&world, &line, "");
    assert_eq!(world.config(), made);
    Ok(())
}

#[test]
fn a_persons_password_is_not_shown() -> Result<(), Error> {
    let world = World::new();
    world.add_contoso();
    world.add_people();
    let mut t = terminal(
        &world,
        &[
            "queue",
            "add",
            "support",
            "--address",
            "a@contoso.com",
            "--queue-priority",
            "1",
        ],
    )?;
    choose(&mut t, "Server for reading it", 1)?;
    answer(&mut t, "Language", "")?;
    answer(&mut t, "Account that signs in", "reader@contoso.com")?;
    choose(&mut t, "How `reader@contoso.com` signs in", 1)?;
    answer(&mut t, "Deliver to", "mbox:/var/mail/support")?;
    choose(&mut t, "After a message is delivered", 0)?;
    choose(&mut t, "Messages that are already in the mailbox", 2)?;
    refused(&mut t, "First day", "tomorrow", "is not a date")?;
    answer(&mut t, "First day", "2026-11-01")?;
    answer(&mut t, "Password of mailbox `a@contoso.com`", "hunter2")?;
    let shown = t.exp_string("Check now that it works?")?;
    t.send_line("n")?;
    let rest = t.exp_eof()?;
    assert!(
        !shown.contains("hunter2") && !rest.contains("hunter2"),
        "{shown}{rest}"
    );
    assert_eq!(
        line(&shown),
        "queuemail queue add support --address a@contoso.com --server People --account reader@contoso.com --password-stdin --start 2026-11-01 --deliver mbox:/var/mail/support --queue-priority 1"
    );
    assert!(world.config().contains("password: hunter2\n"));
    Ok(())
}

#[test]
fn an_interrupt_ends_it_and_leaves_the_terminal_as_it_was() -> Result<(), Error> {
    let world = World::new();
    let mut t = terminal(&world, &["server", "add"])?;
    let before = t.exp_string("outgoing")?;
    t.send_control('c')?;
    let rest = t.exp_eof()?;
    assert!(
        !before.contains("?25l") && !rest.contains("?25l"),
        "{before}{rest}"
    );
    assert!(!world.config_path().exists());
    Ok(())
}

const ALL_BUT_THE_SECRET: [&str; 10] = [
    "server",
    "add",
    "incoming",
    "Contoso",
    "--auth",
    "oauth-service",
    "--address",
    "https://login.microsoftonline.com/contoso.com",
    "--client-id",
    CLIENT_ID,
];

#[test]
fn an_interrupt_leaves_a_terminal_that_shows_what_is_typed() -> Result<(), Error> {
    for (args, question, typed) in [
        (&["server", "add"][..], "outgoing", "j"),
        (&["server", "add", "incoming"], "Name of the server", "Cont"),
        (&["queue", "remove", "support"], "Remove queue", "y"),
        (&ALL_BUT_THE_SECRET, "Client secret", "hunter2"),
    ] {
        let world = World::new();
        if args[0] == "queue" {
            world.add_contoso();
            let run = world.run(["queue", "add", "support", "--server", "Contoso"]);
            run.args(["--address", "a@contoso.com"]).succeeds();
        }
        let before = std::fs::read(world.config_path()).ok();
        world.write(
            "script",
            "stty echo\ntrap : INT\n\"$@\"\necho \"ended with $?\"\nstty -a\n",
        );
        // Whoever runs the tests may ignore the signal, as a shell does for its background jobs.
        let run = world
            .run(args)
            .under(["env", "--default-signal=INT", "sh", "script"])
            .env("TERM", "xterm");
        let mut t = spawn_command(run.command(), Some(120_000))?;
        t.exp_string(question)?;
        t.send(typed)?;
        t.send_control('c')?;
        let rest = t.exp_eof()?;
        assert!(rest.contains("ended with 130"), "{question}: {rest}");
        let modes: Vec<&str> = rest.split_whitespace().collect();
        for mode in ["echo", "icanon", "isig"] {
            assert!(modes.contains(&mode), "{question}: {rest}");
        }
        assert_eq!(
            std::fs::read(world.config_path()).ok(),
            before,
            "{question}"
        );
    }
    Ok(())
}

#[test]
fn a_secret_may_be_corrected_as_one_types() -> Result<(), Error> {
    let world = World::new();
    let mut t = terminal(&world, &ALL_BUT_THE_SECRET)?;
    answer(&mut t, "Client secret", "")?;
    answer(
        &mut t,
        "Client secret",
        "wrong\u{15}h\u{e4}\u{f6}\u{7f}\u{7f}unter2",
    )?;
    let said = t.exp_eof()?;
    assert!(!said.contains("unter2"), "{said}");
    assert!(
        world.config().contains("secret: hunter2\n"),
        "{}",
        world.config()
    );
    Ok(())
}

#[test]
fn a_queue_needs_a_server_first() -> Result<(), Error> {
    let world = World::new();
    let mut t = terminal(&world, &["queue", "add"])?;
    let said = t.exp_eof()?;
    assert!(
        said.contains("hint: add one first: queuemail server add incoming"),
        "{said}"
    );
    Ok(())
}

#[test]
fn no_question_where_questions_are_forbidden() -> Result<(), Error> {
    let world = World::new();
    for (args, missing) in [
        (
            &["server", "add", "--no-input"][..],
            "`incoming` or `outgoing`",
        ),
        (&["server", "add", "incoming", "--no-input"], "`NAME`"),
        (&["queue", "add", "--no-input"], "`QUEUE`"),
    ] {
        let said = terminal(&world, args)?.exp_eof()?;
        let words = format!("{missing} is missing, and `--no-input` does not allow questions");
        assert!(said.contains(&words), "{said}");
    }
    world.run(["server", "add"]).fails(64).says("missing_kind");
    Ok(())
}

/// Ends with this exit code; what was said until then.
fn ends(mut terminal: PtySession, code: i32) -> Result<String, Error> {
    let said = terminal.exp_eof()?;
    let status = terminal.process().wait().expect("an end");
    // As `Exited(Pid(1), 64)`.
    let status = format!("{status:?}");
    assert!(status.ends_with(&format!(", {code})")), "{status}: {said}");
    Ok(said)
}

#[test]
fn what_cannot_be_taken_back_is_asked_for() -> Result<(), Error> {
    let world = World::new();
    world.add_contoso();
    let add = |name: &str| {
        let address = format!("{name}@contoso.com");
        let run = world.run(["queue", "add", name, "--server", "Contoso"]);
        run.args(["--address", &address]).succeeds();
    };
    add("support");
    let before = world.config();
    let remove = ["queue", "remove", "support"];
    for no in ["n", ""] {
        let mut t = terminal(&world, &remove)?;
        t.exp_string("Remove queue `support` with its addresses from the configuration?")?;
        t.send_line(no)?;
        let said = ends(t, 64)?;
        assert!(said.contains("nothing was changed"), "{said}");
        assert_eq!(world.config(), before);
    }
    let mut t = terminal(&world, &remove)?;
    t.exp_string("Remove queue")?;
    t.send_line("y")?;
    assert!(ends(t, 0)?.contains("removed"));
    assert!(!world.config().contains("support@contoso.com"));
    for answer in [&["--yes"][..], &["-y"], &["--no-input"]] {
        add("support");
        let args: Vec<&str> = remove.iter().chain(answer).copied().collect();
        let said = ends(terminal(&world, &args)?, 0)?;
        assert_eq!(said.trim(), "removed");
    }
    // Without a terminal it is as it was before there was a question.
    add("support");
    world.run(remove).succeeds().prints("removed\n");

    let mut t = terminal(&world, &["token", "forget", "--all"])?;
    t.exp_string("Erase every stored token")?;
    t.send_line("n")?;
    ends(t, 64)?;
    let said = ends(terminal(&world, &["token", "forget", "--all", "--yes"])?, 0)?;
    assert_eq!(said.trim(), "erased 0 tokens");
    Ok(())
}

#[test]
fn an_edit_that_is_not_valid_can_be_edited_again_or_given_up() -> Result<(), Error> {
    let world = World::new();
    world.add_contoso();
    let before = world.config();
    // The first time it writes what is wrong, then what is right.
    let script = "#!/bin/sh\nif [ -e \"$HOME/once\" ]; then sed -i s/wrong/graph/ \"$1\"; else touch \"$HOME/once\"; printf '    via: wrong\\n' >>\"$1\"; fi\n";
    let script = world.write("editor", script);
    world.chmod(&script, 0o755);
    let edit = |answer: &str, code| {
        let command = world
            .run(["config", "edit"])
            .env("TERM", "xterm")
            .env("EDITOR", &script)
            .command();
        let mut t = spawn_command(command, Some(120_000))?;
        t.exp_string("wrong")?;
        t.exp_string("Edit it again?")?;
        t.send_line(answer)?;
        ends(t, code)
    };
    edit("n", 78)?;
    assert_eq!(world.config(), before);
    std::fs::remove_file(world.path("once")).unwrap();
    assert!(edit("y", 0)?.contains("changed"));
    assert_eq!(world.config(), format!("{before}    via: graph\n"));
    Ok(())
}
