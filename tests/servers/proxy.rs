//! A TCP proxy on loopback that makes a connection slow or breaks it: it sees TLS, not mail.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

/// When a connection is cut, counted in octets that the server sent.
#[derive(Clone, Copy)]
pub enum Cut {
    Never,
    /// Each connection after so many: whoever connects again gets further.
    Each(u64),
    /// All of them after so many in total: nothing helps then.
    All(u64),
    /// All but the first before anything came.
    Later,
}

/// Listens on a free port, and passes each connection on to `port`. Every octet takes `delay` in
/// each direction. Ends with the process.
pub fn start(port: u16, delay: Duration, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let limit = match cut {
        Cut::Never | Cut::Later => u64::MAX,
        Cut::Each(limit) | Cut::All(limit) => limit,
    };
    let all = Arc::new(AtomicU64::new(limit));
    std::thread::spawn(move || {
        for (n, client) in listener.incoming().flatten().enumerate() {
            let left = match cut {
                Cut::Later if n > 0 => Arc::new(AtomicU64::new(0)),
                Cut::Each(_) => Arc::new(AtomicU64::new(limit)),
                _ => all.clone(),
            };
            if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                pass(&client, &server, delay, Arc::new(AtomicU64::new(u64::MAX)));
                pass(&server, &client, delay, left);
            }
        }
    });
    own
}

/// Listens on a free port, and passes each connection on to `port`; what the server sends comes
/// so many octets at a time, with that pause between. Ends with the process.
pub fn drip(port: u16, octets: usize, pause: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            let unlimited = Arc::new(AtomicU64::new(u64::MAX));
            pass(&client, &server, Duration::ZERO, unlimited);
            std::thread::spawn(move || {
                let (mut from, mut to) = (server, client);
                to.set_nodelay(true).ok();
                let mut piece = vec![0; octets];
                while let Ok(count @ 1..) = from.read(&mut piece) {
                    if to.write_all(&piece[..count]).is_err() {
                        break;
                    }
                    std::thread::sleep(pause);
                }
                to.shutdown(Shutdown::Both).ok();
                from.shutdown(Shutdown::Both).ok();
            });
        }
    });
    own
}

/// Passes one direction on in two threads: one reads and notes the time, one waits and writes.
fn pass(from: &TcpStream, to: &TcpStream, delay: Duration, left: Arc<AtomicU64>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    to.set_nodelay(true).ok();
    // As much on its way as a wide line holds: the delay must not become a limit of speed.
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    let source = from.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let before = left
                .fetch_update(SeqCst, SeqCst, |left| {
                    Some(left.saturating_sub(count as u64))
                })
                .unwrap();
            let passed = count.min(usize::try_from(before).unwrap_or(usize::MAX));
            let octets = buffer[..passed].to_vec();
            if sender.send((Instant::now(), octets)).is_err() || passed < count {
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
        // One side has closed or was cut off: so is the other.
        to.shutdown(Shutdown::Write).ok();
        source.shutdown(Shutdown::Read).ok();
    });
}

/// A line that can be frozen: what is on its way stays there until it is thawed, and neither side
/// sees that anything is wrong. Ends with the process.
#[derive(Clone)]
pub struct Line {
    pub port: u16,
    state: Arc<(Mutex<Flow>, Condvar)>,
}

/// What passes a line.
struct Flow {
    /// Pieces that came so far, from both sides.
    pieces: u64,
    /// The line freezes before it passes on this one.
    last: u64,
    /// What was connected is not any more, and nobody is from here on.
    cut: bool,
}

impl Line {
    /// Listens on a free port, and passes each connection on to `port`.
    pub fn to(port: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let flow = Flow {
            pieces: 0,
            last: u64::MAX,
            cut: false,
        };
        let line = Line {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new((Mutex::new(flow), Condvar::new())),
        };
        let own = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = own.clone();
                std::thread::spawn(move || line.connect(client, port));
            }
        });
        line
    }

    fn connect(&self, client: TcpStream, port: u16) {
        if !self.pass() {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
            return;
        };
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            to.set_nodelay(true).ok();
            let line = self.clone();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if !line.pass() || to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                // The other side learns of it when the line is not frozen.
                line.wait();
                to.shutdown(Shutdown::Both).ok();
                from.shutdown(Shutdown::Both).ok();
            });
        }
    }

    /// Counts a piece, and waits while the line is frozen. False once it is cut.
    fn pass(&self) -> bool {
        self.state.0.lock().unwrap().pieces += 1;
        self.wait()
    }

    fn wait(&self) -> bool {
        let flow = self.state.0.lock().unwrap();
        let is_frozen = |flow: &mut Flow| !flow.cut && flow.pieces >= flow.last;
        !self.state.1.wait_while(flow, is_frozen).unwrap().cut
    }

    fn set(&self, change: impl FnOnce(&mut Flow)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    pub fn freeze(&self) {
        self.set(|flow| flow.last = 0);
    }

    /// Freezes before the n-th piece from here.
    pub fn freeze_at(&self, n: u64) {
        self.set(|flow| flow.last = flow.pieces + n);
    }

    pub fn is_frozen(&self) -> bool {
        let flow = self.state.0.lock().unwrap();
        flow.pieces >= flow.last
    }

    pub fn thaw(&self) {
        self.set(|flow| flow.last = u64::MAX);
    }

    /// Ends what is connected at its next piece, and takes nobody from then on.
    pub fn cut(&self) {
        self.set(|flow| flow.cut = true);
    }

    /// Takes whoever connects, again.
    pub fn mend(&self) {
        self.set(|flow| flow.cut = false);
    }

    /// Pieces that came so far, from both sides.
    pub fn pieces(&self) -> u64 {
        self.state.0.lock().unwrap().pieces
    }
}

/// A line to a server that is far away, and how often somebody waited for it. Ends with the process.
pub struct Far {
    pub port: u16,
    trips: Arc<AtomicU64>,
}

impl Far {
    /// Listens on a free port, and passes each connection on to `port`. Every octet takes `delay` in
    /// each direction.
    pub fn to(port: u16, delay: Duration) -> Far {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = Far {
            port: listener.local_addr().unwrap().port(),
            trips: Arc::default(),
        };
        let trips = Arc::clone(&far.trips);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                // What comes from here once it has an answer is another trip.
                let answered = Arc::new(AtomicBool::new(true));
                let (trips, told) = (Arc::clone(&trips), Arc::clone(&answered));
                let asks = move || {
                    trips.fetch_add(u64::from(told.swap(false, SeqCst)), SeqCst);
                };
                carry(&client, &server, delay, asks, || ());
                carry(
                    &server,
                    &client,
                    delay,
                    || (),
                    move || answered.store(true, SeqCst),
                );
            }
        });
        far
    }

    /// So often something was sent that had waited for an answer, or was the first.
    pub fn trips(&self) -> u64 {
        self.trips.load(SeqCst)
    }
}

/// Passes one direction on in two threads, one that reads and one that waits and writes; tells of
/// each piece that came, and that is about to be passed on.
fn carry(
    from: &TcpStream,
    to: &TcpStream,
    delay: Duration,
    came: impl Fn() + Send + 'static,
    goes: impl Fn() + Send + 'static,
) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    to.set_nodelay(true).ok();
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            came();
            if sender
                .send((Instant::now(), buffer[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (came, octets) in receiver {
            std::thread::sleep((came + delay).saturating_duration_since(Instant::now()));
            goes();
            if to.write_all(&octets).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}

/// Listens on a free port, and passes each connection on to `port`, but nothing while it is frozen.
/// Ends with the process.
pub fn freezing(port: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let is_frozen = Arc::new(AtomicBool::new(false));
    let shared = is_frozen.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let is_frozen = shared.clone();
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 14];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        while is_frozen.load(SeqCst) {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    to.shutdown(Shutdown::Both).ok();
                    from.shutdown(Shutdown::Both).ok();
                });
            }
        }
    });
    (own, is_frozen)
}

/// An HTTP proxy (CONNECT, RFC 9110 §9.3.6): its URL, and the targets that it was asked for. All of
/// them are on loopback, whatever they are called; with `port` they are at that one.
pub fn connect(port: Option<u16>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let targets: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = targets.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut octet = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut octet).unwrap_or(0) == 1 {
                head.push(octet[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let own = target.rsplit(':').next().and_then(|port| port.parse().ok());
            seen.lock().unwrap().push(target);
            let Some(Ok(server)) = port.or(own).map(|p| TcpStream::connect(("127.0.0.1", p)))
            else {
                continue;
            };
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok();
            for (from, to) in [(&client, &server), (&server, &client)] {
                let left = Arc::new(AtomicU64::new(u64::MAX));
                pass(from, to, Duration::ZERO, left);
            }
        }
    });
    (url, targets)
}

/// An HTTP proxy that lets nobody through: it answers with this status, and repeats what it was
/// asked, with the credentials for it. Gives the host and port. Ends with the process.
pub fn echo(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut octet = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut octet).unwrap_or(0) == 1 {
                head.push(octet[0]);
            }
            let body = String::from_utf8_lossy(&head);
            let line = body.replace("\r\n", " ");
            let answer = format!(
                "HTTP/1.1 {status} {line}\r\nX-Echo: {line}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            client.write_all(answer.as_bytes()).ok();
        }
    });
    own
}
