//! RFC 6749 and friends: one exchange with the authorization server for each grant. Knows no
//! mail, no files but the credentials it is pointed at, no terminal.

mod answer;
mod assertion;
mod claims;
mod device;
mod exchange;
mod federation;
mod grant;
mod managed_identity;
mod redirect;
mod token;
mod trace;

#[cfg(any(fuzzing, test))]
pub mod fuzz;

pub use answer::Class;
pub use assertion::proof_of_possession;
pub use claims::Claims;
pub use grant::{Client, Credential};
pub use managed_identity::managed_identity;
pub use redirect::{Brought, ELSEWHERE, Redirect, pasted};
pub use token::{AccessToken, Granted};
