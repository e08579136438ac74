//! SMTP by hand: both doors, sign-in, refusals, DATA and BDAT octet for octet, and the faults.

use std::sync::atomic::Ordering::SeqCst;

use super::client::{Client, Tls, tcp, tls, xoauth2};
use super::{APP, SALES, SUPPORT, furnished};
use crate::standin::{EXCHANGE, SmtpAt, SmtpFault, Standin};

const MAIL: &str = "From: <support@contoso.example>\r\nMessage-ID: <1@contoso.example>\r\n\
                    Subject: Dots\r\n\r\n.one\r\n..two\r\n.\r\ncaf\u{e9}\r\n";

fn sign_in(m365: &Standin) -> Client<Tls> {
    let mut client = tls(m365, tcp(m365.smtps_port()));
    assert!(
        client
            .reply()
            .contains("Microsoft ESMTP MAIL Service ready at")
    );
    client.smtp("EHLO client.example");
    assert_eq!(client.smtp("AUTH XOAUTH2"), "334");
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    assert_eq!(
        client.smtp(&response),
        "235 2.7.0 Authentication successful"
    );
    client
}

/// Hands over a message by DATA; gives the last reply.
fn submit(client: &mut Client<Tls>, mail: &str) -> String {
    assert!(
        client
            .smtp("MAIL FROM:<support@contoso.example> BODY=8BITMIME")
            .starts_with("250")
    );
    assert!(
        client
            .smtp("RCPT TO:<sales@contoso.example>")
            .starts_with("250")
    );
    assert!(client.smtp("DATA").starts_with("354"));
    let stuffed = mail.replace("\r\n.", "\r\n..");
    client.smtp(&format!("{stuffed}."))
}

#[test]
fn starttls_comes_before_everything() {
    let m365 = furnished();
    let mut plain = Client::new(tcp(m365.smtp_port()));
    plain.reply();
    let hello = plain.smtp("EHLO client.example");
    assert!(
        hello.contains("STARTTLS") && !hello.contains("AUTH"),
        "{hello}"
    );
    assert!(
        plain
            .smtp("MAIL FROM:<a@b.example>")
            .starts_with("530 5.7.57")
    );
    // What is sent in the clear after STARTTLS must not count.
    plain.send_raw(b"STARTTLS\r\n");
    assert_eq!(plain.reply(), "220 2.0.0 SMTP server ready");
    let mut client = tls(&m365, plain.stream.into_inner());
    let hello = client.smtp("EHLO client.example");
    assert!(
        hello.contains("AUTH LOGIN XOAUTH2") && !hello.contains("STARTTLS"),
        "{hello}"
    );
    assert!(
        hello.contains("SIZE 157286400") && hello.contains("250 SMTPUTF8"),
        "{hello}"
    );
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    assert!(
        client
            .smtp(&format!("AUTH XOAUTH2 {response}"))
            .starts_with("235")
    );
    assert!(client.smtp("QUIT").starts_with("221"));
}

#[test]
fn octets_arrive_as_they_were_sent() {
    let m365 = furnished();
    let mut client = sign_in(&m365);
    let reply = submit(&mut client, MAIL);
    assert!(
        reply.starts_with("250 2.0.0 OK <1@contoso.example> [Hostname="),
        "{reply}"
    );
    assert_eq!(m365.submitted()[0].bytes, MAIL.as_bytes());
    assert_eq!(m365.messages(SALES, "INBOX")[0].bytes, MAIL.as_bytes());
    assert_eq!(
        m365.messages(SUPPORT, "Sent Items")[0].bytes,
        MAIL.as_bytes()
    );
    // The same in chunks, with a bare LF, all in one go.
    let body = format!("{MAIL}bare\nLF");
    let (one, two) = body.split_at(20);
    client.send_raw(
        format!(
            "MAIL FROM:<support@contoso.example> BODY=BINARYMIME\r\nRCPT TO:<x@fabrikam.example>\r\n\
             BDAT {}\r\n{one}BDAT {} LAST\r\n{two}",
            one.len(),
            two.len()
        )
        .as_bytes(),
    );
    for _ in 0..4 {
        assert!(client.reply().starts_with("250"));
    }
    let submission = &m365.submitted()[1];
    assert_eq!(submission.bytes, body.as_bytes());
    assert_eq!(submission.mail_parameters, ["BODY=BINARYMIME"]);
    m365.faults().replace_message_id.store(true, SeqCst);
    let reply = submit(&mut client, MAIL);
    assert!(!reply.contains("<1@contoso.example>"), "{reply}");
    assert!(reply.contains(&m365.submitted()[2].message_id_used));
}

#[test]
fn refusals_have_exchange_s_words() {
    let m365 = furnished();
    let mut client = sign_in(&m365);
    client.smtp("MAIL FROM:<support@contoso.example>");
    let unknown = client.smtp("RCPT TO:<nobody@contoso.example>");
    assert!(
        unknown.starts_with("550 5.1.10 RESOLVER.ADR.RecipientNotFound"),
        "{unknown}"
    );
    m365.faults()
        .smtp_recipient("slow@fabrikam.example", "450 4.7.1 Try later");
    assert_eq!(
        client.smtp("RCPT TO:<slow@fabrikam.example>"),
        "450 4.7.1 Try later"
    );
    client.smtp("RSET");
    let other = MAIL.replace("<support@", "<boss@");
    assert!(submit(&mut client, &other).starts_with("554 5.2.252 SendAsDenied"));
    m365.grant_send_as(SUPPORT, "boss@contoso.example");
    assert!(submit(&mut client, &other).starts_with("250"));
    assert!(submit(&mut client, "Subject: x\r\n\r\nbare\nLF\r\n").starts_with("550 5.6.11"));
    m365.revoke(APP, SUPPORT);
    assert!(submit(&mut client, MAIL).starts_with("430 4.2.0 STOREDRV; mailbox logon failure"));
    assert!(
        client
            .smtp("MAIL FROM:<a@b.example> SIZE=999999999")
            .starts_with("552")
    );
    m365.set_smtp_disabled(SUPPORT, true);
    let mut client = tls(&m365, tcp(m365.smtps_port()));
    client.reply();
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    let reply = client.smtp(&format!("AUTH XOAUTH2 {response}"));
    assert!(
        reply.starts_with("535 5.7.139 Authentication unsuccessful, SmtpClientAuth"),
        "{reply}"
    );
    assert!(
        client
            .smtp("AUTH XOAUTH2 abc")
            .starts_with("535 5.7.3 Authentication unsuccessful")
    );
}

#[test]
fn faults_come_when_ordered() {
    let m365 = furnished();
    let faults = m365.faults();
    let mut client = sign_in(&m365);
    faults.smtp_next(
        1,
        SmtpAt::Dot,
        SmtpFault::Reply("451 4.7.0 Temporary server error".into()),
    );
    assert!(submit(&mut client, MAIL).starts_with("451"));
    assert!(m365.submitted().is_empty());
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    assert_eq!(submit(&mut client, MAIL), "");
    assert_eq!(m365.submitted().len(), 1);
    let mut client = sign_in(&m365);
    faults.smtp_next(1, SmtpAt::Dot, SmtpFault::Close);
    assert_eq!(submit(&mut client, MAIL), "");
    assert_eq!(m365.submitted().len(), 1);
    let mut clients: Vec<_> = (0..4).map(|_| sign_in(&m365)).collect();
    let reply = clients[3].smtp("MAIL FROM:<support@contoso.example>");
    assert!(
        reply.starts_with("432 4.3.2 Concurrent connections limit exceeded."),
        "{reply}"
    );
}
