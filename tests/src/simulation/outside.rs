//! Those outside the host in a simulation: two receivers and a provider, of changing mood.
//!
//! Owns what they took, in the order of its arrival. Each of them outlives every host.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sublane::channel::{Channel, Class};
use sublane_core::Delivery;
use sublane_core::delivery::AttemptResult;

use super::plan::Mood;
use crate::fuzz::Random;
use crate::receiver::{Act, Receiver, Request};
use crate::web::{Answer, Asked, Web};

/// What becomes of something that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Fails,
    Ambiguous,
    Silent,
    Refused,
}

/// The mood of all of them, and chance.
struct Fates(Mutex<(Mood, Random)>);

impl Fates {
    fn next(&self) -> Fate {
        let (mood, random) = &mut *self.0.lock();
        let mut number = random.below(1_000);
        for (share, fate) in [
            (mood.fails, Fate::Fails),
            (mood.ambiguous, Fate::Ambiguous),
            (mood.silent, Fate::Silent),
            (mood.refuses, Fate::Refused),
        ] {
            if number < share {
                return fate;
            }
            number -= share;
        }
        Fate::Taken
    }
}

/// What a request to the provider was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Which run asks, and in which step.
    pub body: String,
}

/// All of them.
pub struct Outside {
    fates: Arc<Fates>,
    /// The channel `console`.
    pub desk: Arc<Desk>,
    /// The receiver `webhook:films`.
    pub films: Receiver,
    /// Where jobs are asked for.
    pub provider: Web,
    taken: Arc<Mutex<Vec<(String, String)>>>,
    jobs: Arc<Mutex<Vec<Job>>>,
}

impl Outside {
    /// They take everything, until they are told otherwise.
    pub async fn start(seed: u64) -> Self {
        let fates = Arc::new(Fates(Mutex::new((Mood::default(), Random::new(seed)))));
        let taken = Arc::<Mutex<Vec<(String, String)>>>::default();
        let jobs = Arc::<Mutex<Vec<Job>>>::default();
        let desk = Arc::new(Desk { fates: fates.clone(), taken: taken.clone() });
        let (of_films, of_provider) = (fates.clone(), fates.clone());
        let (to_films, to_provider) = (taken.clone(), jobs.clone());
        let films = Receiver::start(move |request| film(request, of_films.next(), &to_films));
        let provider = Web::start(move |asked| job(asked, of_provider.next(), &to_provider)).await;
        Self { fates, desk, films, provider, taken, jobs }
    }

    /// From now on they are like this.
    pub fn set(&self, mood: Mood) {
        self.fates.0.lock().0 = mood;
    }

    /// Ids and bodies that the receivers took.
    #[must_use]
    pub fn taken(&self) -> Vec<(String, String)> {
        self.taken.lock().clone()
    }

    /// What the provider took.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.jobs.lock().clone()
    }
}

fn film(request: &Request, fate: Fate, taken: &Mutex<Vec<(String, String)>>) -> Act {
    // Who refuses has read it; who fails has not.
    if fate != Fate::Fails {
        taken.lock().push((request.id().to_owned(), request.body.clone()));
    }
    match fate {
        Fate::Taken => Act::status("200 OK"),
        Fate::Fails => Act::Answer("503 Service Unavailable", "retry-after: 7\r\n".to_owned()),
        Fate::Ambiguous => Act::Close,
        Fate::Silent => Act::Silence,
        Fate::Refused => Act::status("422 Unprocessable Entity"),
    }
}

fn job(asked: &Asked, fate: Fate, jobs: &Mutex<Vec<Job>>) -> Answer {
    if matches!(fate, Fate::Taken | Fate::Ambiguous | Fate::Silent) {
        jobs.lock().push(Job { key: asked.header("idempotency-key").to_owned(), body: asked.text() });
    }
    match fate {
        Fate::Taken => Answer::ok("taken"),
        Fate::Fails => Answer::With("503 Service Unavailable", Vec::new(), Vec::new()),
        Fate::Ambiguous => Answer::Close,
        // An undo request has half a minute for its answer, which is not simulated.
        Fate::Silent if asked.text().ends_with("/undo") => Answer::Close,
        Fate::Silent => Answer::Silence,
        Fate::Refused => Answer::With("402 Payment Required", Vec::new(), Vec::new()),
    }
}

/// A channel whose receiver is of changing mood.
pub struct Desk {
    fates: Arc<Fates>,
    taken: Arc<Mutex<Vec<(String, String)>>>,
}

#[async_trait]
impl Channel for Desk {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let fate = self.fates.next();
        let note = format!("{fate:?}");
        if fate != Fate::Fails {
            self.taken.lock().push((delivery.id.to_string(), delivery.body.to_string()));
        }
        match fate {
            Fate::Taken => AttemptResult::Delivered { note },
            Fate::Fails => AttemptResult::Retry { note, retry_after: None, ambiguous: false },
            Fate::Ambiguous | Fate::Silent => {
                AttemptResult::Retry { note, retry_after: Some(Duration::from_secs(3)), ambiguous: true }
            }
            Fate::Refused => AttemptResult::Permanent { note },
        }
    }
}
