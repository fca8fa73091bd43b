//! Random trees that spawn, spend, end and lose their host: what was spent and what is still held are
//! never more than what the conversation was given.
//!
//! `SUBLANE_PROPERTY_CASES` says how many trees.

use proptest::collection::vec;
use proptest::prelude::*;
use sublane_core::{
    Failure, Import, Lifetime, Outcome, Path, Purse, PurseAsk, Run, RunId, RunState, Share, Timestamp,
};
use sublane_store::{By, Draw, Model, RunFilter, Spawn, SqliteStore, Store};

use crate::support::{FULL, MAX_CRASHES, accept, at, child, entry, get, grants, link_base, success, token};

/// Trees of a normal test: they are on the model, which takes a transaction as SQLite does.
const CASES: u32 = 10_000;

/// What happens next. Numbers pick among the runs that it can happen to.
#[derive(Clone, Debug)]
enum Act {
    Claim(usize),
    Spawn { by: usize, ask: Vec<Share>, spawns: u64, detached: bool, from_conversation: bool, deadline: u64 },
    Spend(usize, Vec<u64>),
    Finish(usize, Vec<u64>, bool),
    Interrupt(usize, Vec<u64>, bool),
    Charge(usize, Vec<u64>),
    Cancel(usize),
    Late(u64),
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let pick = 0..16_usize;
    let spent = || vec(prop_oneof![3 => Just(0_u64), 2 => 0..50_u64, 1 => 0..600_000_u64], Purse::AMOUNTS);
    let share = prop_oneof![
        3 => Just(Share::Nothing),
        3 => Just(Share::Half),
        3 => (0..300_u64).prop_map(Share::Exactly),
        1 => Just(Share::Exactly(u64::MAX)),
    ];
    let spawn =
        (pick.clone(), vec(share, Purse::AMOUNTS), 0..30_u64, any::<bool>(), any::<bool>(), 1..90_000_u64)
            .prop_map(|(by, ask, spawns, detached, from_conversation, deadline)| Act::Spawn {
                by,
                ask,
                spawns,
                detached,
                from_conversation,
                deadline,
            });
    let act = prop_oneof![
        6 => pick.clone().prop_map(Act::Claim),
        6 => spawn,
        4 => (pick.clone(), spent()).prop_map(|(by, spent)| Act::Spend(by, spent)),
        3 => (pick.clone(), spent(), any::<bool>()).prop_map(|(by, spent, well)| Act::Finish(by, spent, well)),
        1 => (pick.clone(), spent(), any::<bool>()).prop_map(|(by, spent, crash)| Act::Interrupt(by, spent, crash)),
        1 => (pick.clone(), spent()).prop_map(|(by, spent)| Act::Charge(by, spent)),
        1 => pick.clone().prop_map(Act::Cancel),
        1 => (0..30_000_u64).prop_map(Act::Late),
        1 => Just(Act::Crash),
    ];
    vec(act, 1..40)
}

fn purse(amounts: &[u64]) -> Purse {
    Purse::from_amounts(amounts.try_into().expect("as many as there are"))
}

fn ask(shares: &[Share], spawns: u64) -> PurseAsk {
    let [cpu_us, _, artifact_bytes, host_calls, requests, bytes_out, bytes_in, tokens, money_micros] = shares
    else {
        panic!("nine amounts: {shares:?}");
    };
    PurseAsk {
        cpu_us: *cpu_us,
        spawns: Share::Exactly(spawns),
        artifact_bytes: *artifact_bytes,
        host_calls: *host_calls,
        requests: *requests,
        bytes_out: *bytes_out,
        bytes_in: *bytes_in,
        tokens: *tokens,
        money_micros: *money_micros,
    }
}

/// The tree, as its test sees it.
struct Tree<'s> {
    store: &'s dyn Store,
    root: RunId,
    now: Timestamp,
    number: u32,
}

impl Tree<'_> {
    async fn runs(&self) -> Vec<Run> {
        let all = RunFilter { limit: 1_000, ..RunFilter::default() };
        let mut runs = self.store.runs(all).await.expect("readable");
        runs.reverse();
        runs
    }

    async fn pick(&self, which: usize, fits: impl Fn(&Run) -> bool) -> Option<Run> {
        let mut runs = self.runs().await;
        runs.retain(fits);
        (!runs.is_empty()).then(|| runs.swap_remove(which % runs.len()))
    }

    /// An attempt that executes, which has spent this.
    async fn by(&self, which: usize, spent: Purse) -> Option<By> {
        let run = self.pick(which, |run| matches!(run.state, RunState::Running { .. })).await?;
        let RunState::Running { token } = run.state else { unreachable!("it was picked for that") };
        Some(By { run: run.spec.id, token, spent, link_base: link_base(), now: self.now })
    }

    /// What is held by all together.
    async fn held(&self) -> Purse {
        let conversation = get(self.store, self.root).await.spec.conversation;
        let conversation = self.store.conversation(conversation).await.expect("readable").expect("there");
        let mut held = conversation.purse;
        self.runs().await.iter().for_each(|run| held.give_back(run.purse));
        held
    }

    /// Does it. Gives what may have been spent by it.
    async fn act(&mut self, act: &Act) -> Option<Purse> {
        self.number += 1;
        let (store, now) = (self.store, self.now);
        Some(match act {
            Act::Claim(which) => {
                let run = self.pick(*which, |run| run.state == RunState::Queued).await?;
                store.claim(run.spec.id, token(self.number.into()), now).await.ok()?;
                Purse::default()
            }
            Act::Spawn { by, ask: shares, spawns, detached, from_conversation, deadline } => {
                let by = self.by(*by, Purse::default()).await?;
                let conversation = get(store, by.run).await.spec.conversation;
                let path = Path::root().then(self.number);
                let mut spawn = Spawn {
                    path,
                    ask: ask(shares, *spawns),
                    active_children: 20,
                    ..child(&by, conversation, self.number)
                };
                spawn.spec.grants = grants(at(*deadline));
                spawn.spec.lifetime = if *detached { Lifetime::Detached } else { Lifetime::Attached };
                if *detached && *from_conversation {
                    spawn.draw = Draw::Conversation { total: 20 };
                }
                let spawned = store.spawn(spawn).await.ok()?;
                Purse { spawns: u64::from(spawned.answer.is_ok()), ..Purse::default() }
            }
            Act::Spend(which, amounts) => {
                let by = self.by(*which, purse(amounts)).await?;
                let mut entry = entry(self.number, Import::KvGet, "null");
                entry.at = now;
                store.append(by, vec![entry]).await.ok()?;
                purse(amounts)
            }
            Act::Finish(which, amounts, well) => {
                let by = self.by(*which, purse(amounts)).await?;
                let failed = || Outcome::failed(Failure::Failed, "it did not work");
                store.finish(by, if *well { success() } else { failed() }).await.ok()?;
                purse(amounts)
            }
            Act::Interrupt(which, amounts, crashed) => {
                let by = self.by(*which, purse(amounts)).await?;
                store.interrupt(by, *crashed, MAX_CRASHES).await.ok()?;
                purse(amounts)
            }
            Act::Charge(which, amounts) => {
                let run = self.pick(*which, Run::is_ended).await?;
                store.charge(run.spec.id, purse(amounts)).await.ok()?;
                purse(amounts)
            }
            Act::Cancel(which) => {
                let run = self.pick(*which, |run| !run.is_ended()).await?;
                store.cancel(run.spec.id, "not wanted".into(), link_base(), now).await.ok()?;
                Purse::default()
            }
            Act::Late(ms) => {
                self.now = Timestamp(now.0 + ms);
                store.fire_due(100, 100, link_base(), self.now).await.ok()?;
                Purse::default()
            }
            Act::Crash => {
                store.recover(MAX_CRASHES, link_base(), now).await.ok()?;
                Purse::default()
            }
        })
    }
}

/// Amount by amount: what is held is never more than before, and less by what was spent as far as there
/// was something.
async fn check(tree: &mut Tree<'_>, act: &Act) -> Result<(), TestCaseError> {
    let before = tree.held().await;
    let spent = tree.act(act).await.unwrap_or_default();
    let after = tree.held().await;
    let amounts = before.amounts().into_iter().zip(after.amounts()).zip(spent.amounts());
    for (amount, ((before, after), spent)) in amounts.enumerate() {
        prop_assert!(after <= before, "amount {amount} grew from {before} to {after} by {act:?}");
        prop_assert!(before - after <= spent, "amount {amount}: {} of {spent} by {act:?}", before - after);
        prop_assert!(before <= FULL.amounts()[amount], "more than there was: {before}");
    }
    Ok(())
}

/// How many cases, when somebody says so.
fn cases(normally: u32) -> u32 {
    let said = std::env::var("SUBLANE_PROPERTY_CASES").ok();
    said.map_or(normally, |said| said.parse().expect("SUBLANE_PROPERTY_CASES is a number"))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

proptest! {
    #![proptest_config(config(cases(CASES)))]

    #[test]
    fn a_tree_and_its_conversation_never_hold_more_than_they_were_given(acts in acts()) {
        let store = Model::default();
        runtime().block_on(async {
            let root = accept(&store, 1).await.run;
            let mut tree = Tree { store: &store, root, now: at(0), number: 0 };
            for act in &acts {
                check(&mut tree, act).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

proptest! {
    // Opening a store takes a hundred times as long as all that happens in it.
    #![proptest_config(config(cases(CASES) / 200))]

    #[test]
    fn nor_do_they_when_the_store_is_left_and_opened_again(acts in acts()) {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let path = directory.path().join("store.db");
        runtime().block_on(async {
            let mut store = SqliteStore::open(&path).expect("a new store");
            let root = accept(&store, 1).await.run;
            let (mut now, mut number) = (at(0), 0);
            for act in &acts {
                if matches!(act, Act::Crash) {
                    drop(store);
                    store = SqliteStore::open(&path).expect("the same store");
                }
                let mut tree = Tree { store: &store, root, now, number };
                check(&mut tree, act).await?;
                (now, number) = (tree.now, tree.number);
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
