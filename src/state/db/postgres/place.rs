//! Where a database is and who asks for it: what the configuration says, then a file of services,
//! then the environment, as PostgreSQL's own programs do it (PostgreSQL, "Environment Variables",
//! "The Password File", "The Connection Service File").

use crate::fault::Fault;
use crate::model::{DATABASE_PORT, DatabaseUrl};
use crate::secret::Secret;
use crate::{files, shell};
use anyhow::Result;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection may take, and then an answer.
const CONNECT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(30);

/// Connections of one process, where nothing else is said.
const CONNECTIONS: u32 = 4;

/// No file of passwords or services is larger, in octets.
const LARGEST: u64 = 1 << 20;

/// Where systems keep the sockets of their servers.
const SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// A lease holds so long.
const LEASE: Duration = Duration::from_secs(60);

/// What is wished for.
pub struct Wish<'a> {
    pub url: &'a DatabaseUrl,
    pub connections: Option<u32>,
    pub ca_file: Option<&'a Path>,
    pub certificate: Option<&'a Path>,
    pub private_key: Option<&'a Path>,
    /// No wait is longer.
    pub timeout: Duration,
    /// What the server's tables of sessions call this process.
    pub program: String,
}

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub struct Place {
    pub hosts: Vec<Host>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    /// Whom to trust, instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Of this client, with its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    pub channel_binding: bool,
    pub program: String,
    /// So many at most.
    pub connections: usize,
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub wait: Duration,
    /// How long a lease holds after its last renewal.
    pub lease: Duration,
    /// TLS on this machine, too.
    tls: bool,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Socket(PathBuf),
    Name { name: String, port: u16 },
}

impl Place {
    /// # Errors
    /// `Config`: a file cannot be used, or says something else than what may stand there.
    pub fn new(wish: &Wish<'_>) -> Result<Place> {
        Place::of(wish, &|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }

    fn of(wish: &Wish<'_>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Place> {
        let mut url = wish.url.clone();
        if let Some(name) = url.service.clone().or_else(|| variable("PGSERVICE")) {
            complete(&mut url, &service(&name, variable)?);
        }
        complete(&mut url, &environment(variable)?);
        let port = |index: usize| {
            let port = url.ports.get(index).or(url.ports.first());
            port.copied().unwrap_or(DATABASE_PORT)
        };
        if url.hosts.is_empty() {
            url.hosts.push(usual_host(port(0)));
        }
        let host = |(index, host): (usize, &String)| Host::new(host, port(index));
        let hosts: Vec<Host> = url.hosts.iter().enumerate().map(host).collect();
        if url.password.is_none() {
            url.password = password_of_file(&url, &hosts, variable)?;
        }
        let own = |path: Option<&Path>| path.map(Path::to_owned);
        let certificate = own(wish.certificate).or(url.certificate);
        let key = own(wish.private_key).or(url.private_key);
        let ca_file = own(wish.ca_file).or(url.ca_file);
        Ok(Place {
            tls: url.tls || ca_file.is_some() || certificate.is_some(),
            hosts,
            user: url.user,
            password: url.password,
            database: url.database,
            ca_file,
            // One file may hold both.
            certificate: certificate.map(|file| (file.clone(), key.unwrap_or(file))),
            channel_binding: url.channel_binding,
            program: wish.program.clone(),
            connections: wish.connections.unwrap_or(CONNECTIONS).max(1) as usize,
            connect: CONNECT.min(wish.timeout),
            wait: WAIT.min(wish.timeout),
            lease: LEASE,
        })
    }

    /// The same for one connection, on which nothing is waited for longer than this.
    pub fn alone(&self, wait: Duration) -> Place {
        Place {
            connections: 1,
            connect: self.connect.min(wait),
            wait: self.wait.min(wait),
            ..self.clone()
        }
    }

    /// Whether this host is spoken to in TLS: all are but those of this machine.
    pub fn wants_tls(&self, name: &str) -> bool {
        let is_address = |name: &str| name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.tls || !(name == "localhost" || is_address(name))
    }
}

/// The words that psql takes, without the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::name).collect();
        write!(f, "host={}", hosts.join(","))?;
        let ports: Vec<u16> = self.hosts.iter().map(Host::port).collect();
        if ports.iter().any(|port| *port != DATABASE_PORT) {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            write!(f, " port={}", ports.join(","))?;
        }
        for (key, value) in [("dbname", &self.database), ("user", &self.user)] {
            if let Some(value) = value {
                write!(f, " {key}={}", quoted(value))?;
            }
        }
        Ok(())
    }
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
    }
}

impl Host {
    fn new(host: &str, port: u16) -> Host {
        match host.starts_with('/') {
            true => Host::Socket(socket(host, port)),
            false => Host::Name {
                name: host.to_owned(),
                port,
            },
        }
    }

    fn name(&self) -> String {
        match self {
            Host::Socket(path) => files::folder_of(path).display().to_string(),
            Host::Name { name, .. } => name.clone(),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Host::Socket(path) => {
                let port = path
                    .extension()
                    .and_then(|port| port.to_str()?.parse().ok());
                port.unwrap_or(DATABASE_PORT)
            }
            Host::Name { port, .. } => *port,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Socket(path) => write!(f, "`{}`", path.display()),
            Host::Name { name, port } => write!(f, "`{name}` port {port}"),
        }
    }
}

fn socket(folder: &str, port: u16) -> PathBuf {
    Path::new(folder).join(format!(".s.PGSQL.{port}"))
}

fn usual_host(port: u16) -> String {
    let there = |folder: &&&str| socket(folder, port).exists();
    SOCKETS
        .iter()
        .find(there)
        .map_or("localhost", |f| *f)
        .to_owned()
}

/// What one says, and where it says nothing, the other.
fn complete(url: &mut DatabaseUrl, other: &DatabaseUrl) {
    fn fill<T: Clone>(own: &mut Option<T>, other: &Option<T>) {
        if own.is_none() {
            own.clone_from(other);
        }
    }
    if url.hosts.is_empty() {
        url.hosts.clone_from(&other.hosts);
    }
    if url.ports.is_empty() {
        url.ports.clone_from(&other.ports);
    }
    fill(&mut url.user, &other.user);
    fill(&mut url.password, &other.password);
    fill(&mut url.database, &other.database);
    fill(&mut url.pass_file, &other.pass_file);
    fill(&mut url.ca_file, &other.ca_file);
    fill(&mut url.certificate, &other.certificate);
    fill(&mut url.private_key, &other.private_key);
    url.tls |= other.tls;
    url.channel_binding |= other.channel_binding;
}

fn environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<DatabaseUrl> {
    let mut url = DatabaseUrl::default();
    for (name, key) in [
        ("PGHOST", "host"),
        ("PGPORT", "port"),
        ("PGUSER", "user"),
        ("PGDATABASE", "dbname"),
        ("PGPASSWORD", "password"),
        ("PGPASSFILE", "passfile"),
        ("PGSSLROOTCERT", "sslrootcert"),
        ("PGSSLCERT", "sslcert"),
        ("PGSSLKEY", "sslkey"),
        ("PGSSLMODE", "sslmode"),
        ("PGCHANNELBINDING", "channel_binding"),
    ] {
        if let Some(value) = variable(name) {
            url.set(key, &value)
                .map_err(|why| Fault::config(format!("the environment variable {name}: {why}")))?;
        }
    }
    Ok(url)
}

/// A part of a file of services: `[name]`, then lines `key=value`.
fn service(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<DatabaseUrl> {
    let own = variable("HOME").map(|home| Path::new(&home).join(".pg_service.conf"));
    let path = variable("PGSERVICEFILE").map(PathBuf::from).or(own);
    let Some(path) = path else {
        return Err(Fault::config(format!(
            "cannot find service `{name}`: neither PGSERVICEFILE nor HOME is set"
        ))
        .into());
    };
    let text = read(&path, "the file of services")?;
    let mut url = DatabaseUrl::default();
    let (mut is_found, mut is_here) = (false, false);
    for line in text.expose().lines().map(str::trim) {
        if let Some(of) = line.strip_prefix('[') {
            is_here = of.strip_suffix(']') == Some(name);
            is_found |= is_here;
        } else if is_here && !line.is_empty() && !line.starts_with('#') {
            let word = line
                .split_once('=')
                .ok_or("a line is not `key=value`".to_owned());
            let taken = word.and_then(|(key, value)| url.set(key.trim(), value.trim()));
            taken.map_err(|why| {
                Fault::config(format!(
                    "the service `{name}` in `{}`: {why}",
                    path.display()
                ))
            })?;
        }
    }
    if !is_found {
        let what = format!("no service `{name}` in `{}`", path.display());
        return Err(Fault::config(what)
            .hint(format!("add a section that begins with [{name}]"))
            .into());
    }
    if url.holds_password() {
        check_private(&path)?;
    }
    Ok(url)
}

/// The password in a file of lines `host:port:database:user:password`, in which `*` is any and `\`
/// takes the next character as it is. Hosts may have passwords of their own: one that fits all is
/// taken from the first line that fits one of them.
fn password_of_file(
    url: &DatabaseUrl,
    hosts: &[Host],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Secret>> {
    let own = || variable("HOME").map(|home| Path::new(&home).join(".pgpass"));
    let path = match &url.pass_file {
        Some(path) => path.clone(),
        None => match own().filter(|path| path.is_file()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    check_private(&path)?;
    let text = read(&path, "the file of passwords")?;
    let user = url.user.as_deref().unwrap_or("*");
    let database = url
        .database
        .as_deref()
        .or(url.user.as_deref())
        .unwrap_or("*");
    let fits = |wanted: &str, is: &str| wanted == "*" || wanted == is;
    for line in text.expose().lines().filter(|line| !line.starts_with('#')) {
        let [host, port, base, role, password] = parts(line);
        let is_host = |one: &Host| {
            let name = match one {
                Host::Socket(_) => "localhost".to_owned(),
                Host::Name { .. } => one.name(),
            };
            (fits(&host, &name) || fits(&host, &one.name())) && fits(&port, &one.port().to_string())
        };
        if hosts.iter().any(is_host)
            && fits(&base, database)
            && fits(&role, user)
            && !password.is_empty()
        {
            return Ok(Some(Secret::new(password)));
        }
    }
    Ok(None)
}

/// The five parts of a line, the last of which has what is left.
fn parts(line: &str) -> [String; 5] {
    let mut found: [String; 5] = Default::default();
    let (mut part, mut rest) = (0, line.chars());
    while let Some(c) = rest.next() {
        match c {
            ':' if part < 4 => part += 1,
            '\\' => found[part].extend(rest.next()),
            c => found[part].push(c),
        }
    }
    found
}

fn check_private(path: &Path) -> Result<(), Fault> {
    let open = |about: fs::Metadata| about.permissions().mode() & 0o077 != 0;
    match fs::metadata(path).is_ok_and(open) {
        false => Ok(()),
        true => Err(Fault::config(format!(
            "`{}` contains passwords, and other users can read it",
            path.display()
        ))
        .hint(format!("chmod 600 {}", shell::quote(path)))),
    }
}

fn read(path: &Path, what: &str) -> Result<Secret> {
    let octets = files::read_plain(path, LARGEST).map_err(|e| {
        Fault::config(format!("cannot read {what} `{}`: {e}", path.display()))
            .hint(format!("ls -l {}", shell::quote(path)))
            .by_system(&e)
    })?;
    let text = str::from_utf8(&octets)
        .map_err(|_| Fault::config(format!("{what} `{}` is not UTF-8", path.display())))?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, variables: &[(&str, &str)]) -> Result<Place> {
        let url = DatabaseUrl::parse(url).unwrap();
        let wish = Wish {
            url: &url,
            connections: None,
            ca_file: None,
            certificate: None,
            private_key: None,
            timeout: Duration::from_secs(5),
            program: "queuemail".into(),
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Place::of(&wish, &variable)
    }

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> String {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn what_the_url_leaves_out_the_service_says_and_then_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let services = "[other]\nhost=no\n# mail\n[mail]\nhost = db.example\ndbname=mail\n";
        let services = file(folder.path(), "services", services, 0o644);
        let said = place(
            "postgres://role@/?service=mail",
            &[
                ("PGSERVICEFILE", &services),
                ("PGDATABASE", "x"),
                ("PGPORT", "6000"),
            ],
        )
        .unwrap();
        assert_eq!(
            said.to_string(),
            "host=db.example port=6000 dbname=mail user=role"
        );
        assert!(said.wants_tls("db.example") && !said.wants_tls("127.0.0.1"));
        assert_eq!(
            (said.connect, said.wait),
            (Duration::from_secs(5), Duration::from_secs(5))
        );
        let err = place("postgres:///?service=none", &[("PGSERVICEFILE", &services)]).unwrap_err();
        assert!(err.to_string().contains("no service `none`"), "{err}");
        let err = place("postgres://h/d", &[("PGSSLMODE", "prefer")]).unwrap_err();
        assert!(err.to_string().contains("PGSSLMODE"), "{err}");
    }

    #[test]
    fn a_password_is_found_in_a_private_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = "# host:port:database:user:password\n\
                    other:*:*:*:no\ndb\\:1:*:*:*:no\n\
                    localhost:5433:mail:role:of the socket\n*:*:mail:role:a\\:b:c\\\\d\n";
        let passwords = file(folder.path(), "passwords", text, 0o600);
        let found = |url: &str| {
            let place = place(url, &[("PGPASSFILE", &passwords)]).unwrap();
            place.password.map(|password| password.expose().to_owned())
        };
        assert_eq!(
            found("postgres://role@db/mail").as_deref(),
            Some(r"a:b:c\d")
        );
        assert_eq!(
            found("postgres://role@/mail?host=/s&port=5433").as_deref(),
            Some("of the socket")
        );
        assert_eq!(found("postgres://else@db/mail"), None);
        assert_eq!(found("postgres://role:own@db/mail").as_deref(), Some("own"));
        let open = file(folder.path(), "open", text, 0o640);
        let err = place("postgres://role@db/mail", &[("PGPASSFILE", &open)]).unwrap_err();
        assert!(err.to_string().contains("other users can read it"), "{err}");
    }
}
