//! Unix sockets.

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType, sockopt};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Connects within this time. The library's own connect would wait for ever for a program that
/// hangs, once earlier callers have filled its queue.
pub fn connect_unix(path: &Path, time: Duration) -> Result<UnixStream> {
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(time))?;
    match net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(socket.into()),
        // It says the same of a process that may not be started.
        Err(Errno::AGAIN) => Err(Error::new(
            ErrorKind::TimedOut,
            "the program that listens there is busy",
        )),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_nobody_in_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        net::listen(&listener, 0).unwrap();
        let time = Duration::from_millis(200);
        let waiting: Vec<_> = (0..4).map(|_| connect_unix(&path, time)).collect();
        assert!(waiting.iter().any(Result::is_ok));
        assert!(waiting.iter().any(Result::is_err));
    }
}
