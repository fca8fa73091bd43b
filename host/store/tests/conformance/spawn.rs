//! Run, entry, purses and counters in one commit.

use sublane_core::{Import, ImportError, Lifetime, Purse, Share};
use sublane_store::{Draw, Store};

use crate::support::{CHILD, ROOT, child, claim, get, root, spawn, spawn_with};

pub(crate) async fn a_spawn_takes_from_the_parents_purse_and_counts(store: &dyn Store) {
    let parent = root(store, 1).await;
    let spawned = spawn_with(store, &parent, 1, |_| {}).await;
    let answer = spawned.answer.expect("there is room");
    assert!(!answer.duplicate && answer.position == 2);
    let (before, after) = (ROOT, get(store, parent.run).await);
    let child = get(store, answer.run).await;
    assert_eq!(child.spec.id, parent.run.child(0, &spawned.entry.path));
    assert_eq!(child.spec.parent, Some(parent.run));
    assert_eq!(child.purse, CHILD);
    let mut taken = after.purse;
    taken.give_back(Purse { spawns: CHILD.spawns + 1, ..CHILD });
    assert_eq!(taken, before, "nothing is made and nothing is lost");
    assert_eq!((after.active_children, after.attached_children), (1, 1));
    assert_eq!(store.journal(parent.run, 0).await.expect("readable"), [spawned.entry]);
    assert_eq!(store.queued(None, 9).await.expect("readable"), [spawned.ready.expect("ready")]);
}

pub(crate) async fn an_agents_detached_spawn_takes_from_its_own_purse(store: &dyn Store) {
    let parent = root(store, 1).await;
    let conversation = get(store, parent.run).await.spec.conversation;
    let purse = async || store.conversation(conversation).await.expect("readable").expect("there").purse;
    let before = purse().await;
    let detached = |spawn: &mut sublane_store::Spawn| spawn.spec.lifetime = Lifetime::Detached;
    let child = spawn_with(store, &parent, 1, detached).await.answer.expect("room for a child").run;
    let after = get(store, parent.run).await;
    assert_eq!((after.purse.cpu_us, after.purse.spawns), (ROOT.cpu_us - 1_000, ROOT.spawns - 4));
    assert_eq!(purse().await, before, "nothing of the conversation's");
    let child = claim(store, child).await;
    store.finish(child, crate::support::success()).await.expect("it has its claim");
    assert_eq!(get(store, parent.run).await.purse, after.purse, "what it left is not its parent's");
    assert_eq!((purse().await.cpu_us, purse().await.spawns), (before.cpu_us + 1_000, before.spawns + 3));
}

pub(crate) async fn a_tool_call_spawns_no_more_than_its_plugins_total(store: &dyn Store) {
    let parent = root(store, 1).await;
    let by = |spawner: &'static str| {
        move |spawn: &mut sublane_store::Spawn| {
            spawn.spec.lifetime = Lifetime::Detached;
            spawn.spec.spawner = spawner.into();
            spawn.draw = Draw::Conversation { total: 2 };
        }
    };
    for seq in 1..=2 {
        spawn_with(store, &parent, seq, by("video")).await.answer.expect("within its total");
    }
    let refused = spawn_with(store, &parent, 3, by("video")).await.answer.expect_err("two were made");
    assert!(matches!(&refused, ImportError::Limit(hit) if hit.which == "spawn.total" && hit.value == 2));
    spawn_with(store, &parent, 4, by("music")).await.answer.expect("another plugin's tool");
    let other = root(store, 2).await;
    spawn_with(store, &other, 1, by("video")).await.answer.expect("another run");
}

pub(crate) async fn a_tool_calls_spawn_takes_from_the_conversation(store: &dyn Store) {
    let parent = root(store, 1).await;
    let conversation = get(store, parent.run).await.spec.conversation;
    let purse = async || store.conversation(conversation).await.expect("readable").expect("there").purse;
    let before = purse().await;
    crate::support::spawn_detached(store, &parent, 1).await;
    let after = get(store, parent.run).await;
    assert_eq!(after.purse, ROOT, "nothing of the parent's own");
    assert_eq!((after.active_children, after.attached_children), (1, 0));
    assert_eq!(purse().await.cpu_us, before.cpu_us - 1_000);
    assert_eq!(purse().await.spawns, before.spawns - 4);
}

/// Complaint 18760 (R13): the same job was handed out again and again.
pub(crate) async fn a_dedupe_key_finds_the_same_run(store: &dyn Store) {
    let parent = root(store, 1).await;
    let keyed = |spawn: &mut sublane_store::Spawn| spawn.spec.dedupe_key = Some("film of the day".into());
    let first = spawn_with(store, &parent, 1, keyed).await.answer.expect("new");
    let second = spawn_with(store, &parent, 2, keyed).await;
    assert!(second.ready.is_none(), "nothing new to run");
    let answer = second.answer.expect("found");
    assert!(answer.duplicate);
    assert_eq!(answer.run, first.run);
    assert_eq!(second.child.expect("the run that was found").spec.id, first.run);
    let parent = get(store, parent.run).await;
    assert_eq!((parent.active_children, parent.purse.spawns), (1, ROOT.spawns - 4), "paid for once");
}

pub(crate) async fn a_dedupe_key_is_the_spawners_own(store: &dyn Store) {
    let parent = root(store, 1).await;
    let keyed = |spawner: &'static str, conversation: Option<u8>| {
        move |spawn: &mut sublane_store::Spawn| {
            spawn.spec.dedupe_key = Some("k".into());
            spawn.spec.spawner = spawner.into();
            if let Some(n) = conversation {
                spawn.spec.conversation = sublane_core::ConversationId([n; 16]);
            }
        }
    };
    let first = spawn_with(store, &parent, 1, keyed("video", None)).await.answer.expect("new");
    let other_plugin = spawn_with(store, &parent, 2, keyed("concierge", None)).await.answer.expect("new");
    let other_place = spawn_with(store, &parent, 3, keyed("video", Some(7))).await.answer.expect("new");
    assert!(!other_plugin.duplicate && !other_place.duplicate);
    assert!(first.run != other_plugin.run && first.run != other_place.run);
}

pub(crate) async fn too_many_active_children_are_refused_with_the_limit(store: &dyn Store) {
    let parent = root(store, 1).await;
    for seq in 1..=5 {
        spawn(store, &parent, seq).await;
    }
    let refused = spawn_with(store, &parent, 6, |_| {}).await.answer.expect_err("five are alive");
    assert!(
        matches!(&refused, ImportError::Limit(hit) if hit.which == "spawn.active-children" && hit.value == 5)
    );
    let ended = claim(store, parent.run.child(0, &sublane_core::Path::root().then(1))).await;
    store.finish(ended, crate::support::success()).await.expect("it has its claim");
    spawn_with(store, &parent, 7, |_| {}).await.answer.expect("one has ended");
}

/// Complaint 57639 (R41): a hundred children one after the other: only those at once were counted.
pub(crate) async fn an_empty_purse_is_refused_with_the_limit(store: &dyn Store) {
    let parent = root(store, 1).await;
    for lifetime in [Lifetime::Attached, Lifetime::Detached] {
        let seq = 1 + lifetime as u32;
        let greedy = |spawn: &mut sublane_store::Spawn| {
            spawn.spec.lifetime = lifetime;
            spawn.ask.cpu_us = Share::Exactly(u64::MAX);
        };
        let refused = spawn_with(store, &parent, seq, greedy).await.answer.expect_err("too much");
        assert!(matches!(&refused, ImportError::Limit(hit) if hit.which == "purse.cpu-us"), "{refused}");
    }
}

pub(crate) async fn a_refusal_is_in_the_journal_and_changes_nothing(store: &dyn Store) {
    let parent = root(store, 1).await;
    let before = get(store, parent.run).await;
    let conversation = before.spec.conversation;
    let mut spawn = child(&parent, conversation, 1);
    spawn.active_children = 0;
    let refused = store.spawn(spawn).await.expect("the claim is good");
    assert!(refused.answer.is_err() && refused.child.is_none() && refused.ready.is_none());
    assert_eq!(get(store, parent.run).await, before);
    let journal = store.journal(parent.run, 0).await.expect("readable");
    assert_eq!(journal, [refused.entry]);
    assert_eq!(journal[0].import, Import::Spawn);
    assert!(store.queued(None, 9).await.expect("readable").is_empty());
}
