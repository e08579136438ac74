//! The map of CONTRIBUTING.md stays true by itself: who in `src/` may name whom, and words that
//! have no place in a program which meets hostile input.

use std::fs;
use std::path::{Path, PathBuf};

/// The ground: these may name each other.
const BASE: &[&str] = &[
    "child",
    "config",
    "digest",
    "fault",
    "files",
    "http",
    "means",
    "net",
    "output",
    "powershell",
    "secret",
    "shell",
    "x509",
];

/// What a part may name beside itself and, where `true`, the ground.
const TABLE: &[(&str, bool, &[&str])] = &[
    ("main", false, &[]),
    ("lib", true, &["cli", "commands", "diagnosis", "usage"]),
    // Built for the fuzzers alone.
    ("fuzzing", true, &["delivery", "fetch", "mail", "oauth"]),
    ("cli", false, &[]),
    ("usage", false, &["command", "fault"]),
    (
        "commands",
        true,
        &[
            "check",
            "cli",
            "command",
            "delivery",
            "diagnosis",
            "expiry",
            "fetch",
            "mail",
            "oauth",
            "outbox",
            "prompt",
            "reach",
            "send",
            "setup",
            "state",
            "submit",
            "tokens",
            "vault",
        ],
    ),
    (
        "diagnosis",
        false,
        &["fault", "output", "powershell", "shell"],
    ),
    ("fetch", true, &["delivery", "mail", "state"]),
    ("outbox", true, &["delivery", "mail", "state"]),
    ("setup", true, &["submit"]),
    ("submit", true, &[]),
    ("expiry", true, &[]),
    (
        "check",
        true,
        &[
            "delivery",
            "expiry",
            "fetch::mailbox_key",
            "mail",
            "oauth",
            "reach",
            "state",
            "submit",
            "tokens",
        ],
    ),
    (
        "send",
        true,
        &[
            "delivery", "mail", "outbox", "reach", "state", "submit", "tokens",
        ],
    ),
    (
        "reach",
        true,
        &["mail", "oauth", "state", "submit", "tokens"],
    ),
    // What they keep of a message is all that the next two know of `mail`.
    ("delivery", true, &["mail::RemoteId"]),
    (
        "state",
        true,
        &["mail::Envelope", "mail::RefusedRecipient", "mail::RemoteId"],
    ),
    ("tokens", true, &["oauth", "state", "vault"]),
    ("vault", true, &[]),
    ("mail", true, &[]),
    ("oauth", true, &[]),
    ("prompt", true, &[]),
];

/// These print nothing and know no command line: they get values, and tell an `Observer`. Of
/// `output` they know how text is made safe.
const ENGINES: &[&str] = &[
    "check", "fetch", "outbox", "reach", "send", "setup", "tokens",
];

/// Words that panic, or that were forgotten.
const FORBIDDEN: &[&str] = &[
    ".expect(\"",
    ".expect(&",
    ".unwrap()",
    "dbg!(",
    "panic!(",
    "todo!(",
    "unimplemented!(",
    "unreachable!(",
];

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (place, part, line) in product_lines() {
        for name in named(&line) {
            let top = name.split("::").next().unwrap_or_default();
            let base = BASE.contains(&part.as_str());
            let rule = TABLE.iter().find(|(own, ..)| *own == part);
            let allowed = top == part
                || (BASE.contains(&top) && (base || rule.is_some_and(|r| r.1)))
                || rule.is_some_and(|r| r.2.contains(&top) || r.2.contains(&name.as_str()));
            if !allowed {
                wrong.push(format!(
                    "{place}: `{part}` may not name `{name}`: {}",
                    line.trim()
                ));
            }
            if !base && rule.is_none() {
                wrong.push(format!("{place}: `{part}` has no line in the table"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "see the map in CONTRIBUTING.md\n{}",
        wrong.join("\n")
    );
}

/// Arrows point down only: above the ground nobody comes back to itself.
#[test]
fn the_table_has_no_circle() {
    for (part, ..) in TABLE {
        let mut reached: Vec<&str> = Vec::new();
        let mut left = vec![*part];
        while let Some(at) = left.pop() {
            let rules = TABLE.iter().filter(|(own, ..)| *own == at);
            for name in rules.flat_map(|rule| rule.2) {
                let top = name.split("::").next().unwrap_or_default();
                assert_ne!(top, *part, "`{part}` comes back to itself by `{at}`");
                if !reached.contains(&top) {
                    reached.push(top);
                    left.push(top);
                }
            }
        }
    }
}

#[test]
fn engines_print_nothing() {
    let mut wrong = Vec::new();
    for (place, part, line) in product_lines() {
        let prints = named(&line).iter().any(|name| {
            name.starts_with("output")
                && !matches!(&**name, "output::escape" | "output::escape_lines")
        });
        let writes = ["println!", "print!(", "io::stdout", "io::stderr"]
            .iter()
            .any(|word| line.contains(word));
        if ENGINES.contains(&part.as_str()) && (prints || writes) {
            wrong.push(format!("{place}: {}", line.trim()));
        }
    }
    assert!(
        wrong.is_empty(),
        "tell an `Observer` instead\n{}",
        wrong.join("\n")
    );
}

/// Which way to a host is taken is decided in `reach`, and which cloud it is in, in `config`.
#[test]
fn commands_choose_no_way() {
    let wrong: Vec<String> = product_lines()
        .into_iter()
        .filter(|(_, part, line)| {
            part == "commands" && (line.contains("Way::") || line.contains("Cloud::"))
        })
        .map(|(place, _, line)| format!("{place}: {}", line.trim()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Another database is another driver, and nothing else.
#[test]
fn one_driver_knows_the_database() {
    const HOMES: [&str; 3] = [
        "src/state/db/",
        "src/state/schema.rs",
        "src/state/failure.rs",
    ];
    let others: Vec<String> = product_lines()
        .into_iter()
        .filter(|(place, _, line)| {
            line.contains("rusqlite") && !HOMES.iter().any(|home| place.starts_with(home))
        })
        .map(|(place, _, line)| format!("{place}: {}", line.trim()))
        .collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn the_product_has_no_word_that_panics() {
    let mut wrong = Vec::new();
    for (place, _, line) in product_lines() {
        let code = line.split("//").next().unwrap_or_default();
        if FORBIDDEN.iter().any(|word| code.contains(word)) {
            wrong.push(format!("{place}: {}", line.trim()));
        }
    }
    assert!(
        wrong.is_empty(),
        "return a `Fault` instead\n{}",
        wrong.join("\n")
    );
}

/// `shell` and `powershell` alone know how a name becomes one word: by hand it is forgotten.
#[test]
fn commands_in_hints_quote_names_in_one_place() {
    let mut wrong = Vec::new();
    for (place, _, line) in product_lines() {
        let by_hand = line.contains("'{") && line.contains("}'");
        if by_hand && line.contains(" --") {
            wrong.push(format!("{place}: {}", line.trim()));
        }
    }
    assert!(wrong.is_empty(), "use `shell::quote`\n{}", wrong.join("\n"));
}

/// A fault's words are for people: its kind and cause decide, so that no reworded sentence changes
/// what the program does.
#[test]
fn nothing_is_decided_by_the_words_of_a_fault() {
    const READS: &[&str] = &[
        ".contains(",
        ".ends_with(",
        ".find(",
        ".lines()",
        ".matches(",
        ".replace(",
        ".split",
        ".starts_with(",
        ".strip_",
        ".to_lowercase()",
        "!=",
        "==",
    ];
    // Which prints them.
    let lines: Vec<_> = product_lines()
        .into_iter()
        .filter(|(_, part, _)| part != "diagnosis")
        .collect();
    let mut wrong = Vec::new();
    for (index, (place, _, line)) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        // A chain of calls may go on in the next line.
        let next = lines.get(index + 1).map_or("", |(.., next)| next.trim());
        for (at, found) in code.match_indices(".what") {
            let rest = format!("{}{next}", code[at + found.len()..].trim());
            let rest = rest.trim_start_matches([' ', ')']);
            let rest = rest.strip_prefix(".as_str()").unwrap_or(rest);
            if READS.iter().any(|read| rest.trim().starts_with(read)) {
                wrong.push(format!("{place}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "use `Cause`\n{}", wrong.join("\n"));
}

/// Every line of the product itself, tests left out: where it stands, in which part, its text.
fn product_lines() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lines = Vec::new();
    for path in sources(&root.join("src")) {
        let below = path.strip_prefix(root.join("src")).expect("below src");
        let part = below.iter().next().expect("a name").to_string_lossy();
        let part = part.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        let mut rest = text.lines().enumerate();
        while let Some((index, line)) = rest.next() {
            if line.trim() == "#[cfg(test)]" {
                // Tests stand in a file of their own, or at the end of this one.
                match rest.next() {
                    Some((_, next)) if next.trim_end().ends_with('{') => break,
                    _ => continue,
                }
            }
            lines.push((
                format!("src/{}:{}", below.display(), index + 1),
                part.clone(),
                line.to_owned(),
            ));
        }
    }
    assert!(lines.len() > 1000, "the sources were not found");
    lines
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The paths that a line names after `crate::`, up to two words of each.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let word = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
        let path: Vec<&str> = text[..end.unwrap_or(text.len())]
            .split("::")
            .take(2)
            .collect();
        path.join("::").trim_end_matches(':').to_owned()
    };
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with('$'))
        .flat_map(|(at, found)| {
            let rest = &code[at + found.len()..];
            // `{a, b}` and `a::{b, c}` name several.
            match rest.split_once('{') {
                Some((before, group)) if before.is_empty() || before.ends_with("::") => group
                    .trim_end_matches(['}', ';'])
                    .split(',')
                    .map(|one| word(&format!("{before}{}", one.trim())))
                    .collect(),
                _ => vec![word(rest)],
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}
