//! Secrets and certificates that renew themselves: a new credential is made, registered by the app's
//! own right, tried, and put where the old one is; later the old one is removed.
//!
//! The order is the promise, for a run may end between any two steps:
//!
//! 1. that a renewal begins is on record, with the name that the new credential will have
//! 2. a new certificate is on disk, private, before it is registered; a new secret, which Entra ID
//!    makes, directly after. A secret that was made and never arrived here is found by its name, and
//!    removed
//! 3. Entra ID gives a token for the new credential, before
//! 4. it takes the place of the old one, in one step: until then the old one is used, from then on
//!    the new one, and both are valid
//! 5. the old one is removed once its grace is over, if what is configured is still the new one and
//!    Entra ID gives a token for it
//!
//! - `run`: the steps, on `work`; in each `plan`, `register` and `retire` do their part
//! - `credential`, `place`: a secret or certificate, and where one is
//! - `registry`: the app registration, by Microsoft Graph
//! - `sign_in`: tokens for a credential that is at hand
//! - `caller`: what is asked of whoever runs it

mod caller;
mod credential;
mod place;
mod plan;
mod register;
mod registry;
mod retire;
mod run;
mod sign_in;
mod work;

pub use caller::Caller;
pub use run::rotate;
pub use work::{Order, Outcome, Until};
