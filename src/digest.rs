//! Digests and random octets, and how both are written: what names files, messages and requests.

use crate::fault::Fault;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use std::io::{self, Read};

pub use openssl::sha::{Sha256, sha256};

/// Octets in hexadecimal, in lower case.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Octets that nobody can guess.
///
/// # Errors
/// `Bug` when the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut octets = [0; N];
    openssl::rand::rand_bytes(&mut octets)
        .map_err(|_| Fault::bug("the system provides no random numbers"))?;
    Ok(octets)
}

/// HMAC-SHA256 (RFC 2104) of a text of any length, which is read piece by piece.
///
/// # Errors
/// Those of reading, and of the system's library.
pub fn hmac_sha256(key: &[u8], mut text: impl Read) -> io::Result<Vec<u8>> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    io::copy(&mut text, &mut signer)?;
    Ok(signer.sign_to_vec()?)
}

/// A random GUID (RFC 9562 §5.4).
///
/// # Errors
/// As [`random`].
pub fn guid() -> Result<String, Fault> {
    let mut octets: [u8; 16] = random()?;
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex = hex(&octets);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3.
    #[test]
    fn an_hmac_is_that_of_the_rfc() {
        let mac = hmac_sha256(b"Jefe", &b"what do ya want for nothing?"[..]).unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&mac), expected);
    }

    #[test]
    fn a_guid_has_its_version_and_variant() {
        let one = guid().unwrap();
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]), "{one}");
        assert_ne!(one, guid().unwrap());
    }
}
