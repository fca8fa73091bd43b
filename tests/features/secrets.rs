//! Secrets that requests carry: they go where grants say, nobody else sees them, and whatever comes
//! back is searched for them.

mod process;

use serde_json::{Value, json};
use sublane_core::Outcome;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, denials, value};

const SECRET: &str = "tr0ub4dor/&3 \"x\"";

fn manifest(web: &Web, other: &Web) -> String {
    let (port, other) = (web.port, other.port);
    format!(
        r#"
id = "spawns"
version = "0.1.0"
[asks]
spawn = {{ agents = ["spawns"], depth = 2 }}
http = [{{ to = "http://127.0.0.1:{port}", methods = ["GET", "POST"] }}, {{ to = "http://127.0.0.1:{other}", methods = ["GET", "POST"] }}]
secrets = [
    {{ name = "api", header = "Authorization", audience = "http://127.0.0.1:{port}/v1" }},
    {{ name = "api", query = "key", audience = "http://127.0.0.1:{port}/v1" }},
    {{ name = "api", body = "auth", audience = "http://127.0.0.1:{port}/v1" }},
    {{ name = "nowhere", header = "Authorization", audience = "http://127.0.0.1:{port}/v1" }},
]
kv = [{{ bucket = "notes", prefix = "", mode = "read-write" }}]
channels = ["origin"]
artifacts = {{ bytes = "1MiB" }}
requests = 100
bytes-out = "1MiB"
bytes-in = "16MiB"
"#
    )
}

async fn host(web: &Web, other: &Web) -> TestHost {
    Setup::in_memory().plugin_with("spawns", &manifest(web, other)).secret("api", SECRET).start().await
}

async fn quiet() -> Web {
    Web::start(|_| Answer::ok("ok")).await
}

fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} did not fail: {done}"))
}

/// A request to `/v1` with `{api}` in these places.
fn ask(url: &str, header: &str, body: Option<&str>) -> Value {
    json!({ "http": { "method": "POST", "url": url, "headers": [["authorization", header]], "body": body, "secrets": ["api"] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_server_and_not_the_guest() {
    let (web, other) = (quiet().await, quiet().await);
    let host = host(&web, &other).await;
    let steps = json!([
        { "placeholder": "api" },
        ask(&format!("{}/v1?key={{api}}&a=b", web.url()), "Bearer {api}", Some(r#"{"auth": ["{api}"], "n": 1.50}"#)),
        { "placeholder": "nowhere" },
        { "placeholder": "other" },
    ]);
    let done = value(&host.run("spawns/act", steps.clone()).await);
    let placeholder = done[0].as_str().expect("a placeholder");
    assert!(placeholder.starts_with("sublane-secret-") && !placeholder.contains("tr0ub"), "{done}");
    assert_eq!(done[1]["status"], json!(200), "{done}");
    assert_eq!(done[1]["url"], json!(format!("{}/v1?key={placeholder}&a=b", web.url())));
    assert_eq!(error(&done, 2), "there is no such thing");
    assert!(error(&done, 3).starts_with("denied: secrets other"), "{done}");
    let asked = &web.asked()[0];
    assert_eq!(asked.header("authorization"), format!("Bearer {SECRET}"));
    assert_eq!(asked.target, "/v1?key=tr0ub4dor%2F%263%20%22x%22&a=b");
    assert_eq!(asked.text(), r#"{"auth": ["tr0ub4dor/&3 \"x\""], "n": 1.50}"#);
    let again = value(&host.run("spawns/act", steps).await);
    assert_ne!(again[0], done[0], "another run has another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_no_other_place_and_to_nobody_else() {
    let (web, other) = (quiet().await, quiet().await);
    let host = host(&web, &other).await;
    let v1 = format!("{}/v1", web.url());
    let leaked = value(&host.run("spawns/act", json!([{ "placeholder": "api" }])).await);
    let leaked = leaked[0].as_str().expect("a placeholder").to_owned();
    let guessed = format!("sublane-secret-{}", "A".repeat(43));
    let with = |name: &str, value: &str| json!({ "http": { "method": "POST", "url": v1, "headers": [[name, value]], "secrets": ["api"] } });
    let steps = json!([
        ask(&format!("{}/v2", web.url()), "{api}", None),
        ask(&format!("{}/v1", other.url()), "{api}", None),
        with("x-key", "{api}"),
        ask(&v1, "x", Some(r#"{"other": "{api}"}"#)),
        ask(&v1, "x", Some("auth={api}")),
        ask(&format!("{v1}/{{api}}"), "x", None),
        ask(&format!("{v1}?other={{api}}"), "x", None),
        ask(&v1, &leaked, None),
        ask(&v1, &guessed, None),
        ask(&v1, "x", Some(&format!(r#"{{"auth": "{leaked}"}}"#))),
        { "spawn": { "agent": "spawns/act", "task": [ask(&v1, "{api}", None)],
            "scope": { "http": [format!("POST {v1}")] } } },
        { "wait": {} },
    ]);
    let run = host.begin("spawns/act", steps).await;
    let done = value(&host.ended(run).await);
    for (step, why) in [
        (0, format!("denied: secrets api in header authorization to {}/v2;", web.url())),
        (1, format!("denied: secrets api in header authorization to {}/v1;", other.url())),
        (2, format!("denied: secrets api in header x-key to {v1};")),
        (3, format!("denied: secrets api in body other to {v1};")),
        (4, "invalid: a placeholder stands in a body that is no JSON object".to_owned()),
        (5, "invalid: a placeholder stands in the path".to_owned()),
        (6, format!("denied: secrets api in query other to {v1};")),
        (7, "invalid: the request holds a placeholder that is none of this run's".to_owned()),
        (8, "invalid: the request holds a placeholder that is none of this run's".to_owned()),
        (9, "invalid: the request holds a placeholder that is none of this run's".to_owned()),
    ] {
        assert!(error(&done, step).starts_with(&why), "step {step}: {done}");
    }
    assert!(
        error(&done[11][0]["succeeded"], 0).starts_with("denied: secrets api"),
        "a child without it: {done}"
    );
    assert_eq!((web.asked().len(), other.asked().len()), (0, 0), "nothing was sent");
    let told = denials(run);
    assert!(
        told.iter().any(|denial| denial.capability.starts_with("secrets api in header x-key")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_takes_no_secret_along() {
    let other = quiet().await;
    let to = format!("{}/v1", other.url());
    let web = Web::start(move |asked| match asked.target.split('?').next() {
        Some("/v1/away") => Answer::redirect("307 Temporary Redirect", &to),
        Some("/v1/up") => Answer::redirect("307 Temporary Redirect", "/v2"),
        Some("/v1/on") => Answer::redirect("307 Temporary Redirect", "/v1/there"),
        Some("/v1/tells") => {
            let key = asked.header("authorization").replace(' ', "%20").replace('"', "%22");
            Answer::redirect("302 Found", &format!("{to}?stolen={key}"))
        }
        _ => Answer::ok("ok"),
    })
    .await;
    let host = host(&web, &other).await;
    let url = |path: &str| format!("{}/v1/{path}", web.url());
    let done = value(
        &host
            .run(
                "spawns/act",
                json!([
                    ask(&url("away"), "{api}", None),
                    ask(&url("away"), "x", Some(r#"{"auth": "{api}"}"#)),
                    ask(&url("up"), "{api}", None),
                    ask(&url("on"), "{api}", None),
                    ask(&url("tells"), "{api}", None),
                ]),
            )
            .await,
    );
    assert_eq!(done[0]["status"], json!(200), "{done}");
    assert_eq!(
        error(&done, 1),
        "the redirect cannot be followed: the body holds a secret, which is sent to no other server"
    );
    assert!(error(&done, 2).starts_with("denied: secrets api in header authorization to"), "{done}");
    assert_eq!(done[3]["status"], json!(200), "{done}");
    assert_eq!(error(&done, 4), "the redirect cannot be followed: the place that it names holds a secret");
    let away = other.asked();
    assert_eq!((away.len(), away[0].header("authorization")), (1, ""));
    assert!(
        web.asked()
            .iter()
            .any(|asked| asked.target == "/v1/there" && asked.header("authorization") == SECRET)
    );
}

/// Every form in which a server could tell a secret.
fn forms() -> Vec<String> {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        SECRET.to_owned(),
        format!("\"{}\"", SECRET.replace('"', "\\\"")),
        "dHIwdWI0ZG9yLyYzICJ4Ig==".to_owned(),
        "dHIwdWI0ZG9yLyYzICJ4Ig".to_owned(),
        hex.to_uppercase(),
        hex,
        "tr0ub4dor%2F%263%20%22x%22".to_owned(),
        "tr0ub4dor%2f%263+%22x%22".to_owned(),
        "tr0ub4dor/\\u00263 \\\"x\\\"".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_back_is_searched() {
    let other = quiet().await;
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(format!("packed {SECRET}").as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    let web = Web::start(move |asked| match asked.target.as_str() {
        "/v1/gzip" => Answer::With("200 OK", vec!["content-encoding: gzip".to_owned()], gzip.clone()),
        "/v1/type" => Answer::With(
            "200 OK",
            vec![format!("content-type: text/{}", "dHIwdWI0ZG9yLyYzICJ4Ig")],
            vec![b'x'],
        ),
        _ => Answer::With(
            "200 OK",
            vec![format!("x-echo: {}", asked.header("authorization"))],
            forms().join("\n").into_bytes(),
        ),
    })
    .await;
    let host = host(&web, &other).await;
    let v1 = format!("{}/v1", web.url());
    let into = |path: &str| json!({ "http": { "url": format!("{v1}{path}"), "into-file": "echo.txt" } });
    let steps = json!([
        ask(&v1, "Bearer {api}", None),
        { "http": { "url": format!("{v1}/gzip") } },
        into(""),
        { "read": {} },
        into("/type"),
        { "log": { "level": "info", "text": forms().join(" | ") } },
        { "progress": { "percent": 5, "note": format!("at {SECRET}") } },
        { "write": { "name": format!("x-{}.txt", "dHIwdWI0ZG9yLyYzICJ4Ig"), "text": "x" } },
        { "deliver": { "to": "origin", "text": format!("see {SECRET}") } },
        { "kv-set": { "bucket": "notes", "key": "k", "value": SECRET } },
        { "kv-get": { "bucket": "notes", "key": "k" } },
    ]);
    let run = host.begin("spawns/act", steps).await;
    let outcome = host.ended(run).await;
    let done = value(&outcome);
    let body = done[0]["body"].as_str().expect("a body");
    assert_eq!(body.matches("[secret api]").count(), forms().len(), "{body}");
    let echoed = json!(["x-echo", "Bearer [secret api]"]);
    assert!(done[0]["headers"].as_array().is_some_and(|headers| headers.contains(&echoed)), "{done}");
    assert_eq!(done[1]["body"], json!("packed [secret api]"));
    assert_eq!(done[3].as_str().expect("a text").matches("[secret api]").count(), forms().len(), "{done}");
    assert_eq!(done[10], json!("[secret api]"), "what it gives back is searched too: {done}");
    host.until("its message is delivered", || host.recorder.texts().len() >= 2).await;
    host.until("its log is stored", || {
        let store = &host.inner().store;
        futures_util::FutureExt::now_or_never(store.logs(run, 0))
            .is_some_and(|logs| logs.is_ok_and(|logs| !logs.is_empty()))
    })
    .await;
    let store = &host.inner().store;
    let row = store.run(run).await.expect("readable").expect("there");
    let logs = store.logs(run, 0).await.expect("readable");
    let mut journal = store.journal(run, 0).await.expect("readable");
    // What the guest itself put into kv is its own affair: it had the value from the test's task.
    journal.retain(|entry| {
        entry.import.name().starts_with("http.") || entry.import.name().starts_with("secret.")
    });
    let all = format!("{outcome:?} {:?} {logs:?} {journal:?} {:?}", row.progress, host.recorder.deliveries());
    for form in forms() {
        assert!(!all.contains(&form), "{form} is in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_no_secret() {
    let (web, other) = (quiet().await, quiet().await);
    let host = host(&web, &other).await;
    let failed = host.run("spawns/act", json!([{ "fail": format!("with {SECRET}") }])).await;
    let Outcome::Failed { message, .. } = failed else { panic!("{failed:?}") };
    assert_eq!(&*message, "with [secret api]");
}
