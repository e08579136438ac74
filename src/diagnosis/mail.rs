//! Exchange Online over IMAP, POP and SMTP: texts of refusals as they were seen. Of several that
//! fit, the longest holds.

use super::entry::{Entry, Who, text};

const CLAIMS: &str =
    "show what the token contains: `queuemail token get {address} --format claims`";
const SMTP_SWITCH: &str =
    "allow it for this mailbox: Set-CASMailbox {mailbox} -SmtpClientAuthenticationDisabled $false";
const VIA_GRAPH: &str = "or send without SMTP: `queuemail server set {server} --via graph`";
const MAILBOX_RIGHT: &str = "usually the app or person that signs in has no right to this mailbox; ask an Exchange administrator to check and grant it:\n        Get-MailboxPermission -Identity {mailbox}\n        Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess";
const RIGHT: &str =
    "Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess";
const SMTP_ON: &str = "Set-CASMailbox -Identity {mailbox} -SmtpClientAuthenticationDisabled $false";
const OBJECT_ID: &str = "{if_app}use the Object ID from Enterprise applications for the service principal, not the one from App registrations";
const WAIT: &str = "nothing is lost; the next run continues where this one stopped";

pub static TEXTS: &[Entry] = &[
    // ---- IMAP and POP
    text(
        &["User is authenticated but not connected"],
        "the token is accepted, but the mailbox cannot be opened: usually the app or person has no right to it; also a wrong address, no licence, IMAP switched off, too many connections, or a service outage",
        Who::Exchange,
        &[
            MAILBOX_RIGHT,
            OBJECT_ID,
            "if it worked yesterday for all mailboxes, it is usually a service outage: https://status.cloud.microsoft",
        ],
    )
    .act(RIGHT),
    text(
        &["Session invalidated", "AccessTokenExpired"],
        "the access token expired during the session",
        Who::Nobody,
        &[WAIT],
    ),
    text(
        &["AUTHENTICATE failed"],
        "the token is refused: wrong audience, missing role or scope, no service principal in Exchange, IMAP switched off for the mailbox, or another user's token",
        Who::Exchange,
        &[
            CLAIMS,
            "{if_app}if audience and role are right, ask an Exchange administrator to check that the app is registered in Exchange with the right Object ID:\n        Get-ServicePrincipal | Where-Object AppId -eq {client_id} | Format-List",
            OBJECT_ID,
            "check that IMAP is enabled: Get-CASMailbox {mailbox} | Format-List ImapEnabled",
            "a change can take an hour to apply; then get a new token: `queuemail token get {address} --fresh`",
        ],
    ),
    text(
        &["Authentication failure: unknown user name or bad password"],
        "POP refuses the token: wrong audience, missing role or scope, no service principal in Exchange, or POP switched off for the mailbox",
        Who::Exchange,
        &[
            CLAIMS,
            "check that POP is enabled: Get-CASMailbox {mailbox} | Format-List PopEnabled",
            OBJECT_ID,
        ],
    ),
    text(
        &["LOGIN failed", "LOGINDISABLED"],
        "the client used a password, but Basic authentication is disabled",
        Who::You,
        &["use a token: `queuemail token get {address} --format xoauth2`"],
    ),
    text(
        &["Request is throttled", "Suggested backoff time"],
        "the mailbox or the client has exceeded its limit of operations",
        Who::Nobody,
        &[
            "queuemail waits as long as the server asked; fetch less often or with fewer --jobs",
            WAIT,
        ],
    ),
    text(
        &["Server Unavailable"],
        "Exchange's front end cannot reach the server of the mailbox",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    text(
        &["Command received in Invalid state"],
        "the server no longer treats the session as signed in",
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
        "Exchange does not accept the arguments of the command",
        Who::Nobody,
        &["this is a bug in queuemail; report it with the output of `-vv`, which shows the command"],
    ),
    text(
        &["Protocol Error. 19"],
        "a POP server answered an IMAP command: the port is wrong",
        Who::You,
        &[
            "queuemail server set {server} {usual_imap}",
            "or use Exchange Online: `queuemail server set {server} --imap ''`",
        ],
    ),
    text(
        &["Retrieval using the IMAP4 protocol failed"],
        "Exchange could not convert the message and sent a placeholder instead",
        Who::Person,
        &[
            "open the message in Outlook, or read the mailbox through Graph: `queuemail server set {server} --via graph`",
        ],
    ),
    // ---- SMTP
    text(
        &[
            "SmtpClientAuthentication is disabled for the Tenant",
            "5.7.139…disabled for the Tenant",
        ],
        "SMTP sign-in is disabled for the whole tenant; this is the default for tenants created after January 2020",
        Who::Exchange,
        &[SMTP_SWITCH, VIA_GRAPH],
    )
    .act(SMTP_ON),
    text(
        &[
            "SmtpClientAuthentication is disabled",
            "5.7.139…disabled for the Mailbox",
        ],
        "SMTP sign-in is disabled for this mailbox",
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
        "the client used a password, but Basic authentication is disabled",
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
            "ask an Entra ID administrator to find the policy in the sign-in logs of {mailbox}",
            SMTP_SWITCH,
            VIA_GRAPH,
        ],
    )
    .act("the sign-in logs at https://entra.microsoft.com show which policy blocks {mailbox}; IMAP and Graph are not affected"),
    text(
        &[
            "535 5.7.3",
            "535-5.7.3",
            "5.7.3 Authentication unsuccessful",
        ],
        "the token is refused: wrong audience, `SMTP.SendAsApp` or `SMTP.Send` missing (a Graph permission does not work for SMTP), no service principal or mailbox right in Exchange",
        Who::Exchange,
        &[
            "show what the token contains: `queuemail token get {address} --for smtp --format claims`",
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
        "the sign-in worked, but the app or person may not open the sending mailbox, or it does not exist",
        Who::Exchange,
        &[
            MAILBOX_RIGHT,
            "check that it exists: Get-Mailbox -Identity {mailbox}",
        ],
    )
    .act(RIGHT),
    text(
        &[
            "Concurrent connections limit exceeded",
            "Sender thread limit exceeded",
            "432 4.3.2",
        ],
        "more than three connections send for one mailbox at the same time",
        Who::Nobody,
        &["try again later; another program may be sending as {mailbox} too"],
    ),
    text(
        &[
            "SubmissionQuotaExceeded",
            "submission quota was exceeded",
            "5.1.90",
            "5.1.92",
            "daily limit for message recipients",
        ],
        "the mailbox has reached its daily limit of recipients, usually 10,000",
        Who::Nobody,
        &[
            "wait until the day is over: the limit cannot be raised; mass mail needs another service, such as High Volume Email",
            "if {mailbox} has not sent that much, somebody else may be sending as it: ask an administrator to check its sign-ins",
        ],
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
            "grant it: Add-RecipientPermission {from} -Trustee {submitter} -AccessRights SendAs",
            "or use the sending mailbox, {mailbox}, in From",
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
        &["empty Sent Items of {mailbox}, or set a retention policy"],
    ),
    text(
        &["5.7.57", "Client not authenticated"],
        "the client did not sign in before it sent the message",
        Who::You,
        &[
            "queuemail server set {server} {usual_smtp}",
            "or use Exchange Online: `queuemail server set {server} --smtp ''`",
        ],
    ),
    text(
        &["5.7.64", "Relay access denied"],
        "the host relays through a connector and does not accept submissions",
        Who::You,
        &[
            "queuemail server set {server} {usual_smtp}",
            "or use Exchange Online: `queuemail server set {server} --smtp ''`",
        ],
    ),
    text(
        &[
            "5.1.8",
            "5.7.501",
            "5.7.502",
            "5.7.503",
            "bad outbound sender",
            "spam abuse detected",
            "OutboundSpamException",
        ],
        "the mailbox is blocked for sending, usually for spam",
        Who::Exchange,
        &[
            "secure the account of {mailbox}, then unblock it on the restricted entities page: https://security.microsoft.com/restrictedentities",
            "if it is not listed there, Microsoft's support unblocks it: https://admin.microsoft.com",
        ],
    ),
    text(
        &["OutboundSpamException…RefuseQuota"],
        "the mailbox or the tenant has reached its daily limit; new and trial tenants have a low limit",
        Who::Nobody,
        &["wait until the day is over: the limit cannot be raised"],
    ),
    text(
        &["5.7.504", "5.7.505", "banned recipient"],
        "the recipient's address does not exist or does not accept mail",
        Who::You,
        &["check the recipient's address"],
    ),
    text(
        &["5.7.506", "Bad HELO"],
        "the client used the server's name, or an invalid name, in its greeting",
        Who::Network,
        &["set the name of this machine: hostnamectl set-hostname NAME.DOMAIN"],
    ),
    text(
        &["5.7.507", "rejected by recipient", "5.7.513"],
        "the recipient's organization blocks the network address that the message came from",
        Who::Nobody,
        &["ask the recipient's organization to allow it: only they can"],
    ),
    text(
        &["5.7.508", "exceeded permitted limits within"],
        "too many messages came from this range of network addresses in a short time",
        Who::Nobody,
        &["wait until the time that the server names is over"],
    ),
    text(
        &["5.7.509", "does not pass DMARC"],
        "neither SPF nor DKIM proves the domain in From, and its DMARC policy asks hosts to refuse such mail",
        Who::Exchange,
        &[
            "sign the domain of {from}: https://security.microsoft.com/dkimv2, and add include:spf.protection.outlook.com to its SPF record",
        ],
    ),
    text(
        &["5.7.510", "does not accept email over IPv6"],
        "the recipient's host does not accept mail over IPv6",
        Who::Network,
        &["send through Exchange Online: `queuemail server set {server} --smtp ''`"],
    ),
    text(
        &["5.7.511", "5.7.606", "banned sending IP"],
        "the network address that the message came from is banned",
        Who::Network,
        &["request its removal at https://sender.office.com; for 5.7.511, send the whole reply to delist@microsoft.com"],
    ),
    text(
        &["5.7.705", "5.7.708", "tenant has exceeded threshold", "traffic not accepted from this IP"],
        "Microsoft has stopped the whole tenant from sending, for suspicious or bulk mail, or because its subscription is new or was renewed late",
        Who::Exchange,
        &[
            "find and secure the accounts that send too much, then ask Microsoft's support to unblock the tenant: https://admin.microsoft.com",
            "see which accounts: https://security.microsoft.com/restrictedentities",
        ],
    ),
    text(
        &["5.7.750", "from unregistered domains"],
        "too much mail came from domains that the tenant has not registered",
        Who::Exchange,
        &["add the domain of {from} to the tenant: https://admin.microsoft.com, Domains"],
    ),
    text(
        &["4.7.500", "Server busy. Please try again later"],
        "Exchange limits mail from a network address that it does not know well yet",
        Who::Nobody,
        &["try again later; `queuemail outbox flush` retries what is in the outbox"],
    ),
    text(
        &["5.6.211", "Single text value size"],
        "a header field of the message is longer than Exchange accepts (32 KiB)",
        Who::You,
        &["shorten the field that the server names: with many recipients, put them into Bcc or send several messages"],
    ),
    text(
        &["external recipient rate", "5.7.233"],
        "the tenant has reached its daily limit of external recipients",
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
        &["raise the limit (at most 150 MB): Set-Mailbox {mailbox} -MaxSendSize 150MB"],
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
