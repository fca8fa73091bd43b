//! `sublane replay`: executes an exported run again, offline, and shows each of its calls.

use std::io::{BufRead as _, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use sublane::attempt::Witness;
use sublane::bounded;
use sublane::engine::compile::Bounds;
use sublane::exported::{Exported, MAX_FILE_BYTES};
use sublane::replay::{CameTo, ReplayError, agrees, replay};
use sublane::scrub::scrub_line;
use sublane_core::{Entry, Import, Outcome, Path, Timestamp};
use tokio::runtime::Handle;

use super::{Exit, Failed, Global, Result, chain, compiler, complain, host_runtime, render, say, say_json};

const EXAMPLES: &str = "\
Examples:
  sublane replay film.json
  sublane replay film.json --step
  sublane replay film.json --until 12 --full
  sublane replay film.json --component target/wasm/film.wasm

The plugin is executed with the run's input, and every call is answered from its
journal: nothing is asked of anybody, no store and no configuration is read. With
--component another version is tried: would it go on with this journal?

Exit code 0: it came to the recorded ending, or to where the journal ends if the run
lived or was ended from outside; 6: it did not; 2: the file is wrong.";

/// Characters of a line of arguments or of a result.
const MAX_SHOWN_CHARS: usize = 100;

/// Execute an exported run again, offline, and show each of its calls
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Replay {
    /// What `sublane runs export` wrote
    file: PathBuf,
    /// Wait for Enter after each call; `q` and Enter ends it
    #[arg(long)]
    step: bool,
    /// Show arguments and results whole
    #[arg(long)]
    full: bool,
    /// Stop after the entry at this path, such as 12 or 3.1
    #[arg(long, value_name = "PATH")]
    until: Option<String>,
    /// Execute this component, with the `plugin.toml` beside it, instead of the one in the file
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// A call as machines see it.
#[derive(Clone, Serialize)]
struct Call {
    path: Path,
    import: &'static str,
    arguments: String,
    /// What the journal answered; null: nothing, the replay ended here.
    result: Option<String>,
    at: Option<Timestamp>,
    /// Milliseconds since the entry before it, or since the run began.
    after_ms: Option<u64>,
}

/// Shows calls as they come.
struct Shown {
    calls: Mutex<Vec<Call>>,
    last: Mutex<Timestamp>,
    backtrace: Mutex<Option<String>>,
    is_quiet: bool,
    is_full: bool,
    waits: bool,
    until: Option<Path>,
}

impl Shown {
    fn cut(&self, text: &str) -> String {
        let line = scrub_line(text);
        match line.char_indices().nth(MAX_SHOWN_CHARS) {
            Some((at, _)) if !self.is_full => format!("{}…", &line[..at]),
            _ => line,
        }
    }

    fn line(&self, call: &Call) -> String {
        let after = call.after_ms.map(|ms| format!("+{}", render::duration(Duration::from_millis(ms))));
        format!(
            "{:<8}{:<10}{}({})\n{:18}→ {}\n",
            call.path.to_string(),
            after.unwrap_or_default(),
            call.import,
            self.cut(&call.arguments),
            "",
            self.cut(call.result.as_deref().unwrap_or("the journal has no answer")),
        )
    }
}

impl Witness for Shown {
    fn called(&self, path: &Path, import: Import, arguments: &str) {
        let (path, arguments) = (path.clone(), arguments.to_owned());
        let call = Call { path, import: import.name(), arguments, result: None, at: None, after_ms: None };
        self.calls.lock().push(call);
    }

    fn answered(&self, entry: &Entry) -> ControlFlow<()> {
        let shown = {
            let mut calls = self.calls.lock();
            let Some(call) = calls.last_mut() else { return ControlFlow::Continue(()) };
            let last = std::mem::replace(&mut *self.last.lock(), entry.at);
            let after = entry.at.since(last).as_millis();
            (call.result, call.at) = (Some(entry.result.to_string()), Some(entry.at));
            call.after_ms = u64::try_from(after).ok();
            call.clone()
        };
        if !self.is_quiet {
            say(&self.line(&shown));
        }
        if self.until.as_ref() == Some(&entry.path) {
            return ControlFlow::Break(());
        }
        let mut typed = String::new();
        match self.waits
            && std::io::stdin()
                .lock()
                .read_line(&mut typed)
                .is_ok_and(|read| read == 0 || typed.trim() == "q")
        {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn trapped(&self, backtrace: &str) {
        *self.backtrace.lock() = Some(backtrace.to_owned());
    }
}

impl Replay {
    pub(super) fn run(self, global: &Global) -> Result {
        let named = self.file.display();
        let text = bounded::regular_or_pipe(&self.file, MAX_FILE_BYTES)
            .map_err(|error| Failed::wrong(anyhow::anyhow!("{named} cannot be read: {error}")))?;
        let exported = Exported::parse(&text)
            .map_err(|error| Failed::wrong(anyhow::anyhow!("{named}: {}", scrub_line(&chain(&error)))))?;
        let until = match &self.until {
            Some(text) => Some(path(text).map_err(Failed::wrong)?),
            None => None,
        };
        let run = exported.run.run();
        let run = run.map_err(|error| Failed::wrong(anyhow::anyhow!(scrub_line(&chain(&error)))))?;
        let shown = Arc::new(Shown {
            calls: Mutex::default(),
            last: Mutex::new(run.begun),
            backtrace: Mutex::default(),
            is_quiet: global.json,
            is_full: self.full,
            waits: self.step && !global.json && std::io::stdin().is_terminal(),
            until,
        });
        let runtime = host_runtime()?;
        let came_to = runtime.block_on(async {
            let compiler = compiler(Bounds::default());
            replay(&exported, self.component.as_deref(), shown.clone(), compiler, &Handle::current()).await
        });
        let came_to = came_to.map_err(|error| match error {
            ReplayError::Here(_) => Failed::from(error),
            // It may name what the file does.
            error => Failed::wrong(anyhow::anyhow!(scrub_line(&chain(&error)))),
        })?;
        let agrees = agrees(&exported.run, &came_to);
        self.tell(global, &exported, &shown, &came_to, agrees);
        Ok(match (&came_to, agrees) {
            (CameTo::Fault(_), _) => Exit::Cannot,
            (_, true) => Exit::Done,
            (_, false) => Exit::Disagrees,
        })
    }

    fn tell(&self, global: &Global, exported: &Exported, shown: &Shown, came_to: &CameTo, agrees: bool) {
        let calls = shown.calls.lock();
        let backtrace = shown.backtrace.lock().clone();
        let (how, what) = words(came_to, exported);
        if global.json {
            return say_json(&serde_json::json!({
                "run": exported.run.run().map(|run| run.spec.id).ok(),
                "calls": *calls,
                "came_to": how,
                "what": what,
                "recorded": exported.run.outcome(),
                "backtrace": backtrace,
                "agrees": agrees,
            }));
        }
        if let Some(open) = calls.last().filter(|call| call.result.is_none()) {
            say(&shown.line(open));
        }
        say(&format!("\n{what}\n"));
        if let Some(backtrace) = backtrace {
            say(&format!("{backtrace}\n"));
        }
        let recorded = match exported.run.outcome() {
            Some(outcome) => format!("the run ended: {}", told(outcome)),
            None => format!("the run had not ended: it was {}", scrub_line(exported.run.state())),
        };
        say(&format!("{recorded}\n"));
        if !agrees {
            complain("the replay does not agree with what is recorded");
        }
    }
}

/// A path as it is written: `3.1`.
fn path(text: &str) -> anyhow::Result<Path> {
    let is_path = !text.is_empty() && text.split('.').all(|part| part.parse::<u32>().is_ok());
    anyhow::ensure!(is_path, "`{}` is no path of a journal entry, such as 12 or 3.1", scrub_line(text));
    Ok(serde_json::from_value(text.into())?)
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded(output) => format!("succeeded with {}", scrub_line(&output.value)),
        Outcome::Failed { reason, message, .. } => {
            format!("failed, {}: {}", reason.sentence(), scrub_line(message))
        }
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Cancelled { reason } => format!("cancelled: {}", scrub_line(reason)),
    }
}

/// What it came to, as a word for machines and in words for people.
fn words(came_to: &CameTo, exported: &Exported) -> (&'static str, String) {
    match came_to {
        CameTo::Ended(outcome) => ("ended", format!("the replay ended: {}", told(outcome))),
        CameTo::JournalEnd(path, import) => {
            let waits = match &exported.waits_for {
                Some(waited) => format!(" (the run was waiting in {})", scrub_line(waited)),
                None => String::new(),
            };
            let what =
                format!("the replay stopped at the journal's end: entry {path} would be {import}{waits}");
            ("journal-end", what)
        }
        CameTo::Continued => ("continued", "the replay went on as new".to_owned()),
        CameTo::Stopped => ("stopped", "the replay was stopped here".to_owned()),
        CameTo::Fault(why) => ("fault", format!("the replay cannot go on: {}", scrub_line(why))),
    }
}
