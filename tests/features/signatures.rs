//! Whether receivers in other languages accept what a host signs: the packages that the
//! standard gives out for Python and JavaScript, and two implementations of ed25519.
//!
//! Owns the packages below `target/verifiers`: fetched once for each version, never
//! skipped. Where they cannot be had, the test fails and says so.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use sublane::channel::SecretRef;
use sublane::channel::sign::Signer;
use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::clock::SystemClock;
use sublane_tests::receiver::{Act, Receiver, Request};
use sublane_tests::{Setup, TestHost, repository};

/// A verifier in another language.
struct Verifier {
    program: &'static str,
    script: &'static str,
    /// The variable that says where the packages are, and where below their directory.
    path: (&'static str, &'static str),
    packages: &'static [&'static str],
    /// What installs them, with the directory behind it.
    install: &'static [&'static str],
}

const VERIFIERS: [Verifier; 2] = [
    Verifier {
        program: "python3",
        script: "verify.py",
        path: ("PYTHONPATH", ""),
        packages: &["standardwebhooks==1.1.0", "cryptography==50.0.2"],
        install: &["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"],
    },
    Verifier {
        program: "node",
        script: "verify.cjs",
        path: ("NODE_PATH", "node_modules"),
        packages: &["standardwebhooks@1.1.1"],
        install: &["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix"],
    },
];

impl Verifier {
    /// The directory of its packages, which are fetched when they are not there.
    fn installed(&self) -> PathBuf {
        let all = repository().join("target/verifiers");
        let directory = all.join(format!("{}-{}", self.program, self.packages.join("-")));
        if directory.exists() {
            return directory;
        }
        fs::create_dir_all(&all).expect("target can be written");
        let fresh = tempfile::tempdir_in(&all).expect("target can be written");
        let mut command = Command::new(self.install[0]);
        command.args(&self.install[1..]).arg(fresh.path()).args(self.packages);
        let what = format!("{} for the verifier in {}", self.packages.join(" and "), self.program);
        let ran = command.output().unwrap_or_else(|error| {
            panic!("cannot install {what}: `{}` does not start: {error}", self.install[0])
        });
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "cannot install {what}; is its registry reachable? It said: {said}");
        // Another test process may have been quicker.
        if let Err(error) = fs::rename(fresh.keep(), &directory) {
            assert!(directory.exists(), "{}: {error}", directory.display());
        }
        directory
    }

    /// Whether each case holds.
    fn verify(&self, cases: &[Value]) -> Vec<bool> {
        let script = repository().join("tests/features/signatures").join(self.script);
        let packages = self.installed().join(self.path.1);
        let mut command = Command::new(self.program);
        command.arg(script).env(self.path.0, packages).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("no {}: {error}", self.program));
        let mut to = child.stdin.take().expect("it is ours");
        to.write_all(json!(cases).to_string().as_bytes()).expect("it is read");
        drop(to);
        let ran = child.wait_with_output().expect("it is ours");
        assert!(ran.status.success(), "{} failed, see above", self.program);
        serde_json::from_slice(&ran.stdout).expect("a list of booleans")
    }
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
    for verifier in VERIFIERS {
        assert_eq!(verifier.verify(&cases), expected, "{} {request:?}", verifier.program);
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
