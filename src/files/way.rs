//! The way to what is written: no stranger's link leads it elsewhere.
//!
//! Whoever may change a folder can put a link in it at any time, and what is then written on a path
//! through that folder lands where the link leads, with the rights of whoever writes. So a link is
//! followed only where root or this user made it. Root goes further, for it may write
//! everywhere: it passes only through folders that nobody else can change, as sshd(8) has it for
//! its files. Mail that root delivers into a user's folder is thus delivered as that user, as
//! local(8) of Postfix and dovecot-lda do, or not at all.

use super::cannot;
use crate::fault::Fault;
use crate::shell;
use anyhow::Result;
use rustix::process::geteuid;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// So many links are followed on one path, as Linux has it.
const LINKS: usize = 40;

/// Errors after which there is no way on.
const NOWHERE: [ErrorKind; 3] = [
    ErrorKind::NotFound,
    ErrorKind::NotADirectory,
    ErrorKind::PermissionDenied,
];

/// What a path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Folder,
    /// A folder of the program, whose owner and permissions the caller checks: only links are
    /// looked at on the way.
    OwnFolder,
    /// A file that is opened without following links and looked at before it is written. So its
    /// folder may also be changed by a group, as the system's folder of mailboxes is.
    File,
}

/// Where a path leads, its links resolved; what is not there yet, or may not be looked at, comes as
/// it was written.
///
/// # Errors
/// `CannotWrite` where another user's link is on the way, and for root, where another user can
/// change a folder of it.
pub fn real_path(path: &Path, end: End) -> Result<PathBuf> {
    let me = geteuid().as_raw();
    let mut left = parts(&std::path::absolute(path).map_err(|e| cannot("use", path, &e))?);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    // A group can change the working folder.
    let mut shared = false;
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(part);
        let about = match next.symlink_metadata() {
            // Nothing leads on from here; whoever writes there will be told why.
            Err(e) if NOWHERE.contains(&e.kind()) => {
                at = next;
                at.extend(left.into_iter().rev());
                break;
            }
            about => about.map_err(|e| cannot("use", &next, &e))?,
        };
        if about.is_symlink() {
            if shared || ![0, me].contains(&about.uid()) {
                return Err(strange_link(&next, about.uid()).into());
            }
            links += 1;
            let to = match links > LINKS {
                true => Err(Error::from(rustix::io::Errno::LOOP)),
                false => next.read_link(),
            };
            let to = to.map_err(|e| cannot("use", &next, &e))?;
            if to.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(parts(&to));
            continue;
        }
        if me == 0 && end != End::OwnFolder && about.is_dir() {
            shared = others_can_change(&about, 0o020);
            let holds_the_file = end == End::File && left.len() == 1;
            check_folder(&next, &about, shared && !holds_the_file)?;
        }
        at = next;
    }
    Ok(at)
}

/// The names in a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

/// Whether these others can put something else in the place of what is in a folder: not where only
/// owners may remove, as in `/tmp`, nor is root's own group another.
fn others_can_change(folder: &Metadata, who: u32) -> bool {
    let mode = folder.permissions().mode();
    mode & who != 0 && mode & 0o1000 == 0 && (who != 0o020 || folder.gid() != 0)
}

/// Refuses root a folder that another user can change.
fn check_folder(folder: &Path, about: &Metadata, by_group: bool) -> Result<()> {
    let name = folder.display();
    let refusal = |what: String| {
        Fault::cannot_write(format!("root does not write below `{name}`, which {what}"))
    };
    let owner = about.uid();
    if owner != 0 {
        return Err(refusal(format!("belongs to another user (uid {owner})"))
            .hint(super::owner_hint(0, owner, folder))
            .into());
    }
    let who = if others_can_change(about, 0o002) {
        "every user"
    } else if by_group {
        "a group"
    } else {
        return Ok(());
    };
    Err(refusal(format!("{who} can change"))
        .hint(format!(
            "use another folder, run as another user, or: chmod go-w {}",
            shell::quote(folder)
        ))
        .into())
}

fn strange_link(link: &Path, owner: u32) -> Fault {
    Fault::cannot_write(format!(
        "`{}` is a link of another user (uid {owner}), which is not followed",
        link.display()
    ))
    .hint(format!(
        "use the file or folder itself; to see where the link leads: namei -l {}",
        shell::quote(link)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, lchown, symlink};

    fn real(path: PathBuf) -> Result<PathBuf> {
        real_path(&path, End::Folder)
    }

    #[test]
    fn ones_own_links_are_followed_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("there/deep")).unwrap();
        symlink("there/deep", base.join("here")).unwrap();
        symlink(base.join("here/.."), base.join("up")).unwrap();
        symlink("circle", base.join("circle")).unwrap();
        symlink("nowhere", base.join("dangling")).unwrap();
        let leads = |name: &str| real(base.join(name)).unwrap();
        assert_eq!(leads("here/new/x"), base.join("there/deep/new/x"));
        assert_eq!(leads("up"), base.join("there"));
        assert_eq!(leads("dangling"), base.join("nowhere"));
        assert!(real(base.join("circle/x")).is_err());
    }

    #[test]
    fn a_strangers_link_is_not_followed_nor_is_root_led_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("home/there")).unwrap();
        symlink("home/there", base.join("link")).unwrap();
        assert!(real(base.join("link")).is_ok());
        if lchown(base.join("link"), Some(65534), None).is_err() {
            return; // We are not root.
        }
        assert!(real(base.join("link/x")).is_err());
        chown(base.join("home"), Some(65534), None).unwrap();
        assert!(real(base.join("home/there")).is_err());
        assert!(real(base.join("home/not/yet")).is_err());
    }

    #[test]
    fn root_shares_no_folder_with_a_group_but_that_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&base, mode).unwrap();
        };
        symlink("box", base.join("link")).unwrap();
        if chown(&base, None, Some(65534)).is_err() {
            return; // We are not root.
        }
        mode(0o775);
        assert!(real(base.join("new")).is_err());
        assert!(real_path(&base.join("box"), End::File).is_ok());
        assert!(real_path(&base.join("link"), End::File).is_err());
        mode(0o1777);
        assert!(real(base.join("new")).is_ok());
        mode(0o777);
        assert!(real_path(&base.join("box"), End::File).is_err());
    }
}
