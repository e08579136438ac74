//! Clouds: which hosts and scopes follow from a login host.
//!
//! Sources: Microsoft's lists of national clouds and endpoints. What is not published there can
//! be set in the file (`imap`, `smtp`, `graph`, `scope`).

use super::values::Tenant;
use crate::net::Endpoint;
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

impl Cloud {
    /// The cloud of a login host, if it is one of Microsoft's.
    pub fn of_login_host(host: &str) -> Option<Cloud> {
        match host {
            "login.microsoftonline.com" | "login.microsoft.com" | "login.windows.net" => {
                Some(Cloud::Worldwide)
            }
            "login.microsoftonline.us" => Some(Cloud::UsGovernment),
            "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => Some(Cloud::China),
            _ => None,
        }
    }

    /// The cloud that mail is submitted to or read from at this host, if it is Microsoft's.
    pub fn of_mail_host(host: &str) -> Option<Cloud> {
        [Cloud::Worldwide, Cloud::UsGovernment, Cloud::China]
            .into_iter()
            .find(|cloud| {
                [cloud.smtp().host.as_str(), cloud.mail_host()]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(host))
                    || cloud
                        .graph()
                        .strip_prefix("https://")
                        .is_some_and(|known| known.eq_ignore_ascii_case(host))
            })
    }

    pub fn imap(self) -> Endpoint {
        implicit("imaps", self.mail_host(), 993)
    }

    pub fn smtp(self) -> Endpoint {
        let host = match self {
            Cloud::Worldwide => "smtp.office365.com",
            Cloud::UsGovernment => "outlook.office365.us",
            Cloud::China => "smtp.partner.outlook.cn",
        };
        Endpoint {
            scheme: "smtp".into(),
            tls: crate::net::TlsMode::StartTls,
            host: host.into(),
            port: 587,
        }
    }

    /// The Graph service root, without a slash at its end.
    pub fn graph(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://graph.microsoft.com",
            Cloud::UsGovernment => "https://graph.microsoft.us",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    fn mail_host(self) -> &'static str {
        match self {
            Cloud::Worldwide => "outlook.office365.com",
            Cloud::UsGovernment => "outlook.office365.us",
            Cloud::China => "partner.outlook.cn",
        }
    }

    /// The resource URI of an application's token, before `/.default`.
    pub fn application_resource(self, resource: Resource) -> &'static str {
        match (resource, self) {
            (Resource::Graph, cloud) => cloud.graph(),
            (_, Cloud::Worldwide) => "https://outlook.office365.com",
            (_, Cloud::UsGovernment) => "https://outlook.office365.us",
            (_, Cloud::China) => "https://partner.outlook.cn",
        }
    }

    /// The resource URI of delegated scopes.
    pub fn delegated_resource(self, resource: Resource) -> &'static str {
        match (resource, self) {
            (Resource::Graph, cloud) => cloud.graph(),
            (_, Cloud::Worldwide) => "https://outlook.office.com",
            (_, Cloud::UsGovernment) => "https://outlook.office365.us",
            (_, Cloud::China) => "https://partner.outlook.cn",
        }
    }
}

fn implicit(scheme: &str, host: &str, port: u16) -> Endpoint {
    Endpoint {
        scheme: scheme.into(),
        tls: crate::net::TlsMode::Implicit,
        host: host.into(),
        port,
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
        Cloud::of_login_host(self.host())
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
