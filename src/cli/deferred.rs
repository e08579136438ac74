//! What a command takes, defined when that command is called and not before: a program that asks
//! for a token before each of its own runs shall not wait for the definition of all others.

use super::furnish;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};
use std::ops::Deref;

/// The arguments, or the subcommands, of a command. [`clap::Command::build`] defines them as well.
#[derive(Debug)]
pub struct Deferred<T>(pub Box<T>);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The options of all commands, which are here by now, are not told of again in the help of each;
/// they are passed on from here to the commands below.
fn without_global(command: Command) -> Command {
    command.mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(true),
        false => arg,
    })
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| T::augment_args(without_global(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: Subcommand> Subcommand for Deferred<T> {
    fn augment_subcommands(command: Command) -> Command {
        command.defer(|command| furnish(T::augment_subcommands(without_global(command))))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        command.defer(|command| furnish(T::augment_subcommands_for_update(command)))
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|args| Deferred(Box::new(args)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
