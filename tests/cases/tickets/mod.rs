//! `docs/ticket-systems.md` as it stands: the real program fetches from the stand-in and delivers
//! into real receivers, by the scripts and settings of the page. Only hosts, ports and paths are those
//! of the test. The heavy ones are in `desks`, and only `make test-recipes` runs them.

mod desks;

use super::fetch::receiver::{Post, Receiver, Reply};
use super::fetch::{Desk, SUPPORT, Via};
use crate::world::Run;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SUBJECT: &str = "The printer is on fire";

/// A recipe of the page.
pub fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ticket-systems.md");
    let text = fs::read_to_string(path).expect("docs/ticket-systems.md");
    let (_, rest) = text
        .split_once(&format!("<!-- tested: {name} -->\n```"))
        .unwrap_or_else(|| panic!("no recipe `{name}`"));
    let (_, rest) = rest.split_once('\n').expect("a block");
    let (block, _) = rest.split_once("\n```").expect("the block's end");
    format!("{block}\n")
}

/// A message that a person wrote.
pub fn by_a_person(subject: &str) -> String {
    format!(
        "From: Ada <ada@customer.example>\r\nTo: {SUPPORT}\r\nSubject: {subject}\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{}@customer.example>\r\n\
         X-Queuemail-Priority: 0\r\nX-Queuemail-Kind: ordinary\r\n\r\nPlease help.\r\n",
        subject.replace(' ', "-")
    )
}

/// One that a machine wrote, and that nobody may answer.
pub fn by_a_machine(subject: &str) -> String {
    format!("Auto-Submitted: auto-replied\r\n{}", by_a_person(subject))
}

impl Desk {
    fn receives(&self, message: &str) {
        self.m365.deliver(SUPPORT, "INBOX", message.as_bytes());
    }

    /// Puts an executable script of the page at home.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.write(name, text);
        self.world.chmod(&path, 0o755);
        path
    }

    /// From now on a command of the delivery kills queuemail once, after it took a message and
    /// before that is on record.
    fn will_crash(&self) {
        self.world.write("crash.now", "");
    }

    /// What failed may be tried again now.
    fn make_due(&self) {
        let again = "UPDATE message SET next_attempt = 0 WHERE next_attempt > 0";
        self.state().execute(again, []).unwrap();
    }

    fn quarantined(&self) -> i64 {
        let count = "SELECT count(*) FROM message WHERE state = 'quarantined'";
        self.state().query_row(count, [], |row| row.get(0)).unwrap()
    }
}

/// The `deliver` line of a command that may crash once, see [`Desk::will_crash`].
fn may_crash(desk: &Desk, command: &str) -> String {
    desk.world.write(
        "crash.sh",
        "\"$@\" || exit\n[ -e crash.now ] || exit 0\nrm crash.now\nkill -KILL $PPID\n",
    );
    format!("deliver: command:/bin/sh crash.sh {command}")
}

/// The same, and the command is run by `once`.
fn desk_with_once(command: &str) -> Desk {
    let desk = desk_of(&format!("{{home}}/once {command}"));
    let folder = desk.path("once.d");
    fs::create_dir(&folder).unwrap();
    let once = recipe("once").replace("/var/lib/queuemail-once", folder.to_str().unwrap());
    desk.script("once", &once);
    desk
}

/// A desk whose command is the recipe's, and may crash.
fn desk_of(command: &str) -> Desk {
    let desk = Desk::new(Via::Imap, "stamp: true");
    let home = desk.path("").display().to_string();
    let deliver = may_crash(
        &desk,
        &command.replace("{home}", home.trim_end_matches('/')),
    );
    let config = desk.world.config();
    desk.world
        .write_config(format!("{config}        {deliver}\n"));
    desk
}

/// All files below a folder that hold a message, by their path there.
fn messages(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            if text.contains("X-Queuemail-Queue: ") {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, text);
            }
        }
    }
    found
}

/// Delivers a message of a person and one of a machine, crashes after the first of them was taken,
/// and goes on.
fn crashes_and_goes_on(desk: &Desk) {
    desk.receives(&by_a_person(SUBJECT));
    desk.will_crash();
    let ran = desk.fetch(&[]).ends();
    assert_eq!(ran.code, -10, "it was killed\n{ran}");
    desk.receives(&by_a_machine("Out of office"));
    desk.fetch(&[]).succeeds();
    desk.fetch(&[]).succeeds().says_nothing();
}

#[test]
fn a_shell_script_stores_each_message_once() {
    let desk = desk_of("{home}/to-desk");
    desk.script("to-desk", &recipe("shell"));
    crashes_and_goes_on(&desk);
    let found = messages(&desk.path("desk"));
    assert_eq!(found.len(), 2, "{found:?}");
    for (name, text) in &found {
        let is_automatic = text.contains("Out of office");
        assert_eq!(name.starts_with("automatic/"), is_automatic, "{name}");
        assert!(name.contains("10-de-") && name.ends_with(".eml"), "{name}");
    }
    // The desk's folder cannot be written.
    fs::remove_dir_all(desk.path("desk")).unwrap();
    desk.world.write("desk", "in the way");
    desk.receives(&by_a_person("One more"));
    desk.fetch(&[]).fails(75);
    fs::remove_file(desk.path("desk")).unwrap();
    desk.make_due();
    desk.fetch(&[]).succeeds();
    assert_eq!(messages(&desk.path("desk")).len(), 1);
}

#[test]
fn python_stores_each_message_once() {
    let desk = desk_of("python3 {home}/to-desk.py");
    desk.world.write("to-desk.py", recipe("python"));
    crashes_and_goes_on(&desk);
    let stored = || {
        let db = rusqlite::Connection::open(desk.path("desk.sqlite")).unwrap();
        let rows =
            "SELECT subject, queue, priority, language, may_answer FROM ticket ORDER BY rowid";
        let mut rows = db.prepare(rows).unwrap();
        let rows = rows.query_map([], |row| {
            let (priority, may_answer): (u32, bool) = (row.get(2)?, row.get(4)?);
            Ok((
                row.get::<_, String>(0)?,
                format!(
                    "{} {priority} {} {may_answer}",
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(3)?
                ),
            ))
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let row = |subject: &str, rest: &str| (subject.to_owned(), rest.to_owned());
    assert_eq!(
        stored(),
        [
            row(SUBJECT, "support 10 de true"),
            row("Out of office", "support 10 de false")
        ]
    );
    // The database is none.
    fs::write(desk.path("desk.sqlite"), "no database, for the moment").unwrap();
    desk.receives(&by_a_person("One more"));
    desk.fetch(&[])
        .fails(75)
        .mentions("cannot store the message");
    fs::remove_file(desk.path("desk.sqlite")).unwrap();
    desk.make_due();
    desk.fetch(&[]).succeeds();
    assert_eq!(stored().len(), 1);
}

#[test]
fn procmail_sorts_each_message_once() {
    let desk = desk_with_once("procmail -t -p {home}/procmailrc");
    let folder = desk.path("desk");
    let rc = recipe("procmail").replace("/var/spool/desk", folder.to_str().unwrap());
    desk.world.write("procmailrc", rc);
    fs::create_dir(folder).unwrap();
    crashes_and_goes_on(&desk);
    let found = messages(&desk.path("desk"));
    let folders = |subject: &str| {
        let of = found.iter().filter(|(_, text)| text.contains(subject));
        let mut names: Vec<_> = of.filter_map(|(name, _)| name.split('/').next()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(folders(SUBJECT), ["de-10"], "{found:?}");
    assert_eq!(folders("Out of office"), ["automatic"], "{found:?}");
}

/// dovecot-lda does not deliver for root: the program runs as another user where it would.
#[test]
fn dovecots_lda_sorts_by_sieve() {
    let desk = desk_of("/usr/lib/dovecot/dovecot-lda -c {home}/lda.conf");
    desk.world.write("lda.conf", recipe("lda"));
    desk.world.write(".dovecot.sieve", recipe("sieve"));
    let fetch = as_nobody(&desk);
    desk.receives(&by_a_person(SUBJECT));
    desk.will_crash();
    let ran = fetch().ends();
    assert_eq!(ran.code, -10, "it was killed\n{ran}");
    desk.receives(&by_a_machine("Out of office"));
    fetch().succeeds();
    fetch().succeeds().says_nothing();
    let found = messages(&desk.path("Maildir"));
    let folder = |subject: &str| {
        let of: Vec<_> = found
            .iter()
            .filter(|(_, text)| text.contains(subject))
            .collect();
        assert_eq!(of.len(), 1, "{subject}: {found:?}");
        of[0].0.clone()
    };
    assert!(folder(SUBJECT).starts_with("Language/de/"), "{found:?}");
    assert!(
        folder("Out of office").starts_with("Automatic/"),
        "{found:?}"
    );
}

/// Gives the home of a desk to a user without rights, and runs fetches as that user. Without root,
/// they run as whoever tests.
fn as_nobody(desk: &Desk) -> impl Fn() -> Run + '_ {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let authority = desk.m365.ca_file().display().to_string();
        let copy = desk.world.write("ca.pem", fs::read(&authority).unwrap());
        let config = desk.world.config();
        desk.world
            .write_config(config.replace(&authority, copy.to_str().unwrap()));
        fs::copy(env!("CARGO_BIN_EXE_queuemail"), desk.path("queuemail")).unwrap();
        // The home and nothing else: what is beside it is others'.
        let home = desk.world.home();
        let give = ["-R", "nobody:nogroup", home.to_str().unwrap()];
        let given = Command::new("chown").args(give).status().unwrap();
        assert!(given.success(), "{home:?}");
    }
    // The binary's own folder may be closed to others: its copy at home runs.
    let nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c";
    let copy = "shift; exec \"$HOME/queuemail\" \"$@\"";
    let world = &desk.world;
    move || match is_root {
        true => world
            .run(["fetch"])
            .under(nobody.split(' ').chain([copy, "sh"])),
        false => world.run(["fetch"]),
    }
}

/// What GitLab's source demands of a token: HS256 by the decoded secret, its issuer, not older than
/// five minutes.
fn is_signed_in(post: &Post, key: &[u8]) -> bool {
    let parts: Vec<&str> = post
        .field("gitlab-mailroom-api-request")
        .split('.')
        .collect();
    let [head, claims, signature] = parts[..] else {
        return false;
    };
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer
        .update(format!("{head}.{claims}").as_bytes())
        .unwrap();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let age = jiff::Timestamp::now().as_second() - json(claims)["iat"].as_i64().unwrap();
    URL_SAFE_NO_PAD.decode(signature).unwrap() == signer.sign_to_vec().unwrap()
        && json(head)["alg"] == "HS256"
        && json(claims)["iss"] == "gitlab-mailroom"
        && (0..300).contains(&age)
}

#[test]
fn gitlab_gets_mail_with_a_token_for_each() {
    let key = [7; 32];
    let receiver = Receiver::plain(move |post| match is_signed_in(post, &key) {
        true => Reply::new("200 OK", "", "{\"success\":true}"),
        false => Reply::new("401 Unauthorized", "", "{\"message\":\"401 Unauthorized\"}"),
    });
    let url = receiver.url();
    let desk = desk_with_once(&format!(
        "python3 {{home}}/to-gitlab.py {url} {{home}}/gitlab.key"
    ));
    desk.world.write("to-gitlab.py", recipe("gitlab"));
    desk.world.write("gitlab.key", STANDARD.encode([8; 32]));
    desk.receives(&by_a_person("With a wrong key"));
    desk.fetch(&[]).fails(75).mentions("GitLab answered 401");
    assert_eq!(desk.quarantined(), 0);
    desk.world.write("gitlab.key", STANDARD.encode(key) + "\n");
    let before = receiver.posts().len();
    desk.make_due();
    crashes_and_goes_on(&desk);
    let posts = receiver.posts();
    assert_eq!(posts.len() - before, 3, "none of the three comes twice");
    for post in &posts[before..] {
        let text = String::from_utf8_lossy(&post.body);
        let [kind, language] = ["Kind", "Language"].map(|name| {
            let name = format!("X-Queuemail-{name}: ");
            text.split_once(&name).unwrap().1.lines().next().unwrap()
        });
        let is_automatic = text.contains("Out of office");
        assert_eq!(kind, ["ordinary", "auto-reply"][usize::from(is_automatic)]);
        assert_eq!(language, "de");
    }
    receiver.behaves(|_| Reply::new("400 Bad Request", "", "{\"success\":false}"));
    desk.receives(&by_a_person("Too large"));
    desk.fetch(&[]).fails(65);
    assert_eq!(desk.quarantined(), 1);
}
