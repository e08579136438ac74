//! A TCP proxy on loopback that makes a connection slow or breaks it: it sees TLS, not mail.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Listens on a free port, and passes each connection on to `port`. Every octet takes `delay` in
/// each direction; a connection is cut when the server has sent `cut` octets. Ends with the
/// process.
pub fn start(port: u16, delay: Duration, cut: Option<u64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                pass(&client, &server, delay, None);
                pass(&server, &client, delay, cut);
            }
        }
    });
    own
}

/// Passes one direction on in two threads: one reads and notes the time, one waits and writes.
fn pass(from: &TcpStream, to: &TcpStream, delay: Duration, cut: Option<u64>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    to.set_nodelay(true).ok();
    // As much on its way as a wide line holds: the delay must not become a limit of speed.
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    let other = from.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut left = cut.unwrap_or(u64::MAX);
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= count as u64;
            if sender
                .send((Instant::now(), buffer[..count].to_vec()))
                .is_err()
                || left == 0
            {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (came, octets) in receiver {
            std::thread::sleep((came + delay).saturating_duration_since(Instant::now()));
            if to.write_all(&octets).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
        if cut.is_some() {
            to.shutdown(Shutdown::Both).ok();
            other.shutdown(Shutdown::Both).ok();
        }
    });
}
