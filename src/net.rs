//! One way to a host: a transport URL, a TCP connection with time-outs, and TLS that is always
//! verified. There is no way to switch certificate checks off.

use crate::fault::{Fault, Kind};
use anyhow::{Context, Result};
use native_tls::{Certificate, HandshakeError, Protocol, TlsConnector, TlsStream};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a host may keep us waiting in all: a fixed time, and what a very slow line needs for
/// the octets that came. A time-out of each read alone lets a host send an octet now and then for
/// ever.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    fixed: Duration,
    waited: Duration,
    received: u64,
}

impl Patience {
    /// The slowest line that is waited for, in octets per second.
    const SLOWEST: u64 = 4 << 10;

    pub fn new(fixed: Duration) -> Patience {
        Patience {
            fixed,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// It is whole again: something new is asked for.
    pub fn renew(&mut self) {
        *self = Patience::new(self.fixed);
    }

    /// So long was waited for so many octets.
    pub fn spend(&mut self, waited: Duration, received: usize) {
        self.waited = self.waited.saturating_add(waited);
        self.received = self.received.saturating_add(received as u64);
    }

    /// How long may still be waited; zero at its end.
    pub fn left(&self) -> Duration {
        let allowed = self.fixed + Duration::from_secs(self.received / Self::SLOWEST);
        allowed.saturating_sub(self.waited)
    }
}

/// When TLS starts on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first octet (`imaps://`, `smtps://`).
    Implicit,
    /// After STARTTLS, without which we do not go on (`imap://`, `smtp://`).
    StartTls,
}

/// Where a mail protocol is spoken, and how TLS starts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub scheme: String,
    pub tls: TlsMode,
    pub host: String,
    pub port: u16,
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads `imaps://host[:993]`, `imap://host[:143]`, `smtps://host[:465]` or
    /// `smtp://host[:587]`; the error is a phrase for the person who wrote it.
    fn from_str(text: &str) -> Result<Endpoint, String> {
        if !text.contains("://") {
            return Err(format!(
                "`{text}` does not say how to connect: use imaps://HOST or smtps://HOST (TLS from the start), imap://HOST or smtp://HOST (STARTTLS)"
            ));
        }
        let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        let (tls, port) = match url.scheme() {
            "imaps" => (TlsMode::Implicit, 993),
            "imap" => (TlsMode::StartTls, 143),
            "smtps" => (TlsMode::Implicit, 465),
            "smtp" => (TlsMode::StartTls, 587),
            other => {
                return Err(format!(
                    "`{other}://` is not a mail protocol: use imaps:// or smtps:// (TLS from the start), imap:// or smtp:// (STARTTLS)"
                ));
            }
        };
        let host = url
            .host_str()
            .filter(|h| !h.is_empty())
            .ok_or_else(|| format!("`{text}` names no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "`{}://…` must not hold a user name or password",
                url.scheme()
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must end after the host and port"));
        }
        Ok(Endpoint {
            scheme: url.scheme().to_owned(),
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// How long we wait for a host, and whom we trust beside the system's authorities.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the TCP connection and the TLS handshake.
    pub connect_timeout: Duration,
    /// For each read and write.
    pub io_timeout: Duration,
    /// A PEM file of authorities added to the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// Is told how far a connection has come.
    pub watch: Watch,
}

/// How far a connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host's name has these addresses.
    Named(Vec<IpAddr>),
    Connected(SocketAddr),
    /// TLS is on, with this certificate of the host (DER), where the system's library tells it.
    Secured(Option<Vec<u8>>),
}

/// Who wants to know of each [`Stage`]; nobody by default.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(Stage) + Send + Sync>>);

impl Watch {
    pub fn new(told: impl Fn(Stage) + Send + Sync + 'static) -> Watch {
        Watch(Some(Arc::new(told)))
    }

    fn tell(&self, stage: impl FnOnce() -> Stage) {
        if let Watch(Some(told)) = self {
            told(stage());
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "watched"
        } else {
            "unwatched"
        })
    }
}

/// Starts TLS for one way to a host, and tells its watch.
pub struct Connector {
    tls: TlsConnector,
    watch: Watch,
}

impl Connector {
    pub fn new(settings: &Settings) -> Result<Connector> {
        Ok(Connector {
            tls: tls_connector(settings.ca_file.as_deref())?,
            watch: settings.watch.clone(),
        })
    }
}

/// A TLS client that trusts the system's authorities (and `SSL_CERT_FILE`) and those in
/// `ca_file`, from TLS 1.2 on.
///
/// Reading the system's authorities takes longer than a handshake, so a process does it once for
/// each `ca_file`.
pub fn tls_connector(ca_file: Option<&Path>) -> Result<TlsConnector> {
    static MADE: Mutex<BTreeMap<Option<PathBuf>, TlsConnector>> = Mutex::new(BTreeMap::new());
    let key = ca_file.map(Path::to_owned);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(connector) = made.get(&key) {
        return Ok(connector.clone());
    }
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            builder.add_root_certificate(certificate);
        }
    }
    let connector = builder
        .build()
        .context("cannot set up TLS with the system's library")?;
    made.insert(key, connector.clone());
    Ok(connector)
}

/// A thread that makes connectors ahead of their use.
pub struct Preparation(Option<JoinHandle<()>>);

/// Begins to make the connector for each of these `ca_file`s. It is then ready, or nearly so,
/// when the first connection asks for it; what goes wrong is found and told there.
pub fn prepare_tls(ca_files: impl IntoIterator<Item = Option<PathBuf>>) -> Preparation {
    let ca_files: BTreeSet<_> = ca_files.into_iter().collect();
    Preparation(Some(std::thread::spawn(move || {
        for ca_file in ca_files {
            let _ = tls_connector(ca_file.as_deref());
        }
    })))
}

/// Waits for the thread: a process must not end in the middle of OpenSSL's work.
impl Drop for Preparation {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// All certificates of a PEM file.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    const END: &str = "-----END CERTIFICATE-----";
    let cannot = |why: String| {
        Fault::config(format!("cannot use ca_file `{}`: {why}", path.display()))
            .hint("it must hold one or more PEM blocks that begin with -----BEGIN CERTIFICATE-----")
    };
    let pem = std::fs::read_to_string(path).map_err(|e| cannot(e.to_string()))?;
    let mut found = Vec::new();
    for block in pem.split_inclusive(END).filter(|b| b.contains(END)) {
        let start = block.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
        found.push(
            Certificate::from_pem(&block.as_bytes()[start..]).map_err(|e| cannot(e.to_string()))?,
        );
    }
    if found.is_empty() {
        return Err(cannot("it holds no certificate".into()).into());
    }
    Ok(found)
}

/// Opens a TCP connection, trying each address of the host in turn.
pub fn connect(host: &str, port: u16, settings: &Settings) -> Result<TcpStream> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|e| {
            Fault::try_later(format!("cannot find host `{host}`: {e}")).hint(format!(
                "check the name and this machine's DNS: getent hosts {host}"
            ))
        })?
        .collect();
    let watch = &settings.watch;
    watch.tell(|| Stage::Named(addresses.iter().map(SocketAddr::ip).collect()));
    let mut last = None;
    for address in &addresses {
        match TcpStream::connect_timeout(address, settings.connect_timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(settings.io_timeout))?;
                stream.set_write_timeout(Some(settings.io_timeout))?;
                watch.tell(|| Stage::Connected(*address));
                return Ok(stream);
            }
            Err(e) => last = Some(e),
        }
    }
    let why = last.map_or_else(|| "the name has no address".to_owned(), |e| e.to_string());
    Err(Fault::try_later(format!("cannot connect to `{host}` port {port}: {why}")).into())
}

/// Starts TLS on a connection and verifies the certificate against `host`.
pub fn start_tls<S: Read + Write>(
    stream: S,
    host: &str,
    connector: &Connector,
) -> Result<TlsStream<S>> {
    let tls = connector.tls.connect(host, stream).map_err(|e| match e {
        HandshakeError::Failure(e) => tls_fault(host, &e),
        HandshakeError::WouldBlock(_) => {
            Fault::try_later(format!("`{host}` did not finish the TLS handshake in time"))
        }
    })?;
    connector.watch.tell(|| {
        let certificate = tls.peer_certificate().ok().flatten();
        Stage::Secured(certificate.and_then(|c| c.to_der().ok()))
    });
    Ok(tls)
}

/// The words in OpenSSL's `error:CODE:library:function:reason:file:line: (more)`; a text of
/// another form as it is.
fn reason(text: &str) -> &str {
    if let Some((_, more)) = text.rsplit_once(": (")
        && let Some(more) = more.strip_suffix(')')
    {
        return more;
    }
    match text.strip_prefix("error:") {
        Some(rest) => rest
            .split(':')
            .nth(3)
            .filter(|r| !r.is_empty())
            .unwrap_or(text),
        None => text,
    }
}

/// What a failed handshake means.
pub fn tls_fault(host: &str, err: &native_tls::Error) -> Fault {
    let text = err.to_string();
    let why = reason(&text);
    if text.contains("certificate verify failed") || text.contains("certificate") {
        Fault::new(
            Kind::Refused,
            format!("the certificate of `{host}` is not trusted: {why}"),
        )
        .hint("a proxy that inspects TLS, or a private authority: add its PEM file as `ca_file`")
    } else {
        Fault::try_later(format!("TLS with `{host}` failed: {why}"))
            .hint("usually the wrong port or TLS mode: imaps:// and smtps:// start with TLS, imap:// and smtp:// use STARTTLS")
    }
}
