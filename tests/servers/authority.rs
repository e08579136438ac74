//! A private CA made on the spot, and the certificate of both servers.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};

/// PEM files.
pub struct Certificate {
    pub ca_file: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes a CA and a certificate for `localhost` and 127.0.0.1 in a folder.
pub fn make(folder: &Path) -> Certificate {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "Real servers of the tests, private CA");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);

    let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
    let mut server = CertificateParams::new(names).unwrap();
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();

    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        fs::write(&path, pem).unwrap();
        path
    };
    Certificate {
        ca_file: write("ca.pem", ca_pem),
        certificate: write("server.pem", certificate.pem()),
        key: write("server.key", key.serialize_pem()),
    }
}
