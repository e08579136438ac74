//! Names of folders: which of them are one, and which a person may have meant.

use crate::fault::{Cause, Fault};
use crate::output::escape;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A name with each accented letter as one character (Unicode's NFC), as most programs write it.
pub fn composed(name: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(name)
        .into_owned()
}

/// A name with each accent as a character of its own (NFD), as macOS writes it.
pub fn decomposed(name: &str) -> String {
    DecomposingNormalizerBorrowed::new_nfd()
        .normalize(name)
        .into_owned()
}

/// Whether two names look the same.
pub fn look_same(a: &str, b: &str) -> bool {
    a == b || (!(a.is_ascii() && b.is_ascii()) && composed(a) == composed(b))
}

/// Whether two names look the same but for upper and lower case.
pub fn same_but_for_case(a: &str, b: &str) -> bool {
    let lower = |name| {
        composed(name)
            .chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    a == b || lower(a) == lower(b)
}

/// The fault of a folder that a mailbox has not; `names` are those that it has, as far as they are
/// known.
pub fn no_folder(mailbox: &str, folder: &str, names: &[String]) -> Fault {
    let what = format!("no folder `{folder}` in mailbox `{mailbox}`");
    let fault = Fault::config(what).cause(Cause::NoFolder);
    match hint(folder, names) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// What to try instead of a name that is not among these: the near ones, else the first ones.
fn hint(wanted: &str, names: &[String]) -> Option<String> {
    let mut near: Vec<_> = names
        .iter()
        .filter(|name| !look_same(name, wanted))
        .map(|name| {
            let likeness = strsim::jaro_winkler(&name.to_lowercase(), &wanted.to_lowercase());
            (likeness, name)
        })
        .collect();
    if near.is_empty() {
        return None;
    }
    let is_near = |likeness: f64| likeness > 0.7;
    let any = near.iter().any(|(likeness, _)| is_near(*likeness));
    if any {
        near.retain(|(likeness, _)| is_near(*likeness));
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    let list = near
        .iter()
        .take(8)
        .map(|(_, name)| format!("`{}`", escape(name)))
        .collect::<Vec<_>>()
        .join(", ");
    Some(match any {
        true => format!("did you mean {list}?"),
        false => format!("its folders: {list}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_either_form_of_unicode() {
        for (a, b, look, case) in [
            ("Archive", "Archive", true, true),
            ("Archive", "archive", false, true),
            ("Entwürfe", "Entwu\u{308}rfe", true, true),
            ("ENTWÜRFE", "Entwu\u{308}rfe", false, true),
            ("Entwürfe", "Entwurfe", false, false),
        ] {
            assert_eq!(look_same(a, b), look, "{a} {b}");
            assert_eq!(same_but_for_case(a, b), case, "{a} {b}");
        }
        assert_eq!(decomposed("ü"), "u\u{308}");
    }

    #[test]
    fn a_hint_never_shows_what_was_typed() {
        let names = ["Entwürfe", "Entwurf", "INBOX"].map(str::to_owned);
        assert_eq!(
            hint("Entwu\u{308}rfe", &names).unwrap(),
            "did you mean `Entwurf`?"
        );
        assert_eq!(
            hint("Zzz", &names).unwrap(),
            "its folders: `Entwürfe`, `Entwurf`, `INBOX`"
        );
        assert_eq!(hint("Entwu\u{308}rfe", &names[..1]), None);
    }
}
