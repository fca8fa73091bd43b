//! A burst: a thousand runs of ten equal plugins on one lane, all there before the first begins.
//!
//! For whoever looks at who is served when: a test, and a figure.

use std::collections::BTreeMap;

use serde_json::json;
use sublane_core::{RunId, Timestamp};

use crate::TestHost;

/// The manifest of `spawns` under another name, with room for a thousand.
#[must_use]
pub fn manifest(name: &str) -> String {
    format!(
        r#"
        id = "{name}"
        version = "0.1.0"
        [asks]
        spawn = {{ agents = ["{name}"], depth = 5, active-children = 20, total = 2000 }}
        channels = ["origin"]
        cpu = "10m"
        "#
    )
}

/// How many of each group had ended when the first group had all of its own.
#[must_use]
pub fn when_the_first_is_done<K: Ord>(endings: impl Iterator<Item = K>, each: usize) -> Vec<usize> {
    let mut ended = BTreeMap::<K, usize>::new();
    for group in endings {
        let count = ended.entry(group).or_default();
        *count += 1;
        if *count == each {
            break;
        }
    }
    ended.into_values().collect()
}

/// Ten plugins that are equal but for their names.
pub const TEN: [&str; 10] = ["ada", "ben", "cyd", "dag", "eva", "fia", "gus", "hal", "ida", "jon"];

/// Ten plugins with five parents each have twenty children each on the lane `burst`, all queued
/// before the first one has a slot. Gives the parents, which wait for them.
///
/// # Panics
/// When not all that may be come to be queued.
pub async fn ten_at_once(host: &TestHost, is_all_queued: impl Fn(u32) -> bool) -> Vec<RunId> {
    let lanes = &host.inner().lanes;
    lanes.pause("burst");
    let mut parents = Vec::new();
    for _ in 0..5 {
        for plugin in TEN {
            let child = json!({ "spawn": {
                "agent": format!("{plugin}/echo"), "task": plugin, "lane": "burst", "scope": { "cpu-ms": 20 },
            } });
            let mut steps = vec![child; 20];
            steps.push(json!({ "wait": {} }));
            parents.push(host.begin(&format!("{plugin}/act"), json!(steps)).await);
        }
    }
    let ready = || lanes.status().iter().find(|lane| lane.name == "burst").map_or(0, |lane| lane.ready);
    let settled = || {
        parents.iter().all(|parent| {
            host.inner()
                .attempts
                .lock()
                .get(parent)
                .is_none_or(|attempt| attempt.parked_since() > Timestamp(0))
        })
    };
    host.until("all that may be are queued", || is_all_queued(ready()) && settled()).await;
    lanes.resume_lane(host.inner(), "burst");
    parents
}
