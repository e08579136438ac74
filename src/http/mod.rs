//! The one HTTPS client: the program's TLS, time-outs, no redirects, bounded answers, proxy
//! variables.
//!
//! TLS goes through the program's own connector: ureq's would *replace* the system's authorities by
//! a `ca_file` instead of adding it.

mod dial;
mod names;
mod proxy;
mod tls;

pub use tls::{Preparation, prepare};

use crate::fault::{Cause, Fault, Kind, is_shortage};
use crate::net::{self, Patience, Settings, Trace};
use anyhow::Result;
use http::{HeaderMap, Request, Response};
use proxy::Proxies;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tls::TlsFailure;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};

const USER_AGENT: &str = concat!("queuemail/", env!("CARGO_PKG_VERSION"));

/// Connections that are kept for the next requests: some for each of several mailboxes at once.
const KEPT: usize = 64;
/// For all octets of an answer together the wait is so many time-outs, and as long as a very slow
/// line needs for them.
const PATIENCE: u32 = 5;
/// Longest time that a body may take which is read or sent piece by piece.
const LONGEST_BODY: Duration = Duration::from_secs(3600);

/// An HTTPS client that keeps connections alive; cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Agent {
    agent: ureq::Agent,
    io_timeout: Duration,
    proxies: Proxies,
    trace: Option<Trace>,
    /// The longest time for all of a [`Agent::call`].
    longest: Option<Duration>,
    /// The longest time for the body of an answer that is read piece by piece.
    longest_body: Duration,
}

/// A request that got no whole answer.
#[derive(Debug)]
pub struct Lost {
    pub fault: Fault,
    /// All of it was given to the connection: the host may have acted on it.
    pub handed_over: bool,
    /// A part of its body, or all, was given to the connection: it may have broken over that.
    pub begun: bool,
}

impl From<Lost> for Fault {
    fn from(lost: Lost) -> Fault {
        lost.fault
    }
}

/// The host that a request goes to.
struct Host {
    name: String,
    port: u16,
}

impl Host {
    fn of(uri: &http::Uri) -> Host {
        Host {
            name: uri.host().unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or(443),
        }
    }
}

/// The body of an answer that is read piece by piece, each within the time-out.
pub struct Incoming {
    host: Host,
    reader: ureq::BodyReader<'static>,
    is_framed: bool,
}

impl Incoming {
    /// Whether the answer itself says where its body ends, by a length or a last chunk. Else the
    /// body goes on until the host says `close_notify` (RFC 9112 §6.3, §9.8): whole for whoever
    /// spoke TLS with the program. But a proxy that inspects TLS says it also when *its* connection
    /// to the host broke, so such a body proves to be whole by its content alone, as JSON does.
    pub fn is_framed(&self) -> bool {
        self.is_framed
    }

    /// Reads some octets; 0 at the end of a whole body.
    ///
    /// # Errors
    /// `TryLater` where the body breaks off or does not go on in time.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        self.reader
            .read(buffer)
            .map_err(|e| fault(&self.host, e.into()))
    }

    /// Reads what is left, at most `limit` octets.
    ///
    /// # Errors
    /// As [`Incoming::read`], and `Refused` where there is more.
    pub fn read_all(mut self, limit: u64) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        let read = (&mut self.reader).take(limit + 1).read_to_end(&mut body);
        let read = read.map_err(|e| fault(&self.host, e.into()))?;
        if read as u64 > limit {
            return Err(fault(&self.host, ureq::Error::BodyExceedsLimit(limit)));
        }
        Ok(body)
    }
}

impl Agent {
    /// A client with these time-outs and authorities. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`
    /// are honoured.
    pub fn new(settings: &Settings) -> Result<Agent> {
        let proxies = Proxies::from_environment()?;
        let tls = tls::connector(settings.ca_file.as_deref())?;
        let config = ureq::Agent::config_builder()
            .user_agent(USER_AGENT)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(settings.connect_timeout))
            // All addresses of a host share it.
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_send_request(Some(settings.io_timeout))
            .timeout_send_body(Some(settings.io_timeout))
            .timeout_recv_response(Some(settings.io_timeout))
            .timeout_recv_body(Some(settings.io_timeout))
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .proxy(proxies.proxy.clone())
            .build();
        let connector = ()
            .chain(ConnectProxyConnector::default())
            .chain(dial::Dial {
                watch: settings.watch.clone(),
            })
            .chain(tls::TlsWrap {
                tls,
                watch: settings.watch.clone(),
                patience: Patience::new(settings.io_timeout * PATIENCE),
            });
        let agent = ureq::Agent::with_parts(config, connector, names::Names);
        Ok(Agent {
            agent,
            io_timeout: settings.io_timeout,
            proxies,
            trace: None,
            longest: None,
            longest_body: LONGEST_BODY,
        })
    }

    /// The same client, whose exchanges are told by whoever has them (see [`Agent::tell`]).
    pub fn traced(self, trace: Option<Trace>) -> Agent {
        Agent { trace, ..self }
    }

    /// The same client, each [`Agent::call`] of which ends within this time, whatever the host does.
    pub fn within(self, longest: Duration) -> Agent {
        Agent {
            longest: Some(longest),
            ..self
        }
    }

    /// The same client, for whom a body that is read piece by piece ends after this time.
    pub fn with_bodies_within(self, longest_body: Duration) -> Agent {
        Agent {
            longest_body,
            ..self
        }
    }

    /// Tells a line of an exchange, if anybody listens.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&line());
        }
    }

    /// True if requests to this host go through a proxy.
    pub fn is_proxied(&self, host: &str) -> bool {
        self.proxies.proxy.is_some() && !self.proxies.is_direct(host)
    }

    /// A client for a service of this very host, such as a managed identity's: plain HTTP, no
    /// proxy, and a short wait, since there is either somebody or nobody. No TLS at all: the caller
    /// makes sure that the URL is `http://` and local.
    pub fn local(timeout: Duration) -> Agent {
        let config = ureq::Agent::config_builder()
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(timeout.min(Duration::from_secs(3))))
            .timeout_global(Some(timeout))
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .proxy(None)
            .build();
        let resolver = names::Names;
        Agent {
            agent: ureq::Agent::with_parts(config, TcpConnector::default(), resolver),
            io_timeout: timeout,
            proxies: Proxies::default(),
            trace: None,
            longest: None,
            longest_body: LONGEST_BODY,
        }
    }

    /// What kept a request from its answer: on the way through a proxy, usually that one.
    fn fault(&self, host: &Host, err: ureq::Error) -> Fault {
        let Some(proxy) = self
            .proxies
            .proxy
            .as_ref()
            .filter(|_| self.is_proxied(&host.name))
        else {
            return fault(host, err);
        };
        // Without its user and password.
        let (name, port) = (proxy.host(), proxy.port());
        let no_tls = format!(
            "if the proxy does not use TLS, its URL must begin with http://: HTTPS_PROXY=http://{name}:{port}"
        );
        let mut hints = Vec::new();
        let (mut kind, mut cause) = (Kind::TryLater, Cause::CannotReach);
        let why = match err {
            ureq::Error::Other(inner) => match inner.downcast::<TlsFailure>() {
                Ok(failure) => {
                    let is_of_proxy = (&*failure.host, failure.port) == (name, port);
                    if is_of_proxy && failure.fault.kind == Kind::TryLater {
                        hints.push(no_tls);
                    }
                    hints.extend(failure.fault.hints);
                    kind = failure.fault.kind;
                    cause = failure.fault.cause.unwrap_or(cause);
                    failure.fault.what
                }
                Err(other) => return fault(host, ureq::Error::Other(other)),
            },
            ureq::Error::HostNotFound => "its host is unknown".to_owned(),
            ureq::Error::Io(e) if is_lookup(&e) => "its host is unknown".to_owned(),
            ureq::Error::Io(e) if is_shortage(&e) => return fault(host, ureq::Error::Io(e)),
            ureq::Error::Io(e) => e.to_string(),
            ureq::Error::Timeout(which @ (ureq::Timeout::Resolve | ureq::Timeout::Connect)) => {
                format!("no answer in time ({which})")
            }
            ureq::Error::ConnectProxyFailed(why) => why,
            other => return fault(host, other),
        };
        hints.push(
            "the proxy comes from HTTPS_PROXY or ALL_PROXY; hosts in NO_PROXY are reached directly"
                .to_owned(),
        );
        Fault {
            hints,
            ..Fault::new(
                kind,
                format!(
                    "cannot reach `{}` through the proxy `{name}:{port}`: {why}",
                    host.name
                ),
            )
            .cause(cause)
            .at(&host.name, Some(host.port))
        }
    }

    /// Sends a request and reads its answer, of any status, into memory: at most `limit` octets.
    ///
    /// # Errors
    /// A [`Fault`]: `TryLater` where the host was not reached or did not answer in time,
    /// `Refused` for an untrusted certificate or an answer larger than `limit`.
    pub fn call(&self, request: Request<Vec<u8>>, limit: u64) -> Result<Response<Vec<u8>>, Fault> {
        let host = Host::of(request.uri());
        let mut request = self.agent.configure_request(request);
        if self.proxies.is_direct(&host.name) {
            request = request.proxy(None);
        }
        if self.longest.is_some() {
            request = request.timeout_global(self.longest);
        }
        let sent = self.agent.run(request.build());
        let mut response = sent.map_err(|e| self.fault(&host, e))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|e| fault(&host, e))?;
        let (parts, _) = response.into_parts();
        Ok(Response::from_parts(parts, body))
    }

    /// Connects to a host as for any request, and keeps the connection for the next one: asks for no
    /// more than the header of this URL, and takes every answer.
    ///
    /// # Errors
    /// As [`Agent::call`].
    pub fn reach(&self, url: &str) -> Result<(), Fault> {
        let request = Request::head(url)
            .body(Vec::new())
            .map_err(|err| Fault::config(format!("cannot ask for `{url}`: {err}")))?;
        let answer = self.call(request, 1)?;
        self.tell(|| format!("http: HEAD {url} < {}", answer.status()));
        Ok(())
    }

    /// Sends a request whose answer may be of any length, and returns once its header is read.
    ///
    /// # Errors
    /// A [`Lost`] with a [`Fault`] as of [`Agent::call`].
    pub fn open(&self, request: Request<Vec<u8>>) -> Result<Response<Incoming>, Lost> {
        let (parts, body) = request.into_parts();
        let length = body.len() as u64;
        self.open_from(Request::from_parts(parts, io::Cursor::new(body)), length)
    }

    /// The same with a body of so many octets, which is read as it is sent.
    ///
    /// # Errors
    /// As [`Agent::open`].
    pub fn open_from(
        &self,
        request: Request<impl Read + 'static>,
        length: u64,
    ) -> Result<Response<Incoming>, Lost> {
        let host = Host::of(request.uri());
        let (mut parts, body) = request.into_parts();
        let gone = Arc::new(AtomicU64::new(0));
        if length > 0 || parts.method == http::Method::POST {
            parts
                .headers
                .insert(http::header::CONTENT_LENGTH, length.into());
        }
        let body = match length {
            0 => ureq::SendBody::none(),
            _ => ureq::SendBody::from_owned_reader(Outgoing {
                body,
                gone: Arc::clone(&gone),
            }),
        };
        let mut request = self
            .agent
            .configure_request(Request::from_parts(parts, body));
        if self.proxies.is_direct(&host.name) {
            request = request.proxy(None);
        }
        let request = request
            .timeout_send_body(Some(LONGEST_BODY))
            .timeout_recv_body(Some(self.longest_body))
            .timeout_per_read(Some(self.io_timeout))
            .timeout_per_write(Some(self.io_timeout))
            .build();
        let sent = self.agent.run(request);
        let gone = gone.load(Ordering::Relaxed);
        let response = sent.map_err(|e| Lost {
            handed_over: gone == length && is_connected(&e),
            begun: gone > 0,
            fault: self.fault(&host, e),
        })?;
        let is_framed = is_framed(&response);
        Ok(response.map(|body| Incoming {
            host,
            reader: body.into_reader(),
            is_framed,
        }))
    }
}

/// True if requests to this host go through a proxy.
///
/// # Errors
/// `Config` for a proxy that the program cannot speak to.
pub fn is_proxied(host: &str) -> Result<bool, Fault> {
    let proxies = Proxies::from_environment()?;
    Ok(proxies.proxy.is_some() && !proxies.is_direct(host))
}

/// A body on its way that tells how much of it has gone.
struct Outgoing<R> {
    body: R,
    gone: Arc<AtomicU64>,
}

impl<R: Read> Read for Outgoing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.body.read(buffer)?;
        self.gone.fetch_add(octets as u64, Ordering::Relaxed);
        Ok(octets)
    }
}

/// Whether an answer's header says where its body ends (RFC 9112 §6.3), as ureq reads it.
fn is_framed<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let is_chunked = || {
        let codings = headers.get_all(http::header::TRANSFER_ENCODING);
        let mut codings = codings.iter().filter_map(|value| value.to_str().ok());
        codings.any(|value| {
            let mut names = value.split(',').map(str::trim);
            names.any(|name| name.eq_ignore_ascii_case("chunked"))
        })
    };
    headers.contains_key(http::header::CONTENT_LENGTH)
        || response.version() > http::Version::HTTP_10 && is_chunked()
}

/// Whether a request failed on a connection, and not for want of one.
fn is_connected(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::Io(e) => e.kind() != io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(which) => {
            !matches!(which, ureq::Timeout::Resolve | ureq::Timeout::Connect)
        }
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// No wait that a server asks for is taken to be longer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How long a wait the server asks for (RFC 9110 §10.2.3): seconds or a date, at most
/// [`LONGEST_WAIT`].
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let date = UNIX_EPOCH + Duration::from_secs(date.as_second().try_into().ok()?);
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// As the standard library words what getaddrinfo(3) says.
fn is_lookup(err: &io::Error) -> bool {
    err.to_string().contains("failed to lookup address")
}

fn fault(host: &Host, err: ureq::Error) -> Fault {
    let Host { name, port } = host;
    let unreached = |why: &dyn std::fmt::Display| {
        Fault::try_later(format!("cannot reach `{name}`: {why}"))
            .cause(Cause::CannotReach)
            .at(name, Some(*port))
    };
    match err {
        ureq::Error::Other(inner) => match inner.downcast::<TlsFailure>() {
            Ok(failure) => failure.fault,
            Err(other) => unreached(&other),
        },
        ureq::Error::HostNotFound => net::not_found(name, None),
        ureq::Error::Io(e) if is_lookup(&e) => net::not_found(name, None),
        ureq::Error::Io(e) => unreached(&e).by_system(&e),
        ureq::Error::Timeout(which) => {
            Fault::try_later(format!("`{name}` did not answer in time ({which})"))
                .cause(Cause::NoAnswer)
                .at(name, Some(*port))
        }
        ureq::Error::BodyExceedsLimit(limit) => Fault::refused(format!(
            "the answer of `{name}` is larger than {limit} bytes"
        )),
        other => unreached(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn wait(text: &str, now: u64) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, text.parse().ok()?);
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(now)).map(|d| d.as_secs())
    }

    #[test]
    fn both_forms_of_retry_after() {
        assert_eq!(wait("120", 0), Some(120));
        // RFC 9110 §5.6.7's example, ten seconds before and after it.
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_767), Some(10));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_787), Some(0));
    }

    #[test]
    fn nonsense_is_no_wait_and_years_are_a_day() {
        for text in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(wait(text, 0), None, "{text}");
        }
        assert_eq!(wait("4000000000", 0), Some(86_400));
        assert_eq!(wait("Tue, 31 Dec 2999 23:59:59 GMT", 0), Some(86_400));
    }

    /// How a server ends a connection.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum End {
        Notify,
        Close,
        Reset,
    }

    /// Answers one request over TLS with this and ends once it is told that it may; gives the port,
    /// an agent that trusts it, and what tells it.
    fn server(answer: &'static str, end: End) -> (u16, Agent, mpsc::Sender<()>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity =
            native_tls::Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).unwrap();
        let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (may_end, told) = mpsc::channel();
        std::thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            let copy = tcp.try_clone().unwrap();
            let mut tls = acceptor.accept(tcp).unwrap();
            let _ = tls.read(&mut [0; 4096]).unwrap();
            io::Write::write_all(&mut tls, answer.as_bytes()).unwrap();
            // A reset takes away what was not read so far.
            let _ = told.recv();
            match end {
                End::Notify => tls.shutdown().unwrap(),
                End::Close => {}
                End::Reset => {
                    let at_once = Some(Duration::ZERO);
                    rustix::net::sockopt::set_socket_linger(&copy, at_once).unwrap();
                }
            }
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), certificate).unwrap();
        let agent = Agent::new(&Settings {
            connect_timeout: Duration::from_secs(20),
            io_timeout: Duration::from_secs(20),
            ca_file: Some(file.path().to_owned()),
            watch: Default::default(),
        });
        (port, agent.unwrap(), may_end)
    }

    #[test]
    fn a_body_is_whole_by_its_length_its_last_chunk_or_close_notify_alone() {
        use End::{Close, Notify, Reset};
        for (answer, end, is_framed, whole) in [
            ("Content-Length: 5\r\n\r\nwhole", Reset, true, true),
            ("Content-Length: 6\r\n\r\nwhole", Notify, true, false),
            ("Content-Length: 6\r\n\r\nwhole", Reset, true, false),
            (
                "Transfer-Encoding: Chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
                Close,
                true,
                true,
            ),
            (
                "Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
                Notify,
                true,
                false,
            ),
            (
                "Transfer-Encoding: chunked\r\n\r\n6\r\nwhole",
                Reset,
                true,
                false,
            ),
            ("\r\nwhole", Notify, false, true),
            ("\r\nwhole", Close, false, false),
            ("\r\nwhole", Reset, false, false),
        ] {
            let answer: &'static str = format!("HTTP/1.1 200 OK\r\n{answer}").leak();
            let ask = |port| {
                let request = Request::get(format!("https://localhost:{port}/"));
                request.body(Vec::new()).unwrap()
            };
            // What is whole by itself is read while the connection still holds.
            let ends_early = !(is_framed && whole);
            let (port, agent, may_end) = server(answer, end);
            let body = agent.open(ask(port)).unwrap().into_body();
            assert_eq!(body.is_framed(), is_framed, "{answer:?} {end:?}");
            let _ = ends_early.then(|| may_end.send(()));
            let read = body.read_all(100);
            assert_eq!(read.is_ok(), whole, "{answer:?} {end:?}: {read:?}");
            drop(may_end);
            let (port, agent, may_end) = server(answer, end);
            let _ = ends_early.then(|| may_end.send(()));
            let called = agent.call(ask(port), 100);
            assert_eq!(called.is_ok(), whole, "{answer:?} {end:?}: {called:?}");
        }
    }
}
