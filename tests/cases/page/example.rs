//! A contact centre at a fixed time: what the page shows in the tests, and on the pictures of the
//! documents.

use crate::cases::fetch::clock_of;
use crate::world::{CLIENT_ID, World};
use std::fmt::Write;
use std::fs;

/// The time of the example, by its own clock: Sunday, 29 November 2026, 13:07:22.
const NOW: i64 = 1_795_954_042;
const CLOCK: &str = "@2026-11-29 13:07:22";
const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// What must never be on the page.
pub const SECRET: &str = "canary-s3cret~+&=";

/// Queue, name of the mailbox, when it was last fetched, how many messages it got, in seconds and
/// messages.
const MAILBOXES: [(&str, &str, i64, i64); 13] = [
    ("support", "support", 74, 48_211),
    ("support", "hilfe", 71, 9_320),
    ("support", "tuki", 70, 4_105),
    ("orders", "orders", 66, 30_672),
    ("orders", "returns", 65, 7_890),
    ("billing", "billing", 60, 12_417),
    ("billing", "invoices", 58, 22_004),
    ("sales", "sales", 55, 6_381),
    ("sales", "partners", 52, 1_204),
    ("people", "jobs", 49, 2_996),
    ("people", "hr", 47, 811),
    ("press", "press", 44, 340),
    ("privacy", "privacy", 41, 97),
];

/// A home with this configuration and this state.
pub struct Example {
    pub world: World,
}

impl Example {
    /// With things to look at.
    pub fn busy() -> Example {
        let example = Example::well();
        let config = example.world.config();
        let soon = config.replace("secret_expires: 2027-06-30", "secret_expires: 2026-12-11");
        assert_ne!(config, soon);
        example.world.write_config(soon);
        example.run_sql(&format!(
            "UPDATE mailbox SET last_success = {}, failed_at = {}, error = 'cannot open the mailbox: the server said: User is authenticated but not connected'
             WHERE address = 'invoices@contoso.com';
             INSERT INTO message (folder, epoch, remote, state, changed_at, reason)
             SELECT id, 1, n, 'quarantined', {NOW}, 'refused: 550 5.7.1 looks like spam'
             FROM folder, (SELECT 1 AS n UNION SELECT 2) WHERE address = 'returns@contoso.com';
             INSERT INTO wait (key, until, reason)
             VALUES ('mailbox sales@contoso.com', {}, 'the server is busy: BackOff in 4 minutes');
             INSERT INTO incident (kind, subject, opened_at, told_at, reason, mailboxes)
             VALUES ('mailbox', 'invoices@contoso.com', {}, {NOW},
                     'the server said: User is authenticated but not connected', '[\"invoices@contoso.com\"]');
             INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at)
             SELECT 'x' || n, '{{}}', '<' || n || '@contoso.com>', 0, 1, 'waiting', 1, 0, '', '[]', {NOW} - 300 * n, 0
             FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3);",
            NOW - 11_520,
            NOW - 58,
            (NOW + 240) * 1000,
            NOW - 11_400,
        ));
        example
    }

    /// With nothing that needs anybody.
    pub fn well() -> Example {
        let mut queues = String::new();
        let mut last = "";
        for (queue, name, ..) in MAILBOXES {
            if queue != last {
                write!(queues, "  - name: {queue}\n    addresses:\n").unwrap();
                last = queue;
            }
            writeln!(
                queues,
                "      - {{address: {name}@contoso.com, server: Contoso}}"
            )
            .unwrap();
        }
        let example = Example::of(&queues);
        let mut sql = String::new();
        for (_, name, ago, delivered) in MAILBOXES {
            let (at, address) = (NOW - ago, format!("{name}@contoso.com"));
            write!(
                sql,
                "INSERT INTO mailbox (address, last_success, took) VALUES ('{address}', {at}, 900);
                 INSERT INTO folder (address, name, epoch, delivered, delivered_at)
                 VALUES ('{address}', 'INBOX', 1, {delivered}, {});",
                at - delivered % 5000
            )
            .unwrap();
        }
        for ago in 0..30_i64 {
            // The weekend is quiet; no two days are alike.
            let weekday = (ago + 29) % 7;
            let usual = if [1, 0].contains(&weekday) { 58 } else { 240 };
            let fetched =
                (usual + ago * 37 % 61 + ago * 13 % 17) * if ago == 0 { 3 } else { 5 } / 5;
            let noon = NOW - 3600 - ago * 86_400;
            for (sent, number, outcome) in [
                (0, fetched, "NULL"),
                (1, fetched * 3 / 5 + ago % 4, "'accepted'"),
                (1, i64::from(ago % 9 == 4), "'refused'"),
            ] {
                write!(
                    sql,
                    "INSERT INTO history (sent, at, week, queue, address, folder, size, place, outcome)
                     WITH RECURSIVE n (n) AS (SELECT 1 WHERE {number} > 0 UNION ALL SELECT n + 1 FROM n WHERE n < {number})
                     SELECT {sent}, {noon} - n, 0, 'support', 'support@contoso.com', '', 1, '', {outcome} FROM n;",
                )
                .unwrap();
            }
        }
        example.run_sql(&sql);
        example
    }

    /// A home with these queues, whose state is empty.
    pub fn of(queues: &str) -> Example {
        let world = World::with_config(&format!(
            "version: 1
incoming_servers:
  - name: Contoso
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: {SECRET}
    secret_expires: 2027-06-30
  - name: Fabrikam
    address: https://login.microsoftonline.com/fabrikam.onmicrosoft.com
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: {SECRET}
    secret_expires: 2027-10-02
queues:
{queues}"
        ));
        world.run(["status"]).succeeds();
        Example { world }
    }

    pub fn run_sql(&self, sql: &str) {
        let path = self.world.state_dir().join("state.sqlite");
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch(&format!("BEGIN; {sql}; COMMIT;")).unwrap();
    }

    /// The page at the time of the example, as it is written.
    pub fn page(&self) -> String {
        let path = self.world.path("page.html");
        let run = self.world.run(["status", "--html"]).arg(&path);
        clock_of(run, CLOCK)
            .env("TZ", ZONE)
            .succeeds()
            .says_nothing();
        fs::read_to_string(path).unwrap()
    }
}
