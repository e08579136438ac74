//! Edits of generated files: whatever their style, an edit touches one place and every other
//! byte stays.

use super::edit::{HEAD, edit, edit_whole};
use super::excerpt::Excerpt;
use crate::model::*;
use crate::secret::Secret;
use proptest::prelude::*;

fn read(text: &str) -> Config {
    serde_yaml::from_str(text.trim_start_matches('\u{feff}'))
        .unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn address(address: &str) -> Address {
    Address {
        extension_language: Some("no".parse().unwrap()),
        sender: true,
        folders: Some(vec!["INBOX".to_owned(), "a, b".to_owned()]),
        ..Address::new(address.parse().unwrap(), "Contoso".to_owned())
    }
}

fn queue(name: &str) -> Queue {
    Queue {
        name: name.to_owned(),
        language: None,
        priority: Some(Priority(5)),
        start: None,
        addresses: vec![address("new@contoso.com")],
    }
}

/// The part of `old` that is gone, and the part of `new` that stands in its place.
fn difference<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let longest = a.len().min(b.len()) - prefix;
    let suffix = (1..=longest)
        .take_while(|n| a[a.len() - n] == b[b.len() - n])
        .count();
    // A difference may begin within a character.
    let (mut start, mut old_end, mut new_end) = (prefix, a.len() - suffix, b.len() - suffix);
    while !old.is_char_boundary(start) {
        start -= 1;
    }
    while !old.is_char_boundary(old_end) || !new.is_char_boundary(new_end) {
        old_end += 1;
        new_end += 1;
    }
    (&old[start..old_end], &new[start..new_end])
}

#[test]
fn nothing_to_change_changes_nothing() {
    let text = format!("{HEAD}queues: [ ]  # none\n");
    let config = read(&text);
    assert_eq!(edit(&text, &config, &config).unwrap(), text);
}

#[test]
fn empty_places_are_filled() {
    const SERVER: &str = "\
incoming_servers:
  - name: Contoso
    address: https://login.microsoftonline.com/contoso.com
    authentication: oauth-user
    client_id: x
";
    const QUEUE: &str = "  - name: q
    priority: 5
    addresses:
      - address: new@contoso.com
        server: Contoso
        extension_language: 'no'
        sender: true
        folders: [INBOX, 'a, b']
";
    for (before, after) in [
        ("version: 1\n# end\n", None),
        ("version: 1\nqueues:\n# end\n", None),
        ("version: 1\nqueues: # none yet\n", None),
        (
            "version: 1\nqueues: []\n",
            Some(format!("version: 1\nqueues:\n{QUEUE}")),
        ),
        ("version: 1\nqueues: [ ] # none\n# end", None),
        (
            "# head\n---\nversion: 1\n...\n",
            Some(format!("# head\n---\nversion: 1\nqueues:\n{QUEUE}...\n")),
        ),
        ("%YAML 1.2\n---\nversion: 1\n", None),
        (
            "--- # here\nversion: 1 # there",
            Some(format!(
                "--- # here\nversion: 1 # there\nqueues:\n{}",
                QUEUE.trim_end()
            )),
        ),
        (
            "version: 1\nqueues:\n- name: q\n  addresses:\n  priority: 5\n",
            None,
        ),
        (
            "version: 1\nqueues:\n- name: q\n  addresses: []\n  priority: 5\n",
            None,
        ),
        ("{version: 1}", None),
        ("{ version: 1, queues: [ ], }\n", None),
    ] {
        let old = read(before);
        let mut new = old.clone();
        new.queues = vec![queue("q")];
        let edited = edit(before, &old, &new).unwrap_or_else(|e| panic!("{before:?}: {e}"));
        for comment in before.lines().filter_map(|l| l.split_once('#')) {
            assert!(edited.contains(comment.1), "{before:?} became {edited:?}");
        }
        if let Some(after) = after {
            assert_eq!(edited, after);
        }
        // And emptied again: no queue, no address.
        let none = edit(&edited, &new, &read("version: 1\n")).unwrap();
        assert_eq!(
            read(&none),
            read("version: 1\n"),
            "{edited:?} became {none:?}"
        );
    }
    let old = read(HEAD);
    let with_server = read(&format!("{HEAD}{SERVER}"));
    assert_eq!(
        edit(HEAD, &old, &with_server).unwrap(),
        format!("{HEAD}{SERVER}")
    );
}

#[test]
fn strings_of_any_shape_come_back_as_they_were() {
    for name in [
        "plain",
        "no",
        "Yes",
        "NULL",
        "~",
        "1",
        "0x1f",
        "1e5",
        "1_000",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'a'",
        "\"a\"",
        "a'b\"c",
        "[a]",
        "{a}",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "a:",
        ":a",
        "?",
        "? a",
        "büro",
        "日本",
        "a\u{85}b",
        "a\u{2028}b",
        "\u{feff}a",
        "a,b",
        "=",
        "<<",
        "2026-11-24",
        "12:30:45",
        "a  b",
        "a\\b",
        "😀",
        "a\u{7f}b",
        "true",
        ".inf",
        "+1",
        "\u{a0}a",
        "---",
        "...",
        "--- a",
        "a\u{e000}",
    ] {
        let old = read(HEAD);
        let mut new = old.clone();
        new.queues.push(queue(name));
        let edited = edit(HEAD, &old, &new).unwrap_or_else(|e| panic!("{name:?}: {e}"));
        assert_eq!(read(&edited).queues[0].name, name, "{edited}");
        // The same within a flow mapping.
        let flow = "{version: 1, queues: [{name: q, addresses: []}]}";
        let old = read(flow);
        let mut new = old.clone();
        new.queues.push(queue(name));
        edit(flow, &old, &new).unwrap_or_else(|e| panic!("{name:?} in flow: {e}"));
    }
}

#[test]
fn a_file_with_an_alias_is_edited_where_that_changes_nothing_else() {
    let text = "\
version: 1
queues:
  - name: a
    language: &l de  # anchor
  - name: b
    language: *l
";
    let old = read(text);
    let mut new = old.clone();
    new.queues.push(queue("c"));
    let edited = edit(text, &old, &new).unwrap();
    assert!(edited.starts_with(text), "{edited}");
    let mut new = old.clone();
    new.queues[1].language = Some("fi".parse().unwrap());
    let edited = edit(text, &old, &new).unwrap();
    assert_eq!(difference(text, &edited), ("*l", "fi"));
}

/// Writes a configuration in a style that the choices decide.
struct Writer<'a> {
    choices: std::slice::Iter<'a, u8>,
    text: String,
}

impl Writer<'_> {
    fn choose<'s>(&mut self, of: &[&'s str]) -> &'s str {
        of[usize::from(*self.choices.next().unwrap_or(&0)) % of.len()]
    }

    fn maybe(&mut self, text: &str) {
        let chosen = self.choose(&["", text]).to_owned();
        self.text.push_str(&chosen);
    }

    fn line_end(&mut self) {
        let end = self.choose(&[
            "\n",
            "  # a remark\n",
            " \n",
            "\n\n",
            "\n  # below\n",
            "\n# left\n",
        ]);
        self.text.push_str(end);
    }

    fn scalar(&mut self, plain: &str) {
        let text = match self.choose(&["plain", "single", "double"]) {
            "single" => format!("'{plain}'"),
            "double" => format!("\"{plain}\""),
            _ => plain.to_owned(),
        };
        let space = self.choose(&[" ", "  "]);
        self.text.push_str(&format!("{space}{text}"));
    }

    fn config(mut self, queues: usize) -> String {
        self.maybe("# head: with a colon\n\n");
        self.text.push_str("version: 1");
        self.line_end();
        self.text.push_str("incoming_servers:");
        self.line_end();
        let indent = self.choose(&["", "  ", "    "]).to_owned();
        let gap = self.choose(&[" ", "   "]).to_owned();
        let inner = format!("{indent} {gap}");
        self.text.push_str(&format!("{indent}-{gap}name:"));
        self.scalar("Contoso");
        self.line_end();
        self.text.push_str(&format!(
            "{inner}address: https://login.microsoftonline.com/contoso.com"
        ));
        self.line_end();
        self.text
            .push_str(&format!("{inner}authentication: oauth-service"));
        self.line_end();
        self.text.push_str(&format!(
            "{inner}client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1"
        ));
        self.line_end();
        let secret = self.choose(&[
            "secret: { file: /a, }",
            "secret: {env: X}",
            "secret: 'it''s: #1'",
            "secret: { command: [ pass, 'a b' ] }",
        ]);
        self.text.push_str(&format!("{inner}{secret}"));
        self.line_end();
        self.text.push_str("queues:");
        self.line_end();
        let indent = self.choose(&["", "  ", "    "]).to_owned();
        let inner = format!("{indent}  ");
        for n in 0..queues {
            if self.choose(&["block", "flow"]) == "flow" {
                self.text.push_str(&format!(
                    "{indent}- {{ name: q{n}, addresses: [ {{address: a{n}@contoso.com, server: Contoso}} ] }}"
                ));
                self.line_end();
                continue;
            }
            self.text.push_str(&format!("{indent}- name:"));
            self.scalar(&format!("q{n}"));
            self.line_end();
            self.text.push_str(&format!("{inner}priority: 7"));
            self.line_end();
            self.text.push_str(&format!("{inner}addresses:"));
            self.line_end();
            let deep = self.choose(&["", "  "]).to_owned();
            self.text.push_str(&format!("{inner}{deep}- address:"));
            self.scalar(&format!("a{n}@contoso.com"));
            self.line_end();
            self.text
                .push_str(&format!("{inner}{deep}  server: Contoso"));
            self.line_end();
        }
        let mut text = self.text.clone();
        if self.choose(&["line end", "none"]) == "none" {
            text.truncate(text.trim_end().len());
        }
        if self.choose(&["lf", "crlf"]) == "crlf" {
            text = text.replace('\n', "\r\n");
        }
        if self.choose(&["", "bom"]) == "bom" {
            text.insert(0, '\u{feff}');
        }
        text
    }
}

fn files() -> impl Strategy<Value = (String, usize)> {
    files_of(1..4)
}

/// Files with so many queues.
fn files_of(queues: std::ops::Range<usize>) -> impl Strategy<Value = (String, usize)> {
    let choices = proptest::collection::vec(any::<u8>(), 0..20 * queues.end);
    (choices, queues).prop_map(|(choices, queues)| {
        let writer = Writer {
            choices: choices.iter(),
            text: String::new(),
        };
        (writer.config(queues), queues)
    })
}

/// Every line of the old text whose fate is not the edit's stands in the new one, in its order.
fn keeps_lines(old: &str, new: &str, but: &str) -> Result<(), TestCaseError> {
    let mut rest = new.lines();
    for line in old
        .lines()
        .filter(|l| !l.contains(but) && !l.trim().is_empty())
    {
        prop_assert!(
            rest.any(|l| l == line),
            "lost {line:?}\n--- old\n{old}\n--- new\n{new}"
        );
    }
    prop_assert_eq!(old.contains('\r'), new.contains('\r'));
    prop_assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}'));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn adding_only_inserts((text, n) in files(), pick in any::<prop::sample::Index>()) {
        let old = read(&text);
        let mut new = old.clone();
        new.queues.push(queue("new: queue"));
        let edited = edit(&text, &old, &new).unwrap();
        let (gone, _) = difference(&text, &edited);
        prop_assert_eq!(gone, "", "{}\n---\n{}", text, edited);

        let mut new = old.clone();
        new.queues[pick.index(n)].addresses.push(address("second@contoso.com"));
        let edited = edit(&text, &old, &new).unwrap();
        let (gone, _) = difference(&text, &edited);
        prop_assert_eq!(gone, "", "{}\n---\n{}", text, edited);
    }

    #[test]
    fn a_changed_value_changes_its_line((text, n) in files(), pick in any::<prop::sample::Index>()) {
        let old = read(&text);
        let i = pick.index(n);
        let mut new = old.clone();
        new.queues[i].addresses[0].server = "Contoso".to_owned();
        new.queues[i].name = "other: name".to_owned();
        let edited = edit(&text, &old, &new).unwrap();
        let (gone, come) = difference(&text, &edited);
        prop_assert!(!gone.contains('\n') && !come.contains('\n'), "{:?} {:?}", gone, come);

        let mut new = old.clone();
        new.incoming_servers[0].secret = Some(SecretSource::Plain(Secret::new("s: #'\"")));
        new.incoming_servers[0].via = IncomingVia::Graph;
        let edited = edit(&text, &old, &new).unwrap();
        keeps_lines(&text, &edited, "secret")?;
    }

    #[test]
    fn a_key_comes_and_goes((text, n) in files(), pick in any::<prop::sample::Index>()) {
        let old = read(&text);
        let i = pick.index(n);
        let mut new = old.clone();
        new.queues[i].language = Some("fi".parse().unwrap());
        let edited = edit(&text, &old, &new).unwrap();
        prop_assert_eq!(difference(&text, &edited).0, "", "{}\n---\n{}", text, edited);
        let back = edit(&edited, &new, &old).unwrap();
        keeps_lines(&text, &back, &format!("q{i}"))?;
    }

    #[test]
    fn removing_leaves_the_others((text, n) in files(), pick in any::<prop::sample::Index>()) {
        let old = read(&text);
        let i = pick.index(n);
        let mut new = old.clone();
        new.queues.remove(i);
        let edited = edit(&text, &old, &new).unwrap();
        let mut rest = edited.lines();
        for line in text.lines().filter(|l| {
            (0..n).any(|k| k != i && (l.contains(&format!("q{k}")) || l.contains(&format!("a{k}@"))))
        }) {
            prop_assert!(rest.any(|l| l == line), "lost {:?}\n{}\n---\n{}", line, text, edited);
        }
    }

    #[test]
    fn an_excerpt_is_edited_like_the_whole(
        (text, n) in files_of(4..12),
        pick in any::<prop::sample::Index>(),
        change in 0..6,
    ) {
        let old = read(&text);
        let i = pick.index(n);
        let mut new = old.clone();
        match change {
            0 => new.queues.push(queue("new: queue")),
            1 => drop(new.queues.remove(i)),
            2 => new.queues[i].addresses.push(address("second@contoso.com")),
            3 => new.queues[i].name = "other: name".to_owned(),
            4 => new.incoming_servers[0].via = IncomingVia::Graph,
            _ => {
                new.queues[0].priority = Some(Priority(1));
                new.queues[n - 1].language = Some("fi".parse().unwrap());
            }
        }
        let whole = edit_whole(&text, &old, &new).unwrap();
        prop_assert_eq!(&edit(&text, &old, &new).unwrap(), &whole);
        match Excerpt::of(&text, &old, &new) {
            Some(excerpt) => {
                prop_assert!(excerpt.text.len() < text.len() || n < 6, "{}", excerpt.text);
                let edited = edit_whole(&excerpt.text, &excerpt.old, &excerpt.new).unwrap();
                prop_assert_eq!(excerpt.completed(&edited), Some(whole));
            }
            None => prop_assert!(!matches!(change, 0 | 4), "{}", text),
        }
    }

    #[test]
    fn odd_texts_are_edited_or_refused(
        (text, n) in files(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..24usize), 1..4),
    ) {
        const PIECES: [&str; 24] = [
            "", "\n", " ", "  ", "#", " # x\n", "&a ", "*a", "!t ", "'", "\"", "|\n", ">-\n", "[", "]",
            "{", "}", ",", ":", "- ", "? ", "---\n", "\t", "\r",
        ];
        let mut text: Vec<char> = text.chars().collect();
        for (at, piece) in changes {
            let at = at.index(text.len());
            let gone = usize::from(PIECES[piece].is_empty());
            text.splice(at..at + gone, PIECES[piece].chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(old) = serde_yaml::from_str::<Config>(text.trim_start_matches('\u{feff}')) {
            let mut new = old.clone();
            new.queues.push(queue("new"));
            new.incoming_servers.iter_mut().for_each(|s| s.via = IncomingVia::Auto);
            if let Ok(edited) = edit(&text, &old, &new) {
                prop_assert_eq!(read(&edited), new);
            }
            let mut new = old.clone();
            new.queues.truncate(n - 1);
            let _ = edit(&text, &old, &new);
        }
    }
}
