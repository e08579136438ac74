//! How each program is set up: as its users do, on the same mailbox, into a Maildir.

use crate::office::{Office, SENDER};
use crate::servers::PASSWORD;
use std::fs;
use std::path::Path;

/// A program that fetches.
#[derive(Clone, Copy, PartialEq)]
pub enum Fetcher {
    Queuemail,
    Mbsync { fsync: bool },
    Mpop,
    Getmail,
    Fetchmail,
    Floor(&'static str),
}

/// What becomes of the messages on the server.
#[derive(Clone, Copy, PartialEq)]
pub enum After {
    Keep,
    Seen,
    Delete,
    Move,
}

impl After {
    pub fn name(self) -> &'static str {
        match self {
            After::Keep => "keep",
            After::Seen => "seen",
            After::Delete => "delete",
            After::Move => "move:Done",
        }
    }
}

pub const FETCHERS: [Fetcher; 9] = [
    Fetcher::Queuemail,
    Fetcher::Mbsync { fsync: true },
    Fetcher::Mbsync { fsync: false },
    Fetcher::Mpop,
    Fetcher::Getmail,
    Fetcher::Fetchmail,
    Fetcher::Floor("read"),
    Fetcher::Floor("write"),
    Fetcher::Floor("fsync"),
];

/// Where the servers are listened to, a delay perhaps in between.
#[derive(Clone, Copy)]
pub struct Ports {
    pub imaps: u16,
    pub pop3s: u16,
    pub submission: u16,
}

impl Fetcher {
    pub fn name(self) -> String {
        match self {
            Fetcher::Queuemail => "**queuemail**".into(),
            Fetcher::Mbsync { fsync: true } => "mbsync".into(),
            Fetcher::Mbsync { fsync: false } => "mbsync, FSync no".into(),
            Fetcher::Mpop => "mpop (POP3)".into(),
            Fetcher::Getmail => "getmail6".into(),
            Fetcher::Fetchmail => "fetchmail, maildrop".into(),
            Fetcher::Floor(work) => format!("{work} (floor)"),
        }
    }

    /// Makes a round trip for each message: hopeless on a slow line.
    pub fn is_chatty(self) -> bool {
        matches!(self, Fetcher::Getmail | Fetcher::Fetchmail)
    }

    /// Writes the configuration and gives the command that fetches into `home/Mail` and leaves
    /// the messages on the server.
    pub fn set_up(self, office: &Office, home: &Path, mailbox: &str, ports: Ports) -> Vec<String> {
        self.set_up_for(After::Keep, office, home, mailbox, ports)
    }

    /// The same for another end of the messages; of the peers, mpop, getmail and fetchmail can
    /// delete.
    pub fn set_up_for(
        self,
        after: After,
        office: &Office,
        home: &Path,
        mailbox: &str,
        ports: Ports,
    ) -> Vec<String> {
        let Ports { imaps, pop3s, .. } = ports;
        let ca = office.path("ca.pem").display().to_string();
        let home_text = home.display();
        let mail = format!("{home_text}/Mail");
        let config = |name: &str, text: String| {
            let path = home.join(name);
            fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, mode).unwrap();
            path.display().to_string()
        };
        if self != Fetcher::Queuemail {
            for folder in ["tmp", "new", "cur"] {
                fs::create_dir_all(home.join("Mail").join(folder)).unwrap();
            }
        }
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Fetcher::Queuemail => {
                office.provision(home, mailbox, imaps, ports.submission);
                let fetch = words(&format!("fetch bench --after {}", after.name()));
                [office.queuemail(home), fetch].concat()
            }
            Fetcher::Mbsync { fsync } => {
                let fsync = if fsync { "yes" } else { "no" };
                let path = config(
                    "mbsyncrc",
                    format!(
                        "FSync {fsync}\n\nIMAPStore far\nHost localhost\nPort {imaps}\nUser {mailbox}\n\
                         Pass {PASSWORD}\nSSLType IMAPS\nAuthMechs PLAIN\nCertificateFile {ca}\n\n\
                         MaildirStore near\nInbox {mail}\n\n\
                         Channel all\nFar :far:\nNear :near:\nSync Pull New\nCreate Near\n\
                         Expunge None\nSyncState {home_text}/state\n"
                    ),
                );
                words(&format!("mbsync -q -c {path} all"))
            }
            Fetcher::Mpop => {
                let keep = if after == After::Delete { "off" } else { "on" };
                let path = config(
                    "mpoprc",
                    format!(
                        "account all\nhost localhost\nport {pop3s}\ntls on\ntls_starttls off\n\
                         tls_trust_file {ca}\nuser {mailbox}\npassword {PASSWORD}\nauth plain\n\
                         keep {keep}\nonly_new on\ndelivery maildir {mail}\nuidls_file {home_text}/uidls\n\
                         received_header off\n"
                    ),
                );
                words(&format!("mpop -Q -C {path} all"))
            }
            Fetcher::Getmail => {
                let delete = after == After::Delete;
                config(
                    "getmailrc",
                    format!(
                        "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = localhost\n\
                         port = {imaps}\nusername = {mailbox}\npassword = {PASSWORD}\n\
                         ca_certs = {ca}\n\n[destination]\ntype = Maildir\npath = {mail}/\n\n\
                         [options]\nread_all = false\ndelete = {delete}\nverbose = 0\n\
                         delivered_to = false\nreceived = false\n"
                    ),
                );
                words(&format!(
                    "getmail --quiet --getmaildir {home_text} --rcfile getmailrc"
                ))
            }
            Fetcher::Fetchmail => {
                let keep = if after == After::Delete {
                    "nokeep"
                } else {
                    "keep"
                };
                let filter = config("mailfilter", format!("to \"{mail}\"\n"));
                let path = config(
                    "fetchmailrc",
                    format!(
                        "poll localhost protocol imap port {imaps} auth password\n\
                         user \"{mailbox}\" password \"{PASSWORD}\" ssl sslcertfile \"{ca}\"\n\
                         {keep} fetchall no rewrite mda \"/usr/bin/maildrop {filter}\"\n"
                    ),
                );
                words(&format!(
                    "fetchmail --silent --invisible --pidfile {home_text}/pid --idfile {home_text}/ids -f {path}"
                ))
            }
            Fetcher::Floor(work) => {
                let own = office.path("floor");
                words(&format!(
                    "{} --floor {work} {imaps} {mailbox} {mail}",
                    own.display()
                ))
            }
        }
    }
}

/// A program that sends.
#[derive(Clone, Copy, PartialEq)]
pub enum Sender {
    /// All messages in one run.
    Queuemail,
    /// A run for each message, as a mail program or a script does.
    QueuemailEach,
    Msmtp,
    Curl,
    Floor,
}

pub const SENDERS: [Sender; 5] = [
    Sender::Queuemail,
    Sender::QueuemailEach,
    Sender::Msmtp,
    Sender::Curl,
    Sender::Floor,
];

impl Sender {
    pub fn name(self) -> &'static str {
        match self {
            Sender::Queuemail => "**queuemail**, one run",
            Sender::QueuemailEach => "**queuemail**, a run each",
            Sender::Msmtp => "msmtp, a run each",
            Sender::Curl => "curl, a run each",
            Sender::Floor => "python smtplib, one connection (floor)",
        }
    }

    /// The command that sends `home/out/*.eml` to `recipient`.
    pub fn set_up(
        self,
        office: &Office,
        home: &Path,
        recipient: &str,
        ports: Ports,
    ) -> Vec<String> {
        let port = ports.submission;
        let ca = office.path("ca.pem").display().to_string();
        let home_text = home.display();
        if matches!(self, Sender::Queuemail | Sender::QueuemailEach) {
            office.provision(home, SENDER, ports.imaps, port);
            // The token for SMTP is the one for IMAP here and at Microsoft: one audience.
        }
        let queuemail = office.queuemail(home).join(" ");
        let each =
            |command: &str| format!("for m in {home_text}/out/*.eml; do {command} || exit; done");
        let script = match self {
            Sender::Queuemail => format!(
                "set --; for m in {home_text}/out/*.eml; do set -- \"$@\" --file \"$m\"; done; \
                 exec {queuemail} send -f {SENDER} {recipient} \"$@\""
            ),
            Sender::QueuemailEach => each(&format!(
                "{queuemail} send -i -f {SENDER} {recipient} <\"$m\""
            )),
            Sender::Msmtp => {
                let path = home.join("msmtprc");
                let text = format!(
                    "account all\nhost localhost\nport {port}\ntls on\ntls_starttls on\n\
                     tls_trust_file {ca}\nauth plain\nuser {SENDER}\npassword {PASSWORD}\n\
                     from {SENDER}\nset_date_header off\nset_msgid_header off\n"
                );
                fs::write(&path, text).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs::set_permissions(&path, mode).unwrap();
                each(&format!(
                    "msmtp -C {} -a all {recipient} <\"$m\"",
                    path.display()
                ))
            }
            Sender::Curl => each(&format!(
                "curl -sS --url smtp://localhost:{port} --ssl-reqd --cacert {ca} \
                 --user {SENDER}:{PASSWORD} --login-options AUTH=PLAIN --mail-from {SENDER} \
                 --mail-rcpt {recipient} --upload-file \"$m\""
            )),
            Sender::Floor => {
                let program = format!(
                    "import glob, smtplib, ssl\n\
                     s = smtplib.SMTP('localhost', {port})\n\
                     s.starttls(context=ssl.create_default_context(cafile='{ca}'))\n\
                     s.login('{SENDER}', '{PASSWORD}')\n\
                     for m in sorted(glob.glob('{home_text}/out/*.eml')):\n    \
                     s.sendmail('{SENDER}', '{recipient}', open(m, 'rb').read())\n\
                     s.quit()\n"
                );
                fs::write(home.join("send.py"), program).unwrap();
                format!("exec /usr/bin/python3 {home_text}/send.py")
            }
        };
        vec!["sh".into(), "-c".into(), script]
    }
}
