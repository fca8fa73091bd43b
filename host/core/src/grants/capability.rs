//! One thing that an instance may do, and the one relation that says whether
//! what is held covers it.
//!
//! Checks on use, attenuation and the meeting of manifest and operator all ask
//! [`Holding::covers`]; there is no second place that compares authority.
//! A covered question costs no allocation.

use std::borrow::Cow;
use std::fmt;

use super::{
    AgentPattern, Authority, ChannelGrant, FileGrant, FileMode, Grants, HttpGrant, KvGrant, KvMode,
    ModelPattern, Place, Scope, SecretGrant, SpawnGrant, Target, ToolGrant,
};

/// One capability: what a denial names. Its text is what the guest and the
/// log see, for example `spawn video/render` or `kv notes prefix "a/" (read-write)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability<'a> {
    /// Spawning an agent; `agent: None` = any agent of the plugin.
    Spawn {
        /// The plugin's id.
        plugin: Cow<'a, str>,
        /// The agent's name.
        agent: Option<Cow<'a, str>>,
    },
    /// Having so many levels of runs below.
    SpawnDepth(u32),
    /// Having so many children alive at once.
    SpawnActiveChildren(u32),
    /// Delivering there.
    Deliver(Cow<'a, ChannelGrant>),
    /// Calling a tool; `tool: None` = any tool of the plugin.
    Call {
        /// The plugin's id.
        plugin: Cow<'a, str>,
        /// The tool's name.
        tool: Option<Cow<'a, str>>,
    },
    /// Using one key.
    Kv {
        /// The bucket.
        bucket: Cow<'a, str>,
        /// The key.
        key: Cow<'a, str>,
        /// For what.
        mode: KvMode,
    },
    /// Using, or listing, all keys that start with a prefix.
    KvPrefix {
        /// The bucket.
        bucket: Cow<'a, str>,
        /// What the keys start with; empty = all.
        prefix: Cow<'a, str>,
        /// For what.
        mode: KvMode,
    },
    /// Writing artifacts.
    Artifacts,
    /// Making a request.
    Http {
        /// In upper case.
        method: Cow<'a, str>,
        /// Where.
        to: Cow<'a, Target>,
    },
    /// Using a file, or a directory and everything in it.
    Files {
        /// What the operator calls the directory that it lies in.
        root: Cow<'a, str>,
        /// The names from there.
        path: Cow<'a, [String]>,
        /// For what.
        mode: FileMode,
    },
    /// Sending a secret.
    Secret {
        /// What the operator calls it.
        name: Cow<'a, str>,
        /// Where in the request.
        place: Cow<'a, Place>,
        /// With a request to where.
        audience: Cow<'a, Target>,
    },
    /// Asking a model; `model: None` = any model of the provider.
    Model {
        /// The provider's name.
        provider: Cow<'a, str>,
        /// The model's.
        model: Option<Cow<'a, str>>,
    },
}

/// What was asked for is not covered. Says nothing about whether it exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("denied: {capability}")]
pub struct Denied {
    /// What was asked for.
    pub capability: Capability<'static>,
}

impl Capability<'_> {
    /// The capability with its names copied, so that it outlives the question.
    #[must_use]
    pub fn into_owned(self) -> Capability<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Spawn { plugin, agent } => Capability::Spawn { plugin: own(plugin), agent: agent.map(own) },
            Self::SpawnDepth(depth) => Capability::SpawnDepth(depth),
            Self::SpawnActiveChildren(children) => Capability::SpawnActiveChildren(children),
            Self::Deliver(to) => Capability::Deliver(Cow::Owned(to.into_owned())),
            Self::Call { plugin, tool } => Capability::Call { plugin: own(plugin), tool: tool.map(own) },
            Self::Kv { bucket, key, mode } => Capability::Kv { bucket: own(bucket), key: own(key), mode },
            Self::KvPrefix { bucket, prefix, mode } => {
                Capability::KvPrefix { bucket: own(bucket), prefix: own(prefix), mode }
            }
            Self::Artifacts => Capability::Artifacts,
            Self::Http { method, to } => {
                Capability::Http { method: own(method), to: Cow::Owned(to.into_owned()) }
            }
            Self::Files { root, path, mode } => {
                Capability::Files { root: own(root), path: Cow::Owned(path.into_owned()), mode }
            }
            Self::Secret { name, place, audience } => Capability::Secret {
                name: own(name),
                place: Cow::Owned(place.into_owned()),
                audience: Cow::Owned(audience.into_owned()),
            },
            Self::Model { provider, model } => {
                Capability::Model { provider: own(provider), model: model.map(own) }
            }
        }
    }
}

impl fmt::Display for Capability<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn { plugin, agent } => {
                write!(f, "spawn {plugin}/{}", agent.as_deref().unwrap_or("*"))
            }
            Self::SpawnDepth(depth) => write!(f, "spawn depth {depth}"),
            Self::SpawnActiveChildren(children) => write!(f, "spawn active-children {children}"),
            Self::Deliver(to) => write!(f, "channels {to}"),
            Self::Call { plugin, tool } => write!(f, "tools {plugin}.{}", tool.as_deref().unwrap_or("*")),
            Self::Kv { bucket, key, mode } => write!(f, "kv {bucket} key {key:?} ({mode})"),
            Self::KvPrefix { bucket, prefix, mode } => write!(f, "kv {bucket} prefix {prefix:?} ({mode})"),
            Self::Artifacts => f.write_str("artifacts"),
            Self::Http { method, to } => write!(f, "http {method} {to}"),
            Self::Files { root, path, mode } => {
                write!(f, "files {}", root.escape_debug())?;
                path.iter().try_for_each(|name| write!(f, "/{}", name.escape_debug()))?;
                write!(f, " ({mode})")
            }
            Self::Secret { name, place, audience } => write!(f, "secrets {name} in {place} to {audience}"),
            Self::Model { provider, model } => {
                write!(f, "models {provider}/{}", model.as_deref().unwrap_or("*"))
            }
        }
    }
}

impl fmt::Display for KvMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        })
    }
}

/// A view of what somebody holds, or asks for: the kinds that are covered or
/// not. Caps take the minimum and the purse is split, so neither is here.
#[derive(Clone, Copy)]
pub(super) struct Holding<'a> {
    spawn: Option<Spawning<'a>>,
    channels: &'a [ChannelGrant],
    tools: &'a [ToolGrant],
    kv: &'a [KvGrant],
    http: &'a [HttpGrant],
    files: &'a [FileGrant],
    secrets: &'a [SecretGrant],
    models: &'a [ModelPattern],
    artifacts: bool,
}

#[derive(Clone, Copy)]
struct Spawning<'a> {
    agents: &'a [AgentPattern],
    depth: u32,
    active_children: u32,
}

impl<'a> From<&'a SpawnGrant> for Spawning<'a> {
    fn from(grant: &'a SpawnGrant) -> Self {
        Self { agents: &grant.agents, depth: grant.depth, active_children: grant.active_children }
    }
}

macro_rules! holding {
    ($holder:ty) => {
        impl<'a> From<&'a $holder> for Holding<'a> {
            fn from(holder: &'a $holder) -> Self {
                Self {
                    spawn: holder.spawn.as_ref().map(Spawning::from),
                    channels: &holder.channels,
                    tools: &holder.tools,
                    kv: &holder.kv,
                    http: &holder.http,
                    files: &holder.files,
                    secrets: &holder.secrets,
                    models: &holder.models,
                    artifacts: holder.artifacts,
                }
            }
        }
    };
}
holding!(Grants);
holding!(Scope);
holding!(Authority);

impl<'a> Holding<'a> {
    /// What the holder can hand on to a child: the same, one level less deep.
    pub(super) fn to_hand_on(mut self) -> Self {
        self.spawn =
            self.spawn.and_then(|spawn| spawn.depth.checked_sub(1).map(|depth| Spawning { depth, ..spawn }));
        self
    }

    /// Whether what is held covers what is wanted.
    pub(super) fn covers(&self, wanted: &Capability<'_>) -> bool {
        match wanted {
            Capability::Spawn { plugin, agent } => self.spawn.is_some_and(|held| {
                held.agents.iter().any(|a| {
                    a.plugin == *plugin && (a.agent.is_none() || a.agent.as_deref() == agent.as_deref())
                })
            }),
            Capability::SpawnDepth(depth) => self.spawn.is_some_and(|held| *depth <= held.depth),
            Capability::SpawnActiveChildren(children) => {
                self.spawn.is_some_and(|held| *children <= held.active_children)
            }
            Capability::Deliver(to) => self.channels.contains(to),
            Capability::Call { plugin, tool } => {
                self.tools.iter().any(|held| held.plugin == *plugin && covers_tool(held, tool.as_deref()))
            }
            Capability::Kv { bucket, key: start, mode }
            | Capability::KvPrefix { bucket, prefix: start, mode } => self
                .kv
                .iter()
                .any(|held| held.bucket == *bucket && start.starts_with(&held.prefix) && *mode <= held.mode),
            Capability::Artifacts => self.artifacts,
            Capability::Http { method, to } => {
                self.http.iter().any(|held| held.to.covers(to) && held.methods.iter().any(|m| m == method))
            }
            Capability::Files { root, path, mode } => self
                .files
                .iter()
                .any(|held| held.root == *root && *mode <= held.mode && path.starts_with(held.path.names())),
            Capability::Secret { name, place, audience } => self
                .secrets
                .iter()
                .any(|held| held.audience.covers(audience) && held.name == *name && held.place == **place),
            Capability::Model { provider, model } => {
                self.models.iter().any(|held| held.covers(provider, model.as_deref()))
            }
        }
    }

    /// Refuses what is not covered, by name.
    pub(super) fn check(&self, wanted: Capability<'_>) -> Result<(), Denied> {
        if self.covers(&wanted) { Ok(()) } else { Err(Denied { capability: wanted.into_owned() }) }
    }

    /// Refuses the first part of `wanted` that is not covered.
    pub(super) fn check_all(&self, wanted: Holding<'_>) -> Result<(), Denied> {
        wanted.each().try_for_each(|capability| self.check(capability))
    }

    /// Everything that is held, one by one.
    pub(super) fn each(self) -> impl Iterator<Item = Capability<'a>> {
        let spawn = self.spawn.into_iter().flat_map(|held| {
            held.agents.iter().map(agent).chain([
                Capability::SpawnDepth(held.depth),
                Capability::SpawnActiveChildren(held.active_children),
            ])
        });
        let channels = self.channels.iter().map(|to| Capability::Deliver(Cow::Borrowed(to)));
        let tools = self.tools.iter().flat_map(tools);
        let kv = self.kv.iter().map(|held| Capability::KvPrefix {
            bucket: Cow::Borrowed(&held.bucket),
            prefix: Cow::Borrowed(&held.prefix),
            mode: held.mode,
        });
        let http = self.http.iter().flat_map(|held| {
            held.methods
                .iter()
                .map(|method| Capability::Http { method: Cow::Borrowed(method), to: Cow::Borrowed(&held.to) })
        });
        let files = self.files.iter().map(|held| Capability::Files {
            root: Cow::Borrowed(&held.root),
            path: Cow::Borrowed(held.path.names()),
            mode: held.mode,
        });
        let secrets = self.secrets.iter().map(|held| Capability::Secret {
            name: Cow::Borrowed(&held.name),
            place: Cow::Borrowed(&held.place),
            audience: Cow::Borrowed(&held.audience),
        });
        let models = self.models.iter().map(|held| Capability::Model {
            provider: Cow::Borrowed(&held.provider),
            model: held.model.as_deref().map(Cow::Borrowed),
        });
        let artifacts = self.artifacts.then_some(Capability::Artifacts);
        spawn
            .chain(channels)
            .chain(tools)
            .chain(kv)
            .chain(artifacts)
            .chain(http)
            .chain(files)
            .chain(secrets)
            .chain(models)
    }
}

/// A wish for all tools is covered by a grant for all tools only.
fn covers_tool(held: &ToolGrant, tool: Option<&str>) -> bool {
    match (&held.tools, tool) {
        (None, _) => true,
        (Some(names), Some(tool)) => names.iter().any(|name| name == tool),
        (Some(_), None) => false,
    }
}

fn agent(pattern: &AgentPattern) -> Capability<'_> {
    Capability::Spawn {
        plugin: Cow::Borrowed(&pattern.plugin),
        agent: pattern.agent.as_deref().map(Cow::Borrowed),
    }
}

fn tools(grant: &ToolGrant) -> impl Iterator<Item = Capability<'_>> {
    let call = |tool| Capability::Call { plugin: Cow::Borrowed(&grant.plugin), tool };
    let all = grant.tools.is_none().then(|| call(None));
    let named = grant.tools.iter().flatten().map(move |name| call(Some(Cow::Borrowed(name))));
    all.into_iter().chain(named)
}
