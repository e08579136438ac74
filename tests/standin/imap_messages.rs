//! IMAP commands on the messages of the open folder: store, copy, move, expunge, append.

use std::collections::HashSet;

use super::imap::{Outcome, Session, done};
use super::imap_read::{Arg, Command, from_utf7, set};
use super::mailbox::Message;
use super::world::now;
use super::{imap_fetch, imap_search};

const FLAGS: [&str; 6] = [
    "\\Seen",
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Draft",
    "$MDNSent",
];

impl Session<'_> {
    pub fn on_messages(&mut self, command: &Command) -> Outcome {
        let by_uid = command.name.starts_with("UID ");
        let outcome = match command.name.trim_start_matches("UID ") {
            "SEARCH" => imap_search::search(self, command),
            "FETCH" => imap_fetch::fetch(self, command),
            "STORE" => self.store_flags(command),
            "COPY" => self.copy(command, false),
            "MOVE" => self.copy(command, true),
            "EXPUNGE" => self.expunge(command),
            "CLOSE" => self.close(),
            _ => Ok("BAD Command Error. 12".into()),
        };
        self.news(by_uid || command.name == "EXPUNGE")?;
        outcome
    }

    /// Places (sequence number less one) in the open folder that a set means.
    pub fn places(&self, text: &str, by_uid: bool) -> Option<Vec<usize>> {
        let uids = &self.selected.as_ref()?.uids;
        let largest = match by_uid {
            true => uids.last().copied().unwrap_or(0),
            false => uids.len() as u32,
        };
        let mut places = Vec::new();
        for (from, to) in set(text, largest)? {
            let range = match by_uid {
                true => {
                    uids.partition_point(|uid| *uid < from)..uids.partition_point(|uid| *uid <= to)
                }
                false => {
                    (from as usize).saturating_sub(1).min(uids.len())..(to as usize).min(uids.len())
                }
            };
            places.extend(range);
        }
        places.sort_unstable();
        places.dedup();
        Some(places)
    }

    /// The messages that a command's first argument means and that are still there.
    pub fn chosen(&self, command: &Command) -> Option<Vec<(usize, Message)>> {
        let by_uid = command.name.starts_with("UID ");
        let places = self.places(&command.args.first()?.text(), by_uid)?;
        let selected = self.selected.as_ref()?;
        Some(self.with_mailbox(|mailbox| {
            let Some(folder) = mailbox.folder(&selected.name) else {
                return Vec::new();
            };
            places
                .into_iter()
                .filter_map(|place| {
                    let at = folder.find(selected.uids[place])?;
                    Some((place + 1, folder.messages[at].clone()))
                })
                .collect()
        }))
    }

    fn store_flags(&mut self, command: &Command) -> Outcome {
        let bad = Ok("BAD Command Argument Error. 12".into());
        let Some(chosen) = self.chosen(command) else {
            return bad;
        };
        let Some(selected) = self.selected.as_ref() else {
            return bad;
        };
        if selected.read_only {
            return Ok("NO STORE failed. The folder is read-only.".into());
        }
        let (Some(action), Some(flags)) = (command.args.get(1), command.args.get(2)) else {
            return bad;
        };
        let action = action.upper();
        let flags: Vec<String> = match flags {
            Arg::List(flags) => flags.iter().map(Arg::text).collect(),
            flag => vec![flag.text()],
        };
        // Exchange keeps its own flags and silently forgets every other keyword.
        let flags: Vec<&str> = FLAGS
            .into_iter()
            .filter(|own| flags.iter().any(|flag| flag.eq_ignore_ascii_case(own)))
            .collect();
        let mut lines = Vec::new();
        self.with_mailbox(|mailbox| {
            let folder = mailbox.existing(&selected.name);
            for (number, message) in &chosen {
                let Some(at) = folder.find(message.uid) else {
                    continue;
                };
                let own = &mut folder.messages[at].flags;
                if !action.starts_with('+') {
                    let keep = action.starts_with('-');
                    own.retain(|flag| keep && !flags.contains(&flag.as_str()));
                }
                if !action.starts_with('-') {
                    let fresh = flags.iter().filter(|flag| !own.iter().any(|o| o == *flag));
                    let fresh: Vec<String> = fresh.map(|flag| flag.to_string()).collect();
                    own.extend(fresh);
                }
                if !action.ends_with(".SILENT") {
                    let (own, uid) = (own.join(" "), message.uid);
                    lines.push(format!("* {number} FETCH (FLAGS ({own}) UID {uid})"));
                }
            }
        });
        for line in lines {
            self.say(&line)?;
        }
        done("STORE")
    }

    fn copy(&mut self, command: &Command, is_move: bool) -> Outcome {
        let name = command.name.trim_start_matches("UID ").to_string();
        let (Some(chosen), Some(target)) = (self.chosen(command), command.args.get(1)) else {
            return Ok("BAD Command Argument Error. 12".into());
        };
        let Some(selected) = &self.selected else {
            return Ok("BAD Command received in Invalid state.".into());
        };
        let target = from_utf7(&target.text());
        let copied = self.with_mailbox(|mailbox| {
            let target = mailbox.folder(&target)?;
            let validity = target.uidvalidity;
            let fresh: Vec<u32> = chosen
                .iter()
                .map(|(_, m)| target.add(m.bytes.clone(), m.flags.clone(), m.received))
                .collect();
            if is_move {
                let gone = chosen.iter().map(|(_, m)| m.uid).collect();
                mailbox.existing(&selected.name).remove(&gone);
            }
            Some((validity, fresh))
        });
        let Some((validity, fresh)) = copied else {
            return Ok(format!("NO [TRYCREATE] {target} doesn't exist."));
        };
        let list = |uids: Vec<String>| uids.join(",");
        let old = list(chosen.iter().map(|(_, m)| m.uid.to_string()).collect());
        let new = list(fresh.iter().map(u32::to_string).collect());
        // With nothing copied Exchange sends the code with empty sets.
        let code = format!("[COPYUID {validity} {old} {new}]");
        if is_move {
            self.say(&format!("* OK {code}"))?;
            return done(&name);
        }
        Ok(format!("OK {code} {name} completed."))
    }

    fn expunge(&mut self, command: &Command) -> Outcome {
        let Some(selected) = self.selected.as_ref().filter(|s| !s.read_only) else {
            return Ok("NO EXPUNGE failed. The folder is read-only.".into());
        };
        let only: Option<HashSet<u32>> = match command.name.starts_with("UID ") {
            false => None,
            true => match self.chosen(command) {
                None => return Ok("BAD Command Argument Error. 12".into()),
                Some(chosen) => Some(chosen.iter().map(|(_, m)| m.uid).collect()),
            },
        };
        self.with_mailbox(|mailbox| {
            let folder = mailbox.existing(&selected.name);
            let doomed = folder
                .messages
                .iter()
                .filter(|m| m.has("\\Deleted"))
                .map(|m| m.uid)
                .filter(|uid| only.as_ref().is_none_or(|only| only.contains(uid)))
                .collect();
            folder.remove(&doomed);
        });
        done("EXPUNGE")
    }

    fn close(&mut self) -> Outcome {
        if let Some(selected) = self.selected.take()
            && !selected.read_only
        {
            self.with_mailbox(|mailbox| {
                let folder = mailbox.existing(&selected.name);
                let doomed = folder.messages.iter().filter(|m| m.has("\\Deleted"));
                let doomed = doomed.map(|m| m.uid).collect();
                folder.remove(&doomed);
            });
        }
        done("CLOSE")
    }

    pub fn append(&mut self, name: &str, command: &Command) -> Outcome {
        let Some(Arg::Text(bytes)) = command.args.last() else {
            return Ok("BAD Command Argument Error. 12".into());
        };
        let mut flags = Vec::new();
        if let Some(Arg::List(given)) = command.args.get(1) {
            flags = given.iter().map(Arg::text).collect();
        }
        let added = self.with_mailbox(|mailbox| {
            let folder = mailbox.folder(name)?;
            let uid = folder.add(bytes.clone().into(), flags, now());
            Some((folder.uidvalidity, uid))
        });
        self.news(true)?;
        match added {
            Some((validity, uid)) => {
                Ok(format!("OK [APPENDUID {validity} {uid}] APPEND completed."))
            }
            None => Ok(format!("NO [TRYCREATE] {name} doesn't exist.")),
        }
    }
}
