//! JSON Web Tokens: the key that signs access tokens, its JWKS, and the check of client assertions.

use std::sync::{Arc, OnceLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use openssl::x509::X509;
use serde_json::{Value, json};

/// An RSA key with its public faces.
pub struct SigningKey {
    private: PKey<Private>,
    pub public: PKey<Public>,
    pub public_pem: String,
    pub kid: String,
}

/// The key of this process: making one takes a moment, and every stand-in may share it.
pub fn shared_key() -> Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(SigningKey::generate())).clone()
}

impl SigningKey {
    pub fn generate() -> SigningKey {
        SigningKey::new(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
    }

    /// The key in a PEM file, for example of `make_certificate`.
    pub fn from_private_pem(pem: &str) -> SigningKey {
        SigningKey::new(PKey::private_key_from_pem(pem.as_bytes()).unwrap())
    }

    fn new(private: PKey<Private>) -> SigningKey {
        let pem = private.public_key_to_pem().unwrap();
        let public = PKey::public_key_from_pem(&pem).unwrap();
        let digest = openssl::sha::sha256(&pem);
        SigningKey {
            private,
            public,
            public_pem: String::from_utf8(pem).unwrap(),
            kid: URL_SAFE_NO_PAD.encode(&digest.as_ref()[..20]),
        }
    }

    /// Signs the claims as Entra does: RS256, `typ` JWT, `kid` of this key.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": self.kid, "kid": self.kid});
        self.sign_with(&header, claims)
    }

    /// Signs with a header of one's own; `alg` decides between RS256 and PS256.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
        if header["alg"] == "PS256" {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer
                .set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)
                .unwrap();
        }
        let signature = signer.sign_oneshot_to_vec(token.as_bytes()).unwrap();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The document behind `jwks_uri`.
    pub fn jwks(&self) -> Value {
        let rsa = self.public.rsa().unwrap();
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "x5t": self.kid,
            "n": URL_SAFE_NO_PAD.encode(rsa.n().to_vec()),
            "e": URL_SAFE_NO_PAD.encode(rsa.e().to_vec()),
        }]})
    }

    /// The private key as PKCS#8 PEM, for a client that signs its own assertions.
    pub fn private_pem(&self) -> String {
        String::from_utf8(self.private.private_key_to_pem_pkcs8().unwrap()).unwrap()
    }
}

/// A token taken apart, not yet believed.
pub struct Parts {
    pub header: Value,
    pub claims: Value,
    signed: String,
    signature: Vec<u8>,
}

pub fn take_apart(token: &str) -> Option<Parts> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let part = |text: &str| {
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?)
            .ok()
    };
    Some(Parts {
        header: part(header)?,
        claims: part(claims)?,
        signed: signed.to_string(),
        signature: URL_SAFE_NO_PAD
            .decode(signature.trim_end_matches('='))
            .ok()?,
    })
}

impl Parts {
    /// Whether the key made the signature; RS256 and PS256 count, anything else (`none`!) does not.
    pub fn is_signed_by(&self, key: &PKey<Public>) -> bool {
        let check = || -> Result<bool, openssl::error::ErrorStack> {
            let mut verifier = Verifier::new(MessageDigest::sha256(), key)?;
            match self.header["alg"].as_str() {
                Some("RS256") => {}
                Some("PS256") => {
                    verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                }
                _ => return Ok(false),
            }
            verifier.verify_oneshot(&self.signature, self.signed.as_bytes())
        };
        check().unwrap_or(false)
    }
}

/// Whether a certificate (PEM) fits the thumbprint in the header; without one any certificate does.
pub fn certificate_key(pem: &str, header: &Value) -> Option<PKey<Public>> {
    let certificate = X509::from_pem(pem.as_bytes()).ok()?;
    for (field, digest) in [
        ("x5t#S256", MessageDigest::sha256()),
        ("x5t", MessageDigest::sha1()),
    ] {
        if let Some(given) = header[field].as_str() {
            let own = URL_SAFE_NO_PAD.encode(certificate.digest(digest).ok()?);
            // Some clients leave the padding on, which Entra tolerates.
            return (own == given.trim_end_matches('='))
                .then(|| certificate.public_key().ok())
                .flatten();
        }
    }
    None
}

/// A certificate (PEM) in DER.
pub fn der(pem: &str) -> Vec<u8> {
    X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap()
}

/// The `x5t#S256` of a certificate (PEM).
pub fn thumbprint(pem: &str) -> String {
    let certificate = X509::from_pem(pem.as_bytes()).unwrap();
    URL_SAFE_NO_PAD.encode(certificate.digest(MessageDigest::sha256()).unwrap())
}

/// A self-signed certificate with its key, both PEM, for tests of client assertions.
pub fn make_certificate(common_name: &str) -> (String, String) {
    use openssl::{asn1::Asn1Time, bn::BigNum, x509::X509Name};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
    certificate.set_serial_number(&serial).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    certificate
        .set_not_after(&Asn1Time::days_from_now(365).unwrap())
        .unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        pem(certificate.build().to_pem().unwrap()),
        pem(key.private_key_to_pem_pkcs8().unwrap()),
    )
}
