//! Programs that print a secret or take one, run without a shell, bounded in time and output.

use super::secret_text::{MAX_SECRET, text_of};
use crate::child::{self, Bounds, Input};
use crate::fault::Fault;
use crate::files::why;
use crate::output::escape;
use crate::secret::Secret;
use std::io::ErrorKind;
use std::time::Duration;

/// How a program is run: a person may have to type a passphrase elsewhere.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(60),
    output: Some(MAX_SECRET as usize + 1),
    words: 4 << 10,
    own_group: false,
};

/// Why a program gave no secret.
pub enum NoSecret {
    /// There is no such program.
    NotThere,
    /// It ended with this exit code (`None`: by a signal) and said this on standard error.
    Ended(Option<i32>, String),
    Other(Fault),
}

/// Runs a program without a shell; the first line of its standard output.
pub fn run(words: &[&str]) -> Result<Secret, NoSecret> {
    let output = run_with(words, None, &[])?;
    Ok(Secret::new(
        output.expose().lines().next().unwrap_or_default(),
    ))
}

/// Runs a program without a shell, with `input` on its standard input and these variables added
/// to its environment; its whole standard output.
pub fn run_with(
    words: &[&str],
    input: Option<&Secret>,
    environment: &[(&str, &str)],
) -> Result<Secret, NoSecret> {
    let other = |what: String| NoSecret::Other(Fault::config(what));
    let Some((program, arguments)) = words.split_first() else {
        return Err(other("the command names no program".to_owned()));
    };
    let name = escape(program);
    let mut command = child::command(program);
    command.args(arguments).envs(environment.iter().copied());
    let input = input.cloned().map_or(Input::Nothing, Input::Secret);
    let running = child::start(command, input, BOUNDS).map_err(|e| match e.kind() {
        ErrorKind::NotFound => NoSecret::NotThere,
        _ => NoSecret::Other(
            Fault::config(format!("cannot run command `{name}`: {}", why(&e))).by_system(&e),
        ),
    })?;
    let ended = running
        .end()
        .map_err(|e| other(format!("command `{name}`: {}", why(&e))))?;
    let Some(status) = ended.status else {
        return Err(NoSecret::Other(Fault::try_later(format!(
            "command `{name}` did not end within {} seconds",
            BOUNDS.time.as_secs()
        ))));
    };
    if !status.success() {
        return Err(NoSecret::Ended(status.code(), ended.words()));
    }
    let output = ended.output();
    let text =
        text_of(&output).map_err(|why| other(format!("the output of command `{name}` {why}")))?;
    Ok(Secret::new(text))
}
