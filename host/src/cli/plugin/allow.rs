//! Authority as it is written into a configuration: the form that `manifest` reads.
//!
//! Owns the writing of it. What is written is made of parsed values: no text of a stranger's
//! manifest gets into the operator's file but the names in it.

use std::time::Duration;

use sublane::config::{ChannelKind, Config};
use sublane_core::Authority;
use sublane_core::grants::{
    ChannelGrant, FileGrant, FileMode, HttpGrant, KvGrant, KvMode, Place, SecretGrant, SpawnGrant, ToolGrant,
};
use toml_edit::{Array, InlineTable, Table, Value};

/// The keys of `allow` that are authority and no amount.
pub(super) const KINDS: [&str; 9] =
    ["spawn", "channels", "tools", "kv", "http", "files", "secrets", "models", "artifacts"];

/// What of an authority refers to what a configuration has, in which this plugin will be: it refuses
/// the rest, and nobody could use it.
pub(super) fn known(authority: &Authority, config: &Config, id: &str) -> Authority {
    let is_plugin = |name: &str| name == id || config.plugins.contains_key(name);
    let is_place = |to: &ChannelGrant| match to {
        ChannelGrant::Origin => true,
        ChannelGrant::Address(to) => {
            config.channels.get(&to.channel).is_some_and(|channel| match &channel.kind {
                ChannelKind::Console => true,
                ChannelKind::Webhook { addresses } => addresses.contains_key(&to.address),
                ChannelKind::File { addresses } => addresses.contains_key(&to.address),
            })
        }
    };
    let mut known = authority.clone();
    if let Some(spawn) = &mut known.spawn {
        spawn.agents.retain(|agent| is_plugin(&agent.plugin));
        if spawn.agents.is_empty() {
            (known.spawn, known.purse.spawns) = (None, 0);
        }
    }
    known.tools.retain(|tool| is_plugin(&tool.plugin));
    known.channels.retain(is_place);
    known.files.retain(|files| config.files.contains_key(&files.root));
    known.secrets.retain(|secret| config.secrets.contains_key(&secret.name));
    known
}

/// What follows `allow` for this authority. What is as it would be without its key has none.
pub(super) fn table(authority: &Authority) -> Table {
    let mut table = Table::new();
    let purse = &authority.purse;
    if let Some(grant) = &authority.spawn {
        table.insert("spawn", spawn(grant, purse.spawns).into());
    }
    list(&mut table, "channels", &authority.channels, |to| Value::from(to.to_string()));
    list(&mut table, "tools", &authority.tools, tool);
    list(&mut table, "kv", &authority.kv, kv);
    list(&mut table, "http", &authority.http, http);
    list(&mut table, "files", &authority.files, files);
    list(&mut table, "secrets", &authority.secrets, secret);
    list(&mut table, "models", &authority.models, |model| Value::from(model.to_string()));
    if authority.artifacts {
        table.insert("artifacts", inline([("bytes", bytes(purse.artifact_bytes).into())]).into());
    }
    let defaults = Authority::default();
    let mut text = |key: &str, amount: u64, unless: u64, words: fn(u64) -> String| {
        if amount != unless {
            table.insert(key, words(amount).into());
        }
    };
    text("cpu", purse.cpu_us, defaults.purse.cpu_us, |us| millis(us / 1_000));
    text("timeout", whole_millis(authority.timeout), whole_millis(defaults.timeout), millis);
    // With `http` these have defaults that are not nothing, so they are named whenever it is there.
    let unless = if authority.http.is_empty() { 0 } else { u64::MAX };
    text("bytes-out", purse.bytes_out, unless, bytes);
    text("bytes-in", purse.bytes_in, unless, bytes);
    let mut number = |key: &str, amount: u64, unless: u64| {
        if amount != unless {
            table.insert(key, i64::try_from(amount).unwrap_or(i64::MAX).into());
        }
    };
    number("requests", purse.requests, unless);
    number("host-calls", purse.host_calls, defaults.purse.host_calls);
    number("tokens", purse.tokens, 0);
    number("money-millionths", purse.money_micros, 0);
    table
}

fn list<T>(table: &mut Table, key: &str, grants: &[T], of: impl Fn(&T) -> Value) {
    if !grants.is_empty() {
        table.insert(key, Value::Array(grants.iter().map(of).collect()).into());
    }
}

fn inline<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::InlineTable(InlineTable::from_iter(entries))
}

fn texts(texts: impl IntoIterator<Item = impl ToString>) -> Value {
    Value::Array(texts.into_iter().map(|text| text.to_string()).collect::<Array>())
}

fn spawn(grant: &SpawnGrant, total: u64) -> Value {
    let whole = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    inline([
        ("agents", texts(&grant.agents)),
        ("depth", whole(grant.depth.into())),
        ("active-children", whole(grant.active_children.into())),
        ("total", whole(total)),
    ])
}

fn tool(grant: &ToolGrant) -> Value {
    let mut tool = InlineTable::from_iter([("plugin", Value::from(&grant.plugin))]);
    if let Some(tools) = &grant.tools {
        tool.insert("tools", texts(tools));
    }
    Value::InlineTable(tool)
}

fn kv(grant: &KvGrant) -> Value {
    let mode = match grant.mode {
        KvMode::Read => "read",
        KvMode::ReadWrite => "read-write",
    };
    let (bucket, prefix) = (Value::from(&grant.bucket), Value::from(&grant.prefix));
    inline([("bucket", bucket), ("prefix", prefix), ("mode", mode.into())])
}

fn http(grant: &HttpGrant) -> Value {
    inline([("to", grant.to.to_string().into()), ("methods", texts(&grant.methods))])
}

fn files(grant: &FileGrant) -> Value {
    let mode = match grant.mode {
        FileMode::Read => "read",
        FileMode::ReadWrite => "read-write",
    };
    let mut files = InlineTable::from_iter([("root", Value::from(&grant.root))]);
    if !grant.path.names().is_empty() {
        files.insert("path", grant.path.to_string().into());
    }
    files.insert("mode", mode.into());
    Value::InlineTable(files)
}

fn secret(grant: &SecretGrant) -> Value {
    let (place, called) = match &grant.place {
        Place::Header(name) => ("header", name),
        Place::Query(name) => ("query", name),
        Place::Body(name) => ("body", name),
    };
    let audience = grant.audience.to_string();
    inline([("name", Value::from(&grant.name)), (place, called.into()), ("audience", audience.into())])
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// In the largest unit that divides it.
fn millis(ms: u64) -> String {
    in_units(ms, &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")])
}

/// As [`millis`]: amounts of bytes are read in whole KiB.
fn bytes(bytes: u64) -> String {
    in_units(bytes, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")])
}

fn in_units(amount: u64, units: &[(u64, &str)]) -> String {
    let (size, name) = units.iter().find(|(size, _)| amount.is_multiple_of(*size)).unwrap_or(&(1, "KiB"));
    format!("{}{name}", amount / size)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use sublane::plugin::Manifest;

    use super::*;

    const ASKS: &str = r#"
id = "film"
version = "1.0.0"
[asks]
spawn = { agents = ["film/render", "song"], depth = 2, active-children = 3, total = 40 }
channels = ["origin", "webhook:films"]
tools = [{ plugin = "song" }, { plugin = "notes", tools = ["add"] }]
kv = [{ bucket = "films", prefix = "a/\"b", mode = "read-write" }, { bucket = "notes", mode = "read" }]
http = [{ to = "https://*.example.com/v1", methods = ["GET", "POST"] }, { to = "http://127.0.0.1:8080" }]
files = [{ root = "media", mode = "read" }, { root = "media", path = "in/raw", mode = "read-write" }]
secrets = [{ name = "fal", header = "Authorization", audience = "https://example.com" }, { name = "x", query = "key", audience = "https://example.com" }]
models = ["anthropic/*"]
artifacts = { bytes = "1536KiB" }
cpu = "90s"
host-calls = 1000
bytes-in = "3MiB"
tokens = 5
money-millionths = 7
timeout = "2h"
"#;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let asks = |text: &str| Manifest::parse("plugin.toml", text).expect("right").asks;
        let written =
            |asks: &Authority| format!("id = \"film\"\nversion = \"1.0.0\"\n[asks]\n{}", table(asks));
        let some = asks(ASKS);
        assert_eq!(asks(&written(&some)), some);
        let without = Authority { http: Vec::new(), ..some };
        assert_eq!(asks(&written(&without)).purse, without.purse);
        assert_eq!(table(&Authority::default()).to_string(), "");
        expect![[r#"
            spawn = { agents = ["film/render", "song/*"], depth = 2, active-children = 3, total = 40 }
            channels = ["origin", "webhook:films"]
        "#]]
        .assert_eq(
            &table(&asks(ASKS))
                .to_string()
                .lines()
                .take(2)
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        );
    }
}
