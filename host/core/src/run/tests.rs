//! Every step in every state, and when a run begins again by itself.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::expect;

use super::*;

fn run() -> Run {
    let grants = serde_json::from_str(r#"{"caps":{"deadline":90000000,"memory_bytes":65536}}"#);
    Run::queued(RunSpec {
        id: RunId([1; 16]),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([2; 16]),
        origin: "console:test".parse().expect("well formed"),
        plugin: "film".to_owned(),
        agent: "render".to_owned(),
        plugin_digest: "ab".repeat(32),
        name: "film-1".to_owned(),
        lane: "main".to_owned(),
        priority: Priority::Normal,
        depth: 0,
        input: "{}".into(),
        artifacts: Vec::new(),
        grants: grants.expect("grants in their stored form"),
        purse: Purse::default(),
        destinations: Vec::new(),
        created: Timestamp(1_000),
        dedupe_key: None,
        spawner: "film".to_owned(),
        seed: [7; 32],
        retry: None,
    })
}

fn good() -> Outcome {
    Outcome::Succeeded(Output { value: "1".into(), text: None, artifacts: Vec::new() })
}

fn bad() -> Outcome {
    Outcome::failed(Failure::Failed, "no such fox")
}

#[test]
fn each_step_leads_where_it_may_and_nowhere_else() {
    let (token, at, until) = (Token(1), Timestamp(5_000), Timestamp(9_000));
    let states = [
        ("delayed", RunState::Delayed { until }),
        ("queued", RunState::Queued),
        ("running", RunState::Running { token }),
        ("waiting, in memory", RunState::Waiting { token: Some(token) }),
        ("waiting", RunState::Waiting { token: None }),
        ("closing", RunState::Closing { outcome: good() }),
        ("succeeded", RunState::Ended { outcome: good(), at }),
        ("failed", RunState::Ended { outcome: bad(), at }),
    ];
    let steps = [
        ("ready", Step::Ready),
        ("claim", Step::Claim(token)),
        ("park", Step::Park),
        ("evict", Step::Evict),
        ("wake", Step::Wake),
        ("interrupt", Step::Interrupt { crashed: true }),
        ("succeed", Step::Finish(good())),
        ("fail", Step::Finish(bad())),
        ("child ended", Step::ChildEnded),
        ("again", Step::Again { until }),
        ("continue", Step::Continue(run().spec)),
        ("retry", Step::Retry(run().spec)),
    ];
    let mut told = String::new();
    for (name, state) in &states {
        for attached_children in [0, 1] {
            let mut leads = Vec::new();
            for (step_name, step) in &steps {
                let mut run = Run { state: state.clone(), attached_children, ..run() };
                let before = run.clone();
                match run.step(step.clone(), at) {
                    Ok(()) if run.state == before.state => {}
                    Ok(()) => leads.push(format!("{step_name} → {}", run.state.kind())),
                    Err(_) => assert_eq!(run, before, "{step_name} in {name}: nothing has changed"),
                }
            }
            let with = if attached_children > 0 { " with a child" } else { "" };
            let leads = if leads.is_empty() { "nothing".to_owned() } else { leads.join(", ") };
            writeln!(told, "{name}{with}: {leads}").expect("a string takes it");
        }
    }
    expect![[r#"
        delayed: ready → queued, succeed → ended, fail → ended
        delayed with a child: ready → queued, succeed → closing, fail → ended
        queued: claim → running, succeed → ended, fail → ended
        queued with a child: claim → running, succeed → closing, fail → ended
        running: park → waiting, interrupt → queued, succeed → ended, fail → ended, again → delayed, continue → queued
        running with a child: park → waiting, interrupt → queued, succeed → closing, fail → ended, again → delayed, continue → queued
        waiting, in memory: evict → waiting, wake → running, succeed → ended, fail → ended, again → delayed
        waiting, in memory with a child: evict → waiting, wake → running, succeed → closing, fail → ended, again → delayed
        waiting: wake → queued, succeed → ended, fail → ended, again → delayed
        waiting with a child: wake → queued, succeed → closing, fail → ended, again → delayed
        closing: fail → ended, child ended → ended
        closing with a child: fail → ended
        succeeded: nothing
        succeeded with a child: nothing
        failed: retry → queued
        failed with a child: retry → queued
    "#]]
    .assert_eq(&told);
}

/// A policy of five delays of a minute, give or take half of it.
fn policy() -> RetryPolicy {
    RetryPolicy {
        times: 5,
        delay_ms: 60_000,
        factor: 100,
        ceiling_ms: 60_000,
        jitter: 50,
        of: Retried::Failures,
    }
}

#[test]
fn runs_that_failed_together_do_not_begin_again_together() {
    let (token, now) = (Token(1), Timestamp(5_000));
    let mut rests = Vec::new();
    for id in 0..100 {
        let mut spec = RunSpec::clone(&run().spec);
        (spec.id, spec.retry) = (RunId([id; 16]), Some(policy()));
        let run = Run { state: RunState::Running { token }, ..Run::queued(spec) };
        let at = run.again(&bad(), now).expect("it may");
        assert_eq!(run.again(&bad(), now), Some(at), "it is the same whenever it is asked");
        rests.push(at.since(now));
    }
    let (least, most) = (Duration::from_secs(30), Duration::from_secs(90));
    assert!(rests.iter().all(|rest| (least..=most).contains(rest)), "{rests:?}");
    rests.sort();
    rests.dedup();
    assert!(rests.len() > 90, "{rests:?}");
}

#[test]
fn a_policy_and_a_generation_survive_their_stored_form() {
    let text = serde_json::to_string(&policy()).expect("string keys");
    assert_eq!(serde_json::from_str::<RetryPolicy>(&text).expect("what was written"), policy());
    let over = run().over(Over::Failed(bad().permanent()), Timestamp(7_000));
    let text = serde_json::to_string(&over).expect("string keys");
    assert_eq!(serde_json::from_str::<Generation>(&text).expect("what was written"), over);
    let failed = serde_json::to_string(&bad()).expect("string keys");
    assert!(!failed.contains("permanent"), "as it was before there was this: {failed}");
}
