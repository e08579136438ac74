//! What is known across the connections of one run: where they broke, and what is gone on without.

use super::intake::Names;
use crate::mail::RemoteId;
use std::collections::HashSet;

/// What the connections of one run have in common.
pub struct Pass {
    pub names: Names,
    /// The folders that this connection has come to.
    pub seen: Vec<String>,
    /// The delivery ids of messages that are fetched again since nobody knew what became of them:
    /// another host may still come to tell.
    pub restarted: HashSet<String>,
    /// The folders of which the skipped messages are fetched, too.
    pub included: Vec<String>,
    /// What is moved does not come to where it would be fetched again; that was made sure of.
    pub may_move: bool,
    /// The message that this connection broke over, as far as can be told: its folder and id.
    broke_over: Option<(String, RemoteId)>,
    /// The same of the connection before.
    before: Option<(String, RemoteId)>,
    /// Messages that two connections in a row broke over: the others are fetched without them.
    set_aside: Vec<(String, RemoteId)>,
    /// So many connections in a row got nowhere.
    fruitless: u32,
}

/// After so many connections in a row that broke and got nowhere, it is not a message: two that
/// lie side by side take four.
const FRUITLESS: u32 = 4;

impl Pass {
    /// `tag` and `claim`: see [`Names::new`].
    pub fn new(tag: &str, claim: Option<i64>) -> Pass {
        Pass {
            names: Names::new(tag, claim),
            seen: Vec::new(),
            restarted: HashSet::new(),
            included: Vec::new(),
            may_move: false,
            broke_over: None,
            before: None,
            set_aside: Vec::new(),
            fruitless: 0,
        }
    }

    /// Notes that the connection broke before this message of a folder came. Messages whose ids
    /// ascend come in order; of others nothing can be told.
    pub fn broke_over(&mut self, folder: &str, next: Option<&RemoteId>) {
        self.broke_over = next
            .filter(|id| id.ascends())
            .map(|id| (folder.to_owned(), id.clone()));
    }

    /// Whether this message of a folder is gone on without.
    pub fn is_set_aside(&self, folder: &str, id: &RemoteId) -> bool {
        self.set_aside.iter().any(|(f, i)| f == folder && i == id)
    }

    /// Whether another connection may get further than one that broke; `progress` says whether
    /// that one got anywhere. A message over which the server breaks off each time would keep all
    /// behind it back.
    pub fn goes_on(&mut self, progress: bool) -> bool {
        let broke_over = self.broke_over.take();
        let twice = broke_over.is_some() && broke_over == self.before;
        self.before.clone_from(&broke_over);
        self.fruitless = match progress {
            true => 0,
            false => self.fruitless + 1,
        };
        let may_go_on = progress || broke_over.is_some();
        if twice {
            self.set_aside.extend(broke_over);
        }
        may_go_on && self.fruitless <= FRUITLESS
    }
}
