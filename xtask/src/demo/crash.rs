//! `--crash`: the host is killed in the middle of the film, another one is started, and the film
//! still arrives, once.
//!
//! Owns the two hosts and the moment between them. What happens is looked at from outside, by
//! `sublane runs list --watch`, which goes on while no host is there.

use std::io::{BufRead as _, BufReader, Lines, Read, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Messages};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::fal;
use super::place::{self, Place};
use super::receiver::Receiver;
use super::report::{Conversation, Seen};

/// From how much of the film on the host may be killed, in percent.
const MIDDLE: u8 = 25;

/// When the host was killed, for people.
pub(super) struct Killed {
    pub(super) at: String,
}

/// What hosts and their watcher are started with.
pub(super) struct Stage<'a> {
    pub(super) sublane: &'a Path,
    pub(super) place: &'a Place,
    pub(super) receiver: &'a Receiver,
    /// Whether people are shown nothing.
    pub(super) quiet: bool,
}

impl Stage<'_> {
    /// Sends the message to a host, kills it in the middle, and has another one go on. Tells people
    /// by `tell` what was done to the host.
    pub(super) fn converse(&self, message: &str, tell: impl Fn(&str)) -> Result<(Conversation, Killed)> {
        let mut first = Host::start(self)?;
        let mut watcher = Watcher::start(self)?;
        first.say(message)?;
        let seen =
            watcher.until(|seen| seen.is_settled() || seen.film().is_some_and(|film| film.is_in(MIDDLE)))?;
        let film = seen.film().filter(|film| !film.is_ended());
        let film = film.context("the film was done before the host could be killed: ask for a longer one")?;
        let killed = Killed { at: film.whereabouts() };
        first.kill()?;
        tell(&format!("\n*** the host is killed (SIGKILL): {} ***\n", killed.at));
        let second = Host::start(self)?;
        tell("*** another host begins on the same state ***\n\n");
        watcher.until(Seen::is_settled)?;
        second.stop()?;
        let (runs, deliveries) = (self.ask(&["runs", "list"])?, self.ask(&["deliveries", "list"])?);
        Ok((Conversation::of(&runs, &deliveries)?, killed))
    }

    /// `sublane` with the demo's configuration.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(self.sublane);
        command.arg("--config").arg(self.place.config());
        command.env(place::SECRET, self.receiver.secret()).env(fal::KEY, fal::SECRET).env_remove("RUST_LOG");
        command
    }

    /// What a command says in JSON.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let ran = self.command().arg("--json").args(words).output().context("cannot start `sublane`")?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "`sublane {}` failed ({}): {said}", words.join(" "), ran.status);
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }
}

/// `sublane serve` with a console that is a pipe. Dropped, it is killed.
struct Host {
    process: Child,
    /// What it logs.
    log: Messages<String>,
}

impl Host {
    /// Starts one, and returns when it is ready.
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut command = stage.command();
        command.args(["--log", "info", "serve", "--console"]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(match stage.quiet {
            true => Stdio::null(),
            // A terminal stays one.
            false => Stdio::from(std::io::stdout().as_fd().try_clone_to_owned()?),
        });
        let mut process =
            command.spawn().with_context(|| format!("cannot start {}", stage.sublane.display()))?;
        let log = lines_of(process.stderr.take().context("its log is ours")?)?;
        let host = Self { process, log };
        let mut said = Vec::new();
        while let Ok(line) = host.log.recv() {
            if line.contains("ready") {
                return Ok(host);
            }
            said.push(line);
        }
        bail!("`sublane serve` ended before it was ready:\n{}", said.join("\n"))
    }

    fn say(&mut self, message: &str) -> Result<()> {
        let input = self.process.stdin.as_mut().context("its input is ours")?;
        writeln!(input, "{message}").context("the host does not listen")
    }

    /// Kills it with SIGKILL.
    fn kill(mut self) -> Result<()> {
        self.process.kill().context("the host cannot be killed")?;
        self.process.wait()?;
        Ok(())
    }

    /// Has it stop.
    fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM).context("the host cannot be stopped")?;
        let status = self.process.wait()?;
        let log = self.log.try_iter().collect::<Vec<_>>().join("\n");
        ensure!(status.success(), "the second host ended with {status}:\n{log}");
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `sublane runs list --watch`. Dropped, it is killed.
struct Watcher {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut command = stage.command();
        command.args(["--json", "runs", "list", "--watch"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().context("cannot start `sublane runs list`")?;
        let lines = BufReader::new(process.stdout.take().context("its output is ours")?).lines();
        Ok(Self { process, lines })
    }

    /// The first of what it sees that is so.
    fn until(&mut self, is_so: impl Fn(&Seen) -> bool) -> Result<Seen> {
        loop {
            let line = self.lines.next().context("`sublane runs list --watch` has ended")??;
            let seen = Seen::read(&line)?;
            if is_so(&seen) {
                return Ok(seen);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a stream says, line by line, read by a thread of its own so that the writer never waits.
fn lines_of(stream: impl Read + Send + 'static) -> Result<Messages<String>> {
    let (sender, lines) = mpsc::channel();
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| {
            // Nobody may be interested any more; it is read all the same.
            let _ = sender.send(line);
        });
    })?;
    Ok(lines)
}
