//! Which way (`via: auto`) was found for a mailbox or a sender.

use super::db::{Sql, values};
use super::{Store, WayName};
use anyhow::Result;

/// What a way was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The token names a permission, or the mailbox opened.
    Found,
    /// The token names no permission, and the service may have one all the same.
    Guess,
    /// As [`Ground::Guess`], and a message was accepted since.
    Proven,
}

/// A way that was found to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownWay {
    /// `imap`, `smtp` or `graph`.
    pub way: String,
    /// Why this one, for people.
    pub reason: String,
    pub ground: Ground,
    /// Unix milliseconds.
    pub found_at: i64,
}

impl Store {
    pub fn way(&self, name: WayName<'_>) -> Result<Option<KnownWay>> {
        const WAY: Sql = Sql::both("SELECT way, reason, ground, found_at FROM way WHERE key = ?1");
        self.read(|reader| {
            reader.row(&WAY, &values![&name.to_string()], |row| {
                Ok(KnownWay {
                    way: row.get(0)?,
                    reason: row.get(1)?,
                    ground: match row.get::<Option<String>>(2)?.as_deref() {
                        Some("guess") => Ground::Guess,
                        Some("proven") => Ground::Proven,
                        _ => Ground::Found,
                    },
                    found_at: row.get(3)?,
                })
            })
        })
    }

    pub fn set_way(&self, name: WayName<'_>, way: &str, reason: &str) -> Result<()> {
        self.set_way_by(Ground::Found, name, way, reason)
    }

    /// As [`Store::set_way`], and says what it was found by.
    pub fn set_way_by(
        &self,
        ground: Ground,
        name: WayName<'_>,
        way: &str,
        reason: &str,
    ) -> Result<()> {
        const SET: Sql = Sql::both(
            "INSERT INTO way (key, way, reason, ground, found_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET way = ?2, reason = ?3, ground = ?4, found_at = ?5",
        );
        let ground = match ground {
            Ground::Found => None,
            Ground::Guess => Some("guess"),
            Ground::Proven => Some("proven"),
        };
        let now = jiff::Timestamp::now().as_millisecond();
        self.transaction(|tx| tx.later(&SET, &values![&name.to_string(), way, reason, ground, now]))
    }

    /// Forgets a way that failed.
    pub fn forget_way(&self, name: WayName<'_>) -> Result<()> {
        const FORGET: Sql = Sql::both("DELETE FROM way WHERE key = ?1");
        self.transaction(|tx| tx.later(&FORGET, &values![&name.to_string()]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn what_an_earlier_version_found_a_way_by_is_known() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let earlier = schema::sqlite::tests::earlier(&folder.path().join("state.sqlite"), 4);
        earlier
            .execute_batch(
                "INSERT INTO way VALUES
                 ('send a@x.example s', 'graph', 'the token names no permission, but Exchange may give one (RBAC for Applications)', 1),
                 ('send b@x.example s', 'graph', 'a message was accepted though the token names no permission (RBAC for Applications)', 1),
                 ('send c@x.example s', 'smtp', 'the token has SMTP.SendAsApp', 1);",
            )
            .unwrap();
        drop(earlier);
        let store = Store::open(folder.path()).unwrap();
        let [a, b, c] =
            ["a@x.example", "b@x.example", "c@x.example"].map(|mailbox| WayName::Sending {
                mailbox,
                server: "s",
            });
        let ground = |name| store.way(name).unwrap().unwrap().ground;
        assert_eq!(
            [ground(a), ground(b), ground(c)],
            [Ground::Guess, Ground::Proven, Ground::Found]
        );
        store
            .set_way_by(Ground::Proven, a, "graph", "other words")
            .unwrap();
        assert_eq!(ground(a), Ground::Proven);
        store.set_way(a, "smtp", "other words").unwrap();
        assert_eq!(ground(a), Ground::Found);
    }
}
