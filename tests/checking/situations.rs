//! The situations that the field knows (a token, a permission, a switch, a network gone wrong),
//! played by the stand-in: `check` stops at the right step and names cause and remedy.

use super::{SUPPORT, app, check, first_cross, office, office_with, person, rewrite, says};
use crate::standin::{App, ImapFault, SmtpAt, SmtpFault, TokenFault, User};
use crate::tokens::{CLIENT, Home};
use std::io::{Read, Write};
use std::sync::atomic::Ordering::SeqCst;

/// One test for each: `name, exit code, step of the first cross, the office`.
macro_rules! situations {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $step:literal, $office:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let home: Home = $office;
            let json = check(&home, &[SUPPORT], $code);
            says(&home, &json, $step, stringify!($name));
        }
    )*};
}

fn with_app(app: App) -> Home {
    let home = office();
    home.standin.add_app(app);
    home
}

/// The token endpoint answers with this code, however often it is asked.
fn aadsts(home: Home, code: u32) -> Home {
    home.standin
        .faults()
        .token_next(20, TokenFault::Aadsts(code));
    home
}

fn user(change: impl FnOnce(&mut User)) -> Home {
    let home = person();
    let mut user = User {
        address: "eva@contoso.com".into(),
        password: "right".into(),
        ..User::default()
    };
    change(&mut user);
    home.standin.add_user(user);
    home
}

fn faulty(work: impl FnOnce(&Home)) -> Home {
    let home = office();
    work(&home);
    home
}

fn smtp_auth(reply: &str) -> Home {
    faulty(|home| {
        let fault = SmtpFault::Reply(reply.into());
        home.standin.faults().smtp_next(20, SmtpAt::Auth, fault);
    })
}

situations! {
    // ---- the app's credential
    secret_wrong, 77, "token", with_app(App { secret: Some("another".into()), ..app() });
    secret_expired, 77, "token", with_app(App { secret_expired: true, ..app() });
    secret_missing, 77, "token", {
        let home = person();
        home.standin.add_app(App { secret: Some("s".into()), ..App::default() });
        home
    };
    secret_of_public_client, 77, "token", {
        let home = person();
        rewrite(&home, "    ca_file", "    secret: s\n    ca_file");
        home
    };
    certificate_unknown, 77, "token", aadsts(office(), 700027);
    clock_wrong, 77, "token", aadsts(office(), 700024);
    federation_mismatch, 77, "token", aadsts(office(), 700213);
    // ---- the app and its tenant
    app_unknown, 77, "token", faulty(|home| rewrite(home, CLIENT, "33333333-3333-4444-5555-666666666666"));
    app_without_principal, 77, "token", aadsts(office(), 7000229);
    app_disabled, 77, "token", aadsts(office(), 7000112);
    tenant_unknown, 77, "token", faulty(|home| rewrite(home, home.standin.tenant(), "nowhere.example"));
    cloud_wrong, 77, "token", aadsts(office(), 90038);
    // ---- the person
    password_wrong, 77, "token", user(|u| u.password = "changed".into());
    account_locked, 77, "token", aadsts(person(), 50053);
    account_disabled, 77, "token", user(|u| u.disabled = true);
    account_unknown, 77, "token", aadsts(person(), 50034);
    password_expired, 77, "token", user(|u| u.password_expired = true);
    factor_demanded, 77, "token", user(|u| u.mfa = true);
    factor_to_register, 77, "token", aadsts(person(), 50079);
    account_not_assigned, 77, "token", aadsts(person(), 50105);
    access_blocked, 77, "token", user(|u| u.blocked = true);
    device_demanded, 77, "token", aadsts(person(), 53000);
    security_defaults, 77, "token", aadsts(person(), 530035);
    refresh_idle, 77, "token", aadsts(person(), 700082);
    refresh_revoked, 77, "token", aadsts(person(), 50173);
    nobody_signed_in, 77, "token", {
        let home = person();
        rewrite(&home, "        password: right\n", "");
        home
    };
    // ---- consent and scope
    consent_missing, 77, "token", {
        let home = person();
        home.standin.add_app(App { public: true, delegated: vec!["User.Read"], ..App::default() });
        home
    };
    scope_unknown, 77, "token", office_with("scope: https://outlook.office.con/.default", "", "");
    scope_not_default, 77, "token", office_with("scope: https://outlook.office365.com/IMAP.AccessAsApp", "", "");
    redirect_unknown, 77, "token", aadsts(person(), 50011);
    old_tls, 77, "token", aadsts(office(), 1002016);
    // ---- the token endpoint
    page_of_a_proxy, 75, "token", faulty(|home| home.standin.faults().token_next(20, TokenFault::Html(200)));
    login_throttled, 75, "token", faulty(|home| {
        home.standin.faults().token_next(20, TokenFault::Status(429, Some(17)));
    });
    login_host_unknown, 75, "token", faulty(|home| {
        let login = home.standin.login_url();
        rewrite(home, &format!("{login}/"), "https://login.invalid/");
    });
    // ---- what the token says
    token_of_graph, 77, "claims", faulty(|home| {
        let graph = "https://graph.microsoft.com".to_owned();
        *home.standin.faults().audience.lock().unwrap() = Some(graph);
    });
    role_missing, 77, "claims", faulty(|home| home.standin.faults().no_roles.store(true, SeqCst));
    scope_missing, 77, "claims", {
        let home = person();
        home.standin.faults().no_roles.store(true, SeqCst);
        home
    };
    // ---- Exchange
    principal_missing, 77, "sign-in", with_app(App { in_exchange: false, ..app() });
    imap_off, 77, "mailbox", faulty(|home| home.standin.set_imap_enabled(SUPPORT, false));
    principal_missing_for_reader, 77, "sign-in", {
        let home = with_app(App { in_exchange: false, ..app() });
        rewrite(&home, "        sender: true\n        outgoing_server: Contoso out\n", "");
        home
    };
    right_missing, 77, "mailbox", faulty(|home| home.standin.revoke(CLIENT, SUPPORT));
    right_of_person_missing, 77, "mailbox", {
        let home = person();
        home.standin.revoke("eva@contoso.com", SUPPORT);
        home
    };
    throttled, 75, "sign-in", faulty(|home| {
        let fault = ImapFault::Throttled { milliseconds: 299_910, bye: true };
        home.standin.faults().imap_sign_in_next(20, fault);
    });
    unavailable, 75, "sign-in", faulty(|home| {
        let fault = ImapFault::Reply("NO Server Unavailable. 15".into());
        home.standin.faults().imap_sign_in_next(20, fault);
    });
    session_ended, 75, "mailbox", faulty(|home| {
        let fault = ImapFault::Bye("Session invalidated - AccessTokenExpired".into());
        home.standin.faults().imap_at(1, fault);
    });
    folder_missing, 78, "folders", office_with("", "", "folders: [INBOX, Archiv]");
    // ---- the network
    host_unknown, 75, "name", faulty(|home| rewrite(home, &home.standin.imap_url(), "imaps://imap.invalid"));
    port_closed, 75, "connection", faulty(|home| rewrite(home, &home.standin.imap_url(), "imaps://localhost:1"));
    port_of_starttls, 75, "tls", faulty(|home| {
        rewrite(home, &home.standin.imap_url(), &format!("imaps://localhost:{}", home.standin.smtp_port()));
    });
    port_of_another_protocol, 78, "sign-in", faulty(|home| {
        rewrite(home, &home.standin.imap_url(), &format!("imaps://localhost:{}", home.standin.smtps_port()));
    });
    port_of_pop, 78, "sign-in", faulty(|home| {
        let greeting = "+OK The Microsoft Exchange POP3 service is ready.\r\n-ERR Protocol error. 19\r\n";
        host_of(home, &["localhost"], greeting);
    });
    authority_unknown, 69, "smtp tls", faulty(|home| {
        // Reading trusts the authority, sending another one.
        let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let path = home.write("other.pem", &other.cert.pem());
        rewrite(home, "    smtp: ", &format!("    ca_file: {}\n    smtp: ", path.display()));
    });
    host_of_another_certificate, 69, "tls", faulty(|home| host_of(home, &["other.example"], ""));
    certificate_without_names, 69, "tls", faulty(|home| host_of(home, &[], ""));
    // ---- sending
    smtp_off, 77, "smtp sign-in", faulty(|home| home.standin.set_smtp_disabled(SUPPORT, true));
    smtp_off_for_tenant, 77, "smtp sign-in", smtp_auth("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.");
    smtp_policy, 77, "smtp sign-in", smtp_auth("535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.");
    smtp_role_missing, 77, "smtp claims", with_app(App { roles: vec!["IMAP.AccessAsApp"], ..app() });
    smtp_refused, 77, "smtp sign-in", smtp_auth("535 5.7.3 Authentication unsuccessful [AM0PR01CA0123.eurprd01.prod.exchangelabs.com]");
    smtp_busy, 75, "smtp sign-in", smtp_auth("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.");
    smtp_without_tls, 69, "smtp tls", faulty(|home| home.standin.faults().smtp_no_starttls.store(true, SeqCst));
    smtp_restarts, 75, "smtp sign-in", smtp_auth("451 4.7.0 Temporary server error. Please try again later.");
    outgoing_disabled, 78, "outgoing server", office_with("", "enabled: false", "");
    // ---- this machine
    secret_file_missing, 78, "files", faulty(|home| {
        rewrite(home, &format!("secret: {}", super::SECRET), "secret: { file: nowhere }");
    });
    delivery_in_the_way, 73, "delivery", faulty(|home| {
        home.write("mail", "a file");
    });
    delivery_program_missing, 73, "delivery", faulty(|home| {
        let target = format!("maildir:{}/mail", home.folder.path().display());
        rewrite(home, &target, "command:no-such-program --now");
    });
    delivery_unknown, 78, "delivery", faulty(|home| {
        let target = format!("        deliver: maildir:{}/mail\n", home.folder.path().display());
        rewrite(home, &target, "");
    });
    // ---- what ends by itself
    secret_ends_soon, 75, "secret", {
        let day = jiff::Timestamp::from_second(now() + 10 * 86_400 + 3600).unwrap();
        let home = office_with(&format!("secret_expires: {}", &day.to_string()[..10]), "", "");
        rewrite(&home, "        sender: true\n        outgoing_server: Contoso out\n", "");
        home
    };
}

/// Reads from a host whose certificate, which is trusted and of `localhost` by its subject, has
/// these names, and that says these words.
fn host_of(home: &Home, names: &[&str], words: &'static str) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    let subject = &mut params.distinguished_name;
    subject.push(rcgen::DnType::CommonName, "localhost");
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let path = home.write("other.pem", &pem);
    let key = key.serialize_pem();
    let identity = native_tls::Identity::from_pkcs8(pem.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if let Ok(mut tls) = acceptor.accept(stream) {
                let _ = tls.write_all(words.as_bytes());
                // The client hangs up.
                let _ = tls.read_to_end(&mut Vec::new());
            }
        }
    });
    // The login host keeps its authority, so that a token is there.
    let both = std::fs::read_to_string(home.standin.ca_file()).unwrap() + &pem;
    std::fs::write(&path, both).unwrap();
    let ca = home.standin.ca_file().display().to_string();
    rewrite(home, &ca, &path.display().to_string());
    rewrite(
        home,
        &home.standin.imap_url(),
        &format!("imaps://localhost:{port}"),
    );
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A second mailbox of the same app, which works.
fn two() -> Home {
    let home = office();
    home.standin.add_mailbox("billing@contoso.com");
    home.standin.grant(CLIENT, "billing@contoso.com");
    let text = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let more =
        "      - address: billing@contoso.com\n        server: Contoso\n        deliver: stdout\n";
    home.write("config.yaml", &format!("{text}{more}"));
    home
}

/// An authority of one's own does not help there.
#[test]
fn a_certificate_of_other_names_has_a_remedy_of_its_own() {
    for (host, said) in [("localhost", "hostname"), ("127.0.0.1", "IP address")] {
        let home = office();
        host_of(&home, &["other.example"], "");
        rewrite(&home, "imaps://localhost:", &format!("imaps://{host}:"));
        let json = check(&home, &[], 69);
        let step = first_cross(&json);
        let words = step.to_string();
        assert!(words.contains(&format!("{said} mismatch")), "{words}");
        assert!(
            words.contains("the certificate belongs to another host"),
            "{words}"
        );
        let ran = home.run(&["fetch", "--deliver", "stdout"]);
        assert_eq!(ran.code, 69, "{ran:?}");
        assert!(ran.stderr.contains("it has other names"), "{ran:?}");
        assert!(!ran.stderr.contains("ca_file"), "{ran:?}");
    }
}

/// SMTP knows the app, so it is known to Exchange.
#[test]
fn imap_refuses_whom_smtp_lets_in() {
    let home = office();
    let fault = ImapFault::Reply("NO AUTHENTICATE failed.".into());
    home.standin.faults().imap_sign_in_next(5, fault);
    let json = check(&home, &[], 77);
    says(&home, &json, "sign-in", "imap_refuses_whom_smtp_lets_in");
}

/// The refusal of one mailbox means something else where another of the app opens.
#[test]
fn address_wrong_where_another_opens() {
    let home = two();
    rewrite(
        &home,
        &format!("address: {SUPPORT}"),
        "address: suport@contoso.com",
    );
    rewrite(
        &home,
        "        sender: true\n        outgoing_server: Contoso out\n",
        "",
    );
    let json = check(&home, &["support"], 77);
    says(&home, &json, "sign-in", "address_wrong_where_another_opens");
    assert_eq!(json["checked"][1]["ok"], true);
}

/// Both opened before and none does now: the service.
#[test]
fn outage() {
    let home = two();
    home.run(&["fetch"]).succeeds();
    home.standin.faults().imap_not_connected.store(20, SeqCst);
    let json = check(&home, &[], 75);
    says(&home, &json, "mailbox", "outage");
}

/// A token of before a permission was granted is not what is looked at.
#[test]
fn a_permission_granted_since_is_seen() {
    let home = with_app(App {
        roles: vec![],
        ..app()
    });
    let _ = home.run(&["token", "get", SUPPORT]);
    home.standin.add_app(app());
    check(&home, &[], 0);
}

/// The new front end of 2026: other greeting, other capabilities.
#[test]
fn the_new_front_end_is_no_fault() {
    let home = office();
    home.standin.faults().imap_new_front_end.store(true, SeqCst);
    check(&home, &[], 0);
}
