//! `sublane serve`: a host until a signal.

use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Instant;

use sublane::config::Config;
use sublane::host::Inner;
use sublane::intake::Message;
use sublane::open::Opened;
use sublane::secrets::Secrets;
use sublane_core::Destination;
use tokio::sync::mpsc;

use super::console::{self, Screen, Stream};
use super::run::ADDRESS;
use super::signals::Signals;
use super::{Exit, Global, Result, host_runtime, logs, open_host, read_secrets};

/// Lines of the standard input that may wait to be accepted.
const MAX_WAITING: usize = 16;

const ABOUT: &str = "\
What is said on the console channel goes to the standard output, the log to the
standard error. `sublane send`, `sublane runs` and `sublane deliveries` work beside it.

Exit code 0: it was stopped; 5: and it had met damage of the store.

SIGINT, SIGTERM or SIGHUP stops it: attempts under way go back to their lanes, and the next
host goes on with them. Nothing is lost, also when the process is killed.";

/// Run a host until it is stopped by a signal
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(super) struct Args {
    /// Take each line of the standard input as a message on the console channel
    #[arg(long)]
    console: bool,
    /// The channel of those messages [default: the first console channel that somebody answers on]
    #[arg(long, value_name = "NAME", requires = "console")]
    channel: Option<String>,
    /// Who writes them [default: $USER]
    #[arg(long, value_name = "NAME", requires = "console")]
    from: Option<String>,
}

impl Args {
    pub(super) fn run(self, global: &Global, begun: Instant) -> Result {
        let config = global.load()?;
        let screen = if global.json { Screen::json_lines() } else { Screen::for_people(Stream::Out) };
        // Before there are threads: variables are taken out of the environment.
        let secrets = read_secrets(&config)?;
        let _logs = logs::begin(global.log.as_deref(), logs::SERVE, config.logs.format, &screen)?;
        let reader = match self.console {
            true => Some(Reader {
                channel: console::channel(&config, self.channel.as_deref())?,
                from: self.from.unwrap_or_else(console::user),
            }),
            false => None,
        };
        host_runtime()?.block_on(serve(&config, secrets, reader, &screen, begun))
    }
}

async fn serve(
    config: &Config,
    secrets: Secrets,
    reader: Option<Reader>,
    screen: &Screen,
    begun: Instant,
) -> Result {
    let mut signals = Signals::catch()?;
    let mut opened = open_host(config, secrets, screen).await?;
    let schedules = config.schedules.values().cloned().collect();
    if let Err(error) = opened.host.begin_schedules(schedules).await {
        opened.stop().await;
        return Err(error.into());
    }
    tell_ready(&opened, config, begun);
    let host = opened.host.inner.clone();
    let signal = tokio::select! {
        signal = signals.next() => signal,
        () = read(reader, &host) => signals.next().await,
    };
    signals.end_at_once();
    tracing::info!(signal = ?signal, "stopping; what is under way goes on with the next host");
    opened.stop().await;
    tracing::info!("stopped");
    // It was logged when it was met; whoever looks at the end alone sees it here.
    host.store.damage().map_or(Ok(Exit::Done), |damage| Err(damage.into()))
}

fn tell_ready(opened: &Opened, config: &Config, begun: Instant) {
    let plugins = opened.host.inner.plugins();
    let (mut agents, mut tools) = (0, 0);
    for plugin in plugins.iter() {
        agents += plugin.agents.len();
        tools += plugin.tools.len();
    }
    let (plugins, channels) = (plugins.iter().count(), config.channels.len());
    let schedules = config.schedules.len();
    if let Some(address) = config.gateway.listen {
        tracing::warn!(%address, "nothing listens: this version has no gateway, and `gateway.listen` has no effect");
    }
    if let Some(address) = config.hooks.listen {
        tracing::info!(%address, "calls of hooks are taken");
    }
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(ms, plugins, agents, tools, channels, schedules, state = %config.state.display(), "ready");
}

/// Who says what the standard input holds, and where.
struct Reader {
    channel: String,
    from: String,
}

/// Takes messages until the input ends.
async fn read(reader: Option<Reader>, host: &Arc<Inner>) {
    let Some(Reader { channel, from }) = reader else { return };
    let origin = Destination { channel, address: ADDRESS.to_owned() };
    let (lines, mut waiting) = mpsc::channel(MAX_WAITING);
    // A thread of its own: a read cannot be cancelled, and must not keep the host from stopping.
    let spawned = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "the standard input cannot be read");
        return;
    }
    while let Some(line) = waiting.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        let message = Message { origin: origin.clone(), from: from.clone(), text: line, event: None };
        if let Err(error) = host.message(message).await {
            tracing::error!(%error, "a message was not accepted");
        }
    }
}
