//! Whole lives of hosts, made of chance, and what has to hold in each: the short form of
//! `cargo xtask soak --seeds`.

use std::io::Write as _;

use sublane_tests::simulation::judge::jobs;
use sublane_tests::simulation::outside::Job;
use sublane_tests::simulation::seeds::{Doing, all};
use sublane_tests::simulation::{Counts, Plan, Report, play};

/// Seeds that every run of the tests plays.
const SEEDS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_lives_keep_every_promise() {
    let at_once = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let report = play(0..SEEDS, at_once, |one| {
        // At once, and not when the test has ended: one that stands still may hold its end up.
        let _ = std::io::stderr().write_all(one.told().as_bytes());
    })
    .await;
    assert!(report.failed.is_empty(), "{}", report.told());
    assert_eq!(report.seeds, SEEDS);
    // What never happens shows nothing.
    let Counts { killed, stood, jumps, failed, reloads, calls } = report.counts;
    for (what, count, least) in [
        ("runs", report.runs, 10 * SEEDS),
        ("deliveries", report.deliveries, 5 * SEEDS),
        ("hosts that died", killed, SEEDS),
        ("hosts that stood still", stood, SEEDS / 4),
        ("jumps of the clock", jumps, SEEDS / 4),
        ("failures of the store", failed, SEEDS),
        ("changes of the plugin", reloads, SEEDS / 4),
        ("calls of hooks", calls, SEEDS / 20),
    ] {
        assert!(count >= least, "there were {count} {what}, and should be {least} at least");
    }
}

#[test]
fn a_seed_is_the_same_plan_each_time() {
    for seed in 0..SEEDS {
        assert_eq!(Plan::of(seed), Plan::of(seed));
        assert_ne!(Plan::of(seed).moves, Plan::of(seed + 1).moves, "seed {seed}");
    }
}

/// On a clock that goes on when nobody does anything.
#[tokio::test(start_paused = true)]
async fn a_seed_that_comes_to_no_end_fails_with_what_it_does_and_holds_up_no_other() {
    let play = |seed: u64, doing: Doing| async move {
        doing.part(format!("move 3 of {seed}"));
        doing.now("the host stops");
        if seed == 5 {
            std::future::pending::<()>().await;
        }
        Report { seeds: 1, ..Report::default() }
    };
    let mut order = Vec::new();
    let report = all(4..9, 2, play, |one| order.push(one.failed.len())).await;
    assert_eq!(order, [0, 0, 0, 0, 1]);
    assert_eq!(report.seeds, 5);
    let told = report.told();
    assert!(told.starts_with("seed 5: run it again with"), "{told}");
    assert!(told.contains("comes to no end: for 120 s, in move 3 of 5: the host stops"), "{told}");
}

#[test]
fn a_request_with_two_keys_is_told() {
    let job = |key: &str, body: &str| Job { key: key.to_owned(), body: body.to_owned() };
    let once = |_: &str| 1;
    assert_eq!(jobs(&[job("a", "0/1"), job("a", "0/1"), job("b", "0/2")], once), Vec::<String>::new());
    assert_eq!(jobs(&[job("a", "0/1"), job("b", "0/1")], |_| 2), Vec::<String>::new());
    let told = jobs(&[job("a", "0/1"), job("b", "0/1")], once);
    assert_eq!(told, ["what 0/1 asks of the provider came with 2 keys"]);
    assert_eq!(jobs(&[job("a", "0/1"), job("a", "0/2")], once), ["the key of 0/2 came with something else"]);
}
