//! What every command needs to know of this run: where the files are, how to speak, how long
//! to wait.

use crate::child;
use crate::cli::{ColorWhen, Global};
use crate::config;
use crate::digest::{self, hex};
use crate::fault::Fault;
use crate::means::Means;
use crate::model::{Config, DatabaseUrl, SharedState};
use crate::output::Output;
use crate::state::{Place, Store, Wish};
use anyhow::Result;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The global options with environment and defaults applied.
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
    /// For whoever works for this run.
    pub means: Means,
}

impl Context {
    pub fn new(global: &Global) -> Result<Context> {
        let output = Output {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            color: use_color(global.color),
            log: global.log_format,
        };
        Ok(Context {
            output,
            config_path: config_path(global)?,
            config_option: global.config.clone(),
            state_dir: state_dir(global),
            may_ask: !global.no_input && crate::output::can_ask(),
            means: Means {
                timeout: Duration::from_secs(global.timeout.into()),
                deadline: None,
                observer: Arc::new(output),
            },
        })
    }
}

impl Context {
    /// Says what was done that cannot be taken back: a line, unless `-q`; JSON has its own object.
    pub fn tell_done(&self, text: &str) -> Result<()> {
        match self.output.json || self.output.quiet {
            true => Ok(()),
            false => self.output.line(text),
        }
    }

    /// Opens the state that the configuration names, or else the environment.
    ///
    /// # Errors
    /// `Config` where a part of the configuration does not go with a state in a database.
    pub fn store(&self, config: &Config) -> Result<Store> {
        match self.place(config.state.as_ref())? {
            Some(place) => {
                config.check_shared()?;
                let key = SharedState::key_of(config.state.as_ref());
                let store = Store::open_shared(self.state_dir()?, place, key.as_ref())?;
                store.works_by(config::digest(config)?);
                Ok(store)
            }
            None => Store::open(self.state_dir()?),
        }
    }

    /// The same for what needs nothing else of a configuration, which may not be there.
    pub fn store_alone(&self) -> Result<Store> {
        match config::load_if_shared(&self.config_path)? {
            Some(config) => self.store(&config),
            None => match self.place(None)? {
                Some(place) => {
                    Store::open_shared(self.state_dir()?, place, SharedState::key_of(None).as_ref())
                }
                None => Store::open(self.state_dir()?),
            },
        }
    }

    /// The database that holds the state; `None`: a folder does.
    pub fn place(&self, state: Option<&SharedState>) -> Result<Option<Place>> {
        let given = match std::env::var("QUEUEMAIL_STATE") {
            Ok(text) if !text.is_empty() => Some(DatabaseUrl::parse(&text).map_err(|why| {
                Fault::config(format!("the environment variable QUEUEMAIL_STATE: {why}"))
                    .hint("like postgres://ROLE@HOST/DATABASE")
            })?),
            _ => None,
        };
        match given.as_ref().or(state.map(|state| &state.postgres)) {
            Some(url) => self.place_of(url, state).map(Some),
            None => Ok(None),
        }
    }

    /// The same database for whoever names it; what else is to be known of it, the configuration says.
    pub fn place_of(&self, url: &DatabaseUrl, state: Option<&SharedState>) -> Result<Place> {
        // No program that is started has a business with them.
        if url.holds_password() {
            child::withhold("QUEUEMAIL_STATE");
        }
        child::withhold("PGPASSWORD");
        let file = |of: fn(&SharedState) -> &Option<PathBuf>| state.and_then(|s| of(s).as_deref());
        let wish = Wish {
            url,
            connections: state.and_then(|state| state.connections),
            ca_file: file(|state| &state.ca_file),
            certificate: file(|state| &state.certificate),
            private_key: file(|state| &state.private_key),
            timeout: self.means.timeout,
            program: format!("queuemail/{}", hex(&digest::random::<4>()?)),
        };
        let mut place = Place::new(&wish)?;
        if let Some(lease) = state.and_then(|state| state.lease) {
            place.lease = lease.time();
        }
        Ok(place)
    }

    pub fn state_dir(&self) -> Result<&Path> {
        let dir = self.state_dir.as_deref().ok_or_else(|| {
            Fault::usage("the state has no folder: set --state-dir, QUEUEMAIL_STATE_DIR, XDG_STATE_HOME or HOME")
                .hint("for example: --state-dir /var/lib/queuemail")
        })?;
        Ok(dir)
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
        // A folder that may not be read holds one, as that of the Debian package does.
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
