//! A world with an office of Microsoft 365, and a short way to say what a run did.

use super::{Ran, Run, World};
use crate::standin::{App, Standin, User};
use crate::tokens::store;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

pub const CLIENT: &str = "22222222-3333-4444-5555-666666666666";

pub const ADDRESS: &str = "support@contoso.com";
/// The stand-in's usual one.
pub const PASSWORD: &str = "password: correct horse battery staple";

/// A world whose configuration is `config.yaml` in its home, and the stand-in that it points at.
pub struct Home {
    pub standin: Standin,
    world: World,
    /// The home folder.
    pub folder: Arc<TempDir>,
}

impl World {
    /// A world with an office of Microsoft 365: one app registration that has a secret, and
    /// nothing in the file yet.
    pub fn office() -> Home {
        let standin = Standin::start();
        standin.add_app(App {
            secret: Some("s3cret~+&=".into()),
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
        let world = World::new();
        let folder = Arc::clone(&world.home);
        Home {
            standin,
            world,
            folder,
        }
    }
}

impl Home {
    pub fn new() -> Home {
        World::office()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.write(name, text);
        // Also where it was there, and open to others.
        self.world.chmod(&path, 0o600);
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
            .replace("{home}", &self.world.home().display().to_string());
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

    fn begin(&self, args: &[&str]) -> Run {
        self.world
            .run(args)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C")
            .env("QUEUEMAIL_CONFIG", self.path("config.yaml"))
            .env("QUEUEMAIL_STATE_DIR", self.path("state"))
    }

    /// The command, for tests that drive the process themselves.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.begin(args).command();
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.begin(args).output())
    }

    /// How often a token was asked for.
    pub fn asked(&self) -> usize {
        self.standin.token_requests().len()
    }
}
