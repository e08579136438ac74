//! Secrets from where a command says that they are, from standard input or from a question;
//! never from the command line itself.

use super::{Person, Required, typed_path};
use crate::fault::Fault;
use crate::model::{self, Change, Given, SecretSource};
use anyhow::Result;
use std::path::Path;

/// A secret that a definition may hold.
pub struct Wanted<'a> {
    /// `secret`, `certificate-passphrase` or `password`: how its options begin.
    pub what: &'static str,
    pub given: &'a Option<Given>,
    /// Who has it, in a question for it.
    pub whose: &'a str,
}

impl Wanted<'_> {
    /// The source, if the command says something of it; reads standard input or asks where that is
    /// the source.
    pub fn source(&self, required: &Required<'_>) -> Result<Option<Change<SecretSource>>> {
        let (what, person) = (self.what, required.person);
        let source = match self.given {
            None => return Ok(None),
            Some(Given::Asked) => {
                required.may_ask(&format!("--{what}-file"))?;
                return Ok(Some(Change::Set(self.asked(person)?)));
            }
            Some(Given::Stdin) => SecretSource::Plain(person.piped(&format!("--{what}-stdin"))?),
            Some(Given::Source { text, .. }) if text.is_empty() => return Ok(Some(Change::Unset)),
            Some(Given::Source { kind: "file", text }) => {
                let path = typed_path(Path::new(text))?;
                if !path.starts_with("~") && !path.exists() {
                    person.warn(&format!(
                        "`{}` does not exist yet; queuemail reads it at each use",
                        path.display()
                    ));
                }
                SecretSource::File(path)
            }
            Some(Given::Source { kind, text }) => {
                let text = text.to_str().ok_or_else(|| {
                    Fault::usage(format!("`--{what}-{kind}`: its value is not UTF-8"))
                })?;
                of_text(what, kind, text)?
            }
        };
        self.warn_of_secret_id(&source, person);
        Ok(Some(Change::Set(source)))
    }

    /// Asks for the secret, which the file will then hold.
    pub fn asked(&self, person: &dyn Person) -> Result<SecretSource> {
        let label = match self.what {
            "secret" => "Client secret (the Value column)",
            _ => "Password",
        };
        let secret = person.secret(&format!("{label} of {}", self.whose))?;
        let source = SecretSource::Plain(secret);
        self.warn_of_secret_id(&source, person);
        Ok(source)
    }

    /// The portal shows two columns; the wrong one is a GUID.
    fn warn_of_secret_id(&self, source: &SecretSource, person: &dyn Person) {
        if let ("secret", SecretSource::Plain(secret)) = (self.what, source)
            && model::is_guid(secret.expose())
        {
            person.warn(
                "this secret looks like the Secret ID; the portal shows the secret itself under Value",
            );
        }
    }
}

/// The client secret of a new server; asked for where nothing else signs in.
pub fn wanted_secret(
    secret: &Wanted<'_>,
    is_needed: bool,
    required: &Required<'_>,
) -> Result<Option<SecretSource>> {
    match secret.source(required)? {
        Some(Change::Set(source)) => Ok(Some(source)),
        _ if !is_needed => Ok(None),
        _ => {
            required.may_ask("--secret-file")?;
            secret.asked(required.person).map(Some)
        }
    }
}

fn of_text(what: &str, kind: &str, text: &str) -> Result<SecretSource> {
    if kind == "env" && !is_variable(text) {
        return Err(Fault::usage(format!(
            "`--{what}-env`: not the name of an environment variable"
        ))
        .hint(format!(
            "use the variable's name, like CONTOSO_{}, not its value",
            what.to_uppercase().replace('-', "_")
        ))
        .into());
    }
    SecretSource::of(kind, text)
        .map_err(|why| Fault::usage(format!("`--{what}-{kind}`: {why}")).into())
}

pub fn is_variable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
