//! Directories of the operator's: what a plugin may do in them, what its child may, and that nothing
//! leads out.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use serde_json::{Value, json};
use sublane_tests::{Setup, TestHost, temporary, value};
use tempfile::TempDir;

const MANIFEST: &str = r#"
id = "spawns"
version = "0.1.0"
[asks]
spawn = { agents = ["spawns"], depth = 3 }
files = [{ root = "media", path = "in", mode = "read" }, { root = "out", mode = "read-write" }]
"#;

/// A host with the directories `media` and `out`, and something private beside them.
async fn host() -> (TestHost, Arc<TempDir>) {
    let directory = temporary();
    let base = directory.path();
    for name in ["media/in/raw", "out", "private"] {
        std::fs::create_dir_all(base.join(name)).expect("directories");
    }
    for (name, text) in [
        ("media/in/a.txt", "a"),
        ("media/in/raw/b.txt", "bb"),
        ("media/key", "of the operator"),
        ("private/key", "secret"),
    ] {
        std::fs::write(base.join(name), text).expect("a file");
    }
    symlink(base.join("private"), base.join("media/in/link")).expect("a link");
    symlink("../key", base.join("media/in/up")).expect("a link");
    let setup = Setup::durable(&directory).plugin_with("spawns", MANIFEST);
    let host = setup.files("media", base.join("media")).files("out", base.join("out")).start().await;
    (host, directory)
}

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_and_written_where_that_is_granted() {
    let (host, directory) = host().await;
    let done = acted(
        &host,
        json!([
            { "file-read": "media/in/a.txt" },
            { "file-list": "media/in" },
            { "file-dir": "out/x" },
            { "file-write": { "path": "out/x/y", "text": "hello" } },
            { "file-move": { "path": "out/x/y", "to": "z" } },
            { "file-size": "out/z" },
            { "file-remove": "out/x" },
            { "file-read": "out/x/y" },
        ]),
    )
    .await;
    assert_eq!(done[0], json!("a"));
    assert_eq!(
        done[1],
        json!(["Kind::File a.txt", "Kind::Other link", "Kind::Directory raw", "Kind::Other up"])
    );
    assert_eq!((&done[5], &done[6]), (&json!(5), &json!(null)), "{done}");
    assert_eq!(done[7]["error"], json!("there is no such thing"));
    assert_eq!(std::fs::read_to_string(directory.path().join("out/z")).expect("written"), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_is_reached_or_told_of() {
    let (host, directory) = host().await;
    let steps = [
        ("file-read", "media/key", "denied: files media/key (read);"),
        ("file-read", "media/nothing", "denied: files media/nothing (read);"),
        ("file-list", "media", "denied: files media (read);"),
        ("file-list", "private", "denied: files private (read);"),
        ("file-remove", "media/in/a.txt", "denied: files media/in/a.txt (read-write);"),
        ("file-read", "media/in/../key", "invalid: `..` is no name in a path: a path goes down only"),
        ("file-read", "media/in//key", "invalid: `` is no name in a path: it is empty"),
        ("file-read", "media/in/link/key", "invalid: a name on the way is no directory"),
        ("file-read", "media/in/up", "invalid: it is a link"),
        ("file-list", "media/in/link", "invalid: a name on the way is no directory"),
        ("file-read", "media/in/raw", "invalid: it is no file"),
    ];
    let done = acted(&host, steps.iter().map(|(step, path, _)| json!({ *step: path })).collect()).await;
    for (n, (step, path, expected)) in steps.iter().enumerate() {
        let error = done[n]["error"].as_str().unwrap_or_else(|| panic!("{step} {path}: {done}"));
        assert!(error.starts_with(expected), "{step} {path}: {error}");
    }
    assert_eq!(std::fs::read_to_string(directory.path().join("private/key")).expect("there"), "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_gets_a_directory_below_and_no_more_mode() {
    let (host, _directory) = host().await;
    let child = |scope: Value, steps: Value| json!({ "spawn": { "agent": "spawns/act", "scope": scope, "task": steps } });
    let done = acted(
        &host,
        json!([
            child(
                json!({ "files-read": ["media/in/raw", "out"] }),
                json!([
                    { "file-read": "media/in/raw/b.txt" },
                    { "file-read": "media/in/a.txt" },
                    { "file-write": { "path": "out/x", "text": "" } },
                ])
            ),
            child(json!({ "files-write": ["media/in/raw"] }), json!([])),
            { "wait": {} },
        ]),
    )
    .await;
    let error = |value: &Value| value["error"].as_str().unwrap_or_else(|| panic!("{done}")).to_owned();
    assert!(error(&done[1]).starts_with("denied: files media/in/raw (read-write);"), "{done}");
    let got = &done[2][0]["succeeded"];
    assert_eq!(got[0], json!("bb"));
    assert!(error(&got[1]).starts_with("denied: files media/in/a.txt (read);"), "{done}");
    assert!(error(&got[2]).starts_with("denied: files out/x (read-write);"), "{done}");
}
