//! `man/`: `queuemail.1` and one page for each command, its subcommands within it. What clap does
//! not know (exit status, files, promises) stands in `man/sections/`, and is added at the end.

use super::{check_fresh, read, root};
use clap::Command;
use clap_mangen::Man;
use std::fs;

/// When the pages last changed in a way that a reader would notice.
const DATE: &str = "2026-11-24";

#[test]
fn man_pages_are_fresh_and_well_formed() {
    let program = queuemail::command();
    let mut expected = vec!["queuemail.1".to_owned(), "queuemail.yaml.5".to_owned()];
    check_fresh("man/queuemail.1", &page(&program));
    for command in commands(&program) {
        let name = format!("queuemail-{}.1", command.get_name());
        check_fresh(&format!("man/{name}"), &page(command));
        expected.push(name);
    }
    let committed = fs::read_dir(root("man")).expect("man/").flatten();
    for entry in committed.filter(|entry| entry.path().is_file()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(expected.contains(&name), "man/{name} belongs to no command");
        check_renders(&format!("man/{name}"));
    }
    for entry in fs::read_dir(root("man/sections"))
        .expect("man/sections/")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            expected.contains(&name),
            "man/sections/{name} belongs to no command"
        );
    }
}

/// mandoc, which is strict, has nothing to complain about.
fn check_renders(page: &str) {
    let output = std::process::Command::new("mandoc")
        .args(["-Tlint", "-W", "warning"])
        .arg(root(page))
        .output()
        .expect("mandoc runs (scripts/need test installs it)");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{page}");
}

fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    let shown = command.get_subcommands().filter(|c| !c.is_hide_set());
    shown.filter(|c| c.get_name() != "help")
}

/// A whole page.
fn page(command: &Command) -> String {
    let dashed = full_name(command).replace(' ', "-");
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        ".\\\" Generated from the command line's definition; see CONTRIBUTING.md.\n\
         .TH {} 1 \"{DATE}\" \"queuemail {version}\" \"queuemail manual\"\n\
         .SH NAME\n{} \\- {}\n",
        dashed.to_uppercase(),
        roff(&dashed),
        about(command),
    );
    text += &format!(".SH SYNOPSIS\n{}", synopses(command));
    let help = Help::of(command);
    if is_group(command) {
        text += ".SH COMMANDS\n";
        match dashed.as_str() {
            "queuemail" => text += &index(command),
            _ => text += &sections(command),
        }
    }
    let is_program = dashed == "queuemail";
    text += &options(command, is_program, "SH");
    if !help.examples.is_empty() {
        text += &format!(".SH EXAMPLES\n{}", help.examples);
    }
    if !help.notes.is_empty() {
        text += &format!(".SH NOTES\n{}", help.notes);
    }
    let more = format!("man/sections/{dashed}.1");
    match root(&more).exists() {
        true => text + &read(&more),
        false => {
            text + ".SH SEE ALSO\n.BR queuemail (1)\nfor the global options and the exit codes,\n.BR queuemail.yaml (5)\n"
        }
    }
}

/// The pages of the program's commands.
fn index(command: &Command) -> String {
    let entry = |c: &Command| {
        let name = roff(&format!("queuemail-{}", c.get_name()));
        format!(".TP\n.BR {name} (1)\n{}\n", about(c))
    };
    commands(command).map(entry).collect()
}

/// A part of the page for each subcommand, those of subcommands too.
fn sections(command: &Command) -> String {
    let mut text = String::new();
    for sub in commands(command) {
        if is_group(sub) {
            text += &sections(sub);
            continue;
        }
        let help = Help::of(sub);
        text += &format!(".SS {}\n{}\n", roff(&full_name(sub)), about(sub));
        text += &format!(".PP\n{}", synopses(sub));
        text += &options(sub, false, "PP");
        if !help.examples.is_empty() {
            text += &format!(".PP\nExamples:\n.PP\n{}", help.examples);
        }
        if !help.notes.is_empty() {
            text += &format!(".PP\n{}", help.notes);
        }
    }
    text
}

/// How it is called; of a group, how each of its commands is.
fn synopses(command: &Command) -> String {
    if is_group(command) && full_name(command) != "queuemail" {
        let lines: Vec<String> = commands(command).map(synopses).collect();
        return lines.join(".br\n");
    }
    // The options of all commands, which its help leaves out, may be given as well.
    let mut whole = command.clone().mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(false),
        false => arg,
    });
    let usage = whole.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let name = full_name(command);
    let rest = usage.strip_prefix(&name).unwrap_or(usage).trim();
    format!(".B {}\n{}\n", roff(&name), roff(rest))
}

/// The options as clap_mangen writes them, under the manual's own headings. The global ones are
/// told of once, in queuemail(1).
fn options(command: &Command, with_global: bool, heading: &str) -> String {
    let command = command.clone().mut_args(|arg| {
        let told = arg.is_global_set() == with_global || !arg.is_global_set();
        let is_help = matches!(arg.get_id().as_str(), "help" | "version");
        let hidden = !told || arg.is_hide_set() || (is_help && !with_global);
        // What -h leaves out for brevity belongs here.
        arg.hide(hidden).hide_short_help(false)
    });
    if command.get_arguments().all(clap::Arg::is_hide_set) {
        return String::new();
    }
    let mut bytes = Vec::new();
    Man::new(command)
        .render_options_section(&mut bytes)
        .expect("written to memory");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let lines = text
        .lines()
        // The roff crate's preamble, and line breaks around empty lines.
        .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "))
        .filter(|line| *line != ".br")
        .map(|line| if line.is_empty() { ".sp" } else { line })
        .filter_map(|line| match line.strip_prefix(".SH ") {
            Some("OPTIONS") if heading == "PP" => None,
            Some(name) => Some(format!(".SH {name}")),
            None => Some(line.to_owned()),
        });
    let quote = |line: String| line.replace("\\*(Aq", "\\(aq") + "\n";
    lines.map(quote).collect()
}

/// The long help's end: examples, and what follows them after an empty line.
struct Help {
    examples: String,
    notes: String,
}

impl Help {
    fn of(command: &Command) -> Help {
        let text = command.get_after_long_help().map(ToString::to_string);
        let text = text.unwrap_or_default();
        let (examples, notes) = match text.strip_prefix("Examples:\n") {
            Some(rest) => rest.split_once("\n\n").unwrap_or((rest, "")),
            None => ("", text.as_str()),
        };
        let verbatim: String = examples
            .lines()
            .map(|line| roff(line.strip_prefix("  ").unwrap_or(line)) + "\n")
            .collect();
        Help {
            examples: match verbatim.is_empty() {
                true => verbatim,
                false => format!(".nf\n{verbatim}.fi\n"),
            },
            notes: paragraphs(notes),
        }
    }
}

fn paragraphs(text: &str) -> String {
    text.lines()
        .map(|line| match line.trim() {
            "" => ".PP\n".to_owned(),
            line => roff(line) + "\n",
        })
        .collect()
}

fn full_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    name.to_owned()
}

fn about(command: &Command) -> String {
    roff(
        &command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    )
}

fn is_group(command: &Command) -> bool {
    commands(command).next().is_some()
}

/// Text that roff takes as it stands.
fn roff(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('…', "...");
    match escaped.starts_with('.') {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}
