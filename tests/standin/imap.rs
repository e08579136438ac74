//! IMAP as Exchange Online speaks it: the session, its commands, and the faults ordered for them.
//! Sign-in, folders and messages are in the files of those names.

use super::echo::spelled;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::faults::ImapFault;
use super::imap_read::{self, Command};
use super::mailbox::Mailbox;
use super::net::{Conn, handshake};
use super::tokens;
use super::world::{World, guid, now};

/// The folder that is open.
pub struct Selected {
    pub name: String,
    pub uidvalidity: u32,
    pub read_only: bool,
    /// UIDs by sequence number, as the client has been told.
    pub uids: Vec<u32>,
    pub version: u64,
}

pub struct Session<'a> {
    pub world: &'a World,
    pub conn: Conn,
    /// Claims of the token, once signed in.
    pub claims: Option<Value>,
    /// Address of the mailbox in lower case; `None` while "not connected".
    pub mailbox: Option<String>,
    /// The response of the sign-in.
    pub response: String,
    pub selected: Option<Selected>,
    errors: u32,
    done: bool,
}

pub type Outcome = io::Result<String>;

pub fn serve(world: &Arc<World>, mut stream: TcpStream) -> io::Result<()> {
    if let Some(bytes) = &*world.faults.imap_plaintext.lock().unwrap() {
        io::Write::write_all(&mut stream, bytes)?;
    }
    let mut conn = Conn::new(world, handshake(world, stream)?);
    let close_after = world.faults.imap_close_after.load(SeqCst);
    conn.spoiler.close_after = (close_after > 0).then_some(close_after);
    conn.spoiler.drip = *world.faults.imap_drip.lock().unwrap();
    let mut session = Session {
        world,
        conn,
        claims: None,
        mailbox: None,
        response: String::new(),
        selected: None,
        errors: 0,
        done: false,
    };
    session.greet()?;
    while !session.done {
        let Some(command) = imap_read::command(&mut session.conn)? else {
            break;
        };
        session.obey(command)?;
    }
    session.conn.end()
}

impl Session<'_> {
    fn is_new(&self) -> bool {
        self.world.faults.imap_new_front_end.load(SeqCst)
    }

    /// Sends a line and logs it.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        self.world.log("IMAP", &format!("> {line}"));
        self.conn.put(line.as_bytes())?;
        self.conn.put(b"\r\n")
    }

    fn greet(&mut self) -> io::Result<()> {
        if self.is_new() {
            let line = format!(
                "* OK Microsoft Exchange IMAP4 service ready. {} (tcpproxy/15.21.0406.000 BACKENDAUTHENTICATE) [localhost]",
                guid()
            );
            return self.say(&line);
        }
        let name: Vec<u8> = "localhost"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let line = format!(
            "* OK The Microsoft Exchange IMAP4 service is ready. [{}]",
            STANDARD.encode(name)
        );
        self.say(&line)
    }

    fn capabilities(&self) -> String {
        let sasl_ir = match self.world.faults.imap_no_sasl_ir.load(SeqCst) {
            true => "",
            false => " SASL-IR",
        };
        let by_uid = match self.world.faults.imap_old.load(SeqCst) {
            true => "",
            false => " UIDPLUS MOVE",
        };
        let usual = format!("{sasl_ir}{by_uid} ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+");
        match (self.is_new(), self.claims.is_some()) {
            (false, false) => format!("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2{usual}"),
            (false, true) => format!(
                "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2{usual} CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE"
            ),
            (true, false) => format!("IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED{usual}"),
            (true, true) => format!(
                "IMAP4 IMAP4rev1 AUTH=XOAUTH2{usual} ENABLE IMAP4rev2 BACKENDAUTHENTICATE-IR"
            ),
        }
    }

    fn bye(&mut self, text: &str) -> io::Result<()> {
        self.done = true;
        self.say(&format!("* BYE {text}"))
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        let world = self.world;
        if command.name == "AUTHENTICATE" || command.name == "LOGIN" {
            let tag = &command.tag;
            world.log("IMAP", &format!("< {tag} {} (masked)", command.name));
        } else {
            world.log("IMAP", &format!("< {}", command.line));
        }
        let Some(answer) = self.spoiled(&command)? else {
            return Ok(());
        };
        let eight_bit = world.faults.imap_eight_bit.load(SeqCst);
        world.log("IMAP", &format!("> {} {answer}", command.tag));
        self.conn.put(command.tag.as_bytes())?;
        self.conn.put(b" ")?;
        self.conn.put(answer.as_bytes())?;
        if eight_bit {
            self.conn.put(b" caf\xe9 \xfc\xff")?;
        }
        self.conn.put(b"\r\n")?;
        if answer.starts_with("BAD") {
            self.errors += 1;
            // Exchange loses patience with clients that make no sense.
            if self.errors >= 10 {
                self.bye("Connection closed. 14")?;
            }
        }
        Ok(())
    }

    /// Obeys, unless a fault was ordered for this command.
    fn spoiled(&mut self, command: &Command) -> io::Result<Option<String>> {
        if command.name == "AUTHENTICATE"
            && let Some(fault) = self.world.faults.take_imap_sign_in()
        {
            return self.play(fault, command);
        }
        let exempt = ["LOGOUT", "CAPABILITY", "AUTHENTICATE", "LOGIN"];
        if self.claims.is_none() || exempt.contains(&command.name.as_str()) {
            return self.dispatch(command).map(Some);
        }
        if self.mailbox.is_none() {
            self.say(&format!(
                "{} BAD User is authenticated but not connected.",
                command.tag
            ))?;
            self.bye("Connection closed. 14")?;
            return Ok(None);
        }
        let expires = self.claims.as_ref().and_then(|c| c["exp"].as_i64());
        if expires.is_some_and(|end| end <= now()) {
            self.bye("Session invalidated - AccessTokenExpired")?;
            return Ok(None);
        }
        match self.world.faults.take_imap() {
            Some(fault) => self.play(fault, command),
            None => self.dispatch(command).map(Some),
        }
    }

    /// Does what a fault says in the place of a command, or before it.
    fn play(&mut self, fault: ImapFault, command: &Command) -> io::Result<Option<String>> {
        self.world.log("IMAP", &format!("! fault: {fault:?}"));
        match fault {
            ImapFault::Throttled { milliseconds, bye } => {
                let text = format!(
                    "BAD Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds"
                );
                if !bye {
                    return Ok(Some(text));
                }
                self.say(&format!("{} {text}", command.tag))?;
                self.bye("Connection closed. 14")?;
                Ok(None)
            }
            ImapFault::Reply(text) => Ok(Some(text)),
            ImapFault::Echo => {
                if let Some(response) = command.args.get(1).filter(|_| self.claims.is_none()) {
                    self.response = response.text();
                }
                let decoded = tokens::read_xoauth2(self.response.as_bytes()).unwrap_or_default();
                let (response, token) = (self.response.clone(), decoded.1);
                self.say(&format!("* NO Odd {response}"))?;
                self.say(&format!("* OK [ALERT] {}", spelled(&token)))?;
                self.say(&format!("* NO {}", spelled(&response)))?;
                Ok(Some(format!(
                    "NO {} Cannot read {response} {token}",
                    spelled(&token)
                )))
            }
            ImapFault::Bye(text) => self.bye(&text).map(|()| None),
            ImapFault::Close => Err(io::Error::other("closed on purpose")),
            ImapFault::Stall(time) => {
                self.conn.flush()?;
                self.world.pause(time);
                self.dispatch(command).map(Some)
            }
            ImapFault::EndlessLine => {
                self.conn.put(b"* OK ")?;
                while !self.world.is_stopped() {
                    self.conn.put(&[b'x'; 8192])?;
                }
                Ok(None)
            }
            ImapFault::Endless(first, then) => {
                self.conn.put(first.as_bytes())?;
                let many = then.repeat((8 << 10) / then.len());
                while !self.world.is_stopped() {
                    self.conn.put(many.as_bytes())?;
                }
                Ok(None)
            }
            ImapFault::Flood(lines) => {
                for line in 0..lines {
                    let line = format!("* OK Still working, step {line}.\r\n");
                    self.conn.put(line.as_bytes())?;
                }
                self.dispatch(command).map(Some)
            }
            ImapFault::LiteralLie(size) => {
                let line =
                    format!("* 1 FETCH (UID 1 BODY[] {{{size}}}\r\nSubject: not so long\r\n");
                self.conn.put(line.as_bytes())?;
                self.conn.flush()?;
                self.world.pause(Duration::from_secs(300));
                Err(io::Error::other("closed on purpose"))
            }
            ImapFault::Garbage(octets) => {
                self.conn.put(&octets)?;
                self.dispatch(command).map(Some)
            }
            ImapFault::Drip(size, pause) => {
                self.conn.flush()?;
                self.conn.spoiler.drip = Some((size, pause));
                self.dispatch(command).map(Some)
            }
            ImapFault::Finds(uids) => {
                self.conn.put(b"* SEARCH")?;
                for uid in uids {
                    self.conn.put(format!(" {uid}").as_bytes())?;
                }
                self.conn.put(b"\r\n")?;
                Ok(Some("OK SEARCH completed.".into()))
            }
            ImapFault::NothingFound => {
                self.say(if self.is_new() {
                    "* ESEARCH UID"
                } else {
                    "* SEARCH"
                })?;
                Ok(Some("OK SEARCH completed.".into()))
            }
        }
    }

    fn dispatch(&mut self, command: &Command) -> Outcome {
        let name = command.name.as_str();
        match name {
            "CAPABILITY" => {
                let line = format!("* CAPABILITY {}", self.capabilities());
                self.say(&line)?;
                return done(name);
            }
            "LOGOUT" => {
                self.bye("Microsoft Exchange Server IMAP4 server signing off.")?;
                return done(name);
            }
            "ID" => {
                self.say("* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\" \"version\" \"15.20\")")?;
                return done(name);
            }
            "NOOP" => {
                self.news(true)?;
                return done(name);
            }
            "AUTHENTICATE" if self.claims.is_none() => return self.authenticate(command),
            "LOGIN" if self.claims.is_none() => return Ok("NO LOGIN failed.".into()),
            _ => {}
        }
        if self.claims.is_none() {
            return Ok("BAD Command received in Invalid state.".into());
        }
        match name {
            "NAMESPACE" => self.say("* NAMESPACE ((\"\" \"/\")) NIL NIL")?,
            "ENABLE" => self.say("* ENABLED")?,
            "LIST" | "LSUB" => return self.list(command),
            "SUBSCRIBE" | "UNSUBSCRIBE" => {}
            "CREATE" | "DELETE" | "STATUS" | "APPEND" => return self.with_folder(command),
            "SELECT" | "EXAMINE" => return self.select(command),
            "IDLE" => return self.idle(),
            _ if self.selected.is_none() => {
                return Ok("BAD Command received in Invalid state.".into());
            }
            "UNSELECT" => self.selected = None,
            "CHECK" => self.news(true)?,
            _ => return self.on_messages(command),
        }
        done(name)
    }

    /// Works on the mailbox of this session.
    pub fn with_mailbox<T>(&self, work: impl FnOnce(&mut Mailbox) -> T) -> T {
        let address = self.mailbox.as_deref().unwrap_or_default();
        work(self.world.store().existing(address))
    }

    /// Tells what has changed in the open folder; expunges only where the protocol allows them.
    pub fn news(&mut self, expunges: bool) -> io::Result<()> {
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        let address = self.mailbox.as_deref().unwrap_or_default();
        let mut store = self.world.store();
        let folder = store.existing(address).folder(&selected.name);
        let Some(folder) = folder.filter(|folder| folder.version != selected.version) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        if expunges {
            // Both are in ascending order: one walk finds what is gone.
            let mut own = folder.messages.iter().map(|m| m.uid).peekable();
            let mut number = 0;
            selected.uids.retain(|uid| {
                number += 1;
                while own.next_if(|other| other < uid).is_some() {}
                let is_there = own.peek() == Some(uid);
                if !is_there {
                    lines.push(format!("* {number} EXPUNGE\r\n"));
                }
                is_there
            });
            lines.reverse(); // the last first, so that the numbers before it still hold
            selected.version = folder.version;
        }
        let last = selected.uids.last().copied().unwrap_or(0);
        let known = folder.messages.partition_point(|m| m.uid <= last);
        if known < folder.messages.len() {
            selected
                .uids
                .extend(folder.messages[known..].iter().map(|m| m.uid));
            lines.push(format!("* {} EXISTS\r\n", selected.uids.len()));
        }
        drop(store);
        self.conn.put(lines.concat().as_bytes())
    }
}

/// The usual success.
pub fn done(name: &str) -> Outcome {
    Ok(format!(
        "OK {} completed.",
        name.strip_prefix("UID ").unwrap_or(name)
    ))
}
