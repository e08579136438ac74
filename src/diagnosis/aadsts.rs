//! Entra ID: AADSTS codes, and RFC 6749's errors where a code is unknown.
//!
//! Meanings are from Microsoft's reference of error codes; the advice is ours.

use super::entry::{Entry, Who, code, error};

const LOGIN: &str = "sign in again: `queuemail token login {login}`";
const APP_ONLY: &str = "{if_person}or let the program sign in as itself: `{set_service}`";
const FEDERATED: &str = "{if_federated}compare issuer, subject and audience of the other identity provider's token with the federated credential of app {client_id}, letter case included";
const OWN_SCOPE: &str = "use the cloud's own scope: queuemail server set {server} --scope ''";
const CONSENT: &str = "an administrator grants consent at https://{login_host}/{tenant}/adminconsent?client_id={client_id}";
const POLICY: &str = "an administrator finds the policy in the sign-in logs by the correlation id, and excludes this account or app from it";

const CONSENT_PAGE: &str = "https://{login_host}/{tenant}/adminconsent?client_id={client_id}";
const SIGN_IN_LOGS: &str = "the sign-in logs at https://entra.microsoft.com show which policy, by correlation id {correlation}";

/// By AADSTS code.
pub static CODES: &[Entry] = &[
    // ---- the client's credential
    code(
        &[7000215, 70002],
        "the client secret is not one of this app's",
        Who::You,
        &[
            "usually the secret's ID (a GUID) was copied instead of its Value, or a shell damaged it; store the Value anew: `queuemail server set {app_server} --secret-stdin`",
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
        "the request held no secret, and the app registration is a confidential client",
        Who::Entra,
        &[
            "give the secret: `queuemail server set {app_server} --secret-stdin`",
            "or switch on \"Allow public client flows\" under Authentication of the app registration; a redirect to http://localhost belongs under \"Mobile and desktop applications\", not Web",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/{client_id}, Allow public client flows"),
    code(
        &[700025],
        "a secret was sent, and the app registration is a public client",
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
            "or the private key is another one's: both must print the same: `openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY`",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{client_id}, Certificates, Upload certificate: that of server {app_server}"),
    code(
        &[50012],
        "the signature of the assertion, or who made it, is not accepted",
        Who::Entra,
        &[
            "{if_certificate}upload the certificate of server {app_server} (its public part) under Certificates & secrets of app {client_id}; one that has expired is not accepted either",
            FEDERATED,
            "{if_federated}the issuer's keys must be readable for Entra ID, at the `jwks_uri` of ISSUER/.well-known/openid-configuration",
            "{if_secret}store the Value of a secret again: `queuemail server set {app_server} --secret-stdin`",
        ],
    ),
    code(
        &[700024],
        "the client assertion is outside its time of validity",
        Who::Network,
        &[
            "set this machine's clock: timedatectl set-ntp true",
            "{if_federated}or the token of the other identity provider has expired: whoever writes its file must renew it",
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
        "the application is not known in this tenant",
        Who::You,
        &[
            "check the client ID {client_id}: it is the Application (client) ID, not an object ID",
            "check the tenant {tenant}: the app must be registered there or consented to",
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
        "the tenant is not known at this login host",
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
        "the request does not tell which tenant it means",
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
        "this grant is not possible at /common or /consumers",
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
            "the account must be the user principal name, not an alias; repeated tries lock it",
        ],
    )
    .act("{set_password}"),
    code(
        &[50034],
        "the user does not exist in this tenant",
        Who::You,
        &[
            "check the tenant {tenant} and the account {account}: it must be the user principal name, an alias does not sign in",
        ],
    )
    .act("{set_account} NAME, with the user principal name, for an alias does not sign in"),
    code(
        &[50053],
        "the account is locked after too many wrong passwords, or the network address is blocked",
        Who::Person,
        &[
            "stop every job that signs in as {account} with an old password, then wait for the lock to end or let an administrator unblock the account",
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
        "no password is stored for this account in the cloud, usually because it is federated",
        Who::You,
        &[
            "sign in without a password here: `queuemail token login {login}`",
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
        "another factor than the password is demanded",
        Who::You,
        &[
            "a password alone cannot sign in; sign in once by hand: `queuemail token login {login}`",
            APP_ONLY,
        ],
    )
    .act("queuemail token login {login}"),
    code(
        &[50079, 50072, 53004],
        "the account must first be registered for multi-factor authentication",
        Who::Person,
        &[
            "{account} signs in once at https://aka.ms/mfasetup, then `queuemail token login {login}`",
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
        "the account is of another tenant and no guest here",
        Who::You,
        &["use the account's home tenant instead of {tenant}: `{set_tenant}TENANT`"],
    ),
    code(
        &[50000],
        "the token service has a fault of its own",
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
        "a policy demands a managed device or an approved app, which a command line is not",
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
            "or an administrator replaces security defaults by Conditional Access policies",
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
            "check that the permissions are of the resource asked for: IMAP and SMTP need those of \"Office 365 Exchange Online\", Graph its own",
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
        "the resource in the scope is not known in this tenant",
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
            "see whether the tenant still has Exchange Online licences: https://admin.microsoft.com",
            "else switch it on: Enterprise applications at https://entra.microsoft.com, \"Office 365 Exchange Online\" (for Graph \"Microsoft Graph\"), Properties, Enabled for users to sign in",
        ],
    ),
    code(
        &[70011, 28002, 28003, 1002012],
        "the scope is not valid for this grant",
        Who::You,
        &[
            OWN_SCOPE,
            "oauth-service takes one resource followed by /.default, like https://outlook.office365.com/.default",
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
        &["usually a proxy turned it into another one: check HTTPS_PROXY and NO_PROXY"],
    ),
    code(
        &[1002016],
        "the connection used TLS 1.0, 1.1 or an old cipher",
        Who::Network,
        &[
            "queuemail asks for TLS 1.2 at least, so a proxy in between breaks it open: bypass it with NO_PROXY={host}",
        ],
    )
    .act("NO_PROXY={host} queuemail check: queuemail asks for TLS 1.2 at least, so a proxy on the way made that connection"),
    code(
        &[50196],
        "the client asked for tokens in a loop",
        Who::You,
        &[
            "wait some minutes; check that no job asks with `--fresh` all the time, and that the state folder is kept between runs",
        ],
    ),
    code(
        &[90006, 90012, 90024, 90033, 50033, 90055],
        "the token service has a passing fault",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    code(
        &[80001, 80002, 80005, 80007, 80010, 80014],
        "the agent on premises that checks passwords cannot be reached or fails",
        Who::Entra,
        &[
            "try again later; if it lasts, the directory team looks at the pass-through authentication agents",
        ],
    ),
    code(
        &[90072, 700005, 16000],
        "the account or code belongs to another tenant, or the account is not clear",
        Who::You,
        &[
            "use the account's home tenant instead of {tenant}: `{set_tenant}TENANT`",
            "and name the account in full: `{set_account} NAME`",
        ],
    ),
    // ---- signing in by hand
    code(
        &[501481, 50147, 501491],
        "the code was asked for by another sign-in",
        Who::Person,
        &["begin again, and finish one sign-in before the next: `queuemail token login {login}`"],
    ),
    code(
        &[54005],
        "the code was used already or has expired",
        Who::Person,
        &["begin again: `queuemail token login {login}`"],
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
        "the redirect address is registered as that of a single-page application",
        Who::Entra,
        &[
            "move http://localhost from \"Single-page application\" to \"Mobile and desktop applications\" in Authentication of app {client_id}",
        ],
    )
    .act("https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/{client_id}, http://localhost from Single-page application to Mobile and desktop applications"),
    code(
        &[70016],
        "the sign-in with a device code is not finished yet",
        Who::Person,
        &["open the page and enter the code that `queuemail token login` shows"],
    ),
    code(
        &[70018, 70019, 70020],
        "the device code is wrong or has expired",
        Who::Person,
        &["begin again: `queuemail token login {login} --device`"],
    ),
    code(
        &[50134],
        "the sign-in went to another data centre",
        Who::Person,
        &["begin again: `queuemail token login {login}`"],
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
        "the app may not use this grant, or is not known in the tenant",
        Who::Entra,
        &[
            "check client ID {client_id} and tenant {tenant}; the app must be registered or consented to there",
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
        "a person must take part in the sign-in",
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
        &["begin again: `queuemail token login {login} --device`"],
    ),
    error(
        "invalid_scope",
        "the scope is not valid",
        Who::You,
        &[OWN_SCOPE],
    ),
    error(
        "invalid_resource",
        "the resource in the scope is not known in this tenant",
        Who::You,
        &[OWN_SCOPE, "or the tenant has no Exchange Online"],
    ),
    error(
        "invalid_request",
        "the request lacks something or holds something malformed",
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
        "the authorization server cannot answer now",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
    error(
        "server_error",
        "the authorization server has a fault of its own",
        Who::Nobody,
        &["try again later; an outage is shown at https://status.cloud.microsoft"],
    ),
];
