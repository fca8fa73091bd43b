//! Whether receivers in other languages accept what a host signs: the packages that the
//! standard gives out for Python and JavaScript, and two implementations of ed25519.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use sublane::channel::SecretRef;
use sublane::channel::sign::Signer;
use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::clock::SystemClock;
use sublane_tests::packages::Packages;
use sublane_tests::receiver::{Act, Receiver, Request};
use sublane_tests::{Setup, TestHost};

/// Verifiers in other languages: their packages, and the script beside this file.
const VERIFIERS: [(Packages, &str); 2] = [
    (Packages::python(&["standardwebhooks==1.1.0", "cryptography==50.0.2"]), "signatures/verify.py"),
    (Packages::node(&["standardwebhooks@1.1.1"]), "signatures/verify.cjs"),
];

/// Whether each case holds in the eyes of a verifier.
fn verify((packages, script): &(Packages, &str), cases: &[Value]) -> Vec<bool> {
    let mut command = packages.command(script);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was there a moment ago");
    let mut to = child.stdin.take().expect("it is ours");
    to.write_all(json!(cases).to_string().as_bytes()).expect("it is read");
    drop(to);
    let ran = child.wait_with_output().expect("it is ours");
    assert!(ran.status.success(), "{} failed, see above", packages.program);
    serde_json::from_slice(&ran.stdout).expect("a list of booleans")
}

/// What every verifier says of a request with each key.
fn check(request: &Request, keys: &[(&str, bool)]) {
    let headers: serde_json::Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let case = |key: &str, body: &str| json!({ "key": key, "headers": headers, "body": body });
    let mut cases: Vec<Value> = keys.iter().map(|(key, _)| case(key, &request.body)).collect();
    // One letter of what people read is another.
    let changed = request.body.replacen("done", "gone", 1);
    assert_ne!(changed, request.body);
    cases.extend(keys.iter().map(|(key, _)| case(key, &changed)));
    let mut expected: Vec<bool> = keys.iter().map(|(_, holds)| *holds).collect();
    expected.extend(keys.iter().map(|_| false));
    for verifier in &VERIFIERS {
        assert_eq!(verify(verifier, &cases), expected, "{} {request:?}", verifier.0.program);
    }
}

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";
const PAIR: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const OTHER_PAIR: &str = "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";

/// A host whose `webhook:films` is signed with whatever stands in the file `secret`.
async fn host(receiver: &Receiver, secret: &Path) -> TestHost {
    let endpoint = Endpoint::new(&receiver.url, SecretRef::File(secret.to_owned()));
    let webhook = Webhook::new([("films".to_owned(), endpoint)].into(), Arc::new(SystemClock));
    let webhook = Arc::new(webhook.expect("the endpoint is right"));
    Setup::in_memory().plugin("spawns").channel("webhook", webhook, None).start().await
}

fn public(secret: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), secret).expect("it can be written");
    let signer = Signer::new(SecretRef::File(file.path().to_owned())).expect("a key");
    signer.public_keys().expect("it is there").remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_in_other_languages_verify_with_either_of_two_keys() {
    let receiver = Receiver::start(|_| Act::status("204 No Content"));
    let directory = sublane_tests::temporary();
    let secret = directory.path().join("secret");
    let (pair, other_pair): (&str, &str) = (&public(PAIR), &public(OTHER_PAIR));
    fs::write(&secret, OLD).expect("it can be written");
    let host = host(&receiver, &secret).await;
    // A key is changed: from the old one by way of both to the new one, then to ed25519 in the same way.
    let changes = [
        (OLD.to_owned(), [true, false, false]),
        (format!("{NEW}\n{OLD}\n"), [true, true, false]),
        (NEW.to_owned(), [false, true, false]),
        (format!("{PAIR} {NEW}"), [false, true, true]),
        (PAIR.to_owned(), [false, false, true]),
    ];
    for (number, (keys, [old, new, ed25519])) in changes.into_iter().enumerate() {
        fs::write(&secret, keys).expect("it can be written");
        host.begin_for("spawns/echo", json!("The film is done 🎬."), &["webhook:films"]).await;
        let request = receiver.received(number + 1).await.remove(number);
        let keys = [(OLD, old), (NEW, new), (OTHER, false), (pair, ed25519), (other_pair, false)];
        tokio::task::block_in_place(|| check(&request, &keys));
    }
    host.host.stop().await;
}
