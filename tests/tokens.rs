//! Black-box tests of everything that gets tokens: `token get` against the stand-in's Entra ID.

mod account;
mod answers;
mod cache;
mod campaigns;
mod explain;
mod formats;
pub mod login;
mod managed;
mod odd;
mod other_authorities;
mod service;
pub mod store;

use crate::shapes;
use crate::standin::{App, Standin, User};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub const CLIENT: &str = "22222222-3333-4444-5555-666666666666";

pub const ADDRESS: &str = "support@contoso.com";
/// The stand-in's usual one.
pub const PASSWORD: &str = "password: correct horse battery staple";

/// A private home, a configuration, and the stand-in that it points at.
pub struct Home {
    pub standin: Standin,
    pub folder: TempDir,
}

impl Home {
    /// With one app registration that has a secret, and nothing in the file yet.
    pub fn new() -> Home {
        let standin = Standin::start();
        standin.add_app(App {
            secret: Some("s3cret~+&=".into()),
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
        Home {
            standin,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes the configuration; `{authority}`, `{tenant}`, `{ca}` and `{home}` are filled in.
    pub fn config(&self, text: &str) -> &Home {
        let text = text
            .replace("{authority}", &self.standin.authority())
            .replace("{tenant}", self.standin.tenant())
            .replace("{ca}", &self.standin.ca_file().display().to_string())
            .replace("{client}", CLIENT)
            .replace("{imap}", &self.standin.imap_url())
            .replace("{smtp}", &self.standin.smtp_url())
            .replace("{home}", &self.folder.path().display().to_string());
        self.write("config.yaml", &text);
        self
    }

    /// One oauth-service server `contoso` with this credential, and queue `support`.
    pub fn service(&self, credential: &str) -> &Home {
        self.config(&format!(
            "version: 1
incoming_servers:
  - name: contoso
    address: {{authority}}
    authentication: oauth-service
    client_id: {{client}}
    {credential}
    ca_file: {{ca}}
    imap: {{imap}}
queues:
  - name: support
    addresses:
      - address: support@contoso.com
        server: contoso
"
        ))
    }

    /// A public client, one person, and queue `support` that signs in as them; `head` are more
    /// lines at the top level, `address` is one more key of the address.
    pub fn person(&self, head: &str, address: &str) {
        self.standin.add_app(App {
            public: true,
            ..App::default()
        });
        self.standin.add_user(User {
            address: ADDRESS.into(),
            ..User::default()
        });
        self.config(&format!(
            "version: 1
{head}
incoming_servers:
  - name: people
    address: {{authority}}
    authentication: oauth-user
    client_id: {{client}}
    ca_file: {{ca}}
    imap: {{imap}}
queues:
  - name: support
    addresses:
      - address: {ADDRESS}
        server: people
        {address}
"
        ));
    }

    /// The same, already signed in, and without the password from then on.
    pub fn signed_in_person(head: &str) -> Home {
        let home = Home::new();
        store::script(&home);
        home.person(head, PASSWORD);
        home.run(&["token", "get", "support"]).succeeds();
        home.person(head, "");
        home
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_queuemail"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("QUEUEMAIL_CONFIG", self.path("config.yaml"))
            .env("QUEUEMAIL_STATE_DIR", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// How often a token was asked for.
    pub fn asked(&self) -> usize {
        self.standin.token_requests().len()
    }
}

/// What a run did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        shapes::check(&output.stdout, &output.stderr);
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn succeeds(self) -> Ran {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out, "", "nothing but results on stdout");
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(
            self.err.contains(text),
            "expected {text:?} in: {}",
            self.err
        );
        self
    }

    #[track_caller]
    pub fn never_says(self, text: &str) -> Ran {
        assert!(!self.err.contains(text), "{text:?} in: {}", self.err);
        self
    }
}

/// The claims of a token of the stand-in.
#[track_caller]
pub fn claims(token: &str) -> serde_json::Value {
    crate::standin::jwt::take_apart(token.trim_end())
        .unwrap_or_else(|| panic!("no JWT: {token}"))
        .claims
}
