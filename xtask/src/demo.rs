//! `cargo xtask demo`: the main job, from nothing.
//!
//! Owns the order: toolchain, plugins and host, where something has changed since
//! the last time; a new state directory with the configuration that failed where
//! this project comes from (a token that is empty, no listener); one message, what
//! a user sees of it, and the report.
//! Never does a part of the job itself: the host is the program `sublane`.

mod crash;
mod fal;
mod place;
mod receiver;
mod report;
mod stamp;

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::{build, repo, setup};
use crash::Stage;
use fal::Fal;
use place::Place;
use receiver::Receiver;
use report::{Conversation, Report, Timings};
use stamp::Stamp;

const PROMPT: &str = "Make a 4 second film of a lighthouse in a storm at night, and send it to webhook:films";

/// The plugins that take part.
const PLUGINS: [&str; 2] = ["concierge", "video"];

/// The webhook's address, as grants and messages call it.
const ADDRESS: &str = "webhook:films";

/// Set everything up and run the main job: ask for a film, get it delivered
#[derive(Args)]
#[command(
    after_help = "Example:\n  cargo xtask demo --prompt \"Make a 3 second film of a red balloon over the sea\""
)]
pub(crate) struct Demo {
    /// What is said to the concierge; where it asks for no film, or not for the webhook, the
    /// demo says that too
    #[arg(long, value_name = "TEXT", default_value = PROMPT)]
    prompt: String,
    /// Where `film.mp4` and `report.json` go
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print the report only
    #[arg(long)]
    json: bool,
    /// Who makes the film
    #[arg(long, value_enum, default_value_t = Provider::BuiltIn)]
    provider: Provider,
    /// Kill the host with SIGKILL in the middle of the film, and have another one go on
    #[arg(long)]
    crash: bool,
    /// Keep the state directory when the next demo starts
    #[arg(long)]
    keep: bool,
}

/// Who makes the film.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    /// The plugin itself, inside the sandbox
    BuiltIn,
    /// fal's queue, for which a small server stands in
    Fal,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        #[expect(clippy::disallowed_methods, reason = "people are told how long it took")]
        let begun = Instant::now();
        let sublane = self.set_up()?;
        let place = Place::new(self.keep)?;
        let receiver = Receiver::start()?;
        let fal = match self.provider {
            Provider::BuiltIn => None,
            Provider::Fal => Some(Fal::start(self.json)?),
        };
        place.write_config(receiver.url(), fal.as_ref())?;
        let setup = begun.elapsed();

        let message = message(&self.prompt);
        self.tell(&format!(
            "state    {} (new)\ngateway  auth = \"token\", token = \"\", no listener\n\nyou: {message}\n",
            place.state().display()
        ));
        if place.is_first() {
            self.tell("(a first start compiles the plugins to machine code)\n");
        }
        let stage = Stage { sublane: &sublane, place: &place, receiver: &receiver, quiet: self.json };
        if let Some(fal) = &fal {
            self.tell(&format!("(at {} a stand-in for fal makes the film)\n", fal.url()));
            stage.ask(&["run", "--agent", "video/configure", "--task", &fal.choice()])?;
        }
        let started = now();
        let (conversation, killed) = if self.crash {
            let (conversation, killed) = stage.converse(&message, |text| self.tell(text))?;
            (conversation, Some(killed))
        } else {
            (Conversation::read(&self.converse(&stage, &message)?)?, None)
        };
        let received = receiver.received();
        for line in received.iter().map(receiver::Received::line) {
            self.tell(&format!("{line}\n"));
        }
        let film = conversation.keep_film(&self.out)?;
        let timings = Timings { started, setup, total: begun.elapsed() };
        let mut report =
            Report::of(&self.prompt, &message, &conversation, &film, &received, &timings, killed.as_ref())?;
        if let Some(fal) = &fal {
            report.was_paid(fal.paid()?);
        }
        let file = report.write(&self.out)?;
        self.tell(&format!("\n{}report   {}\n", report.summary(&film), file.display()));
        if self.json {
            say(&report.text());
        }
        report.check()
    }

    /// Builds the plugins and the host, and gives the host's program.
    fn set_up(&self) -> Result<PathBuf> {
        let stamp = Stamp::take();
        if let Some(sublane) = stamp.holds() {
            return Ok(sublane);
        }
        build::only(&setup::toolchain()?, &PLUGINS, self.json)?;
        let sublane = built("sublane", self.json)?;
        stamp.write(&sublane);
        Ok(sublane)
    }

    /// Shows people something, unless the report is all that is wanted.
    fn tell(&self, text: &str) {
        if !self.json {
            say(text);
        }
    }

    /// Sends the message with `sublane run`, which shows the conversation. Gives what it reports.
    fn converse(&self, stage: &Stage<'_>, message: &str) -> Result<String> {
        let mut command = stage.command();
        command.args(["--json", "run", message]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // What people see goes where ours goes, a terminal as a terminal.
        command.stderr(match self.json {
            true => Stdio::piped(),
            false => Stdio::from(std::io::stdout().as_fd().try_clone_to_owned()?),
        });
        let child = command.spawn().with_context(|| format!("cannot start {}", stage.sublane.display()))?;
        let (status, reported, shown) = output(child)?;
        if reported.is_empty() {
            bail!("`sublane run` ended with {status} and no report\n{shown}");
        }
        if !status.success() {
            eprint!("{shown}");
        }
        Ok(reported)
    }
}

/// What a child wrote, its two streams read side by side.
fn output(mut child: Child) -> Result<(ExitStatus, String, String)> {
    let stderr = child.stderr.take();
    let shown = std::thread::spawn(move || {
        let mut shown = String::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_string(&mut shown);
        }
        shown
    });
    let mut reported = String::new();
    child.stdout.take().context("the child's output is ours")?.read_to_string(&mut reported)?;
    let status = child.wait()?;
    Ok((status, reported, shown.join().unwrap_or_default()))
}

/// The wall clock, as the host's instants are.
fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "a task for people has no clock that tests move")]
    SystemTime::now()
}

/// The message that a prompt becomes: a request for a film, also at the webhook.
fn message(prompt: &str) -> String {
    let mut message = prompt.trim().to_owned();
    let words = message.to_lowercase();
    if !["film", "video", "movie", "clip", "animation"].iter().any(|word| words.contains(word)) {
        message = format!("Make a film of {message}");
    }
    if !message.contains(ADDRESS) {
        message = format!("{}, and send it to {ADDRESS}", message.trim_end_matches(['.', '!']));
    }
    message
}

/// Builds a program and gives its path.
fn built(program: &str, quiet: bool) -> Result<PathBuf> {
    let mut cargo = repo::build(&[program]);
    cargo.arg("--message-format=json-render-diagnostics");
    if quiet {
        cargo.arg("--quiet");
    }
    let built = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(built.status.success(), "{program} could not be built ({})", built.status);
    let executable = String::from_utf8_lossy(&built.stdout).lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = message["target"]["name"] == program && message["target"]["kind"][0] == "bin";
        is_ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    });
    executable.with_context(|| format!("cargo built {program} and named no file"))
}

/// Writes to the standard output; whoever does not read it any more misses nothing.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_becomes_a_request_for_a_film_at_the_webhook() {
        assert_eq!(
            message("a cat on the moon"),
            "Make a film of a cat on the moon, and send it to webhook:films"
        );
        assert_eq!(message("Make a film of a cat."), "Make a film of a cat, and send it to webhook:films");
        assert_eq!(message(PROMPT), PROMPT);
    }
}
