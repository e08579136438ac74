//! What came and went each day: two charts of bars, and the same numbers in a table for those who
//! cannot see them, or want to know.

use super::thousands;
use crate::health::Day;
use crate::html::Html;
use jiff::civil::Date;

/// The room of a day in a chart, and of its bar; the height of the chart. Browsers stretch them.
const ROOM: usize = 10;
const BAR: usize = 7;
const HEIGHT: u64 = 100;

/// The charts, and the table.
pub fn charts(days: &[Day]) -> Html {
    let mut html = Html::new();
    html.raw("<section aria-labelledby=\"days\"><h2 id=\"days\">");
    if days.is_empty() {
        html.raw("Messages of each day</h2>")
            .raw("<p class=\"card\">No history is kept (<code>keep_history: 0d</code>), so that the messages of each day are not known.</p></section>\n");
        return html;
    }
    let title = match days.len() {
        1 => "Messages today".to_owned(),
        n => format!("Messages of the last {n} days"),
    };
    html.text(&title)
        .raw("</h2><div class=\"charts\">")
        .add(&chart("Fetched", days, |day| day.counts.fetched))
        .add(&chart("Sent", days, |day| day.counts.sent))
        .raw("</div>")
        .add(&table(days))
        .raw("</section>\n");
    html
}

fn chart(name: &str, days: &[Day], of: fn(&Day) -> u64) -> Html {
    let all: u64 = days.iter().map(of).sum();
    let most = days.iter().max_by_key(|day| of(day));
    let most = most.filter(|day| of(day) > 0);
    let peak = match most {
        Some(day) => format!("most {} on {}", thousands(of(day)), short(day.date)),
        None => "none".to_owned(),
    };
    let about = format!(
        "{name}: {} in {} days, {peak}. The table below has the numbers.",
        thousands(all),
        days.len()
    );
    let width = days.len() * ROOM;
    let mut html = Html::new();
    html.put("<figure class=\"card\"><figcaption><h3>", name, "</h3>")
        .put("<span class=\"soft\">", &peak, "</span></figcaption>")
        .put(
            "<svg class=\"bars\" role=\"img\" preserveAspectRatio=\"none\" viewBox=\"0 0 ",
            &width.to_string(),
            " 100\"",
        )
        .put(" aria-label=\"", &about, "\">");
    let scale = most.map_or(1, of);
    for (n, day) in days.iter().enumerate() {
        let count = of(day);
        let height = match count {
            0 => 0,
            // One message among many is to be seen, too.
            _ => (u128::from(count) * u128::from(HEIGHT) / u128::from(scale)).max(2) as u64,
        };
        let is_now = n + 1 == days.len();
        html.raw(if is_now {
            "<rect class=\"now\""
        } else {
            "<rect"
        })
        .put(" x=\"", &(n * ROOM).to_string(), "\"")
        .put(" y=\"", &(HEIGHT - height).to_string(), "\"")
        .put(" width=\"", &BAR.to_string(), "\"")
        .put(" height=\"", &height.to_string(), "\">")
        .put(
            "<title>",
            &format!("{}: {}", long(day.date), thousands(count)),
            "</title></rect>",
        );
    }
    html.raw("</svg><div class=\"days soft\" aria-hidden=\"true\">");
    if let [first, .., _] = days {
        html.put("<span>", &short(first.date), "</span>");
    }
    if days.len() > 14 {
        html.put("<span>", &short(days[days.len() / 2].date), "</span>");
    }
    html.raw("<span>today</span></div></figure>");
    html
}

/// The newest first.
fn table(days: &[Day]) -> Html {
    let mut html = Html::new();
    html.raw("<details><summary>The numbers of each day</summary><div class=\"card rows\"><table>")
        .raw("<thead><tr><th scope=\"col\">Day</th><th scope=\"col\" class=\"n\">Fetched</th>")
        .raw("<th scope=\"col\" class=\"n\">Sent</th><th scope=\"col\" class=\"n\">Not sent</th></tr></thead><tbody>");
    for day in days.iter().rev() {
        html.put(
            "<tr><th scope=\"row\"><time datetime=\"",
            &day.date.to_string(),
            "\">",
        )
        .put("", &long(day.date), "</time></th>");
        for count in [day.counts.fetched, day.counts.sent, day.counts.unsent] {
            html.put("<td class=\"n\">", &thousands(count), "</td>");
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div></details>");
    html
}

fn short(day: Date) -> String {
    day.strftime("%-d %b").to_string()
}

fn long(day: Date) -> String {
    day.strftime("%a %-d %b %Y").to_string()
}
