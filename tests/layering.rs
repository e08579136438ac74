//! The map of CONTRIBUTING.md stays true by itself: who in `src/` may name whom, and words that
//! have no place in a program which meets hostile input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The ground: these may name each other.
const BASE: &[&str] = &[
    "child",
    "dialogue",
    "digest",
    "fault",
    "files",
    "html",
    "http",
    "means",
    "model",
    "net",
    "output",
    "powershell",
    "secret",
    "shell",
    "system",
    "wording",
    "workers",
    "x509",
];

/// What a part may name beside itself and, where `true`, the ground.
const TABLE: &[(&str, bool, &[&str])] = &[
    ("main", false, &[]),
    ("lib", true, &["cli", "commands", "diagnosis", "usage"]),
    // Built for the fuzzers alone.
    (
        "fuzzing",
        true,
        &[
            "config::parse",
            "delivery",
            "fetch",
            "mail",
            "oauth",
            "peers",
            "relay",
        ],
    ),
    (
        "cli",
        false,
        // Of the others it reads what an option can be.
        &[
            "config::load",
            "model",
            "output::LogFormat",
            "peers::Program",
            "provision",
            "shell",
        ],
    ),
    ("usage", false, &["cli", "fault"]),
    (
        "commands",
        true,
        &[
            "check",
            "cli",
            "config",
            "diagnosis",
            "fetch",
            "health",
            "incidents",
            "mail",
            "oauth",
            "office",
            "peers",
            "prompt",
            "provision",
            "reach",
            "relay",
            "rotate",
            "send",
            "setup",
            "state",
            "tell",
            "tokens",
        ],
    ),
    (
        "tell",
        true,
        &[
            "check",
            "config::Tree",
            "config::schema",
            "diagnosis",
            "expiry",
            "fetch",
            "health",
            "incidents",
            "mail",
            "oauth",
            "office",
            "rotate",
            "send",
            "state",
            "vault",
        ],
    ),
    (
        "health",
        true,
        &["expiry", "fetch::mailbox_key", "office", "state"],
    ),
    (
        "diagnosis",
        false,
        &["fault", "output", "powershell", "shell"],
    ),
    (
        "fetch",
        true,
        &[
            "delivery",
            "incidents",
            "mail",
            "office",
            "peers",
            "reach",
            "state",
        ],
    ),
    ("incidents", true, &["delivery", "office", "state"]),
    ("provision", true, &["config"]),
    ("config", true, &[]),
    ("setup", true, &["office"]),
    ("office", true, &[]),
    ("expiry", true, &["office"]),
    (
        "check",
        true,
        &[
            "delivery",
            "expiry",
            "fetch::mailbox_key",
            "mail",
            "oauth",
            "office",
            "reach",
            "state",
            "tokens",
        ],
    ),
    (
        "send",
        true,
        &["delivery", "mail", "office", "reach", "state"],
    ),
    // A folder of `send` that knows neither it nor a way to a host.
    (
        "send::outbox",
        true,
        &["delivery", "mail", "send::outbox", "state"],
    ),
    ("relay", true, &["mail", "office", "send", "state"]),
    ("rotate", true, &["mail", "oauth", "office", "state"]),
    (
        "reach",
        true,
        &["mail", "oauth", "office", "state", "tokens"],
    ),
    // What they keep of a message is all that the next two know of `mail`.
    ("delivery", true, &["mail::RemoteId", "mail::Summary"]),
    (
        "state",
        true,
        &["mail::Envelope", "mail::RefusedRecipient", "mail::RemoteId"],
    ),
    ("tokens", true, &["oauth", "office", "state", "vault"]),
    ("vault", true, &[]),
    ("mail", true, &[]),
    ("oauth", true, &[]),
    (
        "peers",
        true,
        &["mail::RemoteId", "mail::Traits", "mail::header"],
    ),
    ("prompt", true, &[]),
];

/// Files that lead to each other, by what they name. None may be added.
const CIRCLES: &[&[&str]] = &[];

/// The lines, without tests, that a command needs which reads its arguments, calls and prints.
const LONGEST_COMMAND: usize = 200;

/// A function of more lines than these, without blank ones and comments, has parts that could have
/// names of their own.
const LONGEST_FUNCTION: usize = 60;

/// Functions that are longer. None may be added.
const LONG_FUNCTIONS: usize = 3;

/// These print nothing and read no command line: they get values (those of `provision` have their
/// options for clap), and tell an `Observer`. Of
/// `output` they know how text is made safe.
const ENGINES: &[&str] = &[
    "check",
    "fetch",
    "health",
    "incidents",
    "provision",
    "reach",
    "relay",
    "rotate",
    "send",
    "send::outbox",
    "setup",
    "tokens",
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

/// A file can be understood, tested and moved with those that it names, and without others.
#[test]
fn files_do_not_name_each_other_in_a_circle() {
    let found = circles(&names_of_files());
    let known: Vec<Vec<String>> = CIRCLES
        .iter()
        .map(|circle| circle.iter().map(|file| (*file).to_owned()).collect())
        .collect();
    let within = |one: &[String], other: &[String]| one.iter().all(|file| other.contains(file));
    let new: Vec<&Vec<String>> = found
        .iter()
        .filter(|circle| !known.iter().any(|other| within(circle, other)))
        .collect();
    assert!(
        new.is_empty(),
        "what two files share belongs into a third below both\n{new:#?}"
    );
    let gone: Vec<&Vec<String>> = known
        .iter()
        .filter(|circle| !found.contains(circle))
        .collect();
    assert!(
        gone.is_empty(),
        "these are smaller now or gone: make `CIRCLES` so too\n{gone:#?}\nfound: {found:#?}"
    );
}

#[test]
fn circles_are_found_behind_groups_and_what_is_passed_on() {
    let files = [
        (
            "a",
            "pub use one::{Thing, other as another}; pub use two::*;",
        ),
        ("a::one", "use super::Second; pub struct Thing;"),
        (
            "a::two",
            "use crate::{b, a::{c::*, one::Thing}}; pub fn Second",
        ),
        ("a::c", "fn f() { super::super::b::g() }"),
        ("b", "use crate::a;"),
    ];
    let texts: BTreeMap<String, String> = files
        .iter()
        .map(|(module, text)| ((*module).to_owned(), (*text).to_owned()))
        .collect();
    let mut names = names_of(&texts);
    let named = |module: &str| names[module].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(named("a::one"), ["a::two"]);
    assert_eq!(named("a::two"), ["a::c", "a::one", "b"]);
    assert_eq!(named("a::c"), ["b"]);
    assert_eq!(circles(&names), [["a::one", "a::two"]]);
    names.clear();
    assert!(circles(&names).is_empty());
}

#[test]
fn parts_do_not_name_each_other_in_a_circle() {
    let part = |module: &String| module.split("::").next().unwrap_or_default().to_owned();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, named) in names_of_files() {
        let own = part(&module);
        let others = named.iter().map(part).filter(|other| *other != own);
        names.entry(own.clone()).or_default().extend(others);
    }
    assert_eq!(circles(&names), Vec::<Vec<String>>::new());
}

/// A command reads its arguments, calls one part, and prints. What is longer does more.
#[test]
fn commands_are_short() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (place, _, _) in product_lines() {
        let (file, _) = place.rsplit_once(':').expect("a place");
        if file.starts_with("src/commands/") {
            *lines.entry(file.to_owned()).or_default() += 1;
        }
    }
    lines.retain(|_, count| *count > LONGEST_COMMAND);
    assert!(
        lines.is_empty(),
        "move what is not about arguments or printing out of `commands`\n{lines:?}"
    );
}

#[test]
fn functions_do_not_grow_long() {
    let mut long: Vec<String> = Vec::new();
    // Of the function that is being read: where it begins, its indentation, its lines so far.
    let mut open: Option<(String, String, usize)> = None;
    for (place, _, line) in product_lines() {
        let code = line.trim_start();
        if open.is_none() && begins_function(code) {
            let indentation = line[..line.len() - code.len()].to_owned();
            let what = format!("{place}: {}", code.trim_end_matches(['{', ' ']));
            open = Some((what, indentation, 0));
        }
        let Some((what, indentation, lines)) = &mut open else {
            continue;
        };
        *lines += usize::from(!code.is_empty() && !code.starts_with("//"));
        let is_in_one_line = *lines == 1 && code.ends_with(['}', ';']);
        let ends = |mark: &str| line == format!("{indentation}{mark}");
        if is_in_one_line
            || ends("}")
            || line.ends_with(';') && line.starts_with(&format!("{indentation})"))
        {
            if *lines > LONGEST_FUNCTION {
                long.push(format!("{what} ({lines} lines)"));
            }
            open = None;
        }
    }
    assert!(
        long.len() <= LONG_FUNCTIONS,
        "give a part of the new one a name of its own\n{}",
        long.join("\n")
    );
}

fn begins_function(code: &str) -> bool {
    let mut words = code.split([' ', '(', '<']);
    let before = [
        "pub", "const", "async", "unsafe", "extern", "crate)", "super)", "in",
    ];
    words.find(|word| !before.contains(word) && !word.contains("::")) == Some("fn")
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

/// What the configuration names is linked in `office`, once; below it there are references.
#[test]
fn names_are_looked_up_in_one_place() {
    const MAY_LOOK: [&str; 4] = ["config", "model", "office", "provision"];
    const LOOKS: [&str; 7] = [
        ".incoming_server(",
        ".outgoing_server(",
        ".queue(name",
        "Apps::of(",
        "queue.name == name",
        "s.name == name",
        "server_names()",
    ];
    none("ask `Office`", |_, part, line| {
        !MAY_LOOK.contains(&part) && LOOKS.iter().any(|look| line.contains(look))
    });
}

/// What is configured is one thing, and the file that it was read from another.
#[test]
fn the_model_does_not_know_that_there_is_a_file() {
    const OF_THE_FILE: [&str; 4] = ["Deserializer", "Visitor", "serde_yaml", "yaml_edit"];
    none("read it in `config`", |_, part, line| {
        let code = line.split("//").next().unwrap_or_default();
        part == "model" && OF_THE_FILE.iter().any(|word| code.contains(word))
    });
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

/// Which way to a host is taken is decided in `reach`, and which cloud it is in, in `model`.
#[test]
fn commands_choose_no_way() {
    none("`reach` and `model` do", |_, part, line| {
        part == "commands" && (line.contains("Way::") || line.contains("Cloud::"))
    });
}

/// Another database is another driver, and nothing else.
#[test]
fn one_driver_knows_the_database() {
    const HOMES: [&str; 3] = [
        "src/state/db/",
        "src/state/schema/sqlite.rs",
        "src/state/failure.rs",
    ];
    none("the driver does", |place, _, line| {
        line.contains("rusqlite") && !HOMES.iter().any(|home| place.starts_with(home))
    });
}

/// The program is synchronous, but for the client of PostgreSQL.
#[test]
fn one_driver_is_asynchronous() {
    const WORDS: [&str; 5] = ["tokio", "async ", ".await", "Future", "Poll::"];
    none("a driver of its own is", |place, _, line| {
        let code = line.split("//").next().unwrap_or_default();
        !place.starts_with("src/state/db/postgres/") && WORDS.iter().any(|w| code.contains(w))
    });
}

/// A state in another place has no folder: nobody may be given one, but for what is on its way.
#[test]
fn nobody_outside_the_state_knows_its_folder() {
    none("give the octets", |_, part, line| {
        let result = line.split_once("->").map_or("", |(_, result)| result);
        let gives = line.trim_start().starts_with("pub fn ") && result.contains("Path");
        part == "state" && gives && !line.contains("pub fn scratch(")
    });
}

/// An id is its source's: others compare it, and one more source needs no change of theirs. The pile
/// keeps numbers apart for they are small, and a placeholder is of IMAP alone.
#[test]
fn nobody_looks_into_an_id_of_a_source() {
    const MAY_LOOK: [&str; 4] = [
        "src/mail/",
        "src/state/db/",
        "src/fetch/pile.rs",
        "src/fetch/identity.rs",
    ];
    let looks = |line: &str| line.contains(".as_number()") || line.contains(".as_text()");
    none("compare it", |place, part, line| {
        (looks(line) && !MAY_LOOK.iter().any(|may| place.starts_with(may)))
            || (part == "commands" && line.contains("RemoteId"))
    });
}

#[test]
fn the_product_has_no_word_that_panics() {
    none("return a `Fault` instead", |_, _, line| {
        let code = line.split("//").next().unwrap_or_default();
        FORBIDDEN.iter().any(|word| code.contains(word))
    });
}

/// `shell` and `powershell` alone know how a name becomes one word: by hand it is forgotten.
#[test]
fn commands_in_hints_quote_names_in_one_place() {
    none("use `shell::quote`", |_, _, line| {
        let by_hand = line.contains("'{") && line.contains("}'");
        by_hand && line.contains(" --")
    });
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

/// Demands that no line of the product is such, by its place, its part and its text.
#[track_caller]
fn none(advice: &str, is_wrong: impl Fn(&str, &str, &str) -> bool) {
    let wrong: Vec<String> = product_lines()
        .into_iter()
        .filter(|(place, part, line)| is_wrong(place, part, line))
        .map(|(place, _, line)| format!("{place}: {}", line.trim()))
        .collect();
    assert!(wrong.is_empty(), "{advice}\n{}", wrong.join("\n"));
}

/// Every line of the product itself, tests left out: where it stands, in which part, its text.
fn product_lines() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lines = Vec::new();
    for path in sources(&root.join("src")) {
        let below = path.strip_prefix(root.join("src")).expect("below src");
        let steps: Vec<_> = below.iter().map(|step| step.to_string_lossy()).collect();
        let part = match steps[..] {
            // It has a line of its own in the table.
            [ref part, ref folder, _]
                if TABLE
                    .iter()
                    .any(|(own, ..)| *own == format!("{part}::{folder}")) =>
            {
                format!("{part}::{folder}")
            }
            _ => steps[0].trim_end_matches(".rs").to_owned(),
        };
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

/// Each file of the product with the files that it names by `crate::…` or `super::…`. Where a
/// folder's own file passes a name on, the file counts that has it.
fn names_of_files() -> BTreeMap<String, BTreeSet<String>> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (place, _, line) in product_lines() {
        let (file, _) = place.rsplit_once(':').expect("a place");
        let code = line.split("//").next().unwrap_or_default();
        let text = texts.entry(module_of(file)).or_default();
        text.push_str(code.trim());
        text.push(' ');
    }
    names_of(&texts)
}

fn names_of(texts: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut names = BTreeMap::new();
    for (module, text) in texts {
        let mut named = BTreeSet::new();
        for path in paths(text, module) {
            named.extend(home(&path, texts));
        }
        named.remove(module);
        names.insert(module.clone(), named);
    }
    names
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module_of(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").replace('/', "::")
}

/// The paths, seen from the top, that a text names.
fn paths(text: &str, module: &str) -> Vec<String> {
    let of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = &text[..at];
            if before.ends_with(of_word) || before.ends_with("super::") {
                continue;
            }
            let mut rest = &text[at..];
            let mut from: Vec<&str> = module.split("::").collect();
            if let Some(below) = rest.strip_prefix("crate::") {
                (rest, from) = (below, Vec::new());
            }
            while let Some(below) = rest.strip_prefix("super::") {
                rest = below;
                from.pop();
            }
            for path in spread(rest) {
                let steps = from.iter().copied().map(str::to_owned);
                let path: Vec<String> = steps.chain(path).collect();
                found.push(path.join("::"));
            }
        }
    }
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn spread(text: &str) -> Vec<Vec<String>> {
    let of_word = |c: char| c.is_alphanumeric() || "_*".contains(c);
    let Some(group) = text.strip_prefix('{') else {
        let end = text.find(|c| !of_word(c)).unwrap_or(text.len());
        let word = text[..end].to_owned();
        return match text[end..].strip_prefix("::") {
            Some(rest) if rest.starts_with('{') || rest.starts_with(of_word) => spread(rest)
                .into_iter()
                .map(|path| [vec![word.clone()], path].concat())
                .collect(),
            _ => vec![vec![word]],
        };
    };
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let one = group[start..at].trim();
                if !one.is_empty() {
                    found.extend(spread(one));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The file of what a path names: the longest part of it that is a file, or, where that passes
/// the rest on, the file below that has it.
fn home(path: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let steps: Vec<&str> = path.split("::").collect();
    let length = (1..=steps.len())
        .rev()
        .find(|n| texts.contains_key(&steps[..*n].join("::")))?;
    let module = steps[..length].join("::");
    let Some(name) = steps.get(length).filter(|name| **name != "*") else {
        return Some(module);
    };
    let text = &texts[&module];
    for (at, _) in text.match_indices("pub use ") {
        for passed in spread(&text[at + "pub use ".len()..]) {
            let Some((last, file)) = passed.split_last() else {
                continue;
            };
            let below = format!("{module}::{}", file.join("::"));
            let has = |word: &str| {
                let of_word = |c: char| c.is_alphanumeric() || c == '_';
                texts.get(&below).is_some_and(|text| {
                    text.match_indices(&format!("pub {word} {name}"))
                        .any(|(at, found)| !text[at + found.len()..].starts_with(of_word))
                })
            };
            let kinds = ["fn", "struct", "enum", "const", "trait", "type"];
            if last == *name || last == "*" && kinds.iter().any(|word| has(word)) {
                return home(&format!("{below}::{name}"), texts);
            }
        }
    }
    Some(module)
}

/// The groups of files of which each leads to each other.
fn circles(names: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = names
        .keys()
        .map(|file| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&String> = names[file].iter().collect();
            while let Some(file) = next.pop() {
                if seen.insert(file) {
                    next.extend(names.get(file).into_iter().flatten());
                }
            }
            (file, seen)
        })
        .collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (file, ahead) in &reached {
        if ahead.contains(file) && !found.iter().any(|circle| circle.contains(file)) {
            let back = |other: &&&String| reached[**other].contains(file);
            found.push(ahead.iter().filter(back).map(|f| (*f).clone()).collect());
        }
    }
    found
}
