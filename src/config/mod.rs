//! The YAML file: what it may hold, how it is read, checked and edited.
//!
//! `model` is plain data; `load` reads and checks a file and points at mistakes with file, line,
//! column and a suggestion; `edit` changes one place and leaves every other byte alone; `cloud`
//! knows which hosts and scopes follow from a login host.

mod cloud;
mod load;
mod model;
pub mod resolve;
mod secret_source;

pub use cloud::{Authority, Cloud, Resource};
pub use load::load;
pub use model::*;
pub use secret_source::SecretSource;
