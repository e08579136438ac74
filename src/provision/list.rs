//! A list that another program wrote, taken apart into lines with named values: CSV with a header
//! (RFC 4180), as `Export-Csv` of every PowerShell writes it, or JSON Lines (<https://jsonlines.org>).

use crate::config::MAX_SIZE;
use crate::fault::Fault;
use crate::wording::counted;
use anyhow::Result;
use csv::{ReaderBuilder, StringRecord};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// One entry of a list.
pub struct Row {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The names and their values, of which some have several; else why it cannot be read.
    pub cells: Result<Vec<Cell>>,
}

/// A name, as [`plain_name`] has it, and its values, none of them empty.
pub type Cell = (String, Vec<String>);

/// Takes a list apart. `check` has something against a name that is unknown.
///
/// # Errors
/// `Usage`: it is too large, is no text, or its header has an unknown name. What is wrong with one
/// entry is said there.
pub fn rows(bytes: &[u8], check: impl Fn(&str) -> Result<()>) -> Result<Vec<Row>> {
    if bytes.len() as u64 > MAX_SIZE {
        let most = MAX_SIZE >> 20;
        return Err(Fault::usage(format!("the list is larger than {most} MiB")).into());
    }
    let text = text(bytes)?;
    match text.trim_start().chars().next() {
        Some('{') => Ok(of_json(&text, check)),
        Some('[') => Err(Fault::usage(
            "the list is an array of JSON: write one object on each line instead",
        )
        .hint("jq -c '.[]' FILE; in PowerShell: ForEach-Object { ConvertTo-Json -Compress $_ }")
        .into()),
        _ => of_csv(&text, check),
    }
}

/// The text, which may be UTF-16 with a byte order mark.
fn text(bytes: &[u8]) -> Result<String> {
    let units = |unit: fn([u8; 2]) -> u16| -> Vec<u16> {
        let pairs = bytes[2..].chunks_exact(2);
        pairs.map(|pair| unit([pair[0], pair[1]])).collect()
    };
    let decoded = match bytes {
        [0xff, 0xfe, ..] => String::from_utf16(&units(u16::from_le_bytes)).ok(),
        [0xfe, 0xff, ..] => String::from_utf16(&units(u16::from_be_bytes)).ok(),
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8(text.to_vec()).ok(),
    };
    decoded.ok_or_else(|| {
        Fault::usage("the list is neither UTF-8 nor UTF-16 with a byte order mark")
            .hint("write it in UTF-8, in PowerShell: Export-Csv -NoTypeInformation -Encoding UTF8")
            .into()
    })
}

/// An option's name, however a list has it: `Queue_Priority`, `--queue-priority`.
fn plain_name(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    name.trim_start_matches("--").to_owned()
}

// ---- CSV -------------------------------------------------------------------------------------

fn of_csv(text: &str, check: impl Fn(&str) -> Result<()>) -> Result<Vec<Row>> {
    // Windows PowerShell says in a first line which type its objects have.
    let (mut line, text) = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#TYPE ") => (2, rest),
        _ => (1, text),
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut names: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    let (mut start, mut counted) = (0, 0);
    while reader.read_record(&mut record)? {
        let end = usize::try_from(reader.position().byte()).unwrap_or(text.len());
        // The crate passes over empty lines before it comes to a record.
        let is_break = |c: char| c == '\r' || c == '\n';
        start = end - text[start..end].trim_start_matches(is_break).len();
        line += text[counted..start].matches('\n').count();
        counted = start;
        let written = &text[start..end];
        start = end;
        if names.is_empty() {
            names = record.iter().map(plain_name).collect();
            for name in &names {
                check(name)?;
            }
            continue;
        }
        let cells = cells(&names, &record, written);
        rows.push(Row { line, cells });
    }
    Ok(rows)
}

/// The character between two names of the header: `Export-Csv -UseCulture` takes the one of the
/// country, and a spreadsheet may take a tabulator.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start().lines().next().unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|&b| b == delimiter).count();
    // Of equals the last one is taken.
    let most = [b'\t', b';', b','].into_iter().max_by_key(|&d| count(d));
    most.unwrap_or(b',')
}

/// The cells of a record that was `written` like this.
fn cells(names: &[String], record: &StringRecord, written: &str) -> Result<Vec<Cell>> {
    if !written.matches('"').count().is_multiple_of(2) {
        return Err(Fault::usage("a quotation mark is not closed").into());
    }
    if record.len() != names.len() {
        let what = format!(
            "{}, and the header has {}",
            counted(record.len(), "value", "values"),
            counted(names.len(), "name", "names")
        );
        return Err(Fault::usage(what)
            .hint("put a value that contains the delimiter between quotation marks")
            .into());
    }
    let mut cells: Vec<Cell> = Vec::new();
    for (name, text) in names.iter().zip(record) {
        // Several values of a name have lines of their own, or columns.
        let values = text.lines().filter(|value| !value.trim().is_empty());
        let values = values.map(str::to_owned);
        match cells.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values),
            None => cells.push((name.clone(), values.collect())),
        }
    }
    cells.retain(|(_, values)| !values.is_empty());
    Ok(cells)
}

// ---- JSON Lines ------------------------------------------------------------------------------

fn of_json(text: &str, check: impl Fn(&str) -> Result<()>) -> Vec<Row> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(index, text)| Row {
            line: index + 1,
            cells: object(text, &check),
        })
        .collect()
}

fn object(text: &str, check: impl Fn(&str) -> Result<()>) -> Result<Vec<Cell>> {
    let Pairs(object) = serde_json::from_str(text).map_err(|err| {
        Fault::usage(format!("not a JSON object, column {}", err.column()))
            .hint("write one object on each line, in PowerShell: ForEach-Object { ConvertTo-Json -Compress $_ }")
    })?;
    let mut cells: Vec<Cell> = Vec::new();
    for (name, value) in &object {
        let plain = plain_name(name);
        check(&plain)?;
        let values = match value {
            Value::Array(values) => values.iter().map(scalar).collect::<Option<Vec<_>>>(),
            value => scalar(value).map(|value| vec![value]),
        };
        let mut values = values.ok_or_else(|| {
            Fault::usage(format!(
                "`{plain}` must be a string, a number, true, false, null or a list of strings"
            ))
        })?;
        values.retain(|value| !value.is_empty());
        if cells.iter().any(|(known, _)| *known == plain) {
            return Err(Fault::usage(format!("`{plain}` appears twice")).into());
        }
        cells.push((plain, values));
    }
    cells.retain(|(_, values)| !values.is_empty());
    Ok(cells)
}

/// The names and values of a JSON object as they are written: a map would keep the last of two
/// equal names (RFC 8259 §4).
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
        struct Taker;

        impl<'de> Visitor<'de> for Taker {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        from.deserialize_map(Taker)
    }
}

/// A value as a command line would have it; what is null is empty.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Vec<(usize, Vec<Cell>)> {
        let rows = rows(bytes, |_| Ok(())).unwrap();
        let row = |row: Row| (row.line, row.cells.unwrap());
        rows.into_iter().map(row).collect()
    }

    fn cell(name: &str, values: &[&str]) -> Cell {
        let values = values.iter().map(|&value| value.to_owned());
        (name.to_owned(), values.collect())
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(bytes).collect()
    }

    #[test]
    fn a_list_is_read_however_it_is_written() {
        let expected = [
            (
                2,
                vec![
                    cell("queue", &["support"]),
                    cell("folder", &["a,\"b;", "c"]),
                ],
            ),
            (4, vec![cell("queue", &["Größe"])]),
        ];
        let csv = "Queue,folder\nsupport,\"a,\"\"b;\nc\"\nGröße,\n";
        let powershell =
            "\"queue\",\"folder\"\r\n\"support\",\"a,\"\"b;\r\nc\"\r\n\"Größe\",\"\"\r\n";
        let columns = "queue\tfolder\tfolder\nsupport\t\"a,\"\"b;\"\tc\n\nGröße\t\t\n";
        let lines = "{\"queue\":\"support\",\"folder\":[\"a,\\\"b;\",\"c\"]}\n\n{\"queue\":\"Größe\",\"folder\":null}";
        for text in [
            csv.as_bytes(),
            powershell.as_bytes(),
            format!("\u{feff}{powershell}").as_bytes(),
            &utf16(powershell, u16::to_le_bytes),
            &utf16(powershell, u16::to_be_bytes),
        ] {
            assert_eq!(read(text), expected, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(read(columns.as_bytes()), expected);
        let lines = read(lines.as_bytes());
        assert_eq!(lines[1].0, 3);
        assert_eq!(lines[1].1, expected[1].1);
        let typed = "#TYPE System.Object\r\n\"queue\";\"folder\"\r\n\"a\";\"b\"\r\n";
        let expected = [(3, vec![cell("queue", &["a"]), cell("folder", &["b"])])];
        assert_eq!(read(typed.as_bytes()), expected);
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_there_and_the_next_is_read() {
        let list = "queue,address\n\na,b,c\n\n\nd,e\nf,\"g\n";
        let rows = rows(list.as_bytes(), |_| Ok(())).unwrap();
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row.line, row.cells.as_ref().err().map(ToString::to_string)))
            .collect();
        let many = "3 values, and the header has 2 names".to_owned();
        let open = "a quotation mark is not closed".to_owned();
        assert_eq!(said, [(3, Some(many)), (6, None), (7, Some(open))]);
    }

    proptest! {
        #[test]
        fn every_value_comes_back(values in prop::collection::vec("[a-z ,;\"'{}#é\t]{1,12}", 1..8)) {
            let quote = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
            let lines: Vec<String> = values.iter().map(|v| format!("x,{}\r\n", quote(v))).collect();
            let list = format!("queue,folder\r\n{}", lines.concat());
            let folders: Vec<Option<String>> = read(list.as_bytes())
                .into_iter()
                .map(|(_, mut cells)| cells.pop().filter(|c| c.0 == "folder")?.1.pop())
                .collect();
            let wanted: Vec<Option<String>> = values
                .iter()
                .map(|v| Some(v.clone()).filter(|v| !v.trim().is_empty()))
                .collect();
            prop_assert_eq!(folders, wanted);
        }

        #[test]
        fn no_list_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[\u{feff}a,\"\r\n;{}: é]{0,60}") {
            let _ = rows(&bytes, |_| Ok(()));
            let _ = rows(text.as_bytes(), |_| Ok(()));
        }
    }
}
