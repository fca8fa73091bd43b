//! What a child may do: what is asked for, and what it gets.
//!
//! Owns the builder of a scope. Never checks one: the host does, against the
//! grants of the run that asks.

use std::time::{Duration, SystemTime};

use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::time::{instant, millis};

pub use raw::{KvScope, SpawnScope, ToolScope};

/// Authority wanted for a child. A new one asks for nothing.
///
/// What is asked for and not covered by the run's own grants is
/// [`Error::Denied`](crate::Error::Denied) by name, never dropped in silence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Scope(pub(super) raw::Scope);

impl Default for Scope {
    fn default() -> Self {
        Self::new()
    }
}

impl Scope {
    /// Nothing, but half of the run's guest CPU.
    pub fn new() -> Self {
        Self(raw::Scope {
            spawn: None,
            channels: Vec::new(),
            tools: Vec::new(),
            kv: Vec::new(),
            artifacts: false,
            artifact_bytes: None,
            cpu: None,
            memory_bytes: None,
        })
    }

    /// The child may spawn, within these bounds.
    pub fn spawn(mut self, spawn: SpawnScope) -> Self {
        self.0.spawn = Some(spawn);
        self
    }

    /// The child may deliver to these by itself: `origin`, or `channel:address`.
    pub fn channels<D: Into<String>>(mut self, destinations: impl IntoIterator<Item = D>) -> Self {
        self.0.channels.extend(destinations.into_iter().map(Into::into));
        self
    }

    /// The child may call these tools of a plugin; none named are all of them.
    pub fn tools<T: Into<String>>(
        mut self,
        plugin: impl Into<String>,
        tools: impl IntoIterator<Item = T>,
    ) -> Self {
        let tools = tools.into_iter().map(Into::into).collect();
        self.0.tools.push(ToolScope { plugin: plugin.into(), tools });
        self
    }

    /// The child may read keys of a bucket that start with `prefix`; empty is all.
    pub fn kv_read(self, bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.kv(KvScope { bucket: bucket.into(), prefix: prefix.into(), write: false })
    }

    /// The child may read and write keys of a bucket that start with `prefix`; empty is all.
    pub fn kv_write(self, bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.kv(KvScope { bucket: bucket.into(), prefix: prefix.into(), write: true })
    }

    fn kv(mut self, kv: KvScope) -> Self {
        self.0.kv.push(kv);
        self
    }

    /// The child's tree may write files of so many bytes in all.
    pub fn artifacts(mut self, bytes: u64) -> Self {
        self.0.artifacts = true;
        self.0.artifact_bytes = Some(bytes);
        self
    }

    /// The guest CPU of the child's tree. Default: half of what the run has.
    pub fn cpu(mut self, cpu: Duration) -> Self {
        self.0.cpu = Some(millis(cpu));
        self
    }

    /// The child's linear memory in bytes. Default: what its plugin's manifest says.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.0.memory_bytes = Some(bytes);
        self
    }
}

/// What a child really got: never more than was asked for, never more than the
/// run had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Whether it may spawn, and what.
    pub spawn: Option<SpawnScope>,
    /// Destinations that it may deliver to by itself.
    pub channels: Vec<String>,
    /// Tools that it may call.
    pub tools: Vec<ToolScope>,
    /// Buckets that it may use.
    pub kv: Vec<KvScope>,
    /// Whether it may write files.
    pub artifacts: bool,
    /// Bytes of files that its tree may write.
    pub artifact_bytes: u64,
    /// Guest CPU of its tree.
    pub cpu: Duration,
    /// Linear memory in bytes.
    pub memory_bytes: u64,
    /// When it must have ended.
    pub deadline: SystemTime,
}

impl From<raw::Grants> for Grants {
    fn from(grants: raw::Grants) -> Self {
        Self {
            spawn: grants.spawn,
            channels: grants.channels,
            tools: grants.tools,
            kv: grants.kv,
            artifacts: grants.artifacts,
            artifact_bytes: grants.artifact_bytes,
            cpu: Duration::from_millis(grants.cpu),
            memory_bytes: grants.memory_bytes,
            deadline: instant(grants.deadline),
        }
    }
}
