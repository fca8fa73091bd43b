//! The table of limits: each names the test, or the attack, that meets it.

use sublane_tests::{repository, rust_files};

/// The rows of the table in `docs/limits.md`, by their cells.
fn rows() -> Vec<Vec<String>> {
    let path = repository().join("docs/limits.md");
    let document = std::fs::read_to_string(path).expect("it is there");
    let rows = document.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The text of every Rust file below these directories.
fn sources(directories: &[&str]) -> String {
    let files = directories.iter().flat_map(|directory| rust_files(directory));
    files.map(|path| std::fs::read_to_string(path).expect("text")).collect()
}

#[test]
fn every_limit_names_the_test_that_meets_it() {
    let sources =
        sources(&["tests/features", "host/store/tests", "host/store/src", "host/src", "host/core/src"]);
    let rows = rows();
    assert!(rows.len() > 50, "{rows:?}");
    for row in rows {
        let [_, _, _, shown_by] = &row[..] else { panic!("four cells: {row:?}") };
        let named: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "nothing meets this limit: {row:?}");
        for name in named {
            let is_attack = repository().join(format!("tests/guests/hostile/{name}.expected")).exists();
            let is_test = [format!("fn {name}("), format!("fn {name}<")].iter().any(|f| sources.contains(f));
            let is_there = is_attack || is_test;
            assert!(is_there, "there is no test `{name}`: {row:?}");
        }
    }
}

/// A limit with a key in the configuration is in the example, and in the table.
#[test]
fn every_limit_of_the_operators_is_in_the_table() {
    let reader = std::fs::read_to_string(repository().join("host/src/config/limits.rs")).expect("there");
    let (_, keys) = reader.split_once(".table(&[").expect("the keys of [limits]");
    let (keys, _) = keys.split_once(']').expect("it is closed");
    let table: String = rows().concat().join(" ");
    for key in keys.split('"').skip(1).step_by(2) {
        assert!(table.contains(&format!("`limits.{key}")), "the table does not name `limits.{key}`");
    }
}
