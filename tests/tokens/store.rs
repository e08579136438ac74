//! `token_store`: tokens in a keyring or with a program of the administrator.
//!
//! The kernel's keyring is the kernel's, the desktop's is GNOME Keyring on a bus of its own, and
//! `pass` is the real one, with the script that the documents show.

use super::{ADDRESS, Home, PASSWORD, Ran, claims};
use crate::patience::until;
use crate::standin::TokenFault;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const COMMAND: &str = "token_store: {command: [sh, '{home}/vault.sh', '{home}/vault']}";
const KEYRING: &str = "token_store: keyring";

/// A store in a folder that does what it is told by files beside it: `fail-VERB` makes it end
/// with the exit code in that file, `cut` makes it lose the end of what it stores. All arguments
/// go into `arguments`.
const SCRIPT: &str = r#"
echo "$*" >>"$1.arguments"
umask 077
mkdir -p "$1"
if [ -e "$1.fail-$2" ]; then
    echo 'the vault is sealed' >&2
    exit "$(cat "$1.fail-$2")"
fi
case $2 in
get) [ -e "$1/$3" ] || exit 66; cat "$1/$3" ;;
store)
    cat >"$1/.$3"
    [ ! -e "$1.cut" ] || truncate -s 100 "$1/.$3"
    mv "$1/.$3" "$1/$3"
    ;;
erase) [ -e "$1/$3" ] || exit 66; rm "$1/$3" ;;
*) exit 64 ;;
esac
"#;

/// Puts the script there that [`COMMAND`] names.
pub fn script(home: &Home) {
    home.write("vault.sh", SCRIPT);
}

/// What the folder of that store holds.
fn vault(home: &Home) -> Vec<String> {
    let Ok(entries) = fs::read_dir(home.path("vault")) else {
        return Vec::new();
    };
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// No token is in a file of the state.
#[track_caller]
fn state_is_clean(home: &Home) {
    let secrets = home.standin.secrets();
    let tokens = home.standin.tokens();
    assert!(!tokens.is_empty());
    for entry in fs::read_dir(home.path("state")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for secret in tokens.iter().chain(&secrets) {
            assert!(!text.contains(secret), "{} holds {secret}", path.display());
        }
    }
}

/// The store of each token that is listed.
fn listed(home: &Home, run: impl Fn(&[&str]) -> Ran) -> Vec<String> {
    let list = run(&["--json", "token", "list"]).succeeds();
    let text = run(&["token", "list"]).succeeds();
    for token in home.standin.tokens() {
        assert!(!list.stdout.contains(&token) && !text.stdout.contains(&token));
    }
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let tokens = list["tokens"].as_array().unwrap().iter();
    tokens
        .map(|token| token["store"].as_str().unwrap().to_owned())
        .collect()
}

/// The life of tokens in any store.
fn lives(home: &Home, head: &str, store: &str, run: impl Fn(&[&str]) -> Ran) {
    home.standin.faults().strict_rotation.store(true, SeqCst);
    home.person(head, PASSWORD);
    let first = run(&["token", "get", "support"]).succeeds();
    assert_eq!(claims(&first.stdout)["upn"], ADDRESS);
    assert_eq!(first.stderr, "");
    let again = run(&["token", "get", "support"]).succeeds();
    assert_eq!(first.stdout, again.stdout, "from the store");
    assert_eq!(home.asked(), 1);
    // The rotated refresh token is used each time, and nobody has to sign in.
    home.person(head, "");
    run(&["token", "get", "support", "--for", "graph"]).succeeds();
    for _ in 0..3 {
        run(&["token", "get", "support", "--fresh"]).succeeds();
    }
    assert_eq!(home.asked(), 5);
    assert_eq!(listed(home, &run), [store; 3]);
    state_is_clean(home);
    let check = run(&["--json", "check", "support"]);
    let check: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(check["checked"][0]["name"], "token_store", "{check}");
    assert_eq!(check["checked"][0]["ok"], true, "{check}");
    run(&["--json", "status"]).succeeds();
    let gone = run(&["token", "forget", "support"]).succeeds();
    assert_eq!(gone.stdout, "erased 3 tokens\n");
    run(&["token", "get", "support"])
        .fails(77)
        .mentions("nobody has signed in");
}

#[test]
fn in_the_store_of_a_command() {
    let home = Home::new();
    script(&home);
    lives(&home, COMMAND, "command", |args| home.run(args));
    assert_eq!(vault(&home), [""; 0]);
    let arguments = fs::read_to_string(home.path("vault.arguments")).unwrap();
    for secret in home.standin.tokens().iter().chain(&home.standin.secrets()) {
        assert!(!arguments.contains(secret));
    }
    assert!(arguments.contains("/vault store refresh-support@contoso.com-"));
}

#[test]
fn in_the_kernels_keyring() {
    let home = Home::new();
    lives(&home, KEYRING, "kernel", |args| home.run(args));
}

/// A systemd service has a session keyring that nothing is linked to, and a cron job none.
#[test]
fn in_the_kernels_keyring_from_sessions_of_their_own() {
    let home = Home::new();
    let run = |args: &[&str]| {
        let run = home.command(args);
        let mut session = Command::new("keyctl");
        session.args(["session", "-"]).arg(run.get_program());
        session.args(run.get_args()).env_clear();
        session.envs(run.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let mut ran = Ran::from(session.stdin(Stdio::null()).output().unwrap());
        let own = |line: &&str| !line.starts_with("Joined session keyring");
        ran.stderr = ran.stderr.lines().filter(own).collect();
        ran
    };
    lives(&home, KEYRING, "kernel", run);
}

/// GNOME Keyring, unlocked, on a session bus of its own.
struct Desktop {
    session: Child,
    address: String,
}

impl Desktop {
    fn start(home: &Home) -> Desktop {
        let script = "printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
            echo \"$DBUS_SESSION_BUS_ADDRESS\"
            exec cat";
        let mut session = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", script])
            .env("HOME", home.folder.path())
            .env("XDG_RUNTIME_DIR", home.folder.path())
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-run-session (scripts/need test installs it)");
        let mut address = String::new();
        BufReader::new(session.stdout.as_mut().unwrap())
            .read_line(&mut address)
            .unwrap();
        Desktop {
            session,
            address: address.trim_end().to_owned(),
        }
    }

    fn run(&self, home: &Home, args: &[&str]) -> Ran {
        let mut command = home.command(args);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        Ran::from(command.output().unwrap())
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        // The session ends with its program, which ends with its input.
        drop(self.session.stdin.take());
        let _ = self.session.wait();
    }
}

#[test]
fn in_the_desktops_keyring() {
    let home = Home::new();
    let desktop = Desktop::start(&home);
    lives(&home, KEYRING, "desktop", |args| desktop.run(&home, args));
}

#[test]
fn cron_without_the_desktop_is_told_what_is_missing() {
    let home = Home::new();
    let desktop = Desktop::start(&home);
    home.person(KEYRING, PASSWORD);
    desktop.run(&home, &["token", "get", "support"]).succeeds();
    home.run(&["token", "get", "support"])
        .fails(78)
        .mentions("cannot read the desktop's keyring: DBUS_SESSION_BUS_ADDRESS is not set");
    desktop.run(&home, &["token", "get", "support"]).succeeds();
    assert_eq!(home.asked(), 1);
    // What cannot be erased is named, and not the program's any more.
    let forgot = home.run(&["token", "forget", "--all"]);
    assert_eq!(forgot.code, 78);
    assert_eq!(forgot.stdout, "erased 2 tokens\n");
    forgot.mentions("erase it there yourself: refresh-support@contoso.com-");
    home.run(&["token", "forget", "--all"]).succeeds();
}

/// The script of docs/token-store.md, and a key without a passphrase.
#[test]
fn in_pass_as_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/token-store.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("<!-- tested: pass -->\n```sh\n").unwrap();
    let (script, _) = rest.split_once("\n```").unwrap();
    let home = Home::new();
    home.write("pass-store", script);
    let prepare = "set -e
        mkdir -m 700 .gnupg
        gpg --batch --quiet --passphrase '' --quick-gen-key queuemail rsa2048 encr never
        pass init queuemail";
    let shell = |script: &str| {
        let ran = Command::new("sh")
            .args(["-c", script])
            .env("HOME", home.folder.path())
            .env_remove("GNUPGHOME")
            .env_remove("PASSWORD_STORE_DIR")
            .current_dir(home.folder.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    shell(prepare);
    let head = "token_store: {command: [sh, '{home}/pass-store']}";
    lives(&home, head, "command", |args| home.run(args));
    home.person(head, PASSWORD);
    home.run(&["token", "get", "support"]).succeeds();
    let listed = shell("pass ls queuemail");
    assert_eq!(listed.matches("support@contoso.com").count(), 2, "{listed}");
    shell("gpgconf --kill gpg-agent");
}

#[test]
fn a_store_that_cannot_be_written_costs_no_token() {
    let home = Home::signed_in_person(COMMAND);
    home.write("vault.fail-store", "1");
    for _ in 0..2 {
        let ran = home.run(&["token", "get", "support", "--fresh"]).succeeds();
        claims(&ran.stdout);
        ran.mentions("is used in this run but not kept: cannot write to the store of command `sh`")
            .mentions("`sh` ended with exit code 1; it said: the vault is sealed")
            .mentions("sign in: queuemail token login support@contoso.com");
    }
    state_is_clean(&home);
    assert_eq!(vault(&home).len(), 2, "what was there before");
    fs::remove_file(home.path("vault.fail-store")).unwrap();
    let ran = home.run(&["token", "get", "support", "--fresh"]).succeeds();
    assert_eq!(ran.stderr, "");
    assert_eq!(vault(&home).len(), 2);

    // A server that takes a refresh token once leaves no way but a new sign-in.
    home.standin.faults().strict_rotation.store(true, SeqCst);
    home.write("vault.fail-store", "1");
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
    home.run(&["token", "get", "support", "--fresh"])
        .fails(77)
        .mentions("sign in again: `queuemail token login support@contoso.com`");
}

#[test]
fn within_a_run_a_token_that_is_not_kept_is_used_again() {
    let head = format!("{COMMAND}\ndefaults: {{deliver: 'maildir:{{home}}/mail'}}");
    let home = Home::signed_in_person(&head);
    home.standin.faults().strict_rotation.store(true, SeqCst);
    for mailbox in [ADDRESS, "desk@contoso.com"] {
        home.standin.add_mailbox(mailbox);
        home.standin.grant_user(ADDRESS, mailbox);
    }
    let second = "deliver: 'maildir:{home}/mail'
      - address: desk@contoso.com
        server: people
        account: support@contoso.com";
    home.person(&head, second);
    for name in vault(&home) {
        if name.starts_with("access-") {
            fs::remove_file(home.path("vault").join(name)).unwrap();
        }
    }
    home.write("vault.fail-store", "1");
    home.run(&["fetch"]).succeeds().mentions("but not kept");
    assert_eq!(home.asked(), 2, "one request serves both mailboxes");
}

#[test]
fn a_store_that_cuts_a_token_off_is_found_out() {
    let home = Home::signed_in_person(COMMAND);
    home.write("vault.cut", "");
    home.run(&["token", "get", "support", "--fresh"])
        .succeeds()
        .mentions("other bytes back");
    fs::remove_file(home.path("vault.cut")).unwrap();
    // The one before it is still whole.
    let ran = home.run(&["token", "get", "support", "--fresh"]).succeeds();
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_store_that_cannot_be_read_is_no_empty_store() {
    let home = Home::signed_in_person(COMMAND);
    for (code, exit) in [("1", 78), ("75", 75)] {
        home.write("vault.fail-get", code);
        home.person(COMMAND, PASSWORD);
        home.run(&["token", "get", "support"])
            .fails(exit)
            .mentions("cannot read the store of command `sh`")
            .mentions("the vault is sealed");
        home.person(COMMAND, "");
    }
    assert_eq!(home.asked(), 1, "no password is tried because of it");
    fs::remove_file(home.path("vault.fail-get")).unwrap();
    home.run(&["token", "get", "support"]).succeeds();
    fs::remove_dir_all(home.path("vault")).unwrap();
    home.run(&["token", "get", "support"]).fails(77).mentions(
        "the refresh token of `support@contoso.com` is no longer in the store of command `sh`",
    );
}

#[test]
fn nobody_signs_in_for_a_store_that_takes_nothing() {
    let home = Home::new();
    script(&home);
    home.person(COMMAND, "");
    home.write("vault.fail-store", "1");
    home.run(&["token", "login", "support", "--device"])
        .fails(73)
        .mentions("cannot write to the store of command `sh`")
        .hides("enter the code");
    let check = home.run(&["check", "support"]);
    assert!(
        check.stdout.contains("cannot write to the store"),
        "{check:?}"
    );
}

#[test]
fn what_is_just_being_got_is_forgotten_too() {
    for head in ["", COMMAND] {
        let home = Home::signed_in_person(head);
        let delay = TokenFault::Delay(Duration::from_millis(700));
        home.standin.faults().token_next(1, delay);
        let mut child = home
            .command(&["token", "get", "support", "--fresh"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("it asks", || home.asked() >= 2);
        home.run(&["token", "forget", "support"]).succeeds();
        assert!(child.wait().unwrap().success());
        assert_eq!(listed(&home, |args| home.run(args)), [""; 0], "{head}");
        assert_eq!(vault(&home), [""; 0]);
    }
}

#[test]
fn tokens_follow_a_change_of_the_store() {
    let home = Home::signed_in_person("");
    home.standin.faults().strict_rotation.store(true, SeqCst);
    let token = home.run(&["token", "get", "support"]).succeeds().stdout;
    let moved = "token_store: {command: [sh, '{home}/vault.sh', '{home}/moved']}";
    let renamed = "token_store: {command: [/bin/sh, '{home}/vault.sh', '{home}/moved']}";
    for (head, store) in [
        (COMMAND, "command"),
        (KEYRING, "kernel"),
        (COMMAND, "command"),
        (moved, "command"),
        (renamed, "command"),
        ("", "database"),
        (KEYRING, "kernel"),
        ("", "database"),
    ] {
        home.person(head, "");
        let ran = home.run(&["token", "get", "support"]).succeeds();
        assert_eq!(ran.stdout, token, "{head}");
        assert_eq!(ran.stderr, "", "{head}");
        assert_eq!(listed(&home, |args| home.run(args)), [store; 2], "{head}");
        match head {
            "" => {}
            _ => state_is_clean(&home),
        }
        assert_eq!(vault(&home).len(), if head == COMMAND { 2 } else { 0 });
    }
    assert_eq!(home.asked(), 1);
    assert_eq!(fs::read_dir(home.path("moved")).unwrap().count(), 0);
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
}

#[test]
fn what_cannot_be_moved_stays_in_use() {
    let home = Home::signed_in_person("");
    home.write("vault.fail-store", "1");
    home.person(COMMAND, "");
    home.run(&["token", "get", "support"])
        .succeeds()
        .mentions("a stored refresh token cannot be moved to the `token_store`")
        .mentions("the vault is sealed");
    assert_eq!(listed(&home, |args| home.run(args)), ["database"; 2]);
    fs::remove_file(home.path("vault.fail-store")).unwrap();
    let ran = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(ran.stderr, "");
    state_is_clean(&home);
    assert_eq!(home.asked(), 1);
}

#[test]
fn the_apps_own_tokens_are_kept_there_too() {
    let home = Home::new();
    script(&home);
    home.service("secret: 's3cret~+&='");
    let text = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.config(&text.replace("version: 1\n", &format!("version: 1\n{COMMAND}\n")));
    let first = home.run(&["token", "get", "support"]).succeeds();
    let second = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(home.asked(), 1);
    assert!(vault(&home)[0].starts_with("access-app-"));
    state_is_clean(&home);
    home.standin
        .faults()
        .token_next(1, TokenFault::Status(503, None));
    home.run(&["token", "get", "support", "--fresh"]).fails(75);
    home.run(&["token", "get", "support"]).succeeds();
}
