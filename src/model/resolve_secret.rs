//! From the source of a secret to the secret: read again at each use, bounded, never echoed.
//!
//! Who may read a secret's file: this user owns it and nobody else may touch it (0600 or less), or
//! root owns it and shares it with a group (root:queuemail 0640). Container platforms mount secrets
//! that everybody in the container can read; below `/run/secrets`, `/var/run/secrets` and systemd's
//! `$CREDENTIALS_DIRECTORY` such a file of root is taken.

use super::secret_command::{NoSecret, run};
use super::secret_source::SecretSource;
use super::secret_text::{MAX_SECRET, text_of, without_line_end};
use crate::fault::{Fault, Kind};
use crate::files::{self, shown, why};
use crate::output::escape;
use crate::secret::Secret;
use crate::shell;
use anyhow::Result;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

impl SecretSource {
    /// The secret itself. `whose` completes "cannot get …", like "the secret of server `Contoso`".
    ///
    /// Errors name the source and the remedy, never content: 78 where the source is not right,
    /// 75 where a command says so (its own 75) or does not end.
    pub fn resolve(&self, whose: &str) -> Result<Secret> {
        let cannot = |fault: Fault| Fault {
            what: format!("cannot get {whose}: {}", fault.what),
            ..fault
        };
        let secret = match self {
            SecretSource::Plain(secret) => Ok(secret.clone()),
            SecretSource::File(path) => from_file(path, false),
            SecretSource::Env(name) => from_env(name),
            SecretSource::Command(words) => from_command(words),
            SecretSource::Keyring(name) => from_keyring(name),
            SecretSource::Credential(name) => from_credential(name),
        }
        .map_err(cannot)?;
        if secret.is_empty() {
            let what = match self {
                SecretSource::Command(_) => format!("the output of {} is empty", self.words()),
                _ => format!("{} is empty", self.words()),
            };
            return Err(cannot(Fault::config(what)).into());
        }
        Ok(secret)
    }

    /// The source in words, without content.
    pub fn words(&self) -> String {
        match self {
            SecretSource::Plain(_) => "the value in the configuration".to_owned(),
            SecretSource::File(path) => format!("file {}", shown(path)),
            SecretSource::Env(name) => format!("environment variable `{}`", escape(name)),
            SecretSource::Command(words) => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                format!("command `{}`", escape(program))
            }
            SecretSource::Keyring(name) => format!("keyring entry `{}`", escape(name)),
            SecretSource::Credential(name) => format!("systemd credential `{}`", escape(name)),
        }
    }
}

fn from_file(path: &Path, mounted: bool) -> Result<Secret, Fault> {
    let cannot = |e: std::io::Error| {
        let fault = Fault::config(format!("file {}: {}", shown(path), why(&e))).by_system(&e);
        match e.kind() {
            ErrorKind::NotFound => fault.hint(format!(
                "create it (run this, paste the secret, press Ctrl-D): install -m 600 /dev/stdin {}",
                shell::quote(path)
            )),
            _ => fault,
        }
    };
    let file = files::open_at_once(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Fault::config(format!(
            "{} is not a regular file",
            shown(path)
        )));
    }
    let me = rustix::process::geteuid().as_raw();
    let mode = metadata.permissions().mode() & 0o777;
    let of_root = metadata.uid() == 0;
    let mounted = mounted || files::is_mounted(path);
    if metadata.uid() != me && !of_root {
        return Err(Fault::config(format!(
            "file {} belongs to another user (uid {})",
            shown(path),
            metadata.uid()
        ))
        .hint(files::owner_hint(me, metadata.uid(), path)));
    }
    if mode & files::forbidden(of_root, mounted) != 0 {
        return Err(Fault::config(format!(
            "other users can reach file {} (mode {mode:04o})",
            shown(path)
        ))
        .hint(format!("chmod 600 {}", shell::quote(path))));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_SECRET + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    let text = text_of(&bytes).map_err(|why| {
        Fault::config(format!("file {} {why}", shown(path)))
            .hint("it must contain only the secret, on one line")
    })?;
    let line = without_line_end(text);
    if line.contains(['\n', '\r']) {
        return Err(
            Fault::config(format!("file {} has several lines", shown(path)))
                .hint("it must contain only the secret, on one line"),
        );
    }
    Ok(Secret::new(line))
}

fn from_env(name: &str) -> Result<Secret, Fault> {
    let fault = |why: &str| {
        Fault::config(format!("environment variable `{}` {why}", escape(name))).hint(
            "cron and systemd start with an almost empty environment: set it there, or keep the secret in a file (`--secret-file`)",
        )
    };
    match std::env::var(name) {
        Ok(text) => Ok(Secret::new(text)),
        Err(std::env::VarError::NotPresent) => Err(fault("is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(fault("is not UTF-8")),
    }
}

fn from_credential(name: &str) -> Result<Secret, Fault> {
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(Fault::config(format!(
            "`{}` is not the name of a systemd credential",
            escape(name)
        )));
    }
    match std::env::var_os("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) {
        Some(folder) => from_file(&Path::new(&folder).join(name), true),
        None => Err(Fault::config(
            "CREDENTIALS_DIRECTORY is not set, so systemd has passed no credentials",
        )
        .hint(format!(
            "systemd sets it for a unit with: LoadCredential={name}:/path/of/the/secret"
        ))),
    }
}

/// The entry of the desktop's keyring (Secret Service) or of the kernel's, asked for through
/// their own clients, which speak for every version of them.
fn from_keyring(name: &str) -> Result<Secret, Fault> {
    let label = format!("queuemail:{name}");
    let mut clients = Vec::new();
    if std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|a| !a.is_empty()) {
        clients.push(vec![
            "secret-tool",
            "lookup",
            "service",
            "queuemail",
            "name",
            name,
        ]);
    }
    let description = format!("%user:{label}");
    clients.push(vec!["keyctl", "pipe", &description]);
    let mut said = String::new();
    for words in &clients {
        match run(words) {
            Ok(secret) if !secret.is_empty() => return Ok(secret),
            Ok(_) | Err(NoSecret::NotThere) => {}
            Err(NoSecret::Ended(_, stderr)) => said = saying(&stderr),
            Err(NoSecret::Other(fault)) => return Err(fault),
        }
    }
    let quoted = shell::quote(name);
    Err(Fault::config(format!(
        "no keyring has an entry `{}`, or no keyring is available{said}",
        escape(name)
    ))
    .hint(format!(
        "for the keyring of the desktop (needs secret-tool): secret-tool store --label=queuemail service queuemail name {quoted}"
    ))
    .hint(format!(
        "for the keyring of the kernel (needs keyctl): keyctl padd user queuemail:{quoted} @u < FILE"
    ))
    .hint("on a server, usually use a file: `--secret-file FILE`, mode 0600"))
}

/// What a program said on standard error, as the end of a phrase.
fn saying(stderr: &str) -> String {
    match stderr.is_empty() {
        true => String::new(),
        false => format!("; it said: {}", escape(stderr)),
    }
}

fn from_command(words: &[String]) -> Result<Secret, Fault> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let program = escape(words.first().copied().unwrap_or_default());
    run(&words).map_err(|failure| match failure {
        NoSecret::NotThere => Fault::config(format!("command `{program}` does not exist"))
            .hint("use its full path: cron has a short PATH"),
        NoSecret::Ended(code, stderr) => {
            let kind = match code {
                Some(75) => Kind::TryLater,
                _ => Kind::Config,
            };
            let how = match code {
                Some(code) => format!("ended with exit code {code}"),
                None => "was killed".to_owned(),
            };
            Fault::new(
                kind,
                format!("command `{program}` {how}{}", saying(&stderr)),
            )
        }
        NoSecret::Other(fault) => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kind_of;
    use std::path::PathBuf;

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File(path))
    }

    fn command(script: &str) -> SecretSource {
        SecretSource::Command(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    /// The exit code and the text of the error.
    fn refusal(source: &SecretSource) -> (u8, String) {
        let err = source.resolve("the secret of server `x`").unwrap_err();
        let text = err.to_string();
        assert!(
            text.starts_with("cannot get the secret of server `x`: "),
            "{text}"
        );
        (kind_of(&err).exit_code(), text)
    }

    #[test]
    fn one_line_end_is_taken_off() {
        for (bytes, secret) in [
            (&b"s3cret"[..], "s3cret"),
            (b"s3cret\n", "s3cret"),
            (b"s3cret\r\n", "s3cret"),
            (b" s3cret ", " s3cret "),
            (b"\xef\xbb\xbfs3cret\n", "s3cret"),
        ] {
            let (_folder, source) = file(bytes, 0o600);
            assert_eq!(source.resolve("it").unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused_without_its_content() {
        for bytes in [
            &b""[..],
            b"\n",
            b"hunter2\n\n",
            b"hunter2\nx",
            b"hunter2\xff",
            b"hunter2\0",
        ] {
            let (_folder, source) = file(bytes, 0o600);
            let (code, text) = refusal(&source);
            assert_eq!(code, 78);
            assert!(!text.contains("hunter2"), "{text}");
        }
        let (_folder, source) = file(&vec![b'x'; 70_000], 0o600);
        assert!(refusal(&source).1.ends_with("is too long for a secret"));
    }

    #[test]
    fn a_file_that_others_can_reach_is_refused() {
        for mode in [0o604, 0o606, 0o622, 0o666, 0o777] {
            let (_folder, source) = file(b"hunter2", mode);
            let text = refusal(&source).1;
            assert!(text.contains("other users can reach"), "{mode:o}: {text}");
        }
        let (_folder, source) = file(b"hunter2", 0o400);
        source.resolve("it").unwrap();
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = SecretSource::File(PathBuf::from("/nowhere/secret"));
        assert!(
            refusal(&missing)
                .1
                .ends_with("file /nowhere/secret: no such file or directory")
        );
        let unset = SecretSource::Env("QUEUEMAIL_NOT_SET_ANYWHERE".to_owned());
        assert!(
            refusal(&unset)
                .1
                .ends_with("`QUEUEMAIL_NOT_SET_ANYWHERE` is not set")
        );
        let folder = SecretSource::File(PathBuf::from("/"));
        assert!(refusal(&folder).1.ends_with("/ is not a regular file"));
        for name in ["", "..", "a/b", "../../etc/passwd"] {
            let credential = SecretSource::Credential(name.to_owned());
            assert!(
                refusal(&credential)
                    .1
                    .ends_with("is not the name of a systemd credential")
            );
        }
        let program = SecretSource::Command(vec!["/nowhere/pass".to_owned()]);
        assert!(
            refusal(&program)
                .1
                .ends_with("command `/nowhere/pass` does not exist")
        );
        let keyring = SecretSource::Keyring("nobody's".to_owned());
        assert_eq!(refusal(&keyring).0, 78);
    }

    #[test]
    fn a_command_gives_its_first_line() {
        let secret = command("echo 's3 cret'; echo user: x")
            .resolve("it")
            .unwrap();
        assert_eq!(secret.expose(), "s3 cret");
        // What is written beyond the limit does not block it.
        let long = command("echo s3cret; head -c 1000000 /dev/zero | tr '\\0' x");
        assert!(refusal(&long).1.ends_with("is too long for a secret"));
    }

    #[test]
    fn a_failing_command_is_told_with_its_words_and_without_its_output() {
        let (code, text) = refusal(&command(
            "echo hunter2; echo 'vault is \u{1b}[1mlocked' >&2; exit 3",
        ));
        assert_eq!(code, 78);
        assert!(
            text.contains("ended with exit code 3; it said: vault is \\u{1b}[1mlocked"),
            "{text}"
        );
        assert!(!text.contains("hunter2"));
        assert_eq!(refusal(&command("exit 75")).0, 75);
        assert_eq!(
            refusal(&command("exit 0")).1,
            "cannot get the secret of server `x`: the output of command `sh` is empty"
        );
    }
}
