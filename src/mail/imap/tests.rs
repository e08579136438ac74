//! The whole session against a scripted peer: what a server may say, and what it may not.

use super::connect::{greet, sign_in};
use super::faults::Place;
use super::pace::Pace;
use super::wire::{Limits, Wire};
use super::*;
use crate::fault::kind_of;
use crate::mail::TokenExpired;
use crate::secret::Secret;
use proptest::prelude::*;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::time::Duration;

const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";
const OLD_EXCHANGE: &str = "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";

/// Answers each line of ours by a function, and then what it says for ever, or closes.
struct Peer {
    answer: Box<dyn FnMut(&str) -> Vec<u8>>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    read: usize,
    endless: Option<Vec<u8>>,
    served: Rc<Cell<u64>>,
}

impl Read for Peer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.theirs.len()
            && let Some(more) = &self.endless
        {
            self.theirs.clone_from(more);
            self.read = 0;
        }
        let n = out.len().min(self.theirs.len() - self.read);
        out[..n].copy_from_slice(&self.theirs[self.read..self.read + n]);
        self.read += n;
        self.served.set(self.served.get() + n as u64);
        Ok(n)
    }
}

impl Write for Peer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.ours.extend_from_slice(octets);
        while let Some(end) = self.ours.windows(2).position(|w| w == b"\r\n") {
            let line: Vec<u8> = self.ours.drain(..end + 2).take(end).collect();
            let answer = (self.answer)(std::str::from_utf8(&line).unwrap());
            self.theirs.extend(answer);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn place() -> Place {
    Place {
        host: "outlook.office365.com".into(),
        port: 993,
        user: "support@contoso.com".into(),
    }
}

fn wire(
    theirs: &[u8],
    endless: Option<&[u8]>,
    answer: impl FnMut(&str) -> Vec<u8> + 'static,
) -> (Wire, Rc<Cell<u64>>) {
    let served = Rc::new(Cell::new(0));
    let peer = Peer {
        answer: Box::new(answer),
        ours: Vec::new(),
        theirs: theirs.to_vec(),
        read: 0,
        endless: endless.map(<[u8]>::to_vec),
        served: served.clone(),
    };
    let pace = Pace::new(Duration::from_secs(60));
    (Wire::new(Box::new(peer), pace, None), served)
}

/// A line of ours as its tag and its command.
fn split(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// A session with a server that answers as Exchange does, and to some commands as given: how they
/// begin, and the answer, in which `{t}` is the tag. Of several entries with the same beginning
/// each is used once, and the last one stays. Also what was asked after the sign-in.
fn session(script: &[(&str, &str)]) -> (ImapMailbox, Rc<RefCell<Vec<String>>>) {
    session_with(OLD_EXCHANGE, script)
}

fn session_with(
    capability: &str,
    script: &[(&str, &str)],
) -> (ImapMailbox, Rc<RefCell<Vec<String>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = asked.clone();
    let mut script: Vec<(String, String)> = script
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    let capability = capability.to_owned();
    let (wire, _) = wire(b"", None, move |line| {
        let (tag, command) = split(line);
        log.borrow_mut().push(command.to_owned());
        let found = script
            .iter()
            .position(|(begin, _)| command.starts_with(begin));
        let answer = match found {
            Some(at) => {
                let (begin, answer) = script[at].clone();
                if script[at + 1..].iter().any(|(other, _)| *other == begin) {
                    script.remove(at);
                }
                answer
            }
            None => match command.split(' ').next().unwrap_or_default() {
                "CAPABILITY" => format!("{capability}\r\n{{t}} OK CAPABILITY completed.\r\n"),
                "LOGOUT" => "* BYE Microsoft Exchange Server IMAP4 server signing off.\r\n{t} OK LOGOUT completed.\r\n".into(),
                "SELECT" | "EXAMINE" => "* 3 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen)] p\r\n* OK [UIDVALIDITY 14] v\r\n{t} OK [READ-WRITE] SELECT completed.\r\n".into(),
                _ => "{t} OK completed.\r\n".into(),
            },
        };
        answer.replace("{t}", tag).into_bytes()
    });
    let mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
    asked.borrow_mut().clear();
    (mailbox, asked)
}

/// Keeps what arrives.
#[derive(Default)]
struct Kept {
    arrived: Vec<(u32, Vec<u8>)>,
    open: Option<Vec<u8>>,
    discarded: usize,
    fail_at: Option<u32>,
}

impl Sink for Kept {
    fn begin(&mut self, announced: Option<u64>) -> io::Result<()> {
        assert!(self.open.is_none() && announced.is_some());
        self.open = Some(Vec::new());
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.open.as_mut().unwrap().extend_from_slice(octets);
        Ok(())
    }

    fn end(&mut self, id: &RemoteId) -> io::Result<()> {
        let RemoteId::Uid(uid) = id else { panic!() };
        let octets = self.open.take().unwrap();
        if self.fail_at == Some(*uid) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.arrived.push((*uid, octets));
        Ok(())
    }

    fn discard(&mut self) {
        self.open.take().unwrap();
        self.discarded += 1;
    }
}

impl Kept {
    fn texts(&self) -> Vec<(u32, &str)> {
        self.arrived
            .iter()
            .map(|(uid, octets)| (*uid, std::str::from_utf8(octets).unwrap()))
            .collect()
    }
}

fn ids(uids: impl IntoIterator<Item = u32>) -> Vec<RemoteId> {
    uids.into_iter().map(RemoteId::Uid).collect()
}

fn fault(err: &anyhow::Error) -> &Fault {
    err.downcast_ref::<Fault>().expect("a fault at the root")
}

mod signing_in {
    use super::*;

    /// Signs in against an answer to AUTHENTICATE and to the lines after it.
    fn try_with(
        capability: &'static str,
        answers: &'static [&'static str],
    ) -> (Result<ImapMailbox>, Rc<RefCell<Vec<String>>>) {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let log = sent.clone();
        let mut answers = answers.iter();
        let (wire, _) = wire(b"", None, move |line| {
            log.borrow_mut().push(line.to_owned());
            let tag = split(line).0;
            if line.ends_with("CAPABILITY") {
                return format!("{capability}\r\n{tag} OK done\r\n").into_bytes();
            }
            let answer = answers.next().map_or("", |a| a);
            answer.replace("{t}", "a2").into_bytes()
        });
        (sign_in(wire, place(), &Secret::new(TOKEN)), sent)
    }

    #[test]
    fn the_token_goes_with_the_command_where_that_is_offered() {
        let (session, sent) = try_with(OLD_EXCHANGE, &["{t} OK AUTHENTICATE completed.\r\n"]);
        assert!(session.is_ok());
        let token = crate::mail::sasl::xoauth2("support@contoso.com", &Secret::new(TOKEN)).unwrap();
        let token = crate::mail::sasl::base64(&token);
        assert_eq!(
            *sent.borrow(),
            [
                "a1 CAPABILITY".to_owned(),
                format!("a2 AUTHENTICATE XOAUTH2 {}", token.expose()),
                "a3 CAPABILITY".to_owned(),
            ]
        );
    }

    #[test]
    fn two_steps_are_taken_where_they_are_needed() {
        for ready in ["+\r\n", "+ \r\n", "+ go ahead\r\n"] {
            let answers: &'static [&'static str] =
                Vec::leak(vec![ready, "* OK almost\r\n{t} OK [CAPABILITY X] done\r\n"]);
            let (session, sent) =
                try_with("* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED", answers);
            assert!(session.is_ok(), "{ready}");
            assert_eq!(sent.borrow()[1], "a2 AUTHENTICATE XOAUTH2");
            assert!(sent.borrow()[2].starts_with("dXNlcj1"));
        }
    }

    #[test]
    fn oauthbearer_is_taken_where_only_that_is_offered() {
        let (session, sent) = try_with(
            "* CAPABILITY IMAP4rev1 SASL-IR auth=oauthbearer",
            &[
                "+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n",
                "{t} NO no\r\n",
            ],
        );
        assert!(sent.borrow()[1].starts_with("a2 AUTHENTICATE OAUTHBEARER bixhPX"));
        assert_eq!(sent.borrow()[2], "AQ==");
        assert_eq!(kind_of(&session.err().unwrap()), Kind::SignIn);
    }

    #[test]
    fn a_refusal_keeps_the_servers_words_and_its_json() {
        let (session, sent) = try_with(
            OLD_EXCHANGE,
            &[
                "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n",
                "{t} NO AUTHENTICATE failed.\r\n",
            ],
        );
        let err = session.err().unwrap();
        assert_eq!(sent.borrow()[2], "");
        assert_eq!(fault(&err).kind, Kind::SignIn);
        assert_eq!(
            fault(&err).server_said.as_deref(),
            Some("NO AUTHENTICATE failed. {\"status\":\"400\"}")
        );
    }

    #[test]
    fn what_is_not_about_the_token_is_tried_later() {
        for (answer, wait) in [
            ("{t} NO Server Unavailable. 15\r\n", None),
            (
                "{t} BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds\r\n",
                Some(Duration::from_millis(299_910)),
            ),
            ("* BYE Connection closed. 14\r\n", None),
            ("", None),
        ] {
            let (session, _) = try_with(OLD_EXCHANGE, Vec::leak(vec![answer]));
            let err = session.err().unwrap();
            assert_eq!(fault(&err).kind, Kind::TryLater, "{answer}");
            assert_eq!(fault(&err).retry_after, wait, "{answer}");
        }
    }

    #[test]
    fn no_token_is_sent_to_a_server_without_oauth() {
        let (session, sent) = try_with("* CAPABILITY IMAP4rev1 AUTH=PLAIN", &[]);
        let err = session.err().unwrap();
        assert_eq!(fault(&err).kind, Kind::Refused);
        assert_eq!(
            fault(&err).server_said.as_deref(),
            Some("CAPABILITY IMAP4rev1 AUTH=PLAIN")
        );
        assert_eq!(sent.borrow().len(), 1);
    }

    #[test]
    fn the_token_is_in_no_trace_and_no_error() {
        let shown = Rc::new(RefCell::new(String::new()));
        let log = shown.clone();
        let peer = Peer {
            answer: Box::new(|line| {
                let tag = split(line).0;
                if line.contains("CAPABILITY") {
                    format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes()
                } else {
                    // A server that complains with what it was given, whole and cut off.
                    let cut = &line[..line.len() - 9];
                    format!("* NO {line}\r\n* OK {TOKEN}\r\n{tag} BAD {cut}\r\n").into_bytes()
                }
            }),
            ours: Vec::new(),
            theirs: Vec::new(),
            read: 0,
            endless: None,
            served: Rc::default(),
        };
        let trace: Trace = Box::new(move |line| log.borrow_mut().push_str(line));
        let wire = Wire::new(
            Box::new(peer),
            Pace::new(Duration::from_secs(60)),
            Some(trace),
        );
        let err = sign_in(wire, place(), &Secret::new(TOKEN)).err().unwrap();
        let all = format!("{} {err:?} {:?}", shown.borrow(), fault(&err));
        assert!(all.contains("AUTHENTICATE XOAUTH2 <secret>"));
        assert!(!all.contains("c2VjcmV0"), "{all}");
        assert!(!all.contains("dXNlcj1zdXBwb3J0"), "{all}");
    }

    #[test]
    fn other_greetings_say_what_is_wrong() {
        for (greeting, kind, word) in [
            (
                "+OK The Microsoft Exchange POP3 service is ready.\r\n",
                Kind::Config,
                "POP",
            ),
            ("-ERR Protocol error. 19\r\n", Kind::Config, "POP"),
            ("220 smtp.office365.com ready\r\n", Kind::Config, "IMAP"),
            ("HTTP/1.1 400 Bad Request\r\n", Kind::Config, "IMAP"),
            ("* BYE too many\r\n", Kind::TryLater, "ended"),
            ("* PREAUTH welcome\r\n", Kind::Refused, "sign-in"),
            ("", Kind::TryLater, "closed"),
        ] {
            let (mut wire, _) = wire(greeting.as_bytes(), None, |_| Vec::new());
            let err = greet(&mut wire, &place()).unwrap_err();
            assert_eq!(fault(&err).kind, kind, "{greeting}");
            assert!(err.to_string().contains(word), "{err}");
        }
        let ready = "* OK Microsoft Exchange IMAP4 service ready. [QwBQ]\r\n";
        let (mut wire, _) = wire(ready.as_bytes(), None, |_| Vec::new());
        assert!(greet(&mut wire, &place()).is_ok());
    }
}

mod opening {
    use super::*;

    #[test]
    fn legal_answers_that_the_library_panics_on_are_no_trouble() {
        let (mut mailbox, _) = session(&[(
            "SELECT",
            "* NO disk is nearly full\r\n* BAD odd\r\n* PREAUTH x\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n\
             * ESEARCH (TAG \"x\") UID\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* XYZZY\r\n* OK [ALERT] Gr\u{fc}\u{df}e\r\n\
             * LIST () \"/\" {3}\r\nabc\r\n* [UIDVALIDITY 9] x\r\n* 7 EXISTS\r\n{t} OK [READ-WRITE] d\u{f6}ne\r\n",
        )]);
        assert_eq!(
            mailbox.open("INBOX", true).unwrap(),
            Folder {
                epoch: 9,
                exists: 7
            }
        );
        assert_eq!(mailbox.take_alerts(), ["[ALERT] Grüße"]);
        // The session has not lost its place.
        assert!(mailbox.open("INBOX", false).is_ok());
    }

    #[test]
    fn a_mailbox_without_permission_is_a_matter_of_sign_in() {
        let (mut mailbox, _) = session(&[(
            "SELECT",
            "{t} BAD User is authenticated but not connected.\r\n",
        )]);
        let err = mailbox.open("INBOX", true).unwrap_err();
        assert_eq!(fault(&err).kind, Kind::SignIn);
        assert_eq!(
            fault(&err).what,
            "signed in to `outlook.office365.com`, but cannot open mailbox `support@contoso.com`"
        );
        assert_eq!(
            fault(&err).server_said.as_deref(),
            Some("BAD User is authenticated but not connected.")
        );
    }

    #[test]
    fn a_folder_that_is_not_there_names_those_that_are_near() {
        let (mut mailbox, asked) = session(&[
            ("SELECT", "{t} NO Gesendte Elemente doesn't exist.\r\n"),
            (
                "LIST",
                "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\Sent) \"/\" \"Gesendete Elemente\"\r\n\
                 * LIST (\\Noselect) \"/\" Gesendte\r\n* LIST () \"/\" &AMk-l\r\n{t} OK done\r\n",
            ),
        ]);
        let err = mailbox.open("Gesendte Elemente", true).unwrap_err();
        assert_eq!(fault(&err).kind, Kind::Config);
        assert_eq!(fault(&err).hints, ["did you mean `Gesendete Elemente`?"]);
        assert_eq!(asked.borrow()[0], "SELECT \"Gesendte Elemente\"");
    }

    #[test]
    fn a_read_only_folder_cannot_be_settled_in() {
        let script = [(
            "SELECT",
            "* 1 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n{t} OK [READ-ONLY] x\r\n",
        )];
        let (mut mailbox, _) = session(&script);
        assert_eq!(
            kind_of(&mailbox.open("INBOX", true).unwrap_err()),
            Kind::SignIn
        );
        let (mut mailbox, _) = session(&[("SELECT", "* 1 EXISTS\r\n{t} OK x\r\n")]);
        assert_eq!(
            kind_of(&mailbox.open("INBOX", true).unwrap_err()),
            Kind::Refused
        );
    }

    #[test]
    fn a_token_that_runs_out_is_told_apart() {
        let (mut mailbox, _) = session(&[(
            "SELECT",
            "* BYE Session invalidated - AccessTokenExpired\r\n",
        )]);
        let err = mailbox.open("INBOX", true).unwrap_err();
        assert!(err.downcast_ref::<TokenExpired>().is_some());
        assert_eq!(fault(&err).kind, Kind::TryLater);
        // The connection is of no more use.
        assert_eq!(
            kind_of(&mailbox.open("INBOX", true).unwrap_err()),
            Kind::TryLater
        );
    }
}

mod listing {
    use super::*;

    fn list(
        script: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<(Vec<RemoteId>, Option<String>)> {
        let (mut mailbox, _) = session(script);
        mailbox.open("INBOX", false)?;
        let listing = mailbox.list(&Query {
            after: after.map(str::to_owned),
            since: None,
        })?;
        Ok((listing.ids, listing.mark))
    }

    #[test]
    fn answers_come_in_every_form() {
        for answer in [
            "* SEARCH 9 7\r\n* SEARCH 8 8\r\n{t} OK x\r\n",
            "* SEARCH 7 8 9 (MODSEQ 917162500)\r\n* 4 EXISTS\r\n{t} OK x\r\n",
            "* ESEARCH (TAG \"q1\") UID ALL 7:8,9\r\n{t} OK x\r\n",
            "* ESEARCH (TAG \"q1\") UID MIN 7 ALL 9:7\r\n{t} OK x\r\n",
        ] {
            assert_eq!(
                list(&[("UID SEARCH", answer)], None).unwrap(),
                (ids([7, 8, 9]), Some("9".into())),
                "{answer}"
            );
        }
    }

    #[test]
    fn the_last_old_message_is_not_new() {
        let script = [("UID SEARCH UID 10:*", "* SEARCH 9\r\n{t} OK x\r\n")];
        assert_eq!(
            list(&script, Some("9")).unwrap(),
            (vec![], Some("9".into()))
        );
        assert_eq!(
            list(&[], Some("4294967295")).unwrap(),
            (vec![], Some("4294967295".into()))
        );
        assert_eq!(kind_of(&list(&[], Some("x")).unwrap_err()), Kind::Bug);
    }

    #[test]
    fn nothing_in_a_folder_with_messages_is_not_believed() {
        let script = [
            ("UID SEARCH", "* ESEARCH (TAG \"q1\") UID\r\n{t} OK x\r\n"),
            (
                "UID FETCH 1:* (UID)",
                "* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 6)\r\n* 3 FETCH (FLAGS ())\r\n{t} OK x\r\n",
            ),
        ];
        assert_eq!(list(&script, None).unwrap().0, ids([4, 6]));
        // After a mark it is.
        assert_eq!(list(&script[..1], Some("9")).unwrap().0, []);
    }

    #[test]
    fn a_set_that_explodes_is_refused() {
        let err = list(
            &[(
                "UID SEARCH",
                "* ESEARCH UID ALL 1:4294967295\r\n{t} OK x\r\n",
            )],
            None,
        )
        .unwrap_err();
        assert_eq!(fault(&err).kind, Kind::Refused);
    }

    #[test]
    fn a_day_is_asked_for_in_the_servers_form() {
        let (mut mailbox, asked) = session(&[]);
        mailbox
            .list(&Query {
                after: Some("3".into()),
                since: Some(jiff::civil::date(2026, 3, 1)),
            })
            .unwrap();
        assert_eq!(asked.borrow()[0], "UID SEARCH UID 4:* SINCE 1-Mar-2026");
    }
}

mod retrieving {
    use super::*;

    fn retrieve(
        script: &[(&str, &str)],
        uids: impl IntoIterator<Item = u32>,
    ) -> (Kept, Result<Vec<(RemoteId, Missing)>>, Vec<String>) {
        let (mut mailbox, asked) = session(script);
        mailbox.max_message(50);
        let mut sink = Kept::default();
        let result = mailbox.retrieve(&ids(uids), &mut sink);
        let asked = asked.borrow().clone();
        (sink, result, asked)
    }

    #[test]
    fn messages_arrive_whatever_else_is_said() {
        let (sink, missing, asked) = retrieve(
            &[(
                "UID FETCH",
                "* 1 FETCH (UID 5 BODY[] {4}\r\nab\r\n)\r\n\
                 * 9 EXISTS\r\n* OK still here\r\n* NO hm\r\n* 2 EXPUNGE\r\n* FLAGS (\\Seen)\r\n\
                 * 2 FETCH (FLAGS (\\Seen) BODY[] {10}\r\n)\r\nq1 OK\r\n UID 6)\r\n\
                 * 2 FETCH (FLAGS (\\Seen))\r\n\
                 * 3 FETCH (UID 7 BODY[] \"q\\\"d\")\r\n\
                 * 4 FETCH (BODY[] ~{1}\r\nx RFC822.SIZE 900 UID 8)\r\n\
                 {t} OK FETCH completed.\r\n",
            )],
            [8, 5, 7, 6, 5],
        );
        assert_eq!(asked, ["UID FETCH 5:8 (UID BODY.PEEK[])"]);
        assert_eq!(missing.unwrap(), []);
        assert_eq!(
            sink.texts(),
            [(5, "ab\r\n"), (6, ")\r\nq1 OK\r\n"), (7, "q\"d"), (8, "x")]
        );
        assert_eq!(sink.discarded, 0);
    }

    #[test]
    fn what_was_not_asked_for_or_came_twice_is_discarded() {
        let (sink, missing, _) = retrieve(
            &[(
                "UID FETCH",
                "* 1 FETCH (UID 99 BODY[] {1}\r\na)\r\n* 1 FETCH (BODY[] {1}\r\nb UID 98)\r\n\
                 * 1 FETCH (BODY[] {1}\r\nc)\r\n* 1 FETCH (UID 5 BODY[] {1}\r\nd)\r\n\
                 * 1 FETCH (UID 5 BODY[] {1}\r\ne)\r\n* 1 FETCH (BODY[] {1}\r\nf UID 5)\r\n\
                 * 1 FETCH (UID 6 BODY[] {1}\r\ng BODY[] {1}\r\nh)\r\n{t} OK x\r\n",
            )],
            [5, 6],
        );
        assert_eq!(missing.unwrap(), []);
        assert_eq!(sink.texts(), [(5, "d"), (6, "g")]);
        assert_eq!(sink.discarded, 3);
    }

    #[test]
    fn a_message_that_is_not_given_is_missing() {
        let (sink, missing, _) = retrieve(
            &[(
                "UID FETCH",
                "* 1 FETCH (UID 5 BODY[] NIL)\r\n* 2 FETCH (UID 6 BODY[] {0}\r\n)\r\n\
                 * 3 FETCH (UID 7 BODY[] \"\")\r\n* 4 FETCH (UID 8 BODY[] {51}\r\n\
                 123456789.123456789.123456789.123456789.123456789.1)\r\n\
                 * 5 FETCH (UID 9 BODY[] {2}\r\nok)\r\n{t} OK [EXPUNGEISSUED] x\r\n",
            )],
            5..=10,
        );
        assert_eq!(
            missing.unwrap(),
            [
                (
                    RemoteId::Uid(8),
                    Missing::TooLarge {
                        announced: 51,
                        max: 50
                    }
                ),
                (RemoteId::Uid(5), Missing::Silent),
                (RemoteId::Uid(6), Missing::Silent),
                (RemoteId::Uid(7), Missing::Silent),
                (RemoteId::Uid(10), Missing::Silent),
            ]
        );
        assert_eq!(sink.texts(), [(9, "ok")]);
    }

    #[test]
    fn one_poisoned_message_keeps_back_no_other() {
        let (sink, missing, asked) = retrieve(
            &[
                (
                    "UID FETCH 1:4 ",
                    "* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n{t} BAD Command Error. 12\r\n",
                ),
                ("UID FETCH 2 ", "{t} NO [SERVERBUG] cannot convert\r\n"),
                (
                    "UID FETCH 3 ",
                    "* 3 FETCH (UID 3 BODY[] {1}\r\nc)\r\n{t} OK x\r\n",
                ),
                ("UID FETCH 4 ", "{t} NO [EXPUNGEISSUED] gone\r\n"),
            ],
            1..=4,
        );
        assert_eq!(
            missing.unwrap(),
            [
                (
                    RemoteId::Uid(2),
                    Missing::Refused("NO [SERVERBUG] cannot convert".into())
                ),
                (RemoteId::Uid(4), Missing::Silent),
            ]
        );
        assert_eq!(sink.texts(), [(1, "a"), (3, "c")]);
        assert_eq!(asked.len(), 4);
    }

    #[test]
    fn a_refusal_of_everything_is_no_matter_of_a_message() {
        for (words, kind) in [
            (
                "BAD Request is throttled. Suggested Backoff Time: 1000 milliseconds",
                Kind::TryLater,
            ),
            ("BAD User is authenticated but not connected.", Kind::SignIn),
            ("NO Server Unavailable. 15", Kind::TryLater),
        ] {
            let (_, result, asked) =
                retrieve(&[("UID FETCH", &format!("{{t}} {words}\r\n"))], 1..=9);
            assert_eq!(kind_of(&result.unwrap_err()), kind, "{words}");
            assert!(asked.len() <= 7, "{words}");
        }
    }

    #[test]
    fn long_sets_are_asked_for_ahead() {
        // The peer answers only once three commands wait, or the last one is there.
        const LAST: u32 = 4_000_005_997;
        let mut waiting: Vec<String> = Vec::new();
        let (wire, _) = wire(b"", None, move |line| {
            let (tag, command) = split(line);
            if command.starts_with("AUTH") {
                return format!("{tag} OK x\r\n").into_bytes();
            }
            if command == "CAPABILITY" {
                return format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes();
            }
            assert!(line.len() < 8000);
            waiting.push(format!("{tag} OK x\r\n"));
            if waiting.len() == 3 || command.contains(&LAST.to_string()) {
                std::mem::take(&mut waiting).concat().into_bytes()
            } else {
                Vec::new()
            }
        });
        let mut mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
        let asked = ids((4_000_000_001..=LAST).step_by(2));
        let missing = mailbox.retrieve(&asked, &mut Kept::default()).unwrap();
        assert_eq!(missing.len(), asked.len());
    }

    #[test]
    fn what_cannot_be_read_costs_that_message_only() {
        let (sink, missing, _) = retrieve(
            &[(
                "UID FETCH",
                "* 1 FETCH (UID 5 BODY[] {1}\r\na X))\r\n* 1 FETCH (UID 6 ) BODY[] {27}\r\n\
                 * 1 FETCH (UID 7 BODY[] x\r\n)\r\n* 1 FETCH (UID 7 BODY[] {1}\r\nc)\r\n{t} OK x\r\n",
            )],
            5..=7,
        );
        assert_eq!(
            missing.unwrap(),
            [
                (RemoteId::Uid(5), Missing::Silent),
                (RemoteId::Uid(6), Missing::Silent)
            ]
        );
        assert_eq!(sink.texts(), [(7, "c")]);
        assert_eq!(sink.discarded, 1);
    }

    #[test]
    fn a_cut_in_the_middle_discards_and_what_ended_has_arrived() {
        let (sink, result, _) = retrieve(
            &[(
                "UID FETCH",
                "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 6 BODY[] {9}\r\nab",
            )],
            [5, 6],
        );
        assert_eq!(kind_of(&result.unwrap_err()), Kind::TryLater);
        assert_eq!(sink.texts(), [(5, "a")]);
        assert_eq!(sink.discarded, 1);
    }

    #[test]
    fn the_sinks_error_is_the_root_and_ends_the_session() {
        let (mut mailbox, _) = session(&[(
            "UID FETCH",
            "* 1 FETCH (UID 5 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 6 BODY[] {1}\r\nb)\r\n{t} OK x\r\n",
        )]);
        let mut sink = Kept {
            fail_at: Some(5),
            ..Kept::default()
        };
        let err = mailbox.retrieve(&ids([5, 6]), &mut sink).unwrap_err();
        assert_eq!(
            err.root_cause()
                .downcast_ref::<io::Error>()
                .map(io::Error::kind),
            Some(io::ErrorKind::StorageFull)
        );
        assert_eq!(sink.arrived, []);
        assert!(mailbox.folders().is_err());
    }

    #[test]
    fn a_literal_too_large_to_pass_over_ends_the_session() {
        let (_, result, _) = retrieve(
            &[("UID FETCH", "* 1 FETCH (UID 5 BODY[] {4294967296000}\r\n")],
            [5],
        );
        assert_eq!(kind_of(&result.unwrap_err()), Kind::Refused);
    }
}

mod settling {
    use super::*;

    const OPEN: &str = "* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n{t} OK [READ-WRITE] x\r\n";

    fn settle(
        capability: &str,
        script: &[(&str, &str)],
        action: AfterFetch,
    ) -> (Result<()>, Vec<String>) {
        let mut script = script.to_vec();
        script.push(("SELECT", OPEN));
        let (mut mailbox, asked) = session_with(capability, &script);
        mailbox.open("INBOX", true).unwrap();
        asked.borrow_mut().clear();
        let result = mailbox.settle(&ids([5, 6]), &action);
        let asked = asked.borrow().clone();
        (result, asked)
    }

    #[test]
    fn each_action_is_done_and_verified() {
        for (action, commands) in [
            (
                AfterFetch::Seen,
                &[
                    "UID STORE 5:6 +FLAGS.SILENT (\\Seen)",
                    "UID SEARCH UID 5:6 UNSEEN",
                ][..],
            ),
            (
                AfterFetch::Delete,
                &[
                    "UID STORE 5:6 +FLAGS.SILENT (\\Deleted)",
                    "UID EXPUNGE 5:6",
                    "UID SEARCH UID 5:6",
                ],
            ),
            (
                AfterFetch::Move("Fertig/\u{d6}".into()),
                &["UID MOVE 5:6 \"Fertig/&ANY-\"", "UID SEARCH UID 5:6"],
            ),
            (AfterFetch::Keep, &[]),
        ] {
            let (result, asked) = settle(OLD_EXCHANGE, &[], action);
            assert!(result.is_ok());
            assert_eq!(asked, commands);
        }
    }

    #[test]
    fn an_ok_that_did_nothing_is_found_out() {
        for action in [
            AfterFetch::Seen,
            AfterFetch::Delete,
            AfterFetch::Move("Done".into()),
        ] {
            let (result, _) = settle(
                OLD_EXCHANGE,
                &[("UID SEARCH", "* SEARCH 6\r\n{t} OK x\r\n")],
                action,
            );
            let err = result.unwrap_err();
            assert_eq!(kind_of(&err), Kind::TryLater);
            assert!(err.to_string().contains("1 of 2"), "{err}");
        }
    }

    #[test]
    fn without_uidplus_nothing_of_others_is_expunged() {
        let (result, asked) = settle(
            "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR",
            &[
                ("UID SEARCH UID 5:6 UNDELETED", "* SEARCH 6\r\n{t} OK x\r\n"),
                ("UID SEARCH UID 5:6 UNDELETED", "* SEARCH\r\n{t} OK x\r\n"),
            ],
            AfterFetch::Move("Done; \"x\"".into()),
        );
        assert!(result.is_ok());
        assert_eq!(
            asked,
            [
                "UID SEARCH UID 5:6 UNDELETED",
                "UID COPY 6 \"Done; \\\"x\\\"\"",
                "UID STORE 5:6 +FLAGS.SILENT (\\Deleted)",
                "UID SEARCH UID 5:6 UNDELETED",
            ]
        );
    }

    #[test]
    fn a_missing_target_is_made_once() {
        let (result, asked) = settle(
            OLD_EXCHANGE,
            &[
                ("UID MOVE", "{t} NO [TRYCREATE] Done doesn't exist.\r\n"),
                ("UID MOVE", "{t} OK [COPYUID 9  ] x\r\n"),
            ],
            AfterFetch::Move("Done".into()),
        );
        assert!(result.is_ok());
        assert_eq!(
            asked,
            [
                "UID MOVE 5:6 \"Done\"",
                "CREATE \"Done\"",
                "UID MOVE 5:6 \"Done\"",
                "UID SEARCH UID 5:6"
            ]
        );
        let (result, asked) = settle(
            OLD_EXCHANGE,
            &[
                ("UID MOVE", "{t} NO [TRYCREATE] no\r\n"),
                ("CREATE", "{t} NO no\r\n"),
            ],
            AfterFetch::Move("Done".into()),
        );
        assert_eq!(kind_of(&result.unwrap_err()), Kind::Config);
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn nothing_is_moved_to_where_it_is() {
        let (result, asked) = settle(OLD_EXCHANGE, &[], AfterFetch::Move("Inbox".into()));
        assert_eq!(kind_of(&result.unwrap_err()), Kind::Config);
        assert!(asked.is_empty());
    }
}

mod bounds {
    use super::*;

    fn small() -> Limits {
        Limits {
            line: 1 << 10,
            long_line: 4 << 10,
            small_literal: 512,
            octets: 16 << 10,
            lines: 100,
            message: 4 << 10,
            waste: 16 << 10,
        }
    }

    /// What all readers together may take from a peer that never ends: 5 commands, each with its
    /// lines, its messages and what is passed over, and the buffer's read ahead.
    const MOST: u64 = 5 * (2 * 16 + 3 * 4) * 1024 + (5 * 64 << 10);

    /// Runs every kind of command against octets that never end; what matters is that all end,
    /// that nothing panics, and how much was read.
    fn endure(theirs: &[u8], endless: &[u8]) -> u64 {
        let mut total = 0;
        for (at, name) in ["SELECT", "UID SEARCH", "UID FETCH", "LIST", "UID MOVE"]
            .into_iter()
            .enumerate()
        {
            let answer = theirs.to_vec();
            let started = Rc::new(Cell::new(false));
            let begun = started.clone();
            let (mut wire, served) = wire(b"", Some(endless), move |line| {
                let (tag, command) = split(line);
                if command.starts_with("AUTH") {
                    return format!("{tag} OK x\r\n").into_bytes();
                }
                if command == "CAPABILITY" {
                    return format!("{OLD_EXCHANGE}\r\n{tag} OK x\r\n").into_bytes();
                }
                if command.starts_with(name) && !begun.replace(true) {
                    return answer.clone();
                }
                Vec::new()
            });
            wire.limits = small();
            let mut mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
            let mut sink = Kept::default();
            match at {
                0 => drop(mailbox.open("INBOX", true)),
                1 => drop(mailbox.list(&Query::default())),
                2 => drop(mailbox.retrieve(&ids([5, 6, 7]), &mut sink)),
                3 => drop(mailbox.folders()),
                _ => drop(mailbox.settle(&ids([5, 6]), &AfterFetch::Move("Done".into()))),
            }
            assert!(sink.open.is_none());
            total += served.get();
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
}
