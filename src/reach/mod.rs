//! The way to a mailbox and out of one: which way is permitted, and the only places that open it.
//! `fetch`, `check`, `send` and `outbox` all come through here.
//!
//! - `way`: the ways that a server allows, what a token must permit for them, and when another one
//!   may do better
//! - `mailbox`: opens mailboxes
//! - `transport`: opens ways out
//! - `sent`: looks into Sent Items

mod mailbox;
pub mod sent;
mod transport;
mod way;

pub use mailbox::{Mailboxes, Opened, Wanted, prepare};
pub use transport::{Transports, proven};
pub use way::{ReadWay, SendWay, is_about_the_way};
