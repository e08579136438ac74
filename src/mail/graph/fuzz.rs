//! Answers of Graph that may be anything.

use super::faults::Refusal;
use serde_json::Value;

/// A refusal, alone and as a part of a batch.
pub fn refusal(data: &[u8]) {
    let (&[high, low, ref body @ ..],) = (data,) else {
        return;
    };
    let status = 400 + (u16::from(high) << 8 | u16::from(low)) % 200;
    let refusal = Refusal::read(status, &::http::HeaderMap::new(), body);
    let _ = (refusal.meaning(), refusal.words_and_id());
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let _ = Refusal::of_batch(status, &value, &value).meaning();
    }
}
