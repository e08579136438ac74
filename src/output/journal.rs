//! Records for systemd's journal, in its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): one datagram each, to a socket of this machine.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;
use std::time::Duration;

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// A value is cut after so many octets, and a record takes so many, that a datagram holds it: the
/// kernel's usual limit is 208 KiB.
const LONGEST_VALUE: usize = 16 << 10;
const LONGEST_RECORD: usize = 128 << 10;

/// So long to wait for a journal that takes nothing for now.
const PATIENCE: Duration = Duration::from_secs(1);

/// The fields of a record.
pub struct Fields(Vec<u8>);

impl Fields {
    pub fn new() -> Fields {
        Fields(Vec::new())
    }

    /// Adds a field. Its name is of capital letters, digits and underscores; the value may be any
    /// text, so that it is written with its length where it holds a line end.
    pub fn add(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST_VALUE)];
        if self.0.len() + name.len() + value.len() > LONGEST_RECORD {
            return;
        }
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }

    pub fn octets(self) -> Vec<u8> {
        self.0
    }
}

/// Hands a record to the journal.
///
/// # Errors
/// No journal listens, or it does not take the record.
pub fn send(record: &[u8]) -> io::Result<()> {
    static JOURNAL: OnceLock<io::Result<UnixDatagram>> = OnceLock::new();
    let socket = JOURNAL
        .get_or_init(|| {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        })
        .as_ref()
        .map_err(|err| io::Error::new(err.kind(), err.to_string()))?;
    // By its name each time, since a journal that was started again has a new socket.
    socket.send_to(record, SOCKET).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_is_written_with_its_length() {
        let mut fields = Fields::new();
        fields.add("MESSAGE", "a\nPRIORITY=0");
        fields.add("QUEUEMAIL_QUEUE", "support");
        let expected = b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\nQUEUEMAIL_QUEUE=support\n";
        assert_eq!(fields.octets(), expected);
    }

    #[test]
    fn a_record_fits_a_datagram() {
        let mut fields = Fields::new();
        for _ in 0..100 {
            fields.add("QUEUEMAIL_CAUSES", &"ä".repeat(LONGEST_VALUE));
        }
        assert!(fields.octets().len() <= LONGEST_RECORD);
    }
}
