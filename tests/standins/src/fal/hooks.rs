//! Webhooks of a stand-in for fal: sent until somebody takes them, or as badly as the script says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::script::Webhook;
use crate::wire::post;

/// Sends the webhook of a job, when it has one, in a task of its own.
pub(crate) fn send_later(shared: &Arc<Shared>, id: &str) {
    let (sending, id) = (shared.clone(), id.to_owned());
    shared.tasks.lock().spawn(async move { send(&sending, &id).await });
}

/// Sends the webhook of a job, when it has one.
pub(crate) async fn send(shared: &Arc<Shared>, id: &str) {
    let Some(job) = shared.state.lock().job(id).cloned() else { return };
    let Some(url) = job.hook.as_deref() else { return };
    let Webhook { copies, delay_ms, signature, age_s, tries, retry_ms, .. } = job.webhook;
    pause(delay_ms).await;
    let body = Bytes::from(job.webhook_body().to_string());
    for _ in 0..copies {
        for attempt in 0..tries {
            if attempt > 0 {
                pause(retry_ms).await;
            }
            let second = (shared.clock)().saturating_sub(age_s);
            let headers = shared.state.lock().keys.headers(signature, id, second, &body);
            let answered = post(url, &headers, body.clone()).await;
            let taken = answered.as_ref().is_ok_and(|status| (200..300).contains(status));
            shared.change(|state| {
                state.job(id).into_iter().for_each(|job| job.webhooks.push(answered.clone()))
            });
            if taken {
                break;
            }
        }
    }
}

/// Lets time pass.
pub(crate) async fn pause(millis: u64) {
    if millis > 0 {
        #[expect(clippy::disallowed_methods, reason = "a provider has a clock of its own")]
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
