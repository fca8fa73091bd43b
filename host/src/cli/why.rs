//! `sublane why`: who says no to a run, of all that its authority came through.
//!
//! Owns the collecting of these: the run, those that spawned it, what their plugin asks for and is
//! allowed. Who of them it is, the core says. For operators: a guest is never told.

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use sublane::channel::scrub_line;
use sublane::config::Config;
use sublane::open::VERSIONS;
use sublane::plugin::manifest::FILE_NAME;
use sublane::plugin::{Allow, Manifest};
use sublane_core::grants::{Capability, Refusal, Side, Verdict, who_refuses, why, why_not_spend};
use sublane_core::{Authority, Grants, Purse, Run, RunSpec};

use super::reader::Reader;
use super::{Exit, Failed, Global, Result, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane why film-Ab12cd http GET https://api.example.com/v1
  sublane why film-Ab12cd 'kv notes/last write'
  sublane why film-Ab12cd purse.spawns 5

What is asked is written as a denial names it. The answer is that of the configuration as
it is now; a host that has not read it yet (`sublane plugin reload`) may answer otherwise.";

/// Say who refuses something to a run: plugin, operator, parent, conversation or purse
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(super) struct Why {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
    /// What it would do, such as `spawn video/render`, or an amount such as `purse.spawns 5`
    #[arg(required = true, num_args = 1..)]
    capability: Vec<String>,
}

/// What is asked.
enum Question {
    May(Capability<'static>),
    /// So much of the amount at this place among [`Purse::LIMITS`].
    Spend(usize, u64),
}

/// What a run's authority came through.
struct Way {
    /// The run and those above it, up to the one whose grants were cut from the plugin's root.
    runs: Vec<Run>,
    /// The plugin whose root it is.
    plugin: String,
    asks: Authority,
    /// None where the operator allows whatever is asked for.
    allows: Option<Authority>,
}

/// The answer, for people and machines.
#[derive(Serialize)]
struct Answer {
    run: String,
    name: String,
    asked: String,
    allowed: bool,
    /// Who says no; none where nobody does.
    refused_by: Option<Side>,
    /// What the run holds that says yes.
    rule: Option<String>,
    /// The plugin whose root its authority was cut from.
    root_of: String,
    /// In a sentence.
    why: String,
}

impl Why {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let question = Question::parse(&self.capability.join(" ")).map_err(Failed::wrong)?;
        let reader = Reader::open(&config)?;
        let answer = small_runtime()?.block_on(async {
            let run = reader.run(&self.run).await?;
            let way = Way::of(run, &reader, &config).await?;
            anyhow::Ok(way.answer(&question))
        })?;
        if global.json {
            say_json(&answer);
        } else {
            let name = scrub_line(&answer.name);
            let may = if answer.allowed { "may" } else { "may not" };
            let who = answer.refused_by.map_or("allowed".to_owned(), |side| side.to_string());
            say(&format!("{name} {may}: {}\n  {who}: {}\n", answer.asked, scrub_line(&answer.why)));
        }
        Ok(Exit::Done)
    }
}

impl Question {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let amount = text.trim_start_matches("the ").trim_start_matches("limit ");
        if !amount.starts_with("purse.") {
            return Ok(Self::May(text.parse()?));
        }
        let mut words = amount.split_whitespace();
        let name = words.next().unwrap_or_default();
        let known = || anyhow!("`{name}` is no amount: there are {}", Purse::LIMITS.join(", "));
        let index = Purse::LIMITS.iter().position(|limit| *limit == name).ok_or_else(known)?;
        let number = |word: &str| word.parse::<u64>().with_context(|| format!("`{word}` is no amount"));
        Ok(Self::Spend(
            index,
            match words.next() {
                None => 1,
                // As a limit is told: what was asked for was more than there is.
                Some("of" | "is") => number(words.next().unwrap_or_default())?.saturating_add(1),
                Some(word) => number(word)?,
            },
        ))
    }
}

fn root_of(spec: &RunSpec) -> &str {
    spec.grants.root_of().unwrap_or(&spec.spawner)
}

impl Way {
    async fn of(run: Run, reader: &Reader, config: &Config) -> anyhow::Result<Self> {
        let plugin = root_of(&run.spec).to_owned();
        let mut runs = vec![run];
        while let Some(id) = runs[runs.len() - 1].spec.parent {
            let child = &runs[runs.len() - 1].spec;
            let parent = reader.store.run(id).await?;
            // A tool call hands on from the root of its own plugin, and not from the run that it serves.
            let handed =
                |parent: &Run| root_of(&parent.spec) == plugin && parent.spec.plugin == child.spawner;
            let Some(parent) = parent.filter(handed) else { break };
            runs.push(parent);
        }
        let first = &runs[runs.len() - 1].spec;
        let kept = config.state.join(VERSIONS).join(&first.plugin_digest).join(FILE_NAME);
        let configured = config.plugins.get(&plugin);
        let lies = configured.map(|configured| configured.component.with_file_name(FILE_NAME));
        let own = (first.parent.is_none()).then_some(kept);
        let manifest = own.into_iter().chain(lies).find_map(|file| Manifest::load(&file).ok());
        let manifest = manifest.ok_or_else(|| {
            anyhow!("what the plugin {plugin} asks for is not known: neither is its version kept nor its manifest there")
        })?;
        let allows = match configured.map(|configured| &configured.allow) {
            Some(Allow::Asked) => None,
            Some(Allow::These(these)) => Some(these.clone()),
            None => Some(Authority::default()),
        };
        Ok(Self { runs, plugin, asks: manifest.asks, allows })
    }

    fn answer(&self, question: &Question) -> Answer {
        let run = &self.runs[0];
        let (asked, (refused_by, rule, why)) = match question {
            Question::May(capability) => (capability.to_string(), self.may(capability)),
            Question::Spend(index, amount) => {
                let asked = format!("spend {amount} of {}", Purse::LIMITS[*index]);
                (asked, self.spends(*index, *amount))
            }
        };
        Answer {
            run: run.spec.id.to_string(),
            name: run.spec.name.clone(),
            asked,
            allowed: refused_by.is_none(),
            refused_by,
            rule,
            root_of: self.plugin.clone(),
            why,
        }
    }

    fn may(&self, capability: &Capability<'_>) -> (Option<Side>, Option<String>, String) {
        let chain: Vec<&Grants> = self.runs.iter().map(|run| &run.spec.grants).collect();
        let is_cut = self.runs.last().is_some_and(|first| first.spec.parent.is_some());
        let ask =
            |capability: &Capability<'_>| why(&chain, is_cut, &self.asks, self.allows.as_ref(), capability);
        let mut verdict = ask(capability);
        // Whoever may spawn needs a level to spawn on.
        if let (Verdict::Allowed(_), Capability::Spawn { .. }) = (&verdict, capability)
            && let refused @ Verdict::Refused(_) = ask(&Capability::SpawnDepth(1))
        {
            verdict = refused;
        }
        let rule = match verdict {
            Verdict::Refused(refusal) => {
                return (Some(refusal.side), None, self.sentence(refusal, capability));
            }
            Verdict::Allowed(rule) => rule,
        };
        let spent = match capability {
            Capability::Spawn { .. } => Some("purse.spawns"),
            Capability::Artifacts => Some("purse.artifact-bytes"),
            Capability::Http { .. } => Some("purse.requests"),
            Capability::Model { .. } => Some("purse.tokens"),
            _ => None,
        };
        let index = spent.and_then(|name| Purse::LIMITS.iter().position(|limit| *limit == name));
        if let Some((Some(side), _, why)) = index.map(|index| self.spends(index, 1)) {
            return (Some(side), Some(rule), why);
        }
        let why = format!("it holds `{rule}`, which comes from what the plugin {} may do", self.plugin);
        (None, Some(rule), why)
    }

    fn sentence(&self, refusal: Refusal, capability: &Capability<'_>) -> String {
        let plugin = &self.plugin;
        let allow = format!("[plugins.{plugin}.allow] in the configuration");
        match refusal.side {
            Side::Manifest => format!("the manifest of {plugin} does not ask for it"),
            Side::Operator if refusal.is_revoked => {
                format!("it was given to the run, and {allow} does not allow it any more")
            }
            Side::Operator => {
                let allows = self.allows.as_ref().unwrap_or(&self.asks);
                match who_refuses(&self.asks, allows, capability) {
                    Side::Operator => format!("{allow} does not allow it"),
                    _ => format!("{allow} allows it now, and did not when the run began: new runs may"),
                }
            }
            _ => match self.runs.get(refusal.steps) {
                Some(parent) => {
                    let RunSpec { name, id, .. } = &*parent.spec;
                    format!(
                        "{name} ({id}) may hand it on, and did not: its scope for the spawn does not name it"
                    )
                }
                None => format!("the tool call of {plugin} that spawned it did not hand it on"),
            },
        }
    }

    fn spends(&self, index: usize, amount: u64) -> (Option<Side>, Option<String>, String) {
        let run = &self.runs[0];
        let given = &run.spec.purse;
        // What a run leaves goes back when it ends, and says nothing any more.
        let left = if run.is_ended() { given } else { &run.purse };
        let allows = self.allows.as_ref().unwrap_or(&self.asks);
        let root = run.spec.parent.is_none().then_some((&self.asks, allows));
        let side = why_not_spend(index, amount, given, left, root);
        let (had, has) = (given.amounts()[index], left.amounts()[index]);
        let (name, plugin) = (Purse::LIMITS[index], &self.plugin);
        let why = match side {
            None => format!("it was given {had} of {name} and has {has} left"),
            Some(Side::Manifest) => format!("the manifest of {plugin} does not ask for so much of {name}"),
            Some(Side::Operator) => {
                format!("[plugins.{plugin}.allow] in the configuration does not allow so much of {name}")
            }
            Some(Side::Parent) => format!("it was given {had} of {name} by what spawned it"),
            Some(Side::Conversation) => {
                format!("it was given {had} of {name}: its conversation had no more when it was accepted")
            }
            Some(Side::Purse) => format!("it was given {had} of {name} and has {has} left"),
        };
        (side, None, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_asked_for_as_a_limit_names_it() {
        let spend = |text: &str| match Question::parse(text) {
            Ok(Question::Spend(index, amount)) => format!("{amount} of {}", Purse::LIMITS[index]),
            Ok(Question::May(capability)) => capability.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(spend("purse.spawns 5"), "5 of purse.spawns");
        assert_eq!(spend("purse.tokens"), "1 of purse.tokens");
        assert_eq!(spend("the limit purse.spawns of 4 is reached"), "5 of purse.spawns");
        assert_eq!(spend("spawn video/render"), "spawn video/render");
        assert!(spend("purse.gold 5").starts_with("`purse.gold` is no amount: there are purse.cpu-us, "));
        assert_eq!(spend("purse.spawns many"), "`many` is no amount");
    }
}
