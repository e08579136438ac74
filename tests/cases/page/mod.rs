//! The page of `status --html`, without a browser: what is on it, that nothing of a stranger is
//! markup, and the file. `crate::browser` looks at it.

pub mod example;

use crate::cases::fetch::{Desk, Via};
use crate::world::World;
use example::{Example, SECRET};
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A strict reader must find nothing wrong with the page.
#[track_caller]
pub fn is_well_formed(page: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/page/check.py");
    let mut child = Command::new("python3")
        .arg("-I")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 (scripts/need test)");
    let mut input = child.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let out = child.wait_with_output().unwrap();
    let wrong = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && wrong.is_empty(), "{wrong}\n{page}");
}

/// The text of a page, without its head and markup.
fn text(page: &str) -> String {
    let (_, body) = page.split_once("<body>").unwrap();
    let mut text = String::new();
    for part in body.split('<') {
        text += part.split_once('>').map_or("", |(_, text)| text);
        text += " ";
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[track_caller]
fn has(page: &str, words: &str) {
    let text = text(page);
    assert!(text.contains(words), "no `{words}` in\n{text}");
}

#[test]
fn what_is_urgent_comes_first() {
    let page = Example::busy().page();
    is_well_formed(&page);
    has(
        &page,
        "1 mailbox is not fetched 12 of 13 mailboxes were fetched within the last 60 min. 1 critical problem, 3 warnings.",
    );
    has(&page, "Mailboxes 13 10 ok, 3 not");
    has(&page, "Quarantine 2 waits for you");
    has(&page, "Outbox 3 waiting, oldest 15 min");
    has(&page, "mailbox invoices@contoso.com since 09:57 CET (3 h)");
    has(&page, "As of 29 Nov 2026, 13:07 CET");
    has(&page, "Made on 29 Nov 2026 at 13:07:2");
    has(
        &page,
        "returns@contoso.com queue orders quarantined: 2 65 s ago 13:06 CET",
    );
    has(&page, "waiting until 13:11 CET : the server is busy");
    has(&page, "Contoso secret expires on 2026-12-11, in 11 days");
    has(&page, "Fabrikam secret expires on 2027-10-02, in 306 days");
    let text = text(&page);
    let places: Vec<Option<usize>> = [
        "1 mailbox is not fetched",
        "Critical:",
        "Warning:",
        "Incidents",
        "Messages of the last 30 days",
        "Mailbox State",
        "invoices@contoso.com queue billing failing",
        "support@contoso.com queue support ok",
        "Secrets and certificates",
    ]
    .iter()
    .map(|words| text.find(words))
    .collect();
    assert!(
        places.is_sorted() && places[0].is_some(),
        "{places:?}\n{text}"
    );
}

#[test]
fn a_page_without_problems_says_so() {
    let page = Example::well().page();
    is_well_formed(&page);
    has(
        &page,
        "Everything works All 13 mailboxes were fetched within the last 60 min.",
    );
    has(&page, "Mailboxes 13 all ok");
    for absent in ["Problems", "Critical", "Warning", "Incidents"] {
        assert!(!text(&page).contains(absent), "{absent}");
    }
    let example = Example::of("  []\n");
    let empty = example.page();
    is_well_formed(&empty);
    has(&empty, "Nothing to fetch No mailbox is configured.");
    example.run_sql(WAITING);
    has(
        &example.page(),
        "Mail flows, but something waits for you No mailbox is configured. 1 warning.",
    );
}

/// A message of which nobody knows whether it was sent.
const WAITING: &str =
    "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts, next_attempt,
                         reason, refused, kept_at, changed_at)
     VALUES ('x', '{}', '<a@b>', 0, 1, 'unknown', 1, 0, '', '[]', 1795954000, 0)";

/// A run that failed a minute ago is nothing for a monitor yet, but no success either.
#[test]
fn a_mailbox_that_just_failed_is_no_success() {
    let example = Example::well();
    let fail = "UPDATE mailbox SET failed_at = 1795954000, error = 'cannot reach the host'";
    example.run_sql(&format!("{fail} WHERE address = 'hr@contoso.com'"));
    let page = example.page();
    has(
        &page,
        "Mail flows, but the last run of 1 mailbox failed All 13 mailboxes were fetched",
    );
    has(&page, "Mailboxes 13 12 ok, 1 not");
    has(
        &page,
        "hr@contoso.com queue people failing cannot reach the host",
    );
    assert!(!page.contains("Critical") && !page.contains("Problems"));
    example.run_sql(fail);
    has(
        &example.page(),
        "Mail flows, but the last run of 13 mailboxes failed",
    );
}

/// Each number of the charts is that of the history.
#[test]
fn each_day_has_its_messages() {
    let example = Example::well();
    let page = example.page();
    assert_eq!(page.matches("<rect").count(), 60, "30 days, twice");
    let db = rusqlite::Connection::open(example.world.state_dir().join("state.sqlite")).unwrap();
    let mut days = db
        .prepare(
            "SELECT strftime('%d', at + 3600, 'unixepoch') + 0, min(at),
                    count(*) FILTER (WHERE sent = 0),
                    count(*) FILTER (WHERE outcome = 'accepted'),
                    count(*) FILTER (WHERE outcome = 'refused')
             FROM history GROUP BY 1 ORDER BY 2 DESC",
        )
        .unwrap();
    let days: Vec<[i64; 4]> = days
        .query_map([], |row| {
            Ok([row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?])
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(days.len(), 30);
    let mut rest = text(&page);
    for [day, fetched, sent, unsent] in &days {
        let numbers = format!(" {fetched} {sent} {unsent} ");
        let at = rest
            .find(&numbers)
            .unwrap_or_else(|| panic!("{day}: no `{numbers}` in {rest}"));
        let before = &rest[..at];
        let date = before.split_whitespace().rev().nth(2).unwrap();
        assert_eq!(date, day.to_string(), "…{}", &before[before.len() - 40..]);
        rest = rest[at..].to_owned();
    }
    assert!(
        days.iter().any(|day| day[3] > 0),
        "something was not sent: {days:?}"
    );
    has(&page, &format!("Fetched today {}", days[0][1]));
    // Where less is kept, less is known.
    let config = example.world.config();
    example
        .world
        .write_config(format!("{config}keep_history: 7d\n"));
    let page = example.page();
    has(&page, "Messages of the last 7 days");
    assert_eq!(page.matches("<rect").count(), 14);
    example
        .world
        .write_config(format!("{config}keep_history: 0d\n"));
    let page = example.page();
    is_well_formed(&page);
    has(&page, "No history is kept");
    assert!(!page.contains("<rect") && !page.contains("Fetched today"));
}

/// What servers say, and names in the configuration, are text; secrets are not there at all.
#[test]
fn what_strangers_say_is_text() {
    let queue = r#"a"><script>alert(1)</script>"#;
    let example = Example::of(&format!(
        "  - name: '{queue}'\n    addresses:\n      - {{address: \"o'brien+&@contoso.com\", server: Contoso}}\n"
    ));
    // An address that the configuration takes.
    let hostile = "</td></table><img src=x onerror=alert(2)> `<b>` \u{1b}[31m\u{202e}\u{0}&lt; '\"";
    example.run_sql(&format!(
        "INSERT INTO mailbox (address, failed_at, error) VALUES ('o''brien+&@contoso.com', 5, {0});
         INSERT INTO incident (kind, subject, opened_at, told_at, reason, mailboxes)
         VALUES ('host', {0}, 1, 1, {0}, json_array('o''brien+&@contoso.com', {0}));
         INSERT INTO wait (key, until, reason) VALUES ('sending <i>Out</i> u@x', 1795954100000, {0});
         INSERT INTO token (key, access_token, expires_at, refresh_token, obtained_at)
         VALUES ('k', 'canary-access', 1, 'canary-refresh', 1);",
        quoted(hostile)
    ));
    let page = example.page();
    is_well_formed(&page);
    for absent in [
        "<script", "<img", "<b>`", "<i>", "\u{202e}", "\u{1b}", "canary",
    ] {
        assert!(!page.contains(absent), "{absent}\n{page}");
    }
    assert!(!page.contains(SECRET));
    for there in [
        "a&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
        "o&#39;brien+&amp;@contoso.com",
        "&lt;/td&gt;&lt;/table&gt;&lt;img src=x onerror=alert(2)&gt;",
        "<code>&lt;b&gt;</code>",
        "\\u{1b}[31m\\u{202e}",
        "&lt;i&gt;Out&lt;/i&gt;",
    ] {
        assert!(page.contains(there), "no {there}\n{page}");
    }
}

fn quoted(text: &str) -> String {
    let octets: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
    format!("CAST(x'{octets}' AS TEXT)")
}

/// Thousands of mailboxes and long errors are a page that a browser shows at once.
#[test]
fn a_large_page_is_bounded() {
    let mut queues = String::from("  - name: q\n    addresses:\n");
    for n in 0..2000 {
        writeln!(
            queues,
            "      - {{address: m{n}@contoso.com, server: Contoso}}"
        )
        .unwrap();
    }
    let example = Example::of(&queues);
    let ok = "INSERT INTO mailbox (address, last_success)
              SELECT 'm' || value || '@contoso.com', 1795954000 FROM generate_series(0, 1999);";
    let ok = ok.replace("FROM generate_series(0, 1999)", "FROM (WITH RECURSIVE n (value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE value < 1999) SELECT value FROM n)");
    example.run_sql(&format!(
        "{ok} UPDATE mailbox SET failed_at = 5, error = printf('%.*c', 100000, 'x')
              WHERE address = 'm7@contoso.com';
         INSERT INTO incident (kind, subject, opened_at, told_at, reason, mailboxes)
         SELECT 'host', 'h', 1, 1, 'r', json_group_array(address) FROM mailbox;"
    ));
    let began = std::time::Instant::now();
    let page = example.page();
    is_well_formed(&page);
    println!("{} octets in {:?}", page.len(), began.elapsed());
    assert!(page.len() < 2_500_000, "{} octets", page.len());
    has(&page, "1999 mailboxes in state ok");
    has(&page, "and 1980 more");
    let first = page.split_once("<summary>1999").unwrap().0;
    assert!(first.contains("m7@contoso.com") && !first.contains(&"x".repeat(3000)));
    assert_eq!(first.matches("role=\"rowheader\"").count(), 1);
}

/// What the page says after a real run is what the run did.
#[test]
fn a_run_is_on_the_page() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.deliver(0..3);
    desk.fetch(&[]).succeeds();
    let run = || {
        desk.world
            .run(["status", "--html"])
            .arg(desk.path("p.html"))
    };
    run().succeeds().says_nothing();
    let page = fs::read_to_string(desk.path("p.html")).unwrap();
    is_well_formed(&page);
    has(&page, "Everything works");
    has(&page, "The mailbox was fetched within the last 60 min.");
    has(&page, "Fetched today 3 3 in 30 days");
    // It goes with the other outputs.
    let both = run().arg("--json").succeeds();
    assert!(both.stdout.contains("\"mailboxes\""), "{both}");
    run().arg("--check").succeeds();
    desk.state().execute_batch("DELETE FROM mailbox").unwrap();
    run().arg("--check").fails(69);
    let page = fs::read_to_string(desk.path("p.html")).unwrap();
    has(&page, "1 mailbox is not fetched");
}

/// As everywhere, `-` is standard output, which takes one thing; and a pipe is written to.
#[test]
fn a_dash_is_standard_output() {
    let world: &World = &Example::well().world;
    let page = world.run(["status", "--html", "-"]).succeeds().stdout;
    assert!(page.ends_with("</html>\n"), "{page}");
    let metrics = world.run(["status", "--metrics", "-"]).succeeds().stdout;
    assert!(metrics.contains("\nqueuemail_build_info{"), "{metrics}");
    assert!(!world.path("-").exists());
    // A link, since with this mistake in the program the test would take /dev/stdout away.
    std::os::unix::fs::symlink("/dev/stdout", world.path("pipe")).unwrap();
    let pipe = world.run(["status", "--html"]).arg(world.path("pipe"));
    let pipe = pipe.succeeds();
    assert!(pipe.stdout.ends_with("</html>\n"), "{pipe}");
    let both = ["status", "--html", "-", "--metrics", "-"];
    world
        .run(both)
        .fails(64)
        .mentions("`--metrics -` and `--html -` cannot both write");
    let json = ["status", "--html", "-", "--json"];
    world
        .run(json)
        .fails(64)
        .mentions("`--html -` and `--json`");
    for args in [
        ["check", "--report", "-"],
        ["status", "--config", "-"],
        ["status", "--state-dir", "-"],
    ] {
        world.run(args).fails(64).mentions(" ./-");
    }
    assert!(!world.path("-").exists());
}

/// Others may read the page where the umask says so, and where its file was made so before.
#[test]
fn the_file_is_whole_and_as_the_umask_has_it() {
    let world: &World = &Example::well().world;
    let write = |umask: &str, below: &str| {
        let script = format!("umask {umask}; exec \"$@\"");
        world
            .run(["status", "--html"])
            .arg(world.path(below))
            .under(["sh", "-c", &script, "sh"])
    };
    for (umask, name, mode) in [
        ("022", "a", 0o644),
        ("027", "b", 0o640),
        ("077", "c", 0o600),
    ] {
        write(umask, name).succeeds().says_nothing();
        assert_eq!(world.mode(&world.path(name)), mode, "{umask}");
    }
    let kept = world.write("kept", "an old page");
    world.chmod(&kept, 0o640);
    write("000", "kept").succeeds();
    assert_eq!(world.mode(&kept), 0o640);
    assert!(fs::read_to_string(&kept).unwrap().ends_with("</html>\n"));
    world.chmod(&kept, 0o664);
    write("000", "kept").succeeds();
    assert_eq!(world.mode(&kept), 0o644, "nobody else writes it");
    // Whatever goes wrong, the old page stays, and nothing beside it.
    let ran = write("022", "nowhere/page.html").fails(73);
    assert!(
        ran.stderr
            .contains("cannot write the page to `HOME/nowhere/page.html`: ")
            && ran.stderr.contains("create the folder"),
        "{ran}"
    );
    fs::create_dir(world.path("folder")).unwrap();
    write("022", "folder").fails(73);
    let strays: Vec<_> = fs::read_dir(world.home())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".tmp"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}
