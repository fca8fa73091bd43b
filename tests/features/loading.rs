//! What is no plugin for this host is refused when it is loaded, by its name
//! and with what the host serves; and no plugin can keep a host from loading.

use std::sync::Barrier;

use sublane::engine::cache::Cache;
use sublane::engine::{Engines, PoolSizes};
use sublane::error::chain;
use sublane::plugin::{Allow, LoadError, Plugin};
use sublane_tests::{component, temporary};

use crate::handmade::{self, wat};

const MANIFEST: &str = "id = \"stranger\"\nversion = \"0.1.0\"\n";
/// A list of nothing, at an address that holds zeros.
const NO_AGENTS: &str = "i32.const 16";

/// What loading these bytes comes to.
async fn load(bytes: &[u8]) -> Result<Plugin, LoadError> {
    let directory = temporary();
    let path = directory.path().join("stranger.wasm");
    std::fs::write(&path, bytes).expect("the file is written");
    std::fs::write(directory.path().join("plugin.toml"), MANIFEST).expect("the manifest is written");
    let engines =
        Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() }).expect("the engines start");
    let cache = Cache::open(&directory.path().join("cache")).expect("the cache opens");
    Plugin::load(&engines, &cache, &path, &Allow::Asked).await
}

/// Loading these bytes is refused with these words, and the file is named.
async fn check_refused(bytes: &[u8], words: &[&str]) {
    let Err(error) = load(bytes).await else { panic!("it was loaded, and not refused: {words:?}") };
    let error = chain(&error);
    assert!(error.contains("stranger.wasm: "), "{error}");
    for words in words {
        assert!(error.contains(words), "{words} is not in: {error}");
    }
}

/// A component for the world `agent`, of the contract after `change`, with
/// these core imports and this body of `list-agents`.
fn agent(change: impl Fn(&str) -> String, imports: &str, list_agents: &str) -> Vec<u8> {
    handmade::agent(change, |entry| {
        format!(
            r#"(module
                {imports}
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "{entry}#list-agents") (result i32) {list_agents})
                (func (export "{entry}#run") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#
        )
    })
}

#[tokio::test]
async fn the_smallest_agent_is_loaded() {
    let plugin = load(&agent(str::to_owned, "", NO_AGENTS)).await.expect("it is loaded");
    assert!(plugin.agents.is_empty() && plugin.imports == ["types"]);
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    check_refused(b"", &["the file is empty"]).await;
    check_refused(b"#!/bin/sh\necho no plugin\n", &["it is not WebAssembly"]).await;
    check_refused(&wat("(module)"), &["core module and not a component", "sublane plugin build"]).await;
    let whole = agent(str::to_owned, "", NO_AGENTS);
    check_refused(&whole[..whole.len() / 2], &["cannot be compiled"]).await;
}

/// A component that is cut off anywhere, or has bytes that nobody wrote, is loaded or refused by its name.
#[tokio::test]
async fn no_bytes_make_a_host_stumble() {
    let whole = agent(str::to_owned, "", NO_AGENTS);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 8).expect("64 bits")
    };
    let mut refused = 0;
    let mut check = |loaded: Result<Plugin, LoadError>| {
        let Err(error) = loaded else { return };
        let told = chain(&error);
        assert!(told.contains("stranger.wasm: "), "{told}");
        refused += 1;
    };
    for end in (0..whole.len()).step_by(whole.len() / 40) {
        check(load(&whole[..end]).await);
    }
    for _ in 0..80 {
        let mut changed = whole.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % changed.len();
            changed[at] = random() as u8;
        }
        check(load(&changed).await);
    }
    for length in [1, 4, 8, 9, 100, 10_000] {
        let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        check(load(&noise).await);
        check(load(&[&whole[..8], &noise].concat()).await);
    }
    assert!(refused > 80, "most of it is refused: {refused}");
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let directory = temporary();
    let engines =
        Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() }).expect("the engines start");
    let cache = Cache::open(&directory.path().join("cache")).expect("the cache opens");
    let load = async |name: &str| {
        let path = directory.path().join(name);
        let loaded = Plugin::load(&engines, &cache, &path, &Allow::Asked).await;
        chain(&loaded.err().expect("it is refused"))
    };
    assert!(load("none.wasm").await.contains("none.wasm cannot be read: No such file"));
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("zero.wasm")).expect("a link");
    assert!(load("zero.wasm").await.contains("zero.wasm cannot be read: it is not a regular file"));
    let huge = std::fs::File::create(directory.path().join("huge.wasm")).expect("a new file");
    huge.set_len((256 << 20) + 1).expect("a file with a hole");
    assert!(load("huge.wasm").await.contains("huge.wasm cannot be read: it has more than 268435456 bytes"));
    std::fs::write(directory.path().join("some.wasm"), b"").expect("the file is written");
    assert!(load("some.wasm").await.contains("plugin.toml cannot be read: No such file"));
}

#[tokio::test]
async fn an_unknown_import_is_refused_by_name() {
    let served = "served are sublane:plugin/types@0.1.0, sublane:plugin/subagent@0.1.0";
    for import in [
        "wasi:nn/graph@0.2.0",
        "wasi:http/incoming-handler@0.2.0",
        "wasi:sockets/tcp-something-else@0.2.0",
        "sublane:plugin/teleport@0.1.0",
        "sublane:other/log@0.1.0",
    ] {
        let bytes = wat(&format!(r#"(component (import "{import}" (instance)))"#));
        let named = format!("it imports `{import}`, which this host does not serve");
        check_refused(&bytes, &[&named, served]).await;
    }
}

#[tokio::test]
async fn an_import_of_another_version_is_refused_by_name() {
    for import in ["sublane:plugin/log@0.2.0", "sublane:plugin/log@1.0.0", "sublane:plugin/log"] {
        let bytes = wat(&format!(r#"(component (import "{import}" (instance)))"#));
        check_refused(&bytes, &[&format!("it imports `{import}`; this host serves version 0.1.0")]).await;
    }
    for import in ["wasi:io/poll@0.3.0", "wasi:sockets/tcp@0.2.0-rc-1", "wasi:cli/exit"] {
        let bytes = wat(&format!(r#"(component (import "{import}" (instance)))"#));
        check_refused(&bytes, &[&format!("it imports `{import}`; of WASI this host serves version 0.2")])
            .await;
    }
    let next = |text: &str| text.replace("sublane:plugin@0.1.0", "sublane:plugin@0.2.0");
    let bytes =
        agent(next, r#"(import "sublane:plugin/random@0.2.0" "bytes" (func (param i32 i32)))"#, NO_AGENTS);
    check_refused(&bytes, &["it imports `sublane:plugin/types@0.2.0`; this host serves version 0.1.0"]).await;
}

#[tokio::test]
async fn a_function_that_its_interface_does_not_have_is_refused_by_name() {
    let more = |text: &str| text.replace("interface log {", "interface log {\n  shout: func();");
    let bytes = agent(more, r#"(import "sublane:plugin/log@0.1.0" "shout" (func))"#, NO_AGENTS);
    check_refused(&bytes, &["sublane:plugin/log@0.1.0", "shout"]).await;
}

#[tokio::test]
async fn a_function_of_another_type_is_refused_by_name() {
    let other = |text: &str| text.replace("now: func() -> instant-ms", "now: func() -> string");
    let bytes = agent(other, r#"(import "sublane:plugin/clock@0.1.0" "now" (func (param i32)))"#, NO_AGENTS);
    check_refused(&bytes, &["sublane:plugin/clock@0.1.0", "now"]).await;
}

#[tokio::test]
async fn what_exports_nothing_known_is_refused() {
    let expected = "and none of sublane:plugin/agent-entry@0.1.0 or sublane:plugin/tools-entry@0.1.0";
    check_refused(&wat("(component)"), &["it exports nothing", expected]).await;
    let other = wat(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
    check_refused(&other, &["it exports `wasi:cli/run@0.2.0`", expected]).await;
}

#[tokio::test]
async fn an_entry_of_another_type_is_refused() {
    let other = |text: &str| {
        text.replace("list-agents: func() -> list<agent-definition>", "list-agents: func() -> u32")
    };
    let words = ["`agent-entry.list-agents` has another type", "expected `list` found `u32`"];
    check_refused(&agent(other, "", NO_AGENTS), &words).await;
    let other = |text: &str| text.replace("-> result<output, failure>", "-> list<output>");
    check_refused(&agent(other, "", NO_AGENTS), &["`agent-entry.run` has another type"]).await;
}

#[tokio::test]
async fn a_plugin_that_misbehaves_when_it_is_asked_is_refused() {
    let asked = "it failed when it was asked for its agents";
    check_refused(&agent(str::to_owned, "", "unreachable"), &[asked, "unreachable"]).await;
    check_refused(&agent(str::to_owned, "", "(loop $l (br $l)) unreachable"), &[asked, "interrupt"]).await;
    let grow = "(loop $l (drop (memory.grow (i32.const 16))) (br $l)) unreachable";
    check_refused(&agent(str::to_owned, "", grow), &[asked, "may have 4194304"]).await;
}

#[test]
fn many_can_compile_the_same_component_at_once() {
    let directory = temporary();
    let engines =
        Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() }).expect("the engines start");
    let cache = Cache::open(&directory.path().join("cache")).expect("the cache opens");
    let together = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                together.wait();
                let path = component("hello-agent");
                let loaded = Plugin::load(&engines, &cache, &path, &Allow::Asked);
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                assert_eq!(runtime.block_on(loaded).expect("it is loaded").agents.len(), 1);
            });
        }
    });
}

#[tokio::test]
async fn what_the_cache_holds_is_used_and_what_is_damaged_is_made_again() {
    let directory = temporary();
    let engines =
        Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() }).expect("the engines start");
    let place = directory.path().join("cache");
    let cache = Cache::open(&place).expect("the cache opens");
    let path = component("hello-agent");
    let load = async || {
        let loaded = Plugin::load(&engines, &cache, &path, &Allow::Asked).await;
        loaded.expect("it is loaded")
    };
    let files = || {
        let entries = std::fs::read_dir(&place).expect("the cache is there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    };
    let contents = || files().iter().map(|file| std::fs::read(file).expect("a file")).collect::<Vec<_>>();
    let first = load().await;
    let (made, whole) = (files(), contents());
    assert_eq!(made.len(), 3, "code, its digest, and what was found out: {made:?}");
    let again = load().await;
    assert_eq!((again.agents, again.imports), (first.agents.clone(), first.imports.clone()));
    for file in &made {
        let mut bytes = std::fs::read(file).expect("a file");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(file, bytes).expect("it is damaged");
        assert_eq!(load().await.agents, first.agents, "{}", file.display());
        assert_eq!(contents(), whole, "{} is as it was", file.display());
    }
    for file in &made {
        std::fs::remove_file(file).expect("it is there");
        std::fs::create_dir(file).expect("a directory in its place");
        std::fs::write(file.join("stray"), b"").expect("a file in it");
        assert_eq!(load().await.agents, first.agents, "{}", file.display());
        assert_eq!(contents(), whole, "{} is as it was", file.display());
    }
}
