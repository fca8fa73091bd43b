//! `sublane plugin remove`: takes a plugin out of the configuration and out of the running host.

use std::io::{BufRead as _, IsTerminal as _, stderr, stdin};

use anyhow::anyhow;
use sublane::config::Config;
use sublane::intents::{Answer, Intent};
use sublane::open::store_file;
use sublane::strict::nearest;

use super::edit;
use super::reload::{line, reload, serves};
use crate::cli::act::act;
use crate::cli::console::user;
use crate::cli::reader::Reader;
use crate::cli::{Exit, Failed, Global, Result, complain, render, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane plugin remove video
  sublane plugin remove video --cancel-runs

Takes [plugins.ID] out of the configuration; the component stays where it lies. A host
that runs begins no run of it any more. Runs that live are asked for on a terminal, and
must be decided by an option elsewhere. What was owed is delivered in any case.";

/// Take a plugin out of the configuration
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Remove {
    /// The plugin's id
    name: String,
    /// Cancel its runs that live
    #[arg(long, conflicts_with = "keep_runs")]
    cancel_runs: bool,
    /// Let its runs end on the version that they are on
    #[arg(long)]
    keep_runs: bool,
}

/// What becomes of runs that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Living {
    Cancel,
    Keep,
}

impl Remove {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let Self { name, cancel_runs, keep_runs } = self;
        if !config.plugins.contains_key(&name) {
            let hint = nearest(&name, config.plugins.keys().map(String::as_str));
            let file = config.file.display();
            return Err(Failed::wrong(anyhow!("{file} names no plugin `{name}`; {hint}")));
        }
        // Looked at before anybody is asked, and anew when it is done: a question takes its time.
        without(&config, &name, &sublane::strict::load(&config.file).map_err(Failed::wrong)?)?;
        let runtime = small_runtime()?;
        let runs = runtime.block_on(living(&config, &name))?;
        let living = match (cancel_runs, keep_runs) {
            (true, _) => Living::Cancel,
            _ if keep_runs || runs == 0 => Living::Keep,
            _ => ask(&name, runs)?,
        };
        runtime.block_on(edit::change(&config.file, |old| Ok((without(&config, &name, old)?, ()))))?;
        // First the plugin, so that nothing begins while its runs are cancelled.
        let reloaded = match serves(&config)? {
            true => runtime.block_on(reload(&config, vec![name.clone()]))?,
            false => Vec::new(),
        };
        let cancelled = match living {
            Living::Cancel if runs > 0 => runtime.block_on(cancel(&config, &name))?,
            _ => 0,
        };
        if global.json {
            say_json(&serde_json::json!({ "removed": name, "cancelled": cancelled, "plugins": reloaded }));
            return Ok(Exit::Done);
        }
        say(&format!("{} names {name} no more\n", config.file.display()));
        reloaded.iter().for_each(|one| say(&format!("{}\n", line(one))));
        match living {
            Living::Cancel => say(&format!("{} cancelled\n", render::count(cancelled, "run"))),
            Living::Keep if runs > 0 => {
                say(&format!(
                    "{} on it to the end\n",
                    if runs == 1 { "1 run goes".to_owned() } else { format!("{runs} runs go") }
                ));
            }
            Living::Keep => {}
        }
        Ok(Exit::Done)
    }
}

/// The configuration's text without the plugin.
fn without(config: &Config, name: &str, text: &str) -> Result<String> {
    let new = edit::removed(text, name).map_err(Failed::wrong)?;
    Config::parse(&config.file, &new).map_err(|problems| {
        let why = "without it the configuration would be wrong; change this first";
        Failed::wrong(anyhow::Error::from(problems).context(why))
    })?;
    Ok(new)
}

/// How many runs of a plugin live.
async fn living(config: &Config, name: &str) -> anyhow::Result<u64> {
    if !store_file(&config.state).exists() {
        return Ok(0);
    }
    let live = Reader::open(config)?.store.live_versions().await?;
    Ok(live.iter().filter(|live| live.plugin == name).map(|live| live.runs).sum())
}

/// Asks whoever sits at the terminal.
fn ask(name: &str, runs: u64) -> Result<Living> {
    let count = render::count(runs, "run");
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(anyhow!(
            "{count} of {name} {}: --cancel-runs cancels them, --keep-runs lets them end on the version that they are on",
            if runs == 1 { "lives" } else { "live" }
        )
        .into());
    }
    complain(&format!(
        "{count} of {name} {}. [c]ancel, [k]eep until the end, or anything else to stop here?",
        if runs == 1 { "lives" } else { "live" }
    ));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "c" | "cancel" => Ok(Living::Cancel),
        "k" | "keep" => Ok(Living::Keep),
        _ => Err(anyhow!("nothing was changed").into()),
    }
}

async fn cancel(config: &Config, name: &str) -> Result<u32> {
    let reason = format!("{} removed the plugin {name}", user());
    let reader = Reader::open(config)?;
    match act(config, &reader, Intent::CancelPlugin { plugin: name.to_owned(), reason }).await? {
        Answer::Cancelled { runs } => Ok(runs),
        _ => Err(anyhow!("the host answers something else").into()),
    }
}
