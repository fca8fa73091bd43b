//! Who is asked next: at each server the polls that are due in line, and those that are under way.
//!
//! What stands in line was read a moment ago; whether it is still so is seen when its beginning is
//! written. Bounds what all have, and what one plugin has of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::{PollId, RunSpec, Timestamp};
use sublane_store::DuePoll;

use super::servers::{Heard, Pace, Room, Servers};
use crate::clock::Clock;

/// Polls of one server that are read before there is room for them.
const AHEAD: u32 = 32;
/// How long what was read is taken for what is.
const FRESH: Duration = Duration::from_secs(1);

/// At all servers.
pub(super) struct Lines {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    at_once: u32,
    servers: Servers,
    at: HashMap<Arc<str>, At>,
    /// Polls under way.
    under_way: u32,
    /// How many of them each plugin has.
    by_plugin: HashMap<String, u32>,
    /// Polls in all lines.
    in_line: u32,
    /// The server at which a poll was begun last by who looks at all of them.
    last: Arc<str>,
}

/// At one server.
#[derive(Default)]
struct At {
    /// The oldest first.
    line: VecDeque<DuePoll>,
    /// When that was read, and whether one has begun since.
    read: Timestamp,
    has_begun: bool,
    under_way: Vec<PollId>,
    /// Whose polls stood in line when it was read last and could not begin, since each of them had his
    /// share; and until when it is not read as long as that is so.
    waiting: Vec<String>,
    unread_until: Timestamp,
}

/// What should be read of a server.
pub(super) enum Wants {
    /// So many polls that are due, without these.
    More { limit: u32, without: Vec<PollId> },
    /// Nothing: it has enough in line, or as many under way as it may have.
    Nothing,
    /// Nothing before this.
    At(Timestamp),
    /// Nothing of any server before a poll has ended.
    NoRoom,
}

/// How many of all polls that may be under way one plugin may have: servers that never answer keep
/// theirs for as long as a poll may take, and others are not to wait for that.
fn share(at_once: u32) -> u32 {
    (at_once.saturating_mul(3) / 4).max(1)
}

impl Lines {
    pub(super) fn new(pace: Pace, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            at_once: pace.at_once,
            servers: Servers::new(pace),
            at: HashMap::new(),
            under_way: 0,
            by_plugin: HashMap::new(),
            in_line: 0,
            last: "".into(),
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Of all servers that are polled, by their names: puts the one first that comes after the one at
    /// which a poll was begun last, and forgets what stands in line at any other.
    pub(super) fn in_turn<T>(&self, servers: &mut [(String, T)]) {
        let mut state = self.state.lock();
        let is_polled = |name: &str| servers.binary_search_by(|(other, _)| (**other).cmp(name)).is_ok();
        let gone: Vec<_> = state.at.keys().filter(|name| !is_polled(name)).cloned().collect();
        for name in gone {
            state.forget(&name);
        }
        let now = self.clock.now();
        for (name, _) in &*servers {
            state.forget_if_old(name, now);
        }
        let next = servers.partition_point(|(name, _)| **name <= *state.last);
        servers.rotate_left(next);
    }

    pub(super) fn wants(&self, server: &Arc<str>) -> Wants {
        let mut state = self.state.lock();
        let now = self.clock.now();
        if state.is_full() {
            return Wants::NoRoom;
        }
        let room = match state.servers.room(server, now) {
            Room::For(room) => room,
            Room::Full => return Wants::Nothing,
            Room::At(at) => {
                // Until then what was read grows old.
                state.forget(server);
                return Wants::At(at);
            }
        };
        state.forget_if_old(server, now);
        let ahead = AHEAD.min(state.servers.left(server)).min(state.at_once.saturating_sub(state.in_line));
        let (line, without) = match state.at.get(server) {
            // After a clock was set back nobody waits longer.
            Some(at)
                if at.line.is_empty()
                    && at.unread_until > now
                    && at.unread_until.since(now) <= FRESH
                    && at.waiting.iter().all(|plugin| state.has_share(plugin)) =>
            {
                return Wants::At(at.unread_until);
            }
            Some(at) => (u32::try_from(at.line.len()).unwrap_or(u32::MAX), at.ids()),
            None => (0, Vec::new()),
        };
        if line >= room {
            return Wants::Nothing;
        }
        Wants::More { limit: room.max(ahead) - line, without }
    }

    /// A server could not be read: it is left alone for a while.
    pub(super) fn failed(&self, server: &Arc<str>) -> Timestamp {
        let mut state = self.state.lock();
        let until = self.clock.now().after(FRESH);
        let at = state.at.entry(server.clone()).or_default();
        (at.waiting, at.unread_until) = (Vec::new(), until);
        until
    }

    /// Puts polls into line that were read.
    pub(super) fn add(&self, server: &Arc<str>, due: Vec<DuePoll>) {
        if due.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let now = self.clock.now();
        state.in_line += u32::try_from(due.len()).unwrap_or(u32::MAX);
        let at = state.at.entry(server.clone()).or_default();
        // Those that were there are as old as they were.
        at.read = if at.line.is_empty() { now } else { at.read };
        at.has_begun = false;
        at.line.extend(due);
    }

    /// The next poll of a server, if there is room for it. It is under way from now on.
    pub(super) fn begin(&self, server: &Arc<str>) -> Option<DuePoll> {
        let mut state = self.state.lock();
        let begun = state.begin(server, self.clock.now())?;
        state.last = server.clone();
        Some(begun)
    }

    /// All of a server that could begin has begun. Gives when to look again, unless an end says so.
    pub(super) fn had_its_turn(&self, server: &Arc<str>) -> Option<Timestamp> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        match state.servers.room(server, now) {
            Room::At(at) => return Some(at),
            Room::Full => return None,
            Room::For(_) if state.is_full() => return None,
            Room::For(_) => {}
        }
        // Whoever still stands here belongs to a plugin that has its share. It keeps nothing in memory.
        let line = &state.at.get(server)?.line;
        let mut waiting: Vec<String> = line.iter().map(|due| due.run.spec.plugin.clone()).collect();
        if waiting.is_empty() {
            return None;
        }
        waiting.sort_unstable();
        waiting.dedup();
        if !waiting.iter().all(|plugin| state.has_share(plugin)) {
            // Room came since the last one of them was refused.
            return Some(now);
        }
        // Where somebody began since it was read, others may be due behind those.
        let has_begun = state.at.get(server).is_some_and(|at| at.has_begun);
        let until = if has_begun { now } else { now.after(FRESH) };
        state.forget(server);
        let at = state.at.entry(server.clone()).or_default();
        (at.waiting, at.unread_until) = (waiting, until);
        Some(until)
    }

    /// Of a poll that was begun.
    pub(super) fn under_way(self: &Arc<Self>, poll: &DuePoll) -> UnderWay {
        let (plan, server, run) = (poll.poll.id, poll.poll.server.clone(), poll.run.spec.clone());
        UnderWay { lines: self.clone(), plan, server, run, heard: Heard::Nothing, is_over: false }
    }
}

impl At {
    /// Of all that is read and not over.
    fn ids(&self) -> Vec<PollId> {
        self.under_way.iter().copied().chain(self.line.iter().map(|due| due.poll.id)).collect()
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.under_way >= self.at_once
    }

    fn begin(&mut self, server: &Arc<str>, now: Timestamp) -> Option<DuePoll> {
        if self.is_full() {
            return None;
        }
        let at = self.at.get_mut(server)?;
        if at.line.is_empty() {
            return None;
        }
        if !matches!(self.servers.room(server, now), Room::For(_)) {
            return None;
        }
        // Whoever has his share goes on when one of his polls has ended.
        let (by_plugin, most) = (&mut self.by_plugin, share(self.at_once));
        let may = |due: &DuePoll| by_plugin.get(&due.run.spec.plugin).is_none_or(|own| *own < most);
        let place = at.line.iter().position(may)?;
        let due = at.line.remove(place)?;
        at.under_way.push(due.poll.id);
        at.has_begun = true;
        self.servers.begin(server, now);
        (self.under_way, self.in_line) = (self.under_way + 1, self.in_line - 1);
        match by_plugin.get_mut(&due.run.spec.plugin) {
            Some(own) => *own += 1,
            None => drop(by_plugin.insert(due.run.spec.plugin.clone(), 1)),
        }
        Some(due)
    }

    fn end(&mut self, poll: &UnderWay, now: Timestamp) {
        self.servers.end(&poll.server, poll.heard, now);
        self.under_way -= 1;
        if let Some(own) = self.by_plugin.get_mut(&poll.run.plugin) {
            *own -= 1;
            if *own == 0 {
                self.by_plugin.remove(&poll.run.plugin);
            }
        }
        if let Some(at) = self.at.get_mut(&poll.server) {
            at.under_way.retain(|other| *other != poll.plan);
            if at.under_way.is_empty() && at.line.is_empty() {
                self.at.remove(&poll.server);
            }
        }
    }

    fn has_share(&self, plugin: &str) -> bool {
        self.by_plugin.get(plugin).is_some_and(|own| *own >= share(self.at_once))
    }

    fn forget_if_old(&mut self, server: &str, now: Timestamp) {
        let is_old = |at: &At| now < at.read || now.since(at.read) > FRESH;
        if self.at.get(server).is_some_and(|at| !at.line.is_empty() && is_old(at)) {
            self.forget(server);
        }
    }

    /// What stands in line at a server is to be read anew.
    fn forget(&mut self, server: &str) {
        if let Some(at) = self.at.get_mut(server) {
            self.in_line -= u32::try_from(at.line.len()).unwrap_or(self.in_line);
            at.line.clear();
            if at.under_way.is_empty() {
                self.at.remove(server);
            }
        }
    }
}

/// A poll on its way, until this is dropped.
pub(super) struct UnderWay {
    lines: Arc<Lines>,
    plan: PollId,
    server: Arc<str>,
    run: Arc<RunSpec>,
    heard: Heard,
    is_over: bool,
}

impl UnderWay {
    /// It is over. Gives the next one of its server, if there is room; where all servers together, or its
    /// plugin, had as many as they may have, it is another's turn.
    pub(super) fn ended(mut self, heard: Heard) -> Option<DuePoll> {
        (self.heard, self.is_over) = (heard, true);
        let mut state = self.lines.state.lock();
        let now = self.lines.clock.now();
        let gives_way = state.is_full() || state.has_share(&self.run.plugin);
        state.end(&self, now);
        // Whoever finds nobody here is followed by another look.
        state.forget_if_old(&self.server, now);
        if gives_way { None } else { state.begin(&self.server, now) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.lines.state.lock();
            state.end(self, self.lines.clock.now());
        }
    }
}
