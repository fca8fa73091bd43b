//! Whether anything has changed since the last set-up.
//!
//! Asking every cargo and the toolchain takes longer than all else that a demo
//! does besides rendering. So a set-up that has succeeded leaves a stamp: what it
//! was made of, by path, size and time of each file, as cargo looks at them, and
//! what it made. Where the stamp still holds, nothing is asked.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::repo;

/// What plugins and host are made of.
const SOURCES: [&str; 7] = ["Cargo.toml", "Cargo.lock", ".cargo", "host", "plugins", "sdk", "wit"];

/// A look at the sources, taken before they are built.
pub(super) struct Stamp {
    file: PathBuf,
    sources: u64,
}

impl Stamp {
    /// Looks at the sources now.
    pub(super) fn take() -> Self {
        let mut hasher = DefaultHasher::new();
        SOURCES.iter().for_each(|source| look(&repo::root().join(source), &mut hasher));
        let mut environment: Vec<_> = std::env::vars_os().filter(|(name, _)| is_of_cargo(name)).collect();
        environment.sort();
        environment.hash(&mut hasher);
        Self { file: repo::target().join("demo/set-up"), sources: hasher.finish() }
    }

    /// The host's program, when the last set-up was made of the same and is still there.
    pub(super) fn holds(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (hash, sublane) = text.trim_end().split_once(' ')?;
        let sublane = PathBuf::from(sublane);
        (hash == self.of(&sublane)).then_some(sublane)
    }

    /// Says that a set-up of these sources has made this program, and the plugins.
    pub(super) fn write(&self, sublane: &Path) {
        // Without a stamp the next demo asks again.
        let _ = self.file.parent().map(fs::create_dir_all);
        let _ = fs::write(&self.file, format!("{} {}\n", self.of(sublane), sublane.display()));
    }

    /// Sources and what was made of them.
    fn of(&self, sublane: &Path) -> String {
        let mut hasher = DefaultHasher::new();
        self.sources.hash(&mut hasher);
        look(sublane, &mut hasher);
        super::PLUGINS.iter().for_each(|plugin| look(&repo::plugins().join(plugin), &mut hasher));
        format!("{:016x}", hasher.finish())
    }
}

/// Path, size and time of a file, or of all files in a directory; also that there is none.
fn look(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        entries.iter().filter(|path| !path.ends_with("target")).for_each(|path| look(path, hasher));
        return;
    }
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    (metadata.len(), modified).hash(hasher);
}

/// Whether a variable can change what cargo makes.
fn is_of_cargo(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    starts(&[
        "CARGO_BUILD",
        "CARGO_ENCODED",
        "CARGO_PROFILE",
        "CARGO_TARGET",
        "RUSTC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(path: &Path) -> u64 {
        let mut hasher = DefaultHasher::new();
        look(path, &mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_file_that_comes_or_changes_is_seen() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let empty = hash(directory.path());
        let file = directory.path().join("a.rs");
        fs::write(&file, "a").expect("it is ours");
        let one = hash(directory.path());
        fs::write(&file, "ab").expect("it is ours");
        let changed = hash(directory.path());
        fs::create_dir(directory.path().join("target")).expect("it is ours");
        assert!(empty != one && one != changed);
        assert_eq!(changed, hash(directory.path()), "what cargo makes is no source");
    }
}
