//! The jobs of a stand-in for fal, and how they go on.
//!
//! Owns no connection and no clock.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::keys::{Keys, hex};
use super::script::{Act, Ending, Endpoint, Idempotency, Pace, Script, Webhook, When};

/// Where a job is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// It waits.
    Queued,
    /// It is worked on.
    Running,
    /// It has ended as its script says.
    Done,
    /// Somebody has cancelled it.
    Cancelled,
    /// It is not there any more.
    Forgotten,
}

impl At {
    /// Whether it goes on from here.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// A job: something that somebody pays for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// A UUID.
    pub id: String,
    /// `OWNER/APP`.
    pub app: String,
    /// What stood behind it.
    pub path: String,
    /// What the model was given.
    pub input: Value,
    /// Where its webhook goes.
    pub hook: Option<String>,
    /// The `Idempotency-Key` that it was submitted with.
    pub idempotency_key: Option<String>,
    /// Where it is.
    pub at: At,
    /// Attempts to send its webhook, and what was answered: a status, or why there is none.
    pub webhooks: Vec<Result<u16, String>>,
    /// Where the submitter found us.
    #[serde(skip)]
    pub(crate) base: String,
    #[serde(skip)]
    pub(crate) looks: u32,
    #[serde(skip)]
    pub(crate) pace: Pace,
    #[serde(skip)]
    pub(crate) ending: Ending,
    #[serde(skip)]
    pub(crate) webhook: Webhook,
    #[serde(skip)]
    pub(crate) film_bytes: u64,
}

/// A request that has arrived.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// What it is, when we know it.
    pub endpoint: Option<Endpoint>,
    /// In upper case.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The status of the answer; none when there was no answer, or is none yet.
    pub answered: Option<u16>,
}

impl Call {
    /// The value of a header by its name in small letters; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// All that a stand-in remembers.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) script: Script,
    pub(crate) jobs: Vec<Job>,
    pub(crate) calls: Vec<Call>,
    pub(crate) keys: Keys,
}

/// A submit.
pub(crate) struct Submit {
    pub(crate) app: String,
    pub(crate) path: String,
    pub(crate) input: Value,
    pub(crate) hook: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) base: String,
}

impl State {
    /// What goes wrong with this request.
    pub(crate) fn fault(&mut self, at: Endpoint) -> Option<Act> {
        let fault = self.script.faults.iter_mut().find(|fault| fault.at == at && fault.times > 0)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if fault.times != u32::MAX {
            fault.times -= 1;
        }
        Some(fault.act.clone())
    }

    /// A job, unless it is forgotten.
    pub(crate) fn job(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id && job.at != At::Forgotten)
    }

    /// The job for a submit: a new one, or the one that has its key. Also whether it is new.
    pub(crate) fn submit(&mut self, submit: Submit) -> (Job, bool) {
        let Submit { app, path, input, hook, idempotency_key, base } = submit;
        if self.script.idempotency == Idempotency::Honoured && idempotency_key.is_some() {
            let same = |job: &&Job| job.idempotency_key == idempotency_key;
            if let Some(job) = self.jobs.iter().find(same) {
                return (job.clone(), false);
            }
        }
        let Script { pace, ending, webhook, film_bytes, .. } = self.script.clone();
        let at = match pace {
            _ if webhook.when == When::BeforeAnswer => At::Done,
            Pace::Held => At::Running,
            _ => At::Queued,
        };
        let job = Job {
            id: uuid(self.jobs.len()),
            app,
            path,
            input,
            hook,
            idempotency_key,
            at,
            webhooks: Vec::new(),
            base,
            looks: 0,
            pace,
            ending,
            webhook,
            film_bytes,
        };
        self.jobs.push(job.clone());
        (job, true)
    }
}

impl Job {
    /// Somebody looks at its status. Whether that was what it took to be done.
    pub(crate) fn look(&mut self) -> bool {
        let Pace::Looks { queued, running } = self.pace else { return false };
        if !self.at.is_open() {
            return false;
        }
        self.at = match self.looks {
            looks if looks < queued => At::Queued,
            looks if looks - queued < running => At::Running,
            _ => At::Done,
        };
        self.looks = self.looks.saturating_add(1);
        self.at == At::Done
    }

    /// Its own URL, from which the others follow.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}/requests/{}", self.base, self.app, self.id)
    }

    /// What became of it: the status of the result and its body.
    pub(crate) fn result(&self) -> (u16, Value) {
        let problem = |kind: &str, message: &str| {
            json!({ "detail": [{
                "loc": ["body", "prompt"], "msg": message, "type": kind,
                "url": format!("https://docs.fal.ai/errors#{kind}"), "input": self.input["prompt"],
            }] })
        };
        match &self.ending {
            Ending::Film => {
                let size = super::media::size(self.film_bytes);
                let video = json!({
                    "url": format!("{}/files/{}/film.mp4", self.base, self.id),
                    "content_type": "video/mp4", "file_name": "film.mp4", "file_size": size,
                });
                (200, json!({ "video": video, "seed": 4_711 }))
            }
            Ending::Refused => {
                let said = "The content could not be processed because it contained material flagged by a content checker.";
                let mut refused = problem("content_policy_violation", said);
                refused["detail"][0]["categories"] = json!(["violence"]);
                (422, refused)
            }
            Ending::Failed { status, error_type, detail } => {
                (*status, json!({ "detail": detail, "error_type": error_type }))
            }
            Ending::ErrorInside => (200, json!({ "error": "the model gave up", "video": null })),
        }
    }

    /// fal's word for what went wrong, and its sentence.
    pub(crate) fn error(&self) -> Option<(String, String)> {
        match (&self.at, &self.ending) {
            (At::Cancelled, _) => Some(("client_cancelled".to_owned(), "Request was cancelled".to_owned())),
            (At::Done, Ending::Refused) => {
                Some(("bad_request".to_owned(), "Invalid status code: 422".to_owned()))
            }
            (At::Done, Ending::Failed { error_type, detail, .. }) => {
                Some((error_type.clone(), detail.clone()))
            }
            _ => None,
        }
    }

    /// The body of its webhook.
    pub(crate) fn webhook_body(&self) -> Value {
        let (status, payload) = self.result();
        let mut body = json!({
            "request_id": self.id, "gateway_request_id": self.id,
            "status": if status < 300 { "OK" } else { "ERROR" }, "payload": payload,
        });
        if status >= 300 {
            body["error"] = json!(format!("Invalid status code: {status}"));
        }
        body
    }
}

/// The id of a job: it follows from its number.
fn uuid(number: usize) -> String {
    let digest = Sha256::digest(format!("job {number} of the stand-in"));
    let digits = hex(&digest[..16]);
    let part = |from: usize, to: usize| &digits[from..to];
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
