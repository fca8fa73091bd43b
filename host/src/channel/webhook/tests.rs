//! Each answer that a receiver can give, from a real one on loopback.

use base64::Engine as _;
use sublane_core::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::peer::{Act, Peer, answer};
use super::*;
use crate::channel::testing::{body, delivery};
use crate::clock::SystemClock;

/// The bytes of the secret that signs here.
const KEY: [u8; 32] = [42; 32];

/// A channel with the endpoint `films`, and the file that holds its secret.
fn channel(url: &str, change: impl FnOnce(&mut Endpoint)) -> (Webhook, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let secret = format!("whsec_{}\n", base64::engine::general_purpose::STANDARD.encode(KEY));
    std::fs::write(file.path(), secret).expect("writes");
    let mut endpoint = Endpoint::new(url, SecretRef::File(file.path().to_owned()));
    // Long enough that only a receiver that is silent on purpose runs into them.
    endpoint.attempt_timeout = Duration::from_secs(120);
    endpoint.connect_timeout = Duration::from_secs(60);
    change(&mut endpoint);
    let endpoints = BTreeMap::from([("films".to_owned(), endpoint)]);
    (Webhook::new(endpoints, Arc::new(SystemClock)).expect("the endpoint is right"), file)
}

fn local(peer: &Peer) -> (Webhook, tempfile::NamedTempFile) {
    channel(&format!("http://127.0.0.1:{}/hook?for=films", peer.port), |_| {})
}

fn film() -> Delivery {
    delivery(1, "webhook:films", &body("Your film is done. 🎬"))
}

/// What one attempt comes to when the receiver does this.
async fn check(act: Act, expected: AttemptResult) {
    let mut peer = Peer::start(vec![act]).await;
    let (webhook, _secret) = local(&peer);
    assert_eq!(webhook.deliver(&film()).await, expected);
    assert!(
        peer.seen.try_recv().is_ok_and(|seen| seen.head.starts_with("POST /hook?for=films HTTP/1.1\r\n"))
    );
    assert!(peer.seen.try_recv().is_err(), "one attempt is one request");
}

fn delivered(note: &str) -> AttemptResult {
    AttemptResult::Delivered { note: note.to_owned() }
}

fn permanent(note: &str) -> AttemptResult {
    AttemptResult::Permanent { note: note.to_owned() }
}

fn rejected(note: &str, retry_after: Option<u64>) -> AttemptResult {
    let retry_after = retry_after.map(Duration::from_secs);
    AttemptResult::Retry { note: note.to_owned(), retry_after, ambiguous: false }
}

fn ambiguous(note: &str) -> AttemptResult {
    AttemptResult::Retry { note: note.to_owned(), retry_after: None, ambiguous: true }
}

#[tokio::test]
async fn a_receiver_with_the_standards_own_library_accepts_the_signature() {
    let mut peer = Peer::start(vec![answer("204 No Content", "", "")]).await;
    let (webhook, _secret) = local(&peer);
    let film = film();
    assert_eq!(webhook.deliver(&film).await, delivered("204 No Content"));
    let seen = peer.seen().await;
    let verifier = standardwebhooks::Webhook::from_bytes(KEY.to_vec()).expect("a key");
    verifier.verify(&seen.body, &seen.headers).expect("the signature holds");
    assert_eq!(seen.body, film.body.as_bytes(), "the stored bytes, unchanged");
    assert_eq!(seen.headers["webhook-id"], film.id.to_string());
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["host"], format!("127.0.0.1:{}", peer.port));
    assert!(seen.headers["user-agent"].to_str().expect("ASCII").starts_with("sublane/"));
}

#[tokio::test]
async fn two_hundred_is_delivered() {
    check(answer("200 OK", "", "thanks"), delivered("200 OK")).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let act = answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
    check(act, permanent("302 Found: redirects are not followed")).await;
}

#[tokio::test]
async fn a_refusal_is_permanent_and_says_what_the_receiver_said() {
    let act = answer("400 Bad Request", "", "no such\r\n film \u{1b}[31m");
    check(act, permanent("400 Bad Request: no such film \u{FFFD}[31m")).await;
}

#[tokio::test]
async fn gone_is_permanent() {
    let gone = AttemptResult::Gone { note: "410 Gone: the receiver wants no more deliveries".to_owned() };
    check(answer("410 Gone", "", ""), gone).await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for status in
        ["408 Request Timeout", "425 Too Early", "500 Internal Server Error", "503 Service Unavailable"]
    {
        check(answer(status, "", ""), rejected(status, None)).await;
    }
}

#[tokio::test]
async fn a_wish_in_seconds_is_kept() {
    let act = answer("429 Too Many Requests", "retry-after: 120\r\n", "slow down");
    check(act, rejected("429 Too Many Requests: slow down", Some(120))).await;
}

#[tokio::test]
async fn a_wish_as_a_date_is_kept_and_nonsense_is_none() {
    let now = Timestamp(1_700_000_000_000);
    let wish = |value: &str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a value"))]);
        retry_after(&headers, now)
    };
    assert_eq!(wish("Tue, 14 Nov 2023 22:14:20 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(wish("Tue, 14 Nov 2023 22:00:00 GMT"), Some(Duration::ZERO), "it has passed");
    assert_eq!(wish("soon"), None);
    assert_eq!(wish("-5"), None);
    // And over the wire: the end of time, so that no test waits for it.
    let act = answer("503 Service Unavailable", "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", "");
    let peer = Peer::start(vec![act]).await;
    let result = local(&peer).0.deliver(&film()).await;
    assert!(matches!(result, AttemptResult::Retry { retry_after: Some(_), .. }), "{result:?}");
}

#[tokio::test]
async fn a_gateway_that_lost_the_answer_is_ambiguous() {
    for status in ["502 Bad Gateway", "504 Gateway Timeout"] {
        check(answer(status, "", ""), ambiguous(status)).await;
    }
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    drop(listener);
    let (webhook, _secret) = channel(&format!("http://127.0.0.1:{port}/"), |_| {});
    let result = webhook.deliver(&film()).await;
    assert!(
        matches!(&result, AttemptResult::Retry { ambiguous: false, note, .. } if note.contains("cannot connect")),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_name_that_is_none_is_not_sent() {
    let anywhere = |endpoint: &mut Endpoint| endpoint.plain_http = PlainHttp::Anywhere;
    let (webhook, _secret) = channel("http://no-such-host.invalid/", anywhere);
    let result = webhook.deliver(&film()).await;
    assert!(matches!(result, AttemptResult::Retry { ambiguous: false, .. }), "{result:?}");
}

#[tokio::test]
async fn hanging_up_before_an_answer_is_ambiguous() {
    let peer = Peer::start(vec![Act::HangUp]).await;
    let result = local(&peer).0.deliver(&film()).await;
    assert!(matches!(result, AttemptResult::Retry { ambiguous: true, .. }), "{result:?}");
}

#[tokio::test]
async fn reading_the_request_and_closing_is_ambiguous() {
    check(Act::Last(String::new()), ambiguous("the connection was closed without an answer")).await;
}

#[tokio::test]
async fn half_a_status_line_is_ambiguous() {
    let act = Act::Last("HTTP/1.1 20".to_owned());
    check(act, ambiguous("the connection was closed without an answer")).await;
}

#[tokio::test]
async fn what_is_not_http_is_ambiguous() {
    let peer = Peer::start(vec![Act::Last("SSH-2.0-OpenSSH_9.9\r\n".to_owned())]).await;
    let result = local(&peer).0.deliver(&film()).await;
    assert!(matches!(result, AttemptResult::Retry { ambiguous: true, .. }), "{result:?}");
}

#[tokio::test]
async fn silence_runs_into_the_time_limit_and_is_ambiguous() {
    check(Act::Silence, ambiguous("no answer in time")).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing_of_the_answer() {
    let act = Act::Last("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned());
    check(act, delivered("200 OK")).await;
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    let mut peer = Peer::start(vec![Act::Flood, answer("200 OK", "", "")]).await;
    let (webhook, _secret) = local(&peer);
    assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
    assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
    assert_eq!((peer.seen().await.connection, peer.seen().await.connection), (1, 2));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let acts = (0..3).map(|_| answer("200 OK", "", "ok")).collect();
    let mut peer = Peer::start(acts).await;
    let (webhook, _secret) = local(&peer);
    for _ in 0..3 {
        assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
        assert_eq!(peer.seen().await.connection, 1);
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_within_the_attempt() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let mut peer = Peer::start(vec![Act::Last(ok.to_owned()), answer("200 OK", "", "")]).await;
    let (webhook, _secret) = local(&peer);
    assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
    // So many turns that the runtime has looked at its sockets at least once.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
    assert_eq!((peer.seen().await.connection, peer.seen().await.connection), (1, 2));
}

#[tokio::test]
async fn a_used_connection_closed_after_the_next_request_is_ambiguous_and_not_repeated() {
    let mut peer = Peer::start(vec![answer("200 OK", "", ""), Act::Last(String::new())]).await;
    let (webhook, _secret) = local(&peer);
    assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
    let closed = ambiguous("the connection was closed without an answer");
    assert_eq!(webhook.deliver(&film()).await, closed);
    assert_eq!((peer.seen().await.connection, peer.seen().await.connection), (1, 1));
    assert!(peer.seen.try_recv().is_err());
}

/// A receiver with a certificate for `localhost` that only `ca_file` vouches for.
async fn secure(acts: Vec<Act>) -> (Peer, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let ca_file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(ca_file.path(), made.cert.pem()).expect("writes");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider serves them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    (Peer::listen(acts, Some(Arc::new(config).into())).await, ca_file)
}

#[tokio::test]
async fn https_is_spoken_with_a_receiver_that_is_trusted() {
    let (mut peer, ca_file) = secure(vec![answer("200 OK", "", ""), answer("200 OK", "", "")]).await;
    let trust = |endpoint: &mut Endpoint| endpoint.ca_file = Some(ca_file.path().to_owned());
    let (webhook, _secret) = channel(&format!("https://localhost:{}/hook", peer.port), trust);
    for _ in 0..2 {
        assert_eq!(webhook.deliver(&film()).await, delivered("200 OK"));
        assert_eq!(peer.seen().await.connection, 1);
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_means_not_sent() {
    let (mut peer, _ca_file) = secure(Vec::new()).await;
    let (webhook, _secret) = channel(&format!("https://localhost:{}/hook", peer.port), |_| {});
    let result = webhook.deliver(&film()).await;
    assert!(
        matches!(&result, AttemptResult::Retry { ambiguous: false, note, .. } if note.contains("certificate")),
        "{result:?}"
    );
    assert!(peer.seen.try_recv().is_err(), "nothing of the request was shown to a stranger");
}

#[tokio::test]
async fn a_receiver_that_accepts_and_says_nothing_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let (webhook, _secret) = channel(&format!("https://localhost:{port}/"), |_| {});
    let silent = async {
        let (mut tcp, _) = listener.accept().await.expect("accepts");
        tcp.read_u8().await.expect("the handshake begins");
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let film = film();
    let result = tokio::select! { result = webhook.deliver(&film) => result, () = silent => unreachable!() };
    assert_eq!(result, rejected("localhost does not accept a connection in time", None));
}

#[tokio::test]
async fn a_secret_that_has_gone_means_not_sent() {
    let peer = Peer::start(Vec::new()).await;
    let (webhook, secret) = local(&peer);
    secret.close().expect("removes");
    let result = webhook.deliver(&film()).await;
    assert!(
        matches!(&result, AttemptResult::Retry { ambiguous: false, note, .. } if note.ends_with("is not there")),
        "{result:?}"
    );
}

fn refused(url: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), format!("whsec_{}", "A".repeat(32))).expect("writes");
    let endpoint = Endpoint::new(url, SecretRef::File(file.path().to_owned()));
    let error = Webhook::new(BTreeMap::from([("films".to_owned(), endpoint)]), Arc::new(SystemClock));
    let error = error.err().expect("is refused");
    assert_eq!(error.to_string(), "webhook endpoint `films` cannot be used");
    error.source.to_string()
}

#[test]
fn an_endpoint_that_cannot_work_is_refused_at_the_start() {
    let form = "its URL is not of the form https://host/path";
    assert_eq!(refused("films.example/hook"), form);
    assert_eq!(refused("ftp://films.example/"), form);
    assert_eq!(refused(""), form);
    assert!(refused("https://me:secret@films.example/").starts_with("its URL holds credentials"));
    assert!(refused("http://films.example/").contains("allow plain HTTP for `films.example`"));
    assert!(refused("http://10.0.0.1/").contains("`10.0.0.1`"));
}

#[test]
fn plain_http_goes_to_this_machine() {
    for url in ["http://localhost:8080/", "http://127.0.0.1/", "http://127.8.8.8/", "http://[::1]:90/x"] {
        let _ = channel(url, |_| {});
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_configured_is_not_served() {
    let (webhook, _secret) = channel("http://localhost/", |_| {});
    assert!(webhook.serves("films") && !webhook.serves("news"));
}
