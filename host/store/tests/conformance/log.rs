//! What guests log: the newest lines of each run, and not for ever.

use std::time::Duration;

use sublane_core::RunId;
use sublane_store::ops::{MAX_LOG_BYTES, MAX_LOG_LINES, log_bytes};
use sublane_store::{Keep, LogLevel, LogLine, Store};

use crate::support::{accept, at, link_base, root};

fn line(run: RunId, text: &str) -> LogLine {
    LogLine {
        run,
        number: 0,
        generation: 0,
        attempt: 1,
        at: at(1),
        level: LogLevel::Info,
        plugin: None,
        dropped: 0,
        line: text.into(),
    }
}

async fn lines(store: &dyn Store, run: RunId) -> Vec<(u64, String)> {
    let log = store.logs(run, 0).await.expect("readable");
    log.iter().map(|line| (line.number, line.line.to_string())).collect()
}

pub(crate) async fn lines_come_back_as_they_were_written(store: &dyn Store) {
    let (one, two) = (root(store, 1).await.run, root(store, 2).await.run);
    let rich = LogLine {
        generation: 3,
        attempt: 7,
        level: LogLevel::Error,
        plugin: Some("tools".into()),
        dropped: 9,
        ..line(one, "two\nlines\u{1b}[2J")
    };
    store.log(vec![line(one, "a"), rich.clone(), line(two, "b")]).await.expect("written");
    store.log(vec![line(one, "c")]).await.expect("written");
    assert_eq!(lines(store, two).await, [(1, "b".to_owned())]);
    let log = store.logs(one, 1).await.expect("readable");
    assert_eq!(log, [LogLine { number: 2, ..rich }, LogLine { number: 3, ..line(one, "c") }]);
}

pub(crate) async fn the_newest_lines_of_a_run_are_kept(store: &dyn Store) {
    let (run, other) = (root(store, 1).await.run, root(store, 2).await.run);
    store.log(vec![line(other, "stays")]).await.expect("written");
    for from in [0, 700] {
        let some = (from..from + 700).map(|n| line(run, &n.to_string())).collect();
        store.log(some).await.expect("written");
    }
    let kept = lines(store, run).await;
    assert_eq!(kept.len() as u64, MAX_LOG_LINES);
    assert_eq!((&kept[0], &kept[999]), (&(401, "400".to_owned()), &(1_400, "1399".to_owned())));

    let long = "x".repeat(8 << 10);
    store.log((0..40).map(|_| line(run, &long)).collect()).await.expect("written");
    let kept = lines(store, run).await;
    let bytes: u64 = kept.iter().map(|(_, line)| log_bytes(line)).sum();
    assert!(bytes <= MAX_LOG_BYTES + log_bytes(&long), "{bytes} bytes");
    assert!(bytes > MAX_LOG_BYTES - log_bytes(&long), "{bytes} bytes");
    assert_eq!(kept.last().map(|last| last.0), Some(1_440));

    let huge = "y".repeat(usize::try_from(MAX_LOG_BYTES).expect("small") * 2);
    store.log(vec![line(run, &huge)]).await.expect("written");
    assert_eq!(lines(store, run).await, [(1_441, huge)], "the newest always is");
    assert_eq!(lines(store, other).await, [(1, "stays".to_owned())]);
}

pub(crate) async fn a_log_goes_with_its_run_or_before_it(store: &dyn Store) {
    let runs = [accept(store, 1).await.run, accept(store, 2).await.run, root(store, 3).await.run];
    for run in runs {
        store.log((0..5).map(|n| line(run, &n.to_string())).collect()).await.expect("written");
    }
    for (run, ended) in [(runs[0], 10), (runs[1], 20)] {
        store.cancel(run, "not wanted".into(), link_base(), at(ended)).await.expect("cancelled");
    }
    let second = Duration::from_secs(1);
    let old = store.remove_logs(second, None, 100, at(1_009)).await.expect("removed");
    assert_eq!((old.lines, old.is_more), (0, false), "none is old enough");
    // In pieces, and from where the last one ended.
    let mut removed = Vec::new();
    let mut next = None;
    loop {
        let old = store.remove_logs(second, next, 3, at(1_015)).await.expect("removed");
        removed.push(old.lines);
        next = old.next;
        if !old.is_more {
            break;
        }
    }
    assert_eq!(removed, [3, 2]);
    assert_eq!(lines(store, runs[0]).await, []);
    assert_eq!((lines(store, runs[1]).await.len(), lines(store, runs[2]).await.len()), (5, 5));
    let old = store.remove_logs(second, next, 100, at(1_015)).await.expect("removed");
    assert_eq!((old.lines, old.is_more), (0, false));

    for delivery in store.take_deliveries(9, at(30)).await.expect("taken") {
        store.postpone(vec![(delivery.id, 1)], at(40), sublane_store::WaitsFor::Turn, "".into()).await.ok();
    }
    let owed = store.deliveries(sublane_store::DeliveryFilter { limit: 9, ..Default::default() }).await;
    for delivery in owed.expect("readable") {
        let settled = sublane_core::delivery::AttemptResult::Delivered { note: String::new() };
        store
            .settle(
                delivery.id,
                delivery.attempts,
                settled,
                sublane_core::delivery::SettleRule::default(),
                at(50),
            )
            .await
            .expect("settled");
    }
    let keep = Keep { runs: second, duplicates: second, dead_letters: second };
    let some = store.remove_runs(vec![runs[1]], keep, 4, at(9_000)).await.expect("removed");
    assert_eq!((some.runs, some.rows), (0, 4), "the lines first");
    let rest = store.remove_runs(vec![runs[1]], keep, 100, at(9_000)).await.expect("removed");
    assert_eq!(rest.runs, 1, "{:?}", store.run(runs[1]).await);
    assert_eq!(lines(store, runs[1]).await, []);
}

pub(crate) async fn lines_of_a_run_that_is_gone_are_passed_over(store: &dyn Store) {
    let run = root(store, 1).await.run;
    let gone = RunId([9; 16]);
    store.log(vec![line(gone, "late"), line(run, "in time")]).await.expect("written");
    assert_eq!(lines(store, gone).await, []);
    assert_eq!(lines(store, run).await, [(1, "in time".to_owned())]);
}
