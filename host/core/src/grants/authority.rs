//! The two sides that root grants come from: what a manifest asks for and what
//! the operator allows. Neither can widen the other.
//!
//! Owns the meeting of the two and the answer to *who said no*. Reads no file;
//! where the two are written down is the host's affair.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capability::Holding;
use super::format::Format;
use super::{
    AgentPattern, Capability, Caps, ChannelGrant, FileGrant, Grants, HttpGrant, KvGrant, ModelPattern, Purse,
    SecretGrant, SpawnGrant, ToolGrant,
};
use crate::time::Timestamp;

/// One side of an agreement: what a manifest asks for, or what an operator
/// allows. Everything absent is nothing; CPU and time-out have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Authority {
    /// Which agents may be spawned, how deep, how many at once.
    pub spawn: Option<SpawnGrant>,
    /// Where may be delivered.
    pub channels: Vec<ChannelGrant>,
    /// Tools that may be called.
    pub tools: Vec<ToolGrant>,
    /// Buckets that may be used.
    pub kv: Vec<KvGrant>,
    /// Requests that may be made.
    pub http: Vec<HttpGrant>,
    /// Directories that may be used.
    pub files: Vec<FileGrant>,
    /// Secrets that may be sent.
    pub secrets: Vec<SecretGrant>,
    /// Models that may be asked.
    pub models: Vec<ModelPattern>,
    /// Whether artifacts may be written.
    pub artifacts: bool,
    /// What a conversation with the plugin may spend. Defaults to [`Authority::DEFAULT_CPU`],
    /// [`Authority::DEFAULT_HOST_CALLS`] and nothing else.
    pub purse: Purse,
    /// Time-out of a root run, waits included. Defaults to [`Authority::DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

impl Default for Authority {
    fn default() -> Self {
        let cpu_us = u64::try_from(Self::DEFAULT_CPU.as_micros()).expect("ten seconds fit");
        Self {
            spawn: None,
            channels: Vec::new(),
            tools: Vec::new(),
            kv: Vec::new(),
            http: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            models: Vec::new(),
            artifacts: false,
            purse: Purse { cpu_us, host_calls: Self::DEFAULT_HOST_CALLS, ..Purse::default() },
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }
}

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The plugin's manifest does not ask for it.
    Manifest,
    /// The operator's configuration does not allow it.
    Operator,
    /// Both would have; the parent's scope did not hand it on.
    Parent,
    /// The conversation had too little left when its run was accepted.
    Conversation,
    /// It was given, and is spent.
    Purse,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Operator => "operator",
            Self::Parent => "parent",
            Self::Conversation => "conversation",
            Self::Purse => "purse",
        })
    }
}

/// Who refuses `capability`, for the event that tells of a denial. When several do, the
/// first in the order of the data: manifest, operator, parent.
#[must_use]
pub fn who_refuses(asks: &Authority, allows: &Authority, capability: &Capability<'_>) -> Side {
    if !Holding::from(asks).covers(capability) {
        Side::Manifest
    } else if !Holding::from(allows).covers(capability) {
        Side::Operator
    } else {
        Side::Parent
    }
}

impl Authority {
    /// Guest CPU of a side that names none.
    pub const DEFAULT_CPU: Duration = Duration::from_secs(10);
    /// Calls of host functions of a side that names none: what is left after twenty halvings still
    /// does for a small child.
    pub const DEFAULT_HOST_CALLS: u64 = 1_000_000_000;
    /// Time-out of a side that names none: finite, so that nothing is owed for
    /// ever, and long enough for a film.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

    /// What `self` asks for and `allows` does not allow, in words for the
    /// operator: `spawn video/render`, `cpu 120s (allowed: 10s)`. Empty = all of it is allowed.
    #[must_use]
    pub fn not_allowed(&self, allows: &Self) -> Vec<String> {
        let held = Holding::from(allows);
        let kinds = Holding::from(self).each().filter(|wanted| !held.covers(wanted));
        let mut lacking: Vec<String> = kinds.map(|wanted| wanted.to_string()).collect();
        let mut amount = |what: &str, asked: u64, allowed: u64, words: fn(u64) -> String| {
            if asked > allowed {
                lacking.push(format!("{what} {} (allowed: {})", words(asked), words(allowed)));
            }
        };
        amount("cpu", self.purse.cpu_us / 1_000, allows.purse.cpu_us / 1_000, duration);
        amount("spawn total", self.purse.spawns, allows.purse.spawns, |number| number.to_string());
        amount("artifacts bytes", self.purse.artifact_bytes, allows.purse.artifact_bytes, size);
        let number: fn(u64) -> String = |number| number.to_string();
        amount("host-calls", self.purse.host_calls, allows.purse.host_calls, number);
        amount("requests", self.purse.requests, allows.purse.requests, number);
        amount("bytes-out", self.purse.bytes_out, allows.purse.bytes_out, size);
        amount("bytes-in", self.purse.bytes_in, allows.purse.bytes_in, size);
        amount("tokens", self.purse.tokens, allows.purse.tokens, number);
        amount("money-millionths", self.purse.money_micros, allows.purse.money_micros, number);
        amount("timeout", millis(self.timeout), millis(allows.timeout), duration);
        lacking
    }

    /// What both sides agree on.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let artifacts = self.artifacts && other.artifacts;
        let spawn = self.spawn.as_ref().zip(other.spawn.as_ref()).and_then(|(a, b)| meet_spawn(a, b));
        let http = meet_each(&self.http, &other.http, HttpGrant::meet);
        let models = meet_each(&self.models, &other.models, ModelPattern::meet);
        let tools = meet_each(&self.tools, &other.tools, meet_tools);
        let met = self.purse.at_most(other.purse);
        // Whoever may not do a thing needs nothing to spend on it; whoever calls tools pays for theirs.
        let may_ask = !http.is_empty() || !tools.is_empty();
        let may_model = !models.is_empty() || !tools.is_empty();
        let only = |may: bool, amount: u64| if may { amount } else { 0 };
        let purse = Purse {
            spawns: only(spawn.is_some(), met.spawns),
            artifact_bytes: only(artifacts, met.artifact_bytes),
            requests: only(may_ask, met.requests),
            bytes_out: only(may_ask, met.bytes_out),
            bytes_in: only(may_ask, met.bytes_in),
            tokens: only(may_model, met.tokens),
            money_micros: only(may_model, met.money_micros),
            ..met
        };
        Self {
            spawn,
            channels: meet_each(&self.channels, &other.channels, |a, b| (a == b).then(|| a.clone())),
            tools,
            kv: meet_each(&self.kv, &other.kv, meet_kv),
            http,
            files: meet_each(&self.files, &other.files, FileGrant::meet),
            secrets: meet_each(&self.secrets, &other.secrets, SecretGrant::meet),
            models,
            artifacts,
            purse,
            timeout: self.timeout.min(other.timeout),
        }
    }
}

impl Grants {
    /// The root grants of a plugin and the purse that goes with them: what its
    /// manifest asks for *and* the operator allows, from `now` on.
    /// `memory_bytes` is the linear memory of its instances.
    #[must_use]
    pub fn root(asks: &Authority, allows: &Authority, now: Timestamp, memory_bytes: u64) -> (Self, Purse) {
        let met = asks.meet(allows);
        let (purse, deadline) = (met.purse, now.after(met.timeout));
        (Self::of(met, None, Caps { deadline, memory_bytes }), purse)
    }

    /// Grants for what two sides agreed on.
    fn of(met: Authority, root_of: Option<Arc<str>>, caps: Caps) -> Self {
        let Authority { spawn, channels, tools, kv, http, files, secrets, models, artifacts, .. } = met;
        Self {
            format: Format,
            root_of,
            spawn,
            channels,
            tools,
            kv,
            http,
            files,
            secrets,
            models,
            artifacts,
            caps,
        }
    }

    /// The same grants, known to be those of this plugin's root: so are all that are cut from them.
    #[must_use]
    pub fn of_plugin(self, id: &Arc<str>) -> Self {
        Self { root_of: Some(id.clone()), ..self }
    }

    /// What is left of these grants when no more than `allows` is allowed. None when that is all of
    /// them, which costs no allocation. Caps stay, and what is spent was split long ago.
    #[must_use]
    pub fn within(&self, allows: &Authority) -> Option<Self> {
        let held = Holding::from(allows);
        if Holding::from(self).each().all(|capability| held.covers(&capability)) {
            return None;
        }
        let of = self.clone();
        let own = Authority {
            spawn: of.spawn,
            channels: of.channels,
            tools: of.tools,
            kv: of.kv,
            http: of.http,
            files: of.files,
            secrets: of.secrets,
            models: of.models,
            artifacts: of.artifacts,
            ..Authority::default()
        };
        Some(Self::of(own.meet(allows), of.root_of, of.caps))
    }

    /// The same grants with another deadline: those of a run that an operator has begin again.
    #[must_use]
    pub fn until(&self, deadline: Timestamp) -> Self {
        Self { caps: Caps { deadline, ..self.caps }, ..self.clone() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds as a manifest has them, in the largest unit that divides them: `90s`, `2h`.
fn duration(ms: u64) -> String {
    in_units(ms, &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")])
}

/// Bytes as a manifest has them: `64MiB`.
fn size(bytes: u64) -> String {
    in_units(bytes, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")])
}

fn in_units(amount: u64, units: &[(u64, &str)]) -> String {
    let fits = |(size, _): &&(u64, &str)| amount >= *size && amount.is_multiple_of(*size);
    units.iter().find(fits).map_or_else(|| "0".to_owned(), |(size, name)| format!("{}{name}", amount / size))
}

/// Every pair that has something in common, each result once.
fn meet_each<T: PartialEq>(left: &[T], right: &[T], meet: impl Fn(&T, &T) -> Option<T>) -> Vec<T> {
    let mut met = Vec::new();
    for pair in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
        if let Some(common) = meet(pair.0, pair.1)
            && !met.contains(&common)
        {
            met.push(common);
        }
    }
    met
}

fn meet_spawn(a: &SpawnGrant, b: &SpawnGrant) -> Option<SpawnGrant> {
    let agents = meet_each(&a.agents, &b.agents, meet_agents);
    (!agents.is_empty()).then(|| SpawnGrant {
        agents,
        depth: a.depth.min(b.depth),
        active_children: a.active_children.min(b.active_children),
    })
}

fn meet_agents(a: &AgentPattern, b: &AgentPattern) -> Option<AgentPattern> {
    let alike = a.plugin == b.plugin && (a.agent.is_none() || b.agent.is_none() || a.agent == b.agent);
    alike.then(|| if a.agent.is_some() { a.clone() } else { b.clone() })
}

fn meet_tools(a: &ToolGrant, b: &ToolGrant) -> Option<ToolGrant> {
    if a.plugin != b.plugin {
        return None;
    }
    let tools = match (&a.tools, &b.tools) {
        (None, tools) | (tools, None) => tools.clone(),
        (Some(a), Some(b)) => Some(meet_each(a, b, |a, b| (a == b).then(|| a.clone()))),
    };
    if tools.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    Some(ToolGrant { plugin: a.plugin.clone(), tools })
}

fn meet_kv(a: &KvGrant, b: &KvGrant) -> Option<KvGrant> {
    let (short, long) = if a.prefix.len() <= b.prefix.len() { (a, b) } else { (b, a) };
    (a.bucket == b.bucket && long.prefix.starts_with(&short.prefix)).then(|| KvGrant {
        bucket: a.bucket.clone(),
        prefix: long.prefix.clone(),
        mode: a.mode.min(b.mode),
    })
}
