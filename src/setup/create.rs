//! The plan of an app registration that is not there yet.

use super::plan::{Create, Plan, check};
use crate::fault::Fault;
use crate::model::{Authentication, Authority, IncomingVia, Purpose};
use crate::shell;
use crate::x509;
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// A server that is to be added once its app registration was made.
pub struct NewApp<'a> {
    /// The server's name, and that of the registration.
    pub name: &'a str,
    pub address: &'a Authority,
    pub authentication: Authentication,
    pub via: IncomingVia,
    /// A certificate in the place of a secret, and its key where that is in another file.
    pub certificate: Option<&'a Path>,
    pub private_key: Option<&'a Path>,
}

/// The plan for it.
///
/// # Errors
/// `Usage` where a person signs in and a certificate is given; `Config` where the certificate
/// cannot be read.
pub fn plan_of_new(new: &NewApp<'_>) -> Result<Plan> {
    let is_public = new.authentication == Authentication::OauthUser;
    if is_public && new.certificate.is_some() {
        return Err(Fault::usage(
            "`--certificate` is for oauth-service: a person signs in without one",
        )
        .into());
    }
    let certificate = new.certificate.map(x509::public_der).transpose()?;
    let mut plan = Plan::default();
    let app = plan.tenant(new.address).app("", new.name, !is_public);
    if new.via != IncomingVia::Graph {
        app.needs(Purpose::Imap, new.authentication);
    }
    if new.via != IncomingVia::Imap {
        app.needs(Purpose::GraphWrite, new.authentication);
    }
    app.create = Some(Create {
        name: new.name.to_owned(),
        is_public,
        certificate: certificate.map(|der| STANDARD.encode(der)),
        certificate_options: certificate_options(new),
        server_add: server_add(new),
    });
    check(&plan)?;
    Ok(plan)
}

fn server_add(new: &NewApp<'_>) -> String {
    let mut line = format!(
        "queuemail server add incoming {} --address {} --auth {}",
        shell::quote(new.name),
        shell::quote(new.address.to_string()),
        new.authentication
    );
    if new.via != IncomingVia::Imap {
        line.push_str(&format!(" --via {}", new.via));
    }
    line
}

fn certificate_options(new: &NewApp<'_>) -> String {
    let files = [
        ("certificate", new.certificate),
        ("private-key", new.private_key),
    ];
    let given = files.into_iter().filter_map(|(name, path)| {
        let path = std::path::absolute(path?).ok()?;
        Some(format!(" --{name} {}", shell::quote(path)))
    });
    given.collect()
}
