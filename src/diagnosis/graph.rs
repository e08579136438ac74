//! Microsoft Graph: its error codes, and those of Exchange behind it.

use super::entry::{Entry, Who, text};

const CLAIMS: &str = "see what the token says of itself: `queuemail token get {address} --for graph --format claims`";

pub static TEXTS: &[Entry] = &[
    text(
        &["ErrorSendAsDenied"],
        "the mailbox that sends may not send as the address in From",
        Who::Exchange,
        &[
            "grant it: Add-RecipientPermission {from} -Trustee {submitter} -AccessRights SendAs",
            "or let From be the mailbox that sends, {mailbox}",
        ],
    ),
    text(
        &[
            "ErrorAccessDenied",
            "Authorization_RequestDenied",
            "Access is denied",
        ],
        "the permission is missing or not consented to, or a scope (RBAC for Applications, access policy) leaves this mailbox out",
        Who::Exchange,
        &[
            CLAIMS,
            "{if_app}an Exchange administrator checks the scope: Test-ServicePrincipalAuthorization -Identity {client_id} -Resource {mailbox}",
            "{if_person}whoever signs in needs a right to the mailbox: Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess",
        ],
    )
    .act("{if_app}Test-ServicePrincipalAuthorization -Identity {client_id} -Resource {mailbox}"),
    text(
        &["MailboxNotEnabledForRESTAPI"],
        "there is no Exchange Online mailbox: no licence, a guest, soft-deleted or on premises",
        Who::Exchange,
        &["check the mailbox and its licence: Get-Mailbox -Identity {mailbox}"],
    )
    .act("Get-Mailbox -Identity {mailbox}"),
    text(
        &["ErrorInvalidUser", "Request_ResourceNotFound"],
        "the user is not known in this tenant",
        Who::You,
        &[
            "check the address {mailbox} and the tenant {tenant}",
            "if `user` of server {server} holds an application ID, put it into `client_id` and its secret into `secret`; `user` is the mailbox user's object ID or address",
        ],
    ),
    text(
        &[
            "InvalidAuthenticationToken",
            "Invalid audience",
            "Access token validation failure",
        ],
        "the token is for another service than Graph",
        Who::You,
        &[
            CLAIMS,
            "use the cloud's own scope: queuemail server set {server} --scope ''",
        ],
    ),
    text(
        &[
            "ApplicationThrottled",
            "MailboxConcurrency",
            "TooManyRequests",
            "activityLimitReached",
        ],
        "Graph limits how much is asked of it",
        Who::Nobody,
        &[
            "the wait that the server asks for is remembered; the next run goes on where this one stopped",
        ],
    ),
    text(
        &["ErrorMimeContentInvalidBase64String"],
        "Graph could not read the message",
        Who::Nobody,
        &["this is a mistake of queuemail; `-vv` shows the request, please report it"],
    ),
    text(
        &["ErrorMessageSizeExceeded", "RequestEntityTooLarge"],
        "the message is larger than Graph takes in one request",
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
        "Exchange moves the mailbox to another database, which may take hours",
        Who::Nobody,
        &["nothing is lost; the next run goes on where this one stopped"],
    ),
    text(
        &["ErrorExceededMessageLimit"],
        "the mailbox has sent as many messages, or to as many recipients, as it may within a day",
        Who::Nobody,
        &[
            "wait until the day is over; a new tenant or one on trial may send less",
            "if {mailbox} has not sent that much, somebody else may be sending as it: let an administrator look at its sign-ins",
        ],
    ),
    text(
        &["ErrorMessageSubmissionBlocked", "ErrorAccountSuspend"],
        "the mailbox is blocked for sending, usually for spam",
        Who::Exchange,
        &[
            "unblock {mailbox} on the restricted entities page: https://security.microsoft.com/restrictedentities",
            "a mailbox of outlook.com is unblocked by its owner, who follows the instructions in its Inbox",
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
        "the mark of the last listing has expired",
        Who::Nobody,
        &["the next run lists the folder anew; nothing is delivered twice"],
    ),
    text(
        &["ErrorItemNotFound"],
        "the message was moved or deleted meanwhile",
        Who::Nobody,
        &["nothing is to be done"],
    ),
];
