//! Tokens, the waits that hosts asked for, sign-ins that failed, and the lock that makes one
//! process ask for a token while the others wait for its answer.

use super::Store;
use crate::digest::{hex, sha256};
use crate::fault::{Fault, Kind};
use crate::files;
use crate::secret::Secret;
use anyhow::{Context, Result};
use rusqlite::OptionalExtension;
use rusqlite::params;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What tokens are kept by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// `https://<login host>/<tenant>`.
    pub authority: String,
    pub client_id: String,
    /// The person's account in lower case; empty for the client itself.
    pub account: String,
    /// Empty for a refresh token, which serves every scope.
    pub scope: String,
}

impl TokenKey {
    /// One line that holds all of it.
    pub fn text(&self) -> String {
        format!("{}\t{}", self.subject(), self.scope)
    }

    fn parse(text: &str) -> TokenKey {
        let mut parts = text.splitn(4, '\t').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        TokenKey {
            authority: next(),
            client_id: next(),
            account: next(),
            scope: next(),
        }
    }

    /// Who signs in, whatever for: a refresh token, a lock and a wait are kept by it.
    pub fn subject(&self) -> String {
        format!("{}\t{}\t{}", self.authority, self.client_id, self.account)
    }

    /// The key of the subject's refresh token.
    pub fn of_refresh(&self) -> TokenKey {
        TokenKey {
            scope: String::new(),
            ..self.clone()
        }
    }

    pub fn is_refresh(&self) -> bool {
        self.scope.is_empty()
    }
}

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

/// The right to ask for tokens of one subject; ends when it is dropped or the process dies.
#[derive(Debug)]
pub struct SignInLock {
    _file: File,
}

impl Store {
    /// The token of this key, whether it has expired or not.
    pub fn token(&self, key: &TokenKey) -> Result<Option<TokenRow>> {
        self.connection()
            .prepare_cached(
                "SELECT COALESCE(access_token, refresh_token), obtained_at, expires_at
                 FROM token WHERE key = ?1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row([key.text()], |row| {
                        Ok(TokenRow {
                            secret: row.get::<_, Option<String>>(0)?.map(Secret::new),
                            obtained_at: time(row.get(1)?),
                            expires_at: row.get::<_, Option<i64>>(2)?.map(time),
                        })
                    })
                    .optional()
            })
            .map_err(|e| self.cannot_read(e))
    }

    /// Keeps tokens in one durable transaction, each in place of the one of its key. After a
    /// sign-in, for `signed_in`, the waits and failures of its subject are forgotten.
    pub fn save_tokens(
        &self,
        tokens: &[(TokenKey, TokenRow)],
        signed_in: Option<&TokenKey>,
    ) -> Result<()> {
        self.transaction(|transaction| {
            for (key, row) in tokens {
                let secret = row.secret.as_ref().map(Secret::expose);
                let (access, refresh) = match key.is_refresh() {
                    true => (None, secret),
                    false => (secret, None),
                };
                transaction.execute(
                    "INSERT OR REPLACE INTO token
                     (key, access_token, expires_at, refresh_token, obtained_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        key.text(),
                        access,
                        row.expires_at.map(millis),
                        refresh,
                        millis(row.obtained_at),
                    ],
                )?;
            }
            if let Some(key) = signed_in {
                transaction.execute(
                    "DELETE FROM wait WHERE key IN (?1, ?2, ?3)",
                    params![wait_key(key), failure_key(key), refusal_key(key)],
                )?;
            }
            Ok(())
        })
    }

    /// Every kept token, in the order of their keys.
    pub fn kept_tokens(&self) -> Result<Vec<KeptToken>> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT key, expires_at, obtained_at,
                CASE WHEN COALESCE(access_token, refresh_token) IS NULL THEN
                    (SELECT place FROM token_trace AS trace WHERE trace.key = token.key
                     ORDER BY id DESC LIMIT 1)
                END
             FROM token ORDER BY key",
        )?;
        statement
            .query_map([], |row| {
                Ok(KeptToken {
                    key: TokenKey::parse(&row.get::<_, String>(0)?),
                    expires_at: row.get::<_, Option<i64>>(1)?.map(time),
                    obtained_at: time(row.get(2)?),
                    place: row.get(3)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(|e| self.cannot_read(e))
    }

    /// The keys of the tokens whose secrets are in this database.
    pub fn tokens_here(&self) -> Result<Vec<TokenKey>> {
        self.connection()
            .prepare_cached(
                "SELECT key FROM token WHERE COALESCE(access_token, refresh_token) IS NOT NULL",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| Ok(TokenKey::parse(&row.get::<_, String>(0)?)))?
                    .collect()
            })
            .map_err(|e| self.cannot_read(e))
    }

    /// Where the token of this key may be outside, the newest first.
    pub fn token_traces(&self, key: &TokenKey) -> Result<Vec<Trace>> {
        let traces = self.traces("key = ?1", &key.text())?;
        Ok(traces.into_iter().map(|(_, trace)| trace).collect())
    }

    /// Where all tokens whose key begins with this text may be outside.
    pub fn token_traces_of_all(&self, beginning: &str) -> Result<Vec<(TokenKey, Trace)>> {
        self.traces("substr(key, 1, length(?1)) = ?1", beginning)
    }

    fn traces(&self, condition: &str, text: &str) -> Result<Vec<(TokenKey, Trace)>> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT key, place, name FROM token_trace WHERE {condition} ORDER BY id DESC"
            ))
            .and_then(|mut statement| {
                statement
                    .query_map([text], |row| {
                        let key = TokenKey::parse(&row.get::<_, String>(0)?);
                        let (place, name) = (row.get(1)?, row.get(2)?);
                        Ok((key, Trace { place, name }))
                    })?
                    .collect()
            })
            .map_err(|e| self.cannot_read(e))
    }

    /// Remembers, durably, that the token of this key may be there; it becomes the newest.
    pub fn add_token_trace(&self, key: &TokenKey, trace: &Trace) -> Result<()> {
        self.transaction(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO token_trace (key, place, name) VALUES (?1, ?2, ?3)",
                params![key.text(), trace.place, trace.name],
            )?;
            Ok(())
        })
    }

    /// Nothing of ours is there any more.
    pub fn remove_token_trace(&self, trace: &Trace) -> Result<()> {
        self.transaction(|transaction| {
            transaction.execute(
                "DELETE FROM token_trace WHERE place = ?1 AND name = ?2",
                params![trace.place, trace.name],
            )?;
            Ok(())
        })
    }

    /// Forgets every token whose key begins with this text, where it may be outside, and the
    /// waits and failures of its subject; gives the number of tokens.
    pub fn forget_tokens(&self, beginning: &str) -> Result<usize> {
        let count = self.transaction(|transaction| {
            transaction.execute(
                "DELETE FROM wait WHERE substr(key, 1, length(?1)) = ?1
                    OR substr(key, 1, length(?2)) = ?2 OR substr(key, 1, length(?3)) = ?3",
                params![
                    format!("token {beginning}"),
                    format!("token failed {beginning}"),
                    format!("password refused {beginning}")
                ],
            )?;
            transaction.execute(
                "DELETE FROM token_trace WHERE substr(key, 1, length(?1)) = ?1",
                [beginning],
            )?;
            transaction.execute(
                "DELETE FROM token WHERE substr(key, 1, length(?1)) = ?1",
                [beginning],
            )
        })?;
        self.empty_log()?;
        Ok(count)
    }

    /// Empties the log beside the database, in which deleted secrets would stand a while longer.
    pub fn empty_log(&self) -> Result<()> {
        self.connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|e| self.cannot_read(e))
    }

    /// Until when the token endpoint asked this client to wait, and why.
    pub fn token_wait(&self, key: &TokenKey) -> Result<Option<(SystemTime, String)>> {
        self.wait_row(&wait_key(key))
    }

    /// Remembers that the token endpoint asked this client to wait.
    pub fn set_token_wait(&self, key: &TokenKey, until: SystemTime, reason: &str) -> Result<()> {
        self.set_wait_row(&wait_key(key), until, reason)
    }

    /// The subject's last failed sign-in.
    pub fn sign_in_failure(&self, key: &TokenKey) -> Result<Option<Failure>> {
        let row = self.wait_row(&failure_key(key))?;
        Ok(row.and_then(|(at, text)| {
            Some(Failure {
                at,
                fault: decode(&text)?,
            })
        }))
    }

    pub fn set_sign_in_failure(&self, key: &TokenKey, at: SystemTime, fault: &Fault) -> Result<()> {
        self.set_wait_row(&failure_key(key), at, &encode(fault))
    }

    /// The refusal of a password, if it was this one and holds still; until when, and in which
    /// words.
    pub fn refused_password(
        &self,
        key: &TokenKey,
        password: &Secret,
    ) -> Result<Option<(SystemTime, Fault)>> {
        let Some((until, text)) = self.wait_row(&refusal_key(key))? else {
            return Ok(None);
        };
        let Some((print, rest)) = text.split_once('\n') else {
            return Ok(None);
        };
        if until <= SystemTime::now() || print != fingerprint(key, password)? {
            return Ok(None);
        }
        Ok(decode(rest).map(|fault| (until, fault)))
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
        let text = format!("{}\n{}", fingerprint(key, password)?, encode(fault));
        self.set_wait_row(&refusal_key(key), until, &text)
    }

    /// Takes the subject's lock if nobody holds it. The kernel releases it when we die.
    pub fn try_lock_sign_in(&self, key: &TokenKey) -> Result<Option<SignInLock>> {
        let folder = self.path().join(super::LOCKS);
        files::create_private_folder(&folder)?;
        let name = hex(&sha256(key.subject().as_bytes())[..12]);
        let path = folder.join(format!("token-{name}"));
        let cannot = |e: std::io::Error| {
            Fault::new(
                Kind::CannotWrite,
                format!("cannot lock `{}`: {e}", path.display()),
            )
            .hint(format!(
                "{}; another state folder: --state-dir",
                files::remedy(&e)
            ))
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(SignInLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(cannot(e).into()),
        }
    }

    fn wait_row(&self, key: &str) -> Result<Option<(SystemTime, String)>> {
        self.connection()
            .query_row(
                "SELECT until, reason FROM wait WHERE key = ?1",
                [key],
                |row| Ok((time(row.get(0)?), row.get(1)?)),
            )
            .optional()
            .map_err(|e| self.cannot_read(e))
    }

    fn set_wait_row(&self, key: &str, until: SystemTime, reason: &str) -> Result<()> {
        self.transaction(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO wait (key, until, reason) VALUES (?1, ?2, ?3)",
                params![key, millis(until), reason],
            )?;
            Ok(())
        })
    }
}

fn wait_key(key: &TokenKey) -> String {
    format!("token {}", key.subject())
}

fn failure_key(key: &TokenKey) -> String {
    format!("token failed {}", key.text())
}

fn refusal_key(key: &TokenKey) -> String {
    format!("password refused {}", key.subject())
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

fn encode(fault: &Fault) -> String {
    serde_json::json!({
        "exit_code": fault.kind.exit_code(),
        "what": fault.what,
        "server_said": fault.server_said,
        "hints": fault.hints,
    })
    .to_string()
}

fn decode(text: &str) -> Option<Fault> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let kind = match value["exit_code"].as_u64()? {
        69 => Kind::Refused,
        75 => Kind::TryLater,
        77 => Kind::SignIn,
        78 => Kind::Config,
        _ => return None,
    };
    let mut fault = Fault::new(kind, value["what"].as_str()?);
    fault.server_said = value["server_said"].as_str().map(str::to_owned);
    for hint in value["hints"].as_array().into_iter().flatten() {
        fault.hints.extend(hint.as_str().map(str::to_owned));
    }
    Some(fault)
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
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
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
        let other = Store::open(folder.path()).unwrap();
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
            assert!(!found, "{} still holds a token", path.display());
        }
    }

    #[test]
    fn a_trace_is_found_by_its_key_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
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
    }

    #[test]
    fn a_refused_password_is_known_again_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (key, wrong) = (key("imap"), Secret::new("correct horse"));
        let fault = Fault::new(Kind::SignIn, "what").said("AADSTS50126");
        let later = SystemTime::now() + Duration::from_secs(60);
        store
            .set_refused_password(&key, &wrong, later, &fault)
            .unwrap();
        let (_, known) = store.refused_password(&key, &wrong).unwrap().unwrap();
        assert_eq!(known.server_said.as_deref(), Some("AADSTS50126"));
        let other = Secret::new("correct horse battery");
        assert!(store.refused_password(&key, &other).unwrap().is_none());
        let wal = std::fs::read(folder.path().join("state.sqlite-wal")).unwrap();
        assert!(!String::from_utf8_lossy(&wal).contains("correct horse"));
        store
            .save_tokens(&[(key.clone(), token("t"))], Some(&key))
            .unwrap();
        assert!(store.refused_password(&key, &wrong).unwrap().is_none());
    }

    #[test]
    fn one_of_many_threads_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
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
    }
}
