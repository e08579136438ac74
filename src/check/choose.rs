//! Which mailboxes and servers are walked: those named, and those that must be closed.

use super::{Boundary, Subject};
use crate::fault::Fault;
use crate::model::{Authentication, EmailAddress};
use crate::office::{MailboxEntry, Office};
use anyhow::Result;

/// Everything to walk, in the order of the file: what was named, else all; and the mailboxes
/// `boundary`, which must be closed.
///
/// # Errors
/// `Usage` where a name is of nothing, or a mailbox that must be closed is one of the
/// configuration.
pub fn subjects<'a>(
    office: &'a Office<'a>,
    names: &[String],
    boundary: &[String],
) -> Result<Vec<Subject<'a>>> {
    let mut subjects = Vec::new();
    let all = names.is_empty();
    if !all || boundary.is_empty() {
        let named = |name: &str| all || names.iter().any(|n| n == name);
        office.check_names(names)?;
        for entry in office.mailboxes() {
            let by_address = names.iter().any(|name| entry.is_of(name));
            if by_address
                || named(&entry.queue.name)
                || named(&entry.incoming.name)
                || entry.outgoing.is_some_and(|server| named(&server.name))
            {
                subjects.push(Subject::Mailbox(entry));
            }
        }
        for server in &office.incoming {
            let used = office.mailboxes().any(|e| e.reads_through(server));
            if !used && named(&server.name) {
                subjects.push(Subject::Incoming(server));
            }
        }
        for server in &office.outgoing {
            let used = office.mailboxes().any(|e| e.sends_through(server));
            if !used && server.enabled && named(&server.name) {
                subjects.push(Subject::Outgoing(server));
            }
        }
    }
    boundaries(office, names, boundary, &mut subjects)?;
    Ok(subjects)
}

/// Each mailbox that must be closed, for each app and person that reads.
fn boundaries<'a>(
    office: &'a Office<'a>,
    names: &[String],
    boundary: &[String],
    subjects: &mut Vec<Subject<'a>>,
) -> Result<()> {
    let concerned: Vec<&str> = subjects
        .iter()
        .filter_map(|subject| match subject {
            Subject::Mailbox(entry) => Some(entry.incoming.name.as_str()),
            Subject::Incoming(server) => Some(server.name.as_str()),
            _ => None,
        })
        .collect();
    for text in boundary {
        let address: EmailAddress = text
            .parse()
            .map_err(|e| Fault::usage(format!("`--boundary`: {e}")))?;
        if let Some(entry) = office.mailboxes().find(|e| e.is_of(address.as_str())) {
            return Err(Fault::usage(format!(
                "`{address}` is an address of queue `{}`, which queuemail must be able to read",
                entry.queue.name
            ))
            .hint("name mailboxes that queuemail must not be able to open, such as a manager's")
            .into());
        }
        for server in &office.incoming {
            if !names.is_empty() && !concerned.contains(&server.name.as_str()) {
                continue;
            }
            let mut own: Vec<MailboxEntry<'a>> = office
                .mailboxes()
                .filter(|e| e.reads_through(server))
                .collect();
            let owns: Vec<Option<MailboxEntry<'a>>> = match server.authentication {
                Authentication::OauthService => vec![own.first().copied()],
                Authentication::OauthUser => {
                    let mut seen = std::collections::HashSet::new();
                    own.retain(|e| seen.insert(e.account().to_lowercase()));
                    own.into_iter().map(Some).collect()
                }
            };
            for own in owns {
                let boundaries = Boundary::by_each_way(server, own, &address);
                subjects.extend(boundaries.map(Subject::Boundary));
            }
        }
    }
    Ok(())
}
