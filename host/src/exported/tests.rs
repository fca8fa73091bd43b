//! What an exported run is read again as, and what is said of one that is not right.

use super::*;
use sublane_core::{Answer, ImportError, Purse};

fn grants() -> Grants {
    serde_json::from_str(r#"{"caps":{"deadline":9000,"memory_bytes":65536}}"#).expect("the first format")
}

fn exported() -> Exported {
    let spec = RunSpec {
        id: RunId([1; 16]),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([2; 16]),
        origin: "console:test".parse().expect("well formed"),
        plugin: "film".to_owned(),
        agent: "render".to_owned(),
        plugin_digest: "ab".repeat(32),
        name: "film-1".to_owned(),
        lane: "main".to_owned(),
        priority: Priority::Normal,
        depth: 0,
        input: "{}".into(),
        artifacts: Vec::new(),
        grants: grants(),
        purse: Purse::default(),
        destinations: Vec::new(),
        created: Timestamp(1_000),
        dedupe_key: None,
        spawner: "film".to_owned(),
        seed: [7; 32],
        retry: None,
    };
    let answer: Answer<u32> = Err(ImportError::NotFound);
    let entry = Entry {
        path: Path::root().then(1),
        import: Import::KvGet,
        args: 5,
        result: sublane_core::journal::encode(&answer),
        at: Timestamp(1_001),
    };
    Exported {
        format: FORMAT,
        written_by: "9.9.9".to_owned(),
        encoding: ENCODING_VERSION,
        run: RunDoc::of(&Run::queued(spec)),
        waits_for: None,
        entries: vec![EntryDoc::of(&entry)],
        spawned: Vec::new(),
        artifacts: Vec::new(),
        log: Vec::new(),
        plugins: Vec::new(),
    }
}

fn refused(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut value = serde_json::to_value(exported()).expect("JSON");
    change(&mut value);
    Exported::parse(value.to_string().as_bytes()).expect_err("it was changed").to_string()
}

#[test]
fn what_is_written_is_read_again() {
    let exported = exported();
    let again = Exported::parse(exported.to_json().as_bytes()).expect("just written");
    assert_eq!(again.to_json(), exported.to_json());
    assert_eq!(again.run.run().expect("a run").spec.seed, [7; 32]);
}

/// What is random in it differs from what was before, and what stands for secrets does not.
#[test]
fn a_generation_that_the_policy_began_is_written_with_a_seed_of_its_own() {
    let run = exported().run.run().expect("a run");
    let of = |generation, retried| {
        let doc = RunDoc::of(&Run { generation, retried, ..run.clone() });
        let seed = doc.run().expect("a run").spec.seed;
        assert_eq!(seed, seed_of_generation(&Run { generation, retried, ..run.clone() }));
        seed
    };
    assert_eq!([of(0, 0), of(3, 0)], [[7; 32]; 2], "an operator gives a new one");
    let own = [of(0, 0), of(1, 1), of(2, 2)];
    assert!(own[0] != own[1] && own[1] != own[2] && own[0] != own[2]);
}

#[test]
fn what_is_newer_is_passed_over_and_what_is_missing_has_a_default() {
    let mut value = serde_json::to_value(exported()).expect("JSON");
    value["run"]["colour"] = "blue".into();
    value["entries"][0]["cost"] = 7.into();
    for name in ["spawned", "artifacts", "log", "plugins", "waits_for", "encoding"] {
        value.as_object_mut().expect("an object").remove(name);
    }
    let read = Exported::parse(value.to_string().as_bytes()).expect("tolerated");
    assert_eq!(read.journal().expect("a journal").len(), 1);
}

#[test]
fn what_cannot_be_understood_says_who_wrote_it_and_where() {
    let newer = refused(|value| value["format"] = 2.into());
    assert!(newer.contains("format 2 and was written by sublane 9.9.9"), "{newer}");
    let encoding = refused(|value| value["encoding"] = 9.into());
    assert!(encoding.contains("encoding 9"), "{encoding}");
    let import = refused(|value| value["entries"][0]["import"] = "moon.land".into());
    assert!(import.contains("journal entry 1 is an answer of `moon.land`"), "{import}");
    let result = refused(|value| value["entries"][0]["result"] = "{".into());
    assert!(result.contains("journal entry 1: its result"), "{result}");
    let seed = refused(|value| value["run"]["seed"] = "7".into());
    assert!(seed.contains("the seed of run"), "{seed}");
    let twice = refused(|value| {
        let entry = value["entries"][0].clone();
        value["entries"].as_array_mut().expect("a list").push(entry);
    });
    assert!(twice.contains("does not come after"), "{twice}");
    let cut = Exported::parse(br#"{"format":1,"#).expect_err("cut").to_string();
    assert!(cut.contains("line 1 column"), "{cut}");
}
