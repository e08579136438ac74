//! The mailboxes of the tenant: folders, messages, and who may open or send as whom.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::now;

/// A message as the store keeps it; cloning is cheap.
#[derive(Clone)]
pub struct Message {
    pub uid: u32,
    /// Graph's immutable id: the same in every folder of the mailbox.
    pub id: String,
    pub flags: Vec<String>,
    pub bytes: Arc<Vec<u8>>,
    /// Seconds since 1970.
    pub received: i64,
}

impl Message {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own.eq_ignore_ascii_case(flag))
    }

    /// Exchange estimates the size and is wrong as a rule; so is this, but for nothing.
    pub fn estimated_size(&self) -> usize {
        if self.bytes.is_empty() {
            return 0;
        }
        self.bytes.len() + self.bytes.len() / 7 + 311
    }
}

/// A message as a test sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    pub uid: u32,
    pub flags: Vec<String>,
    pub bytes: Vec<u8>,
    pub received: i64,
}

/// What a backup of a folder holds.
pub struct Backup {
    pub uidnext: u32,
    pub messages: Vec<Message>,
}

pub struct Folder {
    pub name: String,
    /// The attribute that LIST shows although SPECIAL-USE is not advertised.
    pub attribute: Option<&'static str>,
    pub uidvalidity: u32,
    pub uidnext: u32,
    /// In ascending order of UIDs.
    pub messages: Vec<Message>,
    /// Grows with each change, so that sessions notice quickly.
    pub version: u64,
}

impl Folder {
    fn new(name: &str, attribute: Option<&'static str>, uidvalidity: u32) -> Folder {
        Folder {
            name: name.into(),
            attribute,
            uidvalidity,
            uidnext: 1,
            messages: Vec::new(),
            version: 0,
        }
    }

    pub fn add(&mut self, bytes: Arc<Vec<u8>>, flags: Vec<String>, received: i64) -> u32 {
        static NUMBER: AtomicU64 = AtomicU64::new(0x00de_ad00);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Not in order of arrival, as Exchange's are not.
        let id = format!(
            "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{:016x}AAA=",
            number.reverse_bits()
        );
        self.add_as(id, bytes, flags, received)
    }

    /// Adds a message that has an id already: one that was moved.
    pub fn add_as(
        &mut self,
        id: String,
        bytes: Arc<Vec<u8>>,
        flags: Vec<String>,
        received: i64,
    ) -> u32 {
        let uid = self.uidnext;
        self.uidnext += 1;
        self.version += 1;
        self.messages.push(Message {
            uid,
            id,
            flags,
            bytes,
            received,
        });
        uid
    }

    pub fn find(&self, uid: u32) -> Option<usize> {
        self.messages
            .binary_search_by_key(&uid, |message| message.uid)
            .ok()
    }

    /// Removes these messages; gives the ones that were there.
    pub fn remove(&mut self, uids: &HashSet<u32>) -> Vec<Message> {
        let (gone, left) = std::mem::take(&mut self.messages)
            .into_iter()
            .partition(|message: &Message| uids.contains(&message.uid));
        self.messages = left;
        self.version += 1;
        gone
    }

    pub fn has_flag(&self, flag: &str) -> usize {
        self.messages.iter().filter(|m| m.has(flag)).count()
    }
}

pub struct Mailbox {
    pub address: String,
    pub folders: Vec<Folder>,
    /// Apps (client IDs) and users (addresses) with FullAccess, in lower case.
    pub full_access: HashSet<String>,
    /// Addresses that may be sent as from this mailbox.
    pub send_as: HashSet<String>,
    /// `Set-CASMailbox -ImapEnabled`.
    pub imap_enabled: bool,
    /// `Set-CASMailbox -SmtpClientAuthenticationDisabled`.
    pub smtp_disabled: bool,
    /// Sessions signed in by SMTP just now.
    pub senders: u32,
}

impl Mailbox {
    fn new(address: &str, uidvalidity: u32) -> Mailbox {
        let folders = [
            ("INBOX", None),
            ("Archive", Some("\\Archive")),
            ("Deleted Items", Some("\\Trash")),
            ("Drafts", Some("\\Drafts")),
            ("Junk Email", Some("\\Junk")),
            ("Sent Items", Some("\\Sent")),
        ];
        Mailbox {
            address: address.to_string(),
            folders: (uidvalidity..)
                .zip(folders)
                .map(|(validity, (name, attribute))| Folder::new(name, attribute, validity))
                .collect(),
            full_access: HashSet::new(),
            send_as: HashSet::new(),
            imap_enabled: true,
            smtp_disabled: false,
            senders: 0,
        }
    }

    /// Finds a folder; INBOX in any letter case, the others as Exchange does, too.
    pub fn folder(&mut self, name: &str) -> Option<&mut Folder> {
        let name = name.to_lowercase();
        self.folders
            .iter_mut()
            .find(|folder| folder.name.to_lowercase() == name)
    }

    /// Finds a folder that is there.
    pub fn existing(&mut self, name: &str) -> &mut Folder {
        let address = self.address.clone();
        self.folder(name)
            .unwrap_or_else(|| panic!("{address} has no folder {name:?}"))
    }

    pub fn create(&mut self, name: &str) -> bool {
        if name.is_empty() || self.folder(name).is_some() {
            return false;
        }
        let highest = self.folders.iter().map(|f| f.uidvalidity).max();
        self.folders
            .push(Folder::new(name, None, highest.unwrap_or(0) + 1));
        true
    }
}

#[derive(Default)]
pub struct Store {
    /// By address in lower case.
    boxes: BTreeMap<String, Mailbox>,
}

impl Store {
    pub fn add(&mut self, address: &str) {
        let validity = 1000 + 10 * self.boxes.len() as u32;
        self.boxes
            .entry(address.to_ascii_lowercase())
            .or_insert_with(|| Mailbox::new(address, validity));
    }

    pub fn get(&mut self, address: &str) -> Option<&mut Mailbox> {
        self.boxes.get_mut(&address.to_ascii_lowercase())
    }

    /// Finds a mailbox that is there.
    pub fn existing(&mut self, address: &str) -> &mut Mailbox {
        self.get(address)
            .unwrap_or_else(|| panic!("there is no mailbox {address}"))
    }

    /// Puts a message in a folder.
    pub fn deliver(&mut self, address: &str, folder: &str, bytes: &[u8], flags: &[&str]) -> u32 {
        let flags = flags.iter().map(|flag| flag.to_string()).collect();
        self.existing(address)
            .existing(folder)
            .add(Arc::new(bytes.to_vec()), flags, now())
    }
}
