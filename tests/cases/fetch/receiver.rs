//! A receiver of posts (HTTP/1.1), plain or in TLS, that answers as a test says.

use crate::standin::tls;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Post {
    /// Like `POST /in HTTP/1.1`.
    pub line: String,
    /// The names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Post {
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(own, _)| own == name);
        field.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(own, _)| own == name)
    }

    pub fn key(&self) -> &str {
        self.field("idempotency-key")
    }
}

/// What a receiver does with a post.
#[derive(Clone, Debug)]
pub struct Reply {
    octets: Vec<u8>,
    /// It takes so long, …
    after: Duration,
    /// … and the connection ends then.
    ends: bool,
    /// It comes once so many posts wait for theirs.
    together: Option<Arc<Barrier>>,
    /// The body comes octet by octet, with such a pause before each.
    drip: Option<Duration>,
}

impl Reply {
    /// Like `204 No Content`, with more header fields and a body.
    pub fn new(status: &str, fields: &str, body: &str) -> Reply {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n");
        Reply {
            octets: [head.as_bytes(), body.as_bytes()].concat(),
            after: Duration::ZERO,
            ends: false,
            together: None,
            drip: None,
        }
    }

    pub fn ok() -> Reply {
        Reply::new("200 OK", "", "taken")
    }

    /// Ends the connection after these octets of an answer.
    pub fn cut(octets: &str) -> Reply {
        Reply {
            octets: octets.as_bytes().to_vec(),
            after: Duration::ZERO,
            ends: true,
            together: None,
            drip: None,
        }
    }

    /// The same, but the connection ends after it, as the head does not say.
    pub fn and_ends(self) -> Reply {
        Reply { ends: true, ..self }
    }

    pub fn after(self, after: Duration) -> Reply {
        Reply { after, ..self }
    }

    /// The same, but its body drips.
    pub fn dripping(self, pause: Duration) -> Reply {
        let drip = Some(pause);
        Reply { drip, ..self }
    }

    /// The same, once all for whom this barrier is wait for their answers.
    pub fn together(self, all: &Arc<Barrier>) -> Reply {
        let together = Some(all.clone());
        Reply { together, ..self }
    }
}

type Manner = dyn FnMut(&Post) -> Reply + Send;

/// Posts that came and have no answer yet.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A receiver on a port of its own. Its threads end with the process.
pub struct Receiver {
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    manner: Arc<Mutex<Box<Manner>>>,
    load: Arc<Load>,
    /// PEM of the authority of its certificate.
    pub ca_pem: Option<String>,
}

impl Receiver {
    /// Plain HTTP.
    pub fn plain(manner: impl FnMut(&Post) -> Reply + Send + 'static) -> Receiver {
        Receiver::start(None, Box::new(manner))
    }

    /// HTTPS, with a certificate for these names.
    pub fn tls(names: &[&str], manner: impl FnMut(&Post) -> Reply + Send + 'static) -> Receiver {
        Receiver::start(Some(tls::make(names)), Box::new(manner))
    }

    fn start(tls: Option<tls::Tls>, manner: Box<Manner>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (acceptor, ca_pem) = tls.map(|tls| (tls.acceptor, tls.ca_pem)).unzip();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            posts: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
            load: Arc::default(),
            ca_pem,
        };
        let (posts, manner) = (receiver.posts.clone(), receiver.manner.clone());
        let load = receiver.load.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (posts, manner, load) = (posts.clone(), manner.clone(), load.clone());
                let acceptor = acceptor.clone();
                // A client that was killed, or that does not trust this server, is no matter.
                std::thread::spawn(move || match acceptor {
                    None => serve(client, &posts, &manner, &load),
                    Some(acceptor) => match acceptor.accept(client) {
                        Ok(client) => serve(client, &posts, &manner, &load),
                        Err(_) => Ok(()),
                    },
                });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        let scheme = match self.ca_pem {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://localhost:{}/in", self.port)
    }

    /// From now on it behaves so.
    pub fn behaves(&self, manner: impl FnMut(&Post) -> Reply + Send + 'static) {
        *self.manner.lock().unwrap() = Box::new(manner);
    }

    /// What came, in order.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// How many posts waited for their answers at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.load.most.load(SeqCst)
    }

    /// The bodies that came.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.posts().into_iter().map(|post| post.body).collect()
    }
}

fn serve<S: Read + Write>(
    client: S,
    posts: &Mutex<Vec<Post>>,
    manner: &Mutex<Box<Manner>>,
    load: &Load,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let mut post = Post {
            line: String::new(),
            fields: Vec::new(),
            body: Vec::new(),
        };
        if client.read_line(&mut post.line)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        loop {
            line.clear();
            client.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let value = value.trim().to_owned();
            post.fields.push((name.to_lowercase(), value));
        }
        let length = post
            .fields
            .iter()
            .find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        post.body = vec![0; length];
        client.read_exact(&mut post.body)?;
        let now = load.now.fetch_add(1, SeqCst) + 1;
        load.most.fetch_max(now, SeqCst);
        let reply = (manner.lock().unwrap())(&post);
        posts.lock().unwrap().push(post);
        if let Some(all) = &reply.together {
            all.wait();
        }
        std::thread::sleep(reply.after);
        load.now.fetch_sub(1, SeqCst);
        let head = reply.octets.windows(4).position(|end| end == b"\r\n\r\n");
        let body = match (reply.drip, head) {
            (Some(_), Some(head)) => head + 4,
            _ => reply.octets.len(),
        };
        client.get_mut().write_all(&reply.octets[..body])?;
        client.get_mut().flush()?;
        for octet in &reply.octets[body..] {
            std::thread::sleep(reply.drip.unwrap_or_default());
            client.get_mut().write_all(&[*octet])?;
            client.get_mut().flush()?;
        }
        if reply.ends {
            return Ok(());
        }
    }
}
