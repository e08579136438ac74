//! TCP for HTTPS, beneath ureq: dialled as every host is, and told to who watches.

use crate::net::{self, Watch};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

/// Where ureq says no time, which it does nowhere with these settings.
const LONGEST: Duration = Duration::from_secs(3600);

/// Connects to a host, or to the proxy on the way to it.
#[derive(Debug)]
pub struct Dial {
    pub watch: Watch,
}

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // Through a proxy there is a connection already.
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let time = details.timeout.not_zero().map_or(LONGEST, |time| *time);
        let stream = net::dial(&details.addrs, Instant::now() + time, &self.watch)
            .map_err(|err| in_time(err, details.timeout))?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(Tcp {
            stream,
            buffers,
            read_time: None,
            write_time: None,
        })))
    }
}

/// A connection each of whose reads and writes has the time that ureq gives it.
pub struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// As the socket has them: a system call less where they stay.
    read_time: Option<Duration>,
    write_time: Option<Duration>,
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let time = left(timeout)?;
        if self.write_time != time {
            self.stream.set_write_timeout(time)?;
            self.write_time = time;
        }
        let octets = &self.buffers.output()[..amount];
        self.stream
            .write_all(octets)
            .map_err(|err| in_time(err, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let mut time = left(timeout)?;
        let end = time.map(|time| Instant::now() + time);
        loop {
            if self.read_time != time {
                self.stream.set_read_timeout(time)?;
                self.read_time = time;
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                // A signal is no end.
                Err(err) if err.kind() == ErrorKind::Interrupted => {
                    time = end.map(|end| end.saturating_duration_since(Instant::now()));
                    if time.is_some_and(|time| time.is_zero()) {
                        return Err(ureq::Error::Timeout(timeout.reason));
                    }
                }
                read => {
                    let amount = read.map_err(|err| in_time(err, timeout))?;
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
            }
        }
    }

    /// Nothing has come that nobody asked for, and it has not ended.
    fn is_open(&mut self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = self.stream.peek(&mut [0]);
        let is_quiet = matches!(peeked, Err(err) if err.kind() == ErrorKind::WouldBlock);
        is_quiet && self.stream.set_nonblocking(false).is_ok()
    }
}

/// The time that is left; `None` where there is no end.
fn left(timeout: NextTimeout) -> Result<Option<Duration>, ureq::Error> {
    match timeout.after.is_zero() {
        true => Err(ureq::Error::Timeout(timeout.reason)),
        false => Ok(timeout.not_zero().map(|time| *time)),
    }
}

fn in_time(err: io::Error, timeout: NextTimeout) -> ureq::Error {
    match net::is_late(&err) {
        true => ureq::Error::Timeout(timeout.reason),
        false => ureq::Error::Io(err),
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tcp")
    }
}
