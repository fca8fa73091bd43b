//! Poll plans: when polls are made, which answer ends them, what they cost and may not do, and that
//! servers which do not answer hold up nobody else.

mod pace;
mod points;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::grants::Authority;
use sublane_core::lane::LaneLimits;
use sublane_core::poll::Poll;
use sublane_core::{Import, RunId, RunState, Timestamp};
use sublane_store::LogLine;
use sublane_tests::caller::{path, post, send};
use sublane_tests::command::CommandLine;
use sublane_tests::web::{Answer, Asked, Web};
use sublane_tests::{PATIENCE, Setup, TestHost, temporary, value};

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const SECRET: &str = "tr0ub4dor-and-3-more";

/// When a poll is taken for lost that has the default time.
const LOST: Duration = Duration::from_secs(35);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `spawns`, with these servers, a secret for the first of them, and so many requests.
fn manifest(webs: &[&Web], requests: u32) -> String {
    let http: Vec<String> = webs
        .iter()
        .map(|web| format!("{{ to = 'http://127.0.0.1:{}', methods = ['GET', 'POST'] }}", web.port))
        .collect();
    format!(
        "id = 'spawns'\nversion = '0.1.0'\n[asks]\nspawn = {{ agents = ['spawns'], depth = 2 }}\n\
         channels = ['origin']\nhttp = [{}]\n\
         secrets = [{{ name = 'api', header = 'Authorization', audience = 'http://127.0.0.1:{}' }}]\n\
         requests = {requests}\nbytes-out = '1MiB'\nbytes-in = '4MiB'\ntimeout = '20h'\n",
        http.join(", "),
        webs[0].port
    )
}

struct Scene {
    host: TestHost,
    clock: ManualClock,
}

async fn scene(mut setup: Setup, clock: &ManualClock, webs: &[&Web]) -> Scene {
    let limits = LaneLimits { timeout: seconds(20 * 3_600), ..LaneLimits::default() };
    setup.lanes = vec![("main".to_owned(), limits)];
    let setup = setup.plugin_with("spawns", &manifest(webs, 500)).secret("api", SECRET).hooks();
    Scene { host: setup.clock(Arc::new(clock.clone())).start().await, clock: clock.clone() }
}

async fn at(web: &Web) -> Scene {
    scene(Setup::in_memory(), &ManualClock::at(BEGIN), &[web]).await
}

fn is(value: &str) -> Value {
    json!({ "values": [["$.status", value]] })
}

/// A poll of this URL every 10 s, the first one at once, that is done when `$.status` is `done`.
fn plan(url: &str, more: Value) -> Value {
    let mut plan = json!({
        "request": { "url": url },
        "first-ms": 0,
        "every-ms": 10_000,
        "done": [is("done")],
        "failed": [is("failed")],
        "goes-on": [is("queued")],
    });
    for (key, value) in more.as_object().expect("an object") {
        plan[key] = value.clone();
    }
    plan
}

fn poll(url: &str, more: Value) -> Value {
    json!({ "poll": plan(url, more) })
}

fn status(word: &str) -> Answer {
    Answer::ok(format!(r#"{{"status": "{word}"}}"#))
}

/// A server that says these words one after the other, and the last one from then on.
async fn says(words: &'static [&'static str]) -> Web {
    let next = AtomicU32::new(0);
    Web::start(move |_| {
        let n = next.fetch_add(1, Ordering::SeqCst) as usize;
        status(words[n.min(words.len() - 1)])
    })
    .await
}

fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} did not fail: {done}"))
}

impl Scene {
    async fn begin(&self, steps: Value) -> RunId {
        self.host.begin("spawns/act", steps).await
    }

    async fn done(&self, run: RunId) -> Value {
        value(&self.host.ended(run).await)
    }

    /// A run's first poll, once it stands like this.
    async fn stands(&self, run: RunId, what: &str, holds: impl Fn(&Poll) -> bool) -> Poll {
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut changes = self.host.inner().changes();
        loop {
            let polls = self.host.inner().store.polls_of(run).await.expect("readable");
            if let Some(poll) = polls.first().filter(|poll| holds(poll)) {
                return poll.clone();
            }
            assert!(tokio::time::Instant::now() < patience, "it is not {what}: {polls:?}");
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    }

    /// A run's first poll, once so many were made and none is under way.
    async fn polled(&self, run: RunId, made: u32) -> Poll {
        let now = self.clock.now();
        let rests = |poll: &Poll| poll.made == made && poll.due > now && poll.due != now.after(LOST);
        self.stands(run, &format!("polled {made} times"), rests).await
    }

    /// Lets time pass until the poll is due, and waits until it was made.
    async fn next(&self, run: RunId, poll: &Poll) -> Poll {
        self.clock.advance(poll.due.since(self.clock.now()));
        let (made, now) = (poll.made + 1, self.clock.now());
        // One that is under way is due when it is taken for lost.
        let answered = |poll: &Poll| poll.made == made && poll.due > now && poll.due != now.after(LOST);
        self.stands(run, "polled and answered", answered).await
    }

    async fn logged(&self, run: RunId) -> Vec<LogLine> {
        self.clock.advance(seconds(1));
        self.host.inner().logs.flush(&*self.host.inner().store).await;
        self.host.inner().store.logs(run, 0).await.expect("readable")
    }

    async fn evict(&self, run: RunId) {
        self.host
            .when(run, "cold", |run| {
                self.host.inner().lanes.cool_down(Duration::ZERO, self.clock.now());
                matches!(run.state, RunState::Waiting { token: None })
            })
            .await;
    }

    async fn journal(&self, run: RunId) -> String {
        let entries = self.host.inner().store.journal(run, 0).await.expect("readable");
        entries.iter().map(|entry| format!("{} {}\n", entry.import, entry.result)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_answer_that_decides_reaches_the_guest_and_the_journal() {
    let web = says(&["queued", "queued", "done"]).await;
    let scene = at(&web).await;
    let run = scene.begin(json!([poll(&format!("{}/jobs/7?a=b", web.url()), json!({}))])).await;
    let first = scene.polled(run, 1).await;
    assert_eq!((&*first.server, first.seen.as_deref()), (&*web.url(), Some("200, $.status = \"queued\"")));
    scene.evict(run).await;
    let second = scene.next(run, &first).await;
    assert_eq!(second.made, 2);
    scene.clock.advance(seconds(10));
    let done = scene.done(run).await;
    assert_eq!(done[0]["done"]["status"], json!(200));
    assert_eq!(done[0]["done"]["body"], json!(r#"{"status": "done"}"#));
    assert_eq!(done[0]["done"]["url"], json!(format!("{}/jobs/7?a=b", web.url())));
    assert_eq!(web.asked().len(), 3);
    let entries = scene.host.inner().store.journal(run, 0).await.expect("readable");
    assert_eq!(entries.iter().map(|entry| entry.import).collect::<Vec<_>>(), [Import::PollUntil]);
    assert!(scene.host.inner().store.polls_of(run).await.expect("readable").is_empty());
    assert!(scene.logged(run).await.is_empty(), "what goes on as the plan knows is nobody's concern");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_fails_by_its_rules_and_by_as_many_polls_in_a_row_as_they_say() {
    let failed = says(&["failed"]).await;
    let answers = AtomicU32::new(0);
    let gone = Web::start(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        1 => status("queued"),
        _ => Answer::With("404 Not Found", Vec::new(), Vec::new()),
    })
    .await;
    let scene = scene(Setup::in_memory(), &ManualClock::at(BEGIN), &[&failed, &gone]).await;
    let run = scene.begin(json!([poll(&failed.url(), json!({}))])).await;
    assert_eq!(scene.done(run).await[0]["failed"]["body"], json!(r#"{"status": "failed"}"#));
    let vanishes = json!({ "failed": [{ "status": [404, 404], "times": 2 }] });
    let run = scene.begin(json!([poll(&gone.url(), vanishes)])).await;
    let first = scene.polled(run, 1).await;
    let second = scene.next(run, &first).await;
    let third = scene.next(run, &second).await;
    assert_eq!(third.seen.as_deref(), Some("404, no JSON"));
    scene.clock.advance(seconds(10));
    assert_eq!(scene.done(run).await[0]["failed"]["status"], json!(404), "twice in a row at last");
    assert_eq!(gone.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_knows_goes_on_and_is_told_once_for_each_change() {
    let words = Arc::new(Mutex::new(Vec::<Answer>::new()));
    let said = words.clone();
    let web = Web::start(move |_| said.lock().pop().unwrap_or_else(|| status("done"))).await;
    *words.lock() = vec![Answer::ok("<html>"), Answer::Close, status("paused"), status("paused")];
    let scene = at(&web).await;
    let run = scene.begin(json!([poll(&format!("{}/job?key=1", web.url()), json!({}))])).await;
    let mut last = scene.polled(run, 1).await;
    for _ in 0..3 {
        last = scene.next(run, &last).await;
    }
    scene.clock.advance(seconds(11));
    assert_eq!(scene.done(run).await[0]["done"]["status"], json!(200));
    let lines: Vec<String> = scene.logged(run).await.iter().map(|line| line.line.to_string()).collect();
    let place = format!("(the host) {}/job: ", web.url());
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines[0],
        format!("{place}200, $.status = \"paused\", which no rule of the poll knows; it goes on")
    );
    assert!(lines[1].starts_with(&format!("{place}no answer: ")), "{lines:?}");
    assert_eq!(lines[2], format!("{place}200, no JSON, which no rule of the poll knows; it goes on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_come_later_each_time_up_to_the_ceiling_and_when_the_server_says() {
    let retry = Arc::new(Mutex::new(None::<&'static str>));
    let says = retry.clone();
    let web = Web::start(move |_| {
        let headers = says.lock().map(|after| format!("retry-after: {after}")).into_iter().collect();
        Answer::With("200 OK", headers, br#"{"status": "queued"}"#.to_vec())
    })
    .await;
    let scene = at(&web).await;
    let pace = json!({ "first-ms": 3_000, "grows": [200, 60_000] });
    let run = scene.begin(json!([poll(&web.url(), pace)])).await;
    let mut last = scene.stands(run, "there", |_| true).await;
    assert_eq!(last.due, BEGIN.after(seconds(3)));
    let mut waits = Vec::new();
    for wish in [None, None, None, None, None, Some("90"), Some("5"), Some("864000")] {
        *retry.lock() = wish;
        last = scene.next(run, &last).await;
        waits.push(last.due.since(scene.clock.now()).as_secs());
    }
    assert_eq!(waits, [10, 20, 40, 60, 60, 90, 60, 3_600]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_ends_at_its_deadline_with_what_was_seen_last() {
    let web = says(&["queued"]).await;
    let scene = at(&web).await;
    let run = scene.begin(json!([poll(&web.url(), json!({ "for-ms": 25_000 }))])).await;
    let first = scene.polled(run, 1).await;
    scene.next(run, &first).await;
    scene.clock.advance(seconds(15));
    assert_eq!(scene.done(run).await[0], json!({ "timed-out": "200, $.status = \"queued\"" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_poll_can_bring_ends_it_at_once() {
    let port = Arc::new(AtomicU32::new(0));
    let to = port.clone();
    let web = Web::start(move |asked| match asked.target.as_str() {
        "/large" => Answer::ok(vec![b' '; 2_000]),
        "/away" => Answer::redirect("302 Found", "http://127.0.0.1:9/elsewhere"),
        "/loop" => Answer::redirect("302 Found", "/loop"),
        "/near" => {
            Answer::redirect("302 Found", &format!("http://127.0.0.1:{}/end", to.load(Ordering::SeqCst)))
        }
        _ => status("done"),
    })
    .await;
    port.store(web.port.into(), Ordering::SeqCst);
    let scene = at(&web).await;
    let url = |path: &str| format!("{}{path}", web.url());
    let bounded = json!({ "request": { "url": url("/large"), "max-body": 1_000 } });
    let steps = json!([
        poll(&url("/large"), bounded),
        poll(&url("/away"), json!({})),
        poll(&url("/loop"), json!({})),
        poll(&url("/near"), json!({})),
    ]);
    let done = scene.done(scene.begin(steps).await).await;
    assert_eq!(done[0], json!({ "broken": "the answer has more than 1000 bytes" }));
    assert!(error(&done, 1).starts_with("denied: http GET http://127.0.0.1:9/elsewhere"), "{done}");
    assert!(done[2]["broken"].as_str().is_some_and(|why| why.contains("more redirects")), "{done}");
    assert_eq!(done[3]["done"]["url"], json!(url("/end")));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_must_not_be_reached_are_refused() {
    let web = says(&["done"]).await;
    let mut setup = Setup::in_memory();
    setup.http.reach = sublane_tests::reach(&[]);
    let scene = scene(setup, &ManualClock::at(BEGIN), &[&web]).await;
    let done = scene.done(scene.begin(json!([poll(&web.url(), json!({}))])).await).await;
    assert!(done[0]["broken"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{done}");
    assert_eq!(web.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_server_and_stays_out_of_the_journal() {
    let web = Web::start(|asked: &Asked| {
        Answer::ok(format!(r#"{{"status": "done", "you": "{}"}}"#, asked.header("authorization")))
    })
    .await;
    let scene = at(&web).await;
    let headers = json!([["authorization", "Bearer {api}"]]);
    let ask = json!({ "request": { "url": web.url(), "headers": headers, "secrets": ["api"], "method": "POST", "body": "{}" } });
    let run = scene.begin(json!([poll(&web.url(), ask)])).await;
    let done = scene.done(run).await;
    let asked = web.asked();
    assert_eq!(asked[0].header("authorization"), format!("Bearer {SECRET}"));
    assert_eq!((asked[0].method.as_str(), asked[0].text().as_str()), ("POST", "{}"));
    assert_eq!(done[0]["done"]["body"], json!(r#"{"status": "done", "you": "Bearer [secret api]"}"#));
    assert!(!scene.journal(run).await.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_carried_out_is_refused_in_words() {
    let web = says(&["done"]).await;
    let scene = at(&web).await;
    let url = web.url();
    let with = |more: Value| poll(&url, more);
    let in_a_tool =
        json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [with(json!({}))] } } });
    let steps = json!([
        with(json!({ "done": [] })),
        with(json!({ "every-ms": 10 })),
        with(json!({ "jitter": 51 })),
        with(json!({ "done": [{ "values": [["$[?@.a]", 1]] }] })),
        with(json!({ "done": [{ "values": [["status", 1]] }] })),
        with(json!({ "done": vec![is("a"); 9] })),
        with(json!({ "request": { "url": url, "method": "PUT" } })),
        with(json!({ "request": { "url": url, "timeout-ms": 61_000 } })),
        with(json!({ "request": { "url": url, "max-body": 300_000 } })),
        with(json!({ "request": { "url": url, "body": "x".repeat(70_000), "method": "POST" } })),
        with(json!({ "request": { "url": "http://127.0.0.1:9/" } })),
        json!({ "first": vec![json!({ "poll": plan(&url, json!({})) }); 5] }),
    ]);
    let done = scene.done(scene.begin(steps).await).await;
    let wrong = [
        "a poll needs a rule for `done-when`",
        "the interval of a poll is 1000 to",
        "its jitter at most 50",
        "has a filter",
        "is no JSONPath",
        "at most 8 rules for `done-when`",
        "GET or POST",
        "the limit poll.timeout-ms of 60000",
        "the limit poll.body-bytes of 262144",
        "the limit poll.sent-bytes of 65536",
        "denied: http GET http://127.0.0.1:9",
        "at most 4 poll plans",
    ];
    for (step, wrong) in wrong.iter().enumerate() {
        assert!(error(&done, step).contains(wrong), "{step}: {done}");
    }
    assert_eq!(web.asked().len(), 0);
    let with_tools = manifest(&[&web], 9).replace("channels", "tools = [{ plugin = 'spawns' }]\nchannels");
    let host = Setup::in_memory().plugin_with("spawns", &with_tools).start().await;
    let done = value(&host.run("spawns/act", json!([in_a_tool])).await);
    assert!(error(&done[0], 0).contains("it cannot poll"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poll_is_paid_and_the_wait_ends_when_the_purse_has_no_more() {
    let web = says(&["queued"]).await;
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::in_memory().plugin_with("spawns", &manifest(&[&web], 3));
    let scene = Scene { host: setup.clock(Arc::new(clock.clone())).start().await, clock };
    let run = scene.begin(json!([poll(&web.url(), json!({}))])).await;
    let mut last = scene.polled(run, 1).await;
    let left = scene.host.inner().store.run(run).await.expect("readable").expect("it is there").purse;
    assert_eq!(left.requests, 2);
    for _ in 0..2 {
        last = scene.next(run, &last).await;
    }
    scene.clock.advance(seconds(10));
    let done = scene.done(run).await;
    assert!(error(&done, 0).contains("the limit purse.requests of 0"), "{done}");
    assert_eq!(web.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_ends_the_wait_before_the_next_poll() {
    let web = says(&["queued"]).await;
    let scene = at(&web).await;
    let run = scene.begin(json!([poll(&web.url(), json!({}))])).await;
    scene.polled(run, 1).await;
    let inner = scene.host.inner();
    let asks = inner.plugins().get("spawns").expect("it is loaded").manifest.asks.clone();
    scene.host.named.allow("spawns", Authority { http: Vec::new(), ..asks });
    inner.reload(&["spawns".to_owned()]).await.expect("it is right");
    scene.clock.advance(seconds(10));
    let done = scene.done(run).await;
    assert!(error(&done, 0).starts_with("denied: http GET "), "{done}");
    assert_eq!(web.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_outlives_the_host_and_a_cancelled_one_asks_no_more() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let web = says(&["queued", "queued", "done"]).await;
    let first = scene(Setup::durable(&directory), &clock, &[&web]).await;
    let run = first.begin(json!([poll(&web.url(), json!({}))])).await;
    let other =
        first.begin(json!([poll(&format!("{}/other", web.url()), json!({ "first-ms": 60_000 }))])).await;
    let poll = first.polled(run, 1).await;
    let inner = first.host.inner();
    let cancelled = inner.store.cancel(other, "enough".into(), inner.link_base.clone(), clock.now()).await;
    inner.dispatch(cancelled.expect("it lives"));
    assert!(inner.store.polls_of(other).await.expect("readable").is_empty());
    // A crash: nothing is said to it.
    drop(first);
    let directory_of_plugins = directory.path().join("plugin-0");
    std::fs::remove_dir_all(directory_of_plugins).expect("the copy goes");
    let second = scene(Setup::durable(&directory), &clock, &[&web]).await;
    let kept = second.stands(run, "there", |_| true).await;
    assert_eq!((kept.id, kept.due), (poll.id, poll.due));
    let kept = second.next(run, &kept).await;
    clock.advance(kept.due.since(clock.now()));
    assert_eq!(second.done(run).await[0]["done"]["status"], json!(200));
    clock.advance(seconds(60));
    assert!(web.asked().iter().all(|asked| asked.target == "/"), "the cancelled one asked nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_of_a_hook_makes_the_next_poll_come_at_once() {
    let web = says(&["queued", "queued", "done", "done"]).await;
    let scene = at(&web).await;
    let hinted = json!({ "hint": 0, "first-ms": 600_000, "every-ms": 600_000 });
    let run = scene
        .begin(json!([
            { "hook": { "secret": null, "keys": null } },
            poll(&web.url(), hinted.clone()),
            { "hook-wait": { "hook": 0, "within-ms": null } },
            poll(&web.url(), hinted),
        ]))
        .await;
    scene.stands(run, "there", |poll| poll.made == 0).await;
    let journal = scene.host.inner().store.journal(run, 0).await.expect("readable");
    let opened: Value = serde_json::from_str(&journal[0].result).expect("JSON");
    let url = opened["Ok"]["url"].as_str().expect("a URL").to_owned();
    let door = scene.host.door.expect("a door");
    let call = async |id: &str, body: &[u8]| {
        send(door, &post(&path(&url), &[("webhook-id", id)], body)).await.status
    };
    // What it says is not believed: the answer to the poll is.
    assert_eq!(call("one", b"done").await, 200);
    scene.polled(run, 1).await;
    assert_eq!(call("one", b"done").await, 200, "the same again");
    assert_eq!(call("two", b"done").await, 410);
    assert_eq!(web.asked().len(), 1, "which changes nothing");
    let last = scene.polled(run, 1).await;
    let last = scene.next(run, &last).await;
    scene.clock.advance(last.due.since(scene.clock.now()));
    let done = scene.done(run).await;
    assert_eq!(done[1]["done"]["status"], json!(200));
    assert_eq!(done[2]["body"], json!("done"), "the call is the hook's still");
    assert_eq!(error(&done, 3), "there is no such thing", "a hook that was told hints at nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_things_the_first_in_the_list_wins_a_poll_too() {
    let web = says(&["done"]).await;
    let scene = at(&web).await;
    let plan = |more: Value| json!({ "poll": plan(&web.url(), more) });
    let steps = json!([
        { "first": ["message", plan(json!({})), { "within-ms": 60_000 }] },
        { "first": [plan(json!({ "first-ms": 5_000 })), { "within-ms": 1_000 }] },
        { "first": [plan(json!({ "for-ms": 0 })), { "within-ms": 0 }] },
    ]);
    let run = scene.begin(steps).await;
    scene.stands(run, "at the second wait", |poll| poll.due == BEGIN.after(seconds(5))).await;
    scene.clock.advance(seconds(1));
    let done = scene.done(run).await;
    assert_eq!((&done[0][0], &done[0][1]["done"]["status"]), (&json!(1), &json!(200)));
    assert_eq!(done[1], json!([1, "time"]), "and the plan is gone");
    assert_eq!(done[2], json!([0, { "timed-out": "nothing yet" }]));
    assert_eq!(web.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_a_poll_waits_for_without_its_query() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let line = CommandLine::beside(&directory);
    let web = says(&["queued"]).await;
    let scene = scene(Setup::durable(&directory), &clock, &[&web]).await;
    let ask = json!({ "url": format!("{}/job?key=1", web.url()), "headers": [["x-mark", "hidden"]] });
    let run = scene.begin(json!([poll("", json!({ "request": ask }))])).await;
    scene.polled(run, 1).await;
    let shown = line.run(&["runs", "show", &run.to_string()]).await.out;
    assert!(shown.contains(&format!("waits for    an answer to GET {}/job\n", web.url())), "{shown}");
    assert!(shown.contains(&format!("  {}  next ", web.url())), "{shown}");
    assert!(shown.contains("after 1 poll  seen last: 200, $.status = \"queued\""), "{shown}");
    let json = line.json(&["runs", "show", &run.to_string()]).await;
    assert_eq!((&json["polls"][0]["polls"], &json["polls"][0]["server"]), (&json!(1), &json!(web.url())));
    let tree = line.run(&["runs", "tree", &run.to_string()]).await.out;
    assert!(tree.contains(&format!("an answer to GET {}/job", web.url())), "{tree}");
    let next = format!("127.0.0.1:{} in ", web.port);
    assert!(tree.contains(&format!("asks {next}")), "{tree}");
    let trees = line.json(&["runs", "tree"]).await;
    assert_eq!(trees["trees"][0]["polls"], json["polls"]);
    let list = line.run(&["runs", "list", "--state", "waiting"]).await.out;
    assert!(list.contains("NEXT POLL") && list.contains(&next), "{list}");
    let listed = line.json(&["runs", "list"]).await;
    assert_eq!(listed["runs"][0]["polls"], json["polls"]);
    for text in [shown, json["waits_for"].to_string(), tree, list] {
        assert!(!text.contains("key=") && !text.contains("hidden"), "{text}");
    }
}
