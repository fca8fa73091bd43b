//! `sublane plugin list`: which plugins there are, in which version, and how many runs live on each.

use std::time::Duration;

use serde::Serialize;
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::open::{VERSIONS, store_file};
use sublane::plugin::Manifest;
use sublane::plugin::manifest::FILE_NAME;
use sublane_core::Timestamp;
use sublane_store::{LiveVersion, PauseRow, PluginRow};

use super::reload::serves;
use super::{Lent, engines_for};
use crate::cli::config::{Vetted, load};
use crate::cli::reader::Reader;
use crate::cli::{Exit, Global, Result, chain, render, say, say_json, small_runtime};

const ABOUT: &str = "\
Reads beside a running host and without one. A run ends on the version that it was
accepted on: other versions are shown as long as runs live on them.";

/// List the plugins with their versions, and how many runs live on each
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct List {}

/// A plugin that is configured, that the host has, or that runs live on.
#[derive(Serialize)]
struct Listed {
    id: String,
    /// What lies where the configuration says.
    found: Option<Vetted>,
    /// Its digest.
    digest: Option<String>,
    /// Why that cannot be loaded.
    problem: Option<String>,
    /// What the running host has.
    loaded: Option<Version>,
    /// How it breaks down, where it did last.
    breakdowns: Option<Breakdowns>,
    /// Runs that live on the version that lies there.
    runs: u64,
    /// Other versions that runs live on.
    others: Vec<Version>,
}

#[derive(Serialize)]
struct Breakdowns {
    /// Runs in a row that ended by a trap or a limit.
    in_a_row: u32,
    /// How the last one did.
    why: String,
    /// Milliseconds since 1970 until when no new run begins.
    paused_until_ms: Option<u64>,
    /// For people.
    #[serde(skip)]
    left: Option<Duration>,
}

#[derive(Serialize)]
struct Version {
    /// As its manifest says it; none where it is not kept.
    version: Option<String>,
    digest: String,
    runs: u64,
}

impl List {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let listed = small_runtime()?.block_on(listed(&config))?;
        if global.json {
            say_json(&serde_json::json!({ "plugins": listed }));
        } else if listed.is_empty() {
            say("no plugins\n");
        } else {
            listed.iter().for_each(|plugin| say(&plugin.text()));
        }
        Ok(Exit::Done)
    }
}

async fn listed(config: &Config) -> anyhow::Result<Vec<Listed>> {
    let (mut rows, mut live, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
    if store_file(&config.state).exists() {
        let reader = Reader::open(config)?;
        live = reader.store.live_versions().await?;
        pauses = reader.store.pauses().await?;
        if serves(config)? {
            rows = reader.store.plugins().await?;
        }
    }
    let lent = Lent::by(config)?;
    let engines = engines_for(config)?;
    let mut ids: Vec<&String> = config.plugins.keys().collect();
    ids.extend(rows.iter().map(|row| &row.id));
    ids.extend(live.iter().map(|live| &live.plugin));
    ids.sort_unstable();
    ids.dedup();
    let mut listed = Vec::new();
    for id in ids {
        let mut plugin = Listed::of(id, &rows, &live, config);
        plugin.breakdowns = pauses
            .iter()
            .find(|pause| pause.plugin == *id)
            .map(|pause| Breakdowns::of(pause, SystemClock.now()));
        if let Some(configured) = config.plugins.get(id) {
            match load(&engines, &lent.cache, id, configured).await {
                Ok((loaded, vetted)) => plugin.has(loaded.digest, vetted),
                Err(error) => plugin.problem = Some(chain(&error)),
            }
        }
        listed.push(plugin);
    }
    Ok(listed)
}

impl Breakdowns {
    fn of(pause: &PauseRow, now: Timestamp) -> Self {
        let until = pause.until.filter(|until| *until > now);
        Self {
            in_a_row: pause.failures,
            why: pause.why.clone(),
            paused_until_ms: until.map(|until| until.0),
            left: until.map(|until| until.since(now)),
        }
    }
}

impl Listed {
    fn of(id: &str, rows: &[PluginRow], live: &[LiveVersion], config: &Config) -> Self {
        let live: Vec<_> = live.iter().filter(|live| live.plugin == id).collect();
        let kept = |digest: &str| {
            let manifest = config.state.join(VERSIONS).join(digest).join(FILE_NAME);
            Manifest::load(&manifest).ok().map(|manifest| manifest.version)
        };
        let on = |digest: &str| live.iter().filter(|live| live.digest == digest).map(|live| live.runs).sum();
        let loaded = rows.iter().find(|row| row.id == id).map(|row| Version {
            version: Some(row.version.clone()),
            digest: row.digest.clone(),
            runs: on(&row.digest),
        });
        let others = live.iter().map(|live| Version {
            version: kept(&live.digest),
            digest: live.digest.clone(),
            runs: live.runs,
        });
        let others = others.collect();
        let id = id.to_owned();
        Self { id, found: None, digest: None, problem: None, loaded, breakdowns: None, runs: 0, others }
    }

    /// This is the version that lies where the configuration says.
    fn has(&mut self, digest: String, vetted: Vetted) {
        self.runs = self.others.iter().filter(|other| other.digest == digest).map(|other| other.runs).sum();
        self.others.retain(|other| other.digest != digest);
        (self.digest, self.found) = (Some(digest), Some(vetted));
    }

    fn text(&self) -> String {
        let named = |version: &Option<String>, digest: &str| {
            format!("{} ({digest:.12})", version.as_deref().unwrap_or("a version"))
        };
        let runs = |runs: u64| format!("{} live", render::count(runs, "run"));
        let mut text = match (&self.found, &self.digest) {
            (Some(found), Some(digest)) => {
                format!("plugin {} {} ({digest:.12}), {}\n", self.id, found.version, runs(self.runs))
            }
            _ => format!("plugin {}\n", self.id),
        };
        let mut field = |name: &str, lines: &[String]| {
            for (number, line) in lines.iter().enumerate() {
                text.push_str(&format!("  {:<12} {line}\n", if number == 0 { name } else { "" }));
            }
        };
        let names = |names: &[String]| if names.is_empty() { Vec::new() } else { vec![names.join(", ")] };
        if let Some(found) = &self.found {
            field("component", &[found.component.display().to_string()]);
            field("agents", &names(&found.agents));
            field("tools", &names(&found.tools));
            field("asks to", &render::authority(&found.asks));
            if found.not_allowed.is_empty() {
                field("may do", &["all of it".to_owned()]);
            } else {
                field("may not", &found.not_allowed);
            }
        }
        field("problem", self.problem.as_slice());
        if let Some(Breakdowns { in_a_row, why, left: Some(left), .. }) = &self.breakdowns {
            let (left, runs) = (render::duration(*left), render::count(*in_a_row, "run"));
            field(
                "paused",
                &[
                    format!("for {left}: {runs} in a row failed, the last because {why}"),
                    format!("new runs wait; `sublane plugin reload {}` lifts it", self.id),
                ],
            );
        }
        match &self.loaded {
            Some(loaded) if Some(&loaded.digest) != self.digest.as_ref() => {
                let has = named(&loaded.version, &loaded.digest);
                let hint = format!("{has} until `sublane plugin reload {}`", self.id);
                field("the host has", &[hint]);
            }
            _ => {}
        }
        for other in &self.others {
            field("still", &[format!("{}: {}", named(&other.version, &other.digest), runs(other.runs))]);
        }
        text
    }
}
