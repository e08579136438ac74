//! Makes `schema.json` of what `model` holds and its doc comments say. The program carries the file
//! and not what makes it, which would be a fiftieth of its size.

use crate::model::*;
use crate::net::Endpoint;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;
use std::borrow::Cow;

/// Where the schema is known by; nothing is fetched from there.
const ID: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of the whole file.
fn described() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Config>();
    schema.insert("$schema".into(), ID.into());
    schema.insert("title".into(), "queuemail's configuration".into());
    schema.to_value()
}

/// The pattern of a delivery.
fn deliveries() -> String {
    let kinds: Vec<&str> = Target::KINDS.iter().map(|(kind, _)| *kind).collect();
    let kinds = kinds.join("|");
    format!("^(stdout(:json)?|({kinds}):.+|https?://.+)$")
}

/// Gives a type that reads itself from a string its schema, written where the type is used.
macro_rules! text {
    ($($name:ident: $schema:tt;)*) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

text! {
    ClientId: { "type": "string", "pattern": "^\\S+$" };
    Tenant: {
        "type": "string",
        "pattern": "^([0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+|common|organizations|consumers)$"
    };
    EmailAddress: { "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$" };
    ServerUser: {
        "type": "string",
        "pattern": "^([0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[^@\\s]+@[^@\\s]+)$"
    };
    Language: { "type": "string", "pattern": "^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$" };
    HttpsUrl: { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]://[^?#]+$" };
    OauthEndpoint: { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]://[^#]+$" };
    Endpoint: { "type": "string", "pattern": "^(imap|smtp)s?://[^/?#]+/?$" };
    Authority: { "type": "string", "pattern": "^\\s*[Hh][Tt][Tt][Pp][Ss]://[^/?#]+/[^?#]+$" };
    Target: { "type": "string", "pattern": deliveries() };
    PostUrl: { "type": "string", "pattern": "^https?://[^\\s?#@]+$" };
    PingUrl: { "type": "string", "pattern": "^https?://[^\\s#@]+$" };
    Span: { "type": "string", "pattern": "^[0-9]+[smhd]$" };
    DatabaseUrl: { "type": "string", "pattern": "^(postgres(ql)?://.*|[^:]*=.*)$" };
    AfterFetch: { "type": "string", "pattern": "^(keep|seen|delete|move:.+)$" };
    Lease: { "type": "string", "pattern": "^[0-9]{1,3}s$" };
    Day: { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" };
    Days: { "type": "string", "pattern": "^[0-9]{1,5}d$" };
    Start: { "type": "string", "pattern": "^(all|now|[0-9]{4}-[0-9]{2}-[0-9]{2})$" };
    Author: { "type": "string", "pattern": "^[^@\\s]*@[^@\\s]+$" };
    Size: {
        "anyOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": "^[0-9]+ *([kK]i?[bB]|[mMgG]i?[bB])?$" }
        ]
    };
    Priority: { "type": "integer", "minimum": 0, "maximum": 1_000_000 };
    TokenStore: {
        "oneOf": [
            { "const": "keyring", "description": "The keyring of the desktop if there is one, else of the kernel." },
            {
                "type": "object",
                "description": "A program that gets, stores and erases them.",
                "properties": {
                    "command": {
                        "type": "array",
                        "items": { "type": "string" },
                        "minItems": 1,
                        "description": "The program and its arguments; get, store or erase and a name follow them."
                    }
                },
                "required": ["command"],
                "additionalProperties": false
            }
        ]
    };
    ManagedIdentity: { "enum": [true, false, "system"] };
    FederatedToken: {
        "type": "object",
        "description": "Where the token is read from at each sign-in: one of these.",
        "properties": {
            "file": { "type": "string", "description": "A file that contains only the token." },
            "env_file": { "type": "string", "description": "An environment variable with the name of the file." },
            "command": {
                "type": "array",
                "items": { "type": "string" },
                "description": "A program and its arguments; the first line of its output is the token."
            }
        },
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false
    };
    SecretSource: {
        "oneOf": [
            { "type": "string", "description": "The secret itself; the file must then be private (0600)." },
            {
                "type": "object",
                "description": "Where the secret is read from at each use: one of these.",
                "properties": {
                    "file": { "type": "string", "description": "A file that contains only the secret." },
                    "env": { "type": "string", "description": "An environment variable's name." },
                    "command": {
                        "type": "array",
                        "items": { "type": "string" },
                        "description": "A program and its arguments; the first line of its output is the secret."
                    },
                    "keyring": { "type": "string", "description": "An entry of the system's keyring." },
                    "credential": { "type": "string", "description": "A systemd credential." }
                },
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": false
            }
        ]
    };
}

/// A secret, or a list of two.
impl JsonSchema for Secrets {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(made: &mut SchemaGenerator) -> Schema {
        let one = SecretSource::json_schema(made);
        json_schema!({
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1, "maxItems": 2 }]
        })
    }
}

/// `UPDATE=1` writes it anew.
#[test]
fn the_generated_schema_is_that_of_the_model() {
    let mut made = Vec::new();
    // Indented for who reads it, by little for what carries it.
    let form = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut made, form);
    serde::Serialize::serialize(&described(), &mut writer).unwrap();
    made.push(b'\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema/schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(
        std::fs::read(path).is_ok_and(|there| there == made),
        "schema.json is not what the model says; write it anew with: UPDATE=1 cargo test generated"
    );
}

/// The properties of a definition, each with its description.
fn properties<'a>(schema: &'a Value, name: &str) -> Vec<&'a String> {
    let of = match name {
        "Config" => schema,
        name => &schema["$defs"][name],
    };
    let properties = of["properties"].as_object().unwrap();
    for (key, value) in properties {
        assert!(value["description"].is_string(), "{name}.{key}: {value}");
    }
    assert_eq!(of["additionalProperties"], false, "{name}");
    properties.keys().collect()
}

#[test]
fn every_key_of_the_model_is_in_it_with_a_description() {
    let schema = described();
    for (name, mut keys) in crate::config::load::tests::all_keys() {
        keys.sort();
        assert_eq!(properties(&schema, name), keys.iter().collect::<Vec<_>>());
    }
}

#[test]
fn every_source_of_a_secret_is_in_it() {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let schema = Value::from(SecretSource::json_schema(&mut generator));
    let properties = schema["oneOf"][1]["properties"].as_object().unwrap();
    for kind in SecretSource::KINDS {
        assert!(properties.contains_key(*kind), "{kind}");
    }
    assert_eq!(properties.len(), SecretSource::KINDS.len());
}
