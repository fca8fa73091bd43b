//! What is owed to people: destinations, bodies, and when to try again.
//!
//! A body is composed once, in the transaction that owes it, and never again:
//! one delivery id has one body. Never sends anything.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, DeliveryId, RunId};
use crate::run::{ArtifactRef, Outcome, Run};
use crate::time::Timestamp;

mod parts;
mod retry;

pub use parts::{MIN_CHARS, Part, TextRule, parts};
pub use retry::{DEFAULT_WINDOW, Hold, MAX_WISH, Order, SettleRule, next_attempt};

/// Where something is delivered: an address on a channel. Captured once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The address on it, in the channel's own form.
    pub address: String,
}

/// The text is not a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a destination: expected `channel:address`, for example `webhook:films`")]
pub struct ParseDestinationError(String);

impl FromStr for Destination {
    type Err = ParseDestinationError;
    fn from_str(text: &str) -> Result<Self, ParseDestinationError> {
        match text.split_once(':') {
            Some((channel, address)) if !channel.is_empty() && !address.is_empty() => {
                Ok(Self { channel: channel.to_owned(), address: address.to_owned() })
            }
            _ => Err(ParseDestinationError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Destination {
    type Error = ParseDestinationError;
    fn try_from(text: String) -> Result<Self, ParseDestinationError> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.address)
    }
}

/// One result owed to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Stable over all attempts: the receiver's idempotency key.
    pub id: DeliveryId,
    /// The run that owes it.
    pub run: RunId,
    /// The conversation that the run belongs to.
    pub conversation: ConversationId,
    /// Where to.
    pub destination: Destination,
    /// The body as JSON text, see [`DeliveryBody`].
    pub body: Arc<str>,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts begun.
    pub attempts: u32,
    /// Not before this instant; meaningful while `Pending`.
    pub next_at: Timestamp,
    /// When it was owed.
    pub created: Timestamp,
    /// From when the time counts in which it is tried: when it was owed, when an operator
    /// had it tried again, or when its channel was there.
    pub since: Timestamp,
    /// What the last attempt came to, for people. Empty before the first.
    pub note: String,
}

/// How far a delivery is. Its ending is not the run's ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Owed; tried when `next_at` has come.
    Pending,
    /// An attempt was begun and is not settled.
    Sending,
    /// The receiver has it.
    Delivered,
    /// Given up, kept for the operator.
    Dead,
    /// An operator decided that it is not owed any more.
    Dismissed,
}

impl DeliveryState {
    /// All states, in the order of their stored numbers.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Sending, Self::Delivered, Self::Dead, Self::Dismissed];

    /// Whether nothing more will be tried by itself.
    #[must_use]
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Sending)
    }
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver has it.
    Delivered {
        /// What it answered, for people.
        note: String,
    },
    /// Trying again is of no use.
    Permanent {
        /// Why, for people.
        note: String,
    },
    /// The receiver wants nothing more at this address: it is disabled.
    Gone {
        /// What it said, for people.
        note: String,
    },
    /// Not delivered, or not known to be: try again.
    Retry {
        /// Why, for people.
        note: String,
        /// The receiver's own wish.
        retry_after: Option<Duration>,
        /// Whether a byte of the request had left: only then can a duplicate arise.
        ambiguous: bool,
    },
}

/// The body of a delivery in the shape of Standard Webhooks: type, timestamp, data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryBody {
    /// `run.succeeded`, `run.failed`, `run.timed-out`, `run.cancelled` or `run.message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was owed, RFC 3339.
    pub timestamp: String,
    /// What it is about.
    pub data: DeliveryData,
}

/// What a delivery is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryData {
    /// The run.
    pub run: RunId,
    /// Its handle for people.
    pub name: String,
    /// `plugin/agent`.
    pub agent: String,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// What people read.
    pub text: String,
    /// The result value of a run that succeeded.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub value: serde_json::Value,
    /// Files, as links.
    #[serde(default)]
    pub artifacts: Vec<ArtifactLink>,
}

/// A file by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactLink {
    /// SHA-256 of the content, hex.
    pub id: String,
    /// A file name for people.
    pub name: String,
    /// A media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Where it can be had.
    pub url: String,
}

impl DeliveryBody {
    /// The body that the ending of `run` owes. `link_base` goes before each artifact's path.
    /// `finished` are the files that it had finished: when it did not succeed they go with it,
    /// since whoever paid for them should have them.
    #[must_use]
    pub fn ending(
        run: &Run,
        outcome: &Outcome,
        finished: &[ArtifactRef],
        link_base: &str,
        now: Timestamp,
    ) -> Self {
        let (text, value, artifacts) = match outcome {
            Outcome::Succeeded(output) => {
                let done = || format!("{} is done.", run.spec.name);
                let (value, said) = match serde_json::from_str(&output.value) {
                    Ok(serde_json::Value::String(text)) => (serde_json::Value::String(text.clone()), text),
                    Ok(serde_json::Value::Null) => (serde_json::Value::Null, done()),
                    Ok(value) => {
                        let said = told(&run.spec.name, &value);
                        (value, said)
                    }
                    // No run ends like this any more; an older host wrote it. Its text is not lost.
                    Err(error) => {
                        let why = format!("{} Its result cannot be read: {error}", done());
                        (serde_json::Value::String(output.value.to_string()), why)
                    }
                };
                let text = output.text.as_ref().map_or(said, ToString::to_string);
                (text, value, output.artifacts.as_slice())
            }
            other => {
                let mut text = other.sentence(&run.spec.name);
                if !finished.is_empty() {
                    text.push_str(" What it had finished before is kept, and comes with this.");
                }
                (text, serde_json::Value::Null, finished)
            }
        };
        Self::new(run, &format!("run.{}", outcome.kind()), text, value, artifacts, link_base, now)
    }

    /// The body of a message that `run` sends while it works.
    #[must_use]
    pub fn message(
        run: &Run,
        text: &str,
        artifacts: &[ArtifactRef],
        link_base: &str,
        now: Timestamp,
    ) -> Self {
        Self::new(run, "run.message", text.to_owned(), serde_json::Value::Null, artifacts, link_base, now)
    }

    fn new(
        run: &Run,
        kind: &str,
        text: String,
        value: serde_json::Value,
        artifacts: &[ArtifactRef],
        link_base: &str,
        now: Timestamp,
    ) -> Self {
        let at = std::time::UNIX_EPOCH + Duration::from_millis(now.0.min(253_402_300_799_999));
        Self {
            kind: kind.to_owned(),
            timestamp: humantime::format_rfc3339_millis(at).to_string(),
            data: DeliveryData {
                run: run.spec.id,
                name: run.spec.name.clone(),
                agent: run.spec.agent_name(),
                conversation: run.spec.conversation,
                text,
                value,
                artifacts: artifacts.iter().map(|artifact| artifact.link(link_base)).collect(),
            },
        }
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Arc<str> {
        serde_json::to_string(self).expect("strings, numbers and maps with string keys serialize").into()
    }
}

/// Characters of a result that people are told where the run has no text for them.
const TOLD_CHARACTERS: usize = 500;

/// That a run is done, with what it gave back.
fn told(name: &str, value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(TOLD_CHARACTERS) {
        Some((end, _)) => format!("{name} is done: {}…", &text[..end]),
        None => format!("{name} is done: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Failure;

    #[test]
    fn a_destination_is_a_channel_and_an_address() {
        let films: Destination = "webhook:films".parse().expect("well formed");
        assert_eq!((films.channel.as_str(), films.address.as_str()), ("webhook", "films"));
        assert!("webhook".parse::<Destination>().is_err() && ":x".parse::<Destination>().is_err());
    }

    #[test]
    fn a_result_without_a_text_is_told_and_a_long_one_in_part() {
        let told = |value| told("hello", &value);
        assert_eq!(told(serde_json::json!({ "n": 5 })), r#"hello is done: {"n":5}"#);
        let long = told(serde_json::json!(["ä".repeat(1_000)]));
        assert_eq!(long, format!("hello is done: [\"{}…", "ä".repeat(TOLD_CHARACTERS - 2)));
    }

    /// Complaints 44925 and 86034: whatever ends a run, people are told what happened and
    /// what can be done.
    #[test]
    fn every_ending_has_a_sentence_that_says_what_happened_and_what_can_be_done() {
        let failures = Failure::ALL.into_iter();
        let mut outcomes: Vec<_> = failures
            .flat_map(|reason| ["", "no film without a prompt."].map(|said| Outcome::failed(reason, said)))
            .collect();
        outcomes.push(Outcome::TimedOut);
        outcomes.extend(["", "enough"].map(|reason| Outcome::Cancelled { reason: reason.into() }));
        let mut seen = std::collections::BTreeSet::new();
        for outcome in outcomes {
            let text = outcome.sentence("film");
            let (what, remedy) = text.split_once(". ").expect("two sentences");
            assert!(what.starts_with("film ") && what.len() > 15, "{text}");
            assert!(remedy.starts_with("Ask ") && remedy.ends_with('.'), "{text}");
            assert!(!text.contains("..") && !text.contains("()"), "{text}");
            assert!(seen.insert(text), "each has its own");
        }
    }
}
