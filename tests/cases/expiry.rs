//! What ends by itself is told 30 days ahead: by `status`, its metrics, and where it is recorded.

use crate::world::World;

fn day(from_now: i64) -> String {
    let seconds = jiff::Timestamp::now().as_second() + from_now * 86_400;
    jiff::Timestamp::from_second(seconds).unwrap().to_string()[..10].to_owned()
}

#[test]
fn the_date_is_recorded_with_the_secret_and_goes_with_it() {
    let world = World::new();
    world.add_contoso();
    let before = world.config();
    world
        .run(["server", "set", "Contoso", "--secret-expires", "2027-11-30"])
        .succeeds()
        .prints("changed\n");
    assert!(
        world
            .config()
            .contains("    secret_expires: '2027-11-30'\n"),
        "{}",
        world.config()
    );
    world
        .run(["server", "set", "Contoso", "--secret-expires", ""])
        .succeeds();
    assert_eq!(world.config(), before);
    world
        .run(["server", "set", "Contoso", "--secret-expires", "30.11.2027"])
        .fails(64)
        .mentions("`30.11.2027` is not a date: write it as YYYY-MM-DD");
    // Another secret has another end.
    world
        .run(["server", "set", "Contoso", "--secret-expires", "2027-11-30"])
        .succeeds();
    world
        .run(["server", "set", "Contoso", "--secret-env", "NEW"])
        .succeeds();
    assert!(
        !world.config().contains("secret_expires"),
        "{}",
        world.config()
    );
}

#[test]
fn add_records_it_and_a_certificate_needs_none() {
    let world = World::new();
    let add = || world.contoso().args(["--secret-expires", "2027-11-30"]);
    add()
        .args(["--managed-identity"])
        .fails(64)
        .mentions("`secret_expires` without `secret`");
    add().args(["--secret-env", "S"]).succeeds();
    assert!(world.config().contains("secret_expires: '2027-11-30'"));
    add()
        .args(["--secret-env", "S"])
        .succeeds()
        .prints("unchanged\n");
}

#[test]
fn status_warns_and_the_metrics_tell_when() {
    let world = World::new();
    world.add_contoso();
    let set = |date: &str| {
        world
            .run(["server", "set", "Contoso", "--secret-expires", date])
            .succeeds();
    };
    set(&day(40));
    let ran = world.run(["status", "--check"]).succeeds().prints("");
    assert_eq!(ran.stderr, "");
    set(&day(20));
    world
        .run(["status", "--check"])
        .fails(75)
        .mentions(&format!(
            "error: the secret of server `Contoso` expires on {}, in ",
            day(20)
        ))
        .mentions("queuemail server set Contoso --secret-stdin --secret-expires DATE");
    set(&day(-1));
    world
        .run(["status", "--check"])
        .fails(75)
        .mentions(&format!(
            "the secret of server `Contoso` expired on {}",
            day(-1)
        ));
    let shown = world.run(["status"]).succeeds();
    assert!(shown.stdout.contains("expired on"), "{shown}");
    let json = world.run(["status", "--json"]).succeeds().json();
    assert_eq!(json["expiries"][0]["server"], "Contoso");
    set("2027-11-30");
    let path = world.path("queuemail.prom");
    world.run(["status", "--metrics"]).arg(&path).succeeds();
    let metrics = std::fs::read_to_string(path).unwrap();
    assert!(
        metrics.contains("queuemail_secret_expiry_timestamp_seconds{server=\"Contoso\",credential=\"secret\"} 1827532800\n"),
        "{metrics}"
    );
}

#[test]
fn a_certificate_tells_its_own_end() {
    let world = World::new();
    let mut params = rcgen::CertificateParams::new(vec!["queuemail".into()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2026, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    world.write("app.pem", params.self_signed(&key).unwrap().pem());
    world.write("app.key", key.serialize_pem());
    let (pem, key) = (world.path("app.pem"), world.path("app.key"));
    world
        .contoso()
        .arg("--certificate")
        .arg(&pem)
        .arg("--private-key")
        .arg(&key)
        .succeeds();
    world
        .run(["status", "--check"])
        .fails(75)
        .mentions("the certificate of server `Contoso` expired on 2026-01-02");
}
