//! The lane against its rule written down plainly, and what follows from it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn run(n: u32) -> RunId {
    RunId::new(Timestamp(0), [[0; 6].as_slice(), &n.to_be_bytes()].concat().try_into().expect("ten bytes"))
}

fn number(run: RunId) -> u32 {
    u32::from_be_bytes([run.0[12], run.0[13], run.0[14], run.0[15]])
}

fn key(n: u32) -> Key {
    Key::new("plugin", Some(run(n)))
}

fn ready(n: u32, of: u32) -> Ready {
    Ready { run: run(n), key: key(of), priority: Priority::Normal, since: Timestamp(u64::from(n)) }
}

fn lane(slots: u32) -> Lane {
    Lane::new(LaneLimits { slots, ..LaneLimits::default() })
}

fn pops(lane: &mut Lane) -> Vec<u32> {
    std::iter::from_fn(|| lane.pop()).map(number).collect()
}

#[test]
fn keys_take_turns() {
    let mut lane = lane(6);
    for (n, of) in [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 2)] {
        lane.push(ready(n, of));
    }
    assert_eq!(pops(&mut lane), [1, 4, 6, 2, 5, 3]);
}

#[test]
fn who_has_fewest_running_goes_first() {
    let mut lane = lane(3);
    for n in 1..=4 {
        lane.push(ready(n, 0));
    }
    assert_eq!(pops(&mut lane), [1, 2, 3]);
    lane.push(ready(9, 1));
    lane.release(run(2));
    assert_eq!(pops(&mut lane), [9], "key 0 still has two running");
}

#[test]
fn a_level_of_priority_is_worth_half_a_minute() {
    let order = |low_at: u64, high_at: u64| {
        let mut lane = lane(2);
        let at = |n, priority, seconds| Ready { priority, since: Timestamp(seconds * 1000), ..ready(n, 0) };
        lane.push(at(1, Priority::Low, low_at));
        lane.push(at(2, Priority::High, high_at));
        pops(&mut lane)
    };
    assert_eq!(order(0, 59), [2, 1]);
    assert_eq!(order(0, 61), [1, 2], "it has waited for two levels");
}

#[test]
fn a_full_queue_refuses_by_name() {
    let mut lane = Lane::new(LaneLimits { slots: 1, queue_length: 2, ..LaneLimits::default() });
    assert!(lane.start(run(0), key(0)));
    for n in 1..=2 {
        lane.check_room().expect("room");
        assert_eq!(lane.push(ready(n, 0)), n - 1);
    }
    assert_eq!(lane.check_room(), Err(LimitHit::new("lane.queue-length", 2)));
    assert_eq!(lane.push(ready(3, 0)), 2, "what the store has accepted is not refused");
}

#[test]
fn depth_and_fan_out_refuse_by_name() {
    assert_eq!(check_depth(5, MAX_DEPTH), Ok(()));
    assert_eq!(check_depth(6, MAX_DEPTH), Err(LimitHit::new("spawn.depth", 5)));
    assert_eq!(check_active_children(4, ACTIVE_CHILDREN), Ok(()));
    assert_eq!(check_active_children(5, ACTIVE_CHILDREN), Err(LimitHit::new("spawn.active-children", 5)));
    assert_eq!((main_slots(1), main_slots(16)), (8, 64));
}

#[test]
fn nobody_is_overtaken_by_a_start() {
    let mut lane = lane(2);
    lane.push(ready(1, 0));
    assert!(!lane.start(run(2), key(1)), "another is before it");
    assert_eq!(lane.pop(), Some(run(1)));
    assert!(lane.start(run(2), key(1)));
    assert!(!lane.start(run(3), key(1)), "no slot");
}

#[test]
fn a_paused_lane_gives_no_slot_and_takes_none() {
    let mut lane = lane(2);
    assert!(lane.start(run(1), key(0)));
    lane.pause();
    lane.push(ready(2, 0));
    assert!(lane.pop().is_none() && !lane.start(run(3), key(0)) && lane.running() == 1);
    lane.resume();
    assert_eq!(lane.pop(), Some(run(2)));
}

#[test]
fn a_wake_before_the_slot_is_given_back_is_not_lost() {
    let mut lane = lane(1);
    assert!(lane.start(run(1), key(0)));
    lane.push(ready(1, 0));
    assert!(lane.is_empty() && lane.pop().is_none());
    lane.release(run(1));
    assert_eq!(lane.pop(), Some(run(1)));
}

#[test]
fn what_is_withdrawn_does_not_come_back() {
    let mut lane = lane(1);
    assert!(lane.start(run(1), key(0)));
    lane.push(ready(1, 0));
    lane.push(ready(2, 0));
    lane.withdraw(run(1));
    lane.withdraw(run(2));
    assert!(lane.is_empty() && lane.running() == 1, "the slot is kept");
    lane.release(run(1));
    assert!(lane.pop().is_none() && lane.running() == 0);
}

#[test]
fn a_stream_of_new_keys_starves_nobody() {
    let mut lane = lane(1);
    lane.push(ready(0, 0));
    lane.push(ready(1, 0));
    let mut served = Vec::new();
    for n in 10..20 {
        lane.push(ready(n, n));
        let next = lane.pop().expect("a slot is free");
        served.push(number(next));
        lane.release(next);
    }
    assert_eq!(served[..4], [0, 10, 1, 11]);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Start(u32, u32),
    Push(u32, u32, Priority, u64),
    Pop,
    Release(u32),
    Withdraw(u32),
    Pause(bool),
}

fn an_op() -> impl Strategy<Value = Op> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    prop_oneof![
        1 => (0..40_u32).prop_map(|n| Op::Start(n, n % 5)),
        6 => (0..40_u32, priority, 0..100_u64).prop_map(|(n, p, at)| Op::Push(n, n % 5, p, at * 1000)),
        4 => Just(Op::Pop),
        4 => (0..40_u32).prop_map(Op::Release),
        1 => (0..40_u32).prop_map(Op::Withdraw),
        1 => any::<bool>().prop_map(Op::Pause),
    ]
}

/// The rule, written down plainly: lists, searched from end to end.
#[derive(Default)]
struct Plain {
    slots: usize,
    paused: bool,
    clock: u64,
    ready: Vec<(Ready, u64)>,
    running: Vec<(RunId, Key, Option<Ready>)>,
    turns: Vec<(Key, u64)>,
}

impl Plain {
    fn running_of(&self, key: Key) -> usize {
        self.running.iter().filter(|(_, of, _)| *of == key).count()
    }

    fn turn(&mut self, key: Key, served: bool) {
        self.clock += 1;
        match self.turns.iter_mut().find(|(of, _)| *of == key) {
            Some((_, turn)) if served => *turn = self.clock,
            Some(_) => {}
            None => self.turns.push((key, self.clock)),
        }
    }

    fn forget_idle(&mut self) {
        let (ready, running) = (&self.ready, &self.running);
        self.turns.retain(|(key, _)| {
            ready.iter().any(|(r, _)| r.key == *key) || running.iter().any(|(_, of, _)| of == key)
        });
    }

    fn next(&self) -> Option<usize> {
        let turn = |key| self.turns.iter().find(|(of, _)| *of == key).expect("it has ready runs").1;
        let rank = |(r, came): &(Ready, u64)| (self.running_of(r.key), turn(r.key), r.due(), *came);
        (0..self.ready.len()).min_by_key(|&at| rank(&self.ready[at]))
    }

    fn known(&self, run: RunId) -> bool {
        self.ready.iter().any(|(r, _)| r.run == run) || self.running.iter().any(|(r, ..)| *r == run)
    }

    fn start(&mut self, run: RunId, key: Key) -> bool {
        let free = !self.paused && self.running.len() < self.slots && self.ready.is_empty();
        let starts = free && !self.known(run);
        if starts {
            self.turn(key, true);
            self.running.push((run, key, None));
        }
        starts
    }

    fn push(&mut self, ready: Ready) {
        if let Some((.., again)) = self.running.iter_mut().find(|(r, ..)| *r == ready.run) {
            *again = Some(ready);
        } else if !self.known(ready.run) {
            self.turn(ready.key, false);
            self.ready.push((ready, self.clock));
        }
    }

    fn pop(&mut self) -> Option<RunId> {
        if self.paused || self.running.len() >= self.slots {
            return None;
        }
        let (next, _) = self.ready.remove(self.next()?);
        self.turn(next.key, true);
        self.running.push((next.run, next.key, None));
        Some(next.run)
    }

    fn release(&mut self, run: RunId) {
        if let Some(at) = self.running.iter().position(|(r, ..)| *r == run) {
            let (.., again) = self.running.remove(at);
            self.forget_idle();
            again.into_iter().for_each(|ready| self.push(ready));
        }
    }

    fn withdraw(&mut self, run: RunId) {
        self.ready.retain(|(r, _)| r.run != run);
        let running = self.running.iter_mut().filter(|(r, ..)| *r == run);
        running.for_each(|(.., again)| *again = None);
        self.forget_idle();
    }
}

proptest! {
    #[test]
    fn the_lane_does_what_the_rule_says(slots in 1..6_u32, ops in vec(an_op(), 0..200)) {
        let mut lane = lane(slots);
        let mut plain = Plain { slots: slots as usize, ..Plain::default() };
        for op in ops {
            match op {
                Op::Start(n, of) => prop_assert_eq!(lane.start(run(n), key(of)), plain.start(run(n), key(of))),
                Op::Push(n, of, priority, since) => {
                    let ready = Ready { priority, since: Timestamp(since), ..ready(n, of) };
                    let before = lane.len();
                    prop_assert_eq!(lane.push(ready) as usize, before);
                    plain.push(ready);
                }
                Op::Pop => prop_assert_eq!(lane.pop(), plain.pop()),
                Op::Release(n) => {
                    lane.release(run(n));
                    plain.release(run(n));
                }
                Op::Withdraw(n) => {
                    lane.withdraw(run(n));
                    plain.withdraw(run(n));
                }
                Op::Pause(true) => {
                    lane.pause();
                    plain.paused = true;
                }
                Op::Pause(false) => {
                    lane.resume();
                    plain.paused = false;
                }
            }
            prop_assert!(lane.running() <= slots);
            prop_assert_eq!((lane.running() as usize, lane.len()), (plain.running.len(), plain.ready.len()));
            prop_assert_eq!(lane.is_empty(), plain.ready.is_empty());
        }
        while let Some(&(run, ..)) = plain.running.first() {
            lane.release(run);
            plain.release(run);
        }
        lane.resume();
        while let Some(next) = lane.pop() {
            lane.release(next);
        }
        prop_assert!(lane.keys.is_empty() && lane.runs.is_empty() && lane.order.is_empty(), "nothing is left");
    }

    #[test]
    fn a_position_counts_those_that_go_before(
        runs in vec((0..6_u32, 0..3_u64), 1..40),
        before in 0..20_usize,
    ) {
        let mut lane = lane(u32::MAX);
        for (n, (of, since)) in (0..).zip(runs) {
            lane.push(Ready { since: Timestamp(since), ..ready(n, of) });
        }
        for _ in 0..before {
            lane.pop();
        }
        let positions: Vec<_> = (0..40).filter_map(|n| Some((run(n), lane.position(run(n))?))).collect();
        prop_assert_eq!(positions.len(), lane.len());
        let order: Vec<_> = std::iter::from_fn(|| lane.pop()).collect();
        for (run, position) in positions {
            prop_assert_eq!(order[position as usize], run);
        }
    }

    #[test]
    fn whoever_waits_is_served_in_the_end(
        mine in 0..5_u32,
        others in vec((0..5_u32, 0..3_u64), 0..300),
    ) {
        // A run of `mine` waits while others keep coming: it is served within as
        // many releases as there were runs ready when it came, and one for each key.
        let mut lane = lane(1);
        for n in 100..120 {
            lane.push(Ready { since: Timestamp(1), ..ready(n, n % 5) });
        }
        lane.push(Ready { since: Timestamp(2), ..ready(0, mine) });
        let limit = 5 * (lane.len() / 5 + 1);
        let mut served = None;
        for (step, (of, late)) in others.into_iter().enumerate() {
            lane.push(Ready { since: Timestamp(3 + late), ..ready(1_000 + step as u32, of) });
            let next = lane.pop().expect("a slot is free");
            lane.release(next);
            if next == run(0) {
                served = Some(step);
                break;
            }
            prop_assert!(step < limit, "still not served after {step} turns");
        }
        prop_assert!(served.is_none_or(|step| step <= limit));
    }
}
