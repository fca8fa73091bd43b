//! The index of the corpus: each attack, what is answered, and what shows it. `SECURITY.md` has it as
//! tables, which are made here: `UPDATE_EXPECT=1` writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sublane_tests::{repository, rust_files};
use toml::{Table, Value};

use super::directory;

const BEGIN: &str = "<!-- Made from tests/guests/hostile/index.toml: UPDATE_EXPECT=1 writes it. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

fn promises() -> Vec<Table> {
    let text = std::fs::read_to_string(directory().join("index.toml")).expect("the index");
    tables(&text.parse().expect("TOML"), "promise")
}

fn tables(table: &Table, key: &str) -> Vec<Table> {
    let list = table.get(key).and_then(Value::as_array).unwrap_or_else(|| panic!("no {key} in {table}"));
    list.iter().map(|entry| entry.as_table().expect("a table").clone()).collect()
}

fn text<'t>(table: &'t Table, key: &str) -> &'t str {
    table.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no {key} in {table}"))
}

fn names(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array).into_iter().flatten();
    list.map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// The guests of the corpus that the index names, each once.
pub(super) fn guests() -> BTreeSet<String> {
    let mut guests = BTreeSet::new();
    for guest in
        promises().iter().flat_map(|promise| tables(promise, "attack")).flat_map(|a| names(&a, "guests"))
    {
        assert!(guests.insert(guest.clone()), "{guest} is there twice");
    }
    guests
}

/// The names of all tests below a directory, as `fn NAME(`.
fn tests_below(directory: &str, found: &mut String) {
    for path in rust_files(directory) {
        let text = std::fs::read_to_string(&path).expect("a file");
        let lines = text.lines().filter(|line| line.contains("fn "));
        lines.for_each(|line| {
            found.push_str(line.trim());
            found.push('\n');
        });
    }
}

#[test]
fn every_attack_names_what_shows_its_answer() {
    let mut tests = String::new();
    for place in ["tests/features", "host/src", "host/core/src", "host/store/tests"] {
        tests_below(place, &mut tests);
    }
    let is_there =
        |name: &str| [format!("fn {name}("), format!("fn {name}<")].iter().any(|f| tests.contains(f));
    for attack in promises().iter().flat_map(|promise| tables(promise, "attack")) {
        let named = names(&attack, "tests");
        assert!(!named.is_empty() || !names(&attack, "guests").is_empty(), "nothing shows {attack}");
        for name in named {
            assert!(is_there(&name), "there is no test `{name}`: {attack}");
        }
    }
}

/// What `SECURITY.md` says of every promise.
fn rendered() -> String {
    let mut made = String::new();
    for promise in promises() {
        let (name, promised) = (text(&promise, "name"), text(&promise, "text"));
        write!(made, "\n### {name}\n\n{promised}\n\n| attack | answer | shown by |\n|---|---|---|\n")
            .expect("a string takes it");
        for attack in tables(&promise, "attack") {
            let quoted = |name: &String| format!("`{name}`");
            let guests = names(&attack, "guests").into_iter().map(|name| quoted(&name));
            let shown: Vec<String> = guests.chain(names(&attack, "tests").iter().map(quoted)).collect();
            writeln!(
                made,
                "| {} | {} | {} |",
                text(&attack, "what"),
                text(&attack, "answer"),
                shown.join(", ")
            )
            .expect("a string takes it");
        }
    }
    made.push('\n');
    made
}

#[test]
fn the_security_document_shows_the_index() {
    let path = repository().join("SECURITY.md");
    let document = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("where the tables begin");
    let (_, after) = rest.split_once(END).expect("where they end");
    expect_test::expect_file![path].assert_eq(&format!("{before}{BEGIN}{}{END}{after}", rendered()));
}
