//! `send`, and the words of sendmail that it takes.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Args, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail send -t < reply.eml                  recipients: To, Cc, Bcc
  queuemail send -f support@contoso.com customer@example.com < reply.eml
  queuemail send -t --file 1.eml --file 2.eml    several messages
  queuemail send -t --maildir replies --outbox   keeps what cannot be sent
  queuemail send --to anna@example.com --subject 'Your order' \\
      --text reply.txt --attach bill.pdf
  queuemail send --smtp-session                  SMTP on standard input

Called by the name sendmail, the program sends without the word `send`, and with --outbox; `-q` \
alone sends what is in the outbox, and sendmail flags without a meaning here are ignored. \
Many messages use up to three connections, which can change their order; --jobs 1 keeps the \
order. With --outbox, exit code 0 means that each message is sent or kept.",
    args = without_effect())]
pub struct SendArgs {
    /// Recipients, in addition to those of -t
    #[arg(value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    /// Keep what cannot be sent now, for `queuemail outbox flush` to send
    #[arg(long)]
    pub outbox: bool,
    /// Speak SMTP on standard input and output, and keep each message in the outbox
    ///
    /// One session, the same as `sendmail -bs`, for programs that only speak SMTP.
    /// queuemail-relay.socket or the program itself starts it. `queuemail outbox flush` sends the mail.
    #[arg(long, conflicts_with_all = ["from_header", "recipients", "files", "maildirs", "mboxes", "dry_run"])]
    pub smtp_session: bool,
    /// Take the recipients from the message's To, Cc and Bcc
    #[arg(short = 't', overrides_with = "from_header")]
    pub from_header: bool,
    /// Do not end a message on standard input at a line with only a dot
    #[arg(short = 'i', overrides_with = "ignore_dots")]
    pub ignore_dots: bool,
    /// Envelope sender [default: the From field]
    #[arg(short = 'f', long, short_alias = 'r', value_name = "FROM")]
    pub from: Option<String>,
    /// The sender's full name, for a message without a From field
    #[arg(short = 'F', value_name = "NAME", hide_short_help = true)]
    pub full_name: Option<String>,
    /// Request reports: never, or some of success,failure,delay (if the server supports it)
    #[arg(short = 'N', value_name = "WHEN", hide_short_help = true)]
    pub notify: Option<String>,
    /// What a failure report contains: full or hdrs (if the server supports it)
    #[arg(short = 'R', value_name = "WHAT", hide_short_help = true)]
    pub returned: Option<String>,
    /// An envelope ID for such reports (if the server supports it)
    #[arg(short = 'V', value_name = "ID", hide_short_help = true)]
    pub envelope_id: Option<String>,
    /// Read the message from this file, `-` is standard input; may be repeated
    #[arg(long = "file", value_name = "MESSAGE")]
    pub files: Vec<PathBuf>,
    /// Send every message of this Maildir, without changing it; may be repeated
    #[arg(long = "maildir", value_name = "FOLDER")]
    pub maildirs: Vec<PathBuf>,
    /// Send every message of this mbox file, `-` is standard input, without changing it; may be repeated
    #[arg(long = "mbox", value_name = "FILE")]
    pub mboxes: Vec<PathBuf>,
    /// Use up to this many connections for many messages [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub jobs: Option<usize>,
    /// Show what would be sent and through which server, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print the message byte for byte, and the rest on standard error
    #[arg(long, requires = "dry_run", hide_short_help = true)]
    pub raw: bool,
    #[command(flatten)]
    pub parts: ComposeArgs,
    /// Mark the message as sent by a program: replied or generated
    ///
    /// Other programs then do not answer it (RFC 3834; Exchange obeys X-Auto-Response-Suppress).
    /// Without a value, a message with In-Reply-To is a reply.
    #[arg(long, value_name = "KIND", num_args = 0..=1, require_equals = true, hide_possible_values = true, hide_short_help = true)]
    pub auto: Option<Option<AutoArg>>,
    /// sendmail's modes: -bm sends a message, -bs is --smtp-session, -bp lists the outbox
    #[arg(short = 'b', value_name = "MODE", hide = true)]
    pub mode: Option<String>,
    /// sendmail's options: -oi is -i; the others have no effect
    #[arg(short = 'o', value_name = "OPTION", hide = true)]
    pub options: Vec<String>,
}

/// sendmail's options without an effect here, each with the name of its value if it has one.
const WITHOUT_EFFECT: [(&str, Option<&str>); 13] = [
    // Long options, and the body type, which is read from the message instead.
    ("O", Some("OPTION=VALUE")),
    ("B", Some("TYPE")),
    // A tag for its log, and a file for a log of the dialogue.
    ("L", Some("TAG")),
    ("X", Some("FILE")),
    // Which of its configurations, and in which file.
    ("A", Some("c|m")),
    ("C", Some("FILE")),
    // Where errors go: here to standard error and the exit code.
    ("e", Some("MODE")),
    // The database of aliases, and a flag of AIX.
    ("I", None),
    ("x", None),
    // Initial submission, relaying, me too, verbatim.
    ("U", None),
    ("G", None),
    ("m", None),
    ("n", None),
];

fn without_effect() -> impl Iterator<Item = Arg> {
    WITHOUT_EFFECT.into_iter().map(|(name, value)| {
        let arg = Arg::new(name).short(name.chars().next()).hide(true);
        match value {
            None => arg.action(ArgAction::SetTrue),
            Some(value) => arg
                .value_name(value)
                .value_parser(OsStringValueParser::new())
                .action(ArgAction::Append),
        }
    })
}

// The parts of a message that is written from the command line. Of a comment that clap reads, the
// command's own description would be made.
#[derive(Args, Debug)]
#[command(next_help_heading = "Write a message")]
#[group(multiple = true, conflicts_with_all = ["smtp_session", "files", "maildirs", "mboxes", "from_header", "recipients"])]
pub struct ComposeArgs {
    /// Write a message to these people, a comma between two; may be repeated
    #[arg(long, value_name = "ADDRESSES")]
    pub to: Vec<String>,
    /// A copy to these people
    #[arg(long, value_name = "ADDRESSES")]
    pub cc: Vec<String>,
    /// A copy that other recipients do not see
    #[arg(long, value_name = "ADDRESSES")]
    pub bcc: Vec<String>,
    /// The subject
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// The text, in UTF-8, from this file, `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The text as HTML; with --text, the reader's program chooses
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Attach this file; may be repeated
    #[arg(long = "attach", value_name = "FILE")]
    pub attachments: Vec<PathBuf>,
    /// Where answers go
    #[arg(long, value_name = "ADDRESSES")]
    pub reply_to: Vec<String>,
    /// The Message-ID of the message that this one answers
    #[arg(long, value_name = "ID")]
    pub in_reply_to: Option<String>,
    /// An additional header field; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AutoArg {
    Replied,
    Generated,
}

/// Lets the program stand in for sendmail: called by that name, it sends, and keeps what cannot
/// leave now. `mailq` is sendmail's other name, for `-bp`; with `-q` alone it sends what is kept.
pub fn as_sendmail(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|a| Path::new(a).file_stem());
    let words: &[&str] = match name.and_then(OsStr::to_str) {
        Some("sendmail") if flushes(&args) => {
            args.truncate(1);
            &["outbox", "flush"]
        }
        Some("sendmail") => {
            drop_hop_count(&mut args);
            &["send", "--outbox"]
        }
        Some("mailq") => &["outbox", "list"],
        _ => return args,
    };
    // What help and hints call the program.
    let name = std::iter::once(&"queuemail").chain(words);
    args.splice(0..1, name.map(OsString::from));
    args
}

/// True for `-q`, with or without an interval, and at most `-v`: there is no message to send.
fn flushes(args: &[OsString]) -> bool {
    let text = |arg: &OsString| arg.to_string_lossy().into_owned();
    let words: Vec<String> = args.iter().skip(1).map(text).collect();
    words.iter().any(|w| w.starts_with("-q"))
        && words.iter().all(|w| w.starts_with("-q") || w == "-v")
}

/// Takes sendmail's `-h COUNT` out: here `-h` asks for help, which would lose the message.
fn drop_hop_count(args: &mut Vec<OsString>) {
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let end = args.iter().position(|a| a == "--").unwrap_or(args.len());
    let text = |i: usize| args.get(i).and_then(|a| a.to_str()).unwrap_or_default();
    let joined = |i: &usize| text(*i).strip_prefix("-h").is_some_and(is_count);
    if let Some(at) = (1..end).find(joined) {
        args.remove(at);
    } else if let Some(at) = (1..end).find(|&i| text(i) == "-h" && is_count(text(i + 1))) {
        args.drain(at..at + 2);
    }
}
