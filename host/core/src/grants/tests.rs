//! Rules of authority by example: what a denial says, who refused, what caps do.

mod properties;
mod revoked;

use expect_test::{Expect, expect};

use super::capability::Holding;
use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn terms(ceiling: Ceiling) -> Terms {
    Terms { now: NOW, ceiling, memory_bytes: 4 << 20, timeout: Duration::from_secs(600) }
}

fn agents(patterns: &[&str]) -> Vec<AgentPattern> {
    patterns.iter().map(|text| text.parse().expect("a pattern")).collect()
}

fn spawn(patterns: &[&str], depth: u32, active_children: u32) -> Option<SpawnGrant> {
    Some(SpawnGrant { agents: agents(patterns), depth, active_children })
}

fn kv(bucket: &str, prefix: &str, mode: KvMode) -> KvGrant {
    KvGrant { bucket: bucket.to_owned(), prefix: prefix.to_owned(), mode }
}

fn tools(plugin: &str, names: Option<&[&str]>) -> ToolGrant {
    let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    ToolGrant { plugin: plugin.to_owned(), tools: names }
}

fn request(to: &str, methods: &[&str]) -> HttpGrant {
    let methods = methods.iter().map(|&method| method.to_owned()).collect();
    HttpGrant { to: to.parse().expect("a target"), methods }
}

fn file(root: &str, path: &str, mode: FileMode) -> FileGrant {
    FileGrant { root: root.to_owned(), path: path.parse().expect("a path"), mode }
}

fn secret(name: &str, place: Place, audience: &str) -> SecretGrant {
    SecretGrant { name: name.to_owned(), place, audience: audience.parse().expect("a target") }
}

/// What a video plugin holds that may do a little of everything.
fn video() -> Authority {
    Authority {
        spawn: spawn(&["video/render"], 2, 5),
        channels: vec![ChannelGrant::Origin, "webhook:films".parse().expect("a destination")],
        tools: vec![tools("video", Some(&["generate_video"]))],
        kv: vec![kv("notes", "a/", KvMode::ReadWrite), kv("notes", "", KvMode::Read)],
        http: vec![request("https://queue.fal.run/fal-ai", &["GET", "POST"])],
        files: vec![file("media", "in", FileMode::Read)],
        secrets: vec![secret("fal", Place::Header("authorization".to_owned()), "https://queue.fal.run")],
        models: vec!["anthropic/claude".parse().expect("a model")],
        artifacts: true,
        purse: Purse {
            cpu_us: 120_000_000,
            spawns: 100,
            artifact_bytes: 64 << 20,
            host_calls: 1_000,
            requests: 10,
            bytes_out: 1 << 20,
            bytes_in: 1 << 20,
            tokens: 1_000,
            money_micros: 2_500_000,
        },
        timeout: Duration::from_secs(600),
    }
}

fn grants() -> Grants {
    Grants::root(&video(), &video(), NOW, 64 << 20).0
}

fn check_denied(scope: &Scope, expected: &Expect) {
    let answer = match grants().attenuate(scope, &terms(Ceiling::Parent)) {
        Ok(_) => "granted".to_owned(),
        Err(denied) => denied.to_string(),
    };
    expected.assert_eq(&answer);
}

#[test]
fn a_denial_names_what_was_asked() {
    let none = Scope::default;
    check_denied(&none(), &expect!["granted"]);
    let scope = Scope { spawn: spawn(&["video/render", "video/*"], 1, 1), ..none() };
    check_denied(&scope, &expect!["denied: spawn video/*"]);
    let scope = Scope { spawn: spawn(&["video/render"], 2, 1), ..none() };
    check_denied(&scope, &expect!["denied: spawn depth 2"]);
    let scope = Scope { spawn: spawn(&["video/render"], 1, 6), ..none() };
    check_denied(&scope, &expect!["denied: spawn active-children 6"]);
    let scope = Scope { channels: vec!["webhook:other".parse().expect("a destination")], ..none() };
    check_denied(&scope, &expect!["denied: channels webhook:other"]);
    let scope = Scope { tools: vec![tools("video", Some(&["generate_video", "erase"]))], ..none() };
    check_denied(&scope, &expect!["denied: tools video.erase"]);
    let scope = Scope { tools: vec![tools("video", None)], ..none() };
    check_denied(&scope, &expect!["denied: tools video.*"]);
    let scope = Scope { kv: vec![kv("notes", "b/", KvMode::ReadWrite)], ..none() };
    check_denied(&scope, &expect![[r#"denied: kv notes prefix "b/" (read-write)"#]]);
    let scope = Scope { kv: vec![kv("notes", "b/", KvMode::Read)], ..none() };
    check_denied(&scope, &expect!["granted"]);
    let scope = Scope { http: vec![request("https://queue.fal.run/other", &["GET"])], ..none() };
    check_denied(&scope, &expect!["denied: http GET https://queue.fal.run/other"]);
    let scope = Scope { http: vec![request("https://queue.fal.run/fal-ai/x", &["GET", "DELETE"])], ..none() };
    check_denied(&scope, &expect!["denied: http DELETE https://queue.fal.run/fal-ai/x"]);
    let scope = Scope { http: vec![request("https://queue.fal.run/fal-ai/x", &["POST"])], ..none() };
    check_denied(&scope, &expect!["granted"]);
    let scope = Scope { files: vec![file("media", "in/raw", FileMode::ReadWrite)], ..none() };
    check_denied(&scope, &expect!["denied: files media/in/raw (read-write)"]);
    let scope = Scope { files: vec![file("media", "", FileMode::Read)], ..none() };
    check_denied(&scope, &expect!["denied: files media (read)"]);
    let scope = Scope { files: vec![file("media", "in/raw", FileMode::Read)], ..none() };
    check_denied(&scope, &expect!["granted"]);
    let at = |place| Scope { secrets: vec![secret("fal", place, "https://queue.fal.run/x")], ..none() };
    check_denied(
        &at(Place::Query("key".to_owned())),
        &expect!["denied: secrets fal in query key to https://queue.fal.run/x"],
    );
    check_denied(&at(Place::Header("authorization".to_owned())), &expect!["granted"]);
    let scope = Scope { models: vec!["anthropic/*".parse().expect("models")], ..none() };
    check_denied(&scope, &expect!["denied: models anthropic/*"]);
}

#[test]
fn grants_of_a_newer_version_are_refused_and_old_ones_are_read() {
    let text = serde_json::to_string(&grants()).expect("plain values");
    let read = |text: &str| serde_json::from_str::<Grants>(text).map_err(|error| error.to_string());
    let newer = text.replacen("\"format\":3", "\"format\":4", 1);
    let error = read(&newer).expect_err("a newer format");
    assert!(error.starts_with("these grants have format 4, and this version knows up to 3"), "{error}");
    let unknown = text.replacen('{', "{\"teleport\":[],", 1);
    let error = read(&unknown).expect_err("an unknown kind");
    assert!(error.starts_with("unknown field `teleport`"), "{error}");
    let first = r#"{"spawn":null,"channels":["origin"],"tools":[],"kv":[],"artifacts":true,
        "caps":{"deadline":5,"memory_bytes":7}}"#;
    let old = read(first).expect("the first format");
    old.may_deliver(&ChannelGrant::Origin).expect("as it was");
    old.may_ask_model("a", "b").expect_err("there was no such kind");
}

#[test]
fn a_child_without_the_right_is_told_so_on_use() {
    let child = grants().attenuate(&Scope::default(), &terms(Ceiling::Parent)).expect("empty scope");
    let text = |answer: Result<(), Denied>| answer.expect_err("not given").capability.to_string();
    expect!["spawn video/render"].assert_eq(&text(child.may_spawn("video", "render")));
    expect!["channels origin"].assert_eq(&text(child.may_deliver(&ChannelGrant::Origin)));
    expect!["tools video.generate_video"].assert_eq(&text(child.may_call("video", "generate_video")));
    expect![[r#"kv notes key "a/1" (read)"#]].assert_eq(&text(child.may_kv("notes", "a/1", KvMode::Read)));
    expect![[r#"kv notes prefix "" (read)"#]].assert_eq(&text(child.may_kv_prefix(
        "notes",
        "",
        KvMode::Read,
    )));
    expect!["artifacts"].assert_eq(&text(child.may_write_artifacts()));
    let to: Target = "https://queue.fal.run/fal-ai".parse().expect("a target");
    expect!["http GET https://queue.fal.run/fal-ai"].assert_eq(&text(child.may_request("GET", &to)));
    let path = ["in".to_owned(), "a\u{1b}".to_owned()];
    expect![[r"files media/in/a\u{1b} (read)"]].assert_eq(&text(child.may_use_files(
        "media",
        &path,
        FileMode::Read,
    )));
    let place = Place::Header("authorization".to_owned());
    expect!["secrets fal in header authorization to https://queue.fal.run/fal-ai"]
        .assert_eq(&text(child.may_send_secret("fal", &place, &to)));
    expect!["models anthropic/claude"].assert_eq(&text(child.may_ask_model("anthropic", "claude")));
}

#[test]
fn what_is_held_may_be_used() {
    let held = grants();
    held.may_spawn("video", "render").expect("granted");
    held.may_deliver(&ChannelGrant::Origin).expect("granted");
    held.may_call("video", "generate_video").expect("granted");
    held.may_kv("notes", "a/1", KvMode::ReadWrite).expect("granted");
    held.may_kv("notes", "b/1", KvMode::ReadWrite).expect_err("reading only");
    held.may_kv_prefix("notes", "", KvMode::Read).expect("granted");
    held.may_write_artifacts().expect("granted");
    let to: Target = "https://queue.fal.run/fal-ai/x".parse().expect("a target");
    held.may_request("POST", &to).expect("granted");
    held.may_use_files("media", &["in".to_owned()], FileMode::Read).expect("granted");
    held.may_send_secret("fal", &Place::Header("authorization".to_owned()), &to).expect("granted");
    held.may_ask_model("anthropic", "claude").expect("granted");
}

#[test]
fn the_last_level_holds_agents_but_may_not_spawn_them() {
    let mut held = grants();
    for depth in [1, 0] {
        let scope = Scope { spawn: spawn(&["video/render"], depth, 5), ..Scope::default() };
        held = held.attenuate(&scope, &terms(Ceiling::Parent)).expect("a level less");
    }
    let denied = held.may_spawn("video", "render").expect_err("no level below");
    assert_eq!(denied.capability, Capability::SpawnDepth(1));
    let scope = Scope { spawn: spawn(&["video/render"], 0, 5), ..Scope::default() };
    held.attenuate(&scope, &terms(Ceiling::Parent)).expect_err("nothing to hand on");
}

#[test]
fn caps_take_the_minimum() {
    let ask = |timeout, memory_bytes| {
        let scope = Scope { timeout: Some(Duration::from_secs(timeout)), memory_bytes, ..Scope::default() };
        let conversation = Ceiling::Conversation(NOW.after(Duration::from_secs(900)));
        [Ceiling::Parent, conversation].map(|ceiling| {
            let child = grants().attenuate(&scope, &terms(ceiling)).expect("caps are no denial");
            (child.caps().deadline.since(NOW).as_secs(), child.caps().memory_bytes >> 20)
        })
    };
    assert_eq!(ask(60, None), [(60, 4), (60, 4)]);
    assert_eq!(ask(3600, Some(1 << 30)), [(599, 64), (900, 64)]);
}

#[test]
fn an_attached_child_ends_before_its_parent_and_is_not_born_too_late() {
    let within = |left: u64| {
        let asks = Authority { timeout: Duration::from_millis(left), ..video() };
        let (held, _) = Grants::root(&asks, &asks, NOW, 64 << 20);
        let child = held.attenuate(&Scope::default(), &terms(Ceiling::Parent)).expect("empty scope");
        child.caps().deadline.since(NOW).as_millis()
    };
    assert_eq!([60_000, 10_000, 1_000, 100, 1].map(within), [59_000, 9_000, 900, 90, 1]);
}

#[test]
fn neither_side_widens_the_other() {
    let nothing = Authority::default();
    for (asks, allows) in [(video(), nothing.clone()), (nothing, video())] {
        let (held, purse) = Grants::root(&asks, &allows, NOW, 1);
        assert_eq!(Holding::from(&held).each().count(), 0);
        assert_eq!(purse, Purse { cpu_us: 10_000_000, host_calls: 1_000, ..Purse::default() });
    }
}

#[test]
fn who_may_call_tools_keeps_what_their_requests_cost() {
    let purse = Purse {
        requests: 3,
        bytes_out: 4,
        bytes_in: 5,
        tokens: 6,
        money_micros: 7,
        ..Authority::default().purse
    };
    let bare = Authority { purse, ..Authority::default() };
    assert_eq!(bare.meet(&bare).purse, Authority::default().purse, "it can do nothing with them");
    let calls = Authority { tools: vec![tools("video", None)], ..bare.clone() };
    assert_eq!(calls.meet(&calls).purse, purse);
    assert_eq!(calls.meet(&bare).purse.requests, 0, "both sides have to allow tools");
    let less = Authority { purse: Purse { requests: 1, ..purse }, ..calls.clone() };
    assert_eq!(calls.meet(&less).purse, less.purse);
}

#[test]
fn a_denial_says_which_side_refused() {
    let asked = Capability::Artifacts;
    let without = Authority { artifacts: false, ..video() };
    assert_eq!(who_refuses(&without, &video(), &asked), Side::Manifest);
    assert_eq!(who_refuses(&video(), &without, &asked), Side::Operator);
    assert_eq!(who_refuses(&video(), &video(), &asked), Side::Parent);
}

#[test]
fn the_operator_reads_what_is_lacking() {
    assert_eq!(video().not_allowed(&video()), Vec::<String>::new());
    let allows = Authority { channels: vec![ChannelGrant::Origin], artifacts: false, ..Authority::default() };
    expect![[r#"
        spawn video/render
        spawn depth 2
        spawn active-children 5
        channels webhook:films
        tools video.generate_video
        kv notes prefix "a/" (read-write)
        kv notes prefix "" (read)
        artifacts
        http GET https://queue.fal.run/fal-ai
        http POST https://queue.fal.run/fal-ai
        files media/in (read)
        secrets fal in header authorization to https://queue.fal.run/
        models anthropic/claude
        cpu 2m (allowed: 10s)
        spawn total 100 (allowed: 0)
        artifacts bytes 64MiB (allowed: 0)
        requests 10 (allowed: 0)
        bytes-out 1MiB (allowed: 0)
        bytes-in 1MiB (allowed: 0)
        tokens 1000 (allowed: 0)
        money-millionths 2500000 (allowed: 0)"#]]
    .assert_eq(&video().not_allowed(&allows).join("\n"));
}
