//! A small IMAP client that shares nothing with the product's: the judge of what a server holds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A message as the server holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub uid: u32,
    pub flags: Vec<String>,
    pub bytes: Vec<u8>,
}

impl Message {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own.eq_ignore_ascii_case(flag))
    }
}

/// What SELECT says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selected {
    pub exists: u32,
    pub uidvalidity: u32,
}

/// A response line; `{n}` stays in the text, the octets it announced are in `literals`.
pub struct Response {
    pub text: String,
    pub literals: Vec<Vec<u8>>,
}

/// What a command brought: the untagged responses, and the tagged one without its tag.
pub struct Reply {
    pub untagged: Vec<Response>,
    pub tagged: String,
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }
}

pub struct RawImap<S: Read + Write> {
    stream: BufReader<S>,
    tags: u32,
}

impl RawImap<TcpStream> {
    pub fn connect(port: u16) -> RawImap<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        RawImap::new(stream)
    }
}

impl<S: Read + Write> RawImap<S> {
    /// Reads the greeting.
    pub fn new(stream: S) -> RawImap<S> {
        let mut client = RawImap {
            stream: BufReader::with_capacity(1 << 16, stream),
            tags: 0,
        };
        let greeting = client.response().text;
        assert!(greeting.starts_with("* OK"), "greeting: {greeting}");
        client
    }

    /// The stream, for TLS after STARTTLS.
    pub fn into_stream(self) -> S {
        self.stream.into_inner()
    }

    pub fn login(&mut self, user: &str, password: &str) {
        let reply = self.command(&format!("LOGIN {} {}", quote(user), quote(password)));
        assert!(reply.is_ok(), "LOGIN as {user}: {}", reply.tagged);
    }

    /// XOAUTH2 or OAUTHBEARER with an initial response; a challenge is answered with nothing.
    pub fn authenticate(&mut self, mechanism: &str, response: &[u8]) -> Reply {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let tag = self.send(&format!(
            "AUTHENTICATE {mechanism} {}",
            STANDARD.encode(response)
        ));
        self.finish(&tag)
    }

    /// Makes a folder; one that is there already is as good.
    pub fn create(&mut self, folder: &str) {
        if !folder.eq_ignore_ascii_case("INBOX") {
            let reply = self.command(&format!("CREATE {}", quote(folder)));
            assert!(
                reply.is_ok() || reply.tagged.contains("ALREADYEXISTS"),
                "CREATE {folder}: {}",
                reply.tagged
            );
        }
    }

    pub fn select(&mut self, folder: &str) -> Selected {
        let reply = self.command(&format!("SELECT {}", quote(folder)));
        assert!(reply.is_ok(), "SELECT {folder}: {}", reply.tagged);
        let mut selected = Selected {
            exists: 0,
            uidvalidity: 0,
        };
        for response in &reply.untagged {
            let words: Vec<_> = response.text.split([' ', ']']).collect();
            match words[..] {
                ["*", count, "EXISTS", ..] => selected.exists = count.parse().unwrap(),
                ["*", "OK", "[UIDVALIDITY", value, ..] => {
                    selected.uidvalidity = value.parse().unwrap();
                }
                _ => {}
            }
        }
        selected
    }

    /// Appends messages octet for octet (RFC 3502, RFC 7888); gives their UIDs (RFC 4315).
    pub fn append<M: AsRef<[u8]>>(
        &mut self,
        folder: &str,
        messages: impl Iterator<Item = M>,
    ) -> Vec<u32> {
        let mut uids = Vec::new();
        let mut messages = messages.peekable();
        while messages.peek().is_some() {
            self.tags += 1;
            let tag = format!("t{}", self.tags);
            let mut octets = 0;
            let mut batch = format!("{tag} APPEND {}", quote(folder)).into_bytes();
            for message in messages.by_ref() {
                let message = message.as_ref();
                write!(batch, " {{{}+}}\r\n", message.len()).unwrap();
                batch.extend_from_slice(message);
                octets += message.len();
                if octets > 4 << 20 {
                    break;
                }
            }
            batch.extend_from_slice(b"\r\n");
            self.stream.get_mut().write_all(&batch).unwrap();
            self.stream.get_mut().flush().unwrap();
            let reply = self.finish(&tag);
            assert!(reply.is_ok(), "APPEND: {}", reply.tagged);
            let code = reply.tagged.split([' ', ']']).nth(3).unwrap();
            uids.extend(numbers(code));
        }
        uids
    }

    /// Every message of the selected folder, in the order of UIDs, none marked as read.
    pub fn read_all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.read_each(|message| messages.push(message));
        messages.sort_by_key(|message| message.uid);
        messages
    }

    /// The same one by one, for more than memory holds.
    pub fn read_each(&mut self, mut take: impl FnMut(Message)) {
        let tag = self.send("UID FETCH 1:* (UID FLAGS BODY.PEEK[])");
        loop {
            let response = self.response();
            let text = &response.text;
            if let Some(rest) = text.strip_prefix(&tag) {
                assert!(rest.starts_with(" OK"), "FETCH: {rest}");
                return;
            }
            if !text.contains(" FETCH (") || !text.contains("BODY[]") {
                continue;
            }
            let after = |name: &str| &text[text.find(name).unwrap() + name.len()..];
            let uid = after("UID ").split([' ', ')']).next().unwrap();
            let flags = after("FLAGS (").split(')').next().unwrap();
            take(Message {
                uid: uid.parse().unwrap(),
                flags: flags.split_whitespace().map(str::to_owned).collect(),
                // An empty message may come as `""` or NIL.
                bytes: response.literals.into_iter().next().unwrap_or_default(),
            });
        }
    }

    /// Sends a command without literals and reads to its end.
    pub fn command(&mut self, text: &str) -> Reply {
        let tag = self.send(text);
        self.finish(&tag)
    }

    fn send(&mut self, text: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let stream = self.stream.get_mut();
        write!(stream, "{tag} {text}\r\n").unwrap();
        stream.flush().unwrap();
        tag
    }

    fn finish(&mut self, tag: &str) -> Reply {
        let mut untagged = Vec::new();
        loop {
            let response = self.response();
            if let Some(rest) = response.text.strip_prefix(tag) {
                let tagged = rest.trim().to_owned();
                return Reply { untagged, tagged };
            }
            if response.text.starts_with('+') {
                let stream = self.stream.get_mut();
                stream.write_all(b"\r\n").unwrap();
                stream.flush().unwrap();
            }
            untagged.push(response);
        }
    }

    fn response(&mut self) -> Response {
        let mut text = String::new();
        let mut literals = Vec::new();
        loop {
            let mut line = Vec::new();
            let count = self.stream.read_until(b'\n', &mut line).unwrap();
            assert!(count > 0, "the server closed the connection after: {text}");
            text.push_str(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            let size = text
                .strip_suffix('}')
                .and_then(|start| start.rsplit_once('{'))
                .and_then(|(_, digits)| digits.parse::<usize>().ok());
            let Some(size) = size else {
                return Response { text, literals };
            };
            let mut literal = vec![0; size];
            self.stream.read_exact(&mut literal).unwrap();
            literals.push(literal);
        }
    }
}

/// A quoted string (RFC 3501 §4.3); a folder's name comes in modified UTF-7.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The numbers of a UID set without `*`.
fn numbers(set: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap()
    };
    set.split(',').flat_map(range).collect()
}
