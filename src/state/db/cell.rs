//! What stands in a column, and what it is read as.

use crate::mail::RemoteId;

/// What stands in one column of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    Null,
    /// Also a flag: 1 or 0.
    Int(i64),
    Text(&'r str),
    Blob(&'r [u8]),
}

/// What a column can be read as.
pub trait Column: Sized {
    /// `None`: it is something else.
    fn of(cell: Cell<'_>) -> Option<Self>;

    /// The same of a column of PostgreSQL.
    fn of_postgres(cell: Cell<'_>) -> Option<Self> {
        Self::of(cell)
    }
}

impl Column for i64 {
    fn of(cell: Cell<'_>) -> Option<i64> {
        match cell {
            Cell::Int(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for u32 {
    fn of(cell: Cell<'_>) -> Option<u32> {
        i64::of(cell)?.try_into().ok()
    }
}

impl Column for bool {
    fn of(cell: Cell<'_>) -> Option<bool> {
        Some(i64::of(cell)? != 0)
    }
}

impl Column for String {
    fn of(cell: Cell<'_>) -> Option<String> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Column for [u8; 16] {
    fn of(cell: Cell<'_>) -> Option<[u8; 16]> {
        match cell {
            Cell::Blob(octets) => octets.try_into().ok(),
            _ => None,
        }
    }
}

impl Column for Vec<u8> {
    fn of(cell: Cell<'_>) -> Option<Vec<u8>> {
        match cell {
            Cell::Blob(octets) => Some(octets.to_vec()),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn of(cell: Cell<'_>) -> Option<Option<T>> {
        match cell {
            Cell::Null => Some(None),
            cell => T::of(cell).map(Some),
        }
    }

    fn of_postgres(cell: Cell<'_>) -> Option<Option<T>> {
        match cell {
            Cell::Null => Some(None),
            cell => T::of_postgres(cell).map(Some),
        }
    }
}

/// An id is in the database as its source gave it: a number or a text. PostgreSQL has it as a text.
impl Column for RemoteId {
    fn of(cell: Cell<'_>) -> Option<RemoteId> {
        match cell {
            Cell::Int(_) => u32::of(cell).map(RemoteId::from),
            Cell::Text(text) => Some(RemoteId::from(text.to_owned())),
            _ => None,
        }
    }

    fn of_postgres(cell: Cell<'_>) -> Option<RemoteId> {
        match cell {
            Cell::Text(text) => Some(id_of_text(text)),
            _ => None,
        }
    }
}

/// The digits of the greatest number.
const DIGITS: usize = 10;

/// An id as a text that has the order of the ids: of a number, ten digits. What could be taken for
/// something else has `=` before it.
pub fn text_of_id(id: &RemoteId) -> String {
    match (id.as_number(), id.as_text().unwrap_or_default()) {
        (Some(number), _) => format!("{number:0DIGITS$}"),
        (None, text) if is_number(text) || text.starts_with('=') => format!("={text}"),
        (None, text) => text.to_owned(),
    }
}

fn id_of_text(text: &str) -> RemoteId {
    let number = is_number(text).then(|| text.parse::<u32>().ok()).flatten();
    match (number, text.strip_prefix('=')) {
        (Some(number), _) => RemoteId::from(number),
        (None, Some(text)) => RemoteId::from(text.to_owned()),
        (None, None) => RemoteId::from(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_what_it_was(number: u32, text in "[=0-9A-Za-z_-]{0,12}|[0-9]{10}|=[0-9]{10}") {
            for id in [RemoteId::from(number), RemoteId::from(text)] {
                let kept = text_of_id(&id);
                prop_assert_eq!(RemoteId::of_postgres(Cell::Text(&kept)), Some(id));
            }
        }

        #[test]
        fn texts_of_numbers_have_their_order(one: u32, other: u32) {
            let [a, b] = [one, other].map(|number| text_of_id(&RemoteId::from(number)));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
        }
    }
}
