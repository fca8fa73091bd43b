//! The command line beside a host whose plugins change.

use futures_util::future::join_all;
use serde_json::json;
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, component, temporary};

use super::{VERSIONS, digest, in_memory, listener, tell};

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_listed_and_read_anew_beside_a_host() {
    let directory = temporary();
    let mut line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let run = listener(&host).await;
    // What the configuration names now, and the host does not have yet.
    let file = directory.path().join("sublane.toml");
    let mut text = std::fs::read_to_string(&file).expect("there");
    text.push_str(&format!("[plugins.remembers]\ncomponent = {:?}\n", component(VERSIONS[1])));
    std::fs::write(&file, text).expect("written");
    host.named.put("remembers", component(VERSIONS[1]));

    let listed = line.json(&["plugin", "list"]).await;
    let one = &listed["plugins"][0];
    assert_eq!(
        (&one["id"], &one["digest"], &one["runs"]),
        (&json!("remembers"), &json!(digest(VERSIONS[1])), &json!(0))
    );
    assert_eq!((&one["found"]["version"], &one["found"]["tools"]), (&json!("0.2.0"), &json!(["note"])));
    assert_eq!((&one["loaded"]["version"], &one["loaded"]["runs"]), (&json!("0.1.0"), &json!(1)));
    assert_eq!(one["others"], json!([{ "version": "0.1.0", "digest": digest(VERSIONS[0]), "runs": 1 }]));

    let reloaded = line.json(&["plugin", "reload", "remembers"]).await;
    let change = &reloaded["plugins"][0];
    assert_eq!(
        (&change["change"], &change["was"]["version"], &change["is"]["version"]),
        (&json!("replaced"), &json!("0.1.0"), &json!("0.2.0"))
    );
    assert_eq!(in_memory(&host), VERSIONS);
    let said = line.run(&["plugin", "list"]).await;
    assert!(said.out.contains("still        0.1.0 (") && said.out.contains("): 1 run live"), "{}", said.out);
    assert!(!said.out.contains("the host has"), "{}", said.out);

    let unknown = line.run(&["plugin", "reload", "remember"]).await;
    assert_eq!(unknown.exit, 2);
    assert!(
        unknown.err.contains("there is no plugin `remember`; did you mean `remembers`?"),
        "{}",
        unknown.err
    );
    host.named.put("remembers", directory.path().join("sublane.toml"));
    let wrong = line.run(&["plugin", "reload"]).await;
    assert_eq!(
        (wrong.exit, wrong.err.contains("nothing was changed: plugin `remembers`: ")),
        (2, true),
        "{}",
        wrong.err
    );
    tell(&host, run).await;
    host.ended(run).await;

    host.host.stop().await;
    line.host_has_stopped();
    let alone = line.run(&["plugin", "reload"]).await;
    assert_eq!((alone.exit, alone.err.contains("no host runs on")), (4, true), "{}", alone.err);
    let listed = line.json(&["plugin", "list"]).await;
    assert_eq!(listed["plugins"][0]["loaded"], json!(null));
}

#[tokio::test]
async fn a_plugin_is_added_to_the_configuration_and_taken_out_of_it() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let file = directory.path().join("sublane.toml");
    let text = || std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, format!("# Ours.\n{}# The end.\n", text())).expect("written");
    let before = text();
    let component = component("hello-agent");
    let folder = component.parent().expect("it has one").to_str().expect("text");

    let added = line.run(&["plugin", "add", folder]).await;
    assert_eq!(
        (added.exit, added.out.contains("no host runs here: the next one loads it")),
        (0, true),
        "{added:?}"
    );
    assert!(
        text().contains("[plugins.hello-agent]\ncomponent = ") && text().contains("# Ours.\n"),
        "{}",
        text()
    );
    let listed = line.json(&["plugin", "list"]).await;
    assert_eq!(
        (&listed["plugins"][0]["id"], &listed["plugins"][0]["problem"]),
        (&json!("hello-agent"), &json!(null))
    );
    let again = line.run(&["plugin", "add", folder]).await;
    assert_eq!((again.exit, again.out.contains("asks, against the version before")), (0, true), "{again:?}");

    let unknown = line.run(&["plugin", "remove", "hello"]).await;
    assert_eq!((unknown.exit, unknown.err.contains("names no plugin `hello`")), (2, true), "{unknown:?}");
    let removed = line.run(&["plugin", "remove", "hello-agent"]).await;
    assert_eq!(removed.exit, 0, "{removed:?}");
    assert_eq!(text(), before, "the rest is as it was written");

    line.json(&["plugin", "add", component.to_str().expect("text"), "--allow", "asked"]).await;
    assert!(text().contains("allow = \"asked\""), "{}", text());
    let answered = text().replace("kind = \"console\"", "kind = \"console\"\nagent = \"hello-agent/hello\"");
    std::fs::write(&file, answered).expect("written");
    let needed = line.run(&["plugin", "remove", "hello-agent"]).await;
    assert_eq!((needed.exit, needed.err.contains("change this first")), (2, true), "{needed:?}");
    assert!(text().contains("[plugins.hello-agent]"), "{}", text());

    let empty = line.run(&["plugin", "add", directory.path().to_str().expect("text")]).await;
    assert_eq!((empty.exit, empty.err.contains("has no component (*.wasm)")), (2, true), "{empty:?}");
}

/// Three commands at once: each plugin is in the configuration in the end, and the command that names an
/// id that was taken meanwhile is told so.
#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_are_added_at_once_are_all_added() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let mut folders = Vec::new();
    for (place, id) in ["a", "b", "b"].into_iter().enumerate() {
        let folder = directory.path().join(format!("plugin-{place}"));
        std::fs::create_dir(&folder).expect("a new directory");
        std::fs::copy(component("hello-agent"), folder.join("hello.wasm")).expect("the component is copied");
        let manifest = format!("id = \"{id}\"\nversion = \"0.1.0\"\n");
        std::fs::write(folder.join("plugin.toml"), manifest).expect("the manifest is written");
        folders.push(folder.to_str().expect("text").to_owned());
    }
    let added = folders.iter().map(async |folder| line.run(&["plugin", "add", folder]).await);
    let mut refused = join_all(added).await;
    refused.retain(|said| said.exit != 0);
    let [said] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!((said.exit, said.err.contains("[plugins.b] was changed meanwhile")), (2, true), "{said:?}");
    let listed = line.json(&["plugin", "list"]).await;
    let ids: Vec<_> = listed["plugins"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["a", "b"]);
    let removed = ["a", "b"].iter().map(async |id| line.run(&["plugin", "remove", id]).await);
    for said in join_all(removed).await {
        assert_eq!(said.exit, 0, "{said:?}");
    }
    assert_eq!(line.json(&["plugin", "list"]).await, json!({ "plugins": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_runs_live_is_not_removed_without_a_word_about_them() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let file = directory.path().join("sublane.toml");
    let with =
        |text: String| format!("{text}[plugins.remembers]\ncomponent = {:?}\n", component(VERSIONS[0]));
    std::fs::write(&file, with(std::fs::read_to_string(&file).expect("there"))).expect("written");
    let run = listener(&host).await;
    let asked = line.run(&["plugin", "remove", "remembers"]).await;
    assert_eq!(
        (asked.exit, asked.err.contains("1 run of remembers lives: --cancel-runs")),
        (4, true),
        "{asked:?}"
    );
    assert!(std::fs::read_to_string(&file).expect("there").contains("[plugins.remembers]"));

    let before = std::fs::read_to_string(&file).expect("there");
    for typed in ["no\n", "\n", ""] {
        let asked = line.at_terminal(&["plugin", "remove", "remembers"], typed).await;
        let question =
            "1 run of remembers lives. [c]ancel, [k]eep until the end, or anything else to stop here?";
        assert!(asked.out.contains(question), "{typed:?}: {asked:?}");
        assert_eq!((asked.exit, asked.out.contains("error: nothing was changed")), (4, true), "{asked:?}");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), before, "{typed:?}");
    }
    // The host's own configuration, which in a test is another one.
    host.named.remove("remembers");
    let kept = line.at_terminal(&["plugin", "remove", "remembers"], "k\n").await;
    assert_eq!((kept.exit, kept.out.contains("1 run goes on it to the end")), (0, true), "{kept:?}");
    host.when(run, "still waiting", |run| run.state.kind() == "waiting").await;

    std::fs::write(&file, before).expect("written");
    host.named.put("remembers", component(VERSIONS[0]));
    line.json(&["plugin", "reload"]).await;
    host.named.remove("remembers");
    let cancelled = line.at_terminal(&["plugin", "remove", "remembers"], "c\n").await;
    assert_eq!((cancelled.exit, cancelled.out.contains("1 run cancelled")), (0, true), "{cancelled:?}");
    assert_eq!(host.ended(run).await.kind(), "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_removed_with_the_runs_of_it_that_live() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let file = directory.path().join("sublane.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    let named = format!("{text}[plugins.remembers]\ncomponent = {:?}\n", component(VERSIONS[0]));
    std::fs::write(&file, named).expect("written");
    let run = listener(&host).await;
    // The host's own configuration, which in a test is another one.
    host.named.remove("remembers");
    let removed = line.json(&["plugin", "remove", "remembers", "--cancel-runs"]).await;
    assert_eq!((&removed["cancelled"], &removed["plugins"][0]["change"]), (&json!(1), &json!("removed")));
    assert_eq!(host.ended(run).await.kind(), "cancelled");
    host.until("nothing of it is left", || in_memory(&host).is_empty()).await;
    let listed = line.json(&["plugin", "list"]).await;
    assert_eq!(listed, json!({ "plugins": [] }));
}
