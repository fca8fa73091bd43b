//! Requests to other machines: where they go, what they carry, what bounds them, and that a crash
//! repeats them with the same key.

mod bounds;
mod places;
mod repeated;
mod undone;

use serde_json::{Value, json};
use sublane_tests::web::{Answer, Asked, Web};
use sublane_tests::{Setup, TestHost, value};

/// `spawns`, with whatever these servers need. `{n}` is the port of server n.
fn manifest(asks: &str, servers: &[&Web]) -> String {
    let mut text = format!(
        "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\nspawn = {{ agents = [\"spawns\"], depth = 2 }}\n{asks}\n"
    );
    for (n, server) in servers.iter().enumerate() {
        text = text.replace(&format!("{{{n}}}"), &server.port.to_string());
    }
    for (key, amount) in [("requests", "100"), ("bytes-out", "\"4MiB\""), ("bytes-in", "\"16MiB\"")] {
        if !asks.contains(&format!("{key} = ")) {
            text.push_str(&format!("{key} = {amount}\n"));
        }
    }
    text
}

/// The least that most tests need: everything at the first server.
const ANYTHING: &str = r#"http = [{ to = "http://127.0.0.1:{0}", methods = ["GET", "HEAD", "POST", "PUT"] }]
artifacts = { bytes = "1MiB" }"#;

async fn host(asks: &str, servers: &[&Web]) -> TestHost {
    Setup::in_memory().plugin_with("spawns", &manifest(asks, servers)).start().await
}

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} did not fail: {done}"))
}

/// Answers with what it was asked.
fn echo(asked: &Asked) -> Answer {
    let headers: Vec<String> = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    Answer::ok(format!("{} {}\n{}\n\n{}", asked.method, asked.target, headers.join("\n"), asked.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_out_as_it_was_made_and_its_response_comes_back() {
    let web = Web::start(|_| {
        let headers =
            vec!["X-Said: a".to_owned(), "x-said: b".to_owned(), "Connection: keep-alive".to_owned()];
        Answer::With("418 I'm a teapot", headers, b"short and stout".to_vec())
    })
    .await;
    let host = host(ANYTHING, &[&web]).await;
    let url = format!("{}/v1/tea?sugar=2", web.url());
    let ask = json!({ "http": {
        "method": "POST", "url": url, "headers": [["X-Leaf", " green"]], "body": "{\"cups\": 1}",
    } });
    let done = acted(&host, json!([ask, ask])).await;
    assert_eq!((&done[0]["status"], &done[0]["body"]), (&json!(418), &json!("short and stout")), "{done}");
    assert_eq!(done[0]["url"], json!(url));
    let headers = json!([["content-length", "15"], ["x-said", "a"], ["x-said", "b"]]);
    assert_eq!(done[0]["headers"], headers);
    let asked = web.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/v1/tea?sugar=2"));
    assert_eq!((asked[0].header("x-leaf"), asked[0].text().as_str()), ("green", "{\"cups\": 1}"));
    assert_eq!(asked[0].header("host"), format!("127.0.0.1:{}", web.port));
    assert!(asked[0].header("user-agent").starts_with("sublane/"));
    assert_eq!(asked[0].connection, asked[1].connection, "the connection is used again");
    let keys = asked.iter().map(|asked| asked.header("idempotency-key")).collect::<Vec<_>>();
    assert!(keys[0].len() >= 22 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_from_a_file_and_goes_into_one() {
    let web = Web::start(|asked| match asked.target.as_str() {
        "/film" => {
            Answer::With("200 OK", vec!["content-type: video/mp4; x=y".to_owned()], vec![b'f'; 600_000])
        }
        "/missing" => Answer::With("404 Not Found", Vec::new(), b"no film".to_vec()),
        _ => echo(asked),
    })
    .await;
    let host = host(ANYTHING, &[&web]).await;
    let url = |path: &str| format!("{}{path}", web.url());
    let done = acted(
        &host,
        json!([
            { "write": { "name": "a.txt", "text": "from a file" } },
            { "http": { "method": "PUT", "url": url("/put"), "send-file": true } },
            { "http": { "url": url("/film"), "into-file": "film.mp4" } },
            { "http": { "url": url("/missing"), "into-file": "film.mp4" } },
            { "http": { "url": url("/film"), "into-file": "again.mp4" } },
        ]),
    )
    .await;
    let sent = done[1]["body"].as_str().expect("a body");
    assert!(sent.ends_with("\n\nfrom a file") && sent.contains("content-length: 11"), "{sent}");
    let file = json!({ "name": "film.mp4", "media-type": "video/mp4", "size": 600_000 });
    assert_eq!((&done[2]["file"], &done[2]["body"]), (&file, &json!("")), "{done}");
    assert_eq!(
        (&done[3]["status"], &done[3]["body"]),
        (&json!(404), &json!("no film")),
        "no file of an error"
    );
    assert!(error(&done, 4).contains("purse.artifact-bytes"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sets_its_own_idempotency_key_and_no_header_of_the_connection() {
    let web = Web::start(echo).await;
    let host = host(ANYTHING, &[&web]).await;
    let with = |name: &str, value: &str| json!({ "http": { "url": web.url(), "headers": [[name, value]] } });
    let forbidden = [
        ("Host", "evil.example"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic eA=="),
        ("x", "a\r\nHost: evil.example"),
        ("x", "a\n\nGET /second HTTP/1.1"),
        ("x\r\nHost", "evil.example"),
        ("x y", "z"),
        ("x", "\u{0}"),
    ];
    let steps: Vec<Value> = forbidden
        .iter()
        .map(|(name, value)| with(name, value))
        .chain([
            with("Idempotency-Key", "mine"),
            json!({ "http": { "url": web.url(), "method": "GET / HTTP/1.1\r\nx: y" } }),
        ])
        .collect();
    let done = acted(&host, json!(steps)).await;
    for (n, (name, _)) in forbidden.iter().enumerate() {
        assert!(error(&done, n).starts_with("invalid: "), "{name}: {done}");
    }
    assert!(error(&done, forbidden.len() + 1).starts_with("invalid: the method must be one of"), "{done}");
    let asked = web.asked();
    assert_eq!(asked.len(), 1, "nothing else was sent: {asked:?}");
    assert_eq!(asked[0].header("idempotency-key"), "mine");
}
