//! `server rotate`: a new secret or certificate takes the place of the old one, and none is lost.

mod campaigns;
mod certificates;
mod refusals;
mod secrets;

use crate::standin::{App, Standin};
use crate::world::{Ran, Run, World};
use std::fs;
use std::process::Command;

pub const CLIENT: &str = "22222222-3333-4444-5555-666666666666";
pub const OLD: &str = "cAnArY~0ld.secret-of-the-app";
/// What an app needs to renew its own secrets, beside being its own owner.
pub const OWNED: &str = "Application.ReadWrite.OwnedBy";

/// A server `Contoso` at the stand-in.
pub struct Office {
    pub m365: Standin,
    pub world: World,
}

impl Office {
    /// With this app, and these lines on its credential; `{home}` is filled in.
    pub fn new(app: App, credential: &str) -> Office {
        let office = Office {
            m365: Standin::start(),
            world: World::new(),
        };
        office.m365.add_app(app);
        office.configure(credential, "");
        office
    }

    /// With a secret in a file that it may renew.
    pub fn with_secret() -> Office {
        let office = Office::new(App::default(), "secret: { file: '{home}/secret' }");
        office.reset_secret();
        office
    }

    /// The app and the file with the old secret alone.
    pub fn reset_secret(&self) {
        self.m365.add_app(App {
            secret: Some(OLD.into()),
            roles: vec!["IMAP.AccessAsApp", OWNED],
            owns_itself: true,
            ..App::default()
        });
        self.world.write("secret", format!("{OLD}\n"));
    }

    pub fn configure(&self, credential: &str, more: &str) {
        let text = format!(
            "version: 1
incoming_servers:
  - name: Contoso
    address: {}
    authentication: oauth-service
    client_id: {CLIENT}
    {credential}
    graph: {}
    imap: {}
    ca_file: {}
{more}",
            self.m365.authority(),
            self.m365.graph_url(),
            self.m365.imap_url(),
            self.m365.ca_file().display(),
        );
        let home = self.world.home().display().to_string();
        self.world.write_config(text.replace("{home}", &home));
    }

    pub fn rotate(&self, args: &[&str]) -> Run {
        self.world.run(["server", "rotate", "Contoso"]).args(args)
    }

    /// A new token, with what is configured.
    #[track_caller]
    pub fn signs_in(&self, story: &str) {
        let ran = self
            .world
            .run(["token", "get", "Contoso", "--fresh"])
            .ends();
        assert_eq!(ran.code, 0, "{story}\n{ran}");
    }

    pub fn app(&self) -> App {
        self.m365.app(CLIENT)
    }

    /// The secrets that are registered.
    pub fn registered(&self) -> Vec<String> {
        self.app().secrets().cloned().collect()
    }

    /// The secret in its file.
    pub fn secret(&self) -> String {
        let text = fs::read_to_string(self.world.path("secret")).unwrap();
        text.strip_suffix('\n').unwrap().to_owned()
    }

    /// No secret that the stand-in ever saw, or a key, is in what a run wrote.
    #[track_caller]
    pub fn hides_secrets(&self, ran: Ran) -> Ran {
        let secrets = self.m365.secrets();
        let long = secrets.iter().filter(|secret| secret.len() > 8);
        let ran = long.fold(ran, |ran, secret| ran.hides(secret));
        ran.hides("PRIVATE KEY").hides(OLD)
    }

    /// What is left of new credentials in the state folder.
    pub fn kept(&self) -> usize {
        let folder = self.world.state_dir().join("rotation");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    pub fn openssl(&self, args: &[&str]) -> String {
        let mut command = Command::new("openssl");
        let out = command
            .args(args)
            .current_dir(self.world.home())
            .output()
            .unwrap();
        assert!(out.status.success(), "openssl {args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }
}
