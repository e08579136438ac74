//! Walks everything, several at a time, and reads the walks together: what one of them shows can
//! be the cause of what failed in another.

use super::Walk;
use super::connection;
use super::report::{Heard, Line};
use super::subject::Subject;
use crate::fault::{Cause, Fault, Kind};
use crate::fetch::mailbox_key;
use crate::mail::imap;
use crate::means::Means;
use crate::office::{MailboxEntry, Office};
use crate::reach::{Mailboxes, Transports};
use crate::state::Store;
use crate::tokens::Access;
use crate::workers;
use crate::workers::locked;
use anyhow::Result;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are walked at a time. Exchange limits what one mailbox takes, not one app.
const AT_A_TIME: usize = 8;

/// A walk and what it was of.
pub struct Checked {
    /// What kind of thing was walked, for people.
    pub kind: &'static str,
    pub title: String,
    pub queue: Option<String>,
    /// The mailbox, or the server's name.
    pub name: String,
    pub walk: Walk,
    /// What was said on the wire, if somebody listened.
    pub heard: Vec<Line>,
}

/// What the walks share.
pub(super) struct Run<'a> {
    pub means: &'a Means,
    pub office: &'a Office<'a>,
    pub store: &'a Store,
    /// For tokens of people, whose password is not tried without need.
    pub access: Access<'a>,
    /// For tokens that are newer than this run: a permission may have been granted since.
    pub fresh: Access<'a>,
    pub mailboxes: Mailboxes<'a>,
    pub transports: Transports<'a>,
    heard: Option<Arc<Heard>>,
}

/// Walks everything, in the order of the subjects; the store of tokens first, where there is one.
/// With `heard`, which observes in the place of the one in `means`, what was said on the wire is
/// kept.
///
/// # Errors
/// The state's. What a walk finds is in the walk.
pub fn walk_all(
    means: &Means,
    office: &Office<'_>,
    store: &Store,
    subjects: &[Subject<'_>],
    heard: Option<Arc<Heard>>,
) -> Result<Vec<Checked>> {
    let means = &match &heard {
        Some(heard) => Means {
            observer: Arc::<Heard>::clone(heard),
            ..means.clone()
        },
        None => means.clone(),
    };
    let run = Run {
        means,
        office,
        store,
        access: Access::new(means, office, store),
        fresh: Access::new(means, office, store).fresh(true),
        mailboxes: Mailboxes::new(means, office, store),
        transports: Transports::new(means, office, store),
        heard,
    };
    let mut checked: Vec<Checked> = run.shared_state()?.into_iter().collect();
    checked.extend(run.token_store());
    checked.extend(run.all(subjects));
    refine_sign_ins(&mut checked);
    refine_outage(&mut checked, store)?;
    Ok(checked)
}

impl Run<'_> {
    /// A store of tokens outside of the state takes, gives back and erases an entry.
    fn token_store(&self) -> Option<Checked> {
        self.office.token_store()?;
        let mut walk = Walk::default();
        walk.step("store", || {
            let place = self.access.probe_store()?.unwrap_or_default();
            Ok(((), format!("{place} can be read, written and erased")))
        });
        Some(Checked {
            kind: "token store",
            title: "token store".to_owned(),
            queue: None,
            name: "token_store".to_owned(),
            walk,
            heard: Vec::new(),
        })
    }

    /// Walks all, several at a time; the results are in the order of the subjects.
    fn all(&self, subjects: &[Subject<'_>]) -> Vec<Checked> {
        let done = Mutex::new(Vec::new());
        let workers = subjects.len().min(AT_A_TIME);
        workers::share(workers, subjects.iter().enumerate(), |subjects| {
            for (index, subject) in subjects {
                let checked = self.one(subject);
                locked(&done).push((index, checked));
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, checked)| checked).collect()
    }

    /// Reading, delivery and, for a sender, sending.
    fn mailbox(&self, entry: &MailboxEntry<'_>) -> Walk {
        let mut walk = Walk::default();
        self.reading(&mut walk, entry);
        walk.step("delivery", || Ok(((), self.delivery(entry)?)));
        if entry.address.sender {
            // What `scene` knows of reading must not answer for sending.
            let reading = std::mem::take(&mut walk.scene);
            self.sending(&mut walk, entry);
            let same = walk.scene.mailbox() == reading.mailbox();
            walk.scene = reading;
            if same && walk.has_passed("smtp sign-in") {
                blame_imap(&mut walk);
            }
        }
        walk
    }

    fn one(&self, subject: &Subject<'_>) -> Checked {
        if let Some(heard) = &self.heard {
            heard.begin();
        }
        let walk = match subject {
            Subject::Mailbox(entry) => self.mailbox(entry),
            Subject::Incoming(server) => self.incoming(server),
            Subject::Outgoing(server) => self.outgoing(server),
            Subject::Boundary(boundary) => self.boundary(boundary),
        };
        Checked {
            kind: subject.kind(),
            title: subject.title(),
            queue: subject.queue(),
            name: subject.name(),
            walk,
            heard: self
                .heard
                .as_ref()
                .map(|heard| heard.end())
                .unwrap_or_default(),
        }
    }
}

/// An app that is let into some mailboxes and refused at others is known to Exchange: there the
/// cause is the mailbox.
fn refine_sign_ins(checked: &mut [Checked]) {
    let welcome: Vec<Option<String>> = checked
        .iter()
        .filter(|c| c.walk.has_passed("sign-in"))
        .map(|c| c.walk.scene.client_id.clone())
        .collect();
    for one in checked {
        if !welcome.contains(&one.walk.scene.client_id) {
            continue;
        }
        if one.walk.cause_at("sign-in") == Some(Cause::ImapRefusesApp) {
            let though = "though it lets the app into other mailboxes";
            one.walk.blame("sign-in", Cause::ImapRefusesAppHere, though);
        }
    }
}

/// When no mailbox opens of several that did before, it is rarely their rights.
fn refine_outage(checked: &mut [Checked], store: &Store) -> Result<()> {
    let mut mailboxes: Vec<&mut Checked> =
        checked.iter_mut().filter(|c| c.queue.is_some()).collect();
    if mailboxes.len() < 2 {
        return Ok(());
    }
    let is_down = |one: &mut Checked| {
        let failed = one.walk.failed_at("mailbox");
        failed.is_some_and(|err| imap::is_not_connected(err))
    };
    if !mailboxes.iter_mut().all(|one| is_down(one)) {
        return Ok(());
    }
    let keys: Vec<String> = mailboxes.iter().map(|one| mailbox_key(&one.name)).collect();
    let health = store.health_of(keys.iter().map(String::as_str))?;
    let worked = |key: &String| health.get(key).is_some_and(|h| h.last_success.is_some());
    if !keys.iter().all(worked) {
        return Ok(());
    }
    for one in mailboxes {
        let though = "though mail was fetched from all of them before";
        one.walk.blame("mailbox", Cause::AllMailboxesClosed, though);
        let failed = one.walk.failed_at("mailbox");
        if let Some(fault) = failed.and_then(|err| err.downcast_mut::<Fault>()) {
            fault.kind = Kind::TryLater;
        }
    }
    Ok(())
}

/// Exchange knows an app or person that SMTP lets in, so that a refusal by IMAP has another cause.
/// Of the right to the mailbox SMTP's sign-in says nothing: it is asked for at the first message.
fn blame_imap(walk: &mut Walk) {
    if walk
        .failed_at("sign-in")
        .is_some_and(|err| connection::is_refusal(err))
    {
        let though = "though SMTP lets the same account in";
        walk.blame("sign-in", Cause::OnlyImapRefuses, though);
    }
}
