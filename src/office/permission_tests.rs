//! The table of permissions, walked through everybody who asks it.

use super::{Office, scope};
use crate::check::claims::misfits;
use crate::config::parse;
use crate::model::{Authentication, Config, Purpose, Resource};
use crate::oauth::Claims;
use crate::setup;
use std::path::Path;

const BOTH: [Authentication; 2] = [Authentication::OauthService, Authentication::OauthUser];

/// A mailbox that is read and sent from by these ways.
fn config(authentication: Authentication, reads: &str, sends: &str) -> Config {
    let yaml = format!(
        "version: 1
incoming_servers:
  - name: in
    address: https://login.microsoftonline.com/contoso.onmicrosoft.com
    authentication: {authentication}
    client_id: 22222222-3333-4444-5555-666666666666
    secret: s
    via: {reads}
outgoing_servers:
  - name: out
    tenant: contoso.onmicrosoft.com
    authentication: {authentication}
    app: in
    via: {sends}
queues:
  - name: support
    addresses:
      - {{ address: a@contoso.com, server: in, sender: true, outgoing_server: out }}
"
    );
    parse(&yaml, Path::new("x")).unwrap()
}

fn claims(authentication: Authentication, held: &str) -> Claims {
    let held = vec![held.to_owned()];
    match authentication {
        Authentication::OauthService => Claims {
            roles: held,
            ..Claims::default()
        },
        Authentication::OauthUser => Claims {
            scopes: held,
            ..Claims::default()
        },
    }
}

/// True if `check` finds that a token with this permission alone lacks what the purpose needs.
fn lacks(purpose: Purpose, authentication: Authentication, held: &str) -> bool {
    let config = config(authentication, "auto", "auto");
    let office = Office::link(&config).unwrap();
    let registration = &office.incoming[0].registration;
    misfits(&claims(authentication, held), registration, purpose)
        .iter()
        .any(|fault| fault.what.contains("lacks the"))
}

#[test]
fn check_takes_what_opens_a_way_and_nothing_else() {
    let all: Vec<&str> = Purpose::ALL
        .into_iter()
        .flat_map(|purpose| BOTH.map(|who| purpose.permissions(who)))
        .flatten()
        .chain(["full_access_as_app", "Mail.ReadBasic", "Mail.ReadBasic.All"])
        .collect();
    for purpose in Purpose::ALL {
        for who in BOTH {
            for held in &all {
                let opens = purpose.permissions(who).any(|name| name == *held);
                let of = claims(who, held);
                assert_eq!(
                    purpose.held(who, &of.roles, &of.scopes),
                    opens.then_some(*held)
                );
                assert_eq!(
                    lacks(purpose, who, held),
                    !opens,
                    "{purpose:?} {who} {held}"
                );
            }
        }
    }
}

#[test]
fn the_script_grants_what_opens_the_ways_and_nothing_else() {
    let ways = [
        ("imap", "smtp", [Purpose::Imap, Purpose::Smtp]),
        ("graph", "graph", [Purpose::GraphWrite, Purpose::GraphSend]),
    ];
    for who in BOTH {
        for (reads, sends, purposes) in ways {
            let config = config(who, reads, sends);
            let plan = setup::plan(&Office::link(&config).unwrap(), &[]).unwrap();
            let app = &plan.tenants[0].apps[0];
            let granted: Vec<&String> = app
                .exchange_permissions
                .iter()
                .chain(&app.graph_permissions)
                .chain(&app.delegated_exchange)
                .chain(&app.delegated_graph)
                .collect();
            let wanted: Vec<&str> = purposes.iter().flat_map(|p| p.permissions(who)).collect();
            assert_eq!(granted, wanted, "{who} {reads}");
        }
    }
}

#[test]
fn a_person_asks_for_what_opens_the_way() {
    let config = config(Authentication::OauthUser, "auto", "auto");
    let office = Office::link(&config).unwrap();
    let registration = &office.incoming[0].registration;
    let ways = [
        (Resource::Imap, false, Purpose::Imap),
        (Resource::Pop, false, Purpose::Pop),
        (Resource::Graph, false, Purpose::GraphWrite),
        (Resource::Smtp, true, Purpose::Smtp),
        (Resource::Graph, true, Purpose::GraphSend),
    ];
    for (resource, sending, purpose) in ways {
        for other in [false, true] {
            let scope = scope(registration, resource, sending, other);
            let asked = scope.split([' ', '/']).find(|word| {
                purpose
                    .permissions(Authentication::OauthUser)
                    .any(|name| name == *word)
            });
            let shared = other && resource == Resource::Graph;
            assert_eq!(
                asked.map(|name| name.ends_with(".Shared")),
                Some(shared),
                "{scope}"
            );
        }
    }
}
