//! A client that says anything.

use super::session::{Access, Desk, Message, Next, Refusal, Session, Settings};

/// Takes everything, and demands of each message what the rest of the program relies on.
struct Anything;

impl Desk for Anything {
    fn sender(&mut self, _from: &str, _size: u64) -> Result<(), Refusal> {
        Ok(())
    }

    fn recipient(&mut self, to: &str) -> Result<(), Refusal> {
        assert!(!to.is_empty());
        Ok(())
    }

    fn keep(&mut self, message: Message) -> Result<String, Refusal> {
        assert!(!message.to.is_empty() && message.octets.len() <= 1000);
        let text = String::from_utf8_lossy(&message.octets).replace("\r\n", "");
        assert!(!text.contains(['\r', '\n', '\0']));
        Ok("1".to_owned())
    }

    fn signs_in(&mut self, user: &str, password: &str) -> bool {
        user == password
    }
}

/// `data` in one piece and octet by octet: the same replies, each a line that SMTP has.
pub fn session(data: &[u8]) {
    let replies = |piece: usize| {
        let mut session = Session::new(Settings {
            host: "fuzz.example".to_owned(),
            max_size: 1000,
            access: Access::MaySignIn,
            scripted: true,
        });
        let mut out = Vec::new();
        for octets in data.chunks(piece) {
            if session.take(octets, &mut Anything, &mut out) == Next::Close {
                break;
            }
        }
        out
    };
    let whole = replies(data.len().max(1));
    assert_eq!(whole, replies(1));
    for line in whole.split_inclusive(|&octet| octet == b'\n') {
        assert!(line.len() <= 512 && line.ends_with(b"\r\n") && line.is_ascii());
        assert!(line[..3].iter().all(u8::is_ascii_digit));
    }
}
