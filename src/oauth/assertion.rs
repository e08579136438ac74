//! Client assertions: a certificate's signature in the place of a client secret (RFC 7523 §3).

use crate::fault::Fault;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, rsa, signature};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How long an assertion is good for, in seconds; Microsoft asks for five to ten minutes.
const LIFE: u64 = 600;
/// How far our clock may be ahead of theirs, in seconds.
const SKEW: u64 = 60;
/// No PEM file of ours is larger, in octets.
const LARGEST_PEM: u64 = 256 * 1024;

/// A JWT signed with PS256 that stands for the client: `iss` and `sub` are its ID, `aud` the
/// token endpoint, and `x5t#S256` tells which registered certificate signed (RFC 7515 §4.1.8).
///
/// Both files are read anew each time, so that a renewed certificate is taken up by itself.
pub fn client_assertion(
    certificate: &Path,
    private_key: &Path,
    client_id: &str,
    token_endpoint: &str,
    now: SystemTime,
) -> Result<String, Fault> {
    let certificate = pem_block(certificate, "certificate", "CERTIFICATE")?;
    let key = key_pair(private_key)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let thumbprint = digest::digest(&digest::SHA256, &certificate);
    let header = serde_json::json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint),
    });
    let payload = serde_json::json!({
        "aud": token_endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": random_guid()?,
        "iat": now,
        "nbf": now.saturating_sub(SKEW),
        "exp": now + LIFE - SKEW,
    });
    let mut jwt = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload.to_string())
    );
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(
        &signature::RSA_PSS_SHA256,
        &SystemRandom::new(),
        jwt.as_bytes(),
        &mut signed,
    )
    .map_err(|_| Fault::config("cannot sign with the private key"))?;
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(&signed, &mut jwt);
    Ok(jwt)
}

fn key_pair(path: &Path) -> Result<rsa::KeyPair, Fault> {
    let shown = path.display();
    let der = pem_block(path, "private_key", "PRIVATE KEY")?;
    rsa::KeyPair::from_pkcs8(&der).map_err(|e| {
        Fault::config(format!("cannot use private_key `{shown}`: {e}")).hint(
            "it must be an RSA key of 2048 to 4096 bits in PKCS #8; what it is: openssl pkey -noout -text -in FILE",
        )
    })
}

/// The octets of the first PEM block with this label (RFC 7468).
fn pem_block(path: &Path, setting: &str, label: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let shown = path.display();
    let cannot = |why: &str| Fault::config(format!("cannot use {setting} `{shown}`: {why}"));
    let text = read_bounded(path).map_err(|e| cannot(&e.to_string()))?;
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let Some(body) = text
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(body, _)| body)
    else {
        let convert = |what: &str| {
            cannot(what).hint(format!(
                "convert it: openssl pkcs8 -topk8 -nocrypt -in '{shown}' -out key.pem"
            ))
        };
        return Err(if label != "PRIVATE KEY" {
            cannot(&format!("it holds no {begin}"))
        } else if text.contains("-----BEGIN RSA PRIVATE KEY-----") {
            convert("it is in the older PKCS #1 form, PKCS #8 is needed")
        } else if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            convert("it is encrypted with a passphrase")
        } else if text.contains("-----BEGIN EC PRIVATE KEY-----") {
            cannot("it is an elliptic curve key, and Entra ID takes RSA")
        } else {
            cannot(&format!("it holds no {begin}"))
        });
    };
    let base64: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    STANDARD
        .decode(base64.as_bytes())
        .map(Zeroizing::new)
        .map_err(|e| cannot(&format!("its base64 is damaged: {e}")))
}

fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    let mut file = std::fs::File::open(path)?.take(LARGEST_PEM);
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// A random GUID (RFC 9562 §5.4).
fn random_guid() -> Result<String, Fault> {
    let mut b = [0u8; 16];
    SystemRandom::new().fill(&mut b).map_err(|_| {
        Fault::new(
            crate::fault::Kind::Bug,
            "the system gives no random numbers",
        )
    })?;
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = |range: std::ops::Range<usize>| -> String {
        b[range].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    Ok(format!(
        "{}-{}-{}-{}-{}",
        hex(0..4),
        hex(4..6),
        hex(6..8),
        hex(8..10),
        hex(10..16)
    ))
}

/// The token that another identity provider keeps in a file for us (workload identity federation).
pub fn federated_token(path: &Path) -> Result<String, Fault> {
    let shown = path.display();
    let cannot =
        |why: &str| Fault::config(format!("cannot use federated_token_file `{shown}`: {why}"));
    let text = read_bounded(path).map_err(|e| cannot(&e.to_string()))?;
    let token = text.trim();
    let segments = token.split('.').count();
    if segments != 3 || !token.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
        return Err(cannot("it holds no JWT (three parts joined by dots)"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::process::Command;
    use std::time::Duration;

    fn openssl(folder: &Path, args: &str) -> std::process::Output {
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
        openssl(
            path,
            "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=t -keyout key.pem -out cert.pem",
        );
        openssl(path, "x509 -in cert.pem -noout -pubkey -out pub.pem");
        openssl(path, "x509 -in cert.pem -outform DER -out cert.der");
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let endpoint = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token";
        let make = || {
            client_assertion(
                &path.join("cert.pem"),
                &path.join("key.pem"),
                "c",
                endpoint,
                now,
            )
            .unwrap()
        };
        let jwt = make();
        let [header, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
            panic!("{jwt}");
        };
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let thumbprint = digest::digest(
            &digest::SHA256,
            &std::fs::read(path.join("cert.der")).unwrap(),
        );
        assert_eq!(json(header)["alg"], "PS256");
        assert_eq!(json(header)["x5t#S256"], URL_SAFE_NO_PAD.encode(thumbprint));
        let claims = json(payload);
        assert_eq!(claims["aud"], endpoint);
        assert_eq!((&claims["iss"], &claims["sub"]), (&"c".into(), &"c".into()));
        assert_eq!(claims["nbf"], 1_800_000_000 - 60);
        assert_eq!(claims["exp"], 1_800_000_000 + 540);
        assert!(crate::config::is_guid(claims["jti"].as_str().unwrap()));
        assert_ne!(
            json(make().split('.').nth(1).unwrap())["jti"],
            claims["jti"]
        );

        std::fs::write(path.join("signed"), format!("{header}.{payload}")).unwrap();
        std::fs::write(path.join("sig"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        openssl(
            path,
            "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify pub.pem -signature sig signed",
        );
    }

    #[test]
    fn files_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pem");
        for (text, says) in [
            ("", "holds no -----BEGIN PRIVATE KEY-----"),
            (
                "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----",
                "base64",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
                "cannot use private_key",
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\n", "PKCS #1"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "passphrase"),
            ("-----BEGIN EC PRIVATE KEY-----\n", "elliptic"),
        ] {
            std::fs::write(&path, text).unwrap();
            let fault = key_pair(&path).unwrap_err();
            assert!(fault.what.contains(says), "{text}: {}", fault.what);
            assert_eq!(fault.kind, crate::fault::Kind::Config);
        }
        assert!(key_pair(&folder.path().join("missing")).is_err());
    }
}
