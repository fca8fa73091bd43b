//! The steps that a task can consist of.

use std::time::Duration;

use sublane_sdk::serde_json::Value;
use sublane_sdk::subagent::{SecretPlace, SpawnScope};
use sublane_sdk::{Scope, data};

/// One import call. Children are named by the order of their spawns, from 0.
#[data]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a test guest holds a handful of them")]
pub(crate) enum Step {
    /// Spawn.
    Spawn(SpawnAsk),
    /// Wait for children, all of them if none are named.
    Wait {
        #[serde(default)]
        children: Vec<usize>,
        #[serde(default)]
        any: bool,
        within_ms: Option<u64>,
    },
    /// Wait for a run by its id.
    WaitFor(String),
    /// Look at a child.
    Status(usize),
    /// List the children.
    Children,
    /// Put a message into a child's mailbox.
    Send { child: usize, message: Value },
    /// Put a message into the mailbox of a run, by its id.
    SendTo { run: String, message: Value },
    /// Take a message from the own mailbox.
    Receive { within_ms: Option<u64> },
    /// Cancel a child.
    Cancel { child: usize, reason: String },
    /// Cancel a run by its id.
    CancelRun(String),
    /// Tell people.
    Deliver { to: String, text: String },
    /// Read a value as text.
    KvGet { bucket: String, key: String },
    /// Set a value to text.
    KvSet { bucket: String, key: String, value: String },
    /// Set a value to text if this text is there, or nothing.
    KvSetIf { bucket: String, key: String, held: Option<String>, value: String },
    /// Remove a value.
    KvDelete { bucket: String, key: String },
    /// List keys.
    KvList { bucket: String, prefix: String },
    /// List tools.
    Tools,
    /// Call a tool.
    Call { plugin: String, tool: String, arguments: Value },
    /// Write a file of so much text; it goes with the output.
    Write { name: String, text: String },
    /// Read a file as text: by id, or the first one that a child gave back.
    Read { id: Option<String>, child: Option<usize> },
    /// Read a file as text: `root/name/name`.
    FileRead(String),
    /// Write a file: `root/name/name`.
    FileWrite { path: String, text: String },
    /// List a directory: names with their kinds.
    FileList(String),
    /// Size of a file.
    FileSize(String),
    /// Make a directory.
    FileDir(String),
    /// Move something: the new path is in the same root.
    FileMove { path: String, to: String },
    /// Remove something.
    FileRemove(String),
    /// Make a request.
    Http(HttpAsk),
    /// What stands for a secret.
    Placeholder(String),
    /// Poll until it ends.
    Poll(Box<PollAsk>),
    /// Open a hook: for nobody, for a secret, or for keys at a URL.
    Hook { secret: Option<String>, keys: Option<String> },
    /// Wait for a call of a hook: by its number in the order of their opening, from 0.
    HookWait { hook: usize, within_ms: Option<u64> },
    /// Close a hook.
    HookClose(usize),
    /// Sleep.
    Sleep(u64),
    /// Sleep until so many milliseconds since 1970.
    SleepUntil(u64),
    /// Wait for the first of several.
    First(Vec<SourceAsk>),
    /// Report progress.
    Progress { percent: u8, note: String },
    /// The run's time.
    Now,
    /// Random bytes, as a number.
    Random,
    /// How full the journal is.
    JournalUsed,
    /// Go on as new with this task, and with the files that there are.
    Continue(Value),
    /// Compute: so many rounds of a loop.
    Work(u64),
    /// Write a line to the log: `trace`, `debug`, `info`, `warn` or `error`.
    Log { level: String, text: String },
    /// Give up.
    Fail(String),
    /// Give up, for good.
    FailForGood(String),
    /// Panic.
    Panic(String),
    /// Give up unless there is a value.
    FailUnless { bucket: String, key: String, why: String },
}

/// Something to wait for beside others.
#[data]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceAsk {
    /// One of these children, all of them if none are named.
    AnyOf(Vec<usize>),
    /// All of these children, all of them if none are named.
    AllOf(Vec<usize>),
    /// A run by its id.
    Run(String),
    /// A message.
    Message,
    /// A poll.
    Poll(Box<PollAsk>),
    /// A call of a hook: by its number in the order of their opening, from 0.
    Hook(usize),
    /// Milliseconds since 1970.
    Until(u64),
    /// Milliseconds from now.
    WithinMs(u64),
}

/// A request. `{NAME}` in the URL, in a header or in the body is the placeholder of a secret.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct HttpAsk {
    pub(crate) method: Option<String>,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    /// Sends the first file that there is.
    pub(crate) send_file: bool,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_body: Option<u64>,
    pub(crate) into_file: Option<String>,
    pub(crate) max_redirects: Option<u32>,
    /// Has it made when the run does not succeed, instead of now.
    pub(crate) undo: bool,
    /// Secrets whose placeholders are put in.
    pub(crate) secrets: Vec<String>,
}

/// A poll: what it asks, and when. Rules are statuses, values by their paths, and times in a row.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct PollAsk {
    pub(crate) request: HttpAsk,
    pub(crate) first_ms: Option<u64>,
    pub(crate) every_ms: Option<u64>,
    /// Per cent, and the ceiling.
    pub(crate) grows: Option<(u32, u64)>,
    pub(crate) jitter: u32,
    pub(crate) for_ms: Option<u64>,
    pub(crate) done: Vec<RuleAsk>,
    pub(crate) failed: Vec<RuleAsk>,
    pub(crate) goes_on: Vec<RuleAsk>,
    pub(crate) keep: Vec<String>,
    /// A hook by its number in the order of their opening, from 0.
    pub(crate) hint: Option<usize>,
}

/// What an answer must be. A list of values is one of them; nothing is any value.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct RuleAsk {
    pub(crate) status: Option<(u16, u16)>,
    pub(crate) values: Vec<(String, Option<Value>)>,
    pub(crate) times: Option<u32>,
}

/// A spawn.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct SpawnAsk {
    pub(crate) agent: String,
    pub(crate) task: Value,
    pub(crate) name: Option<String>,
    pub(crate) scope: ScopeAsk,
    pub(crate) deliver: Vec<String>,
    pub(crate) attached: bool,
    pub(crate) detached: bool,
    pub(crate) lane: Option<String>,
    pub(crate) priority: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) begin_after_ms: Option<u64>,
    pub(crate) begin_at_ms: Option<u64>,
    pub(crate) dedupe_key: Option<String>,
    pub(crate) retry: Option<RetryAsk>,
    /// Files of earlier steps go with it.
    pub(crate) with_files: bool,
}

/// A retry policy.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RetryAsk {
    pub(crate) times: u32,
    pub(crate) after_ms: u64,
    /// Per cent, and the ceiling.
    pub(crate) grows: Option<(u32, u64)>,
    #[serde(default)]
    pub(crate) jitter: u32,
    #[serde(default)]
    pub(crate) only_failures: bool,
}

/// A scope.
#[data]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct ScopeAsk {
    agents: Vec<String>,
    depth: Option<u32>,
    active_children: Option<u32>,
    total: Option<u32>,
    channels: Vec<String>,
    /// `plugin.tool`, or `plugin` for all.
    tools: Vec<String>,
    /// `bucket/prefix`.
    kv_read: Vec<String>,
    /// `bucket/prefix`.
    kv_write: Vec<String>,
    /// `GET,POST https://host/path`.
    http: Vec<String>,
    /// `root/name/name`.
    files_read: Vec<String>,
    /// `root/name/name`.
    files_write: Vec<String>,
    /// `name header audience`.
    secrets: Vec<String>,
    models: Vec<String>,
    /// Requests, bytes out, bytes in.
    requests: Option<(u64, u64, u64)>,
    /// Tokens, millionths.
    tokens: Option<(u64, u64)>,
    host_calls: Option<u64>,
    artifact_bytes: Option<u64>,
    cpu_ms: Option<u64>,
    memory_bytes: Option<u64>,
}

/// A directory and the names below it.
pub(crate) fn root_and_path(text: &str) -> (&str, Vec<&str>) {
    let mut names = text.split('/');
    (names.next().unwrap_or_default(), names.collect())
}

fn bucket_and_prefix(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

impl ScopeAsk {
    /// The scope that it means.
    pub(crate) fn into_scope(self) -> Scope {
        let mut scope = Scope::new().channels(self.channels);
        if !self.agents.is_empty() {
            scope = scope.spawn(SpawnScope {
                agents: self.agents,
                depth: self.depth.unwrap_or(1),
                active_children: self.active_children.unwrap_or(5),
                total: self.total.unwrap_or(5),
            });
        }
        for tool in &self.tools {
            let (plugin, name) = tool.split_once('.').unwrap_or((tool, ""));
            scope = scope.tools(plugin, Some(name).filter(|name| !name.is_empty()));
        }
        for (bucket, prefix) in self.kv_read.iter().map(|text| bucket_and_prefix(text)) {
            scope = scope.kv_read(bucket, prefix);
        }
        for (bucket, prefix) in self.kv_write.iter().map(|text| bucket_and_prefix(text)) {
            scope = scope.kv_write(bucket, prefix);
        }
        for (methods, to) in self.http.iter().filter_map(|text| text.split_once(' ')) {
            scope = scope.http(to, methods.split(','));
        }
        for (root, path) in self.files_read.iter().map(|text| root_and_path(text)) {
            scope = scope.files_read(root, path);
        }
        for (root, path) in self.files_write.iter().map(|text| root_and_path(text)) {
            scope = scope.files_write(root, path);
        }
        for text in &self.secrets {
            let mut words = text.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            scope = scope.secret(word(), SecretPlace::Header(word()), word());
        }
        scope = scope.models(self.models);
        if let Some((requests, bytes_out, bytes_in)) = self.requests {
            scope = scope.requests(requests, bytes_out, bytes_in);
        }
        if let Some((tokens, money_micros)) = self.tokens {
            scope = scope.tokens(tokens, money_micros);
        }
        if let Some(calls) = self.host_calls {
            scope = scope.host_calls(calls);
        }
        if let Some(bytes) = self.artifact_bytes {
            scope = scope.artifacts(bytes);
        }
        if let Some(ms) = self.cpu_ms {
            scope = scope.cpu(Duration::from_millis(ms));
        }
        if let Some(bytes) = self.memory_bytes {
            scope = scope.memory(bytes);
        }
        scope
    }
}
