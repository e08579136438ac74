//! An error in, what to print and the exit code out; the only folder full of Microsoft lore.
//!
//! It reads errors and nobody reads it but `lib`, `check` and `explain`, so that advice can never steer
//! the program: decisions are made by RFC 6749's `error`, response codes and reply codes.
//!
//! - `entry`: what an explanation is; `hints`: real names in its hints; `find`: which one fits
//! - `table`: reads `explanations/`, where the texts are: of servers' words, and in `own` of what the
//!   program itself finds, by its cause
//! - `entra`: the form of Entra's error texts

mod entra;
mod entry;
mod find;
mod hints;
mod table;

pub use entra::page;
pub use entry::Who;
pub use find::find;
pub use table::all;

use crate::fault::{Fault, Kind, Peer, Place, Scene, cause_of, kind_of};

/// An error as a person reads it.
pub struct Report {
    /// What could not be done.
    pub error: String,
    /// At most three.
    pub causes: Vec<String>,
    pub server_said: Option<String>,
    pub hints: Vec<String>,
    pub exit_code: u8,
    /// Where in a file of the user's it is.
    pub place: Option<Place>,
}

/// Reads an error: its chain for what happened, its [`Fault`] for what the server said, its
/// [`Scene`] for the names and ids that make the hints pasteable.
pub fn report(err: &anyhow::Error) -> Report {
    let mut lines: Vec<String> = err.chain().map(ToString::to_string).collect();
    lines.dedup();
    let mut lines = lines.into_iter();
    let error = lines.next().unwrap_or_default();
    let causes = lines.take(3).collect();
    let fault = err.downcast_ref::<Fault>();
    let scene = err.downcast_ref::<Scene>().cloned().unwrap_or_default();
    let said = fault.and_then(|f| f.server_said.as_deref());
    let mut hints = Vec::new();
    if let Some(said) = said {
        match find::for_server_words(said) {
            Some(entry) => hints.extend(entry.hints_for(&scene, said)),
            None => hints.extend(entra::more_at(said)),
        }
    }
    hints.extend(fault.into_iter().flat_map(|f| f.hints.iter().cloned()));
    if hints.is_empty()
        && let Some(entry) = cause_of(err).and_then(find::for_cause)
    {
        let scene = match fault {
            Some(fault) => at_host(scene, fault),
            None => scene,
        };
        hints.extend(entry.hints_for(&scene, ""));
    }
    let mut seen = std::collections::HashSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    Report {
        error,
        causes,
        server_said: said.map(entra::short),
        hints,
        exit_code: kind_of(err).exit_code(),
        place: fault.and_then(Fault::place).cloned(),
    }
}

/// The scene at the host that the fault is about: to get a token and to read a mailbox are two
/// places.
fn at_host(mut scene: Scene, fault: &Fault) -> Scene {
    let Some(Peer { host, port }) = fault.peer() else {
        return scene;
    };
    if scene.host.as_ref() != Some(host) {
        // Every other host is asked by HTTPS.
        scene.port = Some("443".to_owned());
        scene.endpoint = None;
    }
    scene.port = port.map(|port| port.to_string()).or(scene.port);
    scene.host = Some(host.clone());
    scene
}

/// The same where the fault knows host and port: mail may be posted to any.
fn at_own_host(scene: &Scene, fault: Option<&Fault>) -> Scene {
    let knows = |fault: &&Fault| fault.peer().is_some_and(|at| at.port.is_some());
    match fault.filter(knows) {
        Some(fault) => at_host(scene.clone(), fault),
        None => scene.clone(),
    }
}

/// What a failure comes down to: the answer to "what is wrong, who can fix it, with what".
#[derive(Clone, Debug)]
pub struct Verdict {
    pub who: Who,
    /// What is wrong.
    pub wrong: String,
    /// The one command or page.
    pub remedy: String,
    /// What else may help.
    pub hints: Vec<String>,
    pub server_said: Option<String>,
    pub exit_code: u8,
}

impl Verdict {
    /// All of it in one sentence.
    pub fn sentence(&self) -> String {
        format!("{}; {}", self.wrong, self.fix())
    }

    /// What to do, and who can.
    pub fn fix(&self) -> String {
        let remedy = &self.remedy;
        match self.who {
            Who::Nobody => format!("no fix is needed: {remedy}"),
            Who::You => format!("fix: {remedy}"),
            who => format!("fix, by {}: {remedy}", who.describe()),
        }
    }
}

/// Comes to a verdict over an error with the names and ids of `scene`.
pub fn verdict(err: &anyhow::Error, scene: &Scene) -> Verdict {
    let fault = err.downcast_ref::<Fault>();
    let root = match fault {
        Some(fault) => undrawn(&fault.what),
        None => err.root_cause().to_string(),
    };
    let report = report(err);
    let kind = kind_of(err);
    let (who, wrong, remedy) = match entry_for(fault) {
        Some(entry) => (
            entry.who,
            format!("{root}: {}", entry.means),
            entry.remedy(
                &at_own_host(scene, fault),
                fault
                    .and_then(|f| f.server_said.as_deref())
                    .unwrap_or_default(),
            ),
        ),
        None => (
            who_by(kind),
            root,
            report
                .hints
                .first()
                .cloned()
                .unwrap_or_else(|| by_kind(kind).to_owned()),
        ),
    };
    Verdict {
        who,
        wrong: one_line(&wrong),
        remedy: one_line(&remedy),
        hints: match entry_for(fault) {
            Some(entry) => {
                let said = fault.and_then(|f| f.server_said.as_deref());
                entry.hints_for(scene, said.unwrap_or_default())
            }
            None => report.hints,
        },
        server_said: report.server_said,
        exit_code: kind.exit_code(),
    }
}

/// The explanation of a failure: of what the program itself found, else of the server's words.
fn entry_for(fault: Option<&Fault>) -> Option<&'static entry::Entry> {
    let fault = fault?;
    fault.cause.and_then(find::for_cause).or_else(|| {
        let said = fault.server_said.as_deref()?;
        find::for_server_words(said)
    })
}

fn who_by(kind: Kind) -> Who {
    match kind {
        Kind::TryLater => Who::Nobody,
        Kind::Refused => Who::Network,
        _ => Who::You,
    }
}

fn by_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::TryLater => "try again later",
        Kind::Config => "queuemail config validate",
        Kind::Bug => "report it, with what `-vv` shows",
        _ => "see what `-vv` shows",
    }
}

/// The words without the lines that a mistake in a file is drawn with.
fn undrawn(what: &str) -> String {
    match (what.split_once('\n'), what.rsplit_once("^ ")) {
        (Some((first, _)), Some((_, note))) => format!("{first}: {note}"),
        _ => what.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
