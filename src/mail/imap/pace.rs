//! The socket beneath TLS, with a patience that a slow drip of octets cannot stretch.
//!
//! A read time-out alone lets a server send one octet a minute for ever, and beneath a TLS
//! record nobody above would even see it. So the time spent waiting for the server is summed up
//! here, and must stay below a fixed patience plus what a very slow line needs for the octets
//! that came. The time that we spend on delivery does not count.

use crate::net::Patience;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long the server has kept us waiting since the last command.
pub struct Pace(Cell<Patience>);

impl Pace {
    pub fn new(patience: Duration) -> Rc<Pace> {
        Rc::new(Pace(Cell::new(Patience::new(patience))))
    }

    /// A command begins: its patience is whole.
    pub fn restart(&self) {
        self.change(Patience::renew);
    }

    fn spend(&self, waited: Duration, received: usize) {
        self.change(|patience| patience.spend(waited, received));
    }

    fn change(&self, change: impl FnOnce(&mut Patience)) {
        let mut patience = self.0.get();
        change(&mut patience);
        self.0.set(patience);
    }

    fn check(&self) -> io::Result<()> {
        match self.0.get().left() {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

/// A connection whose reads are timed. Its buffer saves two system calls for each TLS record; it
/// is small until much comes, since many connections wait where little does.
pub struct Paced<S> {
    inner: Timed<S>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What a buffer for reading begins with, and grows to, in octets.
pub const SMALL: usize = 4 << 10;
pub const LARGE: usize = 64 << 10;

/// Makes a buffer larger that a read has filled.
pub fn grow(buffer: &mut Vec<u8>) {
    let size = (buffer.len() * 4).min(LARGE);
    if size > buffer.len() {
        buffer.resize(size, 0);
    }
}

struct Timed<S> {
    stream: S,
    pace: Rc<Pace>,
}

impl<S: Read> Paced<S> {
    pub fn new(stream: S, pace: Rc<Pace>) -> Paced<S> {
        Paced {
            inner: Timed { stream, pace },
            buffer: vec![0; SMALL],
            start: 0,
            end: 0,
        }
    }
}

impl Paced<TcpStream> {
    /// True if octets wait to be read: those the server should not have sent yet.
    pub fn has_more(&self) -> io::Result<bool> {
        if self.start < self.end {
            return Ok(true);
        }
        let tcp = &self.inner.stream;
        tcp.set_nonblocking(true)?;
        let seen = tcp.peek(&mut [0]);
        tcp.set_nonblocking(false)?;
        match seen {
            Ok(n) => Ok(n > 0),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl<S: Read> Read for Timed<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.pace.check()?;
        let since = Instant::now();
        let n = self.stream.read(out)?;
        self.pace.spend(since.elapsed(), n);
        Ok(n)
    }
}

impl<S: Read> Read for Paced<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if self.end == self.buffer.len() {
                grow(&mut self.buffer);
            }
            (self.start, self.end) = (0, 0);
            self.end = self.inner.read(&mut self.buffer)?;
        }
        let taken = out.len().min(self.end - self.start);
        out[..taken].copy_from_slice(&self.buffer[self.start..self.start + taken]);
        self.start += taken;
        Ok(taken)
    }
}

impl<S: Write> Write for Paced<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.inner.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one octet after each pause, for ever.
    struct Drip(Duration);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.0);
            out[0] = b'x';
            Ok(1)
        }
    }

    #[test]
    fn a_slow_drip_ends() {
        let pace = Pace::new(Duration::from_millis(30));
        let mut stream = Paced::new(Drip(Duration::from_millis(5)), pace.clone());
        let mut count = 0;
        let end = loop {
            match stream.read(&mut [0; 16]) {
                Ok(n) => count += n,
                Err(e) => break e,
            }
        };
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert!((1..=7).contains(&count), "{count}");
        pace.restart();
        assert!(stream.read(&mut [0; 16]).is_ok());
    }
}
