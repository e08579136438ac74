//! Entra ID: AADSTS codes, and RFC 6749's errors where a code is unknown.
//!
//! Meanings are from Microsoft's reference of error codes; the advice is ours.

use super::entry::{Entry, Who, code, error};

const LOGIN: &str = "sign in again: `queuemail token login {login}`";
const APP_ONLY: &str = "{if_person}or let the program sign in as itself: `{set_service}`";
const FEDERATED: &str = "{if_federated}compare issuer, subject and audience of the other identity provider's token with the federated credential of app {client_id}, letter case included";
const OWN_SCOPE: &str = "use the cloud's default scope: queuemail server set {server} --scope ''";
const CONSENT: &str = "ask an Entra ID administrator to grant consent: https://{login_host}/{tenant}/adminconsent?client_id={client_id}";
const POLICY: &str = "ask an Entra ID administrator to find the policy in the sign-in logs by the correlation ID, and to exclude this account or app from it";

const CONSENT_PAGE: &str = "https://{login_host}/{tenant}/adminconsent?client_id={client_id}";
const SIGN_IN_LOGS: &str = "the sign-in logs at https://entra.microsoft.com show which policy: search for correlation ID {correlation}";

/// By AADSTS code.
pub static CODES: &[Entry] = &[
    // ---- the client's credential
    code(
        &[7000215, 70002],
        "the client secret does not belong to this app",
        Who::You,
        &[
            "usually the secret's ID (a GUID) was copied instead of its Value, or a shell damaged it; store the Value again: `queuemail server set {app_server} --secret-stdin`",
            "the Value is shown only once: create a new secret in the app registration if it is lost",
        ],
    )
    .act("queuemail server set {app_server} --secret-stdin, with the Value of a secret, not its Secret ID"),
    code(
        &[7000222],
        "the client secret has expired",
        Who::Entra,
        &[
            "create a client secret in the app registration, then `queuemail server set {app_server} --secret-stdin`",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{client_id}, New client secret, then queuemail server set {app_server} --secret-stdin"),
    code(
        &[7000218],
        "the request contained no secret, but the app registration is a confidential client",
        Who::Entra,
        &[
            "give the secret: `queuemail server set {app_server} --secret-stdin`",
            "or switch on \"Allow public client flows\" under Authentication of the app registration; a redirect to http://localhost belongs under \"Mobile and desktop applications\", not Web",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/{client_id}, Allow public client flows"),
    code(
        &[700025],
        "the request contained a secret, but the app registration is a public client",
        Who::You,
        &[
            "queuemail server set {app_server} --secret-file ''",
            "or switch \"Allow public client flows\" off under Authentication of the app registration",
        ],
    ),
    code(
        &[700027],
        "the certificate or its signature is not accepted",
        Who::Entra,
        &[
            "upload the certificate of server {app_server} (its public part) under Certificates & secrets of app {client_id}",
            "or the private key does not match the certificate: both commands must print the same: `openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY`",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{client_id}, Certificates, Upload certificate: that of server {app_server}"),
    code(
        &[50012],
        "the signature or the issuer of the client assertion is not accepted",
        Who::Entra,
        &[
            "{if_certificate}upload the certificate of server {app_server} (its public part) under Certificates & secrets of app {client_id}; Entra ID refuses an expired certificate too",
            FEDERATED,
            "{if_federated}check that Entra ID can read the issuer's keys at the `jwks_uri` of ISSUER/.well-known/openid-configuration",
            "{if_secret}store the Value of a secret again: `queuemail server set {app_server} --secret-stdin`",
        ],
    ),
    code(
        &[700024],
        "the client assertion is not valid yet or has expired",
        Who::Network,
        &[
            "set this machine's clock: timedatectl set-ntp true",
            "{if_federated}or the token of the other identity provider has expired: renew the file that contains it",
        ],
    )
    .act("timedatectl set-ntp true"),
    code(
        &[700213, 7002138, 700211, 700212, 70021],
        "no federated credential of the app matches the token of the other identity provider",
        Who::Entra,
        &[
            "compare issuer, subject and audience of that token with the federated credential of app {client_id}, letter case included",
        ],
    ),
    // ---- the app and its tenant
    code(
        &[700016, 700011],
        "the tenant does not know the application",
        Who::You,
        &[
            "check the client ID {client_id}: it is the Application (client) ID, not an object ID",
            "check the tenant {tenant}: register the app there, or grant consent to it",
            CONSENT,
        ],
    )
    .act("queuemail server set {app_server} --client-id ID, with the Application (client) ID of the app registration"),
    code(
        &[7000229],
        "the app exists, but has no enterprise application (service principal) in this tenant",
        Who::Entra,
        &[
            CONSENT,
            "or create it: `New-MgServicePrincipal -AppId {client_id}`",
        ],
    )
    .act("New-MgServicePrincipal -AppId {client_id}"),
    code(
        &[7000112, 70001],
        "the application is disabled",
        Who::Entra,
        &["enable sign-in under Properties of the enterprise application {client_id}"],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Overview/appId/{client_id}, Managed application in local directory, Properties"),
    code(
        &[90002],
        "the login host does not know the tenant",
        Who::You,
        &[
            "check the spelling of the tenant {tenant}, or the cloud: login.microsoftonline.com (worldwide), login.microsoftonline.us (US Government), login.partner.microsoftonline.cn (China)",
        ],
    )
    .act("{set_tenant}TENANT"),
    code(
        &[90038, 900382, 900432, 900439],
        "the tenant or the app belongs to another cloud",
        Who::You,
        &[
            "use the login host of the tenant's own cloud: login.microsoftonline.com (worldwide), login.microsoftonline.us (US Government), login.partner.microsoftonline.cn (China)",
        ],
    )
    .act("{set_cloud}"),
    code(
        &[50059, 90019, 50128],
        "the request does not name a tenant",
        Who::You,
        &[
            "give the tenant's GUID or domain: `{set_tenant}DOMAIN`",
        ],
    ),
    code(
        &[50194],
        "the app is registered for one tenant only",
        Who::You,
        &[
            "use the tenant's own address instead of /common: `{set_tenant}DOMAIN`",
        ],
    ),
    code(
        &[9001023, 90124, 90130],
        "/common and /consumers do not support this grant",
        Who::You,
        &[
            "use the tenant's own address: `{set_tenant}DOMAIN`",
        ],
    ),
    code(
        &[9002332],
        "the app is for work accounts only",
        Who::You,
        &[
            "use the tenant's own address instead of /consumers: `{set_tenant}DOMAIN`",
        ],
    ),
    // ---- the person's account
    code(
        &[50126],
        "the user name or the password is wrong",
        Who::You,
        &[
            "set the password of {account}: `{set_password}`",
            "use the user principal name as the account, not an alias; repeated wrong tries lock the account",
        ],
    )
    .act("{set_password}"),
    code(
        &[50034],
        "the user does not exist in this tenant",
        Who::You,
        &[
            "check the tenant {tenant} and the account {account}: use the user principal name, not an alias",
        ],
    )
    .act("{set_account} NAME, with the user principal name, not an alias"),
    code(
        &[50053],
        "the account is locked after too many wrong passwords, or the network address is blocked",
        Who::Person,
        &[
            "stop every job that signs in as {account} with an old password, then wait until the lock ends, or ask an Entra ID administrator to unblock the account",
        ],
    ),
    code(
        &[50055, 50144],
        "the password has expired",
        Who::Person,
        &[
            "set a new password for {account}, then `{set_password}`",
            APP_ONLY,
        ],
    ),
    code(
        &[50056],
        "Entra ID stores no password for this account, usually because it is federated",
        Who::You,
        &[
            "sign in in the browser: `queuemail token login {login}`",
            APP_ONLY,
        ],
    ),
    code(
        &[50057],
        "the account is disabled; a shared mailbox's own account always is",
        Who::You,
        &[
            "sign in as a person with full access to the mailbox: `{set_account} PERSON`",
            APP_ONLY,
        ],
    )
    .act("{set_account} PERSON, a person with full access to the mailbox"),
    code(
        &[50076, 50074, 50158],
        "the sign-in needs multi-factor authentication",
        Who::You,
        &[
            "a password alone is not enough; sign in once in the browser: `queuemail token login {login}`",
            APP_ONLY,
        ],
    )
    .act("queuemail token login {login}"),
    code(
        &[50079, 50072, 53004],
        "the account is not registered for multi-factor authentication yet",
        Who::Person,
        &[
            "sign in once as {account} at https://aka.ms/mfasetup, then run `queuemail token login {login}`",
            APP_ONLY,
        ],
    )
    .act("https://aka.ms/mfasetup, then queuemail token login {login}"),
    code(
        &[50105],
        "the account is not assigned to the enterprise application",
        Who::Entra,
        &[
            "assign {account} under Users and groups of the enterprise application {client_id}, or switch \"Assignment required\" off",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Overview/appId/{client_id}, Managed application in local directory, Users and groups"),
    code(
        &[50173, 700082, 70008, 50089, 70000, 70043, 700084],
        "the refresh token has expired or was revoked: unused for 90 days, password changed, or sessions revoked",
        Who::Person,
        &[LOGIN],
    )
    .act("queuemail token login {login}"),
    code(
        &[50020, 50014, 51004],
        "the account belongs to another tenant and is not a guest in this one",
        Who::You,
        &["use the account's home tenant instead of {tenant}: `{set_tenant}TENANT`"],
    ),
    code(
        &[50000],
        "the token service has an internal error",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    // ---- policies
    code(
        &[53003],
        "a Conditional Access policy blocks the sign-in",
        Who::Entra,
        &[POLICY, APP_ONLY],
    )
    .act(SIGN_IN_LOGS),
    code(
        &[53000, 53001, 53002, 50005, 50097, 530032],
        "a policy requires a managed device or an approved app; a command-line program is neither",
        Who::Entra,
        &[POLICY, APP_ONLY],
    )
    .act(SIGN_IN_LOGS),
    code(
        &[530035],
        "the tenant's security defaults block the sign-in",
        Who::Entra,
        &[
            "sign in with another grant: `queuemail token login {login}`",
            "or ask an Entra ID administrator to replace security defaults with Conditional Access policies",
        ],
    )
    .act(SIGN_IN_LOGS),
    // ---- consent and scopes
    code(
        &[65001],
        "nobody has consented to these permissions",
        Who::Entra,
        &[
            CONSENT,
            "check that the permissions belong to the right resource: IMAP and SMTP need permissions of \"Office 365 Exchange Online\", Graph needs permissions of \"Microsoft Graph\"",
        ],
    )
    .act(CONSENT_PAGE),
    code(
        &[65004, 90094, 90095],
        "consent was declined, or an administrator must give it",
        Who::Entra,
        &[CONSENT],
    )
    .act(CONSENT_PAGE),
    code(
        &[650052, 650057, 65005, 650056],
        "the app registration does not list this API, or the tenant has no such service",
        Who::Entra,
        &[
            "add the permission in the app registration (\"Office 365 Exchange Online\" is under \"APIs my organization uses\") and grant consent",
            "check that the tenant has Exchange Online licences",
        ],
    ),
    code(
        &[500011, 50001],
        "the tenant does not know the resource in the scope",
        Who::You,
        &[
            OWN_SCOPE,
            "or the tenant has no Exchange Online: see its licences at https://admin.microsoft.com",
        ],
    )
    .act("queuemail server set {server} --scope ''"),
    code(
        &[500014],
        "the service that the token is for is disabled in this tenant: its subscription has ended, or an administrator has switched it off",
        Who::Entra,
        &[
            "check that the tenant still has Exchange Online licences: https://admin.microsoft.com",
            "if it has, switch the service on: Enterprise applications at https://entra.microsoft.com, \"Office 365 Exchange Online\" (for Graph \"Microsoft Graph\"), Properties, Enabled for users to sign in",
        ],
    ),
    code(
        &[70011, 28002, 28003, 1002012],
        "the scope is not valid for this grant",
        Who::You,
        &[
            OWN_SCOPE,
            "oauth-service needs one resource followed by /.default, for example https://outlook.office365.com/.default",
        ],
    )
    .act("queuemail server set {server} --scope ''"),
    code(
        &[700022, 700023, 28000],
        "the scope names more than one resource",
        Who::You,
        &[OWN_SCOPE],
    ),
    // ---- the request
    code(
        &[900144, 90014],
        "a parameter of the request is missing or empty",
        Who::You,
        &["check server {server} for empty values: `queuemail server show {server}`"],
    ),
    code(
        &[9002313, 90023, 90004],
        "the request is malformed",
        Who::You,
        &[
            "check the secret or password of server {server} for stray characters, such as a line end inside",
        ],
    ),
    code(
        &[900561],
        "the request arrived with another HTTP method",
        Who::Network,
        &["usually a proxy changed the method: check HTTPS_PROXY and NO_PROXY"],
    ),
    code(
        &[1002016],
        "the connection used TLS 1.0, 1.1 or an old cipher",
        Who::Network,
        &[
            "queuemail uses TLS 1.2 or later, so a proxy made this connection: bypass the proxy with NO_PROXY={host}",
        ],
    )
    .act("NO_PROXY={host} queuemail check: queuemail uses TLS 1.2 or later, so a proxy made that connection"),
    code(
        &[50196],
        "the client requested tokens in a loop",
        Who::You,
        &[
            "wait some minutes; check that no job always uses `--fresh`, and that the state folder is kept between runs",
        ],
    ),
    code(
        &[90006, 90012, 90024, 90033, 50033, 90055],
        "the token service has a temporary error",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    code(
        &[80001, 80002, 80005, 80007, 80010, 80014],
        "the on-premises agent that checks passwords fails or cannot be reached",
        Who::Entra,
        &[
            "try again later; if the error stays, ask the directory team to check the pass-through authentication agents",
        ],
    ),
    code(
        &[90072, 700005, 16000],
        "the account or code belongs to another tenant, or the account is ambiguous",
        Who::You,
        &[
            "use the account's home tenant instead of {tenant}: `{set_tenant}TENANT`",
            "and name the account in full: `{set_account} NAME`",
        ],
    ),
    // ---- signing in by hand
    code(
        &[501481, 50147, 501491],
        "the code belongs to another sign-in",
        Who::Person,
        &["start again, and finish one sign-in before the next: `queuemail token login {login}`"],
    ),
    code(
        &[54005],
        "the code was used already or has expired",
        Who::Person,
        &["start again: `queuemail token login {login}`"],
    ),
    code(
        &[50011, 70004, 900971],
        "the redirect address is not registered",
        Who::Entra,
        &[
            "add http://localhost under \"Mobile and desktop applications\" in Authentication of app {client_id}",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/{client_id}, Mobile and desktop applications: http://localhost"),
    code(
        &[9002327, 9002326],
        "the redirect address is registered for a single-page application",
        Who::Entra,
        &[
            "move http://localhost from \"Single-page application\" to \"Mobile and desktop applications\" in Authentication of app {client_id}",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/{client_id}, http://localhost from Single-page application to Mobile and desktop applications"),
    code(
        &[70016],
        "the device code sign-in is not finished yet",
        Who::Person,
        &["open the page and enter the code that `queuemail token login` shows"],
    ),
    code(
        &[70018, 70019, 70020],
        "the device code is wrong or has expired",
        Who::Person,
        &["start again: `queuemail token login {login} --device`"],
    ),
    code(
        &[50134],
        "the sign-in went to another data centre",
        Who::Person,
        &["start again: `queuemail token login {login}`"],
    ),
];

/// By RFC 6749's `error`, for a code that is not in the table or absent.
pub static ERRORS: &[Entry] = &[
    error(
        "invalid_client",
        "the client's secret or certificate is not accepted",
        Who::You,
        &[
            "{if_secret}check client ID {client_id} and store the Value of a secret again: `queuemail server set {app_server} --secret-stdin`",
            "{if_certificate}check client ID {client_id}, and that the certificate of server {app_server} is under Certificates & secrets of the app",
            FEDERATED,
        ],
    ),
    error(
        "unauthorized_client",
        "the app may not use this grant, or the tenant does not know the app",
        Who::Entra,
        &[
            "check client ID {client_id} and tenant {tenant}; register the app there, or grant consent to it",
        ],
    ),
    error(
        "invalid_grant",
        "the password, code or refresh token is not accepted",
        Who::Person,
        &[LOGIN],
    ),
    error(
        "interaction_required",
        "the sign-in needs a person",
        Who::Person,
        &[LOGIN],
    ),
    error(
        "consent_required",
        "nobody has consented to these permissions",
        Who::Entra,
        &[CONSENT],
    ),
    error(
        "access_denied",
        "the sign-in or the consent was declined",
        Who::Person,
        &[LOGIN],
    ),
    error(
        "authorization_declined",
        "the sign-in was declined",
        Who::Person,
        &[LOGIN],
    ),
    error(
        "expired_token",
        "the device code has expired",
        Who::Person,
        &["start again: `queuemail token login {login} --device`"],
    ),
    error(
        "invalid_scope",
        "the scope is not valid",
        Who::You,
        &[OWN_SCOPE],
    ),
    error(
        "invalid_resource",
        "the tenant does not know the resource in the scope",
        Who::You,
        &[OWN_SCOPE, "or the tenant has no Exchange Online"],
    ),
    error(
        "invalid_request",
        "the request is incomplete or malformed",
        Who::You,
        &["check the values of server {server}: `queuemail server show {server}`"],
    ),
    error(
        "unsupported_grant_type",
        "the authorization server does not offer this grant",
        Who::You,
        &["check `address` and `authentication` of server {server}"],
    ),
    error(
        "temporarily_unavailable",
        "the authorization server is temporarily unavailable",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    error(
        "server_error",
        "the authorization server has an internal error",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
];
