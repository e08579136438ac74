//! What a session has promised outlives it.

use super::{Relay, text};
use crate::patience::until;
use crate::sending::{SUPPORT, later, office, outbox};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

/// Kills whatever comes its way: sessions while twenty clients send two hundred messages. What was
/// promised is in the outbox, once; and a flush that is killed, too, loses none of it.
#[test]
fn what_was_promised_to_many_clients_outlives_a_kill_of_any_process() {
    const CLIENTS: usize = 20;
    const EACH: usize = 10;
    let home = office();
    let relay = Relay::start(&home);
    let promised = Mutex::new(Vec::new());
    let done = std::sync::atomic::AtomicBool::new(false);
    let kills = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        let (relay, promised, done, kills) = (&relay, &promised, &done, &kills);
        scope.spawn(move || {
            // One of the sessions that are there, whenever some more messages were promised: so
            // there are kills on a quick machine, and there is an end on a slow one.
            let mut next = 4;
            while !done.load(SeqCst) {
                thread::sleep(std::time::Duration::from_millis(2));
                if promised.lock().unwrap().len() < next {
                    continue;
                }
                let mut sessions = relay.sessions.lock().unwrap();
                let mut alive: Vec<&mut Child> = sessions
                    .iter_mut()
                    .filter_map(|s| matches!(s.try_wait(), Ok(None)).then_some(s))
                    .collect();
                if !alive.is_empty() {
                    // The oldest, the newest, or any between.
                    let one = next * 5 % alive.len();
                    alive[one].kill().unwrap();
                    kills.fetch_add(1, SeqCst);
                    next += 6;
                }
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let id = client * EACH + n;
                        // As a client does: again, until it is told that it is kept.
                        while !deliver(relay, id) {}
                        promised.lock().unwrap().push(id);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        done.store(true, SeqCst);
    });
    let killed = kills.load(SeqCst);
    assert!(killed > 2, "{killed} were killed");
    let promised = promised.into_inner().unwrap();
    assert_eq!(promised.len(), CLIENTS * EACH);
    let is_kept =
        |all: &[String], id: usize| all.iter().any(|m| *m == format!("<{id}@contoso.com>"));
    let ids = |kept: Vec<serde_json::Value>| -> Vec<String> {
        kept.iter()
            .map(|k| k["message_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let kept = ids(outbox(&home));
    for &id in &promised {
        assert!(is_kept(&kept, id), "message {id} was promised and is lost");
    }
    // A client that was cut off before the reply says it again: more at most by the sessions killed.
    assert!(kept.len() - promised.len() <= killed, "{} kept", kept.len());
    let mut flush = home.command(&["outbox", "flush"]).spawn().unwrap();
    until("twenty are sent", || home.standin.submitted().len() >= 20);
    flush.kill().unwrap();
    flush.wait().unwrap();
    later(&home);
    home.run(&["outbox", "flush"]);
    let mut all = ids(outbox(&home));
    all.extend(
        home.standin
            .submitted()
            .into_iter()
            .map(|sent| sent.message_id_used),
    );
    for id in promised {
        assert!(is_kept(&all, id), "message {id} was lost on its way");
    }
    println!(
        "campaign: {killed} sessions killed, {} messages kept for {} promised, 0 lost",
        kept.len(),
        CLIENTS * EACH
    );
}

/// One message by a connection of its own; true once it is promised.
fn deliver(relay: &Relay, id: usize) -> bool {
    let Ok(stream) = UnixStream::connect(&relay.socket) else {
        return false;
    };
    let mut from = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |text: String, code: &str| {
        if (&stream).write_all(text.as_bytes()).is_err() {
            return false;
        }
        let mut line = String::new();
        loop {
            line.clear();
            match from.read_line(&mut line) {
                Ok(1..) if line.as_bytes().get(3) == Some(&b'-') => {}
                Ok(1..) => return line.starts_with(code),
                _ => return false,
            }
        }
    };
    ask(String::new(), "220")
        && ask("EHLO x\r\n".into(), "250")
        && ask(format!("MAIL FROM:<{SUPPORT}>\r\n"), "250")
        && ask("RCPT TO:<anna@example.com>\r\n".into(), "250")
        && ask("DATA\r\n".into(), "354")
        && ask(format!("{}.\r\n", text(id)), "250")
}
