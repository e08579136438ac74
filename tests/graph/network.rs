//! The way to the service: proxies, authorities of one's own, and answers that lead elsewhere.

use super::{Office, SUPPORT};
use crate::servers::proxy;
use crate::standin::{GraphFault, Standin};
use openssl::x509::X509;
use std::path::Path;

#[test]
fn sign_in_and_graph_go_through_the_proxy_but_for_what_is_direct() {
    let office = Office::new("graph");
    office.deliver("INBOX", 0);
    let (url, targets) = proxy::connect(None);
    office
        .fetch()
        .env("HTTPS_PROXY", &url)
        .succeeds()
        .says_nothing();
    office.holds([0]);
    let seen = targets.lock().unwrap().drain(..).collect::<Vec<_>>();
    assert!(!seen.is_empty() && seen.iter().all(|target| target.starts_with("localhost:")));
    let send = |proxy: &str, direct: &str| {
        let text = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
        let run = office.world.run(["send", "-t"]).stdin(text);
        run.env("ALL_PROXY", proxy).env("NO_PROXY", direct)
    };
    send(&url, "").succeeds();
    assert!(!targets.lock().unwrap().is_empty());
    // Nobody is there, and nobody is needed.
    send("http://127.0.0.1:9", ".localhost").succeeds();
    send("http://127.0.0.1:9", "").fails(75);
    assert_eq!(office.m365.submitted().len(), 2);
}

#[test]
fn an_authority_of_ones_own_is_trusted_by_its_variable_too() {
    for via in ["imap", "graph"] {
        let office = Office::new(via);
        office.deliver("INBOX", 0);
        let config = office.world.config();
        let (before, after) = config.split_once("    ca_file:").unwrap();
        let (_, after) = after.split_once('\n').unwrap();
        office.world.write_config(format!("{before}{after}"));
        office.fetch().fails(69).mentions("is not trusted");
        let ca = office.m365.ca_file();
        office.fetch().env("SSL_CERT_FILE", ca).succeeds();
        office.holds([0]);
        let text = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
        let send = || office.world.run(["send", "-t"]).stdin(text.clone());
        send().env("SSL_CERT_FILE", ca).succeeds();
        // The token is there, so that it is the mail host's certificate which is not trusted.
        send().fails(69).mentions("is not trusted");
        assert_eq!(office.m365.submitted().len(), 1);
    }
}

/// RFC 9525 §1.1: of a certificate, the subjectAltName alone tells whose it is.
#[test]
fn a_certificate_whose_subject_alone_names_the_host_is_refused() {
    type Url = fn(&Standin) -> String;
    let ways: [(&str, Url); 5] = [
        ("imap", Standin::imap_url),
        ("imap", Standin::smtp_url),
        ("imap", Standin::smtps_url),
        ("graph", Standin::graph_url),
        ("graph", Standin::login_url),
    ];
    for names in [[].as_slice(), &["127.0.0.1"]] {
        let other = Standin::start_named(names);
        for (via, url) in ways {
            let office = Office::new(via);
            office.deliver("INBOX", 0);
            let both =
                [&office.m365, &other].map(|m365| std::fs::read_to_string(m365.ca_file()).unwrap());
            let both = office.world.write("both.pem", both.concat());
            let config = office.world.config();
            let ca = office.m365.ca_file().display().to_string();
            let (good, bad) = match url(&office.m365).starts_with("smtp") {
                true => (office.m365.smtp_url(), url(&other)),
                false => (url(&office.m365), url(&other)),
            };
            let config = config.replace(&good, &bad);
            office
                .world
                .write_config(config.replace(&ca, &both.display().to_string()));
            let run = match bad.starts_with("smtp") {
                true => office
                    .world
                    .run(["send", "-t"])
                    .stdin(format!("From: {SUPPORT}\nTo: a@fabrikam.example\n\nx\n")),
                false => office.fetch(),
            };
            run.fails(69)
                .mentions("certificate of `localhost` is not trusted: it has no subjectAltName")
                .mentions("to reissue the certificate with subjectAltName=DNS:localhost");
            office.holds([]);
            assert_eq!(office.m365.submitted().len(), 0);
        }
    }
}

/// What keeps TLS from coming about is the proxy, or lies behind it: both are named.
#[test]
fn a_tls_error_on_the_way_through_a_proxy_names_it() {
    let office = Office::new("graph");
    let run = |proxy: &str| office.fetch().env("HTTPS_PROXY", proxy);
    // One that does not speak TLS itself.
    let (url, _) = proxy::connect(None);
    let place = url.replace("http://127.0.0.1", "localhost");
    run(&format!("https://user:pAssw0rd@{place}"))
        .fails(75)
        .mentions(&format!("cannot reach `localhost` through the proxy `{place}`: the TLS handshake with `localhost` failed"))
        .mentions(&format!("HTTPS_PROXY=http://{place}"))
        .hides("pAssw0rd")
        .hides("imaps://");
    // One of an authority that nobody knows, and one that stands before such a host.
    let other = Standin::start();
    let place = other.login_url().replace("https://", "");
    run(&format!("https://{place}")).fails(69).mentions(&format!(
        "cannot reach `localhost` through the proxy `{place}`: the certificate of `localhost` is not trusted"
    ));
    let port = place.rsplit(':').next().unwrap().parse().unwrap();
    let (url, _) = proxy::connect(Some(port));
    let place = url.replace("http://", "");
    run(&url).fails(69).mentions(&format!(
        "through the proxy `{place}`: the certificate of `localhost` is not trusted"
    ));
}

#[test]
fn an_authority_is_found_by_its_name_in_a_folder_and_else_in_a_long_file() {
    let office = Office::new("imap");
    let config = office.world.config();
    let (before, after) = config.split_once("    ca_file:").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    office.world.write_config(format!("{before}{after}"));
    let ca = std::fs::read_to_string(office.m365.ca_file()).unwrap();
    let hash = X509::from_pem(ca.as_bytes()).unwrap().subject_name_hash();
    let folder = |name: &str, hash: u32| {
        let path = office.world.write(format!("{name}/{hash:08x}.0"), &ca);
        path.parent().unwrap().to_owned()
    };
    let by_name = folder("known", hash);
    let strangers = folder("strangers", hash ^ 1);
    // As long as a system's, in which the test's is the last.
    let long = office
        .world
        .write("long.pem", "# Others\n".repeat(20_000) + &ca);
    let none = office.world.write("none.pem", "# None\n");
    let mut n = 0;
    let mut trusts = |folder: &Path, file: &Path| {
        office.deliver("INBOX", n);
        n += 1;
        let fetch = office.fetch().env("SSL_CERT_DIR", folder);
        fetch.env("SSL_CERT_FILE", file).succeeds().says_nothing();
        office.holds(0..n);
        let text = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
        let send = office.world.run(["send", "-t"]).stdin(text);
        let send = send.env("SSL_CERT_DIR", folder);
        send.env("SSL_CERT_FILE", file).succeeds().says_nothing();
        assert_eq!(office.m365.submitted().len(), n);
    };
    trusts(&by_name, &none);
    trusts(&strangers, &long);
    trusts(Path::new("/nowhere"), &long);
    office.deliver("INBOX", n);
    let fetch = office.fetch().env("SSL_CERT_DIR", strangers);
    let refused = fetch.env("SSL_CERT_FILE", none).fails(69);
    refused.mentions("is not trusted");
    office.holds(0..n);
}

#[test]
fn an_answer_that_leads_elsewhere_gets_no_token() {
    let office = Office::new("graph");
    office.deliver("INBOX", 0);
    let other = Standin::start();
    for status in [301, 302, 307, 308] {
        let target = format!("{}/v1.0/me", other.login_url());
        let fault = GraphFault::Redirect(status, target);
        office
            .m365
            .faults()
            .graph
            .next(20, "/users/", fault.clone());
        let ran = office.fetch().ends();
        assert_ne!(ran.code, 0, "{ran}");
        office.m365.faults().graph.heal();
    }
    assert!(other.log().is_empty(), "{:#?}", other.log());
    office.fetch().succeeds();
    office.holds([0]);
}
