//! Many calls in few round trips: JSON batching, twenty calls in one request.

use super::client::{Client, IMMUTABLE};
use super::faults::{Failure, Refusal};
use ::http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use url::Url;

/// Calls in one batch (Graph's limit).
const BATCH: usize = 20;

/// A call within a batch.
pub struct Part {
    pub method: &'static str,
    pub url: Url,
    pub body: Option<Value>,
}

/// The JSON that a part of a batch was answered with, or its refusal; one without an answer counts
/// as refused, with status 0.
pub type PartAnswer = Result<Value, Refusal>;

impl Client {
    /// Makes many calls in few round trips (JSON batching); gives each one's answer in its order.
    pub fn batch(&self, parts: &[Part]) -> Result<Vec<PartAnswer>, Failure> {
        let unanswered: PartAnswer = Err(Refusal::of_batch(0, &Value::Null, &Value::Null));
        let mut answers = vec![unanswered; parts.len()];
        let mut waiting: Vec<usize> = (0..parts.len()).collect();
        let mut asked = 0;
        while !waiting.is_empty() {
            asked += 1;
            let mut again = Vec::new();
            for chunk in waiting.chunks(BATCH) {
                for (at, answer) in self.batch_once(parts, chunk)? {
                    match answer {
                        Err(refusal) if self.may_wait(&refusal, asked) => again.push(at),
                        answer => answers[at] = answer,
                    }
                }
            }
            waiting = again;
        }
        Ok(answers)
    }

    fn batch_once(
        &self,
        parts: &[Part],
        chunk: &[usize],
    ) -> Result<Vec<(usize, PartAnswer)>, Failure> {
        let requests: Vec<Value> = chunk
            .iter()
            .map(|&at| {
                let part = &parts[at];
                let mut request = json!({
                    "id": at.to_string(),
                    "method": part.method,
                    "url": self.relative(&part.url),
                    "headers": {"Prefer": IMMUTABLE},
                });
                if let Some(body) = &part.body {
                    request["headers"]["Content-Type"] = json!("application/json");
                    request["body"] = body.clone();
                }
                request
            })
            .collect();
        let url = self.service_url(&["$batch"]);
        let answer: Value = self.json(
            &Method::POST,
            &url,
            IMMUTABLE,
            Some(&json!({"requests": requests})),
        )?;
        let mut found: HashMap<usize, (u16, &Value)> = HashMap::new();
        for response in answer["responses"].as_array().into_iter().flatten() {
            let at = response["id"].as_str().and_then(|id| id.parse().ok());
            let status = response["status"]
                .as_u64()
                .and_then(|s| u16::try_from(s).ok());
            if let (Some(at), Some(status)) = (at, status) {
                found.insert(at, (status, response));
            }
        }
        Ok(chunk
            .iter()
            .filter_map(|at| {
                let (status, response) = found.get(at)?;
                let answer = match status {
                    200..=299 if !response["body"]["error"].is_object() => {
                        Ok(response["body"].clone())
                    }
                    _ => Err(self.masked(Refusal::of_batch(
                        *status,
                        &response["headers"],
                        &response["body"],
                    ))),
                };
                Some((*at, answer))
            })
            .collect())
    }

    /// An address as a batch has it: below the service root.
    pub(super) fn relative<'u>(&self, url: &'u Url) -> &'u str {
        url.as_str()
            .strip_prefix(self.root.as_str())
            .unwrap_or(url.as_str())
    }
}
