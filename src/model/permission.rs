//! Which permission lets a token serve which purpose: the one table of them.
//!
//! The names are the same in every cloud. They are those of Microsoft's page on OAuth for IMAP,
//! POP and SMTP and of Graph's permissions reference. What is not in the table opens nothing:
//! `full_access_as_app` is EWS's, and IMAP does not know it.

use super::{Authentication, Resource};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Imap,
    Pop,
    Smtp,
    GraphRead,
    GraphWrite,
    GraphSend,
    /// Whatever Graph serves of mail.
    Graph,
}

/// A permission, and who can hold it.
struct Permission {
    name: &'static str,
    /// An application, as a role.
    app: bool,
    /// A person, as a scope.
    person: bool,
}

const fn of_app(name: &'static str) -> Permission {
    Permission {
        name,
        app: true,
        person: false,
    }
}

const fn of_person(name: &'static str) -> Permission {
    Permission {
        name,
        app: false,
        person: true,
    }
}

const fn of_both(name: &'static str) -> Permission {
    Permission {
        name,
        app: true,
        person: true,
    }
}

const IMAP: &[Permission] = &[
    of_app("IMAP.AccessAsApp"),
    of_person("IMAP.AccessAsUser.All"),
];
const POP: &[Permission] = &[of_app("POP.AccessAsApp"), of_person("POP.AccessAsUser.All")];
const SMTP: &[Permission] = &[of_app("SMTP.SendAsApp"), of_person("SMTP.Send")];
const GRAPH_WRITE: &[Permission] = &[
    of_both("Mail.ReadWrite"),
    of_person("Mail.ReadWrite.Shared"),
];
const GRAPH_READ: &[Permission] = &[
    of_both("Mail.ReadWrite"),
    of_person("Mail.ReadWrite.Shared"),
    of_both("Mail.Read"),
    of_person("Mail.Read.Shared"),
];
const GRAPH_SEND: &[Permission] = &[of_both("Mail.Send"), of_person("Mail.Send.Shared")];
const GRAPH: &[Permission] = &[
    of_both("Mail.ReadWrite"),
    of_person("Mail.ReadWrite.Shared"),
    of_both("Mail.Read"),
    of_person("Mail.Read.Shared"),
    of_both("Mail.Send"),
    of_person("Mail.Send.Shared"),
];

impl Purpose {
    #[cfg(test)]
    pub const ALL: [Purpose; 7] = [
        Purpose::Imap,
        Purpose::Pop,
        Purpose::Smtp,
        Purpose::GraphRead,
        Purpose::GraphWrite,
        Purpose::GraphSend,
        Purpose::Graph,
    ];

    /// The purpose that a resource has where nothing more is known.
    pub fn of(resource: Resource) -> Purpose {
        match resource {
            Resource::Imap => Purpose::Imap,
            Resource::Pop => Purpose::Pop,
            Resource::Smtp => Purpose::Smtp,
            Resource::Graph => Purpose::Graph,
        }
    }

    pub fn resource(self) -> Resource {
        match self {
            Purpose::Imap => Resource::Imap,
            Purpose::Pop => Resource::Pop,
            Purpose::Smtp => Resource::Smtp,
            Purpose::GraphRead | Purpose::GraphWrite | Purpose::GraphSend | Purpose::Graph => {
                Resource::Graph
            }
        }
    }

    pub fn is_graph(self) -> bool {
        self.resource() == Resource::Graph
    }

    /// The permissions one of which serves it; the first that fits is the one to ask for.
    fn table(self) -> &'static [Permission] {
        match self {
            Purpose::Imap => IMAP,
            Purpose::Pop => POP,
            Purpose::Smtp => SMTP,
            Purpose::GraphRead => GRAPH_READ,
            Purpose::GraphWrite => GRAPH_WRITE,
            Purpose::GraphSend => GRAPH_SEND,
            Purpose::Graph => GRAPH,
        }
    }

    /// The names of the permissions that serve it for whoever signs in so; the first is the one
    /// to ask for.
    pub fn permissions(
        self,
        authentication: Authentication,
    ) -> impl Iterator<Item = &'static str> + Clone {
        let holds = move |permission: &&Permission| match authentication {
            Authentication::OauthService => permission.app,
            Authentication::OauthUser => permission.person,
        };
        self.table().iter().filter(holds).map(|p| p.name)
    }

    /// The names of all permissions that serve it, for people to choose from.
    pub fn all_permissions(self) -> String {
        let names: Vec<&str> = self.table().iter().map(|p| p.name).collect();
        names.join(", ")
    }

    /// The permission to ask for.
    pub fn main_permission(self, authentication: Authentication) -> &'static str {
        self.permissions(authentication).next().unwrap_or_default()
    }

    /// The permission that a person asks for; `other_mailbox`: for a mailbox that is not theirs,
    /// which Graph has permissions of its own for.
    pub fn scope(self, other_mailbox: bool) -> &'static str {
        let mut names = self.permissions(Authentication::OauthUser);
        let shared = names.clone().find(|name| name.ends_with(".Shared"));
        match shared.filter(|_| other_mailbox) {
            Some(shared) => shared,
            None => names.next().unwrap_or_default(),
        }
    }

    /// The permission that serves it among those that a token holds: `roles` of an application,
    /// `scopes` of a person.
    pub fn held<'t>(
        self,
        authentication: Authentication,
        roles: &'t [String],
        scopes: &'t [String],
    ) -> Option<&'t str> {
        let held = match authentication {
            Authentication::OauthService => roles,
            Authentication::OauthUser => scopes,
        };
        let serves = |own: &&String| self.permissions(authentication).any(|name| name == *own);
        held.iter().find(serves).map(String::as_str)
    }
}
