//! Films made by fal: submitted to its queue, waited for, and fetched.
//!
//! fal is told a URL of this run's before it is asked for anything: its call, signed, makes the run
//! look at once, and names the job when the answer to a submit was lost. What it says otherwise is
//! not believed: the status is. Where the host has no door for calls, the run looks by itself.
//!
//! Owns the order of the steps and what each of them may cost. Whatever the host does in between,
//! a film is paid once where fal knows a request by its key, and otherwise at most once more for
//! each time that nobody can know whether a submit arrived.

mod answers;
mod fetch;
mod problem;

use std::time::Duration;

use sublane_sdk::hook::{self, Call, Hook, Verification};
use sublane_sdk::http::{self, HttpError, Response};
use sublane_sdk::poll::{self, Ending, answer};
use sublane_sdk::serde_json::{Map, Value};
use sublane_sdk::subagent::SecretPlace;
use sublane_sdk::{Error, Failure, Output, Scope, clock, data, log, progress, random, secret, timer};

use answers::Job;
use problem::Problem;

use crate::agent::Film;
use crate::words_for_people::shortened;

/// Bytes of a film, at most.
pub(crate) const MAX_BYTES: u64 = 48 << 20;
/// Requests that one film may take: looks at its status, mostly.
const REQUESTS: u64 = 1_000;
/// Bytes that they send.
const BYTES_OUT: u64 = 2 << 20;
/// Submits of one film that are tried, when nobody took the one before or nobody knows.
const SUBMITS: u32 = 3;
/// The first wait between two looks, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Time that is kept for the result and the file.
const REST: Duration = Duration::from_secs(60);
/// Looks one after the other at which a job may not be there, or may not be told of.
const MISSES: u32 = 3;

/// fal, as the operator uses it.
#[data]
#[derive(Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fal {
    /// The model, such as `fal-ai/veo3/fast`.
    pub model: String,
    /// Where the queue is.
    #[serde(default = "queue")]
    pub queue: String,
    /// Where films are fetched from.
    #[serde(default = "media")]
    pub media: String,
    /// Where the keys are that sign its webhooks.
    #[serde(default = "keys")]
    pub keys: String,
    /// The operator's secret with the key.
    #[serde(default = "key")]
    pub secret: String,
    /// What the model is given besides the prompt, such as `{"duration": "8s"}`.
    #[serde(default)]
    pub input: Map<String, Value>,
}

fn queue() -> String {
    "https://queue.fal.run".to_owned()
}

fn media() -> String {
    "https://*.fal.media".to_owned()
}

fn keys() -> String {
    hook::FAL_KEYS.to_owned()
}

fn key() -> String {
    "fal".to_owned()
}

impl Fal {
    /// Whether it can be a queue and a model.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_segment = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let parts: Vec<&str> = self.model.split('/').collect();
        if parts.len() < 2 || !parts.iter().all(|part| is_segment(part)) {
            return Err(format!("`{}` is no model: it has the form owner/app or owner/app/path", self.model));
        }
        if !self.queue.contains("://") || self.queue.ends_with('/') {
            return Err(format!("`{}` is no queue: it is a URL without a slash at its end", self.queue));
        }
        Ok(())
    }

    /// What a run needs to have one film made.
    pub(crate) fn scope(&self, scope: Scope) -> Scope {
        scope
            .http(&self.queue, ["GET", "POST", "PUT"])
            .http(&self.media, ["GET"])
            .http(&self.keys, ["GET"])
            .secret(&self.secret, SecretPlace::Header("Authorization".to_owned()), &self.queue)
            .requests(REQUESTS, BYTES_OUT, MAX_BYTES + (16 << 20))
    }
}

/// Has a film made.
pub(crate) fn make(film: &Film, fal: &Fal) -> Result<Output, Failure> {
    let name = shortened(&film.prompt);
    let key = secret::placeholder(&fal.secret)?;
    let making = Making { fal, film, key: format!("Key {key}") };
    making.make().map_err(|problem| problem.into_failure(&name))
}

/// A film on its way.
struct Making<'a> {
    fal: &'a Fal,
    film: &'a Film,
    /// What stands for the key.
    key: String,
}

/// How long until the next look: longer each time, and never at the same moment as all others.
struct Pace(Duration);

impl Pace {
    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 3 / 2).min(WAIT.1);
        // ± 25 %.
        let share = u32::try_from(random::number() % 501).unwrap_or_default() + 750;
        wait * share / 1_000
    }
}

impl Making<'_> {
    fn make(&self) -> Result<Output, Problem> {
        let mut hook = self.hook();
        let job = self.submit(&mut hook)?;
        // From here on somebody works on it. When this run does not succeed, nobody shall.
        if let Err(error) = self.asked("PUT", &job.cancel_url).undo() {
            log::warn!("job {} would not be cancelled with this run: {error}", job.id);
        }
        self.wait(&job, hook.as_ref())?;
        progress::report(90, "fetching the film");
        let (link, size) = self.result(&job)?;
        let file = fetch::fetch(self, &job, link, size)?;
        progress::report(100, "keeping the file");
        let text = format!("Your film “{}” is ready.", shortened(&self.film.prompt));
        let made =
            answers::Made { provider: "fal", model: self.fal.model.clone(), job: job.id, bytes: file.size };
        Ok(Output::value(&made).with_text(text).with_artifact(file))
    }

    /// What fal shall call when the job is done, if this host can be called.
    fn hook(&self) -> Option<Hook> {
        match Hook::open(Verification::Fal(self.fal.keys.clone())) {
            Ok(hook) => Some(hook),
            Err(Error::Unavailable { .. }) => None,
            Err(error) => {
                log::warn!("fal cannot say when it is done: {error}");
                None
            }
        }
    }

    /// Lets time pass, until fal calls.
    fn pause(&self, wait: Duration, hook: &mut Option<Hook>) -> Result<Option<Call>, Problem> {
        let Some(open) = hook else { return sleep(wait).map(|()| None) };
        match open.wait_within(wait) {
            Ok(None) => Ok(None),
            Ok(call) => {
                // It is called once; from here on only time passes.
                *hook = None;
                Ok(call)
            }
            Err(error) => Err(Problem::Host { why: error.to_string() }),
        }
    }

    /// A request with the key.
    fn asked(&self, method: &str, url: &str) -> http::Request {
        http::request(method, url).header("authorization", &self.key)
    }

    /// Has the queue take the job. Each try has the same `Idempotency-Key`.
    fn submit(&self, hook: &mut Option<Hook>) -> Result<Job, Problem> {
        let mut input = self.fal.input.clone();
        input.insert("prompt".to_owned(), self.film.prompt.clone().into());
        let mut url = format!("{}/{}", self.fal.queue, self.fal.model);
        if let Some(hook) = hook {
            url = format!("{url}?fal_webhook={}", encoded(hook.url()));
        }
        let key = format!("{:016x}{:016x}", random::number(), random::number());
        let (mut pace, mut tries) = (Pace(WAIT.0), 0);
        loop {
            tries += 1;
            let sent = self.asked("POST", &url).header("idempotency-key", &key).json(&input).send();
            let (why, wish) = match sent {
                Ok(response) if (200..300).contains(&response.status) => {
                    return answers::submitted(&response);
                }
                Ok(response) if is_busy(response.status) => {
                    (format!("status {}", response.status), answers::wish(&response))
                }
                Ok(response) => return Err(answers::not_taken(&response)),
                Err(
                    error @ (HttpError::ConnectionFailed(_) | HttpError::Broken(_) | HttpError::TimedOut),
                ) => (error.to_string(), None),
                Err(error) => return Err(Problem::NotTaken { why: error.to_string() }),
            };
            let wait = wish.unwrap_or_else(|| pace.next());
            if tries == SUBMITS || clock::remaining() < wait + REST {
                return Err(Problem::NotReached { why });
            }
            log::warn!("submit {tries} of {SUBMITS}: {why}");
            // It may have been taken all the same: then its call says which job it is.
            if let Some(job) = self.pause(wait, hook)?.and_then(|call| answers::called(&call, self.fal)) {
                return Ok(job);
            }
        }
    }

    /// Waits until the job is done. The host looks; fal's call makes it look at once.
    fn wait(&self, job: &Job, hook: Option<&Hook>) -> Result<(), Problem> {
        progress::report(5, "at fal");
        let is = |word: &str| answer().with("$.status", word);
        let mut looks = poll::asking(self.asked("GET", &job.status_url))
            .every(WAIT.0)
            .growing_to(WAIT.1)
            .give_or_take(25)
            .for_at_most(clock::remaining().saturating_sub(REST))
            .done_when(is("COMPLETED"))
            // It may be told of a moment later.
            .failed_when(answer().status(404).times(MISSES))
            .failed_when(answer().status(410).times(MISSES))
            .goes_on_when(answer().with_any("$.status", ["IN_QUEUE", "IN_PROGRESS"]));
        // What another look would be answered with too. 408, 425, 429 and 5xx pass.
        for (least, most) in [(400, 403), (405, 407), (411, 424), (430, 499)] {
            looks = looks.failed_when(answer().statuses(least, most));
        }
        if let Some(hook) = hook {
            looks = looks.hinted_by(hook);
        }
        match looks.until_it_ends() {
            Ok(Ending::Done(_)) => Ok(()),
            Ok(Ending::Failed(response)) if matches!(response.status, 404 | 410) => {
                Err(Problem::Vanished { job: job.id.clone(), url: job.status_url.clone() })
            }
            Ok(Ending::Failed(response)) => {
                Err(Problem::lost(job, format!("status {}: {}", response.status, begin(&response))))
            }
            Ok(Ending::TimedOut(_)) => {
                Err(Problem::TimedOut { job: job.id.clone(), url: job.status_url.clone() })
            }
            Ok(Ending::Broken(trouble)) => Err(Problem::lost(job, trouble.to_string())),
            Err(error) => Err(Problem::lost(job, error.to_string())),
        }
    }

    /// Where the film is, and how many bytes it is said to have.
    fn result(&self, job: &Job) -> Result<(String, Option<u64>), Problem> {
        let mut pace = Pace(WAIT.0);
        for _ in 1..MISSES {
            match self.asked("GET", &job.response_url).send() {
                Ok(response) if !is_busy(response.status) || answers::is_told(&response) => {
                    return answers::film(job, &response);
                }
                Ok(response) => log::warn!("job {}: the result is answered with {}", job.id, response.status),
                Err(error) if error.is_retryable() => log::warn!("job {}: {error}", job.id),
                Err(error) => return Err(Problem::lost(job, error.to_string())),
            }
            sleep(pace.next())?;
        }
        match self.asked("GET", &job.response_url).send() {
            Ok(response) => answers::film(job, &response),
            Err(error) => Err(Problem::lost(job, error.to_string())),
        }
    }
}

/// A text as a value in a query.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// Whether another try may be answered otherwise.
fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504)
}

/// How the body of an answer begins.
fn begin(response: &Response) -> String {
    response.text().chars().take(200).collect()
}

fn sleep(wait: Duration) -> Result<(), Problem> {
    timer::sleep(wait).map_err(|error| Problem::Host { why: error.to_string() })
}
