//! The stand-in checked on its own: a raw client walks each protocol, and Python's standard
//! library comes by as an independent client.

mod client;
mod entra;
mod imap;
mod python;
mod robust;
mod smtp;

use crate::standin::{App, Standin, User};

pub const APP: &str = "22222222-3333-4444-5555-666666666666";
pub const SECRET: &str = "s~e+c&r=e t%";
pub const SUPPORT: &str = "support@contoso.example";
pub const SALES: &str = "sales@contoso.example";

/// A tenant with an app that may read and send, two mailboxes and a user.
pub fn furnished() -> Standin {
    let m365 = Standin::start();
    m365.add_app(App {
        client_id: APP.into(),
        secret: Some(SECRET.into()),
        roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
        ..App::default()
    });
    m365.add_user(User {
        address: SUPPORT.into(),
        password: "pass word&1".into(),
        ..User::default()
    });
    for mailbox in [SUPPORT, SALES] {
        m365.add_mailbox(mailbox);
        m365.grant(APP, mailbox);
    }
    m365
}
