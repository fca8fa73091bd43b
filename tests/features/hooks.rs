//! Calls from outside: which one counts, who is verified, what bounds them, and what a host tells.

use std::sync::Arc;
use std::time::Duration;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sublane::clock::ManualClock;
use sublane_core::hook::{CallAnswer, Called, OpenAnswer};
use sublane_core::journal::decode;
use sublane_core::{Import, RunId, Timestamp};
use sublane_store::{Effects, Model};
use sublane_tests::caller::{Told, path, post, send};
use sublane_tests::command::CommandLine;
use sublane_tests::holding::Holding;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{PATIENCE, Setup, TestHost, temporary, value};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOBODY: fn() -> Value = || json!({ "hook": { "secret": null, "keys": null } });

fn wait(hook: usize) -> Value {
    json!({ "hook-wait": { "hook": hook, "within-ms": null } })
}

struct Scene {
    host: TestHost,
    clock: ManualClock,
}

async fn scene(setup: Setup) -> Scene {
    let clock = ManualClock::at(BEGIN);
    let host = setup.clock(Arc::new(clock.clone())).plugin("spawns").hooks().start().await;
    Scene { host, clock }
}

/// A host with the secret `films` and a plugin that may use it.
async fn with_secret(value: &str) -> Scene {
    let clock = ManualClock::at(BEGIN);
    let manifest = "id = 'spawns'\nversion = '0.1.0'\n[asks]\nchannels = ['origin']\n\
                    secrets = [{ name = 'films', header = 'x', audience = 'https://example.org' }]\n";
    let setup = Setup::in_memory().plugin_with("spawns", manifest).secret("films", value).hooks();
    Scene { host: setup.clock(Arc::new(clock.clone())).start().await, clock }
}

async fn raw(host: &TestHost, request: &[u8]) -> Told {
    send(host.door.expect("there is a door"), request).await
}

impl Scene {
    async fn call(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let told = raw(&self.host, &post(&path(url), headers, body)).await;
        assert_eq!(told.body, "", "nothing is told of the host");
        told.status
    }

    /// The hooks that a run has opened so far, once there are so many: ids and URLs.
    async fn opened(&self, run: RunId, count: usize) -> Vec<OpenAnswer> {
        self.host.when(run, "at its wait", |run| run.state.kind() == "waiting" || run.is_ended()).await;
        let journal = self.host.inner().store.journal(run, 0).await.expect("readable");
        let opened = journal.iter().filter(|entry| entry.import == Import::HookOpen);
        let opened: Vec<OpenAnswer> =
            opened.map(|entry| decode(entry).expect("an answer").expect("it may")).collect();
        assert_eq!(opened.len(), count);
        opened
    }

    async fn begin(&self, steps: Value) -> RunId {
        self.host.begin("spawns/act", steps).await
    }

    async fn done(&self, run: RunId) -> Value {
        value(&self.host.ended(run).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_the_wait_and_its_repetitions_change_nothing() {
    let scene = scene(Setup::in_memory()).await;
    let run = scene.begin(json!([NOBODY(), wait(0), wait(0), { "sleep": 60_000 }])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    assert!(url.starts_with(&format!("http://{}/hooks/", scene.host.door.expect("a door"))), "{url}");
    let headers = [("content-type", "application/json"), ("webhook-id", "one")];
    assert_eq!(scene.call(&url, &headers, b"{\"n\":1}").await, 200);
    assert_eq!(scene.call(&url, &headers, b"{\"n\":1}").await, 200, "the same again");
    assert_eq!(scene.call(&url, &[("webhook-id", "two")], b"{}").await, 410, "another one");
    scene.clock.advance(Duration::from_secs(60));
    let done = scene.done(run).await;
    let told = json!({ "key": "one", "body": "{\"n\":1}", "type": "application/json", "verified": false });
    assert_eq!(done[1], told);
    assert!(done[2]["error"].is_string(), "it is told once: {done}");
    assert_eq!(scene.call(&url, &headers, b"{\"n\":1}").await, 200, "also when the run has ended");
    assert_eq!(scene.call(&url, &[("webhook-id", "late")], b"{}").await, 410);
}

/// Complaint 52305 (R6): what came from outside found no way back to whoever waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_before_the_wait_outlives_the_host() {
    let directory = temporary();
    let first = scene(Setup::durable(&directory)).await;
    let run = first.begin(json!([NOBODY(), { "receive": { "within-ms": null } }, wait(0)])).await;
    let opened = first.opened(run, 1).await.remove(0);
    assert_eq!(first.call(&opened.url, &[], b"early").await, 200);
    let before = first.host.inner().store.journal(run, 0).await.expect("readable");
    let Scene { host, clock } = first;
    // A crash: nothing is said to it.
    drop(host);
    let host =
        Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns").hooks().start().await;
    let second = Scene { host, clock };
    let path = path(&opened.url);
    assert_eq!(raw(&second.host, &post(&path, &[], b"early")).await.status, 200, "the same, again");
    assert_eq!(raw(&second.host, &post(&path, &[], b"other")).await.status, 410);
    let inner = second.host.inner();
    inner.dispatch(inner.store.send(run, "1".into(), None, BEGIN).await.expect("it waits"));
    let done = second.done(run).await;
    assert_eq!((&done[0]["url"], &done[2]["body"]), (&json!(opened.url), &json!("early")));
    let after = second.host.inner().store.journal(run, 0).await.expect("readable");
    assert_eq!(after[..before.len()], before[..], "the same URL is replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_without_a_call_and_a_closed_hook_is_gone() {
    let scene = scene(Setup::in_memory()).await;
    let brief = json!({ "hook-wait": { "hook": 0, "within-ms": 5_000 } });
    let steps =
        json!([NOBODY(), brief, { "hook-close": 0 }, { "hook-close": 0 }, wait(0), { "sleep": 60_000 }]);
    let run = scene.begin(steps).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    scene.clock.advance(Duration::from_secs(5));
    scene.host.when(run, "asleep", |run| run.since > BEGIN && run.state.kind() == "waiting").await;
    assert_eq!(scene.call(&url, &[], b"x").await, 410);
    scene.clock.advance(Duration::from_secs(60));
    let done = scene.done(run).await;
    assert_eq!((&done[1], &done[2], &done[3]), (&json!(null), &json!(null), &json!(null)), "{done}");
    assert!(done[4]["error"].is_string(), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_by_a_hook_or_by_a_message() {
    let scene = scene(Setup::in_memory()).await;
    let steps =
        json!([NOBODY(), { "first": ["message", { "hook": 0 }] }, { "first": ["message", { "hook": 0 }] }]);
    let run = scene.begin(steps).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    assert_eq!(scene.call(&url, &[], b"yes").await, 200);
    let done = scene.done(run).await;
    assert!(done[1].to_string().contains(r#"{"called":"yes"}"#), "{done}");
    assert!(done[2]["error"].is_string(), "it has told its call: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_is_closed_or_a_grant_that_is_missing_is_told() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let done = value(&host.run("spawns/act", json!([NOBODY()])).await);
    assert!(done[0]["error"].as_str().is_some_and(|error| error.contains("not to be had now")), "{done}");
    let scene = scene(Setup::in_memory()).await;
    let steps = json!([
        { "hook": { "secret": "films", "keys": null } },
        { "hook": { "secret": null, "keys": "https://rest.alpha.fal.ai/.well-known/jwks.json" } },
        { "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [NOBODY()] } } },
    ]);
    let done = value(&scene.host.run("spawns/act", steps).await);
    let error = |done: &Value| done["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(&done[0]).contains("secrets films"), "{done}");
    assert!(error(&done[1]).contains("http GET https://rest.alpha.fal.ai"), "{done}");
    assert!(error(&done[2][0]).contains("a tool call is short"), "{done}");
    let with_secret = with_secret("hunter2hunter2").await;
    let ask = json!([{ "hook": { "secret": "films", "keys": null } }]);
    let done = value(&with_secret.host.run("spawns/act", ask).await);
    assert!(error(&done[0]).contains("neither `whsec_` nor `whpk_`"), "{done}");
    assert!(!done.to_string().contains("hunter2"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_signs_with_the_secret_is_taken() {
    let scene = with_secret(SECRET).await;
    let run = scene.begin(json!([{ "hook": { "secret": "films", "keys": null } }, wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let theirs = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let now = i64::try_from(BEGIN.0 / 1_000).expect("soon");
    let signed = |id: &str, at: i64, body: &[u8]| theirs.sign(id, at, body).expect("signs");
    let call = async |id: &str, at: i64, signature: &str, body: &[u8]| {
        let at = at.to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", &at), ("webhook-signature", signature)];
        scene.call(&url, &headers, body).await
    };
    assert_eq!(scene.call(&url, &[], b"{}").await, 401, "not signed");
    assert_eq!(call("a", now, &signed("a", now, b"{}"), b"[]").await, 401, "another body");
    assert_eq!(call("b", now, &signed("a", now, b"{}"), b"{}").await, 401, "another id");
    let old = now - 301;
    assert_eq!(call("a", old, &signed("a", old, b"{}"), b"{}").await, 401, "replayed later");
    assert_eq!(
        scene.host.inner().store.run(run).await.expect("readable").expect("there").state.kind(),
        "waiting"
    );
    assert_eq!(call("a", now, &signed("a", now, b"{}"), b"{}").await, 200);
    let done = scene.done(run).await;
    assert_eq!((&done[1]["key"], &done[1]["verified"]), (&json!("a"), &json!(true)));
    assert_eq!(call("a", now, &signed("a", now, b"{}"), b"{}").await, 200, "replayed at once");
    assert_eq!(call("c", now, &signed("c", now, b"{}"), b"{}").await, 410);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_as_fal_does_is_found_by_its_keys_which_are_looked_for_seldom() {
    let pair = |n: u8| Ed25519KeyPair::from_seed_unchecked(&[n; 32]).expect("a seed");
    let jwk = |n: u8| {
        use base64::Engine as _;
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(pair(n).public_key());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)
    };
    let text = format!(r#"{{"keys":[{},{}]}}"#, jwk(1), jwk(2));
    let keys = Web::start(move |_| Answer::ok(text.clone())).await;
    let place = format!("{}/.well-known/jwks.json", keys.url());
    let manifest = format!(
        "id = 'spawns'\nversion = '0.1.0'\n[asks]\nhttp = [{{ to = '{}' }}]\nrequests = 1\n",
        keys.url()
    );
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::in_memory().plugin_with("spawns", &manifest).hooks().clock(Arc::new(clock.clone()));
    let scene = Scene { host: setup.start().await, clock };
    let run = scene.begin(json!([{ "hook": { "secret": null, "keys": place } }, wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let call = async |by: u8, body: &[u8]| {
        let at = (scene.host.inner().clock.now().0 / 1_000).to_string();
        let message = format!("request\nuser\n{at}\n{}", hex(&Sha256::digest(b"{}")));
        let signature = hex(pair(by).sign(message.as_bytes()).as_ref());
        let headers = [
            ("x-fal-webhook-request-id", "request"),
            ("x-fal-webhook-user-id", "user"),
            ("x-fal-webhook-timestamp", &at),
            ("x-fal-webhook-signature", &signature),
        ];
        scene.call(&url, &headers, body).await
    };
    assert_eq!(call(3, b"{}").await, 401, "an unknown key");
    assert_eq!(call(3, b"{}").await, 401, "again");
    assert_eq!(keys.asked().len(), 1, "a caller cannot make the host ask");
    assert_eq!(call(2, b"[]").await, 401, "another body");
    assert_eq!(scene.call(&url, &[], b"{}").await, 401, "not signed");
    scene.clock.advance(Duration::from_secs(61));
    assert_eq!(call(3, b"{}").await, 401, "keys may have changed");
    assert_eq!(keys.asked().len(), 2);
    assert_eq!(call(2, b"{}").await, 200);
    let done = scene.done(run).await;
    assert_eq!((&done[1]["key"], &done[1]["verified"]), (&json!("request"), &json!(true)));
    assert_eq!(keys.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_had_have_the_caller_come_again() {
    let keys = Web::start(|_| Answer::With("500 Internal Server Error", Vec::new(), Vec::new())).await;
    let manifest = format!(
        "id = 'spawns'\nversion = '0.1.0'\n[asks]\nhttp = [{{ to = '{}' }}]\nrequests = 1\n",
        keys.url()
    );
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::in_memory().plugin_with("spawns", &manifest).hooks().clock(Arc::new(clock.clone()));
    let scene = Scene { host: setup.start().await, clock };
    let run = scene.begin(json!([{ "hook": { "secret": null, "keys": keys.url() } }, wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let (at, signature) = ((BEGIN.0 / 1_000).to_string(), "0".repeat(128));
    let headers = [
        ("x-fal-webhook-request-id", "request"),
        ("x-fal-webhook-user-id", "user"),
        ("x-fal-webhook-timestamp", at.as_str()),
        ("x-fal-webhook-signature", &signature),
    ];
    let told = raw(&scene.host, &post(&path(&url), &headers, b"{}")).await;
    assert!(told.status == 503 && told.head.contains("retry-after: 60"), "{}", told.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_or_too_much_is_refused_and_tells_nothing() {
    let scene = scene(Setup::in_memory()).await;
    let run = scene.begin(json!([NOBODY(), wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let path = path(&url);
    let ask = async |line: &str| {
        raw(&scene.host, format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
    };
    for elsewhere in ["/", "/hooks", "/hooks/", "/healthz", "/hooks/AAAA", &format!("{path}/x"), "*"] {
        let told = ask(&format!("GET {elsewhere}")).await;
        assert!(matches!(told.status, 400 | 404) && told.body.is_empty(), "{elsewhere}: {}", told.head);
        assert!(!told.head.contains("server:") && !told.head.contains("date:"), "{}", told.head);
    }
    let mut other = path.clone();
    let last = if other.pop() == Some('A') { 'Q' } else { 'A' };
    other.push(last);
    assert_eq!(ask(&format!("POST {other}")).await.status, 404);
    let told = ask(&format!("GET {path}")).await;
    assert!(told.status == 405 && told.head.contains("allow: post"), "{}", told.head);
    let limit = 256 << 10;
    assert_eq!(scene.call(&url, &[], &vec![b'x'; limit + 1]).await, 413, "it says how much it is");
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, "x".repeat(64 << 10));
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(5)
    );
    assert_eq!(raw(&scene.host, chunked.as_bytes()).await.status, 413, "it does not say how much it is");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(raw(&scene.host, head.as_bytes()).await.status, 431);
    assert_eq!(scene.call(&url, &[], &vec![b'x'; limit]).await, 200, "as much as there may be");
    scene.host.ended(run).await;
    let journal = scene.host.inner().store.journal(run, 0).await.expect("readable");
    let called: Result<Option<CallAnswer>, _> = decode(&journal[1]).expect("an answer");
    assert_eq!(called.expect("it was called").map(|call| call.body.len()), Some(limit));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_to_wait_and_holds_up_no_other_hook() {
    let scene = scene(Setup::in_memory()).await;
    let run = scene.begin(json!([NOBODY(), NOBODY(), wait(0), wait(1)])).await;
    let opened = scene.opened(run, 2).await;
    let mut told = Vec::new();
    for _ in 0..25 {
        told.push(scene.call(&opened[0].url, &[("webhook-id", "same")], b"x").await);
    }
    assert_eq!((told[..20].iter().all(|status| *status == 200), &told[20..]), (true, &[429; 5][..]));
    assert_eq!(scene.call(&opened[1].url, &[], b"y").await, 200);
    assert_eq!(scene.done(run).await[3]["body"], "y");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.call(&opened[0].url, &[("webhook-id", "same")], b"x").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_which_hooks_are_open_and_nobody_sees_a_token() {
    let directory: Arc<TempDir> = temporary();
    let line = CommandLine::beside(&directory);
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::durable(&directory).plugin("spawns").hooks_behind("https://example.org/plugins/");
    let scene = Scene { host: setup.clock(Arc::new(clock.clone())).start().await, clock };
    let run = scene.begin(json!([NOBODY(), NOBODY(), wait(1)])).await;
    let opened = scene.opened(run, 2).await;
    let token = opened[0].url.strip_prefix("https://example.org/plugins/hooks/").expect("its public URL");
    assert_eq!(raw(&scene.host, &post(&format!("/plugins/hooks/{token}"), &[], b"x")).await.status, 200);
    let shown = line.run(&["runs", "show", &run.to_string()]).await.out;
    assert!(shown.contains(&format!("waits for    a call of hook {}", opened[1].id)), "{shown}");
    assert!(shown.contains(&format!("{}  called  called by whoever knows the URL", opened[0].id)), "{shown}");
    assert!(shown.contains(&format!("{}  open  called by whoever knows the URL", opened[1].id)), "{shown}");
    let json = line.json(&["runs", "show", &run.to_string()]).await;
    let states: Vec<_> =
        json["hooks"].as_array().expect("a list").iter().map(|hook| &hook["state"]).collect();
    assert!(states.contains(&&json!("open")) && states.contains(&&json!("called")), "{states:?}");
    for text in [shown, json.to_string(), line.run(&["runs", "tree", &run.to_string(), "--json"]).await.out] {
        assert!(!text.contains(token), "{text}");
    }
    scene.host.inner().cancel(run, "enough").await.expect("it lives");
    let json = line.json(&["runs", "show", &run.to_string()]).await;
    let open =
        json["hooks"].as_array().expect("a list").iter().filter(|hook| hook["state"] == "open").count();
    assert_eq!(open, 0, "it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_and_hangs_up_has_called() {
    let store = Holding::new(Model::default(), |given| given.is::<Option<(Called, Effects)>>());
    let mut setup = Setup::on(store.clone(), temporary());
    setup.settings.hot_window = Duration::from_secs(3_600);
    let scene = scene(setup).await;
    let run = scene.begin(json!([NOBODY(), wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let mut caller = TcpStream::connect(scene.host.door.expect("there is a door")).await.expect("it listens");
    caller.write_all(&post(&path(&url), &[], b"x")).await.expect("it is read");
    timeout(PATIENCE, store.has_written.notified()).await.expect("the call is kept");
    caller.shutdown().await.expect("it hangs up");
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, caller.read_to_end(&mut answer)).await.expect("in time");
    assert!(answer.is_empty(), "the host has hung up as well");
    store.answers.notify_one();
    assert_eq!(scene.done(run).await[1]["body"], json!("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_answers_what_was_begun_and_takes_no_more() {
    let scene = scene(Setup::in_memory()).await;
    let run = scene.begin(json!([NOBODY(), wait(0)])).await;
    let url = scene.opened(run, 1).await[0].url.clone();
    let door = scene.host.door.expect("there is a door");
    // A connection that says nothing does not keep it from stopping.
    let _idle = TcpStream::connect(door).await.expect("it listens");
    assert_eq!(scene.call(&url, &[], b"x").await, 200);
    scene.host.host.stop().await;
    assert!(TcpStream::connect(door).await.is_err(), "nobody listens any more");
}
