//! IMAP sign-in: XOAUTH2 in one step or two, and Exchange's way of saying no.

use std::io;
use std::sync::atomic::Ordering::SeqCst;

use super::faults::use_up;
use super::imap::{Outcome, Session, done};
use super::imap_read::Command;
use super::tokens;

impl Session<'_> {
    pub fn authenticate(&mut self, command: &Command) -> Outcome {
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
        self.response = String::from_utf8_lossy(&response).into_owned();
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
        let mut store = self.world.store();
        let mailbox = store.get(&user).ok_or(format!("no mailbox {user}"))?;
        let may_open = mailbox.imap_enabled && tokens::may_open(&claims, mailbox);
        // Without a right on the mailbox the sign-in itself succeeds; the next command tells.
        if may_open && !use_up(&self.world.faults.imap_not_connected) {
            self.mailbox = Some(mailbox.address.to_ascii_lowercase());
        }
        self.claims = Some(claims);
        Ok(())
    }
}
