//! What is said: tables and lines for people, JSON for programs. Commands call it; nobody else prints.

pub mod changes;
pub mod check;
pub mod claims;
pub mod fetch;
mod file;
pub mod history;
pub mod import;
pub mod metrics;
mod metrics_of_mailboxes;
pub mod migrate;
pub mod nagios;
pub mod outbox;
pub mod page;
mod progress;
pub mod quarantine;
pub mod rotate;
pub mod schema;
pub mod send;
pub mod status;
pub mod table;
pub mod tally;
pub mod token;

pub use progress::Count;
