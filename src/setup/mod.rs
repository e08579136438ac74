//! The PowerShell that an administrator of Exchange and Entra ID must run, from the
//! configuration: exactly its mailboxes, exactly the permissions of the ways in use.
//!
//! The script is data, made here, and two fixed texts that work on it (`apply.ps1` and
//! `undo.ps1`), so that no name is ever a part of a command.

mod plan;
#[cfg(test)]
mod tests;

use crate::powershell::always_quoted;
use plan::{App, Delegate, SendAs, Tenant};
pub use plan::{Plan, plan};
use std::fmt::Write;

const APPLY: &str = include_str!("apply.ps1");
const UNDO: &str = include_str!("undo.ps1");

/// The script that sets a plan up, or takes it back.
pub fn script(plan: &Plan, undo: bool) -> String {
    let mut text = String::new();
    let what = match undo {
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
"
    );
    if !undo {
        text.push_str(
            ".PARAMETER TenantWide
For Graph: grant Mail.ReadWrite and Mail.Send for every mailbox of the tenant instead of a scope
(RBAC for Applications) that contains only the mailboxes below.
#>
[CmdletBinding()]
param([switch]$TenantWide)
",
        );
    } else {
        text.push_str("#>\n[CmdletBinding()]\nparam()\n");
    }
    text.push_str("\n$Tenants = @(\n");
    for tenant in &plan.tenants {
        write_tenant(&mut text, tenant);
    }
    text.push_str(")\n");
    text.push_str(if undo { UNDO } else { APPLY });
    text
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
