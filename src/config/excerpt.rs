//! The part of a long file that an edit is about: queues that stay as they are, and lie between
//! others that do, are left out and put back as they were.
//!
//! Taking a text apart into a syntax tree and putting it together again takes longer than anything
//! else that an edit does. Whoever uses an excerpt compares the result with the wanted model, and
//! takes the whole text where an excerpt will not do.

use crate::model::{Config, Queue};
use std::ops::Range;

/// A shorter text, and the models that it holds before and after the edit.
pub struct Excerpt<'a> {
    pub text: String,
    pub old: Config,
    pub new: Config,
    /// The lines that stand in the place of something, each with what was there.
    left_out: Vec<(String, &'a str)>,
}

impl<'a> Excerpt<'a> {
    /// `None` where nothing can be left out.
    pub fn of(text: &'a str, old: &Config, new: &Config) -> Option<Excerpt<'a>> {
        let (count, new_count) = (old.queues.len(), new.queues.len());
        let pairs = || old.queues.iter().zip(&new.queues);
        let before = pairs().take_while(|(one, other)| one == other).count();
        let most = count.min(new_count) - before;
        let pairs_from_end = old.queues.iter().rev().zip(new.queues.iter().rev());
        let after = pairs_from_end
            .take(most)
            .take_while(|(one, other)| one == other)
            .count();
        // The first and the last show how the list is written, and so do the neighbours of a change.
        let parts = [
            1..before.saturating_sub(1),
            (count - after + 1)..count.saturating_sub(1),
        ];
        let starts = queues(text, count)?;
        let mut excerpt = Excerpt {
            text: String::new(),
            old: without(old, &parts, 0),
            new: without(new, &parts, new_count as isize - count as isize),
            left_out: Vec::new(),
        };
        let mut done = 0;
        for (number, part) in parts.into_iter().enumerate().filter(|(_, p)| !p.is_empty()) {
            let (start, end) = (starts[part.start].clone(), starts[part.end].start);
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            let indent = &text[start.clone()];
            let line = format!("{indent}# queues that stay, part {number}{line_end}");
            if text.contains(line.trim()) {
                return None;
            }
            excerpt.text.push_str(&text[done..start.start]);
            excerpt.text.push_str(&line);
            excerpt.left_out.push((line, &text[start.start..end]));
            done = end;
        }
        excerpt.text.push_str(&text[done..]);
        (!excerpt.left_out.is_empty()).then_some(excerpt)
    }

    /// The whole text again, from the edited excerpt. `None` where the edit did not leave the
    /// place of what was left out as it was.
    pub fn completed(&self, edited: &str) -> Option<String> {
        let mut whole = String::new();
        let mut rest = edited;
        for (line, left_out) in &self.left_out {
            let (before, after) = rest.split_once(line.as_str())?;
            if !before.ends_with('\n') {
                return None;
            }
            whole.push_str(before);
            whole.push_str(left_out);
            rest = after;
        }
        whole.push_str(rest);
        Some(whole)
    }
}

/// The model without these queues; those of the second part are so many places further on.
fn without(config: &Config, [one, other]: &[Range<usize>; 2], shift: isize) -> Config {
    let kept = |index: usize| {
        let shifted = index.wrapping_add_signed(-shift);
        !one.contains(&index) && !other.contains(&shifted)
    };
    let queues: Vec<Queue> = config
        .queues
        .iter()
        .enumerate()
        .filter(|(index, _)| kept(*index))
        .map(|(_, queue)| queue.clone())
        .collect();
    Config {
        version: config.version,
        defaults: config.defaults.clone(),
        token_store: config.token_store.clone(),
        state: config.state.clone(),
        history: config.history.clone(),
        keep_history: config.keep_history,
        incoming_servers: config.incoming_servers.clone(),
        outgoing_servers: config.outgoing_servers.clone(),
        webhooks: config.webhooks.clone(),
        notify: config.notify.clone(),
        relay: config.relay.clone(),
        queues,
    }
}

/// Where in the text each queue begins: the spaces before its `-`. `None` unless the list is
/// written in the usual way and has so many entries.
fn queues(text: &str, count: usize) -> Option<Vec<Range<usize>>> {
    let mut starts: Vec<Range<usize>> = Vec::new();
    let mut is_inside = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let is_entry = content.trim_end() == "-" || content.starts_with("- ");
        if !is_inside {
            let key = line.strip_prefix("queues:").map(str::trim);
            is_inside = key.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
        } else if is_entry && starts.first().is_none_or(|first| first.len() == indent) {
            starts.push(offset..offset + indent);
        } else if indent == 0 && !content.trim().is_empty() && !content.starts_with('#') {
            break;
        }
        offset += line.len();
    }
    (starts.len() == count).then_some(starts)
}
