//! Where requests go: what grants cover, which addresses are reached, where redirects lead.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sublane::http::Resolve;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, reach};

use super::{ANYTHING, acted, echo, error, host, manifest};

fn get(url: &str) -> Value {
    json!({ "http": { "url": url } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_grant_covers_is_denied_by_name() {
    let (web, other) = (Web::start(echo).await, Web::start(echo).await);
    let asks = r#"http = [{ to = "http://127.0.0.1:{0}/v1", methods = ["GET"] }]"#;
    let host = host(asks, &[&web]).await;
    let (url, elsewhere) = (web.url(), other.url());
    let steps = json!([
        get(&format!("{url}/v1/x")),
        get(&format!("{url}/v2")),
        get(&format!("{url}/v1/../v2")),
        get(&format!("{url}/v1/%2e%2e/v2")),
        get(&elsewhere),
        { "http": { "method": "POST", "url": format!("{url}/v1") } },
        get(&format!("http://user@127.0.0.1:{}/v1", web.port)),
        get(&format!("http://2130706433:{}/v1", web.port)),
        { "spawn": { "agent": "spawns/act", "task": [get(&format!("{url}/v1/x"))] } },
        { "spawn": { "agent": "spawns/act", "task": [get(&format!("{url}/v1/x")), get(&format!("{url}/v1/child/y"))],
            "scope": { "http": [format!("GET {url}/v1/child")] } } },
        { "wait": {} },
    ]);
    let done = acted(&host, steps).await;
    assert_eq!(done[0]["status"], json!(200), "{done}");
    for (step, why) in [
        (1, format!("denied: http GET {url}/v2;")),
        (2, "invalid: ".to_owned()),
        (3, "invalid: ".to_owned()),
        (4, format!("denied: http GET {elsewhere}/;")),
        (5, format!("denied: http POST {url}/v1;")),
        (6, "invalid: ".to_owned()),
        (7, "invalid: ".to_owned()),
    ] {
        assert!(error(&done, step).starts_with(&why), "step {step}: {done}");
    }
    let without = &done[10][0]["succeeded"];
    assert!(error(without, 0).starts_with("denied: http GET"), "a child without a scope: {done}");
    let below = &done[10][1]["succeeded"];
    assert!(error(below, 0).starts_with("denied: http GET"), "{done}");
    assert_eq!(below[1]["status"], json!(200), "{done}");
    assert_eq!((web.asked().len(), other.asked().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_public_is_refused() {
    let web = Web::start(echo).await;
    let asks = r#"http = [
        { to = "http://127.0.0.1:{0}" },
        { to = "http://localhost:{0}" },
        { to = "http://[::1]:{0}" },
        { to = "http://[::ffff:127.0.0.1]:{0}" },
        { to = "http://169.254.169.254" },
        { to = "http://10.0.0.1" },
        { to = "http://0.0.0.0:{0}" },
    ]"#;
    let mut setup = Setup::in_memory().plugin_with("spawns", &manifest(asks, &[&web]));
    setup.http.reach = reach(&[]);
    let host = setup.start().await;
    let port = web.port;
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        format!("http://0.0.0.0:{port}/"),
    ];
    let done = acted(&host, urls.iter().map(|url| get(url)).collect()).await;
    for (n, url) in urls.iter().enumerate() {
        assert!(error(&done, n).contains("has no address that may be reached"), "{url}: {done}");
    }
    assert!(web.asked().is_empty());
}

/// A name server that changes its mind: public, then loopback.
struct Rebinding(AtomicUsize);

#[async_trait::async_trait]
impl Resolve for Rebinding {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(match (host, asked) {
            ("mixed.example", _) => vec!["10.0.0.1".parse().expect("one"), "127.0.0.1".parse().expect("one")],
            (_, 0) => vec!["127.0.0.1".parse().expect("one")],
            _ => vec!["127.0.0.2".parse().expect("one"), "::1".parse().expect("one")],
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_was_looked_at_is_the_one_that_is_reached() {
    let web = Web::start(|_| Answer::With("200 OK", vec!["connection: close".to_owned()], Vec::new())).await;
    let asks = r#"http = [{ to = "http://changes.example:{0}" }, { to = "http://mixed.example:{0}" }]"#;
    let mut setup = Setup::in_memory().plugin_with("spawns", &manifest(asks, &[&web]));
    let resolver = Arc::new(Rebinding(AtomicUsize::new(0)));
    setup.http.resolver = Some(resolver.clone());
    let host = setup.start().await;
    let url = |name: &str| format!("http://{name}.example:{}/", web.port);
    let done = acted(&host, json!([get(&url("changes")), get(&url("changes")), get(&url("mixed"))])).await;
    assert_eq!(done[0]["status"], json!(200), "{done}");
    assert!(error(&done, 1).contains("changes.example has no address that may be reached"), "{done}");
    assert_eq!(done[2]["status"], json!(200), "what may not be reached is passed over: {done}");
    assert_eq!(resolver.0.load(Ordering::SeqCst), 3, "each connection looks once");
    assert_eq!(web.asked()[0].header("host"), format!("changes.example:{}", web.port));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_within_the_rule_and_looked_at_like_a_request() {
    let elsewhere = Web::start(echo).await;
    let to = elsewhere.url();
    let web = Web::start(move |asked| match asked.target.as_str() {
        "/same" => Answer::redirect("302 Found", "/there?x"),
        "/kept" => Answer::redirect("307 Temporary Redirect", "/there"),
        "/outside" => Answer::redirect("302 Found", &format!("{to}/private")),
        "/other" => Answer::redirect("307 Temporary Redirect", &format!("{to}/open")),
        "/private" => Answer::redirect("302 Found", "http://169.254.169.254/latest/"),
        "/file" => Answer::redirect("302 Found", "file:///etc/passwd"),
        "/trick" => Answer::redirect("302 Found", "http://127.0.0.1@evil.example/"),
        "/loop" => Answer::redirect("302 Found", "/loop"),
        _ => echo(asked),
    })
    .await;
    let asks = r#"http = [
        { to = "http://127.0.0.1:{0}", methods = ["GET", "POST"] },
        { to = "http://127.0.0.1:{1}/open", methods = ["GET", "POST"] },
        { to = "http://169.254.169.254", methods = ["GET"] },
    ]"#;
    let host = host(asks, &[&web, &elsewhere]).await;
    let post = |path: &str| {
        json!({ "http": { "method": "POST", "url": format!("{}{path}", web.url()), "body": "b",
            "headers": [["Authorization", "Bearer x"], ["Cookie", "a=b"], ["content-type", "text/plain"], ["x-kept", "y"]] } })
    };
    let paths = ["/same", "/kept", "/outside", "/other", "/private", "/file", "/trick", "/loop"];
    let mut steps: Vec<Value> = paths.iter().map(|path| post(path)).collect();
    steps.push(json!({ "http": { "url": format!("{}/same", web.url()), "max-redirects": 0 } }));
    let done = acted(&host, json!(steps)).await;
    let body =
        |step: usize| done[step]["body"].as_str().unwrap_or_else(|| panic!("{step}: {done}")).to_owned();
    assert!(body(0).starts_with("GET /there?x\n") && !body(0).contains("content-type"), "{done}");
    assert!(body(0).contains("authorization: Bearer x"), "the same server may have it: {done}");
    assert_eq!(done[0]["url"], json!(format!("{}/there?x", web.url())));
    assert!(body(1).starts_with("POST /there\n") && body(1).ends_with("\n\nb"), "{done}");
    assert!(error(&done, 2).starts_with(&format!("denied: http GET {}/private;", elsewhere.url())), "{done}");
    assert!(body(3).starts_with("POST /open\n") && body(3).contains("x-kept: y"), "{done}");
    assert!(!body(3).contains("authorization") && !body(3).contains("cookie"), "{done}");
    assert!(error(&done, 4).contains("169.254.169.254 has no address that may be reached"), "{done}");
    assert!(error(&done, 5).starts_with("the redirect cannot be followed"), "{done}");
    assert!(error(&done, 6).starts_with("the redirect cannot be followed"), "{done}");
    assert!(error(&done, 7).contains("more redirects than may be followed"), "{done}");
    assert_eq!(done[8]["status"], json!(302), "{done}");
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_as_such() {
    let web = Web::start(|asked| match asked.target.as_str() {
        "/close" => Answer::Close,
        "/noise" => Answer::Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
        _ => Answer::Raw(
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 20\r\n\r\n0123456789".to_vec(),
        ),
    })
    .await;
    let closed = sublane_tests::receiver::Closed::new();
    let asks = format!("{ANYTHING}\n");
    let asks = asks.replace("http = [", &format!("http = [{{ to = \"{}\" }}, ", closed.url()));
    let host = host(&asks, &[&web]).await;
    let url = |path: &str| format!("{}{path}", web.url());
    let done = acted(
        &host,
        json!([get(&closed.url()), get(&url("/close")), get(&url("/noise")), get(&url("/two"))]),
    )
    .await;
    assert!(error(&done, 0).starts_with("there is no connection: 127.0.0.1: "), "{done}");
    for step in 1..4 {
        assert!(error(&done, step).starts_with("what came is no response: "), "{step}: {done}");
    }
}
