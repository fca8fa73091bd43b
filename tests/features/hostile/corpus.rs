//! The corpus of `tests/guests/hostile/`: one attack in each file, the expected answer beside it.
//!
//! Nothing there is without a test: the directory is walked, every attack is made on a real host, and
//! what comes of it is compared with the file `NAME.expected`. After each of them a neighbour still
//! gets its work done.

mod index;
mod manifests;
mod modules;
mod scripts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use serde_json::json;
use sublane_tests::{TestHost, repository, value};

fn directory() -> PathBuf {
    repository().join("tests/guests/hostile")
}

/// The attacks whose file ends so, by name, with what the file holds.
fn attacks(extension: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory()).expect("the corpus");
    let mut attacks: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    attacks.sort();
    assert!(!attacks.is_empty(), "no attack ends in .{extension}");
    attacks
}

/// What came of an attack is what the file beside it says.
fn check(name: &str, answer: &str) {
    let path = directory().join(format!("{name}.expected"));
    expect_file![path].assert_eq(&format!("{}\n", answer.trim_end()));
}

/// A plugin that does no harm still gets its work done, and nothing else holds an instance.
async fn check_neighbour(host: &TestHost, attack: &str) {
    let done = host.run("spawns/relay", json!({ "levels": 1 })).await;
    assert_eq!(value(&done), json!(1), "after {attack}");
    host.until(attack, || super::instances(host) == 0).await;
}

#[test]
fn nothing_in_the_corpus_is_without_a_test() {
    let known = ["wat", "json", "toml"];
    let mut names = BTreeSet::new();
    let mut expected = BTreeSet::new();
    for entry in std::fs::read_dir(directory()).expect("the corpus") {
        let path: PathBuf = entry.expect("an entry").path();
        let end = |path: &Path| path.extension().map(|end| end.to_string_lossy().into_owned());
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        match end(&path).as_deref() {
            Some("expected") => assert!(expected.insert(name)),
            Some("toml") if name == "index" => {}
            Some(end) if known.contains(&end) => {
                assert!(names.insert(name), "two attacks have one name: {}", path.display());
            }
            _ => panic!("{} is no attack that a test makes", path.display()),
        }
    }
    assert_eq!(names, expected, "each attack has what is expected beside it");
    assert_eq!(names, index::guests(), "the index names each of them");
}
