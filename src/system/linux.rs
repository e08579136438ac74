//! Linux.

use super::Connected;
use rustix::net::SocketAddrUnix;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Filesystems of other machines, by the number that statfs(2) has for them (Linux's `magic.h`, and
/// the sources of those that are not in it).
const BY_NUMBER: [(u32, &str); 13] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

/// The number of all filesystems that are programs (FUSE); what they are is in the table of mounts.
const FUSE: u32 = 0x6573_5546;

/// The same, by the type of a FUSE mount after `fuse.`.
const BY_NAME: [&str; 13] = [
    "beegfs",
    "ceph",
    "cephfs",
    "davfs",
    "davfs2",
    "gcsfuse",
    "glusterfs",
    "juicefs",
    "mfs",
    "rclone",
    "s3fs",
    "smbnetfs",
    "sshfs",
];

/// See [`super`].
pub const FSYNC_STOPS_SHORT: bool = false;

/// See [`super`].
pub fn other_machine(path: &Path) -> Option<String> {
    // The number is of another width on each machine.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)]
    let number = rustix::fs::statfs(path).ok()?.f_type as u32;
    if number != FUSE {
        return by_number(number).map(str::to_owned);
    }
    let real = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    by_name(&mounts, &real)
}

fn by_number(number: u32) -> Option<&'static str> {
    let known = BY_NUMBER.iter().find(|(known, _)| *known == number);
    known.map(|(_, name)| *name)
}

/// The kind of a path's mount, by the table of mounts (proc_pid_mountinfo(5)): the fifth field of a
/// line is where it is mounted, the first after ` - ` its type. The last mount on a place counts.
fn by_name(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let at = place.split(' ').nth(4)?.replace("\\040", " ");
        let kind = kind.split(' ').next()?.to_owned();
        path.starts_with(&at).then_some((at.len(), kind))
    };
    let (_, kind) = mounts.lines().filter_map(mount).max_by_key(|(n, _)| *n)?;
    let program = kind.strip_prefix("fuse.")?;
    BY_NAME.contains(&program).then_some(kind)
}

/// See [`super`].
pub fn hide_memory() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// See [`super`].
pub fn sync_content(file: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fdatasync(file)
}

/// See [`super`].
pub fn sync_filesystem(folder: &File) -> Option<io::Result<()>> {
    Some(rustix::fs::syncfs(folder).map_err(io::Error::from))
}

/// See [`super`].
pub fn connected(socket: impl AsFd) -> rustix::io::Result<Option<Connected>> {
    // Who connects comes to a socket with a name, if only an abstract one.
    let own = SocketAddrUnix::try_from(rustix::net::getsockname(&socket)?)?;
    let is_empty = |name: Option<&[u8]>| name.is_none_or(<[u8]>::is_empty);
    if is_empty(own.path_bytes()) && is_empty(own.abstract_name()) {
        return Ok(None);
    }
    let who = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Some(Connected {
        uid: who.uid.as_raw(),
        gid: who.gid.as_raw(),
        pid: who.pid.as_raw_nonzero().get(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_other_machines_are_told() {
        assert_eq!(by_number(0x6969), Some("NFS"));
        assert_eq!(by_number(0xef53), None, "ext4");
        assert_eq!(by_number(0x0102_1994), None, "tmpfs");
        let mounts = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:33 / /home/a\\040b rw shared:9 - fuse.sshfs a@b:/ rw
41 22 0:34 / /home/a\\040b/local rw - fuse.fuse-overlayfs x rw
42 22 0:35 / /mnt rw - fuse.glusterfs x rw
43 22 0:36 / /mnt rw - fuse.mergerfs x rw
";
        let kind = |path: &str| by_name(mounts, Path::new(path));
        assert_eq!(kind("/home/a b/state").as_deref(), Some("fuse.sshfs"));
        assert_eq!(kind("/home/a b/local/x"), None);
        assert_eq!(kind("/home/a"), None);
        assert_eq!(kind("/mnt/x"), None, "one mount hides another");
    }
}
