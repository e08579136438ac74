//! The real servers themselves: what the other tests rely on.

use crate::mail::odd;
use crate::servers::raw_imap::RawImap;
use crate::servers::{AUDIENCE, RealServers};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use native_tls::{Certificate, TlsConnector, TlsStream};
use openssl::{hash::MessageDigest, pkey::PKey, rsa::Rsa, sign::Signer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

const CLIENT: &str = "5e1f0000-0000-4000-8000-000000000001";

/// Mints a token as Entra would, with some claims changed.
fn token(servers: &RealServers, changed: &Value) -> String {
    static KEY: OnceLock<PKey<openssl::pkey::Private>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let pem = String::from_utf8(key.public_key_to_pem().unwrap()).unwrap();
        servers.trust(CLIENT, "self-test", &pem);
        key
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = json!({
        "aud": AUDIENCE, "azp": CLIENT, "appid": CLIENT, "sub": "app", "idtyp": "app",
        "iat": now.as_secs(), "nbf": now.as_secs(), "exp": now.as_secs() + 600,
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "self-test"});
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn xoauth2(user: &str, token: &str) -> Vec<u8> {
    format!("user={user}\x01auth=Bearer {token}\x01\x01").into_bytes()
}

fn tls(servers: &RealServers, stream: TcpStream) -> TlsStream<TcpStream> {
    let ca = Certificate::from_pem(&std::fs::read(servers.ca_file()).unwrap()).unwrap();
    let connector = TlsConnector::builder()
        .disable_built_in_roots(true)
        .add_root_certificate(ca)
        .build()
        .unwrap();
    connector.connect("127.0.0.1", stream).unwrap()
}

fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.split_once("//").unwrap().1).unwrap()
}

#[test]
fn dovecot_checks_tokens() {
    let servers = RealServers::shared();
    let sign_in = |mechanism: &str, response: &[u8]| {
        let mut client = RawImap::new(tls(servers, connect(&servers.imap_url())));
        client.authenticate(mechanism, response)
    };
    let user = "tokens@contoso.com";
    let good = token(servers, &json!({}));
    let reply = sign_in("XOAUTH2", &xoauth2(user, &good));
    assert!(reply.is_ok(), "{}\n{}", reply.tagged, servers.log());
    let bearer = format!("n,a={user},\x01auth=Bearer {good}\x01\x01");
    let reply = sign_in("OAUTHBEARER", bearer.as_bytes());
    assert!(reply.is_ok(), "{}\n{}", reply.tagged, servers.log());

    let mut forged = good.clone();
    forged.replace_range(good.len() - 8.., "AAAAAAAA");
    let bad = [
        ("signature", forged),
        ("expiry", token(servers, &json!({"exp": 1_000_000_000}))),
        (
            "audience",
            token(servers, &json!({"aud": "https://graph.microsoft.com"})),
        ),
        ("client", token(servers, &json!({"azp": "somebody-else"}))),
    ];
    for (what, token) in bad {
        let reply = sign_in("XOAUTH2", &xoauth2(user, &token));
        assert!(
            reply.tagged.starts_with("NO [AUTHENTICATIONFAILED]"),
            "{what}: {}",
            reply.tagged
        );
        // The JSON challenge that XOAUTH2 clients have to answer with nothing.
        assert!(reply.untagged.iter().any(|r| r.text.starts_with("+ ey")));
    }
}

#[test]
fn dovecot_offers_starttls() {
    let servers = RealServers::shared();
    let mut client = RawImap::new(connect(&servers.imap_starttls_url()));
    assert!(client.command("STARTTLS").is_ok());
    let mut stream = tls(servers, client.into_stream());
    // No greeting follows STARTTLS.
    stream.write_all(b"a CAPABILITY\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).unwrap();
    assert!(line.contains("AUTH=XOAUTH2"), "{line}");
}

#[test]
fn dovecot_keeps_octets() {
    let servers = RealServers::shared();
    let mut messages = odd::all();
    messages.push(odd::large());
    let bytes: Vec<_> = messages.iter().map(|odd| &odd.bytes).collect();
    let uids = servers.append("octets@contoso.com", "Odd", &bytes);
    assert_eq!(uids, (1..=messages.len() as u32).collect::<Vec<_>>());
    let mut altered = Vec::new();
    for (odd, stored) in messages
        .iter()
        .zip(servers.read("octets@contoso.com", "Odd"))
    {
        if odd.bytes != stored.bytes {
            altered.push(odd.name);
        }
    }
    // There is no NUL in IMAP (RFC 3501 §4.3): Dovecot shows 0x80. Line ends it shows as CRLF,
    // for a bare LF and for CR CR LF, and a last CR it drops.
    assert_eq!(altered, ["nul", "cr cr lf", "bare lf", "no final lf"]);
}

#[test]
fn dovecot_is_filled_quickly() {
    let servers = RealServers::shared();
    let messages = (0..2000).map(|i| odd::sized(i, 1024));
    let uids = servers.fill("many@contoso.com", "INBOX", messages);
    assert_eq!(uids.len(), 2000);
    let stored = servers.read("many@contoso.com", "INBOX");
    assert_eq!(stored.len(), 2000);
    assert_eq!(stored[1999].bytes, odd::sized(1999, 1024));
    let before = servers.client("many@contoso.com").select("INBOX");
    servers.append("many@contoso.com", "Other", &[b"x\r\n"]);
    let other = servers.client("many@contoso.com").select("Other");
    servers.recreate("many@contoso.com", "Other");
    let anew = servers.client("many@contoso.com").select("Other");
    assert_eq!((before.exists, other.exists, anew.exists), (2000, 1, 0));
    assert_ne!(other.uidvalidity, anew.uidvalidity);
}

/// A step of a dialogue in which the server speaks first.
const GREETING: &str = "(greeting)";

/// An SMTP dialogue; each step is what to say and the reply code that must follow.
fn talk(stream: &mut (impl std::io::Read + Write), steps: &[(&str, &str)]) {
    let mut reader = BufReader::new(stream);
    for (line, code) in steps {
        if *line != GREETING {
            write!(reader.get_mut(), "{line}\r\n").unwrap();
            reader.get_mut().flush().unwrap();
        }
        loop {
            let mut reply = String::new();
            reader.read_line(&mut reply).unwrap();
            assert!(reply.starts_with(code), "to `{line:.40}`: {reply}");
            if reply.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
    }
}

#[test]
fn postfix_delivers_to_dovecot() {
    let servers = RealServers::shared();
    let token = token(servers, &json!({}));
    let auth = |token: &str| {
        let response = STANDARD.encode(xoauth2("support@contoso.com", token));
        format!("AUTH XOAUTH2 {response}")
    };
    let mut plain = connect(&servers.smtp_url());
    talk(
        &mut plain,
        &[
            (GREETING, "220"),
            ("EHLO test", "250"),
            (&auth(&token), "530"), // not before STARTTLS
            ("STARTTLS", "220"),
        ],
    );
    let body = "Subject: one\r\n\r\n..two\r\n.";
    talk(
        &mut tls(servers, plain),
        &[
            ("EHLO test", "250"),
            ("AUTH XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHgBAQ==", "334"),
            ("", "535"),
            (&auth(&token), "235"),
            ("MAIL FROM:<support@contoso.com>", "250"),
            ("RCPT TO:<smtp@example.com>", "250"),
            ("RCPT TO:<unknown@example.com>", "550"),
            ("RCPT TO:<later@example.com>", "450"),
            ("DATA", "354"),
            (body, "250"),
            ("QUIT", "221"),
        ],
    );
    talk(
        &mut tls(servers, connect(&servers.smtps_url())),
        &[
            (GREETING, "220"),
            ("EHLO test", "250"),
            ("MAIL FROM:<support@contoso.com>", "250"),
            ("RCPT TO:<smtp@example.com>", "554"), // nobody without AUTH
            ("RSET", "250"),
            (&auth(&token), "235"),
            ("MAIL FROM:<support@contoso.com> BODY=8BITMIME", "250"),
            ("RCPT TO:<smtp@example.com>", "250"),
            ("DATA", "354"),
            (body, "250"),
            ("QUIT", "221"),
        ],
    );
    for message in servers.read_sent("smtp@example.com", 2) {
        let text = String::from_utf8(message.bytes).unwrap();
        assert!(
            text.ends_with(")\r\nSubject: one\r\n\r\n.two\r\n"),
            "{text}"
        );
    }
}
