//! Who else may reach a file.

use crate::shell;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Where container platforms put secrets.
const MOUNTS: [&str; 3] = ["/run/secrets", "/var/run/secrets", "/run/credentials"];

/// Who can change a file or folder of this user or of root, beside the two: "every user" or "a
/// group". A group with this user's number is, by convention, this user's alone.
pub fn who_else_can_change(about: &Metadata) -> Option<&'static str> {
    let (mode, group) = (about.permissions().mode(), about.gid());
    if mode & 0o002 != 0 {
        return Some("every user");
    }
    let own = rustix::process::geteuid().as_raw();
    (mode & 0o020 != 0 && ![0, own].contains(&group)).then_some("a group")
}

/// What to do where others can change a file or folder. What is made to be shared, as /tmp or a
/// device, stays so: everybody's programs need it.
pub fn narrow_hint(about: &Metadata, path: &Path) -> String {
    let is_shared = about.permissions().mode() & 0o1000 != 0;
    match about.is_file() || (about.is_dir() && !is_shared) {
        true => format!("chmod go-w {}", shell::quote(path)),
        false => "name another one, which only this user can change".to_owned(),
    }
}

/// What to do about a file of another user. Root does not take a service's file from it.
pub fn owner_hint(me: u32, owner: u32, path: &Path) -> String {
    match me {
        0 => format!("run as its owner: sudo -u '#{owner}' queuemail …"),
        _ => format!("if it is yours: sudo chown {me} {}", shell::quote(path)),
    }
}

/// True for what container platforms and systemd mount for this user alone.
pub fn is_mounted(path: &Path) -> bool {
    MOUNTS.iter().any(|mount| path.starts_with(mount))
}

/// The permissions that the file of a private key or other secret may not have. Root's own files
/// may be shared with a group, for services that do not run as root.
pub fn forbidden(of_root: bool, mounted: bool) -> u32 {
    match (of_root, mounted) {
        (true, true) => 0o022,
        (true, false) => 0o027,
        (false, _) => 0o077,
    }
}
