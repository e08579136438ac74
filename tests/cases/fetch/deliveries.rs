//! Each kind of delivery: what it leaves behind, and how it refuses.

use super::mail_store::{MailStore, Manner};
use super::{Desk, SUPPORT, Sorted, Via, assert_same, files, mboxrd};
use crate::memory::peak;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[test]
fn mbox_is_mboxrd_and_locked() {
    let desk = Desk::new(Via::Imap, "deliver: mbox:mail");
    let sent = desk.deliver(0..8);
    // A lock of a process that is gone does not stop the program, and one of a living process
    // would.
    desk.world.write(".config/queuemail/mail.lock", "999999999");
    desk.fetch(&[]).succeeds().says_nothing();
    let file = desk.path(".config/queuemail/mail");
    assert_same(&sent, &mboxrd(&file), "mbox");
    assert!(!desk.path(".config/queuemail/mail.lock").exists());
    let spool = files(&desk.world.state_dir().join("spool"));
    assert!(spool.is_empty(), "nothing is left in the spool: {spool:?}");
}

#[test]
fn eml_has_a_sidecar_that_tells_what_is_known() {
    let desk = Desk::new(Via::Imap, "deliver: 'eml:mail/{queue}/{language}'");
    let sent = desk.deliver(0..3);
    desk.fetch(&[]).succeeds().says_nothing();
    let all = files(&desk.path(".config/queuemail/mail/support/de"));
    let eml: Vec<_> = all
        .iter()
        .filter(|(n, _)| n.ends_with(".eml"))
        .map(|(_, b)| b.clone())
        .collect();
    assert_same(&sent, &eml, "eml");
    let (name, json) = all.iter().find(|(n, _)| n.ends_with(".json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["queue"], "support", "{name}");
    assert_eq!(json["address"], SUPPORT);
    assert_eq!(json["delivery_id"].as_str().unwrap().len(), 32);
}

#[test]
fn stdout_is_mboxrd() {
    let desk = Desk::new(Via::Imap, "deliver: stdout");
    let sent = desk.deliver(0..4);
    let ran = desk.fetch(&[]).succeeds();
    let file = desk.world.write("out.mbox", &ran.stdout);
    assert_same(&sent, &mboxrd(&file), "stdout");
    desk.fetch(&[]).succeeds().says_nothing();
}

/// With --json a reader of standard output gets JSON Lines and nothing else.
#[test]
fn a_file_on_stdout_is_durable_before_the_record_is() {
    let desk = Desk::new(Via::Imap, "deliver: stdout");
    desk.deliver(0..1);
    let trace = desk.path("trace");
    let run = desk.fetch(&[]).under([
        "strace",
        "-f",
        "-qq",
        "-y",
        "--trace=fsync,fdatasync",
        "-o",
        trace.to_str().unwrap(),
    ]);
    let out = desk.path("out.mbox");
    let mut command = run.command();
    command.stdout(std::fs::File::create(&out).unwrap());
    assert!(command.status().unwrap().success());
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("out.mbox>"), "{trace}");
}

#[test]
fn nothing_is_delivered_to_a_closed_stdout() {
    let desk = Desk::new(Via::Imap, "deliver: stdout");
    let sent = desk.deliver(0..1);
    desk.fetch(&[])
        .under(["sh", "-c", "exec \"$@\" >&-", "sh"])
        .fails(73)
        .mentions("standard output is closed");
    let ran = desk.fetch(&[]).succeeds();
    let file = desk.world.write("out.mbox", &ran.stdout);
    assert_same(&sent, &mboxrd(&file), "stdout");
    // Who says where the mail is to go is believed.
    desk.deliver(1..2);
    desk.fetch(&[])
        .under(["sh", "-c", "exec \"$@\" >/dev/null", "sh"])
        .succeeds();
}

#[test]
fn stdout_is_json_lines_with_json() {
    let desk = Desk::new(Via::Imap, "deliver: stdout");
    let sent = desk.deliver(0..4);
    let ran = desk.fetch(&["--json"]).succeeds();
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON: {e} in\n{line}"))
        })
        .collect();
    let of = |event: &str| -> Vec<_> { lines.iter().filter(|l| l["event"] == event).collect() };
    let contents = of("content");
    let got: Vec<Vec<u8>> = contents
        .iter()
        .map(|line| STANDARD.decode(line["content"].as_str().unwrap()).unwrap())
        .collect();
    assert_same(&sent, &got, "stdout in JSON");
    for (content, message) in contents.iter().zip(of("message")) {
        assert_eq!(content["delivery_id"], message["delivery_id"]);
        assert_eq!(content["queue"], "support");
    }
    assert_eq!(of("message").len(), 4);
    assert_eq!(of("summary").len(), 1);
    desk.deliver(4..5);
    let ran = desk.fetch(&["--deliver", "stdout:json"]).succeeds();
    assert_eq!(
        ran.stdout.lines().count(),
        1,
        "without --json no events:\n{}",
        ran.stdout
    );
}

/// Mail programs show and sort an mbox by the date of the line before each message.
#[test]
fn an_mbox_has_the_time_of_delivery() {
    let desk = Desk::new(Via::Imap, "deliver: 'mbox:all.mbox'");
    desk.deliver(0..1);
    desk.fetch(&[]).succeeds();
    let text = std::fs::read_to_string(desk.path(".config/queuemail/all.mbox")).unwrap();
    let line = text.lines().next().unwrap();
    let year = jiff::Timestamp::now().strftime("%Y").to_string();
    assert!(
        line.starts_with("From support@") && line.ends_with(&year),
        "{line}"
    );
}

#[test]
fn a_command_gets_the_message_and_what_is_known_of_it() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: 'command:/bin/sh take.sh {queue}'\nafter_fetch: delete",
    );
    desk.world.write(
        "take.sh",
        "cat > \"$QUEUEMAIL_UID.eml\"\necho \"$1 $QUEUEMAIL_QUEUE $QUEUEMAIL_ADDRESS $QUEUEMAIL_PRIORITY $QUEUEMAIL_LANGUAGE $QUEUEMAIL_FOLDER $QUEUEMAIL_UID ${#QUEUEMAIL_DELIVERY_ID}\" >> log\n",
    );
    let sent = desk.deliver(0..3);
    desk.fetch(&[]).succeeds().says_nothing();
    let got: Vec<_> = (1..=3)
        .map(|n| std::fs::read(desk.path(&format!("{n}.eml"))).unwrap())
        .collect();
    assert_eq!(got, sent);
    let log = std::fs::read_to_string(desk.path("log")).unwrap();
    assert_eq!(
        log.lines().next().unwrap(),
        "support support support@contoso.example 10 de INBOX 1 32"
    );
    assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty());
}

#[test]
fn a_command_s_exit_code_decides() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: 'command:/bin/sh take.sh'\nafter_fetch: delete",
    );
    let script = |text: &str| desk.world.write("take.sh", text);
    desk.deliver(0..1);
    script("echo 'the desk is closed' >&2\nexit 75\n");
    desk.fetch(&[])
        .fails(75)
        .mentions("exited with 75 and wrote: the desk is closed");
    assert_eq!(
        desk.m365.messages(SUPPORT, "INBOX").len(),
        1,
        "it stays on the server"
    );
    // The next message is refused for good: quarantined at once, and the others go on.
    script("grep -q 'Case 1' && exit 65\ncat >> taken\n");
    desk.deliver(1..2);
    desk.fetch(&[]).fails(65).mentions("exited with 65");
    assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 2);
    let list = desk
        .world
        .run(["quarantine", "list", "--json"])
        .succeeds()
        .json();
    assert_eq!(list["quarantine"].as_array().unwrap().len(), 1);
    desk.world.run(["quarantine", "retry", "--all"]).succeeds();
    script("cat >> taken\n");
    desk.fetch(&[]).succeeds();
}

#[test]
fn the_octets_of_a_refused_message_can_be_looked_at() {
    super::both(|via| {
        let desk = Desk::new(via, "deliver: 'command:/bin/sh take.sh'");
        desk.world
            .write("take.sh", "grep -q 'Case [13]' && exit 65\ncat >> taken\n");
        let sent = desk.deliver(0..4);
        desk.fetch(&[]).fails(65);
        let kept = |desk: &Desk| files(&desk.world.state_dir().join("quarantine"));
        let octets: Vec<_> = kept(&desk).into_values().collect();
        assert_same(&[sent[1].clone(), sent[3].clone()], &octets, "kept");
        let list = desk.world.run(["quarantine", "list", "--json"]).succeeds();
        let plain: serde_json::Value = serde_json::from_slice(&list.raw_stdout).unwrap();
        for message in plain["quarantine"].as_array().unwrap() {
            let path = std::path::Path::new(message["message"].as_str().unwrap());
            assert_eq!(desk.world.mode(path), 0o600);
            let id = message["id"].to_string();
            let shown = desk.world.run(["quarantine", "show", &id]).succeeds();
            shown.shows("\nmessage: HOME/.local/state/queuemail/quarantine/");
            let raw = desk.world.run(["quarantine", "show", &id, "--raw"]);
            assert_eq!(raw.succeeds().raw_stdout, std::fs::read(path).unwrap());
        }
        let spool = files(&desk.world.state_dir().join("spool"));
        assert!(spool.is_empty(), "nothing is left in the spool: {spool:?}");
        // They go when it is decided, or when the message is delivered after all.
        let id = list.json()["quarantine"][0]["id"].to_string();
        desk.world
            .run(["quarantine", "drop", &id])
            .succeeds()
            .prints(&format!(
                "message {id}: dropped; it stays on the server and is not fetched again\n"
            ));
        assert_eq!(kept(&desk).len(), 1);
        desk.world.run(["quarantine", "retry", "--all"]).succeeds();
        assert_eq!(kept(&desk).len(), 1);
        desk.world.write("take.sh", "cat >> taken\n");
        desk.fetch(&[]).succeeds();
        desk.fetch(&[]).succeeds();
        assert_eq!(kept(&desk).len(), 0);
    });
}

#[test]
fn of_a_message_that_never_came_no_octets_are_kept() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.deliver(0..2);
    let fault = crate::standin::UidFault::NoData;
    desk.m365.faults().imap_uid(SUPPORT, 2, fault);
    desk.fetch(&[]).fails(75);
    desk.state()
        .execute(
            "UPDATE message SET next_attempt = 0, attempts = 7 WHERE state = 'failed'",
            [],
        )
        .unwrap();
    desk.fetch(&[]).fails(65);
    let list = desk.world.run(["quarantine", "list", "--json"]).succeeds();
    let id = list.json()["quarantine"][0]["id"].to_string();
    desk.world
        .run(["quarantine", "show", &id])
        .succeeds()
        .shows("message: not kept, it is on the server");
    desk.world
        .run(["quarantine", "show", &id, "--raw"])
        .fails(69)
        .mentions("it is on the server: `support@contoso.example` folder `INBOX`, 2");
}

#[test]
fn a_command_that_is_down_does_not_burn_every_message() {
    let desk = Desk::new(Via::Imap, "deliver: 'command:/bin/false'");
    desk.deliver(0..20);
    desk.fetch(&[]).fails(75).mentions("3 times in a row");
    let pending = desk.world.run(["status", "--json"]).succeeds().json();
    assert!(
        pending["mailboxes"][0]["pending"].as_u64().unwrap() <= 4,
        "{pending}"
    );
    desk.world
        .run([
            "queue",
            "set",
            "support",
            "--deliver",
            "command:/no/such/program",
        ])
        .succeeds();
    desk.fetch(&[])
        .fails(78)
        .mentions("cannot run the delivery command `/no/such/program`");
}

#[test]
fn no_name_leaves_the_target_folder() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: 'maildir:mail/{folder}'\nfolders: ['INBOX', '../up']",
    );
    desk.m365.add_folder(SUPPORT, "../up");
    desk.m365.deliver(SUPPORT, "../up", &super::message(1));
    desk.fetch(&[]).succeeds();
    let up = files(&desk.path(".config/queuemail/mail/%2E.%2Fup/new"));
    assert_eq!(
        up.into_values().collect::<Vec<_>>().sorted(),
        [super::message(1)]
    );
}

#[test]
fn a_stamp_tells_from_where_a_message_came() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nstamp: true\npriority: 3");
    let sent = desk.deliver(0..1);
    desk.fetch(&[]).succeeds();
    let got = String::from_utf8(desk.maildir(".config/queuemail/mail").remove(0)).unwrap();
    let (stamp, message) = got.split_at(got.find("From: ").unwrap());
    assert_eq!(message.as_bytes(), sent[0]);
    let fields: Vec<&str> = stamp.split("\r\n").collect();
    assert_eq!(fields[0], "X-Queuemail-Queue: support");
    assert!(fields.contains(&"X-Queuemail-UID: 1"), "{stamp}");
    assert!(fields.contains(&"X-Queuemail-Priority: 3"), "{stamp}");
    assert!(fields.contains(&"X-Queuemail-Kind: ordinary"), "{stamp}");
}

/// A store that counts a message's octets gets those of the stamp, too.
#[test]
fn a_stamped_message_comes_whole_to_a_mail_store() {
    for chunking in [false, true] {
        let store = MailStore::start(Manner {
            chunking,
            ..Manner::default()
        });
        let desk = Desk::new(Via::Imap, &format!("{}\nstamp: true", store.target()));
        let sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds().says_nothing();
        let without_stamp = |message: Vec<u8>| {
            let from = message.windows(6).position(|w| w == b"From: ").unwrap();
            message[from..].to_vec()
        };
        let got: Vec<_> = store.taken().into_iter().map(without_stamp).collect();
        assert_same(&sent, &got, &format!("stamped, chunking: {chunking}"));
    }
}

#[test]
fn a_message_that_breaks_the_mail_store_keeps_no_other_back() {
    let store = MailStore::start(Manner {
        breaks_over: Some("Subject: Case 1\r"),
        ..Manner::default()
    });
    let desk = Desk::new(Via::Imap, &store.target());
    let mut sent = desk.deliver(0..5);
    let ran = desk.fetch(&[]).fails(75);
    ran.mentions("message 2 of `support@contoso.example`");
    sent.remove(1);
    assert_same(&sent, &store.taken(), "all but the one");
    desk.fetch(&[]).succeeds().says_nothing();
    desk.state()
        .execute(
            "UPDATE message SET next_attempt = 0, attempts = 7 WHERE state = 'failed'",
            [],
        )
        .unwrap();
    desk.fetch(&[]).fails(65).mentions("quarantine");
    assert_same(&sent, &store.taken(), "it is given up on");
}

#[test]
fn a_mail_store_may_end_the_connection_between_two_messages() {
    let store = MailStore::start(Manner {
        messages: Some(2),
        ..Manner::default()
    });
    let desk = Desk::new(Via::Imap, &store.target());
    let sent = desk.deliver(0..5);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &store.taken(), "each once");
}

/// What a command leaves running keeps its standard error open.
#[test]
fn a_command_is_over_when_it_ends_and_not_what_it_left_running() {
    let desk = Desk::new(Via::Imap, "deliver: 'command:/bin/sh take.sh'");
    desk.world
        .write("take.sh", "cat >> taken\nsleep 300 &\necho $! >> pids\n");
    let sent = desk.deliver(0..2);
    let began = std::time::Instant::now();
    desk.fetch(&[]).succeeds().says_nothing();
    let time = began.elapsed().as_secs();
    let pids = std::fs::read_to_string(desk.path("pids")).unwrap();
    for pid in pids.lines() {
        let _ = std::process::Command::new("kill").arg(pid).status();
    }
    assert!(time < 100, "{time} s");
    assert_eq!(std::fs::read(desk.path("taken")).unwrap(), sent.concat());
}

/// Under whatever mask of permissions the program runs.
#[test]
fn what_is_delivered_is_private() {
    for target in ["eml:mail", "maildir:mail", "mbox:mail/all"] {
        let desk = Desk::new(Via::Imap, &format!("deliver: {target}"));
        std::fs::create_dir(desk.path(".config/queuemail/mail")).unwrap();
        desk.deliver(0..1);
        desk.fetch(&[])
            .under(["/bin/sh", "-c", "umask 000; exec \"$@\"", "sh"])
            .succeeds();
        let mut folders = vec![desk.path(".config/queuemail/mail")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    assert_eq!(desk.world.mode(&path), 0o600, "{}", path.display());
                }
            }
        }
    }
}

#[test]
fn an_mbox_that_is_no_file_is_refused() {
    let desk = Desk::new(Via::Imap, "deliver: mbox:pipe");
    let pipe = desk.path(".config/queuemail/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // More than a pipe holds.
    desk.m365.deliver(SUPPORT, "INBOX", &[b'x'; 100_000]);
    desk.fetch(&[])
        .fails(73)
        .mentions("it is not a regular file");
    assert!(!desk.path(".config/queuemail/pipe.lock").exists());
}

/// A delivery that was interrupted is finished from wherever the next run starts.
#[test]
fn a_target_typed_in_a_shell_is_one_place() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:unused");
    let sent = desk.deliver(0..2);
    desk.world.write("mail/tmp/other", "");
    // No file can be moved there.
    std::os::unix::fs::symlink("/proc", desk.path("mail/new")).unwrap();
    desk.fetch(&["--deliver", "maildir:mail"]).fails(73);
    std::fs::remove_file(desk.path("mail/new")).unwrap();
    std::fs::create_dir(desk.path("mail/new")).unwrap();
    desk.fetch(&["--deliver", "maildir:~/mail"])
        .under(["/bin/sh", "-c", "cd / && exec \"$@\"", "sh"])
        .succeeds();
    assert_same(&sent, &desk.maildir("mail"), "interrupted");
    assert!(!desk.path("~").exists());
}

#[test]
fn the_state_folder_is_one_place() {
    let kill = "deliver: 'command:/bin/sh -c \"kill -9 $PPID\"'";
    let desk = Desk::new(Via::Imap, kill);
    desk.deliver(0..1);
    desk.fetch(&["--state-dir", "state"]).fails(-10);
    let state = rusqlite::Connection::open(desk.path("state/state.sqlite")).unwrap();
    let intent: String = state
        .query_row("SELECT intent FROM message", [], |row| row.get(0))
        .unwrap();
    let home = desk.world.home().display().to_string();
    assert!(intent.contains(&format!("{home}/state/spool/")), "{intent}");
}

/// Who keeps a Maildir may remove what has been in `tmp/` for 36 hours. Before that, and where the
/// message is in the Maildir, a file that is not there any more was delivered.
#[test]
fn a_file_that_was_cleaned_away_was_not_delivered() {
    for (hours, place, again) in [
        (1, None, false),
        (48, Some("new"), false),
        (48, Some("cur"), false),
        (48, None, true),
    ] {
        let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
        let sent = desk.deliver(0..1);
        desk.fetch(&[]).succeeds().says_nothing();
        let mail = desk.path(".config/queuemail/mail");
        let (name, _) = files(&mail.join("new")).pop_first().unwrap();
        let new = mail.join("new").join(&name);
        // A run was killed when it had put on record that it delivers.
        let intent =
            serde_json::json!({"rename": {"files": [[mail.join("tmp").join(&name), &new]]}});
        let at = jiff::Timestamp::now().as_second() - hours * 3600;
        desk.state()
            .execute(
                "UPDATE message SET state = 'staged', intent = ?1, changed_at = ?2",
                rusqlite::params![intent.to_string(), at],
            )
            .unwrap();
        match place {
            Some("new") => {}
            Some(_) => std::fs::rename(&new, mail.join("cur").join(format!("{name}:2,S"))).unwrap(),
            None => std::fs::remove_file(&new).unwrap(),
        }
        let before = desk.maildir(".config/queuemail/mail");
        desk.fetch(&[]).succeeds().says_nothing();
        let expected = if again { sent } else { before };
        let story = format!("after {hours} hours, in {place:?}");
        assert_same(&expected, &desk.maildir(".config/queuemail/mail"), &story);
        desk.fetch(&["--audit"]).succeeds().shows("1 delivered");
    }
}

/// Each message that is counted is told of.
#[test]
fn a_delivery_that_is_finished_later_is_told_of_too() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let sent = desk.deliver(0..1);
    desk.fetch(&[]).succeeds().says_nothing();
    let mail = desk.path(".config/queuemail/mail");
    let (name, _) = files(&mail.join("new")).pop_first().unwrap();
    let (tmp, new) = (mail.join("tmp").join(&name), mail.join("new").join(&name));
    std::fs::rename(&new, &tmp).unwrap();
    let intent = serde_json::json!({"rename": {"files": [[tmp, new]]}});
    desk.state()
        .execute(
            "UPDATE message SET state = 'staged', intent = ?1",
            [intent.to_string()],
        )
        .unwrap();
    let ran = desk.fetch(&["--json"]).succeeds();
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{}", ran.stdout);
    let told = |key: &str| lines[0][key].clone();
    assert_eq!((told("event"), told("uid")), ("message".into(), 1.into()));
    assert_eq!(
        (told("queue"), told("folder")),
        ("support".into(), "INBOX".into())
    );
    assert_eq!(told("size"), sent[0].len());
    assert_eq!(lines[1]["fetched"], 1);
}

#[test]
fn a_large_message_is_recovered_in_little_memory() {
    const SIZE: u64 = 64 << 20;
    let desk = Desk::new(Via::Imap, "deliver: mbox:mail");
    desk.deliver(0..1);
    desk.fetch(&[]).succeeds().says_nothing();
    // A run was killed when it had appended half of a message.
    let mail = desk.path(".config/queuemail/mail");
    let offset = std::fs::metadata(&mail).unwrap().len();
    let open = |path| {
        std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
    };
    open(&mail).unwrap().set_len(offset + SIZE / 2).unwrap();
    let rendered = desk.world.state_dir().join("spool/rendered");
    open(&rendered).unwrap().set_len(SIZE).unwrap();
    let intent = serde_json::json!({"append": {
        "rendered": rendered, "file": mail, "offset": offset, "length": SIZE,
    }});
    desk.state()
        .execute(
            "UPDATE message SET state = 'staged', intent = ?1",
            [intent.to_string()],
        )
        .unwrap();
    let (ran, peak) = peak(&desk.world, desk.fetch(&[]));
    ran.says_nothing();
    assert_eq!(std::fs::metadata(&mail).unwrap().len(), offset + SIZE);
    // Of these a program with debugging information takes 30 MiB for itself.
    assert!(peak < 44 << 10, "{peak} KiB");
}

/// What is done is done, though the program cannot tidy up after it.
#[test]
fn a_delivery_that_took_the_spool_s_file_away_is_not_repeated() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: 'command:/bin/sh -c \"cat >>$HOME/taken; rm $HOME/.local/state/queuemail/spool/*\"'",
    );
    let sent = desk.deliver(0..1);
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&[]).succeeds().says_nothing();
    let taken = std::fs::read(desk.path("taken")).unwrap();
    assert_eq!(taken, sent.concat());
}

/// What a host's managed identity is asked with is no business of a delivery.
#[test]
fn a_command_gets_nothing_that_gives_out_tokens() {
    let desk = Desk::new(Via::Imap, "deliver: \"command:sh -c 'env > ../../seen'\"");
    desk.deliver(0..1);
    desk.fetch(&[])
        .env("IDENTITY_HEADER", "proof")
        .env("MSI_SECRET", "proof")
        .env("HTTPS_PROXY", "http://proxy.example:3128")
        .env("NO_PROXY", "localhost")
        .under(["/bin/sh", "-c", "cd .config/queuemail && exec \"$@\"", "sh"])
        .succeeds();
    let seen = std::fs::read_to_string(desk.path("seen")).unwrap();
    assert!(!seen.contains("proof"), "{seen}");
    assert!(
        seen.contains("HTTPS_PROXY=http://proxy.example:3128"),
        "{seen}"
    );
    assert!(seen.contains("QUEUEMAIL_QUEUE=support"), "{seen}");
}

/// The name of a new folder is an entry of the one above: without that one's sync a power cut takes
/// away all that was delivered.
#[test]
fn a_folder_that_is_made_is_durable_in_the_one_above() {
    for (target, made) in [
        ("maildir:~/a/b", &["", "/a", "/a/b"][..]),
        ("eml:~/a/b", &["", "/a", "/a/b"][..]),
        ("mbox:~/box", &[""][..]),
    ] {
        let desk = Desk::new(Via::Imap, &format!("deliver: {target}"));
        desk.deliver(0..1);
        let trace = desk.path("trace");
        desk.fetch(&[])
            .under([
                "strace",
                "-f",
                "-qq",
                "-y",
                "--trace=fsync,fdatasync",
                "-o",
                trace.to_str().unwrap(),
            ])
            .succeeds();
        let trace = std::fs::read_to_string(trace).unwrap();
        let home = desk.world.home().canonicalize().unwrap();
        let state = ["", "/.local", "/.local/state", "/.local/state/queuemail"];
        for folder in made.iter().chain(&state) {
            let synced = format!("<{}{folder}>", home.display());
            assert!(trace.contains(&synced), "{target}: {synced} in {trace}");
        }
    }
}

/// A message of no octets is one: it is delivered as any other, once.
#[test]
fn a_message_of_no_octets_is_delivered_to_each_kind() {
    let ready = |deliver: &str| {
        let desk = Desk::new(Via::Imap, &format!("deliver: {deliver}"));
        let mut sent = desk.deliver(0..1);
        desk.m365.deliver(SUPPORT, "INBOX", b"");
        sent.push(Vec::new());
        sent.extend(desk.deliver(1..2));
        (desk, sent)
    };
    let again = |desk: &Desk| {
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--audit"]).succeeds().shows("3 delivered");
    };
    let (desk, sent) = ready("maildir:mail");
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(".config/queuemail/mail"), "maildir");
    again(&desk);
    // It is the same one under another UID.
    desk.m365.renumber(SUPPORT, "INBOX", 77, 5);
    again(&desk);
    assert_same(&sent, &desk.maildir(".config/queuemail/mail"), "maildir");

    let (desk, sent) = ready("mbox:mail");
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &mboxrd(&desk.path(".config/queuemail/mail")), "mbox");
    again(&desk);

    let (desk, sent) = ready("eml:mail");
    desk.fetch(&[]).succeeds().says_nothing();
    let all = files(&desk.path(".config/queuemail/mail"));
    let eml = all.iter().filter(|(name, _)| name.ends_with(".eml"));
    let eml: Vec<_> = eml.map(|(_, bytes)| bytes.clone()).collect();
    assert_same(&sent, &eml, "eml");
    again(&desk);

    let (desk, sent) = ready("stdout");
    let ran = desk.fetch(&[]).succeeds();
    let out = desk.world.write("out.mbox", &ran.stdout);
    assert_same(&sent, &mboxrd(&out), "stdout");
    again(&desk);

    let (desk, sent) = ready("stdout:json");
    let ran = desk.fetch(&[]).succeeds();
    let lines = ran.stdout.lines();
    let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let got: Vec<_> = lines
        .filter_map(|line| Some(STANDARD.decode(line["content"].as_str()?).unwrap()))
        .collect();
    assert_same(&sent, &got, "stdout:json");
    again(&desk);

    let (desk, sent) = ready("command:sh -c 'cat > \"$HOME/got.$QUEUEMAIL_UID\"'");
    desk.fetch(&[]).succeeds().says_nothing();
    let all = files(&desk.path(""));
    let got = all.iter().filter(|(name, _)| name.starts_with("got."));
    let got: Vec<_> = got.map(|(_, bytes)| bytes.clone()).collect();
    assert_same(&sent, &got, "command");
    again(&desk);

    for chunking in [false, true] {
        let store = MailStore::start(Manner {
            chunking,
            ..Manner::default()
        });
        let (desk, sent) = ready(store.target().trim_start_matches("deliver: "));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &store.taken(), "lmtp");
        again(&desk);
    }
}

/// One that is refused is kept with its no octets, and goes out when it is tried again.
#[test]
fn a_message_of_no_octets_is_stamped_and_quarantined_as_any_other() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nstamp: true");
    desk.m365.deliver(SUPPORT, "INBOX", b"");
    desk.fetch(&[]).succeeds().says_nothing();
    let stamped = desk.maildir(".config/queuemail/mail");
    let text = String::from_utf8_lossy(&stamped[0]).into_owned();
    assert!(text.contains("X-Queuemail-Queue: support"), "{text:?}");
    assert!(text.ends_with('\n'), "{text:?}");

    let desk = Desk::new(Via::Imap, "deliver: command:sh -c 'exit 65'");
    desk.m365.deliver(SUPPORT, "INBOX", b"");
    desk.fetch(&[]).fails(65).mentions("quarantined");
    let list = desk.world.run(["quarantine", "list", "--json"]).succeeds();
    let id = list.json()["quarantine"][0]["id"].to_string();
    desk.world.run(["quarantine", "show", &id]).succeeds();
    let ran = desk.world.run(["quarantine", "retry", &id]).succeeds();
    assert_eq!(ran.code, 0);
    desk.fetch(&[]).fails(65);
}
