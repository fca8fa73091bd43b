//! The command `sublane` beside a test's host, in a process of its own.
//!
//! Owns the building of the binary: a test never runs an old one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use sublane_store::HostLock;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{PATIENCE, repository};

/// The binary, built once for each test process.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // A test is named so that dev-dependencies count, as they did when the tests were built: with
        // other features the dependencies would all be compiled a second time.
        cargo.args(["build", "--quiet", "--workspace", "--bin", "sublane", "--test", "conformance"]);
        let built = cargo.current_dir(repository()).output().expect("cargo starts");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // The test stands in `deps` beside it.
        let test = std::env::current_exe().expect("a test is a file");
        let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
        profile.join(format!("sublane{}", std::env::consts::EXE_SUFFIX))
    })
}

/// The command line on a state directory.
pub struct CommandLine {
    directory: Arc<TempDir>,
    lock: Option<HostLock>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub exit: i32,
    /// The standard output.
    pub out: String,
    /// The standard error.
    pub err: String,
}

impl Said {
    /// The standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn said(Output { status, stdout, stderr }: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { exit: status.code().expect("nobody killed it"), out: text(stdout), err: text(stderr) }
}

/// A command that goes on; it is killed when this is dropped.
pub struct Going {
    process: Child,
    out: mpsc::Receiver<String>,
}

impl Going {
    /// The next line of its standard output.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.out.recv()).await.expect("a line in time");
        line.expect("it says something")
    }

    /// Waits for its end; the exit code.
    ///
    /// # Panics
    /// When it says more, or does not end in time.
    pub async fn end(mut self) -> i32 {
        let more = tokio::time::timeout(PATIENCE, self.out.recv()).await.expect("an end in time");
        assert_eq!(more, None, "it says no more");
        self.process.wait().expect("it ends").code().expect("nobody killed it")
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl CommandLine {
    /// For the state directory of a durable host. While this lives, commands find that a host runs.
    ///
    /// # Panics
    /// When another host has the directory.
    #[must_use]
    pub fn beside(directory: &Arc<TempDir>) -> Self {
        let lock = HostLock::acquire(directory.path()).expect("nobody else has it");
        Self { lock: Some(lock), ..Self::alone(directory) }
    }

    /// For a state directory that no host has.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    #[must_use]
    pub fn alone(directory: &Arc<TempDir>) -> Self {
        // Here, so that nobody's patience is spent on it.
        let _ = binary();
        let text = format!("state = {:?}\n[channels.console]\nkind = \"console\"\n", directory.path());
        std::fs::write(directory.path().join("sublane.toml"), text).expect("the configuration is written");
        Self { directory: directory.clone(), lock: None }
    }

    /// The host has stopped: commands find that none runs.
    pub fn host_has_stopped(&mut self) {
        self.lock = None;
    }

    /// Runs a command to its end, off the threads of the test's host.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.directory.path().join("sublane.toml")).args(words);
        command.env("USER", "ada").env_remove("RUST_LOG");
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
        said(ran.expect("the binary starts"))
    }

    /// Runs a command to its end with this environment and nothing else in it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn run_in(&self, environment: &[(&str, &str)], words: &[&str]) -> Said {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.directory.path().join("sublane.toml")).args(words);
        command.env_clear().envs(environment.iter().copied());
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
        said(ran.expect("the binary starts"))
    }

    /// Runs a command to its end at a terminal, where this was typed before it asked. What it says on
    /// either stream is its output, as is what was typed.
    ///
    /// # Panics
    /// When `script` of util-linux, which makes the terminal, cannot be started.
    pub async fn at_terminal(&self, words: &[&str], typed: &str) -> Said {
        let file = self.directory.path().join("sublane.toml");
        let own = [binary().as_os_str(), "--config".as_ref(), file.as_os_str()];
        let own = own.map(|word| word.to_str().expect("text"));
        let quoted = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
        let line: Vec<_> = own.iter().chain(words).map(quoted).collect();
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &format!("exec {}", line.join(" ")), "/dev/null"]);
        command.env("USER", "ada").env("SHELL", "/bin/sh").env_remove("RUST_LOG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let typed = typed.to_owned();
        let ran = tokio::task::spawn_blocking(move || {
            let mut script = command.spawn()?;
            // Dropped, so that the terminal sees the end of what is typed.
            script.stdin.take().expect("it is piped").write_all(typed.as_bytes())?;
            script.wait_with_output()
        });
        let ran = ran.await.expect("it does not panic").expect("`script` of util-linux is here");
        said(ran)
    }

    /// Begins a command that goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn begin(&self, words: &[&str]) -> Going {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.directory.path().join("sublane.toml")).args(words);
        command.env("USER", "ada").env_remove("RUST_LOG").stdout(Stdio::piped());
        let mut process = command.spawn().expect("the binary starts");
        let out = BufReader::new(process.stdout.take().expect("it is piped"));
        let (lines, said) = mpsc::channel(64);
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| lines.blocking_send(line))
        });
        Going { process, out: said }
    }

    /// Runs a command with `--json` that succeeds, and gives what it said.
    ///
    /// # Panics
    /// When it fails.
    pub async fn json(&self, words: &[&str]) -> Value {
        let said = self.run(&[words, &["--json"]].concat()).await;
        assert_eq!(said.exit, 0, "{words:?}: {said:?}");
        said.json()
    }
}
