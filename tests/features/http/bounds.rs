//! What bounds a request: bytes, time, compression, headers, and the purse.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use sublane_core::Outcome;
use sublane_tests::value;
use sublane_tests::web::{Answer, Web};

use super::{ANYTHING, acted, echo, error, host};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_bounded_also_when_it_is_compressed() {
    let bomb = Arc::new(gzip(&vec![0; 64 << 20]));
    assert!(bomb.len() < 128 << 10);
    let encoded = |encoding: &str, body: Vec<u8>| {
        Answer::With("200 OK", vec![format!("content-encoding: {encoding}")], body)
    };
    let web = Web::start(move |asked| match asked.target.as_str() {
        "/gzip" => encoded("gzip", gzip(b"packed")),
        "/bomb" => encoded("gzip", bomb.to_vec()),
        "/cut" => encoded("gzip", gzip(&[7; 1_000])[..15].to_vec()),
        "/odd" => encoded("br", b"whatever".to_vec()),
        "/twice" => encoded("gzip, gzip", gzip(&gzip(b"packed"))),
        "/endless" => Answer::Endless,
        "/head" => Answer::Raw([b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 1 << 20]].concat()),
        "/names" => Answer::With("200 OK", (0..200).map(|n| format!("x-{n}: y")).collect(), Vec::new()),
        _ => Answer::ok(vec![b'x'; 2_000]),
    })
    .await;
    let host = host(ANYTHING, &[&web]).await;
    let paths = ["/gzip", "/bomb", "/cut", "/odd", "/twice", "/endless", "/head", "/names"];
    let mut steps: Vec<Value> =
        paths.iter().map(|path| json!({ "http": { "url": format!("{}{path}", web.url()) } })).collect();
    steps.push(json!({ "http": { "url": web.url(), "max-body": 1_999 } }));
    steps.push(json!({ "http": { "url": web.url(), "max-body": 2_000 } }));
    steps.push(json!({ "http": { "url": format!("{}/bomb", web.url()), "into-file": "bomb" } }));
    let done = acted(&host, json!(steps)).await;
    assert_eq!((&done[0]["body"], &done[0]["headers"]), (&json!("packed"), &json!([])), "{done}");
    assert_eq!(error(&done, 1), "the response has more than 1048576 bytes");
    for step in [2, 3, 4] {
        assert!(error(&done, step).starts_with("what came is no response: "), "{step}: {done}");
    }
    assert_eq!(error(&done, 5), "the response has more than 1048576 bytes");
    assert_eq!(error(&done, 6), "the response has more than 65536 bytes");
    assert_eq!(error(&done, 7), "the response has more than 65536 bytes");
    assert_eq!(error(&done, 8), "the response has more than 1999 bytes");
    assert_eq!(done[9]["status"], json!(200), "{done}");
    assert!(error(&done, 10).contains("purse.artifact-bytes"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_left() {
    let web = Web::start(|asked| match asked.target.as_str() {
        "/head" => Answer::Raw(b"HTTP/1.1 200".to_vec()),
        "/body" => Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        _ => Answer::Silence,
    })
    .await;
    let host = host(ANYTHING, &[&web]).await;
    let steps = ["/head", "/body", "/"]
        .map(|path| json!({ "http": { "url": format!("{}{path}", web.url()), "timeout-ms": 100 } }));
    let done = acted(&host, json!(steps)).await;
    for step in 0..3 {
        assert_eq!(error(&done, step), "the response did not come in time", "{done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_too_much_is_told_the_limit() {
    let web = Web::start(echo).await;
    let host = host(ANYTHING, &[&web]).await;
    let url = web.url();
    let done = acted(
        &host,
        json!([
            { "http": { "url": url, "timeout-ms": 600_001 } },
            { "http": { "url": url, "max-body": (1 << 20) + 1 } },
            { "http": { "url": url, "max-redirects": 11 } },
            { "http": { "url": url, "headers": vec![["x", "y"]; 101] } },
            { "http": { "url": url, "headers": [["x", "y".repeat(33_000)]] } },
            { "http": { "url": url, "into-file": "../film" } },
        ]),
    )
    .await;
    for (step, limit) in [
        (0, "http.timeout-ms"),
        (1, "http.body-bytes"),
        (2, "http.redirects"),
        (3, "http.headers"),
        (4, "http.head-bytes"),
    ] {
        assert!(error(&done, step).contains(limit), "{limit}: {done}");
    }
    assert!(error(&done, 5).contains("is no file name"), "{done}");
    assert!(web.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_their_bytes_come_out_of_the_purse() {
    let web = Web::start(|asked| match asked.target.as_str() {
        "/again" => Answer::redirect("302 Found", "/"),
        _ => Answer::ok(vec![b'x'; 1_000]),
    })
    .await;
    let asks = format!("{ANYTHING}\nrequests = 5\nbytes-out = \"1KiB\"\nbytes-in = \"3KiB\"");
    let host = host(&asks, &[&web]).await;
    let get = |path: &str| json!({ "http": { "url": format!("{}{path}", web.url()) } });
    let big = json!({ "http": { "method": "POST", "url": web.url(), "body": "x".repeat(1_024) } });
    let run = host.begin("spawns/act", json!([get("/"), get("/again"), big, get("/"), get("/")])).await;
    let done = match host.ended(run).await {
        done @ Outcome::Succeeded(_) => value(&done),
        other => panic!("{other:?}"),
    };
    assert_eq!((&done[0]["status"], &done[1]["status"]), (&json!(200), &json!(200)), "{done}");
    assert!(error(&done, 2).contains("purse.bytes-out"), "{done}");
    assert!(error(&done, 3).contains("purse.bytes-in"), "cut off where it is used up: {done}");
    assert!(error(&done, 4).contains("purse.bytes-in"), "{done}");
    assert_eq!(web.asked().len(), 4, "two, a redirect, and one that was cut off");

    let few = super::host(&format!("{ANYTHING}\nrequests = 2"), &[&web]).await;
    let done = acted(&few, json!([get("/again"), get("/")])).await;
    assert_eq!(done[0]["status"], json!(200), "{done}");
    assert!(error(&done, 1).contains("purse.requests"), "a redirect is a request too: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cancelled_waits_for_nobody() {
    let web = Web::start(|_| Answer::Silence).await;
    let host = host(ANYTHING, &[&web]).await;
    let run = host.begin("spawns/act", json!([{ "http": { "url": web.url() } }])).await;
    host.until("it has asked", || !web.asked().is_empty()).await;
    host.host.inner.cancel(run, "enough").await.expect("cancelled");
    assert!(matches!(host.ended(run).await, Outcome::Cancelled { .. }));
}
