//! One way to a host: a transport URL, a connection whose every wait has an end, and TLS that is
//! always verified. There is no way to switch certificate checks off.

mod authorities;
mod dial;
mod endpoint;
mod patience;
mod stream;
mod tls;
mod unix;

pub use authorities::certificates;
pub use endpoint::{Endpoint, TlsMode};
pub use patience::Patience;
#[cfg(any(test, fuzzing))]
pub use stream::Socket;
pub use stream::{SMALL_BUFFER, Stream, grow, is_late, try_tls};
pub use tls::{Connector, all_read, check_names, over_tls, reason, untrusted};
pub use unix::connect_unix;

use crate::fault::{Cause, Fault};
use anyhow::Result;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for a host, and whom to trust in addition to the system's authorities.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the TCP connection, the lookup of the host's name included; and for the TLS handshake.
    pub connect_timeout: Duration,
    /// For each read and write of a [`Stream`] that is given it.
    pub io_timeout: Duration,
    /// A PEM file of authorities added to the system's.
    pub ca_file: Option<PathBuf>,
    /// Is told how far a connection has come.
    pub watch: Watch,
}

/// Hears what is said, a line at a time; who says it has masked every secret.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// How far a connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host's name has these addresses.
    Named(Vec<IpAddr>),
    Connected(SocketAddr),
    /// TLS is on, with this certificate of the host (DER).
    Secured(Option<Vec<u8>>),
}

/// Who wants to know of each [`Stage`]; nobody by default.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(Stage) + Send + Sync>>);

impl Watch {
    pub fn new(told: impl Fn(Stage) + Send + Sync + 'static) -> Watch {
        Watch(Some(Arc::new(told)))
    }

    /// True if somebody wants to know.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn tell(&self, stage: impl FnOnce() -> Stage) {
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

/// Opens a TCP connection to the first address of the host that answers. A [`Stream`] gives its
/// reads and writes a time.
pub fn connect(host: &str, port: u16, settings: &Settings) -> Result<TcpStream> {
    let end = Instant::now() + settings.connect_timeout;
    let addresses = dial::resolve(host, port, end).map_err(|e| not_found(host, Some(&e)))?;
    dial(&addresses, end, &settings.watch).map_err(|why| {
        let cause = match why.kind() {
            ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
            _ => Cause::CannotConnect,
        };
        Fault::try_later(format!("cannot connect to `{host}` port {port}: {why}"))
            .cause(cause)
            .at(host, Some(port))
            .by_system(&why)
            .into()
    })
}

/// The addresses of a host, found before `end`.
pub fn resolve(host: &str, port: u16, end: Instant) -> io::Result<Vec<SocketAddr>> {
    dial::resolve(host, port, end)
}

/// The fault of a host whose name has no address; `why`, where the system says more.
pub fn not_found(host: &str, why: Option<&io::Error>) -> Fault {
    let said = why.map(|why| format!(": {why}")).unwrap_or_default();
    let fault = Fault::try_later(format!("cannot find host `{host}`{said}"))
        .cause(Cause::HostNotFound)
        .at(host, None)
        .hint(format!(
            "check the name and this machine's DNS: getent hosts {host}"
        ));
    let fault = match why {
        Some(why) => fault.by_system(why),
        None => fault,
    };
    // The resolver does not say that it could not open its files.
    fault.by_library()
}

/// Opens a TCP connection to the first of a host's addresses that answers before `end`, and tells
/// the watch.
pub fn dial(addresses: &[SocketAddr], end: Instant, watch: &Watch) -> io::Result<TcpStream> {
    watch.tell(|| Stage::Named(addresses.iter().map(SocketAddr::ip).collect()));
    let stream = dial::dial(addresses, end)?;
    stream.set_nodelay(true)?;
    if let Ok(address) = stream.peer_addr() {
        watch.tell(|| Stage::Connected(address));
    }
    Ok(stream)
}
