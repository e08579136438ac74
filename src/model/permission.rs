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

/// Who can hold a permission: an application as a role, a person as a scope.
#[derive(Clone, Copy, PartialEq)]
enum Holder {
    App,
    Person,
    Both,
}

/// Each permission, who can hold it, and what it serves. Of several that serve a purpose, the first is
/// the one to ask for.
static TABLE: [(&str, Holder, &[Purpose]); 12] = {
    use Holder::{App, Both, Person};
    use Purpose::{Graph, GraphRead, GraphSend, GraphWrite, Imap, Pop, Smtp};
    [
        ("IMAP.AccessAsApp", App, &[Imap]),
        ("IMAP.AccessAsUser.All", Person, &[Imap]),
        ("POP.AccessAsApp", App, &[Pop]),
        ("POP.AccessAsUser.All", Person, &[Pop]),
        ("SMTP.SendAsApp", App, &[Smtp]),
        ("SMTP.Send", Person, &[Smtp]),
        ("Mail.ReadWrite", Both, &[GraphWrite, GraphRead, Graph]),
        (
            "Mail.ReadWrite.Shared",
            Person,
            &[GraphWrite, GraphRead, Graph],
        ),
        ("Mail.Read", Both, &[GraphRead, Graph]),
        ("Mail.Read.Shared", Person, &[GraphRead, Graph]),
        ("Mail.Send", Both, &[GraphSend, Graph]),
        ("Mail.Send.Shared", Person, &[GraphSend, Graph]),
    ]
};

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

    /// The names of the permissions that serve it for whoever signs in so; the first is the one
    /// to ask for.
    pub fn permissions(
        self,
        authentication: Authentication,
    ) -> impl Iterator<Item = &'static str> + Clone {
        let other = match authentication {
            Authentication::OauthService => Holder::Person,
            Authentication::OauthUser => Holder::App,
        };
        let serving = TABLE
            .iter()
            .filter(move |(.., serves)| serves.contains(&self));
        serving
            .filter(move |(_, holder, _)| *holder != other)
            .map(|(name, ..)| *name)
    }

    /// The names of all permissions that serve it, for people to choose from.
    pub fn all_permissions(self) -> String {
        let serving = TABLE.iter().filter(|(.., serves)| serves.contains(&self));
        let names: Vec<&str> = serving.map(|(name, ..)| *name).collect();
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
