//! What an operator's intent does to the store.
//!
//! The host's sweep calls it, and the command line where no host runs. Knows no
//! lane, no channel and no process: what follows comes back as effects.

use std::sync::Arc;

use sublane_core::{Renewal, RunId, Timestamp};
use sublane_store::{Effects, Store, StoreError, WaitsFor};

use crate::intents::{Answer, Intent};
use crate::lanes;

/// Does what an intent asks. `number` is that of its row, if it has one.
///
/// # Errors
/// [`StoreError::NotFound`] and [`StoreError::Refused`] are for whoever asked.
pub async fn steer(
    store: &dyn Store,
    number: Option<i64>,
    intent: Intent,
    link_base: Arc<str>,
    now: Timestamp,
) -> Result<(Answer, Effects), StoreError> {
    let cancelled = |effects: Effects| {
        let runs = u32::try_from(effects.ended.len()).unwrap_or(u32::MAX);
        (Answer::Cancelled { runs }, effects)
    };
    let nothing = |answer| (answer, Effects::default());
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
            cancelled(cancel_plugin(store, &plugin, reason.into(), link_base, now).await?)
        }
        Intent::Cancel { run, reason } => cancelled(store.cancel(run, reason.into(), link_base, now).await?),
        Intent::CancelConversation { conversation, reason } => {
            cancelled(store.cancel_conversation(conversation, reason.into(), link_base, now).await?)
        }
        Intent::Send { run, message } => {
            let done = number.map(|number| (number, Answer::Sent.to_json()));
            (Answer::Sent, store.send(run, message.into(), done, now).await?)
        }
        Intent::Retry { run, plugin_digest } => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| StoreError::Io(error.to_string().into()))?;
            let done = number.map(|number| (number, Answer::Retried.to_json()));
            let plugin_digest = match plugin_digest {
                Some(digest) => Some(digest),
                None => last_version(store, run).await?,
            };
            (Answer::Retried, store.retry(run, Renewal { plugin_digest, seed }, done, now).await?)
        }
        Intent::RetryDelivery { delivery } => {
            let delivery = store.retry_delivery(delivery, now).await?;
            nothing(Answer::Delivery { state: delivery.state })
        }
        Intent::DismissDelivery { delivery, reason } => {
            let delivery = store.dismiss_delivery(delivery, reason.into(), now).await?;
            nothing(Answer::Delivery { state: delivery.state })
        }
        Intent::Lane { lane, change } => {
            let setting = change.of(lanes::setting_of(store, &lane).await?);
            store.set_lane(lane.into(), setting).await?;
            nothing(Answer::Lane { setting })
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
) -> Result<Effects, StoreError> {
    const RUNS: u32 = 100;
    let mut all = Effects::default();
    for version in store.live_versions().await?.into_iter().filter(|live| live.plugin == plugin) {
        let digest: Arc<str> = version.digest.into();
        loop {
            let (reason, link_base) = (reason.clone(), link_base.clone());
            let some =
                store.cancel_version(plugin.into(), digest.clone(), reason, RUNS, link_base, now).await?;
            if some.ended.is_empty() {
                break;
            }
            all.ready.extend(some.ready);
            all.resumed.extend(some.resumed);
            all.ended.extend(some.ended);
            all.killed.extend(some.killed);
            all.deliveries.extend(some.deliveries);
        }
    }
    Ok(all)
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
    let given_back = |effects: &Effects| -> Vec<_> {
        effects.deliveries.iter().map(|delivery| (delivery.id, delivery.attempts)).collect()
    };
    let steered = steer(store, None, intent, link_base, now).await;
    let mut begun = given_back(&recovered.effects);
    if let Ok((_, effects)) = &steered {
        begun.extend(given_back(effects));
    }
    store.postpone(begun, now, WaitsFor::Turn, "".into()).await?;
    steered.map(|(answer, _)| answer)
}
