//! Manifests that are right, and what people read of those that are not.

use expect_test::{Expect, expect};

use std::time::Duration;

use super::*;

const VIDEO: &str = r#"
id = "video"
version = "0.1.0"
description = "Makes short films"
memory = "64MiB"

[asks]
spawn = { agents = ["video/render"], depth = 1, active-children = 4, total = 50 }
channels = ["origin", "webhook:films"]
tools = [{ plugin = "video", tools = ["generate_video"] }, { plugin = "notes" }]
kv = [{ bucket = "notes", prefix = "a/", mode = "read-write" }]
artifacts = { bytes = "64MiB" }
cpu = "120s"
timeout = "10m"
"#;

fn check(text: &str, expected: &Expect) {
    let answer = match Manifest::parse("plugin.toml", text) {
        Ok(manifest) => format!("{:?}", manifest.asks),
        Err(problems) => problems.to_string(),
    };
    expected.assert_eq(&answer);
}

#[test]
fn everything_that_can_be_asked_for_is_read() {
    let manifest = Manifest::parse("plugin.toml", VIDEO).expect("a whole manifest");
    let lines = manifest.asks.not_allowed(&Authority { timeout: Duration::ZERO, ..Authority::default() });
    expect![[r#"
        spawn video/render
        spawn depth 1
        spawn active-children 4
        channels origin
        channels webhook:films
        tools video.generate_video
        tools notes.*
        kv notes prefix "a/" (read-write)
        artifacts
        cpu 2m (allowed: 10s)
        spawn total 50 (allowed: 0)
        artifacts bytes 64MiB (allowed: 0)
        timeout 10m (allowed: 0)"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!((manifest.id.as_str(), manifest.memory_bytes), ("video", 64 << 20));
}

#[test]
fn a_manifest_that_asks_for_nothing_gets_the_defaults() {
    let manifest = Manifest::parse("plugin.toml", "id = 'hello'\nversion = '1.0.0-rc.1'").expect("enough");
    assert_eq!(manifest.memory_bytes, 4 << 20);
    assert_eq!(manifest.asks, Authority::default());
    let text = "id = 'hello'\nversion = '1.0.0'\n[asks]\nspawn = { agents = ['a', 'b/c'] }";
    let spawning = Manifest::parse("plugin.toml", text).expect("enough").asks;
    let grant = spawning.spawn.expect("asked for");
    assert_eq!((grant.depth, grant.active_children, spawning.purse.spawns), (1, 5, 100));
}

#[test]
fn slips_are_told_with_line_key_and_what_was_meant() {
    check(
        &VIDEO.replace("channels =", "chanels =").replace("memory =", "memroy ="),
        &expect![[r#"
            plugin.toml:5: unknown key `memroy`; did you mean `memory`?
            plugin.toml:9: unknown key `chanels` in [asks]; did you mean `channels`?"#]],
    );
    check(
        "",
        &expect![[r#"
        plugin.toml:1: missing key `id`
        plugin.toml:1: missing key `version`"#]],
    );
    check(
        "id = 'Video'\nversion = '1.0'\ndescription = ['x']\nmemory = '2GiB'",
        &expect![[r#"
        plugin.toml:1: `id` must be a name of 1 to 64 letters a-z, digits and `-` that begins with a letter, not "Video"
        plugin.toml:2: `version` must be a version such as "1.0.3", not "1.0"
        plugin.toml:3: `description` must be a text in quotes, not a list
        plugin.toml:4: `memory` must be from 64KiB to 1GiB, not "2GiB""#]],
    );
    check(
        "id = 'v'\nversion = '1.0.0'\n[asks]\nspawn = { agents = 'v/render', depth = 6, active-children = 21, totl = 3 }",
        &expect![[r#"
            plugin.toml:4: unknown key `totl` in [asks.spawn]; did you mean `total`?
            plugin.toml:4: `asks.spawn.agents` must be a list, not "v/render"
            plugin.toml:4: `asks.spawn.depth` must be a whole number from 1 to 5, not 6
            plugin.toml:4: `asks.spawn.active-children` must be a whole number from 1 to 20, not 21"#]],
    );
    check(
        "id = 'v'\nversion = '1.0.0'\n[asks]\nspawn = {}\nchannels = ['webhook', 'origin', 5]\ncpu = '120'\ntimeout = '0s'\nartifacts = true",
        &expect![[r#"
            plugin.toml:4: missing key `agents` in [asks.spawn]
            plugin.toml:5: `asks.channels`: `webhook` is not a destination: expected `channel:address`, for example `webhook:films`
            plugin.toml:5: each of `asks.channels` must be a text in quotes, not 5
            plugin.toml:6: `asks.cpu` must be a duration such as "10m": a whole number and one of the units ms, s, m, h, d, not "120"
            plugin.toml:7: `asks.timeout` must be from 1s to 3660d, not "0s"
            plugin.toml:8: `asks.artifacts` must be a table, not true"#]],
    );
    check(
        "id = 'v'\nversion = '1.0.0'\n[[asks.tools]]\nplugin = 'v'\ntools = []\n[[asks.tools]]\ntool = 'x'\n[[asks.kv]]\nbucket = 'b'\n[[asks.kv]]\nprefix = 1\nmode = 'write'",
        &expect![[r#"
            plugin.toml:5: `asks.tools.tools` is an empty list, which is no tool; leave the key out for all tools
            plugin.toml:6: missing key `plugin` in [asks.tools]
            plugin.toml:7: unknown key `tool` in [asks.tools]; did you mean `tools`?
            plugin.toml:8: missing key `mode` in [asks.kv]
            plugin.toml:10: missing key `bucket` in [asks.kv]
            plugin.toml:11: `asks.kv.prefix` must be a text in quotes, not 1
            plugin.toml:12: `asks.kv.mode` must be "read" or "read-write", not "write""#]],
    );
    check(
        "id = 'v'\nversion = '1.0.0'\n[asks]\nspawn = { agents = ['a/b/c', '*/x', '/'] }",
        &expect![[r#"
        plugin.toml:4: `asks.spawn.agents`: `a/b/c` is not an agent: expected `plugin/agent`, or `plugin/*` for all agents of a plugin
        plugin.toml:4: `asks.spawn.agents`: `*/x` is not an agent: expected `plugin/agent`, or `plugin/*` for all agents of a plugin
        plugin.toml:4: `asks.spawn.agents`: `/` is not an agent: expected `plugin/agent`, or `plugin/*` for all agents of a plugin"#]],
    );
}
