//! `sublane runs cancel`, `retry` and `send`: through the host, or its store.

use sublane::config::Config;
use sublane::intents::{Answer, Intent};
use sublane_core::run::cancel_reason;
use sublane_core::{Outcome, Run, RunState};

use crate::cli::act::act;
use crate::cli::reader::Reader;
use crate::cli::{Failed, Global, Result, console, render, say, say_json};

/// Bytes of a reason, as of one that a plugin gives.
const MAX_REASON_BYTES: usize = 1 << 10;

const CANCEL_EXAMPLES: &str = "\
Examples:
  sublane runs cancel film-Ab12cd
  sublane runs cancel --conversation console:local --reason \"wrong film\"

What is attached to a run is cancelled with it; what it was to deliver becomes a
delivery that says so. Returns when the instances are gone.";

const SEND_EXAMPLES: &str = "\
Examples:
  sublane runs send film-Ab12cd '{\"approved\": true}'
  sublane runs send film-Ab12cd '\"go on\"'

The message goes into the run's mailbox, whose messages the run takes one after the
other with `receive`. A run that waits for one goes on at once.";

pub(super) const RETRY_EXAMPLES: &str = "\
Examples:
  sublane runs retry film-Ab12cd
  sublane runs retry film-Ab12cd --json

A run that failed, timed out, was cancelled or took its hosts with it begins again, as a
new generation: with the same task and grants, as much time as it had, a purse drawn from
its conversation, and on the version that its plugin has now. What it had told people
stays told; how it ends this time is a delivery of its own.

A run that failed and begins again by itself later, by its retry policy, does so now.";

/// Have a run begin again.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Retry {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
}

impl Retry {
    pub(super) async fn answer(self, config: &Config, reader: &Reader, global: &Global) -> Result<()> {
        let run = reader.run(&self.run).await?;
        // One that rests after a failure is in its next generation already.
        let rests = run.retried > 0 && matches!(run.state, RunState::Delayed { .. });
        let generation = if rests { run.generation } else { run.generation + 1 };
        act(config, reader, Intent::Retry { run: run.spec.id, plugin_digest: None }).await?;
        if global.json {
            say_json(&serde_json::json!({ "retried": true, "run": run.spec.id, "generation": generation }));
        } else {
            let name = sublane::channel::scrub_line(&run.spec.name);
            say(&format!("{name} begins again (generation {generation})\n"));
        }
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = CANCEL_EXAMPLES)]
pub(in crate::cli) struct Cancel {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(
        required_unless_present = "conversation",
        conflicts_with = "conversation",
        allow_hyphen_values = true
    )]
    run: Option<String>,
    /// Instead: every run of this conversation, by its id or its `channel:address`
    #[arg(long, value_name = "CONVERSATION", allow_hyphen_values = true)]
    conversation: Option<String>,
    /// Why, for the people who are told, beside who it was ($USER); at most 1 KiB
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SEND_EXAMPLES)]
pub(in crate::cli) struct Send {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
    /// The message, as JSON
    #[arg(allow_hyphen_values = true)]
    message: String,
}

impl Cancel {
    pub(super) async fn answer(self, config: &Config, reader: &Reader, global: &Global) -> Result<()> {
        let said = self.reason.unwrap_or_default();
        if said.len() > MAX_REASON_BYTES {
            let rule = format!("a reason has at most {MAX_REASON_BYTES} bytes, this one {}", said.len());
            return Err(Failed::wrong(anyhow::anyhow!(rule)));
        }
        let reason = cancel_reason(&sublane::channel::scrub_line(&said), &console::user());
        let mut run = None;
        let intent = match (&self.run, &self.conversation) {
            (Some(called), _) => {
                let found = reader.run(called).await?;
                let id = found.spec.id;
                run = Some(found);
                Intent::Cancel { run: id, reason }
            }
            (None, Some(called)) => {
                Intent::CancelConversation { conversation: reader.conversation(called).await?.id, reason }
            }
            (None, None) => return Err(Failed::wrong(anyhow::anyhow!("name a run or a conversation"))),
        };
        let Answer::Cancelled { runs } = act(config, reader, intent).await? else {
            return Err(anyhow::anyhow!("the host answers something else").into());
        };
        if global.json {
            say_json(&serde_json::json!({ "cancelled": runs }));
        } else {
            say(&format!("{}\n", told(runs, run.as_ref())));
        }
        Ok(())
    }
}

fn told(runs: u32, run: Option<&Run>) -> String {
    match (runs, run) {
        (0, Some(run)) => {
            let outcome = run.outcome().map_or("", Outcome::kind);
            format!("0 runs cancelled: {} had ended ({outcome})", run.spec.name).replace(" ()", "")
        }
        (0, None) => "0 runs cancelled: all of them had ended".to_owned(),
        (runs, _) => format!("{} cancelled", render::count(runs, "run")),
    }
}

impl Send {
    pub(super) async fn answer(self, config: &Config, reader: &Reader, global: &Global) -> Result<()> {
        let said: serde_json::Value = serde_json::from_str(&self.message).map_err(|error| {
            Failed::wrong(anyhow::anyhow!(
                "the message is not JSON ({error}); a text stands in quotes: '\"go on\"'"
            ))
        })?;
        let run = reader.run(&self.run).await?;
        act(config, reader, Intent::Send { run: run.spec.id, message: said.to_string() }).await?;
        if global.json {
            say_json(&serde_json::json!({ "sent": true, "run": run.spec.id }));
        } else {
            say(&format!("sent to {}\n", sublane::channel::scrub_line(&run.spec.name)));
        }
        Ok(())
    }
}
