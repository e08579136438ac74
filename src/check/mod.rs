//! The walk to a working mailbox: steps, each with its result, the time it took and, where it
//! fails, its cause. Nothing is changed on the way and nothing is sent.
//!
//! - `subject`, `choose`: what is walked
//! - `run`: walks all of it, and reads the walks together
//! - `reading`, `sending`, `boundary`: the walks; `parts`: what they have in common
//! - `report`: the walks without what tells whose they are
//! - `claims`: does a token serve its purpose, by what it says of itself
//! - `files`: may we read what we must, and nobody else what is secret
//! - `mailbox`: what an opened mailbox lets us do
//! - `road`: from a host's name to a signed-in session, watched

mod boundary;
mod choose;
pub mod claims;
mod files;
mod mailbox;
mod parts;
mod reading;
pub mod report;
mod road;
mod run;
mod sending;
mod subject;

pub use choose::subjects;
pub use run::{Checked, walk_all};
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

/// The steps of one walk, in order.
#[derive(Debug, Default)]
pub struct Walk {
    /// The names and ids that the next steps are about.
    pub scene: Scene,
    pub steps: Vec<Step>,
}

impl Walk {
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

    pub fn not_reached(&mut self, names: &[&'static str]) {
        for name in names {
            self.push(name, Outcome::NotReached, String::new(), Duration::ZERO);
        }
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
        failed.unwrap_or_else(|| Fault::new(Kind::Bug, "a walk ended without a failure").into())
    }

    /// True if one of the steps from the `start`-th on failed.
    pub fn has_failed_since(&self, start: usize) -> bool {
        self.steps[start..]
            .iter()
            .any(|step| matches!(step.outcome, Outcome::Failed(_)))
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
