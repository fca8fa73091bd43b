//! The machine that this process runs on, as `decide` wants to see it.
//!
//! Owns the probes and the call of rustup; `apt` has the other way to add.
//! Never caches: each look is a fresh one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::apt;
use super::decide::{Apt, Distribution, Facts, Machine, Rustup};
use super::environment;
use crate::GUEST_TARGET;

/// Where a distribution puts its cargo.
pub(super) const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// This machine, seen from the directory of the crates to build: rustup picks
/// a toolchain by it.
pub(super) struct Here {
    dir: PathBuf,
}

impl Here {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The present cargo: the one that runs us, else the one on the PATH.
    pub(super) fn cargo(&self) -> PathBuf {
        env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")).into()
    }

    /// The present compiler's name and version.
    pub(super) fn compiler(&self) -> String {
        output(self.rustc().arg("--version")).unwrap_or_else(|| "rustc".to_owned())
    }

    /// The distribution's compiler's name and version.
    pub(super) fn distribution_compiler(&self) -> String {
        output(distribution_rustc().arg("--version")).unwrap_or_else(|| DISTRIBUTION_RUSTC.to_owned())
    }

    /// The first linker for WebAssembly: that of the present compiler, that of
    /// the distribution's, or one on the PATH.
    pub(super) fn linker(&self) -> Option<PathBuf> {
        [&mut self.rustc(), &mut distribution_rustc()]
            .into_iter()
            .filter_map(|rustc| output(rustc.args(["--print", "sysroot"])))
            .find_map(|sysroot| rust_lld(Path::new(&sysroot)))
            .or_else(|| on_path("wasm-ld"))
            .or_else(|| on_path("rust-lld"))
            .or_else(apt::versioned_linker)
    }

    fn rustc(&self) -> Command {
        let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
        command.current_dir(&self.dir);
        command
    }

    /// Whether the present compiler has a standard library for guests. It
    /// prints the directory of one that is not there, too, so look into it.
    fn target_is_installed(&self) -> bool {
        let Some(libdir) = output(self.rustc().args(["--print", "target-libdir", "--target", GUEST_TARGET]))
        else {
            return false;
        };
        entries(Path::new(&libdir)).iter().any(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    }

    fn distribution(&self) -> Distribution {
        if !Path::new(DISTRIBUTION_CARGO).exists() || !Path::new(DISTRIBUTION_RUSTC).exists() {
            return Distribution::Absent;
        }
        let sysroot = output(distribution_rustc().args(["--print", "sysroot"]));
        let Some(sysroot) = sysroot else { return Distribution::Absent };
        let version = output(distribution_rustc().arg("--version"));
        if version.as_deref().and_then(minor_version) < minor_version(env!("CARGO_PKG_RUST_VERSION")) {
            return Distribution::TooOld;
        }
        if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").exists() {
            return Distribution::NoSources;
        }
        if self.linker().is_none() {
            return Distribution::NoLinker;
        }
        Distribution::Usable
    }
}

impl Machine for Here {
    fn facts(&self) -> Facts {
        let rustup = match (on_path("rustup"), env::var_os("RUSTUP_AUTO_INSTALL")) {
            (None, _) => Rustup::Absent,
            (Some(_), Some(value)) if value == "0" => Rustup::Refused,
            (Some(_), _) => Rustup::Usable,
        };
        let apt = match (apt::is_here(), rustix::process::geteuid().is_root()) {
            (false, _) => Apt::Absent,
            (true, false) => Apt::NotRoot,
            (true, true) => Apt::Usable,
        };
        Facts { installed: self.target_is_installed(), rustup, distribution: self.distribution(), apt }
    }

    fn add_target(&self) -> Result<(), String> {
        let mut command = Command::new("rustup");
        run(command.args(["target", "add", GUEST_TARGET]).current_dir(&self.dir))
    }

    fn install_packages(&self, report: &mut dyn FnMut(&str)) -> Result<(), String> {
        apt::install(self.linker().is_none(), report)
    }
}

fn distribution_rustc() -> Command {
    let mut command = Command::new(DISTRIBUTION_RUSTC);
    environment::of_distribution(&mut command);
    command
}

/// The linker that a toolchain brings: `lib/rustlib/<host>/bin/rust-lld`.
fn rust_lld(sysroot: &Path) -> Option<PathBuf> {
    entries(&sysroot.join("lib/rustlib"))
        .into_iter()
        .map(|host| host.join("bin/rust-lld"))
        .find(|linker| linker.exists())
}

/// What is in a directory, in a fixed order; nothing where there is none.
pub(super) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// The file that a shell would run for this name.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// What a program prints, without the last line's end; `None` where it is not
/// there or fails.
pub(super) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Runs a program quietly; the error is the last line that it wrote.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

/// The first `major.minor` in a text such as `rustc 1.95.0 (59807616e ...)`.
pub(super) fn minor_version(text: &str) -> Option<(u32, u32)> {
    text.split([' ', ':', '\n']).find_map(|word| {
        let mut parts = word.split(['.', '+', '~', '-']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(minor_version("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(minor_version("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(minor_version("1.95"), Some((1, 95)));
        assert_eq!(minor_version("rustc, of no version"), None);
    }

    #[test]
    fn an_unknown_version_counts_as_too_old() {
        assert!(None < minor_version(env!("CARGO_PKG_RUST_VERSION")));
    }

    #[test]
    fn a_linker_is_found_below_any_host_of_a_sysroot() {
        let sysroot = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(rust_lld(sysroot.path()), None);
        let bin = sysroot.path().join("lib/rustlib/any-host/bin");
        fs::create_dir_all(&bin).expect("creates");
        fs::write(bin.join("rust-lld"), "").expect("writes");
        assert_eq!(rust_lld(sysroot.path()), Some(bin.join("rust-lld")));
    }

    #[test]
    fn a_failed_program_is_reported_by_its_last_line() {
        let mut sh = Command::new("sh");
        let error = run(sh.args(["-c", "echo one >&2; echo 'E: two' >&2; echo >&2; exit 3"]));
        assert_eq!(error, Err("E: two".to_owned()));
    }
}
