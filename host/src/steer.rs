//! What an operator's intent does to the store.
//!
//! The host's sweep calls it, and the command line where no host runs. Knows no
//! lane, no channel and no process: what follows comes back as effects.

use std::sync::Arc;

use sublane_core::{Renewal, RunId, Timestamp};
use sublane_store::{Effects, Store, StoreError, WaitsFor};

use crate::intents::{Answer, Intent};
use crate::lanes;

/// Does what an intent asks. `number` is that of its row, if it has one. What follows is added to
/// `effects`, also of a part where the rest could not be done.
///
/// # Errors
/// [`StoreError::NotFound`] and [`StoreError::Refused`] are for whoever asked.
pub async fn steer(
    store: &dyn Store,
    number: Option<i64>,
    intent: Intent,
    link_base: Arc<str>,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<Answer, StoreError> {
    let cancelled = |effects: &Effects| Answer::Cancelled {
        runs: u32::try_from(effects.ended.len()).unwrap_or(u32::MAX),
    };
    Ok(match intent {
        Intent::Message { .. } => {
            return Err(StoreError::Refused("a message needs a host that answers it".to_owned()));
        }
        Intent::CollectGarbage => {
            return Err(StoreError::Refused(
                "that needs a host; `sublane store gc` does it without one".to_owned(),
            ));
        }
        Intent::Reload { .. } => {
            return Err(StoreError::Refused(
                "that needs a host; the next one loads what its configuration names".to_owned(),
            ));
        }
        Intent::CancelPlugin { plugin, reason } => {
            cancel_plugin(store, &plugin, reason.into(), link_base, now, effects).await?;
            cancelled(effects)
        }
        Intent::Cancel { run, reason } => {
            effects.append(store.cancel(run, reason.into(), link_base, now).await?);
            cancelled(effects)
        }
        Intent::CancelConversation { conversation, reason } => {
            effects.append(store.cancel_conversation(conversation, reason.into(), link_base, now).await?);
            cancelled(effects)
        }
        Intent::Send { run, message } => {
            let done = number.map(|number| (number, Answer::Sent.to_json()));
            effects.append(store.send(run, message.into(), done, now).await?);
            Answer::Sent
        }
        Intent::Retry { run, plugin_digest } => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| StoreError::Io(error.to_string().into()))?;
            let done = number.map(|number| (number, Answer::Retried.to_json()));
            let plugin_digest = match plugin_digest {
                Some(digest) => Some(digest),
                None => last_version(store, run).await?,
            };
            effects.append(store.retry(run, Renewal { plugin_digest, seed }, done, now).await?);
            Answer::Retried
        }
        Intent::RetryDelivery { delivery } => {
            let delivery = store.retry_delivery(delivery, now).await?;
            Answer::Delivery { state: delivery.state }
        }
        Intent::DismissDelivery { delivery, reason } => {
            let delivery = store.dismiss_delivery(delivery, reason.into(), now).await?;
            Answer::Delivery { state: delivery.state }
        }
        Intent::Lane { lane, change } => {
            let setting = change.of(lanes::setting_of(store, &lane).await?);
            store.set_lane(lane.into(), setting).await?;
            Answer::Lane { setting }
        }
    })
}

/// The version that the last host had of a run's plugin: the one that the run was on may be gone.
async fn last_version(store: &dyn Store, run: RunId) -> Result<Option<String>, StoreError> {
    let Some(run) = store.run(run).await? else { return Ok(None) };
    let plugins = store.plugins().await?;
    Ok(plugins.into_iter().find(|plugin| plugin.id == run.spec.plugin).map(|plugin| plugin.digest))
}

/// Cancels the runs of a plugin, some at a time: nobody waits long beside it.
async fn cancel_plugin(
    store: &dyn Store,
    plugin: &str,
    reason: Arc<str>,
    link_base: Arc<str>,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    const RUNS: u32 = 100;
    for version in store.live_versions().await?.into_iter().filter(|live| live.plugin == plugin) {
        let digest: Arc<str> = version.digest.into();
        loop {
            let (reason, link_base) = (reason.clone(), link_base.clone());
            let some =
                store.cancel_version(plugin.into(), digest.clone(), reason, RUNS, link_base, now).await?;
            if some.ended.is_empty() {
                break;
            }
            effects.append(some);
        }
    }
    Ok(())
}

/// Does what an intent asks in a store that no host has. What an earlier host left is taken over
/// first, and what begins is given back, so that the next host finds everything ready and due.
///
/// # Errors
/// Those of [`steer`].
pub async fn steer_alone(
    store: &dyn Store,
    intent: Intent,
    max_crashes: u32,
    link_base: Arc<str>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let recovered = store.recover(max_crashes, link_base.clone(), now).await?;
    // How many an intent cancels is counted among its own.
    let mut effects = Effects::default();
    let answer = steer(store, None, intent, link_base, now, &mut effects).await;
    let begun = recovered.effects.deliveries.iter().chain(&effects.deliveries);
    let begun = begun.map(|delivery| (delivery.id, delivery.attempts)).collect();
    store.postpone(begun, now, WaitsFor::Turn, "".into()).await?;
    answer
}
