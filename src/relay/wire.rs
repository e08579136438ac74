//! A session on two descriptors, each wait with an end (RFC 5321 §4.5.3.2).

use super::session::{Desk, Next, Refusal, Session, say};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::net::{Shutdown, shutdown, sockopt};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// For the next octets of the client: RFC 5321 §4.5.3.2.7.
const IDLE: Duration = Duration::from_secs(300);
/// For all of a session, so that octets that trickle hold no place for ever.
const SESSION: Duration = Duration::from_secs(3600);
/// For the client to take a reply.
const TAKING: Duration = Duration::from_secs(60);
/// For a client that was sent away to hear it.
const LEAVING: Duration = Duration::from_secs(2);
/// Octets that are read at once.
const PIECE: usize = 64 << 10;
/// Octets that are written at once: what a pipe that is ready takes without a wait (POSIX).
const REPLY: usize = 512;

/// Serves a session to its end. A client that is gone, or silent for too long, ends it too; what
/// was promised until then is kept.
pub fn serve(from: BorrowedFd<'_>, to: BorrowedFd<'_>, session: &mut Session, desk: &mut dyn Desk) {
    // Of a pipe or file there is no such time.
    let _ = sockopt::set_socket_timeout(to, sockopt::Timeout::Send, Some(TAKING));
    let end = Instant::now() + SESSION;
    let mut out = Vec::new();
    session.greet(&mut out);
    let mut piece = vec![0; PIECE];
    let mut next = Next::Read;
    loop {
        if give(to, &out).is_err() || next == Next::Close {
            break;
        }
        out.clear();
        let left = end.saturating_duration_since(Instant::now()).min(IDLE);
        match next_octets(from, left, &mut piece) {
            Ok(Some(0)) | Err(_) => return,
            Ok(Some(n)) => next = session.take(&piece[..n], desk, &mut out),
            Ok(None) => {
                session.refuse(
                    &Refusal::new(421, "4.4.2", "timeout: the client was idle for too long"),
                    &mut out,
                );
                next = Next::Close;
            }
        }
    }
    leave(from, to, &mut piece);
}

/// Refuses a client instead of a greeting.
pub fn turn_away(from: BorrowedFd<'_>, to: BorrowedFd<'_>, refusal: &Refusal) {
    let mut out = Vec::new();
    say(&mut out, refusal.code, refusal.status, &refusal.text);
    if give(to, &out).is_ok() {
        leave(from, to, &mut vec![0; PIECE]);
    }
}

/// Lets the client hear the last reply: a socket that is closed with octets unread forgets what was
/// written to it.
fn leave(from: BorrowedFd<'_>, to: BorrowedFd<'_>, piece: &mut [u8]) {
    if shutdown(to, Shutdown::Write).is_err() {
        return;
    }
    let end = Instant::now() + LEAVING;
    while let left = end.saturating_duration_since(Instant::now())
        && !left.is_zero()
        && matches!(next_octets(from, left, piece), Ok(Some(1..)))
    {}
}

/// The octets that come next; `None` if none came in this time, 0 at their end.
fn next_octets(
    from: BorrowedFd<'_>,
    time: Duration,
    piece: &mut [u8],
) -> Result<Option<usize>, Errno> {
    loop {
        if !ready(from, PollFlags::IN, time)? {
            return Ok(None);
        }
        match read(from, &mut *piece) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            read => return read.map(Some),
        }
    }
}

/// Writes a reply.
fn give(to: BorrowedFd<'_>, mut octets: &[u8]) -> Result<(), Errno> {
    while !octets.is_empty() {
        if !ready(to, PollFlags::OUT, TAKING)? {
            return Err(Errno::TIMEDOUT);
        }
        match write(to, &octets[..octets.len().min(REPLY)]) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            written => octets = &octets[written?..],
        }
    }
    Ok(())
}

fn ready(fd: BorrowedFd<'_>, what: PollFlags, time: Duration) -> Result<bool, Errno> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut fds = [PollFd::from_borrowed_fd(fd, what)];
        match poll(&mut fds, Some(&left)) {
            Err(Errno::INTR) => {}
            count => return Ok(count? > 0),
        }
    }
}
