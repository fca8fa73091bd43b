//! What a stand-in for fal is told to do: how quick it is, how jobs end, what becomes of webhooks,
//! and which requests go wrong.

use serde::{Deserialize, Serialize};

/// All of it. Also as JSON, for tests in other processes; every key has a default.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Script {
    /// When jobs are done. A job keeps what the script said when it was submitted.
    pub pace: Pace,
    /// How jobs end.
    pub ending: Ending,
    /// What becomes of webhooks.
    pub webhook: Webhook,
    /// What an `Idempotency-Key` is worth that comes again. fal documents none.
    pub idempotency: Idempotency,
    /// Bytes of a film; it is padded to them with what players skip. Default: as it is, some KiB.
    pub film_bytes: u64,
    /// What goes wrong: for each request the first that is not used up.
    pub faults: Vec<Fault>,
}

/// When a job is done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Pace {
    /// Somebody has looked at its status so often: in the queue first, then at work.
    Looks {
        /// Looks that see it in the queue.
        queued: u32,
        /// Looks that see it at work.
        running: u32,
    },
    /// So many milliseconds have passed.
    Millis {
        /// In the queue.
        queued: u64,
        /// At work.
        running: u64,
    },
    /// It is at work until somebody says `finish`.
    Held,
}

impl Default for Pace {
    fn default() -> Self {
        Self::Looks { queued: 1, running: 1 }
    }
}

/// How a job ends.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Ending {
    /// With a film.
    #[default]
    Film,
    /// A checker refuses the prompt: 422 `content_policy_violation`.
    Refused,
    /// The model fails.
    Failed {
        /// The status of the result, 400 to 599.
        status: u16,
        /// fal's word for it, such as `runner_server_error`.
        error_type: String,
        /// Its sentence.
        detail: String,
    },
    /// It is completed, and the result is 200 with an error and no film.
    ErrorInside,
}

/// What becomes of the webhook of a job.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Webhook {
    /// When it is sent.
    pub when: When,
    /// So often each time; 2 is a double.
    pub copies: u32,
    /// So many milliseconds later.
    pub delay_ms: u64,
    /// How it is signed.
    pub signature: Signature,
    /// Its timestamp lies so many seconds back, or ahead.
    pub age_s: i64,
    /// Attempts until somebody answers 2xx. fal makes ten.
    pub tries: u32,
    /// Milliseconds between two attempts. fal spreads its ten over two hours.
    pub retry_ms: u64,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            when: When::default(),
            copies: 1,
            delay_ms: 0,
            signature: Signature::default(),
            age_s: 0,
            tries: 10,
            retry_ms: 500,
        }
    }
}

/// When a webhook is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When the job is done.
    #[default]
    Done,
    /// The job is done at once, and the webhook goes out before the submit is answered.
    BeforeAnswer,
    /// Right after the submit is answered, while the status says that the job is not done.
    BeforeDone,
    /// When somebody says `release`: late, or out of order.
    Held,
    /// Never: it is lost.
    Never,
}

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// By the newest key.
    #[default]
    Good,
    /// By the newest key, for another body.
    Bad,
    /// By a key that is not published.
    UnknownKey,
    /// Not at all.
    Absent,
}

/// What a repeated `Idempotency-Key` is worth.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idempotency {
    /// Nothing: another job.
    #[default]
    Ignored,
    /// The job that there is.
    Honoured,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// At which requests.
    pub at: Endpoint,
    /// So many of them go well before.
    #[serde(default)]
    pub skip: u32,
    /// So many go wrong.
    #[serde(default = "once")]
    pub times: u32,
    /// In which way.
    pub act: Act,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// The next request of this kind goes wrong.
    #[must_use]
    pub fn once(at: Endpoint, act: Act) -> Self {
        Self { at, skip: 0, times: 1, act }
    }

    /// All requests of this kind go wrong.
    #[must_use]
    pub fn always(at: Endpoint, act: Act) -> Self {
        Self { at, skip: 0, times: u32::MAX, act }
    }
}

/// A kind of request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// `POST /OWNER/APP[/PATH]`.
    Submit,
    /// `GET /OWNER/APP/requests/ID/status`.
    Status,
    /// `GET /OWNER/APP/requests/ID`.
    Result,
    /// `PUT /OWNER/APP/requests/ID/cancel`.
    Cancel,
    /// `GET /files/…`: the film.
    Media,
    /// `GET /.well-known/jwks.json`.
    Keys,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Another status and nothing done: 429, 500, 502, 403 and 404 of an expired link.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// Seconds of `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The request is read, nothing is done, and the connection closed.
    DropBefore,
    /// It is done, and the connection is closed before the answer: a job whose id nobody learns.
    DropAfter,
    /// Nothing is done and nothing said.
    Hang,
    /// It is done, and answered so many milliseconds later.
    Slow(u64),
    /// The status is this word.
    State(String),
    /// The job is forgotten; it is not there now and later.
    Vanish,
    /// The connection breaks after so many bytes of the body.
    Cut(u64),
    /// 200, and a body that is no JSON and no film.
    Garbage,
}
