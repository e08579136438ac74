//! RFC 5322: a message's header fields read and written, the envelope derived from them.
//!
//! Works on octets. What a person did not ask to change stays as it came: Bcc goes, a missing
//! From, Date or Message-ID comes in at the top, and text of a Unix machine (LF alone, no CR
//! anywhere, in all of the message or in all of its header or body) gets the CRLF of the mail
//! formats. Nothing else.

use super::addresses;
use super::header::{self, Field, header_end, line_end, starts_with_empty_line};
use crate::digest;
use crate::fault::Fault;
use anyhow::Result;
use jiff::ZonedDateTime;
use std::collections::HashSet;

/// A message on its way out.
#[derive(Debug)]
pub struct Draft {
    octets: Vec<u8>,
    /// Where the header's fields end and the empty line or the body begins.
    header_end: usize,
    /// From is replaced by the sender.
    replace_from: bool,
    /// Fields that are added where the message has none of that name.
    additions: Vec<(&'static str, String)>,
}

/// A message ready to be submitted.
#[derive(Debug, PartialEq, Eq)]
pub struct Prepared {
    pub octets: Vec<u8>,
    /// With its angle brackets; fixed before the first attempt, so that a repeat is recognised.
    pub message_id: String,
}

impl Draft {
    /// Reads a message as programs give it to sendmail: with or without a header, in CRLF or in
    /// the LF of Unix text, perhaps after the `From ` line of an mbox. Errors are `Malformed`.
    pub fn read(octets: Vec<u8>) -> Result<Draft> {
        let mut octets = octets;
        if let Some(encoding) = foreign_encoding(&octets) {
            return Err(Fault::malformed(format!("the message {encoding}"))
                .hint("save it as ASCII, or as UTF-8 without a byte order mark")
                .into());
        }
        if octets.starts_with(b"From ") {
            let end = line_end(&octets, 0);
            octets.drain(..end);
        }
        if octets.is_empty() {
            return Err(Fault::malformed("the message is empty").into());
        }
        octets = lines_of_text(octets);
        let fields = read_fields(&octets)?;
        refuse_bare_cr(&octets, &fields)?;
        refuse_late_header(&octets)?;
        let header_end = fields.last().map_or(0, |f| f.whole.end);
        Ok(Draft {
            octets,
            header_end,
            replace_from: false,
            additions: Vec::new(),
        })
    }

    /// The one who sends: of a resent message Resent-Sender or Resent-From; else From, and
    /// Sender where From names several. `None` if there is no such field.
    pub fn sender(&self) -> Result<Option<String>> {
        let resent = self.resent();
        let (fields, names) = match resent.iter().any(|f| f.is("Resent-From")) {
            true => (resent, ["Resent-From", "Resent-Sender"]),
            false => (self.fields().collect(), ["From", "Sender"]),
        };
        let authors = self.addresses_of(&fields, &names[..1])?;
        let sender = self.addresses_of(&fields, &names[1..])?;
        match (&authors[..], &sender[..]) {
            ([], []) => Ok(None),
            ([one], _) => Ok(Some(one.clone())),
            (_, [one]) => Ok(Some(one.clone())),
            _ => Err(Fault::malformed(format!(
                "From names {} addresses, and Sender does not say which one sends",
                authors.len()
            ))
            .hint("use -f for the sender, or add a Sender field (RFC 5322 §3.6.2)")
            .into()),
        }
    }

    /// The addresses of From, as they stand there; none where it is replaced.
    pub fn author_addresses(&self) -> Result<Vec<String>> {
        if self.replace_from {
            return Ok(Vec::new());
        }
        self.addresses_in(&["From"])
    }

    /// True for an answer: it has In-Reply-To.
    pub fn answers(&self) -> bool {
        self.has("In-Reply-To")
    }

    /// Why the message has no header, if it has none.
    pub fn without_header(&self) -> Option<String> {
        let line = &self.octets[..line_end(&self.octets, 0).min(60)];
        match () {
            () if self.header_end > 0 => None,
            () if starts_with_empty_line(line) => Some("it begins with an empty line".to_owned()),
            () => Some(format!(
                "its first line is not a header field: `{}`",
                crate::output::escape(String::from_utf8_lossy(line).trim_end())
            )),
        }
    }

    /// From is to name the sender; what stands there becomes the name beside the address.
    pub fn replace_from(&mut self) {
        self.replace_from = true;
    }

    /// Gives a message without From one of the person who runs the program, who has no full
    /// address, and this name: where it is prepared, the sender's address takes the place of
    /// theirs.
    ///
    /// # Errors
    /// `Usage`: the name cannot stand in a header.
    pub fn name_author(&mut self, name: &str) -> Result<()> {
        if !self.has("From") {
            let mut octets = from_field("user@localhost", Some(name))?.into_bytes();
            if self.header_end == 0 && !starts_with_empty_line(&self.octets) {
                octets.extend_from_slice(b"\r\n");
            }
            octets.append(&mut self.octets);
            *self = Draft::read(octets)?;
        }
        Ok(())
    }

    /// The message as it was read, its lines with their CRLF.
    pub fn text(self) -> Vec<u8> {
        self.octets
    }

    /// Adds a field, unless the message has one of that name. The value must be ASCII without
    /// line ends.
    pub fn add(&mut self, name: &'static str, value: &str) {
        self.additions.push((name, value.to_owned()));
    }

    /// The recipients that the header names, as `sendmail -t` takes them: of a resent message
    /// (RFC 5322 §3.6.6) those of its latest resending, else To, Cc and Bcc.
    pub fn recipients(&self) -> Result<Vec<String>> {
        let resent = self.resent();
        let names = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
        match resent.iter().any(|f| names.iter().any(|n| f.is(n))) {
            true => self.addresses_of(&resent, &names),
            false => self.named(),
        }
    }

    /// All recipients that To, Cc and Bcc name, of a resent message too.
    pub fn named(&self) -> Result<Vec<String>> {
        self.addresses_in(&["To", "Cc", "Bcc"])
    }

    /// All whom From and Sender name, of a resent message too.
    pub fn authors(&self) -> Result<Vec<String>> {
        self.addresses_in(&["From", "Sender"])
    }

    /// Takes Bcc out, puts in what is missing and fixes the Message-ID. `sender` gives From,
    /// with the display name `name`, where there is none.
    pub fn prepare(
        self,
        sender: &str,
        name: Option<&str>,
        now: &ZonedDateTime,
    ) -> Result<Prepared> {
        let mut top = String::new();
        let from = self.fields().find(|f| f.is("From"));
        if self.replace_from {
            let former = from.map(|f| name_in(&self.value(&f)));
            top += &from_field(sender, former.as_deref().or(name))?;
        } else if from.is_none() {
            top += &from_field(sender, name)?;
        }
        for (name, value) in &self.additions {
            if !self.has(name) {
                top += &format!("{name}: {value}\r\n");
            }
        }
        if !self.has("Date") {
            let date = jiff::fmt::rfc2822::to_string(now)?;
            top += &format!("Date: {date}\r\n");
        }
        let message_id = match self.message_id() {
            Some(id) => id,
            None => {
                let id = new_message_id(addresses::domain(sender))?;
                top += &format!("Message-ID: {id}\r\n");
                id
            }
        };
        let mut octets = Vec::with_capacity(top.len() + self.octets.len() + 2);
        octets.extend_from_slice(top.as_bytes());
        for field in self.fields() {
            let nameless = field.is("Message-ID") && self.value(&field).trim().is_empty();
            let replaced = self.replace_from && field.is("From");
            if !(field.is("Bcc") || field.is("Resent-Bcc") || nameless || replaced) {
                octets.extend_from_slice(&self.octets[field.whole.clone()]);
            }
        }
        let rest = &self.octets[self.header_end..];
        if self.header_end == 0 && !starts_with_empty_line(rest) {
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(rest);
        Ok(Prepared { octets, message_id })
    }

    /// The first Message-ID that is not empty.
    fn message_id(&self) -> Option<String> {
        self.fields()
            .filter(|f| f.is("Message-ID"))
            .map(|f| self.value(&f).trim().to_owned())
            .find(|id| !id.is_empty())
    }

    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        header::fields(&self.octets[..self.header_end])
    }

    fn has(&self, name: &str) -> bool {
        self.fields().any(|f| f.is(name))
    }

    /// A field's value, unfolded (RFC 5322 §2.2.3). What is not UTF-8 is read as ISO 8859-1, as
    /// old programs write it.
    fn value(&self, field: &Field<'_>) -> String {
        let octets = &self.octets[field.value()];
        let mut text = match std::str::from_utf8(octets) {
            Ok(text) => text.to_owned(),
            Err(_) => octets.iter().copied().map(char::from).collect(),
        };
        text.retain(|c| !matches!(c, '\r' | '\n'));
        text
    }

    /// The addresses of the fields of these names, those of the first name first.
    fn addresses_in(&self, names: &[&str]) -> Result<Vec<String>> {
        self.addresses_of(&self.fields().collect::<Vec<_>>(), names)
    }

    fn addresses_of(&self, fields: &[Field<'_>], names: &[&str]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let named = |name| {
            fields
                .iter()
                .filter(move |f| f.is(name))
                .map(move |f| (name, f))
        };
        for (name, field) in names.iter().copied().flat_map(named) {
            let addresses = addresses::parse(&self.value(field)).map_err(|why| {
                Fault::malformed(format!(
                    "cannot read the field `{name}`: {}",
                    crate::output::escape(&why)
                ))
            })?;
            // A name in another encoding goes out as it stands; an address in one is no address.
            let is_utf8 = std::str::from_utf8(&self.octets[field.value()]).is_ok();
            if !is_utf8 && !addresses.iter().all(|a| a.is_ascii()) {
                return Err(Fault::malformed(format!(
                    "an address in the field `{name}` is neither ASCII nor UTF-8"
                ))
                .into());
            }
            found.extend(addresses);
        }
        Ok(found)
    }

    /// The fields of the latest resending: the first run of Resent- fields, up to where one is
    /// named again.
    fn resent(&self) -> Vec<Field<'_>> {
        let name = |f: &Field<'_>| f.name().unwrap_or_default().to_ascii_lowercase();
        let is_resent = |f: &Field<'_>| name(f).starts_with(b"resent-");
        let mut seen = HashSet::new();
        self.fields()
            .skip_while(|f| !is_resent(f))
            .take_while(|f| is_resent(f) && seen.insert(name(f)))
            .collect()
    }
}

/// Converts what is Unix text throughout: all of it, or all of the header or of the body where
/// a program joined them. PHP puts a CRLF after a body of whatever lines.
fn lines_of_text(octets: Vec<u8>) -> Vec<u8> {
    if !octets.contains(&b'\r') {
        return text_to_lines(&octets);
    }
    let header_end = header_end(&octets);
    let (header, rest) = octets.split_at(header_end);
    let (empty_line, body) = rest.split_at(line_end(rest, 0));
    let is_unix = |part: &[u8]| {
        let text = part.strip_suffix(b"\r\n").unwrap_or(part);
        text.contains(&b'\n') && !text.contains(&b'\r')
    };
    if !is_unix(header) && !is_unix(body) {
        return octets;
    }
    let converted = |part: &[u8]| {
        if !is_unix(part) {
            return part.to_owned();
        }
        let text = part.strip_suffix(b"\r\n").unwrap_or(part);
        let mut lines = text_to_lines(text);
        if text.len() < part.len() && text.ends_with(b"\n") {
            lines.extend_from_slice(b"\r\n");
        }
        lines
    };
    let empty_line = if empty_line.is_empty() { "" } else { "\r\n" };
    [converted(header), empty_line.into(), converted(body)].concat()
}

/// Gives every line its CRLF, also the last.
fn text_to_lines(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    for line in text.split_inclusive(|&b| b == b'\n') {
        lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// Finds the header's fields. A message that does not begin with one has no header and is all
/// body; a line among the fields that is none is an error, for what follows might be lost.
fn read_fields(octets: &[u8]) -> Result<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    for field in header::fields(&octets[..header_end(octets)]) {
        let at = field.whole.start;
        match field.name() {
            Some(_) => fields.push(field),
            None if fields.is_empty() => return Ok(fields),
            None => {
                let line_number = octets[..at].split(|&b| b == b'\n').count();
                let end = line_end(octets, at).min(at + 60);
                let line = String::from_utf8_lossy(&octets[at..end]);
                return Err(Fault::malformed(format!(
                    "line {line_number} of the message is not a header field: `{}`",
                    crate::output::escape(line.trim_end())
                ))
                .hint("the header and the text need an empty line between them")
                .into());
            }
        }
    }
    Ok(fields)
}

/// What is wrong with the encoding of a file that is not a message of octets, as `begins with …`.
fn foreign_encoding(octets: &[u8]) -> Option<&'static str> {
    match octets {
        [0xEF, 0xBB, 0xBF, ..] => Some("begins with a byte order mark, which no header field has"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("is in UTF-16"),
        // Two ASCII characters without a mark, in either order of octets.
        [1..=255, 0, 1..=255, 0, ..] | [0, 1..=255, 0, 1..=255, ..] => Some("is in UTF-16"),
        _ => None,
    }
}

/// A CR without LF is no line end here, but to others: what is one field here might be
/// another field to them.
fn refuse_bare_cr(octets: &[u8], fields: &[Field<'_>]) -> Result<()> {
    let is_bare = |octets: &[u8]| {
        let mut after = octets.iter().skip(1).chain([&0]);
        octets
            .iter()
            .any(|&octet| after.next() != Some(&b'\n') && octet == b'\r')
    };
    let Some(field) = fields.iter().find(|f| is_bare(&octets[f.whole.clone()])) else {
        return Ok(());
    };
    let what = match octets.contains(&b'\n') {
        true => format!(
            "the field `{}` contains a CR without LF",
            String::from_utf8_lossy(field.name().unwrap_or_default())
        ),
        false => "the lines of the message end in CR alone".to_owned(),
    };
    Err(Fault::malformed(what)
        .hint("lines end in CRLF, or all of them in LF")
        .into())
}

/// A header after an empty line would be sent as text, Bcc included.
fn refuse_late_header(octets: &[u8]) -> Result<()> {
    let mut at = 0;
    while starts_with_empty_line(&octets[at..]) {
        at = line_end(octets, at);
    }
    let usual = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
    ];
    let is_usual = |f: &&Field<'_>| usual.iter().any(|name| f.is(name));
    let is_header = at > 0
        && read_fields(&octets[at..])
            .is_ok_and(|fields| fields.iter().filter(is_usual).nth(1).is_some());
    match is_header {
        true => Err(Fault::malformed(
            "the message begins with an empty line, which ends its header before From and To",
        )
        .hint("remove the empty line")
        .into()),
        false => Ok(()),
    }
}

/// The address in From of a message, the first where there are several; `None` where none can be
/// read.
pub fn author_of(octets: &[u8]) -> Option<String> {
    let head = octets[..header_end(octets)].to_vec();
    let authors = Draft::read(head).ok()?.author_addresses().ok()?;
    authors.into_iter().next()
}

/// What names a person in the value of a From field: the name before or the comment after the
/// address, else the address itself.
fn name_in(value: &str) -> String {
    let value = value.trim();
    let name = match (value.split_once('<'), value.split_once('(')) {
        (Some((name, _)), _) if !name.trim().is_empty() => name.trim().trim_matches('"'),
        (_, Some((_, comment))) => comment.trim_end_matches(')'),
        _ => value,
    };
    name.trim_matches(['<', '>', ' ']).to_owned()
}

/// A From field, the display name encoded as RFC 2047 has it.
fn from_field(sender: &str, name: Option<&str>) -> Result<String> {
    use lettre::message::header::{From, Headers};
    use lettre::message::{Mailbox, Mailboxes};
    if name.is_some_and(|n| n.contains(char::is_control)) {
        return Err(Fault::usage("a full name must not contain control characters").into());
    }
    let address = sender
        .parse()
        .map_err(|e| Fault::malformed(format!("`{sender}` is not an e-mail address: {e}")))?;
    let mut headers = Headers::new();
    headers.set(From::from(Mailboxes::from(Mailbox::new(
        name.map(str::to_owned),
        address,
    ))));
    Ok(headers.to_string())
}

/// A Message-ID that nobody else makes.
fn new_message_id(domain: &str) -> Result<String> {
    let octets = digest::random()?;
    // In ASCII, so that a Message-ID alone never makes a message need SMTPUTF8.
    let domain = match url::Host::parse(domain) {
        Ok(url::Host::Domain(ascii)) => ascii,
        _ => domain.to_owned(),
    };
    Ok(format!("<{:032x}@{domain}>", u128::from_be_bytes(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use proptest::prelude::*;

    fn read(text: &str) -> Draft {
        Draft::read(text.into()).unwrap()
    }

    fn prepared(text: &str) -> String {
        let prepared = read(text)
            .prepare("us@contoso.example", None, &now())
            .unwrap();
        String::from_utf8(prepared.octets).unwrap()
    }

    fn now() -> ZonedDateTime {
        "2026-11-23T14:02:00+01:00[Europe/Berlin]"
            .parse()
            .unwrap_or_else(|_| ZonedDateTime::now())
    }

    const WHOLE: &str = "From: a@x.example\r\nDate: Mon, 23 Nov 2026 14:02:00 +0100\r\nMessage-ID: <1@x.example>\r\n";

    #[test]
    fn a_whole_message_stays_as_it_is_but_for_bcc() {
        let body = "\r\n\u{e4} long\r\n.\r\nBcc: in the text\r\n";
        let text = format!("{WHOLE}bcc : b@x.example,\r\n\tc@x.example\r\nX: 1\r\n{body}");
        assert_eq!(prepared(&text), format!("{WHOLE}X: 1\r\n{body}"));
    }

    #[test]
    fn what_is_missing_comes_in_at_the_top() {
        let text = prepared("Subject: x\n\ntext");
        let (top, rest) = text.split_once("Subject").unwrap();
        assert_eq!(rest, ": x\r\n\r\ntext\r\n");
        assert!(
            top.starts_with("From: us@contoso.example\r\nDate: "),
            "{top}"
        );
        assert!(
            top.contains("\r\nMessage-ID: <") && top.ends_with("@contoso.example>\r\n"),
            "{top}"
        );
    }

    #[test]
    fn text_without_a_header_gets_one() {
        assert!(
            prepared("hello\nworld: 1\n")
                .ends_with("@contoso.example>\r\n\r\nhello\r\nworld: 1\r\n")
        );
        assert!(prepared("\nhello\n").ends_with("@contoso.example>\r\n\r\nhello\r\n"));
    }

    #[test]
    fn only_text_that_is_lf_throughout_is_converted() {
        let mixed = format!("{WHOLE}\nunix\r\n");
        assert_eq!(prepared(&mixed), mixed);
        let php = format!("{WHOLE}\r\nhello\n.\nbye");
        assert_eq!(prepared(&php), format!("{WHOLE}\r\nhello\r\n.\r\nbye\r\n"));
        assert_eq!(prepared(&format!("{php}\r\n")), prepared(&php));
        let empty_line = format!("{WHOLE}\r\nhello\nbye\n\r\n");
        assert_eq!(
            prepared(&empty_line),
            format!("{WHOLE}\r\nhello\r\nbye\r\n\r\n")
        );
        let one = format!("{WHOLE}\r\nhello\r\nx\ny\r\n");
        assert_eq!(prepared(&one), one);
        let open = format!("{WHOLE}\r\nno end");
        assert_eq!(prepared(&open), open);
    }

    #[test]
    fn a_line_among_the_fields_that_is_none_is_refused() {
        let err = Draft::read(b"Subject: x\ngarbage\nTo: a@x.example\n".to_vec()).unwrap_err();
        assert!(err.to_string().contains("line 2"), "{err}");
        assert_eq!(crate::fault::kind_of(&err), Kind::Malformed);
        assert!(Draft::read(Vec::new()).is_err());
    }

    #[test]
    fn a_file_that_is_no_message_is_refused_with_what_is_wrong() {
        let utf16: Vec<u8> = "From: a"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let marked = [&[0xFE, 0xFF], &utf16[..]].concat();
        for (octets, why) in [
            (&b"\xef\xbb\xbfFrom: a@x.example\n\n"[..], "byte order mark"),
            (&utf16, "UTF-16"),
            (&marked, "UTF-16"),
            (b"\xff\xfeF\0r\0", "UTF-16"),
            (b"From: a@x.example\rTo: b@x.example\r\rtext\r", "CR alone"),
            (
                b"X: y\rBcc: z@x.example\r\nTo: a@x.example\r\n\r\n",
                "field `X` contains a CR",
            ),
            (
                b"Subject: x\r\r\nTo: a@x.example\r\r\n",
                "field `Subject` contains a CR",
            ),
            (
                b"\n\nFrom: a@x.example\nBcc: b@x.example\n\ntext\n",
                "begins with an empty line",
            ),
        ] {
            let err = Draft::read(octets.to_vec()).unwrap_err();
            assert!(err.to_string().contains(why), "{err}");
            assert_eq!(crate::fault::kind_of(&err), Kind::Malformed);
        }
        for text in ["\nhello: world\n", "\nTo: do\n", "50 %\r100 %\ndone\n"] {
            assert!(read(text).without_header().is_some(), "{text:?}");
        }
        assert_eq!(read("A: 1\n\n50 %\r100 %\n").without_header(), None);
    }

    #[test]
    fn a_name_in_another_encoding_is_no_hindrance_and_an_address_is() {
        let draft =
            Draft::read(b"From: J\xf6rg <root>\nTo: J\xf6rg <a@x.example>\n\n".to_vec()).unwrap();
        assert_eq!(draft.recipients().unwrap(), ["a@x.example"]);
        assert_eq!(
            name_in(&draft.value(&draft.fields().next().unwrap())),
            "J\u{f6}rg"
        );
        let draft = Draft::read(b"To: j\xf6rg@x.example\n\n".to_vec()).unwrap();
        let err = draft.recipients().unwrap_err();
        assert!(err.to_string().contains("neither ASCII nor UTF-8"), "{err}");
    }

    #[test]
    fn recipients_and_sender_are_those_of_the_latest_resending() {
        let draft = read(
            "Resent-From: r@x.example\nResent-To: new@x.example\nResent-Bcc: b@x.example\n\
             Resent-From: old@x.example\nResent-To: old-to@x.example\nFrom: f@x.example\nTo: t@x.example\n\n",
        );
        assert_eq!(draft.sender().unwrap().as_deref(), Some("r@x.example"));
        assert_eq!(
            draft.recipients().unwrap(),
            ["new@x.example", "b@x.example"]
        );
    }

    #[test]
    fn several_authors_need_a_sender() {
        let draft = read("From: a@x.example, b@x.example\nTO: c@x.example\n\n");
        assert!(draft.sender().is_err());
        let draft = read("From: a@x.example, b@x.example\nSender: b@x.example\n\n");
        assert_eq!(draft.sender().unwrap().as_deref(), Some("b@x.example"));
    }

    #[test]
    fn a_from_of_this_machine_becomes_the_name_of_the_sender() {
        let mut draft = read("Subject: x\nFrom: root (Cron Daemon)\nAuto-Submitted: no\n\n");
        assert_eq!(draft.author_addresses().unwrap(), ["root"]);
        draft.replace_from();
        draft.add("Auto-Submitted", "auto-generated");
        draft.add("X-Auto-Response-Suppress", "All");
        let octets = draft
            .prepare("us@contoso.example", None, &now())
            .unwrap()
            .octets;
        let text = String::from_utf8(octets).unwrap();
        assert!(
            text.starts_with("From: \"Cron Daemon\" <us@contoso.example>\r\n"),
            "{text}"
        );
        assert_eq!(name_in("www-data"), "www-data");
        assert_eq!(name_in("\"The web\" <www-data>"), "The web");
        assert_eq!(text.matches("From:").count(), 1);
        assert!(
            text.contains("Auto-Submitted: no\r\n")
                && text.contains("X-Auto-Response-Suppress: All\r\n")
        );
    }

    #[test]
    fn a_name_is_encoded_and_cannot_inject() {
        let draft = || read("Subject: x\n\n");
        let named = |name| draft().prepare("us@contoso.example", Some(name), &now());
        let text = String::from_utf8(named("J\u{f6}rg").unwrap().octets).unwrap();
        assert!(text.starts_with("From: =?utf-8?"), "{text}");
        assert!(named("x\r\nBcc: y@x.example").is_err());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_a_panic(octets in proptest::collection::vec(proptest::sample::select(b"\r\n \tFrom: Bcc@x.,<>()\"\\\0\xff".to_vec()), 0..60)) {
            if let Ok(draft) = Draft::read(octets) {
                let _ = draft.sender();
                let _ = draft.recipients();
                let prepared = draft.prepare("us@contoso.example", None, &now()).unwrap();
                let again = Draft::read(prepared.octets.clone()).unwrap();
                prop_assert!(!again.has("Bcc"));
                // A prepared message is prepared for good.
                prop_assert_eq!(again.prepare("us@contoso.example", None, &now()).unwrap(), prepared);
            }
        }
    }
}
