//! Mail as it really is: messages that mail programs have stumbled over, made the same each time.

use std::sync::OnceLock;

/// One message and what makes it odd.
#[derive(Clone, Debug)]
pub struct Odd {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// SMTP can carry it octet for octet (RFC 5321 §2.3.8, with 8BITMIME): it has From, Date and
    /// Message-ID, and lines end in CRLF. Nor does Dovecot alter it.
    pub sendable: bool,
}

/// The largest message that Exchange takes by default, without its encoding: 25 MiB.
pub const LARGE: usize = 25 << 20;

/// Each kind once, the large one not included.
pub fn all() -> Vec<Odd> {
    let mut odd = Vec::new();
    let mut add = |name, sendable, bytes: Vec<u8>| {
        odd.push(Odd {
            name,
            bytes,
            sendable,
        });
    };
    add("plain", true, with_header(b"Hello.\r\n"));
    add(
        "eight-bit",
        true,
        with_header(b"Gr\xfc\xdfe, \xe2\x82\xac, \x80\xff\xfe\r\n"),
    );
    add(
        "eight-bit header",
        true,
        [
            b"Subject: Gr\xc3\xbc\xc3\x9fe \xff\r\n",
            with_header(b"x\r\n").as_slice(),
        ]
        .concat(),
    );
    add("nul", false, with_header(b"a\0b\0\0c\r\n\0\r\n"));
    add("bare cr", false, with_header(b"a\rb\r\rc\r\n"));
    add("cr cr lf", false, with_header(b"a\r\r\n\r\r\n"));
    add("bare lf", false, with_header(b"a\nb\n\nc\r\n.\nd\r\n"));
    add(
        "line of 998",
        true,
        with_header(&[&[b'x'; 998], b"\r\n".as_slice()].concat()),
    );
    add(
        "line of 100,000",
        true,
        with_header(&[&[b'y'; 100_000], b"\r\nend\r\n".as_slice()].concat()),
    );
    add(
        "dots",
        true,
        with_header(b".\r\n..\r\n...\r\n.a\r\n..b\r\n \r\n.\r\nQUIT\r\n"),
    );
    add(
        "from lines",
        true,
        with_header(
            b"From here\r\n\r\nFrom support@contoso.com Mon Nov 23 2026\r\n>From x\r\n>>From y\r\n",
        ),
    );
    add("empty body", true, with_header(b""));
    add("only line ends", true, with_header(b"\r\n\r\n\r\n"));
    add(
        "header alone",
        false,
        b"Subject: no empty line\r\n".to_vec(),
    );
    add(
        "no header",
        false,
        b"\r\nA body that nothing precedes.\r\n".to_vec(),
    );
    add(
        "no field",
        false,
        b"not a header field\r\nat all\r\n".to_vec(),
    );
    add(
        "no message-id",
        false,
        b"From: support@contoso.com\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nx\r\n".to_vec(),
    );
    add("no final newline", false, with_header(b"the end"));
    add("no final lf", false, with_header(b"the end\r"));
    add("one octet", false, b"x".to_vec());
    add(
        "literal in text",
        true,
        with_header(b"{10}\r\n{5+}\r\n* BYE\r\n)\r\n"),
    );
    add(
        "folded header",
        true,
        [
            b"Subject: a\r\n \r\n\tb\r\n c\r\n".as_slice(),
            with_header(b"x\r\n").as_slice(),
        ]
        .concat(),
    );
    add(
        "many fields",
        true,
        (0..2000)
            .flat_map(|i| format!("X-Field-{i}: {i}\r\n").into_bytes())
            .chain(with_header(b"x\r\n"))
            .collect(),
    );
    odd
}

/// A message of 25 MiB of base64 lines.
pub fn large() -> Odd {
    sized_odd("25 MiB", LARGE)
}

fn sized_odd(name: &'static str, size: usize) -> Odd {
    Odd {
        name,
        bytes: sized(1, size),
        sendable: true,
    }
}

/// A proper header before a body. The Message-ID follows from the body.
fn with_header(body: &[u8]) -> Vec<u8> {
    let mut random = Random(body.iter().fold(body.len() as u64 + 1, |sum, octet| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*octet))
    }));
    [header(&mut random).into_bytes(), body.to_vec()].concat()
}

fn header(random: &mut Random) -> String {
    format!(
        "From: Support <support@contoso.com>\r\nTo: customer@example.com\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: Ticket {}\r\n\
         Message-ID: <{:016x}@contoso.com>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        random.below(100_000),
        random.next()
    )
}

/// A well-behaved message of exactly `size` octets (at least 400), another for each `seed`.
pub fn sized(seed: u64, size: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = header(&mut random).into_bytes();
    bytes.reserve(size);
    // One random line, turned by a place for each following one: quick, and no two alike nearby.
    let line: Vec<u8> = (0..76)
        .map(|_| ALPHABET[random.below(64) as usize])
        .collect();
    let mut turn = 0;
    while bytes.len() + 78 + 3 <= size {
        bytes.extend_from_slice(&line[turn % 76..]);
        bytes.extend_from_slice(&line[..turn % 76]);
        bytes.extend_from_slice(b"\r\n");
        turn += 1;
    }
    bytes.resize(size - 2, b'.');
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Messages put together at random from odd pieces; the same for the same seed.
pub fn random(seed: u64) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"text of a line",
        b"text of a line\r\n",
        b"\n",
        b"\r",
        b"\0",
        b".\r\n",
        b"\n.\r\n",
        b"..",
        b"From me\r\n",
        b"\xff\xfe",
        b"Gr\xc3\xbc\xc3\x9fe",
        b"--boundary\r\n",
        b"Content-Type: multipart/mixed; boundary=\"boundary\"\r\n",
        b"=?utf-8?q?=",
        b"{12}\r\n",
        b" \t ",
        b")\r\n* 1 FETCH (",
    ];
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = Vec::new();
    if random.below(20) > 0 {
        let text = header(&mut random);
        match random.below(10) {
            0 => bytes.extend(text.replace("Message-ID", "X-Not-An-ID").into_bytes()),
            1 => bytes.extend(text.replace("\r\n", "\n").into_bytes()),
            _ => bytes.extend(text.into_bytes()),
        }
    }
    for _ in 0..random.below(60) {
        match random.below(12) {
            0 => bytes.resize(bytes.len() + random.below(3000) as usize, b'z'),
            _ => bytes.extend_from_slice(PIECES[random.below(PIECES.len() as u64) as usize]),
        }
    }
    if bytes.is_empty() {
        bytes.push(b'x');
    }
    bytes
}

/// A mixture: nine of ten are of the kinds of [`all`], each with one oddity, in turn.
pub fn any(seed: u64) -> Vec<u8> {
    static ALL: OnceLock<Vec<Odd>> = OnceLock::new();
    let all = ALL.get_or_init(all);
    let place = seed as usize % all.len();
    let bytes = &all[place].bytes;
    if seed.is_multiple_of(10) {
        random(seed)
    } else if bytes.starts_with(b"From: ") {
        [format!("X-Number: {seed}\r\n").as_bytes(), bytes].concat()
    } else {
        bytes.clone()
    }
}

/// A small random number generator (SplitMix64): the same numbers for the same seed, anywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
