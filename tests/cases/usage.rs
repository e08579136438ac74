//! Command lines that are wrong: the same shape as every other error, exit code 64, and the next
//! thing to type.

use crate::world::World;

#[test]
fn each_mistake_says_what_to_type() {
    let world = World::new();
    for (line, message) in [
        ("fech", "usage_command"),
        ("server add incomin", "usage_subcommand"),
        ("add queue support", "usage_turned_round"),
        ("queue support add", "usage_order"),
        ("server add incoming x --secret s", "usage_secret"),
        ("fetch --limt 3", "usage_option"),
        ("token get", "usage_missing"),
        ("token get a b", "usage_too_many"),
        ("server add incoming x --auth foo", "usage_value"),
        (
            "server add incoming x --auth oauth-servic",
            "usage_near_value",
        ),
        ("fetch --jobs 300", "usage_range"),
        ("fetch --jobs many", "usage_number"),
        ("fetch --since", "usage_no_value"),
        ("fetch --audit --dry-run", "usage_conflict"),
        ("fetch --limit 1 --limit 2", "usage_twice"),
    ] {
        world
            .run(line.split(' '))
            .fails(64)
            .says(message)
            .prints("");
    }
}

/// In other programs 0 is no limit: here nothing would ever be fetched, without a word.
#[test]
fn no_limit_of_a_fetch_is_nothing() {
    let world = World::with_config("version: 1\n");
    for option in ["--limit", "--budget", "--budget-each"] {
        world
            .run(["fetch", option, "0"])
            .fails(64)
            .mentions("invalid value `0` for");
    }
}

#[test]
fn json_is_kept_for_usage_errors_too() {
    let ran = World::new().run(["--json", "fech"]).fails(64);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).expect("one JSON object");
    assert_eq!(error["exit_code"], 64);
    assert_eq!(error["hints"][0], "did you mean `queuemail fetch`?");
}

/// A result that cannot be written is lost, and no mistake of the program.
#[test]
fn a_full_standard_output_is_said() {
    for line in ["config path", "--json queue list", "--help", "--version"] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let world = World::with_config("version: 1\n");
        let output = world.run(line.split(' ')).command().stdout(full).output();
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(73), "{line}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

#[test]
fn help_is_a_result_and_one_screen() {
    let world = World::new();
    for line in [
        "-h",
        "help",
        "--help",
        "fetch -h",
        "help fetch",
        "--version",
    ] {
        let ran = world.run(line.split(' ')).succeeds();
        assert!(ran.stderr.is_empty(), "{ran}");
    }
    for line in [
        "-h",
        "fetch -h",
        "send -h",
        "status -h",
        "server add incoming -h",
        "queue add -h",
    ] {
        let ran = world.run(line.split(' ')).succeeds();
        let lines = ran.stdout.lines().count();
        assert!(lines <= 50, "{lines} lines\n{ran}");
    }
    // Without a command the help stands in for it, and that is an error.
    let ran = world.run(["server"]).fails(64);
    assert!(ran.stderr.contains("Usage: queuemail server"), "{ran}");
}

#[test]
fn help_fits_80_columns_and_tells_of_global_options_once() {
    fn paths(command: &clap::Command, above: &[&str], found: &mut Vec<Vec<String>>) {
        let path: Vec<&str> = above.iter().copied().chain([command.get_name()]).collect();
        found.push(path[1..].iter().map(|word| (*word).to_owned()).collect());
        let shown = command.get_subcommands().filter(|c| !c.is_hide_set());
        for below in shown.filter(|c| c.get_name() != "help") {
            paths(below, &path, found);
        }
    }
    let mut found = Vec::new();
    paths(&queuemail::command(), &[], &mut found);
    assert!(found.len() > 40, "{found:?}");
    let world = World::new();
    for path in found {
        for flag in ["-h", "--help"] {
            let run = world.run(&path).arg(flag).env("COLUMNS", "80");
            let help = run.succeeds().stdout;
            let examples = help.split_once("Examples:\n").map_or("", |(_, rest)| rest);
            let examples = examples.split("\n\n").next().unwrap_or_default();
            for (text, widest) in [(help.as_str(), 80), (examples, 78)] {
                let wide = |line: &&str| line.chars().count() > widest;
                assert_eq!(text.lines().find(wide), None, "{path:?}");
            }
            let is_top = path.is_empty();
            assert_eq!(help.contains("--state-dir"), is_top, "{help}");
            let line = "Global options, such as --config and --json: queuemail --help\n";
            assert_eq!(help.ends_with(line), !is_top, "{help}");
        }
    }
}

/// First lines are imperative: a capital, no period. In the long help the examples come before
/// the options.
#[test]
fn help_texts_have_one_style() {
    fn check(command: &clap::Command) {
        let name = command.get_name();
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(about.starts_with(char::is_uppercase), "{name}: {about}");
        let first = about.split(' ').next().unwrap_or_default();
        assert!(!["The", "A", "What"].contains(&first), "{name}: {about}");
        assert!(!about.ends_with('.'), "{name}: {about}");
        for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let id = arg.get_id();
            assert!(help.starts_with(char::is_uppercase), "{name} {id}: {help}");
            assert!(!help.ends_with('.'), "{name} {id}: {help}");
        }
        if let Some(text) = command.get_after_long_help() {
            let text = text.to_string();
            assert!(text.starts_with("Examples:\n  "), "{name}: {text}");
            let help = command.clone().render_long_help().to_string();
            assert!(help.find("Examples:") < help.find("Options:"), "{help}");
            // The terminal's width breaks lines: a paragraph has none of its own, but of a list.
            let (examples, paragraphs) = text.split_once("\n\n").unwrap_or((&text, ""));
            let wide = |line: &&str| line.chars().count() > 78;
            assert_eq!(examples.lines().find(wide), None, "{name}");
            for lines in paragraphs.split("\n\n").map(str::lines) {
                let broken = lines
                    .clone()
                    .zip(lines.skip(1))
                    .find(|(line, next)| !line.starts_with("  ") && !next.starts_with("  "));
                assert_eq!(broken, None, "{name}");
            }
        }
        command.get_subcommands().for_each(check);
    }
    check(&queuemail::command());
}

#[test]
fn a_name_that_looks_like_an_option_can_be_given() {
    let world = World::new();
    world
        .run(["queue", "add", "q", "--server", "-old"])
        .fails(64)
        .mentions("a value that begins with a dash: `--server=-old`");
}

#[test]
fn the_hint_for_a_password_is_a_command_that_works() {
    let world = World::new();
    world.add_contoso();
    world
        .run(["server", "add", "outgoing", "Out", "--app", "Contoso"])
        .args(["--auth", "oauth-service", "--tenant", "contoso.com"])
        .succeeds();
    world
        .run(["server", "set", "Out", "--set-password"])
        .fails(64)
        .mentions("queuemail server set Out --password-file PATH");
}

#[test]
fn what_is_missing_is_said_in_json_too() {
    let world = World::new();
    for (args, words) in [
        (&["--json"][..], "`queuemail` needs a subcommand"),
        (&["--json", "queue"], "`queuemail queue` needs a subcommand"),
    ] {
        world.run(args).fails(64).mentions(words);
    }
    world
        .run(["server", "add", "incoming", "C", "--client-secret", "x"])
        .fails(64)
        .mentions("use `--secret-stdin`");
}

#[test]
fn without_a_home_what_needs_no_state_works() {
    // As cloud-init runs its scripts.
    let world = World::with_config("version: 1\n");
    let config = world.config_path();
    let run = |args: &[&str]| {
        let mut command = world.run(args).command();
        command.env_remove("HOME").env("QUEUEMAIL_CONFIG", &config);
        command.output().unwrap()
    };
    for args in [
        &["config", "validate"][..],
        &["config", "path"],
        &["explain", "65001"],
        &["completions", "bash"],
        &["queue", "list"],
    ] {
        let ran = run(args);
        let err = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(0), "{args:?}: {err}");
    }
    let ran = run(&["fetch"]);
    assert_eq!(ran.status.code(), Some(64));
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(err.contains("the state has no folder"), "{err}");
}
