//! Does one step with a store, and says what it answered.

use std::sync::Arc;
use std::time::Duration;

use sublane_core::delivery::{AttemptResult, Order, SettleRule};
use sublane_core::poll::{Plan, Poll};
use sublane_core::{
    Failure, Import, Lifetime, Outcome, Path, Purse, Renewal, Run, RunId, RunState, Timestamp,
};
use sublane_store::{
    Command, Draw, Firing, Keep, LaneSetting, LogLevel, LogLine, PauseRow, PluginRow, PollMove, Source,
    Spawn, Store, Wait, WaitFor, WaitsFor,
};

use super::step::{Moment, Step, VERSIONS};
use super::view::View;
use crate::support::{
    MAX_CRASHES, artifact, at, child, destination, entry, grants, link_base, message, success, token,
};

/// The name of a plugin.
pub(super) fn plugin(which: u8) -> String {
    ["video", "film"][usize::from(which) % 2].to_owned()
}

/// The digest of a version; two of them begin alike.
pub(super) fn digest(version: u8) -> String {
    ["ab", "abab01", "cd"][usize::from(version) % 3].repeat(32).chars().take(64).collect()
}

/// Does one step; what it answered, as text. `view` says what there is to pick from.
pub(super) async fn apply(store: &dyn Store, step: &Step, moment: &Moment, view: &View) -> String {
    let Moment { number, now } = *moment;
    let here = Path::root().then(number);
    match step {
        Step::Accept { n, place, repeated, keyed, version } => {
            let origin = format!("console:{place}");
            let mut accept = message(*n, &origin);
            // Ids are never made twice; events may come twice.
            accept.spec.id =
                RunId::new(now, number.to_be_bytes().repeat(3)[..10].try_into().expect("ten bytes"));
            accept.conversation.id = sublane_core::ConversationId([*place; 16]);
            accept.spec.created = now;
            accept.spec.dedupe_key = keyed.then(|| format!("root {number}"));
            accept.spec.grants = grants(at(60_000 + u64::from(*n)));
            if n.is_multiple_of(3) {
                accept.spec.plugin = plugin(1);
            }
            accept.spec.plugin_digest = digest(*version);
            if !repeated {
                accept.event = None;
            }
            format!("{:?}", store.accept(accept).await)
        }
        Step::Claim(which) => {
            let run = view.pick(*which, |run| run.state == RunState::Queued);
            format!("{:?}", store.claim(run, token(number.into()), now).await)
        }
        Step::Append(which) => {
            let mut entry = entry(number, Import::KvGet, "null");
            entry.at = now;
            format!("{:?}", store.append(view.by(*which, now), vec![entry]).await)
        }
        Step::Command(which, what, to) => {
            let by = view.by(*which, now);
            let command = match what {
                9 | 10 => hook_command(number),
                11 => Command::CloseHook(hook_of(store, by.run, *to).await),
                _ => command(*what, view.pick(*to, |run| run.spec.parent.is_some())),
            };
            let mut entry = entry(number, Import::KvSet, "");
            entry.at = now;
            format!("{:?}", store.command(by, entry, command).await)
        }
        Step::Spawn { by, attached, keyed, owes, deadline } => {
            let by = view.by(*by, now);
            let conversation = view.conversation(by.run);
            let mut spawn = Spawn { path: here, ..child(&by, conversation, number) };
            spawn.spec.lifetime = if *attached { Lifetime::Attached } else { Lifetime::Detached };
            spawn.draw = match number % 3 {
                0 if !attached => Draw::Conversation { total: 2 },
                _ => Draw::Spawner,
            };
            spawn.start = (number % 4 == 1).then(|| Timestamp(now.0 + deadline / 8));
            spawn.spec.retry = (number % 3 == 1).then(|| crate::again::policy(2));
            spawn.spec.dedupe_key = keyed.then(|| "the one".to_owned());
            spawn.spec.created = now;
            spawn.spec.grants = grants(Timestamp(now.0 + deadline));
            if *owes {
                spawn.spec.destinations = vec![destination("webhook:films"), destination("console:me")];
            }
            format!("{:?}", store.spawn(spawn).await)
        }
        Step::Park { by, kind, target, due } => {
            let by = view.by(*by, now);
            let runs = vec![view.pick(*target, |_| true), view.pick(target + 1, |_| true)];
            let due = due.map(|after| Timestamp(now.0 + after));
            let what = match kind {
                0 => WaitFor::Sleep,
                7 => WaitFor::Hook { hook: hook_of(store, by.run, *target).await },
                1 => WaitFor::Message,
                8 | 9 => {
                    let hint = (*target % 2 == 0).then_some(hook_of(store, by.run, *target).await);
                    let server = format!("http://server-{}", target % 3);
                    crate::poll::for_poll(Plan { hint, until: due, ..crate::poll::plan(&server, 40) })
                }
                2 | 3 => WaitFor::Runs { runs, all: *kind == 2 },
                kind => {
                    let first = Source::Runs { runs: runs[..1].to_vec(), all: false };
                    let all = Source::Runs { runs, all: true };
                    let hook = Source::Hook(hook_of(store, by.run, *target).await);
                    let plan = Plan { until: due, ..crate::poll::plan("http://server-1", 900) };
                    let mut sources = vec![first, Source::Message, Source::Poll(Arc::new(plan)), hook, all];
                    // Where the time stands among the others differs.
                    let place = usize::from(kind % 4);
                    sources.splice(place..place, due.map(Source::Until));
                    WaitFor::Any { sources }
                }
            };
            let wait = Wait { run: by.run, path: here, import: Import::Wait, args: 3, what, due };
            format!("{:?}", store.park(by, wait).await)
        }
        Step::Evict(which) => format!("{:?}", store.evict(view.by(*which, now)).await),
        Step::Finish(which, how) => {
            let outcome = match how {
                0 | 1 => Outcome::failed(Failure::Failed, "it did not work"),
                2 => Outcome::failed(Failure::Failed, "it never will").permanent(),
                _ => success(),
            };
            format!("{:?}", store.finish(view.by(*which, now), outcome).await)
        }
        Step::Continue(which) => {
            let mut entry = entry(number, Import::ContinueAsNew, r#"{"Ok":null}"#);
            entry.at = now;
            let artifacts = if number % 2 == 0 { vec![artifact(1)] } else { Vec::new() };
            let task = sublane_core::NextTask { input: number.to_string().into(), artifacts };
            format!("{:?}", store.continue_as_new(view.by(*which, now), entry, task).await)
        }
        Step::Interrupt(which, crashed) => {
            format!("{:?}", store.interrupt(view.by(*which, now), *crashed, MAX_CRASHES).await)
        }
        Step::Cancel(which) => {
            let run = view.pick(*which, |run| !run.is_ended());
            format!("{:?}", store.cancel(run, "not wanted".into(), link_base(), now).await)
        }
        Step::Charge(which) => {
            format!("{:?}", store.charge(view.pick(*which, Run::is_ended), crate::support::cpu(17)).await)
        }
        Step::FireDue(limit) => format!("{:?}", store.fire_due(*limit, *limit, link_base(), now).await),
        Step::TakeDeliveries(limit) => format!("{:?}", store.take_deliveries(*limit, now).await),
        Step::Settle(which, how) => {
            let Some((id, attempt)) = view.delivery(*which) else { return String::new() };
            let note = format!("step {number}");
            let result = match how {
                0 => AttemptResult::Delivered { note },
                1 => AttemptResult::Permanent { note },
                2 => AttemptResult::Retry { note, retry_after: None, ambiguous: false },
                3 => AttemptResult::Gone { note },
                _ => {
                    let retry_after = Some(Duration::from_millis(7_500));
                    AttemptResult::Retry { note, retry_after, ambiguous: true }
                }
            };
            let order = if how % 2 == 0 { Order::Any } else { Order::Strict };
            let rule = SettleRule { order, jitter: 0.25, window: Duration::from_secs(20) };
            format!("{:?}", store.settle(id, attempt, result, rule, now).await)
        }
        Step::WaitForEarlier(which) | Step::RetryDelivery(which) | Step::DismissDelivery(which) => {
            let Some((id, attempt)) = view.delivery(*which) else { return String::new() };
            match step {
                Step::WaitForEarlier(_) => format!("{:?}", store.wait_for_earlier(id, attempt).await),
                Step::RetryDelivery(_) => format!("{:?}", store.retry_delivery(id, now).await),
                _ => format!("{:?}", store.dismiss_delivery(id, "not wanted".into(), now).await),
            }
        }
        Step::Progress(which, percent) => {
            let run = view.pick(*which, |_| true);
            format!("{:?}", store.progress(vec![(run, *percent, format!("step {number}").into())]).await)
        }
        Step::Ask => format!("{:?}", store.ask(format!("step {number}").into(), now).await),
        Step::IntentDone => {
            let first = store.intents(1).await.expect("readable").first().map_or(7, |intent| intent.number);
            format!("{:?}", store.intent_done(first, format!("step {number}").into()).await)
        }
        Step::Say(which) => {
            let run = view.pick(*which, |run| !run.is_ended());
            format!("{:?}", store.send(run, "\"hello\"".into(), None, now).await)
        }
        Step::Retry(which, version) => {
            let rests = |run: &Run| run.retried > 0 && matches!(run.state, RunState::Delayed { .. });
            let run = view.pick(*which, |run| run.is_ended() || rests(run));
            let renewal = Renewal { plugin_digest: version.map(digest), seed: [7; 32] };
            format!("{:?}", store.retry(run, renewal, None, now).await)
        }
        Step::CancelConversation(which) => {
            let conversation = view.conversation(view.pick(*which, |_| true));
            let cancelled = store.cancel_conversation(conversation, "by hand".into(), link_base(), now);
            format!("{:?}", cancelled.await)
        }
        Step::SetLane(n) => {
            let setting =
                LaneSetting { paused: n % 2 == 0, slots: (*n > 1).then_some(number), queue_length: None };
            format!("{:?}", store.set_lane(format!("lane-{n}").into(), setting).await)
        }
        Step::Recover => format!("{:?}", store.recover(MAX_CRASHES, link_base(), now).await),
        Step::CallHook { which, key } => {
            let hooks = hooks(store, view).await;
            let Some(token) = hooks.get(which % hooks.len().max(1)) else { return String::new() };
            let call = crate::hook::call(&format!("key {key}"), 0);
            format!("{:?}", store.call_hook(*token, call, now).await)
        }
        Step::Poll { which, how } => {
            let polls = polls(store, view).await;
            let Some(poll) = polls.get(which % polls.len().max(1)) else { return String::new() };
            let seen = format!("step {number}").into();
            let moved = match how {
                0 | 1 => PollMove::Begin { again: Timestamp(now.0 + 700) },
                2 => PollMove::Redirected,
                3 => PollMove::Ends(Ok(crate::poll::done())),
                _ => PollMove::GoesOn { due: Timestamp(now.0 + 90), seen, streak: Some((1, number)) },
            };
            let spent = Purse { requests: 7, bytes_in: 30, ..Purse::default() };
            let made = if which.is_multiple_of(7) { poll.made + 1 } else { poll.made };
            format!("{:?}", store.poll(poll.id, made, spent, moved, now).await)
        }
        Step::SetSchedules(n) => {
            let all = [("films", "0 * * * * UTC"), ("report", "0 0 * * * UTC"), ("report", "@daily UTC")];
            let some = all.iter().skip(usize::from(*n)).take(2);
            let mut rules: Vec<_> = some.map(|(name, rule)| (name.to_string(), rule.to_string())).collect();
            rules.dedup_by(|a, b| a.0 == b.0);
            format!("{:?}", store.set_schedules(rules, now).await)
        }
        Step::FireSchedule { which, stale, n } => {
            let rows = store.schedules().await.expect("readable");
            let Some(row) = rows.get(which % rows.len().max(1)) else { return String::new() };
            let mut accept = message(*n, "console:1");
            accept.spec.id =
                RunId::new(now, number.to_be_bytes().repeat(3)[..10].try_into().expect("ten bytes"));
            accept.conversation.id = sublane_core::ConversationId([1; 16]);
            accept.spec.created = now;
            accept.spec.grants = grants(at(60_000 + u64::from(*n)));
            let firing = Firing {
                name: row.name.clone(),
                rule: row.rule.clone(),
                after: if *stale { at(7) } else { row.decided },
                decided: now,
                run: (n % 3 > 0).then(|| (now, Box::new(accept))),
                passed: u64::from(*n % 4),
                note: format!("step {number}").into(),
            };
            format!("{:?}", store.fire_schedule(firing).await)
        }
        Step::Log { which, lines, bytes } => {
            let run = view.pick(*which, |_| true);
            let said = |n: u16| LogLine {
                run,
                number: 0,
                generation: 0,
                attempt: number,
                at: now,
                level: LogLevel::ALL[usize::from(n % 5)],
                plugin: n.is_multiple_of(7).then(|| "tools".into()),
                dropped: u32::from(n % 3),
                line: "x".repeat(*bytes).into(),
            };
            format!("{:?}", store.log((0..*lines).map(said).collect()).await)
        }
        Step::Postpone { which, channel, after } => {
            let Some((id, attempt)) = view.delivery(*which) else { return String::new() };
            let waits = if *channel { WaitsFor::Channel } else { WaitsFor::Turn };
            let until = Timestamp(now.0 + after);
            // Every eighth one is of an attempt that is over.
            let attempt = if which.is_multiple_of(8) { attempt + 1 } else { attempt };
            let begun = vec![(id, attempt), (sublane_core::DeliveryId([9; 16]), 1)];
            format!("{:?}", store.postpone(begun, until, waits, format!("step {number}").into()).await)
        }
        Step::SetPlugins(n) => {
            let row = |(id, version): (u8, u8)| PluginRow {
                id: plugin(id),
                version: format!("0.{version}.0"),
                digest: digest(version),
                since: now,
            };
            let rows = [(0, *n % VERSIONS), (1, 0)].into_iter().skip(usize::from(*n == 3)).map(row);
            format!("{:?}", store.set_plugins(rows.collect()).await)
        }
        Step::SetPause { plugin: which, failures, until } => {
            let (until, why) = (until.map(|after| Timestamp(now.0 + after)), format!("step {number}"));
            let pause = PauseRow { plugin: plugin(*which), failures: *failures, until, why };
            format!("{:?}", store.set_pause(pause).await)
        }
        Step::LiftPause(which) => format!("{:?}", store.lift_pause(plugin(*which).into()).await),
        Step::CancelVersion { plugin: which, digest: version, limit } => {
            let (plugin, digest) = (plugin(*which).into(), digest(*version).into());
            let cancelled = store.cancel_version(plugin, digest, "removed".into(), *limit, link_base(), now);
            format!("{:?}", cancelled.await)
        }
        // With the intent that asked for it, answered in the same commit.
        Step::Answered { which, retry } => {
            let asked = store.ask(format!("step {number}").into(), now).await.expect("asked");
            let intent = Some((asked, format!("answer {number}").into()));
            if *retry {
                let run = view.pick(*which, Run::is_ended);
                let renewal = Renewal { plugin_digest: None, seed: [8; 32] };
                format!("{:?}", store.retry(run, renewal, intent, now).await)
            } else {
                let run = view.pick(*which, |run| !run.is_ended());
                format!("{:?}", store.send(run, "\"asked\"".into(), intent, now).await)
            }
        }
        Step::RemoveLogs { age, limit } => {
            format!("{:?}", store.remove_logs(Duration::from_millis(*age), None, *limit, now).await)
        }
        Step::Remove { age, limit } => {
            let age = Duration::from_millis(*age);
            let keep = Keep { runs: age, duplicates: age, dead_letters: age };
            let old = store.old_runs(keep, None, *limit, now).await.expect("readable");
            let removed = store.remove_runs(old.runs.clone(), keep, *limit, now).await;
            format!("{old:?} {removed:?}")
        }
    }
}

fn hook_command(number: u32) -> Command {
    let mut token = [0; 32];
    token[..4].copy_from_slice(&number.to_be_bytes());
    let verification = sublane_core::hook::Verification::Nobody;
    Command::OpenHook { token, url: format!("http://x/{number}").into(), verification }
}

/// One of a run's hooks, or one that is not there.
async fn hook_of(store: &dyn Store, run: RunId, which: usize) -> sublane_core::HookId {
    let hooks = store.hooks_of(run).await.expect("readable");
    hooks.get(which % hooks.len().max(1)).map_or(sublane_core::HookId([9; 16]), |hook| hook.id)
}

/// The poll plans of all runs.
async fn polls(store: &dyn Store, view: &View) -> Vec<Poll> {
    let mut polls = Vec::new();
    for run in &view.runs {
        polls.extend(store.polls_of(run.spec.id).await.expect("readable"));
    }
    polls
}

/// The tokens of all hooks.
async fn hooks(store: &dyn Store, view: &View) -> Vec<[u8; 32]> {
    let mut tokens = Vec::new();
    for run in &view.runs {
        let hooks = store.hooks_of(run.spec.id).await.expect("readable");
        tokens.extend(hooks.iter().map(|hook| hook.token));
    }
    tokens
}

fn command(what: u8, to: RunId) -> Command {
    let (bucket, key) = (Arc::from("notes"), Arc::from(["a", "a/b", "c"][usize::from(what % 3)]));
    match what {
        0 | 1 => Command::KvSet { bucket, key, value: vec![what; 3] },
        2 => Command::KvDelete { bucket, key },
        3 => Command::Send { to, message: "\"hello\"".into() },
        4 => Command::Cancel { run: to, reason: "by its parent".into() },
        5 => Command::Deliver {
            destination: destination("console:me"),
            text: "half way".into(),
            artifacts: vec![],
        },
        6 => Command::Artifact(artifact(1)),
        7 => Command::KvSetIf { bucket, key, held: Some(vec![1; 3]), value: vec![what; 2] },
        _ => Command::Refused(sublane_core::ImportError::Denied("kv".into())),
    }
}
