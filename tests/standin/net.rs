//! Listeners, a thread per connection, and the buffered connection that all protocols share.
//!
//! What must hold: a broken client ends its own thread only, and dropping the stand-in ends all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::faults::use_up;
use super::world::{self, World};

/// A stream in either state, plain or TLS.
pub trait Wire: Read + Write + Send {
    /// Says that no more will come; with TLS that is `close_notify`.
    fn end(&mut self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Wire for native_tls::TlsStream<TcpStream> {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown()
    }
}

/// How much output is gathered before it goes out by itself.
const OUTPUT: usize = 64 << 10;

/// Binds a free port of 127.0.0.1 and serves each connection in a thread of its own.
pub fn listen(
    world: &Arc<World>,
    protocol: &'static str,
    serve: fn(&Arc<World>, TcpStream) -> io::Result<()>,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = world.clone();
    let accept = std::thread::spawn(move || accept_all(&shared, protocol, &listener, serve));
    world.threads.lock().unwrap().push(accept);
    world.ports.lock().unwrap().push(port);
    port
}

fn accept_all(
    world: &Arc<World>,
    protocol: &'static str,
    listener: &TcpListener,
    serve: fn(&Arc<World>, TcpStream) -> io::Result<()>,
) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if world.is_stopped() {
            break;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true).ok();
        // A client that neither speaks nor leaves must not keep its thread for ever.
        stream.set_read_timeout(Some(Duration::from_secs(600))).ok();
        if use_up(&world.faults.drop_connections) {
            continue;
        }
        if let Ok(copy) = stream.try_clone() {
            world.sockets.lock().unwrap().insert(number, copy);
        }
        if world.is_stopped() {
            stream.shutdown(Shutdown::Both).ok(); // `stop` may have looked before we inserted
        }
        let world = world.clone();
        threads.push(std::thread::spawn(move || {
            if use_up(&world.faults.silent_connections) {
                world.pause(Duration::from_secs(600));
            }
            // A mistake of this server in one connection must not leave its client waiting.
            match catch_unwind(AssertUnwindSafe(|| serve(&world, stream))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => world.log(protocol, &format!("! connection ended: {error}")),
                Err(_) => world.log(protocol, "! the stand-in itself panicked"),
            }
            if let Some(socket) = world.sockets.lock().unwrap().remove(&number) {
                socket.shutdown(Shutdown::Both).ok();
            }
        }));
        threads.retain(|thread| !thread.is_finished());
    }
    for thread in threads {
        thread.join().ok();
    }
}

/// Completes the server's side of a TLS handshake.
pub fn handshake(world: &World, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
    match world.acceptor.accept(stream) {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(io::Error::other(format!("TLS handshake: {error}"))),
    }
}

/// Counts octets sent and spoils them on request; see the knobs of the same names in `Faults`.
#[derive(Default)]
pub struct Spoiler {
    pub close_after: Option<u64>,
    pub drip: Option<(usize, Duration)>,
    /// Once: say nothing for that time after so many octets from now.
    pub stall: Option<(usize, Duration)>,
}

/// A connection with buffered input and output.
pub struct Conn {
    stopped: Arc<AtomicBool>,
    input: BufReader<Box<dyn Wire>>,
    output: Vec<u8>,
    sent: u64,
    pub spoiler: Spoiler,
}

impl Conn {
    pub fn new(world: &World, stream: Box<dyn Wire>) -> Conn {
        Conn {
            stopped: world.stopped.clone(),
            input: BufReader::with_capacity(OUTPUT, stream),
            output: Vec::new(),
            sent: 0,
            spoiler: Spoiler::default(),
        }
    }

    /// Reads one line with its line end; `None` when the client has gone.
    pub fn line(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.flush()?;
        let mut line = Vec::new();
        (&mut self.input).take(limit).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "line too long or cut short",
            ));
        }
        Ok(Some(line))
    }

    pub fn exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        self.flush()?;
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// Queues output; large amounts go out at once.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= OUTPUT {
            self.flush()?;
        }
        Ok(())
    }

    /// Sends what is left and ends the connection in good order.
    pub fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.input.get_mut().end()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        let mut cut = false;
        if let Some(limit) = self.spoiler.close_after {
            let room = limit.saturating_sub(self.sent) as usize;
            if output.len() > room {
                output.truncate(room);
                cut = true;
            }
        }
        self.sent += output.len() as u64;
        let stream = self.input.get_mut();
        if let Some((after, pause)) = self.spoiler.stall.take() {
            let rest = output.split_off(after.min(output.len()));
            stream.write_all(&output)?;
            stream.flush()?;
            world::pause(&self.stopped, pause);
            output = rest;
        }
        match self.spoiler.drip {
            None => stream.write_all(&output)?,
            Some((size, pause)) => {
                for piece in output.chunks(size.max(1)) {
                    stream.write_all(piece)?;
                    stream.flush()?;
                    world::pause(&self.stopped, pause);
                }
            }
        }
        stream.flush()?;
        if cut {
            return Err(io::Error::other("closed on purpose"));
        }
        output.clear();
        self.output = output;
        Ok(())
    }
}
