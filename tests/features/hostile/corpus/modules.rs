//! Attacks as WebAssembly that no compiler would make: a core module in each file.
//!
//! A file holds what is particular about it; [`module`] puts the rest around it. It may define
//! `$start`, `$list` (what agents it has), `$realloc` (room for what the host answers), `$run`, and
//! `$after` (called once the result is read), and may call `$fail`, which ends a run with so many
//! bytes of words. It has 100 ms of computing, or as much as a line `;; cpu = "2s"` says.

use serde_json::json;
use sublane::engine::cache::Cache;
use sublane::engine::{Engines, PoolSizes};
use sublane::error::chain;
use sublane::plugin::{Allow, Plugin};
use sublane_core::{Outcome, Run};
use sublane_tests::{Setup, temporary};

use super::{attacks, check, check_neighbour};
use crate::handmade;

/// Where the file defines nothing itself: one agent, `attack`, that traps.
const DEFAULTS: [(&str, &str); 4] = [
    (
        "$list",
        r#"(data (i32.const 16) "\20\00\00\00\01\00\00\00")
           (data (i32.const 32) "\40\00\00\00\06\00\00\00\40\00\00\00\06\00\00\00\46\00\00\00\02\00\00\00")
           (data (i32.const 64) "attack{}")
           (func $list (result i32) i32.const 16)"#,
    ),
    ("$realloc", "(func $realloc (param i32 i32 i32 i32) (result i32) i32.const 1024)"),
    ("$run", "(func $run (result i32) unreachable)"),
    ("$after", "(func $after)"),
];

/// The whole module: what the file has, and what it does not say otherwise.
fn module(text: &str, entry: &str) -> String {
    let missing = |(name, _): &&(&str, &str)| !text.contains(&format!("(func {name} "));
    let rest: String = DEFAULTS.iter().filter(missing).map(|(_, rest)| *rest).collect();
    format!(
        r#"(module
            {text}
            {rest}
            (func $fail (param $bytes i32) (result i32)
                (i32.store (i32.const 128) (i32.const 1))
                (i32.store (i32.const 132) (i32.const 0))
                (i32.store (i32.const 136) (local.get $bytes))
                (i32.store (i32.const 140) (i32.const 0))
                (i32.const 128))
            (export "memory" (memory 0))
            (export "cabi_realloc" (func $realloc))
            (export "{entry}#list-agents" (func $list))
            (func (export "{entry}#run") (param i32 i32 i32 i32 i32 i32) (result i32) (call $run))
            (func (export "cabi_post_{entry}#run") (param i32) (call $after)))"#
    )
}

/// Without what is never the same: seconds, and where in the code it was.
fn steady(text: &str) -> String {
    let text = match text.split_once(": error while executing at wasm backtrace:") {
        Some((before, backtrace)) => {
            format!("{before}: {}", backtrace.rsplit(": ").next().unwrap_or_default())
        }
        None => text.split(" (at offset ").next().unwrap_or_default().to_owned(),
    };
    let is_fraction =
        |word: &str| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let words = text.split(' ').map(|word| if is_fraction(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_module_is_refused_or_ends_and_harms_nobody() {
    let directory = temporary();
    let engines =
        Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() }).expect("the engines start");
    let cache = Cache::open(&directory.path().join("cache")).expect("the cache opens");
    let mut setup = Setup::in_memory().plugin("spawns");
    let mut loaded = Vec::new();
    for (name, text) in attacks("wat") {
        assert!(text.starts_with(";; "), "{name} does not begin with what it does");
        let place = directory.path().join(&name);
        std::fs::create_dir(&place).expect("a directory");
        let path = place.join("attack.wasm");
        let component = handmade::agent(str::to_owned, |entry| module(&text, entry));
        std::fs::write(&path, component).expect("the component is written");
        let cpu = text.lines().find_map(|line| line.strip_prefix(";; cpu = ")).unwrap_or("\"100ms\"");
        let manifest =
            format!("id = \"{name}\"\nversion = \"0.1.0\"\n[asks]\ncpu = {cpu}\nhost-calls = 10000\n");
        std::fs::write(place.join("plugin.toml"), manifest).expect("the manifest is written");
        match Plugin::load(&engines, &cache, &path, &Allow::Asked).await {
            Ok(_) => {
                setup = setup.component(path);
                loaded.push(name);
            }
            Err(error) => {
                let told = chain(&error);
                let (_, told) = told.split_once("attack.wasm: ").expect("the file is named");
                check(&name, &format!("not loaded: {}", steady(told)));
            }
        }
    }
    let host = setup.start().await;
    for name in loaded {
        let run = host.begin(&format!("{name}/attack"), json!(null)).await;
        let outcome = host.ended(run).await;
        let Outcome::Failed { reason, message, .. } = outcome else { panic!("{name}: {outcome:?}") };
        let ended = host.when(run, "ended", Run::is_ended).await;
        assert_eq!((ended.attempt, ended.crashes), (1, 0), "{name} is no fault of the host's: {message}");
        check(&name, &format!("{reason:?}: {}", steady(&message)));
        check_neighbour(&host, &name).await;
    }
}
