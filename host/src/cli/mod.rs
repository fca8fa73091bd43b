//! The command line: what can be asked, and what the process answers with.
//!
//! Owns the exit codes and what all commands share. Each command has a file of
//! its own; `render` says things to people, `view` to machines.
//! Never decides what the host does.

mod act;
mod ages;
mod config;
mod console;
mod conversations;
mod deliveries;
mod dist;
mod follow;
mod lanes;
mod logs;
mod output;
mod plugin;
mod reader;
mod render;
mod replay;
mod run;
mod runs;
mod schedules;
mod send;
mod serve;
mod signals;
mod store;
mod table;
mod view;
mod watch;
mod why;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use output::say;
use sublane::clock::SystemClock;
use sublane::config::Config;
use sublane::engine::compile::{Bounds, Compiler, THIS_PROGRAM};
use sublane::error::chain;
use sublane::host::StartError;
use sublane::open::{OpenError, Opened, open};
use sublane::retention::CollectError;
use sublane::secrets::Secrets;
use sublane_store::StoreError;
use tokio::runtime::Handle;

const EXAMPLES: &str = "\
Examples:
  sublane run \"Make a 4 second film of a lighthouse in a storm\"
  sublane run --agent hello-agent/hello --task '{\"name\": \"Ada\"}' --json
  sublane serve
  sublane runs list --state waiting

Exit codes:
  0    what was asked is done: every run succeeded, everything owed was delivered
  1    a run failed, timed out or was cancelled
  2    the command line, the configuration or a plugin is wrong
  3    every run succeeded, but a delivery is dead
  4    it cannot be done here: no such run, no host, the state directory is in use
  5    the store is not whole
  6    a replay did not come to what is recorded
  130  stopped by Ctrl-C before everything was settled (143: by SIGTERM, 129: by SIGHUP)
  141  nobody reads the output any more, before everything was settled";

/// Runs WebAssembly plugins that hand long work to sub-agents.
///
/// Plugins get the authority that their manifest asks for and the configuration
/// allows, and no more. What they spawn is durable: it goes on after a crash, and
/// its result is delivered to where it was asked for.
#[derive(Debug, Parser)]
#[command(name = "sublane", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The configuration [default: $SUBLANE_CONFIG, else ./sublane.toml]
    #[arg(long, short, global = true, value_name = "FILE", help_heading = "For every command")]
    config: Option<PathBuf>,
    /// Answer in JSON on the standard output; people are told on the standard error
    #[arg(long, global = true, help_heading = "For every command")]
    json: bool,
    /// How much to log on the standard error: a level such as `debug`, or filters
    /// such as `info,sublane::denied=off` [default: $RUST_LOG, else warn; for serve, info]
    #[arg(long, global = true, value_name = "LEVEL|FILTERS", help_heading = "For every command")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Serve(serve::Args),
    Send(send::Args),
    /// Look at runs and steer them
    #[command(subcommand)]
    Runs(runs::Command),
    Replay(replay::Replay),
    Why(why::Why),
    /// Look at what is owed to people and steer it
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Look at lanes and steer them
    #[command(subcommand)]
    Lanes(lanes::Command),
    /// Look at what runs by a schedule
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Look at conversations
    #[command(subcommand)]
    Conversations(conversations::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Copy the store, check it, remove what is old
    #[command(subcommand)]
    Store(store::Command),
    /// Make and look at plugins, and have a host read them anew
    #[command(subcommand)]
    Plugin(plugin::Command),
    Completions(dist::Completions),
    Dist(dist::Dist),
}

/// What the process ends with. Stable: scripts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// What was asked is done.
    Done = 0,
    /// A run did not succeed.
    RunFailed = 1,
    /// The command line, the configuration or a plugin is wrong.
    Wrong = 2,
    /// A delivery is dead.
    DeliveryDead = 3,
    /// It cannot be done here and now.
    Cannot = 4,
    /// The store is not whole.
    Damaged = 5,
    /// A replay did not come to what is recorded.
    Disagrees = 6,
    /// SIGHUP: its terminal was closed, before everything was settled.
    HungUp = 129,
    /// Ctrl-C, before everything was settled.
    Interrupted = 130,
    /// Nobody reads the output any more, as if by SIGPIPE, before everything was settled.
    OutputClosed = 141,
    /// SIGTERM, before everything was settled.
    Terminated = 143,
}

/// Why a command was not done, and the exit code that says so.
#[derive(Debug)]
struct Failed {
    exit: Exit,
    error: anyhow::Error,
}

impl Failed {
    /// The command line, the configuration or a plugin is wrong.
    fn wrong(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Wrong, error: error.into() }
    }
}

/// The secrets that a configuration names. For the beginning of a process.
fn read_secrets(config: &Config) -> Result<Secrets> {
    Secrets::read(&config.secrets).map_err(Failed::wrong)
}

/// A host as the configuration says it, on this machine's clock.
async fn open_host(
    config: &Config,
    secrets: Secrets,
    screen: &console::Screen,
) -> std::result::Result<Opened, Failed> {
    let (clock, compiler) = (Arc::new(SystemClock), Some(THIS_PROGRAM.into()));
    open(config, secrets, screen.output(), clock, compiler, &Handle::current()).await.map_err(not_opened)
}

/// A host that does not start: a plugin or a channel is the configuration's, the rest this machine's.
fn not_opened(error: OpenError) -> Failed {
    let is_wrong = matches!(error, OpenError::Plugin { .. } | OpenError::Channel { .. } | OpenError::Http(_));
    if is_wrong { Failed::wrong(error) } else { Failed::from(error) }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit = if error.is::<reader::Unclear>() {
            Exit::Wrong
        } else if error.is::<output::Closed>() {
            Exit::OutputClosed
        } else if is_damage(&error) {
            Exit::Damaged
        } else {
            Exit::Cannot
        };
        Self { exit, error }
    }
}

/// Whether the store's file is at fault.
fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().any(|error| {
        let own = error.downcast_ref::<StoreError>();
        // Those that are another one's word for it do not name it as their source.
        let opened = error.downcast_ref().and_then(|error| match error {
            OpenError::Store(error) | OpenError::Start(StartError::Store(error)) => Some(error),
            _ => None,
        });
        let collected = error.downcast_ref().and_then(|error| match error {
            CollectError::Store(error) => Some(error),
            _ => None,
        });
        [own, opened, collected].into_iter().flatten().any(StoreError::is_damage)
    })
}

type Result<T = Exit> = std::result::Result<T, Failed>;

/// The whole process.
pub(crate) fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "people are told how long the start took")]
    let begun = Instant::now();
    let cli = Cli::parse();
    let exit = match cli.command.run(&cli.global, begun) {
        Ok(exit) => exit,
        // Nobody is there who would read why.
        Err(Failed { exit: Exit::OutputClosed, .. }) => Exit::OutputClosed,
        Err(failed) => {
            // What a stranger's file is called inside must not steer a terminal.
            let why = sublane::channel::scrub_text(&chain(failed.error.as_ref()));
            complain(&format!("error: {}", bounded(&why)));
            failed.exit
        }
    };
    ExitCode::from(output::checked(exit) as u8)
}

/// Words of so many characters are nobody's names or paths; they are cut where they are quoted.
const MAX_WORD_CHARS: usize = 5_000;
/// What is left of them.
const SHOWN_CHARS: usize = 60;

/// A message whose words have a bound each.
fn bounded(message: &str) -> String {
    let word = |with_space: &str| {
        let word = with_space.trim_end();
        match word.chars().count() {
            0..=MAX_WORD_CHARS => with_space.to_owned(),
            chars => {
                let shown: String = word.chars().take(SHOWN_CHARS).collect();
                format!("{shown}… ({chars} characters){}", &with_space[word.len()..])
            }
        }
    };
    message.split_inclusive(char::is_whitespace).map(word).collect()
}

impl Command {
    fn run(self, global: &Global, begun: Instant) -> Result {
        match self {
            Self::Run(args) => args.run(global),
            Self::Serve(args) => args.run(global, begun),
            Self::Send(args) => args.run(global),
            Self::Runs(command) => command.run(global),
            Self::Replay(args) => args.run(global),
            Self::Why(args) => args.run(global),
            Self::Deliveries(command) => command.run(global),
            Self::Lanes(command) => command.run(global),
            Self::Schedules(command) => command.run(global),
            Self::Conversations(command) => command.run(global),
            Self::Config(command) => command.run(global),
            Self::Store(command) => command.run(global),
            Self::Plugin(command) => command.run(global),
            Self::Completions(args) => args.run(),
            Self::Dist(args) => args.run(),
        }
    }
}

impl Global {
    /// Where the configuration is.
    fn config_file(&self) -> PathBuf {
        let from_environment =
            || std::env::var_os("SUBLANE_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
        let file = self.config.clone().or_else(from_environment);
        file.unwrap_or_else(|| PathBuf::from(sublane::config::FILE_NAME))
    }

    /// The configuration.
    fn load(&self) -> Result<Config> {
        let file = self.config_file();
        Config::load(&file).map_err(
            |error| {
                if file.exists() { Failed::wrong(error) } else { no_config(&file) }
            },
        )
    }
}

/// There is no configuration where one was looked for.
fn no_config(file: &std::path::Path) -> Failed {
    Failed::wrong(anyhow::anyhow!(
        "there is no configuration {}: name one with --config or SUBLANE_CONFIG; \
         an empty file is a host that works",
        file.display()
    ))
}

/// Writes a line to the standard error. Whatever stands in it of strangers steers no terminal.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", sublane::scrub::scrub_text(line));
}

/// Writes a value as JSON to the standard output.
fn say_json(value: &impl serde::Serialize) {
    let mut text = serde_json::to_string_pretty(value).expect("what is shown has string keys");
    text.push('\n');
    output::say_json_text(&text);
}

/// Who compiles components for a command: this program, in processes of its own.
fn compiler(bounds: Bounds) -> Compiler {
    Compiler { program: Some(THIS_PROGRAM.into()), bounds }
}

/// The runtime of a host: its channels, timers and store. Guests have threads of their own.
fn host_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    sublane::machine::take_descriptors();
    let threads = sublane::engine::threads::default_threads().clamp(1, 4);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// The runtime of a command that is no host.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn parse(words: &str) -> std::result::Result<Cli, String> {
        Cli::try_parse_from(words.split(' ')).map_err(|error| error.kind().to_string())
    }

    #[test]
    fn options_for_every_command_stand_before_or_after_it() {
        for words in ["sublane --json --config a.toml runs list", "sublane runs list --json --config a.toml"]
        {
            let cli = parse(words).expect(words);
            assert!(cli.global.json);
            assert_eq!(cli.global.config_file(), PathBuf::from("a.toml"));
        }
    }

    #[test]
    fn a_name_that_is_none_does_not_fill_the_terminal() {
        let message = bounded(&format!("there is no run `{}`:\n  look", "x".repeat(100_000)));
        assert!(message.starts_with("there is no run `xxx") && message.ends_with("  look"), "{message}");
        assert!(message.contains("… (100003 characters)") && message.len() < 200, "{message}");
        assert_eq!(bounded("/a path\n"), "/a path\n");
    }

    #[test]
    fn a_run_is_a_message_or_an_agent_with_a_task() {
        assert!(parse("sublane run hello").is_ok());
        assert!(parse("sublane run --agent a/b --task {}").is_ok());
        assert!(parse("sublane run").is_err());
        assert!(parse("sublane run hello --agent a/b").is_err());
        assert!(parse("sublane run hello --task {}").is_err());
    }
}
