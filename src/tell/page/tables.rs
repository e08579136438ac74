//! The mailboxes, the hosts that share the state, and what will end, as tables that become cards on a narrow screen.

use super::{Page, thousands};
use crate::expiry::{self, Expiry, NOTICE};
use crate::health::{Host, Line};
use crate::html::{Html, Mark, Sentence};
use crate::wording::{counted, span};

/// So many mailboxes that are well are shown at once; more are one click away.
const SHOWN: usize = 50;

/// The mailboxes, the worst first.
pub fn mailboxes(page: &Page<'_>) -> Html {
    let lines = &page.report.lines;
    if lines.is_empty() {
        return Html::new();
    }
    let mut sorted: Vec<&Line<'_>> = lines.iter().collect();
    sorted.sort_by_key(|line| page.state(line).0);
    let not_well = sorted
        .iter()
        .filter(|line| page.state(line).0 != Mark::Ok)
        .count();
    let (urgent, others) = match lines.len() - not_well {
        well if well <= SHOWN => sorted.split_at(lines.len()),
        _ => sorted.split_at(not_well),
    };
    let urgent = Some(urgent).filter(|some| !some.is_empty());
    let others = Some(others).filter(|some| !some.is_empty()).map(|others| {
        let number = counted(others.len(), "mailbox", "mailboxes");
        Html::of(
            "<details><summary>{} in state ok</summary>{}</details>",
            &[&number, &table(page, others)],
        )
    });
    let urgent = urgent.map(|urgent| table(page, urgent));
    Html::of(
        "<section aria-labelledby=\"mailboxes\"><h2 id=\"mailboxes\">Mailboxes</h2>{}</section>\n",
        &[&urgent.into_iter().chain(others).collect::<Html>()],
    )
}

/// The table below the heading with this id: columns of text, then of numbers. The roles say what
/// browsers forget when a table is laid out otherwise.
fn of_rows(heading: &str, class: &str, texts: &[&str], numbers: &[&str], rows: Html) -> Html {
    let text = |name| Html::of(r#"<th role="columnheader" scope="col">{}</th>"#, &[name]);
    let number = |name| {
        let markup = r#"<th role="columnheader" scope="col" class="n">{}</th>"#;
        Html::of(markup, &[name])
    };
    let texts = texts.iter().map(|name| text(name));
    let names: Html = texts
        .chain(numbers.iter().map(|name| number(name)))
        .collect();
    Html::of(
        r#"<div class="card rows"><table role="table" class="{}" aria-labelledby="{}"><thead role="rowgroup"><tr role="row">{}</tr></thead><tbody role="rowgroup">{}</tbody></table></div>"#,
        &[&class, &heading, &names, &rows],
    )
}

fn table(page: &Page<'_>, lines: &[&Line<'_>]) -> Html {
    of_rows(
        "mailboxes",
        "cards wide",
        &["Mailbox", "State", "Last fetched", "Last message"],
        &["Delivered", "Pending", "Quarantine"],
        lines.iter().map(|line| row(page, line)).collect(),
    )
}

fn row(page: &Page<'_>, line: &Line<'_>) -> Html {
    let health = &line.health;
    Html::of(
        r#"<tr role="row"><th role="rowheader" scope="row"><bdi>{}</bdi><small>queue <bdi>{}</bdi></small></th>{}{}{}{}{}{}</tr>"#,
        &[
            &line.address,
            &line.queue,
            &state(page, line),
            &time(page, "Last fetched", health.last_success),
            &time(page, "Last message", health.last_message),
            &count("Delivered", health.delivered),
            &count("Pending", health.backlog),
            &count("Quarantine", health.quarantined),
        ],
    )
}

/// The state, and why it is no other.
fn state(page: &Page<'_>, line: &Line<'_>) -> Html {
    let (mark, word) = page.state(line);
    let why = match (&line.wait, &line.health.last_error) {
        (Some(wait), _) => Html::of(
            "<p class=\"soft\">until {}: {}</p>",
            &[&page.time(wait.until), &Sentence(&wait.reason)],
        ),
        (None, Some((_, error))) => Html::of("<p class=\"soft\">{}</p>", &[&Sentence(error)]),
        (None, None) => Html::new(),
    };
    Html::of(
        r#"<td role="cell"><span class="state {}">{}{}</span>{}</td>"#,
        &[&mark.name(), &mark, &word, &why],
    )
}

/// How long ago, and when.
fn time(page: &Page<'_>, name: &str, at: Option<i64>) -> Html {
    let shown = match at {
        Some(at) => {
            let ago = span(page.report.at.as_second() - at);
            Html::of("{} ago<small>{}</small>", &[&ago, &page.second(at)])
        }
        None => Html::of("never", &[]),
    };
    Html::of(
        r#"<td role="cell" data-of="{}"><span>{}</span></td>"#,
        &[&name, &shown],
    )
}

fn count(name: &str, count: u64) -> Html {
    let class = match count {
        0 => "n zero",
        _ => "n",
    };
    Html::of(
        r#"<td role="cell" data-of="{}" class="{}">{}</td>"#,
        &[&name, &class, &thousands(count)],
    )
}

/// Secrets and certificates that will end.
pub fn ends(page: &Page<'_>) -> Html {
    let mut ends: Vec<&Expiry> = page.report.ends.iter().collect();
    if ends.is_empty() {
        return Html::new();
    }
    ends.sort_by_key(|end| end.at);
    let row = |end: &Expiry| {
        let mark = match end.at.as_second() - page.report.at.as_second() {
            left if left <= 0 => Mark::Bad,
            left if left < NOTICE => Mark::Warn,
            _ => Mark::Ok,
        };
        Html::of(
            r#"<tr role="row"><th role="rowheader" scope="row"><bdi>{}</bdi></th><td role="cell" data-of="Credential">{}</td><td role="cell" data-of="State"><span class="state {}">{}{}</span></td></tr>"#,
            &[
                &end.server,
                &end.kind,
                &mark.name(),
                &mark,
                &expiry::ends(end.at, page.report.at),
            ],
        )
    };
    let columns = ["Server", "Credential", "State"];
    let rows = ends.into_iter().map(row).collect();
    Html::of(
        "<section aria-labelledby=\"ends\"><h2 id=\"ends\">Secrets and certificates</h2>{}</section>\n",
        &[&of_rows("ends", "cards", &columns, &[], rows)],
    )
}

/// The hosts that share the state, if any was at work lately.
pub fn hosts(page: &Page<'_>) -> Html {
    if page.report.hosts.is_empty() {
        return Html::new();
    }
    let row = |Host { host, is_alike }: &Host| {
        let (mark, word) = match is_alike {
            Some(true) => (Mark::Ok, "same"),
            Some(false) => (Mark::Warn, "another"),
            None => (Mark::Info, "unknown"),
        };
        Html::of(
            r#"<tr role="row"><th role="rowheader" scope="row"><bdi>{}</bdi><small>queuemail <bdi>{}</bdi></small></th><td role="cell" data-of="Configuration"><span class="state {}">{}{}</span></td>{}{}{}</tr>"#,
            &[
                &host.name,
                &host.version,
                &mark.name(),
                &mark,
                &word,
                &time(page, "Last seen", Some(host.seen)),
                &count("Visits", host.visits),
                &count("Messages", host.messages),
            ],
        )
    };
    let columns = ["Host", "Configuration", "Last seen"];
    let rows = page.report.hosts.iter().map(row).collect();
    Html::of(
        "<section aria-labelledby=\"hosts\"><h2 id=\"hosts\">Hosts</h2>{}</section>\n",
        &[&of_rows(
            "hosts",
            "cards",
            &columns,
            &["Visits", "Messages"],
            rows,
        )],
    )
}
