//! Aligned columns and `key: value` lines for people; hostile names cannot move the cursor.

use crate::model::Tree;
use crate::output::{self, Output, escape};
use crate::wording::{cut, width};
use anyhow::Result;

/// Between two columns, and before what stands below a row.
const GAP: &str = "  ";
/// A column that is not wider than this is never cut, in columns of the terminal: times, states,
/// numbers.
const SHORT: usize = 17;
/// Nor is another one made narrower than this.
const NARROWEST: usize = 10;

/// Rows under a heading, each column as wide as its widest cell. On a terminal the widest columns
/// are cut until a row fits; where that is not enough, the last columns go on the next line.
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Row>,
}

/// Columns that share a line.
struct Line {
    first: usize,
    widths: Vec<usize>,
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
        let lines = self.lines(columns);
        let mut text = laid_out(output, &self.heading, &lines, None);
        for row in &self.rows {
            text += &laid_out(output, &row.cells, &lines, row.color);
            if let Some(note) = &row.note {
                let room = columns.map(|columns| columns.saturating_sub(GAP.len()));
                let note = room.map_or(note.clone(), |room| cut(note, room));
                text += &format!("{GAP}{note}\n");
            }
        }
        output.raw(text.as_bytes())
    }

    /// Which columns are on which line, and how wide they are.
    fn lines(&self, columns: Option<usize>) -> Vec<Line> {
        let mut widths: Vec<usize> = self.heading.iter().map(|cell| width(cell)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(&row.cells) {
                *widest = width(cell).max(*widest);
            }
        }
        let Some(columns) = columns else {
            return vec![Line { first: 0, widths }];
        };
        let mut lines: Vec<Line> = Vec::new();
        let mut room = columns;
        let mut least = 0;
        for (column, width) in widths.into_iter().enumerate() {
            match lines.last_mut() {
                Some(line) if least + GAP.len() + narrowest(width) <= room => {
                    line.widths.push(width);
                    least += GAP.len() + narrowest(width);
                }
                last => {
                    if last.is_some() {
                        room = columns.saturating_sub(GAP.len());
                    }
                    let widths = vec![width];
                    lines.push(Line {
                        first: column,
                        widths,
                    });
                    least = narrowest(width);
                }
            }
        }
        for line in &mut lines {
            let indent = if line.first == 0 { 0 } else { GAP.len() };
            line.narrow(columns.saturating_sub(indent));
        }
        lines
    }
}

/// What a column of this width may be cut to.
fn narrowest(width: usize) -> usize {
    if width > SHORT { NARROWEST } else { width }
}

impl Line {
    /// Takes from the widest columns until all fit.
    fn narrow(&mut self, room: usize) {
        let room = room.saturating_sub(GAP.len() * self.widths.len().saturating_sub(1));
        let least: Vec<usize> = self.widths.iter().map(|width| narrowest(*width)).collect();
        for width in &mut self.widths {
            *width = room.min(*width);
        }
        while self.widths.iter().sum::<usize>() > room {
            let wide = self.widths.iter_mut().zip(&least);
            let widest = wide.filter(|(width, least)| **width > **least);
            match widest.map(|(width, _)| width).max() {
                Some(width) => *width -= 1,
                None => break,
            }
        }
    }
}

/// The cells of a row on their lines.
fn laid_out(
    output: &Output,
    cells: &[String],
    lines: &[Line],
    color: Option<(usize, u8)>,
) -> String {
    let mut text = String::new();
    for one in lines {
        let indent = if one.first == 0 { "" } else { GAP };
        let color = color.and_then(|(column, color)| Some((column.checked_sub(one.first)?, color)));
        let cells = cells.get(one.first..).unwrap_or_default();
        text += &format!("{indent}{}", line(output, cells, &one.widths, color));
    }
    text
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

/// Prints a mapping: as JSON, or as `key: value` lines, the mappings of a list indented below their
/// key.
pub fn show(output: &Output, tree: &Tree) -> Result<()> {
    if output.json {
        return output.json(tree);
    }
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
        let lines = table.lines(columns);
        let rows = table.rows.iter().map(|row| &row.cells);
        std::iter::once(&table.heading)
            .chain(rows)
            .flat_map(|cells| {
                let text = laid_out(&output, cells, &lines, None);
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
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

    #[test]
    fn what_is_short_is_never_cut_and_what_does_not_fit_goes_below() {
        let mut table = Table::new(&["TIME", "FROM", "TO", "SUBJECT", "STATE"]);
        let long = "x".repeat(30);
        table.row(vec![
            "2026-11-29 12:00".into(),
            long.clone(),
            long.clone(),
            long,
            "delivered".into(),
        ]);
        assert_eq!(
            lines(&table, Some(50)),
            [
                "TIME              FROM             TO",
                "  SUBJECT                         STATE",
                "2026-11-29 12:00  xxxxxxxxxxxxxx…  xxxxxxxxxxxxxx…",
                "  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx  delivered",
            ]
        );
    }
}
