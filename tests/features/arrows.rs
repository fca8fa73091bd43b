//! Which way the arrows point: between crates, between modules, and from the
//! documents to what they name.
//!
//! An absence cannot be seen by reading, so it is checked here. Where a list
//! below names a file, the file's own head says why it may.

mod docs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sublane_tests::{repository, rust_files};
use toml::{Table, Value};

/// What a crate must not reach, through our own crates either.
const CRATES: &[(&str, &[&str])] = &[
    (
        "host/core",
        &["tokio", "wasmtime", "rusqlite", "hyper", "tracing", "sublane", "sublane-store", "sublane-build"],
    ),
    ("host/store", &["wasmtime", "hyper", "clap", "sublane", "sublane-build"]),
    ("host/build", &["wasmtime", "tokio", "rusqlite", "sublane", "sublane-core", "sublane-store"]),
    ("host", &["sublane-sdk", "sublane-sdk-macros", "sublane-tests"]),
    ("sdk/rust", &["wasmtime", "tokio", "sublane", "sublane-core", "sublane-store", "sublane-build"]),
    ("plugins/concierge", &["sublane", "sublane-core", "sublane-store", "sublane-build"]),
    ("plugins/video", &["sublane", "sublane-core", "sublane-store", "sublane-build"]),
    ("tests/standins", &["wasmtime", "sublane", "sublane-core", "sublane-store", "sublane-build"]),
    ("xtask", &["wasmtime", "rusqlite", "sublane", "sublane-core", "sublane-store"]),
];

/// A name, the source below which it may stand only in some places, and those.
struct Only {
    name: &'static str,
    below: &'static [&'static str],
    within: &'static [&'static str],
}

/// Our sources without guests, which are others' code in the eyes of the host.
const SOURCES: &[&str] =
    &["host/src", "host/core/src", "host/store/src", "host/build/src", "sdk/rust", "xtask/src"];

const NAMES: &[Only] = &[
    Only {
        name: "wasmtime::",
        below: SOURCES,
        within: &["engine/", "imports/", "plugin/", "bindings.rs", "runner.rs", "open.rs"],
    },
    Only { name: "rusqlite", below: SOURCES, within: &["host/store/src/sqlite/"] },
    Only {
        name: "crate::bindings",
        below: &["host/src"],
        within: &["imports/", "plugin/", "runner.rs", "bindings.rs"],
    },
    Only {
        name: "hyper",
        below: SOURCES,
        within: &["channel/", "config/channels.rs", "config/hooks.rs", "host/src/hooks/", "host/src/http/"],
    },
    Only { name: "DeTable", below: SOURCES, within: &["strict.rs", "strict/", "cli/config.rs"] },
    // Whoever measures says so; whatever decides is handed a clock.
    Only {
        name: "Instant::now",
        below: SOURCES,
        within: &[
            "engine/guest.rs",
            "channel/wire.rs",
            "channel/webhook.rs",
            "host/src/http/",
            "cli/mod.rs",
            "host/store/src/sqlite/damage.rs",
            "xtask/src/",
        ],
    },
    Only { name: "SystemTime::now", below: SOURCES, within: &["host/src/clock.rs", "xtask/src/"] },
    Only { name: "tokio::time::sleep", below: SOURCES, within: &["host/src/clock.rs"] },
    Only { name: "thread::sleep", below: SOURCES, within: &["engine/ticker.rs", "host/store/src/lock.rs"] },
    Only { name: "unbounded", below: SOURCES, within: &[] },
    Only {
        name: "unsafe ",
        below: SOURCES,
        within: &[
            "host/src/engine/cache.rs",
            "host/src/secrets/environment.rs",
            "sdk/rust/src/heap.rs",
            "sdk/rust/src/random.rs",
        ],
    },
    Only { name: "#[unsafe(", below: SOURCES, within: &["sdk/rust/src/random.rs"] },
    // What macros generate does not meet its lint everywhere, so `expect` would not hold.
    Only {
        name: "#[allow(",
        below: SOURCES,
        within: &["sdk/rust/macros/src/entry.rs", "sdk/rust/src/plugin.rs"],
    },
];

/// Modules of the host, and what they must not name.
const MODULES: &[(&str, &[&str])] = &[
    ("strict", &["tokio::", "sublane_core", "sublane_store", "crate::config", "crate::host"]),
    ("config", &["tokio::", "sublane_store", "crate::host", "crate::runner"]),
    ("plugin/manifest", &["tokio::", "sublane_store", "crate::host"]),
    ("journal", &["tokio::", "sublane_store", "crate::host", "crate::engine"]),
    ("artifacts", &["sublane_store", "crate::host"]),
    ("engine", &["sublane_store", "crate::host", "crate::imports", "crate::attempt", "crate::channel"]),
    ("imports", &["crate::channel", "crate::outbox", "crate::config"]),
    ("channel", &["sublane_store", "crate::host", "crate::plugin", "crate::imports", "crate::outbox"]),
    ("outbox", &["crate::host", "crate::plugin", "crate::imports", "crate::runner"]),
    ("http", &["sublane_store", "crate::host", "crate::imports", "crate::config", "grants::Grants"]),
    ("secrets", &["tokio::", "sublane_store", "crate::host", "crate::imports", "crate::config"]),
    ("lanes", &["crate::channel", "crate::imports", "crate::outbox"]),
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path as people write it, from the root of the repository.
fn short(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

/// The lines of a file that are code, with their numbers. Unit tests may name
/// what they like, so what follows `mod tests {` is not looked at.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines()).take_while(|(_, line)| !line.starts_with("mod tests {"));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a file is tests and nothing else.
fn is_test(path: &str) -> bool {
    ["/tests.rs", "/tests/", "/testing.rs", "/scene.rs", "/peer.rs"].iter().any(|part| path.contains(part))
}

fn manifest(directory: &str) -> Table {
    read(&repository().join(directory).join("Cargo.toml")).parse().expect("cargo could read it too")
}

/// What a crate depends on to be built, tests left out.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(Value::as_table).chain([manifest]);
    let kinds = tables.flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)));
    kinds.flatten().filter_map(Value::as_table).flat_map(Table::keys).cloned().collect()
}

/// The directories of our crates, by name.
fn our_crates() -> Vec<(String, String)> {
    let root = manifest("");
    let members = root["workspace"]["members"].as_array().expect("a list of members");
    let directories = members.iter().map(|member| member.as_str().expect("a directory"));
    let named = |directory: &str| {
        let name = manifest(directory)["package"]["name"].as_str().expect("a name").to_owned();
        (name, directory.to_owned())
    };
    directories.chain(["plugins/video"]).map(named).collect()
}

#[test]
fn crates_depend_one_way() {
    let ours = our_crates();
    for (directory, forbidden) in CRATES {
        let mut reached = BTreeSet::new();
        let mut next: Vec<String> = dependencies(&manifest(directory)).into_iter().collect();
        while let Some(name) = next.pop() {
            if let Some((_, directory)) = ours.iter().find(|(ours, _)| *ours == name)
                && !reached.contains(&name)
            {
                next.extend(dependencies(&manifest(directory)));
            }
            reached.insert(name);
        }
        for name in *forbidden {
            assert!(
                !reached.contains(*name),
                "{directory} must not depend on {name}, also not through another crate"
            );
        }
    }
}

#[test]
fn guests_depend_on_the_sdk_and_on_nothing_of_the_host() {
    for (name, directory) in our_crates() {
        if ["examples/", "tests/guests/"].iter().any(|guests| directory.starts_with(guests)) {
            let found = dependencies(&manifest(&directory));
            assert!(found.contains("sublane-sdk"), "{name} is no guest");
            let of_host = ["sublane", "sublane-core", "sublane-store", "sublane-build"];
            assert!(
                of_host.iter().all(|host| !found.contains(*host)),
                "{name} depends on the host: {found:?}"
            );
        }
    }
}

#[test]
fn the_rust_version_stands_in_one_place() {
    for file in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(!repository().join(file).exists(), "{file} would make rustup fetch a toolchain");
    }
    let root = manifest("");
    let version = root["workspace"]["package"]["rust-version"].as_str().expect("a version").to_owned();
    for (name, directory) in our_crates() {
        let of_crate = &manifest(&directory)["package"]["rust-version"];
        let inherits = of_crate.get("workspace").and_then(Value::as_bool) == Some(true);
        assert!(
            inherits || of_crate.as_str() == Some(&version),
            "{name} has a rust-version of its own: {of_crate}"
        );
    }
}

#[test]
fn names_stand_only_where_they_belong() {
    let mut found = Vec::new();
    for Only { name, below, within } in NAMES {
        for path in below.iter().flat_map(|below| rust_files(below)) {
            let file = short(&path);
            let may = within.iter().any(|within| file.contains(within));
            if may || is_test(&file) {
                continue;
            }
            let text = read(&path);
            let lines = code(&text).filter(|(_, line)| line.contains(name));
            found.extend(
                lines.map(|(number, line)| format!("{file}:{number}: `{name}` in `{}`", line.trim())),
            );
        }
    }
    assert!(found.is_empty(), "these belong elsewhere:\n{}", found.join("\n"));
}

#[test]
fn modules_of_the_host_do_not_reach_back() {
    let mut found = Vec::new();
    for (module, forbidden) in MODULES {
        let files = rust_files("host/src");
        let (one, below) = (format!("host/src/{module}.rs"), format!("host/src/{module}/"));
        let of_module = |path: &&PathBuf| short(path) == one || short(path).starts_with(&below);
        let mut any = false;
        for path in files.iter().filter(of_module) {
            any = true;
            let file = short(path);
            if is_test(&file) {
                continue;
            }
            let text = read(path);
            for (number, line) in code(&text) {
                let named = forbidden.iter().filter(|name| line.contains(**name));
                found.extend(named.map(|name| format!("{file}:{number}: {module} must not name `{name}`")));
            }
        }
        assert!(any, "there is no module {module} any more: take it off the list");
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    for path in
        ["host", "sdk", "plugins", "examples", "tests", "bench", "xtask"].into_iter().flat_map(rust_files)
    {
        assert!(read(&path).starts_with("//! "), "{} does not begin with what it is", short(&path));
    }
}

#[test]
fn no_guest_is_without_a_test() {
    let tests = ["tests/features", "bench/src"].into_iter().flat_map(rust_files);
    let tests: String =
        tests.filter(|path| !short(path).contains("arrows")).map(|path| read(&path)).collect();
    for (name, directory) in our_crates() {
        if ["examples/", "tests/guests/"].iter().any(|guests| directory.starts_with(guests)) {
            let named = [format!("\"{name}\""), format!("\"{name}/")];
            assert!(named.iter().any(|named| tests.contains(named)), "no test names {directory}");
        }
    }
    for guests in ["examples", "tests/guests"] {
        for entry in std::fs::read_dir(repository().join(guests)).expect("a directory") {
            let directory = short(&entry.expect("an entry").path());
            // Its guests are no crates: `hostile::corpus` walks it.
            if directory == "tests/guests/hostile" {
                continue;
            }
            // In other languages than Rust they are none either.
            if !repository().join(&directory).join("Cargo.toml").exists() {
                assert!(tests.contains(&format!("\"{directory}\"")), "no test names {directory}");
                continue;
            }
            let is_member = our_crates().iter().any(|(_, member)| *member == directory);
            assert!(is_member, "{directory} is no member of the workspace");
        }
    }
}
