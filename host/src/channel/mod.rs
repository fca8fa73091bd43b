//! Channels: how one attempt of a delivery is made.
//!
//! Owns the way from a stored body to a person or a receiver, and what an
//! attempt came to. Never retries, never chooses another destination, never
//! writes a row: that is the outbox's.

mod body;
pub mod console;
pub mod file;
pub mod sign;
#[cfg(test)]
pub(crate) mod testing;
pub mod webhook;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sublane_core::delivery::{AttemptResult, DEFAULT_WINDOW, Order, TextRule};
use sublane_core::{Delivery, RunId};

pub use crate::scrub::{is_treacherous, scrub_line, scrub_text};
pub use console::{Colour, Console, ConsoleStyle};
pub use file::{FileChannel, Folder};
pub use sign::SecretRef;
pub use webhook::{Endpoint, PlainHttp, Webhook};

/// What a repeated attempt means on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A: the receiver drops a repetition by the delivery's id.
    Idempotent,
    /// B: one can look whether it arrived, then repeat.
    Reconcilable,
    /// C: after an ambiguous attempt nobody knows; a repetition may be a duplicate.
    Blind,
}

/// What an address asks of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How long a delivery is tried.
    pub window: Duration,
    /// Whether one may overtake another.
    pub order: Order,
    /// How much text it takes at once. Longer ones are cut before they come to the channel.
    pub text: TextRule,
}

impl Default for Rule {
    fn default() -> Self {
        Self { window: DEFAULT_WINDOW, order: Order::Any, text: TextRule::Whole }
    }
}

/// A run as people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLabel {
    /// The run.
    pub run: RunId,
    /// Its handle for people.
    pub name: Arc<str>,
}

/// One way to reach people or receivers.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// What a repeated attempt means here.
    fn class(&self) -> Class;

    /// Whether the channel can try this address at all. What it does not serve waits,
    /// uncounted, until the configuration does. Default: every address.
    fn serves(&self, address: &str) -> bool {
        let _ = address;
        true
    }

    /// How long what goes to this address is tried, in which order, and how much text of it at
    /// once. Default: for [`DEFAULT_WINDOW`], in any order, any text.
    fn rule(&self, address: &str) -> Rule {
        let _ = address;
        Rule::default()
    }

    /// Makes one attempt, with a time limit of its own. The body is sent as it is stored.
    async fn deliver(&self, delivery: &Delivery) -> AttemptResult;

    /// Shows how far a run is. A hint: must not block, may be dropped. Default: nothing.
    fn progress(&self, address: &str, run: &RunLabel, percent: u8, note: &str) {
        let _ = (address, run, percent, note);
    }

    /// The last call, after the last attempt. Default: nothing.
    async fn close(&self) {}
}

/// The configured channels, by name.
#[derive(Clone, Default)]
pub struct Channels(Arc<BTreeMap<String, Arc<dyn Channel>>>);

impl Channels {
    /// The channel of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Channel>> {
        self.0.get(name)
    }

    /// All of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<dyn Channel>)> {
        self.0.iter().map(|(name, channel)| (name.as_str(), channel))
    }
}

impl Channels {
    /// These, and one of the host's own; no configured one has its name.
    #[must_use]
    pub fn with(&self, name: &str, channel: Arc<dyn Channel>) -> Self {
        let own = std::iter::once((name.to_owned(), channel));
        self.0.iter().map(|(name, channel)| (name.clone(), channel.clone())).chain(own).collect()
    }
}

impl FromIterator<(String, Arc<dyn Channel>)> for Channels {
    fn from_iter<I: IntoIterator<Item = (String, Arc<dyn Channel>)>>(channels: I) -> Self {
        Self(Arc::new(channels.into_iter().collect()))
    }
}

/// Takes everything and shows nothing: for benchmarks and for results that nobody reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

#[async_trait]
impl Channel for Null {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, _: &Delivery) -> AttemptResult {
        AttemptResult::Delivered { note: String::new() }
    }
}
