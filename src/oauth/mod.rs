//! RFC 6749 and friends: one exchange with the authorization server for each grant. Knows no
//! mail, no files but the credentials it is pointed at, no terminal.

mod answer;
mod assertion;
mod claims;
mod grant;
mod token;

pub use answer::{Class, GrantError};
pub use claims::Claims;
pub use grant::{Client, Credential, Granted};
pub use token::AccessToken;
