//! An instance of Dovecot: IMAP, POP3, LMTP, and the SASL server of Postfix.

use super::authority::Certificate;
use super::process::{Process, read};
use super::{AUDIENCE, PASSWORD, free_port, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub struct Dovecot {
    process: Mutex<Option<Process>>,
    /// The mechanisms that take a token.
    mechanisms: &'static str,
    folder: PathBuf,
    /// IMAP with STARTTLS; the tests' own client also signs in here without TLS.
    pub imap: u16,
    pub imaps: u16,
    pub pop3s: u16,
}

impl Dovecot {
    pub fn start(folder: &Path, certificate: &Certificate, mechanisms: &'static str) -> Dovecot {
        let dovecot = Dovecot {
            process: Mutex::new(None),
            mechanisms,
            folder: folder.to_owned(),
            imap: free_port(),
            imaps: free_port(),
            pop3s: free_port(),
        };
        for name in ["keys", "mail"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        // Mail belongs to a user without any rights, as Dovecot refuses to serve root's.
        let mail = folder.join("mail");
        run("chown", &["nobody:nogroup", mail.to_str().unwrap()]);
        fs::write(folder.join("dovecot.conf"), dovecot.config(certificate)).unwrap();
        fs::write(folder.join("oauth2.conf"), dovecot.oauth2()).unwrap();
        dovecot.launch();
        dovecot
    }

    fn launch(&self) {
        // A socket left behind would make the auth process wait for its owner.
        fs::remove_dir_all(self.folder.join("run")).ok();
        fs::create_dir(self.folder.join("run")).unwrap();
        let config = self.folder.join("dovecot.conf");
        let command = ["/usr/sbin/dovecot", "-F", "-c", config.to_str().unwrap()];
        let process = Process::start(&self.folder, &command);
        process.wait_for(self.imaps, || self.log());
        *self.process.lock().unwrap() = Some(process);
    }

    pub fn restart(&self) {
        let process = self.process.lock().unwrap().take();
        if let Some(process) = process {
            process.stop();
        }
        self.launch();
    }

    /// Copies a mailbox from one of the tests' folders to another; what was there goes.
    pub fn copy_mailbox(&self, mailbox: &str, from: &str, to: &str) {
        fs::create_dir_all(self.folder.join(to)).unwrap();
        let [from, to] = [from, to].map(|folder| self.folder.join(folder).join(mailbox));
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        run("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
    }

    pub fn trust(&self, client_id: &str, kid: &str, public_key_pem: &str) {
        let keys = self.folder.join("keys").join(client_id).join("RS256");
        fs::create_dir_all(&keys).unwrap();
        // Another test may be reading: the file is there whole, or not at all.
        let temporary = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        fs::write(temporary.path(), public_key_pem).unwrap();
        run("chmod", &["644", temporary.path().to_str().unwrap()]);
        temporary.persist(keys.join(kid)).unwrap();
    }

    pub fn log(&self) -> String {
        read(&self.folder.join("log"))
    }

    /// Where Postfix asks about AUTH.
    pub fn auth_socket(&self) -> PathBuf {
        self.folder.join("run/auth-client")
    }

    pub fn lmtp_socket(&self) -> PathBuf {
        self.folder.join("run/lmtp")
    }

    /// From now on this script sorts what LMTP brings for a mailbox.
    pub fn sieve(&self, mailbox: &str, script: &str) {
        let home = self.folder.join("mail").join(mailbox);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join(".dovecot.sieve"), script).unwrap();
        run("chown", &["-R", "nobody:nogroup", home.to_str().unwrap()]);
    }

    /// How an access token is checked: a JWT signed by the key for its `azp`, `alg` and `kid`,
    /// within its time, for the right audience. `username_format` without a variable makes every
    /// user name equal to every subject: the token of an app says nothing of mailboxes.
    fn oauth2(&self) -> String {
        let folder = self.folder.display();
        format!(
            "introspection_mode = local\n\
             local_validation_key_dict = fs:posix:prefix={folder}/keys/\n\
             active_attribute = aud\n\
             active_value = {AUDIENCE}\n\
             username_attribute = sub\n\
             username_format = anyone\n"
        )
    }

    fn config(&self, certificate: &Certificate) -> String {
        let folder = self.folder.display();
        let Dovecot {
            imap,
            imaps,
            pop3s,
            mechanisms,
            ..
        } = self;
        let pem = certificate.certificate.display();
        let key = certificate.key.display();
        // POP3 is there for peers in the benchmark, and not needed for the tests.
        let pop3 = if Path::new("/usr/lib/dovecot/pop3").exists() {
            format!(
                "service pop3-login {{\n  inet_listener pop3 {{\n    port = 0\n  }}\n  \
                 inet_listener pop3s {{\n    port = {pop3s}\n  }}\n}}"
            )
        } else {
            String::new()
        };
        // Sieve is there for the tests of recipes alone.
        let sieve = if Path::new("/usr/lib/dovecot/modules/lib90_sieve_plugin.so").exists() {
            "protocol lmtp {\n  mail_plugins = $mail_plugins sieve\n}\n\
             plugin {\n  sieve = file:~/sieve;active=~/.dovecot.sieve\n}"
        } else {
            ""
        };
        let pop3_protocol = if pop3.is_empty() { "" } else { "pop3" };
        format!(
            r#"base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
auth_verbose = yes
protocols = imap lmtp {pop3_protocol}
listen = 127.0.0.1

ssl = yes
ssl_cert = <{pem}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2

# Octets are kept as they come, one file for each message.
mail_location = sdbox:{folder}/mail/%u
mail_save_crlf = yes
mail_fsync = never
first_valid_uid = 1
mail_max_userip_connections = 100
pop3_no_flag_updates = yes

disable_plaintext_auth = no
auth_mechanisms = plain login {mechanisms}
passdb {{
  driver = oauth2
  mechanisms = {mechanisms}
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u allow_all_users=yes
}}
auth_failure_delay = 0
# Without its memory of wrong passwords: a refused token must not slow down the next test.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}

service imap-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
{pop3}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
{sieve}
lmtp_add_received_header = no
lda_mailbox_autocreate = yes
postmaster_address = postmaster@contoso.example
"#
        )
    }
}
