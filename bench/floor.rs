//! The floors: programs that do nothing but what cannot be avoided, run as own processes
//! (`--floor WORK PORT MAILBOX FOLDER`) so that they are measured as the others are.

use crate::servers::PASSWORD;
use crate::servers::raw_imap::RawImap;
use native_tls::TlsConnector;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;

/// `read` drops the messages, `write` writes each to a file, `fsync` syncs each file too.
pub fn run(args: &[String]) -> ExitCode {
    let [work, port, mailbox, folder] = args else {
        return ExitCode::from(64);
    };
    let connector = TlsConnector::builder()
        .danger_accept_invalid_certs(true) // loopback, to our own server
        .build()
        .unwrap();
    let port: u16 = port.parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut client = RawImap::new(connector.connect("localhost", stream).unwrap());
    client.login(mailbox, PASSWORD);
    client.select("INBOX");
    let folder = Path::new(folder).join("new");
    fs::create_dir_all(&folder).unwrap();
    client.read_each(|message| {
        if work == "read" {
            return;
        }
        let mut file = fs::File::create(folder.join(message.uid.to_string())).unwrap();
        file.write_all(&message.bytes).unwrap();
        if work == "fsync" {
            file.sync_all().unwrap();
        }
    });
    ExitCode::SUCCESS
}
