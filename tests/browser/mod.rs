//! The pages in a real browser, on a phone and a desk, light and dark: nothing runs over the edge,
//! the console is silent, and axe-core finds nothing that keeps somebody from reading. `make
//! test-browser` installs Chromium and runs this; with `UPDATE=1` it also makes the pictures of the
//! documents.

mod driver;

use crate::cases::page::example::Example;
use crate::tokens::login::{finish, home, start};
use driver::{Browser, SCREENS, Screen};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The rules of WCAG 2.2, AA, and what is good practice beside them.
const RULES: &str = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// axe-core, as `scripts/need test-browser` installs it.
fn axe() -> String {
    let libraries = root().join("target/axe/lib");
    let python = fs::read_dir(libraries)
        .ok()
        .and_then(|mut found| found.next());
    let python = python
        .expect("axe-core (scripts/need test-browser)")
        .unwrap();
    let below = "site-packages/axe_playwright_python/axe.min.js";
    fs::read_to_string(python.path().join(below)).unwrap()
}

/// Nothing is wrong with the page that the browser shows, on this screen.
#[track_caller]
fn is_good(browser: &Browser, story: &str) {
    let over: Vec<Value> = browser
        .run(
            "const wide = document.documentElement.clientWidth;
             const over = [...document.querySelectorAll('body *')].filter(e => {
                 const box = e.getBoundingClientRect();
                 return !e.closest('thead') && (box.right > wide + 0.5 || box.left < -0.5);
             }).map(e => e.outerHTML.slice(0, 200));
             return document.documentElement.scrollWidth > wide ? ['the page', ...over] : over;",
        )
        .as_array()
        .unwrap()
        .clone();
    assert!(over.is_empty(), "{story}: over the edge: {over:#?}");
    let script = format!(
        "{}\nconst done = arguments[arguments.length - 1];
         axe.run(document, {{runOnly: {{type: 'tag', values: {RULES}}}}})
            .then(r => done({{ran: r.passes.length, wrong: r.violations.map(v =>
                [v.id, v.help, ...v.nodes.map(n => n.html + ' ' + n.failureSummary)])}}))
            .catch(e => done({{ran: 0, wrong: [String(e)]}}));",
        axe()
    );
    let found = browser.run_later(&script);
    assert!(
        found["ran"].as_u64() > Some(10) && found["wrong"] == Value::Array(Vec::new()),
        "{story}: {found:#}"
    );
    assert_eq!(browser.console(), [""; 0], "{story}");
}

#[test]
#[ignore = "needs a browser: make test-browser"]
fn the_state_is_read_on_every_screen() {
    let browser = Browser::start();
    let long = "averyveryverylongnamethathasnoplacewhereabrowsermaybreakit";
    let extreme = Example::of(&format!(
        "  - name: {long}\n    addresses:\n      - {{address: {long}@{long}.example, server: Contoso}}\n"
    ));
    extreme.run_sql(&format!(
        "INSERT INTO mailbox (address, failed_at, error)
         VALUES ('{long}@{long}.example', 5, '`{}` is refused')",
        long.repeat(9)
    ));
    for (name, page) in [
        ("busy", Example::busy().page()),
        ("well", Example::well().page()),
        ("empty", Example::of("  []\n").page()),
        ("extreme", extreme.page()),
    ] {
        for screen in SCREENS {
            browser.look_by(screen);
            browser.show(&page);
            browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
            is_good(&browser, &format!("{name} on {screen:?}"));
        }
    }
}

/// Light and dark are two looks, and what the icon of the tab shows is what the page says.
#[test]
#[ignore = "needs a browser: make test-browser"]
fn it_follows_the_scheme_of_the_reader() {
    let browser = Browser::start();
    let page = Example::busy().page();
    let grounds = [false, true].map(|dark| {
        browser.look_by(Screen::new(1280, 900, dark));
        browser.show(&page);
        let color = browser.run("return getComputedStyle(document.body).backgroundColor");
        color.as_str().unwrap().to_owned()
    });
    assert_eq!(grounds, ["rgb(245, 246, 248)", "rgb(14, 17, 22)"]);
    let icon = "const i = new Image(); const done = arguments[arguments.length - 1];
                i.onload = () => done(i.naturalWidth > 0); i.onerror = () => done(false);
                i.src = document.querySelector('link[rel=icon]').href;";
    assert_eq!(browser.run_later(icon), Value::Bool(true), "an icon");
}

/// A table that is laid out as cards on a phone is a table to those who hear it.
#[test]
#[ignore = "needs a browser: make test-browser"]
fn it_is_heard_as_it_is_seen() {
    let browser = Browser::start();
    let page = Example::busy().page();
    for screen in [SCREENS[0], SCREENS[2]] {
        browser.look_by(screen);
        browser.show(&page);
        let heard = browser.accessible();
        for there in [
            "main ",
            "banner ",
            "contentinfo ",
            "heading 1 mailbox is not fetched",
            "region Problems",
            "region Summary",
            "image Fetched: 6,676 in 30 days, most 309 on 11 Nov. The table below has the numbers.",
            "table Mailboxes",
            "table Secrets and certificates",
            "columnheader Last fetched",
            "rowheader invoices@contoso.com queue billing",
        ] {
            assert!(
                heard.iter().any(|node| node.trim_end() == there.trim_end()),
                "no `{there}` on {screen:?} in {heard:#?}"
            );
        }
    }
}

/// What a stranger wrote is not run; nor would a script be, if there were one.
#[test]
#[ignore = "needs a browser: make test-browser"]
fn no_script_runs_in_it() {
    let browser = Browser::start();
    let example = Example::busy();
    example.run_sql(
        "UPDATE mailbox SET failed_at = 5, error = '\"><img src=x onerror=hacked=1><script>hacked=1</script>'",
    );
    browser.look_by(SCREENS[2]);
    browser.show(&example.page());
    is_good(&browser, "hostile");
    let there = "return [typeof hacked, document.scripts.length, document.images.length]";
    assert_eq!(browser.run(there), serde_json::json!(["undefined", 0, 0]));
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'hacked=1'; document.body.append(s);
         document.body.setAttribute('style', 'color: red'); document.body.setAttribute('onclick', 'hacked=1');
         document.body.click();",
    );
    assert_eq!(browser.run("return typeof hacked"), "undefined");
    let color = browser.run("return getComputedStyle(document.body).color");
    assert_eq!(color, "rgb(28, 33, 39)", "nor is a style of another");
    let refused = browser.console();
    assert!(
        refused.len() >= 2
            && refused
                .iter()
                .all(|line| line.contains("Content Security Policy")),
        "{refused:#?}"
    );
}

/// The whole way of a person: the authority's page, which sends the browser back, and what it shows
/// then.
#[test]
#[ignore = "needs a browser: make test-browser"]
fn a_person_signs_in() {
    let browser = Browser::start();
    let home = home();
    let login = ["token", "login", "support", "--browser"];
    for screen in SCREENS {
        let (child, page) = start(&home, &login, "https://");
        browser.look_by(screen);
        browser.go(&page);
        assert_eq!(browser.text("h1"), "queuemail received your sign-in");
        is_good(&browser, &format!("signed in, {screen:?}"));
        finish(child).succeeds();
    }
    home.run(&["token", "get", "support"]).succeeds();
    let refusal = (
        "access_denied".to_owned(),
        "<script>hacked=1</script>".to_owned(),
    );
    *home.standin.faults().authorize_error.lock().unwrap() = Some(refusal);
    let (child, page) = start(&home, &login, "https://");
    browser.go(&page);
    assert_eq!(browser.text("h1"), "You are not signed in");
    is_good(&browser, "refused");
    let here = browser.run(
        "return [typeof hacked, document.documentElement.outerHTML.includes('access_denied')]",
    );
    assert_eq!(here, serde_json::json!(["undefined", false]));
    finish(child).fails(77);
}

/// The pictures of the documents, from the example; `UPDATE=1` makes them.
#[test]
#[ignore = "needs a browser: make test-browser"]
fn the_pictures_of_the_documents_are_small() {
    let folder = root().join("docs/pictures");
    let pictures = [
        ("status-light.png", Screen::new(1120, 1112, false)),
        ("status-dark.png", Screen::new(1120, 1112, true)),
        ("status-phone.png", Screen::new(360, 740, false)),
    ];
    if std::env::var_os("UPDATE").is_some() {
        let browser = Browser::start();
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let own = format!("</b> on {host}<");
        let page = Example::busy().page();
        assert!(page.contains(&own), "{own}");
        let page = page.replace(&own, "</b> on mail.contoso.com<");
        for (name, screen) in pictures {
            browser.look_by(screen);
            browser.show(&page);
            browser.picture(screen.width, screen.height, &folder.join(name));
        }
    }
    for (name, _) in pictures {
        let octets = fs::metadata(folder.join(name)).map(|about| about.len());
        assert!(
            octets.as_ref().is_ok_and(|n| *n < 150 << 10),
            "{name}: {octets:?}"
        );
    }
}
