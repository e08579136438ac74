//! `send --smtp-session`; and sendmail for those to whom the configuration is closed: their mail
//! goes to the relay of this machine.

use super::options::{parts, sources};
use crate::cli::SendArgs;
use crate::commands::Context;
use crate::config;
use crate::fault::{Cause, Errors, Fault};
use crate::mail::Notifications;
use crate::office::Office;
use crate::relay::{self, Relay};
use crate::send::input::{self, Input};
use crate::send::{Orders, Sending};
use anyhow::Result;
use std::io::{stdin, stdout};
use std::os::fd::AsFd;

/// Where another relay than the packages' listens.
const RELAY: &str = "QUEUEMAIL_RELAY";

/// Serves one SMTP session on standard input and output.
pub fn session(context: &Context) -> Result<()> {
    let (stdin, stdout) = (stdin(), stdout());
    let begun = config::load(&context.config_path).and_then(|c| {
        let store = context.store(&c)?;
        Ok((c, store))
    });
    let (config, store) = match begun {
        Ok(begun) => begun,
        Err(err) => {
            let is_for_relay = is_for_others(&err) && relay::is_called(stdin.as_fd());
            if let Some(relay) = its_relay().filter(|_| is_for_relay) {
                return relay::pass_on(&relay, stdin, &mut stdout.lock());
            }
            relay::not_now(stdin.as_fd(), stdout.as_fd());
            return Err(err);
        }
    };
    let office = Office::link(&config)?;
    let sending = Sending::new(&context.means, &office, &store);
    relay::serve(&sending, stdin.as_fd(), stdout.as_fd())
}

/// True where the configuration is not for the caller, who need not have one.
pub fn is_for_others(err: &anyhow::Error) -> bool {
    let fault = err.downcast_ref::<Fault>();
    fault.is_some_and(|fault| fault.cause == Some(Cause::ConfigNotOurs))
}

fn its_relay() -> Option<Relay> {
    let named = std::env::var_os(RELAY).filter(|path| !path.is_empty());
    Relay::find(named.map(Into::into))
}

/// Hands the messages to the relay; without one, root becomes the configuration's owner.
pub fn hand_over(context: &Context, args: &SendArgs, err: anyhow::Error) -> Result<(), Errors> {
    if !parts(args).is_empty() {
        return Err(err.into());
    }
    let Some(relay) = its_relay() else {
        if rustix::process::geteuid().is_root() && context.config_path.exists() {
            relay::run_as_owner(&context.config_path, std::env::args_os())?;
        }
        return Err(match err.downcast::<Fault>() {
            Ok(fault) => fault
                .hint("to send the mail of every user of this machine: systemctl enable --now queuemail-relay.socket")
                .into(),
            Err(err) => err.into(),
        });
    };
    let orders = Orders {
        from: args.from.as_deref(),
        full_name: args.full_name.as_deref(),
        recipients: &args.recipients,
        composed_for: Vec::new(),
        from_header: args.from_header,
        auto: None,
        notifications: Notifications::default(),
        several: false,
    };
    let (_, inputs) = input::inputs(sources(args), &context.output)?;
    let one = |input: Input| -> Result<()> {
        let said = relay::hand_over(&relay, &orders, input.octets?)?;
        context
            .output
            .step(&format!("the relay accepted the message: {said}"));
        Ok(())
    };
    Errors::none_or(inputs.filter_map(|input| one(input).err()).collect())
}
