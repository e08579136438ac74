//! One way to a host: a transport URL, a TCP connection with time-outs, and TLS that is always
//! verified. There is no way to switch certificate checks off.

mod authorities;
mod endpoint;
mod patience;
mod tls;

pub use authorities::certificates;
pub use endpoint::{Endpoint, TlsMode};
pub use patience::Patience;
pub use tls::{Connector, TlsStream, check_names, over_tls, reason, start_tls, untrusted};

use crate::fault::Fault;
use anyhow::Result;
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long we wait for a host, and whom we trust beside the system's authorities.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the TCP connection and the TLS handshake.
    pub connect_timeout: Duration,
    /// For each read and write.
    pub io_timeout: Duration,
    /// A PEM file of authorities added to the system's.
    pub ca_file: Option<PathBuf>,
    /// Is told how far a connection has come.
    pub watch: Watch,
}

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
