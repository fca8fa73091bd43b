//! Hosts that die at each point of a film that fal makes: before and after every commit, while fal
//! has a request that it has done nothing about, and while fal has done what it was asked and has
//! not answered. Another host goes on, and what became of it all is judged.
//!
//! A short walk takes every so-manieth commit; `cargo xtask crash` takes them all. Requests are
//! found by asking for the next one until there is none: how often fal is looked at is nobody's
//! business here.

use sublane::intake::Task;
use sublane_core::{Delivery, DeliveryState};
use sublane_standins::fal::script::{Idempotency, Pace};
use sublane_store::{DeliveryFilter, SqliteStore, Store};
use sublane_tests::crash::{Blow, Crash, Crashing, Point, Side};
use sublane_tests::history::History;
use sublane_tests::simulation::judge::receipts;
use tokio::time::{Instant, timeout};

use super::*;

/// Where this variable is set, each so-manieth commit is walked to.
const EVERY: &str = "SUBLANE_CRASH_EVERY";
/// What is walked to beside that at most, so that a walk has an end.
const MOST: u64 = 2_000;

/// Where a host dies.
#[derive(Clone, Debug)]
enum Death {
    /// At a commit.
    Commit(Side, u64),
    /// While fal has this request: so many of its kind came before.
    Request(Endpoint, u32, Act),
}

impl Death {
    fn fault(&self) -> Vec<Fault> {
        match self {
            Self::Commit(..) => Vec::new(),
            Self::Request(endpoint, skip, act) => {
                vec![Fault { skip: *skip, ..Fault::once(*endpoint, act.clone()) }]
            }
        }
    }

    fn crash(&self) -> Arc<Crash> {
        let at = match self {
            Self::Commit(side, number) => Some(Point::write(*side, *number)),
            Self::Request(..) => None,
        };
        // What stands still for ever is dead: nothing of it reaches the store, and nobody is told.
        Crash::new(at, Blow::Pause)
    }

    /// Whether fal has the request, and has done about it what it does before the host dies.
    fn is_at_fal(&self, fal: &Fal) -> bool {
        let Self::Request(endpoint, skip, act) = self else { return false };
        let has_done = match (act, endpoint) {
            (Act::Hang, _) => true,
            (_, Endpoint::Submit) => fal.jobs().len() as u32 > *skip,
            (_, Endpoint::Cancel) => fal.jobs().iter().all(|job| !job.at.is_open()),
            _ => true,
        };
        fal.calls(*endpoint).len() as u32 > *skip && has_done
    }
}

/// What a walk goes through.
#[derive(Clone, Copy, Debug)]
struct Story {
    idempotency: Idempotency,
    /// The film is cancelled as soon as it is waited for; fal would be at it for ever.
    is_cancelled: bool,
}

impl Story {
    fn script(self, faults: Vec<Fault>) -> Script {
        let pace = if self.is_cancelled { Pace::Held } else { Pace::default() };
        Script { idempotency: self.idempotency, pace, faults, ..Script::default() }
    }
}

/// One of the hosts, and what it delivered.
struct Living<'s> {
    scene: &'s Scene,
    story: Story,
    host: TestHost,
    look: SqliteStore,
}

impl Living<'_> {
    /// Asks for the film, once whoever asks, and lets time pass until all has ended.
    async fn lives(&self) {
        let origin: sublane_core::Destination = "console:test".parse().expect("well formed");
        let task = Task {
            agent: "video/render".to_owned(),
            input: self.scene.order().to_string(),
            origin: origin.clone(),
            lane: "main",
            deliver: vec![origin],
            event: Some("the film".to_owned()),
        };
        let run = self.host.inner().task(task).await.expect("it is accepted").run;
        let mut changes = self.host.inner().changes();
        let patience = Instant::now() + 2 * sublane_tests::PATIENCE;
        loop {
            let is = self.look.run(run).await.expect("readable").expect("it is there");
            let owed = deliveries(&self.look).await;
            if is.is_ended() && owed.iter().all(|owed| owed.state.is_settled()) {
                return;
            }
            assert!(Instant::now() < patience, "it comes to no end: {:?} {owed:?}", is.state);
            if self.story.is_cancelled && matches!(is.state, sublane_core::RunState::Waiting { .. }) {
                self.host.inner().cancel(run, "another film").await.expect("the store answers");
                continue;
            }
            self.scene.clock.advance(self.next(&owed).await);
            let _ = timeout(Duration::from_millis(5), changes.changed()).await;
        }
    }

    /// Until something is due; a second, while something is under way.
    async fn next(&self, owed: &[Delivery]) -> Duration {
        let due = self.look.next_due().await.expect("readable");
        let pending =
            owed.iter().filter(|owed| owed.state == DeliveryState::Pending).map(|owed| owed.next_at);
        let next = pending.chain(due).min().map_or(Duration::ZERO, |next| next.since(self.scene.clock.now()));
        let is_at_rest = self.host.inner().attempts.lock().len() == self.host.inner().lanes.parked();
        let most = if is_at_rest { Duration::from_secs(30) } else { Duration::from_secs(1) };
        next.clamp(Duration::from_secs(1), most)
    }
}

async fn deliveries(store: &dyn Store) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    store.deliveries(filter).await.expect("readable")
}

fn received(host: &TestHost) -> Vec<(String, String)> {
    host.recorder.deliveries().iter().map(|got| (got.id.to_string(), got.body.to_string())).collect()
}

/// One life up to its end at a point, and the next. `false`: it came to its end before that point.
async fn die(story: Story, death: &Death) -> bool {
    let scene = Scene::new(story.script(death.fault())).await;
    let path = scene.directory.path().join("sublane.db");
    let crash = death.crash();
    let store = Crashing::new(SqliteStore::open(&path).expect("the store opens"), crash.clone());
    let setup = Setup::on(Arc::new(store), scene.directory.clone());
    let look = || SqliteStore::open_read_only(&path).expect("it is there");
    let (mut was_killed, mut got) = (false, Vec::new());
    tokio::select! {
        host = scene.on(setup) => {
            let living = Living { scene: &scene, story, host, look: look() };
            tokio::select! {
                () = crash.comes() => was_killed = true,
                () = is_at_fal(&scene.fal, death) => was_killed = true,
                () = living.lives() => {}
            }
            got.extend(received(&living.host));
            if !was_killed {
                living.host.host.stop().await;
            }
        }
        // A commit of the start itself.
        () = crash.comes() => was_killed = true,
    }
    let at = format!("{story:?} {death:?}");
    if was_killed {
        scene.fal.script(story.script(Vec::new()));
        let host = scene.host().await;
        let living = Living { scene: &scene, story, host, look: look() };
        living.lives().await;
        got.extend(received(&living.host));
        living.host.host.stop().await;
    }
    judge(&scene, story, &look(), got, was_killed, &at).await;
    was_killed
}

/// Ready when fal has the request at which the host is to die.
async fn is_at_fal(fal: &Fal, death: &Death) {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    while !death.is_at_fal(fal) {
        looks.tick().await;
    }
}

/// One ending, told once; one paid job, or one more where fal knows no keys and nobody could know;
/// none at work for a film that nobody waits for.
async fn judge(
    scene: &Scene,
    story: Story,
    store: &SqliteStore,
    got: Vec<(String, String)>,
    was_killed: bool,
    at: &str,
) {
    let history = History::read(store).await;
    assert_eq!(history.faults_of_runs(), Vec::<String>::new(), "{at}");
    assert_eq!(receipts(&history.deliveries, &got), Vec::<String>::new(), "{at}");
    let [run] = &history.runs[..] else { panic!("{at}: one film is one run") };
    let outcome = run.outcome().expect("it has ended");
    let told = history.deliveries.iter().filter(|owed| owed.destination.channel == "console").count();
    assert_eq!(told, 1, "{at}: its ending is told once");
    let jobs = scene.fal.jobs();
    let most = match story.idempotency {
        Idempotency::Honoured => 1,
        Idempotency::Ignored => 1 + usize::from(was_killed),
    };
    assert!((1..=most).contains(&jobs.len()), "{at}: {} jobs are paid, and {most} may be", jobs.len());
    if story.is_cancelled {
        assert!(matches!(outcome, Outcome::Cancelled { .. }), "{at}: {outcome:?}");
    } else {
        check_film(outcome);
        assert!(scene.fal.calls(Endpoint::Cancel).is_empty(), "{at}: what was made is not undone");
    }
    // A job whose id the run never learnt is one that nobody can cancel.
    let known = jobs.last().filter(|_| story.is_cancelled);
    if let Some(job) = known {
        assert!(!job.at.is_open(), "{at}: a job goes on after its run was cancelled");
    }
    assert!(jobs.iter().all(|job| job.idempotency_key == jobs[0].idempotency_key), "{at}: one key for all");
}

const HONOURED: Story = Story { idempotency: Idempotency::Honoured, is_cancelled: false };
const IGNORED: Story = Story { idempotency: Idempotency::Ignored, is_cancelled: false };
const CANCELLED: Story = Story { idempotency: Idempotency::Honoured, is_cancelled: true };

/// Walks to each `stride`-th commit. Gives how many there were.
async fn commits(story: Story, side: Side, stride: u64) -> usize {
    let told = std::env::var(EVERY).ok().map(|every| every.parse().expect("SUBLANE_CRASH_EVERY is a number"));
    let stride: u64 = told.unwrap_or(stride);
    let mut points = 0;
    for number in (stride..MOST).step_by(usize::try_from(stride).expect("a small number")) {
        if !die(story, &Death::Commit(side, number)).await {
            break;
        }
        points += 1;
    }
    points
}

/// Walks to each request of this kind, before it is done and before it is answered. Gives how many there were.
async fn requests(story: Story, endpoint: Endpoint) -> usize {
    let mut points = 0;
    for act in [Act::Hang, Act::Slow(3_600_000)] {
        for skip in 0.. {
            if !die(story, &Death::Request(endpoint, skip, act.clone())).await {
                break;
            }
            points += 1;
        }
    }
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_commits_a_film_of_fals_is_paid_and_told_once() {
    assert!(commits(HONOURED, Side::Before, 7).await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_commits_a_film_of_fals_is_paid_and_told_once() {
    assert!(commits(HONOURED, Side::After, 6).await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_commits_without_keys_at_most_one_film_more_is_paid() {
    assert!(commits(IGNORED, Side::Before, 8).await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_fal_has_a_request_a_film_is_paid_and_told_once() {
    for endpoint in [Endpoint::Submit, Endpoint::Status, Endpoint::Result, Endpoint::Media] {
        let points = requests(HONOURED, endpoint).await;
        assert!(points >= 2, "{endpoint:?}: {points}");
    }
    assert!(requests(IGNORED, Endpoint::Submit).await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_a_cancellation_no_job_goes_on() {
    assert!(commits(CANCELLED, Side::Before, 6).await >= 2);
    assert!(commits(CANCELLED, Side::After, 7).await >= 2);
    assert!(requests(CANCELLED, Endpoint::Cancel).await >= 2);
}
