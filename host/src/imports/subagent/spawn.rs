//! A spawn: within the grants, within the lane, then one commit.

use sublane_core::grants::{Ceiling, ChannelGrant, Terms};
use sublane_core::journal::{SpawnAnswer, encode};
use sublane_core::{
    Answer, Destination, Entry, Import, ImportError, Lifetime, LimitHit, Path, Priority, Purse, PurseAsk,
    Run, RunSpec, RunState, Timestamp,
};
use sublane_store::{Draw, Spawn};

use super::authority::scope_from_guest;
use super::request;
use crate::attempt::Exit;
use crate::bindings::sublane::plugin::subagent;
use crate::imports::translate::artifacts_from_guest;
use crate::imports::{Live, check_input};

/// Destinations that one run's ending may be owed to.
const MAX_DESTINATIONS: usize = 8;

/// Where the entry of a spawn stands, and what it says of the call.
pub(super) struct Place {
    pub(super) path: Path,
    pub(super) import: Import,
    pub(super) args: u128,
}

impl Live {
    /// Spawns: within the grants, within the lane, then one commit.
    pub(super) async fn spawn(
        &mut self,
        place: Place,
        asked: subagent::SpawnRequest,
        retry: Option<subagent::RetryPolicy>,
    ) -> wasmtime::Result<(Answer<SpawnAnswer>, Option<Run>)> {
        let Place { path, import, args } = place;
        let attempt = self.attempt.clone();
        let now = attempt.now();
        let when = request::start(asked.start, now).and_then(|start| Ok((start, request::policy(retry)?)));
        let planned = when.and_then(|(start, retry)| {
            let (spec, ask) = self.plan(&path, asked, start, now)?;
            Ok((start, Box::new(RunSpec { retry, ..*spec }), ask))
        });
        let planned = match planned {
            Ok((start, spec, ask)) => {
                self.readable(spec.artifacts.clone()).await?.map(|files| (start, spec, ask, files))
            }
            Err(error) => Err(error),
        };
        let by = attempt.by_at(false, now);
        let (start, mut spec, ask, files) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let refused: Answer<SpawnAnswer> = Err(error);
                let entry = Entry { path, import, args, result: encode(&refused), at: by.now };
                let entries: Vec<Entry> = self.call_note(by.now).into_iter().chain([entry]).collect();
                attempt.host.store.append(by.clone(), entries.clone()).await.map_err(Exit::store)?;
                entries.iter().for_each(|entry| attempt.wrote(entry));
                return Ok((refused, None));
            }
        };
        spec.artifacts = files;
        self.note_call().await?;
        let active_children = self.grants.spawn().map_or(0, |spawn| spawn.active_children);
        let position = attempt.host.lanes.queued(&spec.lane);
        let draw = if self.is_tool {
            Draw::Conversation { total: self.plugin.met().purse.spawns }
        } else {
            Draw::Spawner
        };
        let spawn = Spawn { by, path, import, args, spec, ask, draw, active_children, position, start };
        let writing = attempt.meter.writing();
        let spawned = attempt.host.store.spawn(spawn).await.map_err(Exit::store)?;
        attempt.wrote(&spawned.entry);
        let begins = spawned.child.as_ref().and_then(|child| match child.state {
            RunState::Delayed { until } => Some(until),
            _ => None,
        });
        if begins.is_some() || spawned.ready.is_some() {
            attempt.meter.refill(&spawned.left);
            let deadline = spawned.child.as_ref().map(|child| child.spec.deadline());
            attempt.host.note_due(begins.or(deadline));
        }
        if let Some(ready) = spawned.ready {
            attempt.host.lanes.offer(&attempt.host, ready);
        }
        drop(writing);
        Ok((spawned.answer, spawned.child))
    }

    /// The child, as far as grants and lanes decide it.
    fn plan(
        &mut self,
        path: &Path,
        request: subagent::SpawnRequest,
        start: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Box<RunSpec>, PurseAsk), ImportError> {
        request::check(&request)?;
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
        if host.disk.is_low() {
            return Err(ImportError::Limit(LimitHit::new("host.free-disk-bytes", host.disk.floor_bytes())));
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
        let begins = start.unwrap_or(now);
        let deadline = self.grants.caps().deadline;
        if start.is_some() && lifetime == Lifetime::Attached && begins >= deadline {
            return Err(ImportError::Limit(LimitHit::new("cap.deadline", deadline.0)));
        }
        // What is detached is bounded by its spawner's own root, whose numbers the plugin holds ready.
        let own = self.plugin.met();
        let terms = Terms {
            now: begins,
            ceiling: match lifetime {
                Lifetime::Attached => Ceiling::Parent,
                Lifetime::Detached => Ceiling::Conversation(begins.after(own.timeout)),
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
        if self.is_tool {
            // The conversation's purse is everybody's: no plugin draws more than its own root allows.
            ask = within(ask, own.purse)?;
        }
        let destinations = self.destinations(request.deliver)?;
        // Last, since it takes longest: whoever is refused for anything else is refused at once.
        check_input(&agent.input_schema, "the task", &request.task.input)?;
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
            plugin_digest: plugin.digest.clone(),
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
            purse: Purse::default(),
            destinations,
            created: now,
            dedupe_key: request.dedupe_key,
            spawner: self.plugin.manifest.id.clone(),
            seed,
            retry: None,
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
            let to: ChannelGrant = name.parse().map_err(|error| ImportError::Invalid(format!("{error}")))?;
            if let Err(denied) = self.grants.may_deliver(&to) {
                return Err(self.denied(denied));
            }
            let destination = match to {
                ChannelGrant::Origin => self.attempt.spec.origin.clone(),
                ChannelGrant::Address(destination) => destination,
            };
            if !destinations.contains(&destination) {
                destinations.push(destination);
            }
        }
        Ok(destinations)
    }
}

/// What a tool call's child draws, at most what the tool's own root allows: the call's own spawn
/// comes out of that too.
fn within(ask: PurseAsk, own: Purse) -> Result<PurseAsk, ImportError> {
    let left = Purse { spawns: own.spawns.saturating_sub(1), ..own };
    match ask.all_within(left) {
        Ok(wanted) => Ok(PurseAsk::exactly(wanted)),
        Err(limit) => Err(ImportError::Limit(limit)),
    }
}
