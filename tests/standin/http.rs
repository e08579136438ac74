//! HTTP/1.1 as far as Entra's endpoints need it: keep-alive, Content-Length, form bodies.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::net::{Conn, Wire, handshake};
use super::world::{World, now};
use super::{entra, graph, introspect, provider};

pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body's form fields; none when the body is not declared as a form.
    pub fn form(&self) -> Vec<(String, String)> {
        let kind = self.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Vec::new();
        }
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }
}

pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Octets to declare beyond the body, sent as spaces.
    pub padding: u64,
    /// Close without an answer.
    pub silent: bool,
    /// Close after so many octets of the body.
    pub cut: Option<usize>,
    /// How the body is sent, if not as usual.
    pub trick: Option<Box<Trick>>,
}

/// An odd way to send a body.
#[derive(Clone, Debug)]
pub enum Trick {
    /// In pieces of so many octets, with that pause between.
    Drip(usize, Duration),
    /// After so many octets nothing comes for this time, then the rest.
    Stall(usize, Duration),
    /// This comes first, and then that for ever.
    Endless(&'static str, &'static str),
    /// So many octets are announced, and after the body none comes.
    Lie(u64),
    /// The header has no end.
    EndlessHeader,
    /// The connection ends after so many octets of the body, and before the last chunk.
    /// `notify`: TLS says `close_notify` before.
    Cut {
        framing: Framing,
        octets: usize,
        notify: bool,
    },
}

/// What says where a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunks,
    /// The end of the connection.
    Neither,
}

impl Response {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            padding: 0,
            silent: false,
            cut: None,
            trick: None,
        }
    }

    pub fn json(status: u16, body: &Value) -> Response {
        Response::new(status, "application/json; charset=utf-8", body.to_string())
    }

    pub fn html(status: u16, text: &str) -> Response {
        let page = format!("<!DOCTYPE html>\r\n<html><body>{text}</body></html>\r\n");
        Response::new(status, "text/html; charset=utf-8", page)
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Response {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }
}

pub fn serve_tls(world: &Arc<World>, stream: TcpStream) -> io::Result<()> {
    serve(world, handshake(world, stream)?)
}

/// Serves the introspection endpoint without TLS, for a local Dovecot.
pub fn serve_plain(world: &Arc<World>, stream: TcpStream) -> io::Result<()> {
    serve(world, Box::new(stream))
}

fn serve(world: &Arc<World>, stream: Box<dyn Wire>) -> io::Result<()> {
    let mut conn = Conn::new(world, stream);
    while let Some(request) = read(&mut conn)? {
        world.log("HTTP", &format!("< {} {}", request.method, request.path));
        let keep = request.header("connection") != Some("close");
        if request.path.starts_with("/v1.0/") {
            let close_after = world.faults.graph.close_after.load(Ordering::SeqCst);
            conn.spoiler.close_after = (close_after > 0).then_some(close_after);
        }
        let response = route(world, &request);
        if response.silent {
            world.log("HTTP", "> (closed without an answer)");
            return Ok(());
        }
        world.log("HTTP", &format!("> {}", describe(&response)));
        write(world, &mut conn, &request, &response)?;
        if !keep {
            break;
        }
    }
    conn.end()
}

fn route(world: &World, request: &Request) -> Response {
    if request.path.starts_with("/introspect") {
        return introspect::answer(world, request);
    }
    if request.path.starts_with("/v1.0/") || request.path.starts_with("/beta/") {
        return graph::answer(world, request);
    }
    if let Some(path) = request.path.strip_prefix("/provider/") {
        return provider::answer(world, request, path);
    }
    entra::answer(world, request)
}

/// What the log says of a response: never a token.
fn describe(response: &Response) -> String {
    let error = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .and_then(|body| body["error_description"].as_str().map(str::to_string));
    let error = error.unwrap_or_default();
    format!(
        "{} {}",
        response.status,
        error.lines().next().unwrap_or_default()
    )
}

fn read(conn: &mut Conn) -> io::Result<Option<Request>> {
    const LINE: u64 = 64 << 10;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not HTTP");
    let Some(first) = conn.line(LINE)? else {
        return Ok(None);
    };
    let first = String::from_utf8_lossy(&first).into_owned();
    let mut words = first.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid());
    };
    let mut headers = Vec::new();
    loop {
        let line = conn.line(LINE)?.ok_or_else(invalid)?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(invalid)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_string(),
        path: path.to_string(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        body: Vec::new(),
    };
    if request.header("expect").is_some() {
        conn.put(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        request.body = read_chunks(conn)?;
    } else if let Some(length) = request.header("content-length") {
        let length: u64 = length.parse().map_err(|_| invalid())?;
        request.body = conn.exactly(length.min(256 << 20))?;
    }
    Ok(Some(request))
}

fn read_chunks(conn: &mut Conn) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "bad chunk");
    let mut body = Vec::new();
    loop {
        let size = conn.line(1024)?.ok_or_else(invalid)?;
        let size = String::from_utf8_lossy(&size);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid())?;
        body.extend(conn.exactly(size)?);
        conn.line(1024)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn write(world: &World, conn: &mut Conn, request: &Request, response: &Response) -> io::Result<()> {
    if let Some(trick) = &response.trick {
        return play(world, conn, response, trick);
    }
    let skew = world.faults.clock_skew.load(Ordering::SeqCst);
    let date = jiff::Timestamp::from_second(now() + skew).unwrap();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\nCache-Control: no-store, no-cache\r\nPragma: no-cache\r\nContent-Type: {}\r\n\
         Date: {}\r\nContent-Length: {}\r\n",
        response.status,
        reason(response.status),
        response.content_type,
        date.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        response.body.len() as u64 + response.padding,
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    conn.put(head.as_bytes())?;
    if request.method != "HEAD" {
        if let Some(cut) = response.cut {
            conn.put(&response.body[..cut.min(response.body.len())])?;
            conn.flush()?;
            return Err(io::Error::other("closed on purpose"));
        }
        conn.put(&response.body)?;
        let spaces = [b' '; 16 << 10];
        let mut left = response.padding;
        while left > 0 && !world.is_stopped() {
            let piece = left.min(spaces.len() as u64);
            conn.put(&spaces[..piece as usize])?;
            left -= piece;
        }
    }
    conn.flush()
}

/// Sends a response in an odd way.
fn play(world: &World, conn: &mut Conn, response: &Response, trick: &Trick) -> io::Result<()> {
    let body = &response.body;
    let length = match trick {
        Trick::Lie(length) => *length,
        _ => body.len() as u64,
    };
    let rest = match trick {
        Trick::EndlessHeader => String::new(),
        Trick::Endless(..) => "Transfer-Encoding: chunked\r\n\r\n".to_string(),
        Trick::Cut { framing, .. } => match framing {
            Framing::Length => format!("Content-Length: {length}\r\n\r\n"),
            Framing::Chunks => "Transfer-Encoding: chunked\r\n\r\n".to_string(),
            Framing::Neither => "Connection: close\r\n\r\n".to_string(),
        },
        _ => format!("Content-Length: {length}\r\n\r\n"),
    };
    let kind = response.content_type;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{rest}");
    conn.put(head.as_bytes())?;
    conn.flush()?;
    match trick {
        Trick::Drip(size, pause) => {
            conn.spoiler.drip = Some((*size, *pause));
            conn.put(body)?;
            conn.flush()?;
            conn.spoiler.drip = None;
        }
        Trick::Stall(after, time) => {
            conn.spoiler.stall = Some((*after, *time));
            conn.put(body)?;
            conn.flush()?;
        }
        Trick::Endless(first, then) => {
            let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
            let many = chunk(&then.repeat((16 << 10) / then.len()));
            conn.put(chunk(first).as_bytes())?;
            while !world.is_stopped() {
                conn.put(many.as_bytes())?;
            }
        }
        Trick::Cut {
            framing,
            octets,
            notify,
        } => {
            let part = &body[..body.len().min(*octets)];
            for chunk in part.chunks(100) {
                if *framing == Framing::Chunks {
                    conn.put(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                }
                conn.put(chunk)?;
                if *framing == Framing::Chunks {
                    conn.put(b"\r\n")?;
                }
            }
            match notify {
                true => conn.end()?,
                false => conn.flush()?,
            }
            return Err(io::Error::other("closed on purpose"));
        }
        Trick::Lie(_) => {
            conn.put(body)?;
            conn.flush()?;
            world.pause(Duration::from_secs(300));
            return Err(io::Error::other("closed on purpose"));
        }
        Trick::EndlessHeader => {
            while !world.is_stopped() {
                conn.put(b"X-More: and more, and more, and more\r\n")?;
            }
        }
    }
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        202 => "Accepted",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
