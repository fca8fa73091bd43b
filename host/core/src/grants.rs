//! Authority as a value: what an instance may do, and what it may spend.
//!
//! Owns the shape of grants and of a scope. Whether what is held covers what
//! is wanted is decided in `capability`, and nowhere else; `attenuate` makes a
//! child's grants, `authority` the root's, and `purse` splits what is spent.

/// A value that is stored as the text that it is written as.
macro_rules! as_text {
    ($name:ident, $error:ty) => {
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
use as_text;

mod attenuate;
mod authority;
mod capability;
mod files;
mod format;
mod http;
mod parse;
mod purse;
mod secret;
#[cfg(test)]
mod tests;
mod why;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::{Destination, ParseDestinationError};
use crate::time::Timestamp;
use format::Format;

pub use attenuate::{Ceiling, Terms};
pub use authority::{Authority, Side, who_refuses};
pub use capability::{Capability, Denied};
pub use files::{FileGrant, FileMode, FilePath, MAX_PATH_NAMES, ParsePathError};
pub use http::{HostPattern, HttpGrant, METHODS, ParseTargetError, Scheme, Target};
pub use parse::ParseCapabilityError;
pub use purse::{Purse, PurseAsk, Share};
pub use secret::{ModelPattern, ParseModelError, Place, SecretGrant};
pub use why::{Refusal, Verdict, why, why_not_spend};

/// The authority that an instance holds. Fields are private: grants come from
/// a manifest met by the operator's configuration, or from
/// [`Grants::attenuate`], and from the store that keeps what these made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    #[serde(default = "Format::first")]
    pub(crate) format: Format,
    /// The plugin whose root grants these were cut from, however often since. None in those that were
    /// written before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root_of: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spawn: Option<SpawnGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) channels: Vec<ChannelGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<ToolGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kv: Vec<KvGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) http: Vec<HttpGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<SecretGrant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) models: Vec<ModelPattern>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) artifacts: bool,
    pub(crate) caps: Caps,
}

/// The authority that a parent asks for its child. Absent is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// May the child spawn, and what.
    pub spawn: Option<SpawnGrant>,
    /// Where the child may deliver by itself.
    pub channels: Vec<ChannelGrant>,
    /// Tools that the child may call.
    pub tools: Vec<ToolGrant>,
    /// Buckets that the child may use.
    pub kv: Vec<KvGrant>,
    /// Requests that the child may make.
    pub http: Vec<HttpGrant>,
    /// Directories that the child may use.
    pub files: Vec<FileGrant>,
    /// Secrets that the child may send.
    pub secrets: Vec<SecretGrant>,
    /// Models that the child may ask.
    pub models: Vec<ModelPattern>,
    /// May the child write artifacts.
    pub artifacts: bool,
    /// What the child's tree may spend.
    pub purse: PurseAsk,
    /// Linear memory in bytes; `None` = the agent's own default, at most the parent's cap.
    pub memory_bytes: Option<u64>,
    /// Time-out of the whole run; `None` = the default of the lane.
    pub timeout: Option<Duration>,
}

/// Which agents may be spawned, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnGrant {
    /// `plugin/agent` names, or `plugin/*` for all agents of a plugin.
    pub agents: Vec<AgentPattern>,
    /// Levels below the holder that may exist. 1 = children only.
    pub depth: u32,
    /// Children alive at once, 1 to 20.
    pub active_children: u32,
}

/// An agent, or all agents of one plugin. A parsed value, never a glob.
/// Written `plugin/agent`, or `plugin/*` (also just `plugin`) for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentPattern {
    /// The plugin's id.
    pub plugin: String,
    /// The agent's name; `None` = all of the plugin.
    pub agent: Option<String>,
}

/// A destination that may be delivered to. Written `origin` or `channel:address`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChannelGrant {
    /// The conversation that the request came from, wherever that is.
    Origin,
    /// One address on one channel.
    Address(Destination),
}

/// Tools of another plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolGrant {
    /// The plugin's id.
    pub plugin: String,
    /// Names of tools; `None` = all.
    pub tools: Option<Vec<String>>,
}

/// A bucket of the key-value store, or the part of it below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvGrant {
    /// The bucket.
    pub bucket: String,
    /// Keys that start with this.
    pub prefix: String,
    /// Reading only, or writing too.
    pub mode: KvMode,
}

/// How far a key-value grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvMode {
    /// Get and list.
    Read,
    /// Get, list, set and delete.
    ReadWrite,
}

/// What only bounds: a child gets the minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// When the run must have ended.
    pub deadline: Timestamp,
    /// Linear memory in bytes, summed over all memories.
    pub memory_bytes: u64,
}

/// A limit was met: its name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[error("limit {which} is {value}")]
pub struct LimitHit {
    /// For example `spawn.active-children`.
    pub which: String,
    /// The limit, in the unit that its name ends with.
    pub value: u64,
}

impl LimitHit {
    /// The limit `which`, of this value.
    #[must_use]
    pub fn new(which: &str, value: u64) -> Self {
        Self { which: which.to_owned(), value }
    }
}

/// The text is not an agent pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an agent: expected `plugin/agent`, or `plugin/*` for all agents of a plugin")]
pub struct ParseAgentPatternError(String);

impl FromStr for AgentPattern {
    type Err = ParseAgentPatternError;
    fn from_str(text: &str) -> Result<Self, ParseAgentPatternError> {
        let (plugin, agent) = text.split_once('/').unwrap_or((text, "*"));
        if plugin.is_empty() || agent.is_empty() || agent.contains('/') || plugin.contains('*') {
            return Err(ParseAgentPatternError(text.to_owned()));
        }
        Ok(Self { plugin: plugin.to_owned(), agent: (agent != "*").then(|| agent.to_owned()) })
    }
}

impl fmt::Display for AgentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plugin, self.agent.as_deref().unwrap_or("*"))
    }
}

impl FromStr for ChannelGrant {
    type Err = ParseDestinationError;
    fn from_str(text: &str) -> Result<Self, ParseDestinationError> {
        if text == "origin" { Ok(Self::Origin) } else { text.parse().map(Self::Address) }
    }
}

impl fmt::Display for ChannelGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin => f.write_str("origin"),
            Self::Address(destination) => destination.fmt(f),
        }
    }
}

as_text!(AgentPattern, ParseAgentPatternError);
as_text!(ChannelGrant, ParseDestinationError);

impl Grants {
    /// The plugin whose root grants these were cut from. None in those that a host wrote before it
    /// was noted.
    #[must_use]
    pub fn root_of(&self) -> Option<&str> {
        self.root_of.as_deref()
    }

    /// The caps.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// May the holder spawn, and what.
    #[must_use]
    pub fn spawn(&self) -> Option<&SpawnGrant> {
        self.spawn.as_ref()
    }
}
