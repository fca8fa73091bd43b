//! A plugin that grows: what it may not have is its own failure, and never
//! looks like a machine that has run out.

use sublane_core::{Failure, Outcome};
use sublane_tests::{Setup, TestHost, temporary};

use crate::handmade;

/// A host with the plugin `grower`: its agent `grow` has these memories and
/// tables, and does this.
async fn host(has: &str, does: &str) -> TestHost {
    let module = |entry: &str| {
        format!(
            r#"(module
                {has}
                (export "memory" (memory 0))
                (data (i32.const 16) "\20\00\00\00\01\00\00\00")
                (data (i32.const 32) "\40\00\00\00\04\00\00\00\40\00\00\00\04\00\00\00\44\00\00\00\02\00\00\00")
                (data (i32.const 64) "grow{{}}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "{entry}#list-agents") (result i32) i32.const 16)
                (func (export "{entry}#run") (param i32 i32 i32 i32 i32 i32) (result i32)
                    (drop ({does})) unreachable))"#
        )
    };
    let directory = temporary();
    let path = directory.path().join("grower.wasm");
    std::fs::write(&path, handmade::agent(str::to_owned, module)).expect("the file is written");
    let manifest = "id = \"grower\"\nversion = \"0.1.0\"\nmemory = \"32MiB\"\n";
    std::fs::write(directory.path().join("plugin.toml"), manifest).expect("the manifest is written");
    Setup::in_memory().component(path).start().await
}

/// Its run fails once, for this reason and with these words.
async fn check(has: &str, does: &str, reason: Failure, words: &str) {
    let host = host(has, does).await;
    let run = host.begin("grower/grow", serde_json::json!(null)).await;
    let outcome = host.ended(run).await;
    let Outcome::Failed { reason: found, message, .. } = &outcome else { panic!("{does}: {outcome:?}") };
    assert_eq!(*found, reason, "{does}: {message}");
    assert!(message.contains(words), "{does}: {message}");
    let ended = host.when(run, "ended", sublane_core::Run::is_ended).await;
    assert_eq!((ended.attempt, ended.crashes), (1, 0), "{does}: it is no fault of the host's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_over_its_own_maximum_is_out_of_memory() {
    let grow = "memory.grow (i32.const 100)";
    check("(memory 1 16)", grow, Failure::OutOfMemory, "may have 1048576").await;
    let grow = "memory.grow (i32.const -1)";
    check("(memory 1)", grow, Failure::OutOfMemory, "may have 33554432").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_over_its_own_maximum_is_a_trap() {
    let grow = |more: &str| format!("table.grow 0 (ref.null func) ({more})");
    let table = "(memory 1) (table 1 10 funcref)";
    check(table, &grow("i32.const 100"), Failure::Trapped, "101 table elements and may have 10").await;
    let table = "(memory 1) (table 1 funcref)";
    check(table, &grow("i32.const -1"), Failure::Trapped, "table elements and may have").await;
    let table = "(memory 1) (table i64 1 funcref)";
    check(table, &grow("i64.const -1"), Failure::Trapped, "table elements and may have 40000").await;
}
