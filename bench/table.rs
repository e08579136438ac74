//! The result as Markdown.

use crate::measure::Run;

/// The runs of one program in one case.
pub struct Row {
    pub name: String,
    pub runs: Vec<Run>,
}

pub fn introduction() {
    println!(
        "Medians; the ratio is to the first peer. Peers sign in with a password, as their users used\n\
         to; `queuemail` with XOAUTH2 and the token that an earlier run left in its cache. All talk\n\
         to the same Dovecot and Postfix, by TLS on loopback, and write to the same disk. A floor\n\
         does only what cannot be avoided. Stored: how many came to rest, and how many of them as\n\
         sent, line ends and fields of the programs' own aside; each: wall clock by messages stored.\n\
         Exit -1: stopped after {} s.",
        crate::measure::limit().as_secs()
    );
}

pub fn print(title: &str, base: &str, rows: &[Row]) {
    println!("\n### {title}\n");
    println!(
        "| program | wall s (min-max) | ratio | CPU s | peak MiB | runs | exit | stored (as sent) | each ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let base = rows
        .iter()
        .find(|row| row.name == base)
        .map(|row| median(row, |run| run.wall));
    for row in rows {
        let wall = median(row, |run| run.wall);
        let walls = row.runs.iter().map(|run| run.wall);
        let last = row.runs.last().cloned().unwrap_or_default();
        let worst = row.runs.iter().map(|run| run.exit).find(|exit| *exit != 0);
        println!(
            "| {} | {} ({}-{}) | {} | {:.2} | {:.1} | {} | {} | {} | {} |",
            row.name,
            seconds(wall),
            seconds(walls.clone().fold(f64::MAX, f64::min)),
            seconds(walls.fold(0.0, f64::max)),
            base.map_or("-".into(), |base| format!("{:.2}", wall / base)),
            median(row, |run| run.cpu),
            median(row, |run| run.peak),
            row.runs.len(),
            worst.unwrap_or(0),
            last.stored
                .map_or("-".into(), |(all, same)| format!("{all} ({same})")),
            match last.stored {
                Some((all @ 1.., _)) => format!("{:.2}", wall * 1000.0 / all as f64),
                _ => "-".into(),
            },
        );
    }
}

fn seconds(value: f64) -> String {
    match value {
        ..0.1 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

fn median(row: &Row, of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = row.runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
