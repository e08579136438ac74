//! The PowerShell that an administrator of Exchange and Entra ID must run, from the
//! configuration: exactly its mailboxes, exactly the permissions of the ways in use.
//!
//! The script is data, made here, and two fixed texts that work on it (`apply.ps1` and
//! `undo.ps1`), so that no name is ever a part of a command.

mod plan;
#[cfg(test)]
mod tests;

use crate::powershell::always_quoted;
use plan::{Delegate, SendAs, Tenant};
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
    let quote = |value: &str| always_quoted(value);
    let mut line = |indent: usize, line: &str| {
        let _ = writeln!(text, "{:indent$}{line}", "");
    };
    line(4, "@{");
    line(8, &format!("Tenant = {}", quote(&tenant.tenant)));
    line(
        8,
        &format!("GraphEnvironment = {}", quote(tenant.graph_environment)),
    );
    line(
        8,
        &format!(
            "ExchangeEnvironment = {}",
            quote(tenant.exchange_environment)
        ),
    );
    line(8, "Apps = @(");
    for app in &tenant.apps {
        line(12, "@{");
        line(16, &format!("Server = {}", quote(&app.servers.join(", "))));
        line(16, &format!("AppId = {}", quote(&app.client_id)));
        let name = match app.is_itself {
            true => format!("queuemail {}", app.client_id),
            false => String::new(),
        };
        line(
            16,
            "# What the app's own rights in Exchange are called; empty where only people sign in.",
        );
        line(16, &format!("OwnName = {}", quote(&name)));
        line(
            16,
            "# True where another server of the configuration signs in with it too.",
        );
        line(16, &format!("Shared = ${}", app.shared));
        for (key, list) in [
            ("ExchangePermissions", &app.exchange_permissions),
            ("GraphPermissions", &app.graph_permissions),
            ("DelegatedExchange", &app.delegated_exchange),
            ("DelegatedGraph", &app.delegated_graph),
            ("Mailboxes", &app.mailboxes),
            ("GraphRead", &app.graph_read),
            ("GraphSend", &app.graph_send),
        ] {
            line(16, &format!("{key} = {}", array(list)));
        }
        line(12, "}");
    }
    line(8, ")");
    line(8, "Delegates = @(");
    for Delegate { mailbox, account } in &tenant.delegates {
        let (mailbox, account) = (quote(mailbox), quote(account));
        line(
            12,
            &format!("@{{ Mailbox = {mailbox}; Account = {account} }}"),
        );
    }
    line(8, ")");
    line(8, &format!("Imap = {}", array(&tenant.imap)));
    line(8, &format!("Smtp = {}", array(&tenant.smtp)));
    line(8, "SendAs = @(");
    for SendAs { mailbox, address } in &tenant.send_as {
        let (mailbox, address) = (quote(mailbox), quote(address));
        line(
            12,
            &format!("@{{ Mailbox = {mailbox}; Address = {address} }}"),
        );
    }
    line(8, ")");
    line(4, "}");
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
