//! A question with the choices below it. dialoguer chooses; how a choice looks is said here.
//!
//! dialoguer counts the rows of a choice in bytes, and clears lines of others where a name has
//! letters of several. So it gets the numbers of the choices, which are short, and asks here for
//! the lines that stand for them, none of which is wider than the terminal.

use crate::output::escape;
use crate::wording::{cut, width, wrap};
use dialoguer::theme::Theme;
use std::fmt::{Result, Write};

/// Room for the page number that dialoguer may add to a question.
const PAGE: usize = " [Page 10/10] ".len();
/// Before a choice, marked or not.
const MARK: usize = 2;
/// Where less room is left than this, an explanation is not broken but cut.
const TOO_NARROW: usize = 20;

/// A question and its choices as lines of a terminal.
pub struct Menu {
    question: Vec<String>,
    choices: Vec<Vec<String>>,
    /// False where not all choices fit the terminal at once, so that there are pages.
    pub is_whole: bool,
}

impl Menu {
    /// Lays them out. An explanation that is too long goes on below itself where there is room for
    /// all of them; else each choice is one line.
    pub fn new(question: &str, choices: &[String], (rows, columns): (usize, usize)) -> Menu {
        let question = wrap(
            &format!("{}:", escape(question)),
            columns.saturating_sub(PAGE),
        );
        let room = columns.saturating_sub(MARK + 1);
        let choices: Vec<String> = choices.iter().map(|choice| escape(choice)).collect();
        let broken: Vec<_> = choices.iter().map(|choice| hanging(choice, room)).collect();
        let needed = question.len() + broken.iter().map(Vec::len).sum::<usize>();
        let is_whole = needed < rows;
        let choices = match is_whole {
            true => broken,
            false => choices
                .iter()
                .map(|choice| vec![cut(choice, room)])
                .collect(),
        };
        Menu {
            question,
            choices,
            is_whole,
        }
    }

    /// The rows of the question.
    pub fn height(&self) -> usize {
        self.question.len()
    }
}

impl Theme for Menu {
    fn format_select_prompt(&self, f: &mut dyn Write, _: &str) -> Result {
        f.write_str(&self.question.join("\n"))
    }

    fn format_select_prompt_item(&self, f: &mut dyn Write, number: &str, marked: bool) -> Result {
        let choice = number.parse().ok().and_then(|n: usize| self.choices.get(n));
        let mark = if marked { "> " } else { "  " };
        write!(
            f,
            "{mark}{}",
            choice.map_or(String::new(), |lines| lines.join("\n  "))
        )
    }
}

/// A choice, its explanation broken below where it begins: after the first two spaces in a row.
fn hanging(choice: &str, columns: usize) -> Vec<String> {
    let rest = choice.split_once("  ").map(|(name, rest)| {
        let words = rest.trim_start();
        (name, choice.len() - words.len(), words)
    });
    match rest {
        Some((_, start, words))
            if start + TOO_NARROW < columns && choice.is_char_boundary(start) =>
        {
            let head = &choice[..start];
            let indent = width(head);
            let mut lines = wrap(words, columns.saturating_sub(indent).max(1));
            for (row, line) in lines.iter_mut().enumerate() {
                let before = match row {
                    0 => head.to_owned(),
                    _ => " ".repeat(indent),
                };
                line.insert_str(0, &before);
            }
            lines
        }
        _ => wrap(choice, columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(menu: &Menu, number: usize) -> String {
        let mut text = String::new();
        menu.format_select_prompt_item(&mut text, &number.to_string(), number == 0)
            .unwrap();
        text
    }

    #[test]
    fn what_is_too_long_is_broken_or_where_there_are_too_many_cut() {
        let choices = vec![
            "imap   needs one permission or the other one".to_owned(),
            "日本語  日本語日本語日本語日本語".to_owned(),
        ];
        let menu = Menu::new("Read", &choices, (24, 40));
        assert_eq!(
            shown(&menu, 0),
            "> imap   needs one permission or the\n         other one"
        );
        let menu = Menu::new("Read", &choices, (4, 40));
        assert!(!menu.is_whole);
        assert_eq!(shown(&menu, 0), "> imap   needs one permission or the o…");
        for number in 0..2 {
            assert!(width(&shown(&menu, number)) < 40);
        }
    }
}
