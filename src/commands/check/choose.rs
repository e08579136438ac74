//! Which mailboxes and servers are walked: those named, and those that must be closed.

use crate::check::{Border, Subject};
use crate::cli::CheckArgs;
use crate::config::{self, Authentication, Config, EmailAddress, MailboxEntry};
use crate::fault::Fault;
use anyhow::Result;

/// Everything to walk, in the order of the file; what was named, if anything was.
pub fn subjects<'a>(config: &'a Config, args: &CheckArgs) -> Result<Vec<Subject<'a>>> {
    let mut subjects = Vec::new();
    let all = args.names.is_empty();
    if !all || args.boundary.is_empty() {
        let named = |name: &str| all || args.names.iter().any(|n| n == name);
        for name in &args.names {
            known(config, name)?;
        }
        for entry in config.mailboxes() {
            let address = entry.address.address.as_str();
            let by_address = args.names.iter().any(|n| n.eq_ignore_ascii_case(address));
            let outgoing = entry.address.outgoing_server.as_deref();
            if by_address
                || named(&entry.queue.name)
                || named(&entry.address.server)
                || outgoing.is_some_and(named)
            {
                subjects.push(Subject::Mailbox(entry));
            }
        }
        for server in &config.incoming_servers {
            let used = config.mailboxes().any(|e| e.address.server == server.name);
            if !used && named(&server.name) {
                subjects.push(Subject::Incoming(server));
            }
        }
        for server in &config.outgoing_servers {
            let name = Some(&server.name);
            let used = config
                .mailboxes()
                .any(|e| e.address.sender && e.address.outgoing_server.as_ref() == name);
            if !used && server.enabled && named(&server.name) {
                subjects.push(Subject::Outgoing(server));
            }
        }
    }
    borders(config, args, &mut subjects)?;
    Ok(subjects)
}

fn known(config: &Config, name: &str) -> Result<()> {
    let is_address = config
        .mailboxes()
        .any(|e| e.address.address.as_str().eq_ignore_ascii_case(name));
    let mut names = config.queue_names();
    names.extend(config.server_names());
    if is_address || names.contains(&name) {
        return Ok(());
    }
    names.extend(config.mailboxes().map(|e| e.address.address.as_str()));
    Err(config::unknown("queue, address or server", name, &names))
}

/// Each mailbox that must be closed, for each app and person that reads for us.
fn borders<'a>(
    config: &'a Config,
    args: &CheckArgs,
    subjects: &mut Vec<Subject<'a>>,
) -> Result<()> {
    if args.boundary.is_empty() {
        return Ok(());
    }
    let concerned: Vec<&str> = subjects
        .iter()
        .filter_map(|subject| match subject {
            Subject::Mailbox(entry) => Some(entry.address.server.as_str()),
            Subject::Incoming(server) => Some(server.name.as_str()),
            _ => None,
        })
        .collect();
    for text in &args.boundary {
        let address: EmailAddress = text
            .parse()
            .map_err(|e| Fault::usage(format!("`--boundary`: {e}")))?;
        let ours = |e: &MailboxEntry<'_>| {
            e.address
                .address
                .as_str()
                .eq_ignore_ascii_case(address.as_str())
        };
        if let Some(entry) = config.mailboxes().find(ours) {
            return Err(Fault::usage(format!(
                "`{address}` is an address of queue `{}`, which we are to read",
                entry.queue.name
            ))
            .hint("name mailboxes that must be closed to us, such as a manager's")
            .into());
        }
        for server in &config.incoming_servers {
            if !args.names.is_empty() && !concerned.contains(&server.name.as_str()) {
                continue;
            }
            let mut own: Vec<MailboxEntry<'a>> = config
                .mailboxes()
                .filter(|e| e.address.server == server.name)
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
                let borders = Border::by_each_way(server, own, &address);
                subjects.extend(borders.map(Subject::Boundary));
            }
        }
    }
    Ok(())
}
