//! Ways to read and to send, and what a token must permit for them.

use crate::fault::{Fault, Kind, kind_of};
use crate::model::{Authentication, IncomingVia, OutgoingVia, Purpose, Resource};
use crate::oauth::Claims;
use crate::office::Route;
use crate::secret::Secret;

/// A way to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadWay {
    #[default]
    Imap,
    Graph,
}

impl ReadWay {
    /// The ways that a server allows, in the order in which they are tried.
    pub fn of(via: IncomingVia) -> &'static [ReadWay] {
        match via {
            IncomingVia::Imap => &[ReadWay::Imap],
            IncomingVia::Graph => &[ReadWay::Graph],
            IncomingVia::Auto => &[ReadWay::Imap, ReadWay::Graph],
        }
    }

    pub fn name(self) -> &'static str {
        self.resource().name()
    }

    pub fn resource(self) -> Resource {
        match self {
            ReadWay::Imap => Resource::Imap,
            ReadWay::Graph => Resource::Graph,
        }
    }

    /// What a token for this way must permit; `writes`: mail is marked, moved or deleted.
    pub fn purpose(self, writes: bool) -> Purpose {
        match (self, writes) {
            (ReadWay::Imap, _) => Purpose::Imap,
            (ReadWay::Graph, true) => Purpose::GraphWrite,
            (ReadWay::Graph, false) => Purpose::GraphRead,
        }
    }
}

/// A way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendWay {
    Smtp,
    Graph,
}

impl SendWay {
    /// The ways that a server allows, in the order in which they are tried.
    pub fn of(via: OutgoingVia) -> &'static [SendWay] {
        match via {
            OutgoingVia::Smtp => &[SendWay::Smtp],
            OutgoingVia::Graph => &[SendWay::Graph],
            OutgoingVia::Auto => &[SendWay::Smtp, SendWay::Graph],
        }
    }

    pub fn name(self) -> &'static str {
        self.resource().name()
    }

    pub fn resource(self) -> Resource {
        match self {
            SendWay::Smtp => Resource::Smtp,
            SendWay::Graph => Resource::Graph,
        }
    }

    pub(super) fn other(self) -> SendWay {
        match self {
            SendWay::Smtp => SendWay::Graph,
            SendWay::Graph => SendWay::Smtp,
        }
    }

    /// What a token for this way must permit.
    pub fn purpose(self) -> Purpose {
        match self {
            SendWay::Smtp => Purpose::Smtp,
            SendWay::Graph => Purpose::GraphSend,
        }
    }

    /// Whose mailbox submits.
    pub fn user<'a>(self, route: &Route<'a>) -> &'a str {
        match self {
            SendWay::Smtp => route.user(),
            SendWay::Graph => route.graph_user(),
        }
    }
}

/// What a token says of the permission for a purpose.
pub(super) enum Permission {
    /// It names this one.
    Held(String),
    /// It names none. That need not be the last word: a role that Exchange gives an app (RBAC for
    /// Applications) stands in no token.
    Missing(Fault),
}

impl Permission {
    pub fn of(token: &Secret, authentication: Authentication, purpose: Purpose) -> Permission {
        // A token need not be readable; then the service alone decides.
        let Some(claims) = Claims::of(token.expose()) else {
            return Permission::Held("an unknown permission".to_owned());
        };
        match purpose.held(authentication, &claims.roles, &claims.scopes) {
            Some(held) => Permission::Held(held.to_owned()),
            None => {
                let way = purpose.resource().name();
                let what = format!("the token has no permission for {way}");
                let missing = Fault::no_access(what);
                Permission::Missing(missing.hint(to_grant(purpose)))
            }
        }
    }
}

/// What an administrator does where a permission is missing.
pub(super) fn to_grant(purpose: Purpose) -> String {
    format!("grant the app one of: {}", purpose.all_permissions())
}

/// Another way may do better, because this one is not permitted, and not merely out of order.
pub fn is_about_the_way(err: &anyhow::Error) -> bool {
    matches!(
        kind_of(err),
        Kind::SignIn | Kind::UnknownRecipient | Kind::Refused
    )
}
