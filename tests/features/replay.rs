//! A run that was evicted or interrupted goes on as if nothing had been.
//!
//! All of it in one process and on a clock that is moved by hand: a crash here
//! is a store that refuses everything from some write on. What a killed process
//! leaves is the subject of `crash`.

mod memory;

use memory::{Life, Scene};
use sublane::engine::pool::SMALLEST;
use sublane_tests::crash::{Point, Side};

#[tokio::test(flavor = "multi_thread")]
async fn evicted_at_each_wait_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await;
    assert_eq!(left_alone.run.attempt, 1, "left alone, one attempt does it");
    let evicted = scene.live(Life { is_evicted: true, ..Life::default() }).await;
    assert!(evicted.run.attempt > 5, "dropped at each wait it took {} attempts", evicted.run.attempt);
    evicted.memory().must_equal(&left_alone.memory(), "evicted");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_two_instances_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await.memory();
    let pressed = scene.live(Life { instances: SMALLEST, ..Life::default() }).await;
    assert!(pressed.run.attempt > 1, "its instance was dropped for its child's");
    pressed.memory().must_equal(&left_alone, "pressed");
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_at_each_commit_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await;
    let left_alone = left_alone.memory();
    let mut crashes = 0;
    // The first write is the recovery, without which a host does not start.
    for write in 2.. {
        let point = Point { side: Side::After, write };
        let lived = scene.live(Life { crash: Some(point), ..Life::default() }).await;
        crashes += lived.run.crashes;
        if !lived.has_crashed {
            break;
        }
        lived.memory().must_equal(&left_alone, &format!("crashed {point}"));
    }
    assert!(crashes > 30, "only {crashes} of its attempts ended with their host");
}
