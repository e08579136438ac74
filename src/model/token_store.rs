//! Where tokens are kept, if not in the state database.

/// A store of tokens outside of the state database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenStore {
    /// `keyring`: the desktop's (Secret Service) where the session has a bus, else the kernel's.
    Keyring,
    /// `{command: [program, argument…]}`: a program that gets, stores and erases them.
    Command(Vec<String>),
}
