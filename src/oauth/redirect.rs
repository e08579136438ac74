//! The loopback listener that waits for the browser to come back with the code (RFC 8252 §7.3).

use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The longest request line that we read, in octets; codes have 1 to 2 KiB.
const LONGEST_LINE: u64 = 16 * 1024;

/// A free port on the loopback.
pub struct Redirect {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// What the browser brought.
#[derive(Debug)]
pub enum Brought {
    Code(String),
    /// RFC 6749 §4.1.2.1.
    Error {
        error: String,
        description: String,
    },
}

impl Redirect {
    /// Listens on 127.0.0.1 and, since a browser may take `localhost` for it, on ::1.
    pub fn listen() -> std::io::Result<Redirect> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)));
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Redirect { listeners, port })
    }

    /// `http://localhost:PORT`, which Entra matches without its port.
    pub fn uri(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the browser that brings `state`; other requests are turned away.
    pub fn wait(&self, state: &Secret, patience: Duration) -> Result<Brought, Fault> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            for listener in &self.listeners {
                if let Ok((stream, _)) = listener.accept()
                    && let Some(brought) = serve(stream, state)
                {
                    return brought;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Fault::new(
            Kind::SignIn,
            format!("the browser did not come back within {} minutes", patience.as_secs() / 60),
        )
        .hint("if the browser shows AADSTS50011: add http://localhost under \"Mobile and desktop applications\" in Authentication of the app registration")
        .hint("without a browser on this host: `queuemail token login NAME --device`"))
    }
}

/// Answers one request; `None` if it is none of ours.
fn serve(stream: TcpStream, state: &Secret) -> Option<Result<Brought, Fault>> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .ok()?;
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().ok()?.take(LONGEST_LINE));
    reader.read_line(&mut line).ok()?;
    // The rest of the request, lest the browser be cut off before it reads our answer.
    let mut rest = String::new();
    while reader.read_line(&mut rest).ok()? > 2 {
        rest.clear();
    }
    let target = line.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    let url = url::Url::parse("http://localhost")
        .ok()?
        .join(&target)
        .ok()?;
    let field = |name: &str| {
        url.query_pairs()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    };
    let brought = match (url.path(), field("code"), field("error")) {
        ("/", Some(code), _) => Brought::Code(code),
        ("/", None, Some(error)) => Brought::Error {
            error,
            description: field("error_description").unwrap_or_default(),
        },
        _ => {
            respond(stream, "404 Not Found", "Nothing is here.");
            return None;
        }
    };
    if field("state").as_deref() != Some(state.expose()) {
        respond(
            stream,
            "400 Bad Request",
            "This answer is of another sign-in.",
        );
        return Some(Err(Fault::new(
            Kind::SignIn,
            "the browser brought the answer of another sign-in (its state differs)",
        )
        .hint("begin again, and finish one sign-in before the next")));
    }
    respond(
        stream,
        "200 OK",
        "Done; you may close this page and go back to the terminal.",
    );
    Some(Ok(brought))
}

fn respond(mut stream: TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><title>queuemail</title><p>{text}</p>");
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
}
