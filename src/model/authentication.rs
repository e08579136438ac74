//! Who signs in to a server.

use crate::wording::words;
use serde::Deserialize;

/// Who signs in.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// The program itself: client credentials, application permissions (RFC 6749 §4.4).
    OauthService,
    /// A person's account: delegated permissions.
    OauthUser,
}

words!(Authentication { OauthService = "oauth-service", OauthUser = "oauth-user" });
