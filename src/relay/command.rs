//! A command line of the client, understood (RFC 5321 §4.1.1, with the parameters that are offered).
//!
//! Strict about what could mean two things, lenient about what printers and old programs write and
//! can mean one thing only: blanks after the colon, addresses without angle brackets, any name
//! after EHLO or none.

use crate::mail::addresses;

/// Octets of a path; RFC 5321 §4.5.3.1.3 has 256.
const MAX_PATH: usize = 1024;

/// What is answered to a command that is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reply code (RFC 5321 §4.2).
    pub code: u16,
    /// The enhanced status (RFC 3463).
    pub status: &'static str,
    pub text: String,
}

impl Refusal {
    pub fn new(code: u16, status: &'static str, text: impl Into<String>) -> Refusal {
        Refusal {
            code,
            status,
            text: text.into(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// EHLO, or HELO: the client wants no extensions.
    Hello {
        extended: bool,
    },
    Mail(Mail),
    /// An address.
    Recipient(String),
    Data,
    Reset,
    Nothing,
    Quit,
    Verify,
    Help,
    /// The mechanism in upper case, and what the client says at once.
    Auth(String, Option<&'a str>),
    /// Not offered: what follows is not a command line.
    Chunk,
    /// Another protocol: a browser that was led here.
    Foreign,
    /// Known, and not offered.
    NotOffered,
    Unknown,
}

/// A message is announced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path; empty for the null one.
    pub from: String,
    /// Octets, where the client says so (RFC 1870).
    pub size: Option<u64>,
    /// Addresses may be in UTF-8 (RFC 6531).
    pub utf8: bool,
}

/// Reads a command line, without its line end.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &str) -> Result<Command<'_>, Refusal> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_matches(' ');
    let alone = |command| match rest {
        "" => Ok(command),
        _ => Err(Refusal::new(501, "5.5.4", "this command takes no argument")),
    };
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" => Ok(Command::Hello { extended: true }),
        "HELO" => Ok(Command::Hello { extended: false }),
        "MAIL" => mail(rest).map(Command::Mail),
        "RCPT" => recipient(rest).map(Command::Recipient),
        "DATA" => alone(Command::Data),
        "RSET" => alone(Command::Reset),
        "NOOP" => Ok(Command::Nothing),
        "QUIT" => alone(Command::Quit),
        "VRFY" => Ok(Command::Verify),
        "HELP" => Ok(Command::Help),
        "AUTH" => auth(rest),
        "BDAT" => Ok(Command::Chunk),
        "EXPN" | "STARTTLS" | "TURN" | "ETRN" | "SEND" | "SOML" | "SAML" => Ok(Command::NotOffered),
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "CONNECT" | "TRACE"
        | "PRI" => Ok(Command::Foreign),
        _ => Ok(Command::Unknown),
    }
}

fn mail(rest: &str) -> Result<Mail, Refusal> {
    let rest = after("FROM:", rest)?;
    let (path, parameters) = path(rest)?;
    let mut mail = Mail::default();
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let wrong = || Refusal::new(501, "5.5.4", format!("bad value of {name}"));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let size = digits.then(|| value.parse().unwrap_or(u64::MAX));
                mail.size = Some(size.ok_or_else(wrong)?);
            }
            "BODY" => match value.to_ascii_uppercase().as_str() {
                "7BIT" | "8BITMIME" => {}
                _ => return Err(wrong()),
            },
            "SMTPUTF8" if value.is_empty() => mail.utf8 = true,
            // RFC 4954 §5: who first submitted it. Nobody here is trusted to say so.
            "AUTH" if !value.is_empty() => {}
            _ => return Err(unknown_parameter(name)),
        }
    }
    if !path.is_empty() {
        mail.from = address(path, "5.1.7")?;
    }
    Ok(mail)
}

fn recipient(rest: &str) -> Result<String, Refusal> {
    let rest = after("TO:", rest)?;
    let (path, parameters) = path(rest)?;
    if let Some(parameter) = parameters.split_ascii_whitespace().next() {
        return Err(unknown_parameter(parameter));
    }
    address(path, "5.1.3")
}

fn unknown_parameter(name: &str) -> Refusal {
    let name = name.split('=').next().unwrap_or_default();
    Refusal::new(555, "5.5.4", format!("the parameter {name} is not offered"))
}

/// What follows the keyword of a path.
fn after<'a>(keyword: &str, rest: &'a str) -> Result<&'a str, Refusal> {
    match rest.get(..keyword.len()) {
        Some(found) if found.eq_ignore_ascii_case(keyword) => {
            Ok(rest[keyword.len()..].trim_start_matches(' '))
        }
        _ => Err(Refusal::new(
            501,
            "5.5.4",
            format!("`{keyword}<address>` is missing"),
        )),
    }
}

/// A path without its angle brackets, and the parameters after it.
fn path(rest: &str) -> Result<(&str, &str), Refusal> {
    let wrong = |text: &str| Err(Refusal::new(501, "5.5.2", text));
    let Some(inside) = rest.strip_prefix('<') else {
        return match rest.split_once(' ').unwrap_or((rest, "")) {
            ("", _) => wrong("an address is missing"),
            (bare, _) if bare.contains(['<', '>', '"']) => wrong("bad angle brackets"),
            (bare, parameters) => Ok((bare, parameters)),
        };
    };
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let parameters = &inside[at + 1..];
                if !(parameters.is_empty() || parameters.starts_with(' ')) {
                    return wrong("something follows the angle bracket");
                }
                return Ok((&inside[..at], parameters));
            }
            _ => {}
        }
    }
    wrong("the angle bracket is not closed")
}

/// The one address of a path; a source route before it is dropped (RFC 5321 §4.1.1.3).
fn address(path: &str, status: &'static str) -> Result<String, Refusal> {
    if path.len() > MAX_PATH {
        return Err(Refusal::new(501, status, "the address is too long"));
    }
    match addresses::parse(&format!("<{path}>")).as_deref() {
        Ok([one]) => Ok(one.clone()),
        Ok(_) => Err(Refusal::new(501, status, "not one address")),
        Err(why) => Err(Refusal::new(501, status, format!("bad address: {why}"))),
    }
}

fn auth(rest: &str) -> Result<Command<'_>, Refusal> {
    let mut words = rest.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => {
            Ok(Command::Auth(mechanism.to_ascii_uppercase(), initial))
        }
        _ => Err(Refusal::new(501, "5.5.4", "AUTH takes a mechanism")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_old_programs_write_is_understood() {
        let from = |line: &str| match parse(line) {
            Ok(Command::Mail(mail)) => Ok(mail.from),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(refusal) => Err(refusal.code),
        };
        for (line, want) in [
            ("MAIL FROM:<a@x.example>", Ok("a@x.example")),
            ("mail from: <a@x.example>", Ok("a@x.example")),
            ("Mail From:a@x.example", Ok("a@x.example")),
            ("MAIL FROM:<>", Ok("")),
            ("MAIL FROM:< > SIZE=10", Err(501)),
            ("MAIL FROM:<@a,@b:c@x.example>", Ok("c@x.example")),
            (
                "MAIL FROM:<\"a>b\"@x.example> BODY=8BITMIME",
                Ok("\"a>b\"@x.example"),
            ),
            ("MAIL FROM:<root>", Ok("root")),
            ("MAIL FROM:", Err(501)),
            ("MAIL <a@x.example>", Err(501)),
            ("MAIL FROM:<a@x.example", Err(501)),
            ("MAIL FROM:<a@x.example>SIZE=1", Err(501)),
            ("MAIL FROM:<a@x.example>, <b@x.example>", Err(501)),
            ("MAIL FROM:<a@x.example> SIZE=-1", Err(501)),
            ("MAIL FROM:<a@x.example> SIZE=", Err(501)),
            ("MAIL FROM:<a@x.example> BODY=BINARYMIME", Err(501)),
            ("MAIL FROM:<a@x.example> RET=HDRS", Err(555)),
            ("MAIL FROM:<a@x.example> AUTH=<>", Ok("a@x.example")),
        ] {
            assert_eq!(from(line), want.map(str::to_owned), "{line}");
        }
        let size = |n: &str| match parse(&format!("MAIL FROM:<> SMTPUTF8 size={n}")) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{other:?}"),
        };
        assert_eq!(size("7").size, Some(7));
        assert!(size("7").utf8);
        assert_eq!(size("99999999999999999999999").size, Some(u64::MAX));
        let to = parse("RCPT TO:<Anna@X.example>");
        assert_eq!(to, Ok(Command::Recipient("Anna@X.example".into())));
        for line in ["RCPT TO:<>", "RCPT TO:<a@x.example> NOTIFY=NEVER", "DATA x"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for hello in [
            "EHLO",
            "ehlo ",
            "EHLO printer_1 (HP)",
            "EHLO [fe80::1%eth0]",
        ] {
            assert_eq!(parse(hello), Ok(Command::Hello { extended: true }));
        }
        assert_eq!(parse("POST / HTTP/1.1"), Ok(Command::Foreign));
        assert_eq!(parse("BDAT 10 LAST"), Ok(Command::Chunk));
        let auth = Command::Auth("PLAIN".into(), Some("AGEAYg=="));
        assert_eq!(parse("AUTH plain AGEAYg=="), Ok(auth));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(MAIL FROM:|RCPT TO:|AUTH )?[<>@\"\\\\a ,:;()=é]{0,20}|\\PC{0,30}") {
            if let Err(refusal) = parse(&line) {
                prop_assert!((500..600).contains(&refusal.code));
            }
        }
    }
}
