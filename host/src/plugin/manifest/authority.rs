//! Authority as it is written: what a manifest asks for, and what an operator allows.
//!
//! Owns the keys of `[asks]` and of `[plugins.ID.allow]`, their units and their
//! bounds. Decides nothing.

use std::time::Duration;

use sublane_core::Purse;
use sublane_core::grants::{
    AgentPattern, Authority, ChannelGrant, FileGrant, FileMode, FilePath, HttpGrant, KvGrant, KvMode,
    METHODS, Place, SecretGrant, SpawnGrant, ToolGrant,
};
use sublane_core::lane::{ACTIVE_CHILDREN, ACTIVE_CHILDREN_RANGE, MAX_DEPTH};

use crate::strict::{Item, Table};

/// Guest CPU that can be asked for and allowed.
const CPU: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(7 * 86_400));
/// Time-outs that can be asked for and allowed.
pub(crate) const TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(3_660 * 86_400));
/// Runs that may be spawned in all, when a manifest that spawns names no total.
const TOTAL: u32 = 100;
/// Requests of one message, when a manifest that makes some names no number.
const REQUESTS: u64 = 1_000;
/// Bytes that these send.
const BYTES_OUT: u64 = 64 << 20;
/// Bytes that their answers bring.
const BYTES_IN: u64 = 1 << 30;
/// Bytes that can be asked for and allowed.
const BYTES: (u64, u64) = (1 << 10, 1 << 40);

/// Something that an authority refers to.
pub(crate) enum Reference<'a> {
    /// A plugin, by id.
    Plugin(&'a str),
    /// A destination.
    Channel(&'a ChannelGrant),
    /// A directory of the operator's, by name.
    Directory(&'a str),
    /// A secret of the operator's, by name.
    Secret(&'a str),
}

/// Reads an authority; each name in it is shown to `vet`, which may report it.
pub(crate) fn read_authority(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<Authority> {
    let table = item.table(&[
        "spawn",
        "channels",
        "tools",
        "kv",
        "http",
        "files",
        "secrets",
        "models",
        "artifacts",
        "cpu",
        "host-calls",
        "requests",
        "bytes-out",
        "bytes-in",
        "tokens",
        "money-millionths",
        "timeout",
    ])?;
    let defaults = Authority::default();
    let spawn = table.get("spawn").map(|item| spawn(&item, &vet));
    let channels = listed(&table, "channels", |entry| {
        let to = entry.parse()?;
        vet(entry, Reference::Channel(&to));
        Some(to)
    });
    let tools = listed(&table, "tools", |entry| tool(entry, &vet));
    let kv = listed(&table, "kv", kv);
    let http = listed(&table, "http", http);
    let files = listed(&table, "files", |entry| files(entry, &vet));
    let secrets = listed(&table, "secrets", |entry| secret(entry, &vet));
    let models = listed(&table, "models", |entry| entry.parse());
    let artifacts = table.get("artifacts").map(|item| artifact_bytes(&item));
    let timeout = table.get("timeout").map(|item| item.duration(TIMEOUT.0..=TIMEOUT.1));
    let amounts = amounts(&table, &defaults);

    let (spawn, spawns) = spawn.map_or(Some((None, 0)), |spawn| spawn.map(|(g, n)| (Some(g), n)))?;
    let has_artifacts = artifacts.is_some();
    Some(Authority {
        spawn,
        channels: channels?,
        tools: tools?,
        kv: kv?,
        http: http?,
        files: files?,
        secrets: secrets?,
        models: models?,
        artifacts: has_artifacts,
        purse: Purse { spawns, artifact_bytes: artifacts.unwrap_or(Some(0))?, ..amounts? },
        timeout: timeout.unwrap_or(Some(defaults.timeout))?,
    })
}

/// The entries of a list that need not be there.
fn listed<T>(table: &Table<'_>, key: &'static str, read: impl Fn(&Item<'_>) -> Option<T>) -> Option<Vec<T>> {
    table.get(key).map_or_else(|| Some(Vec::new()), |item| item.list_of(read))
}

/// The amounts of a purse that have a key of their own. Those that go with `http` have a default
/// when that is there; tokens and money are named or are nothing.
fn amounts(table: &Table<'_>, defaults: &Authority) -> Option<Purse> {
    let whole = |key, default: u64| {
        table.get(key).map_or(Some(default), |item| item.whole(1..=u32::MAX).map(u64::from))
    };
    let bytes =
        |key, default: u64| table.get(key).map_or(Some(default), |item| item.bytes(BYTES.0..=BYTES.1));
    let of_http = |default| if table.get("http").is_some() { default } else { 0 };
    let cpu = table.get("cpu").map(|item| item.duration(CPU.0..=CPU.1));
    let host_calls = whole("host-calls", defaults.purse.host_calls);
    let requests = whole("requests", of_http(REQUESTS));
    let bytes_out = bytes("bytes-out", of_http(BYTES_OUT));
    let bytes_in = bytes("bytes-in", of_http(BYTES_IN));
    let tokens = whole("tokens", 0);
    let money_micros = whole("money-millionths", 0);
    let cpu_us = cpu.map_or(Some(defaults.purse.cpu_us), |cpu| u64::try_from(cpu?.as_micros()).ok());
    Some(Purse {
        cpu_us: cpu_us?,
        host_calls: host_calls?,
        requests: requests?,
        bytes_out: bytes_out?,
        bytes_in: bytes_in?,
        tokens: tokens?,
        money_micros: money_micros?,
        ..Purse::default()
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

fn http(item: &Item<'_>) -> Option<HttpGrant> {
    let table = item.table(&["to", "methods"])?;
    let to = table.require("to").and_then(|item| item.parse());
    let words = METHODS.map(|method| (method, method));
    let methods = table.get("methods").map_or_else(
        || Some(vec!["GET".to_owned(), "HEAD".to_owned()]),
        |item| item.list_of(|entry| entry.one_of(&words).map(str::to_owned)),
    );
    Some(HttpGrant { to: to?, methods: methods? })
}

fn files(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<FileGrant> {
    let table = item.table(&["root", "path", "mode"])?;
    let root = table.require("root").and_then(|item| {
        let root = item.name()?;
        vet(&item, Reference::Directory(root));
        Some(root.to_owned())
    });
    let path = table.get("path").map_or_else(|| Some(FilePath::default()), |item| item.parse());
    let modes = [("read", FileMode::Read), ("read-write", FileMode::ReadWrite)];
    let mode = table.require("mode").and_then(|item| item.one_of(&modes));
    Some(FileGrant { root: root?, path: path?, mode: mode? })
}

fn secret(item: &Item<'_>, vet: impl Fn(&Item<'_>, Reference<'_>)) -> Option<SecretGrant> {
    let table = item.table(&["name", "header", "query", "body", "audience"])?;
    let name = table.require("name").and_then(|item| {
        let name = item.name()?;
        vet(&item, Reference::Secret(name));
        Some(name)
    });
    let audience = table.require("audience").and_then(|item| item.parse());
    let is_word = |text: &str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let place = |key, of: fn(String) -> Place| {
        table.get(key).map(|item| {
            let word = item.text()?;
            if !is_word(word) {
                item.must_be("a name of letters, digits, `-`, `_` and dots");
            }
            is_word(word).then(|| of(word.to_owned()))
        })
    };
    let places = [
        place("header", |name| Place::Header(name.to_ascii_lowercase())),
        place("query", Place::Query),
        place("body", Place::Body),
    ];
    let mut named = places.into_iter().flatten();
    let (Some(place), None) = (named.next(), named.next()) else {
        item.fail(&format!(
            "`{}` must say where the secret stands: one of `header`, `query`, `body`",
            item.path()
        ));
        return None;
    };
    Some(SecretGrant { name: name?.to_owned(), place: place?, audience: audience? })
}

fn artifact_bytes(item: &Item<'_>) -> Option<u64> {
    let table = item.table(&["bytes"])?;
    table.require("bytes")?.bytes(BYTES.0..=BYTES.1)
}
