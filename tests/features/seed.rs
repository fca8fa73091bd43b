//! The seed's acceptance: on an empty state directory, with an empty token or
//! none, without any listener and without any network, a spawn is accepted,
//! runs on lane `subagent`, and its result reaches the channel.

use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;
use sublane::channel::ConsoleStyle;
use sublane::clock::SystemClock;
use sublane::config::Config;
use sublane::intake::Message;
use sublane::open::{ConsoleOutput, open};
use sublane_core::{Lifetime, Run};
use sublane_store::RunFilter;
use sublane_tests::{TestHost, component, temporary};

/// Says to the process that [`without_any_network`] starts what it is for.
const CHILD: &str = "SUBLANE_SEED_CHILD";
/// The configuration of the reproduction; nobody listens.
const EMPTY_TOKEN: &str = "auth = \"token\"\ntoken = \"\"";

/// One message to the concierge on a new host with this gateway: what people
/// read on the console, and the runs there were.
async fn film(gateway: &str) -> (String, Vec<Run>) {
    let directory = temporary();
    let (concierge, video) = (component("concierge"), component("video"));
    let text = format!(
        r#"
        state = "state"
        [gateway]
        {gateway}
        [plugins.concierge]
        component = {concierge:?}
        allow = "asked"
        [plugins.video]
        component = {video:?}
        allow = "asked"
        [channels.console]
        kind = "console"
        agent = "concierge"
        "#
    );
    let file = directory.path().join("sublane.toml");
    let config = Config::parse(&file, &text).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.gateway.listen.is_none() && !config.state.exists());

    let written = Arc::new(Mutex::new(Vec::new()));
    let console = ConsoleOutput { sink: written.clone(), style: ConsoleStyle::Plain };
    let io = tokio::runtime::Handle::current();
    let opened =
        open(&config, sublane::secrets::Secrets::default(), console, Arc::new(SystemClock), None, &io)
            .await
            .expect("the host starts");
    let host = TestHost {
        host: opened.host,
        recorder: Arc::default(),
        named: Arc::default(),
        door: None,
        directory,
    };
    let said = "Make a 1 second film of a red balloon, 64x64";
    let message = Message {
        origin: "console:local".parse().expect("well formed"),
        from: "ada".to_owned(),
        text: said.to_owned(),
        event: None,
    };
    host.inner().message(message).await.expect("the message is accepted");
    let shown = || String::from_utf8_lossy(&written.lock()).into_owned();
    host.until("the film is on the console", || shown().contains(".mp4")).await;
    let filter = RunFilter { limit: 10, ..RunFilter::default() };
    let runs = host.inner().store.runs(filter).await.expect("the store answers");
    host.host.stop().await;
    (shown(), runs)
}

async fn check_film(gateway: &str) {
    let (shown, runs) = film(gateway).await;
    let render = runs.iter().find(|run| run.spec.agent == "render").expect("the spawn was accepted");
    assert_eq!((render.spec.lane.as_str(), render.spec.lifetime), ("subagent", Lifetime::Detached));
    assert_eq!(render.outcome().map(|outcome| outcome.kind()), Some("succeeded"), "{shown}");
    // The tool's answer names the run before the film is there.
    let answered = shown.find(&render.spec.name).expect("the answer names the run");
    let delivered = shown.find("file://").expect("the film is a link to a file");
    assert!(answered < delivered, "{shown}");
    let mentioned = shown.to_lowercase();
    assert!(!mentioned.contains("pairing") && !mentioned.contains("unauthorized"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_token_is_in_nobodys_way() {
    check_film(EMPTY_TOKEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_authentication_is_in_nobodys_way() {
    check_film("auth = \"none\"").await;
}

/// The process that [`without_any_network`] starts; by itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let devices = std::fs::read_to_string("/proc/self/net/dev").expect("the devices are listed");
    let names: Vec<_> =
        devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(names, ["lo"], "the process has a network namespace of its own");
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let reached = listener
        .as_ref()
        .is_ok_and(|listener| listener.local_addr().and_then(std::net::TcpStream::connect).is_ok());
    assert!(!reached, "not even the loopback device is up");
    check_film(EMPTY_TOKEN).await;
    println!("a film without any network");
}

#[test]
fn without_any_network() {
    let test = std::env::current_exe().expect("a test is a file");
    let in_namespace = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).arg(&test).args(["--exact", "seed::child", "--nocapture"]).env(CHILD, "1");
        command.output().expect("`unshare` (util-linux) is installed")
    };
    // As root a namespace of the network is enough; others need one of users, too.
    let is_root = rustix::process::geteuid().is_root();
    let output = in_namespace(if is_root { &["--net"] } else { &["--map-root-user", "--net"] });
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        !complained.contains("unshare: "),
        "this machine lets no process have a network namespace, so nothing was shown: {complained}"
    );
    assert!(output.status.success() && said.contains("a film without any network"), "{said}\n{complained}");
}
