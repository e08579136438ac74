//! Questions on a terminal; the only file that names dialoguer. Whoever calls has made sure that
//! questions may be asked.

use crate::fault::Fault;
use crate::secret::Secret;
use anyhow::Result;
use dialoguer::{Input, Password, Select};

/// Asks for a line until `check` has nothing against it. Questions go to standard error.
pub fn line(
    question: &str,
    proposal: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String> {
    let mut input = Input::<String>::new().with_prompt(question);
    if let Some(proposal) = proposal {
        input = input.default(proposal.to_owned());
    }
    input
        .validate_with(|text: &String| check(text.trim()))
        .interact_text()
        .map(|text| text.trim().to_owned())
        .map_err(unanswered)
}

/// Asks to choose one of several; the number of the choice.
pub fn choice(question: &str, choices: &[&str]) -> Result<usize> {
    Select::new()
        .with_prompt(question)
        .items(choices)
        .default(0)
        .interact()
        .map_err(unanswered)
}

/// Asks for a secret, which is not shown.
pub fn secret(question: &str) -> Result<Secret> {
    Password::new()
        .with_prompt(question)
        .report(false)
        .interact()
        .map(Secret::new)
        .map_err(unanswered)
}

fn unanswered(err: dialoguer::Error) -> anyhow::Error {
    let dialoguer::Error::IO(err) = err;
    Fault::usage(format!("no answer from the terminal: {err}")).into()
}
