//! Who is at the other end of a session: the kernel says it, and nobody else.

use crate::fault::Fault;
use crate::system::{self, Connected};
use anyhow::Result;
use rustix::fs::{FileType, fstat};
use rustix::net::{self, AddressFamily};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

/// Who is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine, by a Unix socket: its credentials as it connected (SO_PEERCRED).
    User { uid: u32, gid: u32, pid: i32 },
    /// A host and a port, by TCP.
    Host(SocketAddr),
    /// Who started the program, and has its rights: by a pipe, a file, a terminal, or a pair of
    /// sockets.
    Ourselves,
}

impl Peer {
    /// Looks who is behind a descriptor.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Peer> {
        let cannot = |e: rustix::io::Errno| {
            let what = format!("cannot find out who is at the other end: {e}");
            anyhow::Error::new(Fault::refused(what))
        };
        let kind = FileType::from_raw_mode(fstat(fd).map_err(cannot)?.st_mode);
        if kind != FileType::Socket {
            return Ok(Peer::Ourselves);
        }
        let own = net::getsockname(fd).map_err(cannot)?;
        if own.address_family() == AddressFamily::UNIX {
            return Ok(match system::connected(fd).map_err(cannot)? {
                Some(Connected { uid, gid, pid }) => Peer::User { uid, gid, pid },
                None => Peer::Ourselves,
            });
        }
        let address = net::getpeername(fd).map_err(cannot)?;
        let address = address.and_then(|any| SocketAddr::try_from(any).ok());
        address
            .map(Peer::Host)
            .ok_or_else(|| cannot(rustix::io::Errno::NOTCONN))
    }

    /// True for who is on this machine, so that nobody listens in between.
    pub fn is_here(&self) -> bool {
        match self {
            Peer::User { .. } | Peer::Ourselves => true,
            Peer::Host(address) => ip(address).is_loopback(),
        }
    }

    /// By what the mail of this peer is counted.
    pub fn who(&self) -> String {
        match self {
            Peer::User { uid, .. } => format!("uid={uid}"),
            Peer::Ourselves => format!("uid={}", rustix::process::getuid().as_raw()),
            Peer::Host(address) => format!("host={}", ip(address)),
        }
    }

    /// What else is put on record of it.
    pub fn more(&self) -> String {
        match self {
            Peer::User { gid, pid, .. } => format!("gid={gid} pid={pid}"),
            Peer::Ourselves => format!("gid={}", rustix::process::getgid().as_raw()),
            Peer::Host(address) => format!("port={}", address.port()),
        }
    }
}

fn ip(address: &SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn the_kernel_tells_who_it_is() {
        let uid = rustix::process::getuid().as_raw();
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(Peer::of(one.as_fd()).unwrap(), Peer::Ourselves);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let peer = Peer::of(listener.accept().unwrap().0.as_fd()).unwrap();
        assert_eq!(peer.who(), format!("uid={uid}"));
        assert!(
            peer.more()
                .ends_with(&format!("pid={}", std::process::id()))
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        let peer = Peer::of(listener.accept().unwrap().0.as_fd()).unwrap();
        assert_eq!(
            (peer.who(), peer.more()),
            ("host=127.0.0.1".into(), format!("port={port}"))
        );
        assert!(peer.is_here());
        let (pipe, _writer) = std::io::pipe().unwrap();
        assert_eq!(Peer::of(pipe.as_fd()).unwrap(), Peer::Ourselves);
        let mapped = |text: &str| Peer::Host(text.parse().unwrap()).is_here();
        assert!(mapped("[::ffff:127.0.0.1]:1") && mapped("[::1]:1"));
        assert!(!mapped("192.0.2.1:1") && !mapped("[fe80::1]:1"));
    }
}
