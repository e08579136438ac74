//! `token`: OAuth tokens for this and other programs.

use crate::model::Resource;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print an access token, from the cache while it is valid
    Get(TokenGet),
    /// Sign a person in, once; later runs need no person
    Login(TokenLogin),
    /// List the stored tokens, without showing them
    List,
    /// Erase stored tokens
    Forget(TokenForget),
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail token login support                in the browser if there is one
  queuemail token login support --device       with a code, on any device
  queuemail token login support --no-browser   with a browser elsewhere
  queuemail token login support --for smtp     if sending needs a sign-in

With --no-browser the last page, at http://localhost, shows an error. Only its address matters: \
copy it from the browser and paste it; it is not shown.")]
pub struct TokenLogin {
    /// A queue or an address whose server is of type oauth-user, or an outgoing server
    #[arg(value_name = "QUEUE|ADDRESS|SERVER")]
    pub name: String,
    /// The protocol to sign in for; smtp: for sending, by SMTP or Graph
    /// [default: the one for reading; for an outgoing server: smtp]
    #[arg(long = "for", value_name = "PROTOCOL")]
    pub protocol: Option<Resource>,
    /// Show a code to enter on a web page on any device
    #[arg(long, conflicts_with = "browser")]
    pub device: bool,
    /// Open the sign-in page in the browser of this host
    #[arg(long)]
    pub browser: bool,
    /// Show the sign-in page for the browser of another host, and ask for its last address
    #[arg(long, conflicts_with_all = ["device", "browser"])]
    pub no_browser: bool,
}

#[derive(Args, Debug)]
pub struct TokenForget {
    /// A queue, an address or a server
    #[arg(required_unless_present = "all", value_name = "QUEUE|ADDRESS|SERVER")]
    pub name: Option<String>,
    /// Erase every token; on a terminal the command asks first
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail token get support --for imap   the token alone, for other programs
  queuemail token get support --for smtp --format xoauth2
  queuemail token get Contoso --for graph --format header |
      curl -H @- 'https://graph.microsoft.com/v1.0/users'

With --json the forms xoauth2 and header are keys of the object that json prints.")]
pub struct TokenGet {
    /// A queue, an address or a server
    #[arg(value_name = "QUEUE|ADDRESS|SERVER")]
    pub name: String,
    /// The protocol of the token [default: imap; for an outgoing server: smtp]
    #[arg(long = "for", value_name = "PROTOCOL")]
    pub protocol: Option<Resource>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "token")]
    pub format: TokenFormat,
    /// Get a new token even if the cached one is valid
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenFormat {
    /// The token and a newline
    Token,
    /// A JSON object with the token and its expiry
    Json,
    /// The base64 string of SASL XOAUTH2
    Xoauth2,
    /// An HTTP header field, `Authorization: Bearer …`
    Header,
    /// The contents of the token, in plain words
    Claims,
}
