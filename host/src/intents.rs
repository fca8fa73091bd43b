//! What the command line asks of a running host, through rows.
//!
//! The command line of another process reads the store by itself and writes
//! what it wants as an intent; the sweep here applies it and removes the row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::{Destination, RunId};
use tokio::sync::watch;

use crate::host::Inner;
use crate::intake::Message;

/// How often the sweep looks.
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
}

/// Applies intents. Looks every quarter of a second, since another process cannot wake it.
pub async fn sweep(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    loop {
        match host.store.intents(LIMIT).await {
            Ok(intents) => {
                for intent in intents {
                    apply(&host, intent.number, &intent.body).await;
                }
            }
            Err(error) => tracing::error!(%error, "intents could not be read; the next sweep tries again"),
        }
        let at = host.clock.now().after(PERIOD);
        tokio::select! {
            () = host.clock.sleep_until(at) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Applies one. Each is harmless to repeat, so the row goes when it is done.
async fn apply(host: &Arc<Inner>, number: i64, body: &str) {
    let applied = match serde_json::from_str(body) {
        Ok(Intent::Message { origin, from, text, event }) => {
            let message = Message { origin, from, text, event: Some(event) };
            host.message(message).await.map(|_| ()).map_err(|error| error.to_string())
        }
        Ok(Intent::Cancel { run, reason }) => {
            host.cancel(run, &reason).await.map(|_| ()).map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("it is none that this host knows: {error}")),
    };
    if let Err(error) = applied {
        tracing::warn!(number, error, "an intent could not be applied and is dropped");
    }
    if let Err(error) = host.store.intent_done(number).await {
        tracing::error!(number, %error, "an applied intent could not be removed; it is applied again, which is harmless");
    }
}
