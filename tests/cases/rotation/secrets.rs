//! Client secrets.

use super::{CLIENT, OLD, OWNED, Office};
use crate::killed;
use crate::standin::{App, GraphFault};
use std::fs;
use std::sync::atomic::Ordering::SeqCst;

#[test]
fn a_new_secret_takes_the_place_of_the_old_one_which_goes_later() {
    let office = Office::with_secret();
    office.world.chmod(&office.world.path("secret"), 0o400);
    let ran = office.rotate(&["--json", "-vv"]).succeeds();
    let told = office.hides_secrets(ran).json();
    let new = office.secret();
    assert_eq!(office.registered(), [OLD, &new]);
    assert_eq!(office.world.mode(&office.world.path("secret")), 0o400);
    assert_eq!(office.kept(), 0);
    assert_eq!(
        (&told["renewed"], &told["removed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(told["credential"], "secret");
    office.signs_in("after the renewal");
    // Its end is where the program looks for it.
    let end = &told["expires"].as_str().unwrap()[..10];
    let config = office.world.config();
    assert!(
        config.contains(&format!("secret_expires: '{end}'")),
        "{config}"
    );

    // Nothing more is made while the old one is there.
    let again = office.rotate(&[]).succeeds();
    again.shows("the old secret stays valid; the first run after ");
    assert_eq!(office.registered(), [OLD, &new]);
    let status = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(status["rotations"][0]["step"], "installed");
    assert_eq!(status["rotations"][0]["server"], "Contoso");
    office
        .world
        .run(["status"])
        .succeeds()
        .shows("the old secret of server `Contoso` is to be removed after ");

    office
        .rotate(&["--finish"])
        .succeeds()
        .prints("removed the old secret of server `Contoso`\n");
    assert_eq!(office.registered(), [new.as_str()]);
    office.signs_in("after the old one is gone");
    let status = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(status["rotations"], serde_json::json!([]));
    office
        .rotate(&["--finish"])
        .succeeds()
        .prints("unchanged\n");
}

#[test]
fn the_first_run_after_the_grace_removes_the_old_one_and_renews() {
    let office = Office::with_secret();
    office.rotate(&["--grace", "1s"]).succeeds();
    let second = office.secret();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    // From cron: the new one does not expire soon, and the old one goes.
    office
        .rotate(&["--if-expires-within", "30d"])
        .succeeds()
        .prints("removed the old secret of server `Contoso`\n");
    assert_eq!(office.registered(), [second.as_str()]);
    office
        .rotate(&["--if-expires-within", "30d"])
        .succeeds()
        .says_nothing();
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.registered(), [office.secret()]);
    assert_ne!(office.secret(), second);
    office.signs_in("in one go");
}

#[test]
fn cron_renews_what_expires_soon_and_says_nothing_else() {
    let office = Office::with_secret();
    let within = |time: &str| office.rotate(&["--if-expires-within", time]);
    // The file does not say when it ends; the app registration does (2027-06-30).
    within("30d").succeeds().says_nothing();
    assert_eq!(office.registered(), [OLD]);
    within("700d")
        .succeeds()
        .shows("renewed the secret of server `Contoso`");
    assert_eq!(office.registered().len(), 2);
}

#[test]
fn nobody_is_asked_where_the_configuration_tells_the_end() {
    let office = Office::with_secret();
    let end = "secret: { file: '{home}/secret' }\n    secret_expires: '2099-01-01'";
    office.configure(end, "");
    let within = || office.rotate(&["--if-expires-within", "30d"]);
    within().succeeds().says_nothing();
    let json = within().args(["--json"]).succeeds().json();
    assert!(office.m365.token_requests().is_empty());
    assert_eq!(
        (&json["renewed"], &json["expires"]),
        (&false.into(), &"2099-01-01T00:00:00Z".into())
    );
}

#[test]
fn a_secret_in_the_configuration_is_replaced_there() {
    let office = Office::new(App::default(), &format!("secret: {OLD} # ours"));
    office.reset_secret();
    let ran = office.rotate(&["--grace", "0s", "-vv"]).succeeds();
    office.hides_secrets(ran);
    let config = office.world.config();
    assert!(
        !config.contains(OLD) && config.contains("graph:"),
        "{config}"
    );
    assert_eq!(office.world.mode(&office.world.config_path()), 0o600);
    let [secret] = &office.registered()[..] else {
        panic!("one secret")
    };
    assert!(config.contains(secret.as_str()), "{config}");
    office.signs_in("from the configuration");
}

#[test]
fn entra_may_take_its_time_and_the_next_run_goes_on_with_the_same_secret() {
    let office = Office::with_secret();
    office.m365.faults().new_keys_unknown.store(1, SeqCst);
    office
        .rotate(&["-v"])
        .succeeds()
        .mentions("Entra ID does not accept the new credential yet; trying again in 1 s");
    office.rotate(&["--finish"]).succeeds();
    let before = office.secret();

    office.m365.change_app(CLIENT, |app| app.new_keys.clear());
    office.m365.faults().new_keys_unknown.store(1, SeqCst);
    office
        .rotate(&["--wait", "0s"])
        .fails(75)
        .says("rotate_not_yet");
    assert_eq!(office.secret(), before, "the old one stays in use");
    let two = office.registered();
    assert_eq!(two.len(), 2);
    office.signs_in("with the old one");
    assert_eq!(office.kept(), 1);
    office.rotate(&[]).succeeds();
    assert_eq!(office.registered(), two, "no third one");
    assert_eq!(office.secret(), two[1]);
    assert_eq!(office.kept(), 0);
}

#[test]
fn a_secret_whose_value_never_arrived_is_removed() {
    let office = Office::with_secret();
    let faults = &office.m365.faults().graph;
    faults.next(1, "/addPassword", GraphFault::ActThenClose);
    office.rotate(&[]).fails(75);
    assert_eq!(office.registered().len(), 2);
    assert_eq!(office.secret(), OLD);
    let told = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(told["rotations"][0]["step"], "begun");
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.registered(), [office.secret()]);
    assert_ne!(office.secret(), OLD);
}

/// The new one is kept by the machine that made it, which may be gone.
#[test]
fn a_new_secret_that_is_lost_is_removed_and_another_one_made() {
    let office = Office::with_secret();
    office.m365.faults().new_keys_unknown.store(1, SeqCst);
    office.rotate(&["--wait", "0s"]).fails(75);
    fs::remove_dir_all(office.world.state_dir().join("rotation")).unwrap();
    let lost = office.registered().pop().unwrap();
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.registered(), [office.secret()]);
    assert_ne!(office.secret(), lost);
    office.signs_in("with another one");
}

/// The machine that made it put it into its place, where other hosts find it, and was gone before
/// that was on record: it is the only one that can still sign in.
#[test]
fn a_new_secret_that_is_in_its_place_already_is_not_removed() {
    let office = Office::with_secret();
    let is_there = (10..40).any(|n| {
        office.reset_secret();
        let _ = fs::remove_dir_all(office.world.state_dir());
        office.rotate(&[]).under(killed::killing("fsync", n)).ends();
        let told = office.world.run(["status", "--json"]).succeeds().json();
        office.secret() != OLD && told["rotations"][0]["step"] == "registered"
    });
    assert!(is_there, "no kill came in between");
    let made = office.secret();
    fs::remove_dir_all(office.world.state_dir().join("rotation")).unwrap();
    office.rotate(&["--grace", "0s"]).succeeds();
    assert_eq!(office.secret(), made);
    assert_eq!(office.registered(), [made]);
    office.signs_in("with the one that was in its place");
}

#[test]
fn a_dry_run_changes_nothing() {
    let office = Office::with_secret();
    office
        .rotate(&["--dry-run"])
        .succeeds()
        .prints("would renew the secret of server `Contoso` in `HOME/secret`\n");
    assert_eq!(office.registered(), [OLD]);
    office.rotate(&[]).succeeds();
    let two = office.registered();
    office
        .rotate(&["--dry-run", "--finish"])
        .succeeds()
        .prints("would remove the old secret of server `Contoso`\n");
    assert_eq!(office.registered(), two);
}

#[test]
fn of_several_secrets_that_look_alike_none_is_removed() {
    let office = Office::with_secret();
    let twin = format!("{}-another", &OLD[..3]);
    let copy = twin.clone();
    office
        .m365
        .change_app(CLIENT, |app| app.more_secrets.push(copy));
    office
        .rotate(&["--grace", "0s"])
        .succeeds()
        .mentions("queuemail cannot tell which secret of the app registration is the old one");
    assert_eq!(office.registered(), [OLD, &twin, &office.secret()]);
    // A person can tell.
    office.reset_secret();
    office
        .m365
        .change_app(CLIENT, |app| app.more_secrets.push(twin.clone()));
    let id = crate::standin::key_id(OLD.as_bytes());
    office
        .rotate(&["--grace", "0s", "--key-id", &id])
        .succeeds();
    assert_eq!(office.registered(), [twin, office.secret()]);
}

#[test]
fn what_a_person_put_there_meanwhile_is_not_cut_off() {
    let office = Office::with_secret();
    office.rotate(&["--grace", "0s"]).succeeds();
    let first = office.secret();
    office.rotate(&[]).succeeds();
    let second = office.secret();
    // A backup brings the one before back, which is still valid.
    office.world.write("secret", format!("{first}\n"));
    office.signs_in("with the old one");
    let due = ["--json", "--finish"];
    let told = office.rotate(&due).succeeds().json();
    assert_eq!(told["removed"], false);
    assert!(
        told["notes"][0]
            .as_str()
            .unwrap()
            .contains("holds another secret"),
        "{told}"
    );
    assert_eq!(office.registered(), [first.as_str(), &second]);
    office.signs_in("with the old one, still");
}

#[test]
fn an_outgoing_server_renews_the_secret_of_its_app() {
    let office = Office::with_secret();
    let tenant = office.m365.tenant();
    let ca = office.m365.ca_file().display();
    let out = format!(
        "outgoing_servers:
  - {{ name: Out, tenant: {tenant}, authentication: oauth-service, app: Contoso, user: a@contoso.example, smtp: '{}', graph: '{}', ca_file: '{ca}' }}
",
        office.m365.smtp_url(),
        office.m365.graph_url(),
    );
    office.configure("secret: { file: '{home}/secret' }", &out);
    office
        .world
        .run(["server", "rotate", "Out", "--grace", "0s"])
        .succeeds();
    assert_eq!(office.registered(), [office.secret()]);
    assert!(office.app().roles.contains(&OWNED));
    office.signs_in("the incoming server");
}
