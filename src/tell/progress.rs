//! How far a run has come, on a terminal: bars while it runs, and one line that stays. Nothing where
//! nobody watches, or where something else is printed.

use crate::output::{LogFormat, Output, draws, eprintln_safe, escape};
use crate::wording::{bytes, messages};
use crate::workers::locked;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// At most so many mailboxes have a bar at the same time.
const BARS: usize = 16;

/// True where a person watches and nothing else is told meanwhile.
pub(super) fn is_watched(output: &Output) -> bool {
    let is_for_people = !output.json && output.log == LogFormat::Text;
    is_for_people && !output.quiet && output.verbose == 0 && std::io::stderr().is_terminal()
}

pub(super) fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// A bar for each mailbox that is fetched, and below them one for all.
pub struct Progress {
    bars: Option<Bars>,
}

struct Bars {
    multi: MultiProgress,
    all: ProgressBar,
    mailboxes: Mutex<HashMap<String, ProgressBar>>,
    start: Instant,
}

impl Progress {
    pub fn new(output: &Output) -> Progress {
        let is_watched = is_watched(output) && std::io::stdout().is_terminal();
        let bars = is_watched.then(|| {
            let multi = MultiProgress::new();
            let drawn = multi.clone();
            draws(Some(Arc::new(move |write| drawn.suspend(write))));
            let all = ProgressBar::no_length().with_message(bytes(0));
            let template = "{wide_bar} {human_pos} of {human_len}, {msg}, {eta} left";
            Bars {
                all: styled(multi.add(all), template),
                multi,
                mailboxes: Mutex::default(),
                start: Instant::now(),
            }
        });
        Progress { bars }
    }

    /// So many messages are about to be fetched of this mailbox.
    pub fn found(&self, address: &str, messages: u64) {
        let Some(bars) = self.bars.as_ref().filter(|_| messages > 0) else {
            return;
        };
        let mut mailboxes = locked(&bars.mailboxes);
        let known = bars.all.length().unwrap_or(0);
        bars.all.set_length(known + messages);
        if let Some(bar) = mailboxes.get(address) {
            return bar.inc_length(messages);
        }
        if mailboxes.len() >= BARS {
            return;
        }
        let bar = bars
            .multi
            .insert_before(&bars.all, ProgressBar::new(messages));
        let bar = styled(bar, "{prefix:30!} {wide_bar} {human_pos} of {human_len}");
        bar.set_prefix(escape(address));
        mailboxes.insert(address.to_owned(), bar);
    }

    /// One more message of a mailbox is done; `octets` in all so far.
    pub fn done(&self, address: &str, octets: u64) {
        let Some(bars) = &self.bars else { return };
        bars.all.set_message(amount(octets, bars.start.elapsed()));
        bars.all.inc(1);
        let mut mailboxes = locked(&bars.mailboxes);
        let Some(bar) = mailboxes.get(address) else {
            return;
        };
        bar.inc(1);
        if bar.length().is_some_and(|length| bar.position() >= length) {
            bar.finish_and_clear();
            bars.multi.remove(bar);
            mailboxes.remove(address);
        }
    }

    /// One more folder was compared with the records.
    pub fn audited(&self) {
        if let Some(bars) = &self.bars {
            if bars.all.position() == 0
                && let Ok(style) =
                    ProgressStyle::with_template("audited {human_pos} folders, {elapsed}")
            {
                bars.all.set_style(style);
            }
            bars.all.inc(1);
        }
    }

    /// Takes the bars away. Of what was fetched one line stays.
    pub fn end(&self, fetched: u64, octets: u64) {
        let Some(bars) = &self.bars else { return };
        bars.clear();
        if fetched > 0 {
            eprintln_safe(&sum("fetched", fetched, octets, bars.start.elapsed()));
        }
    }
}

impl Bars {
    fn clear(&self) {
        for (_, bar) in locked(&self.mailboxes).drain() {
            bar.finish_and_clear();
        }
        self.all.finish_and_clear();
        draws(None);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

/// So much in this time: `12 MB, 4 MB/s`.
fn amount(octets: u64, took: Duration) -> String {
    let rate = octets as f64 / took.as_secs_f64().max(0.001);
    format!("{}, {}/s", bytes(octets), bytes(rate as u64))
}

fn sum(done: &str, count: u64, octets: u64, took: Duration) -> String {
    format!(
        "{done} {}, {}, in {:.1} s",
        messages(count),
        bytes(octets),
        took.as_secs_f64()
    )
}

/// One bar for several messages that are sent, in place of a line for each.
pub struct Count {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Count {
    /// Of about so many messages; of a single one nothing is shown.
    pub fn new(output: &Output, about: usize, several: bool) -> Count {
        let bar = (several && is_watched(output)).then(|| {
            let bar = ProgressBar::new(u64::try_from(about).unwrap_or(u64::MAX));
            let template = "{wide_bar} {human_pos} of about {human_len}, {msg}, {eta} left";
            let bar = styled(bar, template).with_message(bytes(0));
            let drawn = bar.clone();
            draws(Some(Arc::new(move |write| drawn.suspend(write))));
            bar
        });
        Count {
            bar,
            start: Instant::now(),
        }
    }

    /// True where the bar is told in place of a line for each message.
    pub fn is_enough(&self) -> bool {
        self.bar.is_some() && std::io::stdout().is_terminal()
    }

    /// So many are done, and servers accepted so many octets.
    pub fn show(&self, done: u64, octets: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(amount(octets, self.start.elapsed()));
            bar.set_position(done);
        }
    }

    /// Takes the bar away. Of what servers accepted one line stays.
    pub fn end(&self, accepted: u64, octets: u64) {
        let Some(bar) = &self.bar else { return };
        bar.finish_and_clear();
        draws(None);
        if accepted > 0 {
            eprintln_safe(&sum("sent", accepted, octets, self.start.elapsed()));
        }
    }
}
