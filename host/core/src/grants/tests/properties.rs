//! What must hold of authority whatever is asked: it only shrinks, nothing
//! covered is denied, and nothing that is spent is ever created.
//!
//! The world is small, so that what is held and what is wanted meet often. `SUBLANE_PROPERTY_CASES`
//! says how many cases each property has.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["a", "b"].prop_map(String::from)
}

fn a_spawn() -> impl Strategy<Value = Option<SpawnGrant>> {
    let pattern = (name(), option::of(name())).prop_map(|(plugin, agent)| AgentPattern { plugin, agent });
    let grant = (vec(pattern, 0..3), 0..6_u32, 0..4_u32)
        .prop_map(|(agents, depth, active_children)| SpawnGrant { agents, depth, active_children });
    option::weighted(0.8, grant)
}

fn a_channel() -> impl Strategy<Value = ChannelGrant> {
    let address = (name(), name())
        .prop_map(|(channel, address)| ChannelGrant::Address(Destination { channel, address }));
    prop_oneof![Just(ChannelGrant::Origin), address]
}

fn a_tool() -> impl Strategy<Value = ToolGrant> {
    (name(), option::of(vec(name(), 0..3))).prop_map(|(plugin, tools)| ToolGrant { plugin, tools })
}

fn a_mode() -> impl Strategy<Value = KvMode> {
    prop_oneof![Just(KvMode::Read), Just(KvMode::ReadWrite)]
}

fn a_kv() -> impl Strategy<Value = KvGrant> {
    (name(), "[ab]{0,3}", a_mode()).prop_map(|(bucket, prefix, mode)| KvGrant { bucket, prefix, mode })
}

fn a_target() -> impl Strategy<Value = Target> {
    let host = prop_oneof!["a[.]x", "b[.]x", "c[.]a[.]x"].prop_map(HostPattern::Exactly);
    let below = prop_oneof!["x", "a[.]x"].prop_map(HostPattern::Below);
    let scheme = prop_oneof![Just(Scheme::Https), Just(Scheme::Http)];
    (scheme, prop_oneof![host, below], prop_oneof![Just(443_u16), Just(80)], vec(name(), 0..3))
        .prop_map(|(scheme, host, port, path)| Target { scheme, host, port, path })
}

fn an_http() -> impl Strategy<Value = HttpGrant> {
    let method = prop_oneof!["GET", "POST"].prop_map(String::from);
    (a_target(), vec(method, 0..3)).prop_map(|(to, methods)| HttpGrant { to, methods })
}

fn a_file() -> impl Strategy<Value = FileGrant> {
    let mode = prop_oneof![Just(FileMode::Read), Just(FileMode::ReadWrite)];
    (name(), vec(name(), 0..3), mode).prop_map(|(root, path, mode)| FileGrant {
        root,
        path: FilePath::new(path).expect("names"),
        mode,
    })
}

fn a_secret() -> impl Strategy<Value = SecretGrant> {
    let place = prop_oneof![
        name().prop_map(Place::Header),
        name().prop_map(Place::Query),
        name().prop_map(Place::Body)
    ];
    (name(), place, a_target()).prop_map(|(name, place, audience)| SecretGrant { name, place, audience })
}

fn a_model() -> impl Strategy<Value = ModelPattern> {
    (name(), option::of(name())).prop_map(|(provider, model)| ModelPattern { provider, model })
}

fn a_purse() -> impl Strategy<Value = Purse> {
    prop::array::uniform9(0..100_u64).prop_map(Purse::from_amounts)
}

prop_compose! {
    fn an_authority()(
        spawn in a_spawn(),
        channels in vec(a_channel(), 0..4),
        tools in vec(a_tool(), 0..3),
        kv in vec(a_kv(), 0..4),
        (http, files, secrets, models) in
            (vec(an_http(), 0..4), vec(a_file(), 0..4), vec(a_secret(), 0..4), vec(a_model(), 0..3)),
        artifacts: bool,
        purse in a_purse(),
        timeout in (0..2_000_u64).prop_map(Duration::from_secs),
    ) -> Authority {
        Authority { spawn, channels, tools, kv, http, files, secrets, models, artifacts, purse, timeout }
    }
}

prop_compose! {
    fn a_scope()(
        spawn in a_spawn(),
        channels in vec(a_channel(), 0..3),
        tools in vec(a_tool(), 0..2),
        kv in vec(a_kv(), 0..3),
        (http, files, secrets, models) in
            (vec(an_http(), 0..3), vec(a_file(), 0..3), vec(a_secret(), 0..3), vec(a_model(), 0..2)),
        artifacts: bool,
        memory_bytes in option::of(0..100_u64),
        timeout in option::of((0..2_000_u64).prop_map(Duration::from_secs)),
    ) -> Scope {
        let purse = PurseAsk::default();
        Scope { spawn, channels, tools, kv, http, files, secrets, models, artifacts, purse, memory_bytes, timeout }
    }
}

/// The part of `scope` that `held` can hand on: wishes that are granted, so
/// that chains of them get long.
fn within(held: &Grants, mut scope: Scope) -> Scope {
    let parent = Holding::from(held).to_hand_on();
    let fits = |part: Scope| parent.check_all(Holding::from(&part)).is_ok();
    scope.spawn = scope.spawn.filter(|s| fits(Scope { spawn: Some(s.clone()), ..Scope::default() }));
    scope.channels.retain(|c| fits(Scope { channels: vec![c.clone()], ..Scope::default() }));
    scope.tools.retain(|t| fits(Scope { tools: vec![t.clone()], ..Scope::default() }));
    scope.kv.retain(|k| fits(Scope { kv: vec![k.clone()], ..Scope::default() }));
    scope.http.retain(|h| fits(Scope { http: vec![h.clone()], ..Scope::default() }));
    scope.files.retain(|f| fits(Scope { files: vec![f.clone()], ..Scope::default() }));
    scope.secrets.retain(|s| fits(Scope { secrets: vec![s.clone()], ..Scope::default() }));
    scope.models.retain(|m| fits(Scope { models: vec![m.clone()], ..Scope::default() }));
    scope.artifacts &= held.artifacts;
    scope
}

fn everything() -> Authority {
    Authority {
        spawn: spawn(&["a/*", "b/a", "b/b"], 6, 4),
        channels: vec![
            ChannelGrant::Origin,
            "a:a".parse().expect("a destination"),
            "b:a".parse().expect("a destination"),
        ],
        tools: vec![tools("a", None), tools("b", Some(&["a"]))],
        kv: vec![kv("a", "", KvMode::ReadWrite), kv("b", "a", KvMode::ReadWrite), kv("b", "", KvMode::Read)],
        http: vec![request("https://*.x", &["GET", "POST"]), request("http://a.x:80/a", &["GET"])],
        files: vec![file("a", "", FileMode::ReadWrite), file("b", "a", FileMode::Read)],
        secrets: vec![
            secret("a", Place::Header("a".to_owned()), "https://*.x"),
            secret("b", Place::Query("b".to_owned()), "https://a.x/a"),
        ],
        models: vec!["a/*".parse().expect("models"), "b/a".parse().expect("a model")],
        artifacts: true,
        ..Authority::default()
    }
}

/// Every question that the small world knows.
fn questions() -> Vec<Capability<'static>> {
    let names = [None, Some("a"), Some("b")];
    let keys = ["", "a", "b", "ab", "aba", "bb"];
    let mut all =
        vec![Capability::Artifacts, Capability::Deliver(std::borrow::Cow::Owned(ChannelGrant::Origin))];
    for plugin in ["a", "b"] {
        for name in names {
            all.push(Capability::Spawn { plugin: plugin.into(), agent: name.map(Into::into) });
            all.push(Capability::Call { plugin: plugin.into(), tool: name.map(Into::into) });
            all.push(Capability::Model { provider: plugin.into(), model: name.map(Into::into) });
        }
        for url in [
            "https://a.x",
            "https://a.x/a",
            "https://c.a.x/a/b",
            "http://a.x/a",
            "https://a.x:80/b",
            "https://*.x",
        ] {
            let to: Target = url.parse().expect("a target");
            for method in ["GET", "POST"] {
                all.push(Capability::Http { method: method.into(), to: std::borrow::Cow::Owned(to.clone()) });
            }
            for place in
                [Place::Header("a".to_owned()), Place::Query("b".to_owned()), Place::Body("a".to_owned())]
            {
                let (place, audience) = (std::borrow::Cow::Owned(place), std::borrow::Cow::Owned(to.clone()));
                all.push(Capability::Secret { name: plugin.into(), place, audience });
            }
        }
        for key in keys {
            for mode in [FileMode::Read, FileMode::ReadWrite] {
                let path = key.chars().map(String::from).collect::<Vec<_>>().into();
                all.push(Capability::Files { root: plugin.into(), path, mode });
            }
            for mode in [KvMode::Read, KvMode::ReadWrite] {
                all.push(Capability::Kv { bucket: plugin.into(), key: key.into(), mode });
                all.push(Capability::KvPrefix { bucket: plugin.into(), prefix: key.into(), mode });
            }
        }
    }
    all
}

/// How many cases there are in a normal test; `cargo xtask soak --properties` has a million.
const CASES: u32 = 10_000;

fn config() -> ProptestConfig {
    let said = std::env::var("SUBLANE_PROPERTY_CASES").ok();
    let cases = said.map_or(CASES, |said| said.parse().expect("SUBLANE_PROPERTY_CASES is a number"));
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_sequence_of_attenuations_widens_anything(scopes in vec((a_scope(), any::<bool>()), 5)) {
        let root = Grants::root(&everything(), &everything(), NOW, 80).0;
        let mut held = root.clone();
        for (scope, cut) in scopes {
            let scope = if cut { within(&held, scope) } else { scope };
            let Ok(child) = held.attenuate(&scope, &terms(Ceiling::Parent)) else {
                prop_assert!(!cut, "what is covered is not denied");
                continue;
            };
            prop_assert!(held.covers(&child) && root.covers(&child));
            for question in questions() {
                if child.check(question.clone()).is_ok() {
                    prop_assert!(held.check(question.clone()).is_ok(), "{question} appeared");
                }
            }
            let less_deep = |child: &SpawnGrant| held.spawn().is_some_and(|held| child.depth < held.depth);
            prop_assert!(child.spawn().is_none_or(less_deep));
            held = child;
        }
    }

    #[test]
    fn an_attached_child_lives_and_leaves_its_parent_time(asks in an_authority(), passed in 0..2_000_u64) {
        let held = Grants::root(&asks, &asks, NOW, 80).0;
        let now = NOW.after(Duration::from_secs(passed));
        let deadline = held.caps().deadline;
        let child = held.attenuate(&Scope::default(), &Terms { now, ..terms(Ceiling::Parent) }).expect("empty scope");
        prop_assert!(child.caps().deadline <= deadline);
        if now < deadline {
            prop_assert!(now < child.caps().deadline, "it is not born too late");
            prop_assert!(child.caps().deadline < deadline, "its parent has time left when it ends");
        }
    }

    #[test]
    fn a_scope_is_granted_whole_or_denied(asks in an_authority(), scope in a_scope()) {
        let held = Grants::root(&asks, &asks, NOW, 80).0;
        match held.attenuate(&scope, &terms(Ceiling::Parent)) {
            Ok(child) => prop_assert!(Holding::from(&child).each().eq(Holding::from(&scope).each())),
            Err(denied) => {
                prop_assert!(Holding::from(&scope).each().any(|asked| asked == denied.capability));
                prop_assert!(!Holding::from(&held).to_hand_on().covers(&denied.capability));
            }
        }
    }

    #[test]
    fn ones_own_grants_may_be_handed_on_a_level_less_deep(asks in an_authority()) {
        let held = Grants::root(&asks, &asks, NOW, 80).0;
        let one_less = |s: &SpawnGrant| s.depth.checked_sub(1).map(|depth| SpawnGrant { depth, ..s.clone() });
        let scope = Scope {
            spawn: held.spawn().and_then(one_less),
            channels: held.channels().to_vec(),
            tools: held.tools().to_vec(),
            kv: held.kv().to_vec(),
            http: held.http().to_vec(),
            files: held.files().to_vec(),
            secrets: held.secrets().to_vec(),
            models: held.models().to_vec(),
            artifacts: held.artifacts(),
            ..Scope::default()
        };
        let child = held.attenuate(&scope, &terms(Ceiling::Parent)).expect("one's own grants");
        prop_assert!(held.covers(&child));
    }

    #[test]
    fn root_grants_are_what_both_sides_hold(asks in an_authority(), allows in an_authority()) {
        let (held, purse) = Grants::root(&asks, &allows, NOW, 80);
        for question in questions() {
            let both = Holding::from(&asks).covers(&question) && Holding::from(&allows).covers(&question);
            prop_assert_eq!(held.check(question.clone()).is_ok(), both, "{}", question);
        }
        if let Some(spawn) = held.spawn() {
            prop_assert!([&asks, &allows].iter().all(|side| side.spawn.as_ref().is_some_and(
                |s| spawn.depth <= s.depth && spawn.active_children <= s.active_children
            )));
        }
        for side in [&asks.purse, &allows.purse] {
            prop_assert!(side.has(purse).is_ok(), "{purse:?}");
        }
    }

    #[test]
    fn what_is_revoked_is_gone_and_nothing_else(
        asks in an_authority(), allows in an_authority(), today in an_authority(), scope in a_scope(),
    ) {
        let root = Grants::root(&asks, &allows, NOW, 80).0.of_plugin(&"a".into());
        let child = root.attenuate(&within(&root, scope), &terms(Ceiling::Parent)).expect("what is covered");
        for held in [root, child] {
            let left = held.within(&today);
            let now = left.as_ref().unwrap_or(&held);
            prop_assert!(held.covers(now) && now.caps() == held.caps() && now.root_of() == Some("a"));
            prop_assert_eq!(now.within(&today), None, "once is enough");
            for question in questions() {
                let both = held.check(question.clone()).is_ok() && Holding::from(&today).covers(&question);
                prop_assert_eq!(now.check(question.clone()).is_ok(), both, "{}", question);
            }
        }
    }

    #[test]
    fn a_capability_is_read_as_it_is_written(asks in an_authority()) {
        let odd = Capability::Kv { bucket: "b".into(), key: "a \"\\\n\u{202e}/(read)".into(), mode: KvMode::Read };
        for capability in questions().into_iter().chain(Holding::from(&asks).each()).chain([odd]) {
            let text = capability.to_string();
            prop_assert_eq!(text.parse::<Capability<'static>>(), Ok(capability.into_owned()), "{}", text);
        }
    }

    #[test]
    fn grants_survive_their_stored_form(asks in an_authority()) {
        let held = Grants::root(&asks, &asks, NOW, 80).0;
        let text = serde_json::to_string(&held).expect("grants are plain values");
        prop_assert_eq!(serde_json::from_str::<Grants>(&text).expect("as written"), held);
        let text = serde_json::to_string(&asks).expect("an authority is plain values");
        prop_assert_eq!(serde_json::from_str::<Authority>(&text).expect("as written"), asks);
    }

    #[test]
    fn a_tree_never_spends_more_than_its_root_held(
        root in a_purse(),
        steps in vec((any::<prop::sample::Index>(), an_ask(), any::<bool>()), 0..40),
    ) {
        let mut purses = vec![(root, None)];
        let mut spawned = 0;
        for (which, ask, end) in steps {
            let at = which.index(purses.len());
            let childless = purses.iter().all(|(_, parent)| *parent != Some(at));
            if let (true, true, Some(parent)) = (end, childless, purses[at].1) {
                let (rest, _) = std::mem::take(&mut purses[at]);
                purses[parent].0.give_back(rest);
            } else {
                let before = purses[at].0;
                match purses[at].0.split(&ask) {
                    Ok(child) => {
                        spawned += 1;
                        purses.push((child, Some(at)));
                    }
                    Err(_) => prop_assert_eq!(purses[at].0, before, "a refusal takes nothing"),
                }
            }
            let mut sum = Purse { spawns: spawned, ..Purse::default() };
            purses.iter().for_each(|(purse, _)| sum.give_back(*purse));
            prop_assert_eq!(sum, root);
        }
    }
}

fn a_share() -> impl Strategy<Value = Share> {
    prop_oneof![Just(Share::Nothing), Just(Share::Half), (0..60_u64).prop_map(Share::Exactly)]
}

prop_compose! {
    fn an_ask()(
        (cpu_us, host_calls, artifact_bytes) in (a_share(), a_share(), a_share()),
        spawns in (0..6_u64).prop_map(Share::Exactly),
        (requests, bytes_out, bytes_in) in (a_share(), a_share(), a_share()),
        (tokens, money_micros) in (a_share(), a_share()),
    ) -> PurseAsk {
        PurseAsk {
            cpu_us, spawns, artifact_bytes, host_calls, requests, bytes_out, bytes_in, tokens, money_micros,
        }
    }
}
