//! Messages by their UIDs.

use super::lines::number;
use crate::mail::RemoteId;

/// UIDs of IMAP, each with the UIDVALIDITY that it is good for (RFC 3501 §2.3.1.1). Eight octets for
/// each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uids(Vec<(u32, u32)>);

impl Uids {
    pub fn of(mut pairs: Vec<(u32, u32)>) -> Uids {
        pairs.sort_unstable();
        pairs.dedup();
        Uids(pairs)
    }

    /// Whether this is the id of one of them.
    pub fn holds(&self, uidvalidity: u32, id: &RemoteId) -> bool {
        let found = self.0.binary_search_by(|(valid, uid)| {
            let by_uid = || RemoteId::from(*uid).cmp(id);
            valid.cmp(&uidvalidity).then_with(by_uid)
        });
        found.is_ok()
    }

    /// How many there are for this UIDVALIDITY.
    pub fn count(&self, uidvalidity: u32) -> u64 {
        let start = self.0.partition_point(|(v, _)| *v < uidvalidity);
        let end = self.0.partition_point(|(v, _)| *v <= uidvalidity);
        (end - start) as u64
    }

    /// The highest one for this UIDVALIDITY.
    pub fn highest(&self, uidvalidity: u32) -> Option<RemoteId> {
        let end = self.0.partition_point(|(v, _)| *v <= uidvalidity);
        let (valid, uid) = self.0[..end].last()?;
        (*valid == uidvalidity).then(|| RemoteId::from(*uid))
    }

    /// The greatest UIDVALIDITY that there are UIDs for: the newest, as servers give them.
    pub fn newest(&self) -> Option<u32> {
        self.0.last().map(|(uidvalidity, _)| *uidvalidity)
    }
}

/// The UIDVALIDITY and UID that an identifier of POP3 is made of, where it is as Dovecot makes them
/// unless it is configured otherwise (`pop3_uidl_format = %08Xu%08Xv`). That eight digits of another
/// server's identifier are the folder's UIDVALIDITY by chance is not to be feared.
pub fn of_pop3(identifier: &[u8]) -> Option<(u32, u32)> {
    let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b.to_ascii_lowercase());
    if identifier.len() != 16 || !identifier.iter().all(is_hex) {
        return None;
    }
    let text = std::str::from_utf8(identifier).ok()?;
    let uid = u32::from_str_radix(&text[..8], 16).ok()?;
    let uidvalidity = u32::from_str_radix(&text[8..], 16).ok()?;
    (uid > 0 && uidvalidity > 0).then_some((uidvalidity, uid))
}

/// The two of an identifier that is written as numbers, neither of which is 0 (RFC 3501 §9,
/// `nz-number`).
pub fn of_numbers(uidvalidity: &[u8], uid: &[u8]) -> Option<(u32, u32)> {
    let pair = (number(uidvalidity)?, number(uid)?);
    (pair.0 > 0 && pair.1 > 0).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_uid_is_good_for_its_uidvalidity() {
        let uids = Uids::of(vec![(7, 1), (7, 3), (9, 2), (7, 3)]);
        let holds = |valid, uid: u32| uids.holds(valid, &RemoteId::from(uid));
        assert!(holds(7, 3) && holds(9, 2));
        assert!(!holds(9, 3) && !holds(7, 2));
        assert!(!uids.holds(7, &RemoteId::from("3".to_owned())));
        assert_eq!([uids.count(7), uids.count(8), uids.count(9)], [2, 0, 1]);
        assert_eq!(uids.newest(), Some(9));
        let highest = [7, 8, 9].map(|valid| uids.highest(valid));
        assert_eq!(highest, [Some(3.into()), None, Some(2.into())]);
        assert_eq!(Uids::of(Vec::new()).newest(), None);
    }

    #[test]
    fn an_identifier_of_pop3_may_be_a_uid() {
        assert_eq!(of_pop3(b"0000000a5F2C1d00"), Some((0x5f2c_1d00, 10)));
        for other in [
            &b"000000005f2c1d00"[..],
            b"0000000a00000000",
            b"0000000a5f2c1d0",
            b"0000000a5f2c1d0z",
            b"+000000a5f2c1d00",
            b"AAAAAAAAAAAAAAAAAAAA",
            b"",
        ] {
            assert_eq!(of_pop3(other), None);
        }
        assert_eq!(of_numbers(b"7", b"4294967295"), Some((7, u32::MAX)));
        for (v, u) in [
            ("0", "1"),
            ("1", "0"),
            ("+1", "1"),
            ("1", "4294967296"),
            ("", "1"),
        ] {
            assert_eq!(of_numbers(v.as_bytes(), u.as_bytes()), None);
        }
    }
}
