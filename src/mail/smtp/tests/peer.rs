//! A scripted server over real TLS: the peer says and expects line by line.

use native_tls::{Identity, TlsAcceptor};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Authority {
    pub ca_file: tempfile::NamedTempFile,
    pub acceptor: TlsAcceptor,
}

pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let host_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // A name other than the authority's, or the chain looks self-signed.
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    let host = params.signed_by(&host_key, &issuer).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(ca.pem().as_bytes()).unwrap();
    let identity =
        Identity::from_pkcs8(host.pem().as_bytes(), host_key.serialize_pem().as_bytes()).unwrap();
    Authority {
        ca_file,
        acceptor: TlsAcceptor::new(identity).unwrap(),
    }
});

pub trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// The server's end of a connection.
pub struct Peer {
    stream: Box<dyn ReadWrite>,
    pub tcp: TcpStream,
}

impl Peer {
    pub fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
        let _ = self.stream.write_all(b"\r\n");
        let _ = self.stream.flush();
    }

    /// One line without its end; empty when the client has left.
    pub fn hear(&mut self) -> String {
        let mut line = Vec::new();
        let mut octet = [0];
        while let Ok(1) = self.stream.read(&mut octet) {
            line.push(octet[0]);
            if line.ends_with(b"\r\n") {
                break;
            }
        }
        String::from_utf8(line)
            .unwrap()
            .trim_end_matches("\r\n")
            .to_owned()
    }

    #[track_caller]
    pub fn expect(&mut self, start: &str) -> String {
        let line = self.hear();
        assert!(line.starts_with(start), "expected {start:?}, got {line:?}");
        line
    }

    /// Reads, and throws away, what still comes.
    pub fn tcp_to_its_end(&mut self) {
        let _ = std::io::copy(&mut self.tcp, &mut std::io::sink());
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).unwrap();
        octets
    }

    /// DATA's content as it is on the wire, final dot included.
    pub fn data(&mut self) -> String {
        let mut data = String::new();
        loop {
            let line = self.hear();
            data += &line;
            data += "\r\n";
            if line == "." {
                return data;
            }
        }
    }

    pub fn start_tls(&mut self) {
        let tls = AUTHORITY.acceptor.accept(self.tcp.try_clone().unwrap());
        self.stream = Box::new(tls.unwrap());
    }

    /// Greeting, STARTTLS and a successful sign-in; offers `extensions` inside TLS.
    pub fn welcome(&mut self, extensions: &[&str]) {
        self.until_auth(extensions);
        self.expect("AUTH XOAUTH2 dXNlcj11c0Bjb250b3NvLmV4YW1wbGU");
        self.say("235 2.7.0 Authentication successful");
    }

    pub fn until_auth(&mut self, extensions: &[&str]) {
        self.say("220 localhost Microsoft ESMTP MAIL Service ready");
        self.expect("EHLO [127.0.0.1]");
        self.say("250-localhost Hello\r\n250-SIZE 1000000\r\n250 STARTTLS");
        self.expect("STARTTLS");
        self.say("220 2.0.0 SMTP server ready");
        self.start_tls();
        self.expect("EHLO [127.0.0.1]");
        self.say("250-localhost Hello");
        for extension in extensions {
            self.say(&format!("250-{extension}"));
        }
        self.say("250 ENHANCEDSTATUSCODES");
    }
}

pub const EXCHANGE: &[&str] = &[
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "AUTH LOGIN XOAUTH2",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
];
pub const PLAIN: &[&str] = &["AUTH XOAUTH2", "SIZE 100"];

/// Serves one connection after the other, one script each.
pub fn serve(scripts: Vec<impl FnOnce(&mut Peer) + Send + 'static>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        for script in scripts {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_nodelay(true).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            script(&mut Peer {
                stream: Box::new(tcp.try_clone().unwrap()),
                tcp,
            });
        }
    });
    (port, thread)
}
