//! Admission to the instances of one engine, by depth of tool calls and by plugin.
//!
//! An agent's instance is at level 0, a tool that it calls at level 1, and so
//! on. Each level keeps room for all deeper ones, so that the deepest never
//! waits for the shallow: a full pool is a queue and never a deadlock. The same
//! holds within the share of each plugin, so that none has the pool to itself.
//! An instance that sits parked in memory is only a cache: whoever finds no room
//! asks for one of those to be dropped, and again at every sweep.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Tool calls may nest so deep.
pub const MAX_CALL_DEPTH: u32 = 4;
/// The smallest pool, and the smallest share of a plugin, that lets a run with nested tool calls finish.
pub const SMALLEST: u32 = MAX_CALL_DEPTH + 1;

/// Counts instances and queues those who must wait, by level.
pub struct Pool {
    capacity: u32,
    per_plugin: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u32,
    /// Instances of each plugin that ever had one.
    of: HashMap<Arc<str>, u32>,
    waiting: [VecDeque<Waiting>; SMALLEST as usize],
}

/// Somebody who waits for a place.
struct Waiting {
    plugin: Arc<str>,
    wake: oneshot::Sender<()>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The pool is full.
    Pool,
    /// Its plugin has all that one plugin may have.
    Share,
}

/// One instance's place; it is free again when this is dropped.
pub struct Place {
    pool: Arc<Pool>,
    plugin: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.release(&self.plugin);
    }
}

/// What of a bound is there for one of this level, so that the deeper ones have room.
fn ceiling(bound: u32, level: usize) -> u32 {
    bound - (MAX_CALL_DEPTH - u32::try_from(level).unwrap_or(MAX_CALL_DEPTH))
}

impl State {
    fn of(&self, plugin: &str) -> u32 {
        self.of.get(plugin).copied().unwrap_or(0)
    }

    fn take(&mut self, plugin: &Arc<str>) {
        self.used += 1;
        match self.of.get_mut(plugin) {
            Some(count) => *count += 1,
            None => drop(self.of.insert(plugin.clone(), 1)),
        }
    }
}

impl Pool {
    /// A pool of so many instances, of which one plugin may have so many.
    #[must_use]
    pub fn new(capacity: u32, per_plugin: u32) -> Self {
        Self { capacity, per_plugin: per_plugin.min(capacity), state: Mutex::new(State::default()) }
    }

    /// Instances there are now.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.state.lock().used
    }

    /// Instances that this plugin has now.
    #[must_use]
    pub fn used_by(&self, plugin: &str) -> u32 {
        self.state.lock().of(plugin)
    }

    /// Whether somebody waits for what an instance of one of these plugins holds.
    #[must_use]
    pub fn is_wanted(&self, is_held_by: impl Fn(&str) -> bool) -> bool {
        let state = self.state.lock();
        let mut waiting =
            state.waiting.iter().enumerate().flat_map(|(level, all)| all.iter().map(move |one| (level, one)));
        waiting.any(|(level, one)| match self.lacks(&state, level, &one.plugin) {
            Some(Lack::Share) => is_held_by(&one.plugin),
            Some(Lack::Pool) | None => true,
        })
    }

    /// Everybody who waits now: what it lacks, and whose it is.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Lack, Arc<str>)> {
        let state = self.state.lock();
        let waiting = state.waiting.iter().enumerate();
        let waiting = waiting.flat_map(|(level, all)| all.iter().map(move |one| (level, one)));
        let waiting = waiting.filter(|(_, one)| !one.wake.is_closed());
        waiting
            .filter_map(|(level, one)| Some((self.lacks(&state, level, &one.plugin)?, one.plugin.clone())))
            .collect()
    }

    /// What one of this level and plugin would have to wait for.
    fn lacks(&self, state: &State, level: usize, plugin: &str) -> Option<Lack> {
        if state.of(plugin) >= ceiling(self.per_plugin, level) {
            Some(Lack::Share)
        } else if state.used >= ceiling(self.capacity, level) {
            Some(Lack::Pool)
        } else {
            None
        }
    }

    /// A place for an instance of this plugin at this level, as soon as there is one.
    /// `make_room` is called when it must wait, to have a parked instance dropped.
    pub async fn admit(
        self: &Arc<Self>,
        level: u32,
        plugin: &Arc<str>,
        make_room: impl FnOnce(Lack),
    ) -> Place {
        let level = (level as usize).min(SMALLEST as usize - 1);
        let place = || Place { pool: self.clone(), plugin: plugin.clone() };
        let (lack, ready) = {
            let mut state = self.state.lock();
            let Some(lack) = self.lacks(&state, level, plugin) else {
                state.take(plugin);
                return place();
            };
            let (wake, ready) = oneshot::channel();
            state.waiting[level].push_back(Waiting { plugin: plugin.clone(), wake });
            (lack, ready)
        };
        make_room(lack);
        let mut turn = Turn { pool: self, plugin, ready: Some(ready) };
        // The sender is dropped only with the pool, which `self` keeps alive.
        if let Some(ready) = &mut turn.ready {
            let _ = ready.await;
        }
        turn.ready = None;
        place()
    }

    /// One instance is gone: the deepest that waits and fits is next.
    fn release(&self, plugin: &str) {
        let mut state = self.state.lock();
        state.used -= 1;
        if let Some(count) = state.of.get_mut(plugin) {
            *count -= 1;
        }
        for level in (0..SMALLEST as usize).rev() {
            let mut next = 0;
            while let Some(waiting) = state.waiting[level].get(next) {
                // Whoever stopped waiting goes, whether it would fit or not.
                let is_gone = waiting.wake.is_closed();
                if !is_gone && self.lacks(&state, level, &waiting.plugin).is_some() {
                    next += 1;
                    continue;
                }
                let Some(waiting) = state.waiting[level].remove(next) else { break };
                if waiting.wake.send(()).is_ok() {
                    state.take(&waiting.plugin);
                    return;
                }
            }
        }
    }
}

/// Someone's turn in the queue; if they stop waiting after it came, it goes to the next.
struct Turn<'p> {
    pool: &'p Pool,
    plugin: &'p str,
    ready: Option<oneshot::Receiver<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ready) = &mut self.ready {
            ready.close();
            if ready.try_recv().is_ok() {
                self.pool.release(self.plugin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn plugin(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn each_level_leaves_room_for_the_deeper_ones() {
        let (pool, one) = (Arc::new(Pool::new(SMALLEST, SMALLEST)), plugin("one"));
        let first = pool.admit(0, &one, |_| ()).now_or_never().expect("one agent fits");
        let mut second = Box::pin(pool.admit(0, &one, |_| ()));
        assert!(second.as_mut().now_or_never().is_none(), "a second agent waits");
        let tools: Vec<_> = (1..SMALLEST)
            .map(|level| pool.admit(level, &one, |_| ()).now_or_never().expect("its tools fit"))
            .collect();
        drop(tools);
        drop(first);
        assert!(second.as_mut().now_or_never().is_some(), "the second agent's turn");
    }

    #[test]
    fn whoever_stops_waiting_passes_its_turn_on() {
        let (pool, one) = (Arc::new(Pool::new(SMALLEST, SMALLEST)), plugin("one"));
        let first = pool.admit(0, &one, |_| ()).now_or_never().expect("fits");
        let mut gone = Box::pin(pool.admit(0, &one, |_| ()));
        let mut next = Box::pin(pool.admit(0, &one, |_| ()));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(first);
        drop(gone);
        assert!(next.as_mut().now_or_never().is_some());
        drop(next);
        assert_eq!((pool.used(), pool.used_by("one")), (0, 0));
    }

    #[test]
    fn a_full_pool_asks_for_room() {
        let pool = Arc::new(Pool::new(SMALLEST, SMALLEST));
        let (one, two) = (plugin("one"), plugin("two"));
        let _first = pool.admit(0, &one, |_| ()).now_or_never();
        let asked = std::cell::Cell::new(None);
        let second = pool.admit(0, &two, |lack| asked.set(Some(lack)));
        assert!(second.now_or_never().is_none());
        assert_eq!(asked.get(), Some(Lack::Pool));
    }

    #[test]
    fn one_plugin_leaves_room_for_the_others() {
        let (pool, greedy, other) = (Arc::new(Pool::new(12, 6)), plugin("greedy"), plugin("other"));
        let mut held: Vec<_> =
            (0..2).map(|_| pool.admit(0, &greedy, |_| ()).now_or_never().expect("its share")).collect();
        let asked = std::cell::Cell::new(None);
        let mut third = Box::pin(pool.admit(0, &greedy, |lack| asked.set(Some(lack))));
        assert!(third.as_mut().now_or_never().is_none(), "it waits, though the pool has room");
        assert_eq!(asked.get(), Some(Lack::Share));
        assert_eq!(pool.waiting(), [(Lack::Share, greedy.clone())]);
        assert!(pool.is_wanted(|plugin| plugin == "greedy") && !pool.is_wanted(|plugin| plugin == "other"));
        let tools: Vec<_> = (1..SMALLEST)
            .map(|level| pool.admit(level, &greedy, |_| ()).now_or_never().expect("its tools fit"))
            .collect();
        let others = pool.admit(0, &other, |_| ()).now_or_never().expect("others do not wait");
        assert_eq!((pool.used_by("greedy"), pool.used_by("other"), pool.used()), (6, 1, 7));
        drop(others);
        assert!(third.as_mut().now_or_never().is_none(), "what another gives back is not for it");
        drop(tools);
        drop(held.pop());
        assert!(third.as_mut().now_or_never().is_some(), "its own instance is gone");
        assert!(pool.waiting().is_empty());
    }

    #[test]
    fn whoever_waits_for_its_share_holds_up_nobody_behind_it() {
        let (pool, greedy, other) = (Arc::new(Pool::new(6, SMALLEST)), plugin("greedy"), plugin("other"));
        let _held = pool.admit(0, &greedy, |_| ()).now_or_never().expect("its share");
        let full = pool.admit(0, &other, |_| ()).now_or_never().expect("fits");
        let mut first = Box::pin(pool.admit(0, &greedy, |_| ()));
        let mut second = Box::pin(pool.admit(0, &other, |_| ()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(full);
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_some(), "it came later and fits");
    }
}
