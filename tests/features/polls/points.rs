//! Hosts that die at each commit of a run that polls, and while the server has a poll. Another host goes
//! on where the plan's row stands: each poll is paid, one that is lost is made again, and one answer decides.

use sublane::intake::Task;
use sublane_core::{Delivery, DeliveryState, Destination};
use sublane_store::sqlite::check;
use sublane_store::{DeliveryFilter, RunFilter, SqliteStore, Store as _};
use sublane_tests::crash::{Blow, Crash, Crashing, Point, Side};
use sublane_tests::history::History;
use sublane_tests::simulation::judge::receipts;
use tokio::time::{Instant, timeout};

use super::*;

/// Answers that there are until the plan is done.
const ANSWERS: u32 = 3;
/// From one poll to the next.
const INTERVAL: Duration = Duration::from_secs(10);
/// What a walk has fewer of.
const MOST: u64 = 100;

/// Where a host dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// At a commit.
    Commit(Side, u64),
    /// While the server has this request, from 0, which it does not answer.
    Asked(u32),
}

/// `queued` until the last answer, which is `done`; the request at which the host dies has none.
async fn server(death: Death) -> Web {
    let (asked, answered) = (AtomicU32::new(0), AtomicU32::new(0));
    Web::start(move |_| {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        if matches!(death, Death::Asked(silent) if silent == number) {
            return Answer::Silence;
        }
        status(if answered.fetch_add(1, Ordering::SeqCst) + 1 < ANSWERS { "queued" } else { "done" })
    })
    .await
}

/// One of the hosts, and what is in its store, seen past it.
struct Living {
    scene: Scene,
    look: SqliteStore,
    /// Polls that hosts before it have begun, of a plan that is there when it starts.
    left: Option<u32>,
}

impl Living {
    /// Asks for the run, once whoever asks, and lets time pass until all has ended.
    async fn lives(&self, url: &str) {
        let origin: Destination = "console:test".parse().expect("well formed");
        let task = Task {
            agent: "spawns/act".to_owned(),
            input: json!([poll(url, json!({}))]).to_string(),
            origin: origin.clone(),
            lane: "main",
            deliver: vec![origin],
            event: Some("the one".to_owned()),
        };
        let inner = self.scene.host.inner();
        let run = inner.task(task).await.expect("it is accepted").run;
        let mut changes = inner.changes();
        let patience = Instant::now() + PATIENCE;
        loop {
            let is = self.look.run(run).await.expect("readable").expect("it is there");
            let owed = owed(&self.look).await;
            if is.is_ended() && owed.iter().all(|owed| owed.state.is_settled()) {
                return;
            }
            assert!(Instant::now() < patience, "it comes to no end: {:?} {owed:?}", is.state);
            let polls = self.look.polls_of(run).await.expect("readable");
            self.scene.clock.advance(match polls.first() {
                Some(poll) => {
                    let until = poll.due.since(self.scene.clock.now());
                    // One that this host has begun is answered, and not lost.
                    let passes = until <= INTERVAL || self.left == Some(poll.made);
                    if passes { until } else { Duration::ZERO }
                }
                None => Duration::from_secs(1),
            });
            let _ = timeout(Duration::from_millis(5), changes.changed()).await;
        }
    }
}

/// Polls that were begun, of the plan that there is.
async fn begun(store: &SqliteStore) -> Option<u32> {
    let runs = store.runs(RunFilter { limit: 1, ..RunFilter::default() }).await.expect("readable");
    let polls = store.polls_of(runs.first()?.spec.id).await.expect("readable");
    polls.first().map(|poll| poll.made)
}

async fn owed(store: &SqliteStore) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    store.deliveries(filter).await.expect("readable")
}

fn received(host: &TestHost) -> Vec<(String, String)> {
    host.recorder.deliveries().iter().map(|got| (got.id.to_string(), got.body.to_string())).collect()
}

/// Ready when the server has the request at which the host is to die.
async fn is_asked(web: &Web, death: Death) {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    while !matches!(death, Death::Asked(number) if web.asked().len() as u32 > number) {
        looks.tick().await;
    }
}

/// One life up to its end at a point, and the next. `false`: it came to its end before that point.
async fn die(death: Death) -> bool {
    let (directory, clock, web) = (temporary(), ManualClock::at(BEGIN), server(death).await);
    let (path, url) = (directory.path().join("sublane.db"), web.url());
    let look = || SqliteStore::open_read_only(&path).expect("it is there");
    let at = match death {
        Death::Commit(side, number) => Some(Point::write(side, number)),
        Death::Asked(_) => None,
    };
    // What stands still for ever is dead: nothing of it reaches the store, and nobody is told.
    let crash = Crash::new(at, Blow::Pause);
    let store = Crashing::new(SqliteStore::open(&path).expect("the store opens"), crash.clone());
    let (webs, mut was_killed, mut got) = ([&web], false, Vec::new());
    tokio::select! {
        scene = scene(Setup::on(Arc::new(store), directory.clone()), &clock, &webs) => {
            let living = Living { scene, look: look(), left: None };
            tokio::select! {
                () = crash.comes() => was_killed = true,
                () = is_asked(&web, death) => was_killed = true,
                () = living.lives(&url) => {}
            }
            got.extend(received(&living.scene.host));
            if !was_killed {
                living.scene.host.host.stop().await;
            }
        }
        // A commit of the start itself.
        () = crash.comes() => was_killed = true,
    }
    if was_killed {
        std::fs::remove_dir_all(directory.path().join("plugin-0")).expect("the copy goes");
        let left = begun(&look()).await;
        let scene = scene(Setup::durable(&directory), &clock, &webs).await;
        let living = Living { scene, look: look(), left };
        living.lives(&url).await;
        got.extend(received(&living.scene.host));
        living.scene.host.host.stop().await;
    }
    judge(&look(), &web, got, was_killed, &format!("{death:?}")).await;
    let checked = check(&path, &directory.path().join("artifacts")).expect("it can be opened");
    assert_eq!(checked.violations, Vec::<String>::new(), "{death:?}");
    was_killed
}

/// One ending, told once, with the answer that decided; as many polls as answers, and one more where one
/// was lost; each of them paid.
async fn judge(store: &SqliteStore, web: &Web, got: Vec<(String, String)>, was_killed: bool, at: &str) {
    let history = History::read(store).await;
    assert_eq!(history.faults_of_runs(), Vec::<String>::new(), "{at}");
    assert_eq!(receipts(&history.deliveries, &got), Vec::<String>::new(), "{at}");
    assert!(history.deliveries.iter().all(|owed| owed.state == DeliveryState::Delivered), "{at}");
    let [run] = &history.runs[..] else { panic!("{at}: one task is one run") };
    let done = value(run.outcome().expect("it has ended"));
    assert_eq!(done[0]["done"]["body"], json!(r#"{"status": "done"}"#), "{at}");
    let imports: Vec<Import> = history.journals[&run.spec.id].iter().map(|entry| entry.import).collect();
    assert_eq!(imports, [Import::PollUntil], "{at}");
    assert!(store.polls_of(run.spec.id).await.expect("readable").is_empty(), "{at}");
    let (asked, lost) = (web.asked().len() as u32, u32::from(was_killed));
    assert!((ANSWERS..=ANSWERS + lost).contains(&asked), "{at}: it was asked {asked} times");
    let conversation = store.conversation(run.spec.conversation).await.expect("readable").expect("there");
    let paid = conversation.ceiling.requests - conversation.purse.requests;
    assert!((asked.into()..=u64::from(asked + lost)).contains(&paid), "{at}: {asked} polls, {paid} are paid");
}

/// Walks to each commit. Gives how many there were.
async fn commits(side: Side) -> u64 {
    for number in 1..MOST {
        if !die(Death::Commit(side, number)).await {
            return number - 1;
        }
    }
    panic!("a walk has an end");
}

/// A start, an acceptance, a claim, a wait, two commits for each poll, and the ending.
const LEAST: u64 = 4 + 2 * ANSWERS as u64 + 1;

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_each_commit_of_its_polls_a_plan_goes_on_and_one_answer_decides() {
    assert!(commits(Side::Before).await >= LEAST);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_commit_of_its_polls_a_plan_goes_on_and_one_answer_decides() {
    assert!(commits(Side::After).await >= LEAST);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_server_has_a_poll_it_is_made_again_when_it_is_lost() {
    for number in 0..ANSWERS {
        assert!(die(Death::Asked(number)).await, "the server has request {number}");
    }
    assert!(!die(Death::Asked(ANSWERS)).await, "there are no more");
}
