//! A message of any size passes through a process of a small one.

use super::{Office, SUPPORT, message};
use crate::memory::peak;

#[test]
fn a_message_of_150_mib_takes_less_than_32_mib() {
    let office = Office::new("graph");
    let mut large = message(0);
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    while large.len() < 150 << 20 {
        large.extend_from_slice(&line);
    }
    office.m365.deliver(SUPPORT, "INBOX", &large);
    for n in 1..40 {
        office.deliver("INBOX", n);
    }
    let (ran, peak) = peak(&office.world, office.fetch());
    assert_eq!(ran.code, 0, "{ran}");
    assert!(peak < 32 << 10, "{peak} KiB");
    let delivered = office.delivered();
    assert_eq!(delivered.len(), 40);
    assert!(delivered.contains(&large));
}
