//! Single values, each checked where it is read: `FromStr` has the check.

use super::target::KINDS;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What happens to a message on the server once its delivery is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AfterFetch {
    /// Nothing.
    #[default]
    Keep,
    /// Marked as read.
    Seen,
    Delete,
    /// Moved to the folder of this name.
    Move(String),
}

impl AfterFetch {
    /// Why it would make each message of the folders (none: the INBOX) come again: moved into a
    /// folder that is fetched too, it has another UID there.
    pub fn repeats<F: AsRef<str>>(&self, folders: &[F]) -> Option<String> {
        let AfterFetch::Move(to) = self else {
            return None;
        };
        let is_inbox = |name: &str| name.eq_ignore_ascii_case("INBOX");
        let is_to = |name: &str| name == to || (is_inbox(name) && is_inbox(to));
        let repeats =
            folders.iter().any(|f| is_to(f.as_ref())) || (folders.is_empty() && is_inbox(to));
        repeats.then(|| format!("`{to}` is also fetched: each message would be fetched again"))
    }
}

impl FromStr for AfterFetch {
    type Err = String;
    fn from_str(text: &str) -> Result<AfterFetch, String> {
        match text {
            "keep" => Ok(AfterFetch::Keep),
            "seen" => Ok(AfterFetch::Seen),
            "delete" => Ok(AfterFetch::Delete),
            _ => match text.strip_prefix("move:") {
                Some(folder) if !folder.is_empty() => Ok(AfterFetch::Move(folder.to_owned())),
                _ => Err(format!(
                    "`{text}` is not an action after a fetch: use keep, seen, delete or move:FOLDER"
                )),
            },
        }
    }
}

impl fmt::Display for AfterFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AfterFetch::Keep => f.write_str("keep"),
            AfterFetch::Seen => f.write_str("seen"),
            AfterFetch::Delete => f.write_str("delete"),
            AfterFetch::Move(folder) => write!(f, "move:{folder}"),
        }
    }
}

/// Declares a checked string: `FromStr` checks, `parsed` deserializes through it.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<$name, String> {
                let check: fn(&str) -> Result<String, String> = $check;
                check(text).map($name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(super) use checked_string;

checked_string!(
    /// An application (client) ID: a GUID, or any other visible text for providers other than
    /// Entra ID.
    ClientId,
    |text| {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("`{text}` is not a client ID: copy the Application (client) ID, a GUID"));
        }
        Ok(text.to_owned())
    }
);

checked_string!(
    /// A tenant: GUID or domain name, in lower case.
    Tenant,
    |text| {
        let domain = text.contains('.')
            && text.split('.').all(|l| {
                !l.is_empty()
                    && !l.starts_with('-')
                    && !l.ends_with('-')
                    && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
        let alias = matches!(text, "common" | "organizations" | "consumers");
        if is_guid(text) || domain || alias {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("`{text}` is not a tenant: use its GUID or one of its domain names"))
        }
    }
);

checked_string!(
    /// A full e-mail address.
    EmailAddress,
    |text| {
        text.parse::<lettre::Address>()
            .map(|_| text.to_owned())
            .map_err(|_| format!("`{text}` is not an e-mail address: write it in full, like support@contoso.com"))
    }
);

checked_string!(
    /// The mailbox user of an outgoing server: the GUID of the user, or its address.
    ServerUser,
    |text| {
        if is_guid(text) || text.parse::<lettre::Address>().is_ok() {
            Ok(text.to_owned())
        } else {
            Err(format!("`{text}` is not a mailbox user: use the user's object ID (a GUID) or address"))
        }
    }
);

impl ServerUser {
    pub fn is_guid(&self) -> bool {
        is_guid(&self.0)
    }
}

checked_string!(
    /// A language: a BCP 47 tag such as `de` or `pt-BR`.
    Language,
    |text| {
        oxilangtag::LanguageTag::parse_and_normalize(text)
            .map(|_| text.to_owned())
            .map_err(|e| format!("`{text}` is not a language tag (BCP 47, like `de` or `pt-BR`): {e}"))
    }
);

/// A URL that is safe for `what`.
fn https(text: &str, what: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
    if url.scheme() != "https" {
        return Err(format!(
            "`{text}` must begin with https://: {what} need an encrypted connection"
        ));
    }
    match url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
        true => Err("the URL must have a host and no user name or password".to_owned()),
        false => Ok(url),
    }
}

checked_string!(
    /// An `https://` URL without user name, query or fragment, and without a slash at its end.
    HttpsUrl,
    |text| {
        let url = https(text, "tokens")?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must not contain `?` or `#`"));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
);

checked_string!(
    /// An `https://` URL of an authority's endpoint, without user name or fragment. A query is
    /// kept, as RFC 6749 §3.1 asks.
    OauthEndpoint,
    |text| {
        let url = https(text, "secrets")?;
        if url.fragment().is_some() {
            return Err(format!("`{text}` must not contain `#`"));
        }
        Ok(url.into())
    }
);

checked_string!(
    /// Where fetched mail comes to rest: `maildir:PATH`, `mbox:PATH`, `command:CMD`,
    /// `lmtp:HOST:PORT`, `lmtp-plain:HOST:PORT`, `lmtp:/socket`, `https://URL`, `eml:FOLDER`, `stdout`
    /// or `stdout:json`.
    Target,
    |text| {
        match super::target::mistake(text) {
            Some(why) => Err(why),
            None => Ok(text.to_owned()),
        }
    }
);

impl Target {
    /// The kinds that are written KIND:WHERE, and whether that is a path.
    pub const KINDS: &[(&str, bool)] = KINDS;

    /// The same destination for a run whose results are JSON: standard output then holds nothing
    /// but JSON Lines.
    pub fn in_json(self) -> Target {
        match self.as_str() {
            "stdout" => Target("stdout:json".to_owned()),
            _ => self,
        }
    }
}

/// A day of the calendar, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(jiff::civil::Date);

impl Day {
    pub fn date(self) -> jiff::civil::Date {
        self.0
    }

    /// Its first instant in UTC; whatever ends on that day ends then or later.
    pub fn begins(self) -> jiff::Timestamp {
        self.0
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .map_or(jiff::Timestamp::MAX, |zoned| zoned.timestamp())
    }
}

impl FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Day, String> {
        jiff::civil::Date::strptime("%Y-%m-%d", text)
            .map(Day)
            .map_err(|_| format!("`{text}` is not a date: write it as YYYY-MM-DD"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number of days, `400d`. Range: 0 to 36,500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u32);

impl Days {
    /// How long the history keeps what nothing else is said of: a year and a month.
    pub const OF_HISTORY: Days = Days(400);
}

impl FromStr for Days {
    type Err = String;
    fn from_str(text: &str) -> Result<Days, String> {
        let number = text.strip_suffix('d').and_then(|n| n.parse::<u32>().ok());
        number.filter(|n| *n <= 36_500).map(Days).ok_or_else(|| {
            format!("`{text}` is not a number of days from 0d to 36500d: write it like 400d")
        })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.0)
    }
}

/// How long a lease holds after its last renewal: whole seconds, as `60s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(u32);

impl Lease {
    const SHORTEST: u32 = 3;
    const LONGEST: u32 = 600;

    pub fn time(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl FromStr for Lease {
    type Err = String;
    fn from_str(text: &str) -> Result<Lease, String> {
        let seconds = text
            .strip_suffix('s')
            .and_then(|number| number.parse().ok());
        seconds
            .filter(|seconds| (Lease::SHORTEST..=Lease::LONGEST).contains(seconds))
            .map(Lease)
            .ok_or_else(|| {
                format!(
                    "invalid time `{text}` for a lease: use {}s to {}s",
                    Lease::SHORTEST,
                    Lease::LONGEST
                )
            })
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// Where fetching a mailbox begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With all messages that are there.
    #[default]
    All,
    /// With what arrives after the first fetch has opened the folder.
    Now,
    /// With what was received on this day (UTC) or later, by the server's date.
    On(Day),
}

impl Start {
    /// The day that fetching begins on, where that is still to come at `now`.
    pub fn ahead(self, now: jiff::Timestamp) -> Option<Day> {
        match self {
            Start::On(day) if day.begins() > now => Some(day),
            _ => None,
        }
    }
}

impl FromStr for Start {
    type Err = String;
    fn from_str(text: &str) -> Result<Start, String> {
        match text {
            "all" => Ok(Start::All),
            "now" => Ok(Start::Now),
            _ => text.parse().map(Start::On).map_err(|_| {
                format!("`{text}` is not a start: use all, now or a date like 2026-11-30")
            }),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::All => f.write_str("all"),
            Start::Now => f.write_str("now"),
            Start::On(day) => write!(f, "{day}"),
        }
    }
}

/// A number; the lowest value is served first. Range: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub u32);

impl Priority {
    /// What holds where nothing says otherwise.
    pub const DEFAULT: Priority = Priority(100);
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Priority, String> {
        match text.parse::<u32>() {
            Ok(n) if n <= 1_000_000 => Ok(Priority(n)),
            _ => Err(format!(
                "`{text}` is not a priority: use a whole number from 0 to 1000000 (the lowest goes first)"
            )),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// True for a GUID in its usual form, 8-4-4-4-12 hexadecimal digits.
pub fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    lengths.iter().all(|&n| {
        parts
            .next()
            .is_some_and(|p| p.len() == n && p.chars().all(|c| c.is_ascii_hexdigit()))
    }) && parts.next().is_none()
}
