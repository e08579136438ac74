//! Aligned columns and `key: value` lines for people; hostile names cannot move the cursor.

use crate::config::Tree;
use crate::output::{self, Output, escape};
use crate::wording::{cut, width};
use anyhow::Result;

/// Between two columns.
const GAP: &str = "  ";
/// No column is made narrower than this for a terminal's sake, in columns of the terminal.
const NARROWEST: usize = 8;

/// Rows under a heading, each column as wide as its widest cell. On a terminal the widest columns
/// are cut until a row fits.
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    /// A column, and its colour (ECMA-48 §8.3.117).
    color: Option<(usize, u8)>,
    note: Option<String>,
}

impl Table {
    pub fn new(heading: &[&str]) -> Table {
        Table {
            heading: heading.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row {
            cells: cells.iter().map(|cell| one_line(cell)).collect(),
            ..Row::default()
        });
    }

    /// Gives a cell of the last row a colour, or none.
    pub fn color(&mut self, column: usize, color: Option<u8>) {
        if let Some(row) = self.rows.last_mut() {
            row.color = color.map(|color| (column, color));
        }
    }

    /// Puts a line below the last row, over all columns.
    pub fn note(&mut self, text: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.note = Some(one_line(text));
        }
    }

    /// Prints the table; nothing at all if it has no row.
    pub fn print(&self, output: &Output) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let columns = output::columns();
        let widths = self.widths(columns);
        let mut text = line(output, &self.heading, &widths, None);
        for row in &self.rows {
            text += &line(output, &row.cells, &widths, row.color);
            if let Some(note) = &row.note {
                let room = columns.map(|columns| columns.saturating_sub(GAP.len()));
                let note = room.map_or(note.clone(), |room| cut(note, room));
                text += &format!("{GAP}{note}\n");
            }
        }
        output.raw(text.as_bytes())
    }

    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|cell| width(cell)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(&row.cells) {
                *widest = width(cell).max(*widest);
            }
        }
        if let Some(columns) = columns {
            let room = columns.saturating_sub(GAP.len() * widths.len().saturating_sub(1));
            widths
                .iter_mut()
                .for_each(|width| *width = room.min(*width));
            while widths.iter().sum::<usize>() > room
                && let Some(widest) = widths.iter_mut().max()
                && *widest > NARROWEST
            {
                *widest -= 1;
            }
        }
        widths
    }
}

/// A row as a line.
fn line(output: &Output, cells: &[String], widths: &[usize], color: Option<(usize, u8)>) -> String {
    let mut line = String::new();
    let mut gap = String::new();
    for (column, (cell, room)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *room);
        let rest = room.saturating_sub(width(&cell));
        if !cell.is_empty() {
            line += &std::mem::take(&mut gap);
            let color = color.filter(|(of, _)| *of == column);
            line += &output.painted(&cell, color.map(|(_, color)| color));
        }
        gap += &" ".repeat(rest + GAP.len());
    }
    line + "\n"
}

/// A cell is one line, whatever a server said.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(['\r', '\n', '\t', ' ']).collect();
    let words = words.into_iter().filter(|word| !word.is_empty());
    escape(&words.collect::<Vec<_>>().join(" "))
}

/// A key's value in one line, `-` where it is not set.
pub fn cell(tree: &Tree, key: &str) -> String {
    tree.get(key).map_or("-".to_owned(), Tree::words)
}

/// Prints a mapping as `key: value` lines, the mappings of a list indented below their key.
pub fn print_tree(output: &Output, tree: &Tree) -> Result<()> {
    let mut text = String::new();
    write_tree(&mut text, tree, "", "");
    output.line(text.trim_end_matches('\n'))
}

fn write_tree(text: &mut String, tree: &Tree, first: &str, indent: &str) {
    for (i, (key, value)) in tree.entries().iter().enumerate() {
        let lead = if i == 0 { first } else { indent };
        match value {
            Tree::List(items) if items.iter().any(|t| matches!(t, Tree::Map(_))) => {
                text.push_str(&format!("{lead}{key}:\n"));
                for item in items {
                    write_tree(text, item, &format!("{indent}- "), &format!("{indent}  "));
                }
            }
            _ => text.push_str(&format!("{lead}{key}: {}\n", escape(&value.words()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::LogFormat;

    fn lines(table: &Table, columns: Option<usize>) -> Vec<String> {
        let output = Output {
            json: false,
            quiet: false,
            verbose: 0,
            color: false,
            log: LogFormat::Text,
        };
        let widths = table.widths(columns);
        let rows = table.rows.iter().map(|row| &row.cells);
        std::iter::once(&table.heading)
            .chain(rows)
            .map(|cells| line(&output, cells, &widths, None))
            .map(|line| line.trim_end_matches('\n').to_owned())
            .collect()
    }

    fn table() -> Table {
        let mut table = Table::new(&["QUEUE", "ADDRESS", "REASON"]);
        table.row(vec![
            "日本".into(),
            "e\u{301}@contoso.com".into(),
            "line\r\n  ends\n".into(),
        ]);
        table.row(vec!["support".into(), String::new(), "x".repeat(60)]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_a_terminal_shows() {
        assert_eq!(
            lines(&table(), None)[..2],
            [
                "QUEUE    ADDRESS        REASON",
                "日本     e\u{301}@contoso.com  line ends"
            ]
        );
    }

    #[test]
    fn a_row_fits_the_terminal() {
        for columns in [60, 40, 34] {
            let lines = lines(&table(), Some(columns));
            assert!(
                lines.iter().all(|line| width(line) <= columns),
                "{lines:#?}"
            );
            assert!(lines[2].ends_with('…'), "{lines:#?}");
        }
    }
}
