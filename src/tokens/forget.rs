//! Tokens are forgotten: all, or those of what a name stands for.

use super::keep::{Forgotten, Tokens};
use crate::fault::Fault;
use crate::model::{Authentication, Resource};
use crate::office::{Registration, Subject};
use crate::state::Store;
use anyhow::Result;

/// Forgets the tokens of `subject`; without one, all.
///
/// # Errors
/// The state's; what a vault does not let go of is in what was forgotten.
pub fn forget(store: &Store, subject: Option<&Subject<'_>>) -> Result<Forgotten> {
    let beginnings = match subject {
        None => vec![String::new()],
        Some(subject) => beginnings(subject)?,
    };
    let mut all = Forgotten::default();
    for beginning in beginnings {
        let forgotten = Tokens::forget(store, &beginning)?;
        all.tokens += forgotten.tokens;
        all.left.extend(forgotten.left);
    }
    Ok(all)
}

/// What the keys of all tokens of `subject` begin with.
fn beginnings(subject: &Subject<'_>) -> Result<Vec<String>, Fault> {
    let registration = subject.registration(Resource::Imap)?;
    let client = |of: &Registration<'_>| format!("{}\t{}\t", of.authority, of.client_id);
    let person = |of: &Registration<'_>, account: &str| {
        format!("{}{}\t", client(of), account.to_lowercase())
    };
    let Subject::Mailbox(entry) = subject else {
        return Ok(vec![client(registration)]);
    };
    let mut found = vec![match registration.authentication {
        Authentication::OauthUser => person(registration, entry.account()),
        Authentication::OauthService => client(registration),
    }];
    if let Some(server) = entry.outgoing
        && entry.signs_in_apart(server)
    {
        let account = server.account(Some(entry.address))?;
        found.push(person(server.registration()?, account.name));
    }
    Ok(found)
}
