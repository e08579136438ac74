use super::*;
use proptest::prelude::*;

/// Knows one sender, refuses one recipient, and holds what it was given.
#[derive(Default)]
struct Table {
    kept: Vec<Message>,
    full: bool,
}

impl Desk for Table {
    fn sender(&mut self, from: &str, _size: u64) -> Result<(), Refusal> {
        match from {
            "nobody@x.example" => Err(Refusal::new(550, "5.7.1", "not as this sender")),
            _ => Ok(()),
        }
    }

    fn recipient(&mut self, to: &str) -> Result<(), Refusal> {
        match to.contains('@') {
            true => Ok(()),
            false => Err(Refusal::new(550, "5.1.3", "no full address")),
        }
    }

    fn keep(&mut self, message: Message) -> Result<String, Refusal> {
        if self.full {
            return Err(Refusal::new(452, "4.3.1", "full"));
        }
        self.kept.push(message);
        Ok(self.kept.len().to_string())
    }

    fn signs_in(&mut self, user: &str, password: &str) -> bool {
        (user, password) == ("printer", "pass word")
    }
}

fn session(access: Access, scripted: bool) -> Session {
    Session::new(Settings {
        host: "relay .example\r\n".to_owned(),
        max_size: 1000,
        access,
        scripted,
    })
}

/// The codes of the replies to each of these pieces, the last of each reply; and whether it is over.
fn codes(session: &mut Session, table: &mut Table, pieces: &[&str]) -> (Vec<u16>, bool) {
    let mut codes = Vec::new();
    let mut over = false;
    for piece in pieces {
        assert!(!over, "over before {piece:?}: {codes:?}");
        let mut out = Vec::new();
        over = session.take(piece.as_bytes(), table, &mut out) == Next::Close;
        let text = String::from_utf8(out).unwrap();
        let last = text.lines().filter(|line| line.as_bytes()[3] == b' ');
        codes.extend(last.map(|line| line[..3].parse::<u16>().unwrap()));
    }
    (codes, over)
}

fn played(pieces: &[&str]) -> (Vec<u16>, bool, Vec<Message>) {
    let mut table = Table::default();
    let (codes, over) = codes(&mut session(Access::Open, false), &mut table, pieces);
    (codes, over, table.kept)
}

const HELLO: &str = "EHLO x\r\n";
const MAIL: &str = "MAIL FROM:<a@x.example>\r\n";
const TO: &str = "RCPT TO:<b@x.example>\r\n";

#[test]
fn a_message_is_kept_before_it_is_promised() {
    let text = "From: a@x.example\r\n\r\n..dot\r\n.\r\n";
    let group = format!("{MAIL}{TO}RCPT TO:<c@x.example>\r\nDATA\r\n");
    let (codes, over, kept) = played(&[HELLO, &group, text, MAIL, "RSET\r\nNOOP\r\nQUIT\r\n"]);
    assert_eq!(codes, [250, 250, 250, 250, 354, 250, 250, 250, 250, 221]);
    assert!(over);
    let want = Message {
        from: "a@x.example".into(),
        to: vec!["b@x.example".into(), "c@x.example".into()],
        octets: b"From: a@x.example\r\n\r\n.dot\r\n".to_vec(),
    };
    assert_eq!(kept, [want]);
}

#[test]
fn what_is_not_kept_is_not_promised() {
    let mut table = Table {
        full: true,
        ..Table::default()
    };
    let mut session = session(Access::Open, false);
    let pieces = [HELLO, MAIL, TO, "DATA\r\n", "x\r\n.\r\n", MAIL];
    let (codes, over) = codes(&mut session, &mut table, &pieces);
    assert_eq!((codes, over), (vec![250, 250, 250, 354, 452, 250], false));
}

#[test]
fn each_refusal_leaves_the_session_as_it_was() {
    let large = format!("{}\r\n.\r\n", "x".repeat(1000));
    for (pieces, want) in [
        (&[MAIL][..], &[503][..]),
        (&[HELLO, TO], &[250, 503]),
        (&[HELLO, "DATA\r\n"], &[250, 503]),
        (&[HELLO, MAIL, "DATA\r\n", TO], &[250, 250, 503, 250]),
        (&[HELLO, MAIL, MAIL, TO], &[250, 250, 503, 250]),
        (&[HELLO, MAIL, HELLO, TO], &[250, 250, 250, 503]),
        (&["HELO x\r\n", "MAIL FROM:<>\r\n"], &[250, 250]),
        (
            &[HELLO, "MAIL FROM:<nobody@x.example>\r\n", MAIL],
            &[250, 550, 250],
        ),
        (
            &[HELLO, MAIL, "RCPT TO:<root>\r\n", TO],
            &[250, 250, 550, 250],
        ),
        (
            &[HELLO, "MAIL FROM:<a@x.example> SIZE=1001\r\n", MAIL],
            &[250, 552, 250],
        ),
        (
            &[HELLO, MAIL, TO, "DATA\r\n", &large, MAIL],
            &[250, 250, 250, 354, 552, 250],
        ),
        (&[HELLO, "MAIL FROM:<é@x.example>\r\n"], &[250, 553]),
        (
            &[
                HELLO,
                "MAIL FROM:<é@x.example> SMTPUTF8\r\n",
                "RCPT TO:<ü@x.example>\r\n",
            ],
            &[250, 250, 250],
        ),
        (
            &[
                HELLO,
                "VRFY b\r\n",
                "HELP\r\n",
                "EXPN b\r\n",
                "STARTTLS\r\n",
                "AUTH PLAIN\r\n",
                "WHAT\r\n",
            ],
            &[250, 252, 214, 502, 502, 502, 500],
        ),
    ] {
        let (codes, over, kept) = played(pieces);
        assert_eq!(codes, want, "{pieces:?}");
        assert!(!over && kept.is_empty(), "{pieces:?}");
    }
}

/// Each of these is two things to two servers, or no mail at all.
#[test]
fn what_could_mean_two_things_ends_the_session() {
    let group = format!("{MAIL}{TO}DATA\r\n");
    let early = format!("{MAIL}{TO}DATA\r\nFrom: a\r\n\r\n.\r\n");
    let long = format!("NOOP {}", "x".repeat(5000));
    for (pieces, want) in [
        (&["EHLO x\n"][..], 500),
        (&["EHLO\rx\r\n"], 500),
        (&["EHLO \0\r\n"], 500),
        (&["EHLO x\r", "y\r\n"], 500),
        (&[&long], 500),
        (&[HELLO, &group, "a\r\n.\nMAIL FROM:<x@x.example>\r\n"], 550),
        (&[HELLO, &group, "a\n.\r\n"], 550),
        (&[HELLO, &group, "a\r\n.\r.\r\n"], 550),
        (&[HELLO, &group, "a\r.\r\n"], 550),
        (&[HELLO, &group, "a\0\r\n.\r\n"], 550),
        (&[HELLO, &early], 503),
        (&[HELLO, MAIL, TO, "BDAT 5 LAST\r\nRSET\r\n"], 502),
        (
            &["POST / HTTP/1.1\r\nHost: localhost\r\n\r\nEHLO x\r\n"],
            421,
        ),
        (&["GET / HTTP/1.0\r\n"], 421),
    ] {
        let (codes, over, kept) = played(pieces);
        assert!(over && kept.is_empty(), "{pieces:?}: {codes:?}");
        assert_eq!(codes.last(), Some(&want), "{pieces:?}: {codes:?}");
    }
    // A script in a pipe writes all at once.
    let mut table = Table::default();
    let all = format!("{HELLO}{early}QUIT\r\n");
    let (codes, over) = codes(&mut session(Access::Open, true), &mut table, &[&all]);
    assert_eq!((codes, over), (vec![250, 250, 250, 354, 250, 221], true));
    assert_eq!(table.kept.len(), 1);
}

#[test]
fn everything_has_a_bound() {
    let many = TO.repeat(MAX_RECIPIENTS + 1);
    let (codes, _, _) = played(&[HELLO, MAIL, &many, "DATA\r\n"]);
    assert_eq!(
        codes.iter().filter(|&&code| code == 250).count(),
        MAX_RECIPIENTS + 2
    );
    assert_eq!(codes[codes.len() - 2..], [452, 354]);
    let (codes, over, _) = played(&[&"WHAT\r\n".repeat(100)]);
    assert_eq!(
        (codes.len(), codes.last(), over),
        (MAX_ERRORS as usize + 1, Some(&421), true)
    );
    let (codes, over, _) = played(&[&"NOOP\r\n".repeat(MAX_LINES as usize + 1)]);
    assert_eq!((codes.last(), over), (Some(&421), true));
    let mut pieces = vec![HELLO];
    for _ in 0..=MAX_MESSAGES {
        pieces.extend([MAIL, TO, "DATA\r\n", ".\r\n"]);
    }
    pieces.truncate(pieces.len() - 3);
    let (codes, over, kept) = played(&pieces);
    assert_eq!((codes.last(), over), (Some(&421), true));
    assert_eq!(kept.len(), MAX_MESSAGES as usize);
}

#[test]
fn who_must_sign_in_does_so_in_any_of_three_ways() {
    // "\0printer\0pass word", "printer", "pass word"
    let plain = "AHByaW50ZXIAcGFzcyB3b3Jk";
    let wrong = "AHByaW50ZXIAcGFzc3dvcmQ=";
    let (user, password) = ("cHJpbnRlcg==", "cGFzcyB3b3Jk");
    let at_once = format!("AUTH PLAIN {plain}\r\n");
    let guess = format!("AUTH PLAIN {wrong}\r\n");
    let line = |text: &str| format!("{text}\r\n");
    let login = format!("AUTH LOGIN {user}\r\n");
    for (pieces, want) in [
        (&[HELLO, MAIL][..], &[250, 530][..]),
        (&[HELLO, &at_once, MAIL], &[250, 235, 250]),
        (
            &[HELLO, "auth plain\r\n", &line(plain), MAIL],
            &[250, 334, 235, 250],
        ),
        (
            &[HELLO, "AUTH LOGIN\r\n", &line(user), &line(password), MAIL],
            &[250, 334, 334, 235, 250],
        ),
        (
            &[HELLO, &login, &line(password), MAIL],
            &[250, 334, 235, 250],
        ),
        (
            &[HELLO, "AUTH LOGIN\r\n", "*\r\n", MAIL],
            &[250, 334, 501, 530],
        ),
        (
            &[HELLO, "AUTH PLAIN ???\r\n", "AUTH CRAM-MD5\r\n", MAIL],
            &[250, 501, 504, 530],
        ),
        (&[HELLO, &at_once, &at_once], &[250, 235, 503]),
        (&[&at_once], &[503]),
        (&[HELLO, &guess, &guess, &guess], &[250, 535, 535, 421]),
    ] {
        let mut table = Table::default();
        let (found, _) = codes(&mut session(Access::MustSignIn, false), &mut table, pieces);
        assert_eq!(found, want, "{pieces:?}");
    }
    let mut out = Vec::new();
    let mut may = session(Access::MaySignIn, false);
    may.take(
        format!("{HELLO}{MAIL}").as_bytes(),
        &mut Table::default(),
        &mut out,
    );
    let said = String::from_utf8(out).unwrap();
    assert!(
        said.starts_with("250-relay.example\r\n250-PIPELINING\r\n"),
        "{said}"
    );
    assert!(
        said.contains("250 AUTH PLAIN LOGIN\r\n250 2.1.0 "),
        "{said}"
    );
}

proptest! {
    /// However the octets are cut, the same is answered and the same is kept; each reply is a line
    /// of SMTP, whatever the client wrote into it.
    #[test]
    fn any_cut_gives_the_same(
        words in proptest::collection::vec(prop_oneof![
            Just("EHLO x\r\n"), Just("MAIL FROM:<a@x.example>\r\n"), Just("RCPT TO:<b@x.example>\r\n"),
            Just("DATA\r\n"), Just(".\r\n"), Just("a\r\n"), Just("\r"), Just("\n"), Just("\0"), Just("RSET\r\n"),
            Just("MAIL FROM:<\u{1b}[31m\u{202e}>\r\n"), Just("AUTH LOGIN\r\n"), Just("x"), Just("QUIT\r\n"),
        ], 0..16),
        piece in 1..20usize,
    ) {
        let input = words.concat();
        let run = |piece: usize| {
            let mut table = Table::default();
            let mut session = session(Access::MaySignIn, true);
            let mut out = Vec::new();
            for octets in input.as_bytes().chunks(piece) {
                if session.take(octets, &mut table, &mut out) == Next::Close {
                    break;
                }
            }
            (out, table.kept)
        };
        let whole = run(input.len().max(1));
        prop_assert_eq!(&run(piece), &whole);
        for line in whole.0.split_inclusive(|&octet| octet == b'\n') {
            prop_assert!(line.len() <= 512 && line.ends_with(b"\r\n") && line.is_ascii());
            prop_assert!(!line[..line.len() - 2].iter().any(u8::is_ascii_control));
        }
        let promised = whole.0.windows(13).filter(|w| w == b"250 2.0.0 ok:").count();
        prop_assert_eq!(promised, whole.1.len());
    }
}
