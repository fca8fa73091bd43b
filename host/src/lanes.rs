//! The lanes of this host: who executes, who is next, who sits parked.
//!
//! The shell around the core's admission: one lock, no IO, no decision of its
//! own. A slot is held only while guest code executes; a parked attempt keeps
//! its instance as a cache and gives the slot back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::id::IdMap;
use sublane_core::lane::{Key, Lane, LaneLimits, MAX_QUEUE_LENGTH, MAX_SLOTS, Ready as Turn};
use sublane_core::{Entry, ImportError, RunId, Timestamp};
use sublane_store::{LaneSetting, Ready, Store, StoreError};

use crate::attempt::Attempt;
use crate::engine::Class;
use crate::engine::guest::Stop;
use crate::engine::pool::Lack;
use crate::engine::threads::default_threads;
use crate::host::Inner;
use crate::runner;

/// Where runs of a lane go that is not configured any more.
const FALLBACK: &str = "subagent";

/// The lanes, by name.
pub struct Lanes {
    state: Mutex<State>,
    /// As configured, by name.
    configured: HashMap<String, LaneLimits>,
}

struct State {
    lanes: HashMap<String, Lane>,
    /// Attempts without a slot whose instance is in memory.
    parked: IdMap<RunId, Arc<Attempt>>,
    /// Parked attempts whose wait is decided and that wait for a slot.
    resumes: IdMap<RunId, (Arc<Attempt>, Entry)>,
}

/// What a lane looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Its name.
    pub name: String,
    /// Runs that execute.
    pub running: u32,
    /// Runs that are ready.
    pub ready: u32,
    /// Its limits.
    pub limits: LaneLimits,
}

/// What to do once the lock is free.
enum Next {
    Start(RunId),
    Resume(Arc<Attempt>, Entry),
}

impl State {
    /// The lane of this name. A run of one that is not configured any more is on `subagent`.
    fn lane(&mut self, name: &str) -> Option<&mut Lane> {
        let name = if self.lanes.contains_key(name) { name } else { FALLBACK };
        self.lanes.get_mut(name)
    }

    /// The attempt's slot is free, if it has one.
    fn give_back(&mut self, attempt: &Attempt) {
        if attempt.standing.has_slot.swap(false, Relaxed)
            && let Some(lane) = self.lane(&attempt.spec.lane)
        {
            lane.release(attempt.spec.id);
        }
    }

    /// Everybody who gets a slot of this lane now.
    fn next(&mut self, lane: &str) -> Vec<Next> {
        let mut next = Vec::new();
        while let Some(run) = self.lane(lane).and_then(Lane::pop) {
            next.push(match self.resumes.remove(&run) {
                Some((attempt, entry)) => {
                    attempt.standing.has_slot.store(true, Relaxed);
                    Next::Resume(attempt, entry)
                }
                None => Next::Start(run),
            });
        }
        next
    }
}

/// The lanes that there are: `main` and `subagent`, and what the configuration says.
#[must_use]
pub fn configured(said: impl IntoIterator<Item = (String, LaneLimits)>) -> HashMap<String, LaneLimits> {
    let cores = u32::try_from(default_threads()).unwrap_or(1);
    let mut lanes = HashMap::from([
        ("main".to_owned(), LaneLimits::main(cores)),
        (FALLBACK.to_owned(), LaneLimits::default()),
    ]);
    lanes.extend(said);
    lanes
}

/// The lane that runs of this lane are on: one that is not configured any more is `subagent`.
#[must_use]
pub fn name_of<'a>(lanes: &HashMap<String, LaneLimits>, name: &'a str) -> &'a str {
    if lanes.contains_key(name) { name } else { FALLBACK }
}

/// Whether a lane of this name may be set so; else why not, for people.
///
/// # Errors
/// There is no such lane among `names`, or it would never give a slot.
pub fn check_setting<'a>(
    names: impl Iterator<Item = &'a str>,
    lane: &str,
    setting: LaneSetting,
) -> Result<(), String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    if !names.contains(&lane) {
        return Err(format!("there is no lane `{lane}`; there are {}", names.join(", ")));
    }
    if let Some(slots) = setting.slots.filter(|slots| !(1..=MAX_SLOTS).contains(slots)) {
        return Err(format!(
            "a lane has 1 to {MAX_SLOTS} slots, not {slots}; `sublane lanes pause {lane}` stops it"
        ));
    }
    if let Some(length) = setting.queue_length.filter(|length| !(1..=MAX_QUEUE_LENGTH).contains(length)) {
        return Err(format!("in a lane 1 to {MAX_QUEUE_LENGTH} runs may wait, not {length}"));
    }
    Ok(())
}

/// What operators have set of a lane.
///
/// # Errors
/// The store's.
pub async fn setting_of(store: &dyn Store, lane: &str) -> Result<LaneSetting, StoreError> {
    let set = store.lane_settings().await?;
    Ok(set.into_iter().find(|(name, _)| name == lane).map(|(_, setting)| setting).unwrap_or_default())
}

/// What holds on a lane: as configured, but for what an operator has set.
#[must_use]
pub fn limits_as_set(configured: LaneLimits, setting: LaneSetting) -> LaneLimits {
    LaneLimits {
        slots: setting.slots.unwrap_or(configured.slots),
        queue_length: setting.queue_length.unwrap_or(configured.queue_length),
        ..configured
    }
}

fn apply(lane: &mut Lane, configured: LaneLimits, setting: LaneSetting) {
    lane.set_limits(limits_as_set(configured, setting));
    if setting.paused {
        lane.pause();
    } else {
        lane.resume();
    }
}

fn perform(host: &Arc<Inner>, next: Vec<Next>) {
    for next in next {
        match next {
            Next::Start(run) => runner::start(host, run),
            Next::Resume(attempt, entry) => attempt.resume(entry),
        }
    }
}

impl Lanes {
    /// Lanes with these limits, and with what operators have set.
    #[must_use]
    pub fn new(configured: HashMap<String, LaneLimits>, set: Vec<(String, LaneSetting)>) -> Self {
        let lanes = configured.iter().map(|(name, limits)| (name.clone(), Lane::new(*limits))).collect();
        let mut state = State { lanes, parked: IdMap::default(), resumes: IdMap::default() };
        for (name, setting) in set {
            if let (Some(lane), Some(limits)) = (state.lanes.get_mut(&name), configured.get(&name)) {
                apply(lane, *limits, setting);
            }
        }
        Self { state: Mutex::new(state), configured }
    }

    /// Whether a lane may be set so; else why not, for people.
    ///
    /// # Errors
    /// There is no such lane, or it would never give a slot.
    pub fn check(&self, lane: &str, setting: LaneSetting) -> Result<(), String> {
        check_setting(self.configured.keys().map(String::as_str), lane, setting)
    }

    /// Sets a lane as an operator wants it. Who has a slot keeps it.
    pub fn set(&self, host: &Arc<Inner>, lane: &str, setting: LaneSetting) {
        let next = {
            let mut state = self.state.lock();
            // A host that stops gives no slots, whatever is set.
            if let (Some(found), Some(limits), false) =
                (state.lanes.get_mut(lane), self.configured.get(lane), host.is_stopping())
            {
                apply(found, *limits, setting);
            }
            state.next(lane)
        };
        perform(host, next);
    }

    /// Whether the lane takes one more run.
    ///
    /// # Errors
    /// `invalid` for a lane that is not there, `limit` when its queue is full.
    pub fn room(&self, lane: &str) -> Result<(), ImportError> {
        let state = self.state.lock();
        match state.lanes.get(lane) {
            Some(lane) => lane.check_room().map_err(ImportError::Limit),
            None => {
                let mut names: Vec<_> = state.lanes.keys().map(String::as_str).collect();
                names.sort_unstable();
                Err(ImportError::Invalid(format!(
                    "there is no lane `{lane}`; there are {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Ready runs of a lane.
    #[must_use]
    pub fn queued(&self, lane: &str) -> u32 {
        let state = self.state.lock();
        state.lanes.get(lane).map_or(0, |lane| u32::try_from(lane.len()).unwrap_or(u32::MAX))
    }

    /// A run is ready. One of a lane that is not configured waits on `subagent`.
    pub fn offer(&self, host: &Arc<Inner>, ready: Ready) {
        if host.pauses.holds(&ready.plugin, ready.run, || host.clock.now()) {
            return;
        }
        let key = Key::new(&ready.plugin, ready.parent);
        let next = {
            let mut state = self.state.lock();
            let name = if state.lanes.contains_key(&ready.lane) { ready.lane.as_str() } else { "subagent" };
            let Some(lane) = state.lanes.get_mut(name) else { return };
            if lane.start(ready.run, key) {
                drop(state);
                return runner::start(host, ready.run);
            }
            lane.push(Turn { run: ready.run, key, priority: ready.priority, since: ready.since });
            let name = name.to_owned();
            state.next(&name)
        };
        perform(host, next);
    }

    /// A parked attempt's wait is decided: it goes on as soon as it has a slot. One that has left goes on
    /// no more: what it came to queues its run again, with the entry that decides the wait in its journal.
    pub fn resume(&self, host: &Arc<Inner>, attempt: Arc<Attempt>, entry: Entry) {
        let spec = attempt.spec.clone();
        let key = Key::new(&spec.plugin, spec.parent);
        let next = {
            let mut state = self.state.lock();
            if attempt.standing.has_left.load(Relaxed) {
                return;
            }
            state.parked.remove(&spec.id);
            let Some(lane) = state.lane(&spec.lane) else { return };
            if lane.start(spec.id, key) {
                attempt.standing.has_slot.store(true, Relaxed);
                drop(state);
                return attempt.resume(entry);
            }
            lane.push(Turn { run: spec.id, key, priority: spec.priority, since: entry.at });
            state.resumes.insert(spec.id, (attempt.clone(), entry));
            state.next(&spec.lane)
        };
        perform(host, next);
        // Whoever has a slot and asked for room before this was in line found nobody here.
        let state = self.state.lock();
        if state.resumes.contains_key(&spec.id) && attempt.is_wanted() {
            attempt.meter.stop(Stop::MakesRoom);
        }
    }

    /// The attempt parks: its slot is free, its instance stays.
    pub fn park(&self, attempt: &Arc<Attempt>) {
        let spec = &attempt.spec;
        let next = {
            let mut state = self.state.lock();
            // Decided before it came here: it is in line for a slot already.
            if !state.resumes.contains_key(&spec.id) {
                state.parked.insert(spec.id, attempt.clone());
            }
            state.give_back(attempt);
            state.next(&spec.lane)
        };
        perform(&attempt.host, next);
    }

    /// The attempt executes no more: whatever it has of its lane is free. The run may have a newer one,
    /// whose slot and place are not touched.
    pub fn leave(&self, attempt: &Arc<Attempt>) {
        let (id, lane) = (attempt.spec.id, &attempt.spec.lane);
        let next = {
            let mut state = self.state.lock();
            attempt.standing.has_left.store(true, Relaxed);
            if state.parked.get(&id).is_some_and(|parked| Arc::ptr_eq(parked, attempt)) {
                state.parked.remove(&id);
            }
            if state.resumes.get(&id).is_some_and(|(resumed, _)| Arc::ptr_eq(resumed, attempt)) {
                state.resumes.remove(&id);
                if let Some(lane) = state.lane(lane) {
                    lane.withdraw(id);
                }
            }
            state.give_back(attempt);
            state.next(lane)
        };
        perform(&attempt.host, next);
    }

    /// A run that had a slot could not be claimed: it was offered twice, and its attempt may well be
    /// parked or in line, which is not touched.
    pub fn release_unclaimed(&self, host: &Arc<Inner>, run: RunId) {
        let next = {
            let mut state = self.state.lock();
            let lanes: Vec<String> = state.lanes.keys().cloned().collect();
            let mut next = Vec::new();
            for name in lanes {
                if let Some(lane) = state.lanes.get_mut(&name) {
                    lane.release(run);
                }
                next.extend(state.next(&name));
            }
            next
        };
        perform(host, next);
    }

    /// Asks the attempt of this engine that is parked for longest to drop its instance; where it is its
    /// plugin's share that somebody lacks, the one with an instance of that plugin. Where none is parked,
    /// the last of those that wait for a slot: whoever asks may have the slot that it waits for.
    pub fn make_room(&self, class: Class, lack: Lack, plugin: &str) {
        let helps =
            |attempt: &Arc<Attempt>| attempt.is_on(class) && (lack == Lack::Pool || attempt.is_of(plugin));
        let mut state = self.state.lock();
        let parked = state.parked.values().filter(|attempt| helps(attempt));
        // Whoever asks next gets another one.
        if let Some(oldest) = parked.min_by_key(|attempt| attempt.parked_since()).cloned() {
            state.parked.remove(&oldest.spec.id);
            return oldest.evict();
        }
        let in_line = state.resumes.values().filter(|(attempt, _)| {
            // One that was asked before is on its way.
            helps(attempt) && attempt.meter.stopped().is_none()
        });
        if let Some((last, _)) = in_line.max_by_key(|(_, entry)| entry.at) {
            last.meter.stop(Stop::MakesRoom);
        }
    }

    /// Asks attempts that are parked for longer than `window` to drop their instances.
    pub fn cool_down(&self, window: Duration, now: Timestamp) {
        let cold: Vec<_> = {
            let state = self.state.lock();
            // After a clock was set back nobody stays for more than two windows.
            let is_cold = |since: Timestamp| now.since(since) >= window || since.since(now) > window;
            let parked = state.parked.values();
            parked.filter(|attempt| is_cold(attempt.parked_since())).cloned().collect()
        };
        cold.iter().for_each(|attempt| attempt.evict());
    }

    /// Ready runs before this one on its lane, if it is ready there.
    #[must_use]
    pub fn position(&self, lane: &str, run: RunId) -> Option<u32> {
        self.state.lock().lane(lane)?.position(run)
    }

    /// Ready runs in all, but for those of lanes that give no slots.
    #[must_use]
    pub fn in_line(&self) -> usize {
        self.state.lock().lanes.values().filter(|lane| !lane.is_paused()).map(Lane::len).sum()
    }

    /// Attempts whose instance is kept while their run waits.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.state.lock().parked.len()
    }

    /// Gives no more slots of this lane; who has one keeps it.
    pub fn pause(&self, lane: &str) {
        if let Some(lane) = self.state.lock().lane(lane) {
            lane.pause();
        }
    }

    /// Gives no more slots of any lane.
    pub fn pause_all(&self) {
        self.state.lock().lanes.values_mut().for_each(Lane::pause);
    }

    /// Time-out of a run on this lane that names none.
    #[must_use]
    pub fn timeout(&self, lane: &str) -> Duration {
        self.state.lock().lane(lane).map_or(Duration::ZERO, |lane| lane.limits().timeout)
    }

    /// Gives slots of this lane again.
    pub fn resume_lane(&self, host: &Arc<Inner>, lane: &str) {
        let next = {
            let mut state = self.state.lock();
            if let Some(lane) = state.lane(lane) {
                lane.resume();
            }
            state.next(lane)
        };
        perform(host, next);
    }

    /// All lanes, by name.
    #[must_use]
    pub fn status(&self) -> Vec<LaneStatus> {
        let state = self.state.lock();
        let mut lanes: Vec<_> = state
            .lanes
            .iter()
            .map(|(name, lane)| LaneStatus {
                name: name.clone(),
                running: lane.running(),
                ready: u32::try_from(lane.len()).unwrap_or(u32::MAX),
                limits: lane.limits(),
            })
            .collect();
        lanes.sort_by(|a, b| a.name.cmp(&b.name));
        lanes
    }
}
