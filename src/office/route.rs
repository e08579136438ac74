//! Who may send, and through which outgoing server: decided from the configuration alone, before
//! anything is connected.

use super::link::Office;
use super::mailbox::MailboxEntry;
use super::servers::Outgoing;
use crate::fault::Fault;
use crate::model::{Cloud, Limits, named};
use crate::shell;
use std::collections::HashSet;

/// The way of a message out.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The queue's address that sends.
    pub entry: MailboxEntry<'a>,
    pub outgoing: &'a Outgoing<'a>,
}

impl Office<'_> {
    /// Finds the way of mail from `sender`: it must be an address of a queue that may send, and its
    /// outgoing server must be enabled.
    ///
    /// # Errors
    /// `Refused`, naming the senders that are allowed; `Config` where the address does not say
    /// through which server it sends, or that server is disabled.
    pub fn route(&self, sender: &str) -> Result<Route<'_>, Fault> {
        match self.mailboxes().find(|entry| entry.is_of(sender)) {
            Some(entry) if entry.address.sender => self.route_of(entry),
            entry => Err(self.not_allowed(sender, entry)),
        }
    }

    /// The way of mail from an address that may send.
    ///
    /// # Errors
    /// As [`Office::route`].
    pub fn route_of<'o>(&'o self, entry: MailboxEntry<'o>) -> Result<Route<'o>, Fault> {
        let queue = &entry.queue.name;
        let address = &entry.address.address;
        let Some(outgoing) = entry.outgoing else {
            return Err(Fault::config(format!(
                "address `{address}` (queue `{queue}`) has no outgoing server"
            ))
            .hint(format!(
                "queuemail queue set {} --address {} --outgoing NAME; {}",
                shell::quote(queue),
                shell::quote(address.as_str()),
                self.outgoing_servers()
            )));
        };
        if !outgoing.enabled {
            let name = &outgoing.name;
            return Err(
                Fault::config(format!("outgoing server `{name}` is disabled")).hint(format!(
                    "queuemail server set {} --enabled",
                    shell::quote(name)
                )),
            );
        }
        Ok(Route { entry, outgoing })
    }

    /// Every mailbox that may send.
    pub fn senders(&self) -> impl Iterator<Item = MailboxEntry<'_>> {
        self.mailboxes().filter(|entry| entry.address.sender)
    }

    /// Refuses a message that would show its readers an author who may not send: each of `authors`,
    /// the addresses of its From, must be that of a queue that may send, unless the address that
    /// sends has `any_from: true`. Who has no full address is nobody to the world.
    ///
    /// # Errors
    /// `Refused`, naming the author; those of `authors`, which is not asked where anybody may be
    /// named.
    pub fn check_authors(
        &self,
        route: &Route<'_>,
        authors: impl FnOnce() -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<()> {
        if route.entry.address.any_from {
            return Ok(());
        }
        let authors = authors()?;
        let sender = &route.entry.address.address;
        let mut others = authors
            .iter()
            .filter(|a| !a.eq_ignore_ascii_case(sender.as_str()) && !is_local(a, ""))
            .peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let senders: HashSet<String> = self
            .senders()
            .map(|e| e.address.address.as_str().to_ascii_lowercase())
            .collect();
        let stranger = others.find(|author| !senders.contains(&author.to_ascii_lowercase()));
        let Some(author) = stranger else {
            return Ok(());
        };
        let author = author.escape_debug();
        // As Exchange's SendAsDenied: a permission is missing, here of the configuration.
        Err(Fault::no_access(format!(
            "the From field of the message is `{author}`, and `{sender}` may not send for others"
        ))
        .hint(format!(
            "put `{sender}` or another sender into From; if `{sender}` must send for `{author}` and others, as a mailing list does, set `any_from: true` for its address in the configuration"
        ))
        .into())
    }

    fn not_allowed(&self, sender: &str, entry: Option<MailboxEntry<'_>>) -> Fault {
        let fault = match entry {
            Some(entry) => Fault::refused(format!(
                "`{sender}` may not be used as a sender (queue `{}`)",
                entry.queue.name
            ))
            .hint(format!(
                "to allow it: queuemail queue set {} --address {} --sender",
                shell::quote(&entry.queue.name),
                shell::quote(sender)
            )),
            None => Fault::refused(format!(
                "no queue has the sender `{}`",
                sender.escape_debug()
            )),
        };
        let allowed: Vec<&str> = self.senders().map(|e| e.address.address.as_str()).collect();
        fault.hint(match allowed[..] {
            [] => "no address may send yet: queuemail queue set QUEUE --address ADDR --sender --outgoing NAME".to_owned(),
            _ => format!("{}; choose one with -f", named("senders", &allowed)),
        })
    }

    fn outgoing_servers(&self) -> String {
        let names: Vec<&str> = self.outgoing.iter().map(|s| s.name.as_str()).collect();
        match names[..] {
            [] => {
                "no outgoing server is configured: queuemail server add outgoing NAME …".to_owned()
            }
            _ => named("outgoing servers", &names),
        }
    }
}

/// Exchange Online's limits of a mailbox (facts as of 2026: 30 messages a minute, 3 connections,
/// 500 recipients of a message, 10,000 a day, 35 MB).
const EXCHANGE: Limits = Limits {
    messages_per_minute: Some(30),
    connections: Some(3),
    recipients_per_message: Some(500),
    recipients_per_day: Some(10_000),
    message_size: Some(35 << 20),
};

impl<'a> Route<'a> {
    /// How much the server takes of the mailbox: what the file says; else, at Microsoft's own
    /// hosts, Exchange Online's limits; else nothing is known.
    pub fn limits(&self, host: &str) -> Limits {
        let own = self.outgoing.limits.clone().unwrap_or_default();
        let usual = match Cloud::of_mail_host(host) {
            Some(_) => EXCHANGE,
            None => Limits::default(),
        };
        Limits {
            messages_per_minute: own.messages_per_minute.or(usual.messages_per_minute),
            connections: own.connections.or(usual.connections),
            recipients_per_message: own.recipients_per_message.or(usual.recipients_per_message),
            recipients_per_day: own.recipients_per_day.or(usual.recipients_per_day),
            message_size: own.message_size.or(usual.message_size),
        }
    }

    /// The mailbox that submits: the server's user if it is an address, else the sender. A GUID
    /// names a mailbox to Graph but not to XOAUTH2.
    pub fn user(&self) -> &'a str {
        self.outgoing
            .user
            .as_ref()
            .filter(|user| !user.is_guid())
            .map_or(self.entry.address.address.as_str(), |user| user.as_str())
    }

    /// The mailbox that submits by Graph: the server's user, a GUID or an address, else the
    /// sender.
    pub fn graph_user(&self) -> &'a str {
        let user = self.outgoing.user.as_ref();
        user.map_or(self.entry.address.address.as_str(), |user| user.as_str())
    }
}

/// True for an address that means somebody on this machine: without a domain (`root`), with a
/// domain that is no full name (`root@localhost`), or with the machine's own name. Such mail goes
/// out as and to whom the file's `defaults` say.
pub fn is_local(address: &str, machine: &str) -> bool {
    match address.rsplit_once('@') {
        None => true,
        Some((_, domain)) => {
            let literal = domain.starts_with('[');
            (!literal && !domain.trim_end_matches('.').contains('.'))
                || domain.eq_ignore_ascii_case("localhost.localdomain")
                || domain.eq_ignore_ascii_case(machine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use crate::model::Config;

    const CONFIG: &str = "
version: 1
incoming_servers:
  - { name: in, address: https://login.microsoftonline.us/contoso.example, authentication: oauth-service, client_id: app }
outgoing_servers:
  - { name: out, tenant: contoso.example, authentication: oauth-service, user: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1 }
  - { name: off, tenant: contoso.example, authentication: oauth-service, enabled: false }
  - { name: shared, tenant: contoso.example, authentication: oauth-service, user: relay@contoso.example, via: graph }
queues:
  - name: support
    addresses:
      - { address: Support@contoso.example, server: in, sender: true, outgoing_server: out }
      - { address: off@contoso.example, server: in, sender: true, outgoing_server: off }
      - { address: shared@contoso.example, server: in, sender: true, outgoing_server: shared }
      - { address: none@contoso.example, server: in, sender: true }
      - { address: reads@contoso.example, server: in, outgoing_server: out }
";

    #[test]
    fn this_machines_people_are_known() {
        for address in [
            "root",
            "root@localhost",
            "root@box",
            "www@web.contoso.example",
            "root@localhost.localdomain",
        ] {
            assert!(is_local(address, "web.contoso.example"), "{address}");
        }
        for address in ["a@contoso.example", "a@[192.0.2.1]"] {
            assert!(!is_local(address, "web.contoso.example"), "{address}");
        }
    }

    #[test]
    fn from_names_who_may_send_unless_the_address_may_send_for_anybody() {
        let may = |text: &str, authors: &[&str]| {
            let config: Config = serde_yaml::from_str(text).unwrap();
            let office = Office::link(&config).unwrap();
            let route = office.route("support@contoso.example").unwrap();
            let authors: Vec<String> = authors.iter().map(|&a| a.to_owned()).collect();
            office.check_authors(&route, || Ok(authors))
        };
        for authors in [
            &[][..],
            &["SUPPORT@contoso.example"],
            &["shared@contoso.example", "support@contoso.example"],
            &["root", "root@localhost"],
        ] {
            assert!(may(CONFIG, authors).is_ok(), "{authors:?}");
        }
        let anybody = CONFIG.replacen("sender: true", "sender: true, any_from: true", 1);
        for author in ["boss@contoso.example", "reads@contoso.example"] {
            let authors = ["support@contoso.example", author];
            let err = may(CONFIG, &authors).unwrap_err();
            assert_eq!(crate::fault::kind_of(&err), Kind::SignIn);
            assert!(err.to_string().contains(author), "{err}");
            assert!(may(&anybody, &authors).is_ok());
        }
    }

    #[test]
    fn a_queue_decides_who_may_send() {
        let config: Config = serde_yaml::from_str(CONFIG).unwrap();
        let office = Office::link(&config).unwrap();
        let found = office.route("support@CONTOSO.example").unwrap();
        assert_eq!(found.outgoing.name, "out");
        assert_eq!(found.user(), "Support@contoso.example");
        assert_eq!(found.outgoing.smtp().unwrap().host, "outlook.office365.us");
        for (sender, kind, words) in [
            ("off@contoso.example", Kind::Config, "is disabled"),
            (
                "none@contoso.example",
                Kind::Config,
                "has no outgoing server",
            ),
            ("reads@contoso.example", Kind::Refused, "may not be used"),
            ("who@contoso.example", Kind::Refused, "no queue has"),
        ] {
            let fault = office.route(sender).unwrap_err();
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.what.contains(words), "{fault}");
            assert!(!fault.hints.is_empty(), "{fault}");
        }
        let tight = found.limits("LOCALHOST");
        assert_eq!(tight, Limits::default());
        assert_eq!(found.limits("Outlook.office365.us").connections, Some(3));
        let shared = office.route("shared@contoso.example").unwrap();
        assert_eq!(shared.user(), "relay@contoso.example");
        assert_eq!(
            shared.outgoing.graph().unwrap(),
            "https://graph.microsoft.us"
        );
        // Graph takes the GUID that SMTP cannot sign in with.
        assert_eq!(found.graph_user(), "1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1");
    }
}
