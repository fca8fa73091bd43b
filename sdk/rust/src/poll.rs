//! Asking another machine again and again until its answer is the one that is waited for.
//!
//! ```no_run
//! use std::time::Duration;
//! use sublane_sdk::poll::{self, Ending, answer};
//! use sublane_sdk::{Failure, http};
//!
//! # fn f(status_url: &str) -> Result<(), Failure> {
//! let ending = poll::asking(http::get(status_url).bearer("example"))
//!     .every(Duration::from_secs(5))
//!     .growing_to(Duration::from_secs(60))
//!     .for_at_most(Duration::from_secs(3_600))
//!     .done_when(answer().with("$.status", "COMPLETED"))
//!     .failed_when(answer().with("$.status", "FAILED"))
//!     .failed_when(answer().status(404).times(3))
//!     .goes_on_when(answer().with_any("$.status", ["IN_QUEUE", "IN_PROGRESS"]))
//!     .until_it_ends()?;
//! if let Ending::Done(response) = ending {
//!     let film: String = response.text();
//! }
//! # Ok(()) }
//! ```
//!
//! The host does the asking: meanwhile the run is a row. Needs the grant `http` for the place and the
//! method. Each poll is paid as a request of the run.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::bindings::imports::sublane::plugin::poll as raw;
use crate::error::Error;
use crate::hook::Hook;
use crate::http::{Request, Response};
use crate::time::{instant_ms, millis};
use crate::{clock, json};

/// What an answer must be: its status, and values in its JSON.
#[derive(Debug, Clone)]
#[must_use]
pub struct Answer {
    raw: raw::Rule,
    wrong: Option<Error>,
}

/// An answer with a status from 200 to 299.
pub fn answer() -> Answer {
    Answer { raw: raw::Rule { status: None, values: Vec::new(), times: 1 }, wrong: None }
}

impl Answer {
    /// With this status instead.
    pub fn status(self, status: u16) -> Self {
        self.statuses(status, status)
    }

    /// With one of these statuses instead, ends included.
    pub fn statuses(mut self, least: u16, most: u16) -> Self {
        self.raw.status = Some(raw::Statuses { least, most });
        self
    }

    /// With this value at a place, named by JSONPath (RFC 9535) such as `$.jobs[0].state`.
    pub fn with(mut self, path: &str, value: impl Serialize) -> Self {
        match json::to_text("the value", &value) {
            Ok(value) => self.at(path, raw::Test::Equals(value)),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// With one of these values at a place.
    pub fn with_any(mut self, path: &str, values: impl IntoIterator<Item = impl Serialize>) -> Self {
        let values = values.into_iter().map(|value| json::to_text("the value", &value));
        match values.collect() {
            Ok(values) => self.at(path, raw::Test::OneOf(values)),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// With any value at a place.
    pub fn having(self, path: &str) -> Self {
        self.at(path, raw::Test::Exists)
    }

    fn at(mut self, path: &str, is: raw::Test) -> Self {
        self.raw.values.push(raw::Condition { path: path.to_owned(), is });
        self
    }

    /// In so many polls in a row; one if nothing is said.
    pub fn times(mut self, times: u32) -> Self {
        self.raw.times = times;
        self
    }
}

/// A plan that is about to be carried out. What is wrong with a part of it is said by
/// [`until_it_ends`](Self::until_it_ends).
#[derive(Debug, Clone)]
#[must_use = "nothing is asked before `until_it_ends`"]
pub struct Poll {
    raw: raw::Plan,
    wrong: Option<Error>,
}

/// A plan that makes this request: every 10 s, give or take a tenth, until the run's deadline.
pub fn asking(request: Request) -> Poll {
    let (request, wrong) = request.into_raw();
    let raw = raw::Plan {
        request,
        pace: raw::Pace { first: 10_000, interval: 10_000, factor: 100, ceiling: 10_000, jitter: 10 },
        deadline: None,
        done_when: Vec::new(),
        failed_when: Vec::new(),
        goes_on_when: Vec::new(),
        headers: Vec::new(),
        hint: None,
    };
    Poll { raw, wrong }
}

impl Poll {
    /// So often: the first poll comes after this too. A second to a day.
    pub fn every(mut self, interval: Duration) -> Self {
        let ms = millis(interval);
        (self.raw.pace.first, self.raw.pace.interval, self.raw.pace.ceiling) = (ms, ms, ms);
        self
    }

    /// The first poll comes after this. At most a day.
    pub fn first_after(mut self, first: Duration) -> Self {
        self.raw.pace.first = millis(first);
        self
    }

    /// Each time after half as long again, up to this.
    pub fn growing_to(self, ceiling: Duration) -> Self {
        self.growing_by(150, ceiling)
    }

    /// Each time after so many per cent of the interval before, up to this: 100 to 1,000.
    pub fn growing_by(mut self, per_cent: u32, ceiling: Duration) -> Self {
        (self.raw.pace.factor, self.raw.pace.ceiling) = (per_cent, millis(ceiling));
        self
    }

    /// Give or take so many per cent of an interval: at most 50, 10 if nothing is said.
    pub fn give_or_take(mut self, per_cent: u32) -> Self {
        self.raw.pace.jitter = per_cent;
        self
    }

    /// Until this instant.
    pub fn not_after(mut self, instant: SystemTime) -> Self {
        self.raw.deadline = Some(instant_ms(instant));
        self
    }

    /// For so long, from the run's time on.
    pub fn for_at_most(mut self, duration: Duration) -> Self {
        self.raw.deadline = Some(instant_ms(clock::now()).saturating_add(millis(duration)));
        self
    }

    /// Such an answer ends it well. At least one; the first that holds counts.
    pub fn done_when(mut self, answer: Answer) -> Self {
        let rule = self.rule(answer);
        self.raw.done_when.push(rule);
        self
    }

    /// Such an answer ends it badly.
    pub fn failed_when(mut self, answer: Answer) -> Self {
        let rule = self.rule(answer);
        self.raw.failed_when.push(rule);
        self
    }

    /// Such an answer is known to go on: the operator is not told of it.
    pub fn goes_on_when(mut self, answer: Answer) -> Self {
        let rule = self.rule(answer);
        self.raw.goes_on_when.push(rule);
        self
    }

    fn rule(&mut self, answer: Answer) -> raw::Rule {
        if let Some(wrong) = answer.wrong {
            self.wrong.get_or_insert(wrong);
        }
        answer.raw
    }

    /// Keeps a header of the deciding answer, by its name in small letters; `content-type` is kept in
    /// any case.
    pub fn keep_header(mut self, name: &str) -> Self {
        self.raw.headers.push(name.to_owned());
        self
    }

    /// A call of this hook of the run's makes the next poll come at once. The call stays the hook's.
    pub fn hinted_by(mut self, hook: &Hook) -> Self {
        self.raw.hint = Some(hook.id().to_owned());
        self
    }

    /// Waits for the end.
    pub fn until_it_ends(self) -> Result<Ending, Error> {
        Ok(raw::until(&self.into_raw()?)?.into())
    }

    pub(crate) fn into_raw(self) -> Result<raw::Plan, Error> {
        self.wrong.map_or(Ok(self.raw), Err)
    }
}

/// How a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an answer that is well.
    Done(Response),
    /// With an answer that is bad.
    Failed(Response),
    /// Its time was up: what was seen last, for people.
    TimedOut(String),
    /// No poll can bring an answer.
    Broken(Trouble),
}

/// Why no poll can bring an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The host has no address that may be reached.
    #[error("{0} has no address that may be reached; the operator allows what is not public under [http]")]
    AddressRefused(String),
    /// The answer has more bytes than that.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// A redirect was not followed.
    #[error("the redirect cannot be followed: {0}")]
    BadRedirect(String),
}

impl From<raw::Ending> for Ending {
    fn from(ending: raw::Ending) -> Self {
        let response = |raw::Response { status, url, headers, body }| {
            let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
            Response { status, url, headers, body, file: None }
        };
        match ending {
            raw::Ending::Done(done) => Self::Done(response(done)),
            raw::Ending::Failed(failed) => Self::Failed(response(failed)),
            raw::Ending::TimedOut(seen) => Self::TimedOut(seen),
            raw::Ending::Broken(trouble) => Self::Broken(match trouble {
                raw::Trouble::AddressRefused(host) => Trouble::AddressRefused(host),
                raw::Trouble::TooLarge(most) => Trouble::TooLarge(most),
                raw::Trouble::BadRedirect(why) => Trouble::BadRedirect(why),
            }),
        }
    }
}
