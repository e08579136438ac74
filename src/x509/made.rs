//! New certificates: made here, and put where the one before them is.

use super::{Identity, LARGEST_FILE, holds, is_pem, reason};
use crate::digest;
use crate::fault::Fault;
use crate::files;
use crate::secret::Secret;
use anyhow::Result;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509, X509Name, X509NameBuilder};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Bits of a new RSA key.
const KEY: u32 = 3072;
/// How long before now a new certificate begins, in seconds: clocks differ.
const SKEW: i64 = 3600;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// What says that a key in PEM is encrypted (RFC 7468 §11, RFC 1421 §4.6.1.1).
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// The files of a certificate and its key.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub certificate: &'a Path,
    /// Where it is not in the certificate's own file.
    pub private_key: Option<&'a Path>,
    /// Opens a PFX file or an encrypted key.
    pub passphrase: Option<&'a Secret>,
}

impl Identity {
    /// A new RSA key with a certificate that it signs itself, which is valid for so many days.
    ///
    /// # Errors
    /// `Bug`: OpenSSL cannot.
    pub fn make(name: &str, days: u32) -> Result<Identity, Fault> {
        made(name, days).map_err(|e| cannot("make a certificate", &e))
    }

    /// Certificate and key in one PEM text, which is a secret.
    ///
    /// # Errors
    /// `Bug`: OpenSSL cannot.
    pub fn pem(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.both_in_pem(None)
            .map_err(|e| cannot("write a certificate", &e))
    }

    /// What [`Identity::pem`] gave.
    ///
    /// # Errors
    /// `Bug`: it is something else.
    pub fn from_pem(octets: &[u8]) -> Result<Identity, Fault> {
        let read = || -> Result<Identity, ErrorStack> {
            Ok(Identity {
                private_key: PKey::private_key_from_pem(octets)?,
                certificate: X509::from_pem(octets)?,
            })
        };
        read().map_err(|e| cannot("read a certificate", &e))
    }

    /// SHA-256 of the certificate, in hexadecimal.
    ///
    /// # Errors
    /// `Bug`: OpenSSL cannot.
    pub fn fingerprint(&self) -> Result<String, Fault> {
        let digest = self.certificate.digest(MessageDigest::sha256());
        digest
            .map(|octets| digest::hex(&octets))
            .map_err(|e| cannot("read a certificate", &e))
    }

    /// The certificate in DER.
    ///
    /// # Errors
    /// `Bug`: OpenSSL cannot.
    pub fn der(&self) -> Result<Vec<u8>, Fault> {
        let der = self.certificate.to_der();
        der.map_err(|e| cannot("write a certificate", &e))
    }

    fn both_in_pem(&self, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        let mut text = self.key_in_pem(passphrase)?;
        text.extend(self.certificate.to_pem()?);
        Ok(text)
    }

    fn key_in_pem(&self, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        let key = &self.private_key;
        let text = match passphrase {
            None => key.private_key_to_pem_pkcs8()?,
            Some(own) => key.private_key_to_pem_pkcs8_passphrase(
                Cipher::aes_256_cbc(),
                own.expose().as_bytes(),
            )?,
        };
        Ok(Zeroizing::new(text))
    }
}

impl Files<'_> {
    /// # Errors
    /// As [`Identity::read`].
    pub fn read(&self) -> Result<Identity, Fault> {
        Identity::read(self.certificate, self.private_key, self.passphrase)
    }

    /// Makes sure that [`Files::put`] can do its work, as far as can be known before.
    ///
    /// # Errors
    /// `CannotWrite` or `Config`, with what to do.
    pub fn check(&self) -> Result<()> {
        let is_pem = is_pem(&octets_of(self.certificate)?);
        if let (false, Some(key)) = (is_pem, self.other_file()) {
            return Err(Fault::config(format!(
                "the certificate `{}` is a PFX file and its key is in another file, `{}`: both cannot be replaced in one step",
                self.certificate.display(),
                key.display()
            ))
            .hint("keep both in the PFX file, or both in PEM")
            .into());
        }
        for path in [Some(self.certificate), self.other_file()] {
            path.map_or(Ok(()), files::check_replaceable)?;
        }
        Ok(())
    }

    /// Puts another certificate and its key in the place of those there are, in the same form.
    /// Whoever reads the files meanwhile, or after a crash, finds a certificate with its key: where
    /// they are in two files, the certificate's has both certificates while the key is replaced.
    /// The same again does no harm.
    ///
    /// # Errors
    /// `CannotWrite` or `Config`.
    pub fn put(&self, new: &Identity) -> Result<()> {
        let here = octets_of(self.certificate)?;
        let form = |made: Result<Zeroizing<Vec<u8>>, ErrorStack>| {
            made.map_err(|e| cannot("write a certificate", &e))
        };
        if !is_pem(&here) {
            let whole = form(pfx(new, self.passphrase))?;
            return files::rewrite(self.certificate, &whole);
        }
        let Some(key_file) = self.other_file() else {
            let whole = form(new.both_in_pem(self.passphrase_of(&here)))?;
            return files::rewrite(self.certificate, &whole);
        };
        let alone = form(new.certificate.to_pem().map(Zeroizing::new))?;
        let both = [&alone[..], &here[..]].concat();
        let key = form(new.key_in_pem(self.passphrase_of(&octets_of(key_file)?)))?;
        files::rewrite(self.certificate, &both)?;
        files::rewrite(key_file, &key)?;
        files::rewrite(self.certificate, &alone)
    }

    /// The file of the key where it is not the certificate's.
    fn other_file(&self) -> Option<&Path> {
        self.private_key.filter(|key| *key != self.certificate)
    }

    /// The passphrase, where a file holds an encrypted key.
    fn passphrase_of(&self, pem: &[u8]) -> Option<&Secret> {
        let is_encrypted = ENCRYPTED.iter().any(|mark| holds(pem, mark));
        self.passphrase.filter(|_| is_encrypted)
    }
}

fn made(name: &str, days: u32) -> Result<Identity, ErrorStack> {
    let private_key = PKey::from_rsa(Rsa::generate(KEY)?)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let subject = subject(name)?;
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_serial_number(&*serial.to_asn1_integer()?)?;
    certificate.set_subject_name(&subject)?;
    certificate.set_issuer_name(&subject)?;
    certificate.set_not_before(&*Asn1Time::from_unix(now.saturating_sub(SKEW))?)?;
    let end = now.saturating_add(i64::from(days) * DAY);
    certificate.set_not_after(&*Asn1Time::from_unix(end)?)?;
    certificate.set_pubkey(&private_key)?;
    certificate.append_extension(BasicConstraints::new().critical().build()?)?;
    let usage = KeyUsage::new().critical().digital_signature().build()?;
    certificate.append_extension(usage)?;
    certificate.sign(&private_key, MessageDigest::sha256())?;
    Ok(Identity {
        certificate: certificate.build(),
        private_key,
    })
}

fn subject(name: &str) -> Result<X509Name, ErrorStack> {
    let mut subject: X509NameBuilder = X509Name::builder()?;
    subject.append_entry_by_text("CN", name)?;
    Ok(subject.build())
}

fn pfx(new: &Identity, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut whole = Pkcs12::builder();
    whole.name("queuemail");
    whole.pkey(&new.private_key);
    whole.cert(&new.certificate);
    let whole = whole.build2(passphrase.map_or("", Secret::expose))?;
    Ok(Zeroizing::new(whole.to_der()?))
}

fn octets_of(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    files::read_plain(path, LARGEST_FILE).map_err(|e| files::cannot("read", path, &e))
}

fn cannot(what: &str, err: &ErrorStack) -> Fault {
    Fault::bug(format!("cannot {what}: {}", reason(err)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn openssl(folder: &Path, args: &[&str]) -> String {
        let out = Command::new("openssl")
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "openssl {args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Certificates that replace others need no time of their own.
    fn new() -> Identity {
        Identity::make("queuemail", 365).unwrap()
    }

    #[test]
    fn a_new_certificate_is_one_that_openssl_takes() {
        let folder = tempfile::tempdir().unwrap();
        let made = new();
        std::fs::write(
            folder.path().join("c.pem"),
            made.certificate.to_pem().unwrap(),
        )
        .unwrap();
        let text = openssl(folder.path(), &["x509", "-in", "c.pem", "-noout", "-text"]);
        for part in [
            "Public-Key: (3072 bit)",
            "Subject: CN = queuemail",
            "CA:FALSE",
            "Digital Signature",
            "sha256WithRSAEncryption",
        ] {
            let found = text.contains(part) || text.contains(&part.replace(" = ", "="));
            assert!(found, "{part}: {text}");
        }
        openssl(folder.path(), &["verify", "-CAfile", "c.pem", "c.pem"]);
        let end = super::super::not_after(&made.der().unwrap()).unwrap();
        let days = (end.as_second() - Timestamp::now().as_second() + 60) / DAY;
        assert_eq!(days, 365);
        let again = Identity::from_pem(&made.pem().unwrap()).unwrap();
        assert_eq!(again.fingerprint().unwrap(), made.fingerprint().unwrap());
        assert!(again.private_key.public_eq(&made.private_key));
        assert!(Identity::from_pem(b"key").is_err());
    }

    #[test]
    fn each_form_is_replaced_by_the_same_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let run = |line: &str| {
            openssl(folder.path(), &line.split(' ').collect::<Vec<_>>());
        };
        run("req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=t -keyout key.pem -out cert.pem");
        run("pkcs8 -topk8 -in key.pem -passout pass:open -out closed.pem");
        run("pkcs12 -export -in cert.pem -inkey key.pem -passout pass:open -out a.pfx");
        run("pkcs12 -export -in cert.pem -inkey key.pem -passout pass: -out bare.pfx");
        let both = [path("key.pem"), path("cert.pem")].map(|p| std::fs::read(p).unwrap());
        std::fs::write(path("both.pem"), both.concat()).unwrap();
        std::fs::copy(path("cert.pem"), path("cert2.pem")).unwrap();
        let open = Secret::new("open");
        for (certificate, key, passphrase) in [
            ("cert.pem", Some("key.pem"), None),
            ("cert2.pem", Some("closed.pem"), Some(&open)),
            ("both.pem", None, None),
            ("a.pfx", None, Some(&open)),
            ("bare.pfx", None, None),
        ] {
            let (certificate, key) = (path(certificate), key.map(&path));
            for file in [Some(&certificate), key.as_ref()].into_iter().flatten() {
                std::fs::set_permissions(file, PermissionsExt::from_mode(0o400)).unwrap();
            }
            let files = Files {
                certificate: &certificate,
                private_key: key.as_deref(),
                passphrase,
            };
            files.check().unwrap();
            let made = new();
            files.put(&made).unwrap();
            files.put(&made).unwrap();
            let found = files.read().unwrap();
            let story = certificate.display();
            assert_eq!(
                found.fingerprint().unwrap(),
                made.fingerprint().unwrap(),
                "{story}"
            );
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&certificate), 0o400, "{story}");
            assert_eq!(
                key.as_deref().map(mode),
                key.as_ref().map(|_| 0o400),
                "{story}"
            );
            if passphrase.is_some() {
                let shut = Files {
                    passphrase: None,
                    ..files
                };
                assert!(shut.read().is_err(), "{story} is not protected any more");
            }
        }
    }

    /// The steps of [`Files::put`] with two files, of which a crash may leave any.
    #[test]
    fn between_the_steps_a_certificate_has_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, octets: &[u8]| {
            std::fs::write(path(name), octets).unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o600)).unwrap();
        };
        let (old, new) = (new(), new());
        let pem = |identity: &Identity| identity.certificate.to_pem().unwrap();
        let key = |identity: &Identity| identity.key_in_pem(None).unwrap();
        let both = [pem(&new), pem(&old)].concat();
        for (certificates, private, expected) in [
            (&both, &old, &old),
            (&both, &new, &new),
            (&pem(&new), &new, &new),
        ] {
            write("cert.pem", certificates);
            write("key.pem", &key(private));
            let (certificate, private_key) = (path("cert.pem"), path("key.pem"));
            let files = Files {
                certificate: &certificate,
                private_key: Some(&private_key),
                passphrase: None,
            };
            let found = files.read().unwrap();
            assert_eq!(
                found.fingerprint().unwrap(),
                expected.fingerprint().unwrap()
            );
            files.put(&new).unwrap();
            assert_eq!(
                files.read().unwrap().fingerprint().unwrap(),
                new.fingerprint().unwrap()
            );
            assert_eq!(std::fs::read(&certificate).unwrap(), pem(&new));
        }
    }

    #[test]
    fn a_pfx_file_with_its_key_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (pfx, key) = (folder.path().join("a.pfx"), folder.path().join("key.pem"));
        std::fs::write(&pfx, super::pfx(&new(), None).unwrap()).unwrap();
        std::fs::write(&key, "k").unwrap();
        let files = Files {
            certificate: &pfx,
            private_key: Some(&key),
            passphrase: None,
        };
        let err = files.check().unwrap_err().to_string();
        assert!(
            err.contains("is a PFX file and its key is in another file"),
            "{err}"
        );
    }
}
