//! Who needs which right, by the configuration.

use crate::fault::Fault;
use crate::model::{Authentication, Authority, Cloud, IncomingVia, OutgoingVia, Purpose};
use crate::office::{Incoming, Office, Outgoing};
use anyhow::Result;

/// Everything to set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub tenants: Vec<Tenant>,
}

/// What is set up in one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// GUID or domain name.
    pub tenant: String,
    /// The cloud, as Connect-MgGraph calls it.
    pub graph_environment: &'static str,
    /// The cloud, as Connect-ExchangeOnline calls it.
    pub exchange_environment: &'static str,
    pub apps: Vec<App>,
    pub delegates: Vec<Delegate>,
    /// Mailboxes that are read by IMAP.
    pub imap: Vec<String>,
    /// Mailboxes that submit by SMTP.
    pub smtp: Vec<String>,
    pub send_as: Vec<SendAs>,
}

/// An app registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    pub client_id: String,
    /// The configured servers that sign in with it.
    pub servers: Vec<String>,
    /// It signs in as itself (OAuth Service), at least for one server.
    pub is_itself: bool,
    /// A server that is not in the plan signs in with it too.
    pub shared: bool,
    pub exchange_permissions: Vec<String>,
    pub graph_permissions: Vec<String>,
    pub delegated_exchange: Vec<String>,
    pub delegated_graph: Vec<String>,
    /// Mailboxes that it needs full access to, for IMAP and SMTP.
    pub mailboxes: Vec<String>,
    pub graph_read: Vec<String>,
    pub graph_send: Vec<String>,
    /// The registration is not there yet.
    pub create: Option<Create>,
}

/// An app registration that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub name: String,
    /// A public client, with which people sign in.
    pub is_public: bool,
    /// In DER, in base64; without one a secret is made.
    pub certificate: Option<String>,
    /// The options of `server add` for the certificate.
    pub certificate_options: String,
    /// The command that adds the server, without what is known later.
    pub server_add: String,
}

/// A person who reads or sends from a mailbox that is not theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    pub mailbox: String,
    pub account: String,
}

/// A mailbox that sends as another address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAs {
    pub mailbox: String,
    pub address: String,
}

/// The plan for the servers of these names; for all where there are none.
///
/// # Errors
/// `Usage` where a name is no server's; `Config` where an outgoing server has no app to sign in as, or a name cannot be put into a
/// script.
pub fn plan(office: &Office<'_>, names: &[String]) -> Result<Plan> {
    office.check_servers(names)?;
    let chosen = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let mut plan = Plan::default();
    for server in office.incoming.iter().filter(|s| chosen(&s.name)) {
        reading(&mut plan, office, server);
    }
    for server in office
        .outgoing
        .iter()
        .filter(|s| s.enabled && chosen(&s.name))
    {
        sending(&mut plan, office, server)?;
    }
    shared(&mut plan, office, &chosen);
    check(&plan)?;
    Ok(plan)
}

fn reading(plan: &mut Plan, office: &Office<'_>, server: &Incoming<'_>) {
    // Other providers have no PowerShell.
    if !server.registration.is_entra() {
        return;
    }
    let by_imap = server.via != IncomingVia::Graph;
    let by_graph = server.via != IncomingVia::Imap;
    let service = server.authentication == Authentication::OauthService;
    let tenant = plan.tenant(&server.address);
    let app = tenant.app(server.client_id.as_str(), &server.name, service);
    let entries: Vec<_> = office
        .mailboxes()
        .filter(|e| e.reads_through(server))
        .collect();
    if by_imap {
        app.needs(Purpose::Imap, server.authentication);
    }
    if by_graph {
        app.needs(Purpose::GraphWrite, server.authentication);
    }
    for entry in &entries {
        let address = entry.address.address.as_str();
        if service && by_imap {
            add(&mut app.mailboxes, address);
        }
        if service && by_graph {
            add(&mut app.graph_read, address);
        }
    }
    for entry in entries {
        let address = entry.address.address.as_str();
        if by_imap {
            add(&mut tenant.imap, address);
        }
        if !service {
            tenant.delegate(address, entry.account());
        }
    }
}

fn sending(plan: &mut Plan, office: &Office<'_>, server: &Outgoing<'_>) -> Result<()> {
    let registration = server.registration()?;
    if !registration.is_entra() {
        return Ok(());
    }
    let by_smtp = server.via != OutgoingVia::Graph;
    let by_graph = server.via != OutgoingVia::Smtp;
    let service = server.authentication == Authentication::OauthService;
    let tenant = plan.tenant(&registration.authority);
    let app = tenant.app(registration.client_id.as_str(), &server.name, service);
    if by_smtp {
        app.needs(Purpose::Smtp, server.authentication);
    }
    if by_graph {
        app.needs(Purpose::GraphSend, server.authentication);
    }
    for entry in office.mailboxes() {
        if !entry.sends_through(server) {
            continue;
        }
        let address = entry.address.address.as_str();
        let route = office.route_of(entry)?;
        let app = tenant.app(registration.client_id.as_str(), &server.name, service);
        if by_smtp {
            if service {
                add(&mut app.mailboxes, route.user());
            }
            add(&mut tenant.smtp, route.user());
        }
        // To Graph a GUID names a mailbox too.
        let user = server.user.as_ref().map_or(address, |user| user.as_str());
        if by_graph && service {
            let app = tenant.app(registration.client_id.as_str(), &server.name, service);
            add(&mut app.graph_send, address);
        }
        let submits = if by_smtp { route.user() } else { user };
        if !submits.eq_ignore_ascii_case(address)
            && !server.user.as_ref().is_some_and(|u| u.is_guid())
        {
            let pair = SendAs {
                mailbox: submits.to_owned(),
                address: address.to_owned(),
            };
            if !tenant.send_as.contains(&pair) {
                tenant.send_as.push(pair);
            }
        }
        if !service && let Ok(account) = server.account(Some(entry.address)) {
            tenant.delegate(route.user(), account.name);
        }
    }
    Ok(())
}

/// Marks the apps that servers outside the plan sign in with: an undo must leave them their app.
fn shared(plan: &mut Plan, office: &Office<'_>, chosen: &impl Fn(&str) -> bool) {
    let others = office.registrations().filter(|r| !chosen(r.server));
    let others: Vec<String> = others
        .map(|r| r.client_id.as_str().to_lowercase())
        .collect();
    for app in plan.tenants.iter_mut().flat_map(|t| &mut t.apps) {
        app.shared = others.contains(&app.client_id.to_lowercase());
    }
}

impl Plan {
    pub(super) fn tenant(&mut self, authority: &Authority) -> &mut Tenant {
        let name = authority.tenant.as_str();
        let at = match self.tenants.iter().position(|t| t.tenant == name) {
            Some(at) => at,
            None => {
                let cloud = authority.cloud().unwrap_or(Cloud::Worldwide);
                let (graph, exchange) = cloud.environments();
                self.tenants.push(Tenant {
                    tenant: name.to_owned(),
                    graph_environment: graph,
                    exchange_environment: exchange,
                    ..Tenant::default()
                });
                self.tenants.len() - 1
            }
        };
        &mut self.tenants[at]
    }
}

impl Tenant {
    pub(super) fn app(&mut self, client_id: &str, server: &str, service: bool) -> &mut App {
        let same = |app: &App| app.client_id.eq_ignore_ascii_case(client_id);
        let at = match self.apps.iter().position(same) {
            Some(at) => at,
            None => {
                self.apps.push(App {
                    client_id: client_id.to_owned(),
                    ..App::default()
                });
                self.apps.len() - 1
            }
        };
        let app = &mut self.apps[at];
        app.is_itself |= service;
        add(&mut app.servers, server);
        app
    }

    fn delegate(&mut self, mailbox: &str, account: &str) {
        let delegate = Delegate {
            mailbox: mailbox.to_owned(),
            account: account.to_owned(),
        };
        if !mailbox.eq_ignore_ascii_case(account) && !self.delegates.contains(&delegate) {
            self.delegates.push(delegate);
        }
    }
}

impl App {
    pub(super) fn needs(&mut self, purpose: Purpose, authentication: Authentication) {
        let list = match (authentication, purpose.is_graph()) {
            (Authentication::OauthService, false) => &mut self.exchange_permissions,
            (Authentication::OauthService, true) => &mut self.graph_permissions,
            (Authentication::OauthUser, false) => &mut self.delegated_exchange,
            (Authentication::OauthUser, true) => &mut self.delegated_graph,
        };
        for name in purpose.permissions(authentication) {
            add(list, name);
        }
    }
}

fn add(list: &mut Vec<String>, value: &str) {
    if !list.iter().any(|v| v.eq_ignore_ascii_case(value)) {
        list.push(value.to_owned());
    }
}

/// A script is read by people: what does not show has no place in it.
pub(super) fn check(plan: &Plan) -> Result<(), Fault> {
    for tenant in &plan.tenants {
        let of_apps = tenant.apps.iter().flat_map(|app| {
            app.servers
                .iter()
                .chain(&app.mailboxes)
                .chain(&app.graph_read)
                .chain(&app.graph_send)
                .chain([&app.client_id])
                .chain(app.create.iter().map(|create| &create.certificate_options))
        });
        let delegates = tenant
            .delegates
            .iter()
            .flat_map(|d| [&d.mailbox, &d.account]);
        let send_as = tenant.send_as.iter().flat_map(|p| [&p.mailbox, &p.address]);
        let all = of_apps
            .chain(delegates)
            .chain(send_as)
            .chain(&tenant.imap)
            .chain(&tenant.smtp);
        for name in all {
            if crate::output::escape(name) != *name {
                return Err(Fault::config(format!(
                    "`{}` contains invisible characters, which are not allowed in the script",
                    crate::output::escape(name)
                ))
                .hint("remove them from the configuration: queuemail config path"));
            }
        }
    }
    Ok(())
}
