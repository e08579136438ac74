//! Microsoft Graph: its error codes, and those of Exchange behind it.

use super::entry::{Entry, Who, text};

const CLAIMS: &str =
    "show what the token contains: `queuemail token get {address} --for graph --format claims`";

pub static TEXTS: &[Entry] = &[
    text(
        &["ErrorSendAsDenied"],
        "the mailbox that sends may not send as the address in From",
        Who::Exchange,
        &[
            "grant it: Add-RecipientPermission {from} -Trustee {submitter} -AccessRights SendAs",
            "or use the sending mailbox, {mailbox}, in From",
        ],
    ),
    text(
        &[
            "ErrorAccessDenied",
            "Authorization_RequestDenied",
            "Access is denied",
        ],
        "the permission is missing or not consented to, or a scope (RBAC for Applications, access policy) excludes this mailbox",
        Who::Exchange,
        &[
            CLAIMS,
            "{if_app}ask an Exchange administrator to check the scope: Test-ServicePrincipalAuthorization -Identity {client_id} -Resource {mailbox}",
            "{if_person}the person who signs in needs a right to the mailbox: Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess",
        ],
    )
    .act("{if_app}Test-ServicePrincipalAuthorization -Identity {client_id} -Resource {mailbox}"),
    text(
        &["MailboxNotEnabledForRESTAPI"],
        "the user has no Exchange Online mailbox: no licence, a guest, soft-deleted or on premises",
        Who::Exchange,
        &["check the mailbox and its licence: Get-Mailbox -Identity {mailbox}"],
    )
    .act("Get-Mailbox -Identity {mailbox}"),
    text(
        &["ErrorInvalidUser", "Request_ResourceNotFound"],
        "the tenant does not know the user",
        Who::You,
        &[
            "check the address {mailbox} and the tenant {tenant}",
            "if `user` of server {server} is an application ID, move it to `client_id` and its secret to `secret`; `user` is the mailbox user's object ID or address",
        ],
    ),
    text(
        &[
            "InvalidAuthenticationToken",
            "Invalid audience",
            "Access token validation failure",
        ],
        "the token is not for Graph but for another service",
        Who::You,
        &[
            CLAIMS,
            "use the cloud's default scope: queuemail server set {server} --scope ''",
        ],
    ),
    text(
        &[
            "ApplicationThrottled",
            "MailboxConcurrency",
            "TooManyRequests",
            "activityLimitReached",
        ],
        "Graph limits the number of requests",
        Who::Nobody,
        &[
            "queuemail waits as long as the server asked; the next run continues where this one stopped",
        ],
    ),
    text(
        &["ErrorMimeContentInvalidBase64String"],
        "Graph could not read the message",
        Who::Nobody,
        &["this is a bug in queuemail; report it with the output of `-vv`, which shows the request"],
    ),
    text(
        &["ErrorMessageSizeExceeded", "RequestEntityTooLarge"],
        "the message is larger than Graph accepts in one request",
        Who::You,
        &["send it through SMTP: `queuemail server set {server} --via smtp`"],
    ),
    text(
        &["ErrorQuotaExceeded"],
        "the mailbox is full",
        Who::Person,
        &["make room in {mailbox}, or set a retention policy"],
    ),
    text(
        &["ErrorMailboxMoveInProgress"],
        "Exchange is moving the mailbox to another database, which can take hours",
        Who::Nobody,
        &["nothing is lost; the next run continues where this one stopped"],
    ),
    text(
        &["ErrorExceededMessageLimit"],
        "the mailbox has reached its daily limit of messages or recipients",
        Who::Nobody,
        &[
            "wait until the day is over; new and trial tenants have a lower limit",
            "if {mailbox} has not sent that much, somebody else may be sending as it: ask an administrator to check its sign-ins",
        ],
    ),
    text(
        &["ErrorMessageSubmissionBlocked", "ErrorAccountSuspend"],
        "the mailbox is blocked for sending, usually for spam",
        Who::Exchange,
        &[
            "unblock {mailbox} on the restricted entities page: https://security.microsoft.com/restrictedentities",
            "the owner of an outlook.com mailbox can unblock it with the instructions in its Inbox",
        ],
    ),
    text(
        &["ErrorContentConversionFailed"],
        "Exchange cannot convert the message",
        Who::Person,
        &["open the message in Outlook; it stays on the server"],
    ),
    text(
        &["syncStateNotFound"],
        "the position of the last listing has expired",
        Who::Nobody,
        &["the next run lists the folder again; nothing is delivered twice"],
    ),
    text(
        &["ErrorItemNotFound"],
        "somebody moved or deleted the message in the meantime",
        Who::Nobody,
        &["no action is needed"],
    ),
];
