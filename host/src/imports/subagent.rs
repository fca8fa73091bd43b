//! `subagent`: spawn, wait, look, speak, cancel.

use sublane_core::grants::{Ceiling, Terms};
use sublane_core::journal::{SpawnAnswer, WaitAnswer, encode};
use sublane_core::{
    Answer, Destination, Entry, Import, ImportError, Lifetime, LimitHit, Path, Priority, PurseAsk, Run,
    RunId, RunSpec,
};
use sublane_store::{Command, RunFilter, Spawn, WaitFor};

use super::translate::{
    answer, artifacts_from_guest, grants_to_guest, outcome_to_guest, scope_from_guest, status_to_guest,
};
use super::{Ctx, Exit, Live, check_json};
use crate::bindings::sublane::plugin::{subagent, types};
use crate::journal::args;

/// Runs that one wait may name, and that one list gives.
const MAX_RUNS: usize = 256;
/// Destinations that one run's ending may be owed to.
const MAX_DESTINATIONS: usize = 8;
/// Artifacts that go with one task.
const MAX_ARTIFACTS: usize = 32;
/// Characters of a name.
const MAX_NAME_CHARS: usize = 64;
/// Bytes of a dedupe key.
const MAX_DEDUPE_BYTES: usize = 128;
/// Bytes of a reason.
const MAX_REASON_BYTES: usize = 1 << 10;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

impl subagent::Host for Ctx {
    async fn spawn_subagent(&mut self, request: subagent::SpawnRequest) -> Reply<subagent::Receipt> {
        let import = Import::Spawn;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let args = hash_request(&request);
        let (path, held) = live.replayed::<SpawnAnswer>(import, args)?;
        let (spawned, child) = match held {
            Some(answer) => {
                let id = answer.as_ref().ok().map(|spawned| spawned.run);
                (answer, live.child(id).await?)
            }
            None => live.spawn(path, args, request).await?,
        };
        Ok(match (spawned, child) {
            (Ok(spawned), Some(child)) => Ok(subagent::Receipt {
                run: spawned.run.to_string(),
                name: child.spec.name.clone(),
                grants: grants_to_guest(&child.spec),
                duplicate: spawned.duplicate,
                position: spawned.position,
            }),
            (Ok(_), None) => return Err(Exit::Fault("a spawned run is gone".to_owned()).into()),
            (Err(error), _) => Err(error.into()),
        })
    }

    async fn wait(
        &mut self,
        runs: Vec<String>,
        until: subagent::AnyOrAll,
        timeout: Option<u64>,
    ) -> Reply<subagent::WaitResult> {
        let import = Import::Wait;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let all = until == subagent::AnyOrAll::All;
        let mut parts: Vec<&[u8]> = runs.iter().map(|run| run.as_bytes()).collect();
        let limit = timeout.map_or([0; 9], flagged);
        parts.push(&limit);
        parts.push(if all { b"all" } else { b"any" });
        let args = args(import, &parts);
        let ids: Result<Vec<RunId>, ImportError> = runs.iter().map(|run| parse_id(run)).collect();
        // Whose children they are is looked up now, before the wait is opened; on replay nothing is.
        let named = ids.clone().unwrap_or_default();
        let allowed =
            if live.attempt.journal.is_replaying() { Ok(()) } else { live.own_children(&named).await? };
        let check = |_: &Live, _| {
            if runs.is_empty() || runs.len() > MAX_RUNS {
                return Err(ImportError::Invalid(format!(
                    "a wait names 1 to {MAX_RUNS} runs, this one {}",
                    runs.len()
                )));
            }
            ids.map(|_| ())?;
            allowed
        };
        let what = WaitFor::Runs { runs: named, all };
        match live.wait::<WaitAnswer>(import, args, what, timeout, check).await? {
            Ok(decided) => {
                if live.attempt.meter.is_low()
                    && let Some(own) = live.child(Some(live.attempt.spec.id)).await?
                {
                    live.attempt.meter.refill(own.purse.cpu_us);
                }
                let mut ended = Vec::with_capacity(decided.ended.len());
                for id in decided.ended {
                    let run = live.child(Some(id)).await?;
                    if let Some(outcome) = run.as_ref().and_then(Run::outcome) {
                        ended.push(types::Ended { run: id.to_string(), outcome: outcome_to_guest(outcome) });
                    }
                }
                Ok(Ok(subagent::WaitResult { ended, timed_out: decided.timed_out }))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn status(&mut self, run: String) -> Reply<subagent::RunStatus> {
        let import = Import::Status;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let seen = live.effect(import, args(import, &[run.as_bytes()]), async |live| {
            let id = match parse_id(&run) {
                Ok(id) => id,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(error) = live.own_children(&[id]).await? {
                return Ok(Err(error));
            }
            Ok(live.child(Some(id)).await?.as_ref().map(Seen::of).ok_or(ImportError::NotFound))
        });
        answer(seen.await.map(|seen| seen.map(Seen::into_guest)))
    }

    async fn children(&mut self) -> Reply<Vec<subagent::RunStatus>> {
        let import = Import::Children;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let seen = live.effect(import, args(import, &[]), async |live| {
            let filter = RunFilter {
                parent: Some(live.attempt.spec.id),
                limit: MAX_RUNS as u32,
                ..Default::default()
            };
            let mut runs = live.attempt.host.store.runs(filter).await.map_err(Exit::store)?;
            runs.reverse();
            Ok(Ok(runs.iter().map(Seen::of).collect::<Vec<_>>()))
        });
        answer(seen.await.map(|seen| seen.map(|runs| runs.into_iter().map(Seen::into_guest).collect())))
    }

    async fn send(&mut self, run: String, message: String) -> Reply<()> {
        let import = Import::Send;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let args = args(import, &[run.as_bytes(), message.as_bytes()]);
        let sent = live.command(import, args, async |_| {
            Ok(check_json("the message", &message)
                .and_then(|()| parse_id(&run))
                .map(|to| Command::Send { to, message: message.into() }))
        });
        answer(sent.await)
    }

    async fn receive(&mut self, timeout: Option<u64>) -> Reply<Option<String>> {
        let import = Import::Receive;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let args = args(import, &[&timeout.map_or([0; 9], flagged)]);
        let received = live.wait(import, args, WaitFor::Message, timeout, |live, _| {
            if live.is_tool {
                return Err(ImportError::Invalid("a tool call is short: it has no mailbox".to_owned()));
            }
            Ok(())
        });
        answer(received.await)
    }

    async fn cancel(&mut self, run: String, reason: String) -> Reply<()> {
        let import = Import::Cancel;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        };
        let args = args(import, &[run.as_bytes(), reason.as_bytes()]);
        let cancelled = live.command(import, args, async |_| {
            if reason.len() > MAX_REASON_BYTES {
                let rule =
                    format!("a reason has at most {MAX_REASON_BYTES} bytes, this one {}", reason.len());
                return Ok(Err(ImportError::Invalid(rule)));
            }
            Ok(parse_id(&run).map(|run| Command::Cancel { run, reason: reason.into() }))
        });
        answer(cancelled.await)
    }
}

/// An optional duration as bytes in which `none` is no number.
fn flagged(ms: u64) -> [u8; 9] {
    let mut bytes = [1; 9];
    bytes[1..].copy_from_slice(&ms.to_le_bytes());
    bytes
}

fn parse_id(run: &str) -> Result<RunId, ImportError> {
    run.parse().map_err(|error: sublane_core::id::ParseIdError| ImportError::Invalid(error.to_string()))
}

/// A run's status as the journal keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Seen {
    run: RunId,
    name: String,
    agent: String,
    state: String,
    outcome: Option<sublane_core::Outcome>,
    percent: Option<u8>,
    note: Option<String>,
}

impl Seen {
    fn of(run: &Run) -> Self {
        let status = status_to_guest(run);
        Self {
            run: run.spec.id,
            name: status.name,
            agent: status.agent,
            state: run.state.kind().to_owned(),
            outcome: run.outcome().cloned(),
            percent: status.percent,
            note: status.note,
        }
    }

    fn into_guest(self) -> subagent::RunStatus {
        let state = match (self.state.as_str(), &self.outcome) {
            (_, Some(outcome)) => subagent::RunState::Ended(outcome_to_guest(outcome)),
            ("running", _) => subagent::RunState::Running,
            ("waiting", _) => subagent::RunState::Waiting,
            ("closing", _) => subagent::RunState::Closing,
            _ => subagent::RunState::Queued,
        };
        subagent::RunStatus {
            run: self.run.to_string(),
            name: self.name,
            agent: self.agent,
            state,
            percent: self.percent,
            note: self.note,
        }
    }
}

/// The hash of everything in a request. Each field is there with its length or
/// its absence, so that nothing a request can say runs together.
fn hash_request(request: &subagent::SpawnRequest) -> u128 {
    let subagent::SpawnRequest {
        agent,
        task,
        name,
        scope,
        deliver,
        lifetime,
        lane,
        priority,
        timeout,
        dedupe_key,
    } = request;
    let mut bytes = Bytes(Vec::with_capacity(256 + task.input.len()));
    bytes.text(agent);
    bytes.text(&task.input);
    bytes.number(task.artifacts.len() as u64);
    for file in &task.artifacts {
        [&file.id, &file.name, &file.media_type].into_iter().for_each(|text| bytes.text(text));
        bytes.number(file.size);
    }
    [name, lane, dedupe_key].into_iter().for_each(|text| bytes.texts(text));
    bytes.scope(scope);
    match deliver {
        subagent::DeliveryPlan::None => bytes.number(0),
        subagent::DeliveryPlan::Origin => bytes.number(1),
        subagent::DeliveryPlan::To(named) => {
            bytes.number(2);
            bytes.texts(named);
        }
    }
    bytes.number(lifetime.map_or(2, |lifetime| lifetime as u64));
    bytes.number(*priority as u64);
    bytes.option(*timeout);
    args(Import::Spawn, &[&bytes.0])
}

/// Fields of a request, one after the other.
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn option(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) {
        let at = self.0.len();
        self.number(0);
        let mut count = 0_u64;
        for text in texts {
            count += 1;
            self.text(text);
        }
        self.0[at..at + 8].copy_from_slice(&count.to_le_bytes());
    }

    fn scope(&mut self, scope: &subagent::Scope) {
        let subagent::Scope { spawn, channels, tools, kv, artifacts, artifact_bytes, cpu, memory_bytes } =
            scope;
        self.number(u64::from(spawn.is_some()));
        if let Some(spawn) = spawn {
            self.texts(&spawn.agents);
            [spawn.depth, spawn.active_children, spawn.total]
                .into_iter()
                .for_each(|n| self.number(u64::from(n)));
        }
        self.texts(channels);
        self.number(tools.len() as u64);
        for tool in tools {
            self.text(&tool.plugin);
            self.texts(&tool.tools);
        }
        self.number(kv.len() as u64);
        for kv in kv {
            self.text(&kv.bucket);
            self.text(&kv.prefix);
            self.number(u64::from(kv.write));
        }
        self.number(u64::from(*artifacts));
        [*artifact_bytes, *cpu, *memory_bytes].into_iter().for_each(|number| self.option(number));
    }
}

impl Live {
    /// The row of a run, if one is named.
    async fn child(&self, id: Option<RunId>) -> wasmtime::Result<Option<Run>> {
        match id {
            Some(id) => Ok(self.attempt.host.store.run(id).await.map_err(Exit::store)?),
            None => Ok(None),
        }
    }

    /// Denied, unless all of these runs were spawned by this one.
    async fn own_children(&self, runs: &[RunId]) -> wasmtime::Result<Result<(), ImportError>> {
        for id in runs {
            let run = self.child(Some(*id)).await?;
            if run.is_none_or(|run| run.spec.parent != Some(self.attempt.spec.id)) {
                return Ok(Err(ImportError::Denied(format!("subagent {id}"))));
            }
        }
        Ok(Ok(()))
    }

    /// Spawns: within the grants, within the lane, then one commit.
    async fn spawn(
        &mut self,
        path: Path,
        args: u128,
        request: subagent::SpawnRequest,
    ) -> wasmtime::Result<(Answer<SpawnAnswer>, Option<Run>)> {
        let attempt = self.attempt.clone();
        let planned = match self.plan(&path, request) {
            Ok((spec, ask)) => self.readable(spec.artifacts.clone()).await?.map(|files| (spec, ask, files)),
            Err(error) => Err(error),
        };
        let by = attempt.by(false);
        let (mut spec, ask, files) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let refused: Answer<SpawnAnswer> = Err(error);
                let entry = Entry { path, import: Import::Spawn, args, result: encode(&refused), at: by.now };
                attempt.host.store.append(by.clone(), vec![entry]).await.map_err(Exit::store)?;
                attempt.journal.written(by.now);
                return Ok((refused, None));
            }
        };
        spec.artifacts = files;
        let at = by.now;
        let active_children = self.grants.spawn().map_or(0, |spawn| spawn.active_children);
        let position = attempt.host.lanes.queued(&spec.lane);
        let spawn = Spawn { by, path, args, spec, ask, active_children, position };
        let spawned = attempt.host.store.spawn(spawn).await.map_err(Exit::store)?;
        attempt.journal.written(at);
        if let Some(ready) = spawned.ready {
            if let Some(child) = spawned.child.as_ref().filter(|child| child.spec.attached_to().is_some()) {
                attempt.meter.split_off(child.spec.purse.cpu_us);
            }
            attempt.host.note_due(spawned.child.as_ref().map(|child| child.spec.deadline()));
            attempt.host.lanes.offer(&attempt.host, ready);
        }
        Ok((spawned.answer, spawned.child))
    }

    /// The child, as far as grants and lanes decide it.
    fn plan(
        &mut self,
        path: &Path,
        request: subagent::SpawnRequest,
    ) -> Result<(Box<RunSpec>, PurseAsk), ImportError> {
        check_request(&request)?;
        let parent = self.attempt.spec.clone();
        let host = self.attempt.host.clone();
        let (plugin_id, agent_name) = match request.agent.split_once('/') {
            Some((plugin, agent)) => (plugin, Some(agent)),
            None => (request.agent.as_str(), None),
        };
        let plugins = host.plugins();
        let known = plugins.get(plugin_id).and_then(|plugin| Some((plugin, plugin.agent(agent_name)?)));
        // A denial does not tell whether the agent exists.
        let named = agent_name.or(known.map(|(_, agent)| agent.name.as_str())).unwrap_or("*");
        if let Err(denied) = self.grants.may_spawn(plugin_id, named) {
            return Err(self.denied(denied));
        }
        let (plugin, agent) = known.ok_or(ImportError::NotFound)?;
        let depth = parent.depth + 1;
        if depth > host.settings.max_depth {
            return Err(ImportError::Limit(LimitHit::new("spawn.depth", u64::from(host.settings.max_depth))));
        }
        let lane = request.lane.unwrap_or_else(|| "subagent".to_owned());
        host.lanes.room(&lane)?;
        let lifetime = match request.lifetime {
            Some(subagent::Lifetime::Attached) if self.is_tool => {
                let why = "a tool call is short: what it spawns is detached";
                return Err(ImportError::Invalid(why.to_owned()));
            }
            Some(subagent::Lifetime::Attached) => Lifetime::Attached,
            Some(subagent::Lifetime::Detached) => Lifetime::Detached,
            None if self.is_tool => Lifetime::Detached,
            None => Lifetime::Attached,
        };
        let now = self.attempt.by(false).now;
        // What is detached is bounded by its spawner's own root, whose numbers the plugin holds ready.
        let own = self.plugin.met();
        let terms = Terms {
            now,
            ceiling: match lifetime {
                Lifetime::Attached => Ceiling::Parent,
                Lifetime::Detached => Ceiling::Conversation(now.after(own.timeout)),
            },
            memory_bytes: plugin.manifest.memory_bytes,
            timeout: plugin.manifest.asks.timeout.min(host.lanes.timeout(&lane)),
        };
        let scope = scope_from_guest(request.scope, request.timeout)?;
        let grants = match self.grants.attenuate(&scope, &terms) {
            Ok(grants) => grants,
            Err(denied) => return Err(self.denied(denied)),
        };
        let mut ask = scope.purse;
        if lifetime == Lifetime::Detached {
            // The conversation's purse is everybody's: no plugin draws more than its own root allows.
            ask = within(ask, own.purse)?;
        }
        let destinations = self.destinations(request.deliver)?;
        let id = parent.id.child(self.attempt.generation, path);
        let mut seed = [0; 32];
        self.frame.seed_of(path, &mut seed);
        let spec = RunSpec {
            id,
            parent: Some(parent.id),
            lifetime,
            conversation: parent.conversation,
            origin: parent.origin.clone(),
            plugin: plugin.manifest.id.clone(),
            agent: agent.name.clone(),
            component: plugin.digest.clone(),
            name: request.name.unwrap_or_else(|| format!("{}-{}", agent.name, id.short())),
            lane,
            priority: match request.priority {
                subagent::Priority::Low => Priority::Low,
                subagent::Priority::Normal => Priority::Normal,
                subagent::Priority::High => Priority::High,
            },
            depth,
            input: request.task.input.into(),
            artifacts: artifacts_from_guest(request.task.artifacts),
            grants,
            purse: sublane_core::Purse::default(),
            destinations,
            created: now,
            dedupe_key: request.dedupe_key,
            spawner: self.plugin.manifest.id.clone(),
            seed,
        };
        Ok((Box::new(spec), ask))
    }

    /// To whom the ending will be owed: captured now. Each needs its grant.
    fn destinations(&self, plan: subagent::DeliveryPlan) -> Result<Vec<Destination>, ImportError> {
        let named = match plan {
            subagent::DeliveryPlan::None => return Ok(Vec::new()),
            subagent::DeliveryPlan::Origin => vec!["origin".to_owned()],
            subagent::DeliveryPlan::To(named) => named,
        };
        if named.len() > MAX_DESTINATIONS {
            let limit = LimitHit::new("delivery.destinations", MAX_DESTINATIONS as u64);
            return Err(ImportError::Limit(limit));
        }
        let mut destinations = Vec::with_capacity(named.len());
        for name in named {
            let to: sublane_core::grants::ChannelGrant =
                name.parse().map_err(|error| ImportError::Invalid(format!("{error}")))?;
            if let Err(denied) = self.grants.may_deliver(&to) {
                return Err(self.denied(denied));
            }
            let destination = match to {
                sublane_core::grants::ChannelGrant::Origin => self.attempt.spec.origin.clone(),
                sublane_core::grants::ChannelGrant::Address(destination) => destination,
            };
            if !destinations.contains(&destination) {
                destinations.push(destination);
            }
        }
        Ok(destinations)
    }
}

/// What a detached child draws, at most what its spawner's own root allows.
fn within(ask: PurseAsk, own: sublane_core::Purse) -> Result<PurseAsk, ImportError> {
    let bounded = |which: &str, asked: u64, has: u64| {
        if asked > has { Err(ImportError::Limit(LimitHit::new(which, has))) } else { Ok(asked) }
    };
    Ok(PurseAsk {
        cpu_us: Some(bounded("purse.cpu-us", ask.cpu_us.unwrap_or(own.cpu_us), own.cpu_us)?),
        spawns: bounded("purse.spawns", ask.spawns, own.spawns.saturating_sub(1))?,
        artifact_bytes: Some(bounded(
            "purse.artifact-bytes",
            ask.artifact_bytes.unwrap_or(if ask.artifacts { own.artifact_bytes } else { 0 }),
            own.artifact_bytes,
        )?),
        artifacts: ask.artifacts,
    })
}

/// What can be seen to be wrong with a request by itself.
fn check_request(request: &subagent::SpawnRequest) -> Result<(), ImportError> {
    let invalid = |why: String| Err(ImportError::Invalid(why));
    check_json("the task's input", &request.task.input)?;
    if request.task.artifacts.len() > MAX_ARTIFACTS {
        return invalid(format!("a task has at most {MAX_ARTIFACTS} artifacts"));
    }
    if let Some(name) = &request.name {
        let chars = name.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&chars) || name.chars().any(char::is_control) {
            return invalid(format!("a name has 1 to {MAX_NAME_CHARS} characters and no control characters"));
        }
    }
    if let Some(key) = &request.dedupe_key
        && !(1..=MAX_DEDUPE_BYTES).contains(&key.len())
    {
        return invalid(format!("a dedupe key has 1 to {MAX_DEDUPE_BYTES} bytes"));
    }
    if let Some(spawn) = &request.scope.spawn
        && !(1..=20).contains(&spawn.active_children)
    {
        return invalid(format!("scope.spawn.active-children is 1 to 20, not {}", spawn.active_children));
    }
    if request.timeout == Some(0) {
        return invalid("a time-out of 0 would end the run before it began".to_owned());
    }
    Ok(())
}
