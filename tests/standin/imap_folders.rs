//! IMAP commands on folders: list, select, status, create, idle.

use super::imap::{Outcome, Selected, Session, done};
use super::imap_read::{Arg, Command, from_utf7, quote, to_utf7};
use super::mailbox::Folder;
use std::sync::atomic::Ordering;

impl Session<'_> {
    pub fn list(&mut self, command: &Command) -> Outcome {
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

    pub fn with_folder(&mut self, command: &Command) -> Outcome {
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
                // Exchange would not delete what is open either; here it is closed first.
                if self.selected.as_ref().is_some_and(|open| open.name == name) {
                    self.selected = None;
                }
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

    pub fn select(&mut self, command: &Command) -> Outcome {
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
        let uidnext = match self.world.faults.imap_uidnext.load(Ordering::SeqCst) {
            0 => uidnext,
            wrong => wrong,
        };
        self.say(&format!(
            "* OK [UIDNEXT {uidnext}] The next unique identifier value"
        ))?;
        self.selected = Some(selected);
        let mode = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        Ok(format!("OK [{mode}] {} completed.", command.name))
    }

    pub fn idle(&mut self) -> Outcome {
        self.conn
            .put(b"+ IDLE accepted, awaiting DONE command.\r\n")?;
        self.conn.line(1024)?;
        self.news(true)?;
        done("IDLE")
    }
}

fn status(folder: &Folder, command: &Command) -> String {
    let Some(Arg::List(items)) = command.args.get(1) else {
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
