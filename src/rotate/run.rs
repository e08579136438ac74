//! The steps of a renewal, each on record before the next one.

use super::caller::Caller;
use super::credential::{Credential, NewSecret};
use super::place::Place;
use super::registry::{Found, Registered, Registry, lacks_permission};
use super::sign_in::SignIn;
use crate::digest;
use crate::fault::{Fault, Kind, kind_of};
use crate::files;
use crate::mail::graph::Client;
use crate::means::Means;
use crate::model::{Day, is_guid};
use crate::oauth::proof_of_possession;
use crate::office::{AppOf, Office};
use crate::secret::Secret;
use crate::shell;
use crate::state::{Lock, LockName, Rotation, RotationKey, RotationStep, Store};
use crate::x509::Identity;
use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// What a certificate's subject says, and what secrets are called in the app registration.
const NAME: &str = "queuemail";

/// What is to be done.
pub struct Order<'a> {
    pub server: &'a str,
    pub until: Until,
    /// How long the old credential stays registered, in seconds.
    pub grace: i64,
    /// How long the new credential is to be valid.
    pub days: u32,
    /// How long Entra ID may take to accept the new credential.
    pub wait: Duration,
    /// The Object ID of the app registration, where the app may not read it.
    pub object_id: Option<&'a str>,
    /// The key ID of the present credential, where the app may not read it.
    pub key_id: Option<&'a str>,
    /// Nothing is changed.
    pub dry_run: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Renew.
    Renewed,
    /// Renew if the credential expires within so many seconds.
    RenewedIfWithin(i64),
    /// Remove what was replaced, also before its grace is over, and renew nothing.
    Finished,
}

/// What was done. Times are Unix seconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub server: String,
    /// `secret` or `certificate`.
    pub kind: &'static str,
    /// Where it is, in words.
    pub place: String,
    /// A new credential is in its place; with `dry_run`, it would be.
    pub renewed: bool,
    /// An old credential was removed; with `dry_run`, it would be.
    pub removed: bool,
    pub dry_run: bool,
    /// Of the credential that is in its place, as far as it is known.
    pub key_id: Option<String>,
    pub ends_at: Option<i64>,
    /// The replaced one that is still registered.
    pub old_key: Option<String>,
    pub remove_at: Option<i64>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A renewal at work.
struct Work<'a> {
    order: &'a Order<'a>,
    store: &'a Store,
    caller: &'a dyn Caller,
    app: AppOf<'a>,
    place: Place<'a>,
    key: RotationKey,
    sign_in: SignIn<'a>,
    lock: Lock,
    outcome: Outcome,
}

/// Renews the credential of a server, or goes on with a renewal that was interrupted, and removes
/// what was replaced once its grace is over.
///
/// # Errors
/// `Usage` and `Config` before anything is made; `SignIn` where a permission is lacking; `TryLater`
/// where the same call goes on later.
pub fn rotate(
    means: &Means,
    office: &Office<'_>,
    store: &Store,
    order: &Order<'_>,
    caller: &dyn Caller,
) -> Result<Outcome> {
    let app = office.app_of(order.server)?;
    let registration = app.registration;
    let place = Place::of(registration)?;
    let client_id = registration.client_id.as_str().to_lowercase();
    if !registration.is_entra() || !is_guid(&client_id) {
        return Err(Fault::config(format!(
            "server `{}` does not sign in with Entra ID, which alone renews credentials",
            order.server
        ))
        .into());
    }
    let key = RotationKey {
        client_id: client_id.clone(),
        place: place.name(),
    };
    let name = LockName::Rotation {
        client_id: &client_id,
    };
    let lock = store.lock(name)?.map_err(|_| {
        Fault::try_later(format!(
            "another run is renewing a credential of the app of server `{}`",
            order.server
        ))
    })?;
    let outcome = Outcome {
        server: order.server.to_owned(),
        kind: place.kind(),
        place: place.words(),
        renewed: false,
        removed: false,
        dry_run: order.dry_run,
        key_id: None,
        ends_at: None,
        old_key: None,
        remove_at: None,
        notes: Vec::new(),
    };
    let work = Work {
        order,
        store,
        caller,
        app,
        place,
        key,
        sign_in: SignIn::new(means, registration)?,
        lock,
        outcome,
    };
    work.run(office)
}

impl Work<'_> {
    fn run(mut self, office: &Office<'_>) -> Result<Outcome> {
        let last = self.store.rotation(&self.key)?;
        match last {
            Some(rotation) if rotation.step < RotationStep::Installed => {
                self.outcome.renewed = true;
                if self.order.dry_run {
                    return Ok(self.outcome);
                }
                let rotation = self.go_on(rotation, Began::Before)?;
                self.end(rotation)
            }
            Some(rotation) if rotation.step == RotationStep::Installed => {
                self.store.forget_new_credential(&rotation.id)?;
                let early = self.order.until == Until::Finished;
                if !early && !self.is_due(&rotation) {
                    return Ok(self.told(&rotation));
                }
                self.outcome.removed = true;
                let rotation = match self.order.dry_run {
                    true => rotation,
                    false => self.remove_old(rotation)?,
                };
                self.renew_if_wanted(office, Some(rotation))
            }
            last => self.renew_if_wanted(office, last),
        }
    }

    fn renew_if_wanted(mut self, office: &Office<'_>, last: Option<Rotation>) -> Result<Outcome> {
        let limit = match self.order.until {
            Until::Finished => return Ok(self.told_of(last.as_ref())),
            Until::Renewed => None,
            Until::RenewedIfWithin(seconds) => Some(seconds),
        };
        let present = self.place.present()?;
        let before = last.clone();
        let last = match last {
            Some(last) if present.is_of(&last)? => Some(last),
            _ => None,
        };
        let known_end = present
            .ends_at()
            .or(self.app.secret_expires.map(|day| day.begins().as_second()))
            .or(last.as_ref().and_then(|last| last.ends_at));
        let now = self.store.now();
        let is_far = |end: i64| limit.is_some_and(|limit| end - now > limit);
        if known_end.is_some_and(is_far) {
            self.outcome.ends_at = known_end;
            self.outcome.key_id = last.and_then(|last| last.new_key);
            return Ok(self.outcome);
        }
        self.check(office, &present)?;
        let registry = self.registry(&present)?;
        let registered = registry.read()?;
        let found = registered.as_ref().and_then(|all| all.find(&present));
        if let Some(limit) = limit
            && known_end.is_none()
        {
            let Some(end) = found.as_ref().and_then(|found| found.ends_at) else {
                return Err(self.end_not_known().into());
            };
            if end - now > limit {
                self.outcome.ends_at = Some(end);
                return Ok(self.outcome);
            }
        }
        let rotation = self.planned(registered, found, last.as_ref())?;
        self.outcome.renewed = true;
        if self.order.dry_run {
            self.outcome.old_key = rotation.old_key;
            return Ok(self.outcome);
        }
        self.begin(rotation, before.as_ref())
    }

    /// Begins a renewal; `before` is the record of the one before it.
    fn begin(mut self, rotation: Rotation, before: Option<&Rotation>) -> Result<Outcome> {
        self.caller.confirm(&format!(
            "Renew the {} of server `{}` in {}?",
            self.place.kind(),
            self.order.server,
            self.place.words()
        ))?;
        self.put_on_record(&rotation)?;
        let id = rotation.id.clone();
        match self.go_on(rotation, Began::Now) {
            Ok(rotation) => self.end(rotation),
            Err(err) => {
                self.undo_if_refused(&id, &err, before)?;
                Err(err)
            }
        }
    }

    /// Forgets a renewal at whose first step the directory refused, so that nothing was made.
    fn undo_if_refused(
        &self,
        id: &str,
        err: &anyhow::Error,
        before: Option<&Rotation>,
    ) -> Result<()> {
        let is_final = matches!(kind_of(err), Kind::SignIn | Kind::Refused);
        let now = self.store.rotation(&self.key)?;
        if is_final && now.is_some_and(|now| now.step == RotationStep::Begun) {
            self.store.undo_rotation(&self.key, before)?;
            self.store.forget_new_credential(id)?;
        }
        Ok(())
    }

    /// Makes sure that a new credential can be put in its place, and that nobody else needs the old
    /// one.
    fn check(&self, office: &Office<'_>, present: &Credential) -> Result<()> {
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
    fn planned(
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
            let fault = Fault::new(
                Kind::SignIn,
                format!("the app of server `{server}` may not read or renew its own secrets"),
            );
            return Err(lacks_permission(fault, server));
        }
        if object_id.is_none() {
            let quoted = shell::quote(server);
            return Err(Fault::new(
                Kind::SignIn,
                format!("the app of server `{server}` may not read its own registration, so its Object ID is not known"),
            )
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

    /// Takes a renewal from the step it is at to where the new credential is in its place.
    fn go_on(&mut self, mut rotation: Rotation, began: Began) -> Result<Rotation> {
        let given = |text: Option<&str>| text.map(str::to_owned);
        rotation.object_id = given(self.order.object_id).or(rotation.object_id);
        rotation.old_key = given(self.order.key_id).or(rotation.old_key);
        let mut kept = self.store.new_credential(&rotation.id)?;
        let present = self.place.present()?;
        let new = if kept.is_none() && present.is_of(&rotation)? {
            // Another host put it there: without it, nothing could sign in any more.
            present
        } else {
            if kept.is_none() && began == Began::Before {
                // What another run may have registered is lost, or on another machine.
                self.withdraw(&mut rotation)?;
            }
            match self.place.kind() {
                "secret" => self.register_secret(&mut rotation, kept.take())?,
                _ => self.register_certificate(&mut rotation, kept.take())?,
            }
        };
        self.sign_in.token_in_time(&new, self.order.wait)?;
        self.lock.check()?;
        self.place.put(&new, self.caller)?;
        if self.place.present()?.fingerprint()? != new.fingerprint()? {
            let what = format!(
                "another program changed {} while the new credential was written there",
                self.place.words()
            );
            return Err(Fault::new(Kind::CannotWrite, what)
                .hint("run the same command again: it continues with the same credential")
                .into());
        }
        self.write_end(&rotation)?;
        rotation.step = RotationStep::Installed;
        rotation.remove_at = Some(self.store.now() + self.order.grace);
        self.put_on_record(&rotation)?;
        self.store.forget_new_credential(&rotation.id)?;
        if self.store.is_shared() {
            self.outcome.notes.push(format!(
                "other hosts that use their own copy of {} need the new one before the old one is removed",
                self.place.words()
            ));
        }
        Ok(rotation)
    }

    /// A new secret, registered and kept.
    fn register_secret(&self, rotation: &mut Rotation, kept: Kept) -> Result<Credential> {
        let new = match kept {
            Some(kept) => NewSecret::of_kept(&kept)?,
            None => {
                let registry = self.registry(&self.place.present()?)?;
                self.lock.check()?;
                let ends_at = self.store.now() + i64::from(self.order.days) * DAY;
                let new = registry.add_secret(object_of(rotation), &name_of(rotation), ends_at)?;
                self.store.keep_new_credential(&rotation.id, &new.kept())?;
                new
            }
        };
        let credential = Credential::Secret(new.secret);
        rotation.new_key = Some(new.key_id);
        rotation.ends_at = new.ends_at;
        self.registered(rotation, &credential)?;
        Ok(credential)
    }

    /// A new certificate, kept and registered.
    fn register_certificate(&self, rotation: &mut Rotation, kept: Kept) -> Result<Credential> {
        let may_be_registered = kept.is_some();
        let new = match kept {
            Some(kept) => Identity::from_pem(&kept)?,
            None => {
                let new = Identity::make(NAME, self.order.days)?;
                self.store.keep_new_credential(&rotation.id, &new.pem()?)?;
                new
            }
        };
        let new = Arc::new(new);
        let credential = Credential::Certificate(Arc::clone(&new));
        if rotation.step == RotationStep::Registered {
            return Ok(credential);
        }
        let present = self.place.present()?;
        let registry = self.registry(&present)?;
        rotation.new_key = match self.is_registered(&registry, &credential, may_be_registered)? {
            Known::Yes(key_id) => key_id,
            Known::No => {
                let proof = self.proof(&present, rotation)?;
                self.lock.check()?;
                registry.add_certificate(object_of(rotation), &name_of(rotation), &new, &proof)?
            }
        };
        rotation.ends_at = credential.ends_at();
        self.registered(rotation, &credential)?;
        Ok(credential)
    }

    /// Whether a certificate that an earlier run made arrived in the app registration.
    fn is_registered(
        &self,
        registry: &Registry<'_>,
        new: &Credential,
        may_be: bool,
    ) -> Result<Known> {
        if !may_be {
            return Ok(Known::No);
        }
        Ok(match registry.read()? {
            Some(all) => match all.find(new) {
                Some(found) => Known::Yes(Some(found.key_id)),
                None => Known::No,
            },
            None => match self.sign_in.token(new) {
                Ok(_) => Known::Yes(None),
                Err(_) => Known::No,
            },
        })
    }

    fn registered(&self, rotation: &mut Rotation, new: &Credential) -> Result<()> {
        rotation.step = RotationStep::Registered;
        rotation.print = Some(new.fingerprint()?);
        self.put_on_record(rotation)
    }

    /// Removes a new credential that is not at hand from the app registration, as far as it is
    /// known, and has the renewal begin again under another name.
    fn withdraw(&self, rotation: &mut Rotation) -> Result<()> {
        let present = self.place.present()?;
        let registry = self.registry(&present)?;
        let name = name_of(rotation);
        let registered = registry.read()?;
        let named = registered.iter().flat_map(|all| all.named(&name));
        let mut lost: Vec<String> = named.map(str::to_owned).collect();
        lost.extend(rotation.new_key.take().filter(|id| !lost.contains(id)));
        if lost.is_empty() && rotation.step == RotationStep::Begun {
            return Ok(());
        }
        for key_id in lost {
            self.remove(&registry, &present, rotation, &key_id)?;
        }
        self.store.forget_new_credential(&rotation.id)?;
        rotation.step = RotationStep::Begun;
        rotation.print = None;
        rotation.id = digest::guid()?;
        self.put_on_record(rotation)
    }

    fn remove(
        &self,
        registry: &Registry<'_>,
        present: &Credential,
        rotation: &Rotation,
        key_id: &str,
    ) -> Result<()> {
        let object_id = object_of(rotation);
        match present {
            Credential::Secret(_) => registry.remove_secret(object_id, key_id),
            Credential::Certificate(_) => {
                registry.remove_certificate(object_id, key_id, &self.proof(present, rotation)?)
            }
        }
    }

    /// Removes the credential that was replaced.
    fn remove_old(&mut self, mut rotation: Rotation) -> Result<Rotation> {
        let present = self.place.present()?;
        if !present.is_of(&rotation)? {
            let fault = self.replaced_by_hand();
            if self.order.until != Until::Finished {
                return Err(fault.into());
            }
            self.outcome.notes.push(fault.what);
            self.left_behind([rotation.old_key.take(), rotation.new_key.take()]);
        } else if let Some(key_id) = rotation.old_key.take() {
            let registry = self.registry(&present)?;
            self.lock.check()?;
            self.remove(&registry, &present, &rotation, &key_id)?;
            self.outcome.removed = true;
        } else {
            self.left_behind([None, None]);
        }
        rotation.step = RotationStep::Done;
        rotation.remove_at = None;
        self.put_on_record(&rotation)?;
        Ok(rotation)
    }

    fn replaced_by_hand(&self) -> Fault {
        let (kind, server) = (self.place.kind(), shell::quote(self.order.server));
        Fault::config(format!(
            "{} holds another {kind} than the one that `server rotate` put there, so no {kind} is removed from the app registration",
            self.place.words()
        ))
        .hint(format!(
            "to leave the app registration as it is: queuemail server rotate {server} --finish"
        ))
    }

    /// Says what a person has to remove from the app registration.
    fn left_behind(&mut self, keys: [Option<String>; 2]) {
        let kind = self.place.kind();
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        self.outcome.removed = false;
        self.outcome.notes.push(match keys.is_empty() {
            true => format!(
                "the old {kind} is still in the app registration: queuemail does not know its ID, so remove it yourself"
            ),
            false => format!(
                "these are still in the app registration; remove those that are not used: {}",
                keys.join(", ")
            ),
        });
    }

    /// Ends a run after a new credential is in its place.
    fn end(mut self, rotation: Rotation) -> Result<Outcome> {
        let finish = self.order.until == Until::Finished;
        let rotation = match finish || self.is_due(&rotation) {
            true => self.remove_old(rotation)?,
            false => rotation,
        };
        Ok(self.told(&rotation))
    }

    fn told_of(mut self, rotation: Option<&Rotation>) -> Outcome {
        if let Some(rotation) = rotation {
            self.outcome.key_id = rotation.new_key.clone();
            self.outcome.ends_at = rotation.ends_at;
            if rotation.step == RotationStep::Installed {
                self.outcome.old_key = rotation.old_key.clone();
                self.outcome.remove_at = rotation.remove_at;
            }
        }
        self.outcome
    }

    fn told(self, rotation: &Rotation) -> Outcome {
        self.told_of(Some(rotation))
    }

    /// The configuration tells when a secret expires, as far as it can be written.
    fn write_end(&mut self, rotation: &Rotation) -> Result<()> {
        let (Some(end), "secret") = (rotation.ends_at, self.place.kind()) else {
            return Ok(());
        };
        let server = self.app.registration.app_server;
        let date = Timestamp::from_second(end)?
            .to_zoned_datetime(TimeZone::UTC)
            .date();
        let day: Day = date
            .to_string()
            .parse()
            .map_err(|why: String| Fault::new(Kind::Bug, why))?;
        match self.caller.write_end(server, day) {
            // It does not tell it, and another user may be the one who writes it.
            Err(err) if self.app.secret_expires.is_none() => {
                self.outcome.notes.push(format!(
                    "`status` does not know that the new secret expires on {date} ({err}): queuemail server set {} --secret-expires {date}",
                    shell::quote(server)
                ));
                Ok(())
            }
            written => written,
        }
    }

    fn registry(&self, present: &Credential) -> Result<Registry<'_>> {
        let token = self.sign_in.token(present)?;
        let client = Client::new(self.sign_in.agent(), self.app.graph, "", token)?;
        let client_id = self.app.registration.client_id.as_str();
        Ok(Registry::new(client, client_id, self.order.server))
    }

    fn proof(&self, present: &Credential, rotation: &Rotation) -> Result<Secret, Fault> {
        match present {
            Credential::Certificate(identity) => {
                proof_of_possession(identity, object_of(rotation), SystemTime::now())
            }
            Credential::Secret(_) => Err(Fault::config("a secret proves no key")),
        }
    }

    /// Whether the grace of the old credential is over.
    fn is_due(&self, rotation: &Rotation) -> bool {
        let now = self.store.now();
        rotation.remove_at.is_some_and(|at| at <= now)
    }

    fn put_on_record(&self, rotation: &Rotation) -> Result<()> {
        self.lock.check()?;
        self.store.set_rotation(&self.key, rotation)
    }

    fn end_not_known(&self) -> Fault {
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

/// Whether an earlier run may have registered something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Began {
    Before,
    Now,
}

/// What is kept of a new credential until it is in its place.
type Kept = Option<Zeroizing<Vec<u8>>>;

/// What the new credential of a renewal is called in the app registration.
fn name_of(rotation: &Rotation) -> String {
    format!("{NAME} {}", rotation.id)
}

/// The Object ID, without which no renewal begins.
fn object_of(rotation: &Rotation) -> &str {
    rotation.object_id.as_deref().unwrap_or_default()
}

/// Whether a certificate is registered, and its key ID as far as it is known.
enum Known {
    Yes(Option<String>),
    No,
}
