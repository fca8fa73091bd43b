//! The manifest: what a plugin says of itself, and what it asks for.
//!
//! Owns the form of `plugin.toml`, and of the authority in it, which the
//! operator's configuration writes in the same form. Decides nothing: what is
//! asked for is not yet given.

use std::path::Path;
use std::time::Duration;

use sublane_core::grants::{
    AgentPattern, Authority, ChannelGrant, KvGrant, KvMode, Purse, SpawnGrant, ToolGrant,
};
use sublane_core::lane::{ACTIVE_CHILDREN, ACTIVE_CHILDREN_RANGE, MAX_DEPTH};

use crate::engine::{MAX_MEMORY_BYTES, SMALL_MEMORY_BYTES};
use crate::strict::{self, Item, Problems, StrictError, Table};

/// The name of the file, beside the component.
pub const FILE_NAME: &str = "plugin.toml";

/// Guest CPU that can be asked for and allowed.
const CPU: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(7 * 86_400));
/// Time-outs that can be asked for and allowed.
pub(crate) const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30 * 86_400));
/// Runs that may be spawned in all, when a manifest that spawns names no total.
const TOTAL: u32 = 100;

/// What a plugin says of itself, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// Its name among the plugins of a host: 1 to 64 of `a-z`, `0-9` and `-`, the first a letter.
    pub id: String,
    /// Its version, `major.minor.patch` with what SemVer allows behind it.
    pub version: String,
    /// What it does, in a line for people. At most 200 characters. Default empty.
    pub description: String,
    /// Linear memory of an instance in bytes, summed over all memories: 64 KiB to
    /// 1 GiB. Default 4 MiB; up to there it runs on the small engine.
    pub memory_bytes: u64,
    /// What it asks for. The operator has to allow it too.
    pub asks: Authority,
}

impl Manifest {
    /// Reads a manifest; `file` is what people see in errors.
    ///
    /// # Errors
    /// [`Problems`]: everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        strict::read(file, text, &["id", "version", "description", "memory", "asks"], read)
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// [`StrictError`]: it cannot be read, or it is wrong.
    pub fn load(path: &Path) -> Result<Self, StrictError> {
        Ok(Self::parse(&path.display().to_string(), &strict::load(path)?)?)
    }
}

fn read(table: &Table<'_>) -> Option<Manifest> {
    let id = table.require("id").and_then(|item| item.name());
    let version = table.require("version").and_then(|item| version(&item));
    let description = table.get("description").and_then(|item| description(&item));
    let memory = table.get("memory").and_then(|item| item.bytes(64 << 10..=MAX_MEMORY_BYTES));
    let asks = table.get("asks").and_then(|item| read_authority(&item, |_, _| ()));
    Some(Manifest {
        id: id?.to_owned(),
        version: version?,
        description: description.unwrap_or_default(),
        memory_bytes: memory.unwrap_or(SMALL_MEMORY_BYTES),
        asks: asks.unwrap_or_default(),
    })
}

fn version(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let number = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
    let fits = numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b));
    if !fits {
        item.must_be("a version such as \"1.0.3\"");
    }
    fits.then(|| text.to_owned())
}

fn description(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let fits = text.chars().count() <= 200 && !text.contains('\n');
    if !fits {
        item.fail(&format!("`{}` must be one line of at most 200 characters", item.path()));
    }
    fits.then(|| text.to_owned())
}

/// Something that an authority refers to.
pub(crate) enum Reference<'a> {
    /// A plugin, by id.
    Plugin(&'a str),
    /// A destination.
    Channel(&'a ChannelGrant),
}

/// Reads an authority; each name in it is shown to `vet`, which may report it.
pub(crate) fn read_authority(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<Authority> {
    let table = item.table(&["spawn", "channels", "tools", "kv", "artifacts", "cpu", "timeout"])?;
    let defaults = Authority::default();
    let spawn = table.get("spawn").map(|item| spawn(&item, &vet));
    let channels = table.get("channels").map(|item| {
        item.list_of(|entry| {
            let to = entry.parse()?;
            vet(entry, Reference::Channel(&to));
            Some(to)
        })
    });
    let tools = table.get("tools").map(|item| item.list_of(|entry| tool(entry, &vet)));
    let kv = table.get("kv").map(|item| item.list_of(kv));
    let artifacts = table.get("artifacts").map(|item| artifact_bytes(&item));
    let cpu = table.get("cpu").map(|item| item.duration(CPU.0..=CPU.1));
    let timeout = table.get("timeout").map(|item| item.duration(TIMEOUT.0..=TIMEOUT.1));

    let (spawn, spawns) = spawn.map_or(Some((None, 0)), |spawn| spawn.map(|(g, n)| (Some(g), n)))?;
    let cpu_us = cpu.map_or(Some(defaults.purse.cpu_us), |cpu| u64::try_from(cpu?.as_micros()).ok());
    Some(Authority {
        spawn,
        channels: channels.unwrap_or_else(|| Some(Vec::new()))?,
        tools: tools.unwrap_or_else(|| Some(Vec::new()))?,
        kv: kv.unwrap_or_else(|| Some(Vec::new()))?,
        artifacts: artifacts.is_some(),
        purse: Purse { cpu_us: cpu_us?, spawns, artifact_bytes: artifacts.unwrap_or(Some(0))? },
        timeout: timeout.unwrap_or(Some(defaults.timeout))?,
    })
}

/// A spawn grant, and the runs that may be spawned in all.
fn spawn(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<(SpawnGrant, u64)> {
    let table = item.table(&["agents", "depth", "active-children", "total"])?;
    let agents = table.require("agents").and_then(|item| {
        item.list_of(|entry| {
            let agent: AgentPattern = entry.parse()?;
            vet(entry, Reference::Plugin(&agent.plugin));
            Some(agent)
        })
    });
    let whole = |key, range, default| table.get(key).map_or(Some(default), |item| item.whole(range));
    let depth = whole("depth", 1..=MAX_DEPTH, 1);
    let active_children = whole("active-children", ACTIVE_CHILDREN_RANGE, ACTIVE_CHILDREN);
    let total = whole("total", 1..=1_000_000, TOTAL);
    Some((
        SpawnGrant { agents: agents?, depth: depth?, active_children: active_children? },
        u64::from(total?),
    ))
}

fn tool(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<ToolGrant> {
    let table = item.table(&["plugin", "tools"])?;
    let plugin = table.require("plugin").and_then(|item| {
        let plugin = item.name()?;
        vet(&item, Reference::Plugin(plugin));
        Some(plugin.to_owned())
    });
    let tools = match table.get("tools") {
        None => None,
        Some(item) => {
            let names = item.list_of(|entry| entry.text().map(str::to_owned))?;
            if names.is_empty() {
                item.fail(&format!(
                    "`{}` is an empty list, which is no tool; leave the key out for all tools",
                    item.path()
                ));
            }
            Some(names)
        }
    };
    Some(ToolGrant { plugin: plugin?, tools })
}

fn kv(item: &Item<'_>) -> Option<KvGrant> {
    let table = item.table(&["bucket", "prefix", "mode"])?;
    let bucket = table.require("bucket").and_then(|item| item.name());
    let prefix = table.get("prefix").map_or(Some(""), |item| item.text());
    let modes = [("read", KvMode::Read), ("read-write", KvMode::ReadWrite)];
    let mode = table.require("mode").and_then(|item| item.one_of(&modes));
    Some(KvGrant { bucket: bucket?.to_owned(), prefix: prefix?.to_owned(), mode: mode? })
}

fn artifact_bytes(item: &Item<'_>) -> Option<u64> {
    let table = item.table(&["bytes"])?;
    table.require("bytes")?.bytes(1 << 10..=1 << 40)
}

#[cfg(test)]
mod tests;
