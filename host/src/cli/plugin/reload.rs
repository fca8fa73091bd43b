//! `sublane plugin reload`: has the running host read plugins anew.

use sublane::config::Config;
use sublane::host::plugins::{Change, Label, Reloaded};
use sublane::intents::{Answer, Intent};
use sublane_store::HostLock;

use crate::cli::act::asked;
use crate::cli::reader::Reader;
use crate::cli::{Exit, Failed, Global, Result, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane plugin reload
  sublane plugin reload video

Reads `[plugins]` in the configuration, the components and the manifests that it names,
and checks all of them first: one that is wrong leaves every plugin as it is. New runs
begin on what is found; those that live end on the version they were accepted on.";

/// Has the host read the configuration's plugins anew, while runs go on
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Reload {
    /// The plugins [default: all of them]
    names: Vec<String>,
}

impl Reload {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        if !serves(&config)? {
            return Err(anyhow::anyhow!(
                "no host runs on {}: the next one loads what {} names",
                config.state.display(),
                config.file.display()
            )
            .into());
        }
        let reloaded = small_runtime()?.block_on(reload(&config, self.names))?;
        if global.json {
            say_json(&serde_json::json!({ "plugins": reloaded }));
        } else {
            reloaded.iter().for_each(|one| say(&format!("{}\n", line(one))));
        }
        Ok(Exit::Done)
    }
}

/// Whether a host has the state directory.
pub(super) fn serves(config: &Config) -> anyhow::Result<bool> {
    Ok(config.state.exists() && HostLock::holder(&config.state)?.is_some())
}

/// Asks the host that runs to read these plugins anew, and says what became of each.
pub(super) async fn reload(config: &Config, names: Vec<String>) -> Result<Vec<Reloaded>> {
    let reader = Reader::open(config)?;
    match asked(config, &reader, Intent::Reload { plugins: names }).await? {
        Answer::Reloaded { plugins } => Ok(plugins),
        Answer::Refused { why } => Err(Failed::wrong(anyhow::anyhow!("nothing was changed: {why}"))),
        _ => Err(anyhow::anyhow!("the host answers something else").into()),
    }
}

/// What became of a plugin, in words.
pub(super) fn line(reloaded: &Reloaded) -> String {
    let named = |label: &Option<Label>| {
        label.as_ref().map_or(String::new(), |Label { version, digest }| format!("{version} ({digest:.12})"))
    };
    let Reloaded { plugin, change, was, is } = reloaded;
    let what = match change {
        Change::Added => format!("{} is loaded", named(is)),
        Change::Replaced => format!("new runs begin on {}, and no more on {}", named(is), named(was)),
        Change::Allowed => format!("{} is allowed what stands in the configuration now", named(is)),
        Change::Unchanged => format!("{} is as it was", named(is)),
        Change::Removed => format!("{} is not there any more for new runs", named(was)),
    };
    format!("{plugin}: {what}")
}
