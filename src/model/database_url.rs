//! Where a PostgreSQL database is, in the words that its own programs take: a URL with one or more
//! hosts, or `key=value` words (PostgreSQL, "Connection Strings").

use crate::secret::Secret;
use std::fmt;
use std::path::PathBuf;
use url::form_urlencoded;

/// What a URL, or words, say of a database. What they leave out the environment may say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// Names, addresses, or folders of sockets (which begin with `/`).
    pub hosts: Vec<String>,
    /// One for all hosts, or one for each.
    pub ports: Vec<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    /// A file of passwords.
    pub pass_file: Option<PathBuf>,
    /// A part of a file of services.
    pub service: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub private_key: Option<PathBuf>,
    /// TLS also where it is not needed, on this machine.
    pub tls: bool,
    /// The server must prove that its TLS is the one in which the password is known.
    pub channel_binding: bool,
    /// As it was written.
    given: Option<Secret>,
}

impl DatabaseUrl {
    /// Reads a URL, or words.
    ///
    /// # Errors
    /// A phrase, which holds no password.
    pub fn parse(text: &str) -> Result<DatabaseUrl, String> {
        let mut url = DatabaseUrl {
            given: Some(Secret::new(text)),
            ..DatabaseUrl::default()
        };
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        if text.contains(|c: char| c.is_control()) {
            return Err("it contains a control character".to_owned());
        }
        let schemes = ["postgres://", "postgresql://"];
        match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => url.read_url(rest)?,
            None if text.contains('=') && !text.contains("://") => {
                for (key, value) in words(text)? {
                    url.set(&key, &value)?;
                }
            }
            None => return Err("it must begin with postgres://".to_owned()),
        }
        if url.ports.len() > 1 && url.ports.len() != url.hosts.len() {
            return Err("use one port for all hosts, or one for each host".to_owned());
        }
        Ok(url)
    }

    fn read_url(&mut self, rest: &str) -> Result<(), String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if database.contains('@') || query.contains('@') {
            return Err(ESCAPE.to_owned());
        }
        let (who, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (who, None),
        };
        let mut ports = Vec::new();
        for host in hosts.split(',').filter(|host| !host.is_empty()) {
            let (name, port) = host_and_port(host)?;
            if !name.is_empty() {
                self.hosts.push(decoded(name)?);
            }
            ports.push(port.to_owned());
        }
        if ports.iter().any(|port| !port.is_empty()) {
            self.set("port", &ports.join(","))?;
        }
        for (key, value) in [("user", user), ("dbname", database)] {
            if !value.is_empty() {
                self.set(key, &decoded(value)?)?;
            }
        }
        if let Some(password) = password {
            self.set("password", &decoded(password)?)?;
        }
        for (key, value) in form_urlencoded::parse(query.replace('+', "%2B").as_bytes()) {
            self.set(&key, &value)?;
        }
        Ok(())
    }

    /// Takes what one key says, as it is in a URL, in words and in a file of services.
    ///
    /// # Errors
    /// A phrase, which holds no password.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        let path = || text().map(PathBuf::from);
        match key {
            "host" => self.hosts = value.split(',').map(str::to_owned).collect(),
            "port" => {
                self.ports = value
                    .split(',')
                    .map(|port| match port {
                        "" => Ok(PORT),
                        port => port.parse().ok().filter(|port| *port > 0).ok_or(()),
                    })
                    .collect::<Result<_, ()>>()
                    .map_err(|()| format!("invalid port; {ESCAPE}"))?;
            }
            "user" => self.user = text(),
            "password" => self.password = text().map(Secret::new),
            "dbname" => self.database = text(),
            "passfile" => self.pass_file = path(),
            "service" => self.service = text(),
            "sslrootcert" => self.ca_file = path().filter(|_| value != "system"),
            "sslcert" => self.certificate = path(),
            "sslkey" => self.private_key = path(),
            "sslmode" => match value {
                "verify-full" => self.tls = true,
                _ => return Err(SSLMODE.to_owned()),
            },
            "channel_binding" => match value {
                "require" => self.channel_binding = true,
                "prefer" => {}
                _ => return Err("`channel_binding` can be `require` or absent".to_owned()),
            },
            // The first that can be written to is what is taken anyway.
            "target_session_attrs" if matches!(value, "read-write" | "primary" | "any") => {}
            // It may be a part of a password.
            _ => return Err(format!("unknown key; the known ones are {KEYS}")),
        }
        Ok(())
    }

    /// True if the password is in it.
    pub fn holds_password(&self) -> bool {
        self.password.is_some()
    }

    /// The text as it was written.
    pub fn given(&self) -> Option<&Secret> {
        self.given.as_ref()
    }

    /// The same, unless a password is in it.
    pub fn shown(&self) -> Option<&str> {
        let given = self.given().map(Secret::expose);
        given.filter(|_| !self.holds_password())
    }
}

/// The port of PostgreSQL.
pub const PORT: u16 = 5432;

/// No text of this kind is longer, in octets.
const LONGEST: usize = 4 << 10;

const ESCAPE: &str =
    "in a user name or password, write `%2F` for `/`, `%3F` for `?` and `%40` for `@`";

const SSLMODE: &str = "`sslmode` can be `verify-full` or absent: queuemail always checks the whole certificate of the server, and uses no TLS only on this machine";

const KEYS: &str = "host, port, user, password, dbname, passfile, service, sslmode, sslrootcert, sslcert, sslkey and channel_binding";

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown().unwrap_or("(set)"))
    }
}

/// A host of a URL and the text of its port, which may be empty; an IPv6 address is in brackets.
fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or("a `[` has no `]`")?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if port.is_empty() => Ok((address, "")),
            None => Err("the text after an address in brackets is not a port".to_owned()),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

/// A text with `%20` and the like, as it is meant.
fn decoded(text: &str) -> Result<String, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
                match digits.map(digit) {
                    [Some(high), Some(low)] => high << 4 | low,
                    _ => return Err(
                        "a `%` is not followed by two hexadecimal digits (a `%` itself is `%25`)"
                            .to_owned(),
                    ),
                }
            }
            octet => octet,
        };
        octets.push(octet);
    }
    String::from_utf8(octets).map_err(|_| "its contents are not UTF-8".to_owned())
}

/// `key=value key='a value'`: `\` takes the next character as it is.
pub fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(found);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return Err("a word is not followed by `=`".to_owned());
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let is_quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                None if is_quoted => return Err("a quote is not closed".to_owned()),
                None => break,
                Some('\'') if is_quoted => break,
                Some(c) if !is_quoted && c.is_whitespace() => break,
                Some('\\') => value.extend(rest.next()),
                Some(c) => value.push(c),
            }
        }
        found.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_say_the_same() {
        let url = DatabaseUrl::parse(
            "postgresql://que%40ue:p%3Ass@db1:5433,[2001:db8::1],db3/ma%20il?sslrootcert=/etc/ca.pem&sslmode=verify-full",
        )
        .unwrap();
        let words = DatabaseUrl::parse(
            r"host=db1,2001:db8::1,db3 port = 5433,5432,5432 user='que@ue' password=p\:ss dbname='ma il' sslrootcert=/etc/ca.pem sslmode=verify-full",
        )
        .unwrap();
        let said = |url: &DatabaseUrl| DatabaseUrl {
            given: None,
            ..url.clone()
        };
        assert_eq!(said(&url), said(&words));
        assert_eq!(url.hosts, ["db1", "2001:db8::1", "db3"]);
        assert_eq!(url.password, Some(Secret::new("p:ss")));
        let socket = DatabaseUrl::parse("postgres:///mail?host=/run/postgresql&port=5433").unwrap();
        assert_eq!(
            (&socket.hosts[..], &socket.ports[..]),
            (&["/run/postgresql".to_owned()][..], &[5433][..])
        );
        let socket = DatabaseUrl::parse("postgres://%2Frun%2Fpostgresql/mail").unwrap();
        assert_eq!(socket.hosts, ["/run/postgresql"]);
    }

    #[test]
    fn a_mistake_is_told_without_the_password() {
        for text in [
            "mysql://a:hunter2@b/c",
            "postgres://a:hunter2@b:0/c",
            "postgres://a:hunter2@b,c:x/c",
            "postgres://a:hunter2@[::1/c",
            "postgres://a:hunter2@b/c?sslmode=require",
            "postgres://a:hunter2@b/c?options=-c",
            "postgres://a:hunter2%zz@b/c",
            "postgres://a:hunter2/more@b/c",
            "postgres://a:more/hunter2@b/c",
            "postgres://a:5/hunter2@b/c",
            "postgres://a:5?hunter2=1@b/c",
            "postgres://a:5?hunter2=1/c",
            "host=b password='hunter2",
            "host=b password hunter2",
            "host=a,b port=1,2,3 password=hunter2",
        ] {
            let err = DatabaseUrl::parse(text).unwrap_err();
            assert!(!err.contains("hunter2"), "{text}: {err}");
        }
        let url = DatabaseUrl::parse("postgres://a:hunter2@b/c").unwrap();
        assert!(!format!("{url:?} {:?}", url.shown()).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(postgres://)?[a-z0-9:@/?&=%,' \\[\\]\\\\]{0,60}") {
            let _ = DatabaseUrl::parse(&text);
        }
    }
}
