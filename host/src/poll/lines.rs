//! Who is asked next: at each server the polls that are due in line, and those that are under way.
//!
//! What stands in line was read a moment ago; whether it is still so is seen when its beginning is
//! written. Bounds what all have, and what one plugin has of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use sublane_core::{PollId, RunSpec, Timestamp};
use sublane_store::DuePoll;

use super::servers::{Heard, Pace, Room, Servers};
use crate::host::Inner;

/// Polls of one server that are read before there is room for them.
const AHEAD: u32 = 32;

/// At all servers.
pub(super) struct Lines {
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
    under_way: Vec<PollId>,
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
    pub(super) fn new(pace: Pace) -> Self {
        let state = State {
            at_once: pace.at_once,
            servers: Servers::new(pace),
            at: HashMap::new(),
            under_way: 0,
            by_plugin: HashMap::new(),
            in_line: 0,
            last: "".into(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Puts the server first that comes after the one at which a poll was begun last.
    pub(super) fn in_turn<T>(&self, servers: &mut [(String, T)]) {
        let last = self.state.lock().last.clone();
        let next = servers.partition_point(|(name, _)| **name <= *last);
        servers.rotate_left(next);
    }

    pub(super) fn wants(&self, server: &Arc<str>, now: Timestamp) -> Wants {
        let mut state = self.state.lock();
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
        let ahead = AHEAD.min(state.servers.left(server)).min(state.at_once.saturating_sub(state.in_line));
        let at = state.at.get(server);
        let line = at.map_or(0, |at| u32::try_from(at.line.len()).unwrap_or(u32::MAX));
        if line >= room {
            return Wants::Nothing;
        }
        Wants::More { limit: room.max(ahead) - line, without: at.map_or_else(Vec::new, At::ids) }
    }

    /// Puts polls into line that were read.
    pub(super) fn add(&self, server: &Arc<str>, due: Vec<DuePoll>) {
        if due.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        state.in_line += u32::try_from(due.len()).unwrap_or(u32::MAX);
        state.at.entry(server.clone()).or_default().line.extend(due);
    }

    /// The next poll of a server, if there is room for it. It is under way from now on.
    pub(super) fn begin(&self, server: &Arc<str>, now: Timestamp) -> Option<DuePoll> {
        let mut state = self.state.lock();
        let begun = state.begin(server, now)?;
        state.last = server.clone();
        Some(begun)
    }

    /// Until when a server is not asked, if that is so.
    pub(super) fn rests_until(&self, server: &Arc<str>, now: Timestamp) -> Option<Timestamp> {
        match self.state.lock().servers.room(server, now) {
            Room::At(at) => Some(at),
            Room::For(_) | Room::Full => None,
        }
    }

    /// Of a poll that was begun.
    pub(super) fn under_way(self: &Arc<Self>, host: &Arc<Inner>, poll: &DuePoll) -> UnderWay {
        let (plan, server, run) = (poll.poll.id, poll.poll.server.clone(), poll.run.spec.clone());
        UnderWay { lines: self.clone(), host: host.clone(), plan, server, run, heard: Heard::Nothing }
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
        let has_share = |due: &DuePoll| by_plugin.get(&due.run.spec.plugin).is_none_or(|own| *own < most);
        let place = at.line.iter().position(has_share)?;
        let due = at.line.remove(place)?;
        at.under_way.push(due.poll.id);
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

    fn forget(&mut self, server: &Arc<str>) {
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
    host: Arc<Inner>,
    plan: PollId,
    server: Arc<str>,
    run: Arc<RunSpec>,
    heard: Heard,
}

impl UnderWay {
    /// It is over. Gives the next one of its server, if there is room; where all servers together had as
    /// many as they may have, it is another's turn.
    pub(super) fn ended(mut self, heard: Heard) -> Option<DuePoll> {
        self.heard = heard;
        let (lines, server, now) = (self.lines.clone(), self.server.clone(), self.host.clock.now());
        let was_full = lines.state.lock().is_full();
        drop(self);
        if was_full { None } else { lines.state.lock().begin(&server, now) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.lines.state.lock();
        state.end(self, self.host.clock.now());
    }
}
