//! The rules of the journal: what an entry is, where it stands, and what a
//! replay may do with it.
//!
//! Owns the one table that gives each import its class; the host functions,
//! the WIT's documentation and a test share it. Never stores anything.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::grants::LimitHit;
use crate::hook::CallAnswer;
use crate::id::RunId;
use crate::poll::Ending;
use crate::time::Timestamp;

/// Version of the encoding of arguments that [`Entry::args`] hashes.
pub const ENCODING_VERSION: u8 = 1;

/// Default bound on the entries of one journal.
pub const MAX_ENTRIES: u32 = 50_000;
/// Default bound on the bytes of the answers in one journal.
pub const MAX_BYTES: u64 = 64 << 20;

/// How much a journal may hold: each attempt has it in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: u32,
    /// Bytes of their answers. The one that passes them is written, and the last.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: MAX_ENTRIES, bytes: MAX_BYTES }
    }
}

/// Where an entry stands: its number in the run, or, below a tool call, the
/// call's path and its number in the call. Numbers start at 1. Paths order as their bytes do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<u8>);

impl Path {
    /// The path of the run itself, above its first entry.
    #[must_use]
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// The place number `seq` directly below.
    #[must_use]
    pub fn then(&self, seq: u32) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 4);
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&seq.to_be_bytes());
        Self(bytes)
    }

    /// How many tool calls the path lies inside: 0 for the run's own entries.
    #[must_use]
    pub fn call_depth(&self) -> u32 {
        u32::try_from((self.0.len() / 4).saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Where what an earlier generation left stands, from 1: before all that this one does.
    #[must_use]
    pub fn left(number: u32) -> Self {
        Self::root().then(0).then(number)
    }

    /// Whether it is of what an earlier generation left.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.is_below(&Self::root().then(0))
    }

    /// Whether `self` lies below `other` (and is not it).
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    /// The stored form: four bytes for each number, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A path from its stored form; `None` when the length is no multiple of four.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.len().is_multiple_of(4).then(|| Self(bytes.to_vec()))
    }
}

impl fmt::Display for Path {
    /// `3.1`: entry 1 of the tool call that is entry 3.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, chunk) in self.0.chunks_exact(4).enumerate() {
            let seq = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
            write!(f, "{}{seq}", if n == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut path = Self::root();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            path = path.then(part.parse().map_err(serde::de::Error::custom)?);
        }
        Ok(path)
    }
}

/// What becomes of an import's result. See the WIT's `types` interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportClass {
    /// No entry of its own; the same answer on replay by construction.
    Local,
    /// Done, then its result made durable.
    Effect,
    /// Its rows and its entry are one commit.
    Command,
    /// A row, until it is decided.
    Wait,
}

macro_rules! imports {
    ($($variant:ident $name:literal $class:ident),* $(,)?) => {
        /// Every import that the host serves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Import { $(#[doc = concat!("`", $name, "`")] $variant),* }

        impl Import {
            /// All of them, in the order of the WIT files.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// `interface.function`, as the journal stores it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its class: the one table that code, documentation and a test share.
            #[must_use]
            pub const fn class(self) -> ImportClass {
                match self { $(Self::$variant => ImportClass::$class),* }
            }

            /// The import of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

imports! {
    Spawn "subagent.spawn-subagent" Command,
    SpawnWithRetry "subagent.spawn-with-retry" Command,
    Wait "subagent.wait" Wait,
    Status "subagent.status" Effect,
    Children "subagent.children" Effect,
    Send "subagent.send" Command,
    Receive "subagent.receive" Wait,
    Cancel "subagent.cancel" Command,
    ListTools "tools.list-tools" Effect,
    CallTool "tools.call-tool" Effect,
    Progress "progress.report" Local,
    Deliver "delivery.send" Command,
    ArtifactCreate "artifact.create" Local,
    ArtifactWrite "artifact.writer.write" Local,
    ArtifactFinish "artifact.writer.finish" Command,
    ArtifactSize "artifact.reader.size" Local,
    ArtifactRead "artifact.reader.read" Local,
    ArtifactOpen "artifact.open" Effect,
    KvGet "kv.get" Effect,
    KvSet "kv.set" Command,
    KvSetIf "kv.set-if" Command,
    KvDelete "kv.delete" Command,
    KvListKeys "kv.list-keys" Effect,
    FilesRead "files.read" Effect,
    FilesWrite "files.write" Effect,
    FilesSetSize "files.set-size" Effect,
    FilesListEntries "files.list-entries" Effect,
    FilesStat "files.stat" Effect,
    FilesCreateDir "files.create-dir" Effect,
    FilesRename "files.rename" Effect,
    FilesRemove "files.remove" Effect,
    HttpSend "http.send" Effect,
    HttpUndo "http.undo" Command,
    SecretPlaceholder "secret.placeholder" Effect,
    Sleep "timer.sleep" Wait,
    Until "timer.until" Wait,
    WaitAny "wait.any" Wait,
    PollUntil "poll.until" Wait,
    HookOpen "hook.open" Command,
    HookWait "hook.wait" Wait,
    HookClose "hook.close" Command,
    JournalUsed "journal.used" Effect,
    ContinueAsNew "journal.continue-as-new" Command,
    Log "log.write" Local,
    Now "clock.now" Local,
    Deadline "clock.deadline" Local,
    Random "random.bytes" Local,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Import {
    /// Whether its answer is a [`SpawnAnswer`].
    #[must_use]
    pub fn spawns(self) -> bool {
        matches!(self, Self::Spawn | Self::SpawnWithRetry)
    }
}

/// One line of a journal: what was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub path: Path,
    /// What was called.
    pub import: Import,
    /// Hash of the arguments, see [`hash_args`].
    pub args: u128,
    /// The result as JSON text, exactly as the guest got it, errors included.
    pub result: Arc<str>,
    /// When it was decided; the run's clock afterwards.
    pub at: Timestamp,
}

/// Why an import was not served; the WIT's `error`, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ImportError {
    /// The caller's grants do not cover it.
    #[error("denied: {0}")]
    Denied(String),
    /// A limit was met.
    #[error("{0}")]
    Limit(LimitHit),
    /// The arguments are not what the call takes.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Within the grants, but there is no such thing.
    #[error("not found")]
    NotFound,
    /// Try again, after so many milliseconds.
    #[error("unavailable")]
    Unavailable(Option<u64>),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The host failed; the id finds the reason in its log.
    #[error("internal error {0}")]
    Internal(String),
}

/// The result of an import as the journal keeps it: `{"Ok":…}` or `{"Err":…}`.
pub type Answer<T> = Result<T, ImportError>;

/// The stored form of an answer.
#[must_use]
pub fn encode<T: Serialize>(answer: &Answer<T>) -> Arc<str> {
    serde_json::to_string(answer).expect("answers have string keys only").into()
}

/// An answer from its stored form.
///
/// # Errors
/// When the text is not an answer of this type: the journal was made by a
/// newer version, or is damaged.
pub fn decode<T: serde::de::DeserializeOwned>(entry: &Entry) -> Result<Answer<T>, serde_json::Error> {
    serde_json::from_str(&entry.result)
}

/// What a `subagent.wait` came to. Outcomes are read from the runs' own rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// The runs that had ended, in the order in which they were named.
    pub ended: Vec<RunId>,
    /// Whether the time-out came first.
    pub timed_out: bool,
}

/// What a `wait.any` came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyAnswer {
    /// Which of the sources it was, from 0 in the caller's order.
    pub index: u32,
    /// What it brought.
    pub woken: Woken,
}

/// What a source of a `wait.any` brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Woken {
    /// The instant has come.
    Until,
    /// The runs that had ended, in the order in which they were named.
    Runs(Vec<RunId>),
    /// A message, JSON text.
    Message(Arc<str>),
    /// How a poll plan ended.
    Poll(Ending),
    /// A call of a hook.
    Call(CallAnswer),
}

/// What a `subagent.spawn-subagent`, or one with a retry policy, came to. The rest of the receipt is in the child's own row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnAnswer {
    /// The child.
    pub run: RunId,
    /// Whether the dedupe key found it.
    pub duplicate: bool,
    /// Runs before it in its lane.
    pub position: u32,
}

/// The hash of an import's arguments in encoding version [`ENCODING_VERSION`]:
/// each part is preceded by its length, so that no two lists of parts run together.
#[must_use]
pub fn hash_args(import: Import, parts: &[&[u8]]) -> u128 {
    /// Up to here a copy is cheaper than a hasher that is fed by pieces. The hash is the same.
    const COPIED_BYTES: usize = 4 << 10;
    let name = import.name().as_bytes();
    let bytes = parts.iter().fold(1 + name.len(), |sum, part| sum + 8 + part.len());
    if bytes <= COPIED_BYTES {
        let mut copy = Vec::with_capacity(bytes);
        feed(name, parts, |piece| copy.extend_from_slice(piece));
        return xxhash_rust::xxh3::xxh3_128(&copy);
    }
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    feed(name, parts, |piece| hasher.update(piece));
    hasher.digest128()
}

fn feed(name: &[u8], parts: &[&[u8]], mut to: impl FnMut(&[u8])) {
    to(&[ENCODING_VERSION]);
    to(name);
    for part in parts {
        to(&(part.len() as u64).to_le_bytes());
        to(part);
    }
}

/// A guest did, on replay, something else than its journal holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "at journal entry {path} the guest called {called} with arguments {called_args:032x}, \
     but the journal holds {held} with arguments {held_args:032x}"
)]
pub struct Nondeterministic {
    /// Where.
    pub path: Path,
    /// What the guest called now.
    pub called: Import,
    /// With arguments of this hash.
    pub called_args: u128,
    /// What the journal holds.
    pub held: Import,
    /// With arguments of this hash.
    pub held_args: u128,
}

/// Compares what a guest calls now with what its journal holds at the same place.
///
/// # Errors
/// [`Nondeterministic`] shows both sides.
pub fn replay(held: &Entry, called: Import, called_args: u128) -> Result<&Entry, Nondeterministic> {
    if held.import == called && held.args == called_args {
        return Ok(held);
    }
    Err(Nondeterministic {
        path: held.path.clone(),
        called,
        called_args,
        held: held.import,
        held_args: held.args,
    })
}

/// Bytes as base64, where JSON is kept.
pub(crate) mod base64_bytes {
    use std::borrow::Cow;
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Arc::from).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_imports_are_one_to_one() {
        for import in Import::ALL {
            assert_eq!(Import::from_name(import.name()), Some(*import));
        }
    }

    #[test]
    fn paths_order_as_the_journal_does() {
        let call = Path::root().then(3);
        assert_eq!(call.then(12).to_string(), "3.12");
        assert!(call < call.then(1) && call.then(1) < Path::root().then(4));
        assert!(call.then(1).is_below(&call) && !call.is_below(&call));
        assert_eq!(Path::from_bytes(call.then(1).as_bytes()), Some(call.then(1)));
    }

    #[test]
    fn arguments_have_the_hash_that_journals_hold() {
        let large = vec![7; 5 << 10];
        let calls: [(Import, &[&[u8]], &str); 4] = [
            (Import::KvGet, &[], "a06b7fd5b232e7422da0d5392d3e619e"),
            (Import::Wait, &[b"abc", b"any"], "54e0638e5352f7c4dd6864024fba2efb"),
            (Import::Spawn, &[&large[..300]], "e0b8e26c50058c8e8c6be18714a38e94"),
            (Import::Spawn, &[&large], "807246bf9d7b9d7bca3456eee36c1a3d"),
        ];
        for (import, parts, hash) in calls {
            assert_eq!(format!("{:032x}", hash_args(import, parts)), hash);
            let mut hasher = xxhash_rust::xxh3::Xxh3::new();
            feed(import.name().as_bytes(), parts, |piece| hasher.update(piece));
            assert_eq!(format!("{:032x}", hasher.digest128()), hash, "by pieces");
        }
    }

    #[test]
    fn arguments_do_not_run_together() {
        assert_ne!(hash_args(Import::KvGet, &[b"ab", b"c"]), hash_args(Import::KvGet, &[b"a", b"bc"]));
        assert_ne!(hash_args(Import::KvGet, &[b"a"]), hash_args(Import::KvDelete, &[b"a"]));
    }

    #[test]
    fn a_different_call_shows_both_sides() {
        let held = Entry {
            path: Path::root().then(2),
            import: Import::KvGet,
            args: 1,
            result: "null".into(),
            at: Timestamp(0),
        };
        assert!(replay(&held, Import::KvGet, 1).is_ok());
        let error = replay(&held, Import::Spawn, 2).expect_err("another import");
        assert!(error.to_string().contains("subagent.spawn-subagent"), "{error}");
        assert!(error.to_string().contains("kv.get"), "{error}");
    }
}
