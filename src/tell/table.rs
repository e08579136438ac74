//! Aligned columns and `key: value` lines for people; hostile names cannot move the cursor.

use crate::config::Tree;
use crate::output::{Output, escape};
use anyhow::Result;

/// Rows under a heading, each column as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(heading: &[&str]) -> Table {
        Table {
            rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()],
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|c| escape(c)).collect());
    }

    /// Prints the table; nothing at all if it has no row.
    pub fn print(&self, output: &Output) -> Result<()> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        output.line(text.trim_end_matches('\n'))
    }
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
