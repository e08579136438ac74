//! The database of a state that hosts share: what of it would show only when a host or the server is
//! lost.

use super::Walk;
use super::run::{Checked, Run};
use crate::delivery;
use crate::fault::{Cause, Fault};
use crate::model::Target;
use crate::state::Checkup;
use crate::wording::span;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A clock that is further from the database's is told of, in seconds.
const SKEW: i64 = 5;

/// What is walked, for people.
const STATE: &str = "state";

impl Run<'_> {
    /// The state, where it is in a database.
    pub fn shared_state(&self) -> Result<Option<Checked>> {
        if !self.store.is_shared() {
            return Ok(None);
        }
        let mut walk = Walk::default();
        let began = Instant::now();
        let checkup = self.store.checkup();
        let took = began.elapsed();
        match checkup {
            Ok(None) => {}
            Err(err) => walk.failed("database", err, took),
            Ok(Some(checkup)) => {
                database(&mut walk, &checkup, took);
                self.key(&mut walk);
                self.places(&mut walk);
            }
        }
        Ok(Some(of_state(walk)))
    }

    /// What encrypts the tokens in it.
    fn key(&self, walk: &mut Walk) {
        if self.office.token_store().is_some() {
            return walk.passed("tokens", "kept outside of the database", Duration::ZERO);
        }
        if !self.store.keeps_secrets() {
            let fault = Fault::config("tokens are not kept: each run signs in again, and nobody can sign in by hand")
                .hint("make a key (openssl rand -base64 32), and set it on all hosts: `key: {file: FILE}` below `state`");
            return walk.untested("tokens", fault);
        }
        walk.step("tokens", || {
            self.store.check_key()?;
            Ok(((), "encrypted with the key of this host".to_owned()))
        });
    }

    /// Folders that all hosts deliver to.
    fn places(&self, walk: &mut Walk) {
        let targets = self.office.mailboxes().filter_map(|entry| entry.deliver());
        let fixed = |target: &Target| delivery::fixed_part(target);
        let folders: BTreeSet<PathBuf> = targets.filter_map(fixed).collect();
        if folders.is_empty() {
            return;
        }
        walk.step("shared folders", || {
            let mut known = 0;
            for folder in &folders {
                known += usize::from(self.store.is_known_place(folder)?);
            }
            let detail = match folders.len() - known {
                0 => format!("{known}, the same as on the other hosts"),
                new => format!("{known} as on the other hosts, {new} without a delivery so far"),
            };
            Ok(((), detail))
        });
    }
}

/// A walk of a state in a database.
pub fn of_state(walk: Walk) -> Checked {
    Checked {
        kind: STATE,
        title: STATE.to_owned(),
        queue: None,
        name: STATE.to_owned(),
        walk,
        heard: Vec::new(),
    }
}

fn database(walk: &mut Walk, checkup: &Checkup, took: Duration) {
    let encrypted = match checkup.door.is_encrypted {
        true => "TLS, certificate checked",
        false => "on this machine, without TLS",
    };
    let database = format!(
        "PostgreSQL {} at {} ({encrypted}), tables of version {}",
        checkup.server_version, checkup.door.host, checkup.version
    );
    walk.passed("database", database, took);
    role(walk, checkup);
    clock(walk, checkup.ahead);
    let pooler = match checkup.is_pooled {
        true => "yes: it must be in transaction or session mode",
        false => "none",
    };
    walk.passed("pooler", pooler, Duration::ZERO);
    commits(walk, checkup);
    standbys(walk, checkup);
}

fn role(walk: &mut Walk, checkup: &Checkup) {
    let role = &checkup.role;
    if checkup.is_superuser {
        let fault = Fault::try_later(format!("`{role}` is a superuser of the database server"))
            .cause(Cause::RoleIsSuperuser);
        return walk.warned("role", fault, Duration::ZERO);
    }
    walk.passed("role", format!("`{role}`, no superuser"), Duration::ZERO);
}

fn clock(walk: &mut Walk, ahead: i64) {
    if ahead.abs() <= SKEW {
        return walk.passed("clock", "as the clock of the database", Duration::ZERO);
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let fault = Fault::try_later(format!(
        "the clock of this host is {} {way} the clock of the database",
        span(ahead.abs())
    ))
    .cause(Cause::ClockDiffers);
    walk.warned("clock", fault, Duration::ZERO);
}

/// Whether what the server has said is done survives its crash.
fn commits(walk: &mut Walk, checkup: &Checkup) {
    let mode = &checkup.synchronous_commit;
    if mode == "off" {
        let fault =
            Fault::try_later("the database commits in memory (`synchronous_commit` is off)")
                .cause(Cause::CommitsNotDurable);
        return walk.warned("commits", fault, Duration::ZERO);
    }
    let detail = format!("durable (synchronous_commit = {mode})");
    walk.passed("commits", detail, Duration::ZERO);
}

/// Whether it survives the loss of the server.
fn standbys(walk: &mut Walk, checkup: &Checkup) {
    let names = &checkup.synchronous_standbys;
    let count = match checkup.standbys {
        1 => "1 standby".to_owned(),
        n => format!("{n} standbys"),
    };
    if names.is_empty() && checkup.standbys > 0 {
        let what = format!(
            "{count}, none synchronous: a failover can lose what was done last, and messages are delivered again"
        );
        let fault = Fault::try_later(what)
            .hint("if that must not happen: set synchronous_standby_names on the server; docs/fleet.md says what it costs");
        return walk.untested("standbys", fault);
    }
    if !names.is_empty() && checkup.synchronous_commit == "local" {
        let what = "the database does not wait for its synchronous standby (`synchronous_commit` is local)";
        let fault = Fault::try_later(what).cause(Cause::CommitsNotOnStandby);
        return walk.warned("standbys", fault, Duration::ZERO);
    }
    let detail = match names.is_empty() {
        true => "none: after the loss of the server, restore a backup".to_owned(),
        false => format!("{count}, synchronous: {names}"),
    };
    walk.passed("standbys", detail, Duration::ZERO);
}
