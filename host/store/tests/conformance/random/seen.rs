//! What can be seen of a store, as text that two stores can be compared by.

use std::fmt::Write as _;

use sublane_core::Timestamp;
use sublane_store::{Backend, Between, DeliveryFilter, Rows, RunFilter, Store};

use super::apply::digest;
use super::step::VERSIONS;
use crate::support::{artifact, destination};

/// Everything that can be seen of a store, as text.
pub(crate) async fn seen(store: &dyn Store) -> String {
    let mut text = String::new();
    let mut line = |what: &dyn std::fmt::Debug| writeln!(text, "{what:?}").expect("a string takes it");
    let runs = store.runs(RunFilter { limit: 1_000, ..RunFilter::default() }).await.expect("readable");
    line(&store.queued(None, 1_000).await.expect("readable"));
    for run in &runs {
        let id = run.spec.id;
        line(run);
        line(&store.wait_of(id).await.expect("readable"));
        line(&store.polls_of(id).await.expect("readable"));
        let hooks = store.hooks_of(id).await.expect("readable");
        for hook in &hooks {
            line(&store.hook_by_token(hook.token).await.expect("readable"));
        }
        line(&hooks);
        let below = RunFilter { parent: Some(id), limit: 9, ..RunFilter::default() };
        line(&store.runs(below).await.expect("readable").iter().map(|run| run.spec.id).collect::<Vec<_>>());
        for generation in 0..run.generation {
            line(&store.journal(id, generation).await.expect("readable"));
        }
        line(&store.journal(id, run.generation).await.expect("readable"));
        line(&store.generations(id).await.expect("readable"));
        let log = store.logs(id, 0).await.expect("readable");
        line(&(log.len(), log.first(), log.last()));
        if let Some(last) = log.len().checked_sub(2).and_then(|at| log.get(at)) {
            line(&store.logs(id, last.number).await.expect("readable").len());
        }
        line(&store.readable_artifact(id, artifact(1).id.into()).await.expect("readable"));
    }
    for state in ["delayed", "queued", "running", "waiting", "closing", "ended"] {
        let filter = RunFilter { state: Some(state.to_owned()), limit: 5, ..RunFilter::default() };
        line(&store.runs(filter).await.expect("readable").iter().map(|run| run.spec.id).collect::<Vec<_>>());
    }
    if let Some(run) = runs.first() {
        line(&store.conversation(run.spec.conversation).await.expect("readable"));
        let filter =
            RunFilter { conversation: Some(run.spec.conversation), limit: 5, ..RunFilter::default() };
        line(&store.runs(filter).await.expect("readable").len());
        let span =
            Between { from: Some(run.spec.created), until: Some(Timestamp(run.spec.created.0 + 1_000)) };
        let of_plugin = RunFilter {
            plugin: Some(run.spec.plugin.clone()),
            agent: Some(run.spec.agent.clone()),
            limit: 5,
            ..RunFilter::default()
        };
        line(&store.runs(RunFilter { accepted: span, ..of_plugin.clone() }).await.expect("readable"));
        line(&store.runs(of_plugin).await.expect("readable").len());
        let owed = DeliveryFilter { owed: span, limit: 5, ..DeliveryFilter::default() };
        line(&store.deliveries(owed).await.expect("readable"));
    }
    line(&store.next_due().await.expect("readable"));
    if let Some(first) = store.queued(None, 1).await.expect("readable").first() {
        line(&store.queued(Some((first.since, first.run)), 2).await.expect("readable"));
    }
    let conversations = store.conversations(None, 2).await.expect("readable");
    line(&conversations);
    if let Some(newest) = conversations.first() {
        line(&store.conversations(Some(newest.id), 1).await.expect("readable"));
    }
    let artifacts = [1, 2].map(|n| artifact(n).id).to_vec();
    line(&store.unlinked(artifacts).await.expect("readable"));
    line(&store.schedules().await.expect("readable"));
    versions(store, &mut text).await;
    let mut line = |what: &dyn std::fmt::Debug| writeln!(text, "{what:?}").expect("a string takes it");
    line(&store.lane_settings().await.expect("readable"));
    let all = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    for delivery in store.deliveries(all).await.expect("readable") {
        line(&delivery);
        line(&(store.delivery(delivery.id).await.expect("readable").as_ref() == Some(&delivery)));
        line(&store.attempts(delivery.id).await.expect("readable"));
    }
    line(&store.kv_keys("notes".into(), "a".into(), Some("a".into()), 2).await.expect("readable"));
    for key in store.kv_keys("notes".into(), "".into(), None, 10).await.expect("readable") {
        line(&store.kv_get("notes".into(), key.as_str().into()).await.expect("readable"));
        line(&key);
    }
    line(&store.intents(100).await.expect("readable"));
    for number in 1..4 {
        line(&store.intent_answer(number).await.expect("readable"));
    }
    text
}

/// Plugins, their versions and how they fail.
async fn versions(store: &dyn Store, text: &mut String) {
    let mut line = |what: &dyn std::fmt::Debug| writeln!(text, "{what:?}").expect("a string takes it");
    line(&store.plugins().await.expect("readable"));
    line(&store.pauses().await.expect("readable"));
    line(&store.live_versions().await.expect("readable"));
    for version in 0..VERSIONS {
        line(&store.is_version_live(digest(version).into()).await.expect("readable"));
    }
}

/// What only operations look up, as text: indexes that a listing does not show.
pub(super) async fn looked_up(store: &impl Backend, now: Timestamp) -> String {
    let look = move |rows: &mut dyn Rows| {
        let runs = rows.runs(&RunFilter { limit: 1_000, ..RunFilter::default() })?;
        let mut text = String::new();
        for id in runs.iter().map(|run| run.spec.id) {
            let (children, waiters) = (rows.attached_children(id)?, rows.waiters(id)?);
            let (mailbox, sent) = (rows.mailbox_len(id)?, rows.sent_by_run(id)?);
            let (above, event) = (rows.has_children(id)?, rows.has_event(id)?);
            writeln!(text, "{children:?} {waiters:?} {mailbox} {sent} {above} {event}")
                .expect("a string takes it");
        }
        let (claimed, next) = (rows.claimed_runs(1_000)?, rows.next_due()?);
        let soon = Timestamp(now.0 + 3_000);
        let due =
            (rows.overdue_runs(soon, 3)?, rows.due_waits("video", soon, 3)?, rows.due_deliveries(soon, 3)?);
        let due = (due, rows.plugins_due()?);
        let due = (due, rows.polled_servers()?, rows.due_polls("http://server-1", soon, 3)?);
        let (begin, schedules) = (rows.runs_to_begin(soon, 3)?, rows.schedules()?);
        let (sending, linked) = (rows.sending_deliveries(3)?, rows.is_linked(&artifact(1).id)?);
        writeln!(text, "{claimed:?} {next:?} {begin:?} {schedules:?} {due:?} {sending:?} {linked}")
            .expect("a string takes it");
        for to in ["console:me", "webhook:films", "console:0"].map(destination) {
            let (hold, open) = (rows.hold(&to)?, rows.open_deliveries(&to, 3)?);
            writeln!(text, "{hold:?} {open:?}").expect("a string takes it");
        }
        Ok(text)
    };
    store.read(look).await.expect("readable")
}
