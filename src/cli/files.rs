//! Commands about the program's own files: `config` and `completions`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of the configuration file in use
    Path,
    /// Print the configuration with every secret hidden
    Show,
    /// Print the JSON Schema of the configuration file, for editors
    Schema {
        /// Print the schema of the program's own JSON instead: results, errors and the log
        #[arg(long)]
        output: bool,
    },
    /// Edit the configuration file with $VISUAL or $EDITOR, and check it before it is replaced
    ///
    /// A copy is edited. It takes the place of the file once it is valid; until then nothing changes.
    /// On a terminal the command shows each problem and offers to edit the copy again.
    Edit,
    /// Check a configuration file and show each problem with its place
    Validate {
        /// The file to check; `-` reads standard input [default: the one in use]
        file: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  source <(queuemail completions bash)              this shell
  queuemail completions zsh > ~/.zfunc/_queuemail   a folder of $fpath
  queuemail completions fish > ~/.config/fish/completions/queuemail.fish

The script asks queuemail at each Tab, so it knows the queues, addresses and servers \
of the configuration.")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
    /// The words typed so far: print what can follow instead of the script
    ///
    /// For zsh and fish the words, the last one unfinished; for bash the line up to the cursor and
    /// the word that bash would replace.
    #[arg(last = true, value_name = "TYPED", hide_short_help = true)]
    pub typed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
