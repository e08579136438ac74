//! A raw client over TLS: lines out, lines in, no cleverness.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use native_tls::{Certificate, TlsConnector, TlsStream};

use crate::standin::Standin;

pub type Tls = TlsStream<TcpStream>;

pub struct Client<S: Read + Write> {
    pub stream: BufReader<S>,
}

pub fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    stream
}

pub fn tls(m365: &Standin, stream: TcpStream) -> Client<Tls> {
    let pem = std::fs::read(m365.ca_file()).unwrap();
    let connector = TlsConnector::builder()
        .add_root_certificate(Certificate::from_pem(&pem).unwrap())
        .disable_built_in_roots(true)
        .build()
        .unwrap();
    Client::new(connector.connect("localhost", stream).unwrap())
}

impl<S: Read + Write> Client<S> {
    pub fn new(stream: S) -> Client<S> {
        Client {
            stream: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.send_raw(format!("{text}\r\n").as_bytes());
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).unwrap();
        stream.flush().unwrap();
    }

    /// A line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).ok();
        String::from_utf8_lossy(&line).trim_end().to_string()
    }

    /// Sends an IMAP command and gathers all to its tagged reply, octets of literals included.
    pub fn imap(&mut self, command: &str) -> String {
        self.send(&format!("a {command}"));
        self.imap_reply()
    }

    pub fn imap_reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let line = self.line();
            all.push_str(&line);
            all.push('\n');
            if line.starts_with("a ") || line.is_empty() && self.is_over() {
                return all;
            }
        }
    }

    pub fn is_over(&mut self) -> bool {
        self.stream
            .fill_buf()
            .map_or(true, |buffer| buffer.is_empty())
    }

    /// A whole SMTP reply, its lines joined.
    pub fn reply(&mut self) -> String {
        let mut all = Vec::new();
        loop {
            let line = self.line();
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            all.push(line);
            if is_last {
                return all.join("\n");
            }
        }
    }

    pub fn smtp(&mut self, command: &str) -> String {
        self.send(command);
        self.reply()
    }
}

/// The XOAUTH2 response in base64.
pub fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

/// An HTTP exchange; gives status and body.
pub fn http(m365: &Standin, method: &str, path: &str, form: &[(&str, &str)]) -> (u16, String) {
    let (status, _, body) = http_with(m365, method, path, form);
    (status, body)
}

/// Gives the header, too.
pub fn http_with(
    m365: &Standin,
    method: &str,
    path: &str,
    form: &[(&str, &str)],
) -> (u16, String, String) {
    let mut client = tls(m365, tcp(m365.login_port()));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    client.send_raw(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    (status.unwrap_or(0), head.to_string(), body.to_string())
}
