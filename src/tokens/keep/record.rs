//! A token as a store outside keeps it: one line of JSON that says for itself what it is.

use super::kind;
use crate::secret::Secret;
use crate::state::{TokenKey, TokenRow};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The line's form. Times are in Unix milliseconds.
#[derive(Deserialize, Serialize)]
pub struct Record<'a> {
    kind: Cow<'a, str>,
    authority: Cow<'a, str>,
    client_id: Cow<'a, str>,
    account: Cow<'a, str>,
    scope: Cow<'a, str>,
    obtained_at: u64,
    expires_at: Option<u64>,
    token: Cow<'a, str>,
}

impl Record<'_> {
    pub fn write(key: &TokenKey, token: &TokenRow) -> Secret {
        let record = Record {
            kind: kind(key).into(),
            authority: key.authority.as_str().into(),
            client_id: key.client_id.as_str().into(),
            account: key.account.as_str().into(),
            scope: key.scope.as_str().into(),
            obtained_at: millis(token.obtained_at),
            expires_at: token.expires_at.map(millis),
            token: token.secret.as_ref().map_or("", Secret::expose).into(),
        };
        // A struct of texts and numbers is always JSON.
        Secret::new(serde_json::to_string(&record).unwrap_or_default())
    }

    /// The token; `None` where the text is something else, or of another key.
    pub fn read(text: &str, key: &TokenKey) -> Option<TokenRow> {
        let record: Record<'_> = serde_json::from_str(text).ok()?;
        let is_right = record.kind == kind(key)
            && record.authority == key.authority
            && record.client_id == key.client_id
            && record.account == key.account
            && record.scope == key.scope
            && record.expires_at.is_none() == key.is_refresh()
            && !record.token.is_empty();
        is_right.then(|| TokenRow {
            secret: Some(Secret::new(record.token)),
            obtained_at: time(record.obtained_at),
            expires_at: record.expires_at.map(time),
        })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_for_its_own_key_alone() {
        let key = TokenKey {
            authority: "https://login.example/t".into(),
            client_id: "c".into(),
            account: "eva@contoso.com".into(),
            scope: "imap".into(),
        };
        let token = TokenRow {
            secret: Some(Secret::new("t\"o\\ken")),
            obtained_at: time(1_800_000_000_123),
            expires_at: Some(time(1_800_003_600_123)),
        };
        let line = Record::write(&key, &token);
        assert!(!line.expose().contains('\n'));
        assert_eq!(Record::read(line.expose(), &key), Some(token));
        assert_eq!(Record::read(line.expose(), &key.of_refresh()), None);
        let end = line.expose().len() - 1;
        for text in ["", "{}", &line.expose()[..end]] {
            assert_eq!(Record::read(text, &key), None, "{text}");
        }
    }
}
