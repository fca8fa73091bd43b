//! The environment that a guest's cargo runs in.
//!
//! Owns the lists of variables that must not reach it.
//! Never changes the environment of this process.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Flags for the host's compiler. As variables they would take the place of
/// the flags that guests need, so no guest gets them.
const HOST_FLAGS: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
];

/// Variables by which a running cargo or rustup pins its own toolchain; the
/// distribution's must not see them.
const PINS: [&str; 10] = [
    "RUSTC",
    "RUSTDOC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "RUSTUP_TOOLCHAIN",
    "RUST_RECURSION_COUNT",
    // A parent cargo puts its own compiler's libraries here.
    "LD_LIBRARY_PATH",
    "OUT_DIR",
    "TARGET",
];

/// What of cargo's variables is about the machine and not about a toolchain
/// or the package that the parent cargo runs.
const KEPT: [&str; 9] = [
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_JOBS",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_CACHE_",
];

/// Keeps the host's flags from the present toolchain.
pub(super) fn without_host_flags(command: &mut Command) {
    for name in HOST_FLAGS {
        command.env_remove(name);
    }
}

/// Keeps everything of another toolchain from the distribution's, and puts its
/// programs first on the PATH, where its cargo looks for its rustc.
pub(super) fn of_distribution(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(pins_another_toolchain) {
            command.env_remove(name);
        }
    }
    command.env("PATH", with_first(Path::new("/usr/bin"), std::env::var_os("PATH")));
}

fn pins_another_toolchain(name: &str) -> bool {
    HOST_FLAGS.contains(&name)
        || PINS.contains(&name)
        || name == "CARGO"
        || (name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept)))
}

fn with_first(dir: &Path, path: Option<OsString>) -> OsString {
    let rest = path.unwrap_or_default();
    let dirs = std::iter::once(dir.to_owned()).chain(std::env::split_paths(&rest).filter(|d| d != dir));
    std::env::join_paths(dirs).expect("the directories come from a PATH, so none holds a colon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pins_another_toolchain_does_not_reach_the_distribution() {
        for name in [
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTC",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "LD_LIBRARY_PATH",
        ] {
            assert!(pins_another_toolchain(name), "{name}");
        }
    }

    #[test]
    fn what_is_about_the_machine_does() {
        for name in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_TERM_COLOR",
            "RUST_BACKTRACE",
            "RUSTUP_AUTO_INSTALL",
            "HOME",
        ] {
            assert!(!pins_another_toolchain(name), "{name}");
        }
    }

    #[test]
    fn the_distribution_comes_first_on_the_path_and_once() {
        let path = with_first(Path::new("/usr/bin"), Some("/root/bin:/usr/bin:/bin".into()));
        assert_eq!(path, "/usr/bin:/root/bin:/bin");
    }
}
