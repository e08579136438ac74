//! The steps of a renewal, each on record before the next one.

use super::caller::Caller;
use super::place::Place;
use super::sign_in::SignIn;
use super::work::{Order, Outcome, Until, Work};
use crate::fault::{Fault, Kind, kind_of};
use crate::means::Means;
use crate::model::{Day, is_guid};
use crate::office::Office;
use crate::shell;
use crate::state::{LockName, Rotation, RotationKey, RotationStep, Store};
use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Whether an earlier run may have registered something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Began {
    Before,
    Now,
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
            return Err(Fault::cannot_write(what)
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
            .map_err(|why: String| Fault::bug(why))?;
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

    /// Ends a run after a new credential is in its place.
    fn end(mut self, rotation: Rotation) -> Result<Outcome> {
        let finish = self.order.until == Until::Finished;
        let rotation = match finish || self.is_due(&rotation) {
            true => self.remove_old(rotation)?,
            false => rotation,
        };
        Ok(self.told(&rotation))
    }

    fn told(self, rotation: &Rotation) -> Outcome {
        self.told_of(Some(rotation))
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
}
