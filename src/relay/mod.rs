//! The relay: mail by SMTP from the programs and users of this machine, into the outbox.
//!
//! One process serves one session (RFC 5321) on a pair of descriptors and ends, started by
//! systemd for each connection, or by a program that calls `sendmail -bs`. Nothing listens here,
//! and nothing is sent: what is kept leaves with the next `outbox flush`.
//!
//! - `line`, `text`: a line of the client, and the text of a message, each to its end
//! - `command`: what a line means; `sign_in`: the dialogue that AUTH begins
//! - `session`: what follows from them. No I/O: octets in, replies out
//! - `desk`: what the session asks: who may send, to whom, how much; and the outbox
//! - `peer`: who is at the other end
//! - `passwords`: who may sign in
//! - `wire`: the descriptors, and the time that a client has
//! - `handover`: the other side: a message goes to the relay of this machine
//! - `owner`: root's mail is sent by the owner of the configuration

mod command;
mod desk;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod handover;
mod line;
mod owner;
mod passwords;
mod peer;
mod session;
mod sign_in;
mod text;
mod wire;

pub use handover::{Relay, hand_over, pass_on};
pub use owner::run_as_owner;

use crate::office::Office;
use crate::send::{Sending, machine};
use anyhow::Result;
use desk::{Bounds, Counter};
use passwords::Passwords;
use peer::Peer;
use session::{Access, Refusal, Session, Settings};
use std::os::fd::BorrowedFd;

/// Octets of a message at most, where no outgoing server says how many it takes: what Exchange
/// Online takes unless a tenant's administrator raises it.
const MESSAGE_SIZE: u32 = 35 << 20;

/// Serves the session of whoever is behind these descriptors, to its end. What was promised to
/// them is kept, whatever ends the session.
///
/// # Errors
/// The session could not begin, and the client was told to come later.
pub fn serve<'a>(sending: &'a Sending<'a>, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let relay = sending.office.relay();
    let begin = || {
        let peer = Peer::of(from)?;
        let (passwords, access) = match (&relay.password_file, &peer) {
            (None, _) => (Passwords::default(), Access::Open),
            (Some(file), Peer::Host(_)) => (Passwords::load(file)?, Access::MustSignIn),
            (Some(file), _) => (Passwords::load(file)?, Access::MaySignIn),
        };
        let counter = Counter::open(sending, &peer, Bounds::of(relay), passwords)?;
        anyhow::Ok((peer, access, counter))
    };
    let (peer, access, counter) = begin().inspect_err(|_| not_now(from, to))?;
    match counter {
        Err(refusal) => wire::turn_away(from, to, &refusal),
        Ok(mut counter) => {
            let mut session = Session::new(Settings {
                host: machine(),
                max_size: message_size(sending.office) as usize,
                access,
                scripted: peer == Peer::Ourselves,
            });
            wire::serve(from, to, &mut session, &mut counter);
        }
    }
    Ok(())
}

/// True where a program called this one, and nobody connected: such a caller may be led to the
/// relay, and a client of the relay never, who would come back here.
pub fn is_called(from: BorrowedFd<'_>) -> bool {
    matches!(Peer::of(from), Ok(Peer::Ourselves))
}

/// Tells a client to come later, for a reason that is not theirs.
pub fn not_now(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    let text = "the relay does not work now; see its log";
    wire::turn_away(from, to, &Refusal::new(421, "4.3.0", text));
}

/// What the most generous of the servers takes.
fn message_size(office: &Office<'_>) -> u32 {
    office
        .message_sizes()
        .map(|size| size.unwrap_or(MESSAGE_SIZE))
        .max()
        .unwrap_or(MESSAGE_SIZE)
        .min(200 << 20)
}
