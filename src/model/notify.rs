//! Who is told when something fails, and when.

use super::ping_url::PingUrl;
use super::post_url::PostUrl;
use super::span::Span;
use super::tree::mapping;

mapping! {
/// Who is told of incidents: of what fails, goes on failing and works again.
#[derive(Default)]
pub struct Notify {
    /// A program and its arguments, which gets each notice as JSON on its standard input.
    pub command: Option<Vec<String>>,
    /// A URL that each notice is posted to as JSON; `webhooks` may sign it and authorize it.
    pub url: Option<PostUrl>,
    /// How long something must fail before the first notice, such as 90s, 5m, 2h or 1d; 5m where
    /// absent.
    pub after: Option<Span>,
    /// How long after the last notice the next one comes while it still fails; 24h where absent.
    pub repeat: Option<Span>,
    /// A URL that is asked for (GET) after each fetch without a problem: a dead man's switch.
    pub heartbeat: Option<PingUrl>,
}
}
