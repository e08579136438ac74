//! What every command needs to know of this run: where the files are, how to speak, how long
//! to wait.

use crate::cli::{ColorWhen, Global};
use crate::fault::Fault;
use crate::net;
use crate::output::Output;
use crate::state::Store;
use anyhow::Result;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Connecting may take this long, even where the run should have stopped by then.
const SHORTEST: Duration = Duration::from_secs(1);

/// The global options with environment and defaults applied.
#[derive(Clone)]
pub struct Context {
    pub output: Output,
    /// The configuration file, which may not exist yet.
    pub config_path: PathBuf,
    /// That file as `--config` named it.
    pub config_option: Option<PathBuf>,
    /// Where the state is kept; what needs none runs without such a place.
    state_dir: Option<PathBuf>,
    /// Questions may be asked.
    pub may_ask: bool,
    pub timeout: Duration,
    /// When the run is to stop, if that was said.
    deadline: Option<Instant>,
}

impl Context {
    pub fn new(global: &Global) -> Result<Context> {
        Ok(Context {
            output: Output {
                json: global.json,
                quiet: global.quiet,
                verbose: global.verbose,
                color: use_color(global.color),
            },
            config_path: config_path(global)?,
            config_option: global.config.clone(),
            state_dir: state_dir(global),
            may_ask: !global.no_input && crate::output::can_ask(),
            timeout: Duration::from_secs(global.timeout.into()),
            deadline: None,
        })
    }
}

impl Context {
    /// Opens the state.
    pub fn store(&self) -> Result<Store> {
        let dir = self.state_dir.as_ref().ok_or_else(|| {
            Fault::usage("there is no place for the state: neither --state-dir, QUEUEMAIL_STATE_DIR, XDG_STATE_HOME nor HOME is set")
                .hint("give one, for example --state-dir /var/lib/queuemail")
        })?;
        Store::open(dir)
    }

    /// The same for a run that is to stop then.
    pub fn until(&self, deadline: Option<Instant>) -> Context {
        Context {
            deadline,
            ..self.clone()
        }
    }

    /// How to reach a host; connecting takes no longer than half a minute, and not much longer than
    /// the run.
    pub fn net_settings(&self, ca_file: Option<&Path>) -> net::Settings {
        let left = |end: Instant| end.saturating_duration_since(Instant::now()).max(SHORTEST);
        let longest = self.deadline.map_or(Duration::MAX, left);
        net::Settings {
            connect_timeout: self.timeout.min(Duration::from_secs(30)).min(longest),
            io_timeout: self.timeout,
            ca_file: ca_file.map(Path::to_owned),
            watch: net::Watch::default(),
        }
    }
}

/// https://no-color.org: any non-empty `NO_COLOR` switches it off.
fn use_color(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        }
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

/// A folder of the XDG base directory specification: the variable if it is absolute (others are
/// invalid and ignored, says the specification), else the default below HOME.
fn xdg(variable_name: &str, below_home: &str) -> Option<PathBuf> {
    variable(variable_name)
        .filter(|p| p.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(below_home)))
}

fn config_path(global: &Global) -> Result<PathBuf> {
    if let Some(path) = global
        .config
        .clone()
        .or_else(|| variable("QUEUEMAIL_CONFIG"))
    {
        return Ok(path);
    }
    let system = PathBuf::from("/etc/queuemail/config.yaml");
    match xdg("XDG_CONFIG_HOME", ".config").map(|d| d.join("queuemail/config.yaml")) {
        // A folder that is closed to us holds one, as that of the Debian package does.
        Some(own) if own.exists() || system.try_exists().is_ok_and(|there| !there) => Ok(own),
        _ => Ok(system),
    }
}

fn state_dir(global: &Global) -> Option<PathBuf> {
    global
        .state_dir
        .clone()
        .or_else(|| variable("QUEUEMAIL_STATE_DIR"))
        .or_else(|| xdg("XDG_STATE_HOME", ".local/state").map(|d| d.join("queuemail")))
}
