//! Builds real crates with this machine's own toolchain for guests.
//!
//! They are compiled below this repository's target directory, so that the
//! standard library is built once for them and for the plugins.

use std::fs;
use std::path::{Path, PathBuf};

use sublane_build::{
    BuildOptions, BuildRequest, Built, Error, Toolchain, Workspace, build_dir, build_plugins,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn toolchain(dir: &Path) -> Toolchain {
    Toolchain::find(dir, &mut |line| eprintln!("{line}")).expect("this machine can build guests")
}

fn options() -> BuildOptions {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory");
    BuildOptions { target: Some(target.to_owned()), locked: true, quiet: true }
}

/// Builds a fixture and returns what was reported, too.
fn check_build(dir: &Path, out: &Path) -> (Result<Built, Error>, Vec<String>) {
    let mut lines = Vec::new();
    let built = build_dir(&toolchain(dir), dir, out, options(), &mut |line| lines.push(line.to_owned()));
    (built, lines)
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// The fixture itself does not compile without the flags that guests get.
#[test]
fn a_crate_becomes_a_component_with_its_manifest_beside_it() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let (built, lines) = check_build(&fixture("greeter"), out.path());
    let built = built.expect("builds");

    assert_eq!(built.component, out.path().join("greeter/greeter.wasm"));
    assert_eq!(
        fs::read(out.path().join("greeter/plugin.toml")).expect("is there"),
        fs::read(fixture("greeter").join("plugin.toml")).expect("is there"),
    );
    assert!(built.changed);
    assert!(lines.iter().any(|line| line.starts_with("greeter: ")), "{lines:?}");

    let bytes = fs::read(&built.component).expect("is there");
    assert_eq!(bytes.len() as u64, built.size);
    sublane_build::check_component("greeter", &bytes).expect("it is a component that a host accepts");
    assert!(contains(&bytes, "src/lib.rs"), "panics tell file and line");
    assert!(contains(&bytes, "compose_greeting"), "the names of functions stay");
}

#[test]
fn what_did_not_change_is_not_written_again() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let first = check_build(&fixture("greeter"), out.path()).0.expect("builds");
    let written = fs::metadata(&first.component).and_then(|m| m.modified()).expect("is there");
    let second = check_build(&fixture("greeter"), out.path()).0.expect("builds");
    assert!(!second.changed);
    assert_eq!(fs::metadata(&second.component).and_then(|m| m.modified()).expect("is there"), written);
}

#[test]
fn a_crate_that_calls_javascript_is_refused_by_name_and_writes_nothing() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let error = check_build(&fixture("browser"), out.path()).0.expect_err("no host serves it");
    let message = error.to_string();
    assert!(message.contains("__wbindgen_placeholder__::__wbindgen_throw"), "{message}");
    assert!(message.contains("wasm-bindgen"), "{message}");
    assert_eq!(fs::read_dir(out.path()).expect("is there").count(), 0);
}

/// Writes a crate with this Cargo.toml and, if wanted, a `plugin.toml`.
fn crate_with(manifest: &str, plugin: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("src")).expect("creates");
    fs::write(dir.path().join("src/lib.rs"), "").expect("writes");
    fs::write(dir.path().join("Cargo.toml"), manifest).expect("writes");
    if let Some(plugin) = plugin {
        fs::write(dir.path().join("plugin.toml"), plugin).expect("writes");
    }
    dir
}

const PACKAGE: &str = "[package]\nname = \"mine\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

#[track_caller]
fn check_refused(dir: &Path, expected: &str) {
    let out = tempfile::tempdir().expect("a temporary directory");
    let message = check_build(dir, out.path()).0.expect_err("it is no plugin crate").to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_library_that_is_no_cdylib_is_told_the_two_lines() {
    let dir = crate_with(PACKAGE, Some(""));
    check_refused(dir.path(), "[lib]\n    crate-type = [\"cdylib\"]");
}

#[test]
fn a_plugin_crate_without_its_manifest_is_told_where_it_belongs() {
    let dir = crate_with(&format!("{PACKAGE}{CDYLIB}"), None);
    check_refused(dir.path(), "has no plugin.toml");
}

#[test]
fn a_manifest_that_cargo_refuses_is_shown_in_cargos_words() {
    let dir = crate_with("[package]\nnamo = 1\n", Some(""));
    check_refused(dir.path(), "cargo cannot read the crate");
}

#[test]
fn a_workspace_without_a_package_names_its_plugin_crates() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let member = dir.path().join("mine");
    fs::create_dir_all(member.join("src")).expect("creates");
    fs::write(member.join("src/lib.rs"), "").expect("writes");
    let package = PACKAGE.replace("[workspace]\n", "");
    fs::write(member.join("Cargo.toml"), format!("{package}{CDYLIB}")).expect("writes");
    fs::write(dir.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"mine\"]\n")
        .expect("writes");
    check_refused(dir.path(), "name the directory of one plugin crate of these: ");

    let toolchain = toolchain(dir.path());
    let workspace = Workspace::load(&toolchain, dir.path()).expect("cargo reads it");
    assert!(workspace.package("mine").is_ok_and(|package| package.is_cdylib()));
    let request = BuildRequest {
        workspace: dir.path().to_owned(),
        packages: vec!["yours".to_owned()],
        out: dir.path().join("out"),
        options: options(),
    };
    let error = build_plugins(&toolchain, &request, &mut |_| {}).expect_err("there is no such member");
    assert!(error.to_string().contains("no package `yours`"), "{error}");
}

#[test]
fn a_crate_that_does_not_compile_is_cargos_to_explain() {
    let dir = crate_with(&format!("{PACKAGE}{CDYLIB}"), Some(""));
    fs::write(dir.path().join("src/lib.rs"), "compile_error!(\"on purpose\");").expect("writes");
    check_refused(dir.path(), "cargo could not build mine");
}

#[test]
fn a_directory_that_is_no_crate_is_refused_before_any_toolchain_is_sought() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for dir in [directory.path().to_owned(), directory.path().join("missing")] {
        let mut lines = Vec::new();
        let refused =
            Toolchain::find(&dir, &mut |line| lines.push(line.to_owned())).expect_err("it is refused");
        assert!(refused.to_string().contains("has no Cargo.toml"), "{refused}");
        assert!(lines.is_empty(), "{lines:?}");
    }
}
