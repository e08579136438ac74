//! Whom the system trusts, and how little of it must be read to know one host.
//!
//! Reading the system's file of all authorities takes longer than a TLS handshake. Where the
//! system keeps them in a folder as well, under names that OpenSSL finds (`openssl rehash`), one
//! look there does. So [`Reach::ByName`] is tried first, and [`Reach::All`] only for a host that
//! it does not know.

use crate::fault::Fault;
use crate::files;
use crate::shell;
use anyhow::Result;
use openssl::ssl::{SslContextBuilder, SslFiletype};
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A file up to this size is read at once: a company's own authorities, in `SSL_CERT_FILE`.
const SMALL: u64 = 16 << 10;
/// No `ca_file` is larger, in octets: a system's own with all authorities has some 200 KiB.
const LARGEST: u64 = 16 << 20;

/// How many of the system's authorities are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that a folder finds by name, and those of small files.
    ByName,
    /// Those of every file too.
    All,
}

/// The files and folders with the authorities of the system: where `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` say, or OpenSSL's own defaults; and where systems are known to keep them, for an
/// OpenSSL that was built elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Authorities {
    pub fn of_the_system() -> Authorities {
        let own = openssl::version::dir();
        let own = own.strip_prefix("OPENSSLDIR: ").unwrap_or_default();
        let own = Path::new(own.trim_matches('"'));
        let known = openssl_probe::probe();
        let file = env::var_os("SSL_CERT_FILE").map_or_else(|| own.join("cert.pem"), PathBuf::from);
        let folders = match env::var_os("SSL_CERT_DIR") {
            Some(list) => env::split_paths(&list).collect(),
            None => vec![own.join("certs")],
        };
        // One file by two names is read once.
        let there = |path: PathBuf| fs::canonicalize(path).ok();
        Authorities {
            files: known
                .cert_file
                .into_iter()
                .chain([file])
                .filter_map(there)
                .collect(),
            folders: known
                .cert_dir
                .into_iter()
                .chain(folders)
                .filter_map(there)
                .collect(),
        }
    }

    /// As far as a client needs to read at first.
    pub fn reach(&self) -> Reach {
        match self.folders.iter().any(|folder| is_by_name(folder)) {
            true => Reach::ByName,
            false => Reach::All,
        }
    }

    /// Lets a client trust them.
    pub fn add_to(&self, builder: &mut SslContextBuilder, reach: Reach) -> Result<()> {
        let folders = builder
            .cert_store_mut()
            .add_lookup(X509Lookup::hash_dir())?;
        for folder in self.folders.iter().filter_map(|folder| folder.to_str()) {
            folders.add_dir(folder, SslFiletype::PEM)?;
        }
        for file in &self.files {
            let small = || fs::metadata(file).is_ok_and(|file| file.len() <= SMALL);
            if file.to_str().is_some() && (reach == Reach::All || small()) {
                // A file that holds none must not take the others away.
                let _ = builder.load_verify_locations(Some(file), None);
            }
        }
        Ok(())
    }
}

/// True where OpenSSL finds a certificate by its subject: a file `1d3472b9.0`.
fn is_by_name(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.split_once('.'));
        name.is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|octet| octet.is_ascii_hexdigit())
                && number.parse::<u16>().is_ok()
        })
    })
}

/// All certificates of a PEM file, a `ca_file`.
///
/// # Errors
/// A [`Fault`] of kind `Config` where it cannot be read, or holds none or a broken one.
pub fn certificates(path: &Path) -> Result<Vec<X509>> {
    const END: &str = "-----END CERTIFICATE-----";
    let unusable =
        |why: String| Fault::config(format!("cannot use ca_file `{}`: {why}", path.display()));
    let octets = files::read_plain(path, LARGEST).map_err(|e| {
        let hint = format!("ls -l {}", shell::quote(path));
        unusable(e.to_string()).hint(hint).by_system(&e)
    })?;
    // What stands between the certificates may be in any character set.
    let pem = String::from_utf8_lossy(&octets);
    let cannot = |why: String| {
        unusable(why).hint(
            "it must contain one or more PEM blocks that begin with -----BEGIN CERTIFICATE-----",
        )
    };
    let mut found = Vec::new();
    for block in pem.split_inclusive(END).filter(|b| b.contains(END)) {
        let start = block.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
        let certificate = X509::from_pem(&block.as_bytes()[start..]);
        found.push(certificate.map_err(|e| cannot(e.to_string()))?);
    }
    if found.is_empty() {
        return Err(cannot("it contains no certificate".into()).into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ssl::{SslContext, SslMethod};

    #[test]
    fn a_folder_finds_by_name_or_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let there = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        for name in [
            "ca-certificates.crt",
            "README",
            "1d3472b9",
            "1d3472b9.pem",
            "xyz472b9.0",
        ] {
            there(name);
        }
        assert!(!is_by_name(folder.path()));
        there("1d3472b9.0");
        assert!(is_by_name(folder.path()));
        assert!(!is_by_name(&folder.path().join("none")));
    }

    #[test]
    fn a_long_file_is_read_only_where_all_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let long = folder.path().join("long.pem");
        fs::write(&long, "# Others\n".repeat(20_000) + &certificate.pem()).unwrap();
        let authorities = Authorities {
            files: [long].into(),
            folders: [folder.path().to_owned()].into(),
        };
        assert_eq!(authorities.reach(), Reach::All, "no name in the folder");
        fs::write(folder.path().join("1d3472b9.0"), "").unwrap();
        assert_eq!(authorities.reach(), Reach::ByName);
        for (reach, read) in [(Reach::ByName, 0), (Reach::All, 1)] {
            let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
            authorities.add_to(&mut builder, reach).unwrap();
            let trusted = builder.build().cert_store().all_certificates();
            assert_eq!(trusted.len(), read, "{reach:?}");
        }
    }
}
