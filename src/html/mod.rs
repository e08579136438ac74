//! Pages for a browser, in one look: each is one file, without a script, that loads nothing.
//!
//! What a page says comes from strangers: addresses, and what servers answered. [`Html`] takes
//! markup only from the program's own text, and escapes all else, so that there is no way for a
//! stranger to write markup.

use crate::digest::sha256;
use crate::output::escape;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The look of all pages.
const STYLE: &str = include_str!("style.css");

/// The most characters of one text; servers may say much.
const LONGEST: usize = 2000;

/// How things are: what the icon of a page shows, and the mark before a text. The name is that of
/// the mark and of the class in the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Bad,
    Warn,
    Info,
    Ok,
}

impl Mark {
    pub fn name(self) -> &'static str {
        match self {
            Mark::Bad => "bad",
            Mark::Warn => "warn",
            Mark::Info => "info",
            Mark::Ok => "ok",
        }
    }

    /// The icon in the tab of a browser: a shape for each, that differs without its colour.
    fn icon(self) -> &'static str {
        match self {
            Mark::Bad => include_str!("bad.svg"),
            Mark::Warn => include_str!("warn.svg"),
            Mark::Info => include_str!("info.svg"),
            Mark::Ok => include_str!("ok.svg"),
        }
    }
}

/// A piece of HTML.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    pub fn new() -> Html {
        Html::default()
    }

    /// Markup. It lives as long as the program, so that it cannot be what somebody said.
    pub fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// A text, or the value of an attribute in quotes.
    pub fn text(&mut self, text: &str) -> &mut Html {
        let short: String = text.chars().take(LONGEST).collect();
        for c in escape(&short).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        if short.len() < text.len() {
            self.0.push('…');
        }
        self
    }

    /// A text between two pieces of markup.
    pub fn put(&mut self, before: &'static str, text: &str, after: &'static str) -> &mut Html {
        self.raw(before).text(text).raw(after)
    }

    /// A sentence in which names stand between backticks, as those of errors do.
    pub fn sentence(&mut self, text: &str) -> &mut Html {
        let mut parts = text.split('`');
        self.text(parts.next().unwrap_or_default());
        while let Some(name) = parts.next() {
            match parts.next() {
                Some(rest) => self.put("<code>", name, "</code>").text(rest),
                // Without its end it is a backtick.
                None => self.raw("`").text(name),
            };
        }
        self
    }

    /// The mark of a state; the text beside it says the same.
    pub fn mark(&mut self, mark: Mark) -> &mut Html {
        self.raw("<svg class=\"mark ")
            .raw(mark.name())
            .raw("\" aria-hidden=\"true\"><use href=\"#")
            .raw(mark.name())
            .raw("\"/></svg>")
    }

    pub fn add(&mut self, other: &Html) -> &mut Html {
        self.0.push_str(&other.0);
        self
    }
}

/// A whole page.
///
/// Its policy (<https://www.w3.org/TR/CSP3/>) lets a browser load and run nothing: the style is known
/// by its digest, and icons are in the page.
pub fn page(title: &str, mark: Mark, body: &Html) -> String {
    let mut page = Html::new();
    let digest = BASE64_STANDARD.encode(sha256(STYLE.as_bytes()));
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-")
        .text(&digest)
        .raw("'; img-src data:; base-uri 'none'; form-action 'none'\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n")
        .raw("<meta name=\"referrer\" content=\"no-referrer\">\n")
        .raw("<meta name=\"robots\" content=\"noindex\">\n")
        .put("<title>", title, "</title>\n")
        .raw("<link rel=\"icon\" href=\"data:image/svg+xml;base64,")
        .text(&BASE64_STANDARD.encode(mark.icon().trim_end()))
        .raw("\">\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n")
        .raw(include_str!("marks.svg"))
        .add(body)
        .raw("</body>\n</html>\n");
    page.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(said: &str) -> String {
        let mut html = Html::new();
        html.text(said);
        html.0
    }

    #[test]
    fn a_text_is_no_markup() {
        let said = text("<b a='\"&\">\u{1b}[31m\u{202e}\0x");
        assert_eq!(
            said,
            "&lt;b a=&#39;&quot;&amp;&quot;&gt;\\u{1b}[31m\\u{202e}\\u{0}x"
        );
        let long = text(&"é".repeat(LONGEST + 1));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'), "{long}");
    }

    #[test]
    fn names_between_backticks_are_code() {
        for (said, shown) in [
            ("a `b` c `<d>`", "a <code>b</code> c <code>&lt;d&gt;</code>"),
            ("a `b", "a `b"),
            ("``", "<code></code>"),
            ("", ""),
        ] {
            let mut html = Html::new();
            html.sentence(said);
            assert_eq!(html.0, shown);
        }
    }

    #[test]
    fn the_policy_names_the_style_that_is_in_the_page() {
        let page = page("t", Mark::Ok, &Html::new());
        let style = page.split_once("<style>").unwrap().1;
        let style = style.split_once("</style>").unwrap().0;
        let digest = BASE64_STANDARD.encode(sha256(style.as_bytes()));
        assert!(page.contains(&format!("style-src 'sha256-{digest}'")));
        assert!(!page.contains("unsafe-"), "{page}");
    }

    proptest! {
        #[test]
        fn nothing_of_a_text_is_read_as_markup(said in "(\\PC|[<>&\"'`\u{0}-\u{9f}]){0,60}") {
            let mut html = Html::new();
            html.sentence(&said);
            let own = html.0.replace("<code>", "").replace("</code>", "");
            prop_assert!(!own.contains(['<', '>', '"', '\'']), "{own}");
        }
    }
}
