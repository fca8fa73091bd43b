//! What can happen in a sequence: one step for each operation that changes something.

use proptest::prelude::*;
use sublane_core::Timestamp;

use crate::support::at;

/// Plugins that there are.
pub(super) const PLUGINS: u8 = 2;
/// Versions of each.
pub(super) const VERSIONS: u8 = 3;

/// What happens next. Numbers pick among what there is, so that most steps mean something.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Accept { n: u8, place: u8, repeated: bool, keyed: bool, version: u8 },
    Claim(usize),
    Append(usize),
    Command(usize, u8, usize),
    Spawn { by: usize, attached: bool, keyed: bool, owes: bool, deadline: u64 },
    Park { by: usize, kind: u8, target: usize, due: Option<u64> },
    Evict(usize),
    Finish(usize, u8),
    Continue(usize),
    Interrupt(usize, bool),
    Cancel(usize),
    Charge(usize),
    FireDue(u32),
    TakeDeliveries(u32),
    Settle(usize, u8),
    WaitForEarlier(usize),
    RetryDelivery(usize),
    DismissDelivery(usize),
    Progress(usize, u8),
    Ask,
    IntentDone,
    Say(usize),
    Retry(usize, Option<u8>),
    CancelConversation(usize),
    SetLane(u8),
    Recover,
    CallHook { which: usize, key: u8 },
    Poll { which: usize, how: u8 },
    SetSchedules(u8),
    FireSchedule { which: usize, stale: bool, n: u8 },
    Postpone { which: usize, channel: bool, after: u64 },
    SetPlugins(u8),
    SetPause { plugin: u8, failures: u32, until: Option<u64> },
    LiftPause(u8),
    CancelVersion { plugin: u8, digest: u8, limit: u32 },
    Answered { which: usize, retry: bool },
    Remove { age: u64, limit: u32 },
    Log { which: usize, lines: u16, bytes: usize },
    RemoveLogs { age: u64, limit: u32 },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(Step, u16)>> {
    let pick = 0..64_usize;
    let due = proptest::option::of(0..8_000_u64);
    let step = prop_oneof![
        3 => (0..12_u8, 0..3_u8, any::<bool>(), any::<bool>(), 0..VERSIONS)
            .prop_map(|(n, place, repeated, keyed, version)| Step::Accept { n, place, repeated, keyed, version }),
        8 => pick.clone().prop_map(Step::Claim),
        2 => pick.clone().prop_map(Step::Append),
        6 => (pick.clone(), 0..12_u8, pick.clone()).prop_map(|(by, what, to)| Step::Command(by, what, to)),
        8 => (pick.clone(), any::<bool>(), any::<bool>(), any::<bool>(), 1..60_000_u64).prop_map(
            |(by, attached, keyed, owes, deadline)| Step::Spawn { by, attached, keyed, owes, deadline }
        ),
        8 => (pick.clone(), 0..10_u8, pick.clone(), due)
            .prop_map(|(by, kind, target, due)| Step::Park { by, kind, target, due }),
        2 => pick.clone().prop_map(Step::Evict),
        6 => (pick.clone(), 0..6_u8).prop_map(|(by, how)| Step::Finish(by, how)),
        3 => pick.clone().prop_map(Step::Continue),
        2 => (pick.clone(), any::<bool>()).prop_map(|(by, crashed)| Step::Interrupt(by, crashed)),
        1 => pick.clone().prop_map(Step::Cancel),
        1 => pick.clone().prop_map(Step::Charge),
        3 => (1..5_u32).prop_map(Step::FireDue),
        2 => (1..5_u32).prop_map(Step::TakeDeliveries),
        4 => (pick.clone(), 0..6_u8).prop_map(|(which, how)| Step::Settle(which, how)),
        2 => pick.clone().prop_map(Step::WaitForEarlier),
        1 => pick.clone().prop_map(Step::RetryDelivery),
        1 => pick.clone().prop_map(Step::DismissDelivery),
        1 => (pick.clone(), 0..100_u8).prop_map(|(which, percent)| Step::Progress(which, percent)),
        1 => Just(Step::Ask),
        1 => Just(Step::IntentDone),
        1 => pick.clone().prop_map(Step::Say),
        3 => (pick.clone(), proptest::option::of(0..VERSIONS))
            .prop_map(|(which, version)| Step::Retry(which, version)),
        1 => pick.clone().prop_map(Step::CancelConversation),
        1 => (0..4_u8).prop_map(Step::SetLane),
        1 => Just(Step::Recover),
        4 => (pick.clone(), 0..3_u8).prop_map(|(which, key)| Step::CallHook { which, key }),
        6 => (pick.clone(), 0..6_u8).prop_map(|(which, how)| Step::Poll { which, how }),
        1 => (0..4_u8).prop_map(Step::SetSchedules),
        2 => (pick.clone(), any::<bool>(), 0..12_u8)
            .prop_map(|(which, stale, n)| Step::FireSchedule { which, stale, n }),
        2 => (pick.clone(), any::<bool>(), 0..9_000_u64)
            .prop_map(|(which, channel, after)| Step::Postpone { which, channel, after }),
        1 => (0..4_u8).prop_map(Step::SetPlugins),
        1 => (0..PLUGINS, 1..6_u32, proptest::option::of(0..9_000_u64))
            .prop_map(|(plugin, failures, until)| Step::SetPause { plugin, failures, until }),
        1 => (0..PLUGINS).prop_map(Step::LiftPause),
        1 => (0..PLUGINS, 0..VERSIONS, 1..4_u32)
            .prop_map(|(plugin, digest, limit)| Step::CancelVersion { plugin, digest, limit }),
        2 => (pick.clone(), any::<bool>()).prop_map(|(which, retry)| Step::Answered { which, retry }),
        4 => (0..6_000_u64, 1..12_u32).prop_map(|(age, limit)| Step::Remove { age, limit }),
        2 => (pick.clone(), 1..600_u16, 0..1_000_usize)
            .prop_map(|(which, lines, bytes)| Step::Log { which, lines, bytes }),
        1 => (0..6_000_u64, 1..12_u32).prop_map(|(age, limit)| Step::RemoveLogs { age, limit }),
    ];
    proptest::collection::vec((step, 0..3_000_u16), 1..48)
}

/// Where a sequence stands: how many steps, and when.
pub(super) struct Moment {
    pub(super) number: u32,
    pub(super) now: Timestamp,
}

/// The moments of a sequence: each step has a number, and time passes.
pub(super) fn moments(steps: &[(Step, u16)]) -> Vec<Moment> {
    let mut now = at(0);
    let moment = |(number, (_, passed)): (u32, &(Step, u16))| {
        now = Timestamp(now.0 + u64::from(*passed));
        Moment { number, now }
    };
    (1..).zip(steps).map(moment).collect()
}
