//! What operators see and do.

use sublane_core::{ConversationId, RunId, Timestamp};
use sublane_store::ops::KEPT_ANSWERS;
use sublane_store::{Between, LaneSetting, Parked, RunFilter, Store, StoreError, WaitFor};

use crate::support::{START, at, ended_as, get, link_base, message, park, root, spawn, spawn_detached, wait};

pub(crate) async fn runs_are_listed_by_agent_and_age(store: &dyn Store) {
    let mut ids = Vec::new();
    for (n, plugin, agent) in [(1, "video", "render"), (2, "video", "cut"), (3, "notes", "render")] {
        let mut message = message(n, "console:me");
        message.spec.plugin = plugin.to_owned();
        message.spec.agent = agent.to_owned();
        // Hours apart: further than a clock may be set back.
        message.spec.created = at(u64::from(n) * 10_000_000);
        ids.push(store.accept(message).await.expect("accepted").run);
    }
    let list = async |filter: RunFilter| -> Vec<usize> {
        let runs = store.runs(RunFilter { limit: 9, ..filter }).await.expect("readable");
        let place = |id: RunId| ids.iter().position(|known| *known == id).expect("one of them") + 1;
        runs.iter().map(|run| place(run.spec.id)).collect()
    };
    let named = |plugin: Option<&str>, agent: Option<&str>| RunFilter {
        plugin: plugin.map(str::to_owned),
        agent: agent.map(str::to_owned),
        ..RunFilter::default()
    };
    assert_eq!(list(named(Some("video"), None)).await, [2, 1]);
    assert_eq!(list(named(Some("video"), Some("render"))).await, [1]);
    assert_eq!(list(named(None, Some("render"))).await, [3, 1]);
    assert!(list(named(Some("nobody"), None)).await.is_empty());
    let queued = RunFilter { state: Some("queued".to_owned()), ..named(Some("video"), None) };
    assert_eq!(list(queued).await, [2, 1]);
    let span = |from: Option<u64>, until: Option<u64>| RunFilter {
        accepted: Between { from: from.map(at), until: until.map(at) },
        ..RunFilter::default()
    };
    assert_eq!(list(span(Some(20_000_000), None)).await, [3, 2], "both ends belong to it");
    assert_eq!(list(span(None, Some(20_000_000))).await, [2, 1]);
    assert_eq!(list(span(Some(10_000_001), Some(29_999_999))).await, [2]);
    assert!(list(span(Some(40_000_000), None)).await.is_empty());
    assert!(list(span(None, Some(1))).await.is_empty());
}

/// Complaint 77720: whoever is stopped takes with it what it started.
pub(crate) async fn a_conversation_is_cancelled_as_a_whole(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    let detached = spawn_detached(store, &parent, 2).await;
    let other = store.accept(message(2, "console:other")).await.expect("accepted").run;
    let conversation = get(store, parent.run).await.spec.conversation;
    let reason = "the operator said so";
    let cancel = || store.cancel_conversation(conversation, reason.into(), link_base(), at(5));
    let effects = cancel().await.expect("it is there");
    assert_eq!(effects.ended.len(), 3);
    assert_eq!(effects.killed, [(parent.run, parent.token)]);
    for id in [parent.run, child, detached] {
        assert_eq!(ended_as(store, id).await, "cancelled");
    }
    assert_eq!(ended_as(store, other).await, "queued", "another conversation");
    assert_eq!(cancel().await.expect("it is there").ended, []);
    let nobody = store.cancel_conversation(ConversationId([9; 16]), reason.into(), link_base(), at(5)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn a_message_from_outside_ends_a_receive(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Message, None)).await;
    let effects = store.send(by.run, "\"go\"".into(), None, at(3)).await.expect("it waits");
    let [(run, token, entry)] = effects.resumed.as_slice() else { panic!("{effects:?}") };
    assert_eq!((*run, *token), (by.run, by.token));
    assert!(entry.result.contains("go"), "{}", entry.result);
    // Sent before it is asked for, it is there when it is.
    let intent = store.ask("{}".into(), at(4)).await.expect("asked");
    store.send(by.run, "1".into(), Some((intent, "\"sent\"".into())), at(4)).await.expect("it lives");
    assert!(store.intents(9).await.expect("readable").is_empty(), "what was asked is done with it");
    assert_eq!(store.intent_answer(intent).await.expect("readable").as_deref(), Some("\"sent\""));
    let parked = store.park(by.clone(), wait(&by, 2, WaitFor::Message, None)).await.expect("it lives");
    assert!(matches!(parked, Parked::Decided(_)), "{parked:?}");
    for _ in 0..64 {
        store.send(by.run, "1".into(), None, at(4)).await.expect("there is room");
    }
    let full = store.send(by.run, "1".into(), None, at(4)).await;
    assert!(matches!(&full, Err(StoreError::Refused(why)) if why.contains("mailbox is full")), "{full:?}");
    store.cancel(by.run, "enough".into(), link_base(), at(5)).await.expect("it lives");
    let ended = store.send(by.run, "1".into(), None, at(6)).await;
    assert!(matches!(&ended, Err(StoreError::Refused(why)) if why.contains("has ended")), "{ended:?}");
    let nobody = store.send(RunId([9; 16]), "1".into(), None, at(6)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn what_became_of_an_intent_is_kept_for_a_while(store: &dyn Store) {
    let first = store.ask("{}".into(), START).await.expect("asked");
    assert_eq!(store.intent_answer(first).await.expect("readable"), None, "not applied yet");
    store.intent_done(first, "\"done\"".into()).await.expect("written");
    assert_eq!(store.intent_answer(first).await.expect("readable").as_deref(), Some("\"done\""));
    assert!(store.intents(9).await.expect("readable").is_empty());
    store.intent_done(first + KEPT_ANSWERS - 1, "2".into()).await.expect("written");
    assert!(store.intent_answer(first).await.expect("readable").is_some());
    store.intent_done(first + KEPT_ANSWERS, "3".into()).await.expect("written");
    assert_eq!(store.intent_answer(first).await.expect("readable"), None, "so many came after it");
}

pub(crate) async fn lanes_stay_as_they_were_set(store: &dyn Store) {
    assert!(store.lane_settings().await.expect("readable").is_empty());
    let paused = LaneSetting { paused: true, ..LaneSetting::default() };
    let wide = LaneSetting { slots: Some(16), queue_length: Some(50), ..LaneSetting::default() };
    store.set_lane("subagent".into(), paused).await.expect("set");
    store.set_lane("main".into(), paused).await.expect("set");
    store.set_lane("subagent".into(), wide).await.expect("set again");
    let set = store.lane_settings().await.expect("readable");
    assert_eq!(set, [("main".to_owned(), paused), ("subagent".to_owned(), wide)]);
}

pub(crate) async fn conversations_are_listed_newest_first(store: &dyn Store) {
    for n in 1..=3_u8 {
        let mut message = message(n, &format!("console:{n}"));
        message.conversation.id = ConversationId::new(Timestamp(u64::from(n)), [n; 10]);
        store.accept(message).await.expect("accepted");
    }
    let list = async |before, limit| -> Vec<String> {
        let found = store.conversations(before, limit).await.expect("readable");
        found.into_iter().map(|conversation| conversation.origin.address).collect()
    };
    assert_eq!(list(None, 2).await, ["3", "2"]);
    let second = store.conversations(None, 2).await.expect("readable")[1].id;
    assert_eq!(list(Some(second), 9).await, ["1"]);
}
