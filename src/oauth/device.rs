//! The device code grant (RFC 8628): the person signs in with any browser anywhere.
//!
//! The polling is written here: oauth2's cannot be stopped by a fatal answer and drops Entra's
//! fields.

use super::answer::{Class, GrantError, TokenAnswer, odd};
use super::exchange::{ask, form};
use super::grant::{Client, Credential};
use super::token::Granted;
use crate::fault::Fault;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the authorization server wants to be shown (RFC 8628 §3.2).
#[derive(Deserialize)]
pub struct DeviceCode {
    device_code: crate::secret::Secret,
    pub user_code: String,
    pub verification_uri: String,
    /// Seconds.
    expires_in: u64,
    /// Seconds between two questions.
    #[serde(default = "five")]
    interval: u64,
}

fn five() -> u64 {
    5
}

impl Client {
    /// Asks for a code that the person enters at a page.
    pub fn begin_device(&self, endpoint: &str, scope: &str) -> Result<DeviceCode, GrantError> {
        let request = form(
            endpoint,
            &[("client_id", &self.client_id), ("scope", scope)],
        )?;
        let code: DeviceCode = ask(&self.agent, request)?;
        let is_sane = |text: &str| {
            !text.is_empty() && text.len() < 300 && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let page = &code.verification_uri;
        if !is_sane(&code.user_code) || !is_sane(page) || !page.starts_with("https://") {
            return Err(odd("it lacks a code and an https:// page to enter it at").into());
        }
        Ok(code)
    }

    /// Waits until the person has signed in, declined or let the code expire. `sleep` passes the
    /// time between two questions.
    pub fn finish_device(
        &self,
        code: &DeviceCode,
        sleep: impl Fn(Duration),
    ) -> Result<Granted, GrantError> {
        let began = std::time::Instant::now();
        let life = Duration::from_secs(code.expires_in.min(3600));
        let mut interval = Duration::from_secs(code.interval.clamp(1, 60));
        let mut pause = interval;
        loop {
            sleep(pause.min(life.saturating_sub(began.elapsed())));
            pause = interval;
            if began.elapsed() > life {
                return Err(Fault::no_access("the code was not entered in time")
                    .hint("start again: the code is valid only while the command runs")
                    .into());
            }
            // Again each time: a code may live longer than an assertion.
            let assertion = self.assertion()?;
            let mut fields = vec![
                ("grant_type", DEVICE_CODE),
                ("client_id", &self.client_id),
                ("device_code", code.device_code.expose()),
            ];
            if let Credential::Secret(secret) = &self.credential {
                fields.push(("client_secret", secret.expose()));
            }
            fields.extend(
                assertion
                    .iter()
                    .map(|(name, value)| (*name, value.as_str())),
            );
            let asked_at = SystemTime::now();
            let request = form(&self.token_endpoint, &fields)?;
            match ask::<TokenAnswer>(&self.agent, request) {
                Ok(answer) => {
                    return Ok(answer.checked(asked_at)?);
                }
                Err(GrantError {
                    class: Class::Pending { slow_down },
                    ..
                }) => {
                    if slow_down {
                        // RFC 8628 §3.5: slow_down adds five seconds.
                        interval += Duration::from_secs(5);
                        pause = interval;
                    }
                }
                // A network that stumbles must not cost the person the sign-in.
                Err(GrantError {
                    class: Class::TryLater,
                    fault,
                    ..
                }) => {
                    interval += Duration::from_secs(1);
                    pause = interval.max(fault.retry_after.unwrap_or_default());
                }
                Err(other) => return Err(other),
            }
        }
    }
}
