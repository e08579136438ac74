//! Certificates and their private keys, in the files that people have: PEM (RFC 7468), both in
//! one file or in two, and PKCS #12 (RFC 7292: `.pfx`, `.p12`), which holds both.
//!
//! OpenSSL reads them, which TLS brings along anyway; it wipes a key when it is dropped. Nothing
//! is trusted that is read here: the system's TLS library verifies certificates.

mod made;

pub use made::Files;

use crate::fault::{Cause, Fault};
use crate::files;
use crate::secret::Secret;
use crate::shell;
use jiff::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use std::cell::Cell;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// No file of a certificate or key is read beyond this, in octets.
const LARGEST_FILE: u64 = 1 << 20;
/// Entra ID takes no smaller keys, in bits.
const SMALLEST_KEY: u32 = 2048;

/// A certificate and the RSA key that belongs to it.
pub struct Identity {
    pub certificate: X509,
    pub private_key: PKey<Private>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(certificate and key)")
    }
}

impl Identity {
    /// Reads both; without `private_key` the certificate's own file holds the key. `passphrase`
    /// opens a PFX file or an encrypted key.
    ///
    /// # Errors
    /// `Config`: which file cannot be used, why, and how to convert it. Never with content.
    pub fn read(
        certificate: &Path,
        private_key: Option<&Path>,
        passphrase: Option<&Secret>,
    ) -> Result<Identity, Fault> {
        Identity::read_now(certificate, private_key, passphrase).or_else(|fault| {
            // Both files may have been renewed between the two looks.
            match (fault.cause, private_key) {
                (Some(Cause::KeyOfAnother), Some(_)) => {
                    Identity::read_now(certificate, private_key, passphrase)
                }
                _ => Err(fault),
            }
        })
    }

    fn read_now(
        certificate: &Path,
        private_key: Option<&Path>,
        passphrase: Option<&Secret>,
    ) -> Result<Identity, Fault> {
        let file = File::read("certificate", certificate)?;
        let pfx = match is_pem(&file.octets) {
            true => None,
            false => Some(file.pkcs12(passphrase)?),
        };
        let key = match private_key {
            Some(path) => File::read("private_key", path)?.pem_key(passphrase)?,
            None => match &pfx {
                None => file.pem_key(passphrase)?,
                Some(pfx) => pfx.pkey.clone().ok_or_else(|| {
                    file.cannot("it contains no private key")
                        .hint("export it again together with its key")
                })?,
            },
        };
        check_closed(private_key.unwrap_or(certificate))?;
        rsa(&key).map_err(|why| match private_key {
            Some(path) => cannot("private_key", path, &why),
            None => file.cannot(&why),
        })?;
        let certificates = match pfx {
            // Without a key in it, OpenSSL counts its own certificate among the others.
            Some(pfx) => pfx
                .cert
                .into_iter()
                .chain(pfx.ca.into_iter().flatten())
                .collect(),
            None => X509::stack_from_pem(&file.octets).unwrap_or_default(),
        };
        if certificates.is_empty() {
            return Err(file.cannot("it contains no certificate"));
        }
        // A chain may come along, in any order.
        let own = |certificate: &X509| {
            let public = certificate.public_key();
            public.is_ok_and(|public| public.public_eq(&key))
        };
        match certificates.into_iter().find(own) {
            Some(certificate) => Ok(Identity {
                certificate,
                private_key: key,
            }),
            None => Err(file
                .cannot("the private key belongs to another certificate")
                .cause(Cause::KeyOfAnother)
                .hint("both print the same public key if they belong together: openssl x509 -noout -pubkey -in CERTIFICATE; openssl pkey -pubout -in KEY")),
        }
    }
}

/// The end of the validity of the certificate in a file; `passphrase` is asked for where the file
/// is PKCS #12. `None` where it cannot be read.
pub fn end_of(
    certificate: &Path,
    passphrase: impl FnOnce() -> Option<Secret>,
) -> Option<Timestamp> {
    let file = File::read("certificate", certificate).ok()?;
    let certificate = match is_pem(&file.octets) {
        true => own_of(X509::stack_from_pem(&file.octets).ok()?)?,
        false => file.pkcs12(passphrase().as_ref()).ok()?.cert?,
    };
    end(&certificate)
}

/// The certificate in a PEM file, in DER: what may be shown to everybody.
///
/// # Errors
/// `Config` where there is none.
pub fn public_der(certificate: &Path) -> Result<Vec<u8>, Fault> {
    let file = File::read("certificate", certificate)?;
    let own = X509::stack_from_pem(&file.octets).ok().and_then(own_of);
    let der = own.and_then(|own| own.to_der().ok());
    der.ok_or_else(|| file.cannot("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"))
}

/// Of a chain, in any order, the certificate that issued none of the others.
fn own_of(chain: Vec<X509>) -> Option<X509> {
    let is_last = |own: &&X509| {
        let mut others = chain.iter().filter(|other| other != own);
        !others.any(|other| own.issued(other) == X509VerifyResult::OK)
    };
    chain.iter().find(is_last).or(chain.first()).cloned()
}

/// The end of a certificate's validity; `None` for what is not a certificate.
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    end(&*X509::from_der(der).ok()?)
}

fn end(certificate: &X509Ref) -> Option<Timestamp> {
    let since = Asn1Time::from_unix(0)
        .and_then(|epoch| epoch.diff(certificate.not_after()))
        .ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Timestamp::from_second(seconds).ok()
}

/// Refuses a file with a private key that others can reach. Root may share its own with a group to
/// read it (root:ssl-cert, 0640), and a container's platform what it mounts with everybody.
pub fn check_closed(path: &Path) -> Result<(), Fault> {
    let Ok(metadata) = path.metadata() else {
        return Ok(()); // Who reads it says so.
    };
    let mode = metadata.mode() & 0o777;
    let forbidden = files::forbidden(metadata.uid() == 0, files::is_mounted(path));
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(Fault::config(format!(
        "other users can reach file `{}` (mode {mode:04o})",
        path.display()
    ))
    .hint(format!("chmod 600 {}", shell::quote(path))))
}

/// A file that a setting names.
struct File<'a> {
    setting: &'static str,
    path: &'a Path,
    octets: Zeroizing<Vec<u8>>,
}

fn cannot(setting: &str, path: &Path, why: &str) -> Fault {
    Fault::config(format!("cannot use {setting} `{}`: {why}", path.display()))
}

impl<'a> File<'a> {
    fn read(setting: &'static str, path: &'a Path) -> Result<File<'a>, Fault> {
        let mut octets = files::read_plain(path, LARGEST_FILE).map_err(|e| {
            let hint = format!("ls -l {}", shell::quote(path));
            cannot(setting, path, &e.to_string())
                .hint(hint)
                .by_system(&e)
        })?;
        // Some editors put an invisible mark at the head, where OpenSSL then finds no PEM.
        if octets.starts_with(b"\xef\xbb\xbf") {
            octets.drain(..3);
        }
        Ok(File {
            setting,
            path,
            octets,
        })
    }

    fn cannot(&self, why: &str) -> Fault {
        cannot(self.setting, self.path, why)
    }

    fn pkcs12(&self, passphrase: Option<&Secret>) -> Result<ParsedPkcs12_2, Fault> {
        let pfx = Pkcs12::from_der(&self.octets)
            .map_err(|_| self.cannot("it is neither PEM nor PFX (PKCS #12)"))?;
        pfx.parse2(passphrase.map_or("", Secret::expose))
            .map_err(|e| {
                let reasons: Vec<&str> = e.errors().iter().filter_map(|e| e.reason()).collect();
                if reasons.contains(&"unsupported") {
                    let shown = shell::quote(self.path);
                    return self
                        .cannot("it is encrypted with an old method that OpenSSL 3 refuses (RC2 or similar), as older exports are")
                        .hint(format!(
                            "convert it: (umask 077; openssl pkcs12 -legacy -noenc -in {shown} -out queuemail.pem), then use --certificate queuemail.pem"
                        ));
                }
                match passphrase {
                    None => self.needs_passphrase("it needs a passphrase"),
                    Some(_) => self.cannot("the passphrase does not open it"),
                }
            })
    }

    fn pem_key(&self, passphrase: Option<&Secret>) -> Result<PKey<Private>, Fault> {
        if !holds(&self.octets, b"PRIVATE KEY-----") {
            let fault = self.cannot("it contains no private key (-----BEGIN PRIVATE KEY-----)");
            return Err(match self.setting {
                "certificate" => fault.hint("name the file of the key: --private-key PEM"),
                _ => fault,
            });
        }
        let asked = Cell::new(false);
        // Without a callback OpenSSL would ask on the terminal.
        let key = PKey::private_key_from_pem_callback(&self.octets, |buffer| {
            asked.set(true);
            let own = passphrase.map_or("", Secret::expose).as_bytes();
            let room = buffer.get_mut(..own.len()).ok_or_else(ErrorStack::get)?;
            room.copy_from_slice(own);
            Ok(own.len())
        });
        key.map_err(|e| match (asked.get(), passphrase) {
            (true, None) => self.needs_passphrase("its private key is encrypted"),
            (true, Some(_)) => self.cannot("the passphrase does not open its private key"),
            (false, _) => self.cannot(&format!("its private key is damaged ({})", reason(&e))),
        })
    }

    fn needs_passphrase(&self, why: &str) -> Fault {
        self.cannot(&format!("{why}, and no passphrase is set"))
            .cause(Cause::NoPassphrase)
    }
}

fn is_pem(octets: &[u8]) -> bool {
    holds(octets, b"-----BEGIN ")
}

fn holds(octets: &[u8], text: &[u8]) -> bool {
    octets.windows(text.len()).any(|part| part == text)
}

/// Why OpenSSL cannot do something, in its own words.
pub fn reason(err: &ErrorStack) -> &str {
    let last = err.errors().last().and_then(|e| e.reason());
    last.unwrap_or("OpenSSL does not say why")
}

fn rsa(key: &PKeyRef<Private>) -> Result<(), String> {
    if key.id() != Id::RSA {
        return Err("the key is not an RSA key, and Entra ID accepts only RSA".to_owned());
    }
    match key.bits() {
        bits if bits < SMALLEST_KEY => Err(format!(
            "the RSA key has {bits} bits, and Entra ID requires {SMALLEST_KEY} or more"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use proptest::prelude::*;
    use std::path::PathBuf;
    use std::process::Command;

    fn certificate(year: i32) -> rcgen::Certificate {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for year in [2027, 2049, 2050, 2126] {
            let certificate = certificate(year);
            let expected = format!("{year}-03-04T00:00:00Z");
            assert_eq!(not_after(certificate.der()).unwrap().to_string(), expected);
        }
        assert_eq!(not_after(b""), None);
        assert_eq!(not_after(b"0\0"), None);
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..400, octet in any::<u8>(), cut in 0usize..400) {
            let mut der = certificate(2030).der().to_vec();
            let (at, cut) = (at % der.len(), cut % der.len());
            der[at] = octet;
            not_after(&der);
            not_after(&der[..cut]);
        }
    }

    /// A folder with `key.pem`, `cert.pem` of it, and what the commands make of them.
    fn folder(commands: &[&str]) -> (tempfile::TempDir, impl Fn(&str) -> PathBuf + use<>) {
        let folder = tempfile::tempdir().unwrap();
        let make =
            "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=t -keyout key.pem -out cert.pem";
        for command in std::iter::once(&make).chain(commands) {
            let out = Command::new("openssl")
                .args(command.split(' '))
                .current_dir(&folder)
                .output()
                .unwrap();
            assert!(out.status.success(), "openssl {command}: {out:?}");
        }
        let path = folder.path().to_owned();
        (folder, move |name: &str| path.join(name))
    }

    #[track_caller]
    fn refused(certificate: &Path, key: Option<&Path>, passphrase: Option<&str>) -> String {
        let passphrase = passphrase.map(Secret::new);
        let Err(fault) = Identity::read(certificate, key, passphrase.as_ref()) else {
            panic!("{} can be used", certificate.display());
        };
        assert_eq!(fault.kind, Kind::Config);
        format!("{} {}", fault.what, fault.hints.join(" "))
    }

    #[test]
    fn every_form_of_a_key_is_read() {
        let (_kept, path) = folder(&[
            "rsa -traditional -in key.pem -out pkcs1.pem",
            "pkcs8 -topk8 -in key.pem -passout pass:open -out encrypted.pem",
            "rsa -aes256 -traditional -in key.pem -passout pass:open -out old-encrypted.pem",
            "pkcs12 -export -in cert.pem -inkey key.pem -passout pass:open -out a.pfx",
            "pkcs12 -export -in cert.pem -inkey key.pem -passout pass: -out bare.pfx",
            "pkcs12 -export -in cert.pem -inkey key.pem -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -passout pass:open -out 3des.pfx",
        ]);
        let open = Secret::new("open");
        for (certificate, key) in [
            ("cert.pem", Some("key.pem")),
            ("cert.pem", Some("pkcs1.pem")),
            ("cert.pem", Some("encrypted.pem")),
            ("cert.pem", Some("old-encrypted.pem")),
            ("a.pfx", None),
            ("3des.pfx", None),
            ("a.pfx", Some("key.pem")),
        ] {
            let key = key.map(&path);
            let found = Identity::read(&path(certificate), key.as_deref(), Some(&open));
            assert!(found.is_ok(), "{certificate} {key:?}: {:?}", found.err());
        }
        assert!(Identity::read(&path("bare.pfx"), None, None).is_ok());
        let both = [path("key.pem"), path("cert.pem")].map(|p| std::fs::read(p).unwrap());
        for (name, parts) in [
            ("key-first.pem", [&both[0], &both[1]]),
            ("key-last.pem", [&both[1], &both[0]]),
        ] {
            // With the key's permissions.
            std::fs::copy(path("key.pem"), path(name)).unwrap();
            std::fs::write(path(name), parts.map(Vec::as_slice).concat()).unwrap();
            assert!(Identity::read(&path(name), None, None).is_ok(), "{name}");
        }
        let end = end_of(&path("cert.pem"), || panic!("a passphrase for PEM"));
        assert!(end.is_some());
        assert_eq!(end_of(&path("a.pfx"), || Some(open)), end);
        assert_eq!(end_of(&path("a.pfx"), || None), None);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_a_remedy() {
        let (_kept, path) = folder(&[
            "pkcs8 -topk8 -in key.pem -passout pass:open -out encrypted.pem",
            "pkcs12 -export -in cert.pem -inkey key.pem -passout pass:open -out a.pfx",
            "pkcs12 -export -in cert.pem -nokeys -passout pass:open -out no-key.pfx",
            "pkcs12 -export -legacy -in cert.pem -inkey key.pem -passout pass:open -out old.pfx",
            "genrsa -out other.pem 2048",
            "genrsa -out small.pem 1024",
            "ecparam -name prime256v1 -genkey -noout -out ec.pem",
        ]);
        let cert = path("cert.pem");
        let with = |key: &str, pass| refused(&cert, Some(&path(key)), pass);
        assert!(with("encrypted.pem", None).contains("is encrypted, and no passphrase is set"));
        assert!(with("encrypted.pem", Some("shut")).contains("does not open its private key"));
        assert!(with("other.pem", None).contains("belongs to another certificate"));
        assert!(with("small.pem", None).contains("has 1024 bits"));
        assert!(with("ec.pem", None).contains("not an RSA key"));
        assert!(with("cert.pem", None).contains("contains no private key"));
        assert!(with("missing.pem", None).contains("cannot use private_key"));
        assert!(refused(&cert, None, None).contains("--private-key PEM"));
        assert!(refused(&path("key.pem"), None, None).contains("contains no certificate"));
        let pfx = |name: &str, pass| refused(&path(name), None, pass);
        assert!(pfx("a.pfx", None).contains("no passphrase is set"));
        assert!(pfx("a.pfx", Some("shut")).contains("the passphrase does not open it"));
        assert!(pfx("no-key.pfx", Some("open")).contains("contains no private key"));
        assert!(pfx("old.pfx", Some("open")).contains("openssl pkcs12 -legacy -noenc"));
        std::fs::write(
            path("damaged.pem"),
            "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        assert!(with("damaged.pem", None).contains("is damaged"));
        std::fs::write(path("noise.pfx"), [7; 300]).unwrap();
        assert!(pfx("noise.pfx", None).contains("neither PEM nor PFX"));
    }
}
