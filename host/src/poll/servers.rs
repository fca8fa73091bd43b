//! How polls come at each server: how many at once, how fast, and not at all while it does not answer.
//!
//! Time comes in as a value. What is remembered is bounded, and losing it costs nothing but a few
//! polls that a server does not answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sublane_core::Timestamp;

/// Polls in a row without an answer with which a server is left alone.
pub(super) const FAILURES: u32 = 5;
/// How long it is left alone first, doubled each time that it then does not answer, and at most.
const REST: Duration = Duration::from_secs(30);
const MAX_REST: Duration = Duration::from_secs(600);
/// Servers that are remembered without a poll under way.
const MAX_REMEMBERED: usize = 4_096;

/// How fast polls come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Polls under way, at all servers; of one plugin at most three quarters of them. 1 to 10,000,
    /// default 256.
    pub at_once: u32,
    /// Polls under way at one server. 1 to 1,000, default 8.
    pub per_server: u32,
    /// Polls of one server in a second; after a rest as many at once. 1 to 100,000, default 20.
    pub rate: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: 256, per_server: 8, rate: 20 }
    }
}

/// Whether a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It did.
    Answer,
    /// It did not, or said that it cannot.
    Silence,
    /// It was not asked, as far as anybody knows.
    Nothing,
}

/// Whether more polls may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many, at least one.
    For(u32),
    /// None before this.
    At(Timestamp),
    /// None before one has ended.
    Full,
}

struct Server {
    under_way: u32,
    /// Thousandths of a poll.
    left: u64,
    at: Timestamp,
    /// Polls in a row without an answer.
    failures: u32,
    /// Until when it is left alone, and for how long.
    rests: Option<(Timestamp, Duration)>,
}

/// All servers.
pub(super) struct Servers {
    pace: Pace,
    known: HashMap<Arc<str>, Server>,
}

impl Servers {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, known: HashMap::new() }
    }

    fn server(&mut self, name: &Arc<str>, now: Timestamp) -> &mut Server {
        if self.known.len() >= MAX_REMEMBERED && !self.known.contains_key(name) {
            self.known.retain(|_, server| server.under_way > 0);
        }
        let rate = u64::from(self.pace.rate);
        let server = self.known.entry(name.clone()).or_insert_with(|| Server {
            under_way: 0,
            left: rate * 1_000,
            at: now,
            failures: 0,
            rests: None,
        });
        // A clock that was set back gives nothing, and goes on from there.
        let passed = u64::try_from(now.since(server.at).as_millis()).unwrap_or(u64::MAX);
        server.left = server.left.saturating_add(passed.saturating_mul(rate)).min(rate * 1_000);
        server.at = now;
        server
    }

    /// Whether more polls of a server may begin.
    pub(super) fn room(&mut self, name: &Arc<str>, now: Timestamp) -> Room {
        let pace = self.pace;
        let server = self.server(name, now);
        if let Some((until, rest)) = server.rests {
            // After a clock was set back nobody waits longer than the rest.
            if until > now && until.since(now) <= rest {
                return Room::At(until);
            }
            // One poll, to see whether it answers again.
            return if server.under_way == 0 { Room::For(1) } else { Room::Full };
        }
        let slots = pace.per_server.saturating_sub(server.under_way);
        if slots == 0 {
            return Room::Full;
        }
        match server.left / 1_000 {
            0 => {
                let wait = (1_000 - server.left).div_ceil(u64::from(pace.rate).max(1));
                Room::At(now.after(Duration::from_millis(wait)))
            }
            left => Room::For(slots.min(u32::try_from(left).unwrap_or(slots))),
        }
    }

    /// Polls of a server that its rate lets come now.
    pub(super) fn left(&self, name: &str) -> u32 {
        self.known.get(name).map_or(0, |server| u32::try_from(server.left / 1_000).unwrap_or(u32::MAX))
    }

    /// A poll begins for which there is room.
    pub(super) fn begin(&mut self, name: &Arc<str>, now: Timestamp) {
        let server = self.server(name, now);
        server.under_way += 1;
        server.left = server.left.saturating_sub(1_000);
    }

    /// A poll has ended.
    pub(super) fn end(&mut self, name: &Arc<str>, heard: Heard, now: Timestamp) {
        let server = self.server(name, now);
        server.under_way = server.under_way.saturating_sub(1);
        match heard {
            Heard::Nothing => {}
            Heard::Answer => {
                if server.rests.take().is_some() {
                    tracing::info!(target: "sublane::polls", server = &**name, "it answers again");
                }
                server.failures = 0;
            }
            Heard::Silence => {
                server.failures = server.failures.saturating_add(1);
                let rests_already = server.rests.is_some_and(|(until, _)| until > now);
                if server.failures >= FAILURES && !rests_already {
                    let rest = server.rests.map_or(REST, |(_, rest)| (rest * 2).min(MAX_REST));
                    server.rests = Some((now.after(rest), rest));
                    let (failures, rest_s) = (server.failures, rest.as_secs());
                    tracing::warn!(
                        target: "sublane::polls",
                        server = &**name,
                        failures,
                        rest_s,
                        "it does not answer, and is left alone for a while"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { at_once: 100, per_server: 3, rate: 4 };

    fn at(ms: u64) -> Timestamp {
        Timestamp(1_000_000 + ms)
    }

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_server_is_polled_at_its_rate_and_so_many_at_once() {
        let (mut servers, one) = (Servers::new(PACE), name("a"));
        assert_eq!(servers.room(&one, at(0)), Room::For(3));
        (0..3).for_each(|_| servers.begin(&one, at(0)));
        assert_eq!(servers.room(&one, at(0)), Room::Full);
        assert_eq!(servers.room(&name("b"), at(0)), Room::For(3), "another one has room");
        (0..3).for_each(|_| servers.end(&one, Heard::Answer, at(0)));
        assert_eq!(servers.room(&one, at(0)), Room::For(1));
        servers.begin(&one, at(0));
        assert_eq!(servers.room(&one, at(0)), Room::At(at(250)));
        assert_eq!(servers.room(&one, at(250)), Room::For(1));
        assert_eq!(servers.room(&one, Timestamp(5)), Room::For(1), "a clock that is set back takes nothing");
    }

    #[test]
    fn a_server_that_does_not_answer_is_left_alone_and_then_asked_once() {
        let (mut servers, one) = (Servers::new(PACE), name("a"));
        let poll = |servers: &mut Servers, heard, ms| {
            servers.begin(&one, at(ms));
            servers.end(&one, heard, at(ms));
            servers.room(&one, at(ms))
        };
        for ms in [0, 1_000, 2_000, 3_000] {
            assert!(matches!(poll(&mut servers, Heard::Silence, ms), Room::For(_)), "{ms}");
        }
        assert_eq!(poll(&mut servers, Heard::Silence, 4_000), Room::At(at(34_000)));
        assert_eq!(servers.room(&name("b"), at(4_000)), Room::For(3), "another one is asked");
        assert_eq!(servers.room(&name("a"), at(34_000)), Room::For(1), "one poll, to see");
        assert_eq!(poll(&mut servers, Heard::Silence, 34_000), Room::At(at(94_000)), "twice as long");
        assert!(matches!(poll(&mut servers, Heard::Answer, 94_000), Room::For(3)));
        assert!(matches!(poll(&mut servers, Heard::Silence, 95_000), Room::For(_)), "it counts anew");
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew_and_the_rest_has_an_end() {
        let (mut servers, one) = (Servers::new(Pace { rate: 1_000, ..PACE }), name("a"));
        let mut now = at(0);
        for n in 0..40 {
            servers.begin(&one, now);
            servers.end(&one, if n % 5 == 4 { Heard::Answer } else { Heard::Silence }, now);
            assert!(matches!(servers.room(&one, now), Room::For(_)));
        }
        for _ in 0..20 {
            servers.begin(&one, now);
            servers.end(&one, Heard::Silence, now);
            if let Room::At(at) = servers.room(&one, now) {
                assert!(at.since(now) <= MAX_REST);
                now = at;
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut servers = Servers::new(PACE);
        for n in 0..10_000 {
            assert!(matches!(servers.room(&name(&n.to_string()), at(0)), Room::For(_)));
        }
        assert!(servers.known.len() <= MAX_REMEMBERED);
    }
}
