//! A run that was exported is executed again, from its journal and nothing else.
//!
//! Owns the host that it takes for that: one without lanes, channels, doors and secrets, on a store
//! in memory, with a directory that goes when it ends. The run itself goes the way of every attempt;
//! that it is sealed is `runner`'s. Never reads a configuration, never reaches another machine.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sublane_core::{Failure, Outcome, RunId, Timestamp};
use sublane_store::{Backend as _, Model, Rows};
use tokio::runtime::Handle;

use crate::attempt::Witness;
use crate::channel::Channels;
use crate::clock::ManualClock;
use crate::config::PluginConfig;
use crate::directories::Directories;
use crate::engine::cache::Cache;
use crate::engine::compile::Compiler;
use crate::engine::{Engines, PoolSizes};
use crate::exported::{Exported, ExportedError, RunDoc};
use crate::host::{Host, Parts, Settings};
use crate::machine::Disk;
use crate::plugin::{Allow, Plugins};
use crate::runner;
use crate::secrets::Secrets;
use crate::versions::{Source, Versions};

pub use crate::runner::CameTo;

/// Why a run is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file is not what it should be.
    #[error(transparent)]
    Exported(#[from] ExportedError),
    /// The component is neither in the file nor named.
    #[error("the file has no component of {0}: name the component with --component")]
    NoComponent(String),
    /// The component has no such agent.
    #[error("the component has no agent {0}")]
    NoAgent(String),
    /// A plugin cannot be loaded.
    #[error("the plugin cannot be loaded")]
    Load(#[source] Box<crate::plugin::LoadError>),
    /// This machine does not go along.
    #[error("it cannot be replayed here")]
    Here(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn here(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ReplayError {
    ReplayError::Here(error.into())
}

/// No configuration names plugins.
struct Nothing;

impl Source for Nothing {
    fn plugins(&self) -> Result<BTreeMap<String, PluginConfig>, String> {
        Ok(BTreeMap::new())
    }
}

/// Whether what a replay came to agrees with how the run ended. What ended a run from outside (its
/// deadline, an operator, a host that stopped) does so where its journal ends, and no replay repeats it.
#[must_use]
pub fn agrees(recorded: &RunDoc, came_to: &CameTo) -> bool {
    match (recorded.outcome(), came_to) {
        (_, CameTo::Stopped) => true,
        (_, CameTo::Fault(_)) => false,
        (Some(Outcome::Succeeded(then)), CameTo::Ended(Outcome::Succeeded(now))) => then == now,
        (Some(Outcome::Failed { reason: then, .. }), CameTo::Ended(Outcome::Failed { reason: now, .. })) => {
            then == now
        }
        // It was executing: where it would have come to, it had not written yet.
        (None, CameTo::Ended(outcome)) => {
            recorded.state() != "waiting"
                && !matches!(outcome, Outcome::Failed { reason: Failure::Nondeterministic, .. })
        }
        (None, CameTo::Continued) => true,
        (None | Some(Outcome::TimedOut | Outcome::Cancelled { .. }), CameTo::JournalEnd(..)) => true,
        (Some(Outcome::Failed { reason, .. }), CameTo::JournalEnd(..)) => matches!(
            reason,
            Failure::CrashLooping
                | Failure::JournalFull
                | Failure::OutOfCpu
                | Failure::OutOfCalls
                | Failure::PluginUnavailable
                | Failure::Nondeterministic
        ),
        _ => false,
    }
}

/// Executes the run again, on the component at `component` instead of its own if one is named.
/// `witness` is told each call. Components are compiled by `compiler`.
///
/// # Errors
/// [`ReplayError`]; then nothing was executed.
pub async fn replay(
    exported: &Exported,
    component: Option<&Path>,
    witness: Arc<dyn Witness>,
    compiler: Compiler,
    io: &Handle,
) -> Result<CameTo, ReplayError> {
    let run = exported.run.run()?;
    let entries = exported.journal()?;
    let place = tempfile::tempdir().map_err(here)?;
    let cache = Cache::open(&place.path().join("cache")).map_err(here)?.compiled_by(compiler);
    let pools = PoolSizes { small: 24, large: 5, ..PoolSizes::default() };
    let engines = Engines::new(pools).map_err(|error| here(format!("{error:#}")))?;
    let versions = Versions::open(engines, cache, &place.path().join("components")).map_err(here)?;
    let now = entries.iter().map(|entry| entry.at).max().unwrap_or(run.begun).max(run.begun);
    let mut plugins = Plugins::default();
    let mut own = None;
    for (number, doc) in exported.plugins.iter().enumerate() {
        let directory = place.path().join(format!("plugin-{number}"));
        let path = write(&directory, &doc.component()?, &doc.manifest).map_err(here)?;
        let plugin = load(&versions, &path, now).await?;
        if plugin.is(&run.spec.plugin_digest) {
            own = Some(plugin.clone());
        }
        plugins.insert(plugin);
    }
    if let Some(path) = component {
        own = Some(load(&versions, path, now).await?);
    }
    let own = own.ok_or_else(|| ReplayError::NoComponent(run.spec.agent_name()))?;
    if own.agent(Some(&run.spec.agent)).is_none() {
        return Err(ReplayError::NoAgent(run.spec.agent_name()));
    }
    let secrets = Secrets::read(&BTreeMap::new()).map_err(here)?;
    let model = Arc::new(Model::default());
    let parts = Parts {
        store: model.clone(),
        versions,
        plugins,
        source: Arc::new(Nothing),
        channels: std::iter::empty().collect::<Channels>(),
        lanes: Vec::new(),
        artifacts: place.path().join("artifacts"),
        directories: Directories::open(&BTreeMap::new()).map_err(here)?,
        http: crate::http::Client::new(crate::http::Settings::default(), secrets.redactor().clone())
            .map_err(here)?,
        hooks: None,
        secrets,
        clock: Arc::new(ManualClock::at(now)),
        disk: Disk::of(place.path(), 0),
        asked: None,
        settings: Settings { pools, guest_threads: 1, ..Settings::default() },
        answers: HashMap::new(),
    };
    let host = Host::start(parts, io).await.map_err(here)?;
    fill(&model, exported, &run).await?;
    let came_to = runner::replay(&host.inner, &run, &own, entries, witness).await;
    host.stop().await;
    Ok(came_to)
}

async fn load(
    versions: &Versions,
    path: &Path,
    now: Timestamp,
) -> Result<Arc<crate::plugin::Plugin>, ReplayError> {
    versions.load(path, &Allow::Asked, now).await.map_err(|error| ReplayError::Load(Box::new(error)))
}

fn write(directory: &Path, component: &[u8], manifest: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir(directory)?;
    std::fs::write(directory.join("plugin.toml"), manifest)?;
    let path = directory.join("component.wasm");
    std::fs::write(&path, component)?;
    Ok(path)
}

/// The rows that answers of a journal refer to.
async fn fill(model: &Model, exported: &Exported, run: &sublane_core::Run) -> Result<(), ReplayError> {
    let spawned: Result<Vec<_>, _> = exported.spawned.iter().map(RunDoc::run).collect();
    let (own, spawned, artifacts) = (run.clone(), spawned?, exported.artifacts.clone());
    let filled = model.write(move |rows: &mut dyn Rows| {
        rows.insert_run(&own)?;
        let mut known: Vec<RunId> = vec![own.spec.id];
        for child in &spawned {
            if !known.contains(&child.spec.id) {
                known.push(child.spec.id);
                rows.insert_run(child)?;
            }
        }
        artifacts.iter().try_for_each(|file| rows.link_artifact(own.spec.id, file))
    });
    filled.await.map_err(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublane_core::{Import, Output, Path};

    fn recorded(state: &str, outcome: Option<Outcome>) -> RunDoc {
        let caps = serde_json::json!({ "caps": { "deadline": 9, "memory_bytes": 1 } });
        let id = "AAAAAAAAAAAAAAAAAAAAAA";
        let doc = serde_json::json!({
            "id": id, "lifetime": "detached", "conversation": id, "origin": "console:test", "plugin": "film",
            "agent": "render", "plugin_digest": "", "name": "film", "lane": "main", "depth": 0, "input": "1",
            "grants": caps, "purse": {}, "created": 1, "seed": "00", "begun": 1, "since": 1, "state": state,
            "outcome": outcome,
        });
        serde_json::from_value(doc).expect("a run")
    }

    #[test]
    fn an_ending_from_outside_comes_where_the_journal_ends() {
        let end = CameTo::JournalEnd(Path::root().then(3), Import::KvGet);
        let done = |value: &str| {
            Outcome::Succeeded(Output { value: value.into(), text: None, artifacts: Vec::new() })
        };
        let ended = |outcome: Outcome| recorded("ended", Some(outcome));
        assert!(agrees(&recorded("waiting", None), &end) && agrees(&ended(Outcome::TimedOut), &end));
        assert!(!agrees(&ended(done("1")), &end), "it went further than it did");
        assert!(!agrees(&ended(done("1")), &CameTo::Ended(done("2"))));
        assert!(agrees(&ended(done("1")), &CameTo::Ended(done("1"))));
        let trapped = CameTo::Ended(Outcome::failed(Failure::Trapped, "there"));
        assert!(agrees(&ended(Outcome::failed(Failure::Trapped, "here")), &trapped));
        assert!(!agrees(&recorded("waiting", None), &trapped), "it waited");
        assert!(agrees(&recorded("running", None), &trapped), "nobody had written it yet");
        assert!(!agrees(&recorded("running", None), &CameTo::Fault("no file".to_owned())));
    }
}
