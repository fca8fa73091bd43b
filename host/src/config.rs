//! The host's configuration: the sum of what its parts can be told.
//!
//! Each section is read by a file of its own here and handed to the part that
//! it is for. Paths are relative to the configuration file. Everything has a
//! default, so that an empty file is a host that works. Looks no secret up.

mod channels;
mod files;
mod gateway;
mod hooks;
mod http;
mod limits;
mod logs;
mod plugins;
mod polls;
mod retention;
mod schedules;
mod secret;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sublane_core::Destination;
use sublane_core::lane::LaneLimits;

use crate::poll::Pace;
use crate::retention::Retention;
use crate::secrets::SecretConfig;
use crate::strict::{self, Item, Problems, StrictError, Table};

pub use channels::{ChannelConfig, ChannelKind};
pub use files::Directories;
pub use gateway::{Auth, GatewayConfig, Token};
pub use hooks::HooksConfig;
pub use http::HttpConfig;
pub use limits::{Limits, conversation_purse};
pub use logs::{LogFormat, LogsConfig};
pub use plugins::{Allow, PluginConfig};
pub use schedules::Schedules;

/// The name of the file when none is given.
pub const FILE_NAME: &str = "sublane.toml";

/// What a host is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// Directory of everything durable: the store and the artifacts. Default `state`.
    pub state: PathBuf,
    /// Directory of the compile cache: machine code of plugins, which can be made again.
    /// Default `cache` in `state`. Several hosts of one user may share one.
    pub cache: PathBuf,
    /// The door for those outside.
    pub gateway: GatewayConfig,
    /// Lanes by name. `main` and `subagent` are always there.
    pub lanes: BTreeMap<String, LaneLimits>,
    /// What bounds everybody.
    pub limits: Limits,
    /// How long things are kept.
    pub retention: Retention,
    /// Plugins by id.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Channels by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Directories that plugins may be allowed to use, by name.
    pub files: Directories,
    /// What bounds requests to other machines.
    pub http: HttpConfig,
    /// The door for calls of hooks.
    pub hooks: HooksConfig,
    /// How fast poll plans are carried out.
    pub polls: Pace,
    /// Secrets that requests may carry, by name.
    pub secrets: BTreeMap<String, SecretConfig>,
    /// Runs that begin by a schedule, by the schedules' names.
    pub schedules: Schedules,
    /// What is written for operators.
    pub logs: LogsConfig,
}

impl Config {
    /// Reads a configuration. `file` is what people see in errors, and its
    /// directory is what paths are relative to.
    ///
    /// # Errors
    /// [`Problems`]: everything that is wrong with it.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problems> {
        let base = file.parent().unwrap_or(Path::new(""));
        let known = &[
            "state",
            "cache",
            "gateway",
            "lanes",
            "limits",
            "retention",
            "plugins",
            "channels",
            "files",
            "http",
            "hooks",
            "polls",
            "secrets",
            "schedules",
            "logs",
        ];
        strict::read(&file.display().to_string(), text, known, |table| read(table, base, file))
    }

    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// [`StrictError`]: it cannot be read, or it is wrong.
    pub fn load(path: &Path) -> Result<Self, StrictError> {
        Ok(Self::parse(path, &strict::load(path)?)?)
    }
}

fn read(table: &Table<'_>, base: &Path, file: &Path) -> Option<Config> {
    let names = Names {
        plugins: section(table, "plugins"),
        channels: section(table, "channels"),
        files: section(table, "files"),
        secrets: section(table, "secrets"),
    };
    // Every part is read before one of them can end it, so that all errors are told.
    let state = table.get("state").map_or_else(|| Some(base.join("state")), |item| path(&item, base));
    let cache = table.get("cache").map(|item| path(&item, base));
    let gateway = read_or_default(table.get("gateway"), |item| gateway::read(item, base));
    let lanes = limits::read_lanes(table.get("lanes"));
    let limits = read_or_default(table.get("limits"), limits::read);
    let retention = read_or_default(table.get("retention"), retention::read);
    let plugins = plugins::read(&names, base);
    let channels = channels::read(&names, base);
    let files = files::read(&names, base);
    let http = read_or_default(table.get("http"), |item| http::read(item, base));
    let hooks = read_or_default(table.get("hooks"), hooks::read);
    let polls = read_or_default(table.get("polls"), polls::read);
    let secrets = secrets::read(&names, base);
    let schedules = schedules::read(table, &names);
    let logs = read_or_default(table.get("logs"), logs::read);
    let state = state?;
    Some(Config {
        file: file.to_owned(),
        cache: cache.unwrap_or_else(|| Some(state.join("cache")))?,
        state,
        gateway: gateway?,
        lanes: lanes?,
        limits: limits?,
        retention: retention?,
        plugins: plugins?,
        channels: channels?,
        files: files?,
        http: http?,
        hooks: hooks?,
        polls: polls?,
        secrets: secrets?,
        schedules: schedules?,
        logs: logs?,
    })
}

fn read_or_default<T: Default>(item: Option<Item<'_>>, read: impl Fn(&Item<'_>) -> Option<T>) -> Option<T> {
    item.map_or_else(|| Some(T::default()), |item| read(&item))
}

/// The entries of a section whose keys are names.
fn section<'a>(table: &Table<'a>, key: &'static str) -> Vec<(&'a str, Item<'a>)> {
    table.get(key).and_then(|item| item.named()).unwrap_or_default()
}

/// What sections call each other by.
struct Names<'a> {
    plugins: Vec<(&'a str, Item<'a>)>,
    channels: Vec<(&'a str, Item<'a>)>,
    files: Vec<(&'a str, Item<'a>)>,
    secrets: Vec<(&'a str, Item<'a>)>,
}

impl Names<'_> {
    /// Reports at `item` when no plugin has this id.
    fn check_plugin(&self, item: &Item<'_>, id: &str) {
        let known = self.plugins.iter().map(|(known, _)| *known);
        if !known.clone().any(|known| known == id) {
            item.unknown("plugin", id, known);
        }
    }

    /// Reports at `item` when there is no such channel, or it has no such address.
    fn check_destination(&self, item: &Item<'_>, to: &Destination) {
        let known = self.channels.iter().map(|(name, _)| *name);
        let Some((_, channel)) = self.channels.iter().find(|(name, _)| *name == to.channel) else {
            item.unknown("channel", &to.channel, known);
            return;
        };
        if let Some(addresses) = channels::addresses(channel)
            && !addresses.contains(&to.address.as_str())
        {
            let hint = strict::nearest(&to.address, addresses.iter().copied());
            let (path, channel, address) = (item.path(), &to.channel, &to.address);
            item.fail(&format!("`{path}`: channel `{channel}` has no address `{address}`; {hint}"));
        }
    }
}

/// A path, relative to the configuration file.
fn path(item: &Item<'_>, base: &Path) -> Option<PathBuf> {
    let text = item.text()?;
    if text.is_empty() {
        item.must_be("a path");
        return None;
    }
    Some(base.join(text))
}

#[cfg(test)]
mod tests;
