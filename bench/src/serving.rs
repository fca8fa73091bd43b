//! A process of the `sublane` binary that serves, and what it takes of the machine.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// The binary beside this one.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("sublane");
    anyhow::ensure!(binary.exists(), "{} is missing: run this through `cargo xtask bench`", binary.display());
    Ok(binary)
}

/// A host in a process of its own. Dropped, it is killed.
pub(crate) struct Serving {
    child: Child,
    /// Kept, so that what the host logs finds a reader.
    log: BufReader<ChildStderr>,
}

impl Serving {
    /// Starts one, and waits until it is ready.
    pub(crate) fn start(config: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(binary()?)
            .arg("--config")
            .arg(config)
            .args(["--log", "info", "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut serving = Self { child, log };
        let mut line = String::new();
        while serving.log.read_line(&mut line)? > 0 {
            if line.contains("ready") {
                return Ok(serving);
            }
            line.clear();
        }
        anyhow::bail!("the host did not become ready")
    }

    pub(crate) fn resident_bytes(&self) -> anyhow::Result<f64> {
        resident_bytes(self.child.id())
    }

    /// What all of its threads have used of the processors.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.child.id())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What of a process is in memory.
pub(crate) fn resident_bytes(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has memory")?;
    let kibibytes: f64 = resident.trim().split(' ').next().context("a number")?.parse()?;
    Ok(kibibytes * 1_024.0)
}

/// What the threads of a process have used of the processors, as the scheduler counts it.
pub(crate) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // One that ends meanwhile has used next to nothing.
        all += scheduled(&thread?.path().join("schedstat")).unwrap_or_default();
    }
    Ok(all)
}

/// What a thread has used, by what the scheduler says of it in this file.
pub(crate) fn scheduled(file: &Path) -> anyhow::Result<Duration> {
    let line = std::fs::read_to_string(file)?;
    Ok(Duration::from_nanos(line.split(' ').next().context("a number")?.parse()?))
}
