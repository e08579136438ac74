//! What fails at present, and who has been told of it.

use super::Store;
use super::counters::{self, Counter};
use super::db;
use super::db::{Row, Sql, Tx, values};
use super::outbox::{self, OutboxCounts};
use anyhow::Result;
use std::collections::BTreeSet;
use std::fmt;

/// Makes an enum with the names of its values on disk, so that none is forgotten.
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[doc = $doc:literal])+ $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[doc = $doc])+ $value,)+
        }

        impl $kind {
            pub const ALL: &[$kind] = &[$($kind::$value,)+];

            pub fn name(self) -> &'static str {
                match self {
                    $($kind::$value => $name,)+
                }
            }

            fn named(name: &str) -> Option<$kind> {
                $kind::ALL.iter().copied().find(|own| own.name() == name)
            }
        }
    };
}

named! {
    /// What it is that fails.
    IncidentKind {
        /// A host, of this name in lower case, does not answer as it should.
        Host = "host",
        /// An app or a person cannot sign in. The subject is that of a token's key.
        SignIn = "sign-in",
        /// A mailbox, of this address in lower case, cannot be fetched.
        Mailbox = "mailbox",
        /// Messages of a mailbox cannot be fetched or delivered.
        Messages = "messages",
        /// What is kept to be sent does not leave.
        Outbox = "outbox",
        /// Nobody can be told of an incident this way: command, url or heartbeat.
        Notifier = "notifier",
    }
}

named! {
    /// What is told of an incident.
    Event {
        /// It has begun, and has lasted a while.
        Opened = "opened",
        /// It still lasts.
        Repeated = "repeated",
        /// It is over.
        Recovered = "recovered",
    }
}

/// What an incident is known by, however its words change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncidentName {
    pub kind: IncidentKind,
    pub subject: String,
}

impl IncidentName {
    pub fn new(kind: IncidentKind, subject: impl Into<String>) -> IncidentName {
        let subject = subject.into();
        IncidentName { kind, subject }
    }
}

/// In one line: the same for the same incident at all times.
impl fmt::Display for IncidentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        match self.subject.is_empty() {
            true => Ok(()),
            false => write!(f, " {}", self.subject.replace('\t', " ").trim_end()),
        }
    }
}

/// Something that fails. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub name: IncidentName,
    pub opened_at: i64,
    /// When the last notice was due; `None` before the first.
    pub told_at: Option<i64>,
    /// When it was over, while the notice of that is still to be sent.
    pub closed_at: Option<i64>,
    /// The notice that is still to be sent.
    pub unsent: Option<Event>,
    /// When somebody began to send it.
    pub tried_at: Option<i64>,
    /// What failed last.
    pub reason: String,
    /// The addresses in lower case that it concerns.
    pub mailboxes: BTreeSet<String>,
}

const ALL: Sql = Sql::both(
    "SELECT kind, subject, opened_at, told_at, closed_at, unsent, tried_at, reason, mailboxes
     FROM incident ORDER BY kind, subject",
);

impl Store {
    /// All incidents, also those of which nobody has been told yet; and what the outbox holds, which
    /// is one where it does not leave.
    pub fn incidents_and_outbox(&self) -> Result<(Vec<Incident>, OutboxCounts)> {
        self.read(|reader| {
            let (mut incidents, mut counts) = (Vec::new(), OutboxCounts::default());
            reader.all(
                &[(&ALL, &[]), (&outbox::COUNTS, &[])],
                &mut |number, row| {
                    match number {
                        0 => incidents.push(incident(row)?),
                        _ => counts = outbox::counts(row)?,
                    }
                    Ok(())
                },
            )?;
            Ok((incidents, counts))
        })
    }

    /// Has `work` change the incidents, which nobody else does meanwhile. This is not waited for:
    /// after a power cut, a notice may be given once more.
    pub fn change_incidents<T>(&self, mut work: impl FnMut(&mut Vec<Incident>) -> T) -> Result<T> {
        self.transaction_in_passing(|tx| {
            counters::add(tx, Counter::Changed, "incidents", 1)?;
            let before: Vec<Incident> = tx.rows(&ALL, &[], incident)?;
            let mut after = before.clone();
            let done = work(&mut after);
            put(tx, &before, &after)?;
            Ok(done)
        })
    }
}

/// Puts on record what changed.
fn put(tx: &mut Tx<'_>, before: &[Incident], after: &[Incident]) -> Result<(), db::Error> {
    const REMOVE: Sql = Sql::two(
        "DELETE FROM incident WHERE kind = ?1 AND subject = ?2",
        "DELETE FROM incident USING unnest(?1::text[], ?2::text[]) AS r (kind, subject)
         WHERE incident.kind = r.kind AND incident.subject = r.subject",
    );
    const PUT: Sql = Sql::both(
        "INSERT INTO incident (kind, subject, opened_at, told_at, closed_at, unsent, tried_at,
                               reason, mailboxes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (kind, subject) DO UPDATE
         SET opened_at = ?3, told_at = ?4, closed_at = ?5, unsent = ?6, tried_at = ?7,
             reason = ?8, mailboxes = ?9",
    );
    let gone = before
        .iter()
        .filter(|old| !after.iter().any(|new| new.name == old.name));
    tx.many_later(
        &REMOVE,
        gone.map(|old| values![old.name.kind.name(), &old.name.subject]),
    )?;
    for new in after.iter().filter(|new| !before.contains(new)) {
        // A list of texts is always one in JSON.
        let mailboxes = serde_json::to_string(&new.mailboxes).unwrap_or_default();
        let row = values![
            new.name.kind.name(),
            &new.name.subject,
            new.opened_at,
            new.told_at,
            new.closed_at,
            new.unsent.map(Event::name),
            new.tried_at,
            &new.reason,
            &mailboxes,
        ];
        tx.later(&PUT, &row)?;
    }
    Ok(())
}

fn incident(row: &Row<'_>) -> Result<Incident, db::Error> {
    let kind: String = row.get(0)?;
    let kind = IncidentKind::named(&kind).ok_or_else(|| row.spoilt(0, kind))?;
    let unsent: Option<String> = row.get(5)?;
    let unsent = unsent
        .map(|name| Event::named(&name).ok_or_else(|| row.spoilt(5, name)))
        .transpose()?;
    Ok(Incident {
        name: IncidentName::new(kind, row.get::<String>(1)?),
        opened_at: row.get(2)?,
        told_at: row.get(3)?,
        closed_at: row.get(4)?,
        unsent,
        tried_at: row.get(6)?,
        reason: row.get(7)?,
        mailboxes: row.json(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::db::statements;

    #[test]
    fn what_was_changed_is_found_again_and_nothing_else_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let one = Incident {
            name: IncidentName::new(IncidentKind::SignIn, "https://login.example/t\tc\t"),
            opened_at: 10,
            told_at: None,
            closed_at: None,
            unsent: None,
            tried_at: None,
            reason: "it's \"refused\"\n".into(),
            mailboxes: ["eva@x".to_owned(), "o'brien@x".to_owned()].into(),
        };
        let mut other = Incident {
            name: IncidentName::new(IncidentKind::Outbox, ""),
            told_at: Some(20),
            closed_at: Some(30),
            unsent: Some(Event::Recovered),
            tried_at: Some(31),
            ..one.clone()
        };
        let store = Store::open(folder.path()).unwrap();
        let all = || store.incidents_and_outbox().unwrap().0;
        let both = vec![other.clone(), one.clone()];
        store
            .change_incidents(|all| all.extend(both.clone()))
            .unwrap();
        assert_eq!(all(), both);
        other.reason = "another".into();
        statements::taken();
        store
            .change_incidents(|all| *all = vec![other.clone(), one.clone()])
            .unwrap();
        assert_eq!(
            statements::taken().len(),
            4,
            "count, read, removals, the one row"
        );
        assert_eq!(all(), [other, one.clone()]);
        store.change_incidents(|all| all.remove(0)).unwrap();
        assert_eq!(all(), [one]);
    }

    /// Whoever gets notices tells incidents apart by it.
    #[test]
    fn a_name_is_one_line() {
        for (name, shown) in [
            (IncidentName::new(IncidentKind::Outbox, ""), "outbox"),
            (
                IncidentName::new(IncidentKind::SignIn, "https://l/t\tc\t"),
                "sign-in https://l/t c",
            ),
        ] {
            assert_eq!(name.to_string(), shown);
        }
    }
}
