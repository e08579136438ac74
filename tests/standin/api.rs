//! What a test or the demo does with the stand-in: start it, furnish it, look at what happened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::directory::{App, DeviceState, User};
use super::faults::Faults;
use super::mailbox::{Backup, Folder, StoredMessage};
use super::records::{GraphCall, Submission, TokenRequest};
use super::tokens::{self, Subject};
use super::world::World;
use super::{http, imap, jwt, net, smtp, tls};

/// The running stand-in.
pub struct Standin {
    world: Arc<World>,
    login_port: u16,
    imap_port: u16,
    smtp_port: u16,
    smtps_port: u16,
    introspection_port: u16,
    ca_file: PathBuf,
    _folder: TempDir,
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.world.stop();
    }
}

impl Standin {
    /// Starts all servers with one tenant, and nothing in it.
    pub fn start() -> Standin {
        Standin::start_named(tls::NAMES)
    }

    /// The same with a certificate whose subjectAltName has these names; its subject is `localhost`.
    pub fn start_named(names: &[&str]) -> Standin {
        let tls = tls::make(names);
        let folder = tempfile::Builder::new().prefix("m365-").tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, &tls.ca_pem).unwrap();
        let world = Arc::new(World::new(tls.acceptor, jwt::shared_key()));
        let login_port = net::listen(&world, "HTTP", http::serve_tls);
        let login_url = format!("https://localhost:{login_port}");
        world.login_url.set(login_url).unwrap();
        Standin {
            login_port,
            imap_port: net::listen(&world, "IMAP", imap::serve),
            smtp_port: net::listen(&world, "SMTP", smtp::serve_starttls),
            smtps_port: net::listen(&world, "SMTP", smtp::serve_implicit),
            introspection_port: net::listen(&world, "HTTP", http::serve_plain),
            world,
            ca_file,
            _folder: folder,
        }
    }

    /// `https://localhost:PORT`; an authority is this, a slash, and a tenant.
    pub fn login_url(&self) -> String {
        format!("https://localhost:{}", self.login_port)
    }

    /// The address of an incoming server: login URL and tenant.
    pub fn authority(&self) -> String {
        format!("{}/{}", self.login_url(), self.tenant())
    }

    pub fn imap_url(&self) -> String {
        format!("imaps://localhost:{}", self.imap_port)
    }

    /// With STARTTLS.
    pub fn smtp_url(&self) -> String {
        format!("smtp://localhost:{}", self.smtp_port)
    }

    /// With implicit TLS.
    pub fn smtps_url(&self) -> String {
        format!("smtps://localhost:{}", self.smtps_port)
    }

    /// The service root of Graph, with its version.
    pub fn graph_url(&self) -> String {
        format!("{}/v1.0", self.login_url())
    }

    pub fn imap_port(&self) -> u16 {
        self.imap_port
    }

    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    pub fn smtps_port(&self) -> u16 {
        self.smtps_port
    }

    pub fn login_port(&self) -> u16 {
        self.login_port
    }

    /// RFC 7662 over plain HTTP on loopback; the same is at `login_url()` + `/introspect`.
    pub fn introspection_url(&self) -> String {
        format!("http://127.0.0.1:{}/introspect", self.introspection_port)
    }

    /// PEM of the CA that signed the servers' certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The tenant's GUID.
    pub fn tenant(&self) -> &str {
        &self.world.tenant
    }

    /// The tenant's domain.
    pub fn domain(&self) -> &str {
        &self.world.domain
    }

    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// Adds or replaces an app registration.
    pub fn add_app(&self, app: App) {
        let mut directory = self.world.directory();
        directory
            .apps
            .insert(app.client_id.to_ascii_lowercase(), app);
    }

    /// An app registration as it is now.
    pub fn app(&self, client_id: &str) -> App {
        let directory = self.world.directory();
        directory
            .app(client_id)
            .cloned()
            .expect("an app registration")
    }

    /// Changes an app registration, as an administrator would.
    pub fn change_app(&self, client_id: &str, change: impl FnOnce(&mut App)) {
        let mut directory = self.world.directory();
        let app = directory.apps.get_mut(&client_id.to_ascii_lowercase());
        change(app.expect("an app registration"));
    }

    /// Adds or replaces a user; gives no mailbox.
    pub fn add_user(&self, user: User) {
        let mut directory = self.world.directory();
        directory
            .users
            .insert(user.address.to_ascii_lowercase(), user);
    }

    /// Adds a mailbox with the usual folders.
    pub fn add_mailbox(&self, address: &str) {
        self.world.store().add(address);
    }

    /// Gives an app's service principal FullAccess to a mailbox.
    pub fn grant(&self, client_id: &str, mailbox: &str) {
        self.grant_user(client_id, mailbox);
    }

    /// Gives a user FullAccess to another's mailbox.
    pub fn grant_user(&self, user: &str, mailbox: &str) {
        let mut store = self.world.store();
        let rights = &mut store.existing(mailbox).full_access;
        rights.insert(user.to_ascii_lowercase());
    }

    /// Takes FullAccess away from an app or user.
    pub fn revoke(&self, who: &str, mailbox: &str) {
        let mut store = self.world.store();
        let rights = &mut store.existing(mailbox).full_access;
        rights.remove(&who.to_ascii_lowercase());
    }

    /// Lets a mailbox send as another address.
    pub fn grant_send_as(&self, mailbox: &str, address: &str) {
        let mut store = self.world.store();
        let rights = &mut store.existing(mailbox).send_as;
        rights.insert(address.to_ascii_lowercase());
    }

    /// `Set-CASMailbox -ImapEnabled`.
    pub fn set_imap_enabled(&self, mailbox: &str, enabled: bool) {
        self.world.store().existing(mailbox).imap_enabled = enabled;
    }

    /// `Set-CASMailbox -SmtpClientAuthenticationDisabled`.
    pub fn set_smtp_disabled(&self, mailbox: &str, disabled: bool) {
        self.world.store().existing(mailbox).smtp_disabled = disabled;
    }

    fn with_folder<T>(
        &self,
        mailbox: &str,
        folder: &str,
        work: impl FnOnce(&mut Folder) -> T,
    ) -> T {
        let mut store = self.world.store();
        let folder = store.existing(mailbox).existing(folder);
        folder.version += 1;
        work(folder)
    }

    /// Creates a folder if it is not there.
    pub fn add_folder(&self, mailbox: &str, folder: &str) {
        self.world.store().existing(mailbox).create(folder);
    }

    /// Gives a folder another name, as a mailbox in another language has one.
    pub fn rename_folder(&self, mailbox: &str, folder: &str, name: &str) {
        self.with_folder(mailbox, folder, |folder| folder.name = name.into());
    }

    /// Names of all folders.
    pub fn folders(&self, mailbox: &str) -> Vec<String> {
        let mut store = self.world.store();
        let folders = &store.existing(mailbox).folders;
        folders.iter().map(|folder| folder.name.clone()).collect()
    }

    /// Puts a message in a folder; gives its UID.
    pub fn deliver(&self, mailbox: &str, folder: &str, bytes: &[u8]) -> u32 {
        let mut store = self.world.store();
        store.deliver(mailbox, folder, bytes, &[])
    }

    /// As `deliver`, with flags and a time of arrival (seconds since 1970).
    pub fn deliver_with(
        &self,
        mailbox: &str,
        folder: &str,
        bytes: &[u8],
        flags: &[&str],
        received: i64,
    ) -> u32 {
        let flags = flags.iter().map(|flag| flag.to_string()).collect();
        self.with_folder(mailbox, folder, |folder| {
            folder.add(Arc::new(bytes.to_vec()), flags, received)
        })
    }

    /// Marks a message as read or as unread, as a person with Outlook would.
    pub fn mark_read(&self, mailbox: &str, folder: &str, uid: u32, is_read: bool) {
        self.with_folder(mailbox, folder, |folder| {
            let at = folder.find(uid).expect("a message of this UID");
            let flags = &mut folder.messages[at].flags;
            flags.retain(|flag| flag != "\\Seen");
            flags.extend(is_read.then(|| "\\Seen".to_string()));
        });
    }

    /// All messages of a folder, in ascending order of UIDs.
    pub fn messages(&self, mailbox: &str, folder: &str) -> Vec<StoredMessage> {
        self.with_folder(mailbox, folder, |folder| {
            folder
                .messages
                .iter()
                .map(|message| StoredMessage {
                    uid: message.uid,
                    flags: message.flags.clone(),
                    bytes: message.bytes.to_vec(),
                    received: message.received,
                })
                .collect()
        })
    }

    /// Graph's immutable ids of a folder's messages, in order of arrival.
    pub fn graph_ids(&self, mailbox: &str, folder: &str) -> Vec<String> {
        self.with_folder(mailbox, folder, |folder| {
            folder.messages.iter().map(|m| m.id.clone()).collect()
        })
    }

    /// From now on all that is asked of Graph is kept, with its answers.
    pub fn keep_graph_calls(&self) {
        self.world.graph.lock().unwrap().calls = Some(Vec::new());
    }

    /// What was asked of Graph since [`Standin::keep_graph_calls`], in order.
    pub fn graph_calls(&self) -> Vec<GraphCall> {
        let state = self.world.graph.lock().unwrap();
        state.calls.clone().unwrap_or_default()
    }

    /// The states of all delta queries expire: 410 `SyncStateNotFound`.
    pub fn expire_deltas(&self) {
        self.world.graph.lock().unwrap().expire_deltas();
    }

    /// Moves a message to another folder, as a person with Outlook would.
    pub fn move_message(&self, mailbox: &str, from: &str, uid: u32, to: &str) {
        let moved = self.with_folder(mailbox, from, |folder| folder.remove(&[uid].into()));
        self.with_folder(mailbox, to, |folder| {
            for message in moved {
                folder.add_as(message.id, message.bytes, message.flags, message.received);
            }
        });
    }

    /// Removes a message, as another client or a rule would.
    pub fn remove(&self, mailbox: &str, folder: &str, uid: u32) {
        self.with_folder(mailbox, folder, |folder| folder.remove(&[uid].into()));
    }

    pub fn uidvalidity(&self, mailbox: &str, folder: &str) -> u32 {
        self.with_folder(mailbox, folder, |folder| folder.uidvalidity)
    }

    /// Changes UIDVALIDITY and nothing else.
    pub fn set_uidvalidity(&self, mailbox: &str, folder: &str, value: u32) {
        self.with_folder(mailbox, folder, |folder| folder.uidvalidity = value);
    }

    /// Changes the UID that the next message gets; never below those in use.
    pub fn set_uidnext(&self, mailbox: &str, folder: &str, value: u32) {
        self.with_folder(mailbox, folder, |folder| {
            let least = folder.messages.last().map_or(1, |message| message.uid + 1);
            folder.uidnext = value.max(least);
        });
    }

    /// A restored mailbox: new UIDVALIDITY, the messages numbered anew from `first`.
    pub fn renumber(&self, mailbox: &str, folder: &str, uidvalidity: u32, first: u32) {
        self.with_folder(mailbox, folder, |folder| {
            folder.uidvalidity = uidvalidity;
            for (uid, message) in (first..).zip(&mut folder.messages) {
                message.uid = uid;
            }
            folder.uidnext = first + folder.messages.len() as u32;
        });
    }

    /// What a backup of a folder holds.
    pub fn back_up(&self, mailbox: &str, folder: &str) -> Backup {
        self.with_folder(mailbox, folder, |folder| Backup {
            uidnext: folder.uidnext,
            messages: folder.messages.clone(),
        })
    }

    /// A mailbox restored from a backup by a server that keeps its UIDVALIDITY: UIDs are given
    /// again.
    pub fn restore(&self, mailbox: &str, folder: &str, backup: &Backup) {
        self.with_folder(mailbox, folder, |folder| {
            folder.uidnext = backup.uidnext;
            folder.messages.clone_from(&backup.messages);
            folder.version += 1;
        });
    }

    /// A server that is started again: every connection breaks, and the next `refused` ones do not
    /// come about.
    pub fn restart(&self, refused: u32) {
        let drop = &self.world.faults.drop_connections;
        drop.store(refused, std::sync::atomic::Ordering::SeqCst);
        for socket in self.world.sockets.lock().unwrap().values() {
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }

    /// Everything that SMTP accepted, in order.
    pub fn submitted(&self) -> Vec<Submission> {
        self.world.submitted.lock().unwrap().clone()
    }

    /// All requests to the token endpoint, in order.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.world.token_requests.lock().unwrap().clone()
    }

    /// Every access token that was ever issued.
    pub fn tokens(&self) -> Vec<String> {
        self.world.tokens.lock().unwrap().clone()
    }

    /// Every other secret that came or went: client secrets, assertions, passwords, refresh
    /// tokens, codes.
    pub fn secrets(&self) -> Vec<String> {
        let mut all = self.world.secrets.lock().unwrap().clone();
        let directory = self.world.directory();
        all.extend(directory.refresh.keys().cloned());
        all.extend(directory.codes.keys().cloned());
        all.extend(directory.devices.keys().cloned());
        all.sort();
        all.dedup();
        all
    }

    /// Counts these among the secrets.
    pub fn keep_secret(&self, secrets: impl IntoIterator<Item = String>) {
        self.world.secrets.lock().unwrap().extend(secrets);
    }

    /// What was said, by protocol: `IMAP < …` came from a client, `IMAP > …` went to it.
    pub fn log(&self) -> Vec<String> {
        self.world.lines()
    }

    /// Mints an app-only token, as the token endpoint would: `resource` without `/.default`.
    pub fn issue_token(&self, client_id: &str, resource: &str) -> String {
        let directory = self.world.directory();
        let app = directory.app(client_id).expect("the app is registered");
        tokens::mint(&self.world, app, resource, &Subject::App).0
    }

    /// Mints a delegated token of a user.
    pub fn issue_user_token(
        &self,
        client_id: &str,
        user: &str,
        resource: &str,
        scopes: &[&str],
    ) -> String {
        let directory = self.world.directory();
        let app = directory.app(client_id).expect("the app is registered");
        let user = directory.user(user).expect("the user exists");
        let scopes: Vec<String> = scopes.iter().map(|scope| scope.to_string()).collect();
        tokens::mint(&self.world, app, resource, &Subject::User(user, &scopes)).0
    }

    /// Signs any claims with the tenant's key.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        self.world.key.sign(claims)
    }

    pub fn public_key_pem(&self) -> &str {
        &self.world.key.public_pem
    }

    /// The `kid` in the header of tokens.
    pub fn key_id(&self) -> &str {
        &self.world.key.kid
    }

    pub fn jwks(&self) -> serde_json::Value {
        self.world.key.jwks()
    }

    /// A person types the code: approves every pending device code as this user.
    pub fn approve_devices(&self, user: &str) {
        self.decide_devices(DeviceState::Approved(user.to_string()));
    }

    /// A person declines every pending device code.
    pub fn decline_devices(&self) {
        self.decide_devices(DeviceState::Declined);
    }

    fn decide_devices(&self, state: DeviceState) {
        let mut directory = self.world.directory();
        for device in directory.devices.values_mut() {
            if device.state == DeviceState::Pending {
                device.state = state.clone();
            }
        }
    }

    /// "Revoke sessions", or a new password: refresh tokens of this user get AADSTS50173.
    pub fn revoke_refresh_tokens(&self, user: &str) {
        let mut directory = self.world.directory();
        for refresh in directory.refresh.values_mut() {
            refresh.revoked |= refresh.user.eq_ignore_ascii_case(user);
        }
    }

    /// Ninety days pass without use: all refresh tokens get AADSTS700082.
    pub fn expire_refresh_tokens(&self) {
        let mut directory = self.world.directory();
        for refresh in directory.refresh.values_mut() {
            refresh.idle = true;
        }
    }

    /// Forgets the wrong passwords that led to a lockout.
    pub fn unlock(&self, user: &str) {
        let mut directory = self.world.directory();
        directory.wrong_passwords.remove(&user.to_ascii_lowercase());
    }
}
