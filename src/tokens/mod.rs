//! "Give me a valid token for this mailbox or server."
//!
//! A fresh token comes from where tokens are kept (`keep`), by default at the price of one
//! database read. Otherwise one process
//! and one thread asks for each subject (app registration and account) while the others wait and
//! take over what it got, be it a token or a failure. A new refresh token is on disk before
//! anybody uses the access token that came with it.

mod forget;
pub mod keep;
mod login;
mod sign_in;

pub use forget::forget;
pub use login::{How, Screen, Show, SignedIn};

use crate::fault::{Cause, Fault, Kind, Scene};
use crate::http::{self, Agent};
use crate::means::Means;
use crate::model::{Authentication, Resource};
use crate::oauth::AccessToken;
use crate::office::{
    Account, Incoming, MailboxEntry, Office, Outgoing, Registration, Subject, login_to_send, scope,
};
use crate::secret::Secret;
use crate::state::{Lock, SignInFailure, Store, TokenKey, TokenRow, Wait, WaitName};
use anyhow::Result;
use keep::Tokens;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// A process does not repeat a sign-in that failed less than this ago.
const FAILURE_HOLDS: Duration = Duration::from_secs(60);
/// A refused token is replaced if it is older than this: a mailbox that stays closed costs the
/// token endpoint no more than a request in this time.
const DATED: Duration = Duration::from_secs(600);
/// How long to wait for another process beyond the time that its request may take.
const LOCK_GRACE: Duration = Duration::from_secs(30);

/// Gives tokens out; shared by threads.
pub struct Access<'a> {
    means: Means,
    store: &'a Store,
    tokens: Tokens<'a>,
    fresh: bool,
    began: SystemTime,
    /// One HTTPS client for each `ca_file`, made when first needed.
    agents: Mutex<HashMap<Option<PathBuf>, Agent>>,
}

/// A token that is asked for.
struct Wanted<'a> {
    registration: &'a Registration<'a>,
    /// The person who signs in; `None`: the app itself.
    account: Option<Account<'a>>,
    key: TokenKey,
    scene: Scene,
}

impl<'a> Access<'a> {
    pub fn new(means: &Means, office: &'a Office<'a>, store: &'a Store) -> Access<'a> {
        Access {
            means: means.clone(),
            store,
            tokens: Tokens::new(store, office.token_store(), Arc::clone(&means.observer)),
            fresh: false,
            began: SystemTime::now(),
            agents: Mutex::default(),
        }
    }

    /// Asks for new tokens even where a cached one is fresh: after a server refused one, or
    /// because permissions have changed. One obtained since this `Access` was made is new enough.
    pub fn fresh(mut self, fresh: bool) -> Access<'a> {
        self.fresh = fresh;
        self
    }

    /// A token of what a name stands for.
    ///
    /// # Errors
    /// As [`Access::mailbox_access`].
    pub fn access_of(&self, subject: &Subject<'_>, resource: Resource) -> Result<AccessToken> {
        match subject {
            Subject::Mailbox(entry) => match entry.outgoing {
                Some(server) if resource == Resource::Smtp => {
                    self.sending_access(server, Some(entry), resource)
                }
                _ => self.mailbox_access(entry, resource),
            },
            Subject::Incoming(server) => self.server_access(server, resource),
            Subject::Outgoing(server) => self.sending_access(server, None, resource),
        }
    }

    /// A token with which a mailbox can be read (or, with [`Resource::Smtp`], sent from) through
    /// its incoming server.
    ///
    /// # Errors
    /// A [`Fault`] below a [`Scene`]: `TryLater`, `SignIn`, `Refused` or `Config`.
    pub fn mailbox_access(
        &self,
        entry: &MailboxEntry<'_>,
        resource: Resource,
    ) -> Result<AccessToken> {
        self.token(&self.mailbox_wanted(entry, resource)?)
    }

    /// True if the token that is at hand for a mailbox was obtained so long ago that permissions
    /// may have been given since: Entra ID puts them into tokens that it makes later.
    pub fn is_dated(&self, entry: &MailboxEntry<'_>, resource: Resource) -> Result<bool> {
        let at_hand = self.cached(&self.mailbox_wanted(entry, resource)?)?;
        Ok(at_hand.is_some_and(|token| {
            let age = SystemTime::now().duration_since(token.obtained_at);
            age.is_ok_and(|age| age > DATED)
        }))
    }

    /// What the state knows the app, or the person's account in it, by that signs in to read a
    /// mailbox.
    pub fn subject(&self, entry: &MailboxEntry<'_>) -> Result<String> {
        Ok(self.mailbox_wanted(entry, Resource::Imap)?.key.subject())
    }

    fn mailbox_wanted<'w>(
        &self,
        entry: &MailboxEntry<'w>,
        resource: Resource,
    ) -> Result<Wanted<'w>> {
        let mut wanted = wanted(
            &entry.incoming.registration,
            || Ok(entry.reader()),
            Some(entry.address.address.as_str()),
            resource,
            false,
        )?;
        wanted.scene.queue = Some(entry.queue.name.clone());
        Ok(wanted)
    }

    /// A token of the incoming server's app registration itself.
    pub fn server_access(&self, server: &Incoming<'_>, resource: Resource) -> Result<AccessToken> {
        let wanted = wanted(
            &server.registration,
            || {
                Err(Fault::usage(format!(
                    "incoming server `{}` signs in as a person (oauth-user), so a token is for one mailbox",
                    server.name
                ))
                .hint("use a queue or an address that it reads: queuemail token get ADDRESS"))
            },
            None,
            resource,
            false,
        )?;
        self.token(&wanted)
    }

    /// A token with which `outgoing` sends; `sender` is the address it sends for.
    ///
    /// # Errors
    /// As [`Access::mailbox_access`].
    pub fn sending_access<'w>(
        &self,
        outgoing: &'w Outgoing<'w>,
        sender: Option<&MailboxEntry<'w>>,
        resource: Resource,
    ) -> Result<AccessToken> {
        let wanted = self.sending_wanted(outgoing, sender, resource)?;
        self.token(&wanted).map_err(|mut err| {
            // Entra does not know the user, the password or the app: are two settings swapped?
            if let Some(fault) = err.downcast_mut::<Fault>()
                && fault.kind == Kind::SignIn
                && fault.server_said.is_some()
            {
                *fault = outgoing.swapped(fault.clone());
            }
            err
        })
    }

    fn sending_wanted<'w>(
        &self,
        outgoing: &'w Outgoing<'w>,
        sender: Option<&MailboxEntry<'w>>,
        resource: Resource,
    ) -> Result<Wanted<'w>> {
        let address = sender.map(|entry| entry.address);
        let mut wanted = wanted(
            outgoing.registration()?,
            || outgoing.account(address),
            address.map(|a| a.address.as_str()),
            resource,
            true,
        )?;
        wanted.scene.queue = sender.map(|entry| entry.queue.name.clone());
        wanted.scene.is_server_account = outgoing.password.is_some();
        wanted.scene.login = Some(login_to_send(outgoing, sender));
        Ok(wanted)
    }

    /// Writes, reads and erases an entry where tokens are kept, if that is outside of the state;
    /// tells where.
    pub fn probe_store(&self) -> Result<Option<String>, Fault> {
        self.tokens.probe()
    }

    fn token(&self, wanted: &Wanted<'_>) -> Result<AccessToken> {
        self.cached_or_new(wanted).map_err(|mut err| {
            let mut scene = wanted.scene.clone();
            if let Some(fault) = err.downcast_mut::<Fault>() {
                fault.set_sign_in(wanted.key.subject());
            }
            if let Some(fault) = err.downcast_mut::<Fault>()
                && fault.server_said.is_some()
            {
                if fault.cause == Some(Cause::RefreshRefused) {
                    scene.doing = scene.doing.replacen("get a", "refresh the", 1);
                }
                // The scene says what could not be done, and the server why.
                if fault.kind == Kind::SignIn {
                    fault.what = scene.doing.clone();
                }
            }
            err.context(scene)
        })
    }

    fn cached_or_new(&self, wanted: &Wanted<'_>) -> Result<AccessToken> {
        let kept = self.tokens.get_settled(&wanted.key, self.is_good())?;
        if let Some(token) = kept.and_then(access_token) {
            return Ok(token);
        }
        let asked = SystemTime::now();
        let lock = match self.wait_for_lock(wanted, || self.cached(wanted))? {
            Waited::Lock(lock) => lock,
            Waited::Token(token) => return Ok(token),
        };
        // Somebody may have been faster, before this one held the lock.
        let record = self.store.sign_in_record(&wanted.key)?;
        let kept = (self.tokens).of_kept(&wanted.key, record.token, self.is_good())?;
        if let Some(token) = kept.and_then(access_token) {
            return Ok(token);
        }
        self.refuse_if_recently_failed(record.failure, asked)?;
        self.refuse_if_asked_to_wait(wanted, record.wait)?;
        self.means.observer.step(&format!(
            "requesting a token of {1} for {2} from {0}",
            wanted.registration.authority.host(),
            wanted.account.map_or("the app", |a| a.name),
            wanted.key.scope,
        ));
        lock.check()?;
        let result = self.sign_in(wanted);
        if let Err(err) = &result {
            self.noted(self.remember(wanted, err));
        }
        drop(lock);
        result
    }

    fn cached(&self, wanted: &Wanted<'_>) -> Result<Option<AccessToken>> {
        let kept = self.tokens.get(&wanted.key, self.is_good())?;
        Ok(kept.and_then(access_token))
    }

    /// Which tokens are given out again.
    fn is_good(&self) -> impl Fn(&TokenRow) -> bool {
        let is_fresh = |token: &AccessToken| {
            token.is_fresh(SystemTime::now()) && (!self.fresh || token.obtained_at > self.began)
        };
        move |token| access_token(token.clone()).is_some_and(|token| is_fresh(&token))
    }

    /// The subject's lock, or what `instead` finds while another process has it.
    fn wait_for_lock(
        &self,
        wanted: &Wanted<'_>,
        instead: impl Fn() -> Result<Option<AccessToken>>,
    ) -> Result<Waited> {
        let deadline = Instant::now() + self.means.timeout + LOCK_GRACE;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = self.store.try_lock_sign_in(&wanted.key)? {
                return Ok(Waited::Lock(lock));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(self.store.longest_pause());
            if let Some(token) = instead()? {
                return Ok(Waited::Token(token));
            }
            if Instant::now() > deadline {
                return Err(
                    Fault::try_later("another queuemail is still getting this token").into(),
                );
            }
        }
    }

    /// Adopts the failure of whoever asked while this one waited, or of this very process shortly
    /// ago.
    fn refuse_if_recently_failed(
        &self,
        failure: Option<SignInFailure>,
        asked: SystemTime,
    ) -> Result<()> {
        let Some(failure) = failure else {
            return Ok(());
        };
        // A failure from the future is of a clock that was set back since.
        let Ok(age) = SystemTime::now().duration_since(failure.at) else {
            return Ok(());
        };
        if failure.at >= asked || (failure.at >= self.began && age < FAILURE_HOLDS) {
            return Err(failure.fault.into());
        }
        Ok(())
    }

    fn refuse_if_asked_to_wait(&self, wanted: &Wanted<'_>, wait: Option<Wait>) -> Result<()> {
        let Some(Wait { until, reason }) = wait else {
            return Ok(());
        };
        let left = match Duration::try_from(until.duration_since(self.store.clock())) {
            // No wait that is kept is longer, unless the clock was set back.
            Ok(left) if left <= http::LONGEST_WAIT => left,
            _ => return Ok(()),
        };
        let host = wanted.registration.authority.host();
        let seconds = left.as_secs() + 1;
        Err(
            Fault::try_later(format!("`{host}` requested a wait, {seconds} s more"))
                .cause(Cause::WaitHolds)
                .said(reason)
                .retry_after(Some(left))
                .into(),
        )
    }

    /// A full disk must not hide why a sign-in failed.
    fn noted(&self, written: Result<()>) {
        if let Err(err) = written {
            let words = format!("this failure is not recorded for the next run: {err:#}");
            self.means.observer.warn(&words);
        }
    }

    fn remember(&self, wanted: &Wanted<'_>, err: &anyhow::Error) -> Result<()> {
        let Some(fault) = err.downcast_ref::<Fault>() else {
            return Ok(());
        };
        let now = SystemTime::now();
        self.store.set_sign_in_failure(&wanted.key, now, fault)?;
        if let (Kind::TryLater, Some(wait)) = (fault.kind, fault.retry_after) {
            let reason = fault.server_said.as_deref().unwrap_or(&fault.what);
            let name = WaitName::SignIn(&wanted.key);
            self.store
                .keep_wait(name, wait, reason, self.store.clock())?;
        }
        Ok(())
    }
}

/// The token of whoever signs in to read the mailbox of `address` or, where it `sends`, to send for it.
fn wanted<'w>(
    registration: &'w Registration<'w>,
    account: impl FnOnce() -> Result<Account<'w>, Fault>,
    address: Option<&str>,
    resource: Resource,
    sends: bool,
) -> Result<Wanted<'w>> {
    let account = match registration.authentication {
        Authentication::OauthService => None,
        Authentication::OauthUser => Some(account()?),
    };
    let other_mailbox = match (&account, address) {
        (Some(account), Some(address)) => !account.name.eq_ignore_ascii_case(address),
        _ => false,
    };
    let server = registration.server;
    let doing = match &account {
        None => format!("cannot get a token for server `{server}`"),
        Some(account) => {
            format!(
                "cannot get a token for server `{server}` as `{}`",
                account.name
            )
        }
    };
    let scene = Scene {
        doing,
        address: address.map(str::to_owned),
        account: account.map(|a| a.name.to_owned()),
        protocol: Some(resource.name().to_owned()),
        ..registration.scene()
    };
    let key = TokenKey {
        authority: registration.authority.to_string(),
        client_id: registration.client_id.to_string(),
        account: account.map(|a| a.name.to_lowercase()).unwrap_or_default(),
        scope: scope(registration, resource, sends, other_mailbox),
    };
    Ok(Wanted {
        registration,
        account,
        key,
        scene,
    })
}

/// Its secret is empty while only its times are known.
fn access_token(kept: TokenRow) -> Option<AccessToken> {
    Some(AccessToken {
        secret: kept.secret.unwrap_or_else(|| Secret::new("")),
        obtained_at: kept.obtained_at,
        expires_at: kept.expires_at?,
    })
}

enum Waited {
    Lock(Lock),
    Token(AccessToken),
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_share_it() {
        fn shared<T: Sync>() {}
        shared::<super::Access<'_>>();
    }
}
