//! An error in, what to print and the exit code out; the only file full of Microsoft lore.
//!
//! It reads errors and nobody reads it but `lib`, so that advice can never steer the program.

use crate::fault::{Fault, kind_of};

/// An error as a person reads it.
pub struct Report {
    /// What we could not do.
    pub error: String,
    /// At most three.
    pub causes: Vec<String>,
    pub server_said: Option<String>,
    pub hints: Vec<String>,
    pub exit_code: u8,
}

pub fn report(err: &anyhow::Error) -> Report {
    let mut chain = err.chain().map(ToString::to_string);
    let error = chain.next().unwrap_or_default();
    let causes = chain.take(3).collect();
    let fault = err.downcast_ref::<Fault>();
    Report {
        error,
        causes,
        server_said: fault.and_then(|f| f.server_said.clone()),
        hints: fault.map(|f| f.hints.clone()).unwrap_or_default(),
        exit_code: kind_of(err).exit_code(),
    }
}
