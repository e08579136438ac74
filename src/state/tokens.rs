//! Tokens, the waits that hosts asked for, sign-ins that failed, and the lock that makes one
//! process ask for a token while the others wait for its answer.

use super::db::{Error, Row, Sql, Value, values};
use super::{Lock, LockName, Store, TokenKey, Wait, WaitName};
use crate::digest::hex;
use crate::fault::{Cause, Fault, Kind};
use crate::secret::Secret;
use anyhow::{Context, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A token as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// `None`: it is in another store.
    pub secret: Option<Secret>,
    pub obtained_at: SystemTime,
    /// Of an access token.
    pub expires_at: Option<SystemTime>,
}

/// Where a token may be outside of the database: on record before it is put there, until it is
/// erased there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The store, in its own words.
    pub place: String,
    /// What the store knows the token by.
    pub name: String,
}

/// A kept token, without its secret.
#[derive(Clone, Debug)]
pub struct KeptToken {
    pub key: TokenKey,
    /// Of an access token.
    pub expires_at: Option<SystemTime>,
    pub obtained_at: SystemTime,
    /// The store that holds it; `None`: the database.
    pub place: Option<String>,
}

/// A sign-in that failed, for those who waited for it.
#[derive(Clone, Debug)]
pub struct Failure {
    pub at: SystemTime,
    pub fault: Fault,
}

/// What is on record of a token that is not at hand, for whoever is about to ask for one.
#[derive(Debug, Default)]
pub struct SignInRecord {
    /// The one that is kept, which another process may just have got.
    pub token: Option<TokenRow>,
    /// The subject's last sign-in, if it failed.
    pub failure: Option<Failure>,
    /// Until when the token endpoint asked this client to wait, and why.
    pub wait: Option<Wait>,
}

/// Where tokens are kept.
#[derive(Debug, Default)]
pub struct TokenPlaces {
    /// Those whose secrets are in the database, where that was asked.
    pub here: Vec<TokenKey>,
    /// Where the others may be, the newest first.
    pub outside: Vec<(TokenKey, Trace)>,
}

/// What a token of this key is sealed for, in the state that has this id.
pub fn sealed_for(id: &str, key: &str) -> String {
    format!("{id}\n{key}")
}

impl Store {
    /// The token of this key, whether it has expired or not.
    ///
    /// # Errors
    /// Also `Config` where it is sealed and cannot be opened.
    pub fn token(&self, key: &TokenKey) -> Result<Option<TokenRow>> {
        // A wrong key is found before a token is asked for that could not be kept.
        self.check_key()?;
        let row = self.read(|reader| reader.row(&TOKEN, &values![&key.text()], token))?;
        self.opened(key, row)
    }

    /// The same, with the places of all tokens; `and_here`: also which are here.
    pub fn token_and_places(
        &self,
        key: &TokenKey,
        and_here: bool,
    ) -> Result<(Option<TokenRow>, TokenPlaces)> {
        const HERE: Sql = Sql::both(
            "SELECT key FROM token WHERE COALESCE(access_token, refresh_token) IS NOT NULL",
        );
        self.check_key()?;
        let name = key.text();
        let (row, places) = self.read(|reader| {
            let (mut row, mut places) = (None, TokenPlaces::default());
            let asked: [(&Sql<'_>, &[Value<'_>]); 3] = [
                (&TOKEN, &values![&name]),
                (&TRACES, &values![""]),
                (&HERE, &[]),
            ];
            let asked = match and_here {
                true => &asked[..],
                false => &asked[..2],
            };
            reader.all(asked, &mut |number, found| {
                match number {
                    0 => row = Some(token(found)?),
                    1 => places.outside.push(trace(found)?),
                    _ => places.here.push(TokenKey::parse(&found.get::<String>(0)?)),
                }
                Ok(())
            })?;
            Ok((row, places))
        })?;
        Ok((self.opened(key, row)?, places))
    }

    /// The same, with what became of the last sign-in of its subject.
    pub fn sign_in_record(&self, key: &TokenKey) -> Result<SignInRecord> {
        self.check_key()?;
        let (name, failed, wait) = (
            key.text(),
            WaitName::SignInFailed(key).to_string(),
            WaitName::SignIn(key).to_string(),
        );
        let (row, failed, wait) = self.read(|reader| {
            let (mut row, mut held) = (None, [None, None]);
            let asked: [(&Sql<'_>, &[Value<'_>]); 3] = [
                (&TOKEN, &values![&name]),
                (&HELD, &values![&failed]),
                (&HELD, &values![&wait]),
            ];
            reader.all(&asked, &mut |number, found| {
                match number {
                    0 => row = Some(token(found)?),
                    n => held[n - 1] = Some(held_until(found)?),
                }
                Ok(())
            })?;
            let [failed, wait] = held;
            Ok((row, failed, wait))
        })?;
        Ok(SignInRecord {
            token: self.opened(key, row)?,
            failure: failed.and_then(|held| {
                Some(Failure {
                    at: held.until,
                    fault: held.fault()?,
                })
            }),
            wait: wait.and_then(|held| {
                Some(Wait {
                    until: held.until.try_into().ok()?,
                    reason: held.reason,
                })
            }),
        })
    }

    /// A row of [`TOKEN`], its secret opened where it is sealed.
    fn opened(&self, key: &TokenKey, row: Option<TokenRow>) -> Result<Option<TokenRow>> {
        let Some(mut row) = row else {
            return Ok(None);
        };
        if let (Some(owner), Some(sealed)) = (self.owner(&key.text()), &row.secret) {
            row.secret = Some(self.seal.open(&owner, sealed.expose())?);
        }
        Ok(Some(row))
    }

    /// What a sealed token of this key belongs to; `None` where tokens are not sealed.
    fn owner(&self, key: &str) -> Option<String> {
        let id = self.identity.as_ref()?;
        Some(sealed_for(id, key))
    }

    /// The secret of a token as the database is to have it.
    fn written(&self, key: &TokenKey, secret: &Secret) -> Result<Secret> {
        match self.owner(&key.text()) {
            None => Ok(secret.clone()),
            Some(owner) => self.seal.close(&owner, secret).map(Secret::new),
        }
    }

    /// Seals with the first key what another one has sealed; gives the number of tokens.
    ///
    /// # Errors
    /// `Config` where the state has no key, or one of the tokens cannot be opened: then none is
    /// changed.
    pub fn seal_anew(&self) -> Result<usize> {
        const SEALED: Sql = Sql::both(
            "SELECT key, COALESCE(access_token, refresh_token) FROM token
             WHERE COALESCE(access_token, refresh_token) IS NOT NULL ORDER BY key",
        );
        // One that was replaced meanwhile stays: it has the key of who replaced it.
        const REPLACE: Sql = Sql::two(
            "UPDATE token SET access_token = CASE WHEN access_token IS NOT NULL THEN ?3 END,
                    refresh_token = CASE WHEN refresh_token IS NOT NULL THEN ?3 END
             WHERE key = ?1 AND COALESCE(access_token, refresh_token) = ?2",
            "UPDATE token SET access_token = CASE WHEN access_token IS NOT NULL THEN r.new END,
                    refresh_token = CASE WHEN refresh_token IS NOT NULL THEN r.new END
             FROM unnest(?1::text[], ?2::text[], ?3::text[]) AS r (key, old, new)
             WHERE token.key = r.key AND COALESCE(access_token, refresh_token) = r.old",
        );
        self.seal.check_first()?;
        let sealed: Vec<(String, String)> =
            self.read(|reader| reader.rows(&SEALED, &[], |row| Ok((row.get(0)?, row.get(1)?))))?;
        let mut changed = Vec::new();
        for (key, text) in sealed {
            if let Some(owner) = self.owner(&key)
                && !self.seal.is_first(&text)?
            {
                let secret = self.seal.open(&owner, &text)?;
                let new = self.seal.close(&owner, &secret)?;
                changed.push((key, text, new));
            }
        }
        let count = self.transaction(|tx| {
            let rows = changed.iter();
            tx.many(&REPLACE, rows.map(|(key, old, new)| values![key, old, new]))
        })?;
        Ok(usize::try_from(count)?)
    }

    /// Keeps tokens in one durable transaction, each instead of the one of its key. After a
    /// sign-in, for `signed_in`, the waits and failures of its subject are forgotten.
    ///
    /// # Errors
    /// `Bug` where a secret is to be kept that must not ([`Store::keeps_secrets`]).
    pub fn save_tokens(
        &self,
        tokens: &[(TokenKey, TokenRow)],
        signed_in: Option<&TokenKey>,
    ) -> Result<()> {
        // Of two hosts that signed in at once, the one that got the newer token may be the first. One
        // that is newer than now is of a host whose clock is wrong, and keeps no other back.
        const SAVE: Sql = Sql::two(
            "INSERT INTO token (key, access_token, expires_at, refresh_token, obtained_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE
             SET access_token = ?2, expires_at = ?3, refresh_token = ?4, obtained_at = ?5",
            "INSERT INTO token (key, access_token, expires_at, refresh_token, obtained_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE
             SET access_token = ?2, expires_at = ?3, refresh_token = ?4, obtained_at = ?5
             WHERE token.obtained_at <= ?5
                OR token.obtained_at > extract(epoch FROM clock_timestamp()) * 1000 + 60000",
        );
        const FORGET: Sql = Sql::both("DELETE FROM wait WHERE key IN (?1, ?2, ?3)");
        if !self.keeps_secrets() && tokens.iter().any(|(_, row)| row.secret.is_some()) {
            return Err(
                Fault::new(Kind::Bug, "a token was to be kept in a shared database").into(),
            );
        }
        let written = |(key, row): &(TokenKey, TokenRow)| {
            let secret = row.secret.as_ref();
            secret.map(|secret| self.written(key, secret)).transpose()
        };
        let secrets: Vec<Option<Secret>> = tokens.iter().map(written).collect::<Result<_>>()?;
        self.transaction(|tx| {
            for ((key, row), secret) in tokens.iter().zip(&secrets) {
                let secret = secret.as_ref().map(Secret::expose);
                let (access, refresh) = match key.is_refresh() {
                    true => (None, secret),
                    false => (secret, None),
                };
                let expires = row.expires_at.map(millis);
                let obtained = millis(row.obtained_at);
                tx.later(
                    &SAVE,
                    &values![&key.text(), access, expires, refresh, obtained],
                )?;
            }
            if let Some(key) = signed_in {
                let names = [
                    WaitName::SignIn(key),
                    WaitName::SignInFailed(key),
                    WaitName::PasswordRefused(key),
                ];
                let [wait, failure, refusal] = names.map(|name| name.to_string());
                tx.later(&FORGET, &values![&wait, &failure, &refusal])?;
            }
            Ok(())
        })
    }

    /// Every kept token, in the order of their keys.
    pub fn kept_tokens(&self) -> Result<Vec<KeptToken>> {
        const KEPT: Sql = Sql::both(
            "SELECT key, expires_at, obtained_at,
                    CASE WHEN COALESCE(access_token, refresh_token) IS NULL THEN
                        (SELECT place FROM token_trace AS trace WHERE trace.key = token.key
                         ORDER BY id DESC LIMIT 1)
                    END
             FROM token ORDER BY key",
        );
        self.read(|reader| {
            reader.rows(&KEPT, &[], |row| {
                Ok(KeptToken {
                    key: TokenKey::parse(&row.get::<String>(0)?),
                    expires_at: row.get::<Option<i64>>(1)?.map(time),
                    obtained_at: time(row.get(2)?),
                    place: row.get(3)?,
                })
            })
        })
    }

    /// Where the token of this key may be outside, the newest first.
    pub fn token_traces(&self, key: &TokenKey) -> Result<Vec<Trace>> {
        const OF_ONE: Sql =
            Sql::both("SELECT key, place, name FROM token_trace WHERE key = ?1 ORDER BY id DESC");
        let traces: Vec<(TokenKey, Trace)> =
            self.read(|reader| reader.rows(&OF_ONE, &values![&key.text()], trace))?;
        Ok(traces.into_iter().map(|(_, trace)| trace).collect())
    }

    /// Where all tokens whose key begins with this text may be outside.
    pub fn token_traces_of_all(&self, beginning: &str) -> Result<Vec<(TokenKey, Trace)>> {
        self.read(|reader| reader.rows(&TRACES, &values![beginning], trace))
    }

    /// Remembers, durably, that the token of this key may be there; it becomes the newest.
    pub fn add_token_trace(&self, key: &TokenKey, trace: &Trace) -> Result<()> {
        const ADD: Sql =
            Sql::both("INSERT INTO token_trace (key, place, name) VALUES (?1, ?2, ?3)");
        let Trace { place, name } = trace;
        self.transaction(|tx| {
            tx.later(&REMOVE_TRACE, &values![place, name])?;
            tx.later(&ADD, &values![&key.text(), place, name])
        })
    }

    /// Nothing of the program is there any more.
    pub fn remove_token_trace(&self, trace: &Trace) -> Result<()> {
        let Trace { place, name } = trace;
        self.transaction(|tx| tx.later(&REMOVE_TRACE, &values![place, name]))
    }

    /// Forgets every token whose key begins with this text, where it may be outside, and the
    /// waits and failures of its subject; gives the number of tokens.
    pub fn forget_tokens(&self, beginning: &str) -> Result<usize> {
        const WAITS: Sql = Sql::two(
            "DELETE FROM wait WHERE substr(key, 1, length(?1)) = ?1",
            "DELETE FROM wait USING unnest(?1::text[]) AS r (beginning)
             WHERE substr(key, 1, length(beginning)) = beginning",
        );
        const TRACES: Sql =
            Sql::both("DELETE FROM token_trace WHERE substr(key, 1, length(?1)) = ?1");
        const TOKENS: Sql = Sql::both("DELETE FROM token WHERE substr(key, 1, length(?1)) = ?1");
        let waits = WaitName::OF_TOKENS.map(|word| format!("{word}{beginning}"));
        let count = self.transaction(|tx| {
            tx.many_later(&WAITS, waits.iter().map(|beginning| values![beginning]))?;
            tx.later(&TRACES, &values![beginning])?;
            tx.run(&TOKENS, &values![beginning])
        })?;
        self.empty_log()?;
        Ok(usize::try_from(count)?)
    }

    /// Empties the log next to the database, in which deleted secrets would stand a while longer.
    pub fn empty_log(&self) -> Result<()> {
        self.db.empty_log().map_err(|e| self.fault("read", &e))
    }

    pub fn set_sign_in_failure(&self, key: &TokenKey, at: SystemTime, fault: &Fault) -> Result<()> {
        self.set_fault(WaitName::SignInFailed(key), at, fault, None)
    }

    /// The refusal of a password, if it was this one and holds still; until when, and in which
    /// words.
    pub fn refused_password(
        &self,
        key: &TokenKey,
        password: &Secret,
    ) -> Result<Option<(SystemTime, Fault)>> {
        let name = WaitName::PasswordRefused(key).to_string();
        let held = self.read(|reader| reader.row(&HELD, &values![&name], held_until))?;
        let Some(held) = held else {
            return Ok(None);
        };
        let is_over = held.until <= SystemTime::now();
        if is_over || held.fingerprint.as_ref() != Some(&fingerprint(key, password)?) {
            return Ok(None);
        }
        Ok(held.fault().map(|fault| (held.until, fault)))
    }

    /// Remembers that the server refused this password, without keeping it, and until when it is
    /// not to be tried again.
    pub fn set_refused_password(
        &self,
        key: &TokenKey,
        password: &Secret,
        until: SystemTime,
        fault: &Fault,
    ) -> Result<()> {
        let print = fingerprint(key, password)?;
        self.set_fault(WaitName::PasswordRefused(key), until, fault, Some(&print))
    }

    /// Takes the right to ask for tokens of the key's subject, if nobody has it.
    pub fn try_lock_sign_in(&self, key: &TokenKey) -> Result<Option<Lock>> {
        Ok(self.lock(LockName::SignIn(key))?.ok())
    }

    fn set_fault(
        &self,
        name: WaitName<'_>,
        until: SystemTime,
        fault: &Fault,
        fingerprint: Option<&String>,
    ) -> Result<()> {
        const SET: Sql = Sql::both(
            "INSERT INTO wait (key, until, reason, exit_code, server_said, hints, fingerprint,
                               cause, host, port)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (key) DO UPDATE SET until = ?2, reason = ?3, exit_code = ?4,
                 server_said = ?5, hints = ?6, fingerprint = ?7, cause = ?8, host = ?9, port = ?10",
        );
        let hints = fault.hints.join("\n");
        let key = name.to_string();
        let peer = fault.peer();
        let row = values![
            &key,
            millis(until),
            &fault.what,
            u32::from(fault.kind.exit_code()),
            fault.server_said.as_ref(),
            &hints,
            fingerprint,
            fault.cause.map(Cause::name),
            peer.map(|peer| &peer.host),
            peer.and_then(|peer| peer.port).map(u32::from),
        ];
        self.transaction(|tx| tx.later(&SET, &row))
    }
}

const TOKEN: Sql = Sql::both(
    "SELECT COALESCE(access_token, refresh_token), obtained_at, expires_at FROM token WHERE key = ?1",
);

fn token(row: &Row<'_>) -> Result<TokenRow, Error> {
    Ok(TokenRow {
        secret: row.get::<Option<String>>(0)?.map(Secret::new),
        obtained_at: time(row.get(1)?),
        expires_at: row.get::<Option<i64>>(2)?.map(time),
    })
}

const TRACES: Sql = Sql::both(
    "SELECT key, place, name FROM token_trace
     WHERE substr(key, 1, length(?1)) = ?1 ORDER BY id DESC",
);

const REMOVE_TRACE: Sql = Sql::both("DELETE FROM token_trace WHERE place = ?1 AND name = ?2");

fn trace(row: &Row<'_>) -> Result<(TokenKey, Trace), Error> {
    let key = TokenKey::parse(&row.get::<String>(0)?);
    let (place, name) = (row.get(1)?, row.get(2)?);
    Ok((key, Trace { place, name }))
}

/// A row of `wait`, where it is about tokens.
struct Held {
    /// Of a sign-in that failed: when it did.
    until: SystemTime,
    reason: String,
    /// These of a fault alone, of which `reason` is what failed; hints are one a line.
    exit_code: Option<u32>,
    server_said: Option<String>,
    hints: Option<String>,
    /// Of the password that was refused.
    fingerprint: Option<String>,
    cause: Option<String>,
    host: Option<String>,
    port: Option<u32>,
}

const HELD: Sql = Sql::both(
    "SELECT until, reason, exit_code, server_said, hints, fingerprint, cause, host, port
     FROM wait WHERE key = ?1",
);

fn held_until(row: &Row<'_>) -> Result<Held, Error> {
    Ok(Held {
        until: time(row.get(0)?),
        reason: row.get(1)?,
        exit_code: row.get(2)?,
        server_said: row.get(3)?,
        hints: row.get(4)?,
        fingerprint: row.get(5)?,
        cause: row.get(6)?,
        host: row.get(7)?,
        port: row.get(8)?,
    })
}

impl Held {
    fn fault(&self) -> Option<Fault> {
        let kind = match self.exit_code? {
            69 => Kind::Refused,
            75 => Kind::TryLater,
            77 => Kind::SignIn,
            78 => Kind::Config,
            _ => return None,
        };
        let mut fault = Fault::new(kind, &*self.reason);
        fault.server_said.clone_from(&self.server_said);
        fault.cause = self.cause.as_deref().and_then(Cause::named);
        if let Some(host) = &self.host {
            let port = self.port.and_then(|port| port.try_into().ok());
            fault = fault.at(host, port);
        }
        let hints = self.hints.iter().flat_map(|hints| hints.lines());
        fault.hints.extend(hints.map(str::to_owned));
        Some(fault)
    }
}

/// Recognises a password without holding it. Slow on purpose, so that whoever reads the state
/// cannot try out a dictionary quickly.
fn fingerprint(key: &TokenKey, password: &Secret) -> Result<String> {
    const ROUNDS: usize = 100_000;
    let mut out = [0u8; 16];
    openssl::pkcs5::pbkdf2_hmac(
        password.expose().as_bytes(),
        key.subject().as_bytes(),
        ROUNDS,
        openssl::hash::MessageDigest::sha256(),
        &mut out,
    )
    .context("cannot make the fingerprint of a password")?;
    Ok(hex(&out))
}

fn millis(time: SystemTime) -> i64 {
    let millis = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::engines_tests::{Engine, on_both};
    use crate::state::schema;

    fn key(scope: &str) -> TokenKey {
        TokenKey {
            authority: "https://login.example/t".into(),
            client_id: "c".into(),
            account: "eva@contoso.com".into(),
            scope: scope.into(),
        }
    }

    fn token(text: &str) -> TokenRow {
        let now = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        TokenRow {
            secret: Some(Secret::new(text)),
            obtained_at: now,
            expires_at: Some(now + Duration::from_secs(3599)),
        }
    }

    fn refresh(text: &str) -> TokenRow {
        TokenRow {
            expires_at: None,
            ..token(text)
        }
    }

    #[test]
    fn tokens_are_kept_by_scope_and_the_refresh_token_by_subject() {
        let engine = Engine::sqlite();
        let store = engine.open();
        let (imap, graph) = (key("imap"), key("graph"));
        let person = imap.of_refresh();
        let rows = [
            (imap.clone(), token("a")),
            (person.clone(), refresh("refresh 1")),
        ];
        store.save_tokens(&rows, Some(&imap)).unwrap();
        store
            .save_tokens(&[(graph.clone(), token("b"))], Some(&graph))
            .unwrap();
        let other = engine.open();
        assert_eq!(other.token(&imap).unwrap(), Some(token("a")));
        assert_eq!(other.token(&graph).unwrap(), Some(token("b")));
        assert_eq!(
            other.token(&graph.of_refresh()).unwrap(),
            Some(refresh("refresh 1"))
        );
        assert_eq!(other.token(&key("smtp")).unwrap(), None);
        assert_eq!(other.kept_tokens().unwrap().len(), 3);
        assert_eq!(other.forget_tokens(&imap.subject()).unwrap(), 3);
        assert_eq!(other.token(&person).unwrap(), None);
    }

    #[test]
    fn a_database_that_hosts_share_is_given_no_secret() {
        let engine = Engine::postgres();
        let store = engine.open();
        let row = |at: i64, secret: Option<Secret>| TokenRow {
            secret,
            obtained_at: time(at),
            expires_at: None,
        };
        let secret = row(5, Some(Secret::new("s")));
        let err = store.save_tokens(&[(key("imap"), secret)], None);
        assert!(err.is_err());
        // What a store outside has is known here; the older of two does not take its place.
        for at in [5, 9, 7] {
            store
                .save_tokens(&[(key("imap"), row(at, None))], None)
                .unwrap();
        }
        let kept = engine.open().token(&key("imap")).unwrap();
        assert_eq!(kept, Some(row(9, None)));
    }

    #[test]
    fn what_is_forgotten_is_not_in_the_files_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        // Longer than a page, so that it spills into pages of its own.
        let long = format!("cAnArY{}", "x".repeat(9000));
        for text in [long.as_str(), "cAnArY-short"] {
            store
                .save_tokens(&[(key("imap"), token(text))], None)
                .unwrap();
        }
        store.forget_tokens("").unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = String::from_utf8_lossy(&bytes).contains("cAnArY");
            assert!(!found, "{} still contains a token", path.display());
        }
    }

    #[test]
    fn a_trace_is_found_by_its_key_until_it_is_removed() {
        on_both(|engine| {
            let store = engine.open();
            let trace = |name: &str| Trace {
                place: "kernel".into(),
                name: name.into(),
            };
            let person = key("").of_refresh();
            for name in ["1", "2", "1"] {
                store.add_token_trace(&person, &trace(name)).unwrap();
            }
            let found = store.token_traces(&person).unwrap();
            assert_eq!(found, [trace("1"), trace("2")]);
            assert!(store.token_traces(&key("imap")).unwrap().is_empty());
            store.remove_token_trace(&trace("1")).unwrap();
            assert_eq!(
                store.token_traces_of_all("").unwrap(),
                [(person, trace("2"))]
            );
            store.forget_tokens("").unwrap();
            assert!(store.token_traces_of_all("").unwrap().is_empty());
        });
    }

    #[test]
    fn a_refused_password_is_known_again_and_not_kept() {
        on_both(|engine| {
            let store = engine.open();
            let (key, wrong) = (key("imap"), Secret::new("correct horse"));
            let fault = Fault::new(Kind::SignIn, "what")
                .cause(Cause::RefreshRefused)
                .at("login.example", Some(8443))
                .said("AADSTS50126");
            let later = SystemTime::now() + Duration::from_secs(60);
            store
                .set_refused_password(&key, &wrong, later, &fault)
                .unwrap();
            let (_, known) = store.refused_password(&key, &wrong).unwrap().unwrap();
            assert_eq!(known.server_said.as_deref(), Some("AADSTS50126"));
            assert_eq!((known.cause, known.peer()), (fault.cause, fault.peer()));
            let other = Secret::new("correct horse battery");
            assert!(store.refused_password(&key, &other).unwrap().is_none());
            if engine.is_sqlite() {
                let wal = std::fs::read(engine.folder().join("state.sqlite-wal")).unwrap();
                assert!(!String::from_utf8_lossy(&wal).contains("correct horse"));
            }
            let row = TokenRow {
                secret: None,
                ..token("t")
            };
            store
                .save_tokens(&[(key.clone(), row)], Some(&key))
                .unwrap();
            assert!(store.refused_password(&key, &wrong).unwrap().is_none());
        });
    }

    #[test]
    fn a_refusal_that_an_earlier_version_put_on_record_holds() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let (key, wrong) = (key("imap"), Secret::new("correct horse"));
        let until = SystemTime::now() + Duration::from_secs(60);
        let earlier = schema::sqlite::tests::earlier(&folder.path().join("state.sqlite"), 4);
        let json = r#"{"exit_code":77,"what":"it's \u00fc","server_said":null,"hints":["a","b"]}"#;
        let print = fingerprint(&key, &wrong).unwrap();
        let refused = WaitName::PasswordRefused(&key);
        let failed = WaitName::SignInFailed(&key);
        for (key, reason) in [
            (refused.to_string(), format!("{print}\n{json}")),
            (failed.to_string(), json.to_owned()),
            (WaitName::SignIn(&key).to_string(), "plain words".to_owned()),
            (format!("mailbox {refused}"), "{}".to_owned()),
            (format!("{failed} b"), "no JSON".to_owned()),
            (format!("{refused} c"), "5\n{}".to_owned()),
        ] {
            let row = rusqlite::params![key, millis(until), reason];
            earlier
                .execute("INSERT INTO wait VALUES (?1, ?2, ?3)", row)
                .unwrap();
        }
        drop(earlier);
        let store = Store::open(folder.path()).unwrap();
        let (_, refused) = store.refused_password(&key, &wrong).unwrap().unwrap();
        let failed = store.sign_in_record(&key).unwrap().failure.unwrap().fault;
        for fault in [refused, failed] {
            assert_eq!(fault.kind, Kind::SignIn);
            assert_eq!(fault.what, "it's ü");
            assert_eq!(fault.server_said, None);
            assert_eq!(fault.hints, ["a", "b"]);
        }
        let other = Secret::new("correct horse battery");
        assert!(store.refused_password(&key, &other).unwrap().is_none());
        assert_eq!(
            store.sign_in_record(&key).unwrap().wait.unwrap().reason,
            "plain words"
        );
    }

    #[test]
    fn a_host_whose_clock_is_wrong_keeps_no_token_of_the_others_back() {
        let engine = Engine::postgres();
        let store = engine.open();
        let now = time(millis(SystemTime::now()));
        let (minute, year) = (Duration::from_secs(60), Duration::from_secs(365 * 86_400));
        for (obtained_at, kept) in [
            (now, now),
            (now - minute, now),
            (now + year, now + year),
            (now + minute / 2, now + minute / 2),
            (now - year, now + minute / 2),
        ] {
            let row = TokenRow {
                secret: None,
                obtained_at,
                expires_at: None,
            };
            store.save_tokens(&[(key("imap"), row)], None).unwrap();
            let found = store.token(&key("imap")).unwrap().unwrap();
            assert_eq!(found.obtained_at, kept, "{obtained_at:?}");
        }
    }

    #[test]
    fn one_of_many_threads_holds_the_lock() {
        on_both(|engine| {
            let store = engine.open();
            let held = std::sync::Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        let lock = store.try_lock_sign_in(&key("imap")).unwrap();
                        held.lock().unwrap().push(lock);
                    });
                }
            });
            let holders = held.lock().unwrap().iter().flatten().count();
            assert_eq!(holders, 1);
            // Another scope is the same subject; another account is not.
            assert!(store.try_lock_sign_in(&key("smtp")).unwrap().is_none());
            let other = TokenKey {
                account: String::new(),
                ..key("imap")
            };
            assert!(store.try_lock_sign_in(&other).unwrap().is_some());
            held.lock().unwrap().clear();
            assert!(store.try_lock_sign_in(&key("smtp")).unwrap().is_some());
        });
    }
}
