//! The command line that options came from, or could have come from. Secrets are no part of
//! options, so none can be shown: one that was typed appears as `--secret-stdin`.

use super::secret_given;
use crate::cli::{
    AuthArg, CredentialArgs, IdentityArg, IncomingArgs, OutgoingArgs, PassphraseArgs, PasswordArgs,
    QueueAdd, SecretArgs,
};
use crate::commands::Context;
use crate::shell;
use clap::ValueEnum;
use std::path::PathBuf;

/// A command line as it grows.
struct Line {
    text: String,
    /// The name, where it would be read as an option if it stood first.
    last: Option<String>,
}

impl Line {
    fn new(context: &Context, words: &str, name: &Option<String>) -> Line {
        let mut line = Line {
            text: "queuemail".to_owned(),
            last: None,
        };
        line.file("--config", &context.config_option);
        line.text += words;
        match name {
            Some(name) if name.starts_with('-') => line.last = Some(shell::quote(name)),
            Some(name) => line.text += &format!(" {}", shell::quote(name)),
            None => {}
        }
        line
    }

    fn end(&mut self) -> String {
        match self.last.take() {
            Some(name) => format!("{} -- {name}", self.text),
            None => std::mem::take(&mut self.text),
        }
    }

    fn option(&mut self, flag: &str, value: &Option<String>) -> &mut Line {
        if let Some(value) = value {
            // What begins with a dash would be read as an option.
            let joint = if value.starts_with('-') { '=' } else { ' ' };
            self.text += &format!(" {flag}{joint}{}", shell::quote(value));
        }
        self
    }

    fn file(&mut self, flag: &str, path: &Option<PathBuf>) -> &mut Line {
        let text = path.as_ref().map(|path| path.display().to_string());
        self.option(flag, &text)
    }

    fn word<T: ValueEnum>(&mut self, flag: &str, value: &Option<T>) -> &mut Line {
        let name = value.as_ref().and_then(|value| value.to_possible_value());
        self.option(flag, &name.map(|name| name.get_name().to_owned()))
    }

    fn flag(&mut self, flag: &str, set: bool) -> &mut Line {
        if set {
            self.text += &format!(" {flag}");
        }
        self
    }

    /// `typed`: the secret was asked for.
    fn secret(&mut self, args: &SecretArgs, typed: bool) -> &mut Line {
        self.flag("--secret-stdin", args.secret_stdin || typed)
            .file("--secret-file", &args.secret_file)
            .option("--secret-env", &args.secret_env)
            .option("--secret-command", &args.secret_command)
            .option("--secret-keyring", &args.secret_keyring)
            .option("--secret-credential", &args.secret_credential)
    }

    fn password(&mut self, args: &PasswordArgs) -> &mut Line {
        self.flag("--password-stdin", args.password_stdin || args.set_password)
            .file("--password-file", &args.password_file)
            .option("--password-env", &args.password_env)
            .option("--password-command", &args.password_command)
            .option("--password-keyring", &args.password_keyring)
            .option("--password-credential", &args.password_credential)
    }

    fn credential(&mut self, args: &CredentialArgs) -> &mut Line {
        self.option("--secret-expires", &args.secret_expires)
            .file("--certificate", &args.certificate)
            .file("--private-key", &args.private_key)
            .passphrase(&args.passphrase)
            .file("--federated-token-file", &args.federated_token_file)
            .option("--federated-token-env-file", &args.federated_token_env_file)
            .option("--federated-token-command", &args.federated_token_command)
            .flag(
                "--managed-identity",
                args.managed_identity == Some(IdentityArg::User),
            )
            .flag(
                "--managed-identity=system",
                args.managed_identity == Some(IdentityArg::System),
            )
    }

    fn passphrase(&mut self, args: &PassphraseArgs) -> &mut Line {
        self.flag(
            "--certificate-passphrase-stdin",
            args.certificate_passphrase_stdin,
        )
        .file(
            "--certificate-passphrase-file",
            &args.certificate_passphrase_file,
        )
        .option(
            "--certificate-passphrase-env",
            &args.certificate_passphrase_env,
        )
        .option(
            "--certificate-passphrase-command",
            &args.certificate_passphrase_command,
        )
        .option(
            "--certificate-passphrase-keyring",
            &args.certificate_passphrase_keyring,
        )
        .option(
            "--certificate-passphrase-credential",
            &args.certificate_passphrase_credential,
        )
    }
}

/// True if the secret was asked for: the app signs in as itself and no option tells how.
fn typed(auth: Option<AuthArg>, secret: &SecretArgs, other: &CredentialArgs) -> bool {
    auth == Some(AuthArg::OauthService) && !secret_given(secret) && !other.replaces_secret()
}

pub fn incoming(context: &Context, args: &IncomingArgs) -> String {
    let typed = typed(args.auth, &args.secret, &args.credential);
    let mut line = Line::new(context, " server add incoming", &args.name);
    line.option("--address", &args.address)
        .word("--auth", &args.auth)
        .option("--client-id", &args.client_id)
        .secret(&args.secret, typed)
        .credential(&args.credential)
        .word("--via", &args.via)
        .option("--token-endpoint", &args.transport.endpoints.token_endpoint)
        .option(
            "--authorization-endpoint",
            &args.transport.endpoints.authorization_endpoint,
        )
        .option(
            "--device-authorization-endpoint",
            &args.transport.endpoints.device_authorization_endpoint,
        )
        .option("--imap", &args.transport.imap)
        .option("--graph", &args.transport.graph)
        .option("--scope", &args.transport.scope)
        .file("--ca-file", &args.transport.ca_file)
        .flag("--replace", args.replace)
        .end()
}

pub fn outgoing(context: &Context, args: &OutgoingArgs) -> String {
    let typed = args.client_id.is_some() && typed(args.auth, &args.secret, &args.credential);
    let mut line = Line::new(context, " server add outgoing", &args.name);
    line.option("--tenant", &args.tenant)
        .word("--auth", &args.auth)
        .option("--user", &args.user)
        .option("--app", &args.app)
        .option("--client-id", &args.client_id)
        .secret(&args.secret, typed)
        .credential(&args.credential)
        .password(&args.password)
        .flag("--disabled", args.disabled)
        .word("--via", &args.via)
        .option("--smtp", &args.transport.smtp)
        .option("--graph", &args.transport.graph)
        .option("--scope", &args.transport.scope)
        .file("--ca-file", &args.transport.ca_file)
        .flag("--replace", args.replace)
        .end()
}

pub fn queue(context: &Context, args: &QueueAdd) -> String {
    let values = &args.values;
    let mut line = Line::new(context, " queue add", &args.name);
    line.option("--address", &args.address)
        .option("--server", &args.server)
        .option("--priority", &values.priority)
        .option("--extension-language", &values.extension_language)
        .option("--account", &values.account)
        .password(&values.password)
        .flag("--sender", values.sender)
        .option("--outgoing", &values.outgoing);
    for folder in &values.folders {
        line.option("--folder", &Some(folder.clone()));
    }
    line.option("--deliver", &values.deliver)
        .option("--after", &values.after)
        .option("--queue-priority", &args.queue_priority)
        .option("--queue-language", &args.queue_language)
        .flag("--replace", args.replace)
        .end()
}
