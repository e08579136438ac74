//! The mailboxes, the hosts that share the state, and what will end, as tables that become cards on a narrow screen.

use super::{Page, number, thousands};
use crate::expiry::{self, Expiry, NOTICE};
use crate::health::{Host, Line};
use crate::html::{Html, Mark};
use crate::wording::span;

/// So many mailboxes that are well are shown at once; more are one click away.
const SHOWN: usize = 50;

/// The mailboxes, the worst first.
pub fn mailboxes(page: &Page<'_>) -> Html {
    let mut html = Html::new();
    let lines = &page.report.lines;
    if lines.is_empty() {
        return html;
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
    html.raw("<section aria-labelledby=\"mailboxes\"><h2 id=\"mailboxes\">Mailboxes</h2>");
    if !urgent.is_empty() {
        html.add(&table(page, urgent));
    }
    if !others.is_empty() {
        let summary = format!(
            "{} in state ok",
            number(others.len(), "mailbox", "mailboxes")
        );
        html.put("<details><summary>", &summary, "</summary>")
            .add(&table(page, others))
            .raw("</details>");
    }
    html.raw("</section>\n");
    html
}

/// Begins the table of the heading with this id: columns of text, then of numbers. The roles say
/// what browsers forget when a table is laid out otherwise.
fn head(
    html: &mut Html,
    heading: &'static str,
    class: &'static str,
    texts: &[&'static str],
    numbers: &[&'static str],
) {
    html.raw("<div class=\"card rows\"><table role=\"table\" class=\"")
        .raw(class)
        .raw("\" aria-labelledby=\"")
        .raw(heading)
        .raw("\"><thead role=\"rowgroup\"><tr role=\"row\">");
    for name in texts {
        html.put("<th role=\"columnheader\" scope=\"col\">", name, "</th>");
    }
    for name in numbers {
        html.put(
            "<th role=\"columnheader\" scope=\"col\" class=\"n\">",
            name,
            "</th>",
        );
    }
    html.raw("</tr></thead><tbody role=\"rowgroup\">");
}

fn table(page: &Page<'_>, lines: &[&Line<'_>]) -> Html {
    let mut html = Html::new();
    head(
        &mut html,
        "mailboxes",
        "cards wide",
        &["Mailbox", "State", "Last fetched", "Last message"],
        &["Delivered", "Pending", "Quarantine"],
    );
    for line in lines {
        row(&mut html, page, line);
    }
    html.raw("</tbody></table></div>");
    html
}

fn row(html: &mut Html, page: &Page<'_>, line: &Line<'_>) {
    let health = &line.health;
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><bdi>")
        .text(line.address)
        .put(
            "</bdi><small>queue <bdi>",
            line.queue,
            "</bdi></small></th>",
        );
    state(html, page, line);
    time(html, page, "Last fetched", health.last_success);
    time(html, page, "Last message", health.last_message);
    count(html, "Delivered", health.delivered);
    count(html, "Pending", health.backlog);
    count(html, "Quarantine", health.quarantined);
    html.raw("</tr>");
}

/// The state, and why it is no other.
fn state(html: &mut Html, page: &Page<'_>, line: &Line<'_>) {
    let (mark, word) = page.state(line);
    html.raw("<td role=\"cell\"><span class=\"state ")
        .raw(mark.name())
        .raw("\">")
        .mark(mark)
        .put("", &word, "</span>");
    match (&line.wait, &line.health.last_error) {
        (Some(wait), _) => {
            html.raw("<p class=\"soft\">until ")
                .add(&page.time(wait.until))
                .raw(": ")
                .sentence(&wait.reason)
                .raw("</p>");
        }
        (None, Some((_, error))) => {
            html.raw("<p class=\"soft\">").sentence(error).raw("</p>");
        }
        (None, None) => {}
    }
    html.raw("</td>");
}

/// How long ago, and when.
fn time(html: &mut Html, page: &Page<'_>, name: &'static str, at: Option<i64>) {
    html.put("<td role=\"cell\" data-of=\"", name, "\"><span>");
    match at {
        Some(at) => {
            let ago = span(page.report.at.as_second() - at);
            html.put("", &ago, " ago<small>")
                .add(&page.second(at))
                .raw("</small>");
        }
        None => {
            html.raw("never");
        }
    }
    html.raw("</span></td>");
}

fn count(html: &mut Html, name: &'static str, count: u64) {
    let class = match count {
        0 => "\" class=\"n zero\">",
        _ => "\" class=\"n\">",
    };
    html.put("<td role=\"cell\" data-of=\"", name, class)
        .put("", &thousands(count), "</td>");
}

/// Secrets and certificates that will end.
pub fn ends(page: &Page<'_>) -> Html {
    let mut html = Html::new();
    let mut ends: Vec<&Expiry> = page.report.ends.iter().collect();
    if ends.is_empty() {
        return html;
    }
    ends.sort_by_key(|end| end.at);
    html.raw("<section aria-labelledby=\"ends\"><h2 id=\"ends\">Secrets and certificates</h2>");
    head(
        &mut html,
        "ends",
        "cards",
        &["Server", "Credential", "State"],
        &[],
    );
    for end in ends {
        let mark = match end.at.as_second() - page.report.at.as_second() {
            left if left <= 0 => Mark::Bad,
            left if left < NOTICE => Mark::Warn,
            _ => Mark::Ok,
        };
        html.put(
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><bdi>",
            &end.server,
            "</bdi></th>",
        )
        .put(
            "<td role=\"cell\" data-of=\"Credential\">",
            end.kind,
            "</td>",
        )
        .raw("<td role=\"cell\" data-of=\"State\"><span class=\"state ")
        .raw(mark.name())
        .raw("\">")
        .mark(mark)
        .put(
            "",
            &expiry::ends(end.at, page.report.at),
            "</span></td></tr>",
        );
    }
    html.raw("</tbody></table></div></section>\n");
    html
}

/// The hosts that share the state, if any was at work lately.
pub fn hosts(page: &Page<'_>) -> Html {
    let mut html = Html::new();
    if page.report.hosts.is_empty() {
        return html;
    }
    html.raw("<section aria-labelledby=\"hosts\"><h2 id=\"hosts\">Hosts</h2>");
    head(
        &mut html,
        "hosts",
        "cards",
        &["Host", "Configuration", "Last seen"],
        &["Visits", "Messages"],
    );
    for Host { host, is_alike } in &page.report.hosts {
        let (mark, word) = match is_alike {
            Some(true) => (Mark::Ok, "same"),
            Some(false) => (Mark::Warn, "another"),
            None => (Mark::Info, "unknown"),
        };
        html.put(
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><bdi>",
            &host.name,
            "</bdi>",
        )
        .put(
            "<small>queuemail <bdi>",
            &host.version,
            "</bdi></small></th>",
        )
        .raw("<td role=\"cell\" data-of=\"Configuration\"><span class=\"state ")
        .raw(mark.name())
        .raw("\">")
        .mark(mark)
        .put("", word, "</span></td>");
        time(&mut html, page, "Last seen", Some(host.seen));
        count(&mut html, "Visits", host.visits);
        count(&mut html, "Messages", host.messages);
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div></section>\n");
    html
}
