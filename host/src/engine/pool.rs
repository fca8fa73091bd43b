//! Admission to the instances of one engine, by depth of tool calls.
//!
//! An agent's instance is at level 0, a tool that it calls at level 1, and so
//! on. Each level keeps room for all deeper ones, so that the deepest never
//! waits for the shallow: a full pool is a queue and never a deadlock. An
//! instance that sits parked in memory is only a cache: whoever finds the pool
//! full asks for one of those to be dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Tool calls may nest so deep.
pub const MAX_CALL_DEPTH: u32 = 4;
/// The smallest pool that lets a run with nested tool calls finish.
pub const SMALLEST: u32 = MAX_CALL_DEPTH + 1;

/// Counts instances and queues those who must wait, by level.
pub struct Pool {
    capacity: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u32,
    waiting: [VecDeque<oneshot::Sender<()>>; SMALLEST as usize],
}

/// One instance's place; it is free again when this is dropped.
pub struct Place(Arc<Pool>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Pool {
    /// A pool of so many instances.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self { capacity, state: Mutex::new(State::default()) }
    }

    /// Instances there are now.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.state.lock().used
    }

    /// Whether somebody waits for a place.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.state.lock().waiting.iter().any(|level| !level.is_empty())
    }

    /// How many instances there may be once one of this level is admitted.
    fn ceiling(&self, level: usize) -> u32 {
        self.capacity - (MAX_CALL_DEPTH - u32::try_from(level).unwrap_or(MAX_CALL_DEPTH))
    }

    /// A place for an instance at this level, as soon as there is one.
    /// `make_room` is called when it must wait, to have a parked instance dropped.
    pub async fn admit(self: &Arc<Self>, level: u32, make_room: impl FnOnce()) -> Place {
        let level = (level as usize).min(SMALLEST as usize - 1);
        let ready = {
            let mut state = self.state.lock();
            if state.used < self.ceiling(level) {
                state.used += 1;
                return Place(self.clone());
            }
            let (wake, ready) = oneshot::channel();
            state.waiting[level].push_back(wake);
            ready
        };
        make_room();
        let mut turn = Turn { pool: self, ready: Some(ready) };
        // The sender is dropped only with the pool, which `self` keeps alive.
        if let Some(ready) = &mut turn.ready {
            let _ = ready.await;
        }
        turn.ready = None;
        Place(self.clone())
    }

    /// One instance is gone: the deepest that waits and fits is next.
    fn release(&self) {
        let mut state = self.state.lock();
        state.used -= 1;
        for level in (0..SMALLEST as usize).rev() {
            while state.used < self.ceiling(level) {
                let Some(next) = state.waiting[level].pop_front() else { break };
                if next.send(()).is_ok() {
                    state.used += 1;
                    return;
                }
            }
        }
    }
}

/// Someone's turn in the queue; if they stop waiting after it came, it goes to the next.
struct Turn<'p> {
    pool: &'p Pool,
    ready: Option<oneshot::Receiver<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ready) = &mut self.ready {
            ready.close();
            if ready.try_recv().is_ok() {
                self.pool.release();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn each_level_leaves_room_for_the_deeper_ones() {
        let pool = Arc::new(Pool::new(SMALLEST));
        let first = pool.admit(0, || ()).now_or_never().expect("one agent fits");
        let mut second = Box::pin(pool.admit(0, || ()));
        assert!(second.as_mut().now_or_never().is_none(), "a second agent waits");
        let tools: Vec<_> = (1..SMALLEST)
            .map(|level| pool.admit(level, || ()).now_or_never().expect("its tools fit"))
            .collect();
        drop(tools);
        drop(first);
        assert!(second.as_mut().now_or_never().is_some(), "the second agent's turn");
    }

    #[test]
    fn whoever_stops_waiting_passes_its_turn_on() {
        let pool = Arc::new(Pool::new(SMALLEST));
        let first = pool.admit(0, || ()).now_or_never().expect("fits");
        let mut gone = Box::pin(pool.admit(0, || ()));
        let mut next = Box::pin(pool.admit(0, || ()));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(first);
        drop(gone);
        assert!(next.as_mut().now_or_never().is_some());
        drop(next);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_full_pool_asks_for_room() {
        let pool = Arc::new(Pool::new(SMALLEST));
        let _first = pool.admit(0, || ()).now_or_never();
        let asked = std::cell::Cell::new(false);
        let second = pool.admit(0, || asked.set(true));
        assert!(second.now_or_never().is_none() && asked.get());
    }
}
