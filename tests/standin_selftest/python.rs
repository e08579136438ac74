//! Python's standard library as an independent client, where there is a Python.

use std::process::Command;

use super::{APP, SALES, SUPPORT, furnished};
use crate::standin::EXCHANGE;

const SCRIPT: &str = r#"
import imaplib, os, smtplib, ssl
env = os.environ
tls = ssl.create_default_context(cafile=env["CA"])
auth = f"user={env['MAILBOX']}\x01auth=Bearer {env['TOKEN']}\x01\x01"
mail = b"From: support@contoso.example\r\nSubject: Python\r\n\r\n.dot\r\n"
smtp = smtplib.SMTP("localhost", int(env["SMTP"]))
smtp.starttls(context=tls)
smtp.ehlo()
smtp.auth("XOAUTH2", lambda challenge=None: auth)
assert smtp.sendmail("support@contoso.example", ["sales@contoso.example"], mail) == {}
smtp.quit()
imap = imaplib.IMAP4_SSL("localhost", int(env["IMAP"]), ssl_context=tls)
imap.authenticate("XOAUTH2", lambda challenge: auth.encode())
assert "MOVE" in imap.capabilities
assert imap.select('"Sent Items"')[1] == [b"1"]
assert imap.uid("SEARCH", "ALL")[1] == [b"1"]
assert imap.uid("FETCH", "1", "(BODY.PEEK[TEXT])")[1][0][1] == b".dot\r\n"
assert imap.append("INBOX", "", None, mail)[0] == "OK"
print(len(imap.list()[1]), "folders")
imap.logout()
"#;

#[test]
fn python_s_clients_feel_at_home() {
    let m365 = furnished();
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .env("CA", m365.ca_file())
        .env("MAILBOX", SUPPORT)
        .env("TOKEN", m365.issue_token(APP, EXCHANGE))
        .env("SMTP", m365.smtp_port().to_string())
        .env("IMAP", m365.imap_port().to_string())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let log = m365.log().join("\n");
    assert!(
        output.status.success(),
        "{}\n{log}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout, b"6 folders\n");
    assert!(
        m365.messages(SALES, "INBOX")[0]
            .bytes
            .ends_with(b"\r\n\r\n.dot\r\n")
    );
}
