//! Each reader takes a time in proportion to what it reads, whatever that is: of an input that is
//! twice as long, twice the time. `make soak` measures it; other runs only see each reader end.

use super::{addresses, config, graph, identity, imap, mbox, message, peers, smtp, token_answers};
use std::time::{Duration, Instant};

/// What a reader is given: a beginning, something again and again, and an end.
type Given = (&'static str, &'static str, &'static str);

type Reader = (&'static str, fn(&[u8]), &'static [Given]);

const READERS: &[Reader] = &[
    (
        "a message that is sent",
        message,
        &[
            (
                "From: a@b.example\nTo: ",
                "c@d.example, ",
                "e@f.example\n\nx\n",
            ),
            ("From: a@b.example\nTo: ", "(", "\n\nx\n"),
            ("From: a@b.example\nTo: ", "g: a@b.example;, ", "\n\nx\n"),
            ("From: a@b.example\nTo: \"", "\\\"", "\n\nx\n"),
            (
                "From: a@b.example\nSubject: ",
                "=?utf-8?Q?=C3=A4?= ",
                "\n\nx\n",
            ),
            ("From: a@b.example\nSubject:", " x\n", "\n\nx\n"),
            ("", "X: y\n", "\nx\n"),
            ("", "To: c@d.example\n", "\nx\n"),
            ("", "Resent-To: c@d.example\n", "\nx\n"),
            ("From: a@b.example\n\n", "--x\n", ""),
            ("From: a@b.example\nReferences: ", "<a@b> ", "\n\nx\n"),
        ],
    ),
    (
        "a message that is fetched",
        identity,
        &[
            ("", "X: y\r\n", "\r\nx"),
            ("Subject:", " x\r\n", "\r\nx"),
            ("Subject: ", "=?utf-8?B?w6Q=?= ", "\r\n\r\nx"),
            ("From: ", "<(\"", "\r\n\r\nx"),
            ("Subject: x\r\n\r\n", "--b\r\n", ""),
            ("Subject: x\r\n\r\n", "boundary=", ""),
            ("Subject: x\r\n\r\n", "\r", ""),
            (
                "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n",
                "Message-ID: <a@b>\r\n",
                "",
            ),
            (
                "Return-Path: <>\r\nContent-Type: multipart/report\r\n\r\n",
                "Content-Type: message/rfc822\r\n\r\n",
                "",
            ),
        ],
    ),
    (
        "a list of addresses",
        addresses,
        &[
            ("", "a@b.example, ", "c@d.example"),
            ("", "(", ""),
            ("", "\"", ""),
            ("", "<", ""),
            ("", "a: ", ""),
            ("", "a ", "<a@b.example>"),
            ("a@", "b.", "example"),
            ("a@[", "1", "]"),
        ],
    ),
    (
        "a file of another program",
        peers::files,
        &[
            ("", "7/1\0", "5\n"),
            ("", "7/1\x005\n", ""),
            ("", "a@b x\n", ""),
            ("FarUidValidity 7\n\n", "1 1 S\n", ""),
            ("", "MaxPulledUid 7\n", "\n"),
        ],
    ),
    (
        "the configuration",
        config,
        &[
            ("version: 1\n", "# x\n", ""),
            ("version: 1\n", "x: y\n", ""),
            ("version: 1\nqueues:\n", "  - name: q\n", ""),
            ("version: 1\nqueues:\n", "  - nonsense: q\n", ""),
            ("version: 1\nqueues: ", "[", ""),
            ("version: 1\nqueues: ", "{a: ", ""),
            ("version: 1\nqueues: ", "- ", ""),
            ("version: 1\nqueues: \"", "\\x41", "\""),
            ("version: 1\nqueues: ", "&a ", ""),
            ("version: 1\nqueues: |\n", "  x\n", ""),
            ("", "---\n", ""),
            ("", "é", ""),
        ],
    ),
    (
        "the answer of a token endpoint",
        token_answers,
        &[
            ("{\"access_token\":\"", "x", "\"}"),
            (
                "{\"error\":\"invalid_client\",\"error_description\":\"",
                "AADSTS7000215: ",
                "\"}",
            ),
            ("{\"error_codes\":[", "1,", "1],\"error\":\"x\"}"),
            ("{", "\"a\":1,", "\"b\":1}"),
            ("", "[", ""),
            ("", "a.", ""),
        ],
    ),
    (
        "a message in an mbox",
        mbox,
        &[
            ("", "From x\n", ""),
            ("", ">", "From x\n"),
            ("", ">From x\n", ""),
            ("", "\n", ""),
            ("", "\r", ""),
        ],
    ),
    (
        "a line of IMAP",
        imap::lines,
        &[
            ("* 1 FETCH ", "(", ""),
            ("* 1 FETCH (", "X (Y) ", ""),
            ("(UID 1 X \"", "\\\"", "\")"),
            ("(", "BODY[", ""),
            ("", "{1}\n", ""),
            ("* OK ", "[UIDVALIDITY ", ""),
            ("* ", "1", ""),
        ],
    ),
    (
        "a session of IMAP",
        imap::session,
        &[
            ("* OK hi\r\n", "* OK x\r\n", ""),
            ("", "* CAPABILITY X\r\n", ""),
            ("* PREAUTH hi\r\n", "\u{1} OK x\r\n", ""),
            ("* OK [CAPABILITY ", "A", "] x\r\n"),
            (
                "* OK hi\r\n\0* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n\u{1} OK x\r\n\0\u{1} OK x\r\n\0* CAPABILITY IMAP4rev1\r\n\u{1} OK x\r\n\0* 9 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n\u{1} OK [READ-WRITE] x\r\n\0* SEARCH",
                " 7 8",
                "\r\n\u{1} OK x\r\n",
            ),
        ],
    ),
    (
        "replies of SMTP",
        smtp::replies,
        &[
            ("", "250-x\n", "250 x\n"),
            ("", "250 2.0.0 x\n", ""),
            ("250 ", "<a@b> ", "\n"),
            ("250-AUTH ", "XOAUTH2 ", "\n250 x\n"),
        ],
    ),
    (
        "a refusal of Graph",
        graph::refusal,
        &[
            ("01{\"error\":{\"code\":\"x\",\"message\":\"", "y ", "\"}}"),
            ("01{\"error\":{\"code\":\"", "x", "\"}}"),
            ("01", "{\"error\":", ""),
            ("01{\"error\":{\"details\":[", "{\"code\":\"x\"},", "{}]}}"),
        ],
    ),
];

/// So much is read when nothing is measured, in octets.
const SHORT: usize = 4 << 10;
/// Nothing longer is read when it is, but for four times as much.
const LONGEST: usize = 2 << 20;
/// Shorter times tell nothing.
const LEAST: Duration = Duration::from_millis(8);
/// Four times as much may take so many times as long; of a square it would be sixteen.
const MOST: f64 = 9.0;

fn input((begin, again, end): Given, octets: usize) -> Vec<u8> {
    let many = again.repeat(octets.div_ceil(again.len()));
    [begin, &many, end].concat().into_bytes()
}

/// The shortest of some times that a reader takes.
fn time(read: fn(&[u8]), input: &[u8]) -> Duration {
    let once = |_| {
        let began = Instant::now();
        read(input);
        began.elapsed()
    };
    (0..3).map(once).min().unwrap_or_default()
}

/// How many times as long four times as much takes, of an input that takes long enough; `None`
/// where none does.
fn growth(read: fn(&[u8]), given: Given) -> Option<(usize, f64)> {
    let mut octets = SHORT;
    loop {
        let one = time(read, &input(given, octets));
        if one >= LEAST {
            let [_, four] = [2, 4].map(|n| time(read, &input(given, n * octets)));
            return Some((octets, four.as_secs_f64() / one.as_secs_f64()));
        }
        octets *= 2;
        if octets > LONGEST {
            return None;
        }
    }
}

#[test]
fn campaigns_take_time_in_proportion() {
    let measured = std::env::var_os("QUEUEMAIL_SOAK").is_some();
    let mut slow = Vec::new();
    for (name, read, givens) in READERS {
        let mut worst: f64 = 0.0;
        for given in *givens {
            if !measured {
                read(&input(*given, SHORT));
                continue;
            }
            // Another process may have had the processor: what is slow is slow each time.
            let mut least = f64::MAX;
            for _ in 0..3 {
                let Some((_, by)) = growth(*read, *given) else {
                    least = 0.0;
                    break;
                };
                least = least.min(by);
                if least <= MOST {
                    break;
                }
            }
            worst = worst.max(least);
            if least > MOST {
                slow.push(format!(
                    "{name}: four times as much takes {least:.1} times as long: {given:?}"
                ));
            }
        }
        if measured {
            let count = givens.len();
            println!(
                "campaign: {name}: {count} inputs, four times as much takes {worst:.1} times as long at most"
            );
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
