//! Poll plans: what is asked of another machine again and again, when, and which answer ends it.
//!
//! Owns the plan, its times, and how rules decide. Never sends anything and reads no JSON: whether a
//! rule holds of an answer is told.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::id::{HookId, PollId, RunId};
use crate::journal::base64_bytes;
use crate::time::Timestamp;

/// Plans in one wait.
pub const MAX_PLANS: usize = 4;
/// Bytes of a plan as it is stored.
pub const MAX_PLAN_BYTES: usize = 128 << 10;
/// Bytes of an answer's body, and how many are taken when a plan says nothing.
pub const MAX_BODY_BYTES: u64 = 256 << 10;
/// Bytes of a request's body.
pub const MAX_SENT_BYTES: usize = 64 << 10;
/// How long one poll may take.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// Rules of one kind.
pub const MAX_RULES: usize = 8;
/// Conditions of a rule.
pub const MAX_CONDITIONS: usize = 8;
/// Values of which one has to be there.
pub const MAX_VALUES: usize = 32;
/// Bytes of a JSONPath.
pub const MAX_PATH_BYTES: usize = 256;
/// Polls in a row that a rule may ask for.
pub const MAX_TIMES: u32 = 100;
/// Headers of the deciding answer that are kept.
pub const MAX_HEADERS: usize = 16;
/// The longest `Retry-After` that is kept to.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// A request that is made again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PollRequest {
    /// In upper case.
    pub method: String,
    /// Where, placeholders of secrets included.
    pub url: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// A text.
    pub body: Option<String>,
    /// How long one poll may take, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes of an answer's body.
    pub max_body: u64,
    /// Redirects that are followed.
    pub redirects: u32,
}

impl PollRequest {
    /// Where, without the query, which may hold what is nobody else's: for people.
    #[must_use]
    pub fn place(&self) -> &str {
        self.url.split_once('?').map_or(&self.url, |(place, _)| place)
    }
}

/// When polls are made. Durations are in milliseconds, shares in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pace {
    /// From the beginning of the wait to the first poll.
    pub first_ms: u64,
    /// From the first poll to the second.
    pub interval_ms: u64,
    /// What the interval is multiplied with each time: 100 is always the same.
    pub factor: u32,
    /// The longest interval, jitter aside.
    pub ceiling_ms: u64,
    /// How far an interval may be off.
    pub jitter: u32,
}

impl Pace {
    /// How long after poll number `made`, from 1, the next one comes; 0 is the beginning of the wait.
    /// `seed` decides about the jitter.
    #[must_use]
    pub fn delay(&self, made: u32, seed: PollId) -> Duration {
        if made == 0 {
            return Duration::from_millis(self.first_ms);
        }
        let Self { interval_ms, factor, ceiling_ms, jitter, .. } = *self;
        Backoff { interval_ms, factor, ceiling_ms, jitter }.delay(made, &seed.0)
    }
}

/// What a value in an answer must be. Values are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// There is one.
    Exists,
    /// One of these.
    OneOf(Vec<serde_json::Value>),
}

/// What must hold of a JSON answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// Where the value is, as JSONPath.
    pub path: String,
    /// What it must be.
    pub test: Test,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Its status, ends included.
    pub status: (u16, u16),
    /// All of these.
    pub values: Vec<Condition>,
    /// In how many polls in a row.
    pub times: u32,
}

/// A poll plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// Scheme, host and port: polls are grouped by it.
    pub server: String,
    /// What is asked.
    pub request: PollRequest,
    /// When.
    pub pace: Pace,
    /// When it is over without an answer.
    pub until: Option<Timestamp>,
    /// Ends it well.
    pub done: Vec<Rule>,
    /// Ends it badly.
    pub failed: Vec<Rule>,
    /// Is known to go on.
    pub goes_on: Vec<Rule>,
    /// Headers that are kept of the deciding answer, in small letters.
    pub headers: Vec<String>,
    /// A hook whose call makes the next poll come at once.
    pub hint: Option<HookId>,
}

/// The rule that held last, by its number from 1 among those that end a plan, and how many times in a row.
pub type Streak = Option<(u32, u32)>;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends the plan well.
    Done,
    /// It ends the plan badly.
    Failed,
    /// It goes on.
    GoesOn {
        /// Whether a rule says so.
        known: bool,
        /// What counts at the next poll.
        streak: Streak,
    },
}

impl Plan {
    /// What an answer means of which some rules hold. `before` counts polls in a row.
    pub fn judge(&self, before: Streak, holds: impl Fn(&Rule) -> bool) -> Verdict {
        let ends = (1..).zip(self.done.iter().chain(&self.failed));
        let Some((number, rule)) = ends.into_iter().find(|(_, rule)| holds(rule)) else {
            return Verdict::GoesOn { known: self.goes_on.iter().any(holds), streak: None };
        };
        let times = match before {
            Some((same, times)) if same == number => times.saturating_add(1),
            _ => 1,
        };
        if times < rule.times {
            return Verdict::GoesOn { known: true, streak: Some((number, times)) };
        }
        if number as usize <= self.done.len() { Verdict::Done } else { Verdict::Failed }
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.done.iter().chain(&self.failed).chain(&self.goes_on)
    }
}

/// A plan that is carried out, as the store keeps it: where it stands. What it is stands in its wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Identity, derived from where it was opened.
    pub id: PollId,
    /// The run that waits.
    pub run: RunId,
    /// Which of the wait's sources it is, from 0.
    pub place: u32,
    /// Scheme, host and port.
    pub server: Arc<str>,
    /// When the next poll is due.
    pub due: Timestamp,
    /// Polls that were begun.
    pub made: u32,
    /// Whether its hook was called since the last poll was begun.
    pub hinted: bool,
    /// What was seen last, for people.
    pub seen: Option<Arc<str>>,
    /// What counts at the next poll.
    pub streak: Streak,
}

/// An answer that decided, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PollResponse {
    /// Its status.
    pub status: u16,
    /// Where it came from.
    pub url: String,
    /// Those that were wanted.
    pub headers: Vec<(String, String)>,
    /// The body, in base64.
    #[serde(with = "base64_bytes")]
    pub body: Arc<[u8]>,
}

/// Why no poll can bring an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// No address of this host may be reached.
    AddressRefused(String),
    /// A body has more bytes than this.
    TooLarge(u64),
    /// The redirect cannot be followed.
    BadRedirect(String),
}

/// How a plan ended, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// A rule for it held.
    Done(PollResponse),
    /// A rule for it held.
    Failed(PollResponse),
    /// Its time was up; what was seen last.
    TimedOut(Arc<str>),
    /// It cannot be carried out.
    Broken(Trouble),
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { first_ms: 5, interval_ms: 1_000, factor: 200, ceiling_ms: 6_000, jitter: 0 };

    fn rule(status: u16, times: u32) -> Rule {
        Rule { status: (status, status), values: Vec::new(), times }
    }

    fn plan() -> Plan {
        Plan {
            server: "https://example.org:443".into(),
            request: PollRequest {
                method: "GET".into(),
                url: "https://example.org/".into(),
                headers: Vec::new(),
                body: None,
                timeout_ms: 1,
                max_body: 1,
                redirects: 0,
            },
            pace: PACE,
            until: None,
            done: vec![rule(200, 1), rule(201, 2)],
            failed: vec![rule(404, 3)],
            goes_on: vec![rule(202, 1)],
            headers: Vec::new(),
            hint: None,
        }
    }

    #[test]
    fn intervals_grow_to_the_ceiling_and_jitter_stays_within_its_bounds() {
        let ms = |pace: Pace, made| pace.delay(made, PollId([7; 16])).as_millis();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, u32::MAX].map(|made| ms(PACE, made)),
            [5, 1_000, 2_000, 4_000, 6_000, 6_000, 6_000]
        );
        let jittered = Pace { jitter: 25, factor: 100, ..PACE };
        let drawn: Vec<u128> = (1..500).map(|made| ms(jittered, made)).collect();
        assert!(drawn.iter().all(|ms| (750..=1_250).contains(ms)), "{drawn:?}");
        assert!(drawn.iter().any(|ms| *ms < 800) && drawn.iter().any(|ms| *ms > 1_200), "{drawn:?}");
        let other = |seed: u8| jittered.delay(1, PollId([seed; 16]));
        assert_ne!(other(1), other(2), "two plans do not poll at the same moment");
    }

    #[test]
    fn a_rule_decides_when_it_held_so_many_times_in_a_row() {
        let plan = plan();
        let judge = |before, status: u16| plan.judge(before, |rule| rule.status.0 == status);
        let goes_on = |known, streak| Verdict::GoesOn { known, streak };
        assert_eq!(judge(None, 200), Verdict::Done);
        assert_eq!(judge(None, 201), goes_on(true, Some((2, 1))));
        assert_eq!(judge(Some((2, 1)), 201), Verdict::Done);
        assert_eq!(judge(Some((2, 1)), 404), goes_on(true, Some((3, 1))), "another rule counts anew");
        assert_eq!(judge(Some((3, 2)), 404), Verdict::Failed);
        assert_eq!(judge(Some((3, 2)), 202), goes_on(true, None));
        assert_eq!(judge(None, 500), goes_on(false, None));
    }

    #[test]
    fn a_plan_survives_its_stored_form() {
        let mut plan = plan();
        let test = Test::OneOf(vec![serde_json::json!({"a": [1, null]})]);
        plan.done[0].values.push(Condition { path: "$.a".into(), test });
        let text = serde_json::to_string(&plan).expect("string keys");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("what was written"), plan);
    }
}
