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
    if days.is_empty() {
        return Html::of(
            "<section aria-labelledby=\"days\"><h2 id=\"days\">Messages of each day</h2><p class=\"card\">No history is kept (<code>keep_history: 0d</code>), so that the messages of each day are not known.</p></section>\n",
            &[],
        );
    }
    let title = match days.len() {
        1 => "Messages today".to_owned(),
        n => format!("Messages of the last {n} days"),
    };
    Html::of(
        "<section aria-labelledby=\"days\"><h2 id=\"days\">{}</h2><div class=\"charts\">{}{}</div>{}</section>\n",
        &[
            &title,
            &chart("Fetched", days, |day| day.counts.fetched),
            &chart("Sent", days, |day| day.counts.sent),
            &table(days),
        ],
    )
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
    let scale = most.map_or(1, of);
    let bar = |(n, day): (usize, &Day)| {
        let count = of(day);
        let height = match count {
            0 => 0,
            // One message among many is to be seen, too.
            _ => (u128::from(count) * u128::from(HEIGHT) / u128::from(scale)).max(2) as u64,
        };
        let class = match n + 1 == days.len() {
            true => Html::of(" class=\"now\"", &[]),
            false => Html::new(),
        };
        Html::of(
            r#"<rect{} x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
            &[
                &class,
                &(n * ROOM).to_string(),
                &(HEIGHT - height).to_string(),
                &BAR.to_string(),
                &height.to_string(),
                &format!("{}: {}", long(day.date), thousands(count)),
            ],
        )
    };
    let under = |day: &Day| Html::of("<span>{}</span>", &[&short(day.date)]);
    let first = days.first().filter(|_| days.len() > 1).map(under);
    let middle = days
        .get(days.len() / 2)
        .filter(|_| days.len() > 14)
        .map(under);
    Html::of(
        include_str!("chart.html").trim_end(),
        &[
            &name,
            &peak,
            &(days.len() * ROOM).to_string(),
            &about,
            &days.iter().enumerate().map(bar).collect::<Html>(),
            &first.into_iter().chain(middle).collect::<Html>(),
        ],
    )
}

/// The newest first.
fn table(days: &[Day]) -> Html {
    let number = |count: u64| Html::of("<td class=\"n\">{}</td>", &[&thousands(count)]);
    let row = |day: &Day| {
        let counts = [day.counts.fetched, day.counts.sent, day.counts.unsent];
        Html::of(
            r#"<tr><th scope="row"><time datetime="{}">{}</time></th>{}</tr>"#,
            &[
                &day.date.to_string(),
                &long(day.date),
                &counts.into_iter().map(number).collect::<Html>(),
            ],
        )
    };
    let rows: Html = days.iter().rev().map(row).collect();
    Html::of(include_str!("days.html").trim_end(), &[&rows])
}

fn short(day: Date) -> String {
    day.strftime("%-d %b").to_string()
}

fn long(day: Date) -> String {
    day.strftime("%a %-d %b %Y").to_string()
}
