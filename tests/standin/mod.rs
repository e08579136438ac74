//! A stand-in of Microsoft 365 for tests and the demo: Entra ID, Exchange's IMAP and SMTP.
//!
//! It behaves as the real services are documented and reported to, their mistakes included; the worse ones are
//! knobs in [`Faults`]. All listens on free ports of 127.0.0.1, with TLS from a CA of its own, and
//! ends when the [`Standin`] is dropped.
//!
//! ```ignore
//! let m365 = Standin::start();
//! m365.add_app(App { secret: Some("s".into()), roles: vec!["IMAP.AccessAsApp"], ..App::default() });
//! m365.add_mailbox("support@contoso.example");
//! m365.grant(&App::default().client_id, "support@contoso.example");
//! m365.deliver("support@contoso.example", "INBOX", b"Subject: hello\r\n\r\n");
//! m365.faults().imap_at(3, ImapFault::Close); // the third command from now
//! // … run the binary against m365.authority(), m365.imap_url(), m365.ca_file() …
//! assert_eq!(m365.messages("support@contoso.example", "INBOX").len(), 1, "{:#?}", m365.log());
//! ```
//!
//! - `world` is what the servers share; `directory` and `mailbox` are the tenant's data
//! - `provider`: an authority that is not Entra ID; `http`, `entra`, `grants`, `client_auth`, `scopes`, `signin`, `tokens`, `aadsts`, `introspect`: tokens
//! - `imap*`: reading mail; `smtp*`, `submission`: sending it; `graph*`: both by Microsoft Graph; `graph_apps`: app registrations
//! - `net`, `tls`, `jwt`, `message`, `echo`, `gate`: the tools
#![allow(dead_code)] // shared by the tests and the demo, and neither uses all of it

mod aadsts;
mod api;
mod client_auth;
mod directory;
mod echo;
mod entra;
mod faults;
mod gate;
mod grants;
mod graph;
mod graph_apps;
mod graph_faults;
mod graph_folders;
mod graph_mail;
mod graph_send;
mod http;
mod imap;
mod imap_fetch;
mod imap_folders;
mod imap_messages;
mod imap_read;
mod imap_search;
mod imap_sign_in;
mod introspect;
pub mod jwt;
mod mailbox;
mod message;
mod net;
pub mod provider;
mod records;
mod scopes;
mod signin;
mod smtp;
mod smtp_message;
mod submission;
pub mod tls;
mod tokens;
mod world;

#[allow(unused_imports)] // each user takes what it needs
pub use {
    api::Standin,
    directory::{App, Federated, User, key_id},
    faults::{Faults, ImapFault, SmtpAt, SmtpFault, TokenFault, UidFault},
    gate::Gate,
    graph_faults::GraphFault,
    graph_folders::folder_id,
    http::{Framing, Trick},
    mailbox::{Backup, StoredMessage},
    records::{GraphCall, Submission, TokenRequest},
    tokens::{EXCHANGE, EXCHANGE_DELEGATED, GRAPH},
    world::is_guid,
};
