//! What a plugin is allowed, from the command line: told in plain words, granted by a yes, taken away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sublane_tests::command::CommandLine;
use sublane_tests::{component, temporary};
use tempfile::TempDir;

/// A plugin of this version in a directory of its own.
fn version(directory: &Arc<TempDir>, version: &str, asks: &str) -> PathBuf {
    let folder = directory.path().join(version);
    std::fs::create_dir(&folder).expect("a new directory");
    let copy = folder.join("hello.wasm");
    std::fs::copy(component("hello-agent"), &copy).expect("the component is copied");
    write_manifest(&folder, version, asks);
    copy
}

fn write_manifest(folder: &Path, version: &str, asks: &str) {
    let text = format!("id = \"hello-agent\"\nversion = \"{version}\"\n[asks]\n{asks}");
    std::fs::write(folder.join("plugin.toml"), text).expect("written");
}

const KEYS: &str = "kv = [{ bucket = \"notes\", mode = \"read\" }]\n";
const MORE: &str = "kv = [{ bucket = \"notes\", mode = \"read-write\" }]\nchannels = [\"origin\"]\n";

fn said(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn text(directory: &Arc<TempDir>) -> String {
    std::fs::read_to_string(directory.path().join("sublane.toml")).expect("there")
}

#[tokio::test]
async fn nothing_is_granted_without_an_option_or_a_yes() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let before = text(&directory);
    let hello = version(&directory, "1.0.0", KEYS);

    let refused = line.run(&["plugin", "add", said(&hello)]).await;
    assert_eq!((refused.exit, text(&directory)), (2, before.clone()), "{refused:?}");
    assert!(refused.out.contains("asks to\n  read every key of bucket notes\n"), "{refused:?}");
    assert!(refused.err.contains("--grant allows what it asks for now"), "{refused:?}");
    for typed in ["no\n", "\n", ""] {
        let asked = line.at_terminal(&["plugin", "add", said(&hello)], typed).await;
        assert!(
            asked.out.contains("Allow hello-agent to do all that it asks for? [y]es, [n]othing"),
            "{asked:?}"
        );
        let is_nothing = typed == "no\n";
        assert_eq!((asked.exit, text(&directory)), (4, before.clone()), "{is_nothing} {typed:?}: {asked:?}");
    }
    let nothing = line.at_terminal(&["plugin", "add", said(&hello)], "n\n").await;
    assert_eq!((nothing.exit, text(&directory).contains("allow")), (0, false), "{nothing:?}");
    line.run(&["plugin", "remove", "hello-agent"]).await;
    let granted = line.at_terminal(&["plugin", "add", said(&hello)], "y\n").await;
    assert!(granted.out.contains("is able to\r\n  read every key of bucket notes"), "{granted:?}");
    let written =
        "[plugins.hello-agent.allow]\nkv = [{ bucket = \"notes\", prefix = \"\", mode = \"read\" }]\n";
    assert!(text(&directory).contains(written), "{}", text(&directory));
}

#[tokio::test]
async fn an_upgrade_says_how_it_differs_and_gets_no_more_unasked() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let one = version(&directory, "1.0.0", KEYS);
    let two = version(&directory, "2.0.0", MORE);
    line.json(&["plugin", "add", said(&one), "--grant"]).await;
    let file = text(&directory).replace("[plugins.hello-agent]", "# Ask Ada.\n[plugins.hello-agent]");
    std::fs::write(directory.path().join("sublane.toml"), file).expect("written");

    // What it is allowed was written for the version before: the new one gets no more of it.
    let same = line.run(&["plugin", "add", said(&two)]).await;
    assert_eq!(same.exit, 0, "{same:?}");
    let differs = "asks, against 1.0.0, to\n  - read every key of bucket notes\n  + deliver to origin\n  \
                   + read and write every key of bucket notes\n\
                   with what it is allowed now, it would be able to\n  nothing else\n";
    assert!(same.out.contains(differs), "{}", same.out);
    assert!(same.err.contains("it may not do all that it asks for"), "{same:?}");
    assert!(text(&directory).contains("# Ask Ada.\n") && text(&directory).contains("2.0.0/hello.wasm"));
    let granted = line.json(&["plugin", "add", said(&two), "--grant"]).await;
    assert_eq!(granted["grants"]["words"]["may_not"], json!([]));
    assert!(text(&directory).contains("channels = [\"origin\"]"), "{}", text(&directory));

    // Whoever is allowed whatever he asks for gets more by an upgrade, and that is asked.
    line.json(&["plugin", "add", said(&one), "--allow", "asked"]).await;
    let before = text(&directory);
    let more = line.run(&["plugin", "add", said(&two)]).await;
    assert_eq!((more.exit, text(&directory)), (2, before.clone()), "{more:?}");
    assert!(
        more.out.contains("it would be able to\n  - read every key of bucket notes\n  + deliver"),
        "{more:?}"
    );
    let stopped = line.at_terminal(&["plugin", "add", said(&two)], "\n").await;
    assert_eq!((stopped.exit, text(&directory)), (4, before), "{stopped:?}");
    let same = line.at_terminal(&["plugin", "add", said(&two)], "s\n").await;
    assert_eq!((same.exit, text(&directory).contains("allow = \"asked\"")), (0, true), "{same:?}");
}

#[tokio::test]
async fn both_sides_and_what_they_come_to_are_told() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let hello = version(&directory, "1.0.0", MORE);
    line.json(&["plugin", "add", said(&hello), "--allow", "nothing"]).await;
    let allow = "[plugins.hello-agent.allow]\nkv = [{ bucket = \"notes\", prefix = \"a/\", mode = \"read-write\" }]\n";
    std::fs::write(directory.path().join("sublane.toml"), text(&directory) + allow).expect("written");

    let told = line.run(&["plugin", "grants"]).await;
    let spends = "spend 10 s of computing, 0 spawns, 0 B of files, 1000000000 host calls for each message, within 60 min";
    let expected = format!(
        "plugin hello-agent 1.0.0\n  \
         asks to      deliver to origin\n               read and write every key of bucket notes\n               {spends}\n  \
         allowed to   read and write keys of bucket notes that begin with \"a/\"\n               {spends}\n  \
         may          read and write keys of bucket notes that begin with \"a/\"\n               {spends}\n  \
         may not      channels origin\n               kv notes prefix \"\" (read-write)\n"
    );
    assert_eq!((told.exit, told.out), (0, expected));
    let told = line.json(&["plugin", "grants", "hello-agent"]).await;
    assert_eq!(told["plugins"][0]["may"]["kv"][0]["prefix"], json!("a/"));
    let unknown = line.run(&["plugin", "grants", "hello-agents"]).await;
    assert_eq!((unknown.exit, unknown.err.contains("did you mean `hello-agent`?")), (2, true), "{unknown:?}");
    std::fs::write(hello.with_file_name("plugin.toml"), "id = 1").expect("written");
    let wrong = line.run(&["plugin", "grants"]).await;
    assert_eq!((wrong.exit, wrong.out.contains("  problem      ")), (2, true), "{wrong:?}");
}

#[tokio::test]
async fn what_is_revoked_is_out_of_the_configuration() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    // It also asks for what this configuration does not have.
    let hello = version(
        &directory,
        "1.0.0",
        &format!("{MORE}tools = [{{ plugin = \"nobody\" }}]\n")[..]
            .replace("[\"origin\"]", "[\"origin\", \"nowhere:x\"]"),
    );
    line.json(&["plugin", "add", said(&hello), "--allow", "asked"]).await;
    let revoked = line.run(&["plugin", "revoke", "hello-agent", "kv"]).await;
    assert_eq!(revoked.exit, 0, "{revoked:?}");
    assert!(revoked.out.contains("hello-agent may no more\n"), "{revoked:?}");
    assert!(revoked.out.contains("it may still\n  deliver to origin\n"), "{revoked:?}");
    assert!(
        text(&directory).ends_with("[plugins.hello-agent.allow]\nchannels = [\"origin\"]\n"),
        "{}",
        text(&directory)
    );
    let again = line.run(&["plugin", "revoke", "hello-agent", "kv"]).await;
    assert!(again.out.contains("hello-agent was allowed nothing of it"), "{again:?}");
    line.json(&["plugin", "revoke", "hello-agent"]).await;
    assert!(text(&directory).ends_with("[plugins.hello-agent.allow]\n"), "{}", text(&directory));
    let unknown = line.run(&["plugin", "revoke", "hello-agent", "kvs"]).await;
    assert_eq!(
        (unknown.exit, unknown.err.contains("[possible values: spawn, channels, ")),
        (2, true),
        "{unknown:?}"
    );
    let unknown = line.run(&["plugin", "revoke", "hello"]).await;
    assert_eq!((unknown.exit, unknown.err.contains("names no plugin `hello`")), (2, true), "{unknown:?}");
}
