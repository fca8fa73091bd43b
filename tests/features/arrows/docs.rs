//! What the documents say is there: paths, commands, the example, the classes of imports.

use std::collections::BTreeMap;

use sublane_core::{Import, ImportClass};
use sublane_tests::repository;

use super::read;

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/limits.md",
    "docs/complaints.md",
];

/// Where a path may begin that a document shortens.
const ROOTS: [&str; 6] = ["", "host/src", "host/core/src", "host/store/src", "host/store", "sdk/rust"];

/// Files of a plugin or of a host, which are in no one place.
const ANYWHERE: [&str; 4] = ["plugin.toml", "sublane.toml", "Cargo.toml", "src/lib.rs"];

fn document(name: &str) -> String {
    read(&repository().join(name))
}

/// What stands in backticks, outside of blocks of code.
fn spans(text: &str) -> Vec<String> {
    let mut is_block = false;
    let mut spans = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

/// Whether a span names a file or a directory of the repository.
fn is_path(span: &str) -> bool {
    let plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte));
    let begins_at_root = span.split_once('/').is_some_and(|(first, _)| repository().join(first).is_dir());
    let is_file = [".rs", ".wit", ".md", ".toml"].iter().any(|end| span.ends_with(end));
    let is_made = span.starts_with("target/") || span.contains("NAME");
    plain && !is_made && !ANYWHERE.contains(&span) && (is_file || span.ends_with('/') || begins_at_root)
}

#[test]
fn every_path_that_a_document_names_is_there() {
    for name in DOCUMENTS {
        let text = document(name);
        let paths: Vec<String> = spans(&text).into_iter().filter(|span| is_path(span)).collect();
        assert!(!paths.is_empty(), "{name} names no path");
        for path in paths {
            let is_there = ROOTS.iter().any(|root| repository().join(root).join(&path).exists());
            assert!(is_there, "{name} names `{path}`, which is not there");
        }
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_there = target.starts_with("http") || repository().join(target).exists();
            assert!(is_there, "{name} links to {target}, which is not there");
        }
    }
}

#[test]
fn every_row_of_what_survives_a_crash_names_its_tests() {
    let architecture = document("ARCHITECTURE.md");
    let (_, section) = architecture.split_once("\n## What survives a crash\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next one");
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "{section}");
    let tests =
        ["tests/features", "host/store/tests", "host/src"].map(|place| all_below(&repository().join(place)));
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let named = spans(shown_by);
        assert!(!named.is_empty(), "nothing shows this: {row}");
        for name in named {
            let is_there = tests.iter().any(|text| text.contains(&format!("fn {name}(")));
            assert!(is_there, "there is no test `{name}`: {row}");
        }
    }
}

/// The text of every file below a directory.
fn all_below(directory: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.extension() {
            None if path.is_dir() => text.push_str(&all_below(&path)),
            Some(end) if end == "rs" => text.push_str(&read(&path)),
            _ => {}
        }
    }
    text
}

#[test]
fn every_task_that_a_document_names_is_there() {
    let tasks = document("xtask/src/main.rs");
    for name in DOCUMENTS {
        for rest in document(name).split("cargo xtask ").skip(1) {
            let task = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            let is_there = task.is_empty() || tasks.contains(&format!("{task}::"));
            assert!(is_there, "{name} names `cargo xtask {task}`, which is not there");
        }
    }
}

#[test]
fn the_first_plugin_of_the_readme_is_the_example() {
    let readme = document("README.md");
    for file in ["examples/hello-agent/src/lib.rs", "examples/hello-agent/plugin.toml"] {
        assert!(readme.contains(&document(file)), "the README shows another {file}");
    }
}

#[test]
fn the_architecture_fits_its_frame() {
    assert!(document("ARCHITECTURE.md").lines().count() < 300, "fewer than 300 lines are read to the end");
}

/// Each function that a plugin imports, with the class that its documentation
/// names. Without one it is local.
fn documented() -> BTreeMap<String, ImportClass> {
    let classes = [
        ("**Effect**", ImportClass::Effect),
        ("**Command**", ImportClass::Command),
        ("**Wait**", ImportClass::Wait),
        ("**Local**", ImportClass::Local),
    ];
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(repository().join("wit")).expect("the contract") {
        let (mut interface, mut resource, mut doc) = (String::new(), String::new(), String::new());
        for line in read(&entry.expect("a file").path()).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["interface", name, "{"] => interface = (*name).to_owned(),
                ["resource", name, "{"] => resource = format!("{name}."),
                ["///", ..] => doc.push_str(line),
                [name, ..]
                    if name.ends_with(':') && line.contains(": func(") && !interface.ends_with("-entry") =>
                {
                    let function = format!("{interface}.{resource}{}", name.trim_end_matches(':'));
                    let named = classes.iter().find(|(bold, _)| doc.contains(bold));
                    found.insert(function, named.map_or(ImportClass::Local, |(_, class)| *class));
                }
                ["}"] => resource.clear(),
                _ => {}
            }
            if !line.trim_start().starts_with("///") {
                doc.clear();
            }
        }
    }
    found
}

#[test]
fn the_contract_names_the_class_that_the_host_keeps() {
    let documented = documented();
    let kept: BTreeMap<String, ImportClass> =
        Import::ALL.iter().map(|import| (import.name().to_owned(), import.class())).collect();
    for (function, class) in &documented {
        assert_eq!(kept.get(function), Some(class), "{function} is documented as {class:?}");
    }
    assert_eq!(documented.len(), kept.len(), "the table names what the contract does not have: {kept:?}");
}
