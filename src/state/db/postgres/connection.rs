//! One connection to a server, with a runtime of its own: every call waits for its answer, and no
//! wait is without an end.

use super::error::{Error, Why};
use super::place::{Host, Place};
use super::request::{Answer, Request};
use super::wire::{Watch, Watched, WatchedTls};
use crate::fault::{Cause, Fault};
use crate::net;
use native_tls::{Certificate, Identity, Protocol, TlsConnector};
use std::cell::Cell;
use std::fs;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::{NoTls, TlsConnect};
use tokio_postgres::{Client, Config};

/// The oldest version that is spoken to.
const OLDEST: u32 = 14;

/// CockroachDB names its version so, beside that of a PostgreSQL which it takes after. Its rows are
/// locked otherwise (FOR UPDATE SKIP LOCKED), so that two hosts could have one mailbox.
const COCKROACH: &str = "crdb_version";

/// How long a connection is given to end in order.
const FAREWELL: Duration = Duration::from_millis(200);

/// A connection that stands.
pub struct Connection {
    runtime: Runtime,
    client: Option<Client>,
    /// Ends with the connection, and tells why.
    end: Cell<Option<JoinHandle<Result<(), tokio_postgres::Error>>>>,
    /// For the answers to all that was sent together.
    wait: Duration,
    is_broken: Cell<bool>,
    /// Whom it reaches, and how.
    pub door: Door,
    /// The process of the server that serves it, as was said at its beginning.
    process: Arc<AtomicU32>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    pub host: String,
    pub is_encrypted: bool,
}

impl Connection {
    /// Connects to the first host that can be written to.
    pub fn open(place: &Place) -> Result<Connection, Error> {
        let mut failure = Error::new(Why::Strange, "no host is named");
        for host in &place.hosts {
            match Connection::of(place, host) {
                Ok(connection) => return Ok(connection),
                // The next one would say the same, or must not be asked.
                Err(err) if matches!(err.why, Why::WeakMethod | Why::NoPassword | Why::Other) => {
                    return Err(err);
                }
                Err(err) => failure = err,
            }
        }
        Err(failure)
    }

    fn of(place: &Place, host: &Host) -> Result<Connection, Error> {
        let end = Instant::now() + place.connect;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| {
                let fault = Fault::try_later(format!("cannot wait for a server: {e}"));
                network(fault.by_system(&e).into())
            })?;
        let mut config = config_of(place);
        let watch = Watch::new(place.password.is_some());
        let process = watch.process();
        let door = Door {
            host: host.to_string(),
            is_encrypted: matches!(host, Host::Name { name, .. } if place.wants_tls(name)),
        };
        let left = || end.saturating_duration_since(Instant::now());
        let begun = match host {
            Host::Socket(path) => {
                config.ssl_mode(SslMode::Disable);
                runtime.block_on(by_socket(&config, path, watch, place.connect, end))
            }
            Host::Name { name, port } => {
                let settings = net::Settings {
                    connect_timeout: left(),
                    io_timeout: place.wait,
                    ca_file: None,
                    watch: net::Watch::default(),
                };
                let stream = net::connect(name, *port, &settings).map_err(network)?;
                let broken = |e: std::io::Error| Error::new(Why::Lost, e.to_string());
                stream.set_nonblocking(true).map_err(broken)?;
                let tls = match place.wants_tls(name) {
                    true => Some(connector(place)?),
                    false => None,
                };
                runtime.block_on(async {
                    let stream = TcpStream::from_std(stream).map_err(broken)?;
                    let Some(tls) = tls else {
                        config.ssl_mode(SslMode::Disable);
                        let stream = Watched::new(stream, Some(watch));
                        return begin(&config, stream, NoTls, left(), Error::from).await;
                    };
                    config.ssl_mode(SslMode::Require);
                    let stream = Watched::new(stream, None);
                    let tls = WatchedTls {
                        connector: tls,
                        host: name.clone(),
                        watch,
                    };
                    let failed = |e| untrusted(name, *port, e);
                    begin(&config, stream, tls, left(), failed).await
                })
            }
        };
        let (client, end, version) = begun.map_err(|err| match err.why {
            Why::Silent => Error::silent(place.connect),
            _ => err,
        })?;
        let connection = Connection {
            runtime,
            client: Some(client),
            end: Cell::new(Some(end)),
            wait: place.wait,
            is_broken: Cell::new(false),
            door,
            process,
        };
        connection.check(place, host, version)?;
        Ok(connection)
    }

    /// Refuses a server that is too old, and one of several that takes no changes.
    fn check(&self, place: &Place, host: &Host, version: Option<u32>) -> Result<(), Error> {
        if let Some(version) = version.filter(|version| *version < OLDEST) {
            let text = format!("PostgreSQL {OLDEST} or later is needed, {host} has {version}");
            return Err(Error::new(Why::TooOld, text));
        }
        if place.hosts.len() > 1 && self.is_standby()? {
            let text = format!("{host} is a standby, which takes no changes");
            return Err(Error::new(Why::Standby, text));
        }
        Ok(())
    }

    /// Whether something stands between that gives each transaction another connection to the server:
    /// then the process that was told is none of the server's.
    pub fn is_pooled(&self) -> Result<bool, Error> {
        let rows = self.ask(&[Request::rows("SELECT pg_backend_pid()::bigint", &[])])?;
        let row = rows.first().and_then(|answer| answer.rows().first());
        let process = row.and_then(|row| row.try_get::<_, i64>(0).ok());
        Ok(process != Some(self.process.load(Ordering::Relaxed).into()))
    }

    fn is_standby(&self) -> Result<bool, Error> {
        let rows = self.ask(&[Request::rows("SELECT pg_is_in_recovery()", &[])])?;
        let row = rows.first().and_then(|answer| answer.rows().first());
        Ok(row.is_some_and(|row| row.try_get(0).unwrap_or(false)))
    }

    /// Sends these at once, in this order, and gives their answers.
    ///
    /// # Errors
    /// That of the first that failed.
    pub fn ask(&self, requests: &[Request]) -> Result<Vec<Answer>, Error> {
        let Some(client) = &self.client else {
            return Err(Error::new(Why::Lost, "the connection has ended"));
        };
        let all = async {
            let mut waiting: Vec<_> = requests
                .iter()
                .map(|request| Box::pin(request.send(client)))
                .collect();
            // Each is sent when it is first asked for; the answers come in this order.
            let sent = poll_fn(|cx| {
                let sent = waiting.iter_mut().map(|one| one.as_mut().poll(cx));
                Poll::Ready(sent.collect::<Vec<_>>())
            })
            .await;
            let mut answers = Vec::with_capacity(requests.len());
            for (one, sent) in waiting.into_iter().zip(sent) {
                answers.push(match sent {
                    Poll::Ready(answer) => answer?,
                    Poll::Pending => one.await?,
                });
            }
            Ok::<_, tokio_postgres::Error>(answers)
        };
        let answers = self
            .runtime
            .block_on(async { timeout(self.wait, all).await });
        let err = match answers {
            Ok(Ok(answers)) => return Ok(answers),
            Ok(Err(err)) => self.why(err.into()),
            Err(_) => Error::silent(self.wait),
        };
        if err.ends_connection() {
            self.is_broken.set(true);
        }
        Err(err)
    }

    /// The server's own words about the end of the connection, where it had some.
    fn why(&self, err: Error) -> Error {
        if !matches!(err.why, Why::Lost) {
            return err;
        }
        let Some(end) = self.end.take() else {
            return err;
        };
        match self
            .runtime
            .block_on(async { timeout(FAREWELL, end).await })
        {
            Ok(Ok(Err(said))) => said.into(),
            _ => err,
        }
    }

    /// Nothing more can be asked of it.
    pub fn is_broken(&self) -> bool {
        self.is_broken.get() || self.client.as_ref().is_none_or(Client::is_closed)
    }
}

/// Who signs in to which database, and how.
fn config_of(place: &Place) -> Config {
    let mut config = Config::new();
    config
        .application_name(&place.program)
        .channel_binding(match place.channel_binding {
            true => ChannelBinding::Require,
            false => ChannelBinding::Prefer,
        });
    if let Some(user) = &place.user {
        config.user(user);
    }
    if let Some(database) = &place.database {
        config.dbname(database);
    }
    if let Some(password) = &place.password {
        config.password(password.expose());
    }
    config
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.client.take());
        if let (Some(end), false) = (self.end.take(), self.is_broken.get()) {
            // The server is told; if it does not listen, nothing is lost.
            let _ = self
                .runtime
                .block_on(async { timeout(FAREWELL, end).await });
        }
    }
}

/// What a connection is made of: who asks, what ends with it, and the server's version.
type Begun = (
    Client,
    JoinHandle<Result<(), tokio_postgres::Error>>,
    Option<u32>,
);

async fn by_socket(
    config: &Config,
    path: &Path,
    watch: Watch,
    longest: Duration,
    end: Instant,
) -> Result<Begun, Error> {
    let left = || end.saturating_duration_since(Instant::now());
    let stream = timeout(left(), UnixStream::connect(path))
        .await
        .map_err(|_| Error::silent(longest))?
        .map_err(|e| unreached(path, &e))?;
    let stream = Watched::new(stream, Some(watch));
    begin(config, stream, NoTls, left(), Error::from).await
}

/// Signs in over a stream, and lets the connection work in this runtime.
async fn begin<S, T>(
    config: &Config,
    stream: S,
    tls: T,
    left: Duration,
    failed: impl FnOnce(tokio_postgres::Error) -> Error,
) -> Result<Begun, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsConnect<S, Stream: Send + 'static>,
{
    let (client, connection) = timeout(left, config.connect_raw(stream, tls))
        .await
        .map_err(|_| Error::silent(left))?
        .map_err(failed)?;
    if connection.parameter(COCKROACH).is_some() {
        let text = "the server is CockroachDB, which queuemail does not support";
        return Err(Error::new(Why::Other, text));
    }
    let version = version(connection.parameter("server_version"));
    Ok((client, tokio::spawn(connection), version))
}

fn version(text: Option<&str>) -> Option<u32> {
    let digits = text?.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn network(err: anyhow::Error) -> Error {
    let fault = err
        .downcast::<Fault>()
        .unwrap_or_else(|err| Fault::try_later(err.to_string()));
    Error::new(Why::Network(Box::new(fault.clone())), fault.what)
}

fn unreached(path: &std::path::Path, err: &std::io::Error) -> Error {
    let what = format!("cannot connect to `{}`: {err}", path.display());
    let hint = format!(
        "check that the server runs and that this is its socket: ls -l {}",
        crate::shell::quote(path)
    );
    let fault = Fault::try_later(&*what)
        .cause(Cause::CannotConnect)
        .hint(hint);
    // The system says the same of a queue that is full and of a process that may not be started.
    let fault = match err.kind() {
        ErrorKind::WouldBlock => fault,
        _ => fault.by_system(err),
    };
    Error::new(Why::Network(Box::new(fault)), what)
}

/// What a handshake, or what came behind it, ended with.
fn untrusted(host: &str, port: u16, err: tokio_postgres::Error) -> Error {
    let source = std::error::Error::source(&err);
    if let Some(fault) = source.and_then(|e| e.downcast_ref::<Fault>()) {
        return network(fault.clone().into());
    }
    let Some(tls) = source.and_then(|e| e.downcast_ref::<native_tls::Error>()) else {
        return err.into();
    };
    let fault = net::untrusted(host, &tls.to_string()).unwrap_or_else(|| {
        let why = net::reason(&tls.to_string()).to_owned();
        Fault::try_later(format!("the TLS handshake with `{host}` failed: {why}"))
            .cause(Cause::TlsFailed)
            .at(host, Some(port))
    });
    Error::new(Why::Network(Box::new(fault.clone())), fault.what)
}

/// TLS from 1.2 on that checks the whole certificate: by the authorities of `ca_file` alone where
/// that is given, as libpq does, else by the system's.
fn connector(place: &Place) -> Result<TlsConnector, Error> {
    let made = || -> anyhow::Result<TlsConnector> {
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        if let Some(path) = &place.ca_file {
            builder.disable_built_in_roots(true);
            for certificate in net::certificates(path)? {
                builder.add_root_certificate(Certificate::from_der(&certificate.to_der()?)?);
            }
        }
        if let Some((certificate, key)) = &place.certificate {
            let read = |path: &PathBuf| {
                fs::read(path).map_err(|e| {
                    Fault::config(format!("cannot read `{}`: {e}", path.display()))
                        .hint(format!("ls -l {}", crate::shell::quote(path)))
                        .by_system(&e)
                })
            };
            crate::x509::check_closed(key)?;
            let identity = Identity::from_pkcs8(&read(certificate)?, &read(key)?).map_err(|e| {
                Fault::config(format!(
                    "cannot use the certificate `{}` with the key `{}`: {e}",
                    certificate.display(),
                    key.display()
                ))
                .hint("both must be PEM, the key without a passphrase and in PKCS #8: openssl pkcs8 -topk8 -nocrypt -in KEY")
            })?;
            builder.identity(identity);
        }
        Ok(builder.build()?)
    };
    made().map_err(network)
}
