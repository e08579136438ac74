//! `server add`: what is written, what is refused, and that secrets go nowhere else.

use crate::world::{CLIENT_ID, World};

const ADDRESS: &str = "https://login.microsoftonline.com/contoso.onmicrosoft.com";

/// `server add incoming Contoso …` without a secret.
fn incoming() -> Vec<&'static str> {
    let args = "server add incoming Contoso --auth oauth-service --address";
    let mut args: Vec<&str> = args.split(' ').collect();
    args.extend([ADDRESS, "--client-id", CLIENT_ID]);
    args
}

#[test]
fn a_new_file_is_private_and_says_what_it_is() {
    let world = World::new();
    world
        .run(incoming())
        .arg("--secret-stdin")
        .stdin("hunter2\n")
        .succeeds()
        .prints("created\n")
        .hides("hunter2");
    assert_eq!(
        world.config(),
        format!(
            "\
# Servers and queues of queuemail; `queuemail server add` and `queue add` write here too.
# Every key: man queuemail.yaml. Check: queuemail config validate
version: 1
incoming_servers:
  - name: Contoso
    address: {ADDRESS}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: hunter2
"
        )
    );
    assert_eq!(world.mode(&world.config_path()), 0o600);
}
