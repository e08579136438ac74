//! Answers of a token endpoint that may be anything.

use super::answer::{ErrorAnswer, TokenAnswer};
use super::claims::Claims;
use std::time::{Duration, UNIX_EPOCH};

pub fn answers(data: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<TokenAnswer>(data) {
        let _ = answer.checked(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let _ = answer.renewed();
    }
    if let Ok(answer) = serde_json::from_slice::<ErrorAnswer>(data) {
        let _ = answer.sorted(400, None, true);
    }
    if let Ok(token) = std::str::from_utf8(data) {
        let _ = Claims::of(token);
    }
}
