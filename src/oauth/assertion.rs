//! Client assertions: a certificate's signature in the place of a client secret (RFC 7523 §3).

use crate::digest;
use crate::fault::{Fault, Kind};
use crate::x509::Identity;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an assertion is good for, in seconds; Microsoft asks for five to ten minutes.
const LIFE: u64 = 600;
/// How far our clock may be ahead of theirs, in seconds.
const SKEW: u64 = 60;

/// A JWT signed with PS256 that stands for the client: `iss` and `sub` are its ID, `aud` the
/// token endpoint, and `x5t#S256` tells which registered certificate signed (RFC 7515 §4.1.8).
pub fn client_assertion(
    identity: &Identity,
    client_id: &str,
    token_endpoint: &str,
    now: SystemTime,
) -> Result<String, Fault> {
    signed(identity, client_id, token_endpoint, &digest::guid()?, now).map_err(|e| {
        let reason = e.errors().last().and_then(|e| e.reason());
        let reason = reason.unwrap_or("OpenSSL does not say why");
        Fault::new(
            Kind::Config,
            format!("cannot sign with the private key: {reason}"),
        )
    })
}

fn signed(
    identity: &Identity,
    client_id: &str,
    token_endpoint: &str,
    jti: &str,
    now: SystemTime,
) -> Result<String, ErrorStack> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let thumbprint = identity.certificate.digest(MessageDigest::sha256())?;
    let header = serde_json::json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint),
    });
    let payload = serde_json::json!({
        "aud": token_endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": jti,
        "iat": now,
        "nbf": now.saturating_sub(SKEW),
        "exp": now + LIFE - SKEW,
    });
    let mut jwt = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let mut signer = Signer::new(MessageDigest::sha256(), &identity.private_key)?;
    signer.set_rsa_padding(Padding::PKCS1_PSS)?;
    // RFC 7518 §3.5: the salt is as long as the hash.
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    let signature = signer.sign_oneshot_to_vec(jwt.as_bytes())?;
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut jwt);
    Ok(jwt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
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
}
