//! TLS for HTTPS, by native-tls, beneath ureq.
//!
//! native-tls shakes hands and verifies. That a name in a certificate's subject alone does not count,
//! and that a connection ended without `close_notify`, is found here, for it has no option for
//! either. The mail protocols do not use it: see [`crate::net::over_tls`]'s file.

use crate::fault::Fault;
use crate::net::{self, Patience, Stage, Watch};
use crate::workers::locked;
use anyhow::{Context, Result};
use native_tls::{Certificate, HandshakeError, Protocol, TlsConnector, TlsStream};
use openssl::x509::X509;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Instant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// A TLS client that trusts the system's authorities (and `SSL_CERT_FILE`) and those in
/// `ca_file`, from TLS 1.2 on.
///
/// Reading the system's authorities takes longer than a handshake, so a process does it once for
/// each `ca_file`.
pub fn connector(ca_file: Option<&Path>) -> Result<TlsConnector> {
    static MADE: Mutex<BTreeMap<Option<PathBuf>, TlsConnector>> = Mutex::new(BTreeMap::new());
    let key = ca_file.map(Path::to_owned);
    let mut made = locked(&MADE);
    if let Some(connector) = made.get(&key) {
        return Ok(connector.clone());
    }
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(path) = ca_file {
        for certificate in net::certificates(path)? {
            builder.add_root_certificate(Certificate::from_der(&certificate.to_der()?)?);
        }
    }
    let connector = builder
        .build()
        .context("cannot set up TLS with the system's library")?;
    net::all_read()?;
    made.insert(key, connector.clone());
    Ok(connector)
}

/// A thread that makes connectors ahead of their use.
pub struct Preparation(Option<JoinHandle<()>>);

/// Begins to make the connector for each of these `ca_file`s. It is then ready, or nearly so,
/// when the first connection asks for it; what goes wrong is found and told there.
pub fn prepare(ca_files: impl IntoIterator<Item = Option<PathBuf>>) -> Preparation {
    let ca_files: BTreeSet<_> = ca_files.into_iter().collect();
    let make = move || {
        for ca_file in ca_files {
            let _ = connector(ca_file.as_deref());
        }
    };
    // Without the thread the first connection waits.
    Preparation(std::thread::Builder::new().spawn(make).ok())
}

/// Waits for the thread: a process must not end in the middle of OpenSSL's work.
impl Drop for Preparation {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Wraps a connection in the program's TLS.
pub struct TlsWrap {
    pub tls: TlsConnector,
    pub watch: Watch,
    pub patience: Patience,
}

impl<In: Transport> Connector<In> for TlsWrap {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details
            .uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']']);
        let mut adapter = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        adapter.set_timeout(details.timeout);
        let below = Below {
            adapter,
            ended: false,
        };
        let failed = |fault| {
            let port = details.uri.port_u16().unwrap_or(443);
            let host = host.to_owned();
            ureq::Error::Other(Box::new(TlsFailure { host, port, fault }))
        };
        let stream = self.tls.connect(host, below).map_err(|e| match e {
            HandshakeError::Failure(e) => failed(handshake_fault(host, &e.to_string())),
            HandshakeError::WouldBlock(_) => ureq::Error::ConnectionFailed,
        })?;
        check_names(host, &stream).map_err(failed)?;
        self.watch.tell(|| {
            let certificate = stream.peer_certificate().ok().flatten();
            Stage::Secured(certificate.and_then(|c| c.to_der().ok()))
        });
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport {
            buffers,
            stream,
            patience: self.patience,
        })))
    }
}

/// What kept TLS with a host, or a proxy, from coming about.
#[derive(Debug)]
pub struct TlsFailure {
    pub host: String,
    pub port: u16,
    pub fault: Fault,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for TlsFailure {}

fn handshake_fault(host: &str, text: &str) -> Fault {
    net::untrusted(host, text).unwrap_or_else(|| {
        let why = net::reason(text);
        Fault::try_later(format!("the TLS handshake with `{host}` failed: {why}"))
    })
}

/// Checks what native-tls has no option for; nothing was sent yet.
fn check_names<S: Read + Write>(host: &str, stream: &TlsStream<S>) -> Result<(), Fault> {
    let unreadable = |e: &dyn fmt::Display| {
        Fault::try_later(format!("cannot read the certificate of `{host}`: {e}"))
    };
    let Some(certificate) = stream.peer_certificate().map_err(|e| unreadable(&e))? else {
        return Ok(());
    };
    let der = certificate.to_der().map_err(|e| unreadable(&e))?;
    let certificate = X509::from_der(&der).map_err(|e| unreadable(&e))?;
    net::check_names(host, &certificate)
}

impl fmt::Debug for TlsWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsWrap")
    }
}

/// The connection beneath TLS, which notes its own end.
struct Below {
    adapter: TransportAdapter,
    /// It ended, and nobody has said within TLS that it would.
    ended: bool,
}

impl Read for Below {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.adapter.read(buffer)?;
        self.ended |= amount == 0;
        Ok(amount)
    }
}

impl Write for Below {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.adapter.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.adapter.flush()
    }
}

/// A connection inside the program's TLS.
pub struct TlsTransport {
    buffers: LazyBuffers,
    stream: TlsStream<Below>,
    /// For the answer to one request.
    patience: Patience,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.patience.renew();
        self.stream.get_mut().adapter.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let left = self.patience.left();
        if left.is_zero() {
            return Err(ureq::Error::Timeout(timeout.reason));
        }
        // Also beneath a TLS record, of which nobody above sees a part.
        if left < *timeout.after {
            timeout.after = ureq::unversioned::transport::time::Duration::Exact(left);
        }
        self.stream.get_mut().adapter.set_timeout(timeout);
        let since = Instant::now();
        let amount = match self.stream.read(self.buffers.input_append_buf()) {
            // Not every version of OpenSSL tells this from a `close_notify`.
            Ok(0) if self.stream.get_ref().ended => return Err(cut_off("it ended")),
            // ureq takes these for an orderly end.
            Err(e) if is_end(e.kind()) => return Err(cut_off(&e.to_string())),
            read => read?,
        };
        self.patience.spend(since.elapsed(), amount);
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().adapter.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The connection ended and no `close_notify` came before, so anybody on the way may have cut it.
/// No body is whole by such an end (RFC 9112 §9.8).
fn cut_off(why: &str) -> ureq::Error {
    ureq::Error::Io(io::Error::other(format!("the connection broke: {why}")))
}

/// The kinds of error after which ureq believes that a body without a length is whole.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}
