//! Servers that never end, and transcripts that were damaged.

use super::*;

fn small() -> Limits {
    Limits {
        line: 1 << 10,
        small_literal: 512,
        octets: 16 << 10,
        search: 16 << 10,
        lines: 100,
        message: 4 << 10,
        waste: 16 << 10,
    }
}

/// What all readers together may take from a peer that never ends: 5 commands, each with its
/// lines, its messages and what is passed over, and the buffer's read ahead.
const MOST: u64 = 5 * (2 * 16 + 3 * 4) * 1024 + 5 * (64 << 10);

/// Runs every kind of command against octets that never end; what matters is that all end,
/// that nothing panics, and how much was read.
fn endure(theirs: &[u8], endless: &[u8]) -> u64 {
    let mut total = 0;
    for (at, name) in ["SELECT", "UID SEARCH", "UID FETCH", "LIST", "UID MOVE"]
        .into_iter()
        .enumerate()
    {
        let answer = theirs.to_vec();
        let started = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let begun = started.clone();
        let (mut wire, served) = wire(b"", Some(endless), move |line| {
            let (tag, command) = split(line);
            if command.starts_with("AUTH") {
                return format!("{tag} OK x\r\n").into_bytes();
            }
            if command == "CAPABILITY" {
                return format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes();
            }
            if command.starts_with(name) && !begun.swap(true, Ordering::Relaxed) {
                return answer.clone();
            }
            Vec::new()
        });
        wire.limits = small();
        let mut mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
        let mut sink = Kept::default();
        match at {
            0 => drop(mailbox.open("INBOX", true)),
            1 => drop(listed(&mut mailbox, &Query::default())),
            2 => drop(mailbox.retrieve(&ids([5, 6, 7]), Part::Whole, &mut sink)),
            3 => drop(mailbox.folders()),
            _ => drop(mailbox.settle(&ids([5, 6]), &AfterFetch::Move("Done".into()))),
        }
        assert!(sink.open.is_none());
        total += served.load(Ordering::Relaxed);
    }
    total
}

#[test]
fn nothing_is_read_for_ever() {
    for endless in [
        "* 1 EXISTS\r\n",
        "x",
        "\r\n",
        "* OK still here\r\n",
        "* SEARCH 1 2 3\r\n",
        "* SEARCH 1 ",
        "* ESEARCH UID ALL 1,",
        "* LIST () \"/\" {300}\r\n",
        "* 1 FETCH (UID 9 BODY[] {2000}\r\n",
        "* 1 FETCH (BODY[] {12}\r\n",
        "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n",
        "* 1 FETCH (UID 5 BODY[] {99999999999}\r\n",
        "* 1 FETCH (X ((((((((((",
        "+ go\r\n",
        "* CAPABILITY X\r\n",
    ] {
        let read = endure(b"", endless.as_bytes());
        assert!(read <= MOST, "{read} octets of {endless:?}");
    }
}

const GOOD: &[u8] = b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 14] v\r\n* OK [ALERT] hm\r\n\
        * LIST (\\Sent) \"/\" {4}\r\nSent\r\n* SEARCH 5 6 7\r\n* ESEARCH (TAG \"q1\") UID ALL 5:7\r\n\
        * 1 FETCH (UID 5 BODY[] {10}\r\n12345678\r\n)\r\n* 2 FETCH (BODY[] \"abc\" UID 6)\r\n\
        * NO hm\r\n* BYE no\r\n+ \r\na4 OK [READ-WRITE] x\r\nq1 OK x\r\na4 NO [TRYCREATE] x\r\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_transcripts_neither_panic_nor_pass_the_bounds(
        from in 0..GOOD.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..12),
    ) {
        let mut bytes = GOOD[from..].to_vec();
        bytes.extend_from_slice(&GOOD[..from]);
        for (at, how, byte) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                2 => bytes.insert(at, b"(){}\"\\ \r\n*+0123456789"[usize::from(byte) % 21]),
                _ => bytes.truncate(at.max(2)),
            }
            if bytes.is_empty() { bytes.push(b'*'); }
        }
        let read = endure(&bytes, &bytes);
        prop_assert!(read <= MOST, "{} octets", read);
    }
}
