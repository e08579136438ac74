//! A private CA made on the spot, and a server certificate of it: of the stand-in for `localhost`,
//! 127.0.0.1 and a host of Microsoft's.

use native_tls::{Identity, Protocol, TlsAcceptor};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The login host in China, for tests that lead its name here.
const CHINA: &str = "login.partner.microsoftonline.cn";

pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub ca_pem: String,
}

/// A certificate, its key and its CA, in PEM.
pub struct Pem {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

/// The names that the stand-in's certificate has.
pub const NAMES: &[&str] = &["localhost", "127.0.0.1", CHINA];

/// Makes the CA and the acceptor that serves a certificate signed by it: `localhost` in its
/// subject, and these names in its subjectAltName.
pub fn make(names: &[&str]) -> Tls {
    let pem = certificate("Stand-in of Microsoft 365, private CA", names);
    let identity = Identity::from_pkcs8(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap();
    // Exchange and Entra refuse anything older than TLS 1.2, and so does this server.
    let acceptor = TlsAcceptor::builder(identity)
        .min_protocol_version(Some(Protocol::Tlsv12))
        .build()
        .unwrap();
    Tls {
        acceptor,
        ca_pem: pem.ca,
    }
}

/// Makes a CA of this name, and a certificate for a server of these.
pub fn certificate(ca_name: &str, names: &[&str]) -> Pem {
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    signed(ca_name, names, "localhost", usage)
}

/// Makes a CA of this name, and a certificate for a client of that name.
pub fn client_certificate(ca_name: &str, name: &str) -> Pem {
    let usage = ExtendedKeyUsagePurpose::ClientAuth;
    signed(ca_name, &[], name, usage)
}

fn signed(ca_name: &str, names: &[&str], own: &str, usage: ExtendedKeyUsagePurpose) -> Pem {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, ca_name);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);

    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut server = CertificateParams::new(names).unwrap();
    server.distinguished_name.push(DnType::CommonName, own);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    Pem {
        ca: ca_pem,
        certificate: server.signed_by(&key, &issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}
