//! What the command line asks of a running host, through rows.
//!
//! The command line of another process reads the store by itself and writes
//! what it wants as an intent; the sweep here applies it, and leaves in its
//! place what became of it. What an intent does to the store is in `steer`,
//! which a command that finds no host does by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::{ConversationId, DeliveryId, DeliveryState, Destination, RunId};
use sublane_store::{Intent as Intended, LaneSetting, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::host::Inner;
use crate::host::plugins::Reloaded;
use crate::intake::{IntakeError, Message};
use crate::{lanes, steer};

mod asked;

pub use asked::Asked;

/// How often the sweep looks that hears of nobody who asks, and that has work.
const PERIOD: std::time::Duration = std::time::Duration::from_millis(250);
/// Intents that are applied at once.
const LIMIT: u32 = 100;

/// Something asked of a running host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "intent")]
pub enum Intent {
    /// A message, as if it had come in on a channel.
    Message {
        /// Where it comes from.
        origin: Destination,
        /// Who wrote it.
        from: String,
        /// What it says.
        text: String,
        /// Accepted once.
        event: String,
    },
    /// Cancel a run and what is attached to it.
    Cancel {
        /// The run.
        run: RunId,
        /// For people.
        reason: String,
    },
    /// Cancel every run of a conversation.
    CancelConversation {
        /// The conversation.
        conversation: ConversationId,
        /// For people.
        reason: String,
    },
    /// Put a message into a run's mailbox.
    Send {
        /// The run.
        run: RunId,
        /// JSON text.
        message: String,
    },
    /// Have a run that did not succeed begin again.
    Retry {
        /// The run.
        run: RunId,
        /// The digest of the version that its plugin has now; the host fills it in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plugin_digest: Option<String>,
    },
    /// Try a delivery again, with its id and its body.
    RetryDelivery {
        /// The delivery.
        delivery: DeliveryId,
    },
    /// A delivery is not owed any more.
    DismissDelivery {
        /// The delivery.
        delivery: DeliveryId,
        /// For people.
        reason: String,
    },
    /// Remove what is old now.
    CollectGarbage,
    /// Read plugins anew.
    Reload {
        /// Their names; empty is all of them.
        plugins: Vec<String>,
    },
    /// Cancel every run of a plugin, whatever its version.
    CancelPlugin {
        /// The plugin.
        plugin: String,
        /// For people.
        reason: String,
    },
    /// Something of a lane is to change, now and after a restart.
    Lane {
        /// Its name.
        lane: String,
        /// What.
        change: LaneChange,
    },
}

/// What of a lane is to change. What is not said stays as it is, so that two who change different
/// things at once undo nothing of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LaneChange {
    /// Whether it gives no slots.
    pub paused: Option<bool>,
    /// Forget what was set of the two below, before they are set.
    pub as_configured: bool,
    /// Runs that execute at once.
    pub slots: Option<u32>,
    /// Ready runs, beyond which a spawn is refused.
    pub queue_length: Option<u32>,
}

impl LaneChange {
    /// What is set afterwards.
    #[must_use]
    pub fn of(self, mut setting: LaneSetting) -> LaneSetting {
        if self.as_configured {
            (setting.slots, setting.queue_length) = (None, None);
        }
        LaneSetting {
            paused: self.paused.unwrap_or(setting.paused),
            slots: self.slots.or(setting.slots),
            queue_length: self.queue_length.or(setting.queue_length),
        }
    }
}

/// What became of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// A message became a run.
    Accepted {
        /// The run.
        run: RunId,
    },
    /// Runs were cancelled, or all had ended.
    Cancelled {
        /// How many.
        runs: u32,
    },
    /// A message is in the mailbox.
    Sent,
    /// A run begins again.
    Retried,
    /// A delivery is now so.
    Delivery {
        /// Its state.
        state: DeliveryState,
    },
    /// What is old is being removed.
    Collecting,
    /// Plugins were read anew.
    Reloaded {
        /// What became of each.
        plugins: Vec<Reloaded>,
    },
    /// A lane is now so.
    Lane {
        /// What is set.
        setting: LaneSetting,
    },
    /// It was not done.
    Refused {
        /// Why, for people.
        why: String,
    },
}

impl Answer {
    /// As it is stored.
    #[must_use]
    pub fn to_json(&self) -> Arc<str> {
        serde_json::to_string(self).expect("an answer has string keys").into()
    }
}

/// Applies intents. Woken when another process has written; also every sweep, and where that cannot be
/// heard of every quarter of a second.
pub async fn sweep(host: Arc<Inner>, asked: Option<Asked>, mut stopped: watch::Receiver<bool>) {
    // Reading plugins anew may compile for a while: nobody else waits for that.
    let mut reloads = JoinSet::new();
    let mut reloading = BTreeSet::new();
    loop {
        while let Some(done) = reloads.try_join_next() {
            done.ok().map(|number| reloading.remove(&number));
        }
        let mut has_work = true;
        match host.store.intents(LIMIT).await {
            Ok(intents) => {
                has_work = !intents.is_empty();
                for Intended { number, body, .. } in intents {
                    if reloading.contains(&number) {
                        continue;
                    }
                    match serde_json::from_str(&body) {
                        Ok(Intent::Reload { plugins }) => {
                            reloading.insert(number);
                            reloads.spawn(reload(host.clone(), number, plugins));
                        }
                        intent => apply(&host, number, intent).await,
                    }
                }
            }
            Err(error) => tracing::error!(%error, "intents could not be read; the next sweep tries again"),
        }
        let now = host.clock.now();
        let at = match &asked {
            Some(_) if !has_work => host.next_sweep(now),
            _ => now.after(PERIOD),
        };
        let heard = async {
            match &asked {
                Some(asked) => asked.comes().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = host.clock.sleep(now, at) => {}
            () = heard => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Applies one. Each is harmless to repeat, or done with its intent, so the row goes when it is done.
async fn apply(host: &Arc<Inner>, number: i64, intent: serde_json::Result<Intent>) {
    let answer = match intent {
        Ok(Intent::Message { origin, from, text, event }) => {
            let message = Message { origin, from, text, event: Some(event) };
            match host.message(message).await {
                Ok(accepted) => Ok(Answer::Accepted { run: accepted.run }),
                // Nobody waits for an answer who would say it again.
                Err(IntakeError::Store(StoreError::Full(why))) => {
                    tracing::debug!(number, why = &*why, "a message waits for room on the disk");
                    return;
                }
                Err(IntakeError::Store(error)) if is_the_stores_fault(&error) => {
                    tracing::error!(number, %error, "a message could not be accepted; the next sweep tries again");
                    return;
                }
                Err(error) => Err(error.to_string()),
            }
        }
        Ok(Intent::CollectGarbage) => {
            host.collect.notify_one();
            Ok(Answer::Collecting)
        }
        Ok(intent) => steer(host, number, intent).await.map_err(|error| error.to_string()),
        Err(error) => Err(format!("it is none that this host knows: {error}")),
    };
    done(host, number, answer).await;
}

/// Whether another time may bring what this one did not.
fn is_the_stores_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::Io(_) | StoreError::Corrupt(_) | StoreError::Closed)
}

async fn reload(host: Arc<Inner>, number: i64, plugins: Vec<String>) -> i64 {
    let reloaded = host.reload(&plugins).await;
    let answer = reloaded.map(|plugins| Answer::Reloaded { plugins }).map_err(|error| error.to_string());
    done(&host, number, answer).await;
    number
}

/// Leaves what became of an intent in its place.
async fn done(host: &Inner, number: i64, answer: Result<Answer, String>) {
    let answer = answer.unwrap_or_else(|why| {
        tracing::warn!(number, error = why, "an intent could not be applied and is dropped");
        Answer::Refused { why }
    });
    if let Err(error) = host.store.intent_done(number, answer.to_json()).await {
        tracing::error!(number, %error, "an applied intent could not be removed; it is applied again, which is harmless");
    }
}

async fn steer(host: &Arc<Inner>, number: i64, mut intent: Intent) -> Result<Answer, StoreError> {
    if let Intent::Retry { run, plugin_digest } = &mut intent
        && let Some(run) = host.store.run(*run).await?
    {
        *plugin_digest = host.plugins().get(&run.spec.plugin).map(|plugin| plugin.digest.clone());
    }
    let lane = match &intent {
        Intent::Lane { lane, change } => {
            let setting = change.of(lanes::setting_of(&*host.store, lane).await?);
            host.lanes.check(lane, setting).map_err(StoreError::Refused)?;
            Some(lane.clone())
        }
        _ => None,
    };
    let now = host.clock.now();
    let mut effects = sublane_store::Effects::default();
    let link_base = host.link_base.clone();
    let answer = steer::steer(&*host.store, Some(number), intent, link_base, now, &mut effects).await;
    if let (Some(lane), Ok(Answer::Lane { setting })) = (lane, &answer) {
        host.lanes.set(host, &lane, *setting);
    }
    host.perform(effects).await;
    // A delivery may be due again.
    host.outbox.wake();
    answer
}
