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

/// What fills a gap in markup.
pub trait Part {
    fn put(&self, html: &mut Html);
}

/// A text, or the value of an attribute in quotes.
impl Part for &str {
    fn put(&self, html: &mut Html) {
        html.text(self);
    }
}

impl Part for String {
    fn put(&self, html: &mut Html) {
        html.text(self);
    }
}

impl Part for Html {
    fn put(&self, html: &mut Html) {
        html.0.push_str(&self.0);
    }
}

/// The mark of a state; the text beside it says the same.
impl Part for Mark {
    fn put(&self, html: &mut Html) {
        let name = self.name();
        html.fill(
            r##"<svg class="mark {}" aria-hidden="true"><use href="#{}"/></svg>"##,
            &[&name, &name],
        );
    }
}

/// A sentence in which names stand between backticks, as those of errors do.
pub struct Sentence<'t>(pub &'t str);

impl Part for Sentence<'_> {
    fn put(&self, html: &mut Html) {
        let mut parts = self.0.split('`');
        html.text(parts.next().unwrap_or_default());
        while let Some(name) = parts.next() {
            match parts.next() {
                Some(rest) => html.fill("<code>{}</code>{}", &[&name, &rest]),
                // Without its end it is a backtick.
                None => html.fill("`{}", &[&name]),
            };
        }
    }
}

impl Html {
    pub fn new() -> Html {
        Html::default()
    }

    /// Markup, with a part in the place of each `{}`.
    pub fn of(markup: &'static str, parts: &[&dyn Part]) -> Html {
        let mut html = Html::new();
        html.fill(markup, parts);
        html
    }

    /// Adds markup, with a part in the place of each `{}`. It lives as long as the program, so that
    /// it cannot be what somebody said.
    pub fn fill(&mut self, markup: &'static str, parts: &[&dyn Part]) -> &mut Html {
        let mut pieces = markup.split("{}");
        debug_assert_eq!(pieces.clone().count(), parts.len() + 1, "{markup}");
        self.0.push_str(pieces.next().unwrap_or_default());
        for (part, piece) in parts.iter().zip(pieces) {
            part.put(self);
            self.0.push_str(piece);
        }
        self
    }

    fn text(&mut self, text: &str) {
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
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Html {
        Html(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// A whole page.
///
/// Its policy (<https://www.w3.org/TR/CSP3/>) lets a browser load and run nothing: the style is known
/// by its digest, and icons are in the page.
pub fn page(title: &str, mark: Mark, body: &Html) -> String {
    let digest = BASE64_STANDARD.encode(sha256(STYLE.as_bytes()));
    let icon = BASE64_STANDARD.encode(mark.icon().trim_end());
    let marks = Html(include_str!("marks.svg").to_owned());
    let style = Html(STYLE.to_owned());
    let parts: [&dyn Part; 6] = [&digest, &title, &icon, &style, &marks, body];
    Html::of(include_str!("page.html"), &parts).0
}

/// Whether all is well, as the beginning of a page says it.
pub fn verdict(mark: Mark, headline: &str, more: &str) -> Html {
    Html::of(
        r#"<div class="card verdict {}">{}<div><h1>{}</h1><p>{}</p></div></div>"#,
        &[&mark.name(), &mark, &headline, &more],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(said: &str) -> String {
        let mut html = Html::new();
        html.fill("{}", &[&said]);
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
            html.fill("{}", &[&Sentence(said)]);
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
            html.fill("{}", &[&Sentence(&said)]);
            let own = html.0.replace("<code>", "").replace("</code>", "");
            prop_assert!(!own.contains(['<', '>', '"', '\'']), "{own}");
        }
    }
}
