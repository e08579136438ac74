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
            .mentions("`0` is no value of");
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
    for line in ["config path", "--json queue list"] {
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
        }
        command.get_subcommands().for_each(check);
    }
    check(&queuemail::command());
}
