//! Before a renewal begins: whether it may, and what it will be.

use super::credential::Credential;
use super::place::Place;
use super::registry::{Found, Registered, lacks_permission};
use super::work::Work;
use crate::digest;
use crate::fault::Fault;
use crate::files;
use crate::office::Office;
use crate::shell;
use crate::state::{Rotation, RotationStep};
use anyhow::Result;

impl Work<'_> {
    /// Makes sure that a new credential can be put in its place, and that nobody else needs the old
    /// one.
    pub(super) fn check(&self, office: &Office<'_>, present: &Credential) -> Result<()> {
        self.place.check(self.caller)?;
        if self.app.secret_expires.is_some() {
            files::check_replaceable(self.caller.configuration())?;
        }
        let print = present.fingerprint()?;
        for other in office.registrations() {
            let same_app = other.client_id.as_str().to_lowercase() == self.key.client_id;
            if !same_app {
                continue;
            }
            let Ok(place) = Place::of(other) else {
                continue;
            };
            if place.name() == self.key.place {
                continue;
            }
            let is_same = place
                .present()
                .is_ok_and(|other| other.fingerprint().is_ok_and(|other| other == print));
            if is_same {
                let quoted = shell::quote(other.app_server);
                return Err(Fault::config(format!(
                    "server `{}` has a copy of the {} of server `{}`, in {}: it would stop working",
                    other.app_server,
                    self.place.kind(),
                    self.order.server,
                    place.words()
                ))
                .hint(format!(
                    "let both use the same file: queuemail server set {quoted} {}",
                    match self.place.kind() {
                        "secret" => "--secret-file FILE",
                        _ => "--certificate FILE",
                    }
                ))
                .into());
            }
        }
        Ok(())
    }

    /// The renewal as it begins.
    pub(super) fn planned(
        &mut self,
        registered: Option<Registered>,
        found: Option<Found>,
        last: Option<&Rotation>,
    ) -> Result<Rotation, Fault> {
        let server = self.order.server;
        let given = |text: Option<&str>| text.map(str::to_owned);
        let object_id = given(self.order.object_id)
            .or(registered.as_ref().map(|all| all.id.clone()))
            .or(last.and_then(|last| last.object_id.clone()));
        if self.place.kind() == "secret" && registered.is_none() {
            let fault = Fault::no_access(format!(
                "the app of server `{server}` may not read or renew its own secrets"
            ));
            return Err(lacks_permission(fault, server));
        }
        if object_id.is_none() {
            let quoted = shell::quote(server);
            return Err(Fault::no_access(format!(
                "the app of server `{server}` may not read its own registration, so its Object ID is not known"
            ))
            .hint(format!(
                "give it once, as the app registration shows it (Overview, Object ID): queuemail server rotate {quoted} --object-id ID"
            )));
        }
        let old_key = given(self.order.key_id)
            .or(found.map(|found| found.key_id))
            .or(last.and_then(|last| last.new_key.clone()));
        if old_key.is_none() {
            self.outcome.notes.push(format!(
                "queuemail cannot tell which {} of the app registration is the old one and will not remove it: remove it yourself, or give its ID with --key-id",
                self.place.kind()
            ));
        }
        Ok(Rotation {
            id: digest::guid()?,
            client_id: self.key.client_id.clone(),
            server: server.to_owned(),
            kind: self.place.kind().to_owned(),
            step: RotationStep::Begun,
            begun_at: self.store.now(),
            object_id,
            old_key,
            new_key: None,
            print: None,
            ends_at: None,
            remove_at: None,
        })
    }

    pub(super) fn end_not_known(&self) -> Fault {
        let server = self.order.server;
        Fault::config(format!(
            "it is not known when the secret of server `{server}` expires"
        ))
        .hint(format!(
            "give the date that the app registration shows: queuemail server set {} --secret-expires DATE",
            shell::quote(self.app.registration.app_server)
        ))
    }
}
