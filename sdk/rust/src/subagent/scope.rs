//! What a child may do: what is asked for, and what it gets.
//!
//! Owns the builder of a scope. Never checks one: the host does, against the
//! grants of the run that asks.

use std::time::{Duration, SystemTime};

use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::time::{instant, millis};

pub use raw::{FileScope, HttpScope, KvScope, SecretPlace, SecretScope, SpawnScope, ToolScope};

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
            http: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            models: Vec::new(),
            artifacts: false,
            artifact_bytes: None,
            cpu: None,
            host_calls: None,
            requests: None,
            bytes_out: None,
            bytes_in: None,
            tokens: None,
            money_micros: None,
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

    /// The child may make requests with these methods to a place and whatever lies below it, such as
    /// `https://api.example.com/v1`. Its share of the requests: [`Scope::requests`].
    pub fn http<M: Into<String>>(
        mut self,
        to: impl Into<String>,
        methods: impl IntoIterator<Item = M>,
    ) -> Self {
        let methods = methods.into_iter().map(Into::into).collect();
        self.0.http.push(HttpScope { to: to.into(), methods });
        self
    }

    /// So many requests of the child's tree, and bytes that they send and bring. Default: half of what
    /// the run has, for a child that may make any.
    pub fn requests(mut self, requests: u64, bytes_out: u64, bytes_in: u64) -> Self {
        self.0.requests = Some(requests);
        self.0.bytes_out = Some(bytes_out);
        self.0.bytes_in = Some(bytes_in);
        self
    }

    /// The child may read what lies in a directory of the operator's, below these names.
    pub fn files_read<N: Into<String>>(
        self,
        root: impl Into<String>,
        path: impl IntoIterator<Item = N>,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        self.files(FileScope { root: root.into(), path, write: false })
    }

    /// The child may read and write what lies in a directory of the operator's, below these names.
    pub fn files_write<N: Into<String>>(
        self,
        root: impl Into<String>,
        path: impl IntoIterator<Item = N>,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        self.files(FileScope { root: root.into(), path, write: true })
    }

    fn files(mut self, files: FileScope) -> Self {
        self.0.files.push(files);
        self
    }

    /// The child may have a secret of the operator's sent, in this place of a request, to this audience.
    pub fn secret(
        mut self,
        name: impl Into<String>,
        place: SecretPlace,
        audience: impl Into<String>,
    ) -> Self {
        self.0.secrets.push(SecretScope { name: name.into(), place, audience: audience.into() });
        self
    }

    /// The child may ask these models: `provider/model`, or `provider/*`.
    pub fn models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        self.0.models.extend(models.into_iter().map(Into::into));
        self
    }

    /// So many tokens of models for the child's tree, and so much money in millionths. Default: half of
    /// what the run has, for a child that may ask any.
    pub fn tokens(mut self, tokens: u64, money_micros: u64) -> Self {
        self.0.tokens = Some(tokens);
        self.0.money_micros = Some(money_micros);
        self
    }

    /// The host functions that the child's tree may call. Default: half of what the run has.
    pub fn host_calls(mut self, calls: u64) -> Self {
        self.0.host_calls = Some(calls);
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
    /// Requests that it may make.
    pub http: Vec<HttpScope>,
    /// Directories that it may use.
    pub files: Vec<FileScope>,
    /// Secrets that it may have sent.
    pub secrets: Vec<SecretScope>,
    /// Models that it may ask.
    pub models: Vec<String>,
    /// Whether it may write files.
    pub artifacts: bool,
    /// Bytes of files that its tree may write.
    pub artifact_bytes: u64,
    /// Guest CPU of its tree.
    pub cpu: Duration,
    /// Host functions that its tree may call.
    pub host_calls: u64,
    /// Requests of its tree.
    pub requests: u64,
    /// Bytes that these send.
    pub bytes_out: u64,
    /// Bytes that their answers bring.
    pub bytes_in: u64,
    /// Tokens of models for its tree.
    pub tokens: u64,
    /// Money for its tree, in millionths of the operator's currency.
    pub money_micros: u64,
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
            http: grants.http,
            files: grants.files,
            secrets: grants.secrets,
            models: grants.models,
            artifacts: grants.artifacts,
            artifact_bytes: grants.artifact_bytes,
            cpu: Duration::from_millis(grants.cpu),
            host_calls: grants.host_calls,
            requests: grants.requests,
            bytes_out: grants.bytes_out,
            bytes_in: grants.bytes_in,
            tokens: grants.tokens,
            money_micros: grants.money_micros,
            memory_bytes: grants.memory_bytes,
            deadline: instant(grants.deadline),
        }
    }
}
