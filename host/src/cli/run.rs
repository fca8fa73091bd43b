//! `sublane run`: a host for one message or one task, until all of it is settled.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use sublane::bounded;
use sublane::config::{ChannelConfig, ChannelKind, Config};
use sublane::host::Inner;
use sublane::intake::{IntakeError, Message, Task};
use sublane::secrets::Secrets;
use sublane_core::Destination;
use sublane_store::Accepted;

use super::console::{self, Screen, Stream};
use super::signals::Signals;
use super::watch::Watch;
use super::{
    Exit, Failed, Global, Result, complain, host_runtime, logs, open_host, read_secrets, render, say_json,
};

const EXAMPLES: &str = "\
Examples:
  sublane run \"Make a 4 second film of a lighthouse in a storm\"
  sublane run --agent hello-agent/hello --task '{\"name\": \"Ada\"}'
  sublane run --agent video/render --task @film.json --json

A host runs in this process until everything that the message set off is settled.
When it is stopped before, the runs go on with the next host on the same state
directory. While another host runs there, `sublane send` brings it a message; a task goes
to a host of its own, with another state directory.";

/// The address of the command line on a console channel.
pub(super) const ADDRESS: &str = "local";

/// Send one message, or give one agent a task, and wait until all is settled
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "sublane run [OPTIONS] <MESSAGE>\n       sublane run [OPTIONS] --agent <PLUGIN/AGENT> [--task <JSON>]"
)]
pub(super) struct Args {
    /// What to say to the agent that answers on the channel; `-` reads it from the standard input
    #[arg(required_unless_present = "agent", conflicts_with_all = ["agent", "task"], allow_hyphen_values = true)]
    message: Option<String>,
    /// The channel of the conversation [default: the first console channel that somebody answers on]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Who writes [default: $USER]
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Instead of a message: the agent that gets a task, `plugin/agent`, or `plugin` for its only one
    #[arg(long, value_name = "PLUGIN/AGENT")]
    agent: Option<String>,
    /// The task as JSON; `@FILE` reads it from a file, `-` from the standard input [default: {}]
    #[arg(long, value_name = "JSON", requires = "agent", allow_hyphen_values = true)]
    task: Option<String>,
}

impl Args {
    pub(super) fn run(self, global: &Global) -> Result {
        let mut config = global.load()?;
        let screen = Screen::for_people(if global.json { Stream::Err } else { Stream::Out });
        // Before there are threads: variables are taken out of the environment.
        let secrets = read_secrets(&config)?;
        let _logs = logs::begin(global.log.as_deref(), logs::RUN, config.logs.format, &screen)?;
        let work = self.work(&mut config)?;
        host_runtime()?.block_on(run(&config, secrets, work, &screen, global.json))
    }

    fn work(self, config: &mut Config) -> Result<Work> {
        let from = self.from.unwrap_or_else(console::user);
        let Some(agent) = self.agent else {
            let text = said(text(&self.message.unwrap_or_default()).map_err(Failed::wrong)?)?;
            let origin = origin(console::channel(config, self.channel.as_deref())?);
            return Ok(Work::Message(Message { origin, from, text, event: None }));
        };
        let task = self.task.as_deref().unwrap_or("{}");
        let input = match task.strip_prefix('@') {
            Some(file) => bounded::regular_or_pipe(Path::new(file), bounded::MAX_TEXT_BYTES)
                .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
                .with_context(|| format!("{file} cannot be read")),
            None => text(task),
        };
        let input = input.map_err(Failed::wrong)?;
        if self.channel.is_none() {
            add_console(config);
        }
        let origin = origin(console::channel(config, self.channel.as_deref())?);
        let deliver = vec![origin.clone()];
        Ok(Work::Task(Task { agent, input, origin, lane: "main", deliver, event: None }))
    }
}

/// The text itself, or what the standard input holds.
fn text(given: &str) -> anyhow::Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    let mut bounded = std::io::stdin().take(bounded::MAX_TEXT_BYTES + 1);
    bounded.read_to_string(&mut text).context("the standard input cannot be read")?;
    if text.len() as u64 > bounded::MAX_TEXT_BYTES {
        bail!("the standard input has more than {} bytes", bounded::MAX_TEXT_BYTES);
    }
    Ok(text)
}

/// A message, which says something.
pub(super) fn said(text: String) -> Result<String> {
    if text.trim().is_empty() {
        return Err(Failed::wrong(anyhow::anyhow!("the message is empty: say what is wanted")));
    }
    Ok(text)
}

fn origin(channel: String) -> Destination {
    Destination { channel, address: ADDRESS.to_owned() }
}

/// A task needs nobody who answers, and is shown here in any case.
fn add_console(config: &mut Config) {
    let has_console = config.channels.values().any(|channel| matches!(channel.kind, ChannelKind::Console));
    if !has_console && !config.channels.contains_key("console") {
        config
            .channels
            .insert("console".to_owned(), ChannelConfig { agent: None, kind: ChannelKind::Console });
    }
}

enum Work {
    Message(Message),
    Task(Task),
}

impl Work {
    async fn begin(self, host: &Arc<Inner>) -> std::result::Result<Accepted, IntakeError> {
        match self {
            Self::Message(message) => host.message(message).await,
            Self::Task(task) => host.task(task).await,
        }
    }
}

async fn run(config: &Config, secrets: Secrets, work: Work, screen: &Screen, json: bool) -> Result {
    let mut signals = Signals::catch()?;
    let opened = open_host(config, secrets, screen).await?;
    let host = opened.host.inner.clone();
    let changes = host.changes();
    let accepted = match work.begin(&host).await {
        Ok(accepted) => accepted,
        Err(error) => {
            opened.stop().await;
            return Err(match error {
                IntakeError::Store(error) => Failed::from(error),
                IntakeError::DiskLow(error) => Failed::from(error),
                error => Failed::wrong(error),
            });
        }
    };
    // One that cannot be read is told by the watch.
    for (lane, setting) in host.store.lane_settings().await.unwrap_or_default() {
        if setting.paused {
            let lane = sublane::channel::scrub_line(&lane);
            screen
                .remark(&format!("lane {lane} is paused: `sublane lanes resume {lane}` lets its runs begin"));
        }
    }
    let what = (accepted.run, accepted.conversation);
    let mut watch = Watch::begin(&host, changes, what, screen);
    let stopped = tokio::select! {
        settled = watch.settled() => settled.map(|()| None),
        signal = signals.next() => Ok(Some(signal)),
        () = screen.closed() => Ok(Some(Exit::OutputClosed)),
    };
    signals.end_at_once();
    opened.stop().await;
    let (stopped, mut report) = (stopped?, watch.report().await?);
    if let Some(signal) = stopped {
        report.ok = false;
        report.exit = signal as u8;
        let (runs, deliveries) = report.unsettled;
        let (runs, deliveries) = (render::count(runs, "run"), render::count(deliveries, "delivery"));
        complain(&format!(
            "stopped before everything was settled: {runs} and {deliveries} go on with the next host"
        ));
    }
    report.hints.iter().for_each(|hint| complain(&sublane::channel::scrub_line(hint)));
    if json {
        say_json(&report);
    }
    Ok(stopped.unwrap_or(exit_of(report.exit)))
}

fn exit_of(code: u8) -> Exit {
    [Exit::Done, Exit::RunFailed, Exit::DeliveryDead]
        .into_iter()
        .find(|exit| *exit as u8 == code)
        .unwrap_or(Exit::Cannot)
}
