//! `config schema`, by a JSON Schema library: good files pass, bad ones do not.

use super::config_mistakes::GOOD;
use crate::world::World;
use serde_json::Value;

fn schema() -> Value {
    World::new().run(["config", "schema"]).succeeds().json()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).expect("a schema of draft 2020-12")
}

#[test]
fn it_is_a_schema_of_its_own_draft() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn good_files_pass() {
    let validator = validator();
    let example = include_str!("../../examples/queuemail.yaml");
    for text in [GOOD, example, "version: 1\n"] {
        let errors: Vec<String> = validator
            .iter_errors(&yaml(text))
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
    }
}

/// What the program itself refuses at a single value, the schema refuses too, at the same key.
#[test]
fn bad_files_do_not_pass() {
    let validator = validator();
    for (from, to, place) in [
        ("version: 1", "version: 2", "/version"),
        ("tenant:", "tenat:", "/outgoing_servers/0"),
        ("language: de", "colour: red", "/queues/0"),
        ("language: de", "language: not a tag", "/queues/0/language"),
        (
            "oauth-service",
            "oauth-servce",
            "/incoming_servers/0/authentication",
        ),
        (
            "https://login",
            "http://login",
            "/incoming_servers/0/address",
        ),
        (
            "/contoso.onmicrosoft.com",
            "",
            "/incoming_servers/0/address",
        ),
        (
            "priority: 5",
            "priority: -5",
            "/queues/0/addresses/0/priority",
        ),
        (
            "priority: 5",
            "priority: high",
            "/queues/0/addresses/0/priority",
        ),
        (
            "priority: 5",
            "sender: maybe",
            "/queues/0/addresses/0/sender",
        ),
        (
            "priority: 5",
            "folders: INBOX",
            "/queues/0/addresses/0/folders",
        ),
        (
            "priority: 5",
            "after_fetch: move",
            "/queues/0/addresses/0/after_fetch",
        ),
        (
            "priority: 5",
            "deliver: /var/mail",
            "/queues/0/addresses/0/deliver",
        ),
        (
            "support@contoso.com",
            "support",
            "/queues/0/addresses/0/address",
        ),
        (
            "{ env: CONTOSO_SECRET }",
            "{ environment: X }",
            "/incoming_servers/0/secret",
        ),
        (
            "{ env: CONTOSO_SECRET }",
            "{ env: X, file: y }",
            "/incoming_servers/0/secret",
        ),
        (
            "{ env: CONTOSO_SECRET }",
            "12345",
            "/incoming_servers/0/secret",
        ),
        (
            "{ env: CONTOSO_SECRET }",
            "{ env: CONTOSO_SECRET }\n    secret_expires: 30.11.2027",
            "/incoming_servers/0/secret_expires",
        ),
        (
            "    client_id: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1\n",
            "",
            "/incoming_servers/0",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let json = yaml(&text);
        let places: Vec<String> = validator
            .iter_errors(&json)
            .map(|e| e.instance_path().to_string())
            .collect();
        assert!(
            places.iter().any(|p| p.starts_with(place)),
            "{to}: {places:?}"
        );
        World::with_config(&text)
            .run(["config", "validate"])
            .fails(78);
    }
}
