//! Where tokens are kept: what is secret in the state database or, if the configuration says so,
//! in a store outside (`vault`); what is not, always in the database (`state`).
//!
//! What always holds of a store outside:
//! - Wherever a token may be is on record before it is put there, and until it is erased there:
//!   a crash at any moment leaves nothing behind that nobody knows of.
//! - A new token gets another name than the one before it, which is erased only when the new one
//!   was read back and is on record.
//! - Of several, as a crash may leave them, the newest is used: a refresh token that was rotated
//!   is not lost once the store has it.
//! - Nothing secret is written to the database.
//!
//! Who saves a token of a subject, or moves it, holds the subject's lock.

mod record;

use crate::digest::{Sha256, hex};
use crate::fault::Fault;
use crate::means::Observer;
use crate::model::TokenStore;
use crate::oauth::Granted;
use crate::secret::Secret;
use crate::state::{KeptToken, Lock, Store, TokenKey, TokenPlaces, TokenRow, Trace};
use crate::vault::Vault;
use crate::workers::locked;
use anyhow::Result;
use record::Record;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// How long `forget` waits for those who are getting a token.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was read of a shared state is read again after this time.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What `forget` did.
#[derive(Default)]
pub struct Forgotten {
    pub tokens: usize,
    /// What could not be erased outside.
    pub left: Vec<Fault>,
}

fn no_place() -> Fault {
    Fault::config("the state in the database keeps no tokens without a key: its administrators could read them")
        .hint("make a key (openssl rand -base64 32), and set it on all hosts: `key: {file: FILE}` below `state` in the configuration")
        .hint("or set a token store that all hosts can use: `token_store: {command: [PROGRAM, …]}`")
}

/// The tokens of a state folder, kept as the configuration says. Shared by threads.
pub struct Tokens<'a> {
    store: &'a Store,
    wanted: Option<&'a TokenStore>,
    observer: Arc<dyn Observer>,
    /// Tokens of this run that could not be kept.
    held: Mutex<HashMap<TokenKey, TokenRow>>,
    /// Access tokens that were read from a state that hosts share, and when: each mailbox of a run
    /// asks for the same.
    read: Mutex<HashMap<TokenKey, (Instant, TokenRow)>>,
    /// When all that such a state keeps was found where it belongs.
    settled: Mutex<Option<Instant>>,
}

impl<'a> Tokens<'a> {
    pub fn new(
        store: &'a Store,
        wanted: Option<&'a TokenStore>,
        observer: Arc<dyn Observer>,
    ) -> Tokens<'a> {
        Tokens {
            store,
            wanted,
            observer,
            held: Mutex::default(),
            read: Mutex::default(),
            settled: Mutex::default(),
        }
    }

    /// The token of this key, if its times are `good`: only then is a store outside asked.
    ///
    /// # Errors
    /// `TryLater` or `Config` where the store cannot be read.
    pub fn get(
        &self,
        key: &TokenKey,
        good: impl Fn(&TokenRow) -> bool,
    ) -> Result<Option<TokenRow>> {
        match self.at_hand(key, &good) {
            None => self.of_record(key, self.store.token(key)?, good),
            token => Ok(token),
        }
    }

    /// The same, once what is kept elsewhere than the configuration wants it was moved, as after a
    /// change of `token_store`. What cannot be moved stays, usable, and is warned of. Costs one look
    /// into the database where there is nothing to do.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub fn get_settled(
        &self,
        key: &TokenKey,
        good: impl Fn(&TokenRow) -> bool,
    ) -> Result<Option<TokenRow>> {
        let is_recent = |at: &Instant| at.elapsed() < REMEMBERED;
        if locked(&self.settled).as_ref().is_some_and(is_recent) {
            return self.get(key, good);
        }
        let (row, places) = self.store.token_and_places(key, self.wanted.is_some())?;
        match self.settle(places)? {
            true => self.get(key, good),
            false => self.of_kept(key, row, good),
        }
    }

    /// The same of what was just read of it.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub fn of_kept(
        &self,
        key: &TokenKey,
        row: Option<TokenRow>,
        good: impl Fn(&TokenRow) -> bool,
    ) -> Result<Option<TokenRow>> {
        match self.at_hand(key, &good) {
            None => self.of_record(key, row, good),
            token => Ok(token),
        }
    }

    /// One that needs no look into the database.
    fn at_hand(&self, key: &TokenKey, good: impl Fn(&TokenRow) -> bool) -> Option<TokenRow> {
        let held = locked(&self.held).get(key).cloned();
        held.filter(&good).or_else(|| {
            let read = locked(&self.read).get(key).cloned();
            let read = read.filter(|(at, token)| at.elapsed() < REMEMBERED && good(token));
            read.map(|(_, token)| token)
        })
    }

    fn of_record(
        &self,
        key: &TokenKey,
        row: Option<TokenRow>,
        good: impl Fn(&TokenRow) -> bool,
    ) -> Result<Option<TokenRow>> {
        let Some(token) = row.filter(&good) else {
            return Ok(None);
        };
        if token.secret.is_none() {
            return Ok(self.outside(key)?.filter(good));
        }
        if self.store.is_shared() && !key.is_refresh() {
            let read = (Instant::now(), token.clone());
            locked(&self.read).insert(key.clone(), read);
        }
        Ok(Some(token))
    }

    /// The newest refresh token of this subject.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub fn refresh_token(&self, key: &TokenKey) -> Result<Option<Secret>> {
        let token = self.newest(&key.of_refresh())?;
        Ok(token.and_then(|token| token.secret))
    }

    /// Where the subject's refresh token should be, and is not.
    pub fn lost(&self, key: &TokenKey) -> Result<Option<String>> {
        let traces = self.store.token_traces(&key.of_refresh())?;
        let vault = traces.first().and_then(|trace| Vault::decode(&trace.place));
        Ok(vault.map(|vault| vault.words()))
    }

    /// Keeps the tokens of a sign-in, the refresh token first, if the server gave a new one. What
    /// cannot be kept is held, and used, as long as this run lasts.
    ///
    /// # Errors
    /// `TryLater`, `CannotWrite` or the database's: what was kept before is untouched.
    pub fn save(&self, key: &TokenKey, granted: &Granted) -> Result<()> {
        let obtained_at = granted.access.obtained_at;
        let token = |secret: &Secret, expires_at| TokenRow {
            secret: Some(secret.clone()),
            obtained_at,
            expires_at,
        };
        let refresh = granted.refresh.as_ref();
        let mut tokens = Vec::new();
        tokens.extend(refresh.map(|secret| (key.of_refresh(), token(secret, None))));
        let access = token(&granted.access.secret, Some(granted.access.expires_at));
        tokens.push((key.clone(), access));
        self.save_all(&tokens, Some(key))
    }

    /// Keeps a refresh token that came without an access token.
    ///
    /// # Errors
    /// As [`Tokens::save`].
    pub fn renew(&self, key: &TokenKey, refresh: &Secret) -> Result<()> {
        let token = TokenRow {
            secret: Some(refresh.clone()),
            obtained_at: SystemTime::now(),
            expires_at: None,
        };
        self.save_all(&[(key.of_refresh(), token)], None)
    }

    fn save_all(
        &self,
        tokens: &[(TokenKey, TokenRow)],
        signed_in: Option<&TokenKey>,
    ) -> Result<()> {
        locked(&self.held).extend(tokens.iter().cloned());
        match self.wanted {
            // They stay in this process.
            None if !self.store.keeps_secrets() => self.store.save_tokens(&[], signed_in)?,
            None => {
                self.store.save_tokens(tokens, signed_in)?;
                for (key, _) in tokens {
                    locked(&self.held).remove(key);
                    self.erase_others(key, None)?;
                }
            }
            Some(wanted) => {
                for (key, token) in tokens {
                    let signed_in = signed_in.filter(|of| *of == key);
                    let put = || self.put(wanted, key, token, signed_in);
                    match key.is_refresh() {
                        // It exists once: a store that is busy for a moment shall not cost it.
                        true => put().or_else(|_| put())?,
                        false => put()?,
                    }
                    locked(&self.held).remove(key);
                }
            }
        }
        Ok(())
    }

    /// Finds out whether a token would outlast this run.
    ///
    /// # Errors
    /// `Config` where it would not.
    pub fn check_place(&self) -> Result<()> {
        match self.wanted {
            Some(_) => Ok(()),
            None if self.store.keeps_secrets() => self.store.check_key(),
            None => Err(no_place().into()),
        }
    }

    /// True if the subject's newest refresh token is nowhere but in this process.
    pub fn holds_refresh_token(&self, key: &TokenKey) -> bool {
        locked(&self.held).contains_key(&key.of_refresh())
    }

    /// Every token on record, in the order of their keys, and in which store it is.
    pub fn list(store: &Store) -> Result<Vec<(KeptToken, Option<Vault>)>> {
        let kept = store.kept_tokens()?;
        let with_vault = |kept: KeptToken| {
            let vault = kept.place.as_deref().and_then(Vault::decode);
            (kept, vault)
        };
        Ok(kept.into_iter().map(with_vault).collect())
    }

    /// Erases every token whose key begins with this text, wherever it is, and forgets it. Waits
    /// for those who are just getting one, which would be kept after all.
    ///
    /// # Errors
    /// `TryLater` when somebody takes longer than a minute.
    pub fn forget(store: &Store, beginning: &str) -> Result<Forgotten> {
        let kept = store.kept_tokens()?.into_iter().map(|kept| kept.key);
        let traces = store.token_traces_of_all(beginning)?.into_iter();
        let mut keys: Vec<TokenKey> = kept.chain(traces.map(|(key, _)| key)).collect();
        keys.retain(|key| key.text().starts_with(beginning));
        keys.sort_by_key(TokenKey::subject);
        keys.dedup_by_key(|key| key.subject());
        let deadline = Instant::now() + PATIENCE;
        let mut locks = Vec::new();
        for key in &keys {
            locks.push(wait_for_lock(store, key, deadline)?);
        }
        let mut left = Vec::new();
        for (_, trace) in store.token_traces_of_all(beginning)? {
            if let Err(fault) = erase(&trace) {
                left.push(fault.hint(format!("erase it there yourself: {}", trace.name)));
            }
        }
        Ok(Forgotten {
            tokens: store.forget_tokens(beginning)?,
            left,
        })
    }

    /// Writes, reads and erases an entry where tokens are kept; tells where that is. `None`: in
    /// the database.
    pub fn probe(&self) -> Result<Option<String>, Fault> {
        let Some(wanted) = self.wanted else {
            return Ok(None);
        };
        let vault = Vault::wanted(wanted);
        vault.probe()?;
        Ok(Some(vault.words()))
    }

    /// Moves what is kept elsewhere than the configuration wants it. False where nothing is.
    fn settle(&self, places: TokenPlaces) -> Result<bool> {
        let mut misplaced = places.here;
        let in_database = !misplaced.is_empty();
        *locked(&self.settled) = (!in_database && self.store.is_shared()).then(Instant::now);
        for (key, trace) in places.outside {
            if !self.suits(&trace) && !misplaced.contains(&key) {
                misplaced.push(key);
            }
        }
        for key in &misplaced {
            // Whoever holds the lock renews the token, and thereby moves it.
            let Some(_lock) = self.store.try_lock_sign_in(key)? else {
                continue;
            };
            if let Err(err) = self.relocate(key) {
                self.observer.warn(&format!(
                    "a stored {} token cannot be moved to the `token_store`, and stays where it is: {err}",
                    kind(key)
                ));
            }
        }
        if in_database {
            self.store.empty_log()?;
        }
        Ok(!misplaced.is_empty())
    }

    fn relocate(&self, key: &TokenKey) -> Result<()> {
        self.adopt(key)?;
        let Some(token) = self.newest(key)? else {
            // Nothing is anywhere.
            return self.erase_others(key, None);
        };
        match self.wanted {
            Some(_) if self.is_settled(key)? => Ok(()),
            Some(wanted) => self.put(wanted, key, &token, None),
            None if !self.store.keeps_secrets() => Err(no_place().into()),
            None => {
                self.store.save_tokens(&[(key.clone(), token)], None)?;
                self.erase_others(key, None)
            }
        }
    }

    /// A command that took over the entries of another one, as a script that was moved, has
    /// nothing to be moved.
    fn adopt(&self, key: &TokenKey) -> Result<()> {
        let Some(wanted @ TokenStore::Command(_)) = self.wanted else {
            return Ok(());
        };
        let vault = Vault::wanted(wanted);
        for trace in self.store.token_traces(key)?.into_iter().rev() {
            let of_command = matches!(Vault::decode(&trace.place), Some(Vault::Command(_)));
            if of_command
                && trace.place != vault.encode()
                && let Ok(Some(text)) = vault.get(&trace.name)
                && Record::read(text.expose(), key).is_some()
            {
                let here = Trace {
                    place: vault.encode(),
                    name: trace.name.clone(),
                };
                self.store.add_token_trace(key, &here)?;
                self.store.remove_token_trace(&trace)?;
            }
        }
        Ok(())
    }

    /// True if nothing of this key is elsewhere than the configuration wants it.
    fn is_settled(&self, key: &TokenKey) -> Result<bool> {
        let here = self.store.token(key)?.is_some_and(|r| r.secret.is_some());
        let traces = self.store.token_traces(key)?;
        Ok(!here && traces.iter().all(|trace| self.suits(trace)))
    }

    /// True if the configuration lets a token stay there.
    fn suits(&self, trace: &Trace) -> bool {
        Vault::decode(&trace.place).is_some_and(|vault| vault.suits(self.wanted))
    }

    /// The newest token of this key, wherever it is: after a crash, or where a store could not
    /// be written, there may be an older one on record.
    fn newest(&self, key: &TokenKey) -> Result<Option<TokenRow>> {
        if let Some(held) = locked(&self.held).get(key) {
            return Ok(Some(held.clone()));
        }
        let here = self.store.token(key)?.filter(|row| row.secret.is_some());
        let there = match (self.outside(key), &here) {
            (Err(_), Some(_)) => None,
            (there, _) => there?,
        };
        Ok(here
            .into_iter()
            .chain(there)
            .max_by_key(|token| token.obtained_at))
    }

    /// The newest token of this key that a store outside has.
    fn outside(&self, key: &TokenKey) -> Result<Option<TokenRow>> {
        let found = self.find_outside(key, &self.store.token_traces(key)?)?;
        Ok(found.map(|(_, token)| token))
    }

    fn find_outside(&self, key: &TokenKey, traces: &[Trace]) -> Result<Option<(Trace, TokenRow)>> {
        for trace in traces {
            let found = vault_of(trace)?.get(&trace.name)?;
            if let Some(token) = found.and_then(|text| Record::read(text.expose(), key)) {
                return Ok(Some((trace.clone(), token)));
            }
        }
        Ok(None)
    }

    /// Puts a token into the store outside; then is what was kept before erased.
    fn put(
        &self,
        wanted: &TokenStore,
        key: &TokenKey,
        token: &TokenRow,
        signed_in: Option<&TokenKey>,
    ) -> Result<()> {
        let traces = self.store.token_traces(key)?;
        let vault = traces
            .first()
            .and_then(|trace| Vault::decode(&trace.place))
            .filter(|vault| vault.suits(Some(wanted)))
            .unwrap_or_else(|| Vault::wanted(wanted));
        let kept = match &traces[..] {
            [only] => Some(only.name.clone()),
            several => self
                .find_outside(key, several)?
                .map(|(trace, _)| trace.name),
        };
        let trace = Trace {
            name: self.another_name(key, kept.as_deref()),
            place: vault.encode(),
        };
        self.store.add_token_trace(key, &trace)?;
        if let Err(fault) = vault.put(&trace.name, &Record::write(key, token)) {
            // What is there may be a part of it.
            if vault.erase(&trace.name).is_ok() {
                self.store.remove_token_trace(&trace)?;
            }
            return Err(fault.into());
        }
        let row = TokenRow {
            secret: None,
            ..*token
        };
        self.store.save_tokens(&[(key.clone(), row)], signed_in)?;
        self.erase_others(key, Some(&trace))
    }

    /// Erases all that is outside of this key but `kept`. What cannot be erased stays on record,
    /// and is tried again the next time.
    fn erase_others(&self, key: &TokenKey, kept: Option<&Trace>) -> Result<()> {
        for trace in self.store.token_traces(key)? {
            if Some(&trace) == kept {
                continue;
            }
            match erase(&trace) {
                Ok(()) => self.store.remove_token_trace(&trace)?,
                Err(fault) => self.observer.warn(&format!(
                    "an old token is still stored as {}: {}",
                    trace.name, fault.what
                )),
            }
        }
        Ok(())
    }

    /// A name other than `kept`, which says to a person whose token it is, and which no other
    /// state folder uses.
    fn another_name(&self, key: &TokenKey, kept: Option<&str>) -> String {
        let kind = kind(key);
        let who = match key.account.as_str() {
            "" => "app",
            account => account,
        };
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || "@._-".contains(c) => c,
            _ => '_',
        };
        let who: String = who.chars().take(64).map(plain).collect();
        let mut hash = Sha256::new();
        hash.update(&self.store.identity());
        hash.update(b"\n");
        hash.update(key.text().as_bytes());
        let hash = hex(&hash.finish()[..8]);
        let first = format!("{kind}-{who}-{hash}-1");
        match kept == Some(first.as_str()) {
            true => format!("{kind}-{who}-{hash}-2"),
            false => first,
        }
    }
}

fn wait_for_lock(store: &Store, key: &TokenKey, deadline: Instant) -> Result<Lock> {
    loop {
        if let Some(lock) = store.try_lock_sign_in(key)? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            let what = "another queuemail is getting a token; nothing was erased";
            return Err(Fault::try_later(what).into());
        }
        std::thread::sleep(store.longest_pause() / 2);
    }
}

fn kind(key: &TokenKey) -> &'static str {
    match key.is_refresh() {
        true => "refresh",
        false => "access",
    }
}

fn vault_of(trace: &Trace) -> Result<Vault, Fault> {
    Vault::decode(&trace.place).ok_or_else(|| {
        Fault::config(format!(
            "a token is in a store that this version does not know: {}",
            trace.place
        ))
    })
}

fn erase(trace: &Trace) -> Result<(), Fault> {
    vault_of(trace)?.erase(&trace.name)
}
