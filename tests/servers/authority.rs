//! The certificate of both servers, of a private CA, in files.

use crate::standin::tls;
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
    let pem = tls::certificate(
        "Real servers of the tests, private CA",
        &["localhost", "127.0.0.1"],
    );
    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        fs::write(&path, pem).unwrap();
        path
    };
    Certificate {
        ca_file: write("ca.pem", pem.ca),
        certificate: write("server.pem", pem.certificate),
        key: write("server.key", pem.key),
    }
}
