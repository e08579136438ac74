//! macOS and the BSDs. The compiler reads this file for macOS and FreeBSD; nobody has run it yet
//! (docs/tested.md).

use super::Connected;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// See [`super`]. On macOS it does, says its fsync(2); Rust's own `sync_all` goes further.
pub const FSYNC_STOPS_SHORT: bool = cfg!(target_vendor = "apple");

/// The filesystem is a disk of this machine (`MNT_LOCAL` in `sys/mount.h` of macOS and FreeBSD).
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
const LOCAL: u64 = 0x1000;

/// See [`super`].
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
pub fn other_machine(path: &Path) -> Option<String> {
    let about = rustix::fs::statfs(path).ok()?;
    // The flags and the letters are of another type on each system.
    #[allow(clippy::unnecessary_cast)]
    let (is_local, name) = (
        about.f_flags as u64 & LOCAL != 0,
        about.f_fstypename.map(|letter| letter as u8),
    );
    let name = name.split(|octet| *octet == 0).next().unwrap_or_default();
    (!is_local).then(|| String::from_utf8_lossy(name).into_owned())
}

/// See [`super`]. Elsewhere nobody has looked yet how that is asked.
#[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
pub fn other_machine(_: &Path) -> Option<String> {
    None
}

/// See [`super`].
pub fn hide_memory() {
    #[cfg(target_os = "freebsd")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(None, DumpableBehavior::NotDumpable);
    }
}

/// See [`super`]. What is not a file on a disk of macOS may know fsync(2) alone.
pub fn sync_content(file: impl AsFd) -> rustix::io::Result<()> {
    #[cfg(target_vendor = "apple")]
    if rustix::fs::fcntl_fullfsync(&file).is_ok() {
        return Ok(());
    }
    rustix::fs::fsync(file)
}

/// See [`super`].
pub fn sync_filesystem(_: &File) -> Option<io::Result<()>> {
    None
}

/// See [`super`]. getpeereid(3) is not called yet: who connected is not known, and not served.
pub fn connected(_: impl AsFd) -> rustix::io::Result<Option<Connected>> {
    Err(rustix::io::Errno::OPNOTSUPP)
}
