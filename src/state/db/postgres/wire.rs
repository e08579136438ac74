//! What comes from the server, watched on its way: no message is larger than the program's can be,
//! and the password is not given to whoever asks for it in a form that gives it away.
//!
//! The library answers whatever it is asked for. Each message has a letter, its length with those
//! four octets, and its text (PostgreSQL, "Message Formats").

use super::error::Refusal;
use openssl::x509::X509;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// No message of the program is larger, in octets: the parts of a body have 1 MiB.
const LARGEST: usize = 16 << 20;

/// The letter of a message about signing in, and its numbers: done, by SASL (of which the library
/// knows SCRAM alone), and how that goes on.
const AUTHENTICATION: u8 = b'R';
const OK: u32 = 0;
const CLEAR: u32 = 3;
const MD5: u32 = 5;
const SASL: [u32; 3] = [10, 11, 12];

/// The letter of a message that says which process of the server serves this connection.
const PROCESS: u8 = b'K';

/// Where the messages begin in what comes.
#[derive(Clone, Debug)]
pub struct Watch {
    has_password: bool,
    process: Arc<AtomicU32>,
    /// The letter and length of the message that comes now, and a number behind them.
    head: Vec<u8>,
    /// Octets of it still to come.
    left: usize,
}

impl Watch {
    pub fn new(has_password: bool) -> Watch {
        Watch {
            has_password,
            process: Arc::default(),
            head: Vec::new(),
            left: 0,
        }
    }

    /// The process that serves the connection, as the other end says once somebody is signed in.
    pub fn process(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.process)
    }

    /// These came.
    fn note(&mut self, mut octets: &[u8]) -> Result<(), Refusal> {
        while !octets.is_empty() {
            if self.left > 0 && self.wanted() <= self.head.len() {
                let n = self.left.min(octets.len());
                self.left -= n;
                octets = &octets[n..];
                if self.left == 0 {
                    self.head.clear();
                }
                continue;
            }
            self.head.push(octets[0]);
            octets = &octets[1..];
            self.left = self.left.saturating_sub(1);
            if self.head.len() == 5 {
                let size = self.number(1) as usize;
                if size > LARGEST {
                    return Err(Refusal::TooLarge(size));
                }
                self.left = size.saturating_sub(4);
            }
            if self.head.len() == self.wanted() && self.wanted() > 5 {
                self.judge()?;
            }
            if self.head.len() >= 5 && self.left == 0 {
                self.head.clear();
            }
        }
        Ok(())
    }

    /// How much of a message is looked at.
    fn wanted(&self) -> usize {
        match self.head.first() {
            Some(&(AUTHENTICATION | PROCESS)) => 9,
            _ => 5,
        }
    }

    fn number(&self, at: usize) -> u32 {
        let octets = self.head.get(at..at + 4).unwrap_or_default();
        octets.try_into().map_or(0, u32::from_be_bytes)
    }

    fn judge(&self) -> Result<(), Refusal> {
        if self.head.first() == Some(&PROCESS) {
            self.process.store(self.number(5), Ordering::Relaxed);
            return Ok(());
        }
        match self.number(5) {
            OK => Ok(()),
            CLEAR => Err(Refusal::WeakMethod("password")),
            MD5 => Err(Refusal::WeakMethod("md5")),
            number if !SASL.contains(&number) => Err(Refusal::UnknownMethod(number)),
            _ if self.has_password => Ok(()),
            _ => Err(Refusal::NoPassword),
        }
    }
}

/// A stream from a server.
pub struct Watched<S> {
    stream: S,
    /// `None`: TLS is in it, which is watched inside.
    watch: Option<Watch>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, watch: Option<Watch>) -> Watched<S> {
        Watched { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        let verdict = self.watch.as_mut().map_or(Ok(()), |watch| watch.note(came));
        Poll::Ready(verdict.map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// TLS with a server.
pub struct Tls<S>(tokio_native_tls::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Tls<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match self.0.get_ref().tls_server_end_point() {
            Ok(Some(digest)) => ChannelBinding::tls_server_end_point(digest),
            _ => ChannelBinding::none(),
        }
    }
}

/// Makes TLS with the host of this name, and watches what comes in it.
pub struct WatchedTls {
    pub connector: native_tls::TlsConnector,
    pub host: String,
    pub watch: Watch,
}

impl WatchedTls {
    /// Checks what native-tls has no option for; nothing was sent yet.
    fn check<S>(
        &self,
        stream: &native_tls::TlsStream<S>,
    ) -> Result<(), Box<dyn Error + Sync + Send>>
    where
        S: io::Read + io::Write,
    {
        if let Some(certificate) = stream.peer_certificate()? {
            let certificate = X509::from_der(&certificate.to_der()?)?;
            crate::net::check_names(&self.host, &certificate)?;
        }
        Ok(())
    }
}

impl<S> TlsConnect<S> for WatchedTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Watched<Tls<S>>;
    type Error = Box<dyn Error + Sync + Send>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connector = tokio_native_tls::TlsConnector::from(self.connector.clone());
            let stream = connector.connect(&self.host, stream).await?;
            self.check(stream.get_ref())?;
            Ok(Watched::new(Tls(stream), Some(self.watch)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(letter: u8, text: &[u8]) -> Vec<u8> {
        let size = (text.len() as u32 + 4).to_be_bytes();
        [&[letter][..], &size, text].concat()
    }

    fn judged(octets: &[u8], piece: usize, has_password: bool) -> Result<(), String> {
        let mut watch = Watch::new(has_password);
        for piece in octets.chunks(piece.max(1)) {
            watch.note(piece).map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_method_is_seen_wherever_the_octets_part(
            before in proptest::collection::vec(("[A-QS-Z]", proptest::collection::vec(any::<u8>(), 0..20)), 0..4),
            number in prop_oneof![0..20u32, any::<u32>()],
            rest in proptest::collection::vec(any::<u8>(), 0..20),
            piece in 1..40usize,
            has_password: bool,
        ) {
            let mut octets: Vec<u8> = before
                .iter()
                .flat_map(|(letter, text)| message(letter.as_bytes()[0], text))
                .collect();
            octets.extend(message(b'R', &[&number.to_be_bytes()[..], &rest].concat()));
            octets.extend(message(b'Z', b"I"));
            let may = number == 0 || (SASL.contains(&number) && has_password);
            prop_assert_eq!(judged(&octets, piece, has_password).is_ok(), may);
        }
    }

    #[test]
    fn a_message_without_an_end_is_refused_at_its_beginning() {
        for size in [LARGEST as u32 + 1, u32::MAX] {
            let octets = [&b"D"[..], &size.to_be_bytes()].concat();
            assert!(judged(&octets, 1, true).is_err(), "{size}");
        }
        assert!(judged(&message(b'D', &vec![0; 1 << 20]), 4096, true).is_ok());
    }
}
