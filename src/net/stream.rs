//! The stream of a mail protocol: a socket, unencrypted or in TLS, whose every wait has an end.
//!
//! A time-out of each read alone lets a host send an octet now and then for ever, and inside a TLS
//! record nobody above would see even that. So the time that is spent on waiting is summed up
//! beneath TLS, and stays below a [`Patience`]. The time between reads and writes, which the
//! program itself takes, does not count.
//!
//! HTTPS has ureq's own stream, which `http/tls` gives the same patience.

use super::tls::{Connector, TlsStream, start_tls};
use super::{Patience, Settings};
use crate::fault::Fault;
use anyhow::Result;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What a buffer for reading begins with, and grows to, in octets. Many connections wait where
/// little comes.
pub const SMALL_BUFFER: usize = 4 << 10;
const LARGE_BUFFER: usize = 64 << 10;

/// Makes a buffer larger that a read has filled.
pub fn grow(buffer: &mut Vec<u8>) {
    let size = (buffer.len() * 4).min(LARGE_BUFFER);
    if size > buffer.len() {
        buffer.resize(size, 0);
    }
}

/// A connection whose reads and writes can be given a time.
pub trait Socket: Read + Write + Send {
    fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()>;
    fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        TcpStream::set_read_timeout(self, time)
    }

    fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        TcpStream::set_write_timeout(self, time)
    }
}

impl Socket for UnixStream {
    fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        UnixStream::set_read_timeout(self, time)
    }

    fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        UnixStream::set_write_timeout(self, time)
    }
}

/// An unencrypted connection, until TLS is started on it.
pub enum Stream {
    Clear(Timed),
    Tls(Box<TlsStream<Timed>>),
}

impl Stream {
    /// All waits of one use take at most `patience` together (see [`Stream::allow`]).
    pub fn new(socket: impl Socket + 'static, patience: Duration) -> Stream {
        Stream::Clear(Timed {
            socket: Box::new(socket),
            patience: Patience::new(patience),
            longest_wait: Duration::MAX,
            until: None,
            read_timeout: None,
            write_timeout: None,
            buffer: vec![0; SMALL_BUFFER],
            start: 0,
            end: 0,
        })
    }

    /// One read or write takes at most so long.
    pub fn with_longest_wait(mut self, time: Duration) -> Stream {
        self.timed_mut().longest_wait = time;
        self
    }

    /// However many uses there are, nothing is read or written after this time.
    pub fn end_at(&mut self, time: Instant) {
        self.timed_mut().until = Some(time);
    }

    /// Begins another use, whose waits take at most so long together, and longer the more octets
    /// pass.
    pub fn allow(&mut self, patience: Duration) {
        self.timed_mut().patience = Patience::new(patience);
    }

    /// Begins another use, which may take as long as the last one.
    pub fn renew(&mut self) {
        self.timed_mut().patience.renew();
    }

    /// How many octets have arrived that nobody has read: before TLS is started, those that the
    /// host, or anybody on the way, also sent unencrypted.
    pub fn unread(&self) -> usize {
        let timed = match self {
            Stream::Clear(timed) => timed,
            Stream::Tls(tls) => tls.get_ref(),
        };
        timed.end - timed.start
    }

    /// Starts TLS with `host`, whose certificate is verified, within what is left of the time.
    pub fn start_tls(self, host: &str, connector: &Connector) -> Result<Stream> {
        match self {
            Stream::Clear(timed) => {
                let tls = start_tls(timed, host, connector)?;
                Ok(Stream::Tls(Box::new(tls)))
            }
            Stream::Tls(_) => Err(Fault::bug("TLS started twice").into()),
        }
    }

    fn timed_mut(&mut self) -> &mut Timed {
        match self {
            Stream::Clear(timed) => timed,
            Stream::Tls(tls) => tls.get_mut(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(timed) => timed.read(out),
            Stream::Tls(tls) => tls.read(out),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(timed) => timed.write(octets),
            Stream::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(timed) => timed.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A socket whose reads and writes end in time. Its buffer saves two system calls for each record
/// of TLS.
pub struct Timed {
    socket: Box<dyn Socket>,
    patience: Patience,
    longest_wait: Duration,
    /// All uses together are over then.
    until: Option<Instant>,
    /// What the socket was last told.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Timed {
    /// How long the next read or write may take.
    ///
    /// # Errors
    /// [`late`] where no time is left.
    fn left(&self) -> io::Result<Duration> {
        let whole = |until: Instant| until.saturating_duration_since(Instant::now());
        let whole = self.until.map_or(Duration::MAX, whole);
        match self.patience.left().min(whole) {
            Duration::ZERO => Err(late()),
            left => Ok(left.min(self.longest_wait)),
        }
    }

    /// Counts a read or write that began then.
    fn spend(&mut self, since: Instant, done: io::Result<usize>) -> io::Result<usize> {
        let octets = done.as_ref().copied().unwrap_or_default();
        self.patience.spend(since.elapsed(), octets);
        done.map_err(|e| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
            _ => e,
        })
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.end == self.buffer.len() {
            grow(&mut self.buffer);
        }
        (self.start, self.end) = (0, 0);
        loop {
            let left = Some(self.left()?);
            if self.read_timeout != left {
                self.socket.set_read_timeout(left)?;
                self.read_timeout = left;
            }
            let since = Instant::now();
            let read = self.socket.read(&mut self.buffer);
            match self.spend(since, read) {
                // A signal is not an end.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => {
                    self.end = read?;
                    return Ok(());
                }
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            self.fill()?;
        }
        let taken = out.len().min(self.end - self.start);
        out[..taken].copy_from_slice(&self.buffer[self.start..self.start + taken]);
        self.start += taken;
        Ok(taken)
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let left = Some(self.left()?);
        if self.write_timeout != left {
            self.socket.set_write_timeout(left)?;
            self.write_timeout = left;
        }
        let since = Instant::now();
        let written = self.socket.write(octets);
        self.spend(since, written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// The time is up. OpenSSL passes this kind of error on, so that a handshake that takes too long is
/// told from one that fails.
fn late() -> io::Error {
    io::Error::new(ErrorKind::WouldBlock, "it did not answer in time")
}

/// True for the error of a read or write whose time was up.
pub fn is_late(err: &io::Error) -> bool {
    matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Connects and starts TLS with a host, and leaves again.
///
/// # Errors
/// As those of [`super::connect`], and `Refused` for a certificate that is not trusted.
pub fn try_tls(host: &str, port: u16, settings: &Settings) -> Result<()> {
    super::over_tls(settings, |connector| {
        let tcp = super::connect(host, port, settings)?;
        let stream = Stream::new(tcp, settings.io_timeout);
        stream.start_tls(host, connector).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one octet after each pause, for ever; takes nothing.
    struct Drip(Duration);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.0);
            out[0] = b'x';
            Ok(1)
        }
    }

    impl Write for Drip {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            std::thread::sleep(self.0);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Socket for Drip {
        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_drip_ends() {
        let drip = Drip(Duration::from_millis(100));
        let mut stream = Stream::new(drip, Duration::from_secs(1));
        let mut count = 0;
        let end = loop {
            match stream.read(&mut [0; 16]) {
                Ok(n) => count += n,
                Err(e) => break e,
            }
        };
        assert!(is_late(&end), "{end}");
        assert!((1..=11).contains(&count), "{count}");
        stream.renew();
        assert!(stream.read(&mut [0; 16]).is_ok());
        stream.allow(Duration::from_millis(300));
        assert!(is_late(&stream.write_all(&[b'x'; 100]).unwrap_err()));
    }

    #[test]
    fn one_read_ends_before_all_of_them_must() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut stream =
            Stream::new(ours, Duration::from_secs(60)).with_longest_wait(Duration::from_millis(20));
        let since = Instant::now();
        assert!(is_late(&stream.read(&mut [0; 16]).unwrap_err()));
        assert!(since.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn what_came_besides_is_counted() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(ours, Duration::from_secs(60));
        theirs.write_all(b"220 go on\r\nmore").unwrap();
        assert_eq!(stream.unread(), 0);
        stream.read_exact(&mut [0; 11]).unwrap();
        assert_eq!(stream.unread(), 4);
    }
}
