//! What an opened mailbox permits: nothing is marked, moved or deleted to find it out.

use super::{Walk, reword};
use crate::fault::{Kind, kind_of};
use crate::mail::{Folder, Mailbox, refuse_to_move_back};
use crate::model::AfterFetch;
use crate::wording::messages;
use anyhow::Result;

/// The steps of a mailbox, in order.
pub const STEPS: [&str; 3] = ["mailbox", "folders", "rights"];

/// Walks them: the mailbox opens, its folders are there, and their rights do for `after`. What is
/// to be said of the messages that wait in a folder, `waiting` says by its name.
pub fn walk(
    walk: &mut Walk,
    mailbox: &mut dyn Mailbox,
    folders: &[&str],
    after: &AfterFetch,
    waiting: &dyn Fn(&str) -> Result<String>,
) {
    let opened = walk.step("mailbox", || {
        let inbox = mailbox.open("INBOX", false)?;
        Ok(((), format!("INBOX contains {}", count(&inbox))))
    });
    if opened.is_none() {
        return;
    }
    let there = walk.step("folders", || {
        let mut found = Vec::new();
        for folder in folders {
            let opened = mailbox.open(folder, false)?;
            let waiting = match opened.exists {
                0 => String::new(),
                _ => waiting(folder)?,
            };
            found.push(format!("{folder} ({}{waiting})", count(&opened)));
        }
        Ok(((), found.join(", ")))
    });
    if there.is_none() {
        // Which folders there are is known to the error alone.
        if let Some(err) = walk.failed_at("folders") {
            reword(err, |fault| match fault.hints.first() {
                Some(hint) => format!("{} ({hint})", fault.what),
                None => fault.what.clone(),
            });
        }
        return;
    }
    walk.step("rights", || Ok(((), rights(mailbox, folders, after)?)));
}

fn rights(mailbox: &mut dyn Mailbox, folders: &[&str], after: &AfterFetch) -> Result<String> {
    if *after == AfterFetch::Keep {
        return Ok("none are needed: after_fetch is keep".to_owned());
    }
    for folder in folders {
        mailbox.open(folder, true)?;
        mailbox.may_settle(after)?;
    }
    refuse_to_move_back(mailbox, folders, after, false)?;
    let AfterFetch::Move(target) = after else {
        return Ok(format!("to {}", what(after)));
    };
    Ok(match mailbox.open(target, false) {
        Err(err) if kind_of(&err) == Kind::Config => {
            format!("to move to {target}, which the first fetch will create")
        }
        Err(err) if kind_of(&err) == Kind::TryLater => return Err(err),
        // A folder that may not be read may still be moved to.
        _ => format!("to move to {target}"),
    })
}

fn what(after: &AfterFetch) -> &'static str {
    match after {
        AfterFetch::Keep => "leave",
        AfterFetch::Seen => "mark as read",
        AfterFetch::Delete => "delete",
        AfterFetch::Move(_) => "move",
    }
}

fn count(folder: &Folder) -> String {
    messages(folder.exists.into())
}
