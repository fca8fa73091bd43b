//! Undo requests: what runs that did not succeed have undone at other machines.
//!
//! Owns the channel `undo`, which no configuration has: an ending owes it what the run registered
//! with `http.undo`, so that it outlives crashes, is tried again, and is seen where deliveries are.
//! Never sends what the run might not send today.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sublane_core::delivery::AttemptResult;
use sublane_core::undo::Undo;
use sublane_core::{Delivery, Run};
use sublane_store::Store;

use crate::allowed::Allowed;
use crate::artifacts::ArtifactDir;
use crate::channel::{Channel, Class, scrub_line};
use crate::http::head::Header;
use crate::http::url::Url;
use crate::http::{Client, Failed, Hop, Missed, Payload, Reply, Sink, deadline};
use crate::secrets::{self, Secrets};

/// How long one attempt takes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// Characters of an answer that people are shown.
const SHOWN: usize = 200;

/// The channel.
pub struct Undoing {
    /// Where the runs are.
    pub store: Arc<dyn Store>,
    /// What makes requests.
    pub http: Client,
    /// What the client makes files in; no undo request has one.
    pub artifacts: ArtifactDir,
    /// What requests may carry.
    pub secrets: Secrets,
    /// What plugins are allowed today.
    pub allowed: Arc<Allowed>,
}

#[async_trait]
impl Channel for Undoing {
    /// Each attempt has the same `Idempotency-Key`, and what is undone is undone once.
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let hop = match self.hop(delivery).await {
            Ok(hop) => hop,
            Err(result) => return result,
        };
        match self.http.exchange(hop, &self.artifacts).await.0 {
            Ok(reply) => answered(&reply),
            Err(missed) => not_answered(missed),
        }
    }
}

fn permanent(why: impl Into<String>) -> AttemptResult {
    AttemptResult::Permanent { note: scrub_line(&why.into()) }
}

impl Undoing {
    /// The request as it is sent now, with the secrets in it.
    async fn hop(&self, delivery: &Delivery) -> Result<Hop, AttemptResult> {
        let undo: Undo = serde_json::from_str(&delivery.body)
            .map_err(|_| permanent("it is no undo request: nothing else is sent here"))?;
        let run = self.store.run(delivery.run).await.map_err(|error| AttemptResult::Retry {
            note: error.to_string(),
            retry_after: None,
            ambiguous: false,
        })?;
        let run = run.ok_or_else(|| permanent("its run is gone"))?;
        self.fill(&run, undo, delivery).map_err(permanent)
    }

    fn fill(&self, run: &Run, undo: Undo, delivery: &Delivery) -> Result<Hop, String> {
        let given = &run.spec.grants;
        let left = self.allowed.left_of(&run.spec);
        let grants = left.as_ref().unwrap_or(given);
        let url = Url::parse(&undo.url)?;
        let denied = |denied: &dyn std::fmt::Display| format!("not allowed any more: {denied}");
        grants.may_request(&undo.method, url.target()).map_err(|error| denied(&error))?;
        let mut headers: Vec<Header> = undo.headers;
        if !headers.iter().any(|(name, _)| name == "idempotency-key") {
            headers.push(("idempotency-key".to_owned(), delivery.id.to_string()));
        }
        let payload = undo.body.map_or(Payload::None, |body| Payload::Bytes(body.into()));
        let placed = secrets::place(&self.secrets, grants, &run.spec.seed, &url, &headers, &payload);
        let placed = placed.map_err(|misuse| misuse.to_string())?;
        Ok(Hop {
            method: undo.method,
            url: placed.url,
            headers: placed.headers,
            payload: placed.payload,
            deadline: deadline(TIMEOUT),
            max_body: MAX_ANSWER_BYTES,
            max_wire: u64::MAX,
            max_file: None,
            follows: false,
        })
    }
}

/// What an answer means. Where there is nothing to undo any more, there is nothing to do either.
fn answered(reply: &Reply) -> AttemptResult {
    let words = match &reply.sink {
        Sink::Bytes(bytes) => String::from_utf8_lossy(bytes).chars().take(SHOWN).collect(),
        Sink::File(_) => String::new(),
    };
    let note = scrub_line(format!("{} {words}", reply.status).trim_end());
    match reply.status {
        200..=299 | 400 | 404 | 409 | 410 => AttemptResult::Delivered { note },
        408 | 425 | 429 | 500..=599 => {
            let wish = reply.headers.iter().find(|(name, _)| name == "retry-after");
            let seconds = wish.and_then(|(_, value)| value.trim().parse().ok());
            let retry_after = seconds.map(Duration::from_secs);
            AttemptResult::Retry { note, retry_after, ambiguous: false }
        }
        _ => permanent(note),
    }
}

fn not_answered(missed: Missed) -> AttemptResult {
    let retry =
        |note: &str, ambiguous| AttemptResult::Retry { note: scrub_line(note), retry_after: None, ambiguous };
    match missed {
        Missed::Failed(Failed::ConnectionFailed(why)) => retry(&format!("no connection: {why}"), false),
        Missed::Failed(Failed::TimedOut) => retry("no answer in time", true),
        Missed::Failed(Failed::Broken(why)) => retry(&format!("the connection broke: {why}"), true),
        // It was answered, with more than anybody reads.
        Missed::Failed(Failed::TooLarge(_)) => retry("the answer is too large", true),
        Missed::Failed(Failed::AddressRefused(host)) => permanent(format!("{host} must not be reached")),
        Missed::Failed(Failed::BadRedirect(why)) => permanent(why),
        Missed::Host(error) => permanent(error.to_string()),
        Missed::NoRoom(why) | Missed::Fault(why) => retry(&why, false),
    }
}
