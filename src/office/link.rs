//! All of a configuration, each name in it followed to what it names.

use super::mailbox::MailboxEntry;
use super::servers::{Incoming, Outgoing};
use crate::fault::Fault;
use crate::model::{
    Apps, Config, Defaults, Notify, Recording, Relay, TokenStore, Webhook, no_server,
};
use std::collections::HashMap;

/// All of a configuration.
#[derive(Debug)]
pub struct Office<'a> {
    pub(super) config: &'a Config,
    pub incoming: Vec<Incoming<'a>>,
    pub outgoing: Vec<Outgoing<'a>>,
    /// Of each address of each queue the places of its servers.
    links: Vec<Link>,
}

/// Where the servers of an address stand.
#[derive(Clone, Copy, Debug)]
struct Link {
    incoming: usize,
    outgoing: Option<usize>,
}

impl<'a> Office<'a> {
    /// Links what a file names.
    ///
    /// # Errors
    /// `Config` where a name leads nowhere; loading a file has refused that already.
    pub fn link(config: &'a Config) -> Result<Office<'a>, Fault> {
        let apps = Apps::of(config);
        let incoming: Vec<_> = config.incoming_servers.iter().map(Incoming::new).collect();
        let outgoing: Vec<_> = config
            .outgoing_servers
            .iter()
            .map(|server| Outgoing::new(config, server, apps.find(server)))
            .collect();
        let readers = places(incoming.iter().map(|server| &*server.name));
        let senders = places(outgoing.iter().map(|server| &*server.name));
        let find = |places: &HashMap<&str, usize>, kind: &str, name: &str| {
            let place = places.get(name).copied();
            place.ok_or_else(|| Fault::config(no_server(kind, name)))
        };
        let mut links = Vec::new();
        for (_, address) in config.addresses() {
            let outgoing = address.outgoing_server.as_deref();
            links.push(Link {
                incoming: find(&readers, "incoming", &address.server)?,
                outgoing: outgoing
                    .map(|name| find(&senders, "outgoing", name))
                    .transpose()?,
            });
        }
        drop((readers, senders));
        Ok(Office {
            config,
            incoming,
            outgoing,
            links,
        })
    }

    /// Every mailbox of every queue, in the order of the file.
    pub fn mailboxes(&self) -> impl Iterator<Item = MailboxEntry<'_>> {
        let all = self.config.addresses().zip(&self.links);
        all.map(|((queue, address), link)| MailboxEntry {
            queue,
            address,
            incoming: &self.incoming[link.incoming],
            outgoing: link.outgoing.map(|place| &self.outgoing[place]),
            defaults: &self.config.defaults,
            webhooks: &self.config.webhooks,
        })
    }

    /// What holds where nothing else is said.
    pub fn defaults(&self) -> &Defaults {
        &self.config.defaults
    }

    /// What goes with mail that is posted to a URL.
    pub fn webhooks(&self) -> &[Webhook] {
        &self.config.webhooks
    }

    /// What is put on record of messages, and for how long.
    pub fn recording(&self) -> Recording {
        self.config.recording()
    }

    /// Who is told when something fails.
    pub fn notify(&self) -> Option<&Notify> {
        self.config.notify.as_ref()
    }

    /// Who may hand mail to the relay, and how much.
    pub fn relay(&self) -> &'a Relay {
        &self.config.relay
    }

    /// The largest message of each outgoing server, in bytes; `None` where it does not say.
    pub fn message_sizes(&self) -> impl Iterator<Item = Option<u32>> {
        self.config.outgoing_servers.iter().map(|server| {
            let limits = server.limits.as_ref();
            limits.and_then(|limits| limits.message_size)
        })
    }

    /// Where tokens are kept, if not in the state.
    pub fn token_store(&self) -> Option<&TokenStore> {
        self.config.token_store.as_ref()
    }
}

fn places<'n>(names: impl Iterator<Item = &'n str>) -> HashMap<&'n str, usize> {
    names
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use std::path::Path;

    const FILE: &str = "
version: 1
incoming_servers:
  - { name: in, address: https://login.microsoftonline.com/contoso.example, authentication: oauth-service, client_id: 22222222-3333-4444-5555-666666666666, secret: s }
outgoing_servers:
  - { name: out, tenant: contoso.example, authentication: oauth-service }
  - { name: lost, tenant: fabrikam.example, authentication: oauth-service }
queues:
  - name: support
    addresses:
      - { address: a@contoso.example, server: in, sender: true, outgoing_server: out }
      - { address: b@contoso.example, server: in }
";

    #[test]
    fn each_mailbox_knows_its_servers_and_each_server_its_app() {
        let config: Config = parse(FILE, Path::new("x")).unwrap();
        let office = Office::link(&config).unwrap();
        let [a, b] = office.mailboxes().collect::<Vec<_>>()[..] else {
            panic!("two mailboxes")
        };
        assert_eq!((&*a.incoming.name, &*b.incoming.name), ("in", "in"));
        let out = a.outgoing.unwrap();
        assert_eq!(out.registration().unwrap().app_server, "in");
        assert!(b.outgoing.is_none());
        // A server that nobody sends through stops nobody; why it cannot is told to who asks.
        let fault = office.outgoing[1].registration().unwrap_err();
        assert!(fault.what.contains("`lost` has no app"), "{fault}");
    }

    /// The one text, whoever finds it: when the file is read, and where a model was made otherwise.
    #[test]
    fn a_name_that_leads_nowhere_is_told_in_one_way() {
        for (name, wrong, kind) in [
            ("server: in", "server: on", "incoming"),
            (": out }", ": oft }", "outgoing"),
        ] {
            let text = FILE.replace(name, wrong);
            let of_file = parse(&text, Path::new("x")).unwrap_err().to_string();
            let config: Config = serde_yaml::from_str(&text).unwrap();
            let of_link = Office::link(&config).unwrap_err().what;
            assert!(
                of_link.starts_with(&format!("no {kind} server `")),
                "{of_link}"
            );
            assert!(of_file.starts_with(&format!("{of_link} in x")), "{of_file}");
        }
    }
}
