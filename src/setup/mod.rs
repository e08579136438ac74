//! The PowerShell that an administrator of Exchange and Entra ID must run, from the
//! configuration: exactly its mailboxes, exactly the permissions of the ways in use.
//!
//! The script is data, made here, and fixed texts that work on it (`create.ps1`,
//! `apply.ps1` and `undo.ps1`), so that no name is ever a part of a command.

mod create;
mod plan;
#[cfg(test)]
mod tests;

use crate::powershell::always_quoted;
pub use create::{NewApp, plan_of_new};
use plan::{App, Create, Delegate, SendAs, Tenant};
pub use plan::{Plan, plan};
use std::fmt::Write;

const CREATE: &str = include_str!("create.ps1");
const APPLY: &str = include_str!("apply.ps1");
const UNDO: &str = include_str!("undo.ps1");

/// The script that sets a plan up, or takes it back.
pub fn script(plan: &Plan, undo: bool) -> String {
    let mut text = String::new();
    let mut apps = plan.tenants.iter().flat_map(|tenant| &tenant.apps);
    let creates = apps.any(|app| app.create.is_some());
    let what = match undo {
        false if creates => "Makes an app registration with which queuemail signs in",
        false => "Lets queuemail read and send what its configuration says, and nothing else",
        true => "Removes what lets queuemail read and send",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "#Requires -Modules Microsoft.Graph.Applications, Microsoft.Graph.Identity.SignIns, ExchangeOnlineManagement
<#
.SYNOPSIS
{what}.
.DESCRIPTION
Made by `queuemail setup-script`. It can run again at any time: what exists stays as it is.
It needs PowerShell 7 with the modules above (Install-Module NAME), and an administrator of Entra
ID (Privileged Role Administrator) who is also an Exchange administrator; it asks for the sign-in to both.
With -WhatIf it signs in, says what it would change, and changes nothing.
"
    );
    match undo {
        false => text.push_str(&parameters(creates)),
        true => text.push_str("#>\n[CmdletBinding(SupportsShouldProcess)]\nparam()\n"),
    }
    text.push_str("\n$Tenants = @(\n");
    for tenant in &plan.tenants {
        write_tenant(&mut text, tenant);
    }
    text.push_str(")\n");
    if creates {
        text.push_str(CREATE);
    }
    text.push_str(if undo { UNDO } else { APPLY });
    text
}

/// The parameters of a script that sets up, with their descriptions.
fn parameters(creates: bool) -> String {
    let mut text = ".PARAMETER TenantWide
For Graph: grant Mail.ReadWrite and Mail.Send for every mailbox of the tenant instead of a scope
(RBAC for Applications) that contains only the mailboxes below.
.PARAMETER Renewal
Let the apps renew their own secrets (queuemail server rotate): each becomes an owner of its own
registration and gets Application.ReadWrite.OwnedBy of Graph. A certificate needs neither.
"
    .to_owned();
    let mut names = "[switch]$TenantWide, [switch]$Renewal".to_owned();
    if creates {
        text.push_str(
            ".PARAMETER SecretPath
Write the new client secret to this file instead of the screen.
.PARAMETER SecretDays
How many days the new client secret is valid.
",
        );
        names.push_str(", [string]$SecretPath, [int]$SecretDays = 365");
    }
    format!("{text}#>\n[CmdletBinding(SupportsShouldProcess)]\nparam({names})\n")
}

fn write_tenant(text: &mut String, tenant: &Tenant) {
    line(text, 4, "@{");
    for (key, value) in [
        ("Tenant", tenant.tenant.as_str()),
        ("GraphEnvironment", tenant.graph_environment),
        ("ExchangeEnvironment", tenant.exchange_environment),
    ] {
        line(text, 8, &format!("{key} = {}", always_quoted(value)));
    }
    line(text, 8, "Apps = @(");
    for app in &tenant.apps {
        write_app(text, app);
    }
    line(text, 8, ")");
    let delegates = tenant.delegates.iter();
    let delegates = delegates.map(|Delegate { mailbox, account }| (mailbox, account));
    write_pairs(text, "Delegates", ["Mailbox", "Account"], delegates);
    line(text, 8, &format!("Imap = {}", array(&tenant.imap)));
    line(text, 8, &format!("Smtp = {}", array(&tenant.smtp)));
    let send_as = tenant.send_as.iter();
    let send_as = send_as.map(|SendAs { mailbox, address }| (mailbox, address));
    write_pairs(text, "SendAs", ["Mailbox", "Address"], send_as);
    line(text, 4, "}");
}

fn write_app(text: &mut String, app: &App) {
    let name = match app.is_itself {
        true => format!("queuemail {}", app.client_id),
        false => String::new(),
    };
    let quote = always_quoted;
    line(text, 12, "@{");
    for words in [
        &*format!("Server = {}", quote(&app.servers.join(", "))),
        &format!("AppId = {}", quote(&app.client_id)),
        "# What the app's own rights in Exchange are called; empty where only people sign in.",
        &format!("OwnName = {}", quote(&name)),
        "# True where another server of the configuration signs in with it too.",
        &format!("Shared = ${}", app.shared),
    ] {
        line(text, 16, words);
    }
    match &app.create {
        None => line(text, 16, "Create = $null"),
        Some(create) => {
            line(text, 16, "# What the app registration is to be.");
            line(text, 16, "Create = @{");
            for entry in create_entries(create) {
                line(text, 20, &entry);
            }
            line(text, 16, "}");
        }
    }
    for (key, list) in [
        ("ExchangePermissions", &app.exchange_permissions),
        ("GraphPermissions", &app.graph_permissions),
        ("DelegatedExchange", &app.delegated_exchange),
        ("DelegatedGraph", &app.delegated_graph),
        ("Mailboxes", &app.mailboxes),
        ("GraphRead", &app.graph_read),
        ("GraphSend", &app.graph_send),
    ] {
        line(text, 16, &format!("{key} = {}", array(list)));
    }
    line(text, 12, "}");
}

fn write_pairs<'p>(
    text: &mut String,
    name: &str,
    keys: [&str; 2],
    pairs: impl Iterator<Item = (&'p String, &'p String)>,
) {
    line(text, 8, &format!("{name} = @("));
    for (first, second) in pairs {
        let (first, second) = (always_quoted(first), always_quoted(second));
        let pair = format!("@{{ {} = {first}; {} = {second} }}", keys[0], keys[1]);
        line(text, 12, &pair);
    }
    line(text, 8, ")");
}

fn line(text: &mut String, indent: usize, words: &str) {
    let _ = writeln!(text, "{:indent$}{words}", "");
}

fn create_entries(create: &Create) -> Vec<String> {
    let Create {
        name,
        is_public,
        certificate,
        certificate_options,
        server_add,
    } = create;
    let certificate = certificate.as_deref().unwrap_or_default();
    vec![
        format!("Name = {}", always_quoted(name)),
        format!("Public = ${is_public}"),
        format!("Certificate = {}", always_quoted(certificate)),
        format!(
            "CertificateOptions = {}",
            always_quoted(certificate_options)
        ),
        format!("ServerAdd = {}", always_quoted(server_add)),
        "# Filled in once it is made.".to_owned(),
        "Line = ''".to_owned(),
    ]
}

/// A list of words, each on a line of its own where there are several.
fn array(list: &[String]) -> String {
    let words: Vec<String> = list.iter().map(|word| always_quoted(word)).collect();
    match &words[..] {
        [] => "@()".to_owned(),
        [one] => format!("@({one})"),
        words => {
            let indent = " ".repeat(20);
            format!(
                "@(\n{indent}{}\n{})",
                words.join(&format!("\n{indent}")),
                " ".repeat(16)
            )
        }
    }
}
