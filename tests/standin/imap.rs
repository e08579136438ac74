//! IMAP as Exchange Online speaks it: sessions, sign-in, folders. Messages are in `imap_messages`.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::faults::{ImapFault, use_up};
use super::imap_read::{self, Command, from_utf7, quote, to_utf7};
use super::mailbox::{Folder, Mailbox};
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
    claims: Option<Value>,
    /// Address of the mailbox in lower case; `None` while "not connected".
    pub mailbox: Option<String>,
    pub selected: Option<Selected>,
    errors: u32,
    done: bool,
}

pub type Outcome = io::Result<String>;

pub fn serve(world: &Arc<World>, mut stream: TcpStream) -> io::Result<()> {
    if let Some(bytes) = &*world.faults.imap_plaintext.lock().unwrap() {
        io::Write::write_all(&mut stream, bytes)?;
    }
    let mut conn = Conn::new(handshake(world, stream)?);
    let close_after = world.faults.imap_close_after.load(SeqCst);
    conn.spoiler.close_after = (close_after > 0).then_some(close_after);
    conn.spoiler.drip = *world.faults.imap_drip.lock().unwrap();
    let mut session = Session {
        world,
        conn,
        claims: None,
        mailbox: None,
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
    session.conn.flush()
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
        let usual = format!("{sasl_ir} UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+");
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
        let Some(fault) = self.world.faults.take_imap() else {
            return self.dispatch(command).map(Some);
        };
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

    fn authenticate(&mut self, command: &Command) -> Outcome {
        let failed = Ok("NO AUTHENTICATE failed.".into());
        let mechanism = command.args.first().map(|arg| arg.upper());
        if mechanism.as_deref() != Some("XOAUTH2") {
            return failed;
        }
        let response = match command.args.get(1) {
            Some(_) if self.world.faults.imap_no_sasl_ir.load(SeqCst) => {
                return Ok("BAD Command Argument Error. 12".into());
            }
            Some(initial) => initial.text().into_bytes(),
            None => {
                self.conn.put(b"+ \r\n")?;
                let Some(line) = self.conn.line(64 << 10)? else {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                };
                line.trim_ascii_end().to_vec()
            }
        };
        match self.sign_in(&response) {
            Ok(()) => done("AUTHENTICATE"),
            Err(reason) => {
                self.world
                    .log("IMAP", &format!("! sign-in refused: {reason}"));
                if self.world.faults.sasl_challenge.load(SeqCst) {
                    let line = format!("+ {}\r\n", tokens::challenge());
                    self.conn.put(line.as_bytes())?;
                    self.conn.line(64 << 10)?;
                }
                failed
            }
        }
    }

    fn sign_in(&mut self, response: &[u8]) -> Result<(), String> {
        let (user, token) = tokens::read_xoauth2(response).ok_or("not an XOAUTH2 response")?;
        let role = "IMAP.AccessAsApp";
        let scope = "IMAP.AccessAsUser.All";
        let claims = tokens::check_for_exchange(self.world, &token, role, scope)?;
        let mut store = self.world.store.lock().unwrap();
        let mailbox = store.get(&user).ok_or(format!("no mailbox {user}"))?;
        let may_open = mailbox.imap_enabled && tokens::may_open(&claims, mailbox);
        // Without a right on the mailbox the sign-in itself succeeds; the next command tells.
        if may_open && !use_up(&self.world.faults.imap_not_connected) {
            self.mailbox = Some(mailbox.address.to_ascii_lowercase());
        }
        self.claims = Some(claims);
        Ok(())
    }

    /// Works on the mailbox of this session.
    pub fn with_mailbox<T>(&self, work: impl FnOnce(&mut Mailbox) -> T) -> T {
        let address = self.mailbox.as_deref().unwrap_or_default();
        work(self.world.store.lock().unwrap().existing(address))
    }

    fn list(&mut self, command: &Command) -> Outcome {
        let part = |at: usize| {
            command
                .args
                .get(at)
                .map(|arg| arg.text())
                .unwrap_or_default()
        };
        let pattern = from_utf7(&format!("{}{}", part(0), part(1)));
        if pattern.is_empty() {
            self.say("* LIST (\\Noselect) \"/\" \"\"")?;
            return done(&command.name);
        }
        let lines: Vec<String> = self.with_mailbox(|mailbox| {
            let names: Vec<String> = mailbox.folders.iter().map(|f| f.name.clone()).collect();
            mailbox
                .folders
                .iter()
                .filter(|folder| matches(pattern.as_bytes(), folder.name.as_bytes()))
                .map(|folder| {
                    let prefix = format!("{}/", folder.name);
                    let children = match names.iter().any(|name| name.starts_with(&prefix)) {
                        true => "\\HasChildren",
                        false => "\\HasNoChildren",
                    };
                    let special = folder.attribute.map(|a| format!(" {a}"));
                    let name = to_utf7(&folder.name);
                    let name = if name == "INBOX" { name } else { quote(&name) };
                    let special = special.unwrap_or_default();
                    format!("* {} ({children}{special}) \"/\" {name}", command.name)
                })
                .collect()
        });
        for line in lines {
            self.say(&line)?;
        }
        done(&command.name)
    }

    fn with_folder(&mut self, command: &Command) -> Outcome {
        let Some(name) = command.args.first() else {
            return Ok("BAD Command Argument Error. 12".into());
        };
        let name = from_utf7(&name.text());
        match command.name.as_str() {
            "CREATE" => match self.with_mailbox(|m| m.create(name.trim_end_matches('/'))) {
                true => done("CREATE"),
                false => Ok(format!("NO Folder {name} already exists.")),
            },
            "DELETE" => {
                self.with_mailbox(|m| m.folders.retain(|f| f.name != name || name == "INBOX"));
                done("DELETE")
            }
            "STATUS" => {
                let status = self.with_mailbox(|m| m.folder(&name).map(|f| status(f, command)));
                let Some(status) = status else {
                    return Ok(format!("NO {name} doesn't exist."));
                };
                let line = format!("* STATUS {} ({status})", quote(&to_utf7(&name)));
                self.say(&line)?;
                done("STATUS")
            }
            _ => self.append(&name, command),
        }
    }

    fn select(&mut self, command: &Command) -> Outcome {
        self.selected = None;
        let name = from_utf7(&command.args.first().map(|a| a.text()).unwrap_or_default());
        let read_only = command.name == "EXAMINE";
        let opened = self.with_mailbox(|mailbox| {
            let folder = mailbox.folder(&name)?;
            let unseen = folder.messages.iter().position(|m| !m.has("\\Seen"));
            let selected = Selected {
                name: folder.name.clone(),
                uidvalidity: folder.uidvalidity,
                read_only,
                uids: folder.messages.iter().map(|m| m.uid).collect(),
                version: folder.version,
            };
            Some((selected, unseen, folder.uidnext))
        });
        let Some((selected, unseen, uidnext)) = opened else {
            return Ok(format!("NO {name} doesn't exist."));
        };
        let flags = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent";
        self.say(&format!("* {} EXISTS", selected.uids.len()))?;
        self.say("* 0 RECENT")?;
        self.say(&format!("* FLAGS ({flags})"))?;
        let permanent = if read_only { "" } else { flags };
        self.say(&format!(
            "* OK [PERMANENTFLAGS ({permanent})] Permanent flags"
        ))?;
        if let Some(first) = unseen {
            let first = first + 1;
            self.say(&format!(
                "* OK [UNSEEN {first}] Is the first unseen message"
            ))?;
        }
        let validity = selected.uidvalidity;
        self.say(&format!("* OK [UIDVALIDITY {validity}] UIDVALIDITY value"))?;
        self.say(&format!(
            "* OK [UIDNEXT {uidnext}] The next unique identifier value"
        ))?;
        self.selected = Some(selected);
        let mode = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        Ok(format!("OK [{mode}] {} completed.", command.name))
    }

    fn idle(&mut self) -> Outcome {
        self.conn
            .put(b"+ IDLE accepted, awaiting DONE command.\r\n")?;
        self.conn.line(1024)?;
        self.news(true)?;
        done("IDLE")
    }

    /// Tells what has changed in the open folder; expunges only where the protocol allows them.
    pub fn news(&mut self, expunges: bool) -> io::Result<()> {
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        let address = self.mailbox.as_deref().unwrap_or_default();
        let mut store = self.world.store.lock().unwrap();
        let folder = store.existing(address).folder(&selected.name);
        let Some(folder) = folder.filter(|folder| folder.version != selected.version) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        if expunges {
            for at in (0..selected.uids.len()).rev() {
                if folder.find(selected.uids[at]).is_none() {
                    lines.push(format!("* {} EXPUNGE\r\n", at + 1));
                }
            }
            selected.uids.retain(|uid| folder.find(*uid).is_some());
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

fn status(folder: &Folder, command: &Command) -> String {
    let Some(imap_read::Arg::List(items)) = command.args.get(1) else {
        return String::new();
    };
    let count = folder.messages.len();
    let items: Vec<String> = items
        .iter()
        .filter_map(|item| {
            let item = item.upper();
            let value = match item.as_str() {
                "MESSAGES" => count as u64,
                "RECENT" => 0,
                "UIDNEXT" => folder.uidnext.into(),
                "UIDVALIDITY" => folder.uidvalidity.into(),
                "UNSEEN" => (count - folder.has_flag("\\Seen")) as u64,
                _ => return None,
            };
            Some(format!("{item} {value}"))
        })
        .collect();
    items.join(" ")
}

/// LIST's wildcards: `*` for anything, `%` for anything but the delimiter.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        Some((b'%', rest)) => (0..=name.len())
            .take_while(|at| !name[..*at].contains(&b'/'))
            .any(|at| matches(rest, &name[at..])),
        Some((first, rest)) => {
            name.first().is_some_and(|n| n.eq_ignore_ascii_case(first)) && matches(rest, &name[1..])
        }
    }
}
