//! `--log-format journald` into a real journal, read back by journalctl. The journal runs in a
//! mount namespace of its own, so that nothing of this machine's is touched.

use crate::cases::fetch::{Desk, SUPPORT, Via};
use serde_json::Value;
use std::fs;

/// Runs its arguments beside a journal, then writes the program's records as JSON Lines to a file
/// in the home. With `none` as its name no journal listens.
const BESIDE_A_JOURNAL: &str = "
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/journal /run/log
if [ \"$0\" = journal ]; then
    /usr/lib/systemd/systemd-journald 2>/dev/null &
    journald=$!
    trap 'kill $journald' EXIT
    until [ -S /run/systemd/journal/socket ]; do sleep 0.02; done
fi
code=0
\"$@\" || code=$?
if [ \"$0\" = journal ]; then
    journalctl --sync
    journalctl --no-pager -q -o json SYSLOG_IDENTIFIER=queuemail >\"$HOME/journal\"
fi
exit $code
";

fn beside(journal: &str) -> [&str; 6] {
    ["unshare", "-m", "bash", "-c", BESIDE_A_JOURNAL, journal]
}

fn records(desk: &Desk) -> Vec<Value> {
    let text = fs::read_to_string(desk.path("journal")).expect("what journalctl wrote");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn the_journal_gets_records_with_fields() {
    let desk = Desk::new(Via::Imap, "deliver: \"maildir:~/Mail\"");
    desk.deliver(0..2);
    desk.fetch(&["-v", "--log-format", "journald"])
        .under(beside("journal"))
        .succeeds()
        .says_nothing();
    let all = records(&desk);
    let told: Vec<&Value> = all
        .iter()
        .filter(|record| record["QUEUEMAIL_EVENT"] == "delivered")
        .collect();
    assert_eq!(told.len(), 2, "{all:#?}");
    for record in told {
        assert_eq!(record["PRIORITY"], "6");
        assert_eq!(record["QUEUEMAIL_QUEUE"], "support");
        assert_eq!(record["QUEUEMAIL_ADDRESS"], SUPPORT);
        assert_eq!(record["QUEUEMAIL_FOLDER"], "INBOX");
        for name in ["MESSAGE_ID", "SIZE", "DELIVERED_TO", "DELIVERY_ID", "UID"] {
            let value = record[format!("QUEUEMAIL_{name}")].as_str();
            assert!(value.is_some_and(|v| !v.is_empty()), "{name}: {record}");
        }
    }
    // An error of several lines is one record.
    desk.world.write_config("version: 1\nqueues: [\n");
    desk.fetch(&["--log-format", "journald"])
        .under(beside("journal"))
        .fails(78)
        .says_nothing();
    let all = records(&desk);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(all[0]["PRIORITY"], "3");
    assert_eq!(all[0]["QUEUEMAIL_EXIT_CODE"], "78");
    assert_eq!(all[0]["QUEUEMAIL_LINE"], "3");
    assert!(
        all[0]["MESSAGE"]
            .as_str()
            .is_some_and(|text| text.contains('\n'))
    );
}

/// What cannot go to the journal is not lost.
#[test]
fn without_a_journal_the_log_goes_to_standard_error() {
    let desk = Desk::new(Via::Imap, "deliver: \"maildir:~/Mail\"");
    desk.deliver(0..1);
    let ran = desk
        .fetch(&["-v", "--log-format", "journald"])
        .under(beside("none"))
        .succeeds()
        .mentions("warning: cannot write to the journal at /run/systemd/journal/socket: ")
        .mentions(" delivered queue=support ");
    assert_eq!(ran.stderr.matches("cannot write to the journal").count(), 1);
}
