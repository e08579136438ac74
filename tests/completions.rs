//! Completions in real shells on a real terminal: what Tab leaves on the line, in the words that
//! the shell would hand to the program.

use crate::patience::PATIENCE;
use crate::world::{CLIENT_ID, World};
use rexpect::session::{PtySession, spawn_command};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Names with what shells trip over: spaces, quotes, `@` and `:`.
fn contact_centre() -> World {
    World::with_config(&format!(
        "version: 1
incoming_servers:
  - {{name: Contoso, address: 'https://login.microsoftonline.com/contoso.onmicrosoft.com', authentication: oauth-service, client_id: {CLIENT_ID}, secret: {{env: S}}}}
outgoing_servers:
  - {{name: 'The way out', tenant: contoso.onmicrosoft.com, authentication: oauth-service}}
queues:
  - name: support
    addresses: [{{address: support@contoso.com, server: Contoso}}]
  - name: O'Neill $HOME
    addresses: [{{address: oneill@contoso.com, server: Contoso}}]
  - name: 'night: late'
    addresses: [{{address: night@contoso.com, server: Contoso}}]
"
    ))
}

/// A shell that waits for keys; `show WORDS` writes its words to a file.
struct Shell {
    session: PtySession,
    world: World,
    shown: u32,
}

impl Shell {
    /// `program` with `arguments`, set up by `lines`; `SCRIPT` in them is the file that the
    /// program printed for this shell.
    fn start(program: &str, arguments: &[&str], lines: &[&str]) -> Shell {
        let world = contact_centre();
        let shell = Path::new(program)
            .file_name()
            .expect("a name")
            .to_string_lossy();
        assert!(
            Path::new(program).exists(),
            "{program} is missing: scripts/need test installs it"
        );
        let script = world.run(["completions", &*shell]).succeeds().stdout;
        let script = world.write("script", script);
        let binary = Path::new(env!("CARGO_BIN_EXE_queuemail"));
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("HOME", world.home())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env(
                "PATH",
                format!(
                    "{}:/usr/bin:/bin",
                    binary.parent().expect("a folder").display()
                ),
            )
            .env("SHOWN", world.path("shown"))
            .args(arguments)
            .current_dir(world.home());
        let session = spawn_command(command, Some(20_000)).expect("a terminal");
        let mut shell = Shell {
            session,
            world,
            shown: 0,
        };
        for line in lines {
            shell.keys(&line.replace("SCRIPT", script.to_str().expect("UTF-8")));
            shell.keys("\r");
        }
        shell.keys("show ready\r");
        assert_eq!(shell.shown(), "<ready>");
        shell
    }

    fn keys(&mut self, keys: &str) {
        self.session.send(keys).expect("keys are taken");
        self.session.flush().expect("keys are taken");
    }

    /// What `show` wrote, once it is there.
    fn shown(&mut self) -> String {
        self.shown += 1;
        let path = self.world.path("shown");
        let end = Instant::now() + PATIENCE;
        loop {
            // A terminal that nobody reads from would stop the shell.
            while self.session.try_read().is_some() {}
            if let Some(text) = fs::read_to_string(&path).ok().filter(|t| t.ends_with('>')) {
                fs::remove_file(&path).expect("removed");
                return text;
            }
            assert!(Instant::now() < end, "nothing was shown ({})", self.shown);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types, presses Tab, and demands these words in the line.
    fn check(&mut self, typed: &str, words: &[&str]) {
        self.keys(&format!("{typed}\t\x01show \r"));
        let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
        assert_eq!(self.shown(), expected, "{typed}");
    }
}

/// What every shell must do.
fn completes(mut shell: Shell) {
    shell.check("queuemail fet", &["queuemail", "fetch"]);
    shell.check("queuemail fetch sup", &["queuemail", "fetch", "support"]);
    shell.check(
        "queuemail fetch one",
        &["queuemail", "fetch", "oneill@contoso.com"],
    );
    shell.check(
        "queuemail fetch oneill@con",
        &["queuemail", "fetch", "oneill@contoso.com"],
    );
    shell.check(
        "queuemail fetch nigh\t:",
        &["queuemail", "fetch", "night: late"],
    );
    shell.check(
        "queuemail queue show O",
        &["queuemail", "queue", "show", "O'Neill $HOME"],
    );
    shell.check(
        "queuemail server show T",
        &["queuemail", "server", "show", "The way out"],
    );
    shell.check(
        "queuemail queue add x --server C",
        &["queuemail", "queue", "add", "x", "--server", "Contoso"],
    );
    shell.check(
        "queuemail queue add x --serv",
        &["queuemail", "queue", "add", "x", "--server"],
    );
    shell.check(
        "queuemail server add incoming x --auth oauth-s",
        &[
            "queuemail",
            "server",
            "add",
            "incoming",
            "x",
            "--auth",
            "oauth-service",
        ],
    );
    shell.check(
        "queuemail server add incoming x --auth=oauth-u",
        &[
            "queuemail",
            "server",
            "add",
            "incoming",
            "x",
            "--auth=oauth-user",
        ],
    );
    // What is no option of the program is a file's name.
    shell.check(
        "queuemail config validate scr",
        &["queuemail", "config", "validate", "script"],
    );
    // A shell at a terminal does not mind SIGTERM.
    shell.keys("exit\r");
    shell.session.exp_eof().expect("the shell ends");
}

#[test]
fn bash() {
    let mut shell = Shell::start(
        "/bin/bash",
        &["--norc", "--noprofile", "-i"],
        &[
            "show() { printf '<%s>' \"$@\" > $SHOWN; }",
            "bind 'set bell-style none'",
            "source SCRIPT",
        ],
    );
    shell.check(
        "queuemail server show 'The w",
        &["queuemail", "server", "show", "The way out"],
    );
    shell.check(
        "queuemail server show \"The w",
        &["queuemail", "server", "show", "The way out"],
    );
    shell.check(
        r"queuemail server show The\ w",
        &["queuemail", "server", "show", "The way out"],
    );
    completes(shell);
}

#[test]
fn zsh() {
    completes(Shell::start(
        "/usr/bin/zsh",
        &["-f", "-i"],
        &[
            "show() { printf '<%s>' \"$@\" > $SHOWN; }",
            "bindkey -e; unsetopt beep; autoload -U compinit; compinit -D",
            "source SCRIPT",
        ],
    ));
}

#[test]
fn fish() {
    completes(Shell::start(
        "/usr/bin/fish",
        &["--no-config", "--interactive"],
        &[
            "function show; printf '<%s>' $argv > $SHOWN; end",
            "source SCRIPT",
        ],
    ));
}

#[test]
fn a_broken_configuration_offers_no_names_and_says_nothing() {
    let world = World::with_config("version: [");
    world
        .run(["completions", "zsh", "--", "queuemail", "fetch", ""])
        .succeeds()
        .says_nothing();
}

/// A command that takes one name is not offered a second one.
#[test]
fn what_is_complete_gets_no_more_names() {
    let world = contact_centre();
    let offered = |words: &[&str]| {
        let run = world.run(["completions", "fish", "--", "queuemail"]);
        run.args(words).succeeds().stdout
    };
    assert!(offered(&["fetch", "support", ""]).contains("oneill@contoso.com"));
    assert_eq!(offered(&["queue", "show", "support", ""]), "");
    assert_eq!(
        offered(&["queue", "add", "x", "--server", "Contoso", ""]),
        ""
    );
}

#[test]
fn the_configuration_named_on_the_line_counts() {
    let world = contact_centre();
    world.write("other.yaml", "version: 1\nqueues: [{name: elsewhere}]\n");
    world
        .run([
            "completions",
            "fish",
            "--",
            "queuemail",
            "-c",
            "other.yaml",
            "fetch",
            "else",
        ])
        .succeeds()
        .prints("elsewhere\tqueue\n");
}
