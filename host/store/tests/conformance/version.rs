//! Versions of plugins: who lives on which, and what a host has.

use std::sync::Arc;

use sublane_core::RunId;
use sublane_store::{LiveVersion, PauseRow, PluginRow, Store};

use crate::support::{at, claim, ended_as, link_base, message, success};

const OLD: &str = "0123456789abcdef";
/// Begins as the old one does.
const NEW: &str = "0123456789ffffff";

async fn on(store: &dyn Store, n: u8, plugin: &str, digest: &str) -> RunId {
    let mut message = message(n, "console:me");
    message.spec.plugin = plugin.to_owned();
    message.spec.plugin_digest = digest.to_owned();
    store.accept(message).await.expect("accepted").run
}

fn live(plugin: &str, digest: &str, runs: u64) -> LiveVersion {
    LiveVersion { plugin: plugin.to_owned(), digest: digest.to_owned(), runs }
}

pub(crate) async fn a_version_is_needed_as_long_as_a_run_lives_on_it(store: &dyn Store) {
    let is_live = async |digest: &str| store.is_version_live(digest.into()).await.expect("readable");
    assert!(!is_live(OLD).await);
    let (first, second) = (on(store, 1, "video", OLD).await, on(store, 2, "video", OLD).await);
    on(store, 3, "video", NEW).await;
    on(store, 4, "notes", NEW).await;
    assert_eq!(
        store.live_versions().await.expect("readable"),
        [live("notes", NEW, 1), live("video", OLD, 2), live("video", NEW, 1)]
    );
    store.cancel(first, "enough".into(), link_base(), at(1)).await.expect("cancelled");
    assert!(is_live(OLD).await, "one of two is left");
    let second = claim(store, second).await;
    assert!(is_live(OLD).await, "it runs");
    store.finish(second, success()).await.expect("it has its claim");
    assert!(!is_live(OLD).await && is_live(NEW).await);
    assert_eq!(
        store.live_versions().await.expect("readable"),
        [live("notes", NEW, 1), live("video", NEW, 1)]
    );
}

pub(crate) async fn the_runs_of_a_version_are_cancelled_some_at_a_time(store: &dyn Store) {
    let mut old = Vec::new();
    for n in 1..=3 {
        old.push(on(store, n, "video", OLD).await);
    }
    let (new, others) = (on(store, 4, "video", NEW).await, on(store, 5, "notes", OLD).await);
    let reason: Arc<str> = "removed".into();
    let cancel = || store.cancel_version("video".into(), OLD.into(), reason.clone(), 2, link_base(), at(1));
    assert_eq!(cancel().await.expect("cancelled").ended, old[..2], "oldest first");
    assert_eq!(cancel().await.expect("cancelled").ended, old[2..]);
    assert!(cancel().await.expect("none is left").ended.is_empty());
    assert_eq!(ended_as(store, old[0]).await, "cancelled");
    for run in [new, others] {
        assert_eq!(crate::support::get(store, run).await.state.kind(), "queued");
    }
}

pub(crate) async fn the_plugins_of_a_host_are_noted(store: &dyn Store) {
    let row = |id: &str, digest: &str, since: u64| PluginRow {
        id: id.to_owned(),
        version: "0.1.0".to_owned(),
        digest: digest.to_owned(),
        since: at(since),
    };
    assert!(store.plugins().await.expect("readable").is_empty());
    store.set_plugins(vec![row("video", OLD, 1), row("notes", OLD, 1)]).await.expect("noted");
    store.set_plugins(vec![row("video", NEW, 2), row("notes", OLD, 2)]).await.expect("noted");
    assert_eq!(
        store.plugins().await.expect("readable"),
        [row("notes", OLD, 1), row("video", NEW, 2)],
        "since when it has this version"
    );
    store.set_plugins(vec![row("notes", OLD, 3)]).await.expect("noted");
    assert_eq!(store.plugins().await.expect("readable"), [row("notes", OLD, 1)]);
}

pub(crate) async fn how_a_plugin_fails_is_noted_until_it_is_lifted(store: &dyn Store) {
    let row = |plugin: &str, failures: u32, until: Option<u64>| PauseRow {
        plugin: plugin.to_owned(),
        failures,
        until: until.map(at),
        why: "it crashed".to_owned(),
    };
    assert!(store.pauses().await.expect("readable").is_empty());
    for pause in [row("video", 1, None), row("notes", 1, None), row("video", 5, Some(60_000))] {
        store.set_pause(pause).await.expect("noted");
    }
    let noted = store.pauses().await.expect("readable");
    assert_eq!(noted, [row("notes", 1, None), row("video", 5, Some(60_000))], "the newest of each");
    for plugin in ["video", "video", "nobody"] {
        store.lift_pause(plugin.into()).await.expect("lifted twice is lifted");
    }
    assert_eq!(store.pauses().await.expect("readable"), [row("notes", 1, None)]);
}
