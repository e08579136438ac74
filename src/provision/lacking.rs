//! What a definition lacks that the file may lack, but a fetch or a sending will not: said when it is
//! added, and not by the first run in the night.

use crate::fault::Fault;
use crate::model::{Address, Apps, Authentication, Config, IncomingServer, OutgoingServer, Start};
use crate::shell;
use jiff::Timestamp;

/// What a mailbox of this queue lacks, if anything.
pub fn of_mailbox(config: &Config, queue: &str, entry: &Address) -> Vec<String> {
    let mut found = Vec::new();
    let address = &entry.address;
    if entry.deliver.is_none() && config.defaults.deliver.is_none() {
        found.push(format!(
            "`{address}` has no delivery, and `fetch` needs one: queuemail queue set {} --address {address} --deliver maildir:PATH",
            shell::quote(queue)
        ));
    }
    let server = config.incoming_server(&entry.server);
    if server.is_some_and(is_of_people) && entry.password.is_none() {
        found.push(format!(
            "`{address}` has no password; unless its account is signed in already, sign in once: queuemail token login {address}"
        ));
    }
    let queue = config.queues.iter().find(|own| own.name == queue);
    let start = entry.start.or(queue.and_then(|queue| queue.start));
    found.extend(start.and_then(|start| before_start(start, address.as_str())));
    found
}

/// What is not fetched, where `start` is a day that is still to come.
pub fn before_start(start: Start, what: &str) -> Option<String> {
    let day = start.ahead(Timestamp::now())?;
    Some(format!(
        "`{what}`: start ({day}) is in the future: mail that the server receives before that day (UTC) is skipped"
    ))
}

fn is_of_people(server: &IncomingServer) -> bool {
    server.authentication == Authentication::OauthUser
}

/// What a server lacks to send, if it is to.
pub fn of_outgoing(config: &Config, server: &OutgoingServer) -> Vec<String> {
    if !server.enabled {
        return Vec::new();
    }
    let apps = Apps::of(config);
    if apps.find(server).is_none() {
        let Fault { what, hints, .. } = apps.fault(server);
        return vec![match hints.first() {
            Some(hint) => format!("{what}; {hint}"),
            None => what,
        }];
    }
    match server.authentication == Authentication::OauthUser && server.password.is_none() {
        true => vec![format!(
            "outgoing server `{}` has no password; unless its account is signed in already, sign in once: queuemail token login {}",
            server.name,
            shell::quote(&server.name)
        )],
        false => Vec::new(),
    }
}
