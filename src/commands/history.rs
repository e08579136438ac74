//! `history`: what was delivered and what was sent, for the questions of people.

use super::Context;
use crate::cli::HistoryArgs;
use crate::config;
use crate::fault::Fault;
use crate::model;
use crate::state::{LOOKED_AT, Question, Store, What};
use crate::tell;
use anyhow::Result;

pub fn run(context: &Context, args: &HistoryArgs) -> Result<()> {
    let store = context.store_alone()?;
    let now = store.clock();
    let word = args.word.as_deref().map(str::trim);
    let question = Question {
        what: word.map_or(What::All, what),
        queue: args.queue.as_deref(),
        since: args.since.map_or(i64::MIN, |since| since.begins(now)),
        until: args.until.map_or(i64::MAX, |until| until.ends(now)),
        received: !args.sent,
        sent: !args.received,
        most: args.limit as usize,
    };
    if question.until <= question.since {
        return Err(Fault::usage(
            "--until is not after --since, so that nothing lies between them",
        )
        .into());
    }
    let answer = store.history(&question)?;
    if let Some(queue) = question.queue
        && answer.found.is_empty()
    {
        check_queue(context, &store, queue)?;
    }
    if answer.is_partial {
        context.output.warn(&format!(
            "only the newest {LOOKED_AT} messages of this period were searched; for older ones use --until"
        ));
    }
    if answer.has_more {
        let shown = match args.limit {
            1 => "message is shown".to_owned(),
            n => format!("{n} messages are shown"),
        };
        context.output.warn(&format!(
            "only the newest {shown}; for more use --limit, --since and --until"
        ));
    }
    tell::history::list(&context.output, &answer)
}

/// A queue without any message in the history is in the configuration, or its name is wrong; one
/// that has some may have been removed.
///
/// # Errors
/// `Usage`: there is no queue of this name; and those of the configuration.
fn check_queue(context: &Context, store: &Store, name: &str) -> Result<()> {
    let any = Question {
        what: What::All,
        queue: Some(name),
        since: i64::MIN,
        until: i64::MAX,
        received: true,
        sent: true,
        most: 1,
    };
    if !store.history(&any)?.found.is_empty() {
        return Ok(());
    }
    let config = config::load(&context.config_path)?;
    let known = config.queue_names();
    match known.contains(&name) {
        true => Ok(()),
        false => Err(model::unknown("queue", name, &known)),
    }
}

/// What a word looks for: with an `@` and no blank it is an address or a Message-ID.
fn what(word: &str) -> What<'_> {
    let is_name = word.contains('@') && !word.contains(char::is_whitespace);
    match is_name || (word.starts_with('<') && word.ends_with('>')) {
        true => What::Exactly(word),
        false => What::Text(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_an_at_sign_is_looked_for_as_it_is() {
        assert_eq!(what("<1@x>"), What::Exactly("<1@x>"));
        assert_eq!(what("a@x.example"), What::Exactly("a@x.example"));
        assert_eq!(what("order 17 @home"), What::Text("order 17 @home"));
        assert_eq!(what("order"), What::Text("order"));
    }
}
