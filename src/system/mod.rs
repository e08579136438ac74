//! What one operating system does otherwise than another; all other files know POSIX alone.
//!
//! - `other_machine(path)`: the kind of filesystem that a path is on, where another machine has it
//! - `hide_memory()`: keeps other processes of the same user from reading this one's memory, where
//!   the system can
//! - `sync_content(file)`: makes the content of a file durable, and of its metadata what that needs
//! - `sync_filesystem(folder)`: makes all that a folder's filesystem has to write durable; `None`
//!   where the system cannot do so and wait for it
//! - `connected(socket)`: the process that connected to a Unix socket, as the kernel saw it then;
//!   `None` for one of a pair, to which nobody connected
//! - `FSYNC_STOPS_SHORT`: fsync(2) leaves what it writes in the disk's own memory

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{
    FSYNC_STOPS_SHORT, connected, hide_memory, other_machine, sync_content, sync_filesystem,
};

#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(not(target_os = "linux"))]
pub use bsd::{
    FSYNC_STOPS_SHORT, connected, hide_memory, other_machine, sync_content, sync_filesystem,
};

/// A process that connected to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    pub uid: u32,
    pub gid: u32,
    pub pid: i32,
}
