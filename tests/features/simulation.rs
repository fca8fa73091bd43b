//! Whole lives of hosts, made of chance, and what has to hold in each: the short form of
//! `cargo xtask soak --seeds`.

use sublane_tests::simulation::judge::jobs;
use sublane_tests::simulation::outside::Job;
use sublane_tests::simulation::{Counts, Plan, play};

/// Seeds that every run of the tests plays.
const SEEDS: u64 = 200;

// Some seeds come to no end on a busy machine, and alone they do: until it is known why, this is a
// command of its own.
#[ignore = "run it by `cargo xtask soak --seeds 200`"]
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_lives_keep_every_promise() {
    let at_once = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let report = play(0..SEEDS, at_once, |_| {}).await;
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

#[test]
fn a_request_with_two_keys_is_told() {
    let job = |key: &str, body: &str| Job { key: key.to_owned(), body: body.to_owned() };
    assert_eq!(jobs(&[job("a", "0/1"), job("a", "0/1"), job("b", "0/2")]), Vec::<String>::new());
    let told = jobs(&[job("a", "0/1"), job("b", "0/1")]);
    assert_eq!(told, ["what 0/1 asks of the provider came with two keys"]);
    assert_eq!(jobs(&[job("a", "0/1"), job("a", "0/2")]), ["the key of 0/2 came with something else"]);
}
