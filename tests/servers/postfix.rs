//! An instance of Postfix: submission with STARTTLS and within TLS, AUTH by Dovecot, every
//! domain's mail to Dovecot by LMTP.

use super::authority::Certificate;
use super::dovecot::Dovecot;
use super::process::{Process, read};
use super::{LATER, UNKNOWN, free_port, run};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Postfix {
    /// Held: dropping it ends the server.
    _process: Process,
    folder: PathBuf,
    pub submission: u16,
    pub submissions: u16,
}

impl Postfix {
    pub fn start(folder: &Path, certificate: &Certificate, dovecot: &Dovecot) -> Postfix {
        let (submission, submissions) = (free_port(), free_port());
        let config = folder.join("config");
        for name in ["config", "queue", "data"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        run("chown", &["postfix", folder.join("data").to_str().unwrap()]);
        fs::write(config.join("main.cf"), main(folder, certificate, dovecot)).unwrap();
        fs::write(config.join("master.cf"), services(submission, submissions)).unwrap();
        fs::write(
            config.join("recipients"),
            format!(
                "/^{UNKNOWN}/ 550 5.1.1 No such mailbox here\n\
                 /^{LATER}/ 450 4.2.1 Mailbox is busy, come back later\n"
            ),
        )
        .unwrap();
        let config = config.to_str().unwrap();
        // Makes the folders of the queue with their owners.
        run("/usr/sbin/postfix", &["-c", config, "check"]);
        let command = ["/usr/lib/postfix/sbin/master", "-s", "-c", config];
        let process = Process::start(folder, &command);
        process.wait_for(submissions, || read(&folder.join("log")));
        Postfix {
            _process: process,
            folder: folder.to_owned(),
            submission,
            submissions,
        }
    }

    pub fn log(&self) -> String {
        read(&self.folder.join("log"))
    }
}

fn main(folder: &Path, certificate: &Certificate, dovecot: &Dovecot) -> String {
    let folder = folder.display();
    let pem = certificate.certificate.display();
    let key = certificate.key.display();
    let auth = dovecot.auth_socket();
    let auth = auth.display();
    let lmtp = dovecot.lmtp_socket();
    let lmtp = lmtp.display();
    format!(
        r#"compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mail.contoso.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
biff = no

# Every domain is ours: nothing leaves the machine.
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:{lmtp}
# One at a time: two that make the same new mailbox at once make Dovecot 2.3 panic.
lmtp_destination_concurrency_limit = 1
default_transport = error:nothing leaves this machine
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
  check_recipient_access regexp:{folder}/config/recipients, permit_sasl_authenticated, reject

# Octets are kept as they come, and no header field is added but Received.
local_header_rewrite_clients =
message_size_limit = 209715200
mailbox_size_limit = 0
virtual_mailbox_limit = 0
disable_mime_output_conversion = yes
smtp_line_length_limit = 0
lmtp_line_length_limit = 0

smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_sasl_security_options = noanonymous
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {pem}
smtpd_tls_key_file = {key}
smtpd_tls_mandatory_protocols = >=TLSv1.2
"#
    )
}

/// Debian's services less those that need the net, none of them in a chroot.
fn services(submission: u16, submissions: u16) -> String {
    format!(
        "postlog unix-dgram n - n - 1 postlogd\n\
         127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt\n\
         127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
         pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\n\
         proxywrite unix - - n - 1 proxymap\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         lmtp unix - - n - - lmtp\n\
         anvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\n"
    )
}
