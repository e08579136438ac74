//! The loopback listener that waits for the browser to come back with the code (RFC 8252 §7.3).

use crate::fault::Fault;
use crate::html::{self, Html, Mark};
use crate::secret::Secret;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// So much of a request's head is read, in octets: codes have 1 to 2 KiB, and a browser sends the
/// cookies of every program that ever listened on `localhost`.
const LONGEST_HEAD: usize = 64 * 1024;
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(5);
/// So many connections are open at a time: any program of this host may make more.
const MOST_VISITORS: usize = 16;
/// How long to sleep while nobody comes.
const PAUSE: Duration = Duration::from_millis(20);
const WITHOUT_BROWSER: &str =
    "without a browser on this host: `queuemail token login NAME --device`, or with `--no-browser`";

/// The redirect address where the browser is on another host, and nobody listens.
pub const ELSEWHERE: &str = "http://localhost";

/// What an answer must fit.
pub struct Asked {
    /// Another one is of another sign-in (RFC 6749 §10.12).
    pub state: Secret,
    /// Of the authorization endpoint; an issuer that is told (RFC 9207) is there.
    pub origin: url::Origin,
}

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
    ///
    /// # Errors
    /// `Refused` where this host has no loopback to listen on.
    pub fn listen() -> Result<Redirect, Fault> {
        listeners()
            .map(|(listeners, port)| Redirect { listeners, port })
            .map_err(|e| {
                let what = format!("cannot listen on the loopback interface: {e}");
                Fault::refused(what).hint(WITHOUT_BROWSER)
            })
    }

    /// `http://localhost:PORT`, which Entra matches without its port.
    pub fn uri(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the browser that brings `state`; every other request is turned away, and any
    /// program and web page of this host may make some. Of the connections that say nothing, and
    /// browsers open some ahead of their use, the oldest are closed.
    ///
    /// # Errors
    /// `SignIn` where the browser does not come in time, or comes from another authority.
    pub fn wait(&self, asked: &Asked, patience: Duration) -> Result<Brought, Fault> {
        let deadline = Instant::now() + patience;
        let mut visitors: VecDeque<Visitor> = VecDeque::new();
        let mut strangers = false;
        while Instant::now() < deadline {
            let before = visitors.len();
            visitors.extend(self.listeners.iter().filter_map(Visitor::accept));
            let nobody_came = visitors.len() == before;
            for mut visitor in std::mem::take(&mut visitors) {
                match visitor.hear() {
                    Heard::Part => visitors.push_back(visitor),
                    Heard::Nothing => {}
                    Heard::Request(target) => match visitor.answer(&target, asked) {
                        Some(Answer::Ours(brought)) => return brought,
                        Some(Answer::OfAnother) => strangers = true,
                        None => {}
                    },
                }
            }
            while visitors.len() > MOST_VISITORS {
                visitors.pop_front();
            }
            if nobody_came {
                std::thread::sleep(PAUSE);
            }
        }
        let fault = Fault::no_access(format!(
            "the browser did not finish the sign-in within {} minutes",
            patience.as_secs() / 60
        ));
        Err(match strangers {
            false => fault.hint("if the browser shows AADSTS50011: add http://localhost under \"Mobile and desktop applications\" in Authentication of the app registration"),
            true => fault.hint("answers of other sign-ins arrived and were rejected: finish one sign-in before the next"),
        }
        .hint(WITHOUT_BROWSER))
    }
}

/// A connection whose request is not there yet.
struct Visitor {
    stream: TcpStream,
    head: Vec<u8>,
    deadline: Instant,
}

/// What came of a connection so far.
enum Heard {
    /// More is to come.
    Part,
    /// The target of a whole request.
    Request(String),
    /// Nothing that could be answered, and nothing more.
    Nothing,
}

impl Visitor {
    /// Whoever waits to be let in, if anybody.
    fn accept(listener: &TcpListener) -> Option<Visitor> {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Visitor {
            stream,
            head: Vec::new(),
            deadline: Instant::now() + REQUEST,
        })
    }

    /// Reads what is there. The whole head is read, so that the browser is not cut off before it
    /// reads the answer.
    fn hear(&mut self) -> Heard {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return self.target(),
                Ok(octets) => self.head.extend(&piece[..octets]),
                Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < self.deadline => {
                    return Heard::Part;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::Nothing,
            }
            let is_whole = self.head.windows(4).any(|end| end == b"\r\n\r\n");
            if is_whole || self.head.len() >= LONGEST_HEAD {
                return self.target();
            }
        }
    }

    fn target(&self) -> Heard {
        let line = self.head.split(|octet| *octet == b'\r').next();
        line.and_then(|line| std::str::from_utf8(line).ok()?.strip_prefix("GET "))
            .and_then(|rest| rest.split(' ').next())
            .map_or(Heard::Nothing, |target| Heard::Request(target.to_owned()))
    }

    /// Answers the request; `None` if it is none of a sign-in.
    fn answer(self, target: &str, asked: &Asked) -> Option<Answer> {
        let url = url::Url::parse("http://localhost")
            .ok()?
            .join(target)
            .ok()?;
        self.stream.set_nonblocking(false).ok()?;
        // It fits into the system's buffer, so that nobody can delay this.
        self.stream.set_write_timeout(Some(PAUSE)).ok()?;
        let answer = answer_of(&url, asked);
        let (status, page) = page_of(answer.as_ref());
        respond(self.stream, status, &page);
        answer
    }
}

fn listeners() -> std::io::Result<(Vec<TcpListener>, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)));
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok((listeners, port))
}

/// What a person brings: the address at which the browser ended, of [`ELSEWHERE`].
pub fn pasted(address: &str, asked: &Asked) -> Result<Brought, Fault> {
    let url = url::Url::parse(address.trim()).ok();
    match url.and_then(|url| answer_of(&url, asked)) {
        Some(Answer::Ours(brought)) => brought,
        Some(Answer::OfAnother) => Err(Fault::no_access("this address contains the answer of another sign-in (its state differs)",
        )
        .hint("start again, and finish one sign-in before the next")),
        None => Err(Fault::no_access("this address contains no code")
            .hint("start again, and paste the whole address from the browser's address bar, even if the page shows an error: http://localhost/?code=…")),
    }
}

/// An answer to a sign-in.
#[derive(Debug)]
enum Answer {
    /// To this sign-in: it has its state.
    Ours(Result<Brought, Fault>),
    /// To another one, or made up by anybody.
    OfAnother,
}

/// What an address brings (RFC 6749 §4.1.2); `None` if that is nothing of a sign-in.
fn answer_of(url: &url::Url, asked: &Asked) -> Option<Answer> {
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
        _ => return None,
    };
    if field("state").as_deref() != Some(asked.state.expose()) {
        return Some(Answer::OfAnother);
    }
    let origin = |issuer: String| url::Url::parse(&issuer).map(|url| url.origin());
    if field("iss").is_some_and(|issuer| origin(issuer).as_ref() != Ok(&asked.origin)) {
        return Some(Answer::Ours(Err(Fault::no_access("the answer in the browser comes from another authority (its issuer differs)",
        )
        .hint("start again; if the error stays, check the server's `address` and `authorization_endpoint`"))));
    }
    Some(Answer::Ours(Ok(brought)))
}

/// What the browser shows: the status of HTTP, and the page. Nothing that an answer brings is on it,
/// since the terminal says more, and where to look it up.
fn page_of(answer: Option<&Answer>) -> (&'static str, String) {
    const BACK: &str = "You can close this page. The terminal says how the sign-in ended.";
    let (status, mark, headline, more) = match answer {
        Some(Answer::Ours(Ok(Brought::Code(_)))) => {
            ("200 OK", Mark::Ok, "queuemail received your sign-in", BACK)
        }
        Some(Answer::Ours(Ok(Brought::Error { .. }))) => (
            "200 OK",
            Mark::Bad,
            "You are not signed in",
            "The sign-in was refused or cancelled. The terminal says why; you can close this page.",
        ),
        Some(Answer::Ours(Err(_))) => (
            "400 Bad Request",
            Mark::Bad,
            "You are not signed in",
            "This answer came from another authority. The terminal says what to do.",
        ),
        Some(Answer::OfAnother) => (
            "400 Bad Request",
            Mark::Warn,
            "This answer belongs to another sign-in",
            "Use the page that the terminal names now, and finish one sign-in before the next.",
        ),
        None => (
            "404 Not Found",
            Mark::Info,
            "Nothing is here",
            "queuemail waits here for the end of a sign-in. Use the page that the terminal names.",
        ),
    };
    let body = Html::of(
        "<main class=\"alone\">{}<p class=\"by\">queuemail on this computer</p></main>\n",
        &[&html::verdict(mark, headline, more)],
    );
    (
        status,
        html::page(&format!("{headline} – queuemail"), mark, &body),
    )
}

/// What is sent fits into the system's buffer.
fn respond(mut stream: TcpStream, status: &str, page: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nContent-Security-Policy: frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
}
