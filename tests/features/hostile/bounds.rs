//! What a plugin leaves behind, and how much it can make the host keep.

use std::path::Path;

use serde_json::json;
use sublane_core::{Failure, RunState};
use sublane_tests::{Setup, TestHost, value};

use super::{check_failure, executing};

const MANIFEST: &str = r#"
    id = "misbehaves"
    version = "0.1.0"
    memory = "4MiB"
    [asks]
    channels = ["origin"]
    artifacts = { bytes = "10KiB" }
    cpu = "20s"
"#;

async fn host() -> TestHost {
    Setup::in_memory().plugin_with("misbehaves", MANIFEST).start().await
}

fn files_below(directory: &Path) -> usize {
    let entries =
        std::fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("is read").path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_purse_does_not_pay_for_leaves_nothing() {
    let host = host().await;
    let artifacts = host.directory.path().join("artifacts");
    assert_eq!(value(&host.run("misbehaves/litter", json!(100)).await), json!(10), "10 KiB pay for ten");
    host.until("staging is empty", || files_below(&artifacts.join("staging")) == 0).await;
    assert_eq!(files_below(&artifacts), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_no_more_files_than_people_can_look_at() {
    let host = host().await;
    assert_eq!(value(&host.run("misbehaves/send-files", json!(32)).await), json!(null));
    check_failure(&host, "send-files", json!(33), Failure::Failed, "at most 32 artifacts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_after_the_end() {
    let host = host().await;
    for _ in 0..5 {
        let run = host.begin("misbehaves/boast", json!(null)).await;
        executing(&host, run).await;
        host.when(run, "reported", |run| run.progress.is_some()).await;
        host.inner().cancel(run, "enough").await.expect("it is cancelled");
        assert_eq!(host.inner().progress.next(), None);
        host.when(run, "ended", |run| matches!(run.state, RunState::Ended { .. })).await;
    }
}
