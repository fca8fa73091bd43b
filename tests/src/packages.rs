//! Packages of other languages that tests stand on.
//!
//! Owns `target/packages`: fetched once for each version, never skipped. Where they cannot be had,
//! the test fails and says so.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::repository;

/// Packages of one language, with their versions.
pub struct Packages {
    /// What runs them.
    pub program: &'static str,
    /// The variable that says where they are, and where below their directory.
    path: (&'static str, &'static str),
    packages: &'static [&'static str],
    /// What installs them, with the directory behind it.
    install: &'static [&'static str],
}

impl Packages {
    /// Packages of Python, each as `name==version`.
    #[must_use]
    pub const fn python(packages: &'static [&'static str]) -> Self {
        let install =
            &["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
        Self { program: "python3", path: ("PYTHONPATH", ""), packages, install }
    }

    /// Packages of JavaScript, each as `name@version`.
    #[must_use]
    pub const fn node(packages: &'static [&'static str]) -> Self {
        let install = &["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        Self { program: "node", path: ("NODE_PATH", "node_modules"), packages, install }
    }

    /// A command that runs a script of `tests/features` with them. They are fetched when they are not there.
    ///
    /// # Panics
    /// When they cannot be had: says why.
    #[must_use]
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(self.program);
        command.arg(repository().join("tests/features").join(script));
        command.env(self.path.0, self.installed().join(self.path.1));
        command
    }

    fn installed(&self) -> PathBuf {
        let all = repository().join("target/packages");
        let directory = all.join(format!("{}-{}", self.program, self.packages.join("-")));
        if directory.exists() {
            return directory;
        }
        fs::create_dir_all(&all).expect("target can be written");
        let fresh = tempfile::tempdir_in(&all).expect("target can be written");
        let mut command = Command::new(self.install[0]);
        command.args(&self.install[1..]).arg(fresh.path()).args(self.packages);
        let what = format!("{} for {}", self.packages.join(" and "), self.program);
        let ran = command.output().unwrap_or_else(|error| {
            panic!("cannot install {what}: `{}` does not start: {error}", self.install[0])
        });
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "cannot install {what}; is its registry reachable? It said: {said}");
        // Another test process may have been quicker.
        if let Err(error) = fs::rename(fresh.keep(), &directory) {
            assert!(directory.exists(), "{}: {error}", directory.display());
        }
        directory
    }
}
