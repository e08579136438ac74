//! The relay under many clients: Postfix's smtp-source, and a process of queuemail for each
//! session, as systemd starts them. The processor time is the clients' alone.

use crate::case::rounds;
use crate::measure::{self, Run};
use crate::office::{Office, SENDER};
use crate::servers::RealServers;
use crate::table::print;
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

const MESSAGES: usize = 200;

/// How many messages a session has.
#[derive(Clone, Copy)]
enum Sessions {
    OneMessage,
    Many,
}

pub fn keep(office: &Office, servers: &RealServers) {
    let programs = [Sessions::OneMessage, Sessions::Many];
    let name = |sessions| {
        match sessions {
            Sessions::OneMessage => "**queuemail** relay, a session each",
            Sessions::Many => "**queuemail** relay, sessions of many",
        }
        .to_owned()
    };
    let mut number = 0;
    let rows = rounds(&programs, name, |sessions| {
        number += 1;
        once(office, servers, sessions, number)
    });
    let title = format!("{MESSAGES} messages of 4 KiB by 20 clients at once, into the outbox");
    print(&title, "**queuemail** relay, a session each", &rows);
}

fn once(office: &Office, servers: &RealServers, sessions: Sessions, number: usize) -> Run {
    let home = office.home();
    office.provision(
        &home,
        SENDER,
        servers.imaps_port(),
        servers.submission_port(),
    );
    let socket = office.path(&format!("relay-{number}.sock"));
    listen(&socket, office.queuemail(&home));
    let mut command: Vec<String> = ["/usr/sbin/smtp-source", "-s", "20", "-l", "4096"]
        .map(String::from)
        .to_vec();
    command.extend(["-m".to_owned(), MESSAGES.to_string()]);
    command.extend(["-f", SENDER, "-t", "anna@example.com"].map(String::from));
    if matches!(sessions, Sessions::Many) {
        command.push("-d".to_owned());
    }
    command.push(format!("unix:{}", socket.display()));
    let mut run = measure::run(&command, &home);
    let kept = fs::read_dir(home.join("state/outbox")).map_or(0, Iterator::count);
    run.stored = Some((kept, kept));
    run
}

/// Serves whoever connects, until the measurements end.
fn listen(socket: &Path, program: Vec<String>) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let session = Command::new("setpriv")
                .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
                .args(&program)
                .args(["send", "--smtp-session"])
                .stdin(OwnedFd::from(client.try_clone().unwrap()))
                .stdout(OwnedFd::from(client))
                .stderr(Stdio::inherit())
                .spawn();
            std::thread::spawn(move || session.unwrap().wait());
        }
    });
}
