//! Getting the distribution's toolchain on Debian and its kin.
//!
//! Owns the calls of apt. Never removes a package (another Rust of the
//! distribution stays, and is an error) and never asks a question.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::decide::PACKAGES;
use super::machine::{entries, minor_version, on_path, output, run};

/// Whether this is Debian or one of its kin.
pub(super) fn is_here() -> bool {
    on_path("apt-get").is_some()
        && fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian_kin(&text))
}

fn is_debian_kin(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| ["ID", "ID_LIKE"].contains(key))
        .flat_map(|(_, value)| value.trim_matches('"').split_whitespace())
        .any(|name| name == "debian" || name == "ubuntu")
}

/// Installs the compiler, its cargo and its sources, and a linker if wanted.
/// Waits for another installation to end, ten minutes at most.
pub(super) fn install(with_linker: bool, report: &mut dyn FnMut(&str)) -> Result<(), String> {
    let mut updated = false;
    if !offers_new_enough() {
        update(report)?;
        updated = true;
        if !offers_new_enough() {
            return Err(format!(
                "this distribution has no {} of version {} or newer",
                PACKAGES[0],
                env!("CARGO_PKG_RUST_VERSION")
            ));
        }
    }
    match install_now(with_linker) {
        // The lists may name files that the mirror has since replaced.
        Err(_) if !updated => {
            update(report)?;
            install_now(with_linker)
        }
        result => result,
    }
}

fn install_now(with_linker: bool) -> Result<(), String> {
    let mut command = apt_get();
    // Not `--yes` alone: the packages conflict with the distribution's other
    // Rust, which apt would then remove.
    command.args(["install", "--yes", "--no-install-recommends", "--no-remove"]).args(PACKAGES);
    if with_linker {
        command.arg(newest_linker_package().unwrap_or_else(|| "lld".to_owned()));
    }
    run(&mut command)
}

fn update(report: &mut dyn FnMut(&str)) -> Result<(), String> {
    report("running `apt-get update`");
    run(apt_get().arg("update"))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=600"]);
    command
}

/// Whether apt knows a compiler that is new enough for plugins.
fn offers_new_enough() -> bool {
    let policy = output(Command::new("apt-cache").args(["policy", PACKAGES[0]]).env("LC_ALL", "C"));
    policy.as_deref().and_then(candidate_version) >= minor_version(env!("CARGO_PKG_RUST_VERSION"))
}

fn candidate_version(policy: &str) -> Option<(u32, u32)> {
    policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:")).and_then(minor_version)
}

/// The compiler's objects need a linker that is not much older than itself,
/// and the package `lld` often is.
fn newest_linker_package() -> Option<String> {
    let found = output(Command::new("apt-cache").args(["search", "--names-only", "^lld-[0-9]+$"]))?;
    newest(found.lines().filter_map(|line| line.split_whitespace().next()), "lld-")
}

/// A linker of LLVM that carries its version in its name, the newest first.
pub(super) fn versioned_linker() -> Option<PathBuf> {
    let dir = Path::new("/usr/bin");
    let names: Vec<String> =
        entries(dir).iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    newest(names.iter().map(String::as_str), "wasm-ld-").map(|name| dir.join(name))
}

/// The name of the highest number after `prefix`.
fn newest<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Option<String> {
    names
        .filter_map(|name| Some((name.strip_prefix(prefix)?.parse::<u32>().ok()?, name)))
        .max()
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_kin_are_recognised() {
        assert!(is_debian_kin("PRETTY_NAME=\"Debian\"\nID=debian\n"));
        assert!(is_debian_kin("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian_kin("ID=fedora\nHOME_URL=\"https://example.org/debian\"\n"));
    }

    #[test]
    fn the_candidate_is_read_from_apts_policy() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate_version(policy), Some((1, 96)));
        assert_eq!(candidate_version("rustc-web:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_version(""), None);
    }

    #[test]
    fn the_newest_linker_is_chosen_by_number() {
        assert_eq!(
            newest(["lld-9", "lld-22", "lld", "lld-19"].into_iter(), "lld-").as_deref(),
            Some("lld-22")
        );
        assert_eq!(newest(["ld"].into_iter(), "wasm-ld-"), None);
    }
}
