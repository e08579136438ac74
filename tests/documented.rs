//! What the documents tell people to type is what the program takes: every call of `queuemail`, in
//! the README, docs/, the help texts and cron's lines, is read by the real definition of the
//! command line.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_documented_command_line_is_taken() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut texts: Vec<(String, String)> = documents()
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a document");
            (path.display().to_string(), text)
        })
        .collect();
    texts.extend(helps(&queuemail::command()));
    for (place, text) in &texts {
        for line in command_lines(text) {
            count += 1;
            let Some(words) = words(&line) else {
                wrong.push(format!("{place}: cannot be split into words: {line}"));
                continue;
            };
            match queuemail::command().try_get_matches_from(words) {
                Err(err) if err.use_stderr() && !is_of_placeholder(&err) => {
                    let why = err.to_string();
                    let why = why.lines().next().unwrap_or_default();
                    wrong.push(format!("{place}: {line}\n    {why}"));
                }
                _ => {}
            }
        }
    }
    assert!(count > 150, "only {count} command lines were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `check` tells people to type is taken, too.
#[test]
fn every_remedy_can_be_typed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/check");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the sentences").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a sentence");
        for call in calls(&text) {
            count += 1;
            // A word of explanation may follow.
            let typed = call.split(", ").next().unwrap_or_default();
            let typed = typed.split(": ").next().unwrap_or_default();
            let typed = typed.trim_end_matches([',', ':']);
            let words = words(typed).unwrap_or_else(|| panic!("{typed}"));
            match queuemail::command().try_get_matches_from(words) {
                Err(err) if !is_of_placeholder(&err) => {
                    panic!("{}: {typed}\n{err}", entry.path().display())
                }
                _ => {}
            }
        }
    }
    assert!(count > 25, "only {count} were found");
}

/// True where a value was refused that only stands for one, like `ADDRESS` or `$address`.
fn is_of_placeholder(err: &clap::Error) -> bool {
    let Some(ContextValue::String(value)) = err.get(ContextKind::InvalidValue) else {
        return false;
    };
    let mut words = value.split(|c: char| !c.is_ascii_alphabetic());
    let is_name = words.any(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
    err.kind() == ErrorKind::ValueValidation && (is_name || value.starts_with('$'))
}

/// The documents' scripts are scripts, as far as reading them tells.
#[test]
fn every_script_can_be_read() {
    let mut powershell = tree_sitter::Parser::new();
    powershell
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .expect("the grammar");
    let (mut shells, mut powershells) = (0, 0);
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        for (at, _) in text.match_indices("\n```") {
            let Some((language, rest)) = text[at + 4..].split_once('\n') else {
                continue;
            };
            let script = rest.split("\n```").next().unwrap_or_default();
            let place = format!("{}:\n{script}", path.display());
            match language {
                "sh" => {
                    shells += 1;
                    let shell = std::process::Command::new("bash")
                        .args(["-n", "-c", script])
                        .output()
                        .expect("bash");
                    let said = String::from_utf8_lossy(&shell.stderr);
                    assert!(shell.status.success(), "{said}{place}");
                }
                "powershell" => {
                    powershells += 1;
                    let tree = powershell.parse(script, None).expect("a tree");
                    assert!(!tree.root_node().has_error(), "{place}");
                }
                _ => {}
            }
        }
    }
    assert!(shells > 20 && powershells > 3, "{shells}, {powershells}");
}

/// Links between the documents lead somewhere.
#[test]
fn links_lead_to_files() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        for (at, _) in text.match_indices("](") {
            let rest = &text[at + 2..];
            let link = &rest[..rest.find(')').unwrap_or(rest.len())];
            let file = link.split('#').next().unwrap_or_default();
            let is_far = link.contains("://");
            if !is_far && !file.is_empty() && !path.with_file_name(file).exists() {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The program's own words in every error that the tests hold: a lower-case phrase or a command, no
/// period.
#[test]
fn messages_have_one_style() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("tests/messages").flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        for line in text.lines() {
            let kinds = ["error: ", "caused by: ", "hint: "];
            let Some(words) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else {
                continue;
            };
            count += 1;
            let first = words.split(' ').next().unwrap_or_default();
            let is_command = first.contains('-');
            assert!(
                !words.starts_with(char::is_uppercase) || is_command,
                "{line}"
            );
            assert!(!words.ends_with('.'), "{line}");
            assert!(!words.to_lowercase().contains("please"), "{line}");
        }
    }
    assert!(count > 100, "only {count} lines were found");
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs")];
    let mut found: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder").flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    found.sort();
    assert!(found.len() > 5, "{found:?}");
    found
}

fn helps(command: &clap::Command) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = command.get_subcommands().flat_map(helps).collect();
    if let Some(text) = command.get_after_long_help() {
        found.push((format!("{} --help", command.get_name()), text.to_string()));
    }
    found
}

/// The calls of `queuemail` in code blocks, in whatever a shell or cron puts before them; lines
/// that are continued are joined.
fn command_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let mut found = Vec::new();
    let mut fenced = false;
    for line in joined.lines() {
        fenced ^= line.trim_start().starts_with("```");
        // A block is indented or fenced; prose that begins with the name is neither.
        let code = line.trim_start_matches("$ ").trim_start();
        let is_block = fenced || line.starts_with([' ', '\t', '$']);
        if is_block && !code.starts_with('#') {
            found.extend(calls(code));
        }
        // Hints and prose name commands in backquotes.
        for (index, part) in line.split('`').enumerate() {
            // A command's name alone is no line to type.
            let is_line = part
                .split(' ')
                .any(|word| word.starts_with(['-', '{', '<']))
                || part
                    .split(' ')
                    .any(|word| word.starts_with(|c: char| c.is_uppercase()));
            if index % 2 == 1 && part.starts_with("queuemail ") && !part.contains('…') && is_line
            {
                found.push(part.to_owned());
            }
        }
    }
    found
}

/// Where the program's name is followed by a command of it.
fn calls(code: &str) -> Vec<String> {
    let command = queuemail::command();
    code.match_indices("queuemail ")
        .filter(|(at, name)| {
            let before = code[..*at].chars().next_back();
            let after = code[at + name.len()..].trim_start().split(' ').next();
            before.is_none_or(|c| " /(=".contains(c))
                && command.find_subcommand(after.unwrap_or_default()).is_some()
        })
        .map(|(at, _)| code[at..].to_owned())
        .collect()
}

/// The words up to what is the shell's: a pipe, a redirection, a comment. Two spaces within a
/// line of an example begin its explanation.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let gap = line.match_indices("  ").map(|(at, _)| at).find(|at| {
        let before = &line[..*at];
        before.matches('\'').count().is_multiple_of(2) && !line[*at..].trim_start().starts_with('-')
    });
    let line = &line[..gap.unwrap_or(line.len())];
    let mut quoted = false;
    let end = line.find(|c| {
        quoted ^= c == '\'';
        !quoted && [';', '|', '<', '>', '#', '&', ')'].contains(&c)
    });
    // `ID|DOMAIN` in prose is no pipe, and `<` may open a placeholder; both are rare enough to
    // be cut off like the shell's own.
    let words = shell_words::split(line[..end.unwrap_or(line.len())].trim()).ok()?;
    Some(
        words
            .into_iter()
            .filter(|word| word != "…" && word != "...")
            .collect(),
    )
}
