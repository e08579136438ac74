//! Exchange Online over IMAP, POP and SMTP: texts of refusals as they were seen. Of several that
//! fit, the longest holds.

use super::entry::{Entry, Says, Who};

const fn text(
    texts: &'static [&'static str],
    means: &'static str,
    who: Who,
    hints: &'static [&'static str],
) -> Entry {
    Entry {
        says: Says::Text(texts),
        means,
        who,
        hints,
        act: None,
    }
}

const CLAIMS: &str =
    "see what the token says of itself: `queuemail token get {address} --format claims`";
const SMTP_SWITCH: &str =
    "allow it for this mailbox: Set-CASMailbox {address} -SmtpClientAuthenticationDisabled $false";
const VIA_GRAPH: &str = "or send without SMTP: `via: graph` under outgoing server {server}";
const MAILBOX_RIGHT: &str = "usually the app has no right to this mailbox; an Exchange administrator can check and grant it:\n        Get-MailboxPermission -Identity {address}\n        Add-MailboxPermission -Identity {address} -User (Get-ServicePrincipal | Where-Object AppId -eq {client_id}).Identity -AccessRights FullAccess";
const RIGHT: &str =
    "Add-MailboxPermission -Identity {address} -User {principal} -AccessRights FullAccess";
const SMTP_ON: &str = "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false";
const OBJECT_ID: &str = "the service principal's Object ID is the one under Enterprise applications, not App registrations";
const WAIT: &str = "nothing is lost; the next run goes on where this one stopped";

pub static TEXTS: &[Entry] = &[
    // ---- IMAP and POP
    text(
        &["User is authenticated but not connected"],
        "the token is accepted, but the mailbox cannot be opened: usually the app or person has no right to it; also a wrong address, no licence, IMAP switched off, too many connections, or a fault of the service",
        Who::Exchange,
        &[
            MAILBOX_RIGHT,
            OBJECT_ID,
            "if it worked yesterday for all mailboxes, it is usually a fault of the service: https://status.cloud.microsoft",
        ],
    )
    .act(RIGHT),
    text(
        &["Session invalidated", "AccessTokenExpired"],
        "the access token ran out in the middle of the session",
        Who::Nobody,
        &[WAIT],
    ),
    text(
        &["AUTHENTICATE failed"],
        "the token is refused: wrong audience, missing role or scope, no service principal in Exchange, IMAP switched off for the mailbox, or another user's token",
        Who::Exchange,
        &[
            CLAIMS,
            "if audience and role fit, an Exchange administrator checks that the app is registered there with the right Object ID:\n        Get-ServicePrincipal | Where-Object AppId -eq {client_id} | Format-List\n        Get-CASMailbox {address} | Format-List ImapEnabled",
            OBJECT_ID,
            "what was changed less than an hour ago may not hold yet; then ask for a new token: `queuemail token get {address} --fresh`",
        ],
    ),
    text(
        &["Authentication failure: unknown user name or bad password"],
        "POP refuses the token: wrong audience, missing role or scope, no service principal in Exchange, or POP switched off for the mailbox",
        Who::Exchange,
        &[
            CLAIMS,
            "check that POP is on: Get-CASMailbox {address} | Format-List PopEnabled",
            OBJECT_ID,
        ],
    ),
    text(
        &["LOGIN failed", "LOGINDISABLED"],
        "a password was offered, and Basic authentication is switched off",
        Who::You,
        &["use a token: `queuemail token get {address} --format xoauth2`"],
    ),
    text(
        &["Request is throttled", "Suggested backoff time"],
        "the mailbox's or the client's budget of operations is used up",
        Who::Nobody,
        &[
            "the wait that the server asks for is remembered; fetch less often or with fewer --jobs",
            WAIT,
        ],
    ),
    text(
        &["Server Unavailable"],
        "the mailbox's server cannot be reached from Exchange's front end",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    text(
        &["Command received in Invalid state"],
        "the session fell back to not being signed in",
        Who::Nobody,
        &[WAIT],
    ),
    text(
        &[
            "Connection is closed. 13",
            "Connection closed. 14",
            "Connection closed. 13",
        ],
        "Exchange closed the connection: idle too long, too many errors, or a restart",
        Who::Nobody,
        &[WAIT],
    ),
    text(
        &["Command Argument Error"],
        "Exchange does not understand the command's arguments",
        Who::Nobody,
        &["this is a mistake of queuemail; `-vv` shows the command, please report it"],
    ),
    text(
        &["Protocol Error. 19"],
        "a POP server answered an IMAP command: the port is wrong",
        Who::You,
        &[
            "use `imap: imaps://outlook.office365.com:993` under server {server}, or leave `imap` out",
        ],
    ),
    text(
        &["Retrieval using the IMAP4 protocol failed"],
        "Exchange could not convert the message and sent a text of its own in its place",
        Who::Person,
        &[
            "open the message in Outlook, or read the mailbox through Graph: `via: graph` under server {server}",
        ],
    ),
    // ---- SMTP
    text(
        &[
            "SmtpClientAuthentication is disabled for the Tenant",
            "5.7.139…disabled for the Tenant",
        ],
        "SMTP sign-in is switched off for the whole tenant, which is the default for tenants made after January 2020",
        Who::Exchange,
        &[SMTP_SWITCH, VIA_GRAPH],
    )
    .act(SMTP_ON),
    text(
        &[
            "SmtpClientAuthentication is disabled",
            "5.7.139…disabled for the Mailbox",
        ],
        "SMTP sign-in is switched off for this mailbox",
        Who::Exchange,
        &[SMTP_SWITCH, VIA_GRAPH],
    )
    .act(SMTP_ON),
    text(
        &[
            "5.7.139…basic authentication is disabled",
            "5.7.30…basic authentication is not supported",
            "5.7.139…user credentials were incorrect",
        ],
        "a password was offered, and Basic authentication is switched off",
        Who::You,
        &["sign in with a token: `queuemail token get {address} --for smtp --format xoauth2`"],
    ),
    text(
        &[
            "5.7.139…did not meet the criteria",
            "5.7.139…security defaults",
            "5.7.139",
        ],
        "a policy of the tenant (Conditional Access, authentication policy or security defaults) blocks the SMTP sign-in",
        Who::Entra,
        &[
            "an administrator finds the policy in the sign-in logs of {address}",
            SMTP_SWITCH,
            VIA_GRAPH,
        ],
    )
    .act("the sign-in logs at https://entra.microsoft.com show which policy stops {address}; IMAP and Graph are not concerned"),
    text(
        &[
            "535 5.7.3",
            "535-5.7.3",
            "5.7.3 Authentication unsuccessful",
        ],
        "the token is refused: wrong audience, `SMTP.SendAsApp` or `SMTP.Send` missing (a Graph permission never helps SMTP), no service principal or mailbox right in Exchange",
        Who::Exchange,
        &[
            "see what the token says of itself: `queuemail token get {address} --for smtp --format claims`",
            MAILBOX_RIGHT,
            OBJECT_ID,
            VIA_GRAPH,
        ],
    )
    .act(RIGHT),
    text(
        &[
            "Mailbox logon failure",
            "MapiExceptionLogonFailed",
            "Cannot open mailbox",
        ],
        "signed in, but the app or person may not open the mailbox that submits, or it does not exist",
        Who::Exchange,
        &[
            "usually the app has no right to the mailbox that submits; an Exchange administrator can check and grant it:\n        Get-MailboxPermission -Identity {account}\n        Add-MailboxPermission -Identity {account} -User (Get-ServicePrincipal | Where-Object AppId -eq {client_id}).Identity -AccessRights FullAccess",
        ],
    ),
    text(
        &[
            "Concurrent connections limit exceeded",
            "Sender thread limit exceeded",
            "432 4.3.2",
        ],
        "more than three connections submit for one mailbox at a time",
        Who::Nobody,
        &["try again later; another program may be sending as {address} too"],
    ),
    text(
        &["SubmissionQuotaExceeded"],
        "the mailbox has sent to 10,000 recipients within a day",
        Who::Nobody,
        &["wait until the day is over; mass mail needs another way, such as High Volume Email"],
    ),
    text(
        &[
            "SendAsDenied",
            "5.7.60",
            "5.2.252",
            "does not have permissions to send as",
        ],
        "the mailbox that signs in may not send as the address in From",
        Who::Exchange,
        &[
            "grant it: Add-RecipientPermission {address} -Trustee {account} -AccessRights SendAs",
            "or let From be the mailbox that signs in",
        ],
    ),
    text(
        &[
            "5.2.2…QuotaExceeded",
            "mailbox full",
            "QuotaExceededException",
        ],
        "the mailbox is full, usually its Sent Items",
        Who::Person,
        &["empty Sent Items of {address}, or set a retention policy"],
    ),
    text(
        &["5.7.57", "Client not authenticated"],
        "the host saw no sign-in before the message",
        Who::You,
        &[
            "use port 587 with STARTTLS: `smtp: smtp://smtp.office365.com:587` under server {server}, or leave `smtp` out",
        ],
    ),
    text(
        &["5.7.64", "Relay access denied"],
        "the host is for relaying through a connector, not for submission",
        Who::You,
        &[
            "use port 587 with sign-in: `smtp: smtp://smtp.office365.com:587` under server {server}, or leave `smtp` out",
        ],
    ),
    text(
        &[
            "5.1.8",
            "5.7.501",
            "5.7.502",
            "5.7.503",
            "5.7.504",
            "5.7.505",
            "5.7.506",
            "5.7.507",
            "5.7.508",
            "5.7.509",
            "bad outbound sender",
        ],
        "the mailbox or tenant is blocked for sending, usually for spam",
        Who::Exchange,
        &[
            "unblock {address} on the restricted entities page: https://security.microsoft.com/restrictedentities",
        ],
    ),
    text(
        &["external recipient rate", "5.7.233"],
        "the tenant has sent to as many external recipients as it may within a day",
        Who::Nobody,
        &["wait until the day is over"],
    ),
    text(
        &["5.5.105", "high volume email"],
        "High Volume Email accounts send inside the tenant only",
        Who::You,
        &["send to outside recipients through an ordinary mailbox"],
    ),
    text(
        &["5.3.4", "message size exceeds", "552 5.2.3"],
        "the message is larger than the mailbox may send",
        Who::Exchange,
        &["raise the limit (at most 150 MB): Set-Mailbox {address} -MaxSendSize 150MB"],
    ),
    text(
        &[
            "5.1.1",
            "5.1.10",
            "RecipientNotFound",
            "Recipient not found",
            "User unknown",
        ],
        "the recipient does not exist",
        Who::You,
        &["check the recipient's address"],
    ),
    text(
        &["451 4.7.0", "Temporary server error", "421 4."],
        "the service restarts or is overloaded",
        Who::Nobody,
        &["try again later"],
    ),
];
