//! The text edited to hold another model: only what differs is touched, every other byte
//! (comments, order, quotes, blank lines, line ends) stays.
//!
//! The two models are compared as trees. A changed key is set, a new one added, one that is
//! gone removed; the entries of a list are matched by their `name` or `address`, or by their
//! order where their number is the same (which is how something gets another name). The result
//! is parsed again and must be the wanted model, so that a quirk of the syntax tree can refuse
//! an edit but never write a wrong file.

use super::excerpt::Excerpt;
use crate::model::{Config, Tree};
use std::collections::HashSet;
use std::str::FromStr;
use yaml_edit::{Mapping, Sequence, YamlFile, YamlNode};

/// What a new file begins with.
pub const HEAD: &str = "\
# Servers and queues of queuemail; `queuemail server add` and `queue add` write here too.
# Every key: man queuemail.yaml. Check: queuemail config validate
version: 1
";

const BOM: char = '\u{feff}';

/// The text with the differences between `old`, which it holds, and `new` worked in.
///
/// Error: a phrase that says why this text cannot be edited; the person must.
pub fn edit(text: &str, old: &Config, new: &Config) -> Result<String, String> {
    if old == new {
        return Ok(text.to_owned());
    }
    let holds = |edited: &str| {
        let read: Result<Config, _> = serde_yaml::from_str(edited.trim_start_matches(BOM));
        read.is_ok_and(|read| read == *new)
    };
    let excerpt = Excerpt::of(text, old, new);
    let near = excerpt.and_then(|excerpt| {
        let edited = edit_whole(&excerpt.text, &excerpt.old, &excerpt.new).ok()?;
        excerpt.completed(&edited)
    });
    if let Some(edited) = near.filter(|edited| holds(edited)) {
        return Ok(edited);
    }
    let edited = edit_whole(text, old, new)?;
    match holds(&edited) {
        true => Ok(edited),
        false => Err(UNUSUAL.to_owned()),
    }
}

/// The same, by a syntax tree of all of it; whether the result holds `new` is not known yet.
pub(super) fn edit_whole(text: &str, old: &Config, new: &Config) -> Result<String, String> {
    let (bom, body) = match text.strip_prefix(BOM) {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let file = YamlFile::from_str(body).map_err(|_| UNUSUAL.to_owned())?;
    let root = file
        .document()
        .and_then(|d| d.as_mapping())
        .ok_or(UNUSUAL)?;
    edit_mapping(&root, &old.tree(), &new.tree())?;
    let mut edited = format!("{bom}{file}");
    if body.ends_with('\n') && !edited.ends_with('\n') {
        edited.push_str(if body.ends_with("\r\n") { "\r\n" } else { "\n" });
    }
    Ok(edited)
}

const UNUSUAL: &str = "queuemail cannot change this spelling without changing the rest";

fn edit_mapping(mapping: &Mapping, old: &Tree, new: &Tree) -> Result<(), String> {
    for (key, _) in old.entries() {
        if new.get(key).is_none() {
            mapping.remove(*key);
        }
    }
    for (key, wanted) in new.entries() {
        match (old.get(key), wanted) {
            (Some(had), _) if had == wanted => {}
            (Some(Tree::List(had)), Tree::List(want))
                if want.iter().any(|t| matches!(t, Tree::Map(_))) =>
            {
                let list = mapping.get_sequence(*key).ok_or(UNUSUAL)?;
                edit_list(&list, had, want)?;
            }
            (Some(had @ Tree::Map(_)), Tree::Map(_)) if *key == "defaults" => {
                let inner = mapping.get_mapping(*key).ok_or(UNUSUAL)?;
                edit_mapping(&inner, had, wanted)?;
            }
            // An empty `queues: []` or `queues:` is absent in the tree but there in the text.
            (None, Tree::List(want))
                if mapping.get_sequence(*key).is_some_and(|l| l.is_empty()) =>
            {
                let list = mapping.get_sequence(*key).ok_or(UNUSUAL)?;
                if list.is_flow_style() && !mapping.is_flow_style() {
                    mapping.set(*key, node(wanted)?);
                } else {
                    edit_list(&list, &[], want)?;
                }
            }
            _ => mapping.set(*key, node(wanted)?),
        }
    }
    Ok(())
}

fn edit_list(list: &Sequence, old: &[Tree], new: &[Tree]) -> Result<(), String> {
    if list.len() != old.len() {
        return Err(UNUSUAL.to_owned());
    }
    if old.len() == new.len() {
        for (index, (had, wanted)) in old.iter().zip(new).enumerate() {
            if had != wanted {
                match list.get(index) {
                    Some(YamlNode::Mapping(entry)) => edit_mapping(&entry, had, wanted)?,
                    _ => return Err(UNUSUAL.to_owned()),
                }
            }
        }
        return Ok(());
    }
    let wanted: HashSet<&str> = new.iter().filter_map(identity).collect();
    let stays = |had: &&Tree| identity(had).is_some_and(|name| wanted.contains(name));
    for (index, _) in old.iter().enumerate().rev().filter(|(_, had)| !stays(had)) {
        list.remove(index);
    }
    let kept: Vec<&Tree> = old.iter().filter(stays).collect();
    for (index, wanted) in new.iter().enumerate() {
        match kept.get(index) {
            Some(had) if *had == wanted => {}
            Some(had) => match list.get(index) {
                Some(YamlNode::Mapping(entry)) => edit_mapping(&entry, had, wanted)?,
                _ => return Err(UNUSUAL.to_owned()),
            },
            None => match node(wanted)? {
                YamlNode::Mapping(entry) => list.push(entry),
                other => list.push(other),
            },
        }
    }
    Ok(())
}

/// By what an entry of a list is known.
fn identity(tree: &Tree) -> Option<&str> {
    match tree.get("name").or_else(|| tree.get("address")) {
        Some(Tree::Text(name)) => Some(name),
        _ => None,
    }
}

/// A tree as a node to put in: written as text first, since it is to look like that.
fn node(tree: &Tree) -> Result<YamlNode, String> {
    let mut text = String::from("v:");
    write_value(&mut text, tree, 2);
    YamlFile::from_str(&text)
        .ok()
        .and_then(|f| f.document())
        .and_then(|d| d.get("v"))
        .ok_or_else(|| UNUSUAL.to_owned())
}

/// Appends ` value` and a line end, or a block below.
fn write_value(text: &mut String, tree: &Tree, indent: usize) {
    match tree {
        Tree::List(items) if items.iter().any(|t| matches!(t, Tree::Map(_))) => {
            text.push('\n');
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push('-');
                let mut separator = " ".to_owned();
                for (key, value) in item.entries() {
                    text.push_str(&format!("{separator}{key}:"));
                    write_value(text, value, indent + 4);
                    separator = " ".repeat(indent + 2);
                }
            }
        }
        Tree::Map(entries) if entries.iter().any(|(k, _)| *k == "name" || *k == "address") => {
            text.push('\n');
            for (key, value) in entries {
                text.push_str(&format!("{}{key}:", " ".repeat(indent)));
                write_value(text, value, indent + 2);
            }
        }
        _ => {
            text.push(' ');
            text.push_str(&flow(tree));
            text.push('\n');
        }
    }
}

/// A value in one line.
fn flow(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) => scalar(text),
        Tree::Secret(secret) => scalar(secret.expose()),
        Tree::Number(n) => n.to_string(),
        Tree::Flag(flag) => flag.to_string(),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Tree::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A string in YAML: plain where every parser reads it as the same string, else quoted.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "/._-+@: =".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // A GUID may begin with a digit; it is a string for every parser unless it looks like 1e5.
    let guid = crate::model::is_guid(text)
        && matches!(serde_yaml::from_str(text), Ok(serde_yaml::Value::String(s)) if s == text);
    if plain || guid {
        text.to_owned()
    } else if text.chars().all(|c| !c.is_control() && !is_break(c)) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// A character that YAML 1.1 takes as a line end, or that could be one of the file's head.
fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | BOM)
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || is_break(c) => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
