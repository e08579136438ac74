//! A mail store that speaks LMTP (RFC 2033), with the manners of stores that are not at their best.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a store behaves; well by default.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// Offers CHUNKING (RFC 3030), and takes messages in no other way.
    pub chunking: bool,
    /// A message with this text in it is its end: it closes the connection without a reply.
    pub breaks_over: Option<&'static str>,
    /// Closes the connection after so many messages, without a word.
    pub messages: Option<usize>,
    /// The first connection ends after so many octets of the replies.
    pub cut: Option<usize>,
}

/// The replies on a connection, of which so many octets are sent at most.
struct Replies {
    client: TcpStream,
    left: usize,
}

impl Replies {
    fn write_all(&mut self, reply: &[u8]) -> io::Result<()> {
        let part = &reply[..reply.len().min(self.left)];
        self.left -= part.len();
        self.client.write_all(part)?;
        match part.len() < reply.len() {
            true => Err(io::Error::other("cut on purpose")),
            false => Ok(()),
        }
    }
}

/// A store on a port of its own. Its threads end with the process.
pub struct MailStore {
    port: u16,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl MailStore {
    pub fn start(manner: Manner) -> MailStore {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = MailStore {
            port: listener.local_addr().unwrap().port(),
            taken: Arc::default(),
        };
        let taken = store.taken.clone();
        std::thread::spawn(move || {
            for (n, client) in listener.incoming().flatten().enumerate() {
                let taken = taken.clone();
                let cut = manner.cut.filter(|_| n == 0);
                let manner = Manner { cut, ..manner };
                // A client that was killed in the middle is no matter.
                std::thread::spawn(move || serve(client, manner, &taken));
            }
        });
        store
    }

    /// The line of an address's configuration that delivers here.
    pub fn target(&self) -> String {
        format!("deliver: lmtp:127.0.0.1:{}", self.port)
    }

    /// What it took, in order.
    pub fn taken(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, manner: Manner, taken: &Mutex<Vec<Vec<u8>>>) -> io::Result<()> {
    let mut output = Replies {
        client: client.try_clone()?,
        left: manner.cut.unwrap_or(usize::MAX),
    };
    let mut input = BufReader::new(client);
    output.write_all(b"220 store LMTP\r\n")?;
    let mut count = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).to_ascii_uppercase();
        let message = match text.get(..4).unwrap_or_default() {
            "LHLO" => {
                let offers: &[u8] = match manner.chunking {
                    true => b"250-store\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SIZE\r\n",
                    false => b"250-store\r\n250-8BITMIME\r\n250 SIZE\r\n",
                };
                output.write_all(offers)?;
                continue;
            }
            "DATA" if manner.chunking => {
                output.write_all(b"503 give it by BDAT\r\n")?;
                continue;
            }
            "QUIT" => return output.write_all(b"221 bye\r\n"),
            "BDAT" => {
                let size = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
                let mut message = vec![0; size.unwrap_or(0)];
                input.read_exact(&mut message)?;
                message
            }
            "DATA" => {
                output.write_all(b"354 go on\r\n")?;
                let mut message = Vec::new();
                loop {
                    line.clear();
                    if input.read_until(b'\n', &mut line)? == 0 {
                        return Ok(());
                    }
                    if line == b".\r\n" {
                        break message;
                    }
                    let stuffed = usize::from(line.first() == Some(&b'.'));
                    message.extend_from_slice(&line[stuffed..]);
                }
            }
            _ => {
                output.write_all(b"250 ok\r\n")?;
                continue;
            }
        };
        let broken = |text: &str| String::from_utf8_lossy(&message).contains(text);
        if manner.breaks_over.is_some_and(broken) {
            return Ok(());
        }
        taken.lock().unwrap().push(message);
        output.write_all(b"250 stored\r\n")?;
        count += 1;
        if manner.messages == Some(count) {
            return Ok(());
        }
    }
}
