//! A TCP connection to whichever of a host's addresses answers first, within one time for all of
//! them (RFC 8305, in small).

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// So long an address has to answer before the next one is tried too (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The addresses of a host, found before `end`: the families in turn, so that one without a route
/// holds nobody up (RFC 8305 §4).
pub fn resolve(host: &str, port: u16, end: Instant) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (found, wait) = mpsc::channel();
    let name = host.to_owned();
    // The system's resolver has times of its own and cannot be interrupted: nobody waits for the
    // thread.
    std::thread::Builder::new().spawn(move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        let _ = found.send(addresses.map(Iterator::collect::<Vec<_>>));
    })?;
    let late = |_| Err(Error::new(ErrorKind::TimedOut, "no answer from the DNS"));
    let left = end.saturating_duration_since(Instant::now());
    wait.recv_timeout(left).unwrap_or_else(late).map(in_turn)
}

/// The first address's family, the other one, and so on.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (own, other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|a: &SocketAddr| a.is_ipv6() == first);
    let mut turns = [own.into_iter(), other.into_iter()];
    let mut sorted = Vec::with_capacity(addresses.len());
    while sorted.len() < addresses.len() {
        sorted.extend(turns.iter_mut().filter_map(Iterator::next));
    }
    sorted
}

/// A connection to the first address that answers before `end`. Each gets a head start over the
/// next one; one that refuses makes way at once.
///
/// # Errors
/// That of the last address, or `TimedOut`.
pub fn dial(addresses: &[SocketAddr], end: Instant) -> Result<TcpStream> {
    let mut left = addresses.iter();
    let mut trying: Vec<TcpStream> = Vec::new();
    let mut failure = Error::new(ErrorKind::NotFound, "the name has no address");
    let mut turn = Instant::now();
    loop {
        let now = Instant::now();
        if now >= turn || trying.is_empty() {
            match left.next().map(begin) {
                Some(Ok(stream)) => {
                    trying.push(stream);
                    turn = now + HEAD_START;
                }
                Some(Err(e)) => {
                    failure = e;
                    continue;
                }
                None if trying.is_empty() => return Err(failure),
                None => turn = end,
            }
        }
        if now >= end {
            return Err(Error::new(ErrorKind::TimedOut, "connection timed out"));
        }
        let time = turn.min(end).saturating_duration_since(now);
        for index in answered(&trying, time)?.into_iter().rev() {
            let stream = trying.remove(index);
            match sockopt::socket_error(&stream)? {
                Ok(()) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(e) => {
                    failure = e.into();
                    turn = now;
                }
            }
        }
    }
}

/// Begins to connect, and waits for nothing.
fn begin(address: &SocketAddr) -> Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    match net::connect(&stream, address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(stream),
        Err(e) => Err(e.into()),
    }
}

/// Those, by their index, that were answered or refused within the time.
fn answered(trying: &[TcpStream], time: Duration) -> Result<Vec<usize>> {
    let mut waiting: Vec<_> = trying
        .iter()
        .map(|stream| PollFd::new(stream, PollFlags::OUT))
        .collect();
    let time = Timespec::try_from(time).map_err(Error::other)?;
    match poll(&mut waiting, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let events = waiting.iter().enumerate();
    Ok(events
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|(index, _)| index)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A listener whose queue is full, as of a machine that drops what comes: nobody gets through.
    struct Silent {
        listener: TcpListener,
        _waiting: Vec<TcpStream>,
    }

    impl Silent {
        fn new() -> Silent {
            let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            net::listen(&socket, 0).unwrap();
            let listener = TcpListener::from(socket);
            let address = listener.local_addr().unwrap();
            let short = Duration::from_millis(50);
            let fill = |_| TcpStream::connect_timeout(&address, short).ok();
            let waiting = (0..4).filter_map(fill).collect();
            Silent {
                listener,
                _waiting: waiting,
            }
        }

        fn address(&self) -> SocketAddr {
            self.listener.local_addr().unwrap()
        }
    }

    #[test]
    fn one_time_holds_for_all_addresses() {
        let silent = Silent::new();
        let began = Instant::now();
        let refusal = dial(&[silent.address(); 64], began + Duration::from_millis(600));
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(600) && took < Duration::from_secs(30),
            "{took:?}"
        );
    }

    #[test]
    fn the_first_that_answers_is_taken() {
        let silent = Silent::new();
        let well = TcpListener::bind("127.0.0.1:0").unwrap();
        // Bound, so that nobody else listens there.
        let closed = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        net::bind(&closed, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let bound = TcpListener::from(closed);
        let closed = bound.local_addr().unwrap();
        let well = well.local_addr().unwrap();
        let end = Instant::now() + Duration::from_secs(100);
        let silent = silent.address();
        // A busy machine may be late, but not each time.
        let makes_way = || {
            let began = Instant::now();
            let taken = dial(&[closed, well], end).unwrap();
            assert_eq!(taken.peer_addr().unwrap(), well);
            began.elapsed() < HEAD_START
        };
        assert!(
            (0..50).any(|_| makes_way()),
            "one that refuses makes way at once"
        );
        let began = Instant::now();
        assert_eq!(
            dial(&[silent, silent, well], end)
                .unwrap()
                .peer_addr()
                .unwrap(),
            well
        );
        assert!(began.elapsed() < Duration::from_secs(60));
        let refusal = dial(&[silent, closed], Instant::now() + HEAD_START / 4);
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::TimedOut);
        let refusal = dial(&[closed, closed], end).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused);
        assert!(dial(&[], end).is_err());
    }

    #[test]
    fn families_take_turns() {
        let four = |n| SocketAddr::from(([192, 0, 2, n], 1));
        let six = |n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 1));
        let sorted = in_turn(vec![six(1), six(2), six(3), four(1), four(2)]);
        assert_eq!(sorted, [six(1), four(1), six(2), four(2), six(3)]);
    }

    #[test]
    fn an_address_is_its_own() {
        let end = Instant::now();
        assert_eq!(
            resolve("::1", 5, end).unwrap(),
            ["[::1]:5".parse().unwrap()]
        );
    }
}
