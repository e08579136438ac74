//! `docs/troubleshooting.md`: from a symptom to its remedy, out of what `explain` knows.

use super::check_fresh;
use crate::world::World;
use serde_json::Value;

const HEAD: &str = "\
# Troubleshooting

What Microsoft 365 and queuemail say when something is wrong, what it means, who must act, and what
to do.
queuemail prints the same hints under its errors, with your own names and ids filled in, and
`queuemail explain CODE` prints them without a network:

    queuemail explain AADSTS7000222
    queuemail explain 535 5.7.139
    queuemail explain 'User is authenticated but not connected'

Words in capitals stand for yours. A symptom that is not here: run the command again with `-vv`,
which shows the protocol with every secret masked, and read `server said:`.

<!-- Generated from src/diagnosis/ by `UPDATE=1 cargo test generated`. Do not edit. -->
";

#[test]
fn troubleshooting_is_fresh() {
    let world = World::new();
    let told = world.run(["explain", "--json"]).succeeds().stdout;
    let told: Value = serde_json::from_str(&told).expect("a JSON object");
    let entries = told["explanations"].as_array().expect("a list");
    assert!(entries.len() > 100, "explain tells of {}", entries.len());
    let mut text = HEAD.to_owned();
    let of = |entry: &Value| match symptoms(entry).iter().all(|s| s.starts_with("AADSTS")) {
        true => "Entra ID: getting a token",
        // RFC 6749's errors have no space, no digit and no capital.
        false if symptoms(entry).iter().all(|s| s.contains('_')) => "OAuth errors without a code",
        false => "Exchange Online, Graph and the network: reading and sending mail",
    };
    let mut titles: Vec<&str> = Vec::new();
    for title in entries.iter().map(of) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    for title in titles {
        text += &format!("\n## {title}\n");
        for entry in entries.iter().filter(|entry| of(entry) == title) {
            text += &section(entry);
        }
    }
    check_fresh("docs/troubleshooting.md", &text);
}

fn section(entry: &Value) -> String {
    let symptoms: Vec<String> = symptoms(entry).iter().map(|s| code(s)).collect();
    let mut text = format!("\n### {}\n\n", symptoms.join(", "));
    let means = entry["means"].as_str().expect("means");
    let who = entry["who"].as_str().expect("who");
    text += &format!("{}. Who can fix it: {who}.\n\n", capital(means));
    for hint in entry["hints"].as_array().expect("hints") {
        let mut lines = hint.as_str().expect("a hint").lines();
        text += &format!("- {}\n", lines.next().unwrap_or_default());
        let commands: Vec<&str> = lines.map(str::trim).collect();
        if !commands.is_empty() {
            text += &format!("\n  ```powershell\n  {}\n  ```\n\n", commands.join("\n  "));
        }
    }
    text.replace("\n\n\n", "\n\n").trim_end().to_owned() + "\n"
}

fn symptoms(entry: &Value) -> Vec<String> {
    let symptoms = entry["symptoms"].as_array().expect("symptoms");
    let text = |s: &Value| s.as_str().expect("a symptom").to_owned();
    symptoms.iter().map(text).collect()
}

fn code(symptom: &str) -> String {
    format!("`{}`", symptom.replace('…', " … "))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    first + chars.as_str()
}
