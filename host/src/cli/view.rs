//! Runs, deliveries and conversations as machines see them.
//!
//! Owns the names and shapes of everything that `--json` prints. Instants are
//! RFC 3339 in UTC, durations say their unit. How a run ended and how its
//! deliveries stand are different fields everywhere.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use sublane_core::delivery::{ArtifactLink, AttemptResult};
use sublane_core::hook::{Hook, Verification};
use sublane_core::poll::{Plan, Poll};
use sublane_core::run::Retried;
use sublane_core::{
    ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Generation, Grants, HookId, Lifetime,
    Outcome, Over, Priority, Purse, RetryPolicy, Run, RunId, RunState, Timestamp,
};
use sublane_store::{Conversation, DeliveryAttempt, Source, Wait, WaitFor};

/// An instant, RFC 3339 with milliseconds.
pub(super) fn instant(at: Timestamp) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at.0.min(253_402_300_799_999));
    humantime::format_rfc3339_millis(at).to_string()
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct RunView {
    pub(super) id: RunId,
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) plugin: String,
    pub(super) plugin_digest: String,
    pub(super) lane: String,
    pub(super) priority: Priority,
    pub(super) depth: u32,
    pub(super) parent: Option<RunId>,
    pub(super) lifetime: Lifetime,
    pub(super) conversation: ConversationId,
    pub(super) origin: Destination,
    pub(super) destinations: Vec<Destination>,
    pub(super) input: Value,
    pub(super) created: String,
    pub(super) deadline: String,
    pub(super) state: &'static str,
    pub(super) since: String,
    /// When it begins, while it is delayed.
    pub(super) begins: Option<String>,
    /// How it ended: `succeeded`, `failed`, `timed-out` or `cancelled`.
    pub(super) outcome: Option<&'static str>,
    /// Why it did not succeed, for people.
    pub(super) reason: Option<String>,
    pub(super) result: Option<ResultView>,
    pub(super) progress: Option<ProgressView>,
    pub(super) generation: u32,
    /// How it begins again when it fails, if it was spawned so.
    pub(super) retry: Option<RetryView>,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) active_children: u32,
    pub(super) grants: Grants,
    /// What it was given to spend.
    pub(super) purse: Purse,
    /// What of it is left; what an ended run left went back.
    pub(super) purse_left: Purse,
}

/// How a run begins again by itself.
#[derive(Debug, Serialize)]
pub(super) struct RetryView {
    /// How many times it may.
    times: u32,
    delay_ms: u64,
    /// What the delay is multiplied with each time, in per cent.
    factor: u32,
    ceiling_ms: u64,
    /// How far a delay may be off, in per cent.
    jitter: u32,
    /// After which failures: `failures`, or `breakdowns-too`.
    of: Retried,
    /// How many times it did, since it was accepted or an operator began it again.
    retried: u32,
    /// How many times it still would.
    left: u32,
    /// When it does next, while it rests after a failure.
    next_at: Option<String>,
}

impl RetryView {
    fn of(run: &Run) -> Option<Self> {
        let RetryPolicy { times, delay_ms, factor, ceiling_ms, jitter, of } = run.spec.retry?;
        let left = run.retries_left()?;
        let next_at = match run.state {
            RunState::Delayed { until } if run.retried > 0 => Some(instant(until)),
            _ => None,
        };
        let retried = run.retried;
        Some(Self { times, delay_ms, factor, ceiling_ms, jitter, of, retried, left, next_at })
    }
}

/// A generation that is over.
#[derive(Debug, Serialize)]
pub(super) struct GenerationView {
    generation: u32,
    begun: String,
    over: String,
    /// How it came to its end: `failed`, `timed-out`, `cancelled`, or nothing: it went on as new.
    outcome: Option<&'static str>,
    /// Why, for people.
    reason: Option<String>,
    /// Who began the next one: its `policy`, an `operator`, or the run `itself`.
    next_by: &'static str,
}

impl GenerationView {
    pub(super) fn of(over: &Generation, name: &str) -> Self {
        let outcome = over.over.outcome();
        Self {
            generation: over.number,
            begun: instant(over.begun),
            over: instant(over.at),
            outcome: outcome.map(Outcome::kind),
            reason: outcome.map(|outcome| outcome.sentence(name)),
            next_by: match over.over {
                Over::Failed(_) => "policy",
                Over::Ended(_) => "operator",
                Over::Continued => "itself",
            },
        }
    }
}

/// What a run gave back.
#[derive(Debug, Serialize)]
pub(super) struct ResultView {
    value: Value,
    text: Option<String>,
    artifacts: Vec<ArtifactLink>,
}

/// How far a run is.
#[derive(Debug, Serialize)]
pub(super) struct ProgressView {
    percent: u8,
    note: String,
}

/// JSON text from the store; text that is none is shown as text.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl RunView {
    /// A run; `link_base` goes before an artifact's path.
    pub(super) fn of(run: &Run, link_base: &str) -> Self {
        let spec = &run.spec;
        let ended = run.outcome();
        Self {
            id: spec.id,
            name: spec.name.clone(),
            agent: spec.agent_name(),
            plugin: spec.plugin.clone(),
            plugin_digest: spec.plugin_digest.clone(),
            lane: spec.lane.clone(),
            priority: spec.priority,
            depth: spec.depth,
            parent: spec.parent,
            lifetime: spec.lifetime,
            conversation: spec.conversation,
            origin: spec.origin.clone(),
            destinations: spec.destinations.clone(),
            input: json(&spec.input),
            created: instant(spec.created),
            deadline: instant(spec.deadline()),
            state: run.state.kind(),
            since: instant(run.since),
            begins: match run.state {
                RunState::Delayed { until } => Some(instant(until)),
                _ => None,
            },
            outcome: ended.map(Outcome::kind),
            reason: ended
                .filter(|outcome| !matches!(outcome, Outcome::Succeeded(_)))
                .map(|outcome| outcome.sentence(&spec.name)),
            result: ended.and_then(|outcome| match outcome {
                Outcome::Succeeded(output) => Some(ResultView {
                    value: json(&output.value),
                    text: output.text.as_deref().map(str::to_owned),
                    artifacts: output.artifacts.iter().map(|artifact| artifact.link(link_base)).collect(),
                }),
                _ => None,
            }),
            progress: run
                .progress
                .as_ref()
                .map(|(percent, note)| ProgressView { percent: *percent, note: note.to_string() }),
            generation: run.generation,
            retry: RetryView::of(run),
            attempts: run.attempt,
            crashes: run.crashes,
            active_children: run.active_children,
            grants: spec.grants.clone(),
            purse: spec.purse,
            purse_left: run.purse,
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryView {
    pub(super) id: DeliveryId,
    pub(super) run: RunId,
    pub(super) conversation: ConversationId,
    pub(super) destination: Destination,
    pub(super) state: DeliveryState,
    pub(super) attempts: u32,
    pub(super) created: String,
    /// When it is tried again, while it is pending.
    pub(super) next_at: Option<String>,
    /// What the last attempt came to.
    pub(super) note: String,
    pub(super) body: Value,
    /// Attempts that are settled.
    pub(super) log: Vec<AttemptView>,
}

/// An attempt of a delivery.
#[derive(Debug, Serialize)]
pub(super) struct AttemptView {
    pub(super) number: u32,
    pub(super) at: String,
    pub(super) result: &'static str,
    pub(super) note: String,
}

impl DeliveryView {
    pub(super) fn of(delivery: &Delivery, attempts: &[DeliveryAttempt]) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id,
            run: delivery.run,
            conversation: delivery.conversation,
            destination: delivery.destination.clone(),
            state: delivery.state,
            attempts: delivery.attempts,
            created: instant(delivery.created),
            next_at: is_pending.then(|| instant(delivery.next_at)),
            note: delivery.note.clone(),
            body: json(&delivery.body),
            log: attempts.iter().map(AttemptView::of).collect(),
        }
    }
}

impl AttemptView {
    fn of(attempt: &DeliveryAttempt) -> Self {
        let (result, note) = match &attempt.result {
            AttemptResult::Delivered { note } => ("delivered", note),
            AttemptResult::Permanent { note } => ("refused", note),
            AttemptResult::Gone { note } => ("gone", note),
            AttemptResult::Retry { note, ambiguous: true, .. } => ("ambiguous", note),
            AttemptResult::Retry { note, ambiguous: false, .. } => ("not-sent", note),
        };
        Self { number: attempt.number, at: instant(attempt.at), result, note: note.clone() }
    }
}

/// A conversation.
#[derive(Debug, Serialize)]
pub(super) struct ConversationView {
    pub(super) id: ConversationId,
    pub(super) origin: Destination,
    pub(super) created: String,
    pub(super) purse: Purse,
    pub(super) ceiling: Purse,
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            origin: conversation.origin,
            created: instant(conversation.created),
            purse: conversation.purse,
            ceiling: conversation.ceiling,
        }
    }
}

/// A hook, without the token in its URL.
#[derive(Debug, Serialize)]
pub(super) struct HookView {
    pub(super) id: HookId,
    /// `open`, `called`, `told` or `closed`; what nobody called before its run ended is `closed`.
    pub(super) state: &'static str,
    /// Who may call it.
    pub(super) by: String,
    opened: String,
}

impl HookView {
    pub(super) fn of(hook: &Hook, run: &Run) -> Self {
        let is_over = run.is_ended() || run.generation != hook.generation;
        let state = if is_over && hook.state.is_open() { "closed" } else { hook.state.kind() };
        let by = match &hook.verification {
            Verification::Nobody => "whoever knows the URL".to_owned(),
            Verification::StandardWebhooks { secret } => format!("who signs with the secret {secret}"),
            Verification::Fal { keys } => format!("who signs as fal does with the keys at {keys}"),
        };
        Self { id: hook.id, state, by, opened: instant(hook.created) }
    }
}

/// What a parked run waits for.
#[derive(Debug, Serialize)]
pub(super) struct WaitView {
    import: &'static str,
    #[serde(flatten)]
    what: WaitFor,
    until: Option<String>,
}

/// A poll plan that is carried out.
#[derive(Debug, Serialize)]
pub(super) struct PollView {
    /// Which of the things that are waited for, from 0.
    place: u32,
    server: String,
    /// Polls that were begun.
    polls: u32,
    next_at: String,
    /// What was seen last.
    seen: Option<String>,
}

impl From<&Poll> for PollView {
    fn from(poll: &Poll) -> Self {
        Self {
            place: poll.place,
            server: poll.server.to_string(),
            polls: poll.made,
            next_at: instant(poll.due),
            seen: poll.seen.as_deref().map(str::to_owned),
        }
    }
}

impl From<Wait> for WaitView {
    fn from(wait: Wait) -> Self {
        let mut what = wait.what;
        // A query and a body may hold what is nobody else's, and placeholders say nothing.
        let hide = |plan: &mut Arc<Plan>| {
            let request = &mut Arc::make_mut(plan).request;
            request.url.truncate(request.place().len());
            (request.headers, request.body) = (Vec::new(), None);
        };
        match &mut what {
            WaitFor::Poll { plan } => hide(plan),
            WaitFor::Any { sources } => sources.iter_mut().for_each(|source| {
                if let Source::Poll(plan) = source {
                    hide(plan);
                }
            }),
            _ => {}
        }
        Self { import: wait.import.name(), what, until: wait.due.map(instant) }
    }
}
