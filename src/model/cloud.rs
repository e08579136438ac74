//! Clouds: which hosts and scopes follow from a login host, and which hosts belong to which cloud.
//!
//! Sources: Microsoft's lists of national clouds and endpoints. What is not published there can
//! be set in the file (`imap`, `smtp`, `graph`, `scope`).

use super::authentication::Authentication;
use super::values::Tenant;
use crate::net::{Endpoint, TlsMode};
use crate::wording::words;
use std::fmt;
use std::str::FromStr;

/// A Microsoft cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Worldwide, which includes US GCC.
    Worldwide,
    /// US Government L4 (GCC High); DoD (L5) shares its login host and needs explicit URLs.
    UsGovernment,
    /// Operated by 21Vianet.
    China,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    Imap,
    Pop,
    Smtp,
    Graph,
}

words!(Resource { Imap = "imap", Smtp = "smtp", Pop = "pop", Graph = "graph" });

/// What is known of a cloud.
struct Facts {
    name: &'static str,
    login_hosts: &'static [&'static str],
    /// The host of IMAP and POP.
    mail: &'static str,
    smtp: &'static str,
    /// The service root of Graph, and the URI of its resource.
    graph: &'static str,
    /// The resource of mail that an application names before `/.default`.
    application: &'static str,
    /// The resource of mail in what a person consents to.
    delegated: &'static str,
    /// Whatever is below these belongs to this cloud and to no other.
    domains: &'static [&'static str],
    /// What the administrator's modules call it: `Connect-MgGraph -Environment` and
    /// `Connect-ExchangeOnline -ExchangeEnvironmentName`.
    environments: (&'static str, &'static str),
}

static WORLDWIDE: Facts = Facts {
    name: "the worldwide cloud",
    login_hosts: &[
        "login.microsoftonline.com",
        "login.microsoft.com",
        "login.windows.net",
    ],
    mail: "outlook.office365.com",
    smtp: "smtp.office365.com",
    graph: "https://graph.microsoft.com",
    application: "https://outlook.office365.com",
    delegated: "https://outlook.office.com",
    domains: &["office365.com", "office.com", "graph.microsoft.com"],
    environments: ("Global", "O365Default"),
};

static US_GOVERNMENT: Facts = Facts {
    name: "the US Government's cloud",
    login_hosts: &["login.microsoftonline.us"],
    mail: "outlook.office365.us",
    smtp: "outlook.office365.us",
    graph: "https://graph.microsoft.us",
    application: "https://outlook.office365.us",
    delegated: "https://outlook.office365.us",
    domains: &["office365.us", "apps.mil", "microsoft.us"],
    environments: ("USGov", "O365USGovGCCHigh"),
};

static CHINA: Facts = Facts {
    name: "the cloud in China",
    login_hosts: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    mail: "partner.outlook.cn",
    smtp: "smtp.partner.outlook.cn",
    graph: "https://microsoftgraph.chinacloudapi.cn",
    application: "https://partner.outlook.cn",
    delegated: "https://partner.outlook.cn",
    domains: &["partner.outlook.cn", "microsoftgraph.chinacloudapi.cn"],
    environments: ("China", "O365China"),
};

impl Cloud {
    pub const ALL: [Cloud; 3] = [Cloud::Worldwide, Cloud::UsGovernment, Cloud::China];

    fn facts(self) -> &'static Facts {
        match self {
            Cloud::Worldwide => &WORLDWIDE,
            Cloud::UsGovernment => &US_GOVERNMENT,
            Cloud::China => &CHINA,
        }
    }

    /// The cloud that mail is submitted to or read from at this host, if it is Microsoft's.
    pub fn of_mail_host(host: &str) -> Option<Cloud> {
        let host = host.to_ascii_lowercase();
        let is_below = |domain: &&str| {
            let rest = host.strip_suffix(*domain);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_its = |cloud: &Cloud| cloud.facts().domains.iter().any(is_below);
        Cloud::ALL.into_iter().find(is_its)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    pub fn imap(self) -> Endpoint {
        Endpoint {
            scheme: "imaps".into(),
            tls: TlsMode::Implicit,
            host: self.facts().mail.into(),
            port: 993,
        }
    }

    pub fn smtp(self) -> Endpoint {
        Endpoint {
            scheme: "smtp".into(),
            tls: TlsMode::StartTls,
            host: self.facts().smtp.into(),
            port: 587,
        }
    }

    /// The Graph service root, without a slash at its end.
    pub fn graph(self) -> &'static str {
        self.facts().graph
    }

    /// What the modules for Graph and for Exchange of PowerShell call it.
    pub fn environments(self) -> (&'static str, &'static str) {
        self.facts().environments
    }

    /// The resource URI of a token for whoever signs in so: an application's before `/.default`, a
    /// person's before each permission.
    pub fn resource(self, authentication: Authentication, resource: Resource) -> &'static str {
        let facts = self.facts();
        match (resource, authentication) {
            (Resource::Graph, _) => facts.graph,
            (_, Authentication::OauthService) => facts.application,
            (_, Authentication::OauthUser) => facts.delegated,
        }
    }
}

/// An OAuth authority: login host (with port, if not 443) and tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// `https://host[:port]`, no slash at its end.
    pub login: String,
    pub tenant: Tenant,
}

impl Authority {
    /// The login address of the worldwide cloud, before the tenant.
    pub const WORLDWIDE: &str = "https://login.microsoftonline.com";

    /// The login host alone.
    pub fn host(&self) -> &str {
        let host = self.login.trim_start_matches("https://");
        host.split(':').next().unwrap_or(host)
    }

    /// The login host, if it is one of Microsoft's.
    pub fn microsofts_host(&self) -> Option<String> {
        self.cloud().map(|_| self.host().to_owned())
    }

    pub fn cloud(&self) -> Option<Cloud> {
        let is_its = |cloud: &Cloud| cloud.facts().login_hosts.contains(&self.host());
        Cloud::ALL.into_iter().find(is_its)
    }

    /// RFC 6749 §3.2, at Entra's v2.0 path.
    pub fn token_endpoint(&self) -> String {
        format!("{self}/oauth2/v2.0/token")
    }

    /// The same at Entra's path of version 1.
    pub fn token_endpoint_v1(&self) -> String {
        format!("{self}/oauth2/token")
    }

    /// RFC 6749 §3.1.
    pub fn authorization_endpoint(&self) -> String {
        format!("{self}/oauth2/v2.0/authorize")
    }

    /// RFC 8628 §3.1.
    pub fn device_authorization_endpoint(&self) -> String {
        format!("{self}/oauth2/v2.0/devicecode")
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.login, self.tenant)
    }
}

impl FromStr for Authority {
    type Err = String;

    /// Reads `https://<login host>/<tenant>`; a slash at the end and a pasted `/v2.0`,
    /// `/oauth2/v2.0/token` or `/oauth2/v2.0/authorize` are taken off.
    fn from_str(text: &str) -> Result<Authority, String> {
        const EXAMPLE: &str = "use https://<login host>/<tenant>, like https://login.microsoftonline.com/contoso.onmicrosoft.com";
        let url = url::Url::parse(text.trim())
            .map_err(|_| format!("`{text}` is not a login address: {EXAMPLE}"))?;
        if url.scheme() != "https" {
            return Err(format!("`{text}` must begin with https://: {EXAMPLE}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a login address must not contain a user name or password".to_owned());
        }
        let host = url
            .host_str()
            .ok_or_else(|| format!("`{text}` has no login host: {EXAMPLE}"))?;
        let mut path: Vec<&str> = url.path().split('/').filter(|p| !p.is_empty()).collect();
        for tail in [
            &["oauth2", "v2.0", "token"][..],
            &["oauth2", "v2.0", "authorize"],
            &["oauth2", "token"],
            &["v2.0"],
        ] {
            if path.len() > 1 && path[1..] == *tail {
                path.truncate(1);
            }
        }
        let [tenant] = path[..] else {
            return Err(format!(
                "`{text}` must consist of a login host and one tenant: {EXAMPLE}"
            ));
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must end after the tenant: {EXAMPLE}"));
        }
        let login = match url.port() {
            Some(port) => format!("https://{host}:{port}"),
            None => format!("https://{host}"),
        };
        Ok(Authority {
            login,
            tenant: tenant.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_belongs_to_the_cloud_whose_domain_it_is_below() {
        for (host, cloud) in [
            ("smtp.office365.com", Some(Cloud::Worldwide)),
            ("Outlook.Office365.US", Some(Cloud::UsGovernment)),
            ("outlook-dod.office365.us", Some(Cloud::UsGovernment)),
            ("webmail.apps.mil", Some(Cloud::UsGovernment)),
            ("smtp.partner.outlook.cn", Some(Cloud::China)),
            ("notoffice365.com", None),
            ("office365.com.example.com", None),
            ("localhost", None),
        ] {
            assert_eq!(Cloud::of_mail_host(host), cloud, "{host}");
        }
    }

    #[test]
    fn a_cloud_knows_its_own_hosts() {
        for cloud in Cloud::ALL {
            let graph = cloud.graph().trim_start_matches("https://");
            for host in [&cloud.imap().host, &cloud.smtp().host, graph] {
                assert_eq!(Cloud::of_mail_host(host), Some(cloud), "{host}");
            }
            let host = cloud.facts().login_hosts[0];
            let address: Authority = format!("https://{host}/contoso.com").parse().unwrap();
            assert_eq!(address.cloud(), Some(cloud));
        }
    }
}
