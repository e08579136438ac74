//! What a renewal asks of whoever runs it.

use crate::model::Day;
use crate::secret::Secret;
use anyhow::Result;
use std::path::Path;

/// Whoever runs a renewal: the person, if there is one, and the configuration.
pub trait Caller {
    /// Asks whether to go on.
    ///
    /// # Errors
    /// `Usage`: no.
    fn confirm(&self, question: &str) -> Result<()>;

    /// The file of the configuration.
    fn configuration(&self) -> &Path;

    /// Writes a server's new secret into the configuration.
    fn write_secret(&self, server: &str, secret: &Secret) -> Result<()>;

    /// Writes into the configuration when a server's secret expires.
    fn write_end(&self, server: &str, end: Day) -> Result<()>;
}
