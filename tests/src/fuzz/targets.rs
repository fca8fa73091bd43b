//! What reads inputs, and what must hold of whatever it makes of them.

use std::path::Path;

use sublane::config::Config;
use sublane::exported::Exported;
use sublane::http::url::Url;
use sublane::plugin::Manifest;
use sublane_core::grants::{AgentPattern, FilePath, ModelPattern, Target as Place};
use sublane_core::journal::{SpawnAnswer, WaitAnswer, decode};
use sublane_core::{Authority, Destination, Entry, Grants, Import, Path as Seq, RunId, Timestamp};

use super::Target;

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target { name: "manifest", read: manifest },
    Target { name: "configuration", read: configuration },
    Target { name: "url", read: url },
    Target { name: "names", read: names },
    Target { name: "grants", read: grants },
    Target { name: "rows", read: super::rows::read },
    Target { name: "exported", read: exported },
];

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// Each line of what people are told names the file and steers nothing.
fn check_told(told: &str, file: &str) {
    for line in told.lines() {
        assert!(line.starts_with(&format!("{file}:")), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

fn manifest(input: &[u8]) {
    let Some(text) = text(input) else { return };
    match Manifest::parse("plugin.toml", text) {
        Ok(manifest) => {
            assert!(manifest.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            // What it asks for covers itself, and is stored as it is.
            assert!(manifest.asks.not_allowed(&manifest.asks).is_empty());
            let stored = serde_json::to_string(&manifest.asks).expect("plain values");
            assert_eq!(serde_json::from_str::<Authority>(&stored).expect("as written"), manifest.asks);
        }
        Err(problems) => check_told(&problems.to_string(), "plugin.toml"),
    }
}

fn configuration(input: &[u8]) {
    let Some(text) = text(input) else { return };
    if let Err(problems) = Config::parse(Path::new("sublane.toml"), text) {
        check_told(&problems.to_string(), "sublane.toml");
    }
}

fn url(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    let (one, other) = (first.parse::<Place>(), second.parse::<Place>());
    for place in one.iter().chain(&other) {
        assert!(place.covers(place), "{place}");
        let again: Place = place.to_string().parse().expect("what is written can be read");
        assert_eq!(&again, place);
    }
    if let (Ok(one), Ok(other)) = (&one, &other)
        && let Some(both) = one.meet(other)
    {
        assert!(one.covers(&both) && other.covers(&both), "{one} and {other} meet in {both}");
    }
    if let Ok(url) = Url::parse(first) {
        // Who covers the place of a URL covers what is asked for there.
        assert!(url.target().covers(url.target()), "{first}");
        assert!(!url.path().contains("/../") && !url.host().is_empty(), "{first}");
        if let Ok(on) = url.join(second) {
            assert!(on.target().covers(on.target()), "{first} {second}");
        }
    }
}

fn names(input: &[u8]) {
    let Some(text) = text(input) else { return };
    if let Ok(destination) = text.parse::<Destination>() {
        assert_eq!(destination.to_string(), text);
    }
    if let Ok(agent) = text.parse::<AgentPattern>() {
        assert_eq!(agent.to_string().parse::<AgentPattern>().as_ref(), Ok(&agent));
    }
    if let Ok(model) = text.parse::<ModelPattern>() {
        assert_eq!(model.to_string().parse::<ModelPattern>().as_ref(), Ok(&model));
    }
    if let Ok(run) = text.parse::<RunId>() {
        assert_eq!(run.to_string(), text);
    }
    let names: Vec<String> = text.split('/').map(str::to_owned).collect();
    if FilePath::new(names.clone()).is_ok() {
        assert!(names.iter().all(|name| !["", ".", ".."].contains(&name.as_str()) && !name.contains('\0')));
    }
}

fn grants(input: &[u8]) {
    if let Ok(held) = serde_json::from_slice::<Grants>(input) {
        let stored = serde_json::to_string(&held).expect("plain values");
        assert_eq!(serde_json::from_str::<Grants>(&stored).expect("as written"), held);
    }
    if let Ok(asked) = serde_json::from_slice::<Authority>(input) {
        let (held, purse) = Grants::root(&asked, &asked, Timestamp(0), 1 << 20);
        assert!(asked.purse.has(purse).is_ok(), "{purse:?} of {:?}", asked.purse);
        let stored = serde_json::to_string(&held).expect("plain values");
        assert_eq!(serde_json::from_str::<Grants>(&stored).expect("as written"), held);
    }
    if let Some(text) = text(input) {
        let entry = Entry {
            path: Seq::root().then(1),
            import: Import::Spawn,
            args: 0,
            result: text.into(),
            at: Timestamp(0),
        };
        let _ = (decode::<SpawnAnswer>(&entry), decode::<WaitAnswer>(&entry), decode::<String>(&entry));
    }
}

fn exported(input: &[u8]) {
    let Ok(exported) = Exported::parse(input) else { return };
    let journal = exported.journal().expect("it was read");
    assert!(journal.is_sorted_by(|one, next| one.path < next.path), "{journal:?}");
    // What a component is not, it is told, and it is no more than its digest says.
    let _ = exported.plugins.iter().filter_map(|plugin| plugin.component().ok()).count();
    let written = exported.to_json();
    let again = Exported::parse(written.as_bytes()).expect("what is written can be read");
    assert_eq!(again.to_json(), written);
}
