//! What a test relies on without saying so: large mail, rude clients, a quick end, and that the
//! parser of the product's own IMAP crate understands every answer.

use std::io::{Read, Write};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::client::{Client, Tls, tcp, tls, xoauth2};
use super::{APP, SUPPORT, furnished};
use crate::standin::{EXCHANGE, ImapFault, SmtpAt, SmtpFault, Standin, UidFault};

fn selected(m365: &Standin) -> Client<Tls> {
    let mut client = tls(m365, tcp(m365.imap_port()));
    client.line();
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    client.imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
    client.imap("SELECT INBOX");
    client
}

#[test]
fn a_large_message_is_streamed() {
    let m365 = furnished();
    let mut mail = b"Subject: large\r\n\r\n".to_vec();
    mail.resize(40 << 20, b'x');
    m365.deliver(SUPPORT, "INBOX", &mail);
    let mut client = selected(&m365);
    client.send("a UID FETCH 1 BODY.PEEK[]");
    assert_eq!(
        client.line(),
        format!("* 1 FETCH (UID 1 BODY[] {{{}}}", mail.len())
    );
    let mut got = vec![0; mail.len()];
    client.stream.read_exact(&mut got).unwrap();
    assert!(got == mail);
    assert_eq!(client.line(), ")");
}

#[test]
fn rude_clients_hurt_only_themselves() {
    let m365 = furnished();
    tcp(m365.imap_port())
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .unwrap();
    drop(tcp(m365.smtp_port()));
    let mut client = selected(&m365);
    // An empty folder, odd sets, and brackets without end.
    assert_eq!(client.imap("FETCH 1:* FLAGS"), "a OK FETCH completed.\n");
    assert_eq!(
        client.imap("UID FETCH 1:* FLAGS"),
        "a OK FETCH completed.\n"
    );
    assert!(client.imap("UID FETCH 0 FLAGS").starts_with("a BAD"));
    assert!(
        client
            .imap(&format!("UID SEARCH {}", "(".repeat(100_000)))
            .starts_with("a BAD")
    );
    assert!(client.imap("UID FETCH 1 BODY[HEADER").starts_with("a BAD"));
    client.imap("CREATE Gone");
    client.imap("SELECT Gone");
    client.imap("DELETE Gone");
    assert!(
        client
            .imap("UID SEARCH ALL")
            .contains("BAD Command received in Invalid state.")
    );
    drop(client);
    selected(&m365);
    assert!(!m365.log().iter().any(|line| line.contains("panicked")));
}

#[test]
fn the_end_is_quick_whatever_goes_on() {
    let m365 = furnished();
    m365.deliver(SUPPORT, "INBOX", b"Subject: x\r\n\r\n");
    let mut waiting = selected(&m365);
    m365.faults()
        .imap_next(1, ImapFault::Stall(Duration::from_secs(100)));
    waiting.send("a NOOP");
    let mut halfway = selected(&m365);
    let stall = UidFault::Stall(Duration::from_secs(100));
    m365.faults().imap_uid(SUPPORT, 1, stall);
    halfway.send("a UID FETCH 1 BODY[]");
    m365.faults().silent_connections.store(1, SeqCst);
    let _silent = tcp(m365.smtp_port());
    let _idle = tcp(m365.login_port());
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    drop(m365);
    assert!(
        start.elapsed() < Duration::from_secs(50),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn connections_fail_on_demand() {
    let m365 = furnished();
    m365.deliver(SUPPORT, "INBOX", b"Subject: x\r\n\r\nlonger than half\r\n");
    let faults = m365.faults();
    faults.drop_connections.store(1, SeqCst);
    assert!(Client::new(tcp(m365.smtp_port())).is_over());
    faults.imap_uid(SUPPORT, 1, UidFault::CutShort);
    let cut = selected(&m365).imap("UID FETCH 1 BODY.PEEK[]");
    assert!(cut.contains("Subject: x") && !cut.contains("half"), "{cut}");
    faults.imap_sign_in_next(1, ImapFault::Reply("NO Server Unavailable. 15".into()));
    let mut client = tls(&m365, tcp(m365.imap_port()));
    client.line();
    assert_eq!(
        client.imap("AUTHENTICATE XOAUTH2 x"),
        "a NO Server Unavailable. 15\n"
    );
    faults.smtp_next(
        1,
        SmtpAt::Connect,
        SmtpFault::Reply("421 4.3.2 Service not available".into()),
    );
    let mut client = Client::new(tcp(m365.smtp_port()));
    assert!(client.reply().starts_with("421"));
    assert!(client.is_over());
    *faults.smtp_injection.lock().unwrap() = Some(b"250 injected\r\n".to_vec());
    let mut client = Client::new(tcp(m365.smtp_port()));
    client.reply();
    client.smtp("EHLO a");
    client.smtp("STARTTLS");
    assert_eq!(client.line(), "250 injected");
}

struct Xoauth2(String);

impl imap::Authenticator for Xoauth2 {
    type Response = String;
    fn process(&self, _challenge: &[u8]) -> String {
        self.0.clone()
    }
}

#[test]
fn the_product_s_imap_crate_understands_it() {
    let m365 = furnished();
    let mail = b"From: a@fabrikam.example\r\nSubject: \"Hi\"\r\n\r\nbody\r\n";
    for _ in 0..3 {
        m365.deliver(SUPPORT, "INBOX", mail);
    }
    m365.faults().imap_reverse_items.store(true, SeqCst);
    let stream = tls(&m365, tcp(m365.imap_port())).stream.into_inner();
    let mut client = imap::Client::new(stream);
    client.read_greeting().unwrap();
    let token = m365.issue_token(APP, EXCHANGE);
    let plain = format!("user={SUPPORT}\x01auth=Bearer {token}\x01\x01");
    let signed_in = client.authenticate("XOAUTH2", &Xoauth2(plain));
    let mut session = signed_in.map_err(|(error, _)| error).unwrap();
    assert!(session.capabilities().unwrap().has_str("UIDPLUS"));
    assert_eq!(session.list(Some(""), Some("*")).unwrap().len(), 6);
    let folder = session.select("INBOX").unwrap();
    assert_eq!((folder.exists, folder.uid_validity), (3, Some(1000)));
    assert_eq!(session.uid_search("ALL").unwrap().len(), 3);
    let items = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
    let fetched = session.uid_fetch("1:*", items).unwrap();
    assert_eq!(fetched.len(), 3);
    for message in fetched.iter() {
        assert_eq!(message.body(), Some(&mail[..]));
        assert!(message.uid.is_some() && message.internal_date().is_some());
    }
    session.uid_store("1", "+FLAGS (\\Seen)").unwrap();
    session.uid_mv("1", "Archive").unwrap();
    session.uid_store("2", "+FLAGS.SILENT (\\Deleted)").unwrap();
    session.uid_expunge("2").unwrap();
    assert_eq!(m365.messages(SUPPORT, "INBOX").len(), 1);
    session.append("Archive", mail).finish().unwrap();
    session.logout().unwrap();
}
