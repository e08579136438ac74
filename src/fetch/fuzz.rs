//! Heads of messages that may be anything.

use super::identity::HeadReader;

/// However a message is cut in pieces, it is the same message.
pub fn identity(data: &[u8]) {
    let mut whole = HeadReader::default();
    whole.take(data);
    let mut pieces = HeadReader::default();
    for piece in data.chunks(7) {
        pieces.take(piece);
    }
    assert_eq!(whole.finish(), pieces.finish());
}
