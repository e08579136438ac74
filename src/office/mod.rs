//! The configuration, linked: each mailbox with its servers, each server with the app registration
//! that it signs in with. Who gets these values looks nothing up by a name.
//!
//! - `link`: all of it
//! - `mailbox`: a mailbox with everything that holds for it
//! - `servers`: incoming and outgoing servers
//! - `registration`, `scope`: as which app a server signs in, and for what
//! - `route`: who may send, and through which server
//! - `named`: what a name on the command line stands for

mod link;
mod mailbox;
mod named;
#[cfg(test)]
mod permission_tests;
mod registration;
mod route;
mod scope;
mod servers;

pub use link::Office;
pub use mailbox::{MailboxEntry, login_to_send};
pub use named::{AppOf, Subject};
pub use registration::{CredentialSource, Registration};
pub use route::{Route, is_local};
pub use scope::{directory_scope, scope, v1_resource};
pub use servers::{Account, Incoming, Outgoing};
