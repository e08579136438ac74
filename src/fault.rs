//! What went wrong, in the form that decides what the caller does next.
//!
//! A [`Fault`] sits at the root of an `anyhow` chain when somebody decides on it: the exit
//! code, a retry, the remedy printed. The contexts above it say what was being done. What
//! *queuemail* says and what the *server* said never mix: the server's words are kept verbatim in
//! [`Fault::server_said`] and escaped only where they are printed.
//!
//! anyhow carries a fault up and the contexts with it. It decides nothing: kinds and causes are
//! this module's, and `diagnosis` prints them, not its `Debug`.

mod cause;

pub use cause::Cause;

use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One kind for each reaction of the caller (sysexits.h), in ascending order of how bad it is:
/// of several faults the greatest gives the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 75: the same call may succeed later (network, 4xx, throttling, a lock that is held).
    TryLater,
    /// 64: the command line is wrong.
    Usage,
    /// 65: a message is malformed.
    Malformed,
    /// 67: a recipient or mailbox is unknown.
    UnknownRecipient,
    /// 69: refused for good, or the service is not there.
    Refused,
    /// 73: the destination cannot be written.
    CannotWrite,
    /// 77: sign-in or permission; a person must act.
    SignIn,
    /// 78: the configuration is wrong.
    Config,
    /// 76: nobody knows whether it happened; it must not be repeated blindly.
    OutcomeUnknown,
    /// 70: a bug of the program.
    Bug,
}

impl Kind {
    /// The exit code of sysexits.h (76 is its `EX_PROTOCOL`, given a meaning of the program).
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Malformed => 65,
            Kind::UnknownRecipient => 67,
            Kind::Refused => 69,
            Kind::Bug => 70,
            Kind::CannotWrite => 73,
            Kind::TryLater => 75,
            Kind::OutcomeUnknown => 76,
            Kind::SignIn => 77,
            Kind::Config => 78,
        }
    }
}

/// How far a failure reaches; what it does not reach goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One message: the others of the folder go on.
    Message,
    /// One folder, or a right in it: the mailbox's other folders go on.
    Folder,
    /// The mailbox, or what stands above it: the app, the tenant, the host, the line.
    Mailbox,
}

/// A failure that somebody decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// Why, where somebody decides by it or explains it.
    pub cause: Option<Cause>,
    /// What it is about. (Boxed, since faults travel inside of results.)
    pub about: Option<Box<About>>,
    /// Where the one who failed knows it; see [`Fault::scope`].
    pub known_scope: Option<Scope>,
    /// What could not be done and why: a lower-case phrase in the user's names, no period. It is
    /// for people: nothing is decided by it.
    pub what: String,
    /// The server's words, verbatim and unescaped.
    pub server_said: Option<String>,
    /// How long a wait the server asked for.
    pub retry_after: Option<Duration>,
    /// What to do next, pasteable; `diagnosis` adds those that follow from `server_said`.
    pub hints: Vec<String>,
}

/// What a fault is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    peer: Option<Peer>,
    /// What the state knows an app, or a person's account in one, by.
    sign_in: Option<String>,
    place: Option<Place>,
}

/// A host that was spoken to, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub host: String,
    /// `None` where it is the one that is configured, or that of HTTPS.
    pub port: Option<u16>,
}

/// A place in a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it was named.
    pub file: PathBuf,
    /// From 1, columns in characters; `None` for the file as a whole.
    pub line_and_column: Option<(usize, usize)>,
}

impl Fault {
    pub fn new(kind: Kind, what: impl Into<String>) -> Fault {
        Fault {
            kind,
            cause: None,
            about: None,
            known_scope: None,
            what: what.into(),
            server_said: None,
            retry_after: None,
            hints: Vec::new(),
        }
    }

    pub fn usage(what: impl Into<String>) -> Fault {
        Fault::new(Kind::Usage, what)
    }

    pub fn config(what: impl Into<String>) -> Fault {
        Fault::new(Kind::Config, what)
    }

    pub fn try_later(what: impl Into<String>) -> Fault {
        Fault::new(Kind::TryLater, what)
    }

    pub fn malformed(what: impl Into<String>) -> Fault {
        Fault::new(Kind::Malformed, what)
    }

    pub fn refused(what: impl Into<String>) -> Fault {
        Fault::new(Kind::Refused, what)
    }

    pub fn cannot_write(what: impl Into<String>) -> Fault {
        Fault::new(Kind::CannotWrite, what)
    }

    /// Of [`Kind::SignIn`].
    pub fn no_access(what: impl Into<String>) -> Fault {
        Fault::new(Kind::SignIn, what)
    }

    pub fn bug(what: impl Into<String>) -> Fault {
        Fault::new(Kind::Bug, what)
    }

    /// Says why.
    pub fn cause(mut self, cause: Cause) -> Fault {
        self.cause = Some(cause);
        self
    }

    /// Says which host it is about.
    pub fn at(mut self, host: &str, port: Option<u16>) -> Fault {
        let host = host.to_owned();
        self.about.get_or_insert_default().peer = Some(Peer { host, port });
        self
    }

    /// The place in a file that it is about.
    pub fn place(&self) -> Option<&Place> {
        self.about.as_ref()?.place.as_ref()
    }

    /// Says where in a file it is.
    pub fn in_file(mut self, file: &Path, line_and_column: Option<(usize, usize)>) -> Fault {
        self.about.get_or_insert_default().place = Some(Place {
            file: file.to_owned(),
            line_and_column,
        });
        self
    }

    /// The host that it is about.
    pub fn peer(&self) -> Option<&Peer> {
        self.about.as_ref()?.peer.as_ref()
    }

    /// Says whose sign-in failed, by what the state knows an app, or a person's account in one, by.
    pub fn set_sign_in(&mut self, subject: String) {
        self.about.get_or_insert_default().sign_in = Some(subject);
    }

    /// Whose sign-in failed.
    pub fn sign_in(&self) -> Option<&str> {
        self.about.as_ref()?.sign_in.as_deref()
    }

    /// Says how far it reaches.
    pub fn of(mut self, scope: Scope) -> Fault {
        self.known_scope = Some(scope);
        self
    }

    /// How far it reaches. Where nobody knows better, what a person or the configuration has to
    /// mend is taken to be of one folder, and the line is everybody's.
    pub fn scope(&self) -> Scope {
        self.known_scope.unwrap_or(match self.kind {
            Kind::Config | Kind::Refused | Kind::SignIn => Scope::Folder,
            _ => Scope::Mailbox,
        })
    }

    /// Keeps what the server said.
    pub fn said(mut self, text: impl Into<String>) -> Fault {
        self.server_said = Some(text.into());
        self
    }

    /// Says what to do; nothing else helps where the system gives no more.
    pub fn hint(mut self, text: impl Into<String>) -> Fault {
        if self.cause != Some(Cause::Shortage) {
            self.hints.push(text.into());
        }
        self
    }

    /// Of what failed by this error of the system: where it ran out of something that comes back,
    /// such as open files, nothing is wrong with what was wanted, and the same call may succeed
    /// later.
    pub fn by_system(self, err: &io::Error) -> Fault {
        match is_shortage(err) {
            true => self.of_shortage(),
            false => self,
        }
    }

    /// The same of what failed in a library that does not say why: whether the system opens one
    /// more file is tried.
    pub fn by_library(self) -> Fault {
        match no_file_left() {
            true => self.of_shortage(),
            false => self,
        }
    }

    /// What else was said of it, as of a host that was not reached, is beside the point.
    fn of_shortage(mut self) -> Fault {
        self.kind = Kind::TryLater;
        self.cause = Some(Cause::Shortage);
        self.known_scope = Some(Scope::Mailbox);
        self.hints.clear();
        self
    }

    pub fn retry_after(mut self, wait: Option<Duration>) -> Fault {
        self.retry_after = wait;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Fault {}

/// True where the system ran out of something that comes back: open files, processes, memory.
pub fn is_shortage(err: &io::Error) -> bool {
    let shortage = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::AGAIN,
    ];
    Errno::from_io_error(err).is_some_and(|e| shortage.contains(&e))
}

/// True where the system opens no more files for this process.
pub fn no_file_left() -> bool {
    File::open("/").is_err_and(|err| is_shortage(&err))
}

/// What a person does about a file or folder that cannot be written.
pub fn remedy(err: &io::Error) -> &'static str {
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run the same command again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let the user who runs queuemail write there and run the same command again"
        }
        io::ErrorKind::FileTooLarge => {
            "a file may not become so large: raise the limit (ulimit -f; in systemd LimitFSIZE=) and run the same command again"
        }
        _ => "correct the destination and run the same command again",
    }
}

/// The errors of a command that goes on with its other work after the first. Never empty.
#[derive(Debug)]
pub struct Errors(Vec<anyhow::Error>);

impl Errors {
    /// `Ok` where there are none.
    pub fn none_or(errors: Vec<anyhow::Error>) -> Result<(), Errors> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Errors(errors))
        }
    }

    /// True if one of them is a monitor's state.
    pub fn is_of_plugin(&self) -> bool {
        self.0.iter().any(|err| err.is::<Plugin>())
    }

    /// The errors of two works.
    pub fn both(one: Result<(), Errors>, other: Result<(), Errors>) -> Result<(), Errors> {
        let all = [one, other].into_iter().filter_map(Result::err);
        Errors::none_or(all.flat_map(|errors| errors.0).collect())
    }

    /// At least one.
    pub fn several(
        first: anyhow::Error,
        others: impl IntoIterator<Item = anyhow::Error>,
    ) -> Errors {
        let mut errors = vec![first];
        errors.extend(others);
        Errors(errors)
    }

    pub fn iter(&self) -> impl Iterator<Item = &anyhow::Error> {
        self.0.iter()
    }

    /// The mildest first, so that the last one printed gives the exit code.
    pub fn sorted(mut self) -> Vec<anyhow::Error> {
        self.0.sort_by_key(kind_of);
        self.0
    }
}

impl<E: Into<anyhow::Error>> From<E> for Errors {
    fn from(err: E) -> Errors {
        Errors(vec![err.into()])
    }
}

/// An error whose words are a part of the result already: it only gives the exit code.
#[derive(Clone, Copy, Debug)]
pub struct Told(pub Kind);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0.exit_code())
    }
}

impl std::error::Error for Told {}

/// A state in the sense of the Monitoring Plugins' guidelines, which give it its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    Ok,
    Warning,
    Critical,
    /// The state cannot be told.
    Unknown,
}

impl Plugin {
    pub fn name(self) -> &'static str {
        match self {
            Plugin::Ok => "OK",
            Plugin::Warning => "WARNING",
            Plugin::Critical => "CRITICAL",
            Plugin::Unknown => "UNKNOWN",
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            Plugin::Ok => 0,
            Plugin::Warning => 1,
            Plugin::Critical => 2,
            Plugin::Unknown => 3,
        }
    }

    /// Ends the run with its exit code; its words are told already.
    pub fn end(self) -> Result<(), Errors> {
        match self {
            Plugin::Ok => Ok(()),
            _ => Err(anyhow::Error::from(self).into()),
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Plugin {}

/// Why any error arose, as far as its [`Fault`] or the system says so.
pub fn cause_of(err: &anyhow::Error) -> Option<Cause> {
    match err.downcast_ref::<Fault>() {
        Some(fault) => fault.cause,
        None => lacks_something(err).then_some(Cause::Shortage),
    }
}

/// True where the system ran out of something, and nobody has said so.
fn lacks_something(err: &anyhow::Error) -> bool {
    err.chain()
        .any(|cause| cause.downcast_ref().is_some_and(is_shortage))
}

/// The kind of any error: that of its [`Fault`], else a bug of the program.
pub fn kind_of(err: &anyhow::Error) -> Kind {
    if let Some(fault) = err.downcast_ref::<Fault>() {
        return fault.kind;
    }
    if let Some(Told(kind)) = err.downcast_ref() {
        return *kind;
    }
    match lacks_something(err) {
        true => Kind::TryLater,
        false => Kind::Bug,
    }
}

/// Who and where: a context for an error that lets `diagnosis` fill in real names and ids.
///
/// Attach it with `.context(scene)`; its text becomes the `error:` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// What could not be done, for example "cannot get a token for server `contoso`".
    pub doing: String,
    pub queue: Option<String>,
    /// The queue's address.
    pub address: Option<String>,
    /// The mailbox that is opened or that submits, where it is not that of `address`.
    pub mailbox: Option<String>,
    /// The person who signs in; `None` where the app signs in as itself.
    pub account: Option<String>,
    /// The address in From of a message that is sent.
    pub from: Option<String>,
    /// The configured server's name, incoming or outgoing.
    pub server: Option<String>,
    /// It is an outgoing one, which has a tenant and no login address.
    pub is_outgoing: bool,
    /// The server whose entry holds the app's ID and credential, where it is another.
    pub app_server: Option<String>,
    pub tenant: Option<String>,
    pub client_id: Option<String>,
    /// The object ID of the app's enterprise application (its service principal).
    pub object_id: Option<String>,
    /// The login host, where it is one of Microsoft's.
    pub login_host: Option<String>,
    /// The remote machine that was spoken to.
    pub host: Option<String>,
    pub port: Option<String>,
    /// Where the mail protocol is spoken, as it is configured: `imaps://HOST:PORT`.
    pub endpoint: Option<String>,
    /// How the app proves itself.
    pub proof: Option<Proof>,
    /// `imap`, `smtp`, `pop` or `graph`.
    pub protocol: Option<String>,
    /// The account that signs in, and its password, are the server's own and not the address's.
    pub is_server_account: bool,
    /// What `token login` is given to sign the account in, as a shell takes it, where that is not
    /// the address alone.
    pub login: Option<String>,
}

/// How an app proves itself to the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret,
    Certificate,
    /// A token of another identity provider, or of the machine that the app runs on.
    Federated,
}

impl Scene {
    /// The mailbox that is opened or that submits.
    pub fn mailbox(&self) -> Option<&str> {
        self.mailbox.as_deref().or(self.address.as_deref())
    }

    pub fn new(doing: impl Into<String>) -> Scene {
        Scene {
            doing: doing.into(),
            ..Scene::default()
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)
    }
}
