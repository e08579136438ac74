//! Why a fault arose, as a value: behaviour and explanations follow from it and never from words.

/// Makes the enum with a list of its values and their names, so that none is forgotten.
macro_rules! causes {
    ($($(#[doc = $about:literal])+ $name:ident,)+) => {
        /// Why a [`Fault`](super::Fault) arose, where somebody decides by that or explains it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cause {
            $($(#[doc = $about])+ $name,)+
        }

        impl Cause {
            pub const ALL: &[Cause] = &[$(Cause::$name,)+];

            /// What the state keeps it by.
            pub fn name(self) -> &'static str {
                match self {
                    $(Cause::$name => stringify!($name),)+
                }
            }
        }
    };
}

causes! {
    // ---- the network
    /// The name servers do not know the host's name, or are not reached.
    HostNotFound,
    /// The host refuses the connection.
    ConnectionRefused,
    /// No connection to the host came about for another reason.
    CannotConnect,
    /// An HTTPS host, or the proxy before it, is not reached.
    CannotReach,
    /// The certificate has the names of another host.
    CertificateOfAnother,
    /// The certificate names its host in the subject (CN) alone.
    CertificateWithoutNames,
    /// The certificate has expired or is not valid yet.
    CertificateOutOfDate,
    /// The certificate is not trusted for another reason.
    CertificateNotTrusted,
    /// TLS did not come about.
    TlsFailed,
    /// The server speaks another protocol than IMAP.
    NotImap,
    /// The server does not take tokens.
    NoOauth,
    /// The server does not start TLS.
    NoStartTls,
    /// The host did not answer in time.
    NoAnswer,
    /// The host closed the connection, or the connection broke.
    ConnectionBroke,
    /// What came in the place of a token endpoint's answer cannot be used.
    AnswerUnusable,
    // ---- the state
    /// Another host may hold the lock by now.
    LeaseLost,
    /// The role that signs in to the database may do everything there.
    RoleIsSuperuser,
    /// The clocks of this host and of the database differ.
    ClockDiffers,
    /// The database says that something is done before it survives a crash.
    CommitsNotDurable,
    /// … before a synchronous standby has it.
    CommitsNotOnStandby,
    // ---- tokens
    /// The token is for another service.
    WrongAudience,
    /// The app's token lacks the role.
    RoleMissing,
    /// The managed identity's token lacks the role.
    IdentityRoleMissing,
    /// The person's token lacks the scope.
    ScopeMissing,
    /// The token is of another tenant.
    WrongTenant,
    /// The token is of another app.
    WrongApp,
    /// The token has ended by this machine's clock.
    TokenEnded,
    /// The account has not signed in yet.
    NotSignedIn,
    /// The server refuses the client's credential, or the client (RFC 6749 §5.2).
    ClientRefused,
    /// The server does not accept the refresh token any more.
    RefreshRefused,
    /// The server takes nothing for now, of this mailbox or at all, and names no time.
    ServerBusy,
    /// The server ends the session (RFC 5321 §3.8: 421).
    ServerLeaves,
    /// A server asked for a wait before, and that time has not passed.
    WaitHolds,
    // ---- the mailbox
    /// The token was good, and the mailbox could not be opened all the same.
    MailboxClosed,
    /// IMAP refuses an account that SMTP lets in.
    OnlyImapRefuses,
    /// IMAP refuses an app whose token is right.
    ImapRefusesApp,
    /// IMAP refuses an app that it lets into other mailboxes.
    ImapRefusesAppHere,
    /// IMAP refuses a person whose token is right.
    ImapRefusesPerson,
    /// None of several mailboxes opens that did before.
    AllMailboxesClosed,
    /// The folder is not there.
    NoFolder,
    /// The folder is read-only.
    ReadOnly,
    /// The folder does not keep a flag.
    FlagNotKept,
    /// SMTP refuses the sign-in and names no reason (Exchange: 5.7.3).
    SmtpRefuses,
    /// The same of an app whose token is right.
    SmtpRefusesApp,
    /// The same of a person whose token is right.
    SmtpRefusesPerson,
    /// Graph refuses to send as the address in From.
    SendAsDenied,
    /// Graph refuses the recipients.
    RecipientsRefused,
    /// Whether a mailbox may send as an address is not known before a message is sent.
    SendAsUntested,
    /// An app or account opens a mailbox that it must not open.
    MailboxOpen,
    // ---- this machine and the configuration
    /// The system gives no more open files, processes or memory for now.
    Shortage,
    /// A store of tokens has no room left for this user.
    StoreFull,
    /// A certificate or key is protected, and its passphrase is not given.
    NoPassphrase,
    /// A private key belongs to another certificate.
    KeyOfAnother,
    /// The configuration is another user's, closed to this one, or not there.
    ConfigNotOurs,
    /// The queue has no delivery.
    NoDelivery,
    // ---- what ends by itself
    /// A client secret ends soon, or has ended.
    SecretEnds,
    /// The same of the certificate of an app.
    CertificateEnds,
    /// The same of the certificate of a host.
    HostCertificateEnds,
}

impl Cause {
    /// True where the server takes nothing for now, and names no time.
    pub fn is_busy(self) -> bool {
        matches!(self, Cause::ServerBusy | Cause::ServerLeaves)
    }

    /// True where it is of the host alone: whoever speaks to that host meets it.
    pub fn is_of_host(self) -> bool {
        matches!(
            self,
            Cause::HostNotFound
                | Cause::ConnectionRefused
                | Cause::CannotConnect
                | Cause::CannotReach
                | Cause::CertificateOfAnother
                | Cause::CertificateWithoutNames
                | Cause::CertificateOutOfDate
                | Cause::CertificateNotTrusted
                | Cause::TlsFailed
                | Cause::NotImap
                | Cause::NoOauth
                | Cause::NoStartTls
                | Cause::NoAnswer
                | Cause::ConnectionBroke
        )
    }

    /// The cause of this name; `None` where a later version wrote it.
    pub fn named(name: &str) -> Option<Cause> {
        Cause::ALL.iter().copied().find(|own| own.name() == name)
    }
}
