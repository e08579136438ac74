//! What we find ourselves, before or beside a server's words: the network, the token's claims,
//! the rights in a mailbox, files. A fault's cause finds the entry. The texts, parts of our faults'
//! words, are for who looks an entry up (`explain`, the manual).

use super::entry::{Entry, Who, own};
use crate::fault::Cause;

const PERMISSIONS_PAGE: &str = "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/{client_id}";
const RIGHT: &str =
    "Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess";

pub static TEXTS: &[Entry] = &[
    // ---- the network
    own(
        Cause::HostNotFound,
        &["cannot find host", "failed to lookup address"],
        "the name servers do not know the name, or cannot be reached",
        Who::Network,
        &["getent hosts {host}"],
    ),
    own(
        Cause::ConnectionRefused,
        &["cannot connect to…connection refused"],
        "no program listens on that port",
        Who::Network,
        &["nc -vz {host} {port}"],
    ),
    own(
        Cause::CannotConnect,
        &[
            "cannot connect to…timed out",
            "cannot connect to…unreachable",
            "cannot connect to…no route",
            "cannot connect to",
        ],
        "usually a firewall drops the packets",
        Who::Network,
        &["nc -vz {host} {port}"],
    ),
    own(
        Cause::CannotReach,
        &["cannot reach"],
        "usually a firewall drops the packets, or a proxy is needed",
        Who::Network,
        &["curl -v https://{host}/", "set the proxy in HTTPS_PROXY"],
    ),
    own(
        Cause::CertificateOfAnother,
        &[
            "is not trusted…hostname mismatch",
            "is not trusted…IP address mismatch",
        ],
        "the certificate belongs to another host: the host name is wrong, or a proxy answers instead",
        Who::Network,
        &["openssl s_client -connect {host}:{port} -showcerts"],
    ),
    own(
        Cause::CertificateWithoutNames,
        &["is not trusted…no subjectAltName"],
        "the certificate has the host's name only in its subject (CN), which clients must ignore",
        Who::Network,
        &["reissue the certificate of {host} with the extension subjectAltName=DNS:{host}"],
    ),
    own(
        Cause::CertificateOutOfDate,
        &["is not trusted…expired", "is not trusted…not yet valid"],
        "the certificate has expired or is not valid yet, or the clock of this machine is wrong",
        Who::Network,
        &["timedatectl status"],
    ),
    own(
        Cause::CertificateNotTrusted,
        &["is not trusted"],
        "usually a proxy inspects TLS, or the certificate comes from a private authority",
        Who::Network,
        &["queuemail server set {server} --ca-file PEM, with the authority's certificate in PEM"],
    ),
    own(
        Cause::TlsFailed,
        &["TLS with…failed", "did not finish the TLS handshake"],
        "usually the wrong port or TLS mode: imaps:// and smtps:// start with TLS, imap:// and smtp:// use STARTTLS",
        Who::You,
        &["queuemail server set {server} {other_tls}"],
    ),
    own(
        Cause::NotImap,
        &["speaks POP, not IMAP", "does not speak IMAP"],
        "the port belongs to another protocol",
        Who::You,
        &[
            "queuemail server set {server} {usual_imap}",
            "or use Exchange Online: `queuemail server set {server} --imap ''`",
        ],
    ),
    own(
        Cause::NoOauth,
        &[
            "offers neither XOAUTH2",
            "does not offer to sign in with OAuth",
        ],
        "the host does not accept tokens, so it is not Exchange Online",
        Who::You,
        &["queuemail server show {server}"],
    ),
    own(
        Cause::NoStartTls,
        &["refuses STARTTLS", "does not offer STARTTLS"],
        "the port is not for submission, or a device on the network hides STARTTLS",
        Who::Network,
        &[
            "openssl s_client -starttls {protocol} -connect {host}:{port}",
            "if the port starts with TLS: `queuemail server set {server} {other_tls}`",
        ],
    ),
    own(
        Cause::NoAnswer,
        &[
            "did not send its greeting in time",
            "did not answer in time",
            "did not answer within",
        ],
        "the host is overloaded, or a firewall keeps the connection open",
        Who::Network,
        &["nc -v {host} {port}"],
    ),
    own(
        Cause::ConnectionBroke,
        &["closed the connection", "the connection to…broke"],
        "the host restarted, or a device on the network closed the connection",
        Who::Nobody,
        &["try again later"],
    ),
    own(
        Cause::AnswerUnusable,
        &["answer cannot be used", "is not from a token endpoint"],
        "usually a proxy answered with its own page",
        Who::Network,
        &["NO_PROXY={host} queuemail check {address}, to bypass a proxy"],
    ),
    // ---- the token's claims
    own(
        Cause::WrongAudience,
        &["the audience is"],
        "the token is for another service",
        Who::You,
        &["queuemail server set {server} --scope ''"],
    ),
    own(
        Cause::RoleMissing,
        &["lacks the role"],
        "the application permission is missing, or nobody has consented to it",
        Who::Entra,
        &[
            PERMISSIONS_PAGE,
            "add the permission there (for IMAP and SMTP: \"APIs my organization uses\", Office 365 Exchange Online) and grant admin consent; or use the script of `queuemail setup-script {server}`",
        ],
    ),
    own(
        Cause::IdentityRoleMissing,
        &["the identity's token lacks the role"],
        "the application permission is not assigned to the managed identity",
        Who::Entra,
        &[
            "queuemail setup-script {server}",
            "Azure caches tokens: a token without the role stays in use for up to a day",
        ],
    ),
    own(
        Cause::ScopeMissing,
        &["lacks the scope"],
        "the delegated permission is missing, or nobody has consented to it",
        Who::Entra,
        &[
            PERMISSIONS_PAGE,
            "add the permission there and grant consent, then sign in again: `queuemail token login {login}`",
        ],
    ),
    own(
        Cause::WrongTenant,
        &["the token is of tenant"],
        "another tenant signed the app in",
        Who::You,
        &["queuemail server show {server}"],
    ),
    own(
        Cause::WrongApp,
        &["the token is of app"],
        "another app was signed in",
        Who::You,
        &["queuemail server show {server}"],
    ),
    own(
        Cause::TokenEnded,
        &["the token has already expired"],
        "the clock of this machine is wrong",
        Who::Network,
        &["timedatectl set-ntp true"],
    ),
    own(
        Cause::NotSignedIn,
        &["nobody has signed in as"],
        "the owner of the account must sign in once",
        Who::Person,
        &["queuemail token login {login}"],
    ),
    // ---- the mailbox
    own(
        Cause::MailboxClosed,
        &["signed in to…but cannot open mailbox"],
        "usually the app or person has no right to it, or the right is less than an hour old and does not apply yet; other causes: a wrong address, no licence, IMAP disabled, or a service outage",
        Who::Exchange,
        &[
            RIGHT,
            "show who has rights: Get-MailboxPermission -Identity {mailbox}",
            "if the right exists, IMAP may be disabled: Set-CASMailbox -Identity {mailbox} -ImapEnabled $true",
            "if it worked yesterday for all mailboxes, it is usually a service outage: https://status.cloud.microsoft",
        ],
    ),
    own(
        Cause::OnlyImapRefuses,
        &["though SMTP lets the same"],
        "usually IMAP is disabled for the mailbox",
        Who::Exchange,
        &["Set-CASMailbox -Identity {mailbox} -ImapEnabled $true"],
    ),
    own(
        Cause::ImapRefusesApp,
        &["though the app's token is right"],
        "usually Exchange does not know the app, knows it by the Object ID of the App registrations page, or has known it for less than an hour; IMAP may also be disabled for the mailbox",
        Who::Exchange,
        &[
            "New-ServicePrincipal -AppId {client_id} -ObjectId {object_id} -DisplayName {server}",
            "if it exists with another ObjectId, remove it first: Get-ServicePrincipal | Where-Object AppId -eq {client_id} | Remove-ServicePrincipal",
            "if it is right, IMAP may be disabled for the mailbox: Set-CASMailbox -Identity {mailbox} -ImapEnabled $true",
        ],
    ),
    own(
        Cause::ImapRefusesAppHere,
        &["though it lets the app into other mailboxes"],
        "usually IMAP is disabled for this mailbox, or the address is not its primary address",
        Who::Exchange,
        &[
            "Set-CASMailbox -Identity {mailbox} -ImapEnabled $true",
            "show its primary address: Get-Mailbox -Identity {mailbox} | Format-List PrimarySmtpAddress",
        ],
    ),
    own(
        Cause::ImapRefusesPerson,
        &["though the person's token is right"],
        "usually the account has no right to the mailbox, or IMAP is disabled for it",
        Who::Exchange,
        &[
            RIGHT,
            "if the right exists: Set-CASMailbox -Identity {mailbox} -ImapEnabled $true",
        ],
    ),
    own(
        Cause::AllMailboxesClosed,
        &["though mail was fetched from all of them before"],
        "usually a service outage",
        Who::Nobody,
        &["an outage is shown at https://status.cloud.microsoft"],
    ),
    own(
        Cause::NoFolder,
        &["no folder…in mailbox"],
        "folder names are in the language of the mailbox",
        Who::You,
        &["queuemail queue set {queue} --address {address} --folder NAME, once for each folder"],
    ),
    own(
        Cause::ReadOnly,
        &["is read-only"],
        "the app or person may only read the mailbox",
        Who::Exchange,
        &[
            RIGHT,
            "or do not change the messages: queuemail queue set {queue} --address {address} --after keep",
        ],
    ),
    own(
        Cause::FlagNotKept,
        &["does not keep the flag"],
        "the server does not let messages in that folder be marked",
        Who::You,
        &["queuemail queue set {queue} --address {address} --after keep"],
    ),
    own(
        Cause::SmtpRefusesApp,
        &["refuses SMTP sign-in…though the app's token is right"],
        "usually Exchange does not know the app, or it has no right to this mailbox",
        Who::Exchange,
        &[
            RIGHT,
            "if the right exists, check the registration of the app: Get-ServicePrincipal | Where-Object AppId -eq {client_id} | Format-List",
        ],
    ),
    own(
        Cause::SmtpRefusesPerson,
        &["refuses SMTP sign-in…though the person's token is right"],
        "usually the account may not send as this mailbox, or SMTP is disabled for it",
        Who::Exchange,
        &[
            RIGHT,
            "Set-CASMailbox -Identity {mailbox} -SmtpClientAuthenticationDisabled $false",
        ],
    ),
    own(
        Cause::SendAsUntested,
        &["shows only when a message is sent"],
        "without the right, Exchange refuses the message (SendAsDenied)",
        Who::Exchange,
        &["Get-RecipientPermission -Identity {from} -Trustee {submitter}"],
    ),
    // ---- the boundary
    own(
        Cause::MailboxOpen,
        &["can open mailbox"],
        "Exchange should refuse the app there",
        Who::Exchange,
        &[
            "Remove-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess",
            "show who else has rights: Get-MailboxPermission -Identity {mailbox}",
        ],
    ),
    // ---- this machine
    own(
        Cause::NoPassphrase,
        &["no passphrase is set"],
        "the certificate or its key needs a passphrase",
        Who::You,
        &[
            "write the passphrase to a file (mode 0600), then: `queuemail server set {app_server} --certificate-passphrase-file FILE`",
        ],
    ),
    own(
        Cause::NoDelivery,
        &["has no delivery"],
        "`deliver` is set neither for the address nor in `defaults`",
        Who::You,
        &["queuemail queue set {queue} --address {address} --deliver maildir:PATH"],
    ),
    // ---- what ends by itself
    own(
        Cause::SecretEnds,
        &["the secret of server…expire"],
        "the app cannot sign in after that date",
        Who::Entra,
        &[
            "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{client_id}, New client secret, then queuemail server set {server} --secret-stdin --secret-expires DATE",
        ],
    ),
    own(
        Cause::CertificateEnds,
        &["the certificate of server…expire"],
        "the app cannot sign in after that date",
        Who::Entra,
        &[
            "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{client_id}, Certificates, Upload certificate, then queuemail server set {server} --certificate FILE",
        ],
    ),
    own(
        Cause::HostCertificateEnds,
        &["the certificate of host…expire"],
        "TLS connections fail after that date",
        Who::Network,
        &["openssl s_client -connect {host}:{port} -showcerts"],
    ),
];
