//! Whether a selection of messages can be meant, as far as its types cannot see.

use super::problem::Found;
use crate::model::{EmailAddress, Larger, Select};

/// More texts of one kind than anybody means, and than fit a server's limits.
const MOST: usize = 20;
/// A longer text is in no subject, in characters.
const LONGEST: usize = 200;

/// Problems of the selection at `at`, of this address.
pub fn selection(select: &Select, address: &EmailAddress, at: &str, found: &mut Found) {
    let bad = |text: &String| {
        text.trim().is_empty()
            || text.chars().count() > LONGEST
            || text.chars().any(char::is_control)
    };
    if *select == Select::default() {
        found.add(
            at,
            format!("the selection of address `{address}` is empty"),
            "use `unread: true`, `from`, `subject` or `max_size`, or remove `select`",
        );
    }
    if let Some(n) = select.subject.iter().position(bad) {
        found.add(
            &format!("{at}.subject[{n}]"),
            format!("invalid subject text in the selection of address `{address}`"),
            format!("use a text of 1 to {LONGEST} characters on one line"),
        );
    }
    for (key, count) in [
        ("from", select.from.len()),
        ("subject", select.subject.len()),
    ] {
        if count > MOST {
            found.add(
                &format!("{at}.{key}"),
                format!("{count} texts under `{key}` in the selection of address `{address}`"),
                format!("at most {MOST} are possible"),
            );
        }
    }
    if select.larger != Larger::Skip && select.max_size.is_none() {
        found.add(
            &format!("{at}.larger"),
            "`larger` without `max_size`",
            "add `max_size`, the size above which a message is quarantined",
        );
    }
}
