//! TLS for the mail protocols, from version 1.2 on, always verified.
//!
//! native-tls, which [`crate::http`] uses, reads the system's file of all authorities for each
//! process, and OpenSSL's copy of it once more. For a mailbox without new mail that is most of the
//! work, so here OpenSSL is set up without it: see [`super::authorities`].

use super::authorities::{Authorities, Reach, certificates};
use super::{Settings, Stage, Watch};
use crate::fault::{self, Cause, Fault, Kind};
use crate::shell;
use crate::workers::locked;
use anyhow::{Context, Result};
use openssl::error::ErrorStack;
use openssl::ssl::{
    HandshakeError, Ssl, SslContext, SslMethod, SslMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{GeneralName, X509Ref, X509VerifyResult};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A connection in TLS.
pub type TlsStream<S> = SslStream<S>;

/// Starts TLS for one way to a host, and tells its watch.
pub struct Connector {
    context: SslContext,
    reach: Reach,
    /// A host's certificate comes from no authority that was read.
    stranger: Cell<bool>,
    /// A host's certificate was found good.
    secured: Cell<bool>,
    watch: Watch,
}

/// Opens a session by `open`; and a second time, with all of the system's authorities, where the
/// first few do not know the host.
pub fn over_tls<T>(settings: &Settings, open: impl Fn(&Connector) -> Result<T>) -> Result<T> {
    let connector = Connector::new(settings, Reach::ByName)?;
    let first = match open(&connector) {
        Err(err) if connector.stranger.get() => err,
        opened => return opened,
    };
    let connector = Connector::new(settings, Reach::All)?;
    open(&connector).map_err(|err| match err.downcast::<Fault>() {
        // Whether any of them knows the host was not found out.
        Ok(mut fault) if fault.kind == Kind::TryLater && !connector.secured.get() => {
            fault.what = format!("{}; just before, {first}", fault.what);
            fault.into()
        }
        Ok(fault) => fault.into(),
        Err(err) => err,
    })
}

impl Connector {
    fn new(settings: &Settings, at_least: Reach) -> Result<Connector> {
        let (context, reach) = context(settings.ca_file.as_deref(), at_least)?;
        Ok(Connector {
            context,
            reach,
            stranger: Cell::new(false),
            secured: Cell::new(false),
            watch: settings.watch.clone(),
        })
    }

    /// A handshake that checks the certificate against the name or address `host` (RFC 9525).
    fn ssl(&self, host: &str) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let address = host.parse::<IpAddr>();
        if address.is_err() {
            ssl.set_hostname(host)?;
        }
        let expected = ssl.param_mut();
        expected.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match address {
            Ok(address) => expected.set_ip(address)?,
            Err(_) => expected.set_host(host)?,
        }
        Ok(ssl)
    }
}

/// A client that trusts the system's authorities and those in `ca_file`. A process makes one for
/// each `ca_file`, and another where one that reaches further is needed.
fn context(ca_file: Option<&Path>, at_least: Reach) -> Result<(SslContext, Reach)> {
    type Made = BTreeMap<Option<PathBuf>, (SslContext, Reach)>;
    static MADE: Mutex<Made> = Mutex::new(BTreeMap::new());
    let mut made = locked(&MADE);
    let key = ca_file.map(Path::to_owned);
    if let Some((context, reach)) = made.get(&key)
        && (*reach == Reach::All || at_least == Reach::ByName)
    {
        return Ok((context.clone(), *reach));
    }
    let authorities = Authorities::of_the_system();
    let reach = match at_least {
        Reach::ByName => authorities.reach(),
        Reach::All => Reach::All,
    };
    let context = make(ca_file, &authorities, reach)?;
    all_read()?;
    made.insert(key, (context.clone(), reach));
    Ok((context, reach))
}

/// Finds out whether the system's authorities may have been read: OpenSSL passes over a file that
/// it cannot open, without a word, and would trust nobody.
///
/// # Errors
/// `TryLater`: no file can be opened.
pub fn all_read() -> Result<(), Fault> {
    match fault::no_file_left() {
        false => Ok(()),
        true => Err(Fault::try_later(
            "cannot read the authorities that this machine trusts: too many open files",
        )
        .by_library()),
    }
}

fn make(ca_file: Option<&Path>, authorities: &Authorities, reach: Reach) -> Result<SslContext> {
    let cannot = "cannot set up TLS with the system's library";
    let mut builder = SslContext::builder(SslMethod::tls_client()).context(cannot)?;
    builder
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .context(cannot)?;
    builder.set_verify(SslVerifyMode::PEER);
    // A fleet has many connections that wait: they hold no buffers meanwhile.
    builder.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    authorities.add_to(&mut builder, reach).context(cannot)?;
    for certificate in ca_file.map(certificates).transpose()?.unwrap_or_default() {
        builder
            .cert_store_mut()
            .add_cert(certificate)
            .context(cannot)?;
    }
    Ok(builder.build())
}

/// Starts TLS on a connection and verifies the certificate against `host`.
pub fn start_tls<S: Read + Write>(
    stream: S,
    host: &str,
    connector: &Connector,
) -> Result<TlsStream<S>> {
    let ssl = connector
        .ssl(host)
        .with_context(|| format!("cannot set up TLS with `{host}`"))?;
    let tls = ssl.connect(stream).map_err(|e| match e {
        HandshakeError::SetupFailure(e) => tls_fault(host, &e),
        HandshakeError::Failure(e) => {
            let verified = e.ssl().verify_result();
            if verified == X509VerifyResult::OK {
                tls_fault(host, e.error())
            } else {
                connector.stranger.set(connector.reach != Reach::All);
                tls_fault(host, &format_args!("{} ({verified})", e.error()))
            }
        }
        HandshakeError::WouldBlock(_) => {
            Fault::try_later(format!("`{host}` did not finish the TLS handshake in time"))
                .cause(Cause::TlsFailed)
                .at(host, None)
        }
    })?;
    if let Some(certificate) = tls.ssl().peer_certificate() {
        check_names(host, &certificate)?;
    }
    connector.secured.set(true);
    connector.watch.tell(|| {
        let certificate = tls.ssl().peer_certificate();
        Stage::Secured(certificate.and_then(|c| c.to_der().ok()))
    });
    Ok(tls)
}

/// Refuses a certificate that was found good by the name in its subject alone: OpenSSL takes that
/// name where there is none of DNS in the subjectAltName, and RFC 9525 §1.1 does not.
///
/// # Errors
/// `Refused`.
pub fn check_names(host: &str, certificate: &X509Ref) -> Result<(), Fault> {
    let has_names = |names: Stack<GeneralName>| names.iter().any(|name| name.dnsname().is_some());
    if host.parse::<IpAddr>().is_ok() || certificate.subject_alt_names().is_some_and(has_names) {
        return Ok(());
    }
    Err(Fault::refused(format!("the certificate of `{host}` is not trusted: it has no subjectAltName with a DNS name, and RFC 9525 does not allow the name in its subject (CN)"),
    )
    .cause(Cause::CertificateWithoutNames)
    .at(host, None)
    .hint(format!(
        "ask the administrator of `{host}` to reissue the certificate with subjectAltName=DNS:{host}"
    )))
}

/// The words in OpenSSL's `error:CODE:library:function:reason:file:line: (more)`; a text of
/// another form as it is.
pub fn reason(text: &str) -> &str {
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

/// Why a certificate is not trusted, and what to do about it. OpenSSL's words tell
/// (X509_verify_cert_error_string(3)): native-tls gives no number with them.
fn distrust(why: &str) -> (Cause, &'static str) {
    if why.contains("mismatch") {
        (
            Cause::CertificateOfAnother,
            "it has other names: check the host in the URL, and whether a proxy answers instead",
        )
    } else if why.contains("expired") || why.contains("not yet valid") {
        (
            Cause::CertificateOutOfDate,
            "check the clock of this machine (date); if it is right, the administrator of the host must renew the certificate",
        )
    } else {
        (
            Cause::CertificateNotTrusted,
            "a proxy that inspects TLS, or a private authority: add its PEM file as `ca_file`",
        )
    }
}

/// What a failed handshake with a mail server means.
fn tls_fault(host: &str, err: &dyn Display) -> Fault {
    let text = err.to_string();
    untrusted(host, &text).unwrap_or_else(|| {
        Fault::try_later(format!("TLS with `{host}` failed: {}", reason(&text)))
            .cause(Cause::TlsFailed)
            .at(host, None)
            .hint("usually the wrong port or TLS mode: imaps:// and smtps:// start with TLS, imap:// and smtp:// use STARTTLS")
    })
}

/// The fault of a certificate that is not trusted; `None` where OpenSSL's text tells of no
/// certificate.
pub fn untrusted(host: &str, text: &str) -> Option<Fault> {
    if !text.contains("certificate") {
        return None;
    }
    let why = reason(text);
    let (cause, remedy) = distrust(why);
    let fault = Fault::refused(format!("the certificate of `{host}` is not trusted: {why}"))
        .cause(cause)
        .at(host, None)
        .hint(remedy)
        .by_library();
    // OpenSSL passes over a file that it cannot use, without a word.
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    Some(match named.filter(|path| certificates(path).is_err()) {
        None => fault,
        Some(path) => fault.hint(format!(
            "SSL_CERT_FILE names a file that cannot be read or contains no certificate: ls -l {}",
            shell::quote(&path)
        )),
    })
}
