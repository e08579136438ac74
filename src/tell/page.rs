//! `status --html`: the health of all mailboxes as one page for a browser. It has no script, so that
//! it shows what was written; what is urgent comes first.

mod chart;
mod tables;

use super::file::cannot_write;
use super::status;
use crate::fault::Fault;
use crate::files;
use crate::health::{Condition, Day, Line, Report, is_critical};
use crate::html::{self, Html, Mark, Sentence};
use crate::output::Output;
use crate::state::Incident;
use crate::wording::{counted, span};
use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::Path;

/// So many mailboxes of an incident are named.
const NAMED: usize = 20;

/// What the page is made of.
pub struct Page<'r> {
    report: &'r Report<'r>,
    problems: &'r [Fault],
    /// A mailbox that was not fetched for so many seconds is late.
    max_age: u32,
    /// The last days; none without a history.
    days: &'r [Day],
    /// Of all times on the page.
    zone: TimeZone,
}

/// Replaces the file atomically; `-` is standard output. Others may read it, if the umask lets them: it
/// has addresses and errors, and no secret.
///
/// # Errors
/// `CannotWrite`.
pub fn write(output: &Output, path: &Path, page: &Page<'_>) -> Result<()> {
    let replace = |text: &[u8]| files::replace_by_umask(path, text, 0o644);
    output
        .put(path, page.text().as_bytes(), replace)
        .map_err(|err| cannot_write("the page", path, &err))
}

impl<'r> Page<'r> {
    pub fn new(
        report: &'r Report<'r>,
        problems: &'r [Fault],
        max_age: u32,
        days: &'r [Day],
        zone: TimeZone,
    ) -> Page<'r> {
        Page {
            report,
            problems,
            max_age: report.longest_age(max_age),
            days,
            zone,
        }
    }

    fn text(&self) -> String {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let (mark, headline, more) = self.verdict();
        let (at, version) = (self.report.at, env!("CARGO_PKG_VERSION"));
        let body = Html::of(
            include_str!("page/body.html"),
            &[
                &&*host,
                &self.time_as(at, "%-d %b %Y, %H:%M %Z"),
                &html::verdict(mark, &headline, &more),
                &self.tiles(),
                &self.problems(),
                &self.incidents(),
                &chart::charts(self.days),
                &tables::mailboxes(self),
                &tables::hosts(self),
                &tables::ends(self),
                &self.time_as(at, "%-d %b %Y at %H:%M:%S %Z (UTC%:z)"),
                &version,
            ],
        );
        html::page(&format!("{headline} – queuemail on {host}"), mark, &body)
    }

    /// What somebody should know who has a second.
    fn verdict(&self) -> (Mark, String, String) {
        let lines = &self.report.lines;
        let late = lines.iter().filter(|line| self.is_late(line)).count();
        let failing = lines.iter().filter(|line| self.state(line).0 != Mark::Ok);
        let failing = counted(failing.count(), "mailbox", "mailboxes");
        let of_mailboxes = |n| counted(n, "mailbox is", "mailboxes are");
        let fetched = match (late, lines.len()) {
            (_, 0) => "No mailbox is configured".to_owned(),
            (0, 1) => format!("The mailbox was {}", self.within()),
            (_, 1) => format!("The mailbox was not {}", self.within()),
            (0, all) => format!("All {all} mailboxes were {}", self.within()),
            (late, all) if all - late == 1 => format!("1 of {all} mailboxes was {}", self.within()),
            (late, all) => format!("{} of {all} mailboxes were {}", all - late, self.within()),
        };
        let bad = self.problems.iter().filter(|p| is_critical(p)).count();
        let warnings = counted(self.problems.len() - bad, "warning", "warnings");
        let (mark, headline) = match (late, self.problems.len()) {
            (1.., _) => (Mark::Bad, format!("{} not fetched", of_mailboxes(late))),
            (0, 1..) => (
                Mark::Warn,
                "Mail flows, but something waits for you".to_owned(),
            ),
            (0, 0) if lines.is_empty() => (Mark::Info, "Nothing to fetch".to_owned()),
            (0, 0) if lines.iter().any(|line| self.state(line).0 != Mark::Ok) => (
                Mark::Warn,
                format!("Mail flows, but the last run of {failing} failed"),
            ),
            (0, 0) => (Mark::Ok, "Everything works".to_owned()),
        };
        let more = match (bad, self.problems.len()) {
            (_, 0) => format!("{fetched}."),
            (0, _) => format!("{fetched}. {warnings}."),
            (bad, _) => {
                let bad = counted(bad, "critical problem", "critical problems");
                format!("{fetched}. {bad}, {warnings}.")
            }
        };
        (mark, headline, more)
    }

    fn within(&self) -> String {
        format!("fetched within the last {}", span(self.max_age.into()))
    }

    /// True if a mailbox was not fetched of late, or never.
    fn is_late(&self, line: &Line<'_>) -> bool {
        !line.is_fetched(self.report.at, self.max_age)
    }

    /// The state of a mailbox as a word, and how urgent it is.
    fn state(&self, line: &Line<'_>) -> (Mark, String) {
        let is_late = self.is_late(line);
        let condition = line.condition();
        let mark = match condition {
            _ if is_late => Mark::Bad,
            Condition::Ok => Mark::Ok,
            _ => Mark::Warn,
        };
        let word = match condition {
            Condition::Ok if is_late => "not fetched".to_owned(),
            _ => status::word(condition),
        };
        (mark, word)
    }

    /// The numbers that matter most.
    fn tiles(&self) -> Html {
        let lines = &self.report.lines;
        let ok = lines.iter().filter(|line| self.state(line).0 == Mark::Ok);
        let mailboxes = match ok.count() {
            n if n == lines.len() => "all ok".to_owned(),
            n => format!("{n} ok, {} not", lines.len() - n),
        };
        let quarantined = self.report.sum(|line| line.health.quarantined);
        let for_you = match quarantined {
            0 => "nothing waits for you",
            _ => "waits for you",
        };
        let pending = self.report.sum(|line| line.health.backlog);
        let outbox = &self.report.outbox;
        Html::of(
            "<section aria-label=\"Summary\"><dl class=\"tiles\">{}{}{}{}{}</dl></section>\n",
            &[
                &tile("Mailboxes", lines.len() as u64, &mailboxes),
                &self.tiles_of_days(),
                &tile("Pending", pending, "to be tried again"),
                &tile("Quarantine", quarantined, for_you),
                &tile("Outbox", outbox.waiting, &self.of_outbox()),
            ],
        )
    }

    fn tiles_of_days(&self) -> Html {
        let of_days = |name: &'static str, of: fn(&Day) -> u64| {
            let all = thousands(self.days.iter().map(of).sum());
            let all = format!("{all} in {}", counted(self.days.len(), "day", "days"));
            self.days.last().map(|today| tile(name, of(today), &all))
        };
        let fetched = of_days("Fetched today", |day| day.counts.fetched);
        let sent = of_days("Sent today", |day| day.counts.sent);
        fetched.into_iter().chain(sent).collect()
    }

    fn of_outbox(&self) -> String {
        let outbox = &self.report.outbox;
        let age = outbox.oldest.map(|at| self.report.at.as_second() - at);
        match (outbox.unknown, outbox.failed, age) {
            (0, 0, None) => "nothing waits".to_owned(),
            (0, 0, Some(age)) => {
                // One word, so that it is not torn apart.
                let age = span(age).replace(' ', "\u{a0}");
                format!("waiting, oldest\u{a0}{age}")
            }
            (unknown, failed, _) => format!("waiting; {unknown} unknown, {failed} failed"),
        }
    }

    /// What needs a person, the worst first.
    fn problems(&self) -> Html {
        if self.problems.is_empty() {
            return Html::new();
        }
        let mut problems: Vec<&Fault> = self.problems.iter().collect();
        problems.sort_by_key(|fault| mark_of(fault));
        let one = |fault: &Fault| {
            let mark = mark_of(fault);
            let word = match mark {
                Mark::Bad => "Critical",
                _ => "Warning",
            };
            let hints = fault.hints.iter().map(|text| hint(text));
            Html::of(
                "<li>{}<div><p><b>{}:</b> {}</p>{}</div></li>",
                &[
                    &mark,
                    &word,
                    &Sentence(&fault.what),
                    &hints.collect::<Html>(),
                ],
            )
        };
        Html::of(
            "<section aria-labelledby=\"problems\"><h2 id=\"problems\">Problems</h2><ul class=\"card list\">{}</ul></section>\n",
            &[&problems.into_iter().map(one).collect::<Html>()],
        )
    }

    /// What fails as one, and whom it concerns.
    fn incidents(&self) -> Html {
        if self.report.incidents.is_empty() {
            return Html::new();
        }
        let all = self.report.incidents.iter().map(|one| self.incident(one));
        Html::of(
            "<section aria-labelledby=\"incidents\"><h2 id=\"incidents\">Incidents</h2><ul class=\"card list\">{}</ul></section>\n",
            &[&all.collect::<Html>()],
        )
    }

    fn incident(&self, incident: &Incident) -> Html {
        let mailboxes = &incident.mailboxes;
        // The name of an incident of one mailbox has it.
        let is_told = mailboxes.iter().all(|own| *own == incident.name.subject);
        let named: Vec<&str> = mailboxes.iter().take(NAMED).map(String::as_str).collect();
        let named = match mailboxes.len() - named.len() {
            0 => named.join(", "),
            others => format!("{} and {others} more", named.join(", ")),
        };
        let named = match is_told {
            true => Html::new(),
            false => Html::of("<p class=\"soft\">Mailboxes: {}</p>", &[&named]),
        };
        Html::of(
            "<li>{}<div><p><b>{}</b> since {} ({})</p><p>{}</p>{}</div></li>",
            &[
                &Mark::Warn,
                &incident.name.to_string(),
                &self.second(incident.opened_at),
                &span(self.report.at.as_second() - incident.opened_at),
                &Sentence(&incident.reason),
                &named,
            ],
        )
    }

    /// A time as people of this host read it, with its zone, and as programs do. What everybody
    /// knows of the day is left out.
    fn time(&self, at: Timestamp) -> Html {
        let local = at.to_zoned_datetime(self.zone.clone());
        let now = self.report.at.to_zoned_datetime(self.zone.clone());
        let form = match () {
            () if local.date() == now.date() => "%H:%M %Z",
            () if local.year() == now.year() => "%-d %b, %H:%M %Z",
            () => "%-d %b %Y, %H:%M %Z",
        };
        self.time_as(at, form)
    }

    fn time_as(&self, at: Timestamp, form: &str) -> Html {
        let local = at.to_zoned_datetime(self.zone.clone());
        let machine = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Html::of(
            "<time datetime=\"{}\">{}</time>",
            &[&machine, &local.strftime(form).to_string()],
        )
    }

    /// The same of Unix seconds.
    fn second(&self, at: i64) -> Html {
        Timestamp::from_second(at).map_or_else(|_| Html::new(), |at| self.time(at))
    }
}

/// A number with its name above and what it means below.
fn tile(name: &str, number: u64, more: &str) -> Html {
    Html::of(
        "<div class=\"card\"><dt>{}</dt><dd>{}</dd><dd>{}</dd></div>",
        &[&name, &thousands(number), &more],
    )
}

/// How urgent a problem is, as `status --check` has it.
fn mark_of(problem: &Fault) -> Mark {
    match is_critical(problem) {
        true => Mark::Bad,
        false => Mark::Warn,
    }
}

/// A hint, in which commands are marked: `what for: command; what for: command`.
fn hint(text: &str) -> Html {
    let mut html = Html::new();
    for (n, part) in text.split("; ").enumerate() {
        if n > 0 {
            html.fill("; ", &[]);
        }
        match part.split_once(": queuemail ") {
            Some((purpose, arguments)) => html.fill(
                "{}: <code>queuemail {}</code>",
                &[&Sentence(purpose), &arguments],
            ),
            None => html.fill("{}", &[&Sentence(part)]),
        };
    }
    Html::of("<p class=\"soft\">{}</p>", &[&html])
}

/// A number in groups of three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
