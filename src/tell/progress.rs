//! How far a run has come, on a terminal.

use crate::output::{LogFormat, Output};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// One line on standard error: messages and octets fetched of those found so far, how fast, and
/// what is left. Nothing where nobody watches, or where something else is printed.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new(output: &Output) -> Progress {
        let watched = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        if !watched
            || output.quiet
            || output.json
            || output.verbose > 0
            || output.log != LogFormat::Text
        {
            return Progress { bar: None };
        }
        let template =
            "{msg}: {human_pos} of {human_len} messages, {prefix}, {per_sec}, {eta} left";
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar: Some(bar) }
    }

    /// So many messages are about to be fetched of this mailbox.
    pub fn found(&self, address: &str, messages: u64) {
        if let Some(bar) = &self.bar
            && messages > 0
        {
            bar.inc_length(messages);
            bar.set_message(address.to_owned());
        }
    }

    /// One more is done; `octets` in all so far.
    pub fn done(&self, octets: u64) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(indicatif::HumanBytes(octets).to_string());
            bar.inc(1);
        }
    }

    /// Prints something else between.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The same of messages that are sent, where nothing is known of each: how many are done.
pub struct Count {
    about: usize,
    wanted: bool,
}

impl Count {
    /// Of about so many messages; of a single one nothing is shown.
    pub fn new(output: &Output, about: usize, several: bool) -> Count {
        let wanted = several
            && !output.quiet
            && !output.json
            && output.verbose == 0
            && output.log == LogFormat::Text
            && std::io::stderr().is_terminal()
            && !std::io::stdout().is_terminal();
        Count { about, wanted }
    }

    pub fn show(&self, done: u64) {
        if self.wanted {
            let about = self.about;
            let _ = write!(std::io::stderr(), "\r{done} of about {about} messages");
        }
    }

    pub fn end(&self) {
        if self.wanted {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
