//! No secret of the file is in anything that is said about the file, whatever is wrong with it.

use super::load::parse;
use super::preview::diff;
use super::to_yaml;
use crate::fault::Fault;
use crate::output;
use std::path::Path;

const CANARY: &str = "cAnArY-s3cr3t~of/thE+cl1ent";

/// A configuration that holds secrets at all places; `{…}` is what a test puts there.
const TEXT: &str = "version: 1
defaults:
  deliver: \"maildir:/var/mail/{queue}\"
incoming_servers:
  - name: \"In\"
    address: \"https://login.microsoftonline.com/contoso.example\"
    authentication: 'oauth-user'
    client_id: '11111111-2222-3333-4444-555555555555'
    secret: {value}
    secret_expires: 2030-01-01
outgoing_servers:
  - name: Out
    tenant: 'contoso.example'
    authentication: oauth-user
    client_id: 11111111-2222-3333-4444-555555555555
    certificate: \"app.pem\"
    certificate_passphrase: {value}
    user: eva@contoso.example
    password: {value}
webhooks:
  - url: https://desk.example/in
    secret: {value}
    authorization: {value}
  - url: https://desk.example/other
    secret:
      - {value}
      - {value}
queues:
  - name: \"Support\"
    addresses:
      - address: 'support@contoso.example'
        server: In
        password: {value}
        sender: true
        outgoing_server: Out
";

/// All that the program can say about this text.
fn said(text: &str) -> String {
    let path = Path::new("config.yaml");
    let config = match parse(text, path) {
        Ok(config) => config,
        Err(err) => {
            let fault = err.downcast_ref::<Fault>().unwrap();
            return format!("{err:#}\n{}\n{}", fault.what, fault.hints.join("\n"));
        }
    };
    let tree = config.tree();
    let mut other = config.clone();
    other.queues.clear();
    let mut out = vec![
        to_yaml(&tree).unwrap(),
        output::json(&tree).unwrap(),
        tree.words(),
        format!("{config:?}"),
    ];
    out.push(diff("x", (text, &config), ("version: 1\n", &other)));
    out.push(diff("x", ("version: 1\n", &other), (text, &config)));
    out.join("\n")
}

/// Six characters of a canary in a row are none too few to be found, and not one of this test's.
#[track_caller]
fn has_none(text: &str, canary: &str) {
    let said = said(text).to_lowercase();
    let canary = canary.to_lowercase();
    let parts = (0..canary.len() - 5).map(|n| &canary[n..n + 6]);
    for part in parts {
        assert!(
            !said.contains(part),
            "`{part}` is told of\n{text}\nas\n{said}"
        );
    }
}

/// Texts with a value in the place of each secret in turn, and harmless ones in the others.
fn texts(value: &str) -> impl Iterator<Item = String> + '_ {
    let places = TEXT.matches("{value}").count();
    (0..places).map(move |place| {
        let mut parts = TEXT.split("{value}");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (n, part) in parts.enumerate() {
            text.push_str(if n == place {
                value
            } else {
                "{ env: HARMLESS }"
            });
            text.push_str(part);
        }
        text
    })
}

#[test]
fn a_value_of_any_type_is_not_told() {
    for text in texts(CANARY) {
        let known = parse(&text, Path::new("x")).is_ok();
        assert!(known, "the test's own text is wrong: {}", said(&text));
    }
    for (value, canary) in [
        (CANARY.to_owned(), CANARY),
        (format!("'{CANARY}'"), CANARY),
        (format!("\"{CANARY}\""), CANARY),
        (
            "\"cAnArY-s3cr3t\\x7eof/thE\\u002bcl1ent\"".to_owned(),
            CANARY,
        ),
        (format!("|\n      {CANARY}"), CANARY),
        (format!(">-\n      {CANARY}\n      more"), CANARY),
        ("9081726354".to_owned(), "9081726354"),
        ("-9081726354".to_owned(), "9081726354"),
        (
            "90817263549081726354908172635".to_owned(),
            "90817263549081726354908172635",
        ),
        (
            "-90817263549081726354908172635".to_owned(),
            "90817263549081726354908172635",
        ),
        ("9".repeat(60) + "081726354", "9081726354"),
        ("9081726354.25".to_owned(), "9081726354"),
        ("9.081726354e200".to_owned(), "9.081726354"),
        ("0x9081726354".to_owned(), "9081726354"),
        ("0o7081726354".to_owned(), "7081726354"),
        ("2031-10-08 07:26:35".to_owned(), "2031-10-08 07:26:35"),
        ("2031-10-08".to_owned(), "2031-10-08"),
        (format!("[{CANARY}]"), CANARY),
        (format!("[[{CANARY}, 1]]"), CANARY),
        (format!("\n      - {CANARY}"), CANARY),
        (format!("{{ {CANARY} }}"), CANARY),
        (format!("{{ {CANARY}: x }}"), CANARY),
        (format!("{{ value: {CANARY} }}"), CANARY),
        (format!("{{ command: {CANARY} }}"), CANARY),
        (format!("{{ command: [[{CANARY}]] }}"), CANARY),
        (format!("{{ file: [{CANARY}] }}"), CANARY),
        ("{ file: [9081726354] }".to_owned(), "9081726354"),
        (format!("{{ env: x, {CANARY}: y }}"), CANARY),
        (format!("{{ env: x, y: {CANARY} }}"), CANARY),
        (format!("!{CANARY} x"), CANARY),
        (format!("!x {CANARY}"), CANARY),
        (format!("!!int {CANARY}"), CANARY),
        (format!("!!float {CANARY}"), CANARY),
        (format!("!!binary {CANARY}"), CANARY),
        (format!("*{CANARY}"), CANARY),
        (format!("&{CANARY} true"), CANARY),
        (format!("&a {CANARY}"), CANARY),
        ("&a 9081726354".to_owned(), "9081726354"),
        (format!("'{CANARY}"), CANARY),
        (format!("{CANARY}'"), CANARY),
        (format!("\"{CANARY}\\q\""), CANARY),
        (format!("{CANARY}: more"), CANARY),
        (format!("more: {CANARY}"), CANARY),
        (format!("`{CANARY}`"), CANARY),
        (format!("@{CANARY}"), CANARY),
        (format!("%{CANARY}"), CANARY),
        (format!("\t{CANARY}"), CANARY),
        (format!("\u{201c}{CANARY}\u{201d}"), CANARY),
        (format!("'{CANARY}'\n    password: {CANARY}"), CANARY),
        (format!("'{CANARY}'\n        secret: {CANARY}"), CANARY),
    ] {
        for text in texts(&value) {
            has_none(&text, canary);
            // The alias of a value, in the place of the next secret.
            if value.starts_with("&a") {
                has_none(&text.replacen("{ env: HARMLESS }", "*a", 3), canary);
            }
        }
    }
}

/// Whatever is misspelt or forgotten on the line of a secret, and above it.
#[test]
fn a_slip_of_form_does_not_tell_a_secret() {
    for text in texts(CANARY) {
        let line = text.lines().find(|line| line.contains(CANARY)).unwrap();
        let key = line.trim().split(':').next().unwrap();
        let accent = key.replacen('e', "\u{e9}", 1).replacen('a', "\u{e1}", 1);
        for slip in [
            format!("{key}={CANARY}"),
            format!("{key} = {CANARY}"),
            format!("{key}:{CANARY}"),
            format!("{key} {CANARY}"),
            format!("{key} '{CANARY}'"),
            format!("{key}; {CANARY}"),
            format!("{key}\u{ff1a} {CANARY}"),
            format!("{accent}: {CANARY}"),
            format!("{accent} {CANARY}"),
            format!("\u{201c}{key}\u{201d}: \u{201c}{CANARY}\u{201d}"),
            format!("{}: {CANARY}", key.to_uppercase()),
            format!("{}: {CANARY}", &key[1..]),
            format!("{}: {CANARY}", &key[..key.len() - 1]),
            format!("client_{key}: {CANARY}"),
            format!("token: {CANARY}"),
            format!("key: {CANARY}"),
            format!("api_key={CANARY}"),
            CANARY.to_owned(),
            format!("- {CANARY}"),
            format!("{CANARY}: {key}"),
            format!("{{ {key}: {CANARY} }}"),
            format!("{{ {key}={CANARY} }}"),
            format!("# {key}: {CANARY}\n    nonsense: 1"),
            format!("via: {key}={CANARY}"),
            format!("{key}: !!str\n{CANARY}"),
            format!("{key}:\n{CANARY}"),
            format!("{key}:\n- {CANARY}"),
            format!("{key}:\n  {CANARY}=\n  more"),
        ] {
            let slipped = text.replace(line.trim(), &slip);
            // A name is told, and so is a key that is none; nobody can know that it is a secret.
            if !slip.starts_with(CANARY) || !slip.contains(": ") {
                has_none(&slipped, CANARY);
            }
        }
    }
}

/// A quote, bracket, colon or mark too many or too few at any place of the file.
#[test]
fn a_slip_elsewhere_does_not_tell_a_secret() {
    for (n, value) in [
        CANARY.to_owned(),
        format!("'{CANARY}'"),
        format!("\"{CANARY}\""),
    ]
    .iter()
    .enumerate()
    {
        let texts: Vec<String> = texts(value).collect();
        let text = &texts[(n * texts.len()) / 3];
        let secret = text.find(CANARY).unwrap();
        let secret = secret - 1..secret + CANARY.len() + 1;
        for (at, c) in text.char_indices().filter(|(at, _)| !secret.contains(at)) {
            if "\"':{}[]-".contains(c) {
                has_none(&format!("{}{}", &text[..at], &text[at + 1..]), CANARY);
            }
            let begins = text[..at].ends_with([' ', ':', '\'', '"']);
            let put = ["\"", "'", "[", "{", "|", "&a ", "- ", "\t", "# "];
            if begins && !c.is_whitespace() {
                let put = put[(at + n) % put.len()];
                has_none(&format!("{}{put}{}", &text[..at], &text[at..]), CANARY);
            }
        }
    }
}

#[test]
fn a_list_in_one_line_is_not_told() {
    const OTHER: &str = "aN0th3r-cAnArY/of+thE~sAm3";
    for entry in [
        format!("{{ url: https://a.example, secret: [{CANARY}, {OTHER}], probe: true }}"),
        format!("{{ url: https://a.example, authorization: {OTHER}, secret: [{CANARY}] }}"),
        format!("url: https://a.example\n    secret: [{CANARY},\n      {OTHER}]"),
        format!("url: https://a.example\n    secret: [{CANARY}, {OTHER}, {OTHER}]"),
        format!("url: https://a.example\n    secret: [{CANARY}, [{OTHER}]]"),
    ] {
        let text = format!("version: 1\nwebhooks:\n  - {entry}\n");
        has_none(&text, CANARY);
        has_none(&text, OTHER);
    }
}
