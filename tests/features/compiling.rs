//! A stranger's component is compiled within bounds, by a process of its own: what takes more than it
//! may is refused with words, and the host notices nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sublane::engine::cache::Cache;
use sublane::engine::compile::{Bounds, Compiler};
use sublane::engine::{Engines, PoolSizes};
use sublane::error::chain;
use sublane::plugin::{Allow, Plugin};
use sublane_tests::command::binary;
use sublane_tests::{component, temporary};
use tempfile::TempDir;

use crate::handmade;

/// Exit code of a configuration or a plugin that is wrong.
const WRONG: i32 = 2;

/// A component with `functions` functions of so many steps each: each step adds to what is in memory
/// somewhere else, so that nothing of it can be left out.
fn huge(directory: &Path, functions: u32, steps: u32) -> PathBuf {
    let mut body = String::new();
    for step in 0..steps {
        let (from, to) = (step * 8 % 65_000, step * 24 % 65_000);
        write!(
            body,
            "(i64.store (i32.const {to}) (i64.add (local.get {}) (i64.load (i32.const {from}))))",
            step % 40
        )
        .expect("a string takes it");
        write!(body, "(local.set {} (i64.load (i32.const {to})))", (step + 7) % 40).expect("the same");
    }
    let locals = "i64 ".repeat(40);
    let function = format!("(func (local {locals}) {body})");
    let module = |entry: &str| {
        format!(
            r#"(module
                (memory 1)
                (export "memory" (memory 0))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "{entry}#list-agents") (result i32) i32.const 16)
                (func (export "{entry}#run") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)
                {})"#,
            function.repeat(functions as usize)
        )
    };
    let path = directory.join("huge.wasm");
    std::fs::write(&path, handmade::agent(str::to_owned, module)).expect("the component is written");
    let manifest = "id = \"huge\"\nversion = \"0.1.0\"\n";
    std::fs::write(directory.join("plugin.toml"), manifest).expect("the manifest is written");
    path
}

async fn load(path: &Path, cache: &Path, compiler: Compiler) -> Result<Plugin, String> {
    let sizes = PoolSizes { small: 5, large: 5, ..PoolSizes::default() };
    let engines = Engines::new(sizes).expect("the engines start");
    let cache = Cache::open(cache).expect("the cache opens").compiled_by(compiler);
    Plugin::load(&engines, &cache, path, &Allow::Asked).await.map_err(|error| chain(&error))
}

fn bounded(bounds: Bounds) -> Compiler {
    Compiler { program: Some(binary().to_owned()), bounds }
}

/// It is not loaded, and these are the words; nothing is left in the cache.
async fn check_refused(path: &Path, bounds: Bounds, words: &str) {
    let directory = temporary();
    let cache = directory.path().join("cache");
    let Err(told) = load(path, &cache, bounded(bounds)).await else { panic!("{words}: it is loaded") };
    assert!(told.contains(words), "{words}: {told}");
    assert!(told.contains(&path.display().to_string()), "the file is named: {told}");
    assert_eq!(std::fs::read_dir(&cache).expect("there").count(), 0, "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_compiles_is_what_this_one_would_have() {
    let directory = temporary();
    let cache = directory.path().join("cache");
    let hello = component("hello-agent");
    let made = load(&hello, &cache, bounded(Bounds::default())).await.expect("it is loaded");
    assert_eq!(made.agents.len(), 1);
    // Its code is in the cache: nobody is asked a second time.
    let nobody = Compiler { program: Some("/nobody/is/there".into()), ..Compiler::default() };
    load(&hello, &cache, nobody).await.expect("from the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wasmtime_refuses_is_refused_in_its_words() {
    let directory = temporary();
    let path = directory.path().join("broken.wasm");
    std::fs::write(&path, [0, b'a', b's', b'm', 0x0d, 0, 1, 0, 7, 7, 7]).expect("written");
    std::fs::write(directory.path().join("plugin.toml"), "id = \"broken\"\nversion = \"0.1.0\"\n")
        .expect("written");
    check_refused(&path, Bounds::default(), "the component cannot be compiled: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_too_much_is_refused_with_the_limit() {
    let directory = temporary();
    let path = huge(directory.path(), 40, 4_000);
    let bytes = std::fs::metadata(&path).expect("there").len();
    let long = Bounds { component_bytes: 100_000, ..Bounds::default() };
    let words = format!("it has {bytes} bytes, and components of more than 100000 bytes are not compiled");
    check_refused(&path, long, &words).await;
    let memory = Bounds { memory_bytes: 64 << 20, ..Bounds::default() };
    check_refused(&path, memory, "takes more than 64 MiB of memory (`limits.compile-memory`)").await;
    let cpu = Bounds { cpu: Duration::from_secs(1), ..Bounds::default() };
    check_refused(&path, cpu, "takes more than 1 s of processor time (`limits.compile-cpu`)").await;
    let time = Bounds { time: Duration::from_millis(1), ..Bounds::default() };
    check_refused(&path, time, "takes longer than 0 s (`limits.compile-time`)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_is_not_there_is_no_fault_of_the_component() {
    let directory = temporary();
    let nobody = Compiler { program: Some("/nobody/is/there".into()), ..Compiler::default() };
    let cache = directory.path().join("cache");
    let Err(told) = load(&component("hello-agent"), &cache, nobody).await else { panic!("it is loaded") };
    assert!(told.contains("the process that compiles components cannot be used: No such file"), "{told}");
}

/// A configuration with the huge plugin, and with what an operator says of compiling.
fn configured(limits: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    huge(directory.path(), 40, 4_000);
    let text = format!("{limits}\n[plugins.huge]\ncomponent = \"huge.wasm\"\n");
    std::fs::write(directory.path().join("sublane.toml"), text).expect("written");
    directory
}

/// Every command that loads plugins keeps to what the configuration says.
#[test]
fn every_command_keeps_to_the_operators_bounds() {
    let directory = configured("[limits]\ncompile-cpu = \"1s\"");
    let words = "compiling it takes more than 1 s of processor time (`limits.compile-cpu`)";
    for (command, exit) in [
        (&["serve"][..], WRONG),
        (&["run", "--agent", "huge"], WRONG),
        (&["config", "check"], WRONG),
        (&["plugin", "add", "huge.wasm", "--allow", "nothing"], WRONG),
        (&["plugin", "list"], 0),
    ] {
        let output = Command::new(binary())
            .current_dir(directory.path())
            .args(command)
            .env_remove("RUST_LOG")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(exit), "{command:?}: {told}");
        assert!(told.contains(words), "{command:?}: {told}");
    }
}

#[test]
fn whoever_calls_the_helper_by_hand_is_told_what_it_is_for() {
    for arguments in [&["--compile-component"][..], &["--compile-component", "much", "long"]] {
        let output = Command::new(binary()).args(arguments).output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("is for the host itself"), "{told}");
    }
}
