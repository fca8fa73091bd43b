//! `sublane send`: a message to a host that runs, through its store.

use anyhow::{Context as _, anyhow};
use sublane::clock::{Clock as _, SystemClock};
use sublane::intents::Intent;
use sublane::open::store_file;
use sublane_core::{Destination, RunId};
use sublane_store::HostLock;

use super::console;
use super::run::{ADDRESS, said};
use super::{Exit, Failed, Global, Result, say, say_json};

const EXAMPLES: &str = "\
Examples:
  sublane send \"Make a film of a lighthouse in a storm\"
  sublane send --event order-42 \"Make a film of a cat\"

Prints the event id. The host takes the message within a quarter of a second, and
an id once: a message that is sent again with the same id is no second message.";

/// Send a message to a running host
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to say to the agent that answers on the channel
    #[arg(allow_hyphen_values = true)]
    message: String,
    /// The channel of the conversation [default: the first console channel that somebody answers on]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Who writes [default: $USER]
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// The message's id, 1 to 128 bytes: the same one is accepted once [default: a new one]
    #[arg(long, value_name = "ID", value_parser = event)]
    event: Option<String>,
}

/// Bytes of an event id, as of a dedupe key.
const MAX_EVENT_BYTES: usize = 128;

/// An id that a message can be known by. An empty one would be that of every message without one.
fn event(text: &str) -> std::result::Result<String, String> {
    match text.len() {
        1..=MAX_EVENT_BYTES => Ok(text.to_owned()),
        bytes => Err(format!("an id has 1 to {MAX_EVENT_BYTES} bytes, this one {bytes}")),
    }
}

impl Args {
    pub(super) fn run(self, global: &Global) -> Result {
        let text = said(self.message)?;
        let config = global.load()?;
        let channel = console::channel(&config, self.channel.as_deref())?;
        if config.channels.get(&channel).is_none_or(|channel| channel.agent.is_none()) {
            return Err(Failed::wrong(sublane::intake::IntakeError::NobodyAnswers { channel }));
        }
        let state = &config.state;
        if HostLock::holder(state)?.is_none() {
            return Err(anyhow!(
                "no host runs on {}: start one with `sublane serve`, or use `sublane run`",
                state.display()
            )
            .into());
        }
        let now = SystemClock.now();
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| anyhow!("no randomness: {error}"))?;
        let event = self.event.unwrap_or_else(|| RunId::new(now, random).to_string());
        let intent = Intent::Message {
            origin: Destination { channel, address: ADDRESS.to_owned() },
            from: self.from.unwrap_or_else(console::user),
            text,
            event: event.clone(),
        };
        let body = serde_json::to_string(&intent).expect("texts serialize");
        sublane_store::sqlite::ask(&store_file(state), &body, now).context("the message was not sent")?;
        if global.json {
            say_json(&serde_json::json!({ "event": event }));
        } else {
            say(&format!("{event}\n"));
        }
        Ok(Exit::Done)
    }
}
