//! Managed identities. The address of the instance metadata service is link-local and cannot be
//! configured in production, so the real binary asks there: in a network namespace of its own,
//! where 169.254.169.254 is an address of the loopback and a stand-in listens at its port 80.

use super::{CLIENT, Home, Ran};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const SCRIPT: &str = r#"
ip link set lo up
ip address add 169.254.169.254/32 dev lo
case $ADDRESS in 172.*) ip address add "$ADDRESS/32" dev lo ;; esac
if [ -n "${ARC:-}" ]; then
    mount -t tmpfs none /var/opt
    mkdir -p /var/opt/azcmagent/tokens
    printf 'the-proof' >/var/opt/azcmagent/tokens/1.key
    printf 'not for you' >/var/opt/azcmagent/other.key
fi
mkfifo "$HOME/ready"
python3 "$IMDS" "$ADDRESS" "$PORT" >"$HOME/ready" 2>"$HOME/seen" &
head -n 1 "$HOME/ready" >/dev/null
status=0
"$QUEUEMAIL" "$@" || status=$?
kill $!
exit $status
"#;

/// An Azure host of its own.
struct Azure {
    home: Home,
    /// What the service answers: status and body, the last one for ever.
    answers: Vec<(u16, String)>,
    variables: Vec<(&'static str, String)>,
    place: (&'static str, &'static str),
}

impl Azure {
    fn new(credential: &str) -> Azure {
        let home = Home::new();
        home.service(credential);
        Azure {
            home,
            answers: Vec::new(),
            variables: Vec::new(),
            place: ("169.254.169.254", "80"),
        }
    }

    fn token(&self) -> String {
        self.home
            .standin
            .issue_token(CLIENT, "https://outlook.office365.com")
    }

    /// The answer of a virtual machine's service.
    fn good(&self) -> String {
        let token = self.token();
        format!(
            r#"{{"access_token":"{token}","client_id":"{CLIENT}","expires_in":"86399","expires_on":"4000000000","ext_expires_in":"86399","not_before":"1","resource":"https://outlook.office365.com","token_type":"Bearer"}}"#
        )
    }

    /// Runs the binary there; gives what it did and what the service saw.
    fn run(&self, args: &[&str]) -> (Ran, String) {
        let _ = std::fs::remove_file(self.home.path("ready"));
        let command = self.home.command(&[]);
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let as_root: &[&str] = match is_root {
            true => &[],
            false => &["--user", "--map-root-user"],
        };
        let output = Command::new("unshare")
            .args(as_root)
            .args(["--net", "--mount", "sh", "-euc", SCRIPT, "sh"])
            .args(args)
            .env_clear()
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("QUEUEMAIL", command.get_program())
            .env(
                "IMDS",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens/imds.py"),
            )
            .env("ADDRESS", self.place.0)
            .env("PORT", self.place.1)
            .env("ANSWERS", serde_json::to_string(&self.answers).unwrap())
            .envs(self.variables.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .output()
            .expect("unshare");
        let seen = std::fs::read_to_string(self.home.path("seen")).unwrap_or_default();
        (Ran::from(output), seen)
    }

    fn get(&self) -> (Ran, String) {
        self.run(&["token", "get", "support", "--fresh"])
    }
}

#[test]
fn the_metadata_service_of_a_virtual_machine_vouches() {
    let mut azure = Azure::new("managed_identity: true");
    azure.answers = vec![(200, azure.good())];
    let (ran, seen) = azure.get();
    assert!(ran.succeeds().stdout.starts_with("eyJ"));
    assert!(
        seen.starts_with(&format!(
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Foutlook.office365.com&client_id={CLIENT} "
        )),
        "{seen}"
    );
    assert!(seen.to_lowercase().contains("'metadata': 'true'"), "{seen}");

    // The host's own identity is asked for without a client ID.
    let mut azure = Azure::new("managed_identity: system");
    azure.answers = vec![(200, azure.good())];
    let (ran, seen) = azure.get();
    ran.succeeds();
    assert!(!seen.contains("client_id"), "{seen}");
}

#[test]
fn a_service_that_is_not_ready_is_asked_again() {
    let mut azure = Azure::new("managed_identity: true");
    let busy = r#"{"error":"too_many_requests","error_description":"Slow down."}"#;
    azure.answers = vec![
        (404, "<html>Not Found</html>".into()),
        (429, busy.into()),
        (200, azure.good()),
    ];
    let began = Instant::now();
    let (ran, seen) = azure.get();
    ran.succeeds();
    assert_eq!(seen.lines().count(), 3, "{seen}");
    assert!(began.elapsed() > Duration::from_millis(2900));

    azure.answers = vec![(
        410,
        r#"{"error":"gone","error_description":"Updating."}"#.into(),
    )];
    let (ran, seen) = azure.get();
    ran.fails(75)
        .mentions("the instance metadata service is not ready")
        .mentions("server said: HTTP status 410: gone: Updating.");
    assert_eq!(seen.lines().count(), 4, "{seen}");
    // It may take 70 seconds, and is left alone so long.
    let (ran, seen) = azure.get();
    ran.fails(75).mentions("requested a wait");
    assert_eq!(seen, "");
}

#[test]
fn an_identity_that_is_not_there_is_told_at_once() {
    let mut azure = Azure::new("managed_identity: true");
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    azure.answers = vec![(400, body.into())];
    let (ran, seen) = azure.get();
    ran.fails(77)
        .mentions("server said: HTTP status 400: invalid_request: Identity not found")
        .mentions(&format!(
            "hint: usually the host has no identity with the client ID {CLIENT}"
        ))
        .mentions("az vm identity assign --name VM --resource-group GROUP --identities RESOURCE-ID")
        .mentions("`queuemail server set contoso --managed-identity=system --client-id ID`");
    assert_eq!(seen.lines().count(), 1, "{seen}");

    azure.home.service("managed_identity: system");
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("hint: usually the host has no system-assigned identity: az vm identity assign --name VM --resource-group GROUP\n")
        .hides("--client-id ID");
    let body = r#"{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}"#;
    azure.answers = vec![(400, body.into())];
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("`queuemail server set contoso --managed-identity --client-id ID`")
        .hides("identity assign");

    azure.answers = vec![(200, "<html>a portal</html>".into())];
    let (ran, _) = azure.get();
    ran.fails(69).mentions("it is not a token");
}

/// Entra's own words are explained as everywhere else, and nobody looks for another identity.
#[test]
fn what_entra_says_of_a_managed_identity_is_explained() {
    let mut azure = Azure::new("managed_identity: true");
    let body = r#"{"error":"invalid_resource","error_description":"AADSTS500011: The resource principal named https://outlook.office365.com was not found in the tenant named Contoso. Trace ID: 11 Correlation ID: 22 Timestamp: 2026-11-23 23:00:00Z"}"#;
    azure.answers = vec![(400, body.into())];
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("hint: use the cloud's default scope: queuemail server set contoso --scope ''")
        .hides("az vm");
    // The older word for it.
    azure.answers = vec![(400, body.replace("500011", "50001"))];
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("hint: use the cloud's default scope: queuemail server set contoso --scope ''");
}

/// Docker Desktop, a proxy: what is no JSON is not the service's.
#[test]
fn what_answers_in_the_place_of_the_service_is_not_taken_for_it() {
    let mut azure = Azure::new("managed_identity: true");
    azure.answers = vec![(403, "connecting to 169.254.169.254:80: unreachable".into())];
    let (ran, seen) = azure.get();
    ran.fails(75)
        .mentions("HTTP status 403: connecting to 169.254.169.254:80: unreachable")
        .mentions("hint: a managed identity exists on Azure hosts only")
        .hides("az vm");
    assert_eq!(seen.lines().count(), 1, "{seen}");
}

/// The portal has no page for it, and its secret cannot be set.
#[test]
fn a_managed_identity_without_a_role_gets_it_by_the_script() {
    let mut azure = Azure::new("managed_identity: true");
    azure.home.standin.faults().no_roles.store(true, SeqCst);
    azure.answers = vec![(200, azure.good())];
    let (ran, _) = azure.run(&["check", "support"]);
    let told = "lacks the role `IMAP.AccessAsApp`, so IMAP will refuse it";
    assert!(ran.stdout.contains(told), "{ran:?}");
    let acts = "fix, by an Entra ID administrator:\n      queuemail setup-script contoso";
    assert!(ran.stdout.contains(acts), "{}", ran.stdout);
    assert!(
        !ran.stdout.contains("entra.microsoft.com"),
        "{}",
        ran.stdout
    );
    let (ran, _) = azure.run(&["token", "get", "support", "--format", "claims"]);
    let ran = ran.succeeds().mentions("queuemail setup-script contoso");
    ran.hides("to add the permission to app");
}

#[test]
fn the_agent_of_azure_arc_is_shown_that_we_may_read_its_file() {
    let mut azure = Azure::new("managed_identity: system");
    azure.answers = vec![(200, azure.good())];
    azure.place = ("127.0.0.1", "40342");
    azure.variables = vec![
        ("ARC", "/var/opt/azcmagent/tokens/1.key".into()),
        ("IMDS_ENDPOINT", "http://localhost:40342".into()),
        (
            "IDENTITY_ENDPOINT",
            "http://127.0.0.1:40342/metadata/identity/oauth2/token".into(),
        ),
    ];
    let (ran, seen) = azure.get();
    ran.succeeds();
    assert_eq!(seen.lines().count(), 2, "{seen}");
    assert!(seen.contains("api-version=2020-06-01"), "{seen}");

    // The proof is in no output, though the agent repeats it.
    let good = std::mem::take(&mut azure.answers);
    for status in [200, 400, 403, 500] {
        let body = r#"{"error":"x","error_description":"Authorization: Basic the-proof"}"#;
        azure.answers = vec![(status, body.into())];
        for args in [
            &["token", "get", "support", "--fresh", "-vv"][..],
            &["check", "support", "-vv"],
            &["fetch", "-vv", "--json"],
        ] {
            let (ran, _) = azure.run(args);
            assert_ne!(ran.code, 0, "{ran:?}");
            assert!(!ran.stdout.contains("the-proof"), "{ran:?}");
            ran.hides("the-proof");
        }
    }
    azure.answers = good;

    // Whoever listens there gets no other file.
    for other in [
        "/var/opt/azcmagent/other.key",
        "/var/opt/azcmagent/tokens/../other.key",
        "/etc/hostname",
    ] {
        azure.variables[0].1 = other.into();
        let (ran, seen) = azure.get();
        ran.fails(77).mentions(
            "cannot give the proof that the agent of Azure Arc requests: its file is not below",
        );
        assert_eq!(seen.lines().count(), 1, "{seen}");
    }
    azure.variables[0].1 = "/var/opt/azcmagent/tokens/2.key".into();
    let (ran, _) = azure.get();
    ran.fails(77).mentions("usermod -aG himds");
}

#[test]
fn app_service_is_shown_the_proof_that_it_gave() {
    let mut azure = Azure::new("managed_identity: true");
    let token = azure.token();
    // Strings, and `expires_on` alone.
    azure.answers = vec![(
        200,
        format!(
            r#"{{"access_token":"{token}","expires_on":"4000000000","resource":"r","token_type":"Bearer"}}"#
        ),
    )];
    azure.place = ("127.0.0.1", "41741");
    azure.variables = vec![
        (
            "IDENTITY_ENDPOINT",
            "http://127.0.0.1:41741/msi/token".into(),
        ),
        ("IDENTITY_HEADER", "the-proof-of-the-app".into()),
    ];
    let (ran, seen) = azure.get();
    assert_eq!(ran.succeeds().stdout.trim_end(), token);
    assert!(
        seen.starts_with("/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Foutlook.office365.com&client_id=2222"),
        "{seen}"
    );
    let lower = seen.to_lowercase();
    assert!(
        lower.contains("'x-identity-header': 'the-proof-of-the-app'"),
        "{seen}"
    );

    // Its errors have another form, and what they repeat of the proof is not shown.
    let body = r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for the-proof-of-the-app."}"#;
    azure.answers = vec![(400, body.into())];
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("HTTP status 400: No User Assigned or Delegated Managed Identity found for")
        .hides("the-proof-of-the-app")
        .mentions("az webapp identity assign --name APP");

    // What it says where several are assigned and none is named.
    azure.home.service("managed_identity: system");
    let body = r#"{"statusCode":400,"message":"Unable to load the proper Managed Identity."}"#;
    azure.answers = vec![(400, body.into())];
    let (ran, _) = azure.get();
    ran.fails(77)
        .mentions("`queuemail server set contoso --managed-identity --client-id ID`");

    // On Linux it may be at the other end of a bridge, as users of the Azure CLI have shown.
    azure.place = ("172.16.5.3", "8081");
    azure.answers = vec![(200, azure.good())];
    azure.variables[0].1 = "http://172.16.5.3:8081/msi/token".into();
    azure.get().0.succeeds();

    for elsewhere in [
        "http://identity.contoso.example/token",
        "http://198.51.100.7/token",
    ] {
        azure.variables[0].1 = elsewhere.into();
        let (ran, _) = azure.get();
        ran.fails(78).mentions("IDENTITY_ENDPOINT");
    }
}

#[test]
fn a_machine_that_is_not_on_azure_says_so_within_seconds() {
    // In the namespace there is nobody at the address; elsewhere usually nothing answers.
    let mut azure = Azure::new("managed_identity: true");
    azure.answers = vec![(200, "{}".into())];
    azure.place = ("127.0.0.1", "8080");
    let began = Instant::now();
    let (ran, _) = azure.get();
    ran.fails(75)
        .mentions("`169.254.169.254`")
        .mentions("hint: a managed identity exists on Azure hosts only");
    assert!(began.elapsed() < Duration::from_secs(25));

    // As Microsoft's SDKs do: another place for the same service, on this host alone.
    azure.answers = vec![(200, azure.good())];
    azure.variables = vec![(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "http://127.0.0.1:8080/".into(),
    )];
    let (ran, seen) = azure.get();
    ran.succeeds();
    assert!(
        seen.starts_with("/metadata/identity/oauth2/token?"),
        "{seen}"
    );
    azure.variables[0].1 = "http://198.51.100.7".into();
    let (ran, seen) = azure.get();
    ran.fails(78)
        .mentions("AZURE_POD_IDENTITY_AUTHORITY_HOST `http://198.51.100.7/metadata");
    assert_eq!(seen, "");
}
