//! A run as one file: all that another machine needs to execute it again from its journal.
//!
//! Owns the form of the file, and what may change about it: docs/operating.md says it to people.
//! A field that this version does not know is passed over, one that it misses has a default, and
//! what it cannot understand (a newer format, an import) is an error that says who wrote it. Values
//! of secrets are in no journal, and files of artifacts are not in it. Never executes anything.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use sublane_core::journal::{ENCODING_VERSION, SpawnAnswer, decode};
use sublane_core::run::RunState;
use sublane_core::{
    ArtifactRef, ConversationId, Destination, Entry, Grants, Import, Lifetime, Outcome, Path, Priority,
    Purse, Run, RunId, RunSpec, Timestamp,
};
use sublane_store::{LogLevel, LogLine, Store, StoreError};

use crate::bounded::MAX_COMPONENT_BYTES;
use crate::journal::{CALL_NOTE, seed_of_generation};
use crate::plugin::kept::Kept;
use crate::plugin::{Files, digest};

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// Bytes of a file that is read: a journal, its components, and what base64 makes of them.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ExportedError {
    /// It is no JSON, or a part of it is not what it should be.
    #[error("it is no exported run, or it is damaged: {0}")]
    Damaged(String),
    /// A newer version wrote it.
    #[error(
        "it has format {found} and was written by sublane {by}; this version reads up to format {FORMAT}: \
         replay it with a sublane that is at least as new"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// What wrote it.
        by: String,
    },
    /// The hashes of its arguments were made in another way.
    #[error(
        "its journal hashes arguments in encoding {found} and was written by sublane {by}; this version \
         knows encoding {ENCODING_VERSION}"
    )]
    Encoding {
        /// Its encoding.
        found: u8,
        /// What wrote it.
        by: String,
    },
    /// An entry names an import that is not known.
    #[error(
        "journal entry {path} is an answer of `{import}`, which this version does not know; \
         sublane {by} wrote it: replay it with a sublane that is at least as new"
    )]
    Import {
        /// The entry.
        path: Path,
        /// What it names.
        import: String,
        /// What wrote it.
        by: String,
    },
}

/// What is read first, whatever the rest is.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default = "somebody")]
    written_by: String,
    #[serde(default = "first_encoding")]
    encoding: u8,
}

fn somebody() -> String {
    "of unknown version".to_owned()
}

fn first_encoding() -> u8 {
    1
}

/// A run with its journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    /// The format, see [`FORMAT`].
    pub format: u32,
    /// The version of Sublane that wrote it.
    #[serde(default = "somebody")]
    pub written_by: String,
    /// How arguments are hashed, see [`ENCODING_VERSION`].
    #[serde(default = "first_encoding")]
    pub encoding: u8,
    /// The run.
    pub run: RunDoc,
    /// What it waits for, in words, if it waits.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// The journal of its generation, in order.
    pub entries: Vec<EntryDoc>,
    /// The runs that it spawned: what is told of them is read from their rows.
    #[serde(default)]
    pub spawned: Vec<RunDoc>,
    /// The files that it wrote or gave back, by id and size: what is in them is not here.
    #[serde(default)]
    pub artifacts: Vec<ArtifactRef>,
    /// What its plugins logged.
    #[serde(default)]
    pub log: Vec<LineDoc>,
    /// The versions of plugins that it needs.
    #[serde(default)]
    pub plugins: Vec<PluginDoc>,
}

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunDoc {
    id: RunId,
    #[serde(default)]
    parent: Option<RunId>,
    lifetime: Lifetime,
    conversation: ConversationId,
    origin: Destination,
    plugin: String,
    agent: String,
    plugin_digest: String,
    name: String,
    lane: String,
    #[serde(default)]
    priority: Priority,
    depth: u32,
    input: Arc<str>,
    #[serde(default)]
    artifacts: Vec<ArtifactRef>,
    grants: Grants,
    purse: Purse,
    #[serde(default)]
    destinations: Vec<Destination>,
    created: Timestamp,
    #[serde(default)]
    dedupe_key: Option<String>,
    #[serde(default)]
    spawner: String,
    /// Of its generation: 64 digits, hex.
    seed: String,
    #[serde(default)]
    generation: u32,
    #[serde(default)]
    attempt: u32,
    begun: Timestamp,
    /// `queued`, `running`, `waiting`, `closing`, `ended`, `delayed`: where it stood.
    state: String,
    /// How it ended.
    #[serde(default)]
    outcome: Option<Outcome>,
    since: Timestamp,
}

/// An entry of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryDoc {
    path: Path,
    import: String,
    /// 32 digits, hex.
    args: String,
    result: Arc<str>,
    at: Timestamp,
}

/// A line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LineDoc {
    at: Timestamp,
    level: LogLevel,
    #[serde(default)]
    plugin: Option<Arc<str>>,
    line: Arc<str>,
}

/// A version of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginDoc {
    /// Its digest: component and manifest.
    pub digest: String,
    /// `plugin.toml`.
    pub manifest: String,
    /// The component: zlib, then base64.
    component: String,
}

impl RunDoc {
    /// A run as it is stored.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let spec = run.spec.as_ref().clone();
        let outcome = match &run.state {
            RunState::Ended { outcome, .. } | RunState::Closing { outcome } => Some(outcome.clone()),
            _ => None,
        };
        Self {
            id: spec.id,
            parent: spec.parent,
            lifetime: spec.lifetime,
            conversation: spec.conversation,
            origin: spec.origin,
            plugin: spec.plugin,
            agent: spec.agent,
            plugin_digest: spec.plugin_digest,
            name: spec.name,
            lane: spec.lane,
            priority: spec.priority,
            depth: spec.depth,
            input: spec.input,
            artifacts: spec.artifacts,
            grants: spec.grants,
            purse: spec.purse,
            destinations: spec.destinations,
            created: spec.created,
            dedupe_key: spec.dedupe_key,
            spawner: spec.spawner,
            seed: blake3::Hash::from_bytes(seed_of_generation(run)).to_hex().to_string(),
            generation: run.generation,
            attempt: run.attempt,
            begun: run.begun,
            state: run.state.kind().to_owned(),
            outcome,
            since: run.since,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Where it stood.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The run for a replay, which nobody claims: as if ended, with its outcome if it has one.
    ///
    /// # Errors
    /// [`ExportedError::Damaged`] when its seed is none.
    pub fn run(&self) -> Result<Run, ExportedError> {
        // No hash: written as one, since both are 32 bytes.
        let seed = blake3::Hash::from_hex(&self.seed)
            .map_err(|_| ExportedError::Damaged(format!("the seed of run {} is none", self.id)))?;
        let doc = self.clone();
        let spec = RunSpec {
            id: doc.id,
            parent: doc.parent,
            lifetime: doc.lifetime,
            conversation: doc.conversation,
            origin: doc.origin,
            plugin: doc.plugin,
            agent: doc.agent,
            plugin_digest: doc.plugin_digest,
            name: doc.name,
            lane: doc.lane,
            priority: doc.priority,
            depth: doc.depth,
            input: doc.input,
            artifacts: doc.artifacts,
            grants: doc.grants,
            purse: doc.purse,
            destinations: doc.destinations,
            created: doc.created,
            dedupe_key: doc.dedupe_key,
            spawner: doc.spawner,
            seed: seed.into(),
            retry: None,
        };
        let outcome = doc.outcome.unwrap_or(Outcome::Cancelled { reason: "it lived".into() });
        let state = RunState::Ended { outcome, at: doc.since };
        let (generation, attempt, begun, since) = (doc.generation, doc.attempt, doc.begun, doc.since);
        Ok(Run { state, generation, attempt, begun, since, ..Run::queued(spec) })
    }
}

impl PluginDoc {
    /// The component's bytes.
    ///
    /// # Errors
    /// [`ExportedError::Damaged`] when they and the manifest are not what the digest says.
    pub fn component(&self) -> Result<Vec<u8>, ExportedError> {
        let damaged = |why: String| ExportedError::Damaged(format!("component {}: {why}", self.digest));
        let packed = STANDARD.decode(&self.component).map_err(|error| damaged(error.to_string()))?;
        let mut wasm = Vec::new();
        // One that is longer is not what its digest says.
        let read = ZlibDecoder::new(packed.as_slice()).take(MAX_COMPONENT_BYTES).read_to_end(&mut wasm);
        read.map_err(|error| damaged(error.to_string()))?;
        if digest(blake3::hash(&wasm), self.manifest.as_bytes()) != self.digest {
            let why = format!("plugin version {} is not what its digest says", self.digest);
            return Err(ExportedError::Damaged(why));
        }
        Ok(wasm)
    }

    fn of(files: &Files) -> Option<Self> {
        Some(Self {
            digest: files.digest(),
            manifest: String::from_utf8(files.manifest.clone()).ok()?,
            component: STANDARD.encode(packed(files.wasm().ok()?).ok()?),
        })
    }
}

fn packed(wasm: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(wasm)?;
    encoder.finish()
}

impl Exported {
    /// A run of this store, with the versions that it needs where they are kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(store: &dyn Store, run: &Run, kept: Option<&Kept>) -> Result<Self, StoreError> {
        let id = run.spec.id;
        let entries = store.journal(id, run.generation).await?;
        let mut spawned = Vec::new();
        let mut artifacts = Vec::new();
        for entry in &entries {
            if entry.import.spawns()
                && let Ok(Ok(SpawnAnswer { run, .. })) = decode(entry)
                && let Some(child) = store.run(run).await?
            {
                spawned.push(RunDoc::of(&child));
            }
            // What it wrote itself; what others gave it is in their own outcomes.
            if entry.import == Import::ArtifactFinish
                && let Ok(Ok(file)) = decode::<ArtifactRef>(entry)
            {
                artifacts.push(file);
            }
        }
        if let Some(Outcome::Succeeded(output)) = run.outcome() {
            artifacts.extend(output.artifacts.iter().cloned());
        }
        let waits_for = match run.is_ended() {
            true => None,
            false => store.wait_of(id).await?.map(|wait| wait.import.name().to_owned()),
        };
        let log = store.logs(id, 0).await?.into_iter().filter(|line| line.generation == run.generation);
        let plugins = kept.map(|kept| needed(run, &entries, kept)).unwrap_or_default();
        Ok(Self {
            format: FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            encoding: ENCODING_VERSION,
            run: RunDoc::of(run),
            waits_for,
            entries: entries.iter().map(EntryDoc::of).collect(),
            spawned,
            artifacts,
            log: log.map(LineDoc::of).collect(),
            plugins,
        })
    }

    /// Reads what [`Self::to_json`] gave, or an older version's.
    ///
    /// # Errors
    /// [`ExportedError`].
    pub fn parse(text: &[u8]) -> Result<Self, ExportedError> {
        let damaged = |error: serde_json::Error| ExportedError::Damaged(error.to_string());
        let head: Head = serde_json::from_slice(text).map_err(damaged)?;
        if head.format > FORMAT {
            return Err(ExportedError::Newer { found: head.format, by: head.written_by });
        }
        if head.encoding != ENCODING_VERSION {
            return Err(ExportedError::Encoding { found: head.encoding, by: head.written_by });
        }
        let exported: Self = serde_json::from_slice(text).map_err(damaged)?;
        exported.run.run()?;
        exported.journal()?;
        Ok(exported)
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it has string keys");
        text.push('\n');
        text
    }

    /// The journal.
    ///
    /// # Errors
    /// [`ExportedError`] says which entry cannot be understood.
    pub fn journal(&self) -> Result<Vec<Entry>, ExportedError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for doc in &self.entries {
            let entry = doc.entry(&self.written_by)?;
            if entries.last().is_some_and(|last| last.path >= entry.path) {
                let why = format!("journal entry {} does not come after the one before it", entry.path);
                return Err(ExportedError::Damaged(why));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// The versions that a replay executes: the agent's, and those of tool calls that were begun.
fn needed(run: &Run, entries: &[Entry], kept: &Kept) -> Vec<PluginDoc> {
    let mut digests = vec![run.spec.plugin_digest.clone()];
    for entry in entries {
        let is_note = entry.path.as_bytes().ends_with(&CALL_NOTE.to_be_bytes());
        if is_note && let Ok(Ok(digest)) = decode::<String>(entry) {
            digests.push(digest);
        }
    }
    digests.sort();
    digests.dedup();
    digests.iter().filter_map(|digest| PluginDoc::of(&kept.read(digest).ok()?)).collect()
}

impl EntryDoc {
    fn of(entry: &Entry) -> Self {
        Self {
            path: entry.path.clone(),
            import: entry.import.name().to_owned(),
            args: format!("{:032x}", entry.args),
            result: entry.result.clone(),
            at: entry.at,
        }
    }

    fn entry(&self, by: &str) -> Result<Entry, ExportedError> {
        let damaged = |why: String| ExportedError::Damaged(format!("journal entry {}: {why}", self.path));
        if self.path == Path::root() {
            return Err(ExportedError::Damaged("a journal entry has no path".to_owned()));
        }
        let import = Import::from_name(&self.import).ok_or_else(|| ExportedError::Import {
            path: self.path.clone(),
            import: self.import.clone(),
            by: by.to_owned(),
        })?;
        let args = u128::from_str_radix(&self.args, 16);
        let args = args.map_err(|error| damaged(format!("its hash: {error}")))?;
        if let Err(error) = serde_json::from_str::<Result<serde_json::Value, serde_json::Value>>(&self.result)
        {
            return Err(damaged(format!("its result: {error}")));
        }
        Ok(Entry { path: self.path.clone(), import, args, result: self.result.clone(), at: self.at })
    }
}

impl LineDoc {
    fn of(line: LogLine) -> Self {
        Self { at: line.at, level: line.level, plugin: line.plugin, line: line.line }
    }
}

#[cfg(test)]
mod tests;
