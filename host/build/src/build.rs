//! From the plugin crates of a workspace to their components.
//!
//! Owns how guests are compiled (profile and flags) and where components lie:
//! `OUT/<package>/<package>.wasm`, with `plugin.toml` beside it.
//! Never guesses a file name of cargo's: cargo is asked what it made.
//!
//! Plugins are compiled in a profile of their own, `guest`, which starts from
//! the author's `release` (so an `opt-level` set there holds) and adds what
//! every plugin wants. It and the guest's flags are given on the command line:
//! an author needs neither in Cargo.toml. The flags join those of
//! `[target.wasm32-unknown-unknown]` in the author's `.cargo/config.toml`;
//! as ever with cargo, `[build] rustflags` do not count where there are flags
//! for the target.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::component::componentize;
use crate::error::Error;
use crate::output::{Written, write_whole};
use crate::toolchain::Toolchain;
use crate::workspace::{Package, Workspace};
use crate::{GUEST_TARGET, PLUGIN_MANIFEST};

/// What every plugin is compiled with, as cargo's `--config`.
///
/// A panic ends the instance, so nothing unwinds. Debug information would be
/// most of a component; the names of functions stay, so that a trap can be read.
const PROFILE: [&str; 5] = [
    r#"profile.guest.inherits="release""#,
    r#"profile.guest.panic="abort""#,
    r#"profile.guest.strip="debuginfo""#,
    r#"profile.guest.lto="fat""#,
    "profile.guest.codegen-units=1",
];

/// Randomness comes from the SDK, and every host has SIMD.
const FLAGS: &str = r#"target.wasm32-unknown-unknown.rustflags=["--cfg", "getrandom_backend=\"custom\"", "-Ctarget-feature=+simd128"]"#;

/// How cargo is run.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The directory below which guests are compiled. Several workspaces that
    /// share one share what they have in common, the standard library first;
    /// their plugins must then have different names, because cargo gives a
    /// `.wasm` no other. Default: the workspace's own target directory.
    pub target: Option<PathBuf>,
    /// Whether a Cargo.lock, where there is one, must already be right
    /// (`--locked`). Default: cargo completes it.
    pub locked: bool,
    /// Whether to keep cargo's progress off the terminal; its errors and
    /// warnings still appear. Default: progress is shown.
    pub quiet: bool,
}

/// Several plugin crates of one workspace.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// A directory with a Cargo.toml: the workspace's root or one of its members.
    pub workspace: PathBuf,
    /// The names of the packages.
    pub packages: Vec<String>,
    /// The directory that gets a directory per plugin.
    pub out: PathBuf,
    /// How cargo is run.
    pub options: BuildOptions,
}

/// A plugin that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The package's name.
    pub package: String,
    /// The component.
    pub component: PathBuf,
    /// The manifest beside it.
    pub manifest: PathBuf,
    /// The component's size in bytes.
    pub size: u64,
    /// Whether the component or its manifest is other than before.
    pub changed: bool,
}

/// Builds plugins of one workspace, in the request's order. Those that are
/// plugins and nothing else are compiled in one cargo invocation.
///
/// Fails before cargo starts when a package is not a plugin crate or has no
/// `plugin.toml`. A file that would not change is not touched; one that does is
/// replaced whole.
pub fn build_plugins(
    toolchain: &Toolchain,
    request: &BuildRequest,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Built>, Error> {
    let workspace = Workspace::load(toolchain, &request.workspace)?;
    let packages: Vec<&Package> =
        request.packages.iter().map(|name| workspace.package(name)).collect::<Result<_, _>>()?;
    build(toolchain, &request.workspace, &workspace, &packages, &request.out, &request.options, report)
}

/// Builds the plugin crate in `dir`, as `sublane plugin build DIR` does.
pub fn build_dir(
    toolchain: &Toolchain,
    dir: &Path,
    out: &Path,
    options: BuildOptions,
    report: &mut dyn FnMut(&str),
) -> Result<Built, Error> {
    let workspace = Workspace::load(toolchain, dir)?;
    let package = workspace.package_in(dir)?;
    let mut built = build(toolchain, dir, &workspace, &[package], out, &options, report)?;
    Ok(built.pop().expect("one package in, one plugin out"))
}

fn build(
    toolchain: &Toolchain,
    dir: &Path,
    workspace: &Workspace,
    packages: &[&Package],
    out: &Path,
    options: &BuildOptions,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Built>, Error> {
    packages.iter().try_for_each(|package| package.check_is_plugin())?;
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    if std::env::var_os("RUSTFLAGS").is_some() {
        report("RUSTFLAGS is set; it is for the host, and plugins are built without it");
    }
    // Cargo is started in `dir`, so what is relative to us must not be to it.
    let target = options.target.as_deref().unwrap_or(workspace.target());
    let target = std::path::absolute(target).map_err(|source| Error::Io {
        action: "find",
        path: target.to_owned(),
        source,
    })?;
    let mut modules = BTreeMap::new();
    for packages in invocations(packages) {
        let mut cargo = cargo_build(toolchain, workspace, &packages, &target, options);
        modules.extend(run_cargo(cargo.current_dir(dir), &packages)?);
    }
    packages
        .iter()
        .map(|package| {
            let module = modules
                .get(&package.id)
                .ok_or_else(|| Error::NoArtifact { package: package.name().to_owned() })?;
            place(package, module, out, report)
        })
        .collect()
}

/// Which packages are compiled together: all, but for those that other crates
/// can use as well. Cargo leaves those without link-time optimisation, and
/// compiles their dependencies, the standard library among them, in another
/// way than everybody else's, unless it is told to make the plugin alone.
fn invocations<'a>(packages: &[&'a Package]) -> Vec<Vec<&'a Package>> {
    let (alone, together): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|package| package.is_also_a_library());
    let mut invocations: Vec<Vec<&Package>> = alone.into_iter().map(|package| vec![package]).collect();
    if !together.is_empty() {
        invocations.insert(0, together);
    }
    invocations
}

/// The cargo invocation that compiles these packages for guests.
fn cargo_build(
    toolchain: &Toolchain,
    workspace: &Workspace,
    packages: &[&Package],
    target: &Path,
    options: &BuildOptions,
) -> Command {
    let mut cargo = toolchain.cargo();
    match packages {
        // The only subcommand that takes a crate type, and it takes one package.
        [package] if package.is_also_a_library() => cargo.args(["rustc", "--crate-type", "cdylib"]),
        _ => cargo.arg("build"),
    };
    cargo.args(toolchain.build_arguments());
    cargo.args(["--lib", "--target", GUEST_TARGET, "--profile", "guest"]);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.arg("--target-dir").arg(toolchain.target_dir(target));
    for setting in PROFILE.into_iter().chain([FLAGS]) {
        cargo.args(["--config", setting]);
    }
    for package in packages {
        cargo.args(["--package", &package.id]);
    }
    if options.locked && workspace.root().join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    if options.quiet {
        cargo.arg("--quiet");
    }
    cargo
}

/// Runs cargo with its progress on our standard error. Returns the `.wasm` of
/// each package by the package's id.
fn run_cargo(cargo: &mut Command, packages: &[&Package]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let program = cargo.get_program().display().to_string();
    let start = |source| Error::Start { program, source };
    let failed = || Error::Cargo { packages: packages.iter().map(|p| p.name().to_owned()).collect() };
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(start)?;
    let messages = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let mut modules = BTreeMap::new();
    for line in messages.lines().map_while(Result::ok) {
        if let Some((id, module)) = module_of(&line) {
            modules.insert(id, module);
        }
    }
    let status = child.wait().map_err(|_| failed())?;
    if status.success() { Ok(modules) } else { Err(failed()) }
}

/// The `.wasm` that a message of cargo's announces, and its package's id.
fn module_of(line: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        package_id: Option<String>,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let module = message.filenames.into_iter().find(|file| file.extension().is_some_and(|e| e == "wasm"))?;
    Some((message.package_id?, module))
}

/// Makes the component of a core module and puts it in its place.
fn place(package: &Package, module: &Path, out: &Path, report: &mut dyn FnMut(&str)) -> Result<Built, Error> {
    let name = package.name();
    let read = |path: &Path| {
        fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
    };
    let bytes = componentize(name, &read(module)?)?;
    let manifest_bytes = read(&package.plugin_manifest())?;

    let dir = out.join(name);
    let component = dir.join(format!("{name}.wasm"));
    let manifest = dir.join(PLUGIN_MANIFEST);
    // The manifest first: a component never stands beside an older one's.
    let written = [write_whole(&manifest, &manifest_bytes)?, write_whole(&component, &bytes)?];
    let changed = written.contains(&Written::Changed);
    report(&format!(
        "{name}: {} KiB, {} {}",
        bytes.len().div_ceil(1024),
        if changed { "wrote" } else { "unchanged" },
        component.display()
    ));
    Ok(Built { package: name.to_owned(), component, manifest, size: bytes.len() as u64, changed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_taken_from_cargos_own_words() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///p#x@0.1.0",
            "filenames":["/t/libx.rlib","/t/x.wasm"],"fresh":true}"#;
        let expected = ("path+file:///p#x@0.1.0".to_owned(), PathBuf::from("/t/x.wasm"));
        assert_eq!(module_of(line), Some(expected));
    }

    #[test]
    fn other_messages_announce_no_module() {
        for line in [
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","package_id":"p","filenames":["/t/libx.rlib"]}"#,
            r#"{"reason":"build-script-executed","package_id":"p"}"#,
            "a line of a build script's",
        ] {
            assert_eq!(module_of(line), None, "{line}");
        }
    }
}
