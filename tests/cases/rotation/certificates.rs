//! Certificates, in each form in which their files are.

use super::{CLIENT, Office};
use crate::standin::{App, jwt, key_id};
use std::fs;

/// An app with the certificate in these files, which has no permission of Graph beyond `roles`.
fn office(credential: &str, roles: &[&'static str]) -> Office {
    let office = Office::new(App::default(), credential);
    office.openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=t", "-keyout",
        "key.pem", "-out", "cert.pem",
    ]);
    office.world.chmod(&office.world.path("key.pem"), 0o600);
    let read = |name: &str| fs::read_to_string(office.world.path(name)).unwrap();
    let (key, certificate) = (read("key.pem"), read("cert.pem"));
    office
        .world
        .write("both.pem", format!("{key}{certificate}"));
    office.world.write("passphrase", "pass of the file\n");
    office.openssl(&[
        "pkcs12",
        "-export",
        "-inkey",
        "key.pem",
        "-in",
        "cert.pem",
        "-out",
        "app.pfx",
        "-passout",
        "pass:pass of the file",
    ]);
    office.world.chmod(&office.world.path("app.pfx"), 0o600);
    office.m365.add_app(App {
        certificates: vec![certificate],
        roles: [&["IMAP.AccessAsApp"], roles].concat(),
        ..App::default()
    });
    office
}

pub const TWO_FILES: &str = "certificate: '{home}/cert.pem'\n    private_key: '{home}/key.pem'";
const PFX: &str =
    "certificate: '{home}/app.pfx'\n    certificate_passphrase: { file: '{home}/passphrase' }";
const READ: &str = "Application.Read.All";

pub fn with_two_files() -> Office {
    office(TWO_FILES, &[READ])
}

#[test]
fn each_form_is_renewed_without_a_permission_to_write() {
    for credential in [TWO_FILES, "certificate: '{home}/both.pem'", PFX] {
        let office = office(credential, &[READ]);
        office.signs_in(credential);
        let old = office.app().certificates;
        let ran = office.rotate(&["-vv", "--json", "--days", "90"]).succeeds();
        let told = office.hides_secrets(ran).json();
        let two = office.app().certificates;
        assert_eq!((two.len(), &two[0]), (2, &old[0]), "{credential}");
        assert_eq!(told["key_id"], key_id(&jwt::der(&two[1])));
        assert_eq!(told["old_key_id"], key_id(&jwt::der(&two[0])));
        office.signs_in(credential);
        assert_eq!(office.kept(), 0);
        office
            .rotate(&["--finish"])
            .succeeds()
            .prints("removed the old certificate of server `Contoso`\n");
        assert_eq!(office.app().certificates, two[1..], "{credential}");
        office.signs_in(credential);
        // It tells its own end, in 90 days.
        office
            .rotate(&["--if-expires-within", "80d"])
            .succeeds()
            .says_nothing();
        office
            .rotate(&["--if-expires-within", "100d", "--grace", "0s"])
            .succeeds();
        assert_eq!(office.app().certificates.len(), 1, "{credential}");
        office.signs_in(credential);
    }
}

#[test]
fn the_files_keep_their_permissions_and_the_old_chain_goes() {
    let office = with_two_files();
    for (file, mode) in [("cert.pem", 0o644), ("key.pem", 0o400)] {
        office.world.chmod(&office.world.path(file), mode);
    }
    office.rotate(&["--grace", "0s"]).succeeds();
    for (file, mode) in [("cert.pem", 0o644), ("key.pem", 0o400)] {
        assert_eq!(office.world.mode(&office.world.path(file)), mode, "{file}");
    }
    let text = fs::read_to_string(office.world.path("cert.pem")).unwrap();
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1);
    assert_eq!(office.app().certificates, [text]);
}

/// Without any permission of Graph: the Object ID is given once, and then known.
#[test]
fn an_app_that_may_not_read_its_registration_is_told_its_object_id() {
    let office = office(TWO_FILES, &[]);
    office.rotate(&[]).fails(77).says("rotate_object_id");
    let id = office.app().registration_id;
    office
        .rotate(&["--object-id", &id, "--grace", "0s"])
        .succeeds()
        .mentions("queuemail cannot tell which certificate of the app registration is the old one");
    assert_eq!(office.app().certificates.len(), 2);
    // From now on its key ID is known.
    office.rotate(&["--grace", "0s"]).succeeds();
    let left = office.app().certificates;
    assert_eq!(left.len(), 2, "the first one is a person's");
    let present = fs::read_to_string(office.world.path("cert.pem")).unwrap();
    assert_eq!(left[1], present);
    office.signs_in("without any permission");
    let wrong = "11111111-1111-1111-1111-111111111111";
    office
        .rotate(&["--object-id", wrong])
        .fails(69)
        .mentions("Request_ResourceNotFound");
}

#[test]
fn an_expired_certificate_proves_nothing_and_nothing_is_made() {
    let office = with_two_files();
    office
        .m365
        .change_app(CLIENT, |app| app.certificates.clear());
    office
        .rotate(&[])
        .fails(77)
        .mentions("cannot get a token for server `Contoso`")
        .mentions("AADSTS700027");
    let told = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(told["rotations"], serde_json::json!([]));
}

#[test]
fn a_renewal_that_broke_off_after_the_certificate_arrived_makes_no_second_one() {
    for roles in [&[READ][..], &[]] {
        let office = office(TWO_FILES, roles);
        let id = office.app().registration_id;
        let args = ["--object-id", &id, "--grace", "0s"];
        let faults = &office.m365.faults().graph;
        faults.next(1, "/addKey", crate::standin::GraphFault::ActThenClose);
        office.rotate(&args).fails(75);
        let two = office.app().certificates;
        assert_eq!(two.len(), 2);
        office.signs_in("with the old one");
        office.rotate(&args).succeeds();
        let present = fs::read_to_string(office.world.path("cert.pem")).unwrap();
        assert_eq!(present, two[1], "{roles:?}");
        office.signs_in("with the new one");
    }
}
