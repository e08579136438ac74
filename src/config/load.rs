//! Reading the file: bounded, private where it holds a secret, every mistake pointed at.

use super::check;
use super::depth;
use super::locate::{self, Part};
use super::mistake::Mistake;
use super::paths::resolve_paths;
use super::problem::Problem;
use super::refusal::from_serde;
use crate::fault::{Cause, Errors, Fault};
use crate::files::{self, shown, why};
use crate::model::Config;
use crate::shell;
use anyhow::Result;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The size up to which a file is read, in bytes: some ten thousand queues.
pub const MAX_SIZE: u64 = 16 << 20;
/// So many mistakes are shown at once: to find the place of one takes a reading of the file.
const MOST_SHOWN: usize = 50;
/// More lines like `%YAML 1.2` are not read: the YAML parser compares each with all others.
const MOST_DIRECTIVES: usize = 8;

/// Reads and checks the file; the model's relative paths and `~/` are resolved.
///
/// Errors (exit 78): the file is not there, not the user's, not private though it holds a secret,
/// or has a mistake.
pub fn load(path: &Path) -> Result<Config> {
    let (text, metadata) = read(path)?;
    finish(parse(&text, path)?, &metadata, path)
}

/// The same with every mistake, as [`parse_all`] finds them.
pub fn load_all(path: &Path) -> Result<Config, Errors> {
    let (text, metadata) = read(path)?;
    Ok(finish(parse_all(&text, path)?, &metadata, path)?)
}

fn finish(mut config: Config, metadata: &Metadata, path: &Path) -> Result<Config> {
    check_private(&config, metadata, path)?;
    resolve_paths(&mut config, path)?;
    Ok(config)
}

/// As [`load`], where the file says that the state is in a database; `None` where it does not, or
/// cannot be read.
///
/// # Errors
/// As [`load`], where it may say so.
pub fn load_if_shared(path: &Path) -> Result<Option<Config>> {
    match read(path) {
        Ok((text, _)) if text.contains("state") => load(path).map(Some),
        _ => Ok(None),
    }
}

/// Reads and checks the text of a file. Paths stay as written.
pub fn parse(text: &str, path: &Path) -> Result<Config> {
    find_mistakes(text, 1).map_err(|mistakes| mistakes.first.fault(text, path).into())
}

/// The same with every mistake, where reading gets so far: what is no configuration at all, or has a
/// value of the wrong kind, has one.
pub fn parse_all(text: &str, path: &Path) -> Result<Config, Errors> {
    find_mistakes(text, MOST_SHOWN).map_err(|mistakes| {
        let Mistakes { first, others } = *mistakes;
        let fault = |mistake: Mistake| mistake.fault(text, path).into();
        Errors::several(fault(first), others.into_iter().map(fault))
    })
}

/// The text of the file, which must be the user's; its permissions are those of what was read.
pub fn read(path: &Path) -> Result<(String, Metadata)> {
    let cannot = |e: std::io::Error| {
        let what = format!("cannot read {}: {}", shown(path), why(&e));
        let fault = Fault::config(what).by_system(&e);
        match e.kind() {
            std::io::ErrorKind::NotFound => fault.cause(Cause::ConfigNotOurs).hint(
                "create it by adding a server: queuemail server add incoming NAME --address … --auth … --client-id …",
            ),
            std::io::ErrorKind::PermissionDenied => {
                fault.cause(Cause::ConfigNotOurs).hint(run_as_owner(path))
            }
            _ => fault,
        }
    };
    let file = files::open_at_once(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Fault::config(format!("{} is a folder", shown(path)))
            .hint("name the file, not its folder")
            .into());
    }
    if !metadata.is_file() {
        return Err(
            Fault::config(format!("{} is not a regular file", shown(path)))
                .hint("to check a configuration from a pipe: queuemail config validate -")
                .into(),
        );
    }
    check_owner(&metadata, path)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok((decode(bytes, path)?, metadata))
}

/// The text of a configuration from bytes of any origin.
pub fn decode(bytes: Vec<u8>, path: &Path) -> Result<String> {
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Fault::config(format!(
            "{} is larger than {} MiB, the limit of a configuration",
            shown(path),
            MAX_SIZE >> 20
        ))
        .into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&b| b == b'\n').count();
        Fault::config(format!(
            "a byte that is not UTF-8 in {}, line {line}",
            shown(path)
        ))
        .hint(format!(
            "convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 {}",
            shown(path)
        ))
        .into()
    })
}

/// Who can write the file decides which programs run and where tokens go.
fn check_owner(metadata: &Metadata, path: &Path) -> Result<()> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(Fault::config(format!(
            "{} belongs to another user (uid {}), who could change it",
            shown(path),
            metadata.uid()
        ))
        .cause(Cause::ConfigNotOurs)
        .hint(files::owner_hint(me, metadata.uid(), path))
        .into());
    }
    if let Some(others) = files::who_else_can_change(metadata) {
        return Err(
            Fault::config(format!("{others} can change {}", shown(path)))
                .hint(files::narrow_hint(metadata, path))
                .into(),
        );
    }
    Ok(())
}

/// What to do where the file, or the folder that hides it, may not be read.
pub fn run_as_owner(path: &Path) -> String {
    let me = rustix::process::geteuid().as_raw();
    let mut seen = path.ancestors().filter_map(|p| p.metadata().ok());
    match seen.next().map(|metadata| metadata.uid()) {
        Some(owner) if owner != me => format!("run as its owner: sudo -u '#{owner}' queuemail …"),
        _ => format!(
            "let its owner read and change it: chmod u+rw {}",
            shell::quote(path)
        ),
    }
}

/// A file that holds a plain secret is for this user alone.
pub fn check_private(config: &Config, metadata: &Metadata, path: &Path) -> Result<()> {
    if metadata.permissions().mode() & 0o077 != 0 && !config.plain_secrets().is_empty() {
        let fault = Fault::config(format!(
            "{} contains a secret, and other users can read it",
            shown(path)
        ))
        .hint(format!("chmod 600 {}", shell::quote(path)));
        let me = rustix::process::geteuid().as_raw();
        return Err(match metadata.uid() == me {
            true => fault,
            false => fault.cause(Cause::ConfigNotOurs),
        }
        .into());
    }
    Ok(())
}

/// True if there is nothing but blank lines and comments.
pub fn is_blank(text: &str) -> bool {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
}

/// What is wrong with a file.
struct Mistakes {
    first: Mistake,
    others: Vec<Mistake>,
}

/// The checked model, or the first mistake and the others, at most so many together; the last says
/// how many more there are.
fn find_mistakes(text: &str, most: usize) -> Result<Config, Box<Mistakes>> {
    let config = read_model(text).map_err(|first| {
        let others = Vec::new();
        Box::new(Mistakes { first, others })
    })?;
    let text = without_mark(text);
    let problems = check::problems(&config);
    let Some((first, others)) = problems.split_first() else {
        return Ok(config);
    };
    let mut first = from_problem(first, text);
    let shown = others.iter().take(most.saturating_sub(1));
    let mut shown: Vec<Mistake> = shown.map(|other| from_problem(other, text)).collect();
    let more = others.len() - shown.len();
    shown.last_mut().unwrap_or(&mut first).more = more;
    Err(Box::new(Mistakes {
        first,
        others: shown,
    }))
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The model, of which it is not known yet whether it has a problem.
fn read_model(text: &str) -> Result<Config, Mistake> {
    let text = without_mark(text);
    let whole = |problem: &str, note: &str| Mistake {
        problem: problem.to_owned(),
        place: None,
        note: note.to_owned(),
        hint: None,
        more: 0,
    };
    if is_blank(text) {
        return Err(whole(
            "nothing",
            "an empty file; a configuration begins with `version: 1`",
        ));
    }
    if let Some(place) = depth::too_deep(text) {
        return Err(Mistake {
            place: Some(place),
            ..whole("nested too deeply", "")
        });
    }
    if text.lines().filter(|line| line.starts_with('%')).count() > MOST_DIRECTIVES {
        return Err(whole(
            "too many YAML directives",
            "a configuration needs none",
        ));
    }
    serde_yaml::from_str(text).map_err(|e| from_serde(&e, text))
}

fn from_problem(problem: &Problem, text: &str) -> Mistake {
    // A value that is not there is missed at what should hold it.
    let mut at = &problem.at[..];
    let mut place = locate::locate(text, at, Part::Value);
    while place.is_none() && !at.is_empty() {
        at = &at[..at.len() - 1];
        place = locate::locate(text, at, Part::Value);
    }
    Mistake {
        problem: problem.problem.clone(),
        place,
        note: problem.note.clone(),
        hint: problem.hint.clone(),
        more: 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::*;

    /// The keys of everything that the file is made of, by the names of the types.
    pub(in crate::config) fn all_keys() -> Vec<(&'static str, Vec<String>)> {
        vec![
            ("Config", keys::<Config>()),
            ("Defaults", keys::<Defaults>()),
            ("History", keys::<History>()),
            ("IncomingServer", keys::<IncomingServer>()),
            ("OutgoingServer", keys::<OutgoingServer>()),
            ("Limits", keys::<Limits>()),
            ("Relay", keys::<Relay>()),
            ("Queue", keys::<Queue>()),
            ("Address", keys::<Address>()),
            ("Select", keys::<Select>()),
            ("Webhook", keys::<Webhook>()),
            ("Notify", keys::<Notify>()),
            ("SharedState", keys::<SharedState>()),
        ]
    }

    /// The keys of a type, as serde names them when it refuses another.
    fn keys<'de, T: serde::Deserialize<'de>>() -> Vec<String> {
        let err = serde_yaml::from_str::<T>("{no_such_key: 1}").err();
        let text = err.map(|e| e.to_string()).unwrap_or_default();
        let keys: Vec<&str> = text.split('`').skip(1).step_by(2).skip(1).collect();
        assert!(!keys.is_empty(), "{text}");
        keys.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_example_is_valid_and_every_key_is_documented() {
        let text = include_str!("../../examples/queuemail.yaml");
        parse(text, Path::new("examples/queuemail.yaml")).unwrap();
        let manual = include_str!("../../man/queuemail.yaml.5");
        for key in all_keys().into_iter().flat_map(|(_, keys)| keys) {
            let shown = |l: &str| {
                l.trim_start_matches([' ', '#', '-'])
                    .starts_with(&format!("{key}:"))
            };
            assert!(text.lines().any(shown), "`{key}` is not in the example");
            let described = |l: &str| l.starts_with(".B") && l.contains(&format!("{key}:"));
            assert!(
                manual.lines().any(described),
                "`{key}` is not in the manual"
            );
        }
    }

    #[test]
    fn an_error_without_a_place_names_the_file() {
        let text = parse("", Path::new("/x/y.yaml")).unwrap_err().to_string();
        assert!(text.starts_with("nothing in /x/y.yaml: "), "{text}");
    }

    /// Each of these took hours.
    #[test]
    fn a_large_file_with_a_mistake_is_soon_refused() {
        let many = 1 << 20;
        let directives: String = (0..many / 16)
            .map(|n| format!("%TAG !a{n}! x:\n"))
            .collect();
        for (text, problem) in [
            (format!("a: {}", "[".repeat(many)), "nested too deeply"),
            (format!("a: {}", "{b: ".repeat(many)), "nested too deeply"),
            (format!("{directives}---\na: 1"), "too many YAML directives"),
        ] {
            let began = std::time::Instant::now();
            let said = parse(&text, Path::new("x")).unwrap_err().to_string();
            assert!(said.starts_with(problem), "{said}");
            assert!(began.elapsed().as_secs() < 60, "{problem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(version: 1\n)?[a-z:{}\\[\\]\n\r\t &*#'\"|>é-]{0,80}") {
            let _ = parse(&text, Path::new("x"));
        }
    }
}
