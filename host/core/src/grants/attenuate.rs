//! Grants × scope → smaller grants, or a denial. And the checks on use.
//!
//! The only way to make a child's grants. What is asked for and not covered is
//! refused by name; what is not asked for is not given. Never rounds a wish
//! down, except for caps, whose meaning is the minimum.

use std::borrow::Cow;
use std::time::Duration;

use super::capability::Holding;
use super::format::Format;
use super::{
    Capability, Caps, ChannelGrant, Denied, FileGrant, FileMode, Grants, HttpGrant, KvGrant, KvMode,
    ModelPattern, Place, Scope, SecretGrant, Target, ToolGrant,
};
use crate::time::Timestamp;

/// How long before its parent an attached child has to be ended at most, so
/// that the parent can still do something about it.
const MAX_ATTACHED_MARGIN: Duration = Duration::from_secs(1);
/// Which part of what its parent has left the margin is at most, so that the
/// child of one with little time has nearly all of it.
const ATTACHED_MARGIN_PART: u32 = 10;

/// What a spawn knows beside the scope that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The instant of the spawn.
    pub now: Timestamp,
    /// What the child's deadline may not pass.
    pub ceiling: Ceiling,
    /// Linear memory in bytes of the child when the scope names none: what its
    /// plugin's manifest says. At most the parent's cap in any case.
    pub memory_bytes: u64,
    /// Time-out of the child when the scope names none.
    pub timeout: Duration,
}

/// What a child's deadline may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// For an attached child: its parent's deadline, less a second, or a tenth of what is left
    /// until then if that is less.
    Parent,
    /// For a detached child: the deadline of the conversation's root grants.
    Conversation(Timestamp),
}

impl Grants {
    /// The grants of a child: what `scope` asks for, if all of it is covered.
    ///
    /// # Errors
    /// [`Denied`] names the first capability that is not covered.
    pub fn attenuate(&self, scope: &Scope, terms: &Terms) -> Result<Self, Denied> {
        Holding::from(self).to_hand_on().check_all(Holding::from(scope))?;
        Ok(Self {
            format: Format,
            root_of: self.root_of.clone(),
            spawn: scope.spawn.clone(),
            channels: scope.channels.clone(),
            tools: scope.tools.clone(),
            kv: scope.kv.clone(),
            http: scope.http.clone(),
            files: scope.files.clone(),
            secrets: scope.secrets.clone(),
            models: scope.models.clone(),
            artifacts: scope.artifacts,
            caps: self.child_caps(scope, terms),
        })
    }

    fn child_caps(&self, scope: &Scope, terms: &Terms) -> Caps {
        let ceiling = match terms.ceiling {
            Ceiling::Parent => {
                let left = self.caps.deadline.since(terms.now);
                self.caps.deadline.before(MAX_ATTACHED_MARGIN.min(left / ATTACHED_MARGIN_PART))
            }
            Ceiling::Conversation(deadline) => deadline,
        };
        let own = terms.now.after(scope.timeout.unwrap_or(terms.timeout));
        Caps {
            deadline: own.min(ceiling),
            memory_bytes: scope.memory_bytes.unwrap_or(terms.memory_bytes).min(self.caps.memory_bytes),
        }
    }

    /// Whether everything in `other` is covered, caps included.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        Holding::from(self).check_all(Holding::from(other)).is_ok()
            && other.caps.deadline <= self.caps.deadline
            && other.caps.memory_bytes <= self.caps.memory_bytes
    }

    /// Whether one capability is covered; no allocation when it is.
    ///
    /// # Errors
    /// [`Denied`] names it.
    pub fn check(&self, wanted: Capability<'_>) -> Result<(), Denied> {
        Holding::from(self).check(wanted)
    }

    /// May the holder spawn this agent, and have a level below it at all.
    ///
    /// # Errors
    /// [`Denied`]: `spawn plugin/agent`, or `spawn depth 1`.
    pub fn may_spawn(&self, plugin: &str, agent: &str) -> Result<(), Denied> {
        self.check(Capability::Spawn { plugin: Cow::Borrowed(plugin), agent: Some(Cow::Borrowed(agent)) })?;
        self.check(Capability::SpawnDepth(1))
    }

    /// May the holder deliver there.
    ///
    /// # Errors
    /// [`Denied`]: `channels origin`, `channels webhook:films`.
    pub fn may_deliver(&self, to: &ChannelGrant) -> Result<(), Denied> {
        self.check(Capability::Deliver(Cow::Borrowed(to)))
    }

    /// May the holder call this tool.
    ///
    /// # Errors
    /// [`Denied`]: `tools plugin.tool`.
    pub fn may_call(&self, plugin: &str, tool: &str) -> Result<(), Denied> {
        self.check(Capability::Call { plugin: Cow::Borrowed(plugin), tool: Some(Cow::Borrowed(tool)) })
    }

    /// May the holder use this key.
    ///
    /// # Errors
    /// [`Denied`]: `kv bucket key "k" (read)`.
    pub fn may_kv(&self, bucket: &str, key: &str, mode: KvMode) -> Result<(), Denied> {
        self.check(Capability::Kv { bucket: Cow::Borrowed(bucket), key: Cow::Borrowed(key), mode })
    }

    /// May the holder use, or list, all keys that start with `prefix`.
    ///
    /// # Errors
    /// [`Denied`]: `kv bucket prefix "a/" (read)`.
    pub fn may_kv_prefix(&self, bucket: &str, prefix: &str, mode: KvMode) -> Result<(), Denied> {
        self.check(Capability::KvPrefix {
            bucket: Cow::Borrowed(bucket),
            prefix: Cow::Borrowed(prefix),
            mode,
        })
    }

    /// May the holder write artifacts.
    ///
    /// # Errors
    /// [`Denied`]: `artifacts`.
    pub fn may_write_artifacts(&self) -> Result<(), Denied> {
        self.check(Capability::Artifacts)
    }

    /// May the holder make this request.
    ///
    /// # Errors
    /// [`Denied`]: `http GET https://api.example.com/v1`.
    pub fn may_request(&self, method: &str, to: &Target) -> Result<(), Denied> {
        self.check(Capability::Http { method: Cow::Borrowed(method), to: Cow::Borrowed(to) })
    }

    /// May the holder use this file, or this directory and everything in it.
    ///
    /// # Errors
    /// [`Denied`]: `files media/in (read)`.
    pub fn may_use_files(&self, root: &str, path: &[String], mode: FileMode) -> Result<(), Denied> {
        self.check(Capability::Files { root: Cow::Borrowed(root), path: Cow::Borrowed(path), mode })
    }

    /// May the holder have this secret sent.
    ///
    /// # Errors
    /// [`Denied`]: `secrets fal in header authorization to https://queue.fal.run/`.
    pub fn may_send_secret(&self, name: &str, place: &Place, audience: &Target) -> Result<(), Denied> {
        self.check(Capability::Secret {
            name: Cow::Borrowed(name),
            place: Cow::Borrowed(place),
            audience: Cow::Borrowed(audience),
        })
    }

    /// May the holder ask this model.
    ///
    /// # Errors
    /// [`Denied`]: `models provider/model`.
    pub fn may_ask_model(&self, provider: &str, model: &str) -> Result<(), Denied> {
        self.check(Capability::Model { provider: Cow::Borrowed(provider), model: Some(Cow::Borrowed(model)) })
    }

    /// Where the holder may deliver.
    #[must_use]
    pub fn channels(&self) -> &[ChannelGrant] {
        &self.channels
    }

    /// The tools that the holder may call.
    #[must_use]
    pub fn tools(&self) -> &[ToolGrant] {
        &self.tools
    }

    /// The buckets that the holder may use.
    #[must_use]
    pub fn kv(&self) -> &[KvGrant] {
        &self.kv
    }

    /// The requests that the holder may make.
    #[must_use]
    pub fn http(&self) -> &[HttpGrant] {
        &self.http
    }

    /// The directories that the holder may use.
    #[must_use]
    pub fn files(&self) -> &[FileGrant] {
        &self.files
    }

    /// The secrets that the holder may send.
    #[must_use]
    pub fn secrets(&self) -> &[SecretGrant] {
        &self.secrets
    }

    /// The models that the holder may ask.
    #[must_use]
    pub fn models(&self) -> &[ModelPattern] {
        &self.models
    }

    /// Whether the holder may write artifacts.
    #[must_use]
    pub fn artifacts(&self) -> bool {
        self.artifacts
    }
}
