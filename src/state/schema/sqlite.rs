//! The tables in SQLite, and how a database of an earlier version becomes one of this version.

use crate::system;
use rusqlite::{Connection, ErrorCode, OpenFlags, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Each entry brings the database from version `index` to `index + 1`; entries never change
/// once released.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE token (
        -- who signed in, where and for what: authority, client, account, scope, joined by tabs;
        -- the scope is empty in the row of the refresh token, which serves every scope
        key           TEXT PRIMARY KEY,
        -- both NULL where the secret is in another store, see `token_trace`
        access_token  TEXT,
        -- both in Unix milliseconds
        expires_at    INTEGER,
        refresh_token TEXT,
        obtained_at   INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE folder (
        id       INTEGER PRIMARY KEY,
        -- the mailbox's address in lower case, and the folder's name
        address  TEXT NOT NULL,
        name     TEXT NOT NULL,
        -- IMAP's UIDVALIDITY
        epoch    INTEGER NOT NULL,
        -- everything up to here is in `message`
        mark     TEXT,
        UNIQUE (address, name)
    ) STRICT;
    CREATE TABLE message (
        id           INTEGER PRIMARY KEY,
        folder       INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
        epoch        INTEGER NOT NULL,
        -- IMAP UID as an integer, Graph id as text
        remote       ANY NOT NULL,
        -- failed (to be tried again), staged, delivered, quarantined, dropped (by a person)
        state        TEXT NOT NULL,
        -- what is still to be done on the server once delivered; NULL when nothing is
        settle       TEXT,
        -- 0 when we deleted or moved it on the server
        present      INTEGER NOT NULL DEFAULT 1,
        -- how an interrupted delivery is finished (JSON), while staged
        intent       TEXT,
        attempts     INTEGER NOT NULL DEFAULT 0,
        -- Unix seconds
        next_attempt INTEGER,
        reason       TEXT,
        -- recognises the same mail under another id
        fingerprint  BLOB,
        size         INTEGER,
        delivered_to TEXT,
        changed_at   INTEGER NOT NULL,
        UNIQUE (folder, epoch, remote)
    ) STRICT;
    CREATE INDEX message_unfinished ON message (folder, state) WHERE state <> 'delivered';
    CREATE INDEX message_unsettled ON message (folder) WHERE settle IS NOT NULL;
    CREATE TABLE mailbox (
        address      TEXT PRIMARY KEY,
        -- Unix seconds
        last_success INTEGER,
        failed_at    INTEGER,
        error        TEXT
    ) STRICT;
    CREATE TABLE wait (
        -- the address, client or host that asked for it
        key        TEXT PRIMARY KEY,
        -- Unix milliseconds
        until      INTEGER NOT NULL,
        reason     TEXT NOT NULL
    ) STRICT;
    CREATE TABLE outbox (
        -- never given twice: a person may still hold an old one
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        -- in the folder `outbox`
        file         TEXT NOT NULL,
        -- who sends and who is still to get it (JSON)
        envelope     TEXT NOT NULL,
        message_id   TEXT NOT NULL,
        -- 1 when another transaction has the same Message-ID
        shared_id    INTEGER NOT NULL,
        size         INTEGER NOT NULL,
        -- waiting, sending, unknown, failed
        state        TEXT NOT NULL,
        attempts     INTEGER NOT NULL,
        -- Unix seconds, as all times here
        next_attempt INTEGER NOT NULL,
        reason       TEXT NOT NULL,
        -- recipients that the sender is still to be told of (JSON)
        refused      TEXT NOT NULL,
        -- how that report is being delivered (JSON), while it is
        report       TEXT,
        kept_at      INTEGER NOT NULL,
        changed_at   INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sent (
        mailbox    TEXT NOT NULL,
        -- Unix milliseconds
        at         INTEGER NOT NULL,
        recipients INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sent_at ON sent (mailbox, at);
    CREATE TABLE way (
        -- what was found a way for: a mailbox to be read, or a sender
        key      TEXT PRIMARY KEY,
        -- imap, smtp or graph
        way      TEXT NOT NULL,
        reason   TEXT NOT NULL,
        -- Unix milliseconds
        found_at INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE token_trace (
        -- the greater, the newer
        id    INTEGER PRIMARY KEY,
        -- as in `token`; the same key may have several, when an old one could not be erased
        key   TEXT NOT NULL,
        -- a store outside, in its own words, and what it knows the token by
        place TEXT NOT NULL,
        name  TEXT NOT NULL,
        UNIQUE (place, name)
    ) STRICT;
",
    "
    -- of the messages that were delivered and of which the row is gone: how many, and when the
    -- last of them was (Unix seconds)
    ALTER TABLE folder ADD COLUMN forgotten    INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE folder ADD COLUMN forgotten_at INTEGER;
    CREATE INDEX message_left ON message (changed_at) WHERE present = 0 AND settle IS NULL;
",
    "
    -- the ids of Graph of which the row is gone: a message keeps its id, and may be put back
    CREATE TABLE forgotten_id (
        folder INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
        -- the first 64 bits of the id's SHA-256
        digest INTEGER NOT NULL,
        PRIMARY KEY (folder, digest)
    ) STRICT, WITHOUT ROWID;
    -- INBOX is one folder, however the configuration has it
    UPDATE OR IGNORE folder SET name = 'INBOX' WHERE upper(name) = 'INBOX';
",
    "
    -- how many messages were delivered, whether their rows are still there or not, and when the
    -- last of them was (Unix seconds): nobody has to count the rows
    ALTER TABLE folder ADD COLUMN delivered    INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE folder ADD COLUMN delivered_at INTEGER;
    -- 1 while messages of another epoch may be in the folder
    ALTER TABLE folder ADD COLUMN former       INTEGER NOT NULL DEFAULT 0;
    UPDATE folder SET
        delivered = forgotten + counted.number,
        delivered_at = CASE WHEN forgotten_at > coalesce(counted.last, 0) THEN forgotten_at
                            ELSE counted.last END,
        former = counted.former
    FROM (SELECT f.id AS id,
                 count(*) FILTER (WHERE m.state = 'delivered') AS number,
                 max(m.changed_at) FILTER (WHERE m.state = 'delivered') AS last,
                 coalesce(max(m.epoch <> f.epoch AND m.present = 1), 0) AS former
          FROM folder f LEFT JOIN message m ON m.folder = f.id GROUP BY f.id) AS counted
    WHERE counted.id = folder.id;
    ALTER TABLE folder DROP COLUMN forgotten;
    ALTER TABLE folder DROP COLUMN forgotten_at;
    -- a condition of one state is enough to find these few among all
    DROP INDEX message_unfinished;
    CREATE INDEX message_open ON message (folder, state, epoch)
        WHERE state = 'failed' OR state = 'staged' OR state = 'quarantined';
    DROP INDEX message_unsettled;
    CREATE INDEX message_unsettled ON message (folder, epoch) WHERE settle IS NOT NULL;
    CREATE INDEX sent_before ON sent (at);
    -- these of a fault alone: `reason` was all of it (JSON), below the fingerprint of a password
    ALTER TABLE wait ADD COLUMN exit_code   INTEGER;
    ALTER TABLE wait ADD COLUMN server_said TEXT;
    -- one a line
    ALTER TABLE wait ADD COLUMN hints       TEXT;
    -- of the password that was refused
    ALTER TABLE wait ADD COLUMN fingerprint TEXT;
    UPDATE wait SET fingerprint = substr(reason, 1, instr(reason, char(10)) - 1),
                    reason = substr(reason, instr(reason, char(10)) + 1)
    WHERE key LIKE 'password refused %';
    DELETE FROM wait
    WHERE (key LIKE 'password refused %' OR key LIKE 'token failed %') AND NOT json_valid(reason);
    UPDATE wait SET exit_code = CAST(reason ->> 'exit_code' AS INTEGER), server_said = reason ->> 'server_said',
                    hints = (SELECT group_concat(value, char(10)) FROM json_each(reason, '$.hints')),
                    reason = coalesce(reason ->> 'what', '')
    WHERE key LIKE 'password refused %' OR key LIKE 'token failed %';
",
    // From here on a database tells whose it is, which is written after each migration.
    "",
    "
    -- of a fault: its cause by name, and the host and port that it is about
    ALTER TABLE wait ADD COLUMN cause TEXT;
    ALTER TABLE wait ADD COLUMN host  TEXT;
    ALTER TABLE wait ADD COLUMN port  INTEGER;
",
    "
    -- guess or proven, where the token names no permission; the reason alone told it before
    ALTER TABLE way ADD COLUMN ground TEXT;
    UPDATE way SET ground = 'guess'
    WHERE reason = 'the token names no permission, but Exchange may give one (RBAC for Applications)';
    UPDATE way SET ground = 'proven'
    WHERE reason = 'a message was accepted though the token names no permission (RBAC for Applications)';
",
    "
    -- a message may also be `skipped`: it was there before fetching began. Its fingerprint is then
    -- of its Message-ID alone, and this is when the server received it (Unix seconds)
    ALTER TABLE message ADD COLUMN received INTEGER;
    -- what was there before fetching began (JSON), until all of it is on record as skipped
    ALTER TABLE folder ADD COLUMN start TEXT;
",
    "
    -- who handed the message to the relay, as in `uid=33 gid=33 pid=4711`: by what it is counted,
    -- then what else is known; NULL where our own user kept it
    ALTER TABLE outbox ADD COLUMN submitter TEXT;
",
    "
    CREATE TABLE incident (
        -- host, sign-in, mailbox, messages, outbox or notifier, and which of them
        kind      TEXT NOT NULL,
        subject   TEXT NOT NULL,
        -- Unix seconds, as all times here
        opened_at INTEGER NOT NULL,
        -- when the last notice was due; NULL before the first
        told_at   INTEGER,
        -- when it was over, while the notice of that is still to be sent
        closed_at INTEGER,
        -- the notice that is still to be sent: opened, repeated or recovered
        unsent    TEXT,
        -- when somebody began to send it
        tried_at  INTEGER,
        reason    TEXT NOT NULL,
        -- the addresses in lower case that it concerns (JSON)
        mailboxes TEXT NOT NULL,
        PRIMARY KEY (kind, subject)
    ) STRICT;
    -- what only ever grows, for metrics
    CREATE TABLE counter (
        name    TEXT NOT NULL,
        -- whose it is: an address in lower case, or the service that asked for a wait
        subject TEXT NOT NULL,
        value   INTEGER NOT NULL,
        PRIMARY KEY (name, subject)
    ) STRICT;
    -- how long the last run took, in milliseconds
    ALTER TABLE mailbox ADD COLUMN took INTEGER;
",
    "
    -- while a message is not delivered: what its header says, and its digest (JSON)
    ALTER TABLE message ADD COLUMN about TEXT;
    -- what was delivered and sent; nothing but people's questions needs it
    CREATE TABLE history (
        id          INTEGER PRIMARY KEY,
        -- 0: received, 1: sent
        sent        INTEGER NOT NULL,
        -- Unix seconds
        at          INTEGER NOT NULL,
        -- the same in weeks: what comes in no order fills one part of its index at a time
        week        INTEGER NOT NULL,
        -- From, decoded, and its address alone in lower case; of a message that was sent, the
        -- envelope's
        author      TEXT,
        sender      TEXT,
        subject     TEXT,
        queue       TEXT NOT NULL,
        -- of the mailbox, in lower case
        address     TEXT NOT NULL,
        folder      TEXT NOT NULL,
        message_id  TEXT,
        size        INTEGER NOT NULL,
        -- in hexadecimal, of the octets that the server gave, or got
        sha256      TEXT,
        -- where it was delivered, or the outgoing server
        place       TEXT NOT NULL,
        delivery_id TEXT,
        -- the rest of a message that was sent: who was to get it (JSON); accepted, refused or
        -- unknown; the Message-ID that the server used; what it said
        recipients  TEXT,
        outcome     TEXT,
        server_id   TEXT,
        server_said TEXT
    ) STRICT;
    CREATE INDEX history_time ON history (at);
    CREATE INDEX history_sent ON history (at) WHERE sent = 1;
    CREATE INDEX history_queue ON history (queue, sent, at);
    CREATE INDEX history_address ON history (address, sent, at);
    CREATE INDEX history_sender ON history (week, sender, at) WHERE sender IS NOT NULL;
    CREATE INDEX history_message ON history (week, message_id) WHERE message_id IS NOT NULL;
    CREATE INDEX history_server_id ON history (server_id) WHERE server_id IS NOT NULL;
    CREATE TABLE history_recipient (
        -- in lower case
        address TEXT NOT NULL,
        at      INTEGER NOT NULL,
        history INTEGER NOT NULL REFERENCES history (id) ON DELETE CASCADE,
        PRIMARY KEY (address, at, history)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX history_recipient_of ON history_recipient (history);
",
    "
    CREATE TABLE rotation (
        -- the client ID in lower case and where the credential is, joined by a tab
        key    TEXT PRIMARY KEY,
        -- how far the last renewal of it is (JSON)
        record TEXT NOT NULL
    ) STRICT;
",
    "
    -- the few messages that left, and that no server is known to have accepted: each day is counted
    -- without a look at their rows
    CREATE INDEX history_unsent ON history (at) WHERE sent = 1 AND outcome <> 'accepted';
",
];

/// What the program's databases are known by, in SQLite's `application_id`: "qmst".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"qmst");

/// The version that a database has which is not to be used here: it is moved elsewhere, or is not
/// complete. Programs that know nothing of moves take it for one of a later program.
pub const AWAY: u32 = 1000;

/// The version of the tables that this program makes and uses.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Where moves are on record, once there was one (see `state/moves.rs`).
pub const MOVES: &str = "CREATE TABLE IF NOT EXISTS migration (
    id      TEXT PRIMARY KEY,
    stage   TEXT NOT NULL,
    place   TEXT NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT";

/// Gives a database this version.
pub fn set_version(version: u32) -> String {
    format!("PRAGMA user_version = {version}")
}

/// The first version that has [`APPLICATION_ID`]; an earlier one is known by its tables.
const FIRST_WITH_ID: u32 = 6;

/// The tables of version 1, which no later version drops.
const FIRST_TABLES: [&str; 8] = [
    "token", "folder", "message", "mailbox", "wait", "outbox", "sent", "way",
];

/// Whose a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The program's, or a new one, which is to be so.
    We,
    /// The program's, of a later version.
    Later,
    /// The program's, and not to be used here: a move is on record.
    Away,
    /// The program's, with a header that it never writes.
    Damaged,
    /// Another program.
    Another,
}

/// Connects, creating the file, and changes nothing in it.
pub fn connect(path: &Path, busy: Duration) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(busy)?;
    Ok(connection)
}

/// Finds out whose the database is, all at one moment: another process may be making it.
pub fn owner(connection: &mut Connection) -> Result<Owner> {
    let connection = connection.transaction()?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(&connection)?;
    if id == APPLICATION_ID {
        return Ok(match version {
            0 => Owner::Damaged,
            AWAY if connection.table_exists(None, "migration")? => Owner::Away,
            version if version > MIGRATIONS.len() as u32 => Owner::Later,
            _ => Owner::We,
        });
    }
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let is_ours = FIRST_TABLES
        .iter()
        .all(|table| names.iter().any(|name| name == table));
    Ok(match (id, version) {
        (0, 0) if names.is_empty() => Owner::We,
        (0, 1..FIRST_WITH_ID) if is_ours => Owner::We,
        _ if is_ours => Owner::Damaged,
        _ => Owner::Another,
    })
}

/// Makes a database of [`Owner::We`] ready for use: its log, its settings, its tables.
pub fn prepare(connection: &mut Connection, busy: Duration) -> Result<()> {
    use_log(connection, busy)?;
    set_up(connection)?;
    if version(connection)? < MIGRATIONS.len() as u32 {
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have migrated while this one waited for the lock.
        for (index, sql) in MIGRATIONS
            .iter()
            .enumerate()
            .skip(version(&transaction)? as usize)
        {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", index as u32 + 1)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How this connection is to work.
pub fn set_up(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    if system::FSYNC_STOPS_SHORT {
        connection.pragma_update(None, "fullfsync", true)?;
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted may be a token: it is overwritten.
    connection.pragma_update(None, "secure_delete", true)
}

/// True where another program has the database just now.
pub fn is_busy(err: &rusqlite::Error) -> bool {
    matches!(
        err.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Has the database for this connection alone, until it ends. False where another program has it
/// open: only the last one can do without the log, and the lock that follows is kept.
pub fn seize(connection: &Connection) -> Result<bool> {
    let mode = connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
        row.get::<_, String>(0)
    });
    match mode {
        Err(err) if is_busy(&err) => return Ok(false),
        Ok(mode) if mode != "delete" => return Ok(false),
        mode => drop(mode?),
    }
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    match connection.execute_batch("BEGIN EXCLUSIVE; COMMIT") {
        Err(err) if is_busy(&err) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Has a new database write its log ahead. Where another process does the same just then, SQLite
/// itself does not wait.
fn use_log(connection: &Connection, busy: Duration) -> Result<()> {
    let end = Instant::now() + busy;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(err)
                if err.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

fn version(connection: &Connection) -> Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A new database in the place of the one that may be there, as of an earlier version.
    pub fn earlier(path: &Path, version: usize) -> Connection {
        for name in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{name}", path.display()));
        }
        let earlier = Connection::open(path).unwrap();
        for sql in &MIGRATIONS[..version] {
            earlier.execute_batch(sql).unwrap();
        }
        earlier
            .pragma_update(None, "user_version", version as u32)
            .unwrap();
        earlier
    }

    #[test]
    fn an_earlier_database_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        let earlier = earlier(&path, 4);
        earlier
            .execute_batch(
                "INSERT INTO folder (id, address, name, epoch, forgotten, forgotten_at) VALUES
                     (1, 'a', 'INBOX', 7, 10, 500), (2, 'a', 'Empty', 7, 0, NULL),
                     (3, 'b', 'INBOX', 8, 2, 100), (4, 'c', 'INBOX', 8, 0, NULL);
                 INSERT INTO message (folder, epoch, remote, state, present, changed_at) VALUES
                     (1, 7, 1, 'delivered', 1, 300), (1, 7, 2, 'delivered', 0, 400),
                     (1, 7, 3, 'failed', 1, 900), (1, 7, 4, 'quarantined', 1, 900),
                     (3, 7, 1, 'delivered', 1, 200), (3, 8, 1, 'staged', 1, 900),
                     (4, 7, 1, 'delivered', 0, 250), (4, 8, 1, 'dropped', 1, 900);",
            )
            .unwrap();
        drop(earlier);
        for _ in 0..2 {
            let mut now = connect(&path, Duration::ZERO).unwrap();
            assert_eq!(owner(&mut now).unwrap(), Owner::We);
            prepare(&mut now, Duration::ZERO).unwrap();
            let mut folders = now
                .prepare("SELECT delivered, delivered_at, former FROM folder ORDER BY id")
                .unwrap();
            let folders: Vec<(i64, Option<i64>, bool)> = folders
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert_eq!(
                folders,
                [
                    (12, Some(500), false),
                    (0, None, false),
                    (3, Some(200), true),
                    (1, Some(250), false),
                ]
            );
        }
    }
}
