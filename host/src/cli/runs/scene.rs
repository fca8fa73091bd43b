//! A run and its delivery, for tests of how they are shown.

use std::sync::Arc;

use sublane_core::poll::Poll;
use sublane_core::{
    Authority, ConversationId, Delivery, DeliveryId, DeliveryState, Failure, Grants, Lifetime, Outcome, Path,
    PollId, Priority, Run, RunId, RunSpec, RunState, Timestamp,
};

/// A run of the film maker, accepted ten minutes after 1970.
pub(super) fn run(state: RunState) -> Run {
    let created = Timestamp(600_000);
    let id = RunId::new(created, [7; 10]);
    let asks = Authority { channels: vec!["origin".parse().expect("origin")], ..Authority::default() };
    let (grants, purse) = Grants::root(&asks, &asks, created, 64 << 20);
    let spec = RunSpec {
        id,
        parent: Some(RunId::new(created, [1; 10])),
        lifetime: Lifetime::Detached,
        conversation: ConversationId::new(created, [2; 10]),
        origin: "console:local".parse().expect("a destination"),
        plugin: "video".into(),
        agent: "render".into(),
        plugin_digest: "abcdef0123456789".into(),
        name: "film-Ab12cd".into(),
        lane: "subagent".into(),
        priority: Priority::Normal,
        depth: 1,
        input: "{}".into(),
        artifacts: Vec::new(),
        grants,
        purse,
        destinations: vec!["console:local".parse().expect("a destination")],
        created,
        dedupe_key: None,
        spawner: "video".into(),
        seed: [0; 32],
        retry: None,
    };
    let progress = Some((42, Arc::from("frame 40 of 96")));
    Run { state, attempt: 2, crashes: 1, since: Timestamp(660_000), progress, ..Run::queued(spec) }
}

pub(super) fn owed(run: &Run, state: DeliveryState) -> Delivery {
    Delivery {
        id: DeliveryId::sent(run.spec.id, 0, &Path::root()),
        run: run.spec.id,
        conversation: run.spec.conversation,
        destination: run.spec.origin.clone(),
        body: "{}".into(),
        state,
        attempts: 1,
        next_at: Timestamp(900_000),
        since: Timestamp(0),
        created: Timestamp(660_000),
        note: "held up".into(),
    }
}

/// A plan of this run's that is asked for next at `due`, after two polls.
pub(super) fn poll(run: &Run, server: &str, due: u64) -> Poll {
    Poll {
        id: PollId::opened(run.spec.id, 0, &Path::root().then(1), 0),
        run: run.spec.id,
        place: 0,
        server: server.into(),
        due: Timestamp(due),
        made: 2,
        hinted: false,
        seen: Some("200, $.status = \"IN_QUEUE\"".into()),
        streak: None,
    }
}

pub(super) fn failed() -> RunState {
    let outcome = Outcome::failed(Failure::OutOfCpu, "57.0 s in this attempt");
    RunState::Ended { outcome, at: Timestamp(660_000) }
}
