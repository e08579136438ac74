//! The walk to a working mailbox: steps, each with its result, the time it took and, where it
//! fails, its cause. Nothing is changed on the way and nothing is sent.
//!
//! - `subject`, `choose`: what is walked
//! - `run`: walks all of it, and reads the walks together
//! - `reading`, `sending`, `boundary`: the walks; `parts`: what they have in common
//! - `report`: the walks without what tells whose they are
//! - `claims`: does a token serve its purpose, by what it says of itself
//! - `files`: can this user read what is needed, and nobody else what is secret
//! - `mailbox`: what an opened mailbox permits
//! - `shared_state`: the database of a state that hosts share
//! - `connection`: from a host's name to a signed-in session, watched

mod boundary;
mod choose;
pub mod claims;
mod connection;
mod files;
mod mailbox;
mod parts;
mod reading;
pub mod report;
mod run;
mod sending;
mod shared_state;
mod subject;

pub use choose::subjects;
pub use run::{Checked, walk_all};
pub use shared_state::of_state;
pub use subject::{Boundary, Subject};

use crate::fault::{Cause, Fault, Kind, Scene, cause_of, kind_of};
use anyhow::Result;
use std::time::{Duration, Instant};

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    Passed,
    /// It cannot be tested without a change; somebody may want to look.
    Untested(anyhow::Error),
    /// It works, and will not for long.
    Warned(anyhow::Error),
    Failed(anyhow::Error),
    /// An earlier step failed that it needs.
    NotReached,
}

impl Outcome {
    /// What programs call it, and why it is no other.
    pub fn told(&self) -> (&'static str, Option<&anyhow::Error>) {
        match self {
            Outcome::Passed => ("passed", None),
            Outcome::Untested(err) => ("untested", Some(err)),
            Outcome::Warned(err) => ("warned", Some(err)),
            Outcome::Failed(err) => ("failed", Some(err)),
            Outcome::NotReached => ("not-reached", None),
        }
    }
}

/// One step of a walk.
#[derive(Debug)]
pub struct Step {
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found, for people.
    pub detail: String,
    /// The words of a failure before [`Walk::blame`] added to them.
    plain: Option<String>,
    /// The names and ids that it is about.
    pub scene: Scene,
    pub took: Duration,
}

impl Step {
    fn failure(&self) -> Option<&anyhow::Error> {
        match &self.outcome {
            Outcome::Failed(err) => Some(err),
            _ => None,
        }
    }
}

/// The steps of one walk, in order.
#[derive(Debug, Default)]
pub struct Walk {
    /// The names and ids that the next steps are about.
    pub scene: Scene,
    pub steps: Vec<Step>,
    /// The steps that are to come, in order: behind one of them that fails, none is reached.
    plan: Vec<&'static str>,
}

impl Walk {
    /// What is to come, unless a step fails.
    pub fn plan(&mut self, steps: impl IntoIterator<Item = &'static str>) {
        self.plan = steps.into_iter().collect();
    }

    /// Takes a step; what it yields, if it passes, is `(value, detail)`.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(T, String)>,
    ) -> Option<T> {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        match result {
            Ok((value, detail)) => {
                self.passed(name, detail, took);
                Some(value)
            }
            Err(err) => {
                self.failed(name, err, took);
                None
            }
        }
    }

    pub fn passed(&mut self, name: &'static str, detail: impl Into<String>, took: Duration) {
        self.push(name, Outcome::Passed, detail.into(), took);
    }

    pub fn failed(&mut self, name: &'static str, err: anyhow::Error, took: Duration) {
        self.push(name, Outcome::Failed(err), String::new(), took);
        let mut behind = self
            .plan
            .clone()
            .into_iter()
            .skip_while(|step| *step != name);
        for step in behind.by_ref().skip(1) {
            self.push(step, Outcome::NotReached, String::new(), Duration::ZERO);
        }
    }

    pub fn warned(&mut self, name: &'static str, fault: Fault, took: Duration) {
        let detail = fault.what.clone();
        self.push(name, Outcome::Warned(fault.into()), detail, took);
    }

    pub fn untested(&mut self, name: &'static str, fault: Fault) {
        let detail = fault.what.clone();
        self.push(
            name,
            Outcome::Untested(fault.into()),
            detail,
            Duration::ZERO,
        );
    }

    fn push(&mut self, name: &'static str, outcome: Outcome, detail: String, took: Duration) {
        self.steps.push(Step {
            name,
            outcome,
            detail,
            plain: None,
            scene: self.scene.clone(),
            took,
        });
    }

    /// The error of a step that failed, of the last one of that name.
    pub fn failed_at(&mut self, name: &str) -> Option<&mut anyhow::Error> {
        let (err, _) = self.failure(name)?;
        Some(err)
    }

    /// Says what the failure of a step comes from, by what is known beside it; in the place of
    /// what was said so before.
    pub fn blame(&mut self, name: &str, cause: Cause, though: &str) {
        if let Some((err, plain)) = self.failure(name)
            && let Some(fault) = err.downcast_mut::<Fault>()
        {
            let plain = plain.get_or_insert_with(|| fault.what.clone());
            fault.what = format!("{plain}, {though}");
            fault.cause = Some(cause);
        }
    }

    /// Why a step failed, the last one of that name.
    pub fn cause_at(&mut self, name: &str) -> Option<Cause> {
        self.failed_at(name).and_then(|err| cause_of(err))
    }

    /// The error of a step that failed, with its plain words.
    fn failure(&mut self, name: &str) -> Option<(&mut anyhow::Error, &mut Option<String>)> {
        self.steps
            .iter_mut()
            .rev()
            .find_map(|step| match &mut step.outcome {
                Outcome::Failed(err) if step.name == name => Some((err, &mut step.plain)),
                _ => None,
            })
    }

    /// The first failure of a walk that is of no other interest.
    pub fn into_failure(self) -> anyhow::Error {
        let failed = self.steps.into_iter().find_map(|step| match step.outcome {
            Outcome::Failed(err) => Some(err),
            _ => None,
        });
        failed.unwrap_or_else(|| Fault::bug("a walk ended without a failure").into())
    }

    /// Walks by one way after the other, up to the first that is open. One is closed where a step
    /// fails for a reason that `closes` it. A way that is open makes the closed one before it no
    /// fault: of that one a passed step `name` is left, with what `note` makes of the reason. Gives
    /// the reason why the last is closed.
    pub fn by_the_first_open<W: Copy>(
        &mut self,
        ways: &[W],
        closes: fn(&anyhow::Error) -> bool,
        name: &'static str,
        note: impl Fn(&str) -> String,
        walk: impl Fn(&mut Walk, W),
    ) -> Option<String> {
        let from = self.steps.len();
        let mut reasons: Vec<String> = Vec::new();
        for way in ways {
            let start = self.steps.len();
            walk(self, *way);
            let failures = self.steps[start..].iter().filter_map(Step::failure);
            let failures: Vec<&anyhow::Error> = failures.collect();
            if let Some(err) = failures.iter().find(|err| closes(err)) {
                let fault = err.downcast_ref::<Fault>();
                reasons.push(fault.map_or_else(|| err.to_string(), |fault| fault.what.clone()));
                continue;
            }
            if let (Some(reason), true) = (reasons.first(), failures.is_empty()) {
                let taken = self.steps.split_off(start);
                self.steps.truncate(from);
                self.passed(name, note(reason), Duration::ZERO);
                self.steps.extend(taken);
            }
            return None;
        }
        reasons.pop()
    }

    pub fn has_passed(&self, name: &str) -> bool {
        self.steps.iter().any(|step| {
            step.name == name && matches!(step.outcome, Outcome::Passed | Outcome::Warned(_))
        })
    }

    /// The worst of what failed or is about to; `None` where all is well.
    pub fn worst(&self) -> Option<Kind> {
        self.steps
            .iter()
            .filter_map(|step| match &step.outcome {
                Outcome::Failed(err) => Some(kind_of(err)),
                Outcome::Warned(_) => Some(Kind::TryLater),
                _ => None,
            })
            .max()
    }
}

/// Gives the fault in `err` other words, where there is one.
pub fn reword(err: &mut anyhow::Error, words: impl FnOnce(&Fault) -> String) {
    if let Some(fault) = err.downcast_mut::<Fault>() {
        fault.what = words(fault);
    }
}
