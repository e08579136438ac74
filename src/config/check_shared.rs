//! What is wrong with a state in a database, and what does not go with one.

use super::problem::Found;
use crate::fault::Fault;
use crate::model::{Config, TokenStore};

/// What is wrong with the key itself, and what does not go with it.
pub fn problems(config: &Config, found: &mut Found) {
    let Some(state) = &config.state else {
        return;
    };
    if state.connections.is_some_and(|n| !(1..=100).contains(&n)) {
        found.add(
            "state.connections",
            "invalid number of connections",
            "use a number from 1 to 100",
        );
    }
    if state.private_key.is_some() && state.certificate.is_none() {
        found.add(
            "state.private_key",
            "a private key without a certificate",
            "set its `certificate`, too",
        );
    }
    unfit(config, found);
}

/// What a state that hosts may share does not go with.
fn unfit(config: &Config, found: &mut Found) {
    if config.token_store == Some(TokenStore::Keyring) {
        found.add(
            "token_store",
            "a keyring together with a state in a database",
            "a keyring belongs to one machine: use a command that all hosts can run, or remove `token_store`",
        );
    }
    let addresses = config.queues.iter().enumerate().flat_map(|(i, queue)| {
        let of_queue = queue.addresses.iter().enumerate();
        of_queue.map(move |(j, a)| (format!("queues[{i}].addresses[{j}].deliver"), &a.deliver))
    });
    let defaults = ("defaults.deliver".to_owned(), &config.defaults.deliver);
    for (at, target) in std::iter::once(defaults).chain(addresses) {
        if target
            .as_ref()
            .is_some_and(|t| t.as_str().starts_with("mbox:"))
        {
            found.add(
                &at,
                "an mbox together with a state in a database",
                "the lock of an mbox does not work between hosts: use maildir, eml, lmtp, command or https",
            );
        }
    }
}

impl Config {
    /// Refuses what does not go with a state in a database that the environment names.
    ///
    /// # Errors
    /// `Config`.
    pub fn check_shared(&self) -> Result<(), Fault> {
        let mut found = Found::default();
        unfit(self, &mut found);
        match found.0.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(Fault::config(problem.problem).hint(problem.note)),
        }
    }
}
