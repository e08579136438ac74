//! What a certificate signs: client assertions in the place of a client secret (RFC 7523 §3), and
//! proofs that a key is at hand.

use crate::digest;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::x509::{self, Identity};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an assertion is good for, in seconds; Microsoft asks for five to ten minutes.
const LIFE: u64 = 600;
/// How far this host's clock may be ahead of theirs, in seconds.
const SKEW: u64 = 60;
/// The directory behind Graph, to which a proof is addressed, by its application ID.
const DIRECTORY: &str = "00000002-0000-0000-c000-000000000000";

/// A JWT signed with PS256 that stands for the client: `iss` and `sub` are its ID, `aud` the
/// token endpoint, and `x5t#S256` tells which registered certificate signed (RFC 7515 §4.1.8).
pub fn client_assertion(
    identity: &Identity,
    client_id: &str,
    token_endpoint: &str,
    now: SystemTime,
) -> Result<String, Fault> {
    let now = seconds(now);
    let payload = serde_json::json!({
        "aud": token_endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": digest::guid()?,
        "iat": now,
        "nbf": now.saturating_sub(SKEW),
        "exp": now + LIFE - SKEW,
    });
    signed(identity, Form::Pss, &payload)
}

/// A JWT that proves to Microsoft Graph that the key of a registered certificate is at hand, before
/// a certificate is added to the app registration of this Object ID, or removed from it
/// (<https://learn.microsoft.com/graph/application-rollkey-prooftoken>). The audience is what that
/// page calls for, with the algorithm and header of its sample.
///
/// # Errors
/// `Config`: the key does not sign.
pub fn proof_of_possession(
    identity: &Identity,
    object_id: &str,
    now: SystemTime,
) -> Result<Secret, Fault> {
    let now = seconds(now);
    let payload = serde_json::json!({
        "aud": DIRECTORY,
        "iss": object_id,
        "nbf": now.saturating_sub(SKEW),
        "exp": now + LIFE - SKEW,
    });
    signed(identity, Form::Pkcs1, &payload).map(Secret::new)
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How a JWT is signed (RFC 7518 §3.1), and how it names the certificate (RFC 7515 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PS256, `x5t#S256`.
    Pss,
    /// RS256, `kid` and `x5t`.
    Pkcs1,
}

fn signed(identity: &Identity, form: Form, payload: &Value) -> Result<String, Fault> {
    let sign = || -> Result<String, ErrorStack> {
        let digest = |kind| identity.certificate.digest(kind);
        let header = match form {
            Form::Pss => serde_json::json!({
                "alg": "PS256",
                "typ": "JWT",
                "x5t#S256": URL_SAFE_NO_PAD.encode(digest(MessageDigest::sha256())?),
            }),
            Form::Pkcs1 => serde_json::json!({
                "alg": "RS256",
                "typ": "JWT",
                "kid": digest::hex(&digest(MessageDigest::sha1())?).to_uppercase(),
                "x5t": URL_SAFE_NO_PAD.encode(digest(MessageDigest::sha1())?),
            }),
        };
        let mut jwt = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload.to_string())
        );
        let mut signer = Signer::new(MessageDigest::sha256(), &identity.private_key)?;
        if form == Form::Pss {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            // RFC 7518 §3.5: the salt is as long as the hash.
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        let signature = signer.sign_oneshot_to_vec(jwt.as_bytes())?;
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut jwt);
        Ok(jwt)
    };
    sign().map_err(|e| {
        Fault::config(format!(
            "cannot sign with the private key: {}",
            x509::reason(&e)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    fn run_openssl(folder: &Path, args: &str) -> std::process::Output {
        let out = Command::new("openssl")
            .args(args.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "openssl {args}: {out:?}");
        out
    }

    #[test]
    fn openssl_verifies_the_signature_and_the_claims_are_as_entra_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        run_openssl(
            path,
            "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=t -keyout key.pem -out cert.pem",
        );
        run_openssl(path, "x509 -in cert.pem -noout -pubkey -out pub.pem");
        run_openssl(path, "x509 -in cert.pem -outform DER -out cert.der");
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let endpoint = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token";
        let make = || {
            let key = path.join("key.pem");
            let identity = Identity::read(&path.join("cert.pem"), Some(&key), None).unwrap();
            client_assertion(&identity, "c", endpoint, now).unwrap()
        };
        let jwt = make();
        let [header, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
            panic!("{jwt}");
        };
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let thumbprint = openssl::sha::sha256(&std::fs::read(path.join("cert.der")).unwrap());
        assert_eq!(json(header)["alg"], "PS256");
        assert_eq!(json(header)["x5t#S256"], URL_SAFE_NO_PAD.encode(thumbprint));
        let claims = json(payload);
        assert_eq!(claims["aud"], endpoint);
        assert_eq!((&claims["iss"], &claims["sub"]), (&"c".into(), &"c".into()));
        assert_eq!(claims["nbf"], 1_800_000_000 - 60);
        assert_eq!(claims["exp"], 1_800_000_000 + 540);
        assert!(crate::model::is_guid(claims["jti"].as_str().unwrap()));
        assert_ne!(
            json(make().split('.').nth(1).unwrap())["jti"],
            claims["jti"]
        );

        std::fs::write(path.join("signed"), format!("{header}.{payload}")).unwrap();
        std::fs::write(path.join("sig"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        run_openssl(
            path,
            "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify pub.pem -signature sig signed",
        );
    }

    #[test]
    fn a_proof_is_what_microsofts_sample_makes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let identity = Identity::make("t", 1).unwrap();
        std::fs::write(
            path.join("cert.pem"),
            identity.certificate.to_pem().unwrap(),
        )
        .unwrap();
        run_openssl(path, "x509 -in cert.pem -noout -pubkey -out pub.pem");
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let proof = proof_of_possession(&identity, "object", now).unwrap();
        let [header, payload, signature] = proof.expose().split('.').collect::<Vec<_>>()[..] else {
            panic!("no JWT");
        };
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let claims = json(payload);
        assert_eq!(claims["iss"], "object");
        assert_eq!(claims["aud"], "00000002-0000-0000-c000-000000000000");
        let life = claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap();
        assert_eq!(life, 600, "at most ten minutes");
        assert_eq!(json(header)["alg"], "RS256");
        std::fs::write(path.join("signed"), format!("{header}.{payload}")).unwrap();
        std::fs::write(path.join("sig"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        run_openssl(path, "dgst -sha256 -verify pub.pem -signature sig signed");
    }
}
