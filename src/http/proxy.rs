//! The proxy variables, read as curl reads them: the special one before the general one, and a
//! name in `NO_PROXY` stands for its subdomains too. ureq's own reading differs in both.

use crate::fault::Fault;

/// Which hosts are reached through a proxy.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub proxy: Option<ureq::Proxy>,
    /// Names and addresses in lower case, without dots at their beginning.
    direct: Vec<String>,
}

impl Proxies {
    /// From `HTTPS_PROXY`, else `ALL_PROXY`, and `NO_PROXY`, or the same in lower case.
    ///
    /// # Errors
    /// `Config` for a proxy that the program cannot speak to: going on without it would be a
    /// surprise.
    pub fn from_environment() -> Result<Proxies, Fault> {
        let variable = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = std::env::var(name).ok().filter(|v| !v.is_empty())?;
                Some((*name, value))
            })
        };
        let proxy = match variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) {
            None => None,
            // The value may hold a password, so it is not repeated.
            Some((name, value)) => match ureq::Proxy::new(&value) {
                Ok(proxy)
                    if matches!(
                        proxy.protocol(),
                        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
                    ) =>
                {
                    Some(proxy)
                }
                _ => {
                    return Err(Fault::config(format!(
                        "the proxy in {name} is not an http:// or https:// URL"
                    ))
                    .hint("use http://HOST:PORT; SOCKS is not supported"));
                }
            },
        };
        let direct = variable(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
        Ok(Proxies {
            proxy,
            direct: names(&direct.unwrap_or_default()),
        })
    }

    /// True if the host is reached without the proxy.
    pub fn is_direct(&self, host: &str) -> bool {
        let host = host.to_lowercase();
        self.direct.iter().any(|name| {
            name == "*"
                || host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

fn names(list: &str) -> Vec<String> {
    list.split([',', ' '])
        .map(|name| {
            name.trim_start_matches("*.")
                .trim_start_matches('.')
                .to_lowercase()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_their_subdomains() {
        let proxies = Proxies {
            proxy: None,
            direct: names(".contoso.com, localhost,*.fabrikam.com 127.0.0.1"),
        };
        for host in [
            "contoso.com",
            "LOGIN.contoso.com",
            "localhost",
            "a.fabrikam.com",
            "127.0.0.1",
        ] {
            assert!(proxies.is_direct(host), "{host}");
        }
        for host in ["notcontoso.com", "contoso.com.example", "com", ""] {
            assert!(!proxies.is_direct(host), "{host}");
        }
        let all = Proxies {
            proxy: None,
            direct: names("*"),
        };
        assert!(all.is_direct("login.microsoftonline.com"));
        assert!(!Proxies::default().is_direct("localhost"));
    }
}
